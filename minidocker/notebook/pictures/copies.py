"""Several containers of one image: its layers are there once, below; each has a writable layer of its own above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minidocker.notebook.pictures.facts import Mark, brief, count
from minidocker.notebook.pictures.stack import cells
from minidocker.notebook.pictures.svg import Figure, Markup, bytes_text, group, printable, rect, text

WIDTH, SPACE, TOP, UPPER, PLATE = 786, 16, 62, 88, 26  # all in all; between two; where it starts; heights


@dataclass(frozen=True)
class Own:
    """One container: its writable layer, and the bytes that were copied up into it and written to it."""

    name: str
    marks: tuple[Mark, ...] = ()
    size: int = 0
    copied: int = 0
    written: int = 0


@dataclass(frozen=True)
class Plate:
    """A layer of the image; without a size where that differs from machine to machine."""

    name: str
    size: int | None


def copies_figure(image: str, plates: Sequence[Plate], owns: Sequence[Own], note: str = "") -> Figure:
    """Draw the containers over what they share. `plates` are the image's layers, bottom first."""
    shared, own = sum(plate.size or 0 for plate in plates), sum(one.size for one in owns)
    title = f"{count(len(owns), 'container')} of one image, {image}"
    wide = (WIDTH - SPACE * (len(owns) - 1)) / max(len(owns), 1)
    most = max([1, shared, *(one.size for one in owns)])
    drawn = [text(0, 16, title, "md-h", width=WIDTH * 0.8), text(0, 36, note, "md-s", width=WIDTH)]
    drawn += [group(_own(one, wide, most), index * (wide + SPACE), TOP) for index, one in enumerate(owns)]
    y = TOP + UPPER + 52.0
    drawn.append(text(0, y - 6, f"image {image}: there once, read-only, untouched", "md-dim", "md-s", width=WIDTH))
    for index, plate in enumerate(reversed(plates)):
        drawn.append(group(_plate(plate), 0, y + index * (PLATE + 3)))
    y += len(plates) * (PLATE + 3) + 18
    beside = " (and the base)" if any(plate.size is None for plate in plates) else ""
    total = f"the image {shared:,} bytes{beside} + all writable layers {own:,} = {shared + own:,} bytes on disk"
    drawn.append(text(0, y, total, width=WIDTH))
    lines = [title, *([note] if note else [])]
    for one in owns:
        counted = f"copied up {one.copied:,}, written {one.written:,}"
        lines.append(f"  {one.name}: {one.size:,} bytes of its own; {counted}; {brief(one.marks, 4) or 'nothing yet'}")
    lines += [f"  shared: {plate.name}" for plate in reversed(plates)] + [f"  {total}"]
    return Figure(title, ". ".join(line.strip() for line in lines), "".join(drawn), WIDTH, y + 10, "\n".join(lines))


def _own(one: Own, wide: float, most: int) -> list[Markup]:
    """A container's writable layer: what is in it, how large it is on the image's scale, and the two tickers."""
    inside = cells(one.marks, wide - 20) or [text(0, 15, "nothing of its own yet", "md-s")]
    parts = [
        text(0, -6, one.name, "md-c", width=wide),
        rect(0, 0, wide, UPPER, "md-on", "md-dash"),
        group(inside, 10, 10),
        rect(10, 48, wide - 20, 12, "md-thin", rx=2),
        text(10, 78, f"{one.size:,} bytes", "md-c"),
    ]
    if one.size:
        long = float(max((wide - 20) * one.size / most, 2))
        parts += [rect(10, 48, long, 12, look, rx=2) for look in ("md-box", "md-m")]
    for index, (words, value) in enumerate((("copied up", one.copied), ("written", one.written))):
        x = index * (wide * 0.56)
        parts += [
            text(x, UPPER + 18, words, "md-dim", "md-s"),
            text(x + wide * (0.52 if not index else 0.44), UPPER + 18, f"{value:,}", "md-c", text_anchor="end"),
        ]
    return parts


def _plate(plate: Plate) -> list[Markup]:
    size = "" if plate.size is None else bytes_text(plate.size)
    return [
        rect(0, 0, WIDTH, PLATE, "md-slab"),
        text(10, 17, printable(plate.name), "md-c", width=WIDTH - 110),
        text(WIDTH - 10, 17, size, "md-s", text_anchor="end"),
    ]
