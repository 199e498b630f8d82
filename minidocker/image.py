"""An image: a manifest that names a configuration and a stack of layers. A tag is a movable name for it.

The image id is the digest of the configuration, which lists the diff ids of the layers: so an image can never change.
`index.json` maps names to manifests, under the annotation `org.opencontainers.image.ref.name` that other tools read:
`skopeo inspect oci:ROOT:app:latest`.

    >>> import tempfile; images = Images(Store(Path(tempfile.mkdtemp())))
    >>> layer = images.add_layer(Changeset({"/etc/motd": file(b"hi")}))
    >>> image = images.create({"config": {"Cmd": ["cat", "/etc/motd"]}}, [layer])
    >>> images.tag(image, "app:1"); images.get("app:1").tags
    ['app:1']
    >>> image.tree()["/etc/motd"].data.read()
    b'hi'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any

from minidocker.content import CONFIG, LAYER, MANIFEST, Descriptor, Store, check_digest, read_json, write_json
from minidocker.errors import Conflict, ImageNotFound, InvalidArgument
from minidocker.garbage import collect, disk_usage
from minidocker.layer import Changeset, chain_ids, view
from minidocker.reference import Reference
from minidocker.times import unix_time
from minidocker.tree import Tree, file, parents

__all__ = ["Image", "Images", "Layer", "file"]

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
LAYER_TYPE = re.compile(
    r"application/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?"
    r"|docker\.image\.rootfs\.(diff|foreign\.diff)\.tar(\.gzip)?)"
)
SHAPES: dict[type, str] = {
    str: "architecture os created author created_by comment User WorkingDir StopSignal",
    list: "Env Cmd Entrypoint OnBuild Shell",
    dict: "Labels ExposedPorts Volumes Healthcheck",
    bool: "empty_layer",
}
MAX_LAYERS = 127  # as Docker's overlay2


class Layer:
    """One layer of an image in the store: its blob, what it changes, and the instruction that made it.

    `size` is Docker's: bytes of file content. `below` are the layers that it lies on, bottom first.
    """

    def __init__(self, store: Store, descriptor: Descriptor, diff_id: str, created_by: str = "") -> None:
        self.store, self.descriptor, self.diff_id, self.created_by = store, descriptor, diff_id, created_by
        self.below: tuple[Layer, ...] = ()

    @property
    def changes(self) -> Changeset:
        """The layer as a value. Raises CorruptBlob, LayerError."""
        return self.store.layer(self.descriptor, self.diff_id)

    @property
    def size(self) -> int:
        """Bytes of file content in it."""
        return self.store.layer_size(self.descriptor, self.diff_id)

    def path(self) -> Path:
        """The layer unpacked as a lower directory for the kernel's overlay; made on first use (Linux)."""
        from minidocker.runtime.overlay import unpack

        changes, name = self.changes, self.diff_id
        listed = {*changes.opaque, *(up for path in changes for up in parents(path))}
        if self.below and (implied := listed - changes.keys() - {"/"}):
            # Directories that the tar leaves out are as in the layers below, so the folder belongs to the stack.
            lower = view(tuple(layer.changes for layer in self.below))
            changes = Changeset({**changes, **{up: lower[up] for up in implied if up in lower}}, changes.opaque)
            name = chain_ids([layer.diff_id for layer in (*self.below, self)])[-1]
        target = self.store.root / "layers" / name.partition(":")[2]
        if not target.exists():
            with self.store.lock():
                if not target.exists():
                    unpack(changes, target)
        return target

    def __repr__(self) -> str:
        return f"<Layer: {self.diff_id[:19]} {self.created_by!r}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from minidocker.notebook import mimebundle

        return mimebundle(self)

    def __str__(self) -> str:
        from minidocker.notebook import text

        return text(self)


class Image:
    """An image in the store. Attributes and methods are those of Docker's SDK, plus `layers`, `tree()`, `blame()`.

    Reading it raises CorruptBlob or InvalidArgument where its manifest or configuration is not what it should be.
    """

    def __init__(self, images: Images, manifest: str) -> None:
        self.images, self.store, self.manifest_digest = images, images.store, manifest
        self.manifest = check_manifest(self.store.read_json(manifest))
        self.id: str = self.manifest["config"]["digest"]
        self.raw = check_config(self.store.read_json(self.id), len(self.manifest["layers"]))

    @property
    def short_id(self) -> str:
        """The first twelve hex digits of the id, with its algorithm."""
        return self.id[:19]

    @property
    def config(self) -> dict[str, Any]:
        """What a container starts with: `Cmd`, `Env`, `WorkingDir`…"""
        return self.raw.get("config") or {}

    @property
    def diff_ids(self) -> list[str]:
        """The digests of the layers' tars, bottom first."""
        return list(self.raw["rootfs"]["diff_ids"])

    @property
    def tags(self) -> list[str]:
        """The names that point here now."""
        return self.images.names().get(self.id, [])

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the Dockerfile set."""
        return self.config.get("Labels") or {}

    @property
    def size(self) -> int:
        """Bytes of file content in all layers."""
        return sum(layer.size for layer in self.layers)

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers, bottom first, each knowing the instruction that made it."""
        made = [line.get("created_by", "") for line in self.raw.get("history") or [] if not line.get("empty_layer")]
        blobs = [Descriptor.from_json(layer) for layer in self.manifest["layers"]]
        made = made if len(made) == len(blobs) else [""] * len(blobs)
        layers = [Layer(self.store, *parts) for parts in zip(blobs, self.diff_ids, made, strict=True)]
        for number, layer in enumerate(layers):
            layer.below = tuple(layers[:number])
        return layers

    def tree(self) -> Tree:
        """What a container of this image sees before it writes."""
        return view(tuple(layer.changes for layer in self.layers))

    def history(self) -> list[dict[str, Any]]:
        """How it was made, newest first, as `docker history` lists it."""
        sizes = iter([layer.size for layer in self.layers])
        lines = [
            {
                "Id": "<missing>",
                "Created": unix_time(line.get("created")),
                "CreatedBy": line.get("created_by", ""),
                "Tags": None,
                "Size": 0 if line.get("empty_layer") else next(sizes, 0),
                "Comment": line.get("comment", ""),
            }
            for line in self.raw.get("history") or []
        ][::-1]
        if lines:
            lines[0] |= {"Id": self.id, "Tags": self.tags or None}
        return lines

    @property
    def attrs(self) -> dict[str, Any]:
        """What `docker inspect` prints."""
        history = self.raw.get("history") or [{}]
        return {
            "Id": self.id,
            "RepoTags": self.tags,
            "RepoDigests": [],
            "Parent": "",
            "Comment": history[-1].get("comment", ""),
            "Created": self.raw.get("created") or "0001-01-01T00:00:00Z",
            "DockerVersion": "",
            "Author": self.raw.get("author", ""),
            "Config": {"Cmd": None, "Entrypoint": None, "Env": None, "Labels": None, "WorkingDir": ""} | self.config,
            "Architecture": self.raw.get("architecture", ""),
            "Os": self.raw.get("os", ""),
            "Size": self.size,
            "VirtualSize": self.size,
            "GraphDriver": {"Name": "overlay2", "Data": {"Root": str(self.store.root / "layers")}},
            "RootFS": {"Type": "layers", "Layers": self.diff_ids},
            "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
        }

    def tag(self, repository: str, tag: str | None = None, **_: Any) -> bool:
        """Give it one more name; a name that pointed elsewhere moves."""
        self.images.tag(self, f"{repository}:{tag}" if tag else repository)
        return True

    def remove(self, force: bool = False, noprune: bool = False) -> list[dict[str, str]]:
        """Remove it with all its names."""
        return self.images.remove(self.id, force=force, noprune=noprune)

    def save(self, chunk_size: int = 1 << 20, named: bool | str = False) -> Iterator[bytes]:
        """The bytes of a tar that `docker load` takes, piece by piece."""
        from minidocker.archive import save

        names = self.tags if named is True else [named] if named else []
        return save(self.images, [(self, names)], chunk_size)

    def reload(self) -> None:
        """An image never changes; kept for code written for Docker's SDK."""

    def blame(self, path: str) -> list[Any]:
        """Who answers for a path: one `minidocker.union.Answer` a layer, top first."""
        from minidocker.union import lookup

        return lookup([layer.changes for layer in self.layers], path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Image: {', '.join(repr(tag) for tag in self.tags)}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from minidocker.notebook import mimebundle

        return mimebundle(self)

    def __str__(self) -> str:
        from minidocker.notebook import text

        return text(self)


Record = dict[str, Any]
Records = list[Record]
Names = list[str]  # `list` itself is a method of Docker's, so its class cannot say list[…]
Found = list[Image]


class Images:
    """The images of one store: names, and the blobs behind them."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # Looking

    def get(self, name: str) -> Image:
        """The image of a name, an id, or the start of an id. Raises ImageNotFound, InvalidArgument."""
        entry = self.find(name)
        if entry is None:
            raise ImageNotFound(f"No such image: {name if '@' in name or ':' in name else name + ':latest'}")
        return Image(self, entry["digest"])

    def list(self, name: str | None = None, all: bool = False, filters: Mapping[str, Any] | None = None) -> Found:
        """All images, newest first; `name` is a repository; `filters`: dangling, label, reference, before, since."""
        seen = {entry["digest"]: entry for entry in self._entries()}
        images = {image.id: image for image in (Image(self, digest) for digest in seen)}.values()
        found = sorted(images, key=lambda image: unix_time(image.raw.get("created")), reverse=True)
        filters = dict(filters or {}) | ({"reference": name} if name else {})
        for key, wanted in filters.items():
            test = self._filter(key, _texts(wanted))
            found = [image for image in found if test(image)]
        return found

    def names(self) -> dict[str, Names]:
        """Image id -> its names, sorted."""
        names: dict[str, Names] = {}
        for entry in self._entries():
            if name := _name(entry):
                names.setdefault(self._id(entry["digest"]), []).append(name)
        return {key: sorted(found) for key, found in names.items()}

    def find(self, name: str) -> dict[str, Any] | None:
        """The `index.json` entry of a name, an id, or the start of an id; None where there is none."""
        entries = self._entries()
        hexes = name.removeprefix("sha256:")
        if re.fullmatch(r"[0-9a-f]{1,64}", hexes):
            found = {self._id(entry["digest"]): entry for entry in entries}
            hits = [digest for digest in found if digest.startswith(f"sha256:{hexes}")]
            if len(hits) == 1 and (name.startswith("sha256:") or not _named(entries, name)):
                return found[hits[0]]
            if len(hits) > 1 and not _named(entries, name):
                raise InvalidArgument(f"Multiple IDs found with provided prefix: {name}")
        if name.startswith("sha256:"):
            return None
        return _named(entries, name)

    # Making

    def add_layer(self, changes: Changeset, created_by: str = "", clamp: int | None = None) -> Layer:
        """Write a layer's blob; no time in it is later than `clamp` (seconds)."""
        from minidocker import layertar

        blob = self.store.put(layertar.chunks(changes, clamp), LAYER)
        return Layer(self.store, blob, blob.digest, created_by)

    def create(self, config: Mapping[str, Any], layers: Sequence[Layer]) -> Image:
        """Make an image of a configuration (its `rootfs` is filled in here) and a stack of layers, without a name."""
        if len(layers) > MAX_LAYERS:
            raise InvalidArgument(f"max depth exceeded: {len(layers)} layers, but overlay takes at most {MAX_LAYERS}")
        raw = {"architecture": architecture(), "os": "linux", **config}
        raw["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
        blob = self.store.put(dump(raw), CONFIG)
        return self.add_manifest(blob, [layer.descriptor for layer in layers])

    def add_manifest(self, config: Descriptor, layers: Sequence[Descriptor]) -> Image:
        """Enter an image whose blobs are all there; it has no name yet."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers],
        }
        blob = self.store.put(dump(manifest), MANIFEST)
        image = Image(self, blob.digest)
        with self.store.lock():
            entries = self._entries()
            if not any(entry["digest"] == blob.digest for entry in entries):
                self._write([*entries, blob.to_json()])
        return image

    def tag(self, image: Image, name: str) -> None:
        """Point a name at an image. A name that pointed elsewhere moves, and leaves that image untagged."""
        reference = Reference.parse(name)
        if reference.digest:
            raise InvalidArgument(
                f"cannot tag {name!r}: a digest names one image for ever, so it cannot be given to another"
            )
        entry = Descriptor(MANIFEST, image.manifest_digest, self.store.path(image.manifest_digest).stat().st_size)
        entry.annotations.update({REF_NAME: str(reference), FULL_NAME: reference.full})
        with self.store.lock():
            old = [_without_name(e) if _name(e) == str(reference) else e for e in self._entries()]
            self._write(_tidy([*old, entry.to_json()]))

    # Removing

    def remove(self, image: str, force: bool = False, noprune: bool = False) -> Records:
        """Remove a name, and with its last one the image: `[{"Untagged": …}, {"Deleted": …}]`; as `docker rmi`."""
        entry = self.find(image)
        if entry is None:
            raise ImageNotFound(f"No such image: {image if ':' in image else image + ':latest'}")
        digest = self._id(entry["digest"])
        names = self.names().get(digest, [])
        if _named(self._entries(), image):
            going = [str(Reference.parse(image))]
            users = [container for container, (used, _) in self.in_use().items() if used == digest]
            if users and len(names) == 1 and not force:
                raise Conflict(
                    f'conflict: unable to remove repository reference "{image}" (must force) - container '
                    f"{users[0][:12]} is using its referenced image {digest[7:19]}"
                )
            last = len(names) == 1 and not self._conflict(digest, [], force)
        else:
            going, last = names, True
            if conflict := self._conflict(digest, names, force):
                raise Conflict(f"conflict: unable to delete {digest[7:19]} {conflict}")
        self._forget(going, digest if last else "")
        self.collect()
        return [{"Untagged": name} for name in going] + ([{"Deleted": digest}] if last else [])

    def _conflict(self, digest: str, names: Names, force: bool) -> str:
        """Why an image cannot be deleted; "" where it can."""
        users = {container: running for container, (used, running) in self.in_use().items() if used == digest}
        if busy := [container for container, running in users.items() if running]:
            return f"(cannot be forced) - image is being used by running container {busy[0][:12]}"
        if not force and len(names) > 1:
            return "(must be forced) - image is referenced in multiple repositories"
        if not force and users:
            return f"(must be forced) - image is being used by stopped container {next(iter(users))[:12]}"
        return ""

    def _forget(self, names: Names, digest: str) -> None:
        """Take names away, and the whole image of an id."""
        with self.store.lock():
            left = [entry for entry in self._entries() if self._id(entry["digest"]) != digest]
            self._write(_tidy([_without_name(entry) if _name(entry) in names else entry for entry in left]))

    def in_use(self) -> dict[str, tuple[str, bool]]:
        """Container id -> (image id, whether it runs). The engine, which knows containers, fills this in."""
        return {}

    def prune(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove images that no container uses: the untagged ones, or with `{"dangling": False}` all of them."""
        filters = dict(filters or {})
        dangling = _truth(_texts(filters.pop("dangling", ["true"]))[-1])
        used = {image for image, _ in self.in_use().values()}
        going = [i for i in self.list(filters=filters) if i.id not in used and not (dangling and i.tags)]
        deleted: Records = []
        before = self.disk_usage()
        for image in going:
            deleted += self.remove(image.id, force=True)
        self.collect()
        return {"ImagesDeleted": deleted or None, "SpaceReclaimed": max(0, before - self.disk_usage())}

    def collect(self) -> int:
        """Delete what nothing names any more (`minidocker.garbage`); bytes freed."""
        return collect(self.store)

    def disk_usage(self) -> int:
        """Bytes of all blobs."""
        return disk_usage(self.store)

    # The bookkeeping under it

    def _entries(self) -> Records:
        index = read_json(self.store.root / "index.json")
        entries: Records = index.get("manifests") or []
        return [entry for entry in entries if entry.get("mediaType") in (MANIFEST, None)]

    def _write(self, entries: Iterable[dict[str, Any]]) -> None:
        with self.store.lock():
            path = self.store.root / "index.json"
            index = read_json(path)
            others = [entry for entry in index.get("manifests") or [] if entry.get("mediaType") not in (MANIFEST, None)]
            write_json(path, index | {"manifests": [*others, *entries]})

    def _id(self, manifest: str) -> str:
        cache: dict[str, str] = self.__dict__.setdefault("_ids", {})
        if manifest not in cache:
            cache[manifest] = check_manifest(self.store.read_json(manifest))["config"]["digest"]
        return cache[manifest]

    def _filter(self, key: str, wanted: Names) -> Any:
        if key == "dangling":
            return lambda image: _truth(wanted[-1]) != bool(image.tags)
        if key == "label":
            return lambda image: all(_has_label(image.labels, label) for label in wanted)
        if key == "reference":
            return lambda image: any(_matches(tag, pattern) for tag in image.tags for pattern in wanted)
        if key in ("before", "since"):
            edge = unix_time(self.get(wanted[-1]).raw.get("created"))
            if key == "before":
                return lambda image: unix_time(image.raw.get("created")) < edge
            return lambda image: unix_time(image.raw.get("created")) > edge
        raise InvalidArgument(f"invalid filter '{key}'")


def _name(entry: Mapping[str, Any]) -> str:
    return str((entry.get("annotations") or {}).get(REF_NAME) or "")


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The entry of a name as people type it; one that another tool wrote may stand there without its `:latest`."""
    reference = Reference.parse(name)
    if reference.digest and not reference.tag:
        return next((entry for entry in entries if entry["digest"] == reference.digest), None)
    wanted = {str(reference), name, reference.full}
    return next((entry for entry in entries if _name(entry) in wanted), None)


def _without_name(entry: dict[str, Any]) -> dict[str, Any]:
    notes = {key: value for key, value in entry["annotations"].items() if key not in (REF_NAME, FULL_NAME)}
    bare = {key: value for key, value in entry.items() if key != "annotations"}
    return bare | ({"annotations": notes} if notes else {})


def _tidy(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """An untagged entry says nothing beside a tagged one of the same image, nor beside its double."""
    tidy: list[dict[str, Any]] = []
    entries = list(entries)
    named = {entry["digest"] for entry in entries if _name(entry)}
    for entry in entries:
        if (_name(entry) or entry["digest"] not in named) and entry not in tidy:
            tidy.append(entry)
    return tidy


def _texts(value: Any) -> list[str]:
    """A filter's values, in any of the shapes that Docker's clients use."""
    if isinstance(value, bool):
        return [str(value).lower()]
    return [value] if isinstance(value, str) else list(value)


def _truth(text: str) -> bool:
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise InvalidArgument(f"invalid filter 'dangling={text}': true or false is expected")


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _matches(name: str, pattern: str) -> bool:
    from minidocker.dockerignore import match

    return match(pattern, name) or match(pattern, name.rpartition(":")[0])


def check_manifest(value: dict[str, Any]) -> dict[str, Any]:
    """A manifest from outside, if it is one; raises InvalidArgument naming what is wrong."""
    if "manifests" in value:
        raise InvalidArgument("this is an index of several images, not one image's manifest")
    if value.get("schemaVersion") != 2 or not isinstance(value.get("layers"), list):
        raise InvalidArgument("not a valid image manifest: schemaVersion 2 and a list of layers are expected")
    if len(value["layers"]) > MAX_LAYERS:
        raise InvalidArgument(
            f"max depth exceeded: {len(value['layers'])} layers, but at most {MAX_LAYERS} are allowed"
        )
    Descriptor.from_json(value.get("config"))
    for layer in value["layers"]:
        if not LAYER_TYPE.fullmatch(Descriptor.from_json(layer).media_type):
            raise InvalidArgument(f"unknown media type of a layer: {str(layer.get('mediaType'))[:80]}")
    return value


def check_config(value: dict[str, Any], layers: int) -> dict[str, Any]:
    """An image configuration from outside, if it is one and has as many diff ids as there are layers."""
    rootfs = value.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != layers:
        raise InvalidArgument(f"invalid image configuration: it must list one diff id for each of the {layers} layers")
    for diff_id in diff_ids:
        check_digest(diff_id)
    history, run = value.get("history"), value.get("config")
    if not isinstance(run, (dict, NoneType)) or not isinstance(history, (list, NoneType)):
        raise InvalidArgument("invalid image configuration: config must be an object and history a list")
    for where in (value, run or {}, *(history or [])):
        _check_shapes(where)
    return value


def _check_shapes(value: Any) -> None:
    """Each field of the OCI image configuration that is there must be of its kind; no other code looks again."""
    if not isinstance(value, dict):
        raise InvalidArgument("invalid image configuration: history must be a list of objects")
    for kind, names in SHAPES.items():
        for name in names.split():
            found: Any = value.get(name)
            if found is not None and not issubclass(type(found), kind):
                raise InvalidArgument(f"invalid image configuration: {name} must be a {kind.__name__}")
            words = () if kind is not list and name != "Labels" else found.values() if kind is dict and found else found
            if not all(isinstance(word, str) for word in words or ()):
                raise InvalidArgument(f"invalid image configuration: {name} must hold strings only")


def dump(value: Any) -> bytes:
    """JSON as it goes into a blob: no white space, keys in the order given."""
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogateescape")


def architecture() -> str:
    """This machine's, in Go's words: `amd64`, `arm64`…"""
    import platform

    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64", "wasm32": "wasm", "i686": "386", "": "amd64"}.get(machine, machine)
