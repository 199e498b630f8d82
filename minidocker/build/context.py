"""The build context: the one door through which files of this machine come into a build.

A folder (or a tar, or nothing at all) as a `Tree`, without what `.dockerignore` names. The walk only asks for
metadata; a file is read when a COPY needs it, and its digest is remembered between builds for as long as its size,
times and inode stay what they were. Links are never followed out of the context: they are links in the tree.

    >>> import tempfile; made = tempfile.TemporaryDirectory(); folder = Path(made.name)
    >>> _ = (folder / "a.txt").write_text("hello")
    >>> Context.folder(folder).tree["/a.txt"].data.read()
    b'hello'
"""

from __future__ import annotations

import io
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from minidocker.content import read_json, temp_path
from minidocker.dockerignore import Ignore
from minidocker.errors import BuildError
from minidocker.tree import CHUNK, Data, Entry, Kind, Tree, directory, many_entries, parents, relink, symlink

Seal = str  # size, mtime, ctime (ns) and inode: while they stay, so does the content
RACY = 50_000_000  # ns; a file touched so short before may be written again within the clock's tick
KINDS: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFIFO: "fifo", stat.S_IFCHR: "char", stat.S_IFBLK: "block"}


class Digests:
    """The digests of a folder's files from build to build: `{"a.py": "SIZE MTIME CTIME INODE sha256:…"}`.

    Plain text for each file, and not read before it is needed: a context may have a hundred thousand.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.fresh: dict[str, str] = {}

    @cached_property
    def known(self) -> dict[str, str]:
        """What earlier builds found out."""
        try:
            found = read_json(self.path) if self.path else {}
            return {name: row for name, row in found.items() if isinstance(row, str)}
        except (OSError, ValueError, AttributeError):
            return {}

    def get(self, name: str, seal: Seal) -> str | None:
        """The digest of a file that has not been touched since."""
        was, _, digest = self.known.get(name, "").rpartition(" ")
        return digest if was == seal else None

    def put(self, name: str, seal: Seal, digest: str) -> None:
        """Remember a digest, unless the file is so new that a later write could go unnoticed."""
        if max(map(int, seal.split()[1:3])) < time.time_ns() - RACY:
            self.fresh[name] = f"{seal} {digest}"

    def save(self) -> None:
        """Write what is new. A lost file of digests costs only time, so this one is not forced to the disk."""
        import json

        if self.path is None or not self.fresh:
            return
        temp = temp_path(self.path)
        self.known.update(self.fresh)
        self.fresh = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temp.write_text(json.dumps(self.known))
            temp.replace(self.path)
        except OSError:
            temp.unlink(missing_ok=True)


class ContextFile(Data):
    """A file of the context. It must still be the one that the walk saw when it is read."""

    def __init__(self, root: str, name: str, size: int, seal: Seal, digests: Digests) -> None:
        self.root, self.name, self.size, self.seal, self.digests = root, name, size, seal, digests
        self._digest = ""

    @property
    def digest(self) -> str:
        """The content's digest: remembered, or computed now."""
        self._digest = self._digest or self.digests.get(self.name, self.seal) or self._compute()
        return self._digest

    def _compute(self) -> str:
        import hashlib

        sha = hashlib.sha256()
        for chunk in self.chunks():
            sha.update(chunk)
        digest = f"sha256:{sha.hexdigest()}"
        self.digests.put(self.name, self.seal, digest)
        return digest

    def open(self) -> BinaryIO:
        """Open it for reading. Raises BuildError when it changed or went away since the walk."""
        return io.BytesIO(b"".join(self.chunks()))

    def chunks(self) -> Iterator[bytes]:
        """Yield the content piece by piece; an unchanged seal after the last one proves that it is of one piece."""
        try:
            fd = os.open(
                f"{self.root}/{self.name}", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            )
        except OSError as error:
            raise BuildError(f"{self.name}: {error.strerror} (it was there when the build began)") from error
        try:
            left = self.size
            while left > 0 and (chunk := os.read(fd, min(left, CHUNK))):
                left -= len(chunk)
                yield chunk
            if left or seal_of(os.fstat(fd)) != self.seal:
                raise BuildError(f"{self.name} changed while it was being read: build again when it is quiet")
        finally:
            os.close(fd)

    def __repr__(self) -> str:
        return f"ContextFile({self.name!r}, {self.size})"


class Context:
    """What COPY and ADD can see, without what `ignore` names. `name` tells one from another from build to build."""

    def __init__(
        self, read: Callable[[], Tree], name: str = "", digests: Digests | None = None, ignore: Ignore | None = None
    ) -> None:
        self._read, self.name, self.ignore = read, name, ignore or Ignore()
        self.lock = threading.RLock()
        self.digests = digests or Digests()

    @classmethod
    def folder(
        cls,
        path: Path,
        ignore: Ignore | None = None,
        cache: Path | None = None,
    ) -> Context:
        """A folder, without what `ignore` leaves out; `cache` is where the digests of its files are kept."""
        digests = Digests(cache)
        return cls(lambda: _walk(str(path), ignore or Ignore(), digests), str(path), digests, ignore)

    @classmethod
    def tar(cls, stream: BinaryIO, scratch: Path, name: str = "-") -> Context:
        """A tar, plain or compressed, read from a stream into a file in the folder `scratch`; it is hostile."""
        from minidocker.build.unpack import expand, read

        tree = Tree(dict(read(expand(iter(lambda: stream.read(CHUNK), b"")), scratch).items()))
        return cls(lambda: tree, name)

    @classmethod
    def empty(cls) -> Context:
        """No files: a Dockerfile alone."""
        return cls(Tree, "-")

    @cached_property
    def tree(self) -> Tree:
        """The files, walked once, when somebody who has the lock asks. Raises BuildError where that cannot be."""
        return self._read()

    def without(self, ignore: Ignore) -> Context:
        """The same context less what `ignore` names; for tars, which come whole."""
        if not ignore.patterns:
            return self
        return Context(lambda: _filtered(self.tree, ignore), self.name, self.digests, ignore)


def seal_of(found: os.stat_result) -> Seal:
    """What tells cheaply that a file has not been written since."""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


# The walk


def _walk(root: str, ignore: Ignore, digests: Digests) -> Tree:
    entries: dict[str, Entry] = {"/": directory()}
    links: dict[tuple[int, int], list[str]] = {}
    try:
        with many_entries():
            for name, found in _scan(root, ignore):
                kind = stat.S_IFMT(found.st_mode)
                if kind == stat.S_IFSOCK:
                    continue  # a socket is no file: Docker leaves it out too
                entries["/" + name] = _entry(root, name, kind, found, digests)
                if kind == stat.S_IFREG and found.st_nlink > 1:
                    links.setdefault((found.st_dev, found.st_ino), []).append("/" + name)
        for up in {up for path in entries for up in parents(path)} - entries.keys() if ignore.patterns else ():
            entries[up] = _entry(root, up[1:], stat.S_IFDIR, os.lstat(root + up), digests)  # ignored, but not all in it
    except OSError as error:
        raise BuildError(f"error from sender: {error.filename}: {error.strerror}") from error
    return Tree.trusted(_link(entries, links.values()))


def _scan(root: str, ignore: Ignore) -> Iterator[tuple[str, os.stat_result]]:
    """Every name that is not ignored, with its metadata. Directories in which nothing can be are not even opened."""
    todo = [""]
    while todo:
        below = todo.pop()
        with os.scandir(root + "/" + below) as found:
            for item in found:
                name = below + item.name
                if not ignore.patterns or not ignore.excludes(name):
                    yield name, item.stat(follow_symlinks=False) if os.name == "posix" else os.lstat(item.path)
                if item.is_dir(follow_symlinks=False) and not (ignore.patterns and ignore.skips(name)):
                    todo.append(name + "/")


def _entry(root: str, name: str, kind: int, found: os.stat_result, digests: Digests) -> Entry:
    """Owner 0:0, as Docker has it: who owns a file on this machine means nothing in an image."""
    mode = stat.S_IMODE(found.st_mode) if os.name == "posix" else 0o755
    mtime = found.st_mtime_ns // 1_000_000_000
    if kind == stat.S_IFREG:
        return Entry("file", mode, 0, 0, mtime, ContextFile(root, name, found.st_size, seal_of(found), digests))
    if kind == stat.S_IFDIR:
        return directory(mode, mtime=mtime)
    if kind == stat.S_IFLNK:
        return symlink(os.fsdecode(Path(root, name).readlink()), mtime=mtime)
    device = (os.major(found.st_rdev), os.minor(found.st_rdev)) if kind in (stat.S_IFCHR, stat.S_IFBLK) else (0, 0)
    return Entry(KINDS[kind], mode, mtime=mtime, device=device)


def _link(entries: dict[str, Entry], groups: Iterable[list[str]]) -> dict[str, Entry]:
    for paths in map(sorted, groups):
        for path in paths if len(paths) > 1 else ():
            entries[path] = replace(entries[path], link=paths[0])
    return entries


def _filtered(tree: Tree, ignore: Ignore) -> Tree:
    kept = {path: entry for path, entry in tree.items() if path == "/" or not ignore.excludes(path[1:])}
    kept.update({up: tree[up] for path in list(kept) for up in parents(path)})
    return Tree.trusted(relink(kept))
