"""A Dockerfile is tried: build, run, edit one file, build again, run again; and all of it is measured.

Each trial has an engine of its own with an empty build cache. RUN has no network. Nothing of it is left afterwards.
"""

from __future__ import annotations

import base64
import contextlib
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from minidocker.errors import BuildError, DockerException
from minidocker.explain import Line
from minidocker.grading.project import KEPT, Project
from minidocker.notebook.pictures.svg import Figure

if TYPE_CHECKING:
    from minidocker.build.step import Step
    from minidocker.engine import Engine
    from minidocker.image import Image

PATIENCE = 20  # seconds that the program may take to print a few lines


@dataclass(frozen=True)
class Trial:
    """What came of it. `printed` are the two runs; `leaks` where the token was found: in `sight` or in a `layer`.

    Of the steps of the second build that make files, so many were `cached`, and `built`; and so many works `kept`.
    """

    printed: tuple[str, str]
    missing: tuple[str, ...]
    lines: Sequence[Line]
    cached: int
    built: int
    kept: int
    seconds: float
    leaks: tuple[str, ...]
    ladder: Figure

    @property
    def size(self) -> int:
        """Bytes of content in the layers that did not come with the base."""
        return sum(line.size for line in self.lines)

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Trial:
        """One that was written down, by `asdict`."""
        lines, ladder = tuple(Line(**line) for line in raw["lines"]), Figure(**raw["ladder"])
        texts = {name: tuple(raw[name]) for name in ("printed", "missing", "leaks")}
        return cls(**{**raw, **texts, "lines": lines, "ladder": ladder})


def runtime() -> str | None:
    """Simulated where containers have one user only, since the program is to run as another one; else as usual."""
    from minidocker.runtime import mapped

    alone = hasattr(os, "geteuid") and os.geteuid() and not mapped.ranges()
    return "simulated" if alone else os.environ.get("MINIDOCKER_RUNTIME")


def tried(
    home: Path,
    dockerfile: str,
    dockerignore: str,
    project: Project,
    name: str,
    options: Mapping[str, Any] | None = None,
) -> Trial | str:
    """Try it in an empty folder; in words what went wrong, where it cannot be built or started at all.

    `options` are the limits of each RUN and of the image's own command, as `docker run` knows them.
    """
    import minidocker

    (home / "folder").mkdir()
    engine = minidocker.connect(home / "engine")
    try:
        return _measured(engine, home / "folder", (dockerfile, dockerignore), project, name, options or {})
    except BuildError as error:
        return f"The build failed: {error.msg}".replace(str(home), "…")[:400]
    except MemoryError:
        return "The build took all the memory that it may."
    except DockerException as error:
        return f"The engine refused: {error}".replace(str(home), "…")[:400]
    finally:
        engine.close()


def _measured(
    engine: Engine,
    folder: Path,
    words: tuple[str, str],
    project: Project,
    name: str,
    options: Mapping[str, Any],
) -> Trial:
    from minidocker.notebook.pictures.ladder import ladder

    given: dict[str, Any] = {"secrets": {"env": project.files()[".env"]}, "network_mode": "none"}
    given["around"] = partial(nullcontext, _box(engine, options))
    images, printed, seconds = [], [], 0.0
    for edited in (False, True):
        project.write(folder, words[1], edited)
        started = perf_counter()
        image, build = engine.images.build(path=str(folder), text=words[0], tag="app", **given)
        seconds = perf_counter() - started
        images.append(image)
        printed.append(_run(engine, options))
    made = [step for step in build.steps if step.layer and step.layer.size]
    cached = sum(step.decision.hit for step in made)
    return Trial(
        (printed[0], printed[1]),
        tuple(_missing(images[1], project)),
        images[1].explain().own,
        cached,
        len(made) - cached,
        sum(_kept(made, words) for words in project.works()),
        seconds,
        tuple(sorted({leak for image in images for leak in _leaks(image, project.token)})),
        ladder(f"{name}: the build after an edit of {project.edited}", build.steps),
    )


def _kept(made: Sequence[Step], words: str) -> bool:
    """Whether a file with these words was made by RUN, and came from the cache, wherever RUN made it.

    Steps alone do not tell: anybody can add idle ones that are cached for ever.
    """
    hits: dict[str, bool] = {}
    for step in made:
        if step.layer and step.text[:3].upper() == "RUN":
            for path, entry in step.layer.changes.items():
                if entry.kind == "file" and entry.size == len(words) and entry.data.read() == words.encode():
                    hits.setdefault(path, step.decision.hit)
    return bool(hits) and all(hits.values())


def _box(engine: Engine, options: Mapping[str, Any]) -> dict[str, Any]:
    """What each RUN gets, whatever its flags ask for: no network, and the limits that can be enforced here."""
    from minidocker.container.options import limits

    wanted = limits.boxed({"Id": "trial", "HostConfig": limits.host_config(options)})["limits"]
    known = engine.runtime.supports()
    return {"network": "none", "limits": {key: value for key, value in wanted.items() if key in known}}


def _run(engine: Engine, options: Mapping[str, Any]) -> str:
    """What the image's own command prints, as far as it ends at all."""
    rotated = {} if engine.runtime.name == "simulated" else {"max-size": "1m"}  # what is printed for ever
    log = {"Type": "json-file", "Config": rotated}
    container = engine.containers.create("app", network_mode="none", log_config=log, **options)
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
        wanted = files[name].encode()
        if entry is None or entry.kind != "file" or entry.size != len(wanted) or entry.data.read() != wanted:
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
