"""Which blobs are where: a row for each image and each layer, a column for each store or registry.

In an image's row stand the tags that lead to it there; what has come with the last step is marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.repository import Part, Snapshot, about
from minidocker.notebook.pictures.svg import Figure, Markup, group, rect, text
from minidocker.reference import Reference

if TYPE_CHECKING:
    from minidocker.engine import Engine

WIDTH, LEFT, COLUMN, TOP, ROW = 800, 290, 170, 74, 28


@dataclass(frozen=True)
class Place:
    """A store or a registry: the tags of each image that is there, by its id, and the layers, by their diff ids."""

    name: str
    tags: Mapping[str, tuple[str, ...]]
    layers: frozenset[str] = frozenset()

    def cell(self, name: str, kind: str) -> str:
        """What stands in the row of an image or a layer; "" where it is not here."""
        if kind == "layer":
            return "●" if name in self.layers else ""
        return ", ".join(self.tags[name]) or "no tag" if name in self.tags else ""


def store_place(name: str, engine: Engine, domain: str) -> Place:
    """An engine's images of a registry."""
    tags: dict[str, tuple[str, ...]] = {}
    layers: set[str] = set()
    for image in engine.images.list():
        mine = [Reference.parse(tag) for tag in image.tags]
        tags[image.id] = tuple(sorted(one.tag for one in mine if one.domain == domain))
        layers |= set(image.diff_ids)
    return Place(name, tags, frozenset(layers))


def registry_place(name: str, found: Snapshot) -> Place:
    """A repository of a registry."""
    tags = {one.id: tuple(tag for tag, digest in found.tags.items() if digest == one.digest) for one in found.images}
    layers = {part.name for one in found.images for part in one.parts if part.kind == "layer"}
    return Place(name, tags, frozenset(layers))


def places_figure(title: str, told: str, rows: Sequence[Part], now: Sequence[Place], before: Sequence[Place]) -> Figure:
    """Draw who has what. `rows` are images (kind `config`) and layers; `before` is how it was a step ago."""
    height = TOP + len(rows) * ROW + 4.0
    drawn = [text(0, 16, title, "md-h", width=WIDTH), text(0, 34, told, "md-dim", "md-s", width=WIDTH)]
    twin = [f"{title}  ({told})" if told else title]
    for column, place in enumerate(now):
        drawn.append(text(LEFT + (column + 0.5) * COLUMN, TOP - 12, place.name, "md-b", text_anchor="middle"))
    for number, row in enumerate(rows):
        cells = [place.cell(row.name, row.kind) for place in now]
        old = [place.cell(row.name, row.kind) for place in before] or cells
        fresh = [not set(cell.split(", ")) <= {"", *was.split(", ")} for cell, was in zip(cells, old, strict=True)]
        drawn.append(group(_row(row, cells, fresh), 0, TOP + number * ROW))
        twin.append(f"  {_name(row):<34}{_said(cells, fresh, now)}")
    said = f"{told}. " + ". ".join(" ".join(line.split()) for line in twin[1:])
    return Figure(title, said, "".join(drawn), WIDTH, height, "\n".join(twin))


def _name(row: Part) -> str:
    return f"{'image' if row.kind == 'config' else '  layer'} {row.words}"


def _said(cells: Sequence[str], fresh: Sequence[bool], now: Sequence[Place]) -> str:
    here = [
        f"{place.name}{'' if cell == '●' else f' ({cell})'}{' ▸ new' if new else ''}"
        for cell, new, place in zip(cells, fresh, now, strict=True)
        if cell
    ]
    return ", ".join(here) or "nowhere"


def _row(row: Part, cells: Sequence[str], fresh: Sequence[bool]) -> Iterator[Markup]:
    image = row.kind == "config"
    yield text(0 if image else 16, 18, row.words, "md-c", "md-b" if image else "", width=LEFT - 90)
    yield text(LEFT - 14, 18, about(row.size), "md-s", "md-dim", text_anchor="end")
    for column, (cell, new) in enumerate(zip(cells, fresh, strict=True)):
        x = LEFT + column * COLUMN + 5
        look = "md-thin md-dash" if not cell else "md-on" if new else "md-m" if image else "md-slab"
        yield rect(x, 3, COLUMN - 10, ROW - 6, look, rx=11 if image else 4)
        words = f"▸ {cell}" if new else cell
        yield text(x + COLUMN / 2 - 5, 18, words, "md-c", width=COLUMN - 20, text_anchor="middle")
