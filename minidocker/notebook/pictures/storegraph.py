"""The store as a graph: names, the manifests that they point to, and every blob once, with its bytes.

What keeps a blob is told apart: a name (or a container), the build cache alone, `index.json` alone (an image without a
name, which `prune` takes), or nothing any more: garbage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from minidocker.content import read_json
from minidocker.explain import instruction
from minidocker.garbage import MAX_NOTE, reachable
from minidocker.image import Image
from minidocker.manifest import REF_NAME
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.repository import about
from minidocker.notebook.pictures.svg import Figure, Markup, Spot, bytes_text, group, lines, rect, text, tip

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.notebook.pictures.repository import Snapshot

Kind = Literal["manifest", "config", "layer", "blob"]
Keeper = Literal["name", "cache", "index", "digest", "nothing"]
Told = Callable[[int], str]
WORDS: dict[Keeper, str] = {
    "name": "",
    "cache": "the build cache has it",
    "index": "prune takes it",
    "digest": "no tag leads here",
    "nothing": "garbage",
}
SUMS: dict[Keeper, str] = {
    "name": "named",
    "cache": "kept by the build cache alone",
    "index": "for prune",
    "digest": "without a tag",
    "nothing": "garbage",
}
NONE, BOX, CACHE = "no name", "container ", "build cache"
ROOT, MANIFEST, BLOB, TELL = (0, 150), (196, 132), (374, 290), 676  # x and width of the columns
WIDTH, TOP, HIGH, STEP = 800, 74, 26, 34
HEADS = ((0, "names"), (196, "manifests"), (374, "layers: each blob once"))


@dataclass(frozen=True)
class Node:
    """One blob: its digest, what it is and says, its bytes, what keeps it, the manifests that point to it."""

    digest: str
    kind: Kind
    words: str
    size: int
    kept: Keeper
    parents: tuple[str, ...] = ()
    label: str = ""  # what it is called by, where that is not its digest

    @property
    def short(self) -> str:
        """Eight digits."""
        return (self.label or self.digest)[7:15]


@dataclass(frozen=True)
class Contents:
    """What the picture shows: names (tags, containers) with the manifest of each, and all blobs."""

    names: tuple[tuple[str, str], ...]
    nodes: tuple[Node, ...]

    def size(self, *kept: Keeper) -> int:
        """Bytes of the blobs that these keep."""
        return sum(node.size for node in self.nodes if node.kept in kept)


def store_graph(engine: Engine, name: str = "store") -> Figure:
    """Draw what an engine's store holds: each blob once, and what keeps it there."""
    return graph_figure(contents(engine), name)


def registry_figure(repositories: Sequence[Snapshot]) -> Figure:
    """Draw what the repositories of a registry hold: tags, images (by their ids, with their configs), layers, once."""
    names = [(f"{one.name}:{tag}", digest) for one in repositories for tag, digest in one.tags.items()]
    tagged = {digest for _, digest in names}
    nodes: dict[str, Node] = {}
    for image in [image for one in repositories for image in one.images]:
        above = (image.digest,)
        kept: Keeper = "name" if image.digest in tagged else "digest"
        nodes[image.digest] = Node(image.digest, "manifest", "", image.size, kept, above, image.id)
        for part in image.parts[1:]:
            parents = (*(nodes[part.digest].parents if part.digest in nodes else ()), image.digest)
            kept = "name" if tagged & set(parents) else "digest"
            nodes[part.digest] = Node(part.digest, "layer", part.words, part.size, kept, parents, part.name)
    return graph_figure(Contents(tuple(sorted(names)), tuple(nodes.values())), "registry", about)


def contents(engine: Engine) -> Contents:
    """Read the store: what `index.json` names, what the manifests list, and whatever else lies there."""
    names, order = _listed(engine)
    known: dict[str, tuple[Kind, str]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for digest in order:
        for blob, what in _blobs(Image(engine.images, digest)).items():
            known.setdefault(blob, what)
            parents[blob] = (*parents.get(blob, ()), digest)
    cached, alive = reachable(engine.store, "cache"), reachable(engine.store)
    named = {digest for _, digest in names}
    for path in sorted((engine.store.root / "blobs" / "sha256").iterdir()):
        known.setdefault(f"sha256:{path.name}", ("layer" if path.name in cached else _kind(path), ""))

    def node(digest: str, kind: Kind, words: str) -> Node:
        name, above = digest.partition(":")[2], parents.get(digest, ())
        rest: Keeper = "cache" if name in cached else "index" if name in alive else "nothing"
        size = engine.store.path(digest).stat().st_size
        return Node(digest, kind, words, size, "name" if named & set(above) else rest, above)

    return Contents(tuple(names), tuple(node(digest, *what) for digest, what in known.items()))


def _listed(engine: Engine) -> tuple[list[tuple[str, str]], list[str]]:
    """The names, of tags and of containers, with their manifests; and all manifests, those without a name last."""
    entries: list[dict[str, Any]] = read_json(engine.store.root / "index.json")["manifests"]
    pairs = [(str((entry.get("annotations") or {}).get(REF_NAME) or ""), entry["digest"]) for entry in entries]
    boxes = [(f"{BOX}{one.name}", one.image.manifest_digest) for one in engine.containers.list(all=True)]
    names = sorted((name, digest) for name, digest in [*pairs, *boxes] if name)
    named = dict.fromkeys(digest for _, digest in names)
    return names, [*named, *sorted({digest for _, digest in pairs} - named.keys())]


def _blobs(image: Image) -> dict[str, tuple[Kind, str]]:
    """The blobs of an image, each with what it is and says."""
    blobs: dict[str, tuple[Kind, str]] = {image.manifest_digest: ("manifest", ""), image.id: ("config", "")}
    for layer in image.layers:
        blobs.setdefault(layer.descriptor.digest, ("layer", instruction(layer.created_by)))
    return blobs


def _kind(path: Path) -> Kind:
    """What a blob is that nothing speaks for: told by what stands in it."""
    with path.open("rb") as stream:
        start = stream.read(MAX_NOTE)
    try:
        value = json.loads(start) if start[:1] == b"{" else {}
    except ValueError:
        value = {}
    return "manifest" if "layers" in value else "config" if "rootfs" in value else "blob"


def graph_figure(found: Contents, name: str = "store", told: Told = bytes_text) -> Figure:
    """Draw the contents of a store; `told` puts sizes into words."""
    roots, spots, height = _places(found)
    boxes = [group(_root(name), *spot) for (name, _), spot in roots.items()]
    boxes += [
        group(_blob(node, MANIFEST[1] if spots[node.digest][0] < BLOB[0] else BLOB[1], told), *spots[node.digest])
        for node in found.nodes
    ]
    images = sum(node.kind == "manifest" and bool(node.parents) for node in found.nodes)
    tags = sum(not name.startswith(BOX) for name, _ in found.names)
    also = "configs and " if any(node.kind == "config" for node in found.nodes) else ""
    blobs = count(len(found.nodes), "blob") if also or not images else count(len(found.nodes) - images, "layer")
    title = f"{name}: {count(tags, 'name')}, {count(images, 'image')}, {blobs}"
    sums = [f"{told(size)} {what}" for kept_by, what in SUMS.items() if (size := found.size(kept_by))]
    said = f"{told(sum(node.size for node in found.nodes))} in all" + (": " + ", ".join(sums) if len(sums) > 1 else "")
    heads = [text(x, TOP - 12, also * (x == BLOB[0]) + words, "md-dim", "md-s") for x, words in HEADS]
    drawn = [
        text(0, 16, title, "md-h"),
        text(0, 34, said, "md-dim", "md-s"),
        *heads,
        *_edges(found, roots, spots),
        *boxes,
    ]
    twin = [f"{title}  ({said})", *_twin(found, told)]
    return Figure(
        title, f"{said}. " + "; ".join(map(str.strip, twin[1:])), "".join(drawn), WIDTH, height, "\n".join(twin)
    )


def _places(found: Contents) -> tuple[dict[tuple[str, str], Spot], dict[str, Spot], float]:
    """Where everything stands: roots by (name, manifest), blobs by digest; and the height of it all."""
    roots: dict[tuple[str, str], Spot] = {}
    spots: dict[str, Spot] = {}
    y = float(TOP)
    for digest in _images(found):
        mine = [name for name, target in found.names if target == digest]
        roots |= {(name, digest): (ROOT[0], y + index * STEP) for index, name in enumerate(mine or [NONE])}
        new = [n.digest for n in found.nodes if digest in n.parents and n.digest not in spots and n.kind != "manifest"]
        spots[digest] = (MANIFEST[0], y)
        spots |= {blob: (BLOB[0], y + index * STEP) for index, blob in enumerate(new)}
        y += STEP * max(len(mine), len(new), 1) + 6
    for node in sorted((node for node in found.nodes if node.digest not in spots), key=lambda node: node.kept):
        if node.kept == "cache":
            roots.setdefault((CACHE, node.digest), (ROOT[0], y))
        spots[node.digest] = (BLOB[0], y)
        y += STEP
    return roots, spots, y


def _images(found: Contents) -> list[str]:
    """The manifests: one without a name stands below the one that it shares most with, if it shares anything."""
    every = [node.digest for node in found.nodes if node.kind == "manifest" and node.parents]
    named = {digest for _, digest in found.names}
    places: dict[str, int] = {}
    for digest in [*every, *every]:  # twice, as it may share with another one without a name
        near = [up for node in found.nodes if digest in node.parents for up in node.parents if up in places]
        if digest in named:
            places[digest] = every.index(digest)
        elif digest not in places and near:
            places[digest] = places[max(near, key=near.count)]
    for digest in every:
        places.setdefault(digest, len(every))
    return sorted(places, key=places.__getitem__)


def _edges(found: Contents, roots: dict[tuple[str, str], Spot], spots: dict[str, Spot]) -> Iterator[Markup]:
    """Arrows from names to manifests, and from those to what they list: one tip for each blob."""
    kept = {node.digest: node.kept for node in found.nodes}
    ends: dict[str, dict[tuple[str, ...], list[Spot]]] = {}  # blob -> look -> where the arrows to it start

    def edge(start: Spot, width: float, source: str, blob: str) -> None:
        look = () if kept[source] == "name" else ("md-dash",)
        ends.setdefault(blob, {}).setdefault(look, []).append((start[0] + width + 3, start[1] + HIGH / 2))

    for (_, digest), spot in roots.items():
        edge(spot, ROOT[1], digest, digest)
    for node in found.nodes:
        for parent in [digest for digest in node.parents if digest != node.digest]:
            edge(spots[parent], MANIFEST[1], parent, node.digest)
    for blob, looks in ends.items():
        end = (spots[blob][0] - 2, spots[blob][1] + HIGH / 2)
        for look, starts in looks.items():
            yield lines(starts, end, *look)
        yield tip((0, end[1]), end)


def _root(name: str) -> list[Markup]:
    loose = name == NONE
    shape = "md-box md-dash" if loose else "md-slab" if name == CACHE else "md-a" if name.startswith(BOX) else "md-m"
    return [
        rect(0, 0, ROOT[1], HIGH, shape, rx=13),
        text(12, 17, name, "md-c", "md-dim" if loose else "", width=ROOT[1] - 18),
    ]


def _blob(node: Node, width: float, told: Told) -> list[Markup]:
    firm = node.kept == "name"
    words = f"{node.kind} {node.short} {node.words}".strip() if width == BLOB[1] else node.short
    return [
        rect(0, 0, width, HIGH, "md-slab" if node.kind == "layer" and firm else "md-box", "" if firm else "md-dash"),
        text(10, 17, words, "md-c", "" if firm else "md-dim", width=width - 66),
        text(width - 8, 17, told(node.size), "md-s", "" if firm else "md-dim", text_anchor="end"),
        text(TELL - BLOB[0], 17, WORDS[node.kept] if width == BLOB[1] else "", "md-s"),
    ]


def _twin(found: Contents, told: Told) -> Iterator[str]:
    nodes = {node.digest: node for node in found.nodes}
    for node in [nodes[digest] for digest in _images(found)]:
        names = ", ".join(name for name, digest in found.names if digest == node.digest) or NONE
        yield f"  {names} -> {_words(node, told)}"
        yield from (f"      -> {_words(n, told)}" for n in found.nodes if node.digest in n.parents and n != node)
    yield from (f"  {_words(node, told)}" for node in found.nodes if not node.parents)


def _words(node: Node, told: Told) -> str:
    why = f"  ({WORDS[node.kept]})" if WORDS[node.kept] else ""
    return f"{node.kind} {node.short} {node.words}".rstrip() + f"  {told(node.size)}{why}"
