"""Trees deleted, whatever containers made of them. It imports next to nothing, for the monitors' sake."""

# ruff: noqa: PTH106, PTH208
from __future__ import annotations

import itertools
import os
import stat

FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def discard(directory: str | os.PathLike[str]) -> None:
    """Delete a tree, however deep it is and whatever its modes say; nothing happens where there is none.

    What belongs to other users of a container's goes too, where these are ours (`mapped`).
    """
    try:
        _discard(directory)
    except PermissionError:
        from minidocker.runtime import mapped

        if not mapped.ranges():
            raise
        mapped.call(_discard, os.fspath(directory))


def _discard(directory: str | os.PathLike[str]) -> None:
    """Each folder's folders are moved up to the top before it is removed: no depth can exhaust descriptors or stack."""
    try:
        top = os.open(directory, FOLDER)
    except FileNotFoundError:
        return
    fresh = (f"{os.urandom(8).hex()}.{count}" for count in itertools.count())
    try:
        os.fchmod(top, 0o700)
        todo = os.listdir(top)
        while todo:
            name = todo.pop()
            if removed(name, top):
                continue
            fd = _open_own(name, top)
            for below in os.listdir(fd):
                if not removed(below, fd):
                    os.close(_open_own(below, fd))  # a folder that moves is written to: its `..` changes
                    todo.append(next(fresh))
                    os.rename(below, todo[-1], src_dir_fd=fd, dst_dir_fd=top)
            os.close(fd)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(directory)


def _open_own(name: str, above: int) -> int:
    """Open a folder that is ours, and may not be readable or writable yet."""
    try:
        fd = os.open(name, FOLDER, dir_fd=above)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=above)
        fd = os.open(name, FOLDER, dir_fd=above)
    os.fchmod(fd, 0o700)
    return fd


def removed(name: str, above: int) -> bool:
    """Remove what is in a folder; False where that is a folder which has something in it itself."""
    try:
        os.unlink(name, dir_fd=above)
    except OSError:  # Linux and POSIX disagree about its number
        if not is_folder(name, above):
            raise
        try:
            os.rmdir(name, dir_fd=above)
        except OSError:
            return False
    return True


def is_folder(name: str, fd: int) -> bool:
    """Whether a name in a folder is a directory, and no link to one."""
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
