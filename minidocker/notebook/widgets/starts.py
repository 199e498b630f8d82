"""`starts(engine)`: how long a plain process, a container and a virtual machine take from start to end.

The first two are measured here, as often as you press the button; the last one is cited.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as W

from minidocker.errors import DockerException
from minidocker.notebook.pictures.starts import MACHINE, Start, starts_figure
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.widgets.face import Faced, Picture

if TYPE_CHECKING:
    from minidocker.engine import Engine

TIMES = 5  # of which the middle one is shown
RECORDED = (0.0008, 0.015)  # on the machine where the lesson was written: Linux, two processors
NOTHING = {"linux": ["true"], "darwin": ["true"]}  # a program that does nothing, by system


class Starts(Faced):
    """Three bars, and a button to measure again."""

    def __init__(self, engine: Engine, image: str) -> None:
        self.engine, self.image = engine, image
        self.again = W.Button(description="measure again", tooltip="start each of them five times more")
        self.again.on_click(lambda _: self.measure())
        self.picture = Picture()
        super().__init__([self.again, self.picture])
        self.measure()

    def measure(self) -> None:
        """Start both a few times, and draw."""
        try:
            plain, contained = middle(process), middle(self._container)
        except (DockerException, OSError) as error:
            self.picture.figure = starts_figure([MACHINE], f"not measured: {error}".partition("\n")[0])
            return
        played = "" if self.engine.runtime.name == "namespaces" else ", played by the simulated runtime"
        self.picture.figure = _drawn(plain, contained, "measured here, the middle of 5", played)

    def _container(self) -> None:
        self.engine.containers.run(self.image, "true", remove=True)

    def face(self) -> Figure:
        """What was recorded when the lesson was written."""
        return _drawn(*RECORDED, "recorded when this lesson was written")


def starts(engine: Engine, image: str = "minidocker/base") -> Starts:
    """Measure how long a process and a container of an image take, beside a virtual machine."""
    return Starts(engine, image)


def process() -> None:
    """A plain process: a program that does nothing."""
    subprocess.run(NOTHING.get(sys.platform, [sys.executable, "-S", "-c", ""]), check=True)


def middle(run: Callable[[], None]) -> float:
    """The median of some times, in seconds; the first is left out."""
    run()
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _drawn(plain: float, contained: float, source: str, played: str = "") -> Figure:
    starts = [Start("a plain process", plain, plain, source)]
    starts += [Start("a container", contained, contained, source + played), MACHINE]
    return starts_figure(starts)
