"""Garbage of a registry, collected while it serves: blobs that no manifest of their repository names any more.

A blob that was just pushed, or asked for, belongs to a manifest that is still to come: so nothing goes before it has
lain for `grace` seconds. Then what no repository and no image names is deleted, by `minidocker.garbage`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from minidocker.garbage import collect
from minidocker.registry.client import INDEXES
from minidocker.registry.errorcodes import RegistryError
from minidocker.registry.manifests import named, parse, subject_of
from minidocker.registry.shelf import Entry, Repository, Shelf, tag_of
from minidocker.registry.uploads import EXPIRY, expire

GRACE = 3600.0
TRIES = 50  # to find the moment in which nobody writes


@dataclass
class Swept:
    """What went, or would go: (repository, digest or upload id)."""

    manifests: list[tuple[str, str]] = field(default_factory=list)
    blobs: list[tuple[str, str]] = field(default_factory=list)
    uploads: list[tuple[str, str]] = field(default_factory=list)
    freed: int = 0


def garbage_collect(
    shelf: Shelf, dry_run: bool = False, untagged: bool = False, grace: float = GRACE, expiry: float = EXPIRY
) -> Swept:
    """Collect; with `untagged`, manifests too that no tag leads to. With `dry_run`, only say what would go."""
    swept = Swept()
    for name in shelf.names():
        repository = shelf.repository(name)
        with shelf.lock():  # no manifest comes in between what it names is counted and deleted
            entries = repository.entries()
            kept = _kept(repository, entries) if untagged else {entry["digest"] for entry in entries}
            gone = sorted({entry["digest"] for entry in entries} - kept)
            alive = _blobs_of(repository, [entry for entry in entries if entry["digest"] in kept])
            old = [digest for digest, used in repository.blobs() if digest not in alive and _age(used) >= grace]
            if not dry_run:
                if gone:
                    repository.write([entry for entry in entries if entry["digest"] in kept])
                for digest in old:
                    repository.unlink(digest)
        swept.manifests += [(name, digest) for digest in gone]
        swept.blobs += [(name, digest) for digest in sorted(old)]
        if not dry_run:
            swept.uploads += [(name, upload) for upload in expire(repository, expiry)]
    if not dry_run:
        swept.freed = _collect(shelf)
    return swept


def _collect(shelf: Shelf) -> int:
    """Delete the bytes; while others write, in a moment that they leave."""
    for _ in range(TRIES):
        gate = shelf.store.keep(shared=False)
        if gate.acquire(blocking=False):
            gate.release()
            break
        time.sleep(0.05)
    return collect(shelf.store)


def _age(moment: float) -> float:
    return time.time() - moment


def _read(repository: Repository, entry: Entry) -> dict[str, object]:
    try:
        return parse(repository.read(entry))
    except RegistryError:  # lost, or spoiled: fsck says so
        return {}


def _named(repository: Repository, entry: Entry) -> set[str]:
    try:
        return {one["digest"] for one, _ in named(_read(repository, entry), entry["mediaType"])}
    except RegistryError:
        return set()


def _blobs_of(repository: Repository, entries: list[Entry]) -> set[str]:
    return {digest for entry in entries if entry["mediaType"] not in INDEXES for digest in _named(repository, entry)}


def _kept(repository: Repository, entries: list[Entry]) -> set[str]:
    """The manifests that a tag leads to: itself, through indexes, or as what it is about (`subject`)."""
    by_digest = {entry["digest"]: entry for entry in entries}
    subjects = {digest: subject_of(_read(repository, entry)) for digest, entry in by_digest.items()}
    kept: set[str] = set()
    todo = {entry["digest"] for entry in entries if tag_of(entry)}
    while todo:
        kept.add(digest := todo.pop())
        more = _named(repository, by_digest[digest]) & set(by_digest)
        more |= {one for one, subject in subjects.items() if subject == digest}
        todo |= more - kept
    return kept
