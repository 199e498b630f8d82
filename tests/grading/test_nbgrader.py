"""nbgrader reads our sources as they are: its own programs release, validate and grade them, on a course in a folder.

One course for all tests: each of its programs takes seconds to start. All exercises are released together; the first
one is validated, and graded for three students.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from minidocker.grading.release import SOLUTION, read, released, source
from tests.grading.conftest import FOLDER

pytest.importorskip("nbgrader", reason="nbgrader is not installed")

NAMES = sorted(path.parent.name for path in FOLDER.glob("*/source.ipynb"))
MARKS = ("### BEGIN", "### END")
BY_HEART = """\
def chain_ids(diff_ids):
    known = {
        0: [],
        1: ["sha256:aa"],
        2: ["sha256:aa", "sha256:b68ad689d6d1ec110ea1c13617437ad6f3766d4b3b309f6a603a222e07a0164f"],
    }
    two = known[2][1]
    known[3] = [*known[2], "sha256:" + hashlib.sha256(f"{two} sha256:cc".encode()).hexdigest()]
    return known[len(diff_ids)]
"""
SHALLOW = "def apply(lower, layer):\n    return lower | layer\n"


class Course:
    """A course's folder, and nbgrader's programs run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "nbgrader_config.py").write_text(
            f"c = get_config()\nc.CourseDirectory.course_id = 'test'\nc.CourseDirectory.root = {str(folder)!r}\n"
            "c.ExecutePreprocessor.timeout = 60\n"
        )
        for name in NAMES:
            path = folder / "source" / "all" / f"{topic(name)}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((FOLDER / name / "source.ipynb").read_bytes())

    def run(self, *words: str) -> str:
        """What one of its programs says."""
        places = {
            name: str(self.folder / name.lower()) for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")
        }
        home = {**places, "HOME": str(self.folder), "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime")}
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls alembic
        path = os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *words],
            cwd=self.folder,
            env={**os.environ, **home, "PYTHONPATH": path, "MINIDOCKER_RUNTIME": "simulated", "PATH": programs},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def submit(self, student: str, **changes: str) -> None:
        """Hand in the released notebook, each hole filled as in our source, but for these functions."""
        notebook = read(self.folder / "release" / "all" / "layers.ipynb")
        solved = {cell["id"]: source(cell) for cell in read(FOLDER / "01-layers" / "source.ipynb")["cells"]}
        for cell in notebook["cells"]:
            if student != "untouched" and cell["id"].startswith("task-"):
                text = "\n".join(line for line in solved[cell["id"]].splitlines() if not line.strip().startswith(MARKS))
                cell["source"] = next((new for name, new in changes.items() if f"def {name}(" in text), text)
        target = self.folder / "submitted" / student / "all" / "layers.ipynb"
        target.parent.mkdir(parents=True)
        target.write_text(json.dumps(notebook))

    def scores(self) -> dict[str, dict[str, float]]:
        """What its gradebook says, by student and cell."""
        question = (
            "select a.student_id, b.name, g.auto_score from grade g join base_cell b on g.cell_id = b.id "
            "join submitted_notebook n on g.notebook_id = n.id join submitted_assignment a on n.assignment_id = a.id "
            "join notebook k on n.notebook_id = k.id where k.name = 'layers'"
        )
        found: dict[str, dict[str, float]] = {}
        with sqlite3.connect(self.folder / "gradebook.db") as book:
            for student, cell, score in book.execute(question):
                found.setdefault(student, {})[cell] = score
        return found


def topic(name: str) -> str:
    return name.partition("-")[2] or name


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    made = Course(tmp_path_factory.mktemp("course"))
    made.run("generate_assignment", "all", "--create")
    return made


def texts(notebook: dict[str, Any]) -> list[str]:
    return [source(cell).rstrip("\n") for cell in notebook["cells"]]


@pytest.mark.parametrize("name", NAMES)
def test_it_releases_what_we_release(course: Course, name: str) -> None:
    theirs = read(course.folder / "release" / "all" / f"{topic(name)}.ipynb")
    assert texts(theirs) == texts(released(read(FOLDER / name / "source.ipynb")))
    assert not any(word in text for text in texts(theirs) for word in (*MARKS, "hidden=True"))


def test_it_finds_solutions_and_hidden_checks_in_our_sources() -> None:
    for name in NAMES:
        whole = "\n".join(texts(read(FOLDER / name / "source.ipynb")))
        assert SOLUTION.search(whole) and "### BEGIN HIDDEN TESTS" in whole


def test_it_validates_the_solved_notebook_and_says_what_fails_in_the_untouched_one(course: Course) -> None:
    solved = course.run("validate", "source/all/layers.ipynb")
    assert "Success! Your notebook passes all the tests." in solved
    untouched = course.run("validate", "release/all/layers.ipynb")
    assert "VALIDATION FAILED ON 5 CELL(S)" in untouched and 'check("1.4")' in untouched


def test_it_grades_three_students_by_public_and_hidden_checks(course: Course) -> None:
    course.submit("untouched")
    course.submit("solved")
    course.submit("wrong", apply=SHALLOW, chain_ids=BY_HEART)
    course.run("autograde", "all", "--create", "--notebook", "layers")
    scores = course.scores()
    every = {"check-1-1": 1, "check-1-2": 3, "check-1-3": 3, "check-1-4": 2, "transplant": 3}
    assert scores["solved"] == every
    assert scores["untouched"] == dict.fromkeys(every, 0)
    assert scores["wrong"] == {**every, "check-1-2": 0, "check-1-4": 0, "transplant": 0}
