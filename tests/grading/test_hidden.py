"""Hidden cases: solutions pass them, whoever knows the examples only fails them, and no learner's process has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.errors import NotFound
from minidocker.grading.compare import Prop, describe, same
from minidocker.grading.exercise import Exercise, Task
from minidocker.grading.hidden import hidden_cases
from tests.grading.conftest import EXERCISES, FOLDER

Opened = Callable[[Path], Exercise]


def memorized(task: Task) -> Callable[..., Any]:
    """A function that is right for the public cases, whose results it has learnt by heart, and for nothing else."""

    def recall(*arguments: Any) -> Any:
        for case in task.cases:
            if described(arguments) == described(case.arguments) and same(arguments, case.arguments):
                if isinstance(case.want, type):
                    raise case.want("by heart")
                return case.want
        return None

    names = ", ".join(task.parameters)
    made: dict[str, Callable[..., Any]] = {"recall": recall}
    exec(f"def {task.name}({names}):\n    return recall({names})", made)  # with the parameters that are asked for
    return made[task.name]


def described(arguments: tuple[Any, ...]) -> list[Any]:
    """The arguments in words; of two props `same` says nothing, but what they will do is seen."""
    return [vars(one).copy() if isinstance(one, Prop) else describe(one) for one in arguments]


@pytest.mark.parametrize("name", EXERCISES)
def test_every_task_has_three_of_them_or_more_and_none_is_a_public_one(name: str, opened: Opened) -> None:
    tasks = opened(FOLDER / name / "source.ipynb").tasks
    hidden = hidden_cases(name)
    assert list(hidden) == [task.address for task in tasks]
    for task in tasks:
        public = [described(case.arguments) for case in task.cases]
        assert len(hidden[task.address]) >= 3
        assert not [case.say for case in hidden[task.address] if described(case.arguments) in public]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes_them(name: str, opened: Opened) -> None:
    exercise = opened(FOLDER / name / "source.ipynb")
    said = [exercise.check(task.address, hidden=True) for task in exercise.tasks]
    assert all("hidden cases hold" in verdict.twin for verdict in said), [verdict.twin for verdict in said]


@pytest.mark.parametrize("name", EXERCISES)
def test_who_knows_the_examples_only_passes_in_public_and_fails_here(name: str, opened: Opened) -> None:
    exercise = opened(FOLDER / name / "source.ipynb")
    for task in exercise.tasks:
        exercise.namespace[task.name] = memorized(task)
        assert exercise.judge(task.address).passed
        verdict = exercise.check(task.address, hidden=True)
        assert verdict.voice != "passed" and "hidden case" in verdict.title


@pytest.mark.parametrize("name", EXERCISES)
def test_what_is_hidden_is_in_no_process_of_a_learners(name: str) -> None:
    learnt = f"from minidocker.grading import exercise; check, *_ = exercise({name!r}, globals()); check(); import sys"
    said = f"{learnt}; print([name for name in sys.modules if name.startswith('minidocker.grading.hidden.')])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr


def test_a_course_that_was_given_out_without_them_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minidocker.grading.hidden.layers", None)
    with pytest.raises(NotFound, match="this copy of the course has no hidden checks of 01-layers"):
        hidden_cases("01-layers")
