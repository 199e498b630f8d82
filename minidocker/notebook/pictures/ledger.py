"""All steps of a build at once, in two aligned columns: what became a layer, and what is metadata alone.

The belief that every instruction makes a layer ends here: the left column is the image's history, the middle one its
`rootfs.diff_ids`, the right one what changed in its configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.facts import brief, count
from minidocker.notebook.pictures.moments import Moment, moments
from minidocker.notebook.pictures.stack import cells
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.build import Build

WIDTH, ROW, TOP = 860, 30, 62
LAYER, CONFIG = (300, 320), (656, 204)  # where the two columns start, and how wide they are


def ledger(build: Build) -> Figure:
    """Draw a build: each instruction, the layer it made or none, and its lines in the configuration."""
    made = moments(build)
    layers = sum(one.step.layer is not None for one in made)
    name = ", ".join(build.image.tags) if build.image else ""
    said = f"{count(len(made), 'instruction')}: {layers} made a layer, {len(made) - layers} did not"
    heads = (
        (0, "instruction"),
        (LAYER[0], "layer: files that change"),
        (CONFIG[0], "configuration: lines that change"),
    )
    drawn = [text(0, 16, f"build of {name}" if name else "build", "md-h"), text(0, 34, said, "md-dim", "md-s")]
    drawn += [text(x, TOP - 8, words, "md-dim", "md-s") for x, words in heads]
    y = float(TOP)
    for index, one in enumerate(made):
        if one.keyword == "FROM" and index:
            y += 10
        drawn.append(group(_row(one), 0, y))
        y += ROW
    told = ". ".join(f"{one.step.text}: {_outcome(one)}" for one in made)
    twin = "\n".join([f"build of {name}  ({said})", *_twin(made)])
    return Figure(f"build of {name}", f"{said}. {told}.", "".join(drawn), WIDTH, y + 4, twin)


def _row(one: Moment) -> Iterator[Markup]:
    words = one.step.text.partition("\n")[0]
    stage = f"{one.step.stage}: " if one.step.stage else ""
    yield text(0, 18, stage + words, "md-c", width=LAYER[0] - 34)
    yield from _layer(one)
    changed = [] if one.keyword == "FROM" else [line for line in (*one.config, *one.args) if line.letter]
    if changed:
        more = f"  +{len(changed) - 1}" if len(changed) > 1 else ""
        yield rect(CONFIG[0], 4, CONFIG[1], ROW - 8, "md-m" if changed[0].key != "ARG" else "md-box md-dash", rx=11)
        yield text(CONFIG[0] + 12, 18.5, f"{_words(one)}{more}", "md-c", width=CONFIG[1] - 20)
    elif one.step.layer is None and one.keyword != "FROM":
        yield text(CONFIG[0] + 12, 18, "as it was", "md-dim", "md-s")


def _layer(one: Moment) -> Iterator[Markup]:
    x, width = LAYER
    number = len(one.step.after.layers)
    if one.keyword == "FROM":
        yield rect(x, 3, width, ROW - 6, "md-slab", "md-dash")
        yield text(x + 12, 18, one.made, "md-dim", "md-s")
    elif one.step.layer is None:
        yield el("line", x1=x, y1=15, x2=x + width, y2=15, class_="md-thin md-dash")
    else:
        yield arrow(x - 28, 15, x - 2, 15)
        yield rect(x, 1, width, ROW - 2, "md-slab")
        yield text(x + 13, 19, str(number), "md-dim", "md-h", text_anchor="middle")
        inside = cells(one.marks, width - 30) or [text(2, 14.5, "an empty layer", "md-dim", "md-s")]
        yield group(inside, x + 25, 4)


def _words(one: Moment) -> str:
    """The first change of the configuration: `Cmd ["sh"]`."""
    first = next(line for line in (*one.config, *one.args) if line.letter)
    return f"not kept: {first.text}" if first.key == "ARG" else f"{first.key} {first.text}"


def _outcome(one: Moment) -> str:
    parts = [one.made if one.keyword == "FROM" or not one.step.layer else f"{one.made}, {brief(one.marks) or 'empty'}"]
    if one.keyword != "FROM":
        parts += [f"{line.letter} {line.key} {line.text}" for line in (*one.config, *one.args) if line.letter]
    return "; ".join(parts)


def _twin(made: Sequence[Moment]) -> Iterator[str]:
    wide = min(max((len(one.step.text.partition("\n")[0]) for one in made), default=0), 48)
    for one in made:
        yield f"  {one.step.text.partition(chr(10))[0][:wide]:<{wide}} -> {_outcome(one)}"
