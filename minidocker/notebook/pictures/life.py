"""A container: the image's layers, shared and read-only; its own writable layer on top; what may come next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minidocker.container.life import VERBS
from minidocker.notebook.pictures.facts import Mark, Row, brief, count
from minidocker.notebook.pictures.machine import arrows
from minidocker.notebook.pictures.stack import cells
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, group, rect, text

WIDTH, SLAB, NEXT = 780, 372, 400  # all in all; how wide the stack is; where it starts what may come next
PLATE, STEP = 26, 46  # a layer's height; one arrow's
BOX, TARGET = (108, 34), 272  # a state's box, and where those stand that the arrows lead to


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
    """Draw a container: its stack at the left, at the right its state and where that leads."""
    own, coming = brief(life.changes) or "nothing yet", following(life.status)
    plates = sum(row.folded or 1 for row in life.layers)
    title = f"container {life.name}"
    height = max(94 + stack_height(life.layers), 54 + STEP * len(coming))
    drawn = [
        text(0, 16, title, "md-h"),
        text(0, 34, f"{life.state}: {life.command}", "md-dim", "md-s", width=SLAB),
        group(writable(life.changes, SLAB), 0, 46),
        group(plates_of(life.layers, life.image, SLAB), 0, 94),
        group(_next(life.state, coming), NEXT, 46),
    ]
    twin = [
        f"{title}  {life.state}: {life.command}",
        f"  own writable layer: {own}",
        f"  shared, read-only:  {count(plates, 'layer')} of {life.image}",
        *(f"  {', '.join(said)} -> {state}" for state, said in coming.items()),
    ]
    below = f"Below it {count(plates, 'layer')} of {life.image}, shared."
    said = f"It is {life.state}. Its own writable layer holds: {own}. {below}"
    return Figure(title, said, "".join(drawn), WIDTH, height, "\n".join(twin))


def writable(changes: Sequence[Mark], width: float) -> list[Markup]:
    """The thin layer that belongs to one container alone; dashed, since it goes when the container is removed."""
    empty = "its own writable layer: nothing written yet" if width > 260 else "nothing written yet"
    inside = cells(changes, width - 12) or [text(4, 15, empty, "md-dim")]
    return [rect(0, 0, width, 36, "md-on", "md-dash"), group(inside, 6, 7)]


def plates_of(layers: Sequence[Row], image: str, width: float) -> list[Markup]:
    """The image's layers as plates, newest on top."""
    drawn = []
    for index, row in enumerate(reversed(layers)):
        words = f"{count(row.folded, 'layer')} of {row.text.removeprefix('FROM ')}" if row.folded else row.text
        plate = [rect(0, 0, width, PLATE, "md-slab"), text(10, 17, words, "md-c", "md-dim", width=width - 20)]
        drawn.append(group(plate, 0, index * (PLATE + 3)))
    words = f"read-only, shared by every container of {image}"
    return [*drawn, text(0, (PLATE + 3) * len(layers) + 14, words, "md-dim", "md-s", width=width)]


def stack_height(layers: Sequence[Row]) -> float:
    """How high `plates_of` is, with the line below it."""
    return (PLATE + 3) * len(layers) + 22


def following(status: str) -> dict[str, list[str]]:
    """Where a state leads, and what leads there: `{"running": ["start"], "removed": ["remove"]}` for `created`."""
    return {to: said for (start, to), said in arrows().items() if start == status}


def _next(state: str, coming: dict[str, list[str]]) -> Iterator[Markup]:
    middle = 18.0 + STEP * max(len(coming) - 1, 0) / 2
    for index, (to, said) in enumerate(coming.items()):
        y = 18.0 + STEP * index
        asked, happens = ([word for word in said if (word in VERBS) is kind] for kind in (True, False))
        yield arrow(BOX[0], middle, TARGET, y, "" if asked else "md-dash")
        yield text(TARGET - 10, y - 5, ", ".join(asked), "md-s", text_anchor="end")
        yield text(TARGET - 10, y + 13, ", ".join(happens), "md-dim", "md-s", text_anchor="end")
        yield group(_box(to, "md-box md-dash" if to == "removed" else "md-box"), TARGET, y - BOX[1] / 2)
    yield group(_box(f"▸ {state}", "md-on"), 0, middle - BOX[1] / 2)


def _box(words: str, look: str) -> list[Markup]:
    here = "md-b" if look == "md-on" else ""
    return [rect(0, 0, *BOX, look, rx=17), text(BOX[0] / 2, 21, words, here, text_anchor="middle")]
