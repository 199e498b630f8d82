"""What checks are worth: stars for each task, in the part of its cases that hold.

A task's public and hidden cases each give a part, and the smaller of the two counts: who has written down the public
examples has earned nothing. Nor has a function that always says the same, however many cases want just that.

    >>> fraction([True, False, True], [1, 2, 3])
    0.6666666666666666
    >>> fraction([True, True, False], [True, True, False])  # it said True each time
    0.0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from minidocker.grading.compare import same


@dataclass(frozen=True)
class Tally:
    """How many of some checks passed."""

    passed: int = 0
    of: int = 0

    def words(self, which: str) -> str:
        """`public checks: 4 of 4`."""
        return f"{which} checks: {self.passed} of {self.of}" if self.of else f"{which} checks: none"


@dataclass(frozen=True)
class TaskResult:
    """What one task came to. `said` is for the learner, `pictures` are his result and the expected one, as SVG."""

    address: str
    name: str
    title: str
    stars: int
    points: float
    public: Tally
    hidden: Tally
    voice: str
    said: tuple[str, ...]
    twin: str = ""
    pictures: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """What was checked, and what of it holds."""
        return f"{self.public.words('public')}, {self.hidden.words('hidden')}"


@dataclass(frozen=True)
class Result:
    """What one submission came to: the same for the same notebook, exercise, course and sandbox, but for the times."""

    exercise: str
    digest: str
    sandbox: str
    tasks: tuple[TaskResult, ...] = ()
    problem: str = ""  # why there is nothing to score, in words
    failed: bool = False  # the grading itself did; the next run tries again
    notes: tuple[str, ...] = ()
    course: str = ""
    seconds: float = 0.0
    graded_at: str = ""
    who: str = field(default="", compare=False)

    @property
    def points(self) -> float:
        """What was earned."""
        return round(sum(task.points for task in self.tasks), 2)

    @property
    def of(self) -> int:
        """What could be."""
        return sum(task.stars for task in self.tasks)

    @property
    def passed(self) -> bool:
        """Whether every check of every task holds."""
        return bool(self.tasks) and not self.problem and self.points == self.of

    def json(self) -> dict[str, Any]:
        """As it is written down."""
        tasks = [asdict(task) | {"scope": task.scope} for task in self.tasks]
        return asdict(self) | {"tasks": tasks, "points": self.points, "of": self.of, "passed": self.passed}

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Result:
        """What was written down. Raises TypeError and KeyError for anything else."""
        known = {name: raw[name] for name in cls.__dataclass_fields__}
        tasks = [{name: task[name] for name in TaskResult.__dataclass_fields__} for task in raw["tasks"]]
        made = tuple(
            TaskResult(
                **task
                | {"public": Tally(**task["public"]), "hidden": Tally(**task["hidden"])}
                | {"said": tuple(task["said"]), "pictures": tuple(task["pictures"])}
            )
            for task in tasks
        )
        return cls(**known | {"tasks": made, "notes": tuple(raw["notes"])})


def points(stars: int, public: float, hidden: float | None) -> float:
    """Of so many stars, for these parts of the checks; `hidden` is None where there are no hidden ones."""
    return round(stars * (public if hidden is None else min(public, hidden)), 2)


def fraction(held: Sequence[bool], wants: Sequence[Any]) -> float:
    """The part of the cases that hold; 0 where a constant would pass the same ones."""
    kept = [want for want, holds in zip(wants, held, strict=True) if holds]
    if not kept or (len(kept) < len(wants) and all(_alike(one, kept[0]) for one in kept)):
        return 0.0
    return len(kept) / len(wants)


def _alike(one: Any, other: Any) -> bool:
    return one is other or same(one, other)
