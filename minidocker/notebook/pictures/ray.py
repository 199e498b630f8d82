"""The lookup ray: one path falls through the layers, the newest first, until a layer answers or hides it.

This is what the kernel's overlay file system does at every look at a file (docs.kernel.org/filesystems/overlayfs). What
is mounted into a container lies on top, each a patch over a part of the stack: the ray passes beside those that are not
on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.patches import check_seen, covers, patched
from minidocker.notebook.pictures.sources import Said, follow, said, seen
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, el, group, printable, rect, text
from minidocker.tree import clean

LEFT, SLAB, WIDTH = 214, 330, 790  # where slabs start, how wide they are, how wide it is all in all
BEAM, WORDS, RIGHT = LEFT + 26, LEFT + 50, LEFT + SLAB + 46  # where the ray falls, words start, the result stands
TOP, ROW, GAP = 74.0, 34, 7


def ray(thing: Any, path: str) -> Figure:
    """Draw who answers for a path in an image, a container, or a list of Changesets (bottom first).

    Links on the way to it are followed first, as the kernel does, name by name. Raises InvalidArgument, Unsupported.
    """
    found, asked = patched(thing), clean(path)
    there, error = follow(found.tree, asked)
    check_seen(found, there)
    words = said(found, there)
    shown, kind = (error, "") if error else seen(found.tree, there)
    end = next((index for index, one in enumerate(words) if one.verdict in ("answers", "hides")), len(words))
    title = f"who answers for {printable(asked)}?"
    note = f"a link on the way leads to {there}: this is its ray" if there != asked else ""
    drawn = [group(_slab(one, index, end, there), 0, _y(index)) for index, one in enumerate(words)]
    drawn += [group(_beam(words, end)), group(_result(words, end, shown, kind))]
    head = [text(0, 16, title, "md-h", width=WIDTH * 0.8), text(0, 34, note, "md-dim", "md-s", width=WIDTH)]
    up = 0 if note else 14
    lines = [
        title,
        *([note] if note else []),
        *_twin(words),
        f"  {'seen':>4}  {shown}" + (f"  ({kind})" if kind else ""),
    ]
    height = _y(len(words)) + (8 if end < len(words) else 32) - up
    story = ". ".join(f"{one.source.name}: {one.why}" for one in words)
    description = f"{count(len(words), 'source')}, newest first. {story}. What is seen: {shown}."
    return Figure(title, description, "".join([*head, group(drawn, 0, -up)]), WIDTH, height, "\n".join(lines))


def _y(index: int) -> float:
    return TOP + index * (ROW + GAP)


def _slab(one: Said, index: int, end: int, path: str) -> list[Markup]:
    """One source: its name at the edge, what it says inside; below the ray's end all is faint."""
    look = ("md-on", "md-dash") if one.source.writable else ("md-m",) if one.source.place else ("md-slab",)
    faint = None if index == end else 0.75
    aside = WORDS - LEFT - 8 if one.source.place and not covers(one.source, path) else 0  # the ray passes beside it
    parts = [
        text(LEFT - 10, ROW / 2 + 4, one.source.name, "md-c", width=LEFT - 12, text_anchor="end", fill_opacity=faint),
        rect(LEFT + aside, 0, SLAB - aside, ROW, *look, stroke_opacity=None if index <= end else 0.55),
    ]
    if one.verdict == "hidden":
        parts.append(rect(WORDS - 8, 6, SLAB - 48, ROW - 12, "md-thin", "md-dash"))
    if one.verdict == "answers":
        parts.append(rect(WORDS - 8, 6, SLAB - 48, ROW - 12, "md-a"))
    if one.verdict == "hides":
        parts.append(rect(WORDS - 8, 6, SLAB - 48, ROW - 12, "md-d", fill="HATCH"))
    return [*parts, text(WORDS, ROW / 2 + 4, one.why, width=SLAB - 62, fill_opacity=faint)]


def _beam(words: Sequence[Said], end: int) -> list[Markup]:
    """The ray itself: through what is silent, down to where it ends."""
    start = TOP - 14
    parts = [text(BEAM, start - 6, "open", "md-dim", "md-s", text_anchor="middle")]
    if end == len(words):
        way = f"M{BEAM} {start:.0f}V{_y(end) + 8:.0f}H{LEFT + SLAB}"
        rings = [_ring(index) for index in range(end) if not words[index].source.place]
        return [*parts, *rings, el("path", d=way, class_="md-ink")]
    middle = _y(end) + ROW / 2
    parts += [_ring(index) for index in range(end) if not words[index].source.place]
    if words[end].verdict == "hides":
        stop = el("path", d=f"M{BEAM - 10} {middle}h20", class_="md-ink", stroke_width=4)
        return [*parts, arrow(BEAM, start, BEAM, middle - 3), stop]
    return [*parts, arrow(BEAM, start, BEAM, middle - 5), el("circle", cx=BEAM, cy=middle, r=5, class_="md-tip")]


def _ring(index: int) -> Markup:
    """Where the ray passes a source that is silent."""
    return el("circle", cx=BEAM, cy=_y(index) + ROW / 2, r=4, class_="md-thin")


def _result(words: Sequence[Said], end: int, shown: str, kind: str) -> list[Markup]:
    """What is seen, beside where the ray ended."""
    fell = end == len(words)
    y, wide = _y(end) - (ROW / 2 - 8 if fell else 0), WIDTH - RIGHT
    return [
        arrow(LEFT + SLAB + (0 if fell else 6), y + ROW / 2, RIGHT - 6, y + ROW / 2),
        text(RIGHT, y - 4, "what is seen", "md-dim", "md-s"),
        rect(RIGHT, y, wide, ROW, "md-box"),
        text(RIGHT + 10, y + (15 if kind else 21), shown, "md-c", width=wide - 16),
        text(RIGHT + 10, y + 28, kind, "md-dim", "md-s", width=wide - 16),
    ]


def _twin(words: Sequence[Said]) -> list[str]:
    wide = max((len(one.source.name) for one in words), default=0)
    marks = {"answers": "●", "hides": "x", "hidden": "-", "silent": " "}
    names = (printable(one.source.name)[:48] for one in words)
    return [
        f"  {marks[one.verdict]} {one.verdict:<8}  {name:<{min(wide, 48)}}  {one.why}"
        for name, one in zip(names, words, strict=True)
    ]
