"""A Dockerfile is tried: build, run, edit one file, build again, run again; and all of it is measured.

Each trial has an engine of its own with an empty build cache. RUN has no network. Nothing of it is left afterwards.
"""

from __future__ import annotations

import base64
import contextlib
import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from minidocker.build.together import Stopped
from minidocker.errors import BuildError, DockerException
from minidocker.grading.operation import environment
from minidocker.grading.project import KEPT, Project
from minidocker.notebook.pictures.svg import Figure

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.explain import Line
    from minidocker.image import Image

PATIENCE = 20  # seconds that the program may take to print a few lines
LIMIT = 90  # seconds that one build may take; the given one takes about five


@dataclass(frozen=True)
class Trial:
    """What came of it. `printed` are the two runs; `leaks` where the token was found: in `sight` or in a `layer`."""

    printed: tuple[str, str]
    missing: tuple[str, ...]
    lines: Sequence[Line]
    cached: int
    built: int
    seconds: float
    leaks: tuple[str, ...]
    ladder: Figure

    @property
    def size(self) -> int:
        """Bytes of content in the layers that did not come with the base."""
        return sum(line.size for line in self.lines)


def attempt(dockerfile: str, dockerignore: str, project: Project, name: str) -> Trial | str:
    """Try it; in words what went wrong, where it cannot be built or started at all."""
    from minidocker.notebook.lessons import close_lesson, lesson

    with environment(SOURCE_DATE_EPOCH=None, MINIDOCKER_RUNTIME=runtime()):
        engine, folder = lesson("capstone")
        try:
            return _tried(engine, folder, dockerfile, dockerignore, project, name)
        except Stopped:
            return f"A build took more than {LIMIT} seconds, and was ended."
        except BuildError as error:
            return f"The build failed: {error.msg}"[:400]
        except DockerException as error:
            return f"The engine refused: {error}"[:400]
        finally:
            close_lesson("capstone")


def runtime() -> str | None:
    """Simulated where containers have one user only, since the program is to run as another one; else as usual."""
    from minidocker.runtime import mapped

    alone = hasattr(os, "geteuid") and os.geteuid() and not mapped.ranges()
    return "simulated" if alone else os.environ.get("MINIDOCKER_RUNTIME")


def _tried(engine: Engine, folder: Path, dockerfile: str, dockerignore: str, project: Project, name: str) -> Trial:
    from minidocker.notebook.pictures.ladder import ladder

    secrets = {"env": project.files()[".env"]}
    images, printed, started = [], [], 0.0
    for edited in (False, True):
        project.write(folder, dockerignore, edited)
        started = perf_counter()
        image, build = engine.images.build(
            path=str(folder), text=dockerfile, tag="app", secrets=secrets, network_mode="none", guard=_in_time
        )
        seconds = perf_counter() - started
        images.append(image)
        printed.append(_run(engine))
    made = [step for step in build.steps if step.layer and step.layer.size]
    cached = sum(step.decision.hit for step in made)
    return Trial(
        (printed[0], printed[1]),
        tuple(_missing(images[1], project)),
        images[1].explain().own,
        cached,
        len(made) - cached,
        seconds,
        tuple(sorted({leak for image in images for leak in _leaks(image, project.token)})),
        ladder(f"{name}: the build after an edit of {project.edited}", build.steps),
    )


@contextlib.contextmanager
def _in_time(stop: Callable[[], None]) -> Iterator[None]:
    """End what goes on for too long; more than once, since something may be about to begin."""
    over = threading.Event()

    def watch() -> None:
        if not over.wait(LIMIT):
            stop()
            while not over.wait(0.2):
                stop()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _run(engine: Engine) -> str:
    """What the image's own command prints, as far as it ends at all."""
    container = engine.containers.create("app", network_mode="none")
    try:
        container.start()
        container.wait(timeout=PATIENCE)
        printed: bytes = container.logs(stderr=False)
        return printed.decode(errors="replace")
    except Exception as error:  # a timeout is requests' own kind, where that is there
        return f"{type(error).__name__}: {error}"
    finally:
        container.remove(force=True)


def _missing(image: Image, project: Project) -> Iterator[str]:
    """The files of the project that the image has to have, and has not, or not as they are."""
    tree, files = image.tree(), project.files(edited=True)
    for name in KEPT:
        entry = tree.get(f"/app/{name}")
        if entry is None or entry.kind != "file" or entry.data.read() != files[name].encode():
            yield f"/app/{name}"


def _leaks(image: Image, token: str) -> Iterator[str]:
    """Where the token can be found: `sight` (configuration, history, a file that containers see) or only a `layer`."""
    needles = [token.encode(), base64.b64encode(token.encode()).rstrip(b"=")]
    store, layers = image.store, [layer.descriptor.digest for layer in image.layers]
    for digest in (image.manifest_digest, image.id):
        if any(_holds(store.path(digest), needle) for needle in needles):
            yield "sight"
    found = [digest for digest in layers if any(_holds(store.path(digest), needle) for needle in needles)]
    if found:
        yield "layer"
        seen = (entry.data.read() for _, entry in image.tree().items() if entry.kind == "file" and entry.size < 1 << 20)
        if any(needle in data for data in seen for needle in needles):
            yield "sight"


def _holds(path: Path, needle: bytes) -> bool:
    with path.open("rb") as file, contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as blob:
        return blob.find(needle) >= 0
