"""How long a program takes to start, and to end: a plain process, a container, a virtual machine; on one scale.

Each tick of the scale is ten times the one before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minidocker.notebook.pictures.svg import Figure, Markup, el, group, rect, text

WIDTH, ZERO, DECADE, ROW, TOP = 800, 190, 84, 46, 40  # all in all; where the scale begins; ten times more; a row
TICKS = ("0.1 ms", "1 ms", "10 ms", "0.1 s", "1 s", "10 s", "100 s")
TITLE = "from start to end, for a program that does nothing"


@dataclass(frozen=True)
class Start:
    """How long one kind of start takes, in seconds: from a shortest to a longest (the same: one figure)."""

    name: str
    shortest: float
    longest: float
    source: str

    @property
    def words(self) -> str:
        """`12 ms`, or `0.1 s to 60 s`."""
        ends = dict.fromkeys((seconds(self.shortest), seconds(self.longest)))
        return " to ".join(ends)


MACHINE = Start(  # nobody can measure that everywhere, so it is cited
    "a virtual machine", 0.125, 96.9, "Firecracker's specification; Mao and Humphrey, CLOUD 2012 (EC2, Linux)"
)


def seconds(value: float) -> str:
    """A length of time in three digits.

    >>> seconds(0.00123), seconds(0.0146), seconds(0.125), seconds(96.9)
    ('1.23 ms', '14.6 ms', '0.125 s', '96.9 s')
    """
    number, unit = (value, "s") if value >= 0.0995 else (value * 1000, "ms")
    return f"{number:.3g} {unit}"


def starts_figure(starts: Sequence[Start], note: str = "") -> Figure:
    """Draw each start as a bar on a scale of tenfold ticks."""
    bottom = TOP + ROW * len(starts)
    drawn = [text(0, 16, TITLE, "md-h"), *_scale(bottom)]
    drawn += [group(_bar(start), 0, TOP + ROW * index) for index, start in enumerate(starts)]
    drawn.append(text(0, bottom + 36, note, "md-s", width=WIDTH))
    wide = max(len(start.name) for start in starts)
    told = [f"{start.name:<{wide}}  {start.words}  ({start.source})" for start in starts]
    twin = "\n".join([TITLE, *(f"  {line}" for line in filter(None, (*told, note)))])
    return Figure(TITLE, ". ".join([*told, note]), "".join(drawn), WIDTH, bottom + 42, twin)


def _x(value: float) -> float:
    return ZERO + DECADE * math.log10(max(value, 1e-4) / 1e-4)


def _scale(bottom: float) -> Iterator[Markup]:
    for index, tick in enumerate(TICKS):
        x = ZERO + DECADE * index
        yield el("path", d=f"M{x} 28V{bottom}", class_="md-thin", stroke_opacity=0.4)
        yield text(x, bottom + 14, tick, "md-dim", "md-s", text_anchor="middle")


def _bar(start: Start) -> Iterator[Markup]:
    begins = ZERO if start.shortest == start.longest else _x(start.shortest)
    yield text(0, 13, start.name, "md-b")
    yield text(0, 28, start.words, "md-c")
    yield rect(begins, 4, max(_x(start.longest) - begins, 3.0), 14, "md-m" if begins == ZERO else "md-slab", rx=2)
    yield text(ZERO + 6, 31, start.source, "md-dim", "md-s")
