"""`tar_lab(layer, "/etc/motd")`: edit one file of a layer, and see its tar and its digest change.

    tar_lab(image.layers[-1], "/app/hello.sh")

Its content, its mode, its time, or whether the layer writes or deletes it: after each touch the tar is made again, by
the function that makes all layers here, and drawn with what is not as it was marked ≠. The image stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ipywidgets as W

from minidocker.errors import InvalidArgument
from minidocker.image import Layer
from minidocker.layer import WHITEOUT, Changeset
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.pictures.tarball import taken_up, tar_figure, tarball
from minidocker.notebook.widgets.face import Faced, Picture, on_change
from minidocker.notebook.widgets.slider import Slider
from minidocker.tree import Bytes, Tree, clean

MODES = {"0644 rw-r--r--": 0o644, "0600 rw-------": 0o600, "0755 rwxr-xr-x": 0o755}
MOST = 20_000  # bytes of a file that can be edited
LATER = 60  # seconds


def tar_lab(layer: Layer | Changeset, path: str = "") -> TarLab:
    """Open a layer (of an image, or as a value) to edit the file at `path`; without it, the first file that it has.

    Raises InvalidArgument where that is no text file of the layer's.
    """
    changes, lower = taken_up(layer)
    texts = [path for path, entry in changes.items() if entry.kind == "file" and entry.size <= MOST]
    if not texts:
        raise InvalidArgument("this layer has no text file to edit; take one that has: tar_lab(image.layers[-1])")
    path = clean(path) if path else texts[0]
    if path not in texts:
        raise InvalidArgument(f"{path} is no text file of this layer; there is: {', '.join(texts[:8])}")
    return TarLab(changes, path, lower)


def edited(layer: Changeset, path: str, content: bytes, mode: int, later: int) -> Changeset:
    """The layer with another content and mode of a file that was saved `later` seconds after."""
    entry = replace(layer[path], data=Bytes(content), mode=mode, mtime=layer[path].mtime + later, link="")
    return Changeset({**layer, path: entry}, layer.opaque)


class TarLab(Faced):
    """The controls, and the tar drawn. `tar` holds the bytes as they are now."""

    def __init__(self, layer: Changeset, path: str, lower: Tree) -> None:
        self.layer, self.path, self.lower = layer, path, lower
        entry = layer[path]
        try:
            words = entry.data.read().decode()
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"{path} is no text: it cannot be edited here") from error
        modes = MODES if entry.mode in MODES.values() else {f"{entry.mode:04o}": entry.mode, **MODES}
        wide, style = {"width": "min(100%, 380px)"}, {"description_width": "90px"}
        look: dict[str, Any] = {"layout": wide, "style": style}
        self.content = W.Textarea(
            words, description="content", rows=3, layout={"width": "min(100%, 768px)"}, style=style
        )
        self.mode = W.Dropdown(options=list(modes.items()), value=entry.mode, description="mode", **look)
        self.later = Slider(
            max=LATER, description="saved later", tooltip="by so many seconds", label_width="90px", layout=wide
        )
        self.does = W.Dropdown(options=[("writes it", True), ("deletes it", False)], description="the layer", **look)
        self.back = W.Button(description="as it was", tooltip="undo all that was changed here", icon="undo")
        self.before = self.tar = tarball(layer, lower)
        self.picture = Picture()
        self._start = (words, entry.mode, 0, True)
        self._quiet = False
        for control in (self.content, self.mode, self.later, self.does):
            on_change(control, self._moved)
        self.back.on_click(self._undo)
        self._draw()
        rows = [W.HBox([self.mode, self.later], layout=WRAP), W.HBox([self.does, self.back], layout=WRAP)]
        super().__init__([self.content, *rows, self.picture])

    @property
    def changes(self) -> Changeset:
        """The layer as it is now."""
        if not self.does.value:
            return Changeset({**self.layer, self.path: WHITEOUT}, self.layer.opaque)
        return edited(self.layer, self.path, self.content.value.encode(), self.mode.value, self.later.value)

    def face(self) -> Figure:
        """The tar as it is now."""
        figure = self.picture.figure
        assert figure is not None
        return figure

    def _moved(self, _: Any) -> None:
        if not self._quiet:
            self._draw()

    def _undo(self, _: Any) -> None:
        self._quiet = True
        for control, value in zip((self.content, self.mode, self.later, self.does), self._start, strict=True):
            control.value = value
        self._quiet = False
        self._draw()

    def _draw(self) -> None:
        self.tar = tarball(self.changes, self.lower)
        for control in (self.content, self.mode, self.later):
            control.disabled = not self.does.value
        self.picture.figure = tar_figure(
            f"a layer's tar; {self.path} is in your hands", self.tar, self.before, self.path
        )


WRAP = {"flex_flow": "row wrap"}
