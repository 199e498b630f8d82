"""What can be mounted into a simulated container: host folders, memory, secrets, other layers, volumes."""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from minidocker.layer import view
from minidocker.runtime import Bind, Mount, Secret, Snapshot, Tmpfs
from minidocker.tree import Entry, FileData, Tree, directory, file, symlink
from minidocker.union import Union

PATHS = {"link": (0, 1), "rename": (0, 1), "symlink": (1,)}  # which arguments of a method are paths; else the first


def failure(number: int, path: str) -> OSError:
    """The OSError that the kernel's error number stands for."""
    return OSError(number, os.strerror(number), path)


class FileSystem(Protocol):
    """What can be mounted; `Union` can. All paths are absolute and free of symbolic links."""

    def get(self, path: str) -> Entry | None: ...  # noqa: D102
    def listdir(self, path: str) -> list[str]: ...  # noqa: D102
    def write(self, path: str, data: bytes, mode: int, append: bool, uid: int, gid: int) -> None: ...  # noqa: D102
    def mkdir(self, path: str, mode: int, uid: int, gid: int) -> None: ...  # noqa: D102
    def symlink(self, target: str, path: str, uid: int, gid: int) -> None: ...  # noqa: D102
    def link(self, src: str, path: str) -> None: ...  # noqa: D102
    def unlink(self, path: str) -> None: ...  # noqa: D102
    def rmdir(self, path: str) -> None: ...  # noqa: D102
    def rename(self, src: str, dst: str) -> None: ...  # noqa: D102
    def chmod(self, path: str, mode: int) -> None: ...  # noqa: D102
    def chown(self, path: str, uid: int, gid: int, follow: bool) -> None: ...  # noqa: D102
    def utime(self, path: str, mtime: int) -> None: ...  # noqa: D102


class Held(Protocol):
    """What keeps a volume, for as long as one has it."""

    @property
    def view(self) -> Union: ...  # noqa: D102


def mounted(mount: Mount, target: str, volumes: Mapping[Path, Held]) -> FileSystem:
    """The file system behind a mount, as seen from the container's root. Raises OSError."""
    if isinstance(mount, Bind):
        return HostFolder(mount.source, target)
    if isinstance(mount, Tmpfs):
        return Memory(target, mount.size)
    if isinstance(mount, Secret):
        secret = file(mount.content, mount.mode, uid=mount.uid, gid=mount.gid)
        return Union(lower=Tree({target: secret}))
    if isinstance(mount, Snapshot):
        layers = Union(lower=view(tuple(layer.changes for layer in mount.layers)))
        return cast(FileSystem, Shifted(layers, layers.resolve(mount.source), target))
    held = volumes[mount.path]
    return cast(FileSystem, Shifted(held, held.view.resolve(mount.source), target))


class Shifted:
    """A union, or what is in a volume just now, from a path on, seen at the container's path `target`."""

    def __init__(self, what: Union | Held, source: str, target: str) -> None:
        self.what, self.source, self.target = what, source.rstrip("/"), target

    def __getattr__(self, name: str) -> Any:
        union = self.what if isinstance(self.what, Union) else self.what.view
        method, paths = getattr(union, name), PATHS.get(name, (0,))

        def call(*args: Any) -> Any:
            return method(*(self._there(arg) if number in paths else arg for number, arg in enumerate(args)))

        return call

    def _there(self, path: str) -> str:
        return self.source + path[len(self.target) :] or "/"


class Memory(Union):
    """A tmpfs: an empty folder at `target` that holds no more than `size` bytes, if that is not 0."""

    def __init__(self, target: str, size: int = 0) -> None:
        super().__init__(lower=Tree({target: directory(0o1777)}))
        self.size = size

    def write(
        self, path: str, data: bytes, mode: int = 0o644, append: bool = False, uid: int = 0, gid: int = 0
    ) -> None:
        """Create or truncate a file (or append to it), if there is room."""
        there = self.get(path)
        full = sum(entry.size for entry in self.tree().values()) - (there.size if there and not append else 0)
        if self.size and full + len(data) > self.size:
            raise failure(errno.ENOSPC, path)
        super().write(path, data, mode, append, uid, gid)


class HostFolder:
    """A file or folder of the host, mounted at `target`.

    A symbolic link in it is never followed by the host, only inside the container's view, so nothing gets out of it.
    """

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = Path(source).resolve(), target

    def _host(self, path: str) -> Path:
        inside = path[len(self.target) :].strip("/")
        if os.name == "nt" and any(char in inside for char in "\\:"):
            raise failure(errno.EINVAL, path)  # to Windows this would be another folder, or another drive
        there = self.source
        for name in inside.split("/")[:-1] if inside else ():
            there = there / name
            if there.is_symlink():
                raise failure(errno.ELOOP, path)
        return there / inside.rsplit("/", 1)[-1] if inside else there

    def get(self, path: str) -> Entry | None:
        """What is there, or None."""
        host = self._host(path)
        try:
            found = host.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        meta = {"uid": found.st_uid, "gid": found.st_gid, "mtime": int(found.st_mtime)}
        if modes.S_ISDIR(found.st_mode):
            return directory(modes.S_IMODE(found.st_mode), **meta)
        if modes.S_ISLNK(found.st_mode):
            return symlink(str(host.readlink()), **meta)
        if modes.S_ISREG(found.st_mode):
            return file(FileData(host, found.st_size), modes.S_IMODE(found.st_mode), **meta)
        return Entry("fifo", 0o600, mtime=meta["mtime"])  # sockets and the like: there, but not to be opened

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        return sorted(found.name for found in self._host(path).iterdir())

    def write(self, path: str, data: bytes, mode: int, append: bool, uid: int, gid: int) -> None:
        """Create, truncate or append to a file."""
        host = self._host(path)
        new = not host.exists()
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
        descriptor = os.open(host, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        if new:
            self._own(host, mode, uid, gid)

    def _own(self, host: Path, mode: int, uid: int, gid: int) -> None:
        host.chmod(mode)
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # without that right, the file is the user's own
            os.chown(host, uid, gid)

    def mkdir(self, path: str, mode: int, uid: int, gid: int) -> None:
        """Make a folder."""
        host = self._host(path)
        host.mkdir(mode)
        self._own(host, mode, uid, gid)

    def symlink(self, target: str, path: str, uid: int, gid: int) -> None:
        """Make a symbolic link."""
        self._host(path).symlink_to(target)

    def link(self, src: str, path: str) -> None:
        """Make one more name for a file."""
        self._host(path).hardlink_to(self._host(src))

    def unlink(self, path: str) -> None:
        """Remove a name."""
        self._host(path).unlink()

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        self._host(path).rmdir()

    def rename(self, src: str, dst: str) -> None:
        """Move within this mount."""
        self._host(src).replace(self._host(dst))

    def chmod(self, path: str, mode: int) -> None:
        """Change the permission bits."""
        self._host(path).chmod(mode)

    def chown(self, path: str, uid: int, gid: int, follow: bool) -> None:
        """Change the owner."""
        if hasattr(os, "chown"):
            os.chown(self._host(path), uid, gid, follow_symlinks=False)

    def utime(self, path: str, mtime: int) -> None:
        """Change the modification time."""
        os.utime(self._host(path), (mtime, mtime))
