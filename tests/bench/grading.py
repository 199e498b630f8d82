"""(o) 200 submissions of exercise 01 graded, beside `nbgrader autograde` on the same notebooks.

Ours runs each in a container of its own, with public and hidden checks, twice as many at once as there are processors.
nbgrader runs each in a kernel, one after another, as `autograde` does; through its Python interface, so that its start
of 5 s is paid once. It is given some of the same notebooks (its rate is per submission), without the transplant's cell.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.bench.measure import Report, seconds
from tests.bench.rivals import Rivals

HOME = Path(__file__).resolve().parents[2]


def measure(report: Report, _rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    count, theirs = (20, 3) if quick else (200, 10)
    notebook = source()
    for number in range(count):
        place = work / "submitted" / f"student{number:03}" / "ps1"
        place.mkdir(parents=True)
        (place / "layers.ipynb").write_text(json.dumps(handed_in(notebook, number)))
    ours = rate_of_ours(work, count, report)
    if find_spec("nbgrader") is None:
        report.notes.append("nbgrader left out: it is not installed")
        return
    rival = rate_of_nbgrader(work, notebook, theirs)
    report.lines.append(f"minidocker grade   {count} submissions, {ours:.3f} s each")
    report.lines.append(f"nbgrader autograde {theirs} of them, {rival:.3f} s each: {rival / ours:.1f} times ours")


def source() -> dict[str, Any]:
    """The solved exercise, without the cell that builds images on it."""
    found: dict[str, Any] = json.loads((HOME / "exercises" / "01-layers" / "source.ipynb").read_text(encoding="utf-8"))
    found["cells"] = [cell for cell in found["cells"] if "transplant()" not in "".join(cell["source"])]
    return found


def handed_in(notebook: dict[str, Any], number: int) -> dict[str, Any]:
    """One learner's: no two are the same."""
    comment = {"cell_type": "markdown", "id": f"c{number}", "metadata": {}, "source": f"By student {number}."}
    return {**notebook, "cells": [*notebook["cells"], comment]}


def rate_of_ours(work: Path, count: int, report: Report) -> float:
    """Seconds a submission."""
    from concurrent.futures import ThreadPoolExecutor

    import minidocker
    from minidocker.grading import course
    from minidocker.grading.grade import JOBS, Batch
    from minidocker.grading.score import Result
    from minidocker.grading.submission import find

    results: list[Result] = []
    with minidocker.connect(work / "root") as engine:
        report.notes.append(f"runtime: {engine.runtime.name}, {JOBS} at once")
        course.image(engine)  # made once in the life of a machine
    batch = Batch(work / "out", exercise="01-layers", root=str(work / "root"))

    def grade() -> None:
        with ThreadPoolExecutor(JOBS) as threads:
            results.extend(result for result, _ in batch.run(find([work / "submitted"]), threads, JOBS))

    took = seconds(grade)
    if sum(result.passed for result in results) != count:
        raise RuntimeError("not every solution passed")
    times = [result.seconds for result in results]
    report.notes.append(f"one of ours: median {statistics.median(times):.3f} s from start to verdict")
    return took / count


def rate_of_nbgrader(work: Path, notebook: dict[str, Any], count: int) -> float:
    """Seconds a submission, of its autograde."""
    from nbgrader.apps import NbGraderAPI  # type: ignore[import-untyped]
    from traitlets.config import Config

    course = work / "course"
    place = course / "source" / "ps1"
    place.mkdir(parents=True)
    (place / "layers.ipynb").write_text(json.dumps(notebook))
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it starts `alembic`
    config = Config()
    config.CourseDirectory.course_id, config.CourseDirectory.root = "bench", str(course)
    api = NbGraderAPI(config=config)
    made = api.generate_assignment("ps1")
    if not made["success"]:
        raise RuntimeError(f"nbgrader: {made['log'][-300:]}")
    names = sorted(path.name for path in (work / "submitted").iterdir())[:count]
    for name in names:
        shutil.copytree(work / "submitted" / name, course / "submitted" / name)

    def autograde(name: str) -> None:
        done = api.autograde("ps1", name)
        if not done["success"]:
            raise RuntimeError(f"nbgrader: {done['log'][-500:]}")

    autograde(names[0])  # once off the clock: what it compiles and remembers

    def rest() -> None:
        for name in names[1:]:
            autograde(name)

    return seconds(rest) / (count - 1)
