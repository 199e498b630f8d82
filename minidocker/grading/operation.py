"""The transplant: an engine lives one small life with minidocker's own functions, one with the learner's.

An exercise brings files, a `Life` (what the engine does with them, and what came of it) and a `Graft` (which of the
engine's functions the learner's take the place of). Each life has an engine and a folder of its own, with fixed times
and modes, so that what comes of it is the same to the last digit, or the organs are to blame.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import BuildError, DockerException
from minidocker.grading.transplant import Counted, Functions, replaced
from minidocker.grading.verdict import Verdict
from minidocker.notebook.pictures.svg import Figure

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.image import Image


@dataclass(frozen=True)
class Outcome:
    """What an engine came to: facts by name, which are compared (no ids or times), and a picture of it."""

    facts: Mapping[str, str]
    picture: Figure


Organs = Mapping[str, Counted]  # the learner's functions by their names
Graft = Callable[[Organs], Functions]  # the engine's function -> what runs in its place
Life = Callable[["Engine", Path, str], Outcome]  # engine, folder, title of the picture -> what came of it


def operate(organs: Organs, graft: Graft, live: Life, files: Mapping[str, str], runtime: str = "") -> Verdict:
    """Live twice, with the reference's functions and with the learner's, and compare what came of it.

    `files` are written into the folder before (modes 644 and 755); `runtime` is for organs that only one of them has.
    """
    with environment(SOURCE_DATE_EPOCH=None, MINIDOCKER_RUNTIME=runtime or os.environ.get("MINIDOCKER_RUNTIME")):
        reference = _lived(live, files, "reference")
        try:
            with replaced(graft(organs)):
                yours = _lived(live, files, "yours")
        except BuildError as error:
            return Verdict("Transplant: the build failed", (str(error.msg)[:300],), "cannot pass")
        except DockerException as error:
            return Verdict("Transplant: the engine refused", (str(error)[:300],), "cannot pass")
        except Exception as error:  # a learner's function may raise anything where no case has led it
            said = f"The engine called your functions, and one raised {type(error).__name__}: {error}"
            return Verdict("Transplant: the engine stopped", (said[:300],), "cannot pass")
    lines = [_compared(name, yours.facts.get(name, ""), reference.facts[name]) for name in reference.facts]
    lines.append("the engine called: " + ", ".join(f"{name} {organ.calls} times" for name, organ in organs.items()))
    alike = dict(yours.facts) == dict(reference.facts)
    title = "the engine lives on your functions" if alike else "the engine came to something else"
    return Verdict(
        f"Transplant: {title}", tuple(lines), "passed" if alike else "under way", yours.picture, reference.picture
    )


def counted(names: Mapping[str, Any], tasks: tuple[Any, ...]) -> Organs:
    """The learner's functions for these tasks, each counting its calls."""
    return {task.name: Counted(names[task.name]) for task in tasks}


def core(image: Image, engine: Engine, title: str) -> Figure:
    """An image as a core sample, the course's own base folded."""
    from minidocker.explain import base_of
    from minidocker.notebook.pictures.facts import rows
    from minidocker.notebook.pictures.stack import core_sample

    return core_sample(title, rows(image, base_of(image, engine.images.list())))


def _compared(name: str, yours: str, reference: str) -> str:
    return f"{name}: {yours} in both" if yours == reference else f"{name}: yours {yours}, the reference's {reference}"


def _lived(live: Life, files: Mapping[str, str], title: str) -> Outcome:
    """One life, in a lesson that is closed afterwards."""
    from minidocker.notebook.lessons import close_lesson, lesson

    engine, folder = lesson("transplant")
    try:
        for name, words in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o755)
            path.write_bytes(words.encode())
            path.chmod(0o644)
        return live(engine, folder, title)
    finally:
        close_lesson("transplant")


@contextlib.contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Set environment variables (None: leave it for now), and put them back as they were."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        os.environ.update({name: value for name, value in variables.items() if value is not None})
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})
