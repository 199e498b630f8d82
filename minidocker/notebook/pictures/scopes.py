"""Variables beside the lines of a Dockerfile: where each one is to be seen, and what it is there.

A solid band is an ENV: it is part of the image, and runs on into the container. A dashed one is a build argument,
which ends with its stage. A thin one is an ARG before the first FROM: it is there for FROM lines, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.svg import Figure, Markup, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.build import Build, Step

CODE, BAND, ROW, TOP = 370, 130, 26, 56  # width of the lines and of a column; height of a line; where they start
LOOK = {"ENV": "md-a", "ARG": "md-m md-dash", "FROM": "md-box md-dash"}
LEGEND = (
    "ENV: in the image, for good · ARG: while its stage is built · FROM: before the first FROM, for FROM lines alone"
)


@dataclass(frozen=True)
class Seen:
    """A line, and what each name is after it: (kind, value), or None where there is no such variable."""

    text: str
    values: tuple[tuple[str, str] | None, ...]


def scopes(build: Build, *names: str) -> Figure:
    """Where each of the variables is to be seen in a build, and in the container that comes of it."""
    seen = list(_seen(build, names))
    width = CODE + max(len(names), 1) * BAND
    drawn = [text(0, 16, "who sees what, and where", "md-h"), text(0, TOP - 8, "after this line …", "md-dim", "md-s")]
    for index, row in enumerate(seen):
        last = index == len(seen) - 1
        y = TOP + index * ROW + (8 if last else 0)
        drawn.append(text(0, y + 17, row.text, "" if last else "md-c", width=CODE - 16))
    for column, name in enumerate(names):
        drawn.append(text(CODE + column * BAND + 8, TOP - 8, f"${name}", "md-c", font_weight="bold"))
        values = [line.values[column] for line in seen]
        drawn.append(group(_bands(values), CODE + column * BAND, TOP))
    end = TOP + (len(seen) - 1) * ROW + 4
    drawn.append(el("line", x1=0, y1=end, x2=width, y2=end, class_="md-thin"))
    drawn.append(text(0, TOP + len(seen) * ROW + 28, LEGEND, "md-dim", "md-s", width=width * 1.15))
    said = [f"{line.text}: {_words(line, names)}" for line in seen]
    wide = min(max(len(line.text) for line in seen), 44)
    twin = [f"  {line.text[:wide]:<{wide}}  {_words(line, names)}" for line in seen]
    title = f"who sees {', '.join(names)}, and where"
    return Figure(title, ". ".join(said), "".join(drawn), width, TOP + len(seen) * ROW + 36, "\n".join([title, *twin]))


def _seen(build: Build, names: Sequence[str]) -> Iterator[Seen]:
    assert build.dockerfile is not None
    declared: set[str] = set()
    for one in build.dockerfile.args:
        declared |= {name for name, _ in one.pairs}
        yield Seen(one.text, tuple(_for_from(build, name, declared) for name in names))
    for step in build.steps:
        first = step.text.split(" ", 1)[0].upper() == "FROM"
        found = ((first and _for_from(build, name, declared)) or _after(step, name) for name in names)
        yield Seen(step.text.partition("\n")[0], tuple(found))
    own = _own(build.image.config.get("Env") if build.image else None)
    yield Seen("in a container of the image", tuple(("ENV", own[name]) if name in own else None for name in names))


def _for_from(build: Build, name: str, declared: set[str]) -> tuple[str, str] | None:
    return ("FROM", build.args[name]) if name in declared and name in build.args else None


def _after(step: Step, name: str) -> tuple[str, str] | None:
    """What a RUN on the next line would see."""
    value = step.after.env.get(name)
    if _own(step.after.config.get("Env")).get(name) == value and value is not None:
        return "ENV", value
    return ("ARG", value) if value is not None and name in step.after.args else None


def _own(env: Sequence[str] | None) -> dict[str, str]:
    return dict(pair.partition("=")[::2] for pair in env or [])


def _bands(values: Sequence[tuple[str, str] | None]) -> Iterator[Markup]:
    """Lines that follow each other with the same value are one band; the container's stands for itself."""
    last = len(values) - 1
    for (value, own), run in groupby(enumerate(values), key=lambda at: (at[1], at[0] == last)):
        rows = [row for row, _ in run]
        y, height = rows[0] * ROW + (8 if own else 0), len(rows) * ROW - 4
        if value is None:
            if own:
                yield text(10, y + 17, "not there", "md-dim", "md-s")
            continue
        kind, words = value
        yield rect(0, y + 2, BAND - 10, height, *LOOK[kind].split(), rx=5)
        yield el(
            "text",
            el("tspan", kind, font_weight="bold"),
            f" {words}"[:16],
            class_="md-c",
            x=8,
            y=y + 16.5,
        )


def _words(line: Seen, names: Sequence[str]) -> str:
    pairs = zip(names, line.values, strict=True)
    return ", ".join(f"{name} = {value[1]} ({value[0]})" if value else f"no {name}" for name, value in pairs)
