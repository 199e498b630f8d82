"""A kind of exercise whose learner writes texts, and whose points are measured: each criterion gives a part of its own.

The notebook has functions without parameters that return the texts. They are called once; what they gave is all that is
judged, so a grader lets the texts be made wherever it trusts nobody, and measures outside (`score`).

    check, hint, measure = exercise("capstone", globals())
    check("C.2")      one criterion: how much of its points, and what to do for more
    measure()         all of them, with a picture of where the points went
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from minidocker.grading.exercise import Exercise, Task
from minidocker.grading.hidden import hidden_cases
from minidocker.grading.show import show_lines
from minidocker.grading.verdict import Message, Verdict
from minidocker.notebook.pictures.svg import Figure

Texts = Mapping[str, str]  # the names of the functions, and what they returned


@dataclass(frozen=True)
class Mark:
    """What a criterion comes to: a part of its points, 0 to 1, what was measured, and what to do for more."""

    share: float
    said: str
    hint: str = ""

    def points(self, stars: int) -> float:
        """What that is of so many stars, in hundredths and never rounded up."""
        return math.floor(stars * self.share * 100 + 1e-6) / 100


@dataclass(frozen=True)
class Result:
    """What was measured: a mark for each criterion, by its address, and pictures of it.

    `refused` says why nothing could be measured at all, and then every mark is 0.
    """

    marks: Mapping[str, Mark]
    figure: Figure | None = None
    refused: str = ""


Measure = Callable[[Texts, Sequence[Any]], Result]  # the texts, and hidden settings to measure them in as well


def criterion(address: str, name: str, title: str, stars: int, hints: tuple[str, ...]) -> Task:
    """A task that has no cases: its result is measured."""
    return Task(address, name, (), title, (), hints, _nobody, show_lines, stars)


def _nobody() -> None:
    """No function of the engine's does what is asked for."""


class Measured(Exercise):
    """An exercise with `measure` in the place of cases and of a transplant."""

    def __init__(
        self,
        name: str,
        tasks: Sequence[Task],
        texts: Sequence[str],
        measure: Measure,
        namespace: MutableMapping[str, Any],
    ) -> None:
        super().__init__(name, tasks, self._measured, namespace)
        self.texts, self.measure = tuple(texts), measure

    @property
    def holes(self) -> Sequence[Task]:
        """The functions that the learner writes: those that return the texts."""
        return [criterion("", name, "", 0, ()) for name in self.texts]

    def read(self) -> Texts | str:
        """The learner's texts; or, in words, why there are none."""
        found: dict[str, str] = {}
        for name in self.texts:
            function = self.namespace.get(name)
            if not callable(function):
                return f"There is no function `{name}` here: run the cell that defines it."
            try:
                text = function()
            except NotImplementedError:
                return f"Nothing is written yet: {name}() returns the text."
            except (Exception, SystemExit) as error:
                return f"{name}() raised {type(error).__name__}: {error}"[:300]
            if type(text) is not str:
                return f"{name}() must return a text, and returns a {type(text).__name__}."
            found[name] = text
        return found

    def score(self, texts: Texts | str, hidden: Sequence[Any] = ()) -> Result:
        """Measure texts, whoever made them; `hidden` settings count as much as the one that the learner knows."""
        if isinstance(texts, str):
            return Result({task.address: Mark(0, texts) for task in self.tasks}, refused=texts)
        return self.measure(texts, hidden)

    def points(self, address: str, result: Result) -> float:
        """What a task earns."""
        return result.marks[address].points(self._task(address).stars)

    def check(self, address: str = "", hidden: bool = False) -> Any:
        """Measure one task; without an address, all of them. Under nbgrader: its points, a number, as that wants it."""
        if not address:
            return self._score()
        found = hidden_cases(self.name)[address] if hidden else ()
        if os.environ.get("NBGRADER_EXECUTION"):
            return self.points(address, self.score(self.read(), found))
        return self.judge(address, found)

    def judge(self, address: str, hidden: Sequence[Any] = ()) -> Verdict:
        """The verdict on one task."""
        task, result = self._task(address), self.score(self.read(), hidden)
        mark = result.marks[address]
        title = f"Task {address}: {task.name}, {self.points(address, result):g} of {task.stars}"
        if mark.share == 1:
            return Verdict(title, (mark.said, f"{task.title}."), "passed")
        lines = (mark.said, mark.hint or f"hint({address!r}) tells more.")
        return Verdict(title, lines if not result.refused else (mark.said,), "under way")

    def transplant(self, anyway: bool = False) -> Verdict:
        """Measure everything."""
        return self._measured(self.namespace)

    def _measured(self, _namespace: Any) -> Verdict:
        result = self.score(self.read())
        title = f"Measured: {self._earned(result):g} of {self._all} points"
        if result.refused:
            return Verdict(title, (result.refused,), "under way", result.figure)
        hints = [f"{address}: {mark.hint}" for address, mark in result.marks.items() if mark.share < 1 and mark.hint]
        return Verdict(title, tuple(hints), "under way" if hints else "passed", result.figure)

    def _score(self) -> Message:
        result = self.score(self.read())
        lines = [
            f"{task.address} {task.name}: {self.points(task.address, result):g} of {task.stars}. "
            f"{result.marks[task.address].said}"
            for task in self.tasks
        ]
        done = all(mark.share == 1 for mark in result.marks.values())
        said = f"{self._earned(result):g} of {self._all} points"
        return Message(said, tuple(lines), "passed" if done else "under way")

    def _earned(self, result: Result) -> float:
        return sum(round(100 * self.points(task.address, result)) for task in self.tasks) / 100

    @property
    def _all(self) -> int:
        return sum(task.stars for task in self.tasks)
