"""A build as Python Tutor shows a program: line by line, what each one takes, makes and leaves.

    steps = trace(build)
    steps[3]        the fourth step, drawn; len(steps), iteration and steps[-1] as with any sequence
    steps           all of them in one picture

At the left the Dockerfile with the line that is carried out. At the right where that line has its files from (the
build context, another stage, or for RUN a process of its own), and what it makes: a layer, a change of the
configuration, a build argument. Going back costs nothing, since a step never changes what an earlier one left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from minidocker.notebook.pictures.facts import brief
from minidocker.notebook.pictures.ladder import reason
from minidocker.notebook.pictures.ledger import ledger
from minidocker.notebook.pictures.moments import Moment, Setting, Source, moments
from minidocker.notebook.pictures.stack import LOOK
from minidocker.notebook.pictures.svg import MONO, Figure, Markup, arrow, bytes_text, group, rect, text

if TYPE_CHECKING:
    from minidocker.build import Build

WIDTH, LEFT, RIGHT, LINE, TOP = 880, 412, 464, 17, 66  # where the left column ends, the right one starts; a line
WIDE, PAD, GAP = WIDTH - RIGHT, 8, 36  # of the right panes: their width, the room around their lines, between two
MOST = {"lines": 26, "source": 6, "files": 8, "config": 14}  # lines that are drawn of each pane, at most


def trace(build: Build) -> Trace:
    """A build to be walked through, step by step."""
    return Trace(build)


class Trace(Sequence[Figure]):
    """The steps of a build, each a picture, drawn when it is asked for."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.moments = moments(build)
        self.text = build.dockerfile.text.splitlines() if build.dockerfile else []
        self.rows = {  # every frame is as high as the highest, so that nothing jumps
            "lines": min(len(self.text), MOST["lines"]),
            "source": self._highest("source", [len(one.source.lines) for one in self.moments]),
            "files": self._highest("files", [len(one.marks) for one in self.moments]),
            "config": self._highest("config", [len(one.config) + len(one.args) for one in self.moments]),
        }
        self._drawn: dict[int, Figure] = {}

    def _highest(self, pane: str, lengths: Sequence[int]) -> int:
        return min(max([1, *lengths]), MOST[pane])

    @overload
    def __getitem__(self, index: int) -> Figure: ...
    @overload
    def __getitem__(self, index: slice) -> list[Figure]: ...
    def __getitem__(self, index: int | slice) -> Figure | list[Figure]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if number not in self._drawn:
            self._drawn[number] = frame(self.moments[number], self.text, self.rows)
        return self._drawn[number]

    def __len__(self) -> int:
        return len(self.moments)

    def __str__(self) -> str:
        return ledger(self.build).twin

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return ledger(self.build)._repr_mimebundle_()


def frame(moment: Moment, lines: Sequence[str], rows: dict[str, int]) -> Figure:
    """One step of a build; `rows` says how many lines each pane has room for."""
    step, start = moment.step, _window(moment.lines, len(lines), rows["lines"])
    files = TOP + _height(rows["source"]) + GAP
    config = files + _height(rows["files"]) + GAP
    title = f"step {step.number} of {step.total}: {step.text.partition(chr(10))[0]}"
    drawn = [
        text(0, 16, title, "md-h", width=WIDTH),
        text(0, 34, _said(moment), "md-dim", "md-s", width=WIDTH),
        *_pane(0, TOP, LEFT, "the Dockerfile", rows["lines"], _code(moment, lines, start, rows["lines"])),
        *_pane(RIGHT, TOP, WIDE, moment.source.title, rows["source"], _source(moment.source, rows["source"])),
        *_pane(RIGHT, files, WIDE, moment.made, rows["files"], _files(moment, rows["files"]), bool(step.layer)),
        *_pane(RIGHT, config, WIDE, "the configuration", rows["config"], _settings(moment, rows["config"])),
    ]
    at = TOP + PAD + (moment.lines[0] - 1 - start + 0.5) * LINE
    drawn += [arrow(LEFT + 2, at, RIGHT - 2, y) for y in _targets(moment, rows["config"], files, config)]
    if step.layer and moment.source.taken:
        drawn.append(arrow(WIDTH - 40, files - GAP + 3, WIDTH - 40, files - 3))
    height = max(TOP + _height(rows["lines"]), config + _height(rows["config"]))
    return Figure(title, _told(moment), "".join(drawn), WIDTH, height + 2, _twin(title, moment, lines))


def _targets(moment: Moment, room: int, files: float, config: float) -> Iterator[float]:
    """The heights at which there is what the line made: its layer, and the first setting that it changed."""
    if moment.step.layer or moment.keyword == "FROM":
        yield files + PAD + LINE / 2
    changed = [index for index, one in enumerate(_shown(moment, room)) if one.letter]
    if changed and moment.keyword != "FROM":
        yield config + PAD + (changed[0] + 0.5) * LINE


def _height(rows: int) -> float:
    return rows * LINE + 2.0 * PAD


def _pane(
    x: float, y: float, width: float, title: str, rows: int, inside: Iterable[Markup], solid: bool = True
) -> list[Markup]:
    look = ["md-box"] if solid else ["md-box", "md-dash"]
    return [
        text(x, y - 6, title, "md-dim", "md-s", width=width),
        rect(x, y, width, _height(rows), *look, rx=6),
        group(inside, x, y + PAD),
    ]


def _window(current: range, total: int, room: int) -> int:
    """The first line that is shown of a long file, such that the current one is in sight."""
    return max(0, min(current[0] - 1 - room // 3, total - room)) if total > room else 0


def _code(moment: Moment, lines: Sequence[str], start: int, room: int) -> Iterator[Markup]:
    shown = range(start + 1, min(start + room, len(lines)) + 1)
    now = [number for number in moment.lines if number in shown]
    yield rect(4, float((now[0] - start - 1) * LINE), LEFT - 8, len(now) * LINE, "md-on", rx=3)
    for row, number in enumerate(shown):
        y = row * LINE
        if number == moment.lines[0]:
            yield text(9, y + 12.5, "▸")
        yield text(38, y + 12.5, str(number), "md-c", "" if number in now else "md-dim", text_anchor="end")
        look = "" if number <= moment.lines[-1] else "md-dim"
        line = lines[number - 1].expandtabs(4)
        inset = (len(line) - len(line.lstrip(" "))) * 11 * MONO
        yield text(48.0 + inset, y + 12.5, line.strip(), "md-c", look, width=LEFT - 54 - inset)


def _source(source: Source, room: int) -> Iterator[Markup]:
    """Where the line has something from; what it takes comes first where there is no room for all."""
    lines = source.lines
    if len(lines) > room:
        lines = tuple(sorted(lines, key=lambda line: not line[0]))
    if not lines:
        yield text(12, 12.5, "no line takes a file of it", "md-dim", "md-s")
    for row, (taken, words) in enumerate(lines[:room]):
        last = row == room - 1 and len(lines) > room
        words = f"and {len(lines) - row} more" if last else words
        yield text(9, row * LINE + 12.5, "▸" if taken and not last else "")
        yield text(24, row * LINE + 12.5, words, "md-c", "" if taken else "md-dim", width=WIDE - 32)


def _files(moment: Moment, room: int) -> Iterator[Markup]:
    marks = moment.marks
    if moment.step.layer and not marks:
        yield text(12, 12.5, "an empty layer: no file is different now", "md-dim", "md-s")
    if moment.keyword == "FROM":
        yield text(12, 12.5, "a stage starts here: its lines have made no layer yet", "md-dim", "md-s")
    for row, mark in enumerate(marks[:room]):
        y = row * LINE
        if row == room - 1 and len(marks) > room:
            yield text(30, y + 12.5, f"and {len(marks) - row} more", "md-dim", "md-s")
            return
        yield from _letter(mark.letter, y)
        look = "md-gone" if mark.letter == "D" else ""
        yield text(34, y + 12.5, mark.path + "/" * (mark.kind == "dir"), "md-c", look, width=WIDE - 110)
        size = bytes_text(mark.size) if mark.kind == "file" else ""
        yield text(WIDE - 10, y + 12.5, size, "md-c", "md-dim", text_anchor="end")


def _letter(letter: str, y: float) -> Iterator[Markup]:
    look = LOOK[letter][0]
    yield rect(8, y + 1.0, 18, LINE - 3, look, rx=3, fill="HATCH" if letter == "D" else None)
    yield text(17, y + 12.5, letter, "md-c", text_anchor="middle", font_weight="bold")


def _shown(moment: Moment, room: int) -> list[Setting]:
    """Settings that fit; where not all do, those that changed go before the others."""
    every = [*moment.config, *moment.args]
    return every if len(every) <= room else sorted(every, key=lambda one: not one.letter)[:room]


def _settings(moment: Moment, room: int) -> Iterator[Markup]:
    before = ""
    for row, one in enumerate(_shown(moment, room)):
        y = row * LINE
        if one.letter and moment.keyword != "FROM":
            yield rect(4, float(y), WIDE - 8, LINE, "md-on", rx=2)
            yield from _letter(one.letter, y)
        key = "ARG, not kept" if one.key == "ARG" else one.key
        look = "md-dim" if moment.keyword == "FROM" or not one.letter else ""
        yield text(34, y + 12.5, key if key != before else "", "md-c", look)
        yield text(130, y + 12.5, one.text, "md-c", "md-gone" if one.letter == "D" else "", width=WIDE - 138)
        before = key


def _said(moment: Moment) -> str:
    step, lines = moment.step, moment.lines
    where = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]} to {lines[-1]}"
    stage = f" of stage {step.stage}" if step.stage else ""
    return f"{where}{stage}; {reason(step)}"


def _told(moment: Moment) -> str:
    changes = [one for one in (*moment.config, *moment.args) if one.letter]
    took = [name for taken, name in moment.source.lines if taken]
    parts = [f"{_said(moment)}.", f"{moment.made}{': ' if moment.marks else ''}{brief(moment.marks)}."]
    if took and moment.step.layer:
        parts.append(f"{moment.source.title}: {', '.join(took[:6])}.")
    if changes:
        parts.append(f"Configuration: {', '.join(map(str, changes))}.")
    return " ".join(parts)


def _twin(title: str, moment: Moment, lines: Sequence[str]) -> str:
    code = [f" {'▸' if n in moment.lines else ' '} {n:>3} {line}" for n, line in enumerate(lines, 1)]
    source = [f" {'▸' if taken else ' '}     {words}" for taken, words in moment.source.lines]
    files = [f" {mark.letter}     {mark.path}" for mark in moment.marks]
    config = [f" {one.letter or ' '}     {one.key} {one.text}" for one in (*moment.config, *moment.args)]
    parts = [f"{title}  ({_said(moment)})", *code]
    for head, body in ((moment.source.title, source), (moment.made, files), ("the configuration", config)):
        parts += [head, *body[:20], *([f"       and {len(body) - 20} more"] if len(body) > 20 else [])]
    return "\n".join(parts)
