"""What the tests of exercises share: a solved exercise, and the verdict on one more function in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.grading import open_exercise
from minidocker.grading.exercise import Exercise
from minidocker.grading.release import namespace_of, read, source
from minidocker.grading.verdict import Verdict
from tests.grading.proofs import Judge

FOLDER = Path(__file__).parents[2] / "exercises"
EXERCISES = sorted(path.parent.name for path in FOLDER.glob("[0-9]*-*/source.ipynb"))  # the capstone is of another kind


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root folder of an engine that all tests of grading share: the image of a sandbox is made once."""
    folder = tmp_path_factory.mktemp("root")
    with minidocker.connect(folder) as engine:
        yield engine.root
        assert engine.containers.list(all=True) == [], "a sandbox is left"


@cache
def _names(path: Path) -> dict[str, Any]:
    """The functions of a notebook; not its transplant, which builds images and has its own tests."""
    notebook = read(path)
    cells = [cell for cell in notebook["cells"] if "transplant()" not in source(cell)]
    return namespace_of({**notebook, "cells": cells})


@pytest.fixture
def opened() -> Callable[[Path], Exercise]:
    """An exercise with the functions of a notebook."""

    def open_one(path: Path) -> Exercise:
        return open_exercise(path.parent.name, dict(_names(path)))

    return open_one


@pytest.fixture
def judge(opened: Callable[[Path], Exercise]) -> Judge:
    """`judge("01-layers", "1.2", function)`: the verdict on `function` in a notebook where all else is solved."""

    def give(name: str, address: str, function: Callable[..., Any]) -> Verdict:
        exercise = opened(FOLDER / name / "source.ipynb")
        task = next(task for task in exercise.tasks if task.address == address)
        exercise.namespace[task.name] = function
        return exercise.judge(address)

    return give


@pytest.fixture
def solved(
    request: pytest.FixtureRequest, opened: Callable[[Path], Exercise], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The functions of the solved notebook that a module of tests names as its SOURCE; the engine is simulated."""
    monkeypatch.setenv("MINIDOCKER_RUNTIME", "simulated")
    return dict(opened(request.module.SOURCE).namespace)
