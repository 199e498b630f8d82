"""Exercise 02: an image's ID, its manifest, a name that moves, and what is reachable from the names.

In these tasks blobs are bytes, and the index is a list of pairs, name and digest: `[("app:1", "sha256:aa…")]`, with the
name "" for an image that nobody names. The engine's own functions work on descriptors and files; the grafts below
translate between the two, so that it can keep its store with the learner's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker import content, garbage, manifest
from minidocker.content import CONFIG, LAYER, MANIFEST, Store
from minidocker.errors import InvalidArgument
from minidocker.grading.compare import describe
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, counted, operate
from minidocker.grading.show import show_lines, show_text
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.image import Image, Layer
from minidocker.images import Images
from minidocker.manifest import FULL_NAME, REF_NAME, dump
from minidocker.notebook.pictures.svg import Figure
from minidocker.reference import Reference

if TYPE_CHECKING:
    from minidocker.engine import Engine

Pair = tuple[str, str]

# Specifications


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}


def _manifest(config: bytes, layers: Sequence[bytes]) -> dict[str, Any]:
    kinds = [LAYER + "+gzip" * layer.startswith(b"\x1f\x8b") for layer in layers]
    described = [_descriptor(kind, layer) for kind, layer in zip(kinds, layers, strict=True)]
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": _descriptor(CONFIG, config), "layers": described}


def show_manifest(title: str, value: Any, _arguments: tuple[Any, ...]) -> Figure:
    """A manifest as JSON, one field a line."""
    return show_text(title, json.dumps(value, indent=1, default=describe).splitlines())


COMPACT, SPACED = b'{"architecture":"amd64","os":"linux"}', b'{ "architecture": "amd64", "os": "linux" }'
TAR, GZIP = b"hello.sh" + bytes(12), b"\x1f\x8b\x08 packed"
WHOLE = "The config's and the layers' descriptors have the same three keys: mediaType, digest and size."

IMAGE_ID = Task(
    "2.1",
    "image_id",
    ("config",),
    "The name of an image that no registry and no tag can change",
    (
        Case("the digest of a config", (COMPACT,), _digest(COMPACT), "`sha256:`, and the hex digest of the bytes."),
        Case(
            "the same settings, with blanks between them",
            (SPACED,),
            _digest(SPACED),
            "Another tool writes its JSON in another way. Hash the bytes as they are: do not read and write them anew.",
        ),
        Case(
            "bytes that are no text", (b"\xff\xfe",), _digest(b"\xff\xfe"), "Bytes are hashed, not text: no decode()."
        ),
    ),
    (
        "An image's ID is the digest of its config.",
        "A digest is `sha256:` and hashlib.sha256(config).hexdigest().",
        'return "sha256:" + … : one line is enough.',
    ),
    content.file_digest,
    show_lines,
    1,
)
MAKE_MANIFEST = Task(
    "2.2",
    "make_manifest",
    ("config", "layers"),
    "These few lines are the image: whoever has them can fetch the rest",
    (
        Case(
            "an image without layers",
            (COMPACT, []),
            _manifest(COMPACT, []),
            "Four keys: schemaVersion (2), mediaType (of a manifest), config (a descriptor), layers (a list of them).",
        ),
        Case("one layer, a plain tar", (COMPACT, [TAR]), _manifest(COMPACT, [TAR]), WHOLE),
        Case(
            "a layer that is packed with gzip",
            (COMPACT, [GZIP]),
            _manifest(COMPACT, [GZIP]),
            r"What begins with the bytes b'\x1f\x8b' is gzip, and its media type ends in +gzip. "
            "Digest and size are those of the packed bytes.",
        ),
        Case(
            "several layers, the lowest first",
            (SPACED, [GZIP, TAR, TAR]),
            _manifest(SPACED, [GZIP, TAR, TAR]),
            "One descriptor for each layer, in the order given; the same layer twice is listed twice.",
        ),
    ),
    (
        "A small function helps: describe(media_type, blob) -> {'mediaType': …, 'digest': …, 'size': len(blob)}.",
        "The config's media type is CONFIG, a layer's LAYER, or LAYER + '+gzip' where blob[:2] == b'\\x1f\\x8b'.",
        "Four keys: 'schemaVersion': 2, 'mediaType': MANIFEST, 'config': describe(CONFIG, config), 'layers': […].",
    ),
    manifest.manifest_of,
    show_manifest,
    2,
)
ONE = [("app:1", "sha256:aa")]
MOVE_TAG = Task(
    "2.3",
    "move_tag",
    ("index", "name", "digest"),
    "This is all that `docker tag` does, and the end of every build and pull",
    (
        Case("the first name", ([], "app:1", "sha256:aa"), ONE, "A new pair at the end: (name, digest)."),
        Case(
            "a name without a tag",
            ([], "app", "sha256:aa"),
            [("app:latest", "sha256:aa")],
            "Where no tag is given, `:latest` is meant.",
        ),
        Case(
            "a registry with a port, and no tag",
            ([], "localhost:5000/app", "sha256:aa"),
            [("localhost:5000/app:latest", "sha256:aa")],
            "That colon belongs to the port: look for one only after the last slash.",
        ),
        Case(
            "one image with two names",
            (ONE, "app:latest", "sha256:aa"),
            [*ONE, ("app:latest", "sha256:aa")],
            "The other name stays.",
        ),
        Case(
            "a name that pointed elsewhere moves",
            (ONE, "app:1", "sha256:bb"),
            [("", "sha256:aa"), ("app:1", "sha256:bb")],
            'The old image keeps its place in the index, with the name "": it is dangling, not gone.',
        ),
        Case(
            "the old image has another name",
            ([*ONE, ("app:old", "sha256:aa")], "app:1", "sha256:bb"),
            [("app:old", "sha256:aa"), ("app:1", "sha256:bb")],
            "A pair without a name says nothing where the same digest has a name: leave it out.",
        ),
        Case(
            "a dangling image gets a name",
            ([("", "sha256:aa"), ("app:2", "sha256:bb")], "app:1", "sha256:aa"),
            [("app:2", "sha256:bb"), ("app:1", "sha256:aa")],
            "Its pair without a name goes: the image is not dangling any more.",
        ),
        Case("the name again", (ONE, "app:1", "sha256:aa"), ONE, "A name stands in the index once."),
    ),
    (
        "First the name: is there a ':' in name.rpartition('/')[2]? If not, add ':latest'.",
        'Then the list: whoever has this name now gets the name ""; the new pair comes to the end.',
        "Last: leave out the pairs without a name whose digest has a name in the same list.",
    ),
    Images.tag,
    show_lines,
    3,
)
INDEX = b'{"manifests":["sha256:a1"]}'
STORE = {
    "sha256:a1": b'{"config":"sha256:a2","layers":["sha256:a3","sha256:a4"]}',
    "sha256:a2": b'{"diff_ids":["sha256:a3","sha256:a4"]}',
    "sha256:a3": b"hello.sh",
    "sha256:a4": b"notes about sha256:b1, which is no reference",
    "sha256:b1": b'{"config":"sha256:b2","layers":["sha256:a3"]}',
    "sha256:b2": b'{"diff_ids":["sha256:a3"]}',
}
FIRST, SECOND = [f"sha256:a{n}" for n in (1, 2, 3, 4)], ["sha256:a3", "sha256:b1", "sha256:b2"]
REACHABLE = Task(
    "2.4",
    "reachable",
    ("roots", "blobs"),
    "What is not in this list, `prune` may delete",
    (
        Case("nothing has a name", ([], STORE), [], "No roots, nothing alive."),
        Case("a blob that leads nowhere", (["sha256:a3"], STORE), ["sha256:a3"], "The roots themselves are alive."),
        Case(
            "an image: manifest, config and layers",
            (["sha256:b1"], STORE),
            sorted(SECOND),
            "Follow mentions(blob) of what is alive, until nothing new comes up.",
        ),
        Case(
            "a layer in which a digest happens to be written",
            (["sha256:a1"], STORE),
            FIRST,
            "A layer is a tar with somebody's files in it; follow only blobs that begin with b'{'.",
        ),
        Case("two images that share a layer", (["sha256:a1", "sha256:b1"], STORE), sorted(STORE), "Each digest once."),
        Case(
            "an index of images",
            (["sha256:c1"], STORE | {"sha256:c1": INDEX}),
            [*FIRST, "sha256:c1"],
            "It may go three levels deep, or more: index, manifest, layers.",
        ),
        Case(
            "a blob that is not here",
            (["sha256:b1", "sha256:ff"], {"sha256:b1": STORE["sha256:b1"]}),
            ["sha256:b1"],
            "What is mentioned but is not in `blobs` cannot be kept: leave it out.",
        ),
        Case(
            "two that mention each other",
            (["sha256:d1"], {"sha256:d1": b'{"x":"sha256:d2"}', "sha256:d2": b'{"x":"sha256:d1"}'}),
            ["sha256:d1", "sha256:d2"],
            "Look at each blob once: one that is in your set already needs no second visit.",
        ),
    ),
    (
        "Two collections: a list of what is still to be looked at (first: the roots), and a set of what is alive.",
        "while todo: take one; if it is in `blobs` and not alive yet, add it, and put what it mentions on the list.",
        "Only `blobs[digest].startswith(b'{')` has mentions to follow. At the end: sorted(alive).",
    ),
    garbage.reachable,
    show_lines,
    3,
)
TASKS = (IMAGE_ID, MAKE_MANIFEST, MOVE_TAG, REACHABLE)

# The transplant

FILES = {"hello.sh": "echo hello\n", "notes.txt": "some notes\n", "other.txt": "other notes\n"}
APP = "FROM scratch\nCOPY hello.sh notes.txt /\nENV GREETING="


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """Build, tag, move a tag and prune, with the reference's functions and with the learner's."""
    return operate(counted(namespace, TASKS), grafts, _live, FILES)


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    from minidocker.notebook.pictures.storegraph import store_graph

    def build(text: str, tag: str) -> Image:
        return engine.images.build(path=str(folder), text=text, tag=tag)[0]

    build(f"{APP}Hello", "app:1")
    app = build(f"{APP}Servus", "app:1")
    app.tag("app")
    build(f"{APP}Hello\nCOPY other.txt /", "other")
    names = ", ".join(
        sorted(f"{name} {digest[7:15]}" for digest, found in engine.images.names().items() for name in found)
    )
    index = ", ".join(f"{name or 'no name'} {digest[7:15]}" for name, digest in _pairs(engine.images))
    engine.images.remove("other")
    engine.images.prune_builds()
    freed = engine.images.prune()["SpaceReclaimed"]
    left = sorted(path.name[:8] for path in (engine.root / "blobs" / "sha256").iterdir())
    facts = {
        "the manifest of app:1": app.manifest_digest,
        "names and image IDs": names,
        "the index before prune": index,
        "bytes that prune freed": str(freed),
        "blobs that are left": ", ".join(left),
    }
    return Outcome(facts, store_graph(engine, title))


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    return {
        Images._id: _id(organs["image_id"]),
        Images.create: _create(organs["make_manifest"]),
        Images.tag: _tag(organs["move_tag"]),
        garbage.reachable: _reachable(organs["reachable"]),
    }


def _id(image_id: Callable[[bytes], str]) -> Callable[[Images, str], str]:
    """`Images._id`: the image ID of a manifest, by the learner's `image_id`."""

    def found(images: Images, digest: str) -> str:
        config = images.store.read_json(digest)["config"]["digest"]
        return image_id(images.store.read(config))

    return found


def _create(make_manifest: Callable[[bytes, list[bytes]], dict[str, Any]]) -> Callable[..., Image]:
    """`Images.create`, with the learner's manifest; its keys are put in the engine's order."""

    def create(images: Images, config: Mapping[str, Any], layers: Sequence[Layer], _notes: Any = None) -> Image:
        raw = {"architecture": manifest.architecture(), "os": "linux", **config}
        raw["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
        blob = images.store.put(dump(raw), CONFIG)
        tars = [images.store.path(layer.descriptor.digest).read_bytes() for layer in layers]
        return images.add_manifest(dump(_ordered(make_manifest(images.store.read(blob.digest), tars))))

    return create


def _ordered(made: dict[str, Any]) -> dict[str, Any]:
    """A manifest with its keys in the order of the specification, which is the engine's."""
    order = ("schemaVersion", "mediaType", "config", "layers", "digest", "size")

    def sort(value: Any) -> Any:
        if type(value) is list:
            return [sort(item) for item in value]
        if type(value) is not dict:
            return value
        return {key: sort(value[key]) for key in sorted(value, key=lambda key: order.index(key) if key in order else 9)}

    if type(made) is not dict:
        raise InvalidArgument("make_manifest must return a dict")
    return dict(sort(made))


def _tag(move_tag: Callable[[list[Pair], str, str], list[Pair]]) -> Callable[[Images, Image, str], None]:
    """`Images.tag`, by the learner's `move_tag`; the rest of each entry is filled in here."""

    def tag(images: Images, image: Image, name: str) -> None:
        with images.store.lock():
            moved = move_tag(_pairs(images), name, image.manifest_digest)
            images._write([_entry(images.store, *pair) for pair in moved])

    return tag


def _pairs(images: Images) -> list[Pair]:
    """`index.json` as names and digests."""
    return [(str((entry.get("annotations") or {}).get(REF_NAME, "")), entry["digest"]) for entry in images._entries()]


def _entry(store: Store, name: str, digest: str) -> dict[str, Any]:
    """A pair as it stands in `index.json`."""
    entry = content.Descriptor(MANIFEST, digest, store.path(digest).stat().st_size)
    if name:
        entry.annotations.update({REF_NAME: name, FULL_NAME: Reference.parse(name).full})
    return entry.to_json()


def _reachable(reachable: Callable[[list[str], dict[str, bytes]], list[str]]) -> Callable[..., set[str]]:
    """`garbage.reachable`, by the learner's; what is unpacked of a live image stays too."""

    def live(store: Store, *kinds: str) -> set[str]:
        notes = [note for kind in kinds or garbage.ROOTS for note in store.root.glob(garbage.ROOTS[kind])]
        roots = sorted({f"sha256:{name}" for note in notes for name in garbage._mentions(note)})
        blobs = {f"sha256:{path.name}": path.read_bytes() for path in (store.root / "blobs" / "sha256").iterdir()}
        return {digest.partition(":")[2] for digest in reachable(roots, blobs)}

    return live
