"""A build in time: each stage is a lane, each step a bar, and what had to wait for another stage has an arrow to it.

The path on which every step had to wait for the one before it is drawn strong: the build cannot be faster than that.
Measured seconds differ from one time to the next, so the bars only say what comes after what, all of one width; with
`timed` they are as long as the steps took.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from minidocker.explain import instruction
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.build import Build, Step

WIDTH, LEFT, TOP, ROW, BAR, BROAD = 700, 118, 52, 46, 26, 120


@dataclass(frozen=True)
class Bar:
    """A step: in which lane, from where to where, the steps that it had to wait for; whether it is on the path."""

    step: Step
    lane: int
    begins: float
    ends: float
    after: tuple[int, ...]
    strong: bool = False


def lanes(build: Build, timed: bool = False) -> Figure:
    """Draw the steps of a build, by their order, or by the seconds that they took."""
    titles, bars = placed(build, timed)
    path = [bar.step.number for bar in bars if bar.strong]
    tags = ", ".join(tag.removesuffix(":latest") for tag in build.image.tags) if build.image else ""
    title = f"lanes of {tags}" if tags else "lanes"
    beside = [f"{', '.join(names)} side by side" for names in together(build)]
    length = max((bar.ends for bar in bars), default=1.0)
    said = "; ".join([count(len(titles), "stage"), *beside, f"the longest path has {count(len(path), 'step')}"])
    said += f", {length:.1f} s" if timed else ""
    scale = (WIDTH - LEFT - 16) / max(length, 0.001) if timed else min((WIDTH - LEFT) / length, BROAD)
    spots = {bar.step.number: _spot(bar, scale) for bar in bars}
    parts = [text(0, 16, title, "md-h"), text(0, 34, said, "md-dim", "md-s", width=WIDTH * 1.1)]
    parts += [group(_lane(name, row, bars, scale), 0, TOP + row * ROW) for row, name in enumerate(titles)]
    parts += [_wait(bar, spots, other) for bar in bars for other in bar.step.needs]
    parts += [_bar(bar, spots[bar.step.number]) for bar in bars]
    high = TOP + len(titles) * ROW
    parts += [group(_legend(), 0, high + 14)]
    twin = "\n".join([f"{title}  ({said})", *_rows(titles, bars, timed)])
    return Figure(title, f"{said}. {_told(titles, bars)}", "".join(parts), WIDTH, high + 24, twin)


def placed(build: Build, timed: bool = False) -> tuple[list[str], list[Bar]]:
    """The lanes by name, and the bars. Where nothing is measured, each step follows the last that it waited for."""
    found: dict[int, Bar] = {}
    titles = []
    for lane, steps in enumerate(_stages(build)):
        titles.append(_title(build, steps[0]))
        for index, step in enumerate(steps):
            after = (*([steps[index - 1].number] if index else []), *(one for one in step.needs if one in found))
            begins = step.began if timed else max((found[one].ends for one in after), default=0.0)
            found[step.number] = Bar(step, lane, begins, begins + (step.seconds if timed else 1.0), after)
    path = set(_path(found))
    return titles, [Bar(**vars(bar) | {"strong": number in path}) for number, bar in found.items()]


def together(build: Build) -> list[list[str]]:
    """The stages that ran side by side: as far from the first ones as each other, none needs another."""
    ends = {steps[-1].number: index for index, steps in enumerate(_stages(build))}
    depths: list[int] = []
    for steps in _stages(build):
        needed = [depths[ends[number]] for step in steps for number in step.needs if number in ends]
        depths.append(1 + max(needed, default=0))
    named = sorted(
        zip(depths, (_title(build, steps[0]) for steps in _stages(build)), strict=True), key=lambda one: one[0]
    )
    groups = [[name for _, name in level] for _, level in groupby(named, key=lambda one: one[0])]
    return [names for names in groups if len(names) > 1]


def _stages(build: Build) -> list[list[Step]]:
    """The steps of each stage."""
    found: list[list[Step]] = []
    for step in build.steps:
        if step.text.split()[0].upper() == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def _title(build: Build, first: Step) -> str:
    stages = build.dockerfile.stages if build.dockerfile else ()
    return next((stage.title for stage in stages if stage.line == first.line), first.stage or "stage")


def _path(bars: Mapping[int, Bar]) -> Iterator[int]:
    """From the last step back, each time to the one that was waited for longest."""
    number = max(bars, key=lambda one: (bars[one].ends, one), default=0)
    while number:
        yield number
        number = max(bars[number].after, key=lambda one: (bars[one].ends, -one), default=0)


def _spot(bar: Bar, scale: float) -> tuple[float, float, float]:
    """Where a bar is: left, top, width."""
    wide = max((bar.ends - bar.begins) * scale - 4, 3.0)
    return LEFT + bar.begins * scale, TOP + bar.lane * ROW + 6.0, wide


def _lane(name: str, row: int, bars: Sequence[Bar], scale: float) -> list[Markup]:
    own = [bar for bar in bars if bar.lane == row]
    gaps = [(one.ends, other.begins) for one, other in pairwise(own) if other.begins > one.ends]
    waits = [
        el("path", d=f"M{LEFT + start * scale:.1f} 19H{LEFT + end * scale - 4:.1f}", class_="md-thin md-dash")
        for start, end in gaps
    ]
    return [text(0, 23, name, "md-c", width=LEFT - 10), *waits]


def _wait(bar: Bar, spots: Mapping[int, tuple[float, float, float]], other: int) -> Markup:
    """From the end of a stage to the step that waited for it."""
    if other not in spots:
        return Markup()
    (x, y, wide), (left, top, _) = spots[other], spots[bar.step.number]
    down = top > y
    return arrow(x + wide - 8, y + (BAR if down else 0), left + 8, top + (-1 if down else BAR + 1))


def _bar(bar: Bar, spot: tuple[float, float, float]) -> Markup:
    x, y, wide = spot
    look = "md-a" if bar.step.decision.hit else "md-slab"
    words = instruction(bar.step.text) if wide > 50 else str(bar.step.number) if wide > 16 else ""
    shape = [rect(0, 0, wide, BAR, "md-box"), rect(0, 0, wide, BAR, look)]
    shape += [rect(0, 0, wide, BAR, "md-go", fill="none")] if bar.strong else []
    tip = el("title", f"step {bar.step.number}: {instruction(bar.step.text)}")
    return group([tip, *shape, text(6, 17, words, "md-c", width=wide - 8)], x, y)


def _legend() -> list[Markup]:
    return [
        rect(0, -9, 16, 11, "md-a"),
        text(22, 0, "from the cache", "md-dim", "md-s"),
        rect(120, -9, 16, 11, "md-slab"),
        text(142, 0, "built", "md-dim", "md-s"),
        rect(190, -9, 16, 11, "md-go", fill="none"),
        text(212, 0, "the longest path", "md-dim", "md-s"),
        arrow(318, -4, 346, -4),
        text(352, 0, "waited for the end of that stage", "md-dim", "md-s"),
    ]


def _rows(titles: Sequence[str], bars: Sequence[Bar], timed: bool) -> Iterator[str]:
    """The lanes as text: the numbers of the steps, in brackets on the longest path, `=` from the cache."""
    if timed:
        for bar in bars:
            about = f"{bar.begins:6.2f} s {bar.ends - bar.begins:6.2f} s {'*' if bar.strong else ' '}"
            yield f"  {titles[bar.lane]:<12} {about} {instruction(bar.step.text)}"
        return
    wide = max((len(title) for title in titles), default=0)
    for lane, title in enumerate(titles):
        cells = [" " * 6] * int(max(bar.ends for bar in bars))
        own = [bar for bar in bars if bar.lane == lane]
        for column in range(int(own[0].begins), int(own[-1].ends)):
            cells[column] = " ···  "
        for bar in own:
            mark = f"{bar.step.number}{'=' if bar.step.decision.hit else ''}"
            cells[int(bar.begins)] = f"{f'[{mark}]' if bar.strong else f' {mark} ':<6}"
        yield f"  {title:<{wide}}  {''.join(cells).rstrip()}"
    for bar in bars:
        waited = f"  (after step {', '.join(map(str, bar.step.needs))})" if bar.step.needs else ""
        yield f"  {bar.step.number:>3} {instruction(bar.step.text)}{waited}"


def _told(titles: Sequence[str], bars: Sequence[Bar]) -> str:
    path = ", ".join(
        f"{bar.step.number} {instruction(bar.step.text)} ({titles[bar.lane]})" for bar in bars if bar.strong
    )
    return f"The longest path: {path}."
