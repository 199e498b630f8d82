"""A simulated process's file system: the container's view, what is mounted over it, and who is asking.

`Mounts` is what Linux calls a mount namespace: the union view at `/`, `/proc`, `/dev`, `/sys` and Docker's three files
in `/etc` from memory, and whatever is mounted (`mounted`). `Files` adds what belongs to a
process: working directory, umask, owner; its methods are the system calls, and fail as those do.
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minidocker.errors import StartError
from minidocker.runtime import Mount, Tmpfs
from minidocker.runtime.masks import MARK
from minidocker.runtime.names import TARGETS
from minidocker.runtime.simulated.mounted import FileSystem, Held, failure, mounted
from minidocker.tree import Entry, Tree, directory, file, parents, prefix, resolve, symlink
from minidocker.union import Union

READ, WRITE, EXECUTE = 4, 2, 1
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


def machine_files(named: Mapping[str, str]) -> Tree:
    """What is no part of any layer: devices, and the files that Docker mounts into `/etc`."""
    entries = {f"/dev/{name}": Entry("char", 0o666, device=device) for name, device in DEVICES.items()}
    links = {"stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "fd": "/proc/self/fd"}
    entries |= {f"/dev/{name}": symlink(target) for name, target in links.items()}
    return Tree(
        entries
        | {"/dev/shm": directory(0o1777), "/dev/pts": directory(), "/sys": directory(0o555)}
        | {"/proc": directory(0o555), "/proc/self/fd": directory(0o500)}
        | {"/proc/version": file(b"minidocker simulated runtime\n", 0o444)}
        | {TARGETS[name]: file(text.encode()) for name, text in named.items()}
        | {MARK: file(b"", 0o755)}
    )


@dataclass
class Mounts:
    """Which file system answers for a path; shared by all processes of a container."""

    root: Union
    named: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(TARGETS, ""))  # what `names.contents` says
    mounts: Sequence[Mount] = ()
    read_only: bool = False
    volumes: Mapping[Path, Held] = field(default_factory=dict)
    stubs: set[str] = field(default_factory=set)  # what is in the root only for something to be mounted on
    table: dict[str, tuple[FileSystem, bool]] = field(default_factory=dict)  # mount point -> file system, read-only
    noexec: set[str] = field(default_factory=lambda: {"/proc", "/sys", "/dev"})  # mount points

    def __post_init__(self) -> None:
        machine = Union(lower=machine_files(self.named))
        self.table["/dev"] = (machine, False)
        self.table["/proc"] = self.table["/sys"] = (machine, True)
        for name in (*TARGETS.values(), MARK):
            self.table[name] = (machine, False)
        for mount in sorted(self.mounts, key=lambda mount: mount.target.count("/")):
            self._mount(mount, posixpath.normpath(mount.target))

    def _mount(self, mount: Mount, target: str) -> None:
        """Mount something at the path to which the target leads, through whatever links there are."""
        try:
            here = mounted(mount, target, self.volumes).get(target)
            if here is None:
                raise failure(errno.ENOENT, target)
            target = self._mount_point(target, here.is_dir)
            self.table[target] = (mounted(mount, target, self.volumes), getattr(mount, "read_only", True))
        except OSError as error:  # a link to nothing, or a file, on the way there: perhaps only since we looked first
            what = getattr(mount, "source", "") or type(mount).__name__.lower()
            raise StartError(f"cannot mount {what} on {target}: {(error.strerror or '').lower()}") from error
        if isinstance(mount, Tmpfs) and "noexec" in mount.flags:
            self.noexec.add(target)

    def _mount_point(self, target: str, is_dir: bool) -> str:
        """Find what is mounted on, or make it, as the OCI runtimes do."""
        here, names = "/", target.strip("/").split("/")
        for number, name in enumerate(names, 1):
            here = resolve(self, prefix(here) + name)  # type: ignore[arg-type]
            if self.get(here) is None:
                self._make(here, is_dir or number < len(names))
        found = self.get(here)  # nothing, where somebody took it away meanwhile: it may be in a volume
        if found is None or here == "/" or found.is_dir != is_dir:
            raise failure(errno.ENOTDIR if is_dir else errno.EISDIR, target)
        return here

    def _make(self, path: str, is_dir: bool) -> None:
        """Make a place to mount something on; in the root, nobody shall see that it was made."""
        system, read_only, _ = self.route(path)
        above = system.get(posixpath.dirname(path))
        if read_only and system is not self.root:  # that becomes read-only afterwards
            raise failure(errno.EROFS, path)
        if is_dir:
            system.mkdir(path, 0o755, 0, 0)
        else:
            system.write(path, b"", 0o755, False, 0, 0)
        if system is self.root and above:
            self.stubs.add(path)
            self.root.utime(posixpath.dirname(path), above.mtime)

    def route(self, path: str) -> tuple[FileSystem, bool, str]:
        """The file system that answers for `path`, whether it is read-only, and where it is mounted."""
        for point in (path, *parents(path)):
            if point in self.table:
                return *self.table[point], point
        return self.root, self.read_only, "/"

    def inert(self, path: str) -> bool:
        """Whether nothing there may be run, whatever its mode: it is on something that is mounted `noexec`."""
        return self.route(path)[2] in self.noexec

    def get(self, path: str) -> Entry | None:
        """What is at a path without following links; what `minidocker.tree.resolve` walks over."""
        return self.route(path)[0].get(path)

    def put(self, path: str, entry: Entry) -> None:
        """Make what is at a path be this entry, as `docker cp` does."""
        system, read_only, _ = self.route(path)
        old = system.get(path)
        if read_only:
            raise failure(errno.EROFS, path)
        if old is not None and not old.is_dir and entry.kind != "file":
            system.unlink(path)
        if entry.kind == "file":
            system.write(path, entry.data.read(), entry.mode, False, entry.uid, entry.gid)
        elif entry.kind == "symlink":
            system.symlink(entry.target, path, entry.uid, entry.gid)
        elif entry.is_dir and (old is None or not old.is_dir):
            system.mkdir(path, entry.mode, entry.uid, entry.gid)

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, mount points among them."""
        here = {point[len(prefix(path)) :] for point in self.table if posixpath.dirname(point) == path}
        names = self.route(path)[0].listdir(path)
        return sorted({*names, *here})


class Files:
    """The system calls on files, for one process. `fork` it with `copy.copy`."""

    def __init__(self, mounts: Mounts, cwd: str = "/", uid: int = 0, gid: int = 0, groups: Sequence[int] = ()) -> None:
        self.mounts, self.cwd, self.umask = mounts, cwd, 0o022
        self.uid, self.gid, self.groups = uid, gid, frozenset(groups)

    # Paths

    def absolute(self, path: str) -> str:
        """The path from the root; a relative one is looked up from the working directory."""
        if not path:
            raise failure(errno.ENOENT, path)
        return path if path.startswith("/") else prefix(self.cwd) + path

    def locate(self, path: str, follow: bool = True) -> str:
        """The path with symbolic links followed, if this process may search the directories on the way."""
        try:
            there = resolve(self.mounts, self.absolute(path), follow or path.endswith("/"))  # type: ignore[arg-type]
        except OSError as error:
            raise failure(error.errno or errno.EIO, path) from None
        for up in parents(there):
            entry = self.mounts.get(up)
            if entry is not None and not self.permits(entry, EXECUTE):
                raise failure(errno.EACCES, path)
        return there

    def permits(self, entry: Entry, want: int) -> bool:
        """Whether this process's user may read (4), write (2) or execute (1)."""
        if self.uid == 0:
            return want != EXECUTE or entry.is_dir or bool(entry.mode & 0o111)
        mine = entry.gid == self.gid or entry.gid in self.groups
        bits = entry.mode >> 6 if entry.uid == self.uid else entry.mode >> 3 if mine else entry.mode
        return bits & want == want

    def runs(self, path: str, entry: Entry) -> bool:
        """Whether the kernel runs what is at the path: unlike `test -x` it asks for the mount, too."""
        return self.permits(entry, EXECUTE) and not self.mounts.inert(self.locate(path))

    def access(self, path: str, want: int) -> bool:
        """`test -r`, `-w` and `-x`."""
        try:
            there = self.locate(path)
            entry = self.stat(path)
        except OSError:
            return False
        return self.permits(entry, want) and not (
            want == WRITE and self.mounts.route(there)[1] and entry.kind != "char"
        )

    # Reading

    def stat(self, path: str, follow: bool = True) -> Entry:
        """What is at the path; ENOENT where there is nothing."""
        entry = self.mounts.get(self.locate(path, follow))
        if entry is None:
            raise failure(errno.ENOENT, path)
        if path.endswith("/") and not entry.is_dir:
            raise failure(errno.ENOTDIR, path)
        return entry

    def find(self, path: str, follow: bool = True) -> Entry | None:
        """What is at the path, or None."""
        try:
            return self.stat(path, follow)
        except OSError:
            return None

    def read(self, path: str) -> bytes:
        """The content of a regular file."""
        entry = self.stat(path)
        if entry.is_dir:
            raise failure(errno.EISDIR, path)
        if not self.permits(entry, READ):
            raise failure(errno.EACCES, path)
        return entry.data.read()

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        entry = self.stat(path)
        if not entry.is_dir:
            raise failure(errno.ENOTDIR, path)
        if not self.permits(entry, READ):
            raise failure(errno.EACCES, path)
        return self.mounts.listdir(self.locate(path))

    def readlink(self, path: str) -> str:
        """Where a symbolic link points."""
        entry = self.stat(path, follow=False)
        if entry.kind != "symlink":
            raise failure(errno.EINVAL, path)
        return entry.target

    # Writing

    def _writable(self, path: str, there: str) -> FileSystem:
        system, read_only, point = self.mounts.route(there)
        if read_only:
            raise failure(errno.EROFS, path)
        if there == point and there != "/":
            raise failure(errno.EBUSY, path)
        return system

    def _in_parent(self, path: str, follow: bool = False) -> tuple[FileSystem, str, int]:
        """Where a name is to be made or removed: the file system, the true path, and the group of what is new there."""
        there = self.locate(path.rstrip("/") or "/", follow)
        up = self.mounts.get(posixpath.dirname(there))
        if up is None:
            raise failure(errno.ENOENT, path)
        if not up.is_dir:
            raise failure(errno.ENOTDIR, path)
        system = self._writable(path, there)
        if not self.permits(up, WRITE | EXECUTE):
            raise failure(errno.EACCES, path)
        old = self.mounts.get(there)
        if old is not None and up.mode & 0o1000 and self.uid not in (0, old.uid, up.uid):
            raise failure(errno.EPERM, path)  # the sticky bit of /tmp
        return system, there, up.gid if up.mode & 0o2000 else self.gid

    def write(self, path: str, data: bytes, append: bool = False, mode: int = 0o666) -> None:
        """Create, truncate or append to a file; the mode counts only when it is new."""
        there = self.locate(path)
        entry = self.mounts.get(there)
        if entry is None:
            system, there, gid = self._in_parent(path, follow=True)
            system.write(there, data, mode & ~self.umask, append, self.uid, gid)
            return
        if entry.is_dir:
            raise failure(errno.EISDIR, path)
        system, read_only, _ = self.mounts.route(there)
        if read_only:
            raise failure(errno.EROFS, path)
        if not self.permits(entry, WRITE):
            raise failure(errno.EACCES, path)
        system.write(there, data, entry.mode, append, self.uid, self.gid)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        """Make a directory; EEXIST where there is anything."""
        if self.find(path, follow=False):
            raise failure(errno.EEXIST, path)
        system, there, gid = self._in_parent(path)
        system.mkdir(there, mode & ~self.umask, self.uid, gid)

    def symlink(self, target: str, path: str) -> None:
        """Make a symbolic link."""
        system, there, gid = self._in_parent(path)
        if self.mounts.get(there):
            raise failure(errno.EEXIST, path)
        system.symlink(target, there, self.uid, gid)

    def link(self, src: str, path: str) -> None:
        """Make one more name for a file."""
        self.stat(src, follow=False)
        old = self.locate(src, follow=False)
        system, there, _ = self._in_parent(path)
        if self.mounts.get(there):
            raise failure(errno.EEXIST, path)
        if self.mounts.route(old)[0] is not system:
            raise failure(errno.EXDEV, path)
        system.link(old, there)

    def unlink(self, path: str) -> None:
        """Remove a name that is no directory's."""
        entry = self.stat(path, follow=False)
        system, there, _ = self._in_parent(path)
        if entry.is_dir:
            raise failure(errno.EISDIR, path)
        system.unlink(there)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        entry = self.stat(path, follow=False)
        system, there, _ = self._in_parent(path)
        if not entry.is_dir:
            raise failure(errno.ENOTDIR, path)
        if self.mounts.listdir(there):
            raise failure(errno.ENOTEMPTY, path)
        system.rmdir(there)

    def rename(self, src: str, dst: str) -> None:
        """Move; EXDEV between file systems, where one has to copy."""
        self.stat(src, follow=False)
        system, old, _ = self._in_parent(src)
        other, new, _ = self._in_parent(dst)
        if system is not other:
            raise failure(errno.EXDEV, dst)
        if any(point.startswith(prefix(old)) for point in self.mounts.table):
            raise failure(errno.EBUSY, src)
        system.rename(old, new)

    def _owned(self, path: str, follow: bool, need_root: bool = False) -> tuple[FileSystem, str, Entry]:
        """For a change of attributes, which is the owner's right (or root's alone)."""
        entry, there = self.stat(path, follow), self.locate(path, follow)
        system, read_only, _ = self.mounts.route(there)
        if read_only:
            raise failure(errno.EROFS, path)
        if self.uid != 0 and (need_root or self.uid != entry.uid):
            raise failure(errno.EPERM, path)
        return system, there, entry

    def chmod(self, path: str, mode: int) -> None:
        """Change the permission bits."""
        system, there, _ = self._owned(path, True)
        system.chmod(there, mode)

    def chown(self, path: str, uid: int, gid: int, follow: bool = True) -> None:
        """Change the owner (-1: leave it); a program loses its set-id bits by that."""
        mine = self.uid != 0 and uid in (-1, self.uid) and (gid in (-1, self.gid) or gid in self.groups)
        system, there, entry = self._owned(path, follow, need_root=not mine)
        system.chown(there, uid, gid, follow)
        if entry.kind == "file" and entry.mode & 0o6000 and entry.mode & 0o111:
            system.chmod(there, entry.mode & ~0o6000)

    def utime(self, path: str, mtime: int) -> None:
        """Change the modification time."""
        there, entry = self.locate(path), self.stat(path)
        system, read_only, _ = self.mounts.route(there)
        if read_only:
            raise failure(errno.EROFS, path)
        if not self.permits(entry, WRITE) and self.uid != entry.uid:
            raise failure(errno.EACCES, path)
        system.utime(there, mtime)

    def walk(self, path: str, visit: Callable[[str, Entry], Any], deep: bool = True) -> None:
        """Call `visit` with `path` and (`deep`) all below it, parents first; then no symbolic link is followed."""
        entry = self.stat(path, follow=not deep)
        visit(path, entry)
        if deep and entry.is_dir:
            for name in self.listdir(path):
                self.walk(prefix(path) + name, visit)
