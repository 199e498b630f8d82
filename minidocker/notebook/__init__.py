"""minidocker in a notebook: `%load_ext minidocker`, `%%dockerfile`, `%docker`, and objects that draw themselves.

    figure(thing)      the picture of an image, a layer, a build, a container, an engine
    walk(engine, name) from Dockerfile to container, in one picture that grows
    compare(guess, measured)   a prediction beside what was measured
    lesson("00")       a clean engine of its own, and an empty folder, for one notebook

Nothing of Jupyter is imported before it is used; the pictures need none of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.notebook.svg import Figure

__all__ = ["compare", "figure", "lesson", "load_ipython_extension", "mimebundle", "text", "walk"]


def mimebundle(thing: Any) -> dict[str, str]:
    """What `_repr_mimebundle_` of every minidocker object gives: `{"text/plain": …, "text/html": …}`."""
    from minidocker.notebook import pictures

    return pictures.mimebundle(thing)


def text(thing: Any) -> str:
    """The text twin of a thing's picture: what `print(image)` shows."""
    from minidocker.notebook import pictures

    return pictures.text(thing)


def figure(thing: Any) -> Figure:
    """The picture of a thing, as a value with `.svg()`, `.html()` and `.twin`."""
    from minidocker.notebook import pictures

    return pictures.figure(thing)


def walk(engine: Engine, name: str, dockerfile: str = "") -> Figure:
    """The way of one image through this engine so far: Dockerfile, layers, image, containers."""
    from minidocker.notebook import pictures

    return pictures.walk(engine, name, dockerfile)


def compare(guesses: dict[str, Any], measured: dict[str, Any]) -> Figure:
    """What somebody predicted beside what was measured."""
    from minidocker.notebook import lessons

    return lessons.compare(guesses, measured)


def lesson(name: str) -> tuple[Engine, Path]:
    """A clean engine and an empty folder for one lesson; both vanish with the kernel, or when it is opened anew."""
    from minidocker.notebook import lessons

    return lessons.open_lesson(name)


def load_ipython_extension(ipython: Any) -> None:
    """What `%load_ext minidocker` calls: adds `%%dockerfile` and `%docker`, and makes errors short."""
    from minidocker.notebook import magics

    magics.register(ipython)
