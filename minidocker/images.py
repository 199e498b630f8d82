"""The images of one store: made, found, tagged, listed, removed. A tag is a movable name for an image.

`index.json` maps names to manifests, under the annotation `org.opencontainers.image.ref.name` that other tools read:
`skopeo inspect oci:ROOT:app:latest`.

    >>> import pathlib, tempfile; from minidocker.tree import file
    >>> folder = tempfile.TemporaryDirectory()
    >>> images = Images(Store(pathlib.Path(folder.name)))
    >>> layer = images.add_layer(Changeset({"/etc/motd": file(b"hi")}))
    >>> image = images.create({"config": {"Cmd": ["cat", "/etc/motd"]}}, [layer])
    >>> images.tag(image, "app:1"); images.get("app:1").tags
    ['app:1']
    >>> image.tree()["/etc/motd"].data.read()
    b'hi'
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from minidocker.content import CONFIG, LAYER, Store, glance, parse_json, read_json, write_json
from minidocker.errors import Conflict, ImageNotFound, InvalidArgument, NullResource, Unsupported
from minidocker.filters import has_label, is_true, texts
from minidocker.garbage import collect, disk_usage
from minidocker.image import Image, Layer
from minidocker.layer import Changeset
from minidocker.manifest import (
    FULL_NAME,
    MANIFESTS,
    MAX_LAYERS,
    REF_NAME,
    architecture,
    check_manifest,
    dump,
    manifest_of,
    type_of,
)
from minidocker.platforms import Platform
from minidocker.reference import Reference
from minidocker.times import stamp, unix_time

if TYPE_CHECKING:
    from minidocker.explain import Explanation

Record = dict[str, Any]
Records = list[Record]
Names = list[str]  # `list` itself is a method of Docker's, so its class cannot say list[…]
Found = list[Image]
Guard = Callable[[Callable[[], None]], AbstractContextManager[None]]  # told how to end what goes on


def unguarded(_stop: Callable[[], None]) -> AbstractContextManager[None]:
    """The guard of what nobody else can end."""
    return nullcontext()


class Images:
    """The images of one store: names, and the blobs behind them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ids: dict[str, str] = {}  # the image id of each manifest that was looked at
        self._read: dict[str, tuple[tuple[int, ...], Image]] = {}  # what `list` read last, and of which state of files

    # Looking

    def get(self, name: str) -> Image:
        """The image of a name, an id, or the start of an id. Raises ImageNotFound, InvalidArgument."""
        if not name:
            raise NullResource("Resource ID was not provided")
        entry = self.find(name)
        if entry is None:
            raise ImageNotFound(f"No such image: {name if '@' in name or ':' in name else name + ':latest'}")
        return Image(self, entry["digest"])

    def explain(self, name: str) -> Explanation:
        """An image read backwards; as `Image.explain`."""
        return self.get(name).explain()

    def makes(self, name: str) -> bool:
        """Whether `get` would have to make the image of this name first. A plain store makes none."""
        return False

    def suits(self, name: str, platform: str = "") -> bool:
        """Whether an image is here, and for a platform if one is named."""
        entry = self.find(name)
        if entry is None or not platform:
            return entry is not None
        actual = Platform.of(Image(self, entry["digest"]).raw)
        return actual is None or actual in Platform.parse(platform).runs()

    def fetch(
        self, name: str, platform: str = "", on_event: Callable[[Record], None] | None = None, guard: Guard = unguarded
    ) -> Image:
        """Bring an image here that is not: a plain store cannot. `guard` learns how to end it. Raises ImageNotFound"""
        full = name if is_id(name) else str(Reference.parse(name))
        raise ImageNotFound(
            f"No such image: {full}: nothing is pulled here: load it, or use this course's own bases, minidocker/base "
            "and minidocker/python"
        )

    def push_one(self, name: Reference) -> None:
        """Send an image to the registry of its name: a plain store cannot. Raises Unsupported."""
        raise Unsupported(f"{name} cannot be pushed: this store knows no registries")

    def list(self, name: str | None = None, all: bool = False, filters: Mapping[str, Any] | None = None) -> Found:
        """All images, newest first; `name` is a repository; `filters`: dangling, label, reference, before, since."""
        seen = {entry["digest"]: entry for entry in self._entries()}
        images = {image.id: image for image in self._remembered(seen)}.values()
        found = sorted(images, key=lambda image: unix_time(image.raw.get("created")), reverse=True)
        filters = dict(filters or {}) | ({"reference": name} if name else {})
        for key, wanted in filters.items():
            test = self._filter(key, texts(wanted))
            found = [image for image in found if test(image)]
        return found

    def _remembered(self, manifests: Iterable[str]) -> Iterable[Image]:
        """The images of some manifests; those that were read before need not be, while their files are the same."""
        now = {}
        for manifest in manifests:
            seal, image = self._read.get(manifest, ((), None))
            if image is None or seal != _seal(image):
                image = Image(self, manifest)
                seal = _seal(image)
                self._ids[manifest] = image.id
            now[manifest] = (seal, image)
        self._read = now
        return [image for _, image in now.values()]

    def ids(self) -> set[str]:
        """The ids of all images."""
        return {self._id(entry["digest"]) for entry in self._entries()}

    def names(self, id: str = "") -> dict[str, Names]:
        """Image id -> its tags, sorted; of all images, or of one."""
        return self._names(id, lambda name: "@" not in name)

    def digests(self, id: str = "") -> dict[str, Names]:
        """Image id -> what it is called in registries for ever, `app@sha256:…`: where it came from or went to."""
        return self._names(id, lambda name: "@" in name)

    def _names(self, wanted: str, chosen: Callable[[str], bool]) -> dict[str, Names]:
        names: dict[str, Names] = {}
        for entry in self._entries():
            id = self._id(entry["digest"])
            if wanted in ("", id) and (name := _name(entry)) and chosen(name):
                names.setdefault(id, []).append(name)
        return {key: sorted(set(found)) for key, found in names.items()}

    def find(self, name: str) -> dict[str, Any] | None:
        """The `index.json` entry of a name, an id, or the start of an id; None where there is none."""
        entries = self._entries()
        hexes = name.removeprefix("sha256:")
        only_id = is_id(name)
        if re.fullmatch(r"[0-9a-f]{1,64}", hexes):
            found = {self._id(entry["digest"]): entry for entry in entries}
            hits = [digest for digest in found if digest.startswith(f"sha256:{hexes}")]
            if len(hits) == 1 and (only_id or not _named(entries, name)):
                return found[hits[0]]
            if len(hits) > 1 and (only_id or not _named(entries, name)):
                raise InvalidArgument(f"Multiple IDs found with provided prefix: {name}")
        return None if only_id else _named(entries, name)

    # Making

    def add_layer(self, changes: Changeset, created_by: str = "", clamp: int | None = None) -> Layer:
        """Write a layer's blob; no time in it is later than `clamp` (seconds)."""
        from minidocker import layertar

        blob = self.store.put(layertar.chunks(changes, clamp), LAYER)
        return Layer(self.store, blob, blob.digest, created_by)

    def create(
        self, config: Mapping[str, Any], layers: Sequence[Layer], notes: Mapping[str, str] | None = None
    ) -> Image:
        """Make an image of a configuration (its `rootfs` is filled in here) and a stack of layers, without a name.

        `notes` are annotations of its manifest.
        """
        if len(layers) > MAX_LAYERS:
            raise InvalidArgument(f"max depth exceeded: {len(layers)} layers, but overlay takes at most {MAX_LAYERS}")
        raw = {"architecture": architecture(), "os": "linux", **config}
        raw["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
        blob = self.store.put(dump(raw), CONFIG, sync=False)
        return self.add_manifest(manifest_of(blob, [layer.descriptor for layer in layers], notes))

    def add_manifest(self, manifest: bytes) -> Image:
        """Enter an image whose blobs are all there; it has no name yet."""
        return self.add_manifests([(manifest, ())])[0]

    def add_manifests(self, manifests: Iterable[tuple[bytes, Sequence[str]]]) -> Found:
        """Enter many at once, each with its names; of two with one name, the later one has it. It is no event."""
        found = [(self._stored(manifest), names) for manifest, names in manifests]
        self.store.settle(digest for image, _ in found for digest in (image.id, image.manifest_digest))
        named = [(image, name) for image, names in found for name in map(_as_tag, names)]
        self._enter([*((image, None) for image, _ in found), *named])
        return [image for image, _ in found]

    def _stored(self, manifest: bytes) -> Image:
        kind = type_of(parse_json(manifest, "the manifest"))
        return Image(self, self.store.put(manifest, kind, sync=False).digest)

    def tag(self, image: Image, name: str, told: bool = True) -> None:
        """Point a name at an image. A name that pointed elsewhere moves, and leaves that image untagged.

        It is an event, unless it is not to be `told`, because it is part of another one.
        """
        reference = _as_tag(name)
        self._enter([(image, reference)])
        if told:
            self.tell("tag", image.id, str(reference), image.labels)

    def add_digest(self, image: Image, name: str) -> None:
        """Note what an image is called in a registry: `app@sha256:…`, the digest of its manifest or index there."""
        reference = Reference.parse(name)
        self._enter([(image, Reference(reference.domain, reference.path, "", reference.digest))])

    def _enter(self, named: Iterable[tuple[Image, Reference | None]]) -> None:
        """Write down images, each with a name or without one; the last one that is given a name has it."""
        bare, added = [], {}
        for image, reference in named:
            entry = image.descriptor
            if reference is None:
                bare.append(entry.to_json())
            else:
                entry.annotations.update({REF_NAME: str(reference), FULL_NAME: reference.full})
                added[str(reference)] = entry.to_json()
        with self.store.lock():
            old = [_without_name(entry) if _name(entry) in added else entry for entry in self._entries()]
            self._write(_tidy([*old, *bare, *added.values()]))

    def tell(self, action: str, id: str, name: str = "", labels: Mapping[str, str] | None = None) -> None:
        """Write down what happened to an image: tag, untag, delete, load, save, import, pull or push."""
        self.store.tell("image", action, id, {**(labels or {}), "name": name or id})

    # Removing

    def remove(self, image: str, force: bool = False, noprune: bool = False) -> Records:
        """Remove a name, and with its last one the image: `[{"Untagged": …}, {"Deleted": …}]`; as `docker rmi`."""
        entry = self.find(image)
        if entry is None:
            raise ImageNotFound(f"No such image: {image if ':' in image else image + ':latest'}")
        digest = self._id(entry["digest"])
        tags, pinned = (known(digest).get(digest, []) for known in (self.names, self.digests))
        if not is_id(image) and (named := _named(self._entries(), image)):
            going = [_name(named) or image]
            if "@" not in going[0] and _repository(going[0]) not in map(_repository, {*tags} - {*going}):
                going += [name for name in pinned if _repository(name) == _repository(going[0])]
            users = [container for container, (used, _) in self.in_use().items() if used == digest]
            left = {*tags, *pinned} - {*going}
            if users and not left and not force:
                raise Conflict(
                    f'conflict: unable to remove repository reference "{image}" (must force) - container '
                    f"{users[0][:12]} is using its referenced image {digest[7:19]}"
                )
            last = not left and not self._conflict(digest, [], force)
        else:
            going, last = [*tags, *pinned], True
            if conflict := self._conflict(digest, tags, force):
                raise Conflict(f"conflict: unable to delete {digest[7:19]} {conflict}")
        labels = Image(self, entry["digest"]).labels
        self._forget(going, digest if last else "")
        for _ in going:
            self.tell("untag", digest, labels=labels)
        if last:
            self.tell("delete", digest)
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
        """Remove images that no container uses: the untagged ones, or with `{"dangling": False}` all of them.

        `{"ImagesDeleted": [{"Untagged": …}, {"Deleted": …}] or None, "SpaceReclaimed": bytes}`.
        Filters: label, label!, until.
        """
        filters = dict(filters or {})
        if wrong := filters.keys() - {"dangling", "label", "label!", "until"}:
            raise InvalidArgument(f"Invalid filter '{min(wrong)}'")
        dangling = is_true("dangling", texts(filters.pop("dangling", True))[-1])
        used = {image for image, _ in self.in_use().values()}
        going = [i for i in self.list(filters=filters) if i.id not in used and not (dangling and i.tags)]
        deleted: Records = []
        before = self.disk_usage()
        for image in going:
            deleted += self.remove(image.id, force=True)
        self.collect()
        freed = max(0, before - self.disk_usage())
        self.store.tell("image", "prune", "", {"reclaimed": str(freed)})
        return {"ImagesDeleted": deleted or None, "SpaceReclaimed": freed}

    def collect(self) -> int:
        """Delete what nothing names any more (`minidocker.garbage`); bytes freed."""
        return collect(self.store)

    def disk_usage(self) -> int:
        """Bytes of all blobs."""
        return disk_usage(self.store)

    # The bookkeeping under it

    def _entries(self) -> Records:
        entries: Records = glance(self.store.root / "index.json").get("manifests") or []
        return [entry for entry in entries if entry.get("mediaType") in MANIFESTS]

    def _write(self, entries: Iterable[dict[str, Any]]) -> None:
        with self.store.lock():
            path = self.store.root / "index.json"
            index = read_json(path)
            others = [entry for entry in index.get("manifests") or [] if entry.get("mediaType") not in MANIFESTS]
            write_json(path, index | {"manifests": [*others, *entries]})

    def _id(self, manifest: str) -> str:
        if manifest not in self._ids:
            self._ids[manifest] = check_manifest(self.store.read_json(manifest))["config"]["digest"]
        return self._ids[manifest]

    def _filter(self, key: str, wanted: Names) -> Any:
        if key == "dangling":
            return lambda image: is_true("dangling", wanted[-1]) != bool(image.tags)
        if key == "label":
            return lambda image: all(has_label(image.labels, label) for label in wanted)
        if key == "label!":
            return lambda image: not any(has_label(image.labels, label) for label in wanted)
        if key == "until" and len(wanted) == 1:
            latest = unix_time(stamp(wanted[0]))
            return lambda image: unix_time(image.raw.get("created")) < latest
        if key == "reference":
            return lambda image: any(
                matches(name, pattern) for name in [*image.tags, *image.digests] for pattern in wanted
            )
        if key in ("before", "since"):
            edge = unix_time(self.get(wanted[-1]).raw.get("created"))
            if key == "before":
                return lambda image: unix_time(image.raw.get("created")) < edge
            return lambda image: unix_time(image.raw.get("created")) > edge
        raise InvalidArgument(f"Invalid filter '{key}'")


def _seal(image: Image) -> tuple[int, ...]:
    """What tells cheaply whether the files of an image have been written since."""
    blobs = f"{image.store.root}/blobs/sha256/"
    try:
        files = [os.stat(blobs + digest[7:]) for digest in (image.manifest_digest, image.id)]  # noqa: PTH116
    except FileNotFoundError:
        return ()
    return tuple(number for file in files for number in (file.st_mtime_ns, file.st_size, file.st_ino))


def _name(entry: Mapping[str, Any]) -> str:
    return str((entry.get("annotations") or {}).get(REF_NAME) or "")


def is_id(name: str) -> bool:
    """Whether it can be nothing but an id, or the start of one."""
    return name.startswith("sha256:") or bool(re.fullmatch(r"[0-9a-f]{64}", name))


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The entry of a name as people type it; one that another tool wrote may stand there without its `:latest`."""
    reference = Reference.parse(name)
    if reference.digest:
        pinned = f"{reference.name}@{reference.digest}"
        known = next((entry for entry in entries if _name(entry) == pinned), None)
        return known or next((entry for entry in entries if entry["digest"] == reference.digest), None)
    wanted = {str(reference), name, reference.full}
    return next((entry for entry in entries if _name(entry) in wanted), None)


def _repository(name: str) -> str:
    """`app:1` and `app@sha256:…` -> `app`."""
    return Reference.parse(name).name


def _as_tag(name: str) -> Reference:
    """A name that can be given to an image. Raises InvalidArgument."""
    reference = Reference.parse(name)
    if reference.digest:
        raise InvalidArgument(
            f"cannot tag {name!r}: a digest names one image for ever, so it cannot be given to another"
        )
    if reference.name == "sha256":
        raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
    return reference


def _without_name(entry: dict[str, Any]) -> dict[str, Any]:
    notes = {key: value for key, value in entry["annotations"].items() if key not in (REF_NAME, FULL_NAME)}
    bare = {key: value for key, value in entry.items() if key != "annotations"}
    return bare | ({"annotations": notes} if notes else {})


def _tidy(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """An untagged entry says nothing beside a tagged one of the same image, nor beside its double."""
    tidy: list[dict[str, Any]] = []
    entries = list(entries)
    named = {entry["digest"] for entry in entries if _name(entry)}
    same: dict[str, list[dict[str, Any]]] = {}  # digest -> what there is of it: there may be thousands of images
    for entry in entries:
        known = same.setdefault(entry["digest"], [])
        if (_name(entry) or entry["digest"] not in named) and entry not in known:
            known.append(entry)
            tidy.append(entry)
    return tidy


def matches(name: str, pattern: str) -> bool:
    """Whether a name, or its repository, is one that a pattern (`reference=app*`) means."""
    from minidocker.dockerignore import match

    repository = name.partition("@")[0] if "@" in name else name.rpartition(":")[0]
    return match(pattern, name) or match(pattern, repository)
