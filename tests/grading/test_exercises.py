"""Every exercise, proven both ways: untouched it fails, with its solution it passes, wrong solutions get their hint."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.grading import MODULES, exercise
from minidocker.grading.exercise import Exercise
from minidocker.grading.release import dump, read, released, source
from tests.grading.conftest import EXERCISES, FOLDER


def learner(name: str) -> Path:
    return FOLDER / name / f"{name.partition('-')[2]}.ipynb"


CHECK = 'check("{0}")\n### BEGIN HIDDEN TESTS\ncheck("{0}", hidden=True)\n### END HIDDEN TESTS'
HOW = (
    "How it works: fill the hole, run its cell, run the `check` below it. It says *passed*, gives a hint while you are "
    "under way, or tells why this way cannot pass, with your result drawn beside the expected one. "
    '`hint("{}")` opens one hint more each time. Stars tell how hard a task is. Work in any order; nothing here can '
    "break anything."
)


Opened = Callable[[Path], Exercise]


@pytest.fixture
def solved(opened: Opened) -> Exercise:
    return opened(FOLDER / "01-layers" / "source.ipynb")


def test_there_are_exercises() -> None:
    assert "01-layers" in EXERCISES


@pytest.mark.parametrize("name", EXERCISES)
def test_the_learners_notebook_is_what_the_source_releases(name: str) -> None:
    made = dump(released(read(FOLDER / name / "source.ipynb")))
    assert learner(name).read_text(encoding="utf-8") == made, "run: python -m minidocker.grading release exercises/*/"


@pytest.mark.parametrize("name", EXERCISES)
def test_no_solution_is_in_the_learners_notebook(name: str, opened: Opened) -> None:
    text = learner(name).read_text(encoding="utf-8")
    assert "SOLUTION" not in text and "HIDDEN" not in text and "hidden" not in text
    assert text.count("NotImplementedError") == len(opened(learner(name)).tasks)


@pytest.mark.parametrize("name", EXERCISES)
def test_untouched_every_task_fails_and_says_how_to_go_on(name: str, opened: Opened) -> None:
    exercise = opened(learner(name))
    for task in exercise.tasks:
        verdict = exercise.judge(task.address)
        assert verdict.voice == "under way"
        assert "Nothing is written yet" in verdict.twin
    assert exercise.transplant().voice == "under way"
    assert exercise.check().title.startswith("0 of ")


@pytest.mark.parametrize("name", EXERCISES)
def test_with_the_solution_every_task_passes(name: str, opened: Opened) -> None:
    exercise = opened(FOLDER / name / "source.ipynb")
    assert [exercise.judge(task.address).voice for task in exercise.tasks] == ["passed"] * len(exercise.tasks)
    assert exercise.check().voice == "passed"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_hole_has_an_address_a_check_and_the_metadata_that_nbgrader_reads(name: str, opened: Opened) -> None:
    cells = read(FOLDER / name / "source.ipynb")["cells"]
    text = "".join(map(source, cells))
    holes = [cell for cell in cells if "BEGIN SOLUTION" in source(cell)]
    exercise = opened(FOLDER / name / "source.ipynb")
    assert len(holes) == len(exercise.tasks)
    for task, cell in zip(exercise.tasks, holes, strict=True):
        assert f"## Task {task.address} {'★' * task.stars}:" in text and f'check("{task.address}")' in text
        assert f"def {task.name}({', '.join(task.parameters)}):" in source(cell)
        points = [c["metadata"]["nbgrader"]["points"] for c in cells if source(c) == CHECK.format(task.address)]
        assert 1 <= task.stars <= 3 and points == [task.stars]
    for cell in cells:
        if "nbgrader" in cell["metadata"]:
            meta = cell["metadata"]["nbgrader"]
            assert meta["schema_version"] == 3
            assert meta["solution"] == ("BEGIN SOLUTION" in source(cell)) and meta["grade"] == ("points" in meta)


@pytest.mark.parametrize("name", EXERCISES)
def test_all_have_one_shape(name: str, opened: Opened) -> None:
    cells = {cell["id"]: source(cell) for cell in read(FOLDER / name / "source.ipynb")["cells"]}
    tasks = opened(FOLDER / name / "source.ipynb").tasks
    parts = [f"{part}-{task.address.replace('.', '-')}" for task in tasks for part in ("text", "task", "check")]
    assert list(cells) == ["title", "setup", *parts, "transplant-text", "transplant", "end", "score"]
    number, _, topic = name.partition("-")
    assert cells["title"].startswith(f"# Exercise {number}: {topic}\n\n")
    assert cells["title"].split("\n\n")[-1].replace("\n", " ") == HOW.format(tasks[0].address)
    assert f'check, hint, transplant = exercise("{name}", globals())\n' in cells["setup"] + "\n"
    assert cells["transplant-text"].startswith("## The transplant\n\n")
    assert "Before you run it: " in cells["transplant-text"].replace("\n", " ")
    assert cells["transplant"] == "transplant()" and cells["score"] == "check()"
    count = {4: "four", 5: "five"}[len(tasks)]
    assert cells["end"].startswith(f"`check()` without an address lists all {count}. ")
    assert "Break one of them on purpose and run `transplant(anyway=True)`: " in cells["end"].replace("\n", " ")


@pytest.mark.parametrize("name", EXERCISES)
def test_three_wrong_solutions_or_more_for_each_task_get_the_hint_that_is_meant_for_them(
    name: str, opened: Opened
) -> None:
    module = importlib.import_module(f"tests.grading.test_{MODULES[name]}")
    assert callable(module.test_a_wrong_solution_gets_its_hint)  # which is what tries them
    for task in opened(FOLDER / name / "source.ipynb").tasks:
        wrong = [(function, hint) for address, function, _, hint in module.WRONG if address == task.address]
        hints = [hint for case in task.cases for hint in (case.hint, case.say)]
        meant = [hint for _, hint in wrong if any(hint in known for known in hints)]
        assert len({function.__name__ for function, _ in wrong}) >= 3 and meant, task.address


@pytest.mark.parametrize("name", EXERCISES)
def test_a_solved_notebook_passes_as_it_stands_and_leaves_nothing(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="md-") as folder:  # a short name: sockets are made in there
        tried(name, Path(folder))


def tried(name: str, folder: Path) -> None:
    mark = f"MINIDOCKER_TEST={folder}"
    words = {"TMPDIR": str(folder), "MINIDOCKER_RUNTIME": "simulated", "MINIDOCKER_TEST": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "minidocker.grading", "check", str(FOLDER / name / "source.ipynb")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(FOLDER.parent), **words},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.iterdir()) == []
    assert [pid for pid in processes() if mark in pid] == []


def processes() -> list[str]:
    """The environment of every process that may be read; none where there is no /proc."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace"))
    return found


def whiteouts_stay(lower: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    return lower | layer


def test_a_wrong_tree_is_drawn_beside_the_expected_one(solved: Exercise) -> None:
    solved.namespace["apply"] = whiteouts_stay
    verdict = solved.judge("1.2")
    assert [figure.title for figure in verdict.figures] == ["yours", "expected"]
    assert verdict.html().count("<svg") == 2
    assert "whiteout" in verdict.twin


@pytest.mark.parametrize("thing", [None, 3, len, "apply"])
def test_a_name_that_is_no_function_is_said_to_be_none(solved: Exercise, thing: Any) -> None:
    solved.namespace["apply"] = thing
    assert not solved.judge("1.2").passed


def test_who_returns_lists_for_tuples_is_told_just_that() -> None:
    learner = {"publish": lambda text: [[f"{text}/tcp", "", ""]]}
    check, _, _ = exercise("11-networks", learner)
    assert "[a, b] is a list, and (a, b) a tuple" in str(check("11.1"))


def test_hints_open_one_after_another(solved: Exercise) -> None:
    assert [len(solved.hint("1.2").lines) for _ in range(4)] == [1, 2, 3, 3]
    assert "that is all of them" in solved.hint("1.2").title


def test_under_nbgrader_a_failed_check_raises(solved: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    solved.check("1.2")
    solved.namespace["apply"] = whiteouts_stay
    with pytest.raises(AssertionError, match="never seen in the tree"):
        solved.check("1.2")
    with pytest.raises(AssertionError, match=r"first pass 1\.2"):
        solved.transplant()


def test_a_released_notebook_is_plain_json_with_nothing_run() -> None:
    notebook = json.loads(learner("01-layers").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook["cells"])
