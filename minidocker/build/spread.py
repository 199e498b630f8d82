"""A tree of files, written into a folder of this machine: what `-o type=local` does.

As with buildx, the files belong to whoever builds (a tar keeps their owners), and have the modes and times of the tree.
A folder that is not there appears as a whole. Into one that is there, what was written beside goes name by name; what
else is in it stays, and where a file stands in a folder's way, or a link, nothing is written at all.

    >>> import tempfile; from minidocker.tree import file
    >>> folder = Path(tempfile.mkdtemp())
    >>> spread(Tree({"/d/f": file(b"hi", 0o600)}), folder / "out"); (folder / "out/d/f").read_bytes()
    b'hi'
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from minidocker.content import temp_path
from minidocker.errors import InvalidArgument
from minidocker.tree import Entry, Tree, parents

__all__ = ["Tree", "spread"]


def spread(tree: Mapping[str, Entry], folder: Path) -> None:
    """Write a tree into a folder. Raises InvalidArgument, naming what stands in the way or cannot be made here."""
    there = folder.exists()
    half = (folder / ".minidocker.half" if there else folder).absolute()
    half = temp_path(half)
    try:
        half.mkdir(mode=0o755, parents=True)
        _fill(tree, half)
        if there:
            _merge(tree, half, folder)
        else:
            _finish(tree, half)
            half.chmod(0o755)
            half.rename(folder)
    except OSError as error:
        raise InvalidArgument(f"cannot write to {folder}: {(error.strerror or str(error)).lower()}") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _fill(tree: Mapping[str, Entry], half: Path) -> None:
    """Everything but what is said of directories, as they have to be writable while something is put in."""
    for path in sorted(tree):
        entry = tree[path]
        if os.name == "nt" and re.search(r'[\\:*?"<>|]', path):
            raise InvalidArgument(f"Windows has no file named {path}: use type=tar")
        if path == "/":
            continue
        if entry.link not in ("", path):
            os.link(half / entry.link[1:], half / path[1:])
            continue
        try:
            _make(entry, half / path[1:])
        except (OSError, AttributeError, NotImplementedError) as error:
            if entry.kind in ("file", "dir"):
                raise
            why = getattr(error, "strerror", "") or "this system has none"
            raise InvalidArgument(f"cannot make the {entry.kind} {path}: {why.lower()}. Use type=tar") from error


def _make(entry: Entry, there: Path) -> None:
    kinds: dict[str, Callable[[Path], object]] = {
        "dir": os.mkdir,
        "symlink": partial(os.symlink, entry.target),
        "fifo": lambda path: os.mkfifo(path),
        "char": lambda path: os.mknod(path, 0o020000, os.makedev(*entry.device)),
        "block": lambda path: os.mknod(path, 0o060000, os.makedev(*entry.device)),
    }
    if entry.kind == "file":
        with there.open("xb") as out:
            out.writelines(entry.data.chunks())
    else:
        kinds[entry.kind](there)
    if entry.kind not in ("dir", "symlink"):
        there.chmod(entry.mode)
    if entry.kind != "dir" and (entry.kind != "symlink" or os.utime in os.supports_follow_symlinks):
        os.utime(there, (entry.mtime, entry.mtime), follow_symlinks=entry.kind != "symlink")


def _finish(tree: Mapping[str, Entry], root: Path) -> None:
    """Modes and times of directories, the deepest first."""
    for path in sorted(tree, reverse=True):
        if tree[path].is_dir and path != "/":
            (root / path[1:]).chmod(tree[path].mode)
            os.utime(root / path[1:], (tree[path].mtime, tree[path].mtime))


def _merge(tree: Mapping[str, Entry], half: Path, folder: Path) -> None:
    """Move what was written into a folder that is there."""
    old = {path for path in tree if path != "/" and os.path.lexists(folder / path[1:])}
    for path in sorted(old):
        there = folder / path[1:]
        is_folder = there.is_dir() and not there.is_symlink()
        if is_folder != tree[path].is_dir:
            what = "a folder" if is_folder else "no folder"
            raise InvalidArgument(f"cannot write to {folder}: {path[1:]} is there and is {what}: remove it first")
    new: dict[str, Entry] = {}
    for path in sorted(tree):
        if path == "/" or any(up in new for up in parents(path)):
            continue
        if path not in old or not tree[path].is_dir:
            (half / path[1:]).replace(folder / path[1:])
            new[path] = tree[path]
    fresh = {path: one for path, one in tree.items() if path not in old and one.is_dir}
    with contextlib.suppress(FileNotFoundError):
        _finish(fresh, folder)
