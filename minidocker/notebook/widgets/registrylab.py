"""`registry_lab()`: a laptop, a registry and a server; push, move a tag, pull, and listen to what they say.

All three are real and the lab's own: the registry listens on this machine, and what is drawn is what went over the
wire. On a slow wire one can watch it go.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import ipywidgets as W

import minidocker
from minidocker.errors import DockerException
from minidocker.notebook.hub import close_below, registry
from minidocker.notebook.lessons import EPOCH
from minidocker.notebook.pictures.conversation import conversation, moved
from minidocker.notebook.pictures.places import Place, places_figure, registry_place, store_place
from minidocker.notebook.pictures.repository import Part, about
from minidocker.notebook.pictures.svg import Figure, stacked
from minidocker.notebook.widgets.face import Faced, Picture, on_change
from minidocker.registry.trace import Exchange, listening

SLOW = 0.4  # seconds that each answer takes on a slow wire
LINES = "FROM scratch\nCOPY --chmod=644 photos.bin /\nCOPY --chmod=644 v{0}.sh /\nENV VERSION={0}\n"


class RegistryLab(Faced):
    """Buttons over the three places and their talk. `picture.figure` is what is shown."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix=f"minidocker-registrylab-{os.getpid()}-")
        self.picture, self.message = Picture(), W.Label("")
        self.talk: list[Exchange] = []
        self.lock = threading.Lock()  # layers go side by side, each in a thread that tells of it
        self.slow = W.Checkbox(value=False, description="a slow wire", indent=False, layout={"width": "max-content"})
        on_change(self.slow, lambda slow: setattr(self.hub, "pause", SLOW if slow else 0.0))
        self.moves: dict[str, Callable[[], object]] = {
            "push app:1": lambda: self._push("1"),
            "push app:2": lambda: self._push("2"),
            "push app:1 as latest": lambda: self._push("1", "latest"),
            "push app:2 as latest": lambda: self._push("2", "latest"),
            "pull app:1": lambda: self._pull("1"),
            "pull app:2": lambda: self._pull("2"),
            "pull app": lambda: self._pull("latest"),
        }
        self.buttons = {name: W.Button(description=name, layout={"width": "auto"}) for name in self.moves}
        for name, button in self.buttons.items():
            button.tooltip = f"docker {name} on the {'laptop' if 'push' in name else 'server'}"
            button.on_click(lambda _, name=name: self.press(name))
        self.again = W.Button(description="start again", tooltip="an empty registry and an empty server")
        self.again.on_click(lambda _: self.reset())
        rows = [self._box("on the laptop", "push"), self._box("on the server", "pull")]
        super().__init__([*rows, W.HBox([self.again, self.slow, self.message]), self.picture])
        self.rounds = 0
        self.reset()

    def _box(self, where: str, verb: str) -> W.HBox:
        label = W.Label(where, layout={"width": "100px"})
        return W.HBox([label, *(button for name, button in self.buttons.items() if name.startswith(verb))])

    def reset(self) -> None:
        """An empty registry, an empty server, and a laptop with two versions of an app."""
        close_below(Path(self._home.name))
        self.rounds += 1
        home = Path(self._home.name) / str(self.rounds)
        self.hub = registry(home / "registry")
        self.hub.pause = SLOW if self.slow.value else 0.0
        self.laptop, self.server = (
            minidocker.connect(home / name, runtime="simulated") for name in ("laptop", "server")
        )
        context = home / "context"
        context.mkdir()
        (context / "photos.bin").write_bytes(random.Random(8).randbytes(1_000_000))
        self.rows: list[Part] = []
        for version in "12":
            (context / f"v{version}.sh").write_text(f"echo {version}\n")
            self._build(context, version)
        self.rows.sort(key=lambda row: row.kind)
        self.talk, self.message.value, self.doing = [], "", "a laptop, a registry, a server"
        self.before = self.places()
        self._show()

    def _build(self, context: Path, version: str) -> None:
        arguments = {"platform": "linux/amd64", "buildargs": {"SOURCE_DATE_EPOCH": EPOCH}}
        text, tag = LINES.format(version), f"{self.hub}/app:{version}"
        image, _ = self.laptop.images.build(path=str(context), text=text, tag=tag, **arguments)
        self.rows.append(Part("", "config", f"app, VERSION={version}", image.descriptor.size, image.id))
        for layer, words in zip(image.layers, ("photos.bin", f"v{version}.sh"), strict=True):
            if layer.diff_id not in [row.name for row in self.rows]:
                self.rows.append(Part("", "layer", words, layer.size, layer.diff_id))

    def places(self) -> list[Place]:
        """Who has what, now."""
        name = self.hub.name
        registry = registry_place("registry", self.hub.look("app"))
        return [store_place("laptop", self.laptop, name), registry, store_place("server", self.server, name)]

    def press(self, move: str) -> None:
        """Do what a button says; the talk is drawn while it goes on."""
        self.before, self.talk, self.message.value = self.places(), [], ""
        self.doing = move
        try:
            with listening(self._heard):
                self.moves[move]()
        except (DockerException, OSError) as error:
            self.message.value = str(error).replace(self.hub.name, "registry")[:200]
        self._show()

    def _push(self, version: str, tag: str = "") -> None:
        images = self.laptop.images
        if tag:
            images.get(f"{self.hub}/app:{version}").tag(f"{self.hub}/app", tag)
        for message in images.push(f"{self.hub}/app", tag or version, stream=True, decode=True):
            if "error" in message:
                raise DockerException(str(message["error"]))

    def _pull(self, tag: str) -> None:
        self.server.images.pull(f"{self.hub}/app", tag)

    def _heard(self, exchange: Exchange) -> None:
        with self.lock:
            self.talk.append(exchange)
            if self.hub.pause:
                self._show()

    def _show(self) -> None:
        self.picture.figure = self.face()

    def face(self) -> Figure:
        """Who has what, and what was said last."""
        told = "nothing has been pushed yet"
        if self.talk:
            told = f"{about(moved(self.talk))} of blobs moved, {about(self._kept())} of layers were there already"
        places = places_figure(self.doing, told, self.rows, self.places(), self.before)
        return stacked(self.doing, [places, conversation(self.talk, self.hub)]) if self.talk else places

    def _kept(self) -> int:
        """Bytes of the image's layers that were there before."""
        verb, name = self.doing.split()[0], self.doing.split()[-1]
        tag = f"{self.hub}/app:{name.partition(':')[2] or 'latest'}"
        layers = self.laptop.images.get(tag).diff_ids if self.laptop.images.find(tag) else ()
        there = self.before[1 if verb == "push" else 2].layers
        return sum(row.size for row in self.rows if row.name in layers and row.name in there)

    def close(self) -> None:
        """Close the registry, and remove all of it."""
        close_below(Path(self._home.name))
        self._home.cleanup()
        super().close()


def registry_lab() -> RegistryLab:
    """Push and pull between a laptop, a registry and a server, and see what moves."""
    return RegistryLab()
