"""A container: the image's layers, shared and read-only; its own writable layer on top; where it is in its life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minidocker.notebook.pictures.facts import Mark, Row, brief, count
from minidocker.notebook.pictures.stack import cells
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, group, rect, text

WIDTH, SLAB, PLATE, MACHINE = (
    780,
    372,
    26,
    410,
)  # all in all; the stack's width; a plate's height; where the machine starts

STATES = {  # state -> where its box stands in the machine
    "created": (0, 30),
    "running": (136, 30),
    "paused": (272, 30),
    "removed": (0, 118),
    "exited": (136, 118),
    "restarting": (272, 118),
    "dead": (0, 186),
}
BOX = (98, 30)
MOVES = [  # from, to, the docker command (or event), where its word stands
    ((98, 45), (136, 45), "start", (117, 22)),
    ((234, 38), (272, 38), "pause", (253, 22)),
    ((272, 52), (234, 52), "unpause", (274, 70)),
    ((172, 60), (172, 118), "stop, kill, exit", (128, 93)),
    ((198, 118), (198, 60), "start", (214, 82)),
    ((136, 133), (98, 133), "rm", (117, 125)),
    ((234, 133), (272, 133), "policy", (253, 125)),
    ((300, 118), (226, 60), "", (0, 0)),
    ((49, 148), (49, 186), "rm fails", (78, 172)),
]


@dataclass(frozen=True)
class Life:
    """What the picture of a container needs to know of it."""

    name: str
    image: str
    command: str
    status: str
    exit_code: int
    layers: tuple[Row, ...]  # those of the image that have a layer, oldest first
    changes: tuple[Mark, ...]  # the writable layer

    @property
    def state(self) -> str:
        """The status, with the exit code where there is one: `exited (0)`."""
        return f"{self.status} ({self.exit_code})" if self.status in ("exited", "dead") else self.status


def container_figure(life: Life) -> Figure:
    """Draw a container: its stack at the left, the machine of states at the right."""
    own = brief(life.changes) or "nothing yet"
    plates = sum(row.folded or 1 for row in life.layers)
    title = f"container {life.name}"
    drawn = [
        text(0, 16, title, "md-h"),
        text(0, 34, f"{life.state}: {life.command}", "md-dim", "md-s", width=SLAB),
        group(writable(life.changes, SLAB), 0, 46),
        group(plates_of(life), 0, 94),
        group(machine(life.status), MACHINE, 26),
    ]
    height = max(94 + (PLATE + 3) * len(life.layers) + 26, 26 + 226)
    twin = "\n".join(
        [
            f"{title}  {life.state}: {life.command}",
            f"  own writable layer: {own}",
            f"  shared, read-only:  {count(plates, 'layer')} of {life.image}",
        ]
    )
    below = f"Below it {count(plates, 'layer')} of {life.image}, shared."
    said = f"It is {life.state}. Its own writable layer holds: {own}. {below}"
    return Figure(title, said, "".join(drawn), WIDTH, height, twin)


def writable(changes: Sequence[Mark], width: float) -> list[Markup]:
    """The thin layer that belongs to one container alone; dashed, since it goes when the container is removed."""
    inside = cells(changes, width - 12) or [text(4, 15, "its own writable layer: nothing written yet", "md-dim")]
    return [rect(0, 0, width, 36, "md-on", "md-dash"), group(inside, 6, 7)]


def plates_of(life: Life) -> list[Markup]:
    """The image's layers as plates, newest on top."""
    drawn = []
    for index, row in enumerate(reversed(life.layers)):
        words = f"{count(row.folded, 'layer')} of {row.text.removeprefix('FROM ')}" if row.folded else row.text
        plate = [rect(0, 0, SLAB, PLATE, "md-slab"), text(10, 17, words, "md-c", "md-dim", width=SLAB - 20)]
        drawn.append(group(plate, 0, index * (PLATE + 3)))
    below = (PLATE + 3) * len(life.layers) + 14
    return [
        *drawn,
        text(0, below, f"read-only, shared by every container of {life.image}", "md-dim", "md-s", width=SLAB),
    ]


def machine(status: str) -> list[Markup]:
    """The states of a container's life and what leads from one to the next; the current one is lit."""
    drawn = [text(0, 10, "its life", "md-dim", "md-s")]
    for (x1, y1), (x2, y2), word, (x, y) in MOVES:
        drawn.append(arrow(x1, y1, x2, y2))
        if word:
            drawn.append(text(x, y, word, "md-dim", "md-s", text_anchor="middle"))
    for state, (x, y) in STATES.items():
        here = state == status
        look = ("md-on",) if here else ("md-box", "md-dash") if state in ("removed", "dead") else ("md-box",)
        drawn.append(rect(x, y, *BOX, "md-box", rx=15))
        drawn.append(rect(x, y, *BOX, *look, rx=15))
        words = f"▸ {state}" if here else state
        drawn.append(text(x + BOX[0] / 2, y + 19, words, text_anchor="middle", font_weight="bold" if here else None))
    return drawn
