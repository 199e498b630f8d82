"""Blobs by digest: the store on disk is an OCI image layout, so other tools read it in place.

    oci-layout  index.json  blobs/sha256/<hex>     the layout, by the OCI image specification
    layers/<hex>.json                              a layer's members, read once from its tar
    layers/<hex>/                                  a layer unpacked, for the kernel's overlay (Linux)
    downloads/<hex>                                what has come of a blob that is being pulled
    tmp/                                           whatever is being written

What never changes is named by its digest and checked against it when written and when read; what changes is a small
file, replaced as a whole (temp file, fsync, rename) under a lock that holds between processes.

    >>> import tempfile; folder = tempfile.TemporaryDirectory()
    >>> store = Store(Path(folder.name))
    >>> blob = store.put(b"hello", "text/plain")
    >>> blob.digest[:14], store.read(blob.digest)
    ('sha256:2cf24db', b'hello')
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from minidocker import journal
from minidocker.compression import decompress
from minidocker.errors import APIError, CorruptBlob, InvalidArgument, NotFound
from minidocker.layer import Changeset
from minidocker.tree import CHUNK, Bytes, Data, Entry, many_entries

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
HEX = frozenset("0123456789abcdef")
MOMENT = 50_000_000  # nanoseconds; the clock of a file system ticks every few milliseconds
MAX_JSON = 32 << 20  # bytes; a manifest or configuration larger than this is an attack


@dataclass(frozen=True)
class Descriptor:
    """How one blob points to another: media type, digest and size; the OCI image specification's `descriptor.md`."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The descriptor as it stands in a manifest."""
        note = {"annotations": self.annotations} if self.annotations else {}
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **note}

    @classmethod
    def from_json(cls, value: Any) -> Descriptor:
        """Read one out of a manifest from outside. Raises InvalidArgument where it is none."""
        try:
            kind, digest, size = value["mediaType"], value["digest"], value["size"]
            notes = value.get("annotations") or {}
            good = isinstance(kind, str) and type(size) is int and size >= 0 and isinstance(notes, dict)
        except (TypeError, KeyError, AttributeError):
            good = False
        if not good or not all(isinstance(note, str) for note in notes.values()):
            raise InvalidArgument(f"not a valid descriptor: {str(value)[:200]}")
        return cls(kind, check_digest(digest), size, notes)


class FileLock:
    """A lock on a file that holds between processes and dies with its holder. `shared` ones admit each other.

    >>> import tempfile; folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "lock"
    >>> with FileLock(path):
    ...     FileLock(path).acquire(blocking=False)
    False
    """

    def __init__(self, path: Path, shared: bool = False) -> None:
        self.path, self.shared = path, shared
        self._fd = -1

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock; without `blocking`, say False where somebody else has it."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            taken = _flock(fd, self.shared, blocking)
        except BaseException:
            os.close(fd)
            raise
        if taken:
            self._fd = fd
        else:
            os.close(fd)
        return taken

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class NestedLock:
    """A file lock between processes and between threads, which whoever holds it may take again: `with lock: …`."""

    def __init__(self, path: Path) -> None:
        self._file, self._mutex, self._depth = FileLock(path), threading.RLock(), 0

    def __enter__(self) -> None:
        self._mutex.acquire()
        try:
            if not self._depth:
                self._file.acquire()
        except BaseException:
            self._mutex.release()
            raise
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        try:
            if not self._depth:
                self._file.release()
        finally:
            self._mutex.release()


def _flock(fd: int, shared: bool, blocking: bool) -> bool:
    try:
        import fcntl
    except ImportError:
        return _lock_windows(fd, blocking)
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(fd, how if blocking else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_windows(fd: int, blocking: bool) -> bool:
    """Windows locks a byte; it has no shared kind, so there sharers wait for each other."""
    try:
        import msvcrt
    except ImportError:
        return True  # Pyodide: there is only this process
    while True:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            return True
        except OSError:
            if not blocking:
                return False
            time.sleep(0.02)


class Store:
    """One folder of blobs. Any number of engines may work on it at the same time.

    Raises APIError where the folder cannot be used: it names the folder and the way to choose another.
    """

    def __init__(self, root: Path) -> None:
        self.root, self._blobs = root, root / "blobs" / "sha256"
        self._lock = NestedLock(root / ".lock")
        self._layers: dict[str, tuple[list[int], Changeset]] = {}
        self._sizes: dict[str, int] = {}  # of layers, by diff id
        self.written: dict[Path, list[int]] = {}  # what this process wrote, and so need not hash again
        self.unpacked: dict[tuple[str, ...], Path] = {}  # a stack's diff ids -> the folder of its topmost layer
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("blobs/sha256", "layers", "tmp"):
                (root / name).mkdir(parents=True, exist_ok=True)
            with self.lock():
                if not (root / "index.json").exists():
                    write_json(root / "index.json", {"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
                if not (root / "oci-layout").exists():
                    write_json(root / "oci-layout", {"imageLayoutVersion": "1.0.0"})
        except OSError as error:
            raise APIError(
                f"cannot use {root} as the engine's folder: {error.strerror or error}. Choose one with MINIDOCKER_ROOT"
            ) from error

    def lock(self) -> NestedLock:
        """Hold the store for oneself, for as long as a small file is read and replaced; not for whole builds."""
        return self._lock

    def keep(self, shared: bool = True) -> FileLock:
        """A lock under which nothing is collected: whoever writes blobs that no image names yet holds it, shared."""
        return FileLock(self.root / ".keep", shared)

    def tell(self, kind: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
        """Write down what happened, for those who follow `docker events`."""
        journal.append(str(self.root), kind, action, id, attributes)

    # Blobs

    def path(self, digest: str) -> Path:
        """Where a blob lies, or would."""
        return self._blobs / check_digest(digest)[7:]

    def has(self, digest: str) -> bool:
        """Whether the blob is here (nothing is read)."""
        return self.path(digest).exists()

    def put(self, content: bytes | Iterable[bytes], media_type: str, sync: bool = True) -> Descriptor:
        """Write a blob; nothing is visible until all of it is there. Without `sync`, `settle` it before it is named."""
        with self.writer(media_type) as writer:
            for chunk in [content] if isinstance(content, bytes) else content:
                writer.write(chunk)
            return writer.commit(sync=sync)

    def settle(self, digests: Iterable[str]) -> None:
        """Have blobs outlive a power cut: a thousand at once take the disk little longer than one."""
        for digest in digests:
            fd = os.open(self.path(digest), os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
            try:
                os.fsync(fd)
            except OSError as error:
                raise unwritable(self.root, error) from error
            finally:
                os.close(fd)

    def writer(self, media_type: str) -> BlobWriter:
        """Write a blob piece by piece: `with store.writer(LAYER) as out: out.write(…); out.commit()`."""
        return BlobWriter(self, media_type)

    def read(self, digest: str) -> bytes:
        """A small blob, checked against its digest. Raises NotFound and CorruptBlob."""
        try:
            with self.path(digest).open("rb") as blob:
                data = blob.read(min(os.fstat(blob.fileno()).st_size, MAX_JSON) + 1)  # not room for the largest
        except FileNotFoundError:
            raise NotFound(f"blob {digest} is not in {self.root}; load or pull its image again") from None
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise self._corrupt(digest)
        return data

    def read_json(self, digest: str) -> dict[str, Any]:
        """A blob that holds a JSON object."""
        return parse_json(self.read(digest), digest)

    def open(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob, piece by piece; CorruptBlob at the end when they are not what the digest says."""
        sha = hashlib.sha256()
        try:
            blob = self.path(digest).open("rb")
        except FileNotFoundError:
            raise NotFound(f"blob {digest} is not in {self.root}; load or pull its image again") from None
        with blob:
            while chunk := blob.read(CHUNK):
                sha.update(chunk)
                yield chunk
        if f"sha256:{sha.hexdigest()}" != digest:
            raise self._corrupt(digest)

    def _corrupt(self, digest: str) -> CorruptBlob:
        return CorruptBlob(
            f"blob {digest} in {self.root} is corrupt: its bytes have another digest. Remove its image, load it again"
        )

    # Layers

    def layer(self, descriptor: Descriptor, diff_id: str) -> Changeset:
        """A layer as a value. Its tar is checked and read once; after that a small index answers.

        Raises NotFound, CorruptBlob, and LayerError where the tar is no valid layer.
        """
        tar = self.layer_tar(descriptor, diff_id)
        try:
            return self._changes(diff_id, tar)
        except CorruptBlob:
            if descriptor.digest == diff_id:
                raise
            tar.unlink(missing_ok=True)  # what was unpacked from the blob, and cut short by a power cut
            return self._changes(diff_id, self.layer_tar(descriptor, diff_id))

    def _changes(self, diff_id: str, tar: Path) -> Changeset:
        seal = _seal(tar)
        known = self._layers.get(diff_id)
        if known is None or known[0] != seal:
            with many_entries():
                known = (seal, self._read_index(diff_id, seal, tar) or self._index(diff_id, seal, tar))
            self._layers[diff_id] = known
        return known[1]

    def layer_tar(self, descriptor: Descriptor, diff_id: str) -> Path:
        """The layer's uncompressed tar: the blob itself, or what a compressed one holds, unpacked once."""
        blob = self.path(descriptor.digest)
        if not blob.exists():
            raise NotFound(f"blob {descriptor.digest} is not in {self.root}; load or pull its image again")
        if descriptor.digest == diff_id:
            return blob
        plain = self.root / "layers" / f"{check_digest(diff_id).partition(':')[2]}.tar"
        if not plain.exists():
            with BlobWriter(self, LAYER) as writer:
                for chunk in decompress(self.open(descriptor.digest)):
                    writer.write(chunk)
                writer.commit(diff_id, plain, sync=False)
        return plain

    def admit(self, diff_id: str, tar: Path) -> None:
        """Read a layer's tar through, whose digest somebody has just verified. Raises LayerError for a hostile one."""
        self.written[tar] = seal = _seal(tar)
        with many_entries():
            self._index(diff_id, seal, tar)

    def layer_size(self, descriptor: Descriptor, diff_id: str) -> int:
        """Bytes of file content in a layer, from the head of its index: what Docker calls its size."""
        if diff_id not in self._sizes:
            try:
                with self._index_path(diff_id).open("rb") as index:
                    self._sizes[diff_id] = int(json.loads(index.readline())["size"])
            except (FileNotFoundError, ValueError):
                self._sizes[diff_id] = self.layer(descriptor, diff_id).size
        return self._sizes[diff_id]

    def _index(self, diff_id: str, seal: list[int], tar: Path) -> Changeset:
        from minidocker import layertar

        if self.written.get(tar) != seal and file_digest(tar) != diff_id:
            raise self._corrupt(diff_id)
        changes = layertar.read(tar)
        head = {"seal": seal, "opaque": sorted(changes.opaque), "size": changes.size}
        rows = [[path, *_row(entry)] for path, entry in changes.items()]
        index = f"{json.dumps(head)}\n{json.dumps(rows)}\n".encode()
        write_atomic(self._index_path(diff_id), index, sync=False)  # what can be read again from the tar need not last
        return changes

    def _read_index(self, diff_id: str, seal: list[int], tar: Path) -> Changeset | None:
        try:
            head, rows = map(json.loads, self._index_path(diff_id).read_bytes().splitlines())
        except (FileNotFoundError, ValueError):
            return None
        if head["seal"] != seal:
            return None
        return Changeset({row[0]: _entry(row, tar) for row in rows}, frozenset(head["opaque"]))

    def _index_path(self, diff_id: str) -> Path:
        return self.root / "layers" / f"{diff_id.partition(':')[2]}.json"


class BlobWriter:
    """A blob on its way to disk; hashed while it is written, gone when it is not committed."""

    def __init__(self, store: Store, media_type: str) -> None:
        self.store, self.media_type, self.size = store, media_type, 0
        self._sha = hashlib.sha256()
        self._path = temp_path(store.root / "tmp" / "blob")
        self._file: BinaryIO = self._path.open("xb", buffering=CHUNK)

    def write(self, data: bytes) -> int:
        """Add bytes."""
        self._sha.update(data)
        self.size += len(data)
        try:
            return self._file.write(data)
        except OSError as error:
            raise unwritable(self.store.root, error) from error

    def commit(self, digest: str | None = None, path: Path | None = None, sync: bool = True) -> Descriptor:
        """Make the blob visible, after checking that it is the one that `digest` promised.

        Without `sync` it may be gone after a power cut: for what can be made again.
        """
        found = f"sha256:{self._sha.hexdigest()}"
        if digest not in (None, found):
            raise CorruptBlob(f"expected {digest}, but the content's digest is {found}")
        try:
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
            self._file.close()
            path = path or self.store.path(found)
            self._path.replace(path)
            self.store.written[path] = _seal(path)
        except OSError as error:
            raise unwritable(self.store.root, error) from error
        return Descriptor(self.media_type, found, self.size)

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what is left in its buffer may not fit, but is not wanted
            self._file.close()
        self._path.unlink(missing_ok=True)


def unwritable(root: Path, error: OSError) -> APIError:
    """The error for a disk that is full, read-only or broken, in Docker's words."""
    return APIError(f"write {root}: {(error.strerror or str(error)).lower()}")


def check_digest(digest: object) -> str:
    """The digest, if it is one. It becomes a file name, so nothing else may pass.

    >>> check_digest("sha256:../../etc/passwd")
    Traceback (most recent call last):
    ...
    minidocker.errors.InvalidArgument: invalid digest 'sha256:../../etc/passwd': expected sha256: and 64 hex digits
    """
    if isinstance(digest, str):
        kind, _, value = digest.partition(":")
        if kind == "sha256" and len(value) == 64 and HEX.issuperset(value):
            return digest
    raise InvalidArgument(f"invalid digest {str(digest)[:80]!r}: expected sha256: and 64 hex digits")


def file_digest(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def temp_path(path: Path) -> Path:
    """A name beside `path` that nobody else uses, on the same file system, so that a rename is atomic."""
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(6).hex()}")


def write_atomic(path: Path, data: bytes, sync: bool = True) -> None:
    """Replace a file as a whole: a reader sees the old or the new bytes; with `sync`, also after a power cut."""
    temp = temp_path(path)
    try:
        with temp.open("xb") as out:
            out.write(data)
            out.flush()
            if sync:
                os.fsync(out.fileno())
        temp.replace(path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any, sync: bool = True) -> None:
    """`write_atomic` of a JSON value that a person can read."""
    write_atomic(path, f"{readable(value)}\n".encode(), sync)


def readable(value: Any, margin: str = "\n") -> str:
    """JSON with one member of an object a line. (`indent` of `json` is ten times as slow, which each start would pay.)

    >>> print(readable({"Config": {"Cmd": ["sh", "-c"], "Env": None}}))
    {
      "Config": {
        "Cmd": ["sh", "-c"],
        "Env": null
      }
    }
    """
    inner = f"{margin}  "
    if value and isinstance(value, dict):
        members = (f"{inner}{json.dumps(key)}: {readable(item, inner)}" for key, item in value.items())
        return f"{{{','.join(members)}{margin}}}"
    if value and isinstance(value, list) and isinstance(value[0], dict):
        return f"[{','.join(inner + readable(item, inner) for item in value)}{margin}]"
    return json.dumps(value)


def read_json(path: Path | str) -> Any:
    """The JSON value in a file of ours."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  (a listing reads hundreds)
        return json.loads(file.read())


def glance(path: Path | str) -> Any:
    """What `read_json` gives, to look at and not to change: a file that has stayed as it was is not read again.

    Listings look at hundreds. What was written a moment ago is not remembered: it may be written once more, and still
    have the same time.
    """
    info = os.stat(path)  # noqa: PTH116
    if time.time_ns() - info.st_mtime_ns < MOMENT:
        return read_json(path)
    return _read_once(str(path), info.st_ino, info.st_mtime_ns, info.st_size)


@lru_cache(2048)
def _read_once(path: str, *_: int) -> Any:
    return read_json(path)


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object from outside. Raises InvalidArgument where it is none."""
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what} is not valid JSON: {error}") from error
    if len(data) > MAX_JSON or not isinstance(value, dict):
        raise InvalidArgument(f"{what} is not a JSON object of a sensible size")
    return value


def _seal(tar: Path) -> list[int]:
    """What tells cheaply that a file has not been written since it was verified."""
    stat = tar.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _row(entry: Entry) -> list[Any]:
    data = [getattr(entry.data, "offset", 0), entry.data.size, getattr(entry.data, "sparse", None)]
    xattrs = [[name, value.hex()] for name, value in entry.xattrs]
    fixed = [entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime]
    return [*fixed, data, entry.target, list(entry.device), xattrs, entry.link]


def _entry(row: list[Any], tar: Path) -> Entry:
    from minidocker.layertar import Span

    _, kind, mode, uid, gid, mtime, (offset, size, sparse), target, device, xattrs, link = row
    runs = None if sparse is None else tuple(map(tuple, sparse))
    data: Data = Span(tar, offset, size, runs) if kind == "file" else Bytes()
    pairs = tuple((name, bytes.fromhex(value)) for name, value in xattrs)
    return Entry(kind, mode, uid, gid, mtime, data, target, tuple(device), pairs, link)
