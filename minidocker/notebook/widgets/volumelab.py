"""`volume_lab(engine, folder)`: one container with four folders, each kept somewhere else; remove it, and look.

The buttons are Docker's own verbs; what is mounted as the fourth folder can be chosen. What a container has mounted is
settled when it is made, so another choice counts from the next one on.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from minidocker.errors import DockerException, NotFound
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.homes import Home, homes_figure, look, without
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.widgets.face import Faced, Picture, on_change

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine

NAME, VOLUME = "lab", "lab-data"
PLACES = ("/own", "/named", "/bound", "/fourth")
RECIPE = f"FROM minidocker/base\nRUN for p in {' '.join(PLACES)}; do mkdir $p; echo apples > $p/menu; done\n"
WAITS = ["sh", "-c", "while :; do sleep 1000; done"]
FOURTH = {  # what can be mounted as the fourth folder -> as `docker run` has it
    "an anonymous volume": "-v /fourth",
    "the volume of /named": f"-v {VOLUME}:/fourth",
    "the volume of /named, read-only": f"-v {VOLUME}:/fourth:ro",
    "nothing": "",
    "memory (tmpfs)": "--tmpfs /fourth",  # not simulated: there each process has a memory of its own
}
WRITE, RUN, RM, RM_V, PRUNE = "write", "docker run", "docker rm -f", "docker rm -f -v", "docker volume prune"


class VolumeLab(Faced):
    """A container, its folders, what keeps them, and buttons."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder, self.files = engine, folder / "desk", 0
        self.container: Container | None = None
        self.homes: tuple[Home, ...] = ()
        self.said: list[str] = []
        self._clear()
        self.folder.mkdir()
        self.image, _ = engine.images.build(text=RECIPE, tag=NAME)
        self.picture = Picture()
        does: dict[str, Callable[[], None]] = {WRITE: self.write, RUN: self.run, RM: self.remove}
        does |= {RM_V: partial(self.remove, v=True), PRUNE: self.prune}
        self.buttons = {name: self._button(name, act) for name, act in does.items()}
        choices = list(FOURTH) if engine.runtime.name == "namespaces" else list(FOURTH)[:-1]
        self.fourth = W.Dropdown(
            options=choices, description="/fourth is", style={"description_width": "initial"},
            layout={"width": "max-content", "margin": "0 0 0 12px"},
        )  # fmt: skip
        on_change(self.fourth, lambda _: self.act(self._chosen))
        row = W.HBox([*self.buttons.values(), self.fourth], layout={"flex_flow": "row wrap", "align_items": "center"})
        super().__init__([row, self.picture])
        self.act(self.run)

    def _button(self, name: str, act: Callable[[], None]) -> Any:
        button = W.Button(description=name, tooltip=name, layout={"width": "auto"})
        button.on_click(lambda _: self.act(act))
        return button

    def act(self, does: Callable[[], None]) -> None:
        """Do what a control says, and draw what there is then; what Docker refuses is told in its words."""
        try:
            does()
        except (DockerException, OSError) as error:
            self.said.append(f"Docker says: {error}".partition("\n")[0])
        self.refresh()

    def run(self) -> None:
        """Make and start the container, with what is chosen; an older one of its name is removed."""
        self._remove()
        option = FOURTH[self.fourth.value].split()
        volumes = [f"{VOLUME}:/named", f"{self.folder}:/bound", *option[1:] * (option[:1] == ["-v"])]
        memory = {"/fourth": ""} if option[:1] == ["--tmpfs"] else None
        self.container = self.engine.containers.run(
            self.image, WAITS, name=NAME, detach=True, volumes=volumes, tmpfs=memory, stop_signal="KILL"
        )
        words = " ".join(["-d --name", NAME, f"-v {VOLUME}:/named -v …/desk:/bound", *option])
        self.said.append(f"docker run {words} {NAME}")

    def write(self) -> None:
        """Write one more file into each folder."""
        container = self._there()
        self.files += 1
        self.said.append(f"docker exec {NAME}: a file note-{self.files} into each folder")
        command = "; ".join(f"echo note > {place}/note-{self.files}" for place in PLACES)
        said = container.exec_run(["sh", "-c", command]).output.decode()
        self.said += [line.partition(": ")[2] for line in said.splitlines()]

    def remove(self, v: bool = False) -> None:
        """Remove the container; with `v` its anonymous volumes, too."""
        self._there().remove(force=True, v=v)
        self.container = None
        self.said.append(f"{RM_V if v else RM} {NAME}")

    def prune(self) -> None:
        """Remove the anonymous volumes that nobody has."""
        gone = self.engine.volumes.prune()["VolumesDeleted"] or []
        self.said.append(f"{PRUNE}: {count(len(gone), 'volume')} removed")

    def _there(self) -> Container:
        if self.container is None:
            raise NotFound(f"No such container: {NAME}")
        return self.container

    def _chosen(self) -> None:
        when = "what is mounted was settled when the container was made: this counts from the next docker run on"
        self.said.append(when if self.container else f"the next container has {FOURTH[self.fourth.value] or 'none'}")

    def refresh(self) -> None:
        """Draw all as it is now."""
        try:
            if self.container is not None:
                self.homes = look(self.container, PLACES)
        except DockerException:  # somebody else stopped or removed it
            self.container = None
        if self.container is None:
            self.homes = tuple(without(self.engine, home) for home in self.homes)
        self.picture.figure = self.face()
        for name, button in self.buttons.items():
            button.disabled = (self.container is None) is not (name == RUN) and name != PRUNE

    def face(self) -> Figure:
        """All as it is now."""
        idle = len(self.engine.volumes.list({"dangling": True, "label": "com.docker.volume.anonymous"}))
        lonely = f"anonymous volumes that no container has: {idle}"
        return homes_figure(f"container {NAME}", self.homes, [*(f"$ {line}" for line in self.said[-2:]), lonely])

    def _remove(self, v: bool = False) -> None:
        with contextlib.suppress(NotFound):
            self.engine.containers.get(NAME).remove(force=True, v=v)

    def _clear(self) -> None:
        self._remove(v=True)
        with contextlib.suppress(DockerException):
            self.engine.volumes.get(VOLUME).remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Remove its container, its volume and its folder."""
        with contextlib.suppress(DockerException, OSError):
            self._clear()
        super().close()


def volume_lab(engine: Engine, folder: Path) -> VolumeLab:
    """A container named `lab`, with a volume and a folder below `folder`. Older ones of these names are removed."""
    return VolumeLab(engine, folder)
