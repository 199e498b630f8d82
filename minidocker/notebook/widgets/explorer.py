"""The layer-stack explorer: every path of an image or a container, who answers for it, and its content at that layer.

    explorer(image)                         a list to scroll, filter and choose from; a path's ray; its content
    explorer(container, path="/etc/motd")

The list asks the kernel for the rows that are on the screen, so it may be a hundred thousand rows long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as W
import traitlets

from minidocker.errors import DockerException
from minidocker.notebook.pictures.contents import content_figure, rows_figure
from minidocker.notebook.pictures.ray import ray
from minidocker.notebook.pictures.svg import Figure, printable, stacked
from minidocker.notebook.widgets.face import Faced, Picture, on_change
from minidocker.notebook.widgets.inventory import PAGE, SEEN, Inventory

COLUMNS = ["", "path", "layer", "size"]
HERE = Path(__file__).parent
STILL = 10  # rows that the still face shows


class Listing(anywidget.AnyWidget):
    """The list of paths in the browser: it has the first rows, and asks for pages of the others."""

    _esm = HERE / "explorer.js"
    _css = HERE / "explorer.css"
    columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    total = traitlets.Int(-1).tag(sync=True)  # how many rows; -1: nobody has asked yet
    first: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    version = traitlets.Int(0).tag(sync=True)  # of the list: an answer to an older question is thrown away
    selected = traitlets.Int(-1).tag(sync=True)
    label = traitlets.Unicode("paths").tag(sync=True)
    said = traitlets.Unicode("reading the layers…").tag(sync=True)  # the first time may take seconds

    def __init__(self, inventory: Inventory, **traits: Any) -> None:
        super().__init__(columns=["what", *COLUMNS[1:]], **traits)
        self.inventory = inventory
        self.on_msg(lambda _widget, content, _buffers: self.answer(content))

    def answer(self, asked: Any) -> None:
        """Send the page that is asked for: `{"ask": 777, "version": 3}`. What is no such question is left alone."""
        if not isinstance(asked, dict) or type(asked.get("ask")) is not int or asked.get("version") != self.version:
            return
        if self.total < 0:
            self.renew()
        page = max(asked["ask"], 0)
        rows = self.inventory.rows(page * PAGE, (page + 1) * PAGE)
        self.send({"page": page, "version": self.version, "rows": rows})

    def renew(self, selected: int = -1) -> None:
        """The list has changed."""
        found, every = len(self.inventory), self.inventory.total
        with self.hold_sync():
            self.first = self.inventory.rows(0, PAGE)
            self.total, self.selected = found, selected
            self.label = f"paths: {printable(self.inventory.place)}"
            self.said = f"{found:,} of {every:,} paths" if found != every else f"{every:,} paths"
            self.version += 1


class Explorer(Faced):
    """The list, what chooses what is listed, and what is known of the path that is selected."""

    def __init__(self, thing: Any, path: str, search: str) -> None:
        self.inventory = Inventory(thing)
        self.title = f"the layers of {_name(thing)}"
        self._wanted = path
        wide = W.Layout(width="auto", flex="1 1 300px")
        names = [(printable(name), name) for name in self.inventory.places]
        self.place = W.Dropdown(options=names, value=SEEN, description="show", layout=wide)
        self.search = W.Text(value=search, description="filter", placeholder="a part of the path", layout=wide)
        self.again = W.Button(description="read again", tooltip="the container may have written something")
        self.list = Listing(self.inventory)
        self.ray, self.content = Picture(), Picture()
        self.inventory.show(SEEN, search)
        controls = [self.place, self.search, *([self.again] if hasattr(thing, "image") else [])]
        super().__init__([W.HBox(controls, layout=W.Layout(flex_flow="row wrap")), self.list, self.ray, self.content])
        on_change(self.place, lambda _: self.show())
        on_change(self.search, lambda _: self.show())
        on_change(self.list, self.select, "selected")
        on_change(self.list, self._first_seen, "version")
        self.again.on_click(lambda _: self.read_again())

    def show(self) -> None:
        """List what the controls say; the selected path stays selected where it is still listed."""
        path = self.path
        self.inventory.show(self.place.value, self.search.value)
        self.list.renew(self.inventory.index(path))
        if self.list.selected >= 0:
            self.select(self.list.selected)

    def read_again(self) -> None:
        """Read the layers anew, for a container that has written something."""
        self._wanted = self.path
        self.inventory.forget()
        self.inventory.show(self.place.value, self.search.value)
        self.list.renew()

    @property
    def path(self) -> str:
        """The path that is selected."""
        return self.inventory.path(self.list.selected) if 0 <= self.list.selected < len(self.inventory) else ""

    def select(self, index: int) -> None:
        """Draw the ray of the path in a row, and its content at the layer that is listed."""
        if not 0 <= index < len(self.inventory):
            return
        path = self.inventory.path(index)
        try:
            self.ray.figure, self.content.figure = self._pictures(path)
        except (DockerException, OSError) as error:
            self.ray.figure = self.content.figure = rows_figure(str(error), COLUMNS, [])
        self.list.said = f"row {index + 1:,} of {len(self.inventory):,}: {printable(path)}"

    def _pictures(self, path: str) -> tuple[Figure, Figure]:
        found, place = self.inventory.found, self.inventory.place
        return ray(found, path), content_figure(path, place, self.inventory.entry(path))

    def _first_seen(self, _: int) -> None:
        """The list was asked for: now is the time to look for the path that was wanted from the start."""
        wanted, self._wanted = self._wanted, ""
        if wanted:
            self.list.selected = self.inventory.index(wanted)

    def face(self) -> Figure:
        """The first rows, and all about the path that is selected."""
        path = self.path or self._wanted
        rows = self.inventory.rows(0, STILL)
        more = len(self.inventory) - len(rows)
        note = (
            f"{self.inventory.place}; paths with {self.search.value!r}" if self.search.value else self.inventory.place
        )
        figures = [rows_figure(self.title, COLUMNS, rows, printable(note) + (f"; {more:,} more" if more else ""))]
        if self.inventory.index(path) >= 0:
            figures += self._pictures(path)
        return stacked(self.title, figures)


def explorer(thing: Any, path: str = "", search: str = "") -> Explorer:
    """Explore the layers of an image, a container or a list of Changesets; begin at a path, or with a filter."""
    return Explorer(thing, path, search)


def _name(thing: Any) -> str:
    names = getattr(thing, "tags", None) or [getattr(thing, "name", "") or f"{len(thing)} changesets"]
    return str(names[0])
