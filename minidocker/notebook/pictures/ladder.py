"""The cache ladder: one rung for each step of a build, and why it was a hit or a miss.

BuildKit only says CACHED. Here the first rung that missed is lit and gives its reason; below it everything is built
again because its parent is new, and the ladder says that too. A forecast is drawn alike, before anything is built; a
third kind of rung is for what only the build will tell. Two ladders side by side tell a good order from a bad one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidocker.explain import instruction
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.svg import Figure, Markup, bytes_text, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.build import Build, Step

WIDTH, HALF, GUTTER = 700, 470, 40  # of a ladder alone, of one beside another, and between them
SIGN, TEXT, HIT, MISS, BREAK = 60, 72, 30, 44, 10  # a rung's sign, where its text starts; heights; between stages
TITLES = ("before", "after")


@dataclass(frozen=True)
class Tally:
    """What a ladder comes to; sizes in bytes of layers."""

    words: Counter[str]
    left: int
    built: int
    saved: int

    @classmethod
    def of(cls, steps: Sequence[Step], total: int = 0) -> Tally:
        """Count the steps; `total` above their number: still building."""
        sizes = [(step.decision.hit, step.layer.size if step.layer else 0) for step in steps]
        built, saved = (sum(size for hit, size in sizes if hit is kind) for kind in (False, True))
        return cls(Counter(step.decision.word for step in steps), max(total - len(steps), 0), built, saved)

    def say(self, forecast: bool = False) -> str:
        """The count in words; of a forecast, what would be."""
        hits, misses, open_ = (self.words[word] for word in ("hit", "miss", "depends"))
        said = f"{count(hits + misses + open_ + self.left, 'step')}: {hits} from the cache, {misses} "
        said += "to build" if forecast else "built"
        said += f", {open_} depending on what is built" if open_ else ""
        return said + (f", {self.left} to go" if self.left else "")


def ladder(
    title: str, steps: Sequence[Step], total: int = 0, forecast: bool = False, running: Sequence[str] = ()
) -> Figure:
    """Draw the steps of a build, first on top, as they were decided; `total` above their number: still building.

    With `forecast`, nothing of it has been built yet. `running` are the instructions that are being carried out.
    """
    said = Tally.of(steps, total).say(forecast)
    rungs, height = _rungs(steps, total, WIDTH, running)
    drawn = [text(0, 16, title, "md-h"), text(0, 34, said, "md-dim", "md-s"), group(rungs, 0, 46.0)]
    twin = "\n".join([f"{title}  ({said})", *map(_line, steps), *(f"  …    {instruction(one)}" for one in running)])
    return Figure(title, f"{said}. {_told(steps)}", "".join(drawn), WIDTH, height + 48, twin)


def ladders(first: Build, second: Build, titles: tuple[str, str] = TITLES) -> Figure:
    """Two builds side by side, each with the bytes that it built and those that the cache saved, on one scale."""
    builds = (first, second)
    tallies = [Tally.of(build.steps) for build in builds]
    most = max(max(tally.built + tally.saved for tally in tallies), 1)
    measured = all(build.image for build in builds)  # what a forecast would build, has no bytes yet
    drawn, twins, told, height, top = [], [], [], 0.0, 84.0 if measured else 46.0
    for index, (build, tally, title) in enumerate(zip(builds, tallies, titles, strict=True)):
        said, (rungs, high) = tally.say(forecast=not build.image), _rungs(build.steps, 0, HALF)
        head = [text(0, 16, title, "md-h", width=HALF), text(0, 34, said, "md-dim", "md-s")]
        bar = [group(_bar(tally, most), 0, 44)] if measured else []
        drawn.append(group([*head, *bar, group(rungs, 0, top)], index * (HALF + GUTTER)))
        height = max(height, top + high + 2)
        said += f"; {_bytes(tally)}" if measured else ""
        twins.append("\n".join([f"{title}  ({said})", *map(_line, build.steps)]))
        told.append(f"{title}: {said}. {_told(build.steps)}")
    whole = f"{titles[0]}, and {titles[1]}"
    return Figure(whole, " ".join(told), "".join(drawn), 2 * HALF + GUTTER, height, "\n\n".join(twins))


def reason(step: Step) -> str:
    """Why a step was taken from the cache or not; a plain hit needs no more words."""
    return "taken from the cache" if step.decision.reason == "hit" else step.decision.reason


def _rungs(steps: Sequence[Step], total: int, width: float, running: Sequence[str] = ()) -> tuple[list[Markup], float]:
    """The rungs on their rails, a ladder of its own for each stage, and how high all of it is."""
    rails, drawn, y, top = [], [], 0.0, 0.0
    first = next((step for step in steps if step.decision.word == "miss"), None)
    going = [*running, *[""] * total]
    for step in [*steps, *[None] * (total - len(steps))]:
        if step and y and step.text.upper().startswith("FROM"):
            rails.append((top, y))
            y = top = y + BREAK
        drawn.append(group(_rung(step, step is first, width) if step else _waiting(going.pop(0), width), 0, y))
        y += HIT if step is None or step.decision.hit else MISS
    lines = "".join(f"M{x} {start}V{end}" for start, end in [*rails, (top, y)] for x in (12, 48))
    return [el("path", d=lines, class_="md-thin"), *drawn], y


def _rung(step: Step, first: bool, width: float) -> list[Markup]:
    """The sign, the instruction with the bytes of its layer, and below it why it is no hit."""
    word = step.decision.word
    middle = (HIT if word == "hit" else MISS) / 2
    size = f"+{bytes_text(step.layer.size)}" if step.layer else ""
    line = middle + 4 if word == "hit" else middle - 3
    parts = [
        group(_sign(word, word == "miss" and (first or _cause(step))), 0, middle - 12),
        text(TEXT, line, instruction(step.text), "md-c", width=width - TEXT - len(size) * 6 - 20),
        text(width, line, size, "md-dim", "md-s", text_anchor="end"),
    ]
    why = "" if word == "hit" else reason(step).removeprefix("miss because ")
    return [*parts, text(TEXT, middle + 13, why, "md-dim", "md-s", width=(width - TEXT) * 1.12)]


def _cause(step: Step) -> bool:
    """Whether a miss has a cause of its own, and is not there because of another one, or because all is new."""
    return not any(words in step.decision.reason for words in ("parent changed", "never built", "--no-cache"))


def _sign(word: str, lit: bool = False) -> list[Markup]:
    """A hit is round; a miss square, and lit where it is the cause; what depends has two points and a dashed edge."""
    label = text(SIGN / 2, 16, word, "md-s", text_anchor="middle")
    if word == "depends":
        return [el("path", d=f"M8 0H{SIGN - 8}L{SIGN} 12L{SIGN - 8} 24H8L0 12Z", class_="md-box md-dash"), label]
    round_ = 12 if word == "hit" else 3
    look = "md-a" if word == "hit" else "md-on" if lit else "md-slab"
    return [rect(5, 0, 50, 24, "md-box", rx=round_), rect(5, 0, 50, 24, look, rx=round_), label]


def _waiting(words: str, width: float) -> list[Markup]:
    """A step that is still to come, or, with its instruction, being carried out."""
    sign = text(SIGN / 2, 19, "…", "md-dim", text_anchor="middle")
    edge = rect(5, 3, 50, 24, "md-box", *([] if words else ["md-dash"]), rx=3)
    return [edge, sign, text(TEXT, 19, instruction(words), "md-c", "md-dim", width=width - TEXT) if words else Markup()]


def _bar(tally: Tally, most: int) -> list[Markup]:
    """The bytes that were built and those that were saved, to scale."""
    built, saved = (HALF * size / most for size in (tally.built, tally.saved))
    parts = [rect(0, 0, max(built, 1.5), 10, "md-on", rx=1)] if tally.built else []
    parts += [rect(built, 0, max(saved, 1.5), 10, "md-a", rx=1)] if tally.saved else []
    return [*parts, text(0, 25, _bytes(tally), "md-s")]


def _bytes(tally: Tally) -> str:
    return f"{bytes_text(tally.built)} built, {bytes_text(tally.saved)} from the cache"


def _told(steps: Sequence[Step]) -> str:
    return " ".join(f"{step.decision.word}: {instruction(step.text)} ({reason(step)})." for step in steps)


def _line(step: Step) -> str:
    line = f"  {step.decision.word.upper():<4} {instruction(step.text)}"
    return line if step.decision.hit else f"{line}\n       {reason(step)}"
