"""`daemon_lab(engine)`: choose a command, and step through what crosses between the client and the daemon.

Every command is really given, to a daemon over the engine, by Docker's SDK for Python or, where it is installed, by the
docker command: two clients, and each has its own way to say the same. On a slow wire each answer is drawn as it comes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as W

from minidocker.errors import DockerException
from minidocker.notebook.desk import daemon, tar
from minidocker.notebook.pictures.crossing import Row, crossing_figure, masked, rows
from minidocker.notebook.pictures.svg import Figure, stacked
from minidocker.notebook.pictures.wire import wire_figure
from minidocker.notebook.widgets.face import Faced, Picture, on_change
from minidocker.notebook.widgets.slider import Slider

if TYPE_CHECKING:
    from minidocker.engine import Engine

NAME, SLOW = "lab", 0.4  # of image and container; seconds that each answer takes on a slow wire
RECIPE = 'FROM minidocker/base\nCMD ["sh", "-c", "echo hello; sleep 0.1; echo oops >&2"]\n'
WAITS = ["sh", "-c", "echo ready; while :; do sleep 1000; done"]
NOTE = b"3 apples\n"
SDK, COMMAND = "Docker's SDK for Python", "the docker command"


class DaemonLab(Faced):
    """A choice of commands and clients, a slider over what crossed, and the picture."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.desk = engine, daemon(engine)
        self.client, self.rows, self.first = self.desk.client(), list[Row](), 0
        self._home = tempfile.TemporaryDirectory()
        self.folder = Path(self._home.name)
        (self.folder / "Dockerfile").write_text(RECIPE)
        (self.folder / "note").write_bytes(NOTE)
        engine.images.build(text=RECIPE, tag=NAME)
        containers = self.client.containers
        self.does: dict[str, Callable[[], object]] = {
            "docker ps": lambda: containers.list(),
            "docker run --rm lab": lambda: containers.run(NAME, remove=True, stderr=True),
            "docker exec lab echo hi": lambda: containers.get(NAME).exec_run(["echo", "hi"]),
            "docker logs lab": lambda: containers.get(NAME).logs(),
            "docker cp note lab:/": lambda: containers.get(NAME).put_archive("/", tar("note", NOTE)),
            "docker build .": lambda: self.client.images.build(path=str(self.folder), tag="built"),
            "docker inspect nobody": lambda: containers.get("nobody"),
        }
        wide = {"width": "max-content"}
        self.command = W.Dropdown(options=list(self.does), description="command", layout=wide)
        self.by = W.Dropdown(options=[SDK, COMMAND][: 1 + self.desk.has_docker], description="given by", layout=wide)
        self.slow = W.Checkbox(value=False, description="a slow wire", indent=False, layout=wide)
        self.step = Slider(min=1, max=1, value=1, description="step", layout={"width": "320px"})
        self.back, self.on = (W.Button(description=word, layout={"width": "auto"}) for word in ("◀ back", "on ▶"))
        self.message, self.picture = W.Label(""), Picture()
        self.back.on_click(lambda _: self.move(-1))
        self.on.on_click(lambda _: self.move(1))
        for control in (self.command, self.by):
            on_change(control, lambda _: self.give())
        on_change(self.slow, lambda slow: setattr(self.desk, "pause", SLOW if slow else 0.0))
        on_change(self.step, lambda _: self.show())
        choose = W.HBox([self.command, self.by, self.slow], layout={"flex_flow": "row wrap", "align_items": "center"})
        walk = W.HBox([self.back, self.step, self.on, self.message], layout={"align_items": "center"})
        super().__init__([choose, walk, self.picture])
        self.give()
        self.step.value = min(2, self.step.max)  # the first question and its answer: the same everywhere

    def _ready(self) -> None:
        """The container that the commands are about, running."""
        for old in self.engine.containers.list(all=True, filters={"name": f"^{NAME}$"}):
            if old.status == "running":
                return
            old.remove(force=True)
        self.engine.containers.run(NAME, WAITS, name=NAME, detach=True, stop_signal="KILL")

    def give(self) -> None:
        """Give the command, listen, and go to the last step. What was refused is told in the daemon's words."""
        self.message.value = ""
        try:
            self._ready()
            self.first = len(self.desk.tap.exchanges)
            self.desk.tap.listener = self._heard if self.slow.value else None
            self._give()
        except (DockerException, OSError) as error:
            self.message.value = masked(str(error))[:200]
        except Exception as error:  # the SDK's own errors, which are the daemon's answers
            self.message.value = masked(str(getattr(error, "explanation", None) or error))[:200]
        finally:
            self.desk.tap.listener = None
        self.rows = rows(self.desk.tap.exchanges[self.first :])
        self.step.max = max(len(self.rows), 1)
        self.step.value = self.step.max
        self.show()

    def _give(self) -> None:
        if self.by.value == SDK:
            self.does[self.command.value]()
            return
        line = self.command.value.removeprefix("docker ").replace("cp note", f"cp {self.folder}/note")
        said = self.desk.docker(line.replace("build .", f"build -t built {self.folder}")).strip()
        self.message.value = masked(said.splitlines()[-1])[:200] if said else ""

    def _heard(self, _: object) -> None:
        """Something crosses: draw it."""
        crossed = rows(self.desk.tap.exchanges[self.first :])
        self.picture.figure = crossing_figure(crossed, self.command.value, len(crossed) - 1)

    def move(self, steps: int) -> None:
        """Go some steps on, or back."""
        self.step.value = min(max(self.step.value + steps, 1), self.step.max)

    def show(self) -> None:
        """Draw what has crossed up to the chosen step."""
        self.back.disabled, self.on.disabled = self.step.value <= 1, self.step.value >= self.step.max
        self.picture.figure = self.face()

    def face(self) -> Figure:
        """What has crossed up to the chosen step, and that step from near by."""
        number = self.step.value
        figure = crossing_figure(self.rows[:number], self.command.value, number - 1)
        return stacked(self.command.value, [figure, wire_figure(self.rows[number - 1])]) if self.rows else figure

    def close(self) -> None:
        """Remove its files; the container goes with the engine."""
        self.client.close()
        self._home.cleanup()
        super().close()


def daemon_lab(engine: Engine) -> DaemonLab:
    """Give a command, and see what crosses between client and daemon, step by step."""
    return DaemonLab(engine)
