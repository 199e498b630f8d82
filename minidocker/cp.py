"""`docker cp`: files into and out of a container, as tars, whether it runs or not."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minidocker import layertar
from minidocker.archive import open_plain
from minidocker.errors import APIError, InvalidArgument, NotFound, Unsupported
from minidocker.layer import Changeset, diff
from minidocker.tree import Entry, Tree, clean, prefix

if TYPE_CHECKING:
    from minidocker.container import Container

GO_DIR, GO_SYMLINK = 1 << 31, 1 << 27  # bits of Go's os.FileMode, which Docker's clients read


def get(container: Container, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
    """The tar of a file or folder, its top entry named after it, and its stat as the API's header has it."""
    tree = container.tree()
    there = _find(container, tree, path, follow=path.endswith(("/", "/.")))
    name = posixpath.basename(there) or "/"
    top = "/" if there == "/" else f"/{name}"
    found = {clean(top + path[len(prefix(there)) - 1 :]): tree[path] for path in tree.below(there)}
    entry = tree[there]
    kind = {"dir": GO_DIR, "symlink": GO_SYMLINK}.get(entry.kind, 0)
    stat = {
        "name": name,
        "size": entry.size,
        "mode": entry.mode | kind,
        "mtime": entry.mtime,
        "linkTarget": entry.target,
    }
    return layertar.chunks(Changeset(found | ({top: entry} if top != "/" else {}))), stat


def put(container: Container, path: str, data: Any) -> bool:
    """Unpack a tar into an existing folder. Links on the way are followed inside the container only."""
    tree = container.tree()
    there = _find(container, tree, path, follow=True)
    if not tree[there].is_dir:
        raise InvalidArgument(f"extraction point {path!r} is not a directory")
    if container.attrs["HostConfig"]["ReadonlyRootfs"]:
        raise APIError("container rootfs is marked read-only")
    with open_plain(container.containers.store, data) as plain:
        entries = tree.entries()
        for name, entry in layertar.read(plain.path, lenient=True).items():
            _place(container, Tree.trusted(entries), entries, _inside(Tree.trusted(entries), there, name), entry)
        container.containers.runtime.apply(container.box(), diff(tree, Tree(entries)))
    return True


def _inside(tree: Tree, base: str, name: str) -> str:
    """Where a member goes: its parents may be links in the container."""
    parent, last = posixpath.split(name)
    return prefix(tree.resolve(base + parent)) + last if last else base


def _place(container: Container, tree: Tree, entries: dict[str, Entry], path: str, entry: Entry) -> None:
    _outside_binds(container, path)
    old = tree.get(path)
    if old is not None and old.is_dir != entry.is_dir:
        what, other = ("directory", "non-directory") if old.is_dir else ("non-directory", "directory")
        raise InvalidArgument(f"cannot overwrite {what} {path!r} with {other}")
    entries[path] = replace(entry, link="")


def _find(container: Container, tree: Tree, path: str, follow: bool) -> str:
    try:
        there = tree.resolve(clean(path), follow)
    except OSError:
        there = ""
    if there not in tree:
        raise NotFound(f"Could not find the file {path} in container {container.name}")
    _outside_binds(container, there)
    return there


def _outside_binds(container: Container, path: str) -> None:
    for bind in container.box().binds:
        if prefix(path).startswith(prefix(bind.target)):
            raise Unsupported(f"{path} lies in the bind mount {bind.source}: copy it there, on the host")
