"""Mounting inside a container, without ever following a link out of it.

Paths resolve through `linux.open_inside` only. Where nothing is that a mount could lie on, a placeholder is made, which
must not show in the container's changes.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from contextlib import suppress

from minidocker.runtime import linux
from minidocker.runtime.messages import Refusal, reason

PLACEHOLDER = "user.minidocker.mountpoint"  # marks what is there only for something to be mounted on


def exists(root: int, path: str) -> bool:
    """Whether something is at a path inside."""
    try:
        os.close(linux.open_inside(root, path, os.O_PATH))
    except OSError:
        return False
    return True


def target_for(root: int, source: str, path: str, is_dir: bool) -> int:
    """`target_of` for a mount that a person asked for. Raises Refusal where a directory would lie on a file."""
    what = f"error mounting {source!r} to rootfs at {path!r}"
    try:
        target = target_of(root, path, is_dir)
    except OSError as error:
        raise Refusal(f"{what}: {reason(error)}", 127) from None
    if stat.S_ISDIR(os.fstat(target).st_mode) != is_dir:
        text = "Are you trying to mount a directory onto a file (or vice-versa)? "
        text += "Check if the specified host path exists and is the expected type"
        raise Refusal(f"{what}: not a directory: {text}")
    return target


def bind(
    source: int | str, target: int, read_only: bool = False, flags: int = 0, recursive: bool = True, deep: bool = True
) -> None:
    """Bind-mount a descriptor or a path of the host's, with all that is mounted below it, on a descriptor.

    Without `deep` what is below may be written to all the same. Raises Refusal where not to be `recursive` would show
    what a mount hides: that takes a container without a user namespace of its own.
    """
    try:
        where = (source, "") if isinstance(source, int) else (linux.AT_FDCWD, source)
        tree = linux.open_tree(*where, recursive=recursive)
    except OSError as error:
        if recursive or error.errno != errno.EINVAL:
            raise
        why = "would show what the mounts below the folder hide: only a container with --privileged can do that"
        raise Refusal(f"bind-recursive=disabled {why}") from None
    if flags := flags | (linux.MS_RDONLY if read_only and deep else 0):
        linux.set_attributes(tree, flags)
    if read_only and not deep:
        linux.set_read_only(tree, recursive=False)
    linux.move_mount(tree, target)


def mount_on(root: int, path: str, fstype: str, flags: int, options: str = "") -> None:
    """Mount a new file system on a directory inside."""
    os.fchdir(target_of(root, path))
    linux.mount(fstype, ".", fstype, flags, options)


def target_of(root: int, path: str, is_dir: bool = True) -> int:
    """Open, or make, what something is to be mounted on. Raises Refusal where that is the root, by whatever name."""
    target = place(root, path, is_dir)
    if os.path.samestat(os.fstat(target), os.fstat(root)):
        raise Refusal(f"invalid mount config: invalid specification: destination can't be '/': {path}")
    return target


def place(root: int, path: str, is_dir: bool = True) -> int:
    """Open what is at `path` for something to be mounted on it.

    Where nothing is, an empty placeholder is made. It must not show in the container's changes, so it is marked, and
    its parent's time is put back.
    """
    with suppress(FileNotFoundError):
        return linux.open_inside(root, path, os.O_PATH)
    above, name = posixpath.split(path.rstrip("/"))
    if above != "/":
        place(root, above)
    parent = linux.open_inside(root, above, os.O_RDONLY | os.O_DIRECTORY)
    before = os.fstat(parent)
    if is_dir:
        os.mkdir(name, 0o755, dir_fd=parent)
    else:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o755, dir_fd=parent))
    made = linux.open_inside(root, path, os.O_RDONLY)
    with suppress(OSError):
        os.setxattr(made, PLACEHOLDER, b"")
    os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    return made


def make_directories(root: int, path: str) -> None:
    """Make the working directory where the image has none, as Docker does."""
    try:
        os.close(linux.open_inside(root, path, os.O_PATH | os.O_DIRECTORY))
    except FileNotFoundError:
        above, name = posixpath.split(path.rstrip("/"))
        make_directories(root, above)
        parent = linux.open_inside(root, above, os.O_PATH | os.O_DIRECTORY)
        os.mkdir(name, 0o755, dir_fd=parent)
    except NotADirectoryError:
        raise Refusal(f"Cannot mkdir: {path} is not a directory") from None
