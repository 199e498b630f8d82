"""`life_lab(engine, image)`: one container of your own, and a button for each of Docker's verbs.

Buttons that Docker would refuse in this state are grey; tick the box, press them all the same, and read its answer.
While the container lives, the picture follows what it does by itself: it may end, and it may write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from minidocker.container import LIVE, life
from minidocker.errors import DockerException, NotFound
from minidocker.notebook.pictures.lab import Said, lab_figure
from minidocker.notebook.pictures.life import Life
from minidocker.notebook.pictures.objects import life_of
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.widgets.face import Faced, Picture, on_change

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine
    from minidocker.image import Image

OBEDIENT = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]  # ends at once when it is asked to
GRACE = 1  # seconds that `stop` waits
LOOK = 0.5  # seconds between two looks at a container that lives
WRITE = "write a file"
BUTTONS = ["create", *list(life.VERBS)[:-1], "restart", "remove", WRITE]
ANYWAY = "let me press what Docker will refuse"


class LifeLab(Faced):
    """A container, its life as a machine, its stack, and buttons that act on it."""

    def __init__(self, engine: Engine, image: str | Image, command: Any, name: str) -> None:
        self.engine, self.image, self.command, self.name = engine, image, command, name
        self.said: list[Said] = []
        self.files = 0
        self.timer: asyncio.TimerHandle | None = None
        with contextlib.suppress(NotFound):
            engine.containers.get(name).remove(force=True)  # of the same cell, run before
        self.container: Container = self._create()
        self.last = life_of(self.container)
        self.picture = Picture()
        self.buttons = {name: self._button(name) for name in BUTTONS}
        self.anyway = W.Checkbox(
            value=False, description=ANYWAY, indent=False, layout={"width": "max-content", "margin": "0 0 0 12px"}
        )
        on_change(self.anyway, lambda _: self.refresh())
        row = W.HBox([*self.buttons.values(), self.anyway], layout={"flex_flow": "row wrap", "align_items": "center"})
        super().__init__([row, self.picture])
        self.refresh()

    def _button(self, verb: str) -> Any:
        button = W.Button(description=verb, tooltip=self._typed(verb), layout={"width": "auto"})
        button.on_click(lambda _: self.press(verb))
        return button

    def _create(self) -> Container:
        return self.engine.containers.create(self.image, self.command, name=self.name)

    def press(self, verb: str) -> None:
        """Do what a button says; an answer of Docker's that is no becomes part of the talk."""
        does: dict[str, Callable[[], Any]] = {
            "create": self._again,
            "stop": partial(self.container.stop, timeout=GRACE),
            "restart": partial(self.container.restart, timeout=GRACE),
            WRITE: self._write,
        }
        command = self._typed(verb)
        try:
            (does.get(verb) or getattr(self.container, verb))()
            self.said.append(Said(command))
        except (DockerException, OSError) as error:
            words = str(error).replace(self.container.id, self.name)
            self.said.append(Said(command, words, no=True))
        self.refresh(noticed=True)

    def _typed(self, verb: str) -> str:
        """What one types in a terminal for the same."""
        image = self.image if isinstance(self.image, str) else (self.image.tags or [self.image.short_id])[0]
        options = {
            "create": f"create --name {self.name} {image}",
            "stop": f"stop -t {GRACE} {self.name}",
            "restart": f"restart -t {GRACE} {self.name}",
            "remove": f"rm {self.name}",
            WRITE: f"exec {self.name} touch /file-{self.files + 1}",
        }
        return f"docker {options.get(verb, f'{verb} {self.name}')}"

    def _again(self) -> None:
        self.container = self._create()
        self.last = life_of(self.container)

    def _write(self) -> None:
        self.container.exec_run(["touch", f"/file-{self.files + 1}"])
        self.files += 1

    def refresh(self, noticed: bool = False) -> None:
        """Draw it as it is now; tell where it changed its state and nobody asked for it."""
        now = self._now()
        if now.status != self.last.status and not noticed:
            self.said.append(Said("", f"process 1 ended: {now.state}" if now.status == "exited" else now.state))
        self.last = now
        self.picture.figure = lab_figure(now, self.said)
        for verb, button in self.buttons.items():
            button.disabled = not (self.anyway.value or leads_on(now.status, verb))
        self._look_again()

    def _now(self) -> Life:
        try:
            return life_of(self.container, self.last)
        except NotFound:
            return gone(self.last)

    def _look_again(self) -> None:
        """Look again in a moment, in the kernel's own loop, while it lives. Without a loop the next press looks."""
        self._stop_looking()
        with contextlib.suppress(RuntimeError):
            if self.last.status in LIVE:
                self.timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def _stop_looking(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _look(self) -> None:
        with contextlib.suppress(DockerException, OSError):
            self.refresh()

    def face(self) -> Figure:
        """The bench as it is now."""
        return lab_figure(self._now(), self.said)

    def close(self) -> None:
        """Remove its container, and look no more."""
        self._stop_looking()
        with contextlib.suppress(DockerException, OSError):
            self.container.remove(force=True)
        super().close()


def life_lab(
    engine: Engine, image: str | Image, command: str | list[str] | None = OBEDIENT, name: str = "lab"
) -> LifeLab:
    """A container of an image to press buttons on. An older one of the same name is removed.

    `command` is what it runs (None: what the image says); the one given here obeys `stop` at once.
    """
    return LifeLab(engine, image, command, name)


def leads_on(status: str, verb: str) -> bool:
    """Whether a button changes something in this state.

    >>> [verb for verb in BUTTONS if leads_on("exited", verb)]
    ['start', 'restart', 'remove']
    """
    if verb == "create":
        return status == "removed"
    if verb == WRITE:
        return status == "running"
    if verb == "restart":
        return status != "removed"
    return life.after(status, verb) not in (None, status)


def gone(last: Life) -> Life:
    """A container after its removal: what was known of it, without what it wrote."""
    return replace(last, status="removed", changes=())
