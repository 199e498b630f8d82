"""Garbage in the store: what nothing names any more, found by mark and sweep.

The roots are small files: `index.json`, the configuration of each container, the records of the build cache, and what
our registry has. Whatever digest they mention is alive, and so is what a live JSON blob mentions. All else goes: blobs,
unpacked layers, leavings.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import time
from pathlib import Path

from minidocker.content import Store
from minidocker.errors import APIError
from minidocker.layer import chain_ids

DIGEST = re.compile(rb"sha(?:256|512):([0-9a-f]{128}|[0-9a-f]{64})(?![0-9a-f])")
MAX_NOTE = (
    1 << 22
)  # bytes; manifests and configurations are smaller (4 MiB is a registry's limit), layers begin otherwise


KEPT = 24 * 3600  # seconds that half a download is kept, for a pull that goes on with it
ROOTS = {
    "index": "index.json",
    "cache": "cache/steps/*.json",
    "containers": "containers/*/config.json",
    "registry": "registry/**/_index.json",
    "pushed": "registry/**/_blobs/*",  # of these, the manifest may still be on its way
}


def collect(store: Store) -> int:
    """Delete garbage and say how many bytes of blobs went. Does nothing while somebody is writing blobs."""
    gate = store.keep(shared=False)
    if not gate.acquire(blocking=False):
        return 0
    try:
        with store.lock():
            before = disk_usage(store)
            live = reachable(store)
            for folder in (*(store.root / "blobs").iterdir(), store.root / "layers", store.root / "tmp"):
                for path in folder.iterdir():
                    if path.name.partition(".")[0] not in live:
                        _delete(path)
            for path in (store.root / "downloads").glob("*"):
                if time.time() - path.stat().st_mtime > KEPT:
                    _delete(path)
            return before - disk_usage(store)
    finally:
        gate.release()


def reachable(store: Store, *kinds: str) -> set[str]:
    """The hex digests that are alive: blobs, diff ids, and the chain ids that name some unpacked layers.

    With `kinds`, only what these roots keep alive: `index`, `cache`, `containers`…
    """
    notes = [note for kind in kinds or ROOTS for note in store.root.glob(ROOTS[kind])]
    todo = {name for note in notes for name in _mentions(note)}
    live: set[str] = set()
    while todo:
        live.add(name := todo.pop())
        blob = store.root / "blobs" / ("sha256" if len(name) == 64 else "sha512") / name
        if _is_note(blob):
            todo |= {*_mentions(blob), *_chains(blob)} - live
    return live


def disk_usage(store: Store) -> int:
    """Bytes of all blobs."""
    return sum(blob.stat().st_size for blob in (store.root / "blobs").glob("*/*"))


def _mentions(note: Path) -> set[str]:
    try:
        text = note.read_bytes()
        if b"\\u" in text:  # a digest may hide behind JSON's escapes
            text = re.sub(rb"\\u00([2-7][0-9a-fA-F])", lambda match: bytes.fromhex(match[1].decode()), text)
        return {name.decode() for name in DIGEST.findall(text)}
    except FileNotFoundError:  # a container or a record went away meanwhile
        return set()


def _is_note(blob: Path) -> bool:
    if not blob.exists() or blob.stat().st_size > MAX_NOTE:
        return False
    with blob.open("rb") as stream:
        return stream.read(80).lstrip()[:1] == b"{"


def _chains(blob: Path) -> set[str]:
    try:
        diff_ids = json.loads(blob.read_bytes())["rootfs"]["diff_ids"]
        return {chain.partition(":")[2] for chain in chain_ids(diff_ids)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, APIError):  # pushed by whoever
        return set()


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        try:
            shutil.rmtree(path)
        except OSError as error:  # an engine is just deleting it, and goes on: the folder of a container
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise
        except RecursionError:  # a layer may be as deep as Linux allows
            from minidocker.runtime.discarding import discard

            discard(path)
    else:
        path.unlink(missing_ok=True)
