"""What is mounted into a container, as sources of a ray: each a patch over the stack, which hides all that is below it.

A volume or a folder of the host is a changeset that is opaque where it lies; whatever lies deeper is on top.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minidocker.container.cp import place_of
from minidocker.errors import Unsupported
from minidocker.layer import Changeset, directory, merge
from minidocker.notebook.pictures.sources import Source, Sources, sources
from minidocker.runtime import Bind, Mount
from minidocker.tree import Tree, clean, file, prefix
from minidocker.volume.volume import ANONYMOUS

if TYPE_CHECKING:
    from minidocker.container import Container


def patched(thing: Any) -> Sources:
    """The sources of a thing, and of a container what is mounted into it, too. Raises InvalidArgument."""
    found = sources(thing)
    if not (hasattr(thing, "mounts") and (mounts := thing.mounts())):
        return found
    patches: list[Source] = []
    for mount in sorted(mounts, key=lambda mount: clean(mount.target).count("/")):
        patches.append(_patch(thing, mount, place_of(found.tree, mount.target)))
    tree = found.tree
    return Sources((*found.each, *patches), lambda: merge(tree, *(patch.changes for patch in patches)))


def covers(source: Source, path: str) -> bool:
    """Whether a path lies where something is mounted."""
    return bool(source.place) and prefix(path).startswith(prefix(source.place))


def check_seen(found: Sources, path: str) -> None:
    """Raise Unsupported for what lies in the memory of a container: nobody outside sees into it."""
    top = next((source for source in reversed(found.each) if covers(source, path)), None)
    if top and top.blind and path != top.place:
        raise Unsupported(f"{path} lies in the tmpfs {top.place}: only the container's own processes see it")


def _patch(container: Container, mount: Mount, place: str) -> Source:
    kind = mount_name(container, mount.target)
    if not isinstance(mount, Bind):
        return Source(f"{kind} on {place}", lambda: Changeset({place: directory()}, {place}), place=place, blind=True)
    return Source(
        f"{kind} on {place}", lambda: Changeset(dict(_content(container, mount, place)), {place}), place=place
    )


def _content(container: Container, mount: Bind, place: str) -> Iterator[tuple[str, Any]]:
    """What is in a volume or a folder of the host, under the paths that it has inside."""
    from pathlib import Path

    source = Path(mount.source)
    if source.is_file():
        yield place, file(source.read_bytes())
        return
    inside = container.runtime.listing(mount) if source.is_dir() else Tree({"/": directory()})
    top = inside.resolve(mount.inside or "/")
    for path in (top, *inside.below(top)):
        entry = inside[path]
        link = f"{place}/{entry.link}" if entry.link else ""
        yield clean(prefix(place) + path[len(prefix(top)) :]), replace(entry, link=link)


def mount_name(container: Container, target: str) -> str:
    """What is mounted at a place, in a word or two: `volume shelf`; never a path of this machine."""
    for point in container.config["Mounts"]:
        if point["Destination"] == target and point["Type"] == "volume":
            volumes = container.containers.volumes
            hidden = ANONYMOUS in (volumes.get(point["Name"]).labels if point["Driver"] == "local" else {})
            return "anonymous volume" if hidden else f"volume {point['Name']}"
        if point["Destination"] == target:
            return "bind mount" if point["Type"] == "bind" else point["Type"]
    return "tmpfs"
