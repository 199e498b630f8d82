"""(o) 200 submissions of exercise 01 graded, beside `nbgrader autograde` on the same notebooks.

Ours runs each in a container of its own, with public and hidden checks, twice as many at once as there are processors.
nbgrader runs each in a kernel, one after another, as `autograde` does; through its Python interface, so that its start
of 5 s is paid once; without the transplant's cell. They take turns of ten notebooks, so that a busy moment hits both.
In full it takes ten minutes and more, nearly all of it nbgrader's: MINIDOCKER_BENCH_SUBMISSIONS=40 is a middle size.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.bench.measure import Report, seconds
from tests.bench.rivals import Rivals

HOME = Path(__file__).resolve().parents[2]
TURN = 10


def measure(report: Report, _rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    count = 20 if quick else int(os.environ.get("MINIDOCKER_BENCH_SUBMISSIONS", "200"))
    notebook, names = source(), [f"student{number:03}" for number in range(count)]
    for number, name in enumerate(names):
        (work / "submitted" / name / "ps1").mkdir(parents=True)
        (work / "submitted" / name / "ps1" / "layers.ipynb").write_text(json.dumps(handed_in(notebook, number)))
    ours, theirs = Times("minidocker grade  "), Times("nbgrader autograde")
    autograde = nbgrader(work, notebook) if find_spec("nbgrader") else None
    with our_own(work, report) as grade:
        for start in range(0, count, TURN):
            turn = names[start : start + TURN]
            ours.add(grade, turn)
            if autograde:
                theirs.add(autograde, turn[:2] if quick else turn)
    report.lines.append(str(ours))
    if autograde:
        report.lines += [str(theirs), f"{theirs.mean / ours.mean:.1f} times as long as ours"]
    else:
        report.notes.append("nbgrader left out: it is not installed")


class Times:
    """Seconds for each submission, turn by turn."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.turns: list[float] = []

    def add(self, action: Callable[[Sequence[str]], None], names: Sequence[str]) -> None:
        """Take a turn."""
        self.turns += [seconds(partial(action, names)) / len(names)] * len(names)

    @property
    def mean(self) -> float:
        """Of all submissions."""
        return statistics.mean(self.turns)

    def __str__(self) -> str:
        spread = f"{min(self.turns):.3f} to {max(self.turns):.3f}"
        return f"{self.who} {len(self.turns):3} submissions, {self.mean:.3f} s each (turns of {spread})"


def source() -> dict[str, Any]:
    """The solved exercise, without the cell that builds images on it."""
    found: dict[str, Any] = json.loads((HOME / "exercises" / "01-layers" / "source.ipynb").read_text(encoding="utf-8"))
    found["cells"] = [cell for cell in found["cells"] if "transplant()" not in "".join(cell["source"])]
    return found


def handed_in(notebook: dict[str, Any], number: int) -> dict[str, Any]:
    """One learner's: no two are the same."""
    comment = {"cell_type": "markdown", "id": f"c{number}", "metadata": {}, "source": f"By student {number}."}
    return {**notebook, "cells": [*notebook["cells"], comment]}


@contextmanager
def our_own(work: Path, report: Report) -> Iterator[Callable[[Sequence[str]], None]]:
    """What grades some of the learners' notebooks, in containers."""
    from concurrent.futures import ThreadPoolExecutor

    import minidocker
    from minidocker.grading import course
    from minidocker.grading.grade import JOBS, Batch
    from minidocker.grading.submission import find

    with minidocker.connect(work / "root") as engine:
        report.notes.append(f"runtime: {engine.runtime.name}, {JOBS} at once")
        course.image(engine)  # made once in the life of a machine
    batch = Batch(work / "out", exercise="01-layers", root=str(work / "root"))
    with ThreadPoolExecutor(JOBS) as threads:

        def grade(names: Sequence[str]) -> None:
            found = find([work / "submitted" / name for name in names])
            if not all(result.passed for result, _ in batch.run(found, threads, JOBS)):
                raise RuntimeError("not every solution passed")

        yield grade


def nbgrader(work: Path, notebook: dict[str, Any]) -> Callable[[Sequence[str]], None]:
    """What autogrades some of the learners' notebooks, as nbgrader does."""
    from nbgrader.apps import NbGraderAPI  # type: ignore[import-untyped]
    from traitlets.config import Config

    course = work / "course"
    (course / "source" / "ps1").mkdir(parents=True)
    (course / "source" / "ps1" / "layers.ipynb").write_text(json.dumps(notebook))
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it starts `alembic`
    config = Config()
    config.CourseDirectory.course_id, config.CourseDirectory.root = "bench", str(course)
    api = NbGraderAPI(config=config)

    def succeeds(done: dict[str, Any]) -> None:
        if not done["success"]:
            raise RuntimeError(f"nbgrader: {done['log'][-500:]}")

    def autograde(names: Sequence[str]) -> None:
        for name in names:
            succeeds(api.autograde("ps1", name))

    succeeds(api.generate_assignment("ps1"))
    shutil.copytree(work / "submitted", course / "submitted")
    warm = course / "submitted" / "warm"
    shutil.copytree(next(path for path in warm.parent.iterdir()), warm)
    autograde(["warm"])  # off the clock: what it compiles and remembers
    return autograde
