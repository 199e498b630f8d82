"""The core sample: an image as a stack of slabs, newest on top, beside a core that is true to scale.

Each slab is a layer: its instruction at the left edge, in it the files that it adds (A), modifies (M) and deletes (D,
hatched: a whiteout). Slabs are as high as their text needs; the core at the right shows how many bytes each one really
holds, and wedges lead from the one to the other. Instructions that only write metadata are a dashed line. Beside the
newest, a bar as wide as all that is stored shows how much of it a container sees, and of which layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from minidocker.errors import InvalidArgument
from minidocker.notebook.pictures.facts import Mark, Row, Seen, brief, count
from minidocker.notebook.pictures.svg import MONO, Figure, Markup, bytes_text, clip, el, group, rect, text

LEFT, SLAB, CORE, WIDTH = 232, 360, 44, 790  # where slabs start, how wide they are, how wide the core is, all in all
ROW, GAP, VIEW = 34, 6, 54  # heights of a slab, of what is between two, of what a container sees
Order = Literal["top", "bottom"]
LOOK = {"A": ("md-a", "added"), "M": ("md-m", "modified"), "D": ("md-d", "deleted by a whiteout")}


def core_sample(
    title: str, rows: Sequence[Row], subtitle: str = "", seen: Mapping[int, Seen] | None = None, newest: Order = "top"
) -> Figure:
    """Draw an image's rows (oldest first) as a stack, with the newest at the `top` or at the `bottom`.

    With `seen` (what is seen of each layer, see `facts.seen`) a bar beside the newest shows what a container sees.
    """
    view, order = _view(rows, seen or {}), _ordered(rows, newest)
    y = top = 48.0 + VIEW * (seen is not None and newest == "top")
    drawn, spans = [], []
    for row in order:
        height = ROW if row.number else 20
        drawn.append(group(_slab(row) if row.number else _metadata(row), 0, y))
        if row.number and not row.folded:
            spans.append((row, y, y + height))
        y += height + GAP
    drawn += [text(0, 16, title, "md-h"), text(0, 34, subtitle, "md-dim", "md-s", width=LEFT + SLAB)]
    drawn += _core(spans, top, y - GAP)
    if seen is not None:
        drawn.append(group(_projection(view), 0, 44.0 if newest == "top" else y + 12))
        y += VIEW * (newest == "bottom")
    drawn.append(text(LEFT, y + 8, "A added · M modified · D deleted (a whiteout)", "md-dim", "md-s"))
    layers = sum(row.folded or 1 for row in rows if row.number)
    told = f"{count(layers, 'layer')}, newest {'first' if newest == 'top' else 'last'}. "
    told += f"A container sees {view}. " if seen is not None else ""
    told += "; ".join(f"{row.text}: {_told(row)}" for row in order)
    twin = stack_text(title, rows, f"{view}" if seen is not None else "", newest)
    return Figure(title, told, "".join(drawn), WIDTH, y + 14, twin)


def stack_text(title: str, rows: Sequence[Row], view: str = "", newest: Order = "top") -> str:
    """The same stack for a terminal or a log."""
    wide = min(max((len(row.text) for row in rows), default=0), 48)
    lines = []
    for row in _ordered(rows, newest):
        edge = f"{row.number:>3} ██" if row.number else "    --"
        lines.append(f"{edge} {row.text[:wide]:<{wide}}  {_told(row)}".rstrip())
    sees = [f"  sees {view}"] if view else []
    return "\n".join([title, *(sees + lines if newest == "top" else lines + sees)])


def _ordered(rows: Sequence[Row], newest: Order) -> list[Row]:
    if newest not in ("top", "bottom"):
        raise InvalidArgument(f'the newest layer can be drawn at the "top" or at the "bottom", not at {newest!r}')
    return list(rows) if newest == "bottom" else list(rows)[::-1]


@dataclass(frozen=True)
class View:
    """What a container sees of a stack: its bytes by layer, beside all that are stored. The folded base is left out."""

    files: int
    parts: tuple[tuple[int, int], ...]  # layer number, bytes seen of it
    stored: int
    base: bool

    @property
    def size(self) -> int:
        """Bytes seen."""
        return sum(size for _, size in self.parts)

    @property
    def what(self) -> str:
        """The files."""
        return f"{count(self.files, 'file')}{', and the base' if self.base else ''}"

    @property
    def bytes(self) -> str:
        """The bytes seen, of those stored."""
        return bytes_text(self.size) + (f" of {bytes_text(self.stored)}" if self.stored > self.size else "")

    def __str__(self) -> str:
        return f"{self.bytes} in {self.what}"


def _view(rows: Sequence[Row], seen: Mapping[int, Seen]) -> View:
    own = [row for row in rows if row.number and not row.folded]
    there = [(row.number, seen.get(row.number, Seen())) for row in own]
    parts = tuple((number, part.size) for number, part in there if part.size)
    files = sum(part.files for _, part in there)
    return View(files, parts, sum(row.size or 0 for row in own), any(row.folded for row in rows))


def _projection(view: View) -> list[Markup]:
    """A bar as wide as all that is stored: what is seen of each layer, and, hatched, what nobody sees any more."""
    drawn = [
        text(LEFT - 10, 15, "what a container sees", text_anchor="end"),
        text(LEFT - 10, 30, view.what, "md-dim", "md-s", text_anchor="end"),
        rect(LEFT, 7, SLAB, 20, "md-thin", rx=0),
        text(LEFT + SLAB + 54 + CORE + 46, 21, view.bytes, "md-s", text_anchor="end"),
    ]
    parts = [(f"layer {number}", str(number), size, "md-slab") for number, size in view.parts]
    parts.append(("wasted", f"wasted {bytes_text(view.stored - view.size)}", view.stored - view.size, "md-d"))
    x = float(LEFT)
    for name, label, size, look in parts:
        if not size:
            continue
        wide = SLAB * size / view.stored
        bar = rect(x, 7, max(wide, 0.8), 20, look, rx=0, fill="HATCH" if look == "md-d" else None)
        drawn.append(el("g", el("title", f"{name}: {bytes_text(size)}"), bar))
        if wide > len(label) * 7 + 8:
            drawn.append(_label(x + wide / 2, label))
        x += wide
    return drawn


def _label(x: float, words: str) -> Markup:
    """Words on a hatched or plain bar, on a ground of their own."""
    wide = len(words) * 6.2 + 8
    return el(
        "g",
        rect(x - wide / 2, 10, wide, 14, "md-box", rx=3),
        text(x, 21, words, "md-s", text_anchor="middle"),
    )


def cells(found: Sequence[Mark], width: float, height: float = 22) -> list[Markup]:
    """Files side by side in a slab, as many as fit; the rest is counted."""
    drawn, x, shown = [], 0.0, 0
    for mark in sorted(found, key=lambda mark: -mark.size):
        name = mark.path.rsplit("/", 1)[-1] or "/"
        name = name if mark.kind != "dir" else name + "/"
        wide = (min(len(name), 20) + 2) * 11 * MONO + 12
        if x + wide > width - (52 if len(found) - shown > 1 else 0):
            break
        drawn.append(group(cell(mark, name, wide, height), x))
        x, shown = x + wide + 5, shown + 1
    if shown < len(found):
        drawn.append(text(x + 2, height / 2 + 4, f"+{len(found) - shown}", "md-dim"))
    return drawn


def cell(mark: Mark, name: str, width: float, height: float = 22) -> list[Markup]:
    """One file: its letter, its name; a deleted one is hatched, dashed and struck through."""
    look, word = LOOK[mark.letter]
    tip = f"{mark.path}: {word}" + (f", {bytes_text(mark.size)}" if mark.size else "")
    box = rect(0, 0, width, height, look, rx=4, fill="HATCH" if mark.letter == "D" else None)
    edge = [rect(2, 3, 2.5, height - 6, "md-m", rx=0)] if mark.letter == "M" else []
    letter = el("tspan", mark.letter, font_weight="bold")
    words = el("tspan", clip(name, 20), class_="md-gone") if mark.letter == "D" else clip(name, 20)
    label = el("text", letter, " ", words, class_="md-c", x=7, y=height / 2 + 4)
    return [el("title", tip), box, *edge, label]


def _slab(row: Row) -> list[Markup]:
    parts = [text(LEFT - 10, ROW / 2 + 4, row.text, "md-c", width=LEFT - 34, text_anchor="end")]
    if row.folded:
        teeth = "".join(f"L{LEFT + x} {ROW - 5 + (x // 10) % 2 * 6}" for x in range(SLAB, -1, -10))
        parts.append(el("path", d=f"M{LEFT} 0H{LEFT + SLAB}{teeth}Z", class_="md-slab"))
        parts.append(
            text(LEFT + 8, ROW / 2 + 1, f"{count(row.folded, 'layer')} of the base image (not to scale)", "md-dim")
        )
        return parts
    parts.append(rect(LEFT, 0, SLAB, ROW, "md-slab"))
    parts.append(text(LEFT + 12, ROW / 2 + 4, str(row.number), "md-dim", "md-h", text_anchor="middle"))
    if row.marks:
        parts.append(group(cells(row.marks, SLAB - 30), LEFT + 24, 6))
    else:
        parts.append(text(LEFT + 26, ROW / 2 + 4, "an empty layer", "md-dim"))
    return parts


def _metadata(row: Row) -> list[Markup]:
    return [
        text(LEFT - 10, 14, row.text, "md-c", "md-dim", width=LEFT - 34, text_anchor="end"),
        el("line", x1=LEFT, y1=10, x2=LEFT + SLAB, y2=10, class_="md-thin md-dash"),
        rect(LEFT + 80, 2, 200, 16, "md-box", rx=8),
        text(LEFT + 180, 14, "no layer: a line in the config", "md-dim", "md-s", text_anchor="middle"),
    ]


def _core(spans: Sequence[tuple[Row, float, float]], top: float, bottom: float) -> list[Markup]:
    """The true-to-scale column and the wedges that lead to it."""
    total = sum(row.size or 0 for row, _, _ in spans)
    if not total:
        return []
    x, y, drawn = LEFT + SLAB + 54, top, []
    for row, slab_top, slab_bottom in spans:
        height = (bottom - top) * (row.size or 0) / total
        wedge = f"M{LEFT + SLAB + 2} {slab_top}L{x} {y:.1f}V{y + height:.1f}L{LEFT + SLAB + 2} {slab_bottom}Z"
        drawn.append(el("path", d=wedge, class_="md-slab", fill_opacity=0.35, stroke_opacity=0.35))
        drawn.append(rect(x, y, CORE, max(height, 0.8), "md-slab", rx=0))
        if height > 14:
            drawn.append(
                text(x + CORE / 2, y + height / 2 + 4, str(row.number), "md-dim", "md-h", text_anchor="middle")
            )
        drawn.append(
            text(x + CORE + 46, (slab_top + slab_bottom) / 2 + 4, bytes_text(row.size or 0), "md-s", text_anchor="end")
        )
        y += height
    heading = text(x + CORE / 2, top - 8, "to scale", "md-dim", "md-s", text_anchor="middle")
    return [*drawn, heading, text(x + CORE + 46, bottom + 14, f"= {bytes_text(total)}", "md-s", text_anchor="end")]


def _told(row: Row) -> str:
    if row.folded:
        return f"{count(row.folded, 'layer')} of the base image"
    if not row.number:
        return "no layer, only metadata"
    return f"{bytes_text(row.size or 0):>6}  {brief(row.marks) or 'empty'}"
