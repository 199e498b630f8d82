"""What the pictures show, as plain values: an image as rows, a layer as marks A, M and D.

A   added: the layers below have nothing at this path
M   modified: they have, and this layer brings it again, in full
D   deleted: a whiteout hides what they have
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minidocker.explain import base_name, history, instruction
from minidocker.layer import Changeset, merge
from minidocker.tree import Entry, Tree, prefix, slice_below
from minidocker.union import Blame

if TYPE_CHECKING:
    from minidocker.image import Image

Letter = Literal["A", "M", "D"]


@dataclass(frozen=True)
class Mark:
    """One path that a layer adds (A), modifies (M) or deletes (D); `size` in bytes."""

    path: str
    letter: Letter
    size: int = 0
    kind: str = "file"

    def __str__(self) -> str:
        return f"{self.letter} {self.path}"


@dataclass(frozen=True)
class Row:
    """One line of an image's history: the instruction, and the layer that it made (none: metadata only).

    `number` counts the layers from the bottom, 1 first; a folded base is one row that stands for `folded` layers.
    """

    text: str
    marks: tuple[Mark, ...] = ()
    size: int | None = None
    number: int = 0
    folded: int = 0


def marks(lower: Tree, layer: Changeset) -> list[Mark]:
    """What `layer` does to the tree below it, by path. Directories that are only passed through are left out.

    >>> from minidocker.layer import WHITEOUT, directory, file
    >>> below = Tree({"/etc/motd": file(b"hello"), "/tmp/junk": file()})
    >>> print(*marks(below, Changeset({"/etc/motd": file(b"hi"), "/tmp/junk": WHITEOUT, "/app": directory()})))
    A /app M /etc/motd D /tmp/junk
    """
    return [mark(lower, layer, path) for path in marked(lower, layer)]


def marked(lower: Tree, layer: Changeset) -> list[str]:
    """The paths that have a mark, sorted; that of an opaque directory ends in `/*`."""
    folders = [path for path, entry in layer.items() if entry.kind == "dir"]
    passed = {path for path in folders if _passed_through(lower, layer, path, layer[path])}
    found = [path for path in layer if path not in passed]
    return sorted([*found, *(prefix(path) + "*" for path in layer.opaque if lower.below(path))])


def mark(lower: Tree, layer: Changeset, path: str) -> Mark:
    """The mark of one of the paths that have one."""
    entry = layer.get(path)
    if entry is None:
        return Mark(path, "D", kind="opaque")
    if entry.kind == "whiteout":
        return Mark(path, "D", kind="whiteout")
    return Mark(path, "M" if path in lower else "A", entry.size, entry.kind)


def _passed_through(lower: Tree, layer: Changeset, path: str, entry: Entry) -> bool:
    """Whether a directory is listed only because something in it changed."""
    old = lower.get(path)
    if old is not None and not old.is_dir:
        return False
    inside = bool(slice_below(layer.paths, path))
    same = old is not None and (old.mode, old.uid, old.gid) == (entry.mode, entry.uid, entry.gid)
    return inside if old is None else inside or same


def rows(image: Image, base: Image | None = None) -> list[Row]:
    """An image's history as rows, oldest first; the layers that come from `base` fold into one row without a size."""
    made: list[Row] = []
    skip, folded = (len(history(base)), len(base.layers)) if base else (0, 0)
    if base:
        made.append(Row(f"FROM {base_name(base)}", number=folded, folded=folded))
    lower = merge(Tree(), *(layer.changes for layer in image.layers[:folded]))
    layers = iter(image.layers[folded:])
    number = folded
    for line in history(image)[skip:]:
        text = instruction(str(line.get("created_by") or "")) or str(line.get("comment") or "a layer without history")
        layer = None if line.get("empty_layer") else next(layers, None)
        if layer is None:
            made.append(Row(text))
            continue
        number += 1
        made.append(Row(text, tuple(marks(lower, layer.changes)), layer.changes.size, number))
        lower = merge(lower, layer.changes)
    return made


@dataclass(frozen=True)
class Seen:
    """What of one layer a container sees: how many files (all that is no directory), how many bytes of content."""

    files: int = 0
    size: int = 0


def seen(found: Sequence[Blame]) -> dict[int, Seen]:
    """What is seen of each layer, 1 the lowest; a file with several names has its bytes once.

    >>> from minidocker.layer import Changeset, file
    >>> from minidocker.union import blame
    >>> seen(blame([Changeset({"/a": file(b"one"), "/b": file(b"two")}), Changeset({"/a": file(b"three")})]))
    {1: Seen(files=1, size=3), 2: Seen(files=1, size=5)}
    """
    files: Counter[int] = Counter()
    sizes: dict[int, dict[str, int]] = {}
    for one in found:
        if one.entry and not one.entry.is_dir:
            files[one.layer + 1] += 1
            sizes.setdefault(one.layer + 1, {})[one.entry.link or one.path] = one.entry.size
    return {number: Seen(files[number], sum(sizes[number].values())) for number in sorted(files)}


def count(number: int, noun: str) -> str:
    """`count(1, "layer")` -> `1 layer`; `count(2, "layer")` -> `2 layers`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def brief(found: Sequence[Mark], limit: int = 6) -> str:
    """Marks in one line: `A /app/hello.sh, D /tmp/junk, and 12 more`."""
    shown = ", ".join(map(str, found[:limit]))
    return f"{shown}, and {len(found) - limit} more" if len(found) > limit else shown
