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
from minidocker.tree import Entry, Tree, clean, directory, parents, prefix

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


def seen(container: Container, path: str = "") -> Tree:
    """What is in a container, with what is in its volumes; in folders of the host, where a path leads there."""
    volumes = _volumes(container, path)
    if not volumes:
        return container.tree()
    entries = container.tree().entries()
    for volume in sorted(volumes, key=lambda mount: mount.target.count("/")):
        inside = container.runtime.listing(volume)
        top, place = inside.resolve(volume.inside), place_of(Tree.trusted(entries), volume.target)
        for hidden in Tree.trusted(entries).below(place):
            del entries[hidden]
        for path in (top, *inside.below(top)):
            link = f"{place}/{inside[path].link}" if inside[path].link else ""
            entries[clean(prefix(place) + path[len(prefix(top)) :])] = replace(inside[path], link=link)
    return Tree(entries)


def _volumes(container: Container, path: str) -> list[Bind]:
    binds = (mount for mount in container.mounts() if isinstance(mount, Bind))
    return [mount for mount in binds if mount.owned or (_covers(mount, clean(path)) and Path(mount.source).is_dir())]


def _covers(mount: Mount, path: str) -> bool:
    return prefix(path).startswith(prefix(mount.target))


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
    mounted = any(_covers(mount, there) for mount in _volumes(container, path))
    if container.config["HostConfig"]["ReadonlyRootfs"] and not mounted:
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
    _outside_binds(container, path)
    if any(mount.read_only and _covers(mount, path) for mount in _volumes(container, path)):
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
    _outside_binds(container, there)
    return there


def _outside_binds(container: Container, path: str) -> None:
    volumes = _volumes(container, path)
    for mount in container.mounts():
        if _covers(mount, path) and mount not in volumes:
            if isinstance(mount, Bind):
                raise Unsupported(f"{path} is the bind mount of {mount.source}: copy it there, on the host")
            raise Unsupported(f"{path} lies in the tmpfs {mount.target}: only the container's own processes see it")
