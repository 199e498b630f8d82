"""Uploads: the bytes of a blob on their way in, in one piece or many, over days and restarts.

An upload is one file, and how far it has come is the file's size: so it goes on after a cut, a crash, or in another
process. The bytes are hashed as they come; who goes on with what somebody else began hashes the beginning again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from minidocker.content import unwritable
from minidocker.registry.errorcodes import RegistryError
from minidocker.registry.shelf import Repository

EXPIRY = 7 * 24 * 3600.0  # seconds without a byte, as Docker's registry
PATIENCE = 5.0  # seconds to wait for an upload that somebody else is writing to, or seems to
AHEAD = 8  # pieces that may wait to be hashed
REMEMBERED = 1000  # hashes of uploads that are under way


class Uploads:
    """The uploads of all repositories that this process has a hand in."""

    def __init__(self) -> None:
        self._hashes: dict[Path, tuple[int, Any]] = {}  # how many bytes the hash is of; a hash cannot be stored
        self._mutex = threading.Lock()

    def start(self, repository: Repository) -> str:
        """A new one; its id."""
        repository.create()
        name = secrets.token_hex(16)
        (repository.uploads / name).touch()
        return name

    def size(self, repository: Repository, name: str) -> int:
        """How many bytes have come. Raises BLOB_UPLOAD_UNKNOWN."""
        try:
            return _path(repository, name).stat().st_size
        except FileNotFoundError:
            raise _unknown(name) from None

    def cancel(self, repository: Repository, name: str) -> None:
        """Forget it. Raises BLOB_UPLOAD_UNKNOWN."""
        path = _path(repository, name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise _unknown(name) from None
        self._forget(path)

    def append(
        self, repository: Repository, name: str, pieces: Iterable[bytes], kind: str, span: tuple[int, int] | None = None
    ) -> int:
        """Add bytes; the size after that. What came before a cut stays.

        Raises RANGE_INVALID where `span`, the first and last byte by its sender's count, does not begin at the end,
        and SIZE_INVALID where other bytes come than it says.
        """
        path = _path(repository, name)
        with _writing(path) as out:
            start = size = out.seek(0, os.SEEK_END)
            if span is not None and span[0] != size:
                raise RegistryError("RANGE_INVALID", {"expected": size, "found": span[0]})
            sha = self._hashed(path, size, kind)
            try:
                with _hashing(sha) as hash_later:
                    for piece in pieces:
                        _write(out, piece)
                        size += len(piece)
                        hash_later(piece)
            except OSError as error:
                out.truncate(size)
                raise unwritable(repository.shelf.store.root, error) from error
            finally:
                self._remember(path, size, sha)
            if span is not None and size != span[1] + 1:
                out.truncate(start)
                raise RegistryError("SIZE_INVALID", {"expected": span[1] + 1, "found": size})
        return size

    def commit(self, repository: Repository, name: str, digest: str) -> None:
        """The upload is complete: if it is what the digest says, it is a blob now. Raises DIGEST_INVALID.

        One that is something else is forgotten: no bytes that come after it could make it good.
        """
        path, shelf = _path(repository, name), repository.shelf
        with _writing(path) as out:
            kind = digest.partition(":")[0]
            found = f"{kind}:{self._hashed(path, out.seek(0, os.SEEK_END), kind).hexdigest()}"
            if found != digest:
                path.unlink()
                self._forget(path)
                raise RegistryError("DIGEST_INVALID", {"digest": digest, "found": found})
            with shelf.store.keep():
                if shelf.path(digest).exists():
                    path.unlink()
                else:
                    os.fsync(out.fileno())
                    path.replace(shelf.path(digest))
                repository.link(digest)
            self._forget(path)

    def _hashed(self, path: Path, size: int, kind: str) -> Any:
        """The hash of the first `size` bytes: the one that we have, brought up to there, or a new one."""
        with self._mutex:
            known, sha = self._hashes.get(path, (0, None))
        if sha is None or sha.name != kind or known > size:
            known, sha = 0, hashlib.new(kind)
        if known < size:
            with path.open("rb") as stream:
                stream.seek(known)
                while piece := stream.read(1 << 20):
                    sha.update(piece)
        return sha

    def _remember(self, path: Path, size: int, sha: Any) -> None:
        with self._mutex:
            self._hashes.pop(path, None)
            self._hashes[path] = (size, sha)
            while len(self._hashes) > REMEMBERED:
                del self._hashes[next(iter(self._hashes))]

    def _forget(self, path: Path) -> None:
        with self._mutex:
            self._hashes.pop(path, None)


def expire(repository: Repository, age: float = EXPIRY) -> list[str]:
    """Delete the uploads that nobody went on with; their ids."""
    gone = []
    for path in repository.uploads.glob("[0-9a-f]*"):
        with contextlib.suppress(FileNotFoundError, RegistryError):
            if time.time() - path.stat().st_mtime > age:
                with _writing(path, patience=0.0):
                    path.unlink()
                    gone.append(path.name)
    return gone


def _path(repository: Repository, name: str) -> Path:
    if not re.fullmatch("[0-9a-f]{32}", name):
        raise _unknown(name)
    return repository.uploads / name


def _unknown(name: str) -> RegistryError:
    return RegistryError("BLOB_UPLOAD_UNKNOWN", {"upload": name[:80]})


@contextlib.contextmanager
def _writing(path: Path, patience: float = PATIENCE) -> Iterator[BinaryIO]:
    """The upload's file, for us alone. Raises BLOB_UPLOAD_UNKNOWN, and TOOMANYREQUESTS where another one has it."""
    try:
        out = path.open("r+b", buffering=0)
    except FileNotFoundError:
        raise _unknown(path.name) from None
    with out:
        deadline = time.monotonic() + patience
        while not _lock(out):
            if time.monotonic() >= deadline:
                message = "this upload is being written to by another request"
                raise RegistryError("TOOMANYREQUESTS", None, message, headers={"Retry-After": "1"})
            time.sleep(0.02)
        if not path.exists():  # completed or cancelled meanwhile
            raise _unknown(path.name)
        yield out


def _lock(out: BinaryIO) -> bool:
    try:
        import fcntl
    except ImportError:
        return True  # Windows: two requests for one upload are not kept apart
    try:
        fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _hashing(sha: Any) -> Iterator[Callable[[bytes], None]]:
    """Hash in a thread beside the one that reads and writes; all is hashed when the block is left."""
    waiting: SimpleQueue[bytes] = SimpleQueue()
    room = threading.BoundedSemaphore(AHEAD)

    def work() -> None:
        while piece := waiting.get():
            sha.update(piece)
            room.release()

    def hash_later(piece: bytes) -> None:
        room.acquire()
        waiting.put(piece)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield hash_later
    finally:
        waiting.put(b"")
        thread.join()


def _write(out: BinaryIO, piece: bytes) -> None:
    """All of it: a write to a full disk may take a part only, before it fails."""
    left = memoryview(piece)
    while left:
        left = left[out.write(left) :]
