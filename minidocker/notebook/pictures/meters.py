"""A limit beside what the machine has: the same question, answered by /proc and by the container's cgroup.

`free` and `nproc` read /proc, which tells of the machine; what holds is in the file of the cgroup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minidocker.notebook.pictures.svg import Figure, Markup, group, rect, text

WIDTH, BAR, LONG, ROW, TOP = 800, 250, 330, 66, 40  # all in all; where bars start, how long the longest is; a row
TITLE = "what a container is told, and what it may have"


@dataclass(frozen=True)
class Meter:
    """One thing that is limited: who is asked for it, what that says, and what the limit is; in words and as a part."""

    name: str
    asked: str
    told: str
    limit: str
    part: float  # of what is told: 0.25 is a quarter; 1: there is no limit
    file: str = "its cgroup"


def meters_figure(meters: Sequence[Meter], notes: Sequence[str] = ()) -> Figure:
    """Draw for each thing two bars on one scale: what is told, and what may be had."""
    drawn = [text(0, 16, TITLE, "md-h")]
    drawn += [group(_meter(meter), 0, TOP + ROW * index) for index, meter in enumerate(meters)]
    height = TOP + ROW * len(meters)
    drawn += [text(0, height + 10 + 16 * index, note, "md-s", width=WIDTH) for index, note in enumerate(notes)]
    wide = max((len(meter.name) for meter in meters), default=0)
    told = [f"{m.name:<{wide}}  {m.asked} says {m.told}; {m.file} says {m.limit}" for m in meters]
    twin = "\n".join([TITLE, *(f"  {line}" for line in (*told, *notes))])
    return Figure(TITLE, ". ".join([*told, *notes]), "".join(drawn), WIDTH, height + 16.0 * len(notes) + 4, twin)


def _meter(meter: Meter) -> Iterator[Markup]:
    yield text(0, 13, meter.name, "md-b")
    rows = ((meter.asked, meter.told, 1.0, "md-slab"), (meter.file, meter.limit, meter.part, "md-on"))
    for index, (who, words, part, look) in enumerate(rows):
        y = 22 * index
        long = max(LONG * min(part, 1), 4.0)
        yield text(BAR - 12, y + 13, who, "md-c", "md-dim", text_anchor="end")
        yield rect(BAR, y, long, 17, look, rx=2)
        yield text(BAR + long + 10, y + 13, words, "md-c", width=WIDTH - BAR - long - 10)
