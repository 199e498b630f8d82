"""Exercises: write a piece of Docker, check it, and let the engine run on it.

    check, hint, transplant = exercise("01-layers", globals())
    check("1.2")      passed, a hint while under way, or why it cannot pass; with your result beside the expected one
    hint("1.2")       one hint more
    transplant()      the engine builds an image with your functions, and arrives at the reference's digest

Of `capstone` the third one is `measure`: what is written there is tried, and gets its points by what comes of it.

A learner's functions are found by their names in the notebook, never by where a cell stands or what its metadata say.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from importlib import import_module
from typing import Any

from minidocker.errors import NotFound
from minidocker.grading.exercise import Exercise
from minidocker.grading.verdict import Message, Verdict

__all__ = ["exercise"]

MODULES = {  # exercise -> the module with its TASKS and its transplant()
    "01-layers": "layers",
    "02-images": "images",
    "03-stacking": "stacking",
    "04-containers": "containers",
    "05-isolation": "isolation",
    "06-dockerfile": "dockerfile",
    "07-build-cache": "buildcache",
    "08-registries": "registries",
    "09-client-and-daemon": "daemon",
    "10-volumes-and-plugins": "volumes",
    "11-networks": "networks",
    "capstone": "capstone",
}

Tools = tuple[Callable[..., Verdict | Message], Callable[[str], Message], Callable[..., Verdict]]


def exercise(name: str, namespace: MutableMapping[str, Any]) -> Tools:
    """`check`, `hint` and `transplant` (or `measure`) for one exercise, bound to a notebook's `globals()`.

    Raises NotFound for an exercise that does not exist.
    """
    opened = open_exercise(name, namespace)
    return opened.check, opened.hint, opened.transplant


def open_exercise(name: str, namespace: MutableMapping[str, Any]) -> Exercise:
    """The exercise itself, for whoever grades it."""
    if name not in MODULES:
        raise NotFound(f"there is no exercise {name!r}; there are: {', '.join(MODULES)}")
    module = import_module(f"minidocker.grading.{MODULES[name]}")
    if hasattr(module, "opened"):  # of another kind than tasks with cases
        other: Exercise = module.opened(name, namespace)
        return other
    return Exercise(name, module.TASKS, module.transplant, namespace)
