"""The hash lab: change a byte, a variable, a comment, the clock, and see which digests follow.

Each change really builds the image, in a store of the lab's own, so nothing that a learner has is touched.

>>> lab = hashlab()
>>> lab.env.value = "Servus"
>>> lab.picture.figure.twin.splitlines()[0]
'image app:1: from bytes to a name  (5 of 8 stations changed)'
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import ipywidgets as W

import minidocker
from minidocker.archive import gzipped
from minidocker.errors import DockerException
from minidocker.image import Image
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.pictures.waterfall import Station, ripples, stations, waterfall_figure
from minidocker.notebook.widgets.face import Faced, Picture, on_change

LOOK = {"style": {"description_width": "150px"}, "layout": {"width": "min(100%, 390px)"}}
DAYS = {"1 January 2025": "1735689600", "2 January 2025": "1735776000"}


@dataclass(frozen=True)
class Recipe:
    """All that goes into the image, as the controls have it."""

    file: str = "echo hi"
    env: str = "Hello"
    comment: str = "says hello"
    epoch: str = DAYS["1 January 2025"]
    arch: str = "amd64"
    gzip: bool = False
    tag: str = "app:1"

    def dockerfile(self) -> str:
        """The text that is built."""
        quoted = "".join(f"\\{c}" if c in '"\\$' else c for c in self.env)
        return f'FROM scratch\n# {self.comment}\nCOPY --chmod=644 hello.sh /\nENV GREETING="{quoted}"\n'


FIRST = Recipe()
EDITS = {
    "another comment in the Dockerfile": replace(FIRST, comment="greets"),
    "one letter in the file": replace(FIRST, file="echo ho"),
    "another ENV": replace(FIRST, env="Servus"),
    "built a day later": replace(FIRST, epoch=DAYS["2 January 2025"]),
    "for another CPU": replace(FIRST, arch="arm64"),
    "layers stored gzipped": replace(FIRST, gzip=True),
    "another tag": replace(FIRST, tag="app:2"),
}


class HashLab(Faced):
    """Controls for all that goes into an image, over its hash waterfall. `picture.figure` is what is shown."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix=f"minidocker-hashlab-{os.getpid()}-")
        self._engine = minidocker.connect(Path(self._home.name) / "engine", runtime="simulated")
        self.file = W.Text(FIRST.file, description="file hello.sh", **LOOK)
        self.env = W.Text(FIRST.env, description="ENV GREETING", **LOOK)
        self.comment = W.Text(FIRST.comment, description="# comment", **LOOK)
        self.tag = W.Text(FIRST.tag, description="tag", **LOOK)
        self.epoch = W.Dropdown(options=DAYS, description="the clock says", **LOOK)
        self.arch = W.Dropdown(options=["amd64", "arm64"], description="for the CPU", **LOOK)
        self.gzip = W.Dropdown(options={"as a plain tar": False, "gzipped": True}, description="layer stored", **LOOK)
        self.again = W.Button(description="start again", tooltip="put everything back as it was")
        self.message = W.Label("")
        self._known: dict[Recipe, tuple[Station, ...]] = {}
        self.before = self.made(FIRST)
        self.picture = Picture(waterfall_figure(self.before))
        self._moving = False
        self.controls = {name: getattr(self, name) for name in Recipe.__dataclass_fields__}
        for control in self.controls.values():
            on_change(control, lambda _: self._show())
        self.again.on_click(lambda _: self.reset())
        grid = W.Box(list(self.controls.values()), layout={"flex_flow": "row wrap", "max_width": "820px"})
        super().__init__([grid, W.HBox([self.again, self.message]), self.picture])

    @property
    def recipe(self) -> Recipe:
        """What the controls say now."""
        return Recipe(**{name: control.value for name, control in self.controls.items()})

    def reset(self) -> None:
        """Put everything back as it was."""
        self._moving = True
        try:
            for name, control in self.controls.items():
                control.value = getattr(FIRST, name)
        finally:
            self._moving = False
        self._show()

    def made(self, recipe: Recipe) -> tuple[Station, ...]:
        """The digests of a recipe's image; each recipe is built once. Raises DockerException."""
        if recipe not in self._known:
            self._known[recipe] = self._make(recipe)
        return self._known[recipe]

    def _make(self, recipe: Recipe) -> tuple[Station, ...]:
        """Build the image of a recipe, under this tag alone, and look at its digests."""
        folder = Path(self._home.name) / "folder"
        folder.mkdir(exist_ok=True)
        (folder / "hello.sh").write_text(recipe.file + "\n", encoding="utf-8")
        options = {"buildargs": {"SOURCE_DATE_EPOCH": recipe.epoch}, "platform": f"linux/{recipe.arch}"}
        images = self._engine.images
        image: Image
        image, _ = images.build(path=str(folder), text=recipe.dockerfile(), tag=recipe.tag, **options)
        if recipe.gzip:
            image = gzipped(image)
            images.tag(image, recipe.tag)
        kept = images.find(recipe.tag)
        for name in [name for names in images.names().values() for name in names]:
            if images.find(name) != kept:
                images.remove(name)
        return stations(image)

    def face(self) -> Figure:
        """Every edit that the lab offers, and what it changes."""
        flags = [
            (name, [now.differs(old) for now, old in zip(self.made(edit), self.before, strict=True)])
            for name, edit in EDITS.items()
        ]
        return ripples("one edit, and which digests follow", flags, [station.name for station in self.before])

    def _show(self) -> None:
        """Build what the controls say; what cannot be built is said, and the picture stays."""
        if self._moving:
            return
        try:
            now = self.made(self.recipe)
        except (DockerException, OSError, UnicodeError) as error:
            self.message.value = str(error)[:200]
            return
        self.message.value = ""
        self.picture.figure = waterfall_figure(now, self.before)


def hashlab() -> HashLab:
    """Change what goes into an image, and see which digests follow."""
    return HashLab()
