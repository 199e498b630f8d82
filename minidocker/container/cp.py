"""`docker cp`: files into and out of a container, as tars, whether it runs or not."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker import layertar
from minidocker.archive import open_plain
from minidocker.build.config import owner
from minidocker.errors import APIError, InvalidArgument, NotFound, Unsupported
from minidocker.layer import Changeset, diff
from minidocker.runtime import Bind, Mount
from minidocker.times import rfc3339
from minidocker.tree import Entry, FileData, Tree, clean, directory, file, parents, prefix

if TYPE_CHECKING:
    from minidocker.container.container import Container

GO_KINDS = {"dir": 1 << 31, "symlink": 1 << 27, "fifo": 1 << 25, "block": 1 << 26, "char": (1 << 26) | (1 << 21)}
GO_BITS = {0o4000: 1 << 23, 0o2000: 1 << 22, 0o1000: 1 << 20}  # setuid, setgid, sticky


def get(container: Container, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
    """The tar of a file or folder, its top entry named after it, and its stat as the API's header has it.

    That of `/etc/.` is `.`, and that of the root `/`: Docker's clients give it another name.
    """
    tree = seen(container, path)
    dot = f"/{path}".endswith("/.")
    there = _find(container, tree, path, follow=dot or path.endswith("/"))
    name = "." if dot else posixpath.basename(there) or "/"
    bare = name in (".", "/")
    top = "/" if bare else f"/{name}"
    found = {clean(top + below[len(prefix(there)) - 1 :]): tree[below] for below in tree.below(there)}
    entry = tree[there]
    data = layertar.chunks(Changeset(found | {top: entry}), top=prefix(name) if bare else "")
    return data, _stat(name, there, entry)


def seen(container: Container, path: str) -> Tree:
    """What is in a container, with what is in its volumes, and in the host's folders that have to do with a path."""
    tree = container.tree()
    mounted = _mounted(container, place_of(tree, clean(path)))
    if not mounted:
        return tree
    entries = tree.entries()
    for volume in sorted(mounted, key=lambda mount: mount.target.count("/")):
        inside = _listing(container, volume)
        top, place = inside.resolve(volume.inside), place_of(Tree.trusted(entries), volume.target)
        for hidden in Tree.trusted(entries).below(place):
            del entries[hidden]
        for path in (top, *inside.below(top)):
            link = f"{place}/{inside[path].link}" if inside[path].link else ""
            entries[clean(prefix(place) + path[len(prefix(top)) :])] = replace(inside[path], link=link)
    return Tree(entries)


def _mounted(container: Container, path: str) -> list[Bind]:
    """Its volumes; and of the host's folders those above a path or below it: any of them may be as large as a disk."""
    there, binds = prefix(path), [mount for mount in container.mounts() if isinstance(mount, Bind)]
    places = [(mount, prefix(mount.target)) for mount in binds]
    return [one for one, place in places if one.owned or place.startswith(there) or there.startswith(place)]


def _above(container: Container, path: str) -> Mount | None:
    """What is mounted nearest above a path."""
    above = [mount for mount in container.mounts() if prefix(path).startswith(prefix(mount.target))]
    return max(above, key=lambda mount: len(mount.target), default=None)


def _listing(container: Container, mount: Bind) -> Tree:
    """What containers see where something is mounted: a folder, or a file."""
    source = Path(mount.source).resolve()
    if mount.owned or source.is_dir():
        return container.runtime.listing(mount)
    info = source.stat()
    meta = {"uid": info.st_uid, "gid": info.st_gid, "mtime": int(info.st_mtime)}
    return Tree.trusted({"/": file(FileData(source, info.st_size), info.st_mode & 0o7777, **meta)})


def place_of(tree: Tree, target: str) -> str:
    """Where a mount point is, through whatever links there are; it need not be there yet."""
    try:
        return tree.resolve(target)
    except OSError:
        return clean(target)


def _stat(name: str, path: str, entry: Entry) -> dict[str, Any]:
    """What Docker's clients read of a file: Go's mode bits, and a link's target as a path in the container."""
    bits = sum(go for unix, go in GO_BITS.items() if entry.mode & unix)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.target)) if entry.target else ""
    return {
        "name": name,
        "size": len(entry.target) if entry.kind == "symlink" else entry.size,
        "mode": entry.mode & 0o777 | bits | GO_KINDS.get(entry.kind, 0),
        "mtime": rfc3339(entry.mtime * 10**9),
        "linkTarget": target,
    }


def put(container: Container, path: str, data: Any, keep_kinds: bool = False, owned: bool = False) -> bool:
    """Unpack a tar into an existing folder. Links on the way are followed inside the container only.

    `owned`: what is unpacked belongs to the container's user.
    """
    tree = seen(container, path)
    there, user = _find(container, tree, path, follow=True), container.config["Config"].get("User")
    if not tree[there].is_dir:
        raise InvalidArgument("extraction point is not a directory")
    if container.config["HostConfig"]["ReadonlyRootfs"] and not _above(container, there):
        raise APIError("container rootfs is marked read-only")
    ids = owner(tree, user, "--user") if owned and user else None
    with open_plain(container.containers.store, data) as plain:
        entries = tree.entries()
        for name, entry in _complete(layertar.read(plain.path, lenient=True)):
            at = _inside(Tree.trusted(entries), there, name)
            if entry is not None:
                if keep_kinds and (old := entries.get(at)) is not None and old.is_dir != entry.is_dir:
                    kinds = ("directory", "non-directory") if old.is_dir else ("non-directory", "directory")
                    raise InvalidArgument(f"cannot overwrite {kinds[0]} {at!r} with {kinds[1]} {name!r}")
                _place(
                    container,
                    Tree.trusted(entries),
                    entries,
                    at,
                    replace(entry, uid=ids[0], gid=ids[1]) if ids else entry,
                )
            elif at not in entries:
                entries[at] = directory()
        container.runtime.apply(container.box(), diff(tree, Tree(entries)))
    return True


def _complete(members: Changeset) -> Iterator[tuple[str, Entry | None]]:
    """The members of a tar, and None for the folders that it does not mention."""
    missing = {up: None for name in members for up in parents(name) if up not in members}
    every: dict[str, Entry | None] = {**missing, **members}
    return ((name, every[name]) for name in sorted(every))


def _inside(tree: Tree, base: str, name: str) -> str:
    """Where a member goes: its parents may be links in the container."""
    parent, last = posixpath.split(name)
    return prefix(tree.resolve(base + parent)) + last if last else base


def _place(container: Container, tree: Tree, entries: dict[str, Entry], path: str, entry: Entry) -> None:
    _not_in_memory(container, path)
    if getattr(_above(container, path), "read_only", False):
        raise APIError("mounted volume is marked read-only")
    if not entry.is_dir and (old := tree.get(path)) is not None and old.is_dir:
        for below in tree.below(path):
            del entries[below]
    entries[path] = replace(entry, link="")


def _find(container: Container, tree: Tree, path: str, follow: bool) -> str:
    try:
        there = tree.resolve(clean(path), follow)
    except OSError:
        there = ""
    if there in tree and path.endswith(("/", "/.")) and not tree[there].is_dir:
        raise InvalidArgument(f"{path}: not a directory")
    if there not in tree:
        raise NotFound(f"Could not find the file {path} in container {container.name}")
    _not_in_memory(container, there)
    return there


def _not_in_memory(container: Container, path: str) -> None:
    mount = _above(container, path)
    if mount and not isinstance(mount, Bind):
        raise Unsupported(f"{path} lies in the tmpfs {mount.target}: only the container's own processes see it")
