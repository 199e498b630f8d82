"""The walk: how a text file becomes a running program, in one picture that grows with the engine's state.

Four stations, from left to right: the Dockerfile's lines, the layer (or the line of metadata) that each one made, the
image that they are together, the containers that run it. A station that is not reached yet is an empty frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minidocker.notebook.pictures.facts import Row, brief, count
from minidocker.notebook.pictures.life import Life
from minidocker.notebook.pictures.stack import cells
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, bytes_text, el, group, rect, text

WIDTH, TOP, ROW = 980, 62, 38
STATIONS = [  # x, width, name, what it is
    (0, 236, "1  Dockerfile", "a text file"),
    (276, 224, "2  layers", "what each line changed"),
    (552, 150, "3  image", "a stack and its config"),
    (756, 224, "4  containers", "running programs"),
]
VERBS = ["docker build", "-t name", "docker run"]


@dataclass(frozen=True)
class Journey:
    """What the walk shows: the Dockerfile's instructions, then as much as there is."""

    name: str
    lines: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()  # the image's history, oldest first; empty: not built yet
    config: tuple[str, ...] = ()  # `Cmd ["sh"]`
    containers: tuple[Life, ...] = ()

    @property
    def reached(self) -> int:
        """How many of the four stations there is something at."""
        return 4 if self.containers else 3 if self.rows else 1 if self.lines else 0


def walk_figure(journey: Journey) -> Figure:
    """Draw the journey as far as it went."""
    lines = journey.lines
    height = TOP + max(len(lines) * ROW, 150, len(journey.containers) * 88) + 8
    drawn = [_station(index, index < journey.reached, height) for index in range(4)]
    drawn += [group(_line(index, line), 0, TOP + index * ROW) for index, line in enumerate(lines)]
    if journey.rows:
        drawn += [group(_made(row), STATIONS[1][0], TOP + index * ROW) for index, row in enumerate(journey.rows)]
        drawn += [arrow(240, y, 274, y) for y in (TOP + 17 + index * ROW for index in range(len(journey.rows)))]
        drawn.append(group(_image(journey), STATIONS[2][0], TOP))
        drawn += [arrow(504, TOP + 75, 550, TOP + 75)]
    for index, life in enumerate(journey.containers):
        drawn.append(group(_container(life), STATIONS[3][0], TOP + index * 88))
        drawn.append(arrow(706, TOP + 75, 754, TOP + 44 + index * 88))
    title = f"From Dockerfile to container: {journey.name}"
    return Figure(title, _told(journey), "".join(drawn), WIDTH, height, _twin(journey))


def _station(index: int, reached: bool, height: float) -> Markup:
    x, width, name, what = STATIONS[index]
    dim = "" if reached else "md-dim"
    parts = [text(x, 16, name, "md-h", dim), text(x, 34, what, "md-dim", "md-s")]
    if index and reached:
        parts.append(text(x - 6, 52, VERBS[index - 1], "md-c", "md-dim", "md-s", text_anchor="end"))
    if not reached:
        parts.append(rect(x, TOP, width, height - TOP - 8, "md-thin", "md-dash", rx=8, stroke_opacity=0.6))
        parts.append(text(x + width / 2, (TOP + height) / 2, "?", "md-dim", "md-h", text_anchor="middle"))
    return group(parts)


def _line(index: int, line: str) -> list[Markup]:
    width = STATIONS[0][1]
    return [
        rect(0, 2, width, ROW - 6, "md-box", rx=2),
        text(10, 21, str(index + 1), "md-c", "md-dim"),
        text(28, 21, line, "md-c", width=width - 34),
    ]


def _made(row: Row) -> list[Markup]:
    """What one line made: a slab with its files, or a line in the config."""
    width = STATIONS[1][1]
    if not row.number:
        dash = el("line", x1=0, y1=17, x2=width, y2=17, class_="md-thin md-dash")
        return [
            dash,
            rect(42, 7, 140, 20, "md-box", rx=10),
            text(112, 21, "a line in the config", "md-dim", "md-s", text_anchor="middle"),
        ]
    slab = rect(0, 2, width, ROW - 6, "md-slab")
    if row.folded:
        return [slab, text(12, 22, f"{count(row.folded, 'layer')} of the base image", "md-dim")]
    inside = group(cells(row.marks, width - 30), 26, 7) if row.marks else text(28, 22, "an empty layer", "md-dim")
    return [slab, text(13, 22, str(row.number), "md-dim", "md-h", text_anchor="middle"), inside]


def _image(journey: Journey) -> list[Markup]:
    """The stack, newest on top, under its tag; the config below."""
    width = STATIONS[2][1]
    parts: list[Markup] = [
        el("path", d=f"M0 2H{width - 12}L{width} 13L{width - 12} 24H0Z", class_="md-m"),
        text(10, 17, journey.name, "md-c", width=width - 24, font_weight="bold"),
    ]
    y = 32.0
    for row in reversed([row for row in journey.rows if row.number]):
        parts.append(rect(0, y, width, 18, "md-slab"))
        parts.append(
            text(
                10,
                y + 13,
                f"{count(row.folded, 'layer')} of the base" if row.folded else f"layer {row.number}",
                "md-dim",
                "md-s",
            )
        )
        parts.append(
            text(
                width - 8, y + 13, "" if row.folded else bytes_text(row.size or 0), "md-dim", "md-s", text_anchor="end"
            )
        )
        y += 21
    parts.append(text(0, y + 14, "config", "md-dim", "md-s"))
    return parts + [
        text(0, y + 29 + index * 15, line, "md-c", width=width) for index, line in enumerate(journey.config)
    ]


def _container(life: Life) -> list[Markup]:
    width = STATIONS[3][1]
    layers = sum(row.folded or 1 for row in life.layers)
    inside = cells(life.changes, width - 12) or [text(4, 15, "own writable layer: empty", "md-dim")]
    return [
        text(0, 10, life.name, "md-c", font_weight="bold"),
        text(width, 10, ("▸ " if life.status == "running" else "") + life.state, text_anchor="end"),
        rect(0, 16, width, 34, "md-on", "md-dash"),
        group(inside, 6, 22),
        rect(0, 53, width, 18, "md-slab"),
        text(10, 66, f"{count(layers, 'layer')}, shared with the image", "md-dim", "md-s"),
    ]


def _told(journey: Journey) -> str:
    if not journey.rows:
        return f"{count(len(journey.lines), 'line')} of text; nothing is built yet."
    layers = sum(row.folded or 1 for row in journey.rows if row.number)
    told = (
        f"{count(len(journey.lines), 'instruction')} made {count(layers, 'layer')}, which are the image {journey.name}."
    )
    return " ".join([told, *(f"Container {life.name} is {life.state}." for life in journey.containers)])


def _twin(journey: Journey) -> str:
    made: Sequence[Row | None] = journey.rows or [None] * len(journey.lines)
    wide = max((len(line) for line in journey.lines), default=0)
    parts = [f"{'1 Dockerfile':<{wide + 4}}" + ("   2 layers" if journey.rows else "")]
    for index, (line, row) in enumerate(zip(journey.lines, made, strict=False), 1):
        parts.append(f"{index:>3} {line:<{wide}}" + ("" if row is None else f" -> {_result(row)}"))
    if journey.rows:
        parts.append(f"3 image       {journey.name}: {', '.join(journey.config)}")
    for life in journey.containers:
        parts.append(f"4 container   {life.name} {life.state}; own layer: {brief(life.changes) or 'empty'}")
    return "\n".join(line.rstrip() for line in parts)


def _result(row: Row) -> str:
    if row.folded:
        return f"{count(row.folded, 'layer')} of the base image"
    if not row.number:
        return "a line in the config"
    return f"layer {row.number}: {brief(row.marks) or 'empty'}"
