"""A registry for one notebook: it listens on this machine alone, and goes when the lesson goes.

    hub = registry(folder / "registry")
    engine.images.push(f"{hub}/shop:1")     # its address is its name, as always with registries

Its port is a free one, another each time. That is why no picture shows it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from minidocker.content import Store
from minidocker.errors import Unsupported
from minidocker.notebook.pictures.repository import Part, Snapshot, look
from minidocker.notebook.pictures.storegraph import registry_figure
from minidocker.registry.server import Registry
from minidocker.registry.serving import serving
from minidocker.web.message import Request, Response

HOST = "127.0.0.1"
_open: dict[Path, Hub] = {}


class Hub(Registry):
    """A registry over a folder, and its address (`str(hub)`). `pause`: seconds that each answer takes longer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Store(folder))
        self.pause = 0.0
        self._running = contextlib.ExitStack()
        self.name = self._running.enter_context(serving(self, f"{HOST}:0")).partition("//")[2]

    def __str__(self) -> str:
        return self.name

    def __call__(self, request: Request) -> Response:
        """Answer, a little later."""
        time.sleep(self.pause)
        return super().__call__(request)

    def look(self, repository: str) -> Snapshot:
        """What a repository has now: its tags, and the images that they point to."""
        return look(self.shelf.repository(repository))

    def parts(self) -> dict[str, Part]:
        """All manifests here, and the blobs that they name."""
        images = [image for name in self.shelf.names() for image in self.look(name).images]
        manifests = [Part(one.digest, "manifest", f"for {one.platform}", 0, one.id) for one in images]
        return {part.digest: part for part in [*manifests, *(part for image in images for part in image.parts)]}

    def close(self) -> None:
        """Listen no more."""
        self._running.close()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return registry_figure([self.look(name) for name in self.shelf.names()])._repr_mimebundle_()


def registry(folder: Path) -> Hub:
    """The registry over a folder; it begins to listen when it is first asked for. Raises Unsupported."""
    if sys.platform == "emscripten":
        raise Unsupported("a registry needs sockets, and Python in a browser has none: run this lesson with `make lab`")
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if HOST not in known.split(","):  # else Python's own urlopen asks a proxy, where there is one, for this machine too
        os.environ["no_proxy"] = f"{known},{HOST}".strip(",")
    folder = folder.resolve()
    if folder not in _open:
        folder.mkdir(parents=True, exist_ok=True)
        _open[folder] = Hub(folder)
    return _open[folder]


def close_below(home: Path) -> None:
    """Close the registries over folders below this one."""
    for folder in [folder for folder in _open if folder.is_relative_to(home.resolve())]:
        _open.pop(folder).close()
