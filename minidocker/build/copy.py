"""COPY and ADD as a function: a tree that files come from, a tree that they go to, and out comes a layer.

Nothing is mounted and nothing of the image is unpacked. The rules are BuildKit's: of a directory the contents are
copied; a destination is a directory when it ends in a slash or is one; it is found through the symbolic links of the
image; parents that are missing are made. What is copied is told by `selecting.py`.

    >>> context = Tree({"/app/main.py": file(b"print(1)")})
    >>> layer = copy([(context, select(context, ["app"]))], Copy("/srv/"), Tree())
    >>> [(path, entry.kind) for path, entry in layer.items()]
    [('/srv', 'dir'), ('/srv/main.py', 'file')]
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from minidocker.build.chmod import Mode, changed
from minidocker.build.selecting import CONTEXT, Found, contents, select
from minidocker.errors import BuildError
from minidocker.layer import Changeset
from minidocker.tree import MAX_SYMLINKS, Data, Entry, Tree, directory, file, parents, prefix, slice_below

__all__ = ["CONTEXT", "Copy", "Found", "contents", "copy", "file", "select"]

Owner = tuple[int, int]


@dataclass(frozen=True)
class Copy:
    """What an instruction asks for, once its variables are known. `to` is absolute; a slash at its end counts.

    `owner` and `mode` are `--chown` and `--chmod`; None leaves them as they are. ADD has an `unpack` that gives what
    is in an archive, and None for a file that is none.
    """

    to: str
    owner: Owner | None = None
    mode: Mode | None = None
    unpack: Callable[[Data, str], Changeset | None] | None = None
    now: int = 0  # the time of the directories that are made on the way


def copy(sources: Sequence[tuple[Tree, list[Found]]], request: Copy, lower: Mapping[str, Entry]) -> Changeset:
    """The layer that a copy of selected files, out of one or more trees, makes upon `lower`.

    Raises BuildError in BuildKit's words.
    """
    target = Target(lower, request)
    every = [(tree, found) for tree, selected in sources for found in selected]
    for number, (tree, found) in enumerate(every):
        target.add(tree, found, str(number))
    return target.changeset()


def make_folder(path: str, owner: Owner | None, now: int, lower: Mapping[str, Entry]) -> Changeset:
    """The layer of a WORKDIR: the directory and its parents, as far as they are missing. Raises BuildError."""
    target = Target(lower, Copy(path, owner, now=now))
    target.folder(path)
    return target.changeset()


class Target:
    """The file system that is copied to: what is below, and what this step has put there."""

    def __init__(self, lower: Mapping[str, Entry], request: Copy) -> None:
        self.lower, self.request = lower, request
        self.entries: dict[str, Entry] = {}

    def get(self, path: str) -> Entry | None:
        """What is at a clean path."""
        return self.entries.get(path) or self.lower.get(path)

    def is_dir(self, path: str) -> bool:
        """Whether the path leads to a directory."""
        entry = self.get(self.place(path))
        return entry is not None and entry.is_dir

    def place(self, path: str) -> str:
        """Where a path leads, through links, as after `chroot`; what does not exist yet is taken as written."""
        todo, here, links = path.split("/")[::-1], "/", 0
        while todo:
            name = todo.pop()
            if name in ("", ".", ".."):
                here = posixpath.dirname(here) if name == ".." else here
                continue
            there = prefix(here) + name
            entry = self.get(there)
            if entry is None or entry.kind != "symlink":
                here = there
                continue
            links += 1
            if links > MAX_SYMLINKS:
                raise BuildError(f"too many symlinks: {path}")
            here = "/" if entry.target.startswith("/") else here
            todo += entry.target.split("/")[::-1]
        return here

    def add(self, source: Tree, found: Found, group: str) -> None:
        """Copy one source: a directory's contents, an archive's, or a file."""
        to, entry = self.request.to, source[found.path]
        if entry.is_dir:
            self.below(source, found, self.folder(to, "cannot copy to non-directory: {}"), group)
            return
        unpack = self.request.unpack if entry.kind == "file" and found.archive else None
        if unpack and (archive := unpack(entry.data, found.asked)) is not None:
            self.archive(archive, self.folder(to))
        else:
            self.put(self.name(to, found.asked), entry, group)

    def name(self, to: str, asked: str) -> str:
        """What a file will be called: `to` itself, or its own name in the directory `to`."""
        if to.endswith("/"):
            return prefix(self.folder(to)) + posixpath.basename(asked)
        if self.is_dir(to):
            return prefix(self.place(to)) + posixpath.basename(asked)
        there = self.place(to)
        self.folder(posixpath.dirname(there))
        return there

    def folder(self, path: str, message: str = "mkdir {}: not a directory") -> str:
        """Make a directory and its parents where they are missing, with the owner that was asked for."""
        there = self.place(path)
        for up in reversed([there, *parents(there)]):
            entry = self.get(up)
            if entry is None:
                uid, gid = self.request.owner or (0, 0)
                self.entries[up] = directory(0o755, uid=uid, gid=gid, mtime=self.request.now)
            elif not entry.is_dir:
                raise BuildError(message.format(up))
        return there

    def below(self, source: Tree, found: Found, to: str, group: str) -> None:
        """Everything below a directory; directories that are there already get the mode and owner of the source.

        With `--parents` they keep their owner.
        """
        skip, to = len(prefix(found.path)), prefix(to)
        for path in found.below(source):
            entry, there = source[path], to + path[skip:]
            old = self.get(there) if found.parents and entry.is_dir else None
            if old is not None and old.is_dir:
                self.entries[there] = replace(old, mode=self.as_asked(entry, "").mode)
            else:
                self.put(there, entry, group)

    def put(self, path: str, entry: Entry, group: str) -> None:
        """One entry at a path whose parent is there."""
        old = self.get(path)
        if old is not None and old.is_dir != entry.is_dir:
            kind = "cannot copy to non-directory: {}" if entry.is_dir else "cannot replace to directory {} with file"
            raise BuildError(kind.format(path))
        _check_name(path)
        self.entries[path] = self.as_asked(entry, group)

    def as_asked(self, entry: Entry, group: str) -> Entry:
        """The entry with the owner and mode of the request, and hard links among the files of one source only."""
        uid, gid = self.request.owner or (entry.uid, entry.gid)
        mode = entry.mode
        if self.request.mode is not None and entry.kind != "symlink":
            mode = changed(self.request.mode, mode, entry.is_dir)
        link = f"{group}:{entry.link}" if entry.link else ""
        if (uid, gid, mode, link) == (entry.uid, entry.gid, entry.mode, entry.link):
            return entry
        return replace(entry, uid=uid, gid=gid, mode=mode, link=link)

    def archive(self, archive: Changeset, to: str) -> None:
        """An archive's members: their own owners and modes, and like `tar` they replace what is in their way."""
        for path, entry in archive.items():
            if path == "/":
                continue
            up, name = posixpath.split(path)
            there = prefix(self.place(prefix(to) + up[1:])) + name
            _check_name(there)
            self.lead(posixpath.dirname(there))
            if not entry.is_dir and (old := self.get(there)) and old.is_dir:
                for gone in slice_below(sorted(self.entries), there):
                    del self.entries[gone]
            link = f"{to}:{entry.link}" if entry.link else ""
            self.entries[there] = replace(entry, link=link)

    def lead(self, path: str) -> None:
        """Make the directories that an archive implies; a file in their place gives way."""
        for up in [path, *parents(path)]:
            if (entry := self.get(up)) and entry.is_dir:
                return
            self.entries[up] = directory(0o755, mtime=self.request.now)

    def changeset(self) -> Changeset:
        """The layer: what was put, with every directory above it, as the image has it."""
        for up in {up for path in self.entries for up in parents(path)} - self.entries.keys() - {"/"}:
            self.entries[up] = self.lower[up]
        self.entries.pop("/", None)
        return Changeset(self.entries)


def _check_name(path: str) -> None:
    if posixpath.basename(path).startswith(".wh."):
        raise BuildError(f"{path}: a name that begins with .wh. means a removed file in a layer; rename the file")
