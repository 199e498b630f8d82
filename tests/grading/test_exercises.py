"""Every exercise, proven both ways: untouched it fails, with its solution it passes, wrong solutions get their hint."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.grading import open_exercise
from minidocker.grading.exercise import Exercise
from minidocker.grading.release import dump, namespace_of, read, released, source
from minidocker.layer import WHITEOUT

FOLDER = Path(__file__).parents[2] / "exercises"
EXERCISES = sorted(path.parent.name for path in FOLDER.glob("*/source.ipynb"))


def learner(name: str) -> Path:
    return FOLDER / name / f"{name.partition('-')[2]}.ipynb"


def without_last_cells(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook without the transplant, which builds images; that has its own tests."""
    return {**notebook, "cells": [cell for cell in notebook["cells"] if "transplant()" not in source(cell)]}


def opened(path: Path) -> Exercise:
    return open_exercise(path.parent.name, namespace_of(without_last_cells(read(path))))


@pytest.fixture
def solved() -> Exercise:
    return opened(FOLDER / "01-layers" / "source.ipynb")


def test_there_are_exercises() -> None:
    assert "01-layers" in EXERCISES


@pytest.mark.parametrize("name", EXERCISES)
def test_the_learners_notebook_is_what_the_source_releases(name: str) -> None:
    made = dump(released(read(FOLDER / name / "source.ipynb")))
    assert learner(name).read_text(encoding="utf-8") == made, "run: python -m minidocker.grading release exercises/*/"


@pytest.mark.parametrize("name", EXERCISES)
def test_no_solution_is_in_the_learners_notebook(name: str) -> None:
    text = learner(name).read_text(encoding="utf-8")
    assert "SOLUTION" not in text
    assert text.count("NotImplementedError") == len(opened(learner(name)).tasks)


@pytest.mark.parametrize("name", EXERCISES)
def test_untouched_every_task_fails_and_says_how_to_go_on(name: str) -> None:
    exercise = opened(learner(name))
    for task in exercise.tasks:
        verdict = exercise.judge(task.address)
        assert verdict.voice == "under way"
        assert "Nothing is written yet" in verdict.twin
    assert exercise.transplant().voice == "under way"
    assert exercise.check().title.startswith("0 of ")


@pytest.mark.parametrize("name", EXERCISES)
def test_with_the_solution_every_task_passes(name: str) -> None:
    exercise = opened(FOLDER / name / "source.ipynb")
    assert [exercise.judge(task.address).voice for task in exercise.tasks] == ["passed"] * len(exercise.tasks)
    assert exercise.check().voice == "passed"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_hole_has_an_address_a_check_and_the_metadata_that_nbgrader_reads(name: str) -> None:
    cells = read(FOLDER / name / "source.ipynb")["cells"]
    text = "".join(map(source, cells))
    holes = [cell for cell in cells if "BEGIN SOLUTION" in source(cell)]
    exercise = opened(FOLDER / name / "source.ipynb")
    assert len(holes) == len(exercise.tasks)
    for task, cell in zip(exercise.tasks, holes, strict=True):
        assert f"## Task {task.address}:" in text and f'check("{task.address}")' in text
        assert f"def {task.name}({', '.join(task.parameters)}):" in source(cell)
    for cell in cells:
        if "nbgrader" in cell["metadata"]:
            meta = cell["metadata"]["nbgrader"]
            assert meta["schema_version"] == 3
            assert meta["solution"] == ("BEGIN SOLUTION" in source(cell)) and meta["grade"] == ("points" in meta)


# Wrong solutions for 01-layers: each gets the hint that is meant for it.


def prefix_without_slash(lower: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    gone = [path for path, entry in layer.items() if entry.kind != "dir"]
    tree = {path: entry for path, entry in lower.items() if not any(path.startswith(top) for top in gone)}
    return tree | {path: entry for path, entry in layer.items() if entry.kind != "whiteout"}


def whiteouts_stay(lower: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    return lower | layer


def in_place(lower: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    lower.update(layer)
    return lower


def whiteout_for_each(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    changed = {path: entry for path, entry in upper.items() if lower.get(path) != entry}
    return changed | {path: WHITEOUT for path in lower if path not in upper}


def content_only(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    return {path: e for path, e in upper.items() if path not in lower or lower[path].data != e.data}


def no_chain(diff_ids: list[str]) -> list[str]:
    import hashlib

    hashed = [hashlib.sha256(f"{a} {b}".encode()).hexdigest() for a, b in itertools.pairwise(diff_ids)]
    return diff_ids[:1] + [f"sha256:{digits}" for digits in hashed]


def no_algorithm(blob: bytes, digest: str) -> bool:
    import hashlib

    return hashlib.sha256(blob).hexdigest() == digest.rpartition(":")[2]


def of_a_liar(diff_ids: list[str]) -> Any:  # noqa: ARG001
    class Liar(list[str]):
        def __eq__(self, other: object) -> bool:
            return True

    return Liar()


def borrows(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    from minidocker import layer, tree

    return dict(layer.diff(tree.Tree(lower), tree.Tree(upper)).items())


def other_names(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    return {}


def crashes(blob: bytes, digest: str) -> bool:  # noqa: ARG001
    raise ValueError("oh")


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("1.2", prefix_without_slash, "under way", "'/tmp/', slash included"),
    ("1.2", whiteouts_stay, "under way", "it is never seen in the tree"),
    ("1.2", in_place, "cannot pass", "changes its arguments"),
    ("1.2", other_names, "cannot pass", "The engine calls apply(lower, layer); yours is apply(lower, upper)"),
    ("1.3", whiteout_for_each, "under way", "One whiteout at the top"),
    ("1.3", content_only, "under way", "a new mode is a change"),
    ("1.3", borrows, "cannot pass", "minidocker's own diff()"),
    ("1.4", no_chain, "under way", "not of the diff id below it"),
    ("1.4", of_a_liar, "cannot pass", "must return a list, and returns a Liar"),
    ("1.1", no_algorithm, "under way", "A digest is `algorithm:hex`"),
    ("1.1", crashes, "under way", "ValueError: oh (line 2 of crashes)"),
]


@pytest.mark.parametrize(("address", "function", "voice", "hint"), WRONG, ids=[case[1].__name__ for case in WRONG])
def test_a_wrong_solution_gets_its_hint(
    solved: Exercise, address: str, function: Callable[..., Any], voice: str, hint: str
) -> None:
    name = next(task.name for task in solved.tasks if task.address == address)
    solved.namespace[name] = function
    verdict = solved.judge(address)
    assert (verdict.voice, verdict.passed) == (voice, False)
    assert hint in verdict.twin and hint.replace("'", "&#x27;") in verdict.html().replace("'", "&#x27;")


def test_a_wrong_tree_is_drawn_beside_the_expected_one(solved: Exercise) -> None:
    solved.namespace["apply"] = prefix_without_slash
    verdict = solved.judge("1.2")
    assert [figure.title for figure in verdict.figures] == ["yours", "expected"]
    assert verdict.html().count("<svg") == 2
    assert "tmpfile" in verdict.twin


@pytest.mark.parametrize("thing", [None, 3, len, "apply"])
def test_a_name_that_is_no_function_is_said_to_be_none(solved: Exercise, thing: Any) -> None:
    solved.namespace["apply"] = thing
    assert not solved.judge("1.2").passed


def test_hints_open_one_after_another(solved: Exercise) -> None:
    assert [len(solved.hint("1.2").lines) for _ in range(4)] == [1, 2, 3, 3]
    assert "that is all of them" in solved.hint("1.2").title


def test_under_nbgrader_a_failed_check_raises(solved: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    solved.check("1.2")
    solved.namespace["apply"] = whiteouts_stay
    with pytest.raises(AssertionError, match="never seen in the tree"):
        solved.check("1.2")


def test_a_released_notebook_is_plain_json_with_nothing_run() -> None:
    notebook = json.loads(learner("01-layers").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook["cells"])
