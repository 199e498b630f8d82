"""What can be mounted into a simulated container: host folders, memory, secrets, other layers, volumes."""

from __future__ import annotations

# ruff: noqa: PTH101, PTH102, PTH208, PTH211, PTH105
import errno
import os
import stat as modes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from minidocker.content import FileLock, read_json, write_json
from minidocker.errors import StartError, Unsupported
from minidocker.layer import view
from minidocker.runtime import Bind, Mount, Secret, Snapshot, Tmpfs
from minidocker.runtime.discarding import FOLDER
from minidocker.tree import Data, Entry, Tree, directory, file, prefix, resolve, symlink
from minidocker.union import Union

SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
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
        folder = folder_of(mount, "/" if mount.inside else target)
        if not mount.inside:
            return folder
        return cast(FileSystem, Shifted(folder, resolve(folder, mount.inside), target))  # type: ignore[arg-type]
    if isinstance(mount, Tmpfs):
        return Memory.of(mount, target)
    if isinstance(mount, Secret):
        secret = file(mount.content, mount.mode, uid=mount.uid, gid=mount.gid)
        return Union(lower=Tree({target: secret}))
    if isinstance(mount, Snapshot):
        layers = Union(lower=view(tuple(layer.changes for layer in mount.layers)))
        return cast(FileSystem, Shifted(layers, layers.resolve(mount.source), target))
    held = volumes[mount.path]
    return cast(FileSystem, Shifted(held, held.view.resolve(mount.source), target))


def folder_of(mount: Bind, target: str = "/") -> HostFolder:
    """The folder of the host that is mounted."""
    return (VolumeFolder if mount.owned else HostFolder)(mount.source, target)


class Shifted:
    """A union or folder, or what is in a volume just now, from a path on, seen at the container's path `target`."""

    def __init__(self, what: Union | HostFolder | Held, source: str, target: str) -> None:
        self.what, self.source, self.target = what, source.rstrip("/"), target

    def __getattr__(self, name: str) -> Any:
        union = self.what if isinstance(self.what, Union | HostFolder) else self.what.view
        method, paths = getattr(union, name), PATHS.get(name, (0,))

        def call(*args: Any) -> Any:
            return method(*(self._there(arg) if number in paths else arg for number, arg in enumerate(args)))

        return call

    def _there(self, path: str) -> str:
        return self.source + path[len(self.target) :] or "/"


def in_bytes(text: str) -> int:
    """A size as tmpfs(5) has it: bytes, or a part of this machine's memory (`50%`). Raises ValueError.

    >>> in_bytes("64k"), in_bytes("50%") == 5 * in_bytes("10%")
    (65536, True)
    """
    if text.endswith("%"):
        return int(text[:-1]) * _memory() // 100
    unit = "kmgt".find(text[-1:].lower()) + 1
    return int(text[:-1] if unit else text) << 10 * unit


def _memory() -> int:
    """The bytes of memory of this machine, to whole hundreds. Raises ValueError where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 100 * 100
    except (AttributeError, OSError):
        raise ValueError("this machine does not tell how much memory it has") from None


class Memory(Union):
    """A tmpfs: an empty folder at `target` that holds no more than `size` bytes, if that is not 0."""

    def __init__(self, target: str, size: int = 0, mode: int = 0o1777, uid: int = 0, gid: int = 0) -> None:
        super().__init__(lower=Tree({target: directory(mode, uid=uid, gid=gid)}))
        self.size = size

    @classmethod
    def of(cls, mount: Tmpfs, target: str) -> Memory:
        """What a mount asks for. Raises Unsupported for what only a kernel has, StartError for nonsense."""
        given = dict(text.partition("=")[::2] for text in mount.options.split(",") if text)
        if others := given.keys() - {"size", "mode", "uid", "gid"}:
            text = (
                f"the simulated runtime does not have the tmpfs option {min(others)}: leave it out, or run it on Linux"
            )
            raise Unsupported(text)
        try:
            size = in_bytes(given["size"]) if "size" in given else mount.size
            mode, (uid, gid) = int(given.get("mode", "1777"), 8), (int(given.get(key, "0")) for key in ("uid", "gid"))
        except ValueError:
            raise StartError(f"cannot mount a tmpfs on {target} with {mount.options}: invalid argument") from None
        return cls(target, size, mode, uid, gid)

    def write(
        self, path: str, data: bytes, mode: int = 0o644, append: bool = False, uid: int = 0, gid: int = 0
    ) -> None:
        """Create or truncate a file (or append to it), if there is room."""
        there = self.get(path)
        full = sum(entry.size for entry in self.tree().values()) - (there.size if there and not append else 0)
        if self.size and full + len(data) > self.size:
            raise failure(errno.ENOSPC, path)
        super().write(path, data, mode, append, uid, gid)


class HostFile(Data):
    """The bytes of a file in a folder of the host: no link on the way to it is followed, whenever one is put there."""

    def __init__(self, folder: HostFolder, path: str, size: int) -> None:
        self.folder, self.path, self.size = folder, path, size

    def open(self) -> BinaryIO:
        """Open the bytes for reading from the start."""
        with self.folder.at(self.path) as (name, there):
            return os.fdopen(os.open(name, os.O_RDONLY | SAFELY, **there), "rb")


class HostFolder:
    """A file or folder of the host, mounted at `target`.

    A symbolic link in it is never followed by the host, only inside the container's view, so nothing gets out of it:
    every folder is opened from the one above (but on Windows, which has no such thing).
    """

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = Path(source).resolve(), target

    @contextmanager
    def at(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The last name of a path, and as `dir_fd` the folder that it is in. Raises OSError."""
        inside = path[len(self.target.rstrip("/")) :].strip("/")
        if os.name == "nt" and any(char in inside for char in "\\:"):
            raise failure(errno.EINVAL, path)  # to Windows this would be another folder, or another drive
        if not inside:
            yield str(self.source), {}
        elif os.open not in os.supports_dir_fd:
            yield str(self._checked(inside)), {}
        else:
            *above, name = inside.split("/")
            folder = os.open(self.source, FOLDER)
            try:
                for each in above:
                    folder, upper = os.open(each, FOLDER, dir_fd=folder), folder
                    os.close(upper)
                yield name, {"dir_fd": folder}
            finally:
                os.close(folder)

    def _checked(self, inside: str) -> Path:
        there = self.source
        *above, name = inside.split("/")
        for each in above:
            there = there / each
            if there.is_symlink():
                raise failure(errno.ELOOP, inside)
        return there / name

    def get(self, path: str) -> Entry | None:
        """What is there, or None."""
        try:
            with self.at(path) as (name, there):
                found = os.lstat(name, **there)
                target = os.readlink(name, **there) if modes.S_ISLNK(found.st_mode) else ""
        except (FileNotFoundError, NotADirectoryError):
            return None
        meta = {"uid": found.st_uid, "gid": found.st_gid, "mtime": int(found.st_mtime)}
        if modes.S_ISDIR(found.st_mode):
            return directory(modes.S_IMODE(found.st_mode), **meta)
        if target:
            return symlink(target, **meta)
        if modes.S_ISREG(found.st_mode):
            return file(HostFile(self, path, found.st_size), modes.S_IMODE(found.st_mode), **meta)
        return Entry("fifo", 0o600, mtime=meta["mtime"])  # sockets and the like: there, but not to be opened

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        with self.at(path) as (name, there):
            if not there:
                return sorted(os.listdir(name))
            folder = os.open(name, FOLDER, **there)
            try:
                return sorted(os.listdir(folder))
            finally:
                os.close(folder)

    def write(self, path: str, data: bytes, mode: int, append: bool, uid: int, gid: int) -> None:
        """Create, truncate or append to a file."""
        new = self.get(path) is None
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC) | SAFELY
        with self.at(path) as (name, there), os.fdopen(os.open(name, flags, mode, **there), "wb") as stream:
            stream.write(data)
        if new:
            self.own(path, mode, uid, gid)

    def own(self, path: str, mode: int, uid: int, gid: int) -> None:
        """Give something new its owner and mode."""
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # without that right, the file is the user's own
            self.chown(path, uid, gid, False)
        self.chmod(path, mode)

    def mkdir(self, path: str, mode: int, uid: int, gid: int) -> None:
        """Make a folder."""
        with self.at(path) as (name, there):
            os.mkdir(name, mode, **there)
        self.own(path, mode, uid, gid)

    def symlink(self, target: str, path: str, uid: int, gid: int) -> None:
        """Make a symbolic link."""
        with self.at(path) as (name, there):
            os.symlink(target, name, **there)
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            self.chown(path, uid, gid, False)

    def link(self, src: str, path: str) -> None:
        """Make one more name for a file."""
        with self.at(src) as (old, here), self.at(path) as (new, there):
            both: dict[str, Any] = (
                {"src_dir_fd": here["dir_fd"], "dst_dir_fd": there["dir_fd"]} if here and there else {}
            )
            os.link(old, new, **both, **({"follow_symlinks": False} if both else {}))

    def unlink(self, path: str) -> None:
        """Remove a name."""
        with self.at(path) as (name, there):
            os.unlink(name, **there)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        with self.at(path) as (name, there):
            os.rmdir(name, **there)

    def rename(self, src: str, dst: str) -> None:
        """Move within this mount."""
        with self.at(src) as (old, here), self.at(dst) as (new, there):
            os.replace(old, new, **({"src_dir_fd": here["dir_fd"], "dst_dir_fd": there["dir_fd"]} if here else {}))

    def chmod(self, path: str, mode: int) -> None:
        """Change the permission bits of what is no link."""
        with self.at(path) as (name, there):
            if hasattr(os, "O_PATH"):
                fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, **there)
                try:
                    os.chmod(f"/proc/self/fd/{fd}", mode)
                finally:
                    os.close(fd)
            elif os.chmod in os.supports_follow_symlinks:
                os.chmod(name, mode, **there, follow_symlinks=False)
            else:
                os.chmod(name, mode)

    def chown(self, path: str, uid: int, gid: int, follow: bool) -> None:
        """Change the owner."""
        if hasattr(os, "chown"):
            with self.at(path) as (name, there):
                os.chown(name, uid, gid, **there, follow_symlinks=False)

    def utime(self, path: str, mtime: int) -> None:
        """Change the modification time."""
        with self.at(path) as (name, there):
            links: dict[str, Any] = {"follow_symlinks": False} if os.utime in os.supports_follow_symlinks else {}
            os.utime(name, (mtime, mtime), **there, **links)


class VolumeFolder(HostFolder):
    """A volume's folder, which only containers use: each file has the owner that it has inside.

    As root that is its owner outside, too. Else, and where files have no owners and modes as Linux has them, what they
    are inside is noted beside it: `owners.json`, path -> user, group, mode.
    """

    def __init__(self, source: str, target: str) -> None:
        super().__init__(source, target)
        self.noting = not (hasattr(os, "geteuid") and os.geteuid() == 0)
        self.notes = Path(source).absolute().with_name("owners.json")
        self.known: dict[str, list[int]] = {}
        self.stamp = (0, 0)

    def _inside(self, path: str) -> str:
        return path[len(self.target.rstrip("/")) :].strip("/")

    def _read(self) -> dict[str, list[int]]:
        """The notes, read again where they have changed."""
        try:
            info = self.notes.stat()
            if (stamp := (info.st_mtime_ns, info.st_ino)) != self.stamp:
                self.known, self.stamp = read_json(self.notes), stamp
        except (FileNotFoundError, ValueError):
            self.known = {}
        return dict(self.known)

    def _note(self, change: Callable[[dict[str, list[int]]], object]) -> None:
        """Change the notes, alone."""
        if self.noting:
            with FileLock(self.notes.with_name("owners.lock")):
                known = self._read()
                change(known)
                write_json(self.notes, known, sync=False)

    def get(self, path: str) -> Entry | None:
        """What is there, or None."""
        found = super().get(path)
        if found is None or not self.noting:
            return found
        uid, gid, mode = self._read().get(self._inside(path), [0, 0, found.mode])
        return replace(found, uid=uid, gid=gid, mode=mode)

    def own(self, path: str, mode: int, uid: int, gid: int) -> None:
        """Give something new its owner and mode."""
        if self.noting:
            super().chmod(path, mode | (0o700 if (found := self.get(path)) and found.is_dir else 0o600))
            self._note(lambda known: known.update({self._inside(path): [uid, gid, mode]}))
        else:
            super().own(path, mode, uid, gid)

    def symlink(self, target: str, path: str, uid: int, gid: int) -> None:
        """Make a symbolic link."""
        super().symlink(target, path, uid, gid)
        self._note(lambda known: known.update({self._inside(path): [uid, gid, 0o777]}))

    def link(self, src: str, path: str) -> None:
        """Make one more name for a file."""
        super().link(src, path)
        old = self._inside(src)
        self._note(lambda known: known.update({self._inside(path): known[old]} if old in known else {}))

    def unlink(self, path: str) -> None:
        """Remove a name."""
        super().unlink(path)
        self._note(lambda known: known.pop(self._inside(path), None))

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        super().rmdir(path)
        self._note(lambda known: known.pop(self._inside(path), None))

    def rename(self, src: str, dst: str) -> None:
        """Move within this mount, with all that lies below."""
        super().rename(src, dst)
        old, new = self._inside(src), self._inside(dst)

        def move(known: dict[str, list[int]]) -> None:
            for name in [name for name in known if name == new or name.startswith(f"{new}/")]:
                del known[name]
            for name in [name for name in known if name == old or name.startswith(f"{old}/")]:
                known[new + name[len(old) :]] = known.pop(name)

        self._note(move)

    def chmod(self, path: str, mode: int) -> None:
        """Change the permission bits."""
        if self.noting and (found := self.get(path)):
            self.own(path, mode, found.uid, found.gid)
        else:
            super().chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int, follow: bool) -> None:
        """Change the owner; -1 leaves it."""
        if not self.noting:
            super().chown(path, uid, gid, follow)
        elif found := self.get(path):
            owner = [found.uid if uid < 0 else uid, found.gid if gid < 0 else gid, found.mode]
            self._note(lambda known: known.update({self._inside(path): owner}))


def pour(system: HostFolder, changes: Mapping[str, Entry]) -> None:
    """Write entries into a folder that is mounted at `/`: what is there already is replaced."""
    for path, entry in sorted(changes.items()):
        old = system.get(path)
        if entry.is_dir:
            if old is None:
                system.mkdir(path, entry.mode, entry.uid, entry.gid)
            else:
                system.own(path, entry.mode, entry.uid, entry.gid)
            continue
        if old is not None:
            system.unlink(path)
        if entry.kind == "symlink":
            system.symlink(entry.target, path, entry.uid, entry.gid)
        elif entry.kind == "file" and entry.link not in ("", path):
            system.link(entry.link, path)
        elif entry.kind == "file":
            system.write(path, entry.data.read(), entry.mode, False, entry.uid, entry.gid)
    for path, entry in sorted(changes.items(), reverse=True):
        if system.get(path):
            system.utime(path, entry.mtime)


def listing(system: HostFolder) -> dict[str, Entry]:
    """All that is in a folder that is mounted at `/`."""
    found, todo = {}, ["/"]
    while todo:
        path = todo.pop()
        if entry := system.get(path):
            found[path] = entry
            todo += [prefix(path) + name for name in system.listdir(path)] if entry.is_dir else []
    return found
