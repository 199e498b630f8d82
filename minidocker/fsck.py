"""Whether a store is sound: every blob has the bytes that its digest says, everything that is named is there.

>>> import tempfile; folder = tempfile.TemporaryDirectory()
>>> store = Store(Path(folder.name))
>>> blob = store.put(b"{}", "application/json")
>>> store.path(blob.digest).write_bytes(b"{]")
2
>>> list(problems(store))  # doctest: +ELLIPSIS
['blob sha256:44136fa... is corrupt: its bytes have another digest']
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minidocker.content import Store

INDEXES = ("index.json", "registry/**/_index.json")


def problems(store: Store) -> Iterator[str]:
    """Each thing that is wrong, in words. What is just being written is not looked at, and so no problem."""
    for folder in sorted((store.root / "blobs").iterdir()):
        for blob in sorted(folder.iterdir()):
            digest = f"{folder.name}:{blob.name}"
            if _digest(blob, folder.name) not in (digest, ""):
                yield f"blob {digest} is corrupt: its bytes have another digest"
    for pattern in INDEXES:
        for index in sorted(store.root.glob(pattern)):
            yield from _missing(store.root, index)


def _digest(blob: Path, algorithm: str) -> str:
    try:
        with blob.open("rb") as stream:
            return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"
    except FileNotFoundError:  # it was garbage, and somebody is collecting it
        return ""


def _missing(root: Path, index: Path) -> Iterator[str]:
    where = index.relative_to(root).as_posix()
    todo = list(_named(index, where))
    seen: set[str] = set()
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            yield one
            continue
        digest = str(one.get("digest"))
        algorithm, _, text = digest.partition(":")
        blob = root / "blobs" / algorithm / text
        if digest in seen or one.get("urls") or "nondistributable" in str(one.get("mediaType")):
            continue
        seen.add(digest)
        if not text.isalnum() or not blob.is_file():
            yield f"{where} needs {digest}, which is not there"
        elif "manifest" in str(one.get("mediaType")) or "index" in str(one.get("mediaType")):
            todo += _named(blob, f"{where}: {digest}")


def _named(note: Path, what: str) -> Iterator[dict[str, Any] | str]:
    """The descriptors in an index or a manifest, or what is wrong with it."""
    try:
        value = json.loads(note.read_bytes())
        config = [value["config"]] if "config" in value else []
        yield from [*config, *(one for key in ("manifests", "layers", "blobs") for one in value.get(key) or [])]
    except (ValueError, TypeError, AttributeError) as error:
        yield f"{what} cannot be read: {error}"
