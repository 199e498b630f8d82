"""The class at a glance: what each learner has come to in each exercise, and where most of them are stuck.

Made of the `grades.json` of one or several runs of `minidocker grade`. Of several results for one learner and exercise
the best counts. The same results make the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from minidocker.content import write_atomic
from minidocker.errors import InvalidArgument
from minidocker.grading.report import SHELL, markdown_text, no_formula
from minidocker.notebook.pictures.svg import Figure, printable, rect, style, text

CELL, ROW, NAMES = 74.0, 24.0, 190.0  # of the picture: a box, a row, the column of names


@dataclass(frozen=True)
class Grade:
    """What one learner came to in one exercise."""

    who: str
    exercise: str
    points: float
    of: float
    tasks: tuple[Mapping[str, Any], ...] = ()

    @property
    def part(self) -> float:
        """From 0 to 1."""
        return self.points / self.of if self.of else 0.0


@dataclass(frozen=True)
class Stuck:
    """A task, how many of those who were graded have it whole, and what most of the others met."""

    exercise: str
    task: str
    passed: int
    of: int
    met: str


class Gradebook:
    """The grades of a class."""

    def __init__(self, grades: Sequence[Grade]) -> None:
        best: dict[tuple[str, str], Grade] = {}
        for grade in grades:
            key = grade.who, grade.exercise
            if key not in best or grade.points > best[key].points:
                best[key] = grade
        self.grades = dict(sorted(best.items()))
        self.learners = sorted({who for who, _ in self.grades})
        self.exercises = sorted({exercise for _, exercise in self.grades})

    def stuck(self) -> list[Stuck]:
        """All tasks, those first that the fewest have."""
        tasks: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for grade in self.grades.values():
            for task in grade.tasks:
                tasks[grade.exercise, f"{task['address']} {task['name']}"].append(task)
        found = []
        for (exercise, name), results in sorted(tasks.items()):
            wrong = [result for result in results if result["points"] < result["stars"]]
            met = Counter(_met(result) for result in wrong)
            most = min(met, key=lambda said: (-met[said], said)) if met else ""
            found.append(Stuck(exercise, name, len(results) - len(wrong), len(results), most))
        return sorted(found, key=lambda one: (one.passed / one.of, one.exercise, one.task))

    def figure(self) -> Figure:
        """A row a learner, a box an exercise, filled as far as its stars were earned."""
        drawn, words = [], []
        for column, exercise in enumerate(self.exercises):
            short = exercise.partition("-")[0]
            drawn.append(text(NAMES + column * CELL, 13, short, "md-s", width=CELL - 6))
        for row, who in enumerate(self.learners, 1):
            y, said = row * ROW, []
            drawn.append(text(0, y + 13, who, width=NAMES - 10))
            for column, exercise in enumerate(self.exercises):
                x, grade = NAMES + column * CELL, self.grades.get((who, exercise))
                drawn.append(rect(x, y, CELL - 6, 18, "md-box", rx=2))
                if grade is None:
                    continue
                if grade.points:
                    look = "md-a" if grade.part == 1 else "md-on"
                    drawn.append(rect(x, y, (CELL - 6) * min(1.0, grade.part), 18, look, rx=2))
                shown = f"{grade.points:g} of {grade.of:g}"
                drawn.append(text(x + (CELL - 6) / 2, y + 13, shown, "md-s", text_anchor="middle"))
                said.append(f"{exercise} {shown}")
            words.append(f"{who}: {', '.join(said)}")
        width, height = NAMES + CELL * len(self.exercises), ROW * (len(self.learners) + 1)
        return Figure("the class", "; ".join(words), "".join(drawn), max(400, width), height, "\n".join(words))

    def csv(self) -> str:
        """A line a learner, a column an exercise: what a learning platform reads."""
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["learner", *self.exercises, "points"])
        for who in self.learners:
            found = [self.grades.get((who, exercise)) for exercise in self.exercises]
            cells = [f"{grade.points:g}" if grade else "" for grade in found]
            rows.writerow([no_formula(who), *cells, f"{sum(grade.points for grade in found if grade):g}"])
        return out.getvalue()

    def markdown(self) -> str:
        """A table of the class, and what to go over again."""
        lines = [
            "# The class",
            "",
            f"| learner | {' | '.join(self.exercises)} |",
            "|---" * (len(self.exercises) + 1) + "|",
        ]
        for who in self.learners:
            found = [self.grades.get((who, exercise)) for exercise in self.exercises]
            cells = [f"{grade.points:g} of {grade.of:g}" if grade else "" for grade in found]
            lines.append(f"| {markdown_text(who)} | {' | '.join(cells)} |")
        lines += [
            "",
            "## What to go over again",
            "",
            "| exercise | task | have it | most of the others |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {one.exercise} | {markdown_text(one.task)} | {one.passed} of {one.of} | {markdown_text(one.met)} |"
            for one in self.stuck()
            if one.passed < one.of
        ]
        return "\n".join(lines) + "\n"

    def html(self) -> str:
        """One page: the picture of the class, and what to go over again."""
        cells = ([one.exercise, one.task, f"{one.passed} of {one.of}", one.met] for one in self.stuck())
        rows = "".join(f"<tr>{''.join(f'<td>{escape(printable(cell))}</td>' for cell in row)}</tr>" for row in cells)
        head = "<tr><th>exercise</th><th>task</th><th>have it</th><th>most of the others</th></tr>"
        body = f"<h1>The class</h1>{self.figure().svg()}<h2>What to go over again</h2><table>{head}{rows}</table>"
        return SHELL.format(title="The class", style=style(body), body=body)

    def write(self, folder: Path) -> list[Path]:
        """Write all of it into a folder; the paths."""
        made: Mapping[str, Callable[[], str]] = {
            "gradebook.csv": self.csv,
            "gradebook.md": self.markdown,
            "gradebook.html": self.html,
        }
        folder.mkdir(parents=True, exist_ok=True)
        for name, words in made.items():
            write_atomic(folder / name, words().encode("utf-8", "replace"))
        return [folder / name for name in made]


def read(paths: Sequence[Path]) -> list[Grade]:
    """The grades in some `grades.json`, or in folders that have one. Raises InvalidArgument."""
    found = []
    for path in paths:
        file = path / "grades.json" if path.is_dir() else path
        try:
            submissions = json.loads(file.read_text(encoding="utf-8"))["submissions"]
            found += [_grade(raw) for raw in submissions if raw["exercise"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidArgument(f"{file} is not what `minidocker grade` writes: {error}") from None
    return found


def _grade(raw: Mapping[str, Any]) -> Grade:
    parts = [part for part in str(raw["who"]).split("/") if part != raw["exercise"]]
    return Grade(
        parts[0] if parts else "", raw["exercise"], float(raw["points"]), float(raw["of"]), tuple(raw["tasks"])
    )


def _met(task: Mapping[str, Any]) -> str:
    """What a learner met first in a task: the rule of the case, or what was said of it."""
    said = [str(line) for line in task["said"]] or [""]
    return said[0].partition(": ")[2].partition(": ")[2] or " ".join(said[1:2]) or said[0]
