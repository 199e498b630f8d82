"""Which images share which layers: a row for each layer, a column for each image, and what the disk really holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minidocker.explain import base_name, instruction
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.svg import Figure, Markup, bytes_text, group, rect, text

if TYPE_CHECKING:
    from minidocker.image import Image, Layer

LEFT, COLUMN, LINE, TOP, LIMIT, BAR = 330, 92, 28, 70, 20, 300


def shared_layers(images: Sequence[Image]) -> Figure:
    """Draw the layers of some images, each once, and three numbers: sizes added up, each layer once, bytes on disk."""
    layers = unique_layers(images)
    users = {digest: [digest in image.diff_ids for image in images] for digest in layers}
    shown, rest = list(layers.items())[:LIMIT], len(layers) - LIMIT
    width = max(LEFT + COLUMN * len(images) + 160, 640)
    drawn = [
        text(LEFT + COLUMN * (index + 0.5), TOP - 12, base_name(image), "md-c", width=COLUMN - 4, text_anchor="middle")
        for index, image in enumerate(images)
    ]
    drawn += [group(_row(layer, users[digest]), 0, TOP + n * LINE) for n, (digest, layer) in enumerate(shown)]
    y = TOP + len(shown) * LINE + 10.0
    if rest > 0:
        drawn.append(text(0, y + 6, f"and {count(rest, 'layer')} more", "md-dim"))
        y += 20
    numbers = three_numbers(images)
    most = max(numbers.values(), default=0)
    drawn += [group(_bar(name, size, most), 0, y + 14 + n * LINE) for n, (name, size) in enumerate(numbers.items())]
    title = f"{count(len(images), 'image')}, {count(len(layers), 'layer')}"
    twin = [title, *(_line(layer, images, users[digest]) for digest, layer in shown)]
    twin += [f"  {name:<44}{bytes_text(size):>8}" for name, size in numbers.items()]
    drawn = [text(0, 16, title, "md-h"), text(0, 34, "● the image has this layer", "md-dim", "md-s"), *drawn]
    told = "; ".join(map(str.strip, twin[1:]))
    return Figure(title, told, "".join(drawn), width, y + 18 + len(numbers) * LINE, "\n".join(twin))


def unique_layers(images: Sequence[Image]) -> dict[str, Layer]:
    """Each layer of some images once, by its diff id; bottom ones first."""
    return {layer.diff_id: layer for image in images for layer in image.layers}


def three_numbers(images: Sequence[Image]) -> dict[str, int]:
    """What `docker images` adds up to, what is in the layers if each counts once, and what the blobs take."""
    blobs = {image.manifest_digest for image in images} | {image.id for image in images}
    blobs |= {layer.descriptor.digest for image in images for layer in image.layers}
    return {
        "sizes of all images, added up": sum(image.size for image in images),
        "content of each layer, once": sum(layer.size for layer in unique_layers(images).values()),
        "on disk: tars, configs, manifests, once": sum(_on_disk(images[0], blob) for blob in blobs) if images else 0,
    }


def _on_disk(image: Image, digest: str) -> int:
    return image.store.path(digest).stat().st_size


def _row(layer: Layer, users: Sequence[bool]) -> list[Markup]:
    parts = [
        text(0, 17, layer.diff_id[7:15], "md-c", "md-dim"),
        text(66, 17, instruction(layer.created_by) or "a layer", "md-c", width=LEFT - 76),
    ]
    for index, used in enumerate(users):
        x = LEFT + COLUMN * index + 3
        parts.append(
            rect(x, 2, COLUMN - 6, LINE - 5, "md-a" if used else "md-thin", stroke_opacity=None if used else 0.4)
        )
        parts += [text(x + COLUMN / 2 - 3, 18, "●", text_anchor="middle")] if used else []
    right = LEFT + COLUMN * len(users) + 12
    times = f", used {sum(users)} times" if sum(users) > 1 else ""
    return [*parts, text(right, 17, f"{bytes_text(layer.size)}{times}", "md-s")]


def _bar(name: str, size: int, most: int) -> list[Markup]:
    return [
        text(LEFT - 24, 15, name, text_anchor="end"),
        rect(LEFT - 12, 3, max(BAR * size / most, 1.5) if most else 1.5, 16, "md-slab", rx=1),
        text(LEFT + (BAR * size / most if most else 0), 15, bytes_text(size)),
    ]


def _line(layer: Layer, images: Sequence[Image], users: Sequence[bool]) -> str:
    held = ", ".join(base_name(image) for image, used in zip(images, users, strict=True) if used)
    words = f"{layer.diff_id[7:15]} {instruction(layer.created_by) or 'a layer'}"
    return f"  {words[:42]:<44}{bytes_text(layer.size):>8}  in {held}"
