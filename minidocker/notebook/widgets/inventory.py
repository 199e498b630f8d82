"""The paths of a stack of layers as rows, a hundred thousand if need be; nothing is computed before it is asked for.

>>> from minidocker.layer import Changeset, file
>>> inventory = Inventory([Changeset({"/etc/motd": file(b"hello"), "/a": file()}), Changeset({"/a": file(b"new")})])
>>> inventory.show(search="A")
>>> len(inventory), inventory.rows(0, 10)
(1, [['M', '/a', 'layer 2', '3B']])
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import Any

from minidocker.notebook.pictures.facts import mark, marked
from minidocker.notebook.pictures.files import KINDS
from minidocker.notebook.pictures.sources import Source, Sources, sources
from minidocker.notebook.pictures.svg import bytes_text, printable
from minidocker.tree import Entry, Tree
from minidocker.union import lookup

SEEN = "what a container sees"
PAGE, MOST = 50, 500  # rows that are sent at once: as a rule, and at most
Row = list[str]  # the layer's letter, the path, who answers, the size


class Inventory:
    """What is listed: all that is seen, or what one source has; of that, the paths with `search` in them."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        self.place, self.search = SEEN, ""
        self._paths: dict[str, list[str]] = {}  # place -> its paths
        self._lowered: dict[str, list[str]] = {}  # the same in lower case
        self._found: list[str] | None = None

    @cached_property
    def found(self) -> Sources:
        """Where the paths come from."""
        return sources(self.thing)

    @cached_property
    def places(self) -> dict[str, Source | None]:
        """What can be listed, by the name that it is chosen by: all that is seen, then each source, newest first."""
        return {SEEN: None} | {self.name(source): source for source in reversed(self.found.each)}

    def name(self, source: Source) -> str:
        """A source, told apart from others of the same name."""
        return (
            source.name
            if source.writable or source.name == f"layer {source.number}"
            else f"{source.number}  {source.name}"
        )

    def forget(self) -> None:
        """Read all anew: a container may have written something meanwhile."""
        for name in ("found", "places"):
            self.__dict__.pop(name, None)
        self._paths.clear()
        self._lowered.clear()
        self._found = None

    def show(self, place: str = SEEN, search: str = "") -> None:
        """List another place, or other paths of it."""
        self.place, self.search, self._found = place, search, None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def total(self) -> int:
        """How many paths the place has, found or not."""
        return len(self._all())

    @property
    def paths(self) -> list[str]:
        """The paths that are listed, sorted; what an opaque directory hides is one, ending in `/*`."""
        if self._found is None:
            every, wanted = self._all(), self.search.casefold()
            if wanted and self.place not in self._lowered:
                self._lowered[self.place] = [path.casefold() for path in every]
            lowered = self._lowered[self.place] if wanted else []
            self._found = [path for path, low in zip(every, lowered, strict=True) if wanted in low] if wanted else every
        return self._found

    def _all(self) -> list[str]:
        if self.place not in self._paths:
            source = self.places[self.place]
            self._paths[self.place] = (
                marked(source.under(), source.changes) if source else [path for path in self.found.tree if path != "/"]
            )
        return self._paths[self.place]

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows from `start` to before `stop`, at most 500 of them."""
        source, paths = self.places[self.place], self.paths[max(start, 0) : min(stop, max(start, 0) + MOST)]
        if source is None:
            return [self._row_seen(path) for path in paths]
        below = source.under()
        return [self._row_of(source, below, path) for path in paths]

    def _row_seen(self, path: str) -> Row:
        """What is seen: the layer that answers; M where it changed what another one has."""
        answers = lookup(self.found.layers, path)
        top = next((index for index, answer in enumerate(answers) if answer.verdict == "answers"), None)
        if top is None:
            return ["", printable(path), "", ""]
        below = any(answer.verdict == "hidden" for answer in answers[top + 1 :])
        entry = self.found.tree[path]
        who = self.name(self.found.each[answers[top].layer])
        return ["M" if below else "A", named(path, entry), printable(who), _size(entry)]

    def _row_of(self, source: Source, below: Tree, path: str) -> Row:
        """What a layer has, and what that does to what lies below it."""
        entry = source.changes.get(path)
        letter = mark(below, source.changes, path).letter
        return [letter, named(path, entry) if entry else printable(path), printable(self.place), _size(entry)]

    def index(self, path: str) -> int:
        """The row of a path, if it is listed; else -1."""
        at = bisect_left(self.paths, path)
        return at if self.paths[at : at + 1] == [path] else -1

    def path(self, index: int) -> str:
        """The path in a row, as it really is."""
        path = self.paths[index]
        source = self.places[self.place]
        return path.removesuffix("/*") or "/" if source and path not in source.changes else path

    def entry(self, path: str) -> Entry | None:
        """What the place that is listed has at a path."""
        source = self.places[self.place]
        return source.changes.get(path) if source else self.found.tree.get(path)


def named(path: str, entry: Entry) -> str:
    """A path with the sign of its kind: `/etc/`, `/bin@ -> usr/bin`."""
    return printable(path + KINDS.get(entry.kind, "") + (f" -> {entry.target}" if entry.kind == "symlink" else ""))


def _size(entry: Entry | None) -> str:
    return bytes_text(entry.size) if entry and entry.kind == "file" else ""
