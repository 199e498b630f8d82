"""What a registry's repository has, as plain values for pictures: tags, images, their blobs.

The digests of compressed layers, and of manifests that name them, depend on the zlib that packed them; image ids do
not. So a picture calls an image by its id, and a layer by the line that made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from minidocker.content import read_json
from minidocker.explain import instruction
from minidocker.notebook.pictures.svg import bytes_text
from minidocker.registry.client import INDEXES
from minidocker.registry.shelf import tag_of

if TYPE_CHECKING:
    from minidocker.registry.shelf import Repository


@dataclass(frozen=True)
class Part:
    """A blob of an image: `name` (an image id, a diff id) is the same on every machine, the digest may not be."""

    digest: str
    kind: Literal["manifest", "config", "layer"]
    words: str
    size: int
    name: str


@dataclass(frozen=True)
class Held:
    """An image that a repository has: its manifest's digest, its id, the last line of its history, its blobs.

    `size` is that of manifest and configuration.
    """

    digest: str
    id: str
    words: str
    platform: str
    size: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Snapshot:
    """A repository at one moment: which digest each tag points to, its images, and its indexes as they are."""

    name: str
    tags: Mapping[str, str]
    images: tuple[Held, ...]
    indexes: Mapping[str, dict[str, Any]]

    def image(self, digest: str) -> Held | None:
        """The image with that manifest."""
        return next((image for image in self.images if image.digest == digest), None)


def look(repository: Repository) -> Snapshot:
    """Read a repository of our own registry."""
    entries = repository.entries()
    values = {entry["digest"]: json.loads(repository.read(entry)) for entry in entries}
    kinds = {entry["digest"]: entry["mediaType"] for entry in entries}
    indexes = {digest: value for digest, value in values.items() if kinds[digest] in INDEXES}
    images = tuple(
        _held(repository, digest, value)
        for digest, value in values.items()
        if digest not in indexes and "layers" in value
    )
    tags = {tag_of(entry): entry["digest"] for entry in entries if tag_of(entry)}
    return Snapshot(repository.name, dict(sorted(tags.items())), images, indexes)


def _held(repository: Repository, digest: str, manifest: dict[str, Any]) -> Held:
    config = read_json(repository.shelf.path(manifest["config"]["digest"]))
    lines = [instruction(str(line.get("created_by") or "")) for line in config.get("history") or [{}]]
    platform = "/".join(str(config[key]) for key in ("os", "architecture", "variant") if config.get(key))
    parts = tuple(_parts(manifest, config))
    size = len(repository.read({"digest": digest})) + parts[0].size
    return Held(digest, parts[0].digest, lines[-1], platform, size, parts)


def _parts(manifest: dict[str, Any], config: dict[str, Any]) -> Iterator[Part]:
    blob = manifest["config"]
    yield Part(blob["digest"], "config", "configuration", blob["size"], blob["digest"])
    lines = [line for line in config.get("history") or () if not line.get("empty_layer")]
    words = [instruction(str(line.get("created_by") or "")) for line in lines]
    for number, (blob, diff_id) in enumerate(zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)):
        yield Part(blob["digest"], "layer", words[number] if number < len(words) else "layer", blob["size"], diff_id)


def about(size: int) -> str:
    """A size on the wire in words that do not depend on which zlib packed it.

    >>> about(99), about(2_700), about(12_345), about(1_000_448)
    ('<1kB', '<10kB', '12kB', '1MB')
    """
    if size < 10_000:
        return "<10kB" if size >= 1000 else "<1kB" if size else "0B"
    return bytes_text(round(size, 2 - len(str(size))))
