"""The blame column: for each file the layer that answers, those that have it in vain, and the bytes this wastes.

A lane for each layer, the lowest at the left. In it a file's bytes, on a solid ground where they are what is seen,
hatched and struck through where another layer answers; `D` is a whiteout. Efficiency is bytes seen by bytes stored.
Directories hold no bytes and are left out; the course's own base is one lane, and only where another layer meets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from minidocker.explain import base_of, instruction
from minidocker.layer import Changeset
from minidocker.notebook.pictures.facts import count, seen
from minidocker.notebook.pictures.objects import neighbours
from minidocker.notebook.pictures.svg import MONO, Figure, Markup, bytes_text, el, group, middle, rect, text
from minidocker.union import Blame
from minidocker.union import blame as blame_of

if TYPE_CHECKING:
    from minidocker.image import Image

PATH, LANES, WIDTH, LINE, LIMIT = 268, 440, 780, 26, 30  # widths of paths, of all lanes, of all; a line; lines at most


def blame(image: Image | Sequence[Changeset], under: str = "/") -> Figure:
    """Draw who answers for each file of an image (or of layers, the lowest first), at `under` and below it.

    >>> from minidocker.layer import WHITEOUT, Changeset, file
    >>> layers = [Changeset({"/key": file(b"secret"), "/motd": file(b"hi")}), Changeset({"/key": WHITEOUT})]
    >>> print(blame(layers))
    who answers in 2 layers  (efficiency 25 %: 2B of 8B are seen, 6B wasted)
      /key    deleted by layer 2; in vain in layer 1; wastes 6B
      /motd   layer 1
    """
    return table_of(image, under).figure()


def table_of(image: Image | Sequence[Changeset], under: str) -> Table:
    """What the picture shows of an image or of layers."""
    if isinstance(image, Sequence):
        layers, base, names, title = list(image), 0, [""] * len(image), count(len(image), "layer")
    else:
        below = base_of(image, neighbours(image))
        layers, base = [layer.changes for layer in image.layers], len(below.layers) if below else 0
        names = [instruction(layer.created_by) for layer in image.layers]
        title = f"image {', '.join(image.tags) or image.short_id}"
    title += "" if under == "/" else f", {under}"
    return Table(f"who answers in {title}", tuple(layers), base, tuple(names), under)


@dataclass(frozen=True)
class Table:
    """Layers (the lowest `base` of them are folded), and what each is called."""

    title: str
    layers: tuple[Changeset, ...]
    base: int
    names: tuple[str, ...]
    under: str

    @cached_property
    def found(self) -> list[Blame]:
        """All that there is to tell, with directories."""
        return blame_of(self.layers, self.under)

    @cached_property
    def wasted(self) -> dict[str, int]:
        """Path -> bytes wasted, those of the base left out: they differ from machine to machine."""
        return {one.path: one.wasted for one in blame_of(self.layers[self.base :], self.under) if one.wasted}

    @cached_property
    def lines(self) -> list[Blame]:
        """One for each file that is more than a file of the base."""
        return [one for one in self.found if max(one.layer, *one.shadowed, 0) >= self.base and any(self.files(one))]

    def files(self, one: Blame) -> Iterator[bool]:
        """For the layers that have the path: is it something else than a directory there?"""
        there = [self.layers[number].get(one.path) for number in one.shadowed]
        return (entry is not None and not entry.is_dir for entry in [one.entry, *there])

    @property
    def numbers(self) -> list[int]:
        """The layers that get a lane; the folded base has that of its uppermost layer."""
        return list(range(max(self.base - 1, 0), len(self.layers)))

    def lane(self, number: int) -> int:
        """In which lane a layer is drawn."""
        return max(number, self.base - 1)

    def label(self, number: int) -> str:
        """What a layer is called in words."""
        return "the base" if number < self.base else f"layer {number + 1}"

    @property
    def efficiency(self) -> str:
        """What of the bytes stored is seen, in words."""
        there = sum(part.size for number, part in seen(self.found).items() if number > self.base)
        wasted = sum(self.wasted.values())
        total = there + wasted
        share = f"efficiency {100 * there / total if total else 100:.0f} %"
        rest = ", the base left out" if self.base else ""
        return f"{share}: {bytes_text(there)} of {bytes_text(total)} are seen, {bytes_text(wasted)} wasted{rest}"

    def figure(self) -> Figure:
        """Draw it; of too many files those that waste most."""
        most = sorted(self.lines, key=lambda one: -self.wasted.get(one.path, 0))[:LIMIT]
        shown = sorted(most, key=lambda one: one.path)
        rest = len(self.lines) - len(shown)
        more = f"and {count(rest, 'file')} more" if rest else "" if shown else f"no layer has a file at {self.under}"
        drawn = [
            text(0, 16, self.title, "md-h", width=WIDTH),
            text(0, 34, self.efficiency if shown else more, "md-dim", "md-s"),
        ]
        drawn += [group(_heads(self), 0, 44)] if shown else []
        drawn += [group(_line(self, one), 0, 68.0 + index * LINE) for index, one in enumerate(shown)]
        y = 68.0 + len(shown) * LINE if shown else 44.0
        drawn.append(text(0, y + 14, more if rest else "", "md-dim"))
        y += 24 if rest else 6
        legend = _legend(self) if shown else []
        told = {one.path: _told(self, one) for one in shown}
        wide = max(map(len, told), default=0)
        twin = [
            f"{self.title}  ({self.efficiency})" if shown else self.title,
            *(f"  {path:<{wide}}   {line}" for path, line in told.items()),
        ]
        return Figure(
            self.title,
            f"{self.efficiency}. {'; '.join(f'{path}: {line}' for path, line in told.items())}",
            "".join([*drawn, group(legend, 0, y)]),
            WIDTH,
            y + 12 + 15 * len(legend) / 2 if legend else y,
            "\n".join([*twin, f"  {more}"] if more else twin),
        )


def _told(table: Table, one: Blame) -> str:
    """One file in words."""
    words = f"deleted by {table.label(one.layer)}" if one.entry is None else table.label(one.layer)
    if vain := list(dict.fromkeys(table.label(number) for number in one.shadowed)):
        words += f"; in vain in {', '.join(vain)}"
    wasted = table.wasted.get(one.path, 0)
    return f"{words}; wastes {bytes_text(wasted)}" if wasted else words


def _lanes(table: Table) -> tuple[float, float]:
    """How far apart lanes are, and how wide a cell is."""
    step = min(LANES / max(len(table.numbers), 1), 84.0)
    return step, step - min(6.0, step / 5)


def _heads(table: Table) -> list[Markup]:
    step, wide = _lanes(table)
    drawn = [text(PATH - 14, 14, "layer", "md-dim", "md-s", text_anchor="end")]
    for index, number in enumerate(table.numbers):
        label = "base" if number < table.base else str(number + 1)
        drawn.append(text(PATH + index * step + wide / 2, 14, label, "md-dim", "md-h", text_anchor="middle"))
    return [*drawn, text(WIDTH, 14, "wasted", "md-dim", "md-s", text_anchor="end")]


def _line(table: Table, one: Blame) -> list[Markup]:
    step, wide = _lanes(table)
    line = el("path", d=f"M0 {LINE - 1.5}H{WIDTH}", class_="md-thin", stroke_opacity=0.35)
    name = text(0, 16, middle(one.path, int((PATH - 10) / (11 * MONO))), "md-c", "md-gone" if one.entry is None else "")
    drawn = [line, el("g", el("title", one.path), name)]
    for number in dict.fromkeys(table.lane(number) for number in (*one.shadowed[::-1], one.layer)):
        x = PATH + table.numbers.index(number) * step
        drawn.append(group(_cell(table, one, number, wide), x, 2))
    wasted = table.wasted.get(one.path, 0)
    return [*drawn, text(WIDTH, 16, bytes_text(wasted) if wasted else "", "md-c", text_anchor="end")]


def _cell(table: Table, one: Blame, number: int, wide: float) -> list[Markup]:
    """What one layer has of a file: its bytes, seen or in vain, or a whiteout."""
    entry: Any = table.layers[number].get(one.path)
    size = "base" if number < table.base else bytes_text(entry.size if entry else 0)
    decides = number == table.lane(one.layer)
    gone = decides and one.entry is None
    word = "deletes it" if gone else f"{size}, seen" if decides else f"{size}, in vain"
    label, look = ("D", "md-d") if gone else (size, "md-a" if decides else "md-d")
    drawn = [el("title", f"{table.label(number)}: {word}")]
    drawn.append(rect(0, 0, wide, LINE - 6, look, fill="none" if gone else None if decides else "HATCH"))
    room = len(label) * 11 * MONO + 6
    if room > wide:
        return drawn
    if not decides:
        drawn.append(rect((wide - room) / 2, 3, room, 14, "md-box", style="stroke:none"))
    words = el("tspan", label, font_weight="bold") if decides else el("tspan", label, class_="md-gone")
    return [*drawn, el("text", words, class_="md-c", x=wide / 2, y=14, text_anchor="middle")]


def _legend(table: Table) -> list[Markup]:
    words = "solid: what is seen · hatched: there in vain, since another layer answers · D: deleted by a whiteout"
    drawn = [text(0, 12, words, "md-dim", "md-s")]
    named = [(number, name) for number, name in enumerate(table.names) if name and number >= table.base]
    for index, (number, name) in enumerate(named):
        drawn.append(text(PATH - 8, 30 + index * 15, str(number + 1), "md-dim", "md-s", text_anchor="end"))
        drawn.append(text(PATH, 30 + index * 15, name, "md-c", width=WIDTH - PATH))
    return drawn
