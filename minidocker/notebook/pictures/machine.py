"""The life of a container as a machine: its states, and what leads from one to the next.

Which arrows there are is what the engine goes by (`container/life.py`); only where they run is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from minidocker.container.life import BY_ITSELF, VERBS
from minidocker.notebook.pictures.svg import INK, Figure, Markup, el, rect, text

if TYPE_CHECKING:
    from minidocker.container import Container

WIDTH, HEIGHT, BOX = 780, 266, (100, 34)
STATES = {  # state -> where its box stands
    "created": (0, 118),
    "running": (186, 118),
    "paused": (342, 46),
    "restarting": (342, 190),
    "exited": (498, 118),
    "removed": (680, 118),
}
TIPS = {"right": (-7, 4, -7, -4), "left": (7, 4, 7, -4), "down": (4, -7, -4, -7), "up": (4, 7, -4, 7)}


@dataclass(frozen=True)
class Route:
    """Where an arrow runs (a path, and the side to which it points), and where its words stand."""

    path: str
    end: tuple[int, int]
    side: str
    words: tuple[int, int]
    anchor: str = "middle"


ROUTES = {
    ("created", "running"): Route("M100 135", (186, 135), "right", (140, 127)),
    ("created", "removed"): Route("M50 118V38Q50 30 58 30H722Q730 30 730 38", (730, 118), "down", (64, 46), "start"),
    ("running", "paused"): Route("M222 118C222 80 270 54", (342, 54), "right", (232, 78), "end"),
    ("paused", "running"): Route("M342 68C296 68 264 84", (264, 118), "down", (286, 92), "start"),
    ("paused", "exited"): Route("M442 58C500 58 548 80", (548, 118), "down", (540, 74), "start"),
    ("running", "exited"): Route("M286 129", (498, 129), "right", (392, 120)),
    ("exited", "running"): Route("M498 142", (286, 142), "left", (392, 156)),
    ("running", "restarting"): Route("M222 152C222 190 270 216", (342, 216), "right", (228, 190), "end"),
    ("restarting", "running"): Route("M342 202C296 202 264 186", (264, 152), "up", (286, 186), "start"),
    ("restarting", "exited"): Route("M442 207C500 207 548 190", (548, 152), "up", (540, 200), "start"),
    ("exited", "removed"): Route("M598 135", (680, 135), "right", (638, 127)),
}


def life_cycle(thing: Container | str = "") -> Figure:
    """The life of containers; of one (or in a state: `created`, …), with what may come next.

    >>> print(life_cycle("paused"))
    the life of a container: paused
        created     start -> running; remove -> removed
        running     pause -> paused; stop, kill, process 1 ends -> exited; process 1 ends, policy: again -> restarting
      ▸ paused      unpause -> running; stop, kill -> exited
        restarting  stop -> exited; after a moment -> running
        exited      start -> running; remove -> removed
        removed
    """
    if isinstance(thing, str):
        return machine_figure(thing)
    state = thing.state()
    return machine_figure(state["Status"], state["ExitCode"], f"the life of {thing.name}")


def machine_figure(state: str, code: int | None = None, title: str = "the life of a container") -> Figure:
    """The machine; the state that a container is in is marked, and so is what leads on from there."""
    found = arrows()
    drawn = [text(0, 14, title, "md-h")]
    drawn += [
        part
        for ends, said in sorted(found.items(), key=lambda one: one[0][0] == state)
        for part in _arrow(*ends, said, ends[0] == state)
    ]
    drawn += [part for name in STATES for part in _box(name, state, code)]
    drawn.append(
        text(
            0,
            HEIGHT - 6,
            "dashed: by itself  ·  restart: stop, then start  ·  remove --force: kill, then remove",
            "md-dim",
            "md-s",
        )
    )
    lines = [f"{title}: {state}" if state else title]
    for name in STATES:
        steps = "; ".join(f"{', '.join(said)} -> {to}" for (start, to), said in found.items() if start == name)
        lines.append(f"  {'▸' if name == state else ' '} {name:<10}  {steps}".rstrip())
    said = f"It is {state}. " if state else ""
    return Figure(
        title, said + ". ".join(line.strip(" ▸") for line in lines[1:]), "".join(drawn), WIDTH, HEIGHT, "\n".join(lines)
    )


def arrows() -> dict[tuple[str, str], list[str]]:
    """What leads from which state to which: `("running", "exited")` -> `["stop", "kill", "process 1 ends"]`."""
    found: dict[tuple[str, str], list[str]] = {}
    for word, moves in [*VERBS.items(), *BY_ITSELF.items()]:
        for start, to in moves.items():
            if start != to:
                found.setdefault((start, to), []).append(word)
    return found


def _arrow(start: str, to: str, said: list[str], here: bool) -> Iterator[Markup]:
    route = ROUTES[start, to]
    (x, y), (a, b, c, d) = route.end, TIPS[route.side]
    look = " md-go" if here else ""
    dash = " md-dash" if all(word in BY_ITSELF for word in said) else ""
    stop = (x + (a if route.side in ("left", "right") else 0), y + (b if route.side in ("up", "down") else 0))
    joint = " " if "C" in route.path else "L"
    yield el("path", d=f"{route.path}{joint}{stop[0]} {stop[1]}", class_=f"md-ink{look}{dash}")
    yield el(
        "polygon",
        points=f"{x},{y} {x + a},{y + b} {x + c},{y + d}",
        class_="md-tip" if not here else None,
        style=f"fill:{INK}" if here else None,
    )
    lines = _lines(said)
    top = route.words[1] - 13 * (len(lines) - 1) * (route.anchor == "middle")
    for index, line in enumerate(lines):
        yield text(
            route.words[0], top + 13 * index, line, "md-s", "md-b" if here else "md-dim", text_anchor=route.anchor
        )


def _lines(said: list[str]) -> list[str]:
    verbs = ", ".join(word for word in said if word in VERBS)
    return [line for words in [verbs, *(word for word in said if word in BY_ITSELF)] for line in wrap(words, 17)]


def _box(name: str, state: str, code: int | None) -> Iterator[Markup]:
    x, y = STATES[name]
    here = name == state
    words = f"▸ {name}" + (f" ({code})" if name == "exited" and code is not None else "") if here else name
    yield rect(x, y, *BOX, "md-box", "md-dash" if name == "removed" else "", rx=17)
    if here:
        yield rect(x, y, *BOX, "md-on", rx=17)
    yield text(x + BOX[0] / 2, y + 21, words, "md-b" if here else "", text_anchor="middle")
