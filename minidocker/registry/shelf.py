"""A registry's repositories on disk: what each one has, in small files that a person can read.

    registry/<name>/_index.json              an OCI index: the repository's manifests and their tags
    registry/<name>/_blobs/<algorithm>-<hex> one file for each blob that was pushed or mounted here
    registry/<name>/_uploads/<id>            the bytes of an upload so far

The bytes of blobs and manifests are the store's (`blobs/sha256/…`), shared with the engine's images and between
repositories: what is there once is not stored again. A part of a name cannot begin with `_`, so nothing collides.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minidocker.content import INDEX, FileLock, Store, temp_path, write_atomic, write_json
from minidocker.manifest import REF_NAME
from minidocker.registry.errorcodes import RegistryError
from minidocker.registry.names import blob_path, check_name

LEASE = 60.0  # seconds; a blob that was asked for is fresh again, but its file is touched no more often than this

Entry = dict[str, Any]  # a descriptor in _index.json


class Shelf:
    """All repositories of a store."""

    def __init__(self, store: Store) -> None:
        self.store, self.folder = store, store.root / "registry"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        (store.root / "blobs" / "sha512").mkdir(exist_ok=True)

    def repository(self, name: str) -> Repository:
        """The repository of that name, whether or not there is something in it. Raises NAME_INVALID."""
        return Repository(self, check_name(name))

    def names(self) -> Iterator[str]:
        """The names of all that have something in them, in order of the specification."""
        return iter(sorted(self._names()))

    def _names(self) -> Iterator[str]:
        for folder, folders, _ in os.walk(self.folder):
            if (Path(folder) / "_index.json").exists():
                yield Path(folder).relative_to(self.folder).as_posix()
            folders[:] = [name for name in folders if not name.startswith("_")]

    def lock(self) -> FileLock:
        """Held, between processes too, while an index is read and replaced."""
        return FileLock(self.folder / ".lock")

    def path(self, digest: str) -> Path:
        """Where the bytes of a blob or manifest are."""
        return blob_path(self.store.root, digest)

    def put(self, digest: str, data: bytes) -> None:
        """Store the bytes of a small blob."""
        if not self.path(digest).exists():
            temp = temp_path(self.store.root / "tmp" / "blob")
            write_atomic(temp, data)
            temp.replace(self.path(digest))


class Repository:
    """One repository: manifests by digest and tag, and the blobs that may be pulled from it."""

    def __init__(self, shelf: Shelf, name: str) -> None:
        self.shelf, self.name = shelf, name
        self.folder = shelf.folder / name
        self.index = self.folder / "_index.json"
        self.uploads = self.folder / "_uploads"

    def exists(self) -> bool:
        """Whether something was ever pushed here."""
        return self.index.exists()

    def create(self) -> None:
        """Make sure that it exists."""
        for folder in (self.folder / "_blobs", self.uploads):
            folder.mkdir(parents=True, exist_ok=True)
        if not self.exists():
            with self.shelf.lock():
                if not self.exists():
                    self.write([])

    # Blobs

    def _link(self, digest: str) -> Path:
        return self.folder / "_blobs" / digest.replace(":", "-")

    def blobs(self) -> Iterator[tuple[str, float]]:
        """The digests of the blobs, and when each was last pushed or asked for."""
        with contextlib.suppress(FileNotFoundError):
            for link in (self.folder / "_blobs").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if not link.name.startswith("."):
                        yield link.name.replace("-", ":", 1), link.stat().st_mtime

    def link(self, digest: str) -> None:
        """A blob of the store belongs to this repository too. To be called under `store.keep()`."""
        self.create()
        write_atomic(self._link(digest), f"{digest}\n".encode())

    def unlink(self, digest: str) -> None:
        """It does no longer. Raises BLOB_UNKNOWN."""
        try:
            self._link(digest).unlink()
        except FileNotFoundError:
            raise RegistryError("BLOB_UNKNOWN", {"digest": digest}) from None

    def has_blob(self, digest: str) -> bool:
        """Whether the blob can be pulled from here. Who asks may rely on it: it is not garbage for some time now."""
        link = self._link(digest)
        try:
            if time.time() - link.stat().st_mtime > LEASE:
                os.utime(link)
        except OSError:
            return False
        return self.shelf.path(digest).exists()

    # Manifests and tags

    def entries(self) -> list[Entry]:
        """The descriptors in the index: one for each tag, and one for each manifest without any."""
        try:
            found: list[Entry] = json.loads(self.index.read_bytes())["manifests"]
        except FileNotFoundError:
            return []
        return found

    def find(self, reference: str) -> Entry | None:
        """The descriptor of a tag or digest."""
        key = (lambda entry: entry["digest"]) if ":" in reference else tag_of
        return next((entry for entry in self.entries() if key(entry) == reference), None)

    def tags(self) -> list[str]:
        """All tags, in order."""
        return sorted(filter(None, map(tag_of, self.entries())))

    def put(self, digest: str, media_type: str, data: bytes, tags: list[str]) -> None:
        """Store a manifest and let the tags point to it."""
        self.create()
        with self.shelf.store.keep():
            self.shelf.put(digest, data)
            with self.shelf.lock():
                self.write(
                    _placed(self.entries(), {"mediaType": media_type, "digest": digest, "size": len(data)}, tags)
                )

    def remove(self, reference: str) -> None:
        """Forget a tag, or a manifest and all its tags. Raises MANIFEST_UNKNOWN."""
        with self.shelf.lock():
            before = self.entries()
            after = _without_tags(before, [reference])
            if ":" in reference:
                after = [entry for entry in before if entry["digest"] != reference]
            if after == before:
                raise RegistryError("MANIFEST_UNKNOWN", {"name": self.name, "reference": reference})
            self.write(after)

    def write(self, entries: list[Entry]) -> None:
        """Replace the index; under `lock()`."""
        write_json(self.index, {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})

    def read(self, entry: Entry) -> bytes:
        """The bytes of a manifest. Raises MANIFEST_UNKNOWN where they were lost, or are others."""
        algorithm = entry["digest"].partition(":")[0]
        try:
            data = self.shelf.path(entry["digest"]).read_bytes()
        except FileNotFoundError:
            data = b""
        if f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}" != entry["digest"]:
            raise RegistryError("MANIFEST_UNKNOWN", {"digest": entry["digest"]}, "manifest lost: push it again")
        return data


def tag_of(entry: Entry) -> str:
    """The tag of a descriptor, or ""."""
    return str(entry.get("annotations", {}).get(REF_NAME, ""))


def _placed(entries: list[Entry], new: Entry, tags: list[str]) -> list[Entry]:
    """The entries with a manifest added; its tags leave whatever they pointed to, which stays, by its digest."""
    entries = _without_tags(entries, tags)
    mine = [new | {"annotations": {REF_NAME: tag}} for tag in tags]
    others = [entry for entry in entries if entry["digest"] != new["digest"] or tag_of(entry)]
    tagged = mine or any(entry["digest"] == new["digest"] for entry in others)
    return [*others, *(mine if tagged else [new])]


def _without_tags(entries: list[Entry], tags: list[str]) -> list[Entry]:
    """The entries without these tags: a manifest that loses its last one is named by its digest alone."""
    left = [entry for entry in entries if not tag_of(entry) or tag_of(entry) not in tags]
    known = {entry["digest"] for entry in left}
    bare = {
        entry["digest"]: {key: value for key, value in entry.items() if key != "annotations"}
        for entry in entries
        if entry["digest"] not in known
    }
    return [*left, *bare.values()]
