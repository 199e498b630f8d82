"""Where the points of a measured exercise went: one bar a criterion, with what was measured; an image's bytes by line.

In the second picture two images stand one below the other on one scale: a line that is hardly to be seen is small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.svg import Figure, Markup, bytes_text, group, rect, text

if TYPE_CHECKING:
    from minidocker.explain import Line

WIDTH, ROW, LINE = 780, 46, 22  # of all; the height of a criterion, and of a line of an image
BAR, LONG, SAID = 150, 220, 440  # where bars start, how long the longest is, where the words beside them start
WORDS, SCALE = 400, 270  # where the bars of lines start, and how long the longest is


@dataclass(frozen=True)
class Score:
    """What one criterion has earned of what, and what was measured."""

    name: str
    earned: float
    of: int
    said: str


def points_figure(title: str, scores: Sequence[Score]) -> Figure:
    """Draw how much of the points of each criterion was earned.

    >>> print(points_figure("yours", [Score("C.1 bytes", 1.5, 3, "20MB")]))
    yours: 1.5 of 3 points
      C.1 bytes  1.5 of 3  20MB
    """
    said = f"{title}: {round(sum(one.earned for one in scores), 2):g} of {sum(one.of for one in scores)} points"
    most = max([one.of for one in scores], default=1)
    drawn = [text(0, 16, said, "md-h")]
    drawn += [group(_score(one, most), 0, 30.0 + ROW * index) for index, one in enumerate(scores)]
    wide = max([len(one.name) for one in scores], default=0)
    rows = [f"{one.name:<{wide}}  {one.earned:g} of {one.of}  {one.said}" for one in scores]
    twin = "\n".join([said, *(f"  {row}" for row in rows)])
    return Figure(title, f"{said}. {'. '.join(rows)}", "".join(drawn), WIDTH, 32.0 + ROW * len(scores), twin)


def _score(one: Score, most: int) -> Iterator[Markup]:
    """The name, a box as long as there are points to earn, filled as far as they were earned, and the words."""
    whole = LONG * one.of / most
    yield text(0, 16, one.name, "md-b")
    yield rect(BAR, 3, whole, 18, "md-box", rx=2)
    if one.earned:
        yield rect(BAR, 3, whole * one.earned / one.of, 18, "md-a", rx=2)
    yield text(BAR + whole + 8, 16, f"{one.earned:g} of {one.of}", "md-s")
    yield text(BAR, 36, one.said, "md-dim", "md-s", width=(WIDTH - BAR) * 1.1)


def bytes_by_line(images: Sequence[tuple[str, Sequence[Line]]]) -> Figure:
    """Draw what each line of some images weighs, all on one scale; hatched is what no container ever sees."""
    most = max([line.size for _, lines in images for line in lines], default=0) or 1
    drawn, twins, y = [], [], 0.0
    for title, lines in images:
        said = f"{title}: {bytes_text(sum(line.size for line in lines))}, the base left out"
        drawn.append(text(0, y + 16, said, "md-h"))
        y += 26
        shown = [line for line in lines if line.size]
        for line in shown:
            drawn.append(group(_line(line, most), 0, y))
            y += LINE
        y += 14
        twins += [said, *(f"  {_twin(line)}" for line in shown)]
    return Figure("bytes by line", ". ".join(twins), "".join(drawn), WIDTH, y, "\n".join(twins))


def _line(line: Line, most: int) -> Iterator[Markup]:
    seen, vain = (SCALE * size / most for size in (line.size - line.wasted, line.wasted))
    yield text(0, 14, " ".join(line.text.split()), "md-c", width=WORDS - 12)
    if line.size > line.wasted:
        yield rect(WORDS, 2, max(seen, 1.5), LINE - 8, "md-a", rx=1)
    if line.wasted:
        yield rect(WORDS + seen, 2, max(vain, 1.5), LINE - 8, "md-d", rx=1, fill="HATCH")
    yield text(WORDS + max(seen + vain, 1.5) + 8, 14, _weight(line), "md-s")


def _weight(line: Line) -> str:
    return bytes_text(line.size) + (f", {bytes_text(line.wasted)} in vain" if line.wasted else "")


def _twin(line: Line) -> str:
    return f"{' '.join(line.text.split())[:52]:<52}  {_weight(line)}"
