"""One image under many containers: the stack is there once, each container is one thin layer on top of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.facts import Row, brief, count
from minidocker.notebook.pictures.life import WIDTH, Life, plates_of, stack_height, writable
from minidocker.notebook.pictures.svg import Figure, Markup, group, text

if TYPE_CHECKING:
    from minidocker.engine import Engine

ABREAST, SEAT, GAP = 4, 66, 12  # containers side by side at most; the height of one, the space between two


def crowd(engine: Engine, name: str) -> Figure:
    """The image of a name, and all the containers of it. Raises ImageNotFound."""
    from minidocker.explain import base_of
    from minidocker.notebook.pictures.facts import rows
    from minidocker.notebook.pictures.objects import life_of

    image = engine.images.get(name)
    layers = [row for row in rows(image, base_of(image, engine.images.list())) if row.number]
    lives = [life_of(one) for one in engine.containers.list(all=True) if one.image.id == image.id]
    return crowd_figure(name, layers, sorted(lives, key=lambda life: life.name))


def crowd_figure(image: str, layers: Sequence[Row], lives: Sequence[Life]) -> Figure:
    """Draw the shared layers, oldest at the bottom, and above them what each container wrote."""
    plates = sum(row.folded or 1 for row in layers)
    title = f"image {image} under {count(len(lives), 'container')}" if lives else f"image {image}, and no container"
    seats = SEAT * -(-len(lives) // ABREAST) or SEAT // 2
    drawn = [text(0, 16, title, "md-h"), group(_seats(lives), 0, 32)]
    drawn.append(group(plates_of(layers, image, WIDTH), 0, 32 + seats))
    wide = max((len(life.name) for life in lives), default=0)
    lines = [f"{life.name:<{wide}}  {life.state:<12}  {brief(life.changes) or 'nothing written yet'}" for life in lives]
    lines.append(f"shared, read-only: {count(plates, 'layer')} of {image}")
    twin = "\n".join([title, *(f"  {line}" for line in lines)])
    return Figure(title, ". ".join(lines), "".join(drawn), WIDTH, 32 + seats + stack_height(layers), twin)


def _seats(lives: Sequence[Life]) -> Iterator[Markup]:
    if not lives:
        yield text(0, 14, "Nobody stands on it, and it is there all the same.", "md-dim")
    abreast = min(max(len(lives), 2), ABREAST)
    width = (WIDTH - GAP * (abreast - 1)) / abreast
    for index, life in enumerate(lives):
        words = ("▸ " if life.status == "running" else "") + life.state
        seat = [
            text(0, 12, life.name, "md-c", width=width - 90),
            text(width, 12, words, "md-s", text_anchor="end"),
            group(writable(life.changes, width), 0, 20),
        ]
        yield group(seat, index % ABREAST * (width + GAP), index // ABREAST * float(SEAT))
