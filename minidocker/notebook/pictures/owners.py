"""Whose are the files of a volume? On the disk there are numbers; names come from the /etc/passwd of whoever looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.svg import Figure, Markup, arrow, group, rect, text
from minidocker.runtime import Bind

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.image import Image

WIDTH, ROW, TOP, DISK, SIDE = 800, 34, 62, 300, 220  # how wide all is, the middle box and those at its sides


@dataclass(frozen=True)
class Owned:
    """A file, who may do what with it, and the number of its owner."""

    name: str
    mode: str
    uid: int


def owners(engine: Engine, volume: str, *images: str) -> Figure:
    """The files of a volume, and what their owners are called in (at most two) images. Raises APIError."""
    from minidocker.runtime.simulated.filetools import mode_text

    where = engine.volumes.get(volume).mountpoint
    tree = engine.runtime.listing(Bind(where, "/", owned=True))
    found = [Owned(name, mode_text(tree[f"/{name}"]), tree[f"/{name}"].uid) for name in tree.children("/")]
    return owners_figure(volume, found, {name: users(engine.images.get(name)) for name in images[:2]})


def users(image: Image) -> dict[int, str]:
    """The users of an image by their numbers, as its /etc/passwd has them."""
    tree = image.tree()
    there = tree.resolve("/etc/passwd")
    lines = tree[there].data.read().decode(errors="replace").splitlines() if there in tree else []
    rows = [line.split(":") for line in lines]
    return {int(row[2]): row[0] for row in reversed(rows) if len(row) > 2 and row[2].isdecimal()}


def owners_figure(volume: str, files: Sequence[Owned], names: Mapping[str, Mapping[int, str]]) -> Figure:
    """Draw the files in the middle, each with its number, and at the sides what that number is called there."""
    title, left = f"volume {volume}: who owns its files?", (WIDTH - DISK) / 2
    height = TOP + ROW * max(len(files), 1) + 12
    drawn = [text(0, 16, title, "md-h")]
    drawn += [rect(left, TOP - 26, DISK, height - TOP + 22, "md-a")]
    drawn += [text(WIDTH / 2, TOP - 8, "on the disk: numbers", "md-b", text_anchor="middle")]
    lines = [title]
    for side, (image, known) in enumerate(names.items()):
        x = (WIDTH - SIDE) * side
        drawn += [rect(x, TOP - 26, SIDE, height - TOP + 22, "md-box")]
        drawn += [text(x + SIDE / 2, TOP - 8, f"/etc/passwd of {image}", "md-b", text_anchor="middle")]
        drawn += [group(_name(known.get(one.uid), side), x, TOP + ROW * y) for y, one in enumerate(files)]
    for y, one in enumerate(files):
        drawn.append(group(_file(one, left), 0, TOP + ROW * y))
        called = ", ".join(f"{known.get(one.uid, 'nobody has it')} in {image}" for image, known in names.items())
        lines.append(f"  {one.mode}  {one.uid:>5}  {one.name:<10} {called}")
    return Figure(title, ". ".join(lines[1:]), "".join(drawn), WIDTH, height, "\n".join(lines))


def _file(one: Owned, left: float) -> list[Markup]:
    y = ROW / 2
    return [
        text(left + 14, y + 4, one.mode, "md-c"),
        text(left + 150, y + 4, str(one.uid), "md-c", "md-b", text_anchor="end"),
        text(left + 166, y + 4, one.name, "md-c", width=DISK - 170),
    ]


def _name(name: str | None, side: int) -> list[Markup]:
    """What a number is called at one side, and a line to it."""
    y, words = ROW / 2, name or "a number without a name"
    edge, tip = (SIDE + 6, SIDE + 24) if side == 0 else (-6, -24)
    at = (SIDE - 12, "end") if side == 0 else (12, "start")
    return [
        text(at[0], y + 4, words, "md-c" if name else "md-s", "" if name else "md-dim", text_anchor=at[1]),
        arrow(tip, y, edge, y),
    ]
