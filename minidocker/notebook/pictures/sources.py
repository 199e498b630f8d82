"""Where a path may come from: the layers of an image, the writable layer of a container; and what each says of a path.

A source is a name and a `Changeset`. What is mounted can be one as well: a changeset that is opaque where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Any

from minidocker.errors import InvalidArgument
from minidocker.explain import base_name, base_of, instruction
from minidocker.layer import WHITEOUT, Changeset, merge, stack, view
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.objects import neighbours
from minidocker.notebook.pictures.svg import bytes_text
from minidocker.tree import Entry, Tree, parents
from minidocker.union import Verdict, lookup

if TYPE_CHECKING:
    from minidocker.image import Image, Layer

KINDS = {"dir": "directory", "symlink": "symbolic link", "char": "device", "block": "device"}


@dataclass(frozen=True)
class Source:
    """One place that a path may come from: what it has, and the tree below it, each read when it is first asked for.

    `number` counts an image's layers from the bottom, 1 first; `base` are those of the course's own base image.
    `place` is where something is mounted, `blind` what only the container's own processes see into.
    """

    name: str
    read: Callable[[], Changeset]
    under: Callable[[], Tree] = Tree
    number: int = 0
    writable: bool = False
    base: bool = False
    place: str = ""
    blind: bool = False

    @cached_property
    def changes(self) -> Changeset:
        """What it has."""
        return self.read()


@dataclass(frozen=True)
class Sources:
    """All of them, bottom first; `see` gives the tree that is seen through them."""

    each: tuple[Source, ...]
    see: Callable[[], Tree]

    @cached_property
    def layers(self) -> list[Changeset]:
        """Their changesets, bottom first."""
        return [source.changes for source in self.each]

    @cached_property
    def tree(self) -> Tree:
        """What is seen through them all."""
        return self.see()


@dataclass(frozen=True)
class Said:
    """What one source says of a path: its verdict, and why in words."""

    source: Source
    verdict: Verdict
    entry: Entry | None
    why: str


def sources(thing: Any) -> Sources:
    """The sources of an image, a container, or of changesets (bottom first).

    The layers of the course's own base image are one source. Raises InvalidArgument for anything else.
    """
    if isinstance(thing, Sources):
        return thing
    if hasattr(thing, "layers") and hasattr(thing, "diff_ids"):
        return Sources(_of_image(thing), thing.tree)
    if hasattr(thing, "changes") and hasattr(thing, "image"):
        writable = Source("writable layer", thing.changes, thing.image.tree, writable=True)
        return Sources((*_of_image(thing.image), writable), lambda: merge(writable.under(), writable.changes))
    if isinstance(thing, Sequence) and all(isinstance(one, Changeset) for one in thing):
        plain = (_plain(tuple(thing[:number])) for number in range(1, len(thing) + 1))
        return Sources(tuple(plain), lambda: view(tuple(thing)))
    raise InvalidArgument(
        f"a {type(thing).__name__} has no layers: give an image, a container, or a list of Changesets"
    )


def _of_image(image: Image) -> tuple[Source, ...]:
    base, layers = base_of(image, neighbours(image)), image.layers
    folded = len(base.layers) if base else 0
    found = []
    if base:
        name = f"FROM {base_name(base)}: {count(folded, 'layer')}"
        below = partial(_as_one, layers[:folded])
        found.append(Source(name, below, number=folded, base=True))
    for number, layer in enumerate(layers[folded:], folded + 1):
        name = instruction(layer.created_by) or f"layer {number}"
        found.append(Source(name, partial(getattr, layer, "changes"), partial(_view, layer.below), number))
    return tuple(found)


def _plain(layers: tuple[Changeset, ...]) -> Source:
    """The last of these layers."""
    return Source(f"layer {len(layers)}", lambda: layers[-1], lambda: view(layers[:-1]), len(layers))


def _as_one(layers: Sequence[Layer]) -> Changeset:
    return reduce(stack, (layer.changes for layer in layers))


def _view(layers: Sequence[Layer]) -> Tree:
    return view(tuple(layer.changes for layer in layers))


def said(found: Sources, path: str) -> list[Said]:
    """What each source says of a clean path, the top one first.

    >>> from minidocker.tree import file
    >>> layers = [Changeset({"/motd": file(b"hello")}), Changeset({"/motd": WHITEOUT}), Changeset()]
    >>> for one in said(sources(layers), "/motd"):
    ...     print(one.source.name, one.verdict, "-", one.why)
    layer 3 silent - knows nothing of it
    layer 2 hides - a whiteout: it is deleted here
    layer 1 hidden - has it, but nobody asks: file, 5B
    """
    words, merged, ended = [], True, False
    for answer in lookup(found.layers, path):
        source = found.each[answer.layer]
        blocked = _blocks(source, path)
        silent = "not asked any more" if ended else "knows nothing of it"
        silent = f"is mounted on {source.place}, not on the way" if source.place and not blocked else silent
        why = blocked if answer.verdict == "hides" else silent
        if answer.verdict in ("answers", "hidden") and answer.entry:
            merged = merged and answer.entry.is_dir
            head = "answers" if not ended else "what is in it shows too" if merged else "has it, but nobody asks"
            why = f"{head}: {what(answer.entry)}"
        words.append(Said(source, answer.verdict, answer.entry, why))
        ended = ended or answer.verdict in ("answers", "hides")
        merged = merged and not blocked and path not in source.changes.opaque
    return words


def _blocks(source: Source, path: str) -> str:
    """Why the search ends in this layer, though it has nothing to show."""
    layer = source.changes
    if layer.get(path) == WHITEOUT:
        return "a whiteout: it is deleted here"
    for up in parents(path):
        above = layer.get(up)
        if above is not None and not above.is_dir:
            return f"{up} is deleted here" if above == WHITEOUT else f"{up} is a {what(above)} here"
        if up in layer.opaque:
            return "has no such file, and hides all below" if source.place else f"{up} is opaque: it hides all below"
    return ""


def what(entry: Entry) -> str:
    """An entry in a few words: `file, 5B`; `symbolic link -> usr/bin`."""
    if entry.kind == "file":
        return f"file, {bytes_text(entry.size)}"
    kind = KINDS.get(entry.kind, entry.kind)
    return f"{kind} -> {entry.target}" if entry.kind == "symlink" else kind


def follow(tree: Tree, path: str) -> tuple[str, str]:
    """Where a path really is, links on the way to it followed; and the error that ends this way, if one does."""
    try:
        there = tree.resolve(path, follow=False)
    except OSError as error:
        return path, error.strerror or str(error)
    return there, "" if there in tree else "No such file or directory"


def seen(tree: Tree, path: str) -> tuple[str, str]:
    """What somebody sees who looks at a path that is there: in one line, and what kind of thing it is.

    >>> from minidocker.tree import file, symlink
    >>> tree = Tree({"/etc/motd": file(b"hello\\nyou\\n"), "/motd": symlink("etc/motd")})
    >>> seen(tree, "/etc/motd"), seen(tree, "/motd"), seen(tree, "/etc")
    (('hello', 'file, 10B'), ('go on with /etc/motd', 'symbolic link -> etc/motd'), ('motd', 'directory'))
    """
    entry = tree[path]
    if entry.kind == "file":
        with entry.data.open() as stream:
            return _first_line(stream.read(200)), what(entry)
    if entry.is_dir:
        return "  ".join(tree.children(path)[:12]) or "nothing is in it", what(entry)
    if entry.kind == "symlink":
        return _points(tree, path), what(entry)
    return what(entry), what(entry)


def _points(tree: Tree, path: str) -> str:
    try:
        there = tree.resolve(path)
    except OSError as error:
        return error.strerror or str(error)
    return f"go on with {there}" if there in tree else f"dangling: there is no {there}"


def _first_line(head: bytes) -> str:
    if not head:
        return "an empty file"
    line = head.splitlines()[0] if head.splitlines() else b""
    if b"\0" in head:
        return "bytes, not text"
    return line.decode("utf-8", "replace") or "an empty line"
