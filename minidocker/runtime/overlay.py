"""A layer as a directory for the kernel's overlay file system, and back.

    unpack(layer, directory)     a layer's files, as overlayfs wants a lower directory
    scan(upper, lower) -> layer  what a container wrote into its upper directory
    apply(layer, folder)         a layer's changes made in a tree that somebody sees
    discarding.discard(folder)   any such tree deleted

overlayfs has signs of its own: a *whiteout* is a character device 0:0, an *opaque* directory bears the extended
attribute `user.overlay.opaque` (Documentation/filesystems/overlayfs.rst). The container's mount has the `userxattr`
option, so the same signs work for root and for everybody else.

Names never resolve through a symbolic link here: every folder is opened from its parent's descriptor with O_NOFOLLOW.
"""

# ruff: noqa: PTH101
from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from minidocker.errors import LayerError
from minidocker.layer import WHITEOUT, Changeset, diff, settle
from minidocker.runtime import mapped
from minidocker.runtime.discarding import FOLDER, discard, is_folder
from minidocker.runtime.placing import PLACEHOLDER
from minidocker.tree import Bytes, Data, Entry, Kind, Tree, directory, parents, prefix

OPAQUE = "user.overlay.opaque"
CARRIED = ("security.capability", "user.")  # the extended attributes that a layer carries
OPAQUES = {OPAQUE, "user.fuseoverlayfs.opaque", "trusted.overlay.opaque"}
HIDES, OPAQUE_FILES = ".wh.", (".wh..wh..opq", ".wh..opq")  # fuse-overlayfs's, where it cannot make the others
PRIVATE = ("user.overlay.", "user.fuseoverlayfs.", "trusted.overlay.", PLACEHOLDER)  # those that belong to the mount
IMPLIES = "user.minidocker.implies"  # marks a layer that has folders which it does not list
UNLISTED = 1  # nanoseconds: the mtime of a root folder that its layer says nothing about
KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


class InTree(Data):
    """The bytes of a file in a directory that somebody may be changing: no link on the way to it is followed."""

    def __init__(self, root: str, path: str, size: int) -> None:
        self.root, self.path, self.size = root, path, size

    def open(self) -> BinaryIO:
        """Open the bytes for reading from the start. Raises OSError where the file has gone meanwhile."""
        try:
            return self._open()
        except PermissionError:  # it belongs to another of the container's users
            if not mapped.ranges():
                raise
            return mapped.spool(self.root, self.path)

    def _open(self) -> BinaryIO:
        folder, _, name = self.path.rpartition("/")
        parent = open_folder(self.root, folder)
        try:
            return os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent), "rb")
        finally:
            os.close(parent)

    def __repr__(self) -> str:
        return f"InTree({self.root!r}, {self.path!r}, {self.size})"


def open_folder(root: str | int, path: str) -> int:
    """Open the folder `path` below `root` (a path, or a descriptor), name by name, without following links."""
    fd = os.open(root, FOLDER) if isinstance(root, str) else os.dup(root)
    for name in path.split("/"):
        if name:
            try:
                fd, above = os.open(name, FOLDER, dir_fd=fd), fd
            except BaseException:
                os.close(fd)
                raise
            os.close(above)
    return fd


# A layer becomes a directory


def unpack(changes: Changeset, directory: Path, *, rootless: bool | None = None) -> None:
    """Write a layer as an overlayfs lower directory, all of it or nothing.

    Without root, owners can only be kept where the user has more ids than one (`mapped`): else everything belongs to
    the user, who is root inside. Device nodes are never
    made: a container has its own /dev. Raises LayerError where an entry lies below something that is no directory.
    """
    temporary = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}.tmp")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    temporary.mkdir(0o755)
    try:
        root = os.open(temporary, FOLDER)
        try:
            os.fchmod(root, 0o755)  # whatever the umask says
            writer = _Writer(root, rootless, overlay=True)
            writer.write(changes)
            if writer.implied:
                with suppress(OSError):  # a file system without them carries no overlay either
                    os.setxattr(root, IMPLIES, b"")
            if "/" not in changes:
                os.utime(root, ns=(UNLISTED, UNLISTED))
        finally:
            os.close(root)
        if mapped.ranges() and (owners := _owners(changes)):
            mapped.call(mapped.give, str(temporary), owners)
        temporary.rename(directory)
    except BaseException as error:
        discard(temporary)
        if not (isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST) and directory.is_dir()):
            raise  # all is well where somebody else has just unpacked the same layer


def implies(layer: Path) -> bool:
    """Whether a layer unpacked there has folders about which it says nothing itself."""
    return IMPLIES in _xattrs(str(layer))


def _owners(changes: Changeset) -> list[mapped.Owner]:
    """What of a layer does not belong to root, without what `unpack` leaves out; what is deepest comes first."""
    made = {"file", "dir", "symlink", "fifo"}
    others = ((path, entry) for path, entry in changes.items() if (entry.uid or entry.gid) and entry.kind in made)
    return [(path, entry.uid, entry.gid, entry.mode) for path, entry in sorted(others, reverse=True)]


def apply(changes: Changeset, folder: str | int, *, rootless: bool | None = None) -> None:
    """Make a layer's changes in a tree that somebody sees (a path, or a descriptor): a whiteout there deletes."""
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY) if isinstance(folder, str) else os.dup(folder)
    try:
        _Writer(root, rootless, overlay=False).write(changes)
    finally:
        os.close(root)


class _Writer:
    """Writes entries below a folder: as an `overlay` lower directory that starts empty, or into a tree as it is."""

    def __init__(self, root: int, rootless: bool | None, overlay: bool) -> None:
        self.root, self.overlay = root, overlay
        self.owners = not (os.geteuid() if rootless is None else rootless)
        self.here, self.fd = "/", os.dup(root)
        self.implied: dict[str, Entry] = {}

    def write(self, changes: Changeset) -> None:
        """Write all entries, parents first; the directories' own attributes last, as writing below changes them."""
        try:
            for path, entry in sorted(changes.items(), key=lambda item: item[1].kind == "whiteout"):  # those last:
                self.put(path, entry, changes)  # what is deleted may be where another entry has its bytes from
            folders = {path: entry for path, entry in changes.items() if entry.is_dir} | self.implied
            for path in sorted(folders, reverse=True):
                self.enter(path)
                self.attributes(self.fd, folders[path])
        except (NotADirectoryError, FileNotFoundError, FileExistsError) as error:
            raise LayerError(f"cannot unpack {path}: {error.strerror}") from None
        finally:
            os.close(self.fd)

    def enter(self, folder: str) -> None:
        """Make `folder` the current one; those on the way that no entry lists are made."""
        while self.overlay and self.here not in ("/", folder) and not folder.startswith(prefix(self.here)):
            # Nobody else is in a tree that is still being made, so `..` is where we came from.
            self.fd, left = os.open("..", FOLDER, dir_fd=self.fd), self.fd
            self.here = self.here.rpartition("/")[0] or "/"
            os.close(left)
        if folder == self.here:
            return
        if not folder.startswith(prefix(self.here)):
            os.close(self.fd)
            self.here, self.fd = "/", os.dup(self.root)
        for name in folder[len(prefix(self.here)) :].split("/") if folder != "/" else ():
            above, there = self.fd, prefix(self.here) + name
            try:
                self.fd = os.open(name, FOLDER, dir_fd=above)
            except FileNotFoundError:
                os.mkdir(name, 0o700, dir_fd=above)
                self.implied[there] = directory()
                self.fd = os.open(name, FOLDER, dir_fd=above)
            self.here = there
            os.close(above)

    def put(self, path: str, entry: Entry, changes: Changeset) -> None:
        """Write one entry; a directory is only made here."""
        if path == "/":
            return
        folder, _, name = path.rpartition("/")
        self.enter(folder or "/")
        if not self.overlay and entry.kind == "file" and entry.link in ("", path):
            self.replace_file(name, entry)
            return
        if not self.overlay and not (entry.is_dir and path not in changes.opaque and is_folder(name, self.fd)):
            remove(name, self.fd)
        if entry.is_dir:
            self.make_folder(name, opaque=path in changes.opaque)
        elif entry.kind == "whiteout":
            if self.overlay:
                self.hide(name)
        elif entry.link not in ("", path):
            self.link(entry.link, name)
        elif entry.kind == "file":
            self.make_file(name, entry)
        elif entry.kind == "symlink":
            os.symlink(entry.target, name, dir_fd=self.fd)
            self.stamp(name, entry)
        elif entry.kind == "fifo":
            os.mkfifo(name, 0o600, dir_fd=self.fd)
            self.stamp(name, entry)

    def hide(self, name: str) -> None:
        """A whiteout. Where none may be made, as on a file system that is an overlay itself, fuse-overlayfs's own."""
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=self.fd)
        except PermissionError:
            os.close(os.open(HIDES + name, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=self.fd))

    def make_folder(self, name: str, opaque: bool) -> None:
        if not is_folder(name, self.fd):
            os.mkdir(name, 0o700, dir_fd=self.fd)
        if opaque and self.overlay:
            fd = os.open(name, FOLDER, dir_fd=self.fd)
            os.setxattr(fd, OPAQUE, b"y")
            os.close(fd)

    def link(self, first: str, name: str) -> None:
        """One more name for a file that this layer has written already."""
        folder, _, old = first.rpartition("/")
        above = open_folder(self.root, folder)
        try:
            os.link(old, name, src_dir_fd=above, dst_dir_fd=self.fd, follow_symlinks=False)
        finally:
            os.close(above)

    def replace_file(self, name: str, entry: Entry) -> None:
        """Write a file, and only then put it in the place of the one that is there, which may be the same bytes."""
        new = f".{secrets.token_hex(8)}.tmp"
        try:
            self.make_file(new, entry)
            if is_folder(name, self.fd):
                remove(name, self.fd)
            os.rename(new, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except BaseException:
            remove(new, self.fd)
            raise

    def make_file(self, name: str, entry: Entry) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=self.fd)
        try:
            for chunk in entry.data.chunks():
                view = memoryview(chunk)
                while view:
                    view = view[os.write(fd, view) :]
            self.attributes(fd, entry)
        finally:
            os.close(fd)

    def attributes(self, fd: int, entry: Entry) -> None:
        """Owner first, as a change of it takes away the setuid bit and capabilities; the times last."""
        if self.owners:
            os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        for key, value in entry.xattrs:
            if not key.startswith(PRIVATE):
                with suppress(OSError):  # not every file system, nor every user, can keep every attribute
                    os.setxattr(fd, key, value)
        os.utime(fd, ns=(entry.mtime * 10**9, entry.mtime * 10**9))

    def stamp(self, name: str, entry: Entry) -> None:
        """The attributes of what cannot be opened: a symbolic link, a fifo."""
        if self.owners:
            os.chown(name, entry.uid, entry.gid, dir_fd=self.fd, follow_symlinks=False)
        if entry.kind == "fifo":
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self.fd)
            os.chmod(f"/proc/self/fd/{fd}", entry.mode)  # by name it would follow a link that came meanwhile
            os.close(fd)
        os.utime(name, ns=(entry.mtime * 10**9,) * 2, dir_fd=self.fd, follow_symlinks=False)


def remove(name: str, fd: int) -> None:
    """Remove a name from a folder, with everything below it."""
    if is_folder(name, fd):
        import shutil

        shutil.rmtree(name, dir_fd=fd)
    else:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=fd)


# A directory becomes a layer


def scan(upper: Path, lower: Tree, *, rootless: bool | None = None, fuse: bool = False) -> Changeset:
    """What a container changed: its upper directory as a canonical layer over `lower`.

    Without root every file belongs to the user; what was there before keeps its owner, all else is root's. What was
    made only as a place to mount something on is left out, and so are sockets, as in Docker. As there, a file with
    several names in the image comes apart from the others when it is written to: the kernel copies up one name.
    `fuse`: it is fuse-overlayfs's, which has signs of its own, and loses the time of a folder that it copies up.
    """
    entries, opaque = _seen(str(upper), lower, rootless, fuse)
    if "/" in entries:
        entries["/"] = replace(entries["/"], mtime=lower["/"].mtime)
    if fuse:
        entries = _as_before(entries, lower)
    return settle(lower, Changeset(entries, opaque))


def compare(folder: Path, lower: Tree, *, rootless: bool | None = None) -> Changeset:
    """What a container changed whose folder began as a copy of all that is in `lower`."""
    entries, _ = _seen(str(folder), lower, rootless)
    if os.geteuid() != 0 if rootless is None else rootless:
        for path, entry in entries.items():  # nor can their capabilities be kept
            if entry.kind == "file" and path in lower and not entry.xattrs:
                entries[path] = replace(entry, xattrs=lower[path].xattrs)
    entries["/"] = replace(entries["/"], mtime=lower["/"].mtime)
    devices = {path: entry for path, entry in lower.items() if entry.kind in ("char", "block") and path not in entries}
    kept = {path: entry for path, entry in devices.items() if next(parents(path)) in entries}  # `unpack` makes none
    return diff(lower, Tree(entries | kept))


def listing(folder: str, *, rootless: bool | None = None) -> Tree:
    """All that is in a folder, with the owners that it has inside."""
    return Tree(_seen(folder, Tree(), rootless)[0])


def _seen(root: str, lower: Tree, rootless: bool | None, fuse: bool = False) -> tuple[dict[str, Entry], set[str]]:
    """The entries of an upper directory with the owners that they have inside, and the opaque directories."""
    if not (os.geteuid() if rootless is None else rootless):
        return _read(root, fuse)
    if not mapped.ranges():
        entries, opaque = _read(root, fuse)
        return {path: _owned(entry, lower.get(path)) for path, entry in entries.items()}, opaque
    try:
        entries, opaque = _read(root, fuse)
    except PermissionError:
        found: tuple[dict[str, Entry], set[str]] = mapped.call(_read, root, fuse)
        return found
    ids = {path: (mapped.inside(0, entry.uid), mapped.inside(1, entry.gid)) for path, entry in entries.items()}
    return {path: replace(entry, uid=ids[path][0], gid=ids[path][1]) for path, entry in entries.items()}, opaque


def _as_before(entries: dict[str, Entry], lower: Tree) -> dict[str, Entry]:
    """The same, but folders to which no name was added, and from which none went, have the time that they had."""
    touched = {next(parents(path)) for path, entry in entries.items() if path not in lower or entry == WHITEOUT}
    same = {path: lower[path] for path, entry in entries.items() if entry.is_dir and path in lower}
    times = {path: before.mtime for path, before in same.items() if before.is_dir and path not in touched}
    return entries | {path: replace(entries[path], mtime=mtime) for path, mtime in times.items()}


def _owned(entry: Entry, before: Entry | None) -> Entry:
    same = before is not None and before.kind == entry.kind
    return replace(entry, uid=before.uid if same and before else 0, gid=before.gid if same and before else 0)


def _read(root: str, fuse: bool = False) -> tuple[dict[str, Entry], set[str]]:
    """The raw entries of an upper directory, and the opaque directories among them.

    For fuse-overlayfs, `.wh.NAME` hides NAME, and `.wh..wh..opq` makes the folder opaque that it lies in.
    """
    entries: dict[str, Entry] = {}
    opaque: set[str] = set()
    places: set[str] = set()
    files: dict[tuple[int, int], list[str]] = {}
    todo = ["/"]
    while todo:
        folder = todo.pop()
        try:
            fd = open_folder(root, folder)
        except (FileNotFoundError, NotADirectoryError):
            if folder == "/":
                raise
            continue  # whoever runs there has just deleted it
        try:
            attributes = _xattrs(f"/proc/self/fd/{fd}/.")
            entries[folder] = _entry(root, folder, os.fstat(fd), attributes, "")
            if attributes.keys() & OPAQUES:
                opaque.add(folder)
            if PLACEHOLDER in attributes:
                places.add(folder)
            for name, info in _list(fd):
                path = prefix(folder) + name
                there = f"/proc/self/fd/{fd}/{name}"
                if fuse and name.startswith(HIDES):
                    if name in OPAQUE_FILES:
                        opaque.add(folder)
                    else:
                        entries.setdefault(prefix(folder) + name.removeprefix(HIDES), WHITEOUT)
                elif stat.S_ISDIR(info.st_mode):
                    todo.append(path)
                elif stat.S_IFMT(info.st_mode) in KINDS:
                    attributes = _xattrs(there) if stat.S_ISREG(info.st_mode) else {}
                    try:
                        target = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(info.st_mode) else ""
                    except OSError:  # gone meanwhile, or no link any more
                        continue
                    if PLACEHOLDER in attributes and not info.st_size:
                        continue
                    entries[path] = _entry(root, path, info, attributes, target)
                    if info.st_nlink > 1 and entries[path].kind == "file":
                        files.setdefault((info.st_dev, info.st_ino), []).append(path)
        finally:
            os.close(fd)
    for paths in files.values():
        for path in paths if len(paths) > 1 else ():
            entries[path] = replace(entries[path], link=min(paths))
    used = {up for path in entries.keys() - places for up in parents(path)}
    return {path: entry for path, entry in entries.items() if path not in places or path in used}, opaque


def _list(fd: int) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(fd) as found:
        for entry in found:
            with suppress(FileNotFoundError):  # gone meanwhile
                yield entry.name, entry.stat(follow_symlinks=False)


def _entry(root: str, path: str, info: os.stat_result, xattrs: dict[str, bytes], target: str) -> Entry:
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    if kind == "char" and info.st_rdev == 0:
        return WHITEOUT
    carried = tuple(sorted((k, v) for k, v in xattrs.items() if k.startswith(CARRIED) and not k.startswith(PRIVATE)))
    return Entry(
        kind,
        0o777 if kind == "symlink" else stat.S_IMODE(info.st_mode),
        info.st_uid,
        info.st_gid,
        info.st_mtime_ns // 10**9,
        data=InTree(root, path, info.st_size) if kind == "file" else Bytes(),
        target=target,
        device=(os.major(info.st_rdev), os.minor(info.st_rdev)) if kind in ("char", "block") else (0, 0),
        xattrs=carried,
    )


def _xattrs(path: str) -> dict[str, bytes]:
    try:
        found = os.listxattr(path, follow_symlinks=False)
        return {key: os.getxattr(path, key, follow_symlinks=False) for key in found}
    except OSError:
        return {}  # a file system without them, or a file that has gone


# The end
