"""What is mounted where in a container: the API's `Mounts`, from what was asked for to what a runtime is told.

Of what names one place twice, two mounts of `-v` and `--mount` contradict each other; else `-v` and `--mount` win over
`--volumes-from`, and that over the `VOLUME`s of the image. Once a container is made, `config.json` says which volumes
it has: they cannot be removed before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from minidocker.container.options import mounts
from minidocker.container.options.volumes import Point, bind, cleaned, lender
from minidocker.errors import InvalidArgument, NotFound, Unsupported
from minidocker.layer import Changeset, view
from minidocker.plugin.releasing import release, volumes_of
from minidocker.runtime import Bind, Mount
from minidocker.tree import Tree, prefix
from minidocker.volume.volume import ANONYMOUS

if TYPE_CHECKING:
    from minidocker.container.container import Container
    from minidocker.volume import Volume, Volumes


def asked(config: Mapping[str, Any], host: Mapping[str, Any]) -> list[Point]:
    """What `Binds`, `Mounts` and `Volumes` ask for. Raises InvalidArgument where two name one place."""
    memory = {cleaned(target) for target in host.get("Tmpfs") or {}}
    found: dict[str, Point] = {}
    for point in (bind(text, host["VolumeDriver"]) for text in host["Binds"] or ()):
        _add(found, point, memory)
    for point in map(mounts.point, host.get("Mounts") or ()):
        _add(found, point, ())
    for place in sorted(map(cleaned, config["Volumes"] or ())):
        if place not in found and place not in memory:
            found[place] = bind(place, host["VolumeDriver"]) | {"Mode": ""}
    return [*found.values()]


def _add(found: dict[str, Point], point: Point, taken: Any) -> None:
    if point["Destination"] in found or point["Destination"] in taken:
        raise InvalidArgument(f"Duplicate mount point: {point['Destination']}")
    found[point["Destination"]] = point


def with_borrowed(config: Mapping[str, Any], find: Callable[[str], Container]) -> list[Point]:
    """The mount points of a container, with those of `--volumes-from`. Raises InvalidArgument."""
    borrowed: dict[str, Point] = {}
    for text in config["HostConfig"]["VolumesFrom"] or ():
        whose, writable = lender(text)
        try:
            lent = find(whose).config["Mounts"]
        except NotFound as error:  # to Docker's clients, a create that finds nothing is one of a missing image
            raise InvalidArgument(error.explanation) from None
        for point in lent:
            if point["Type"] != "tmpfs":
                borrowed[point["Destination"]] = point | {"Mode": "", "RW": point["RW"] and writable}
    own = {point["Destination"]: point for point in config["Mounts"]}
    explicit = {place: point for place, point in own.items() if point.get("Name") or point["Type"] != "volume"}
    return [*(own | borrowed | explicit).values()]


# The volumes of a container


@contextmanager
def provided(volumes: Volumes, points: Sequence[Point]) -> Iterator[None]:
    """Make the volumes that are not there yet; nobody can remove one before the container that has them is there.

    Where it is not made after all, what has no name goes again; what has one stays, as with Docker.
    """
    wanted = [point for point in points if point["Type"] == "volume"]
    if not wanted:
        yield
        return
    made = []
    with volumes.locked():
        try:
            for point in wanted:
                if "Driver" in point:  # of another container
                    volumes.get(point["Name"])
                    continue
                volume = _volume(volumes, point)
                made += [point] if volume.anonymous else []
                point |= {"Name": volume.name, "Source": volume.mountpoint, "Driver": volume.driver}
            yield
        except BaseException:
            volumes.remove_anonymous(made)
            raise


def _volume(volumes: Volumes, point: Point) -> Volume:
    spec = point["Spec"]
    name, labels = point["Name"], spec.get("Labels") or {}
    options = spec.get("Options") or {}
    return volumes.create(name, spec["Driver"] or None, options, labels if name else {ANONYMOUS: "", **labels})


def fill(container: Container, volumes: Volumes) -> None:
    """What the image has where a volume will be goes into it, if nothing is in there yet."""
    for point in container.config["Mounts"]:
        if point["Type"] == "volume" and "Spec" in point and not point["Spec"]["NoCopy"]:
            volumes.fill(point, partial(content, container, point["Destination"]), container.runtime)


def mount(container: Container, volumes: Volumes) -> list[Point]:
    """Have its volumes mounted, now that it is to run; the mount points, as they are then. Raises APIError."""
    points = [dict(point) for point in container.config["Mounts"]]
    for point in volumes_of({"Mounts": points}):
        in_memory = volumes.where(point["Name"], "").get("memory") is not None
        alone = in_memory and container.runtime.name != "namespaces"  # others do not give away what they mounted
        others = set(volumes.users().get(point["Name"], [])) - {container.id} if alone else ()
        if busy := [id for id in others if container.containers.lives(id)]:
            words = f"is in memory, and in use by {busy[0]}: this runtime gives it to one running container at a time"
            raise Unsupported(f"error while mounting volume '{point['Name']}': it {words}")
    done: list[Point] = []
    try:
        for point in volumes_of({"Mounts": points}):
            point["Source"] = volumes.mount(point, container.id)
            done.append(point)
    except BaseException:
        release(str(volumes.store.root), container.config | {"Mounts": done})
        raise
    return points


def content(container: Container, place: str) -> Changeset | None:
    """What the image has in a folder, as if that were all; None where there is none."""
    tree = Tree.trusted(dict(view(tuple(layer.changes for layer in container.image.layers))))
    try:
        top = tree.resolve(place)
    except OSError:
        return None
    if top not in tree or not tree[top].is_dir:
        return None
    return Changeset({below[len(prefix(top)) - 1 :] or "/": tree[below] for below in (top, *tree.below(top))})


def boxed(container: Container, volumes: Volumes) -> tuple[Mount, ...]:
    """All that is mounted into it, as a runtime is told."""
    host, points = container.config["HostConfig"], container.config["Mounts"]
    taken = {point["Destination"] for point in points}
    memory = [mounts.tmpfs(place, text) for place, text in (host.get("Tmpfs") or {}).items()]
    return (*(mount for mount in memory if cleaned(mount.target) not in taken), *(_mount(p, volumes) for p in points))


def _mount(point: Point, volumes: Volumes) -> Mount:
    place, read_only = point["Destination"], not point["RW"]
    if point["Type"] == "bind":
        spec = point.get("Spec", {})
        recursive, deep = not spec.get("NonRecursive"), not spec.get("ReadOnlyNonRecursive")
        return Bind(point["Source"], place, read_only, recursive=recursive, deep=deep)
    if point["Type"] == "tmpfs":
        return mounts.tmpfs(place, point["Spec"]["Memory"], read_only)
    where = volumes.where(point["Name"], point["Source"])
    if "memory" in where:
        memory = mounts.tmpfs(place, f"suid,dev,exec,{where['memory']}", read_only)
        return replace(memory, volume=str(volumes.folder / point["Name"]))
    inside = point.get("Spec", {}).get("Subpath") or ""
    return Bind(where["folder"], place, read_only or where.get("read_only", False), inside, owned=where["owned"])
