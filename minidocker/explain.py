"""An image read backwards: what each line of its history made, what of that nobody sees, and how to do better.

All of it is computed: from history and layers, and, where this engine built the image, from what the build cache knows
(the lines of the Dockerfile, the seconds that each took, what changed between the last builds). `minidocker.advice`
says which line to change.

    >>> instruction("RUN /bin/sh -c echo hi # buildkit"), instruction('/bin/sh -c #(nop)  CMD ["sh"]')
    ('RUN echo hi', 'CMD ["sh"]')
    >>> instruction("RUN |1 TOKEN=s3cr3t /bin/sh -c make # buildkit")
    'RUN make'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from minidocker.advice import Advice, advise, discreet
from minidocker.drawn import Drawn
from minidocker.errors import DockerException
from minidocker.layer import Changeset, directories, hidden_by, merge
from minidocker.recall import Recall, recall
from minidocker.tree import Entry, Tree, link_groups

if TYPE_CHECKING:
    from minidocker.image import Image

OURS = "minidocker/"  # base images named so are made on this machine: their bytes differ from machine to machine


@dataclass(frozen=True)
class Line:
    """One line of the history. `layer` counts from the bottom, 1 first; 0: it made none. Sizes are bytes of content.

    `line` is the Dockerfile's and `seconds` what it took, 0 where nobody knows; `base` says that it came with the
    FROM. It added, changed and hid so many files; `wasted` are those of its bytes that no container ever sees.
    """

    text: str
    layer: int = 0
    line: int = 0
    base: bool = False
    added: int = 0
    changed: int = 0
    hidden: int = 0
    size: int = 0
    wasted: int = 0
    seconds: float = 0.0

    @property
    def keyword(self) -> str:
        """`RUN`, `COPY`…"""
        return self.text.partition(" ")[0].upper()

    @property
    def name(self) -> str:
        """What advice calls it: by its line in the Dockerfile, if that is known."""
        return f"line {self.line}" if self.line else f"layer {self.layer}" if self.layer else f"`{self.text}`"


@dataclass(frozen=True)
class Fate:
    """A file of one layer that a later one deletes (`now` is None) or brings again: `size` bytes are there in vain.

    Of a file with several names the bytes are in vain once the last of these is gone.
    """

    path: str
    layer: int
    by: int
    was: Entry
    now: Entry | None
    size: int


@dataclass(frozen=True)
class Explanation(Drawn):
    """What each line of an image made; `advice` says which to change. `print` it, or look at it in a notebook."""

    image: Image
    lines: tuple[Line, ...]
    fates: tuple[Fate, ...]
    known: Recall
    base: str = ""

    @property
    def own(self) -> list[Line]:
        """The lines that did not come with the FROM."""
        return [line for line in self.lines if not line.base]

    @property
    def size(self) -> int:
        """Bytes of content in the layers; those of the base left out."""
        return sum(line.size for line in self.own)

    @property
    def wasted(self) -> int:
        """Bytes of them that nobody sees."""
        return sum(line.wasted for line in self.own)

    @property
    def efficiency(self) -> float:
        """Which part of the bytes stored is seen: 1 where all are."""
        return (self.size - self.wasted) / self.size if self.size else 1.0

    @cached_property
    def advice(self) -> list[Advice]:
        """What to do about it, what saves most first."""
        return advise(self)

    def made(self, layer: int) -> Line:
        """The line that made a layer."""
        return next(line for line in self.lines if line.layer == layer)

    def to_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "image": self.image.id,
            "tags": self.image.tags,
            "base": self.base,
            "size": self.size,
            "wasted": self.wasted,
            "efficiency": round(self.efficiency, 4),
            "lines": [vars(line) for line in self.lines],
            "advice": [one.to_json() for one in self.advice],
        }

    def __repr__(self) -> str:
        return f"<Explanation: {len(self.lines)} lines, {len(self.advice)} pieces of advice>"


def explain(image: Image) -> Explanation:
    """Read an image backwards. Raises CorruptBlob, LayerError."""
    layers = [layer.changes for layer in image.layers]
    counts, fates = _walk(layers)
    known = recall(image)
    base, lines, folded = _base(image, known)
    wasted = _per_layer(fates)
    rows, number = [], 0
    for index, entry in enumerate(history(image)):
        text = instruction(str(entry.get("created_by") or "")) or str(entry.get("comment") or "a layer")
        row = Line(discreet(text), base=index < lines)
        if not entry.get("empty_layer"):
            number += 1
            added, changed, hidden = counts[number - 1]
            row = replace(row, layer=number, added=added, changed=changed, hidden=hidden, base=number <= folded)
            row = replace(row, size=layers[number - 1].size, wasted=wasted.get(number, 0))
        rows.append(replace(row, **known.about(row.layer, str(entry.get("created_by") or ""))))
    return Explanation(image, tuple(rows), tuple(fates), known, base)


def _walk(layers: Sequence[Changeset]) -> tuple[list[tuple[int, int, int]], list[Fate]]:
    """How many files each layer adds, changes and hides; and what becomes of those that are hidden."""
    lower, owner, counts = Tree(), dict[str, int](), []
    ends: dict[tuple[int, str], tuple[int, Entry | None]] = {}
    for number, layer in enumerate(layers, 1):
        upper = merge(lower, layer)
        files = [path for path, entry in layer.items() if entry.kind != "whiteout" and not entry.is_dir]
        changed = [path for path in files if path in owner]
        below = hidden_by(layer, partial(getattr, lower, "paths"), lower.__contains__)
        gone = [path for path in below if path in owner and path not in layer]
        gone += [path for path, entry in layer.items() if entry.kind == "whiteout" and path in owner]
        gone += [path for path in directories(layer) if path in owner]
        for path in dict.fromkeys([*changed, *gone]):
            ends[owner.pop(path), path] = number, upper.get(path) if path in files else None
        counts.append((len(files) - len(changed), len(changed), len(set(gone))))
        owner.update(dict.fromkeys(files, number))
        lower = upper
    return counts, [fate for number, layer in enumerate(layers, 1) for fate in _fates(number, layer, ends)]


def _fates(number: int, layer: Changeset, ends: dict[tuple[int, str], tuple[int, Entry | None]]) -> Iterator[Fate]:
    groups = link_groups(layer)
    for path, entry in layer.items():
        if (end := ends.get((number, path))) is None:
            continue
        found = [ends.get((number, name)) for name in groups.get(entry.link, [path])]
        known = [one for one in found if one]
        last = max(one[0] for one in known)
        counted = len(known) == len(found) and entry.link in ("", path)
        yield Fate(path, number, last if counted else end[0], entry, end[1], entry.size if counted else 0)


def _per_layer(fates: Iterable[Fate]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for fate in fates:
        sums[fate.layer] = sums.get(fate.layer, 0) + fate.size
    return sums


def _base(image: Image, known: Recall) -> tuple[str, int, int]:
    """What the image is based on: its name, how many lines of the history and how many layers came with it."""
    try:
        others = image.images.list()
    except DockerException:  # another image is damaged, which is not this one's business
        others = []
    found = next((other for other in others if other.id == known.base_id), None) or base_of(image, others)
    if found is not None and image.diff_ids[: len(found.layers)] == found.diff_ids:
        return base_name(found), len(history(found)), len(found.layers)
    return known.base, 0, known.base_layers


def history(image: Image) -> list[dict[str, object]]:
    """The image's OCI history, oldest first, one entry for each layer at least."""
    lines: list[dict[str, object]] = list(image.raw.get("history") or [])
    missing = len(image.layers) - sum(not line.get("empty_layer") for line in lines)
    unknown: list[dict[str, object]] = [{"created_by": ""}]
    return unknown * max(missing, 0) + lines


def instruction(created_by: str) -> str:
    """A history line as the Dockerfile had it."""
    text = created_by.removesuffix(" # buildkit").strip()
    if text.startswith("/bin/sh -c #(nop)"):
        text = text.removeprefix("/bin/sh -c #(nop)").strip()
    elif text.startswith("RUN "):
        text = _without_args(text).replace("RUN /bin/sh -c ", "RUN ", 1)
    else:
        text = _without_args(text.replace("/bin/sh -c ", "RUN ", 1)) if "/bin/sh -c " in text[:200] else text
    return text


def _without_args(text: str) -> str:
    """`RUN |1 V=1 /bin/sh -c make` -> `RUN /bin/sh -c make`."""
    found = re.match(r"RUN \|(\d+) ", text)
    if not found:
        return text
    _, shell, command = text.partition(" /bin/sh -c ")
    if shell:
        return f"RUN{shell}{command}"
    return f"RUN {' '.join(text[found.end() :].split(' ')[int(found[1]) :])}"


def base_name(image: Image) -> str:
    """How a Dockerfile's FROM names this image."""
    return image.tags[0].removesuffix(":latest") if image.tags else image.short_id


def base_of(image: Image, others: Iterable[Image]) -> Image | None:
    """The course's own base image that `image` is built on, found among `others`: its layers are the first of ours."""
    ids = list(image.diff_ids)
    found = [
        other
        for other in others
        if any(tag.startswith(OURS) for tag in other.tags)
        and other.id != image.id
        and other.diff_ids
        and ids[: len(other.diff_ids)] == list(other.diff_ids)
    ]
    return max(found, key=lambda other: len(other.diff_ids), default=None)
