"""Where the folders of a container really are: in its own layer, a volume, on the host, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import DockerException
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.patches import mount_name
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, group, rect, text
from minidocker.runtime import Bind
from minidocker.tree import Tree, prefix

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine

WIDTH, GAP, LINE, MOST = 800, 14, 17, 4  # all in all; between columns; a line of text; file names shown
INSIDE, KEPT = 48, 196  # where the container's box begins, and where what keeps its files stands
HEIGHT = 36 + LINE * MOST  # of a box with files
LAYER = "writable layer"
LOOKS = {LAYER: "md-on md-dash", "bind mount": "md-slab", "tmpfs": "md-box md-dash"}  # else it is a volume


@dataclass(frozen=True)
class Home:
    """A folder of a container, what is seen in it from inside, and what keeps that.

    `inside` is None where no container is there to look, `kept` where what kept it is gone.
    """

    place: str
    kind: str
    inside: tuple[str, ...] | None
    kept: tuple[str, ...] | None
    read_only: bool = False
    volume: str = ""
    folder: str = ""


def homes(container: Container, *places: str) -> Figure:
    """Folders of a container, and where what lies in them is kept. Raises APIError where it does not run."""
    return homes_figure(f"container {container.name}", look(container, places))


def look(container: Container, places: Sequence[str]) -> tuple[Home, ...]:
    """What is in these folders, from inside and from outside."""
    points = {point["Destination"]: point for point in container.config["Mounts"]}
    mounts = {mount.target: mount for mount in container.mounts()}
    seen = _listed(container, places)
    return tuple(_home(container, place, mounts.get(place), points.get(place, {}), seen[place]) for place in places)


def _home(container: Container, place: str, mount: Any, point: Any, inside: tuple[str, ...]) -> Home:
    if mount is None:
        own = container.changes()
        kept = [path for path in own if prefix(path).startswith(prefix(place)) and path != place]
        return Home(place, LAYER, inside, tuple(path[len(prefix(place)) :] for path in kept))
    kind = mount_name(container, place)
    if not isinstance(mount, Bind):
        return Home(place, kind, inside, inside, mount.read_only)
    names = _names(container.runtime.listing(mount)) if mount.owned else _folder(mount.source)
    return Home(place, kind, inside, names, mount.read_only, point.get("Name", ""), mount.source)


def _listed(container: Container, places: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What `ls` says inside."""
    command = "; ".join(f"echo /; ls {place}" for place in places)
    said = container.exec_run(["sh", "-c", command]).output.decode(errors="replace")
    return {place: tuple(part.split()) for place, part in zip(places, said.split("/\n")[1:], strict=True)}


def _names(tree: Tree) -> tuple[str, ...]:
    return tuple(tree.children("/"))


def _folder(path: str) -> tuple[str, ...] | None:
    with suppress(OSError):
        return tuple(sorted(each.name for each in Path(path).iterdir()))
    return None


def without(engine: Engine, home: Home) -> Home:
    """A folder after its container has gone: what is kept of it now."""
    kept = None
    if home.volume:
        with suppress(DockerException):
            volume = engine.volumes.get(home.volume)
            kept = _names(engine.runtime.listing(Bind(volume.mountpoint, "/", owned=True)))
    elif home.kind == "bind mount":
        kept = _folder(home.folder)
    return replace(home, inside=None, kept=kept)


def homes_figure(title: str, found: Sequence[Home], told: Sequence[str] = ()) -> Figure:
    """Draw the folders side by side: the container above, what keeps its files below; then what there is to tell."""
    wide = (WIDTH - GAP * (len(found) - 1)) / max(len(found), 1)
    gone = any(home.inside is None for home in found)
    drawn = [text(0, 16, title, "md-h", width=WIDTH)]
    drawn.append(text(0, 36, "the container is gone" if gone else "seen from inside, by ls", "md-dim", "md-s"))
    drawn.append(text(0, KEPT - 12, "where it is kept", "md-dim", "md-s"))
    drawn += [group(_column(home, wide), number * (wide + GAP), 0) for number, home in enumerate(found)]
    below = KEPT + HEIGHT + 24
    drawn += [text(0, below + 18 * number, line, "md-s", width=WIDTH * 1.1) for number, line in enumerate(told)]
    lines = [*(f"  {line}" for line in map(_said, found)), *(f"  {line}" for line in told)]
    words = ". ".join(line.strip() for line in lines)
    height = below - 12 + 18 * len(told)
    return Figure(title, words, "".join(drawn), WIDTH, height, "\n".join([title, *lines]))


def _column(home: Home, wide: float) -> Iterator[Markup]:
    seen = home.inside is not None
    yield group(_box(home.place, "", home.inside, "md-box" if seen else "md-thin md-dash", wide), 0, INSIDE)
    if seen and home.kept is not None:
        middle = wide / 2
        yield arrow(middle, INSIDE + HEIGHT + 4, middle, KEPT - 4, "" if not home.read_only else "md-dash")
        yield text(middle + 10, KEPT - 14, "read-only" if home.read_only else "", "md-s")
    look = "md-thin md-dash" if home.kept is None else LOOKS.get(home.kind, "md-a")
    also = "and what the image has" if home.kind == LAYER and home.kept is not None else ""
    yield group(_box(home.kind, also, home.kept, look, wide), 0, KEPT)


def _box(name: str, also: str, files: tuple[str, ...] | None, look: str, wide: float) -> Iterator[Markup]:
    yield rect(0, 0, wide, HEIGHT, look)
    yield text(10, 18, name, "md-b", width=(wide - 20) / 1.05)
    if files is None:
        yield text(10, 18 + LINE, "gone", "md-dim")
        return
    shown = list(files) if len(files) <= MOST else [*files[: MOST - 1], f"… {len(files) - MOST + 1} more"]
    for number, line in enumerate(shown or ["nothing"], 1):
        yield text(10, 20 + LINE * number, line, "md-c", "" if shown else "md-dim", width=wide - 20)
    yield text(10, HEIGHT - 10, also if len(shown) < MOST else "", "md-dim", "md-s", width=wide)


def _said(home: Home) -> str:
    inside = "no container" if home.inside is None else _files(home.inside)
    kept = "gone" if home.kept is None else _files(home.kept)
    also = ", read-only" if home.read_only else ""
    return f"{home.place:<8} {inside:<28} -> {home.kind}{also}: {kept}"


def _files(names: Sequence[str]) -> str:
    return " ".join(names[:MOST]) + (f" and {count(len(names) - MOST, 'file')} more" * (len(names) > MOST)) or "nothing"
