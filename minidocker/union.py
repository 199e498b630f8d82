"""Many layers, one view: who answers for a path, what hides it, what is there in vain, and what a write copies up.

This is what the kernel's overlay file system does, over values: reads fall through the layers from the top, the first
that knows the path answers; the first write to a file that a lower layer answers for copies it up whole.

    >>> view = Union([Changeset({"/etc/motd": file(b"hello")}), Changeset({"/etc/motd": WHITEOUT})])
    >>> view.exists("/etc/motd"), [answer.verdict for answer in lookup(view.layers, "/etc/motd")]
    (False, ['hides', 'hidden'])
    >>> view.write("/etc/issue", b"mini")
    >>> [(path, entry.kind) for path, entry in view.changes().items()]
    [('/etc', 'dir'), ('/etc/issue', 'file')]
"""

from __future__ import annotations

import errno
import os
import posixpath
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from minidocker.layer import WHITEOUT, Changeset, diff, directories, hidden_by, merge
from minidocker.tree import (
    Bytes,
    Entry,
    Tree,
    clean,
    directory,
    file,
    link_groups,
    parents,
    prefix,
    relink,
    resolve,
    slice_below,
    symlink,
)

Verdict = Literal["answers", "hidden", "hides", "silent"]
__all__ = ["WHITEOUT", "Answer", "Blame", "Union", "Verdict", "blame", "file", "lookup"]


@dataclass(frozen=True)
class Answer:
    """What one layer (0 is the lowest) says of a path.

    `answers`: this layer's entry is what is seen. `hidden`: it has the path, but a higher layer answers or hides it.
    `hides`: a whiteout, an opaque directory or a file in the place of a parent ends the search here.
    `silent`: it knows nothing of the path.
    """

    layer: int
    verdict: Verdict
    entry: Entry | None


@dataclass(frozen=True)
class Blame:
    """Who is to blame for what is seen at a path, and who has it in vain.

    `entry` is what is seen (None: it is deleted); `layer` (0 is the lowest) has it, or hides what was there.
    `shadowed` are the layers below that have the path all the same, top first; `wasted` counts the bytes of file
    content that they hold there. A directory wastes none, nor does a hard-linked file of which another name is seen.
    """

    path: str
    entry: Entry | None
    layer: int
    shadowed: tuple[int, ...] = ()
    wasted: int = 0


def lookup(layers: Sequence[Changeset], path: str) -> list[Answer]:
    """Follow one path down through the layers, top first: the ray that the lesson on stacking draws."""
    answers: list[Answer] = []
    ended = False
    for number, (entry, blocks) in reversed(list(enumerate(_said(layers, path)))):
        if entry is not None and entry != WHITEOUT:
            answers.append(Answer(number, "hidden" if ended else "answers", entry))
            ended = True
        elif blocks and not ended:
            answers.append(Answer(number, "hides", entry))
            ended = True
        else:
            answers.append(Answer(number, "silent", None))
    return answers


def _said(layers: Sequence[Changeset], path: str) -> list[tuple[Entry | None, bool]]:
    """What each layer has at a path, and whether it hides what lies below; bottom first.

    A layer that has something in a directory, but not the directory, makes it where the layers below have none.
    """
    said: list[tuple[Entry | None, bool]] = []
    seen: Entry | None = None
    for layer in layers:
        entry = layer.get(path)
        blocks = entry == WHITEOUT or any(
            (up in layer and not layer[up].is_dir) or up in layer.opaque for up in parents(path)
        )
        seen = None if blocks else seen
        if entry is None and path != "/" and not (seen and seen.is_dir) and slice_below(layer.paths, path):
            entry = directory()
        seen = entry if entry is not None and entry != WHITEOUT else seen
        said.append((entry, blocks))
    return said


def blame(layers: Sequence[Changeset], under: str = "/") -> list[Blame]:
    """For every path that some layer has at or below `under`: what is seen, who answers, who has it in vain.

    It agrees with `lookup` of each path, and what is seen is what `merge` gives; but it goes through each layer once.

    >>> old = Changeset({"/etc/motd": file(b"hello"), "/key": file(b"secret")})
    >>> for found in blame([old, Changeset({"/etc/motd": file(b"hi"), "/key": WHITEOUT})]):
    ...     print(found.path, "layer", found.layer, found.entry.kind if found.entry else "deleted", found.wasted)
    /etc layer 0 dir 0
    /etc/motd layer 1 file 5
    /key layer 1 deleted 6
    """
    seen: _Seen = {}
    folders: set[str] = set()  # whatever was one, so that something may have lain below
    for number, layer in enumerate(layers):
        for path in hidden_by(layer, lambda: sorted(seen), folders.__contains__):
            seen[path] = None, number, _in_vain(seen.get(path))
        folders |= (found := directories(layer))
        for up in found - layer.keys() - {"/"}:
            old = seen.get(up)
            if old is None or old[0] is None or not old[0].is_dir:
                seen[up] = directory(), number, _in_vain(old)
        for path, entry in layer.items():
            if entry.kind != "whiteout":
                seen[path] = entry, number, _in_vain(seen.get(path))
    under, groups = clean(under), [link_groups(layer) for layer in layers]
    paths = ([under] if under in seen else []) + slice_below(sorted(seen), under)
    return [Blame(path, *(said := seen[path]), _wasted(layers, groups, seen, path) if said[2] else 0) for path in paths]


_Seen = dict[str, tuple[Entry | None, int, tuple[int, ...]]]  # path -> entry, layer, shadowed: as in `Blame`


def _in_vain(old: tuple[Entry | None, int, tuple[int, ...]] | None) -> tuple[int, ...]:
    """The layers that have a path in vain, now that a further one answers for it or hides it."""
    if old is None:
        return ()
    return old[2] if old[0] is None else (old[1], *old[2])


def _wasted(layers: Sequence[Changeset], groups: list[dict[str, list[str]]], seen: _Seen, path: str) -> int:
    """The bytes that shadowed layers hold at a path; of hard links the first name counts them, if none is seen."""
    wasted = 0
    for number in seen[path][2]:
        entry = layers[number].get(path)
        if entry is not None and entry.link in ("", path):
            names = groups[number].get(entry.link, [path])
            wasted += entry.size * all(number in seen[name][2] for name in names)
    return wasted


class Union:
    """A writable view of layers (bottom first). Paths resolve inside it; failures are `OSError`s as from the kernel.

    `changes()` is the writable layer. `clock` gives the whole seconds that a write stamps on what it changes.
    """

    def __init__(
        self,
        layers: Sequence[Changeset] = (),
        upper: Changeset | None = None,
        lower: Tree | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.layers = list(layers)
        self.lower = merge(Tree(), *layers) if lower is None else lower
        self._entries = (merge(self.lower, upper) if upper else self.lower).entries()
        self._raised = set(upper or ())  # paths that the writable layer has: created here, or copied up
        self._clock = clock or (lambda: int(time.time()))
        self.copied_up = 0  # bytes: kept for the picture of copy-on-write
        self.writes = 0  # how many changes this view has seen

    def tree(self) -> Tree:
        """The whole view as a value."""
        return Tree.trusted(relink(dict(self._entries)))

    def changes(self) -> Changeset:
        """What `docker diff` and `docker commit` see: the change from the layers to the view."""
        return diff(self.lower, self.tree())

    # Reading

    def resolve(self, path: str, follow: bool = True) -> str:
        """The path with symbolic links followed, never out of the view."""
        return resolve(self._entries, path, follow)

    def get(self, path: str) -> Entry | None:
        """What is at a clean path, no link followed; None where nothing is."""
        return self._entries.get(path)

    def stat(self, path: str, follow: bool = True) -> Entry:
        """The entry at a path."""
        there = self.resolve(path, follow)
        if there not in self._entries:
            raise _error(errno.ENOENT, path)
        entry = self._entries[there]
        if path.endswith("/") and not entry.is_dir:
            raise _error(errno.ENOTDIR, path)
        return entry

    def exists(self, path: str) -> bool:
        """Whether there is something at the path (a dangling symbolic link is nothing)."""
        try:
            self.stat(path)
        except OSError:
            return False
        return True

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        if not self.stat(path).is_dir:
            raise _error(errno.ENOTDIR, path)
        return sorted(self._children.get(self.resolve(path), ()))

    def readlink(self, path: str) -> str:
        """Where a symbolic link points."""
        entry = self.stat(path, follow=False)
        if entry.kind != "symlink":
            raise _error(errno.EINVAL, path)
        return entry.target

    def read(self, path: str) -> bytes:
        """The content of a file."""
        entry = self.stat(path)
        if entry.is_dir:
            raise _error(errno.EISDIR, path)
        return entry.data.read()

    # Writing

    def write(
        self, path: str, data: bytes, mode: int = 0o644, append: bool = False, uid: int = 0, gid: int = 0
    ) -> None:
        """Create or truncate a file (or append to it); mode and owner count only when it is new."""
        there = self._place(path, follow=True)
        old = self._entries.get(there)
        if old is None:
            self._put(there, file(data, mode, uid=uid, gid=gid, mtime=self._clock()))
            return
        if old.is_dir:
            raise _error(errno.EISDIR, path)
        self._raise(there, whole=append)
        before = old.data.read() if append else b""
        self._change(there, data=Bytes(before + data), mtime=self._clock())

    def mkdir(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """Make a directory; its parent must be there."""
        self._new(path.rstrip("/") or "/", directory(mode, uid=uid, gid=gid, mtime=self._clock()))

    def symlink(self, target: str, path: str, uid: int = 0, gid: int = 0) -> None:
        """Make a symbolic link at `path` that points to `target`."""
        self._new(path, symlink(target, uid=uid, gid=gid, mtime=self._clock()))

    def link(self, src: str, path: str) -> None:
        """Make one more name for the file at `src`."""
        there = self.resolve(src, follow=False)
        entry = self.stat(src, follow=False)
        self._vacant(path)
        if entry.is_dir:
            raise _error(errno.EPERM, src)
        if entry.kind == "file":
            entry = self._raise(there)
            entry = self._entries[there] = replace(entry, link=entry.link or f"#{self.writes}")
        self._put(self._vacant(path), entry)

    def unlink(self, path: str) -> None:
        """Remove a name; a lower layer's file gets a whiteout."""
        there = self.resolve(path, follow=False)
        if self.stat(path, follow=False).is_dir:
            raise _error(errno.EISDIR, path)
        self._drop(there)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        there = self.resolve(path, follow=False)
        if not self.stat(path, follow=False).is_dir:
            raise _error(errno.ENOTDIR, path)
        if there == "/":
            raise _error(errno.EBUSY, path)
        if self._children.get(there):
            raise _error(errno.ENOTEMPTY, path)
        self._drop(there)

    def rename(self, src: str, dst: str) -> None:
        """Move a file or directory; what is at `dst` is replaced as `rename(2)` would."""
        old, new = self.resolve(src, follow=False), self._place(dst.rstrip("/") or "/", follow=False)
        entry = self.stat(src, follow=False)
        if old == new:
            return
        if new.startswith(prefix(old)):
            raise _error(errno.EINVAL, dst)
        if (there := self._entries.get(new)) is not None:
            if entry.is_dir and not there.is_dir:
                raise _error(errno.ENOTDIR, dst)
            (self.rmdir if entry.is_dir else self.unlink)(new)
        moved = [old, *self._below(old)]
        taken = [(new + path[len(old) :], self._raise(path)) for path in moved]
        for path in reversed(moved):
            self._drop(path)
        for path, what in taken:
            self._put(path, what)

    def chmod(self, path: str, mode: int) -> None:
        """Change the permission bits."""
        self._change(self._known(path), mode=mode & 0o7777)

    def chown(self, path: str, uid: int, gid: int, follow: bool = True) -> None:
        """Change the owner; an id of -1 stays as it is."""
        there = self._known(path, follow)
        entry = self._entries[there]
        self._change(there, uid=entry.uid if uid < 0 else uid, gid=entry.gid if gid < 0 else gid)

    def utime(self, path: str, mtime: int) -> None:
        """Change the modification time, in whole seconds."""
        self._change(self._known(path), mtime=mtime)

    # The bookkeeping under it

    @cached_property
    def _children(self) -> dict[str, set[str]]:
        """Directory -> the names in it; made when somebody looks into one, and kept from then on."""
        children: dict[str, set[str]] = {}
        for path in self._entries.keys() - {"/"}:
            up, _, name = path.rpartition("/")
            children.setdefault(up or "/", set()).add(name)
        return children

    def _names(self, path: str) -> set[str] | None:
        """The names beside a path; None where nobody has looked into any directory yet."""
        children = self.__dict__.get("_children")
        return None if children is None or path == "/" else children.setdefault(posixpath.dirname(path), set())

    def _known(self, path: str, follow: bool = True) -> str:
        self.stat(path, follow)
        return self.resolve(path, follow)

    def _place(self, path: str, follow: bool) -> str:
        """Where `path` would be created; its parent must be a directory."""
        there = self.resolve(path, follow)
        if path.endswith("/") and there not in self._entries:
            raise _error(errno.EISDIR, path)
        up = self._entries.get(posixpath.dirname(there))
        if up is None:
            raise _error(errno.ENOENT, path)
        if not up.is_dir:
            raise _error(errno.ENOTDIR, path)
        return there

    def _new(self, path: str, entry: Entry) -> None:
        self._put(self._vacant(path), entry)

    def _vacant(self, path: str) -> str:
        """Where `path` would be created; nothing may be there yet."""
        if path.endswith("/") and not self.exists(path):
            raise _error(errno.ENOENT, path)
        there = self._place(path, follow=False)
        if there in self._entries:
            raise _error(errno.EEXIST, path)
        return there

    def _put(self, path: str, entry: Entry) -> None:
        self._entries[path] = entry
        if (names := self._names(path)) is not None:
            names.add(posixpath.basename(path))
        self._raised.add(path)
        self._touch_parent(path)

    def _drop(self, path: str) -> None:
        del self._entries[path]
        self._raised.discard(path)
        if (names := self._names(path)) is not None:
            names.discard(posixpath.basename(path))
        self._touch_parent(path)

    def _raise(self, path: str, whole: bool = True) -> Entry:
        """Copy up: a file of a lower layer leaves the hard links that it has there, as on the kernel's overlay.

        It comes `whole`, even where its owner alone will change; only what is about to be truncated comes empty.
        """
        if path not in self._raised:
            self._raised.add(path)
            self.copied_up += self._entries[path].size if whole else 0
            self._entries[path] = replace(self._entries[path], link="")
        return self._entries[path]

    def _change(self, path: str, **meta: Any) -> None:
        """Change an entry in place, and with it every other name of the same file in the writable layer."""
        entry = self._raise(path)
        names = [other for other, what in self._entries.items() if what.link == entry.link] if entry.link else [path]
        for name in names:
            self._entries[name] = replace(self._entries[name], **meta)
        self.writes += 1

    def _touch_parent(self, path: str) -> None:
        """A directory's time moves when a name in it comes or goes. Not that of `/`, which is in no layer."""
        self.writes += 1
        up = posixpath.dirname(path)
        if up != "/":
            self._entries[up] = replace(self._entries[up], mtime=self._clock())

    def _below(self, path: str) -> list[str]:
        found = []
        for name in sorted(self._children.get(path, ())):
            found += [prefix(path) + name, *self._below(prefix(path) + name)]
        return found


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
