"""The copy-on-write lab: three containers of one image. Choose one, a file and what to do; see which layer grows.

The containers are real ones, created and not started (`docker ps -a` lists them); what you do is done to their writable
layers, as the kernel would do it, and `docker diff` shows it.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from minidocker.errors import DockerException
from minidocker.layer import Changeset, diff
from minidocker.notebook.pictures.copies import Own, Plate, copies_figure
from minidocker.notebook.pictures.facts import marks
from minidocker.notebook.pictures.film import ACTS
from minidocker.notebook.pictures.sources import Sources, sources
from minidocker.notebook.pictures.svg import Figure, printable
from minidocker.notebook.widgets.face import Faced, Picture
from minidocker.union import Union

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine
    from minidocker.image import Image

NAMES = ("copy-lab-1", "copy-lab-2", "copy-lab-3")
OURS = {"minidocker.lab": "copy"}  # the label by which the lab knows its own containers
FILES = 12  # how many files can be chosen
READY = "choose a container, a file, and what to do"


class CopyLab(Faced):
    """The containers, and what can be done to their files."""

    def __init__(self, engine: Engine, image: Image) -> None:
        self.engine, self.image = engine, image
        self.below = sources(image)
        wide, look = W.Layout(width="auto", flex="1 1 220px"), {"description_width": "70px"}
        acts = [(act.words, name) for name, act in ACTS.items()]
        files = [(printable(path), path) for path in _files(self.below)]
        self.name = W.Dropdown(options=NAMES, description="container", layout=wide, style=look)
        self.act = W.Dropdown(options=acts, description="what", layout=wide, style=look)
        self.path = W.Dropdown(options=files, description="file", layout=wide, style=look)
        self.do = W.Button(description="do it", tooltip="do this to the file, in this container")
        self.reset = W.Button(description="start again", tooltip="remove the containers and create them anew")
        self.picture = Picture()
        row = W.Layout(flex_flow="row wrap")
        controls = [W.HBox([self.name, self.act, self.path], layout=row), W.HBox([self.do, self.reset])]
        super().__init__([*controls, self.picture])
        self.do.on_click(lambda _: self.act_once())
        self.reset.on_click(lambda _: self.start_again())
        self.start_again()

    def start_again(self) -> None:
        """Remove the lab's containers, and create them anew."""
        for old in self.engine.containers.list(all=True, filters={"label": [f"{k}={v}" for k, v in OURS.items()]}):
            old.remove(force=True)
        self.containers: dict[str, Container] = {
            name: self.engine.containers.create(self.image, ["true"], name=name, labels=OURS) for name in NAMES
        }
        self.upper = dict.fromkeys(NAMES, Changeset())
        self.owns = {name: Own(name) for name in NAMES}
        self.draw(READY)

    def act_once(self) -> None:
        """Do to the file what is chosen. What the system would refuse is said, and nothing has changed."""
        act, name, path = ACTS[self.act.value], self.name.value, self.path.value or "/"
        if act is ACTS["new file"]:
            path = posixpath.join(posixpath.dirname(path), "new.txt")
        try:
            copied = self._change(name, path)
        except (DockerException, OSError) as error:
            return self.draw(f"{name}: cannot {act.words} {path}: {getattr(error, 'strerror', None) or error}")
        own = self.owns[name]
        self.owns[name] = replace(own, copied=own.copied + copied, written=own.written + act.written)
        return self.draw(f"{name}: {act.words} {path}: copied up {copied:,} bytes, wrote {act.written:,}")

    def _change(self, name: str, path: str) -> int:
        """Make the change in a view of a container, and then in its writable layer; the bytes copied up."""
        container, act = self.containers[name], ACTS[self.act.value]
        view = Union(self.below.layers, self.upper[name], self.below.tree)
        before = view.tree()
        act.open(view, path)
        act.then(view, path)
        container.containers.runtime.apply(container.box(), diff(before, view.tree()))
        own = self.upper[name] = container.changes()
        found = tuple(marks(self.below.tree, own))
        self.owns[name] = replace(self.owns[name], marks=found, size=own.size)
        return view.copied_up

    def draw(self, note: str) -> None:
        """Show the state, and what happened last."""
        plates = [Plate(one.name, None if one.base else one.changes.size) for one in self.below.each]
        name = (self.image.tags or [self.image.short_id])[0].removesuffix(":latest")
        self.picture.figure = copies_figure(name, plates, list(self.owns.values()), printable(note))

    def face(self) -> Figure:
        """The containers as they are now."""
        assert self.picture.figure is not None
        return self.picture.figure


def copy_lab(engine: Engine, image: Any) -> CopyLab:
    """Play with copy-on-write: three containers of an image (or of its name), created anew.

    Raises ImageNotFound for a name that the engine does not know.
    """
    return CopyLab(engine, engine.images.get(image) if isinstance(image, str) else image)


def _files(below: Sources) -> list[str]:
    """The files that are offered: those of the image's own layers, the large ones first."""
    own = {path for one in below.each if not one.base for path in one.changes}
    files = [path for path in own if path in below.tree and below.tree[path].kind == "file"]
    return sorted(files, key=lambda path: (-below.tree[path].size, path))[:FILES]
