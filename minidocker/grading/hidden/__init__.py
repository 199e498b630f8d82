"""Instructor-only checks: cases that a learner's notebook neither has nor runs, one module for each exercise.

They say the same rules as the public cases, of other values: a function that is right for the examples only fails here.
Nothing that a learner runs imports these modules; `course release` hands the course out without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from minidocker.errors import NotFound

if TYPE_CHECKING:
    from minidocker.grading.exercise import Case


def hidden_cases(exercise: str) -> Mapping[str, tuple[Case, ...]]:
    """The hidden cases of an exercise by the address of their task.

    >>> [case.say for case in hidden_cases("01-layers")["1.4"]][0]
    'four layers'

    Raises NotFound where this copy of the course came without them.
    """
    from minidocker.grading import MODULES

    try:
        module = import_module(f"minidocker.grading.hidden.{MODULES[exercise]}")
    except ModuleNotFoundError:
        raise NotFound(f"this copy of the course has no hidden checks of {exercise}") from None
    found: Mapping[str, tuple[Case, ...]] = module.HIDDEN
    return found
