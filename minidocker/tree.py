"""A file system as a value: a path, and what is there.

Docker's images and containers are trees of files. Here such a tree is an immutable value, a mapping from an
absolute path to an `Entry`, so that two of them can be compared, stacked and drawn without touching a disk.
Nothing in this module does I/O; the bytes of a file are a `Data` that knows how to fetch them when asked.

    >>> tree = Tree({"/etc/motd": file(b"hello\\n")})
    >>> list(tree)
    ['/', '/etc', '/etc/motd']
    >>> tree["/etc/motd"].data.read()
    b'hello\\n'
"""

from __future__ import annotations

import contextlib
import errno
import gc
import hashlib
import io
import os
import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

Kind = Literal["file", "dir", "symlink", "fifo", "char", "block", "whiteout"]
CHUNK = 1 << 20
MAX_SYMLINKS = 40  # as Linux: more than these on one path is ELOOP


class Data:
    """The bytes of a file, wherever they lie; two are equal when size and sha256 digest are.

    Subclasses give `size` (bytes) and `open()`; the digest is computed once, when somebody asks.

    >>> Bytes(b"hi") == Bytes(b"hi"), Bytes(b"hi").digest[:14]
    (True, 'sha256:8f43434')
    """

    size: int

    def open(self) -> BinaryIO:
        """Open the bytes for reading from the start."""
        raise NotImplementedError

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes piece by piece, so that a large file never sits in memory whole."""
        with self.open() as stream:
            while chunk := stream.read(CHUNK):
                yield chunk

    def read(self) -> bytes:
        """Return all the bytes."""
        return b"".join(self.chunks())

    @cached_property
    def digest(self) -> str:
        """The content's name, as in `sha256:9f86…`."""
        sha = hashlib.sha256()
        for chunk in self.chunks():
            sha.update(chunk)
        return f"sha256:{sha.hexdigest()}"

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Data) and self.size == other.size and (not self.size or self.digest == other.digest)
        )

    def __hash__(self) -> int:
        return hash(self.size)


class Bytes(Data):
    """Bytes held in memory."""

    def __init__(self, value: bytes = b"") -> None:
        self.value = value
        self.size = len(value)

    def open(self) -> BinaryIO:
        """Open the bytes for reading from the start."""
        return io.BytesIO(self.value)

    def read(self) -> bytes:
        """Return all the bytes."""
        return self.value

    def __repr__(self) -> str:
        return f"Bytes({self.value[:20]!r}{'…' if self.size > 20 else ''})"


class FileData(Data):
    """The bytes of a file on this machine's disk; opened without following a symbolic link at its end."""

    def __init__(self, path: Path | str, size: int, digest: str | None = None) -> None:
        self.path = path
        self.size = size
        if digest is not None:
            self.__dict__["digest"] = digest  # what the cached property would compute

    def open(self) -> BinaryIO:
        """Open the bytes for reading from the start."""
        return os.fdopen(
            os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)), "rb"
        )

    def __repr__(self) -> str:
        return f"FileData({str(self.path)!r}, {self.size})"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is at one path: a file, directory, symbolic link, fifo or device, with its owner and mode.

    `mode` is the twelve permission bits; `mtime` whole seconds since 1970, as layers carry them; `target` is where
    a symbolic link points; `device` is (major, minor); `xattrs` are sorted (name, value) pairs. Hard links are
    file entries that share a `link` label: the first path, in sorted order, of those that share the file.

    >>> file(b"x", mode=0o755)
    Entry(kind='file', mode=493, uid=0, gid=0, mtime=0, data=Bytes(b'x'), target='', device=(0, 0), xattrs=(), link='')
    """

    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    data: Data = field(default_factory=Bytes)
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    link: str = ""

    @property
    def is_dir(self) -> bool:
        """Whether other entries can lie below this one."""
        return self.kind == "dir"

    @property
    def size(self) -> int:
        """Bytes of content; 0 for all but files."""
        return self.data.size if self.kind == "file" else 0


def file(content: bytes | Data = b"", mode: int = 0o644, **meta: object) -> Entry:
    """Make a regular file's entry. `file(b"hi", mode=0o600, uid=1000)`."""
    data = content if isinstance(content, Data) else Bytes(content)
    return replace(Entry("file", mode, data=data), **meta)  # type: ignore[arg-type]


def directory(mode: int = 0o755, **meta: object) -> Entry:
    """Make a directory's entry. `directory(0o1777)` is what `/tmp` wants."""
    return replace(Entry("dir", mode), **meta)  # type: ignore[arg-type]


def symlink(target: str, **meta: object) -> Entry:
    """Make a symbolic link's entry; `target` is kept as written and resolved inside the tree only."""
    return replace(Entry("symlink", 0o777, target=target), **meta)  # type: ignore[arg-type]


@contextlib.contextmanager
def many_entries() -> Iterator[None]:
    """While many entries are made: else the garbage collector goes through all of them again and again, for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Tree(Mapping[str, Entry]):
    """An immutable file tree: sorted absolute paths, each with its `Entry`. `/` and all parents are always there.

    >>> a = Tree({"/app/run.sh": file(b"echo hi", mode=0o755), "/sh": symlink("app/run.sh")})
    >>> a.resolve("/sh"), a.children("/"), [path for path in a.below("/app")]
    ('/app/run.sh', ['app', 'sh'], ['/app/run.sh'])
    """

    def __init__(self, entries: Mapping[str, Entry] | None = None) -> None:
        entries = entries or {}
        full = {clean(path): entry for path, entry in entries.items()}
        for path in list(full):
            for parent in parents(path):
                if not full.setdefault(parent, directory()).is_dir:
                    raise NotADirectoryError(
                        errno.ENOTDIR, f"{path} lies below {parent}, which is no directory", parent
                    )
        full.setdefault("/", directory())
        self._entries: dict[str, Entry] = relink(full)

    @classmethod
    def trusted(cls, entries: dict[str, Entry]) -> Tree:
        """Wrap entries that already hold the invariants (clean paths, all parents, `/`, true link labels)."""
        tree = cls.__new__(cls)
        tree._entries = entries
        return tree

    @cached_property
    def paths(self) -> list[str]:
        """All paths, sorted; so that what lies below a directory is one slice."""
        return sorted(self._entries)

    @cached_property
    def links(self) -> dict[str, list[str]]:
        """The groups of hard links: label -> the sorted paths that share one file."""
        return link_groups(self._entries)

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash(len(self))

    def __repr__(self) -> str:
        return f"Tree({len(self)} paths, {sum(entry.size for entry in self._entries.values())} bytes)"

    def below(self, path: str) -> list[str]:
        """All paths strictly below `path`, sorted."""
        return slice_below(self.paths, path)

    def children(self, path: str) -> list[str]:
        """The names in the directory `path`, sorted."""
        start = len(prefix(path))
        return [below[start:] for below in self.below(path) if "/" not in below[start:]]

    def entries(self) -> dict[str, Entry]:
        """A new dict of all the entries, to change and make another tree of."""
        return dict(self._entries)

    def resolve(self, path: str, follow: bool = True) -> str:
        """The path after following symbolic links, which never lead outside the tree (as after `chroot`).

        With `follow=False` a link in the last place is left alone. The last component need not exist.
        Raises OSError: ENOENT where a parent is missing, ENOTDIR where it is a file, ELOOP after 40 links.
        """
        return resolve(self._entries, path, follow)


def resolve(entries: Mapping[str, Entry], path: str, follow: bool = True) -> str:
    """`Tree.resolve` over any mapping of absolute paths to entries."""
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    here, links = "/", 0
    while todo:
        name = todo.pop()
        if name == "..":
            here = posixpath.dirname(here)
            continue
        there = prefix(here) + name
        entry = entries.get(there)
        if entry is None:
            if todo:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), there)
            return there
        if entry.kind == "symlink" and (todo or follow):
            links += 1
            if links > MAX_SYMLINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if entry.target.startswith("/"):
                here = "/"
            todo += [part for part in reversed(entry.target.split("/")) if part not in ("", ".")]
            continue
        if todo and not entry.is_dir:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), there)
        here = there
    return here


def clean(path: str) -> str:
    """The one spelling of a path: absolute, no `.`, no `..`, no doubled or trailing slash.

    >>> clean("etc//./passwd"), clean("/../a/"), clean("")
    ('/etc/passwd', '/a', '/')
    """
    return posixpath.normpath("/" + path.lstrip("/"))


def parents(path: str) -> Iterator[str]:
    """The directories above a clean path, nearest first. `/a/b` -> `/a`, `/`."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path


def prefix(path: str) -> str:
    """What every path below `path` starts with. `/a` -> `/a/`, `/` -> `/`."""
    return path if path.endswith("/") else path + "/"


def slice_below(paths: list[str], path: str) -> list[str]:
    """Those of the sorted `paths` that lie strictly below `path`; one bisection, not a scan."""
    start = prefix(path)
    low = bisect_left(paths, start)
    high = bisect_left(paths, start[:-1] + "0")  # "0" follows "/" in code order
    return [found for found in paths[low:high] if found != path]


def link_groups(entries: Mapping[str, Entry]) -> dict[str, list[str]]:
    """Label -> the sorted paths that share one file."""
    groups: dict[str, list[str]] = {}
    for path, entry in entries.items():
        if entry.link:
            groups.setdefault(entry.link, []).append(path)
    return {label: sorted(paths) for label, paths in groups.items()}


def relink(entries: dict[str, Entry], groups: Iterable[tuple[str, list[str]]] | None = None) -> dict[str, Entry]:
    """Give each group of hard links its true label (its first path; none where it is alone). Changes `entries`."""
    for label, paths in link_groups(entries).items() if groups is None else groups:
        first = paths[0] if len(paths) > 1 else ""
        if first != label:
            for path in paths:
                entries[path] = replace(entries[path], link=first)
    return entries
