"""Images in a tar: `docker save`, `docker load`, `docker import`.

What is saved is both at once, as from Docker 25 on: an OCI image layout, and the `manifest.json` that all of Docker's
versions read. What is loaded may be either. It comes from outside, so nothing is believed: the outer tar is read by the
same hostile-proof reader as a layer, each blob is hashed, each layer must be a valid one with the promised diff id; and
the index is written last, when all of it is there.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from minidocker import layertar
from minidocker.compression import GZIP, ZSTD, compress, decompress
from minidocker.content import (
    CONFIG,
    LAYER,
    MAX_JSON,
    BlobWriter,
    Descriptor,
    Store,
    check_digest,
    file_digest,
    parse_json,
    temp_path,
    unwritable,
)
from minidocker.errors import ImageLoadError, LayerError
from minidocker.image import Image
from minidocker.images import Images, is_id
from minidocker.layer import Changeset
from minidocker.layout import Layout, Packing, blob_name
from minidocker.manifest import FULL_NAME, REF_NAME, architecture, check_config, check_manifest, manifest_of
from minidocker.reference import Reference
from minidocker.tree import CHUNK, Data, Tree

GZIP_LAYER = LAYER + "+gzip"
MAX_DEPTH = 3  # indexes inside indexes


def save(chosen: Sequence[tuple[Image, Sequence[str]]], chunk_size: int = CHUNK) -> Iterator[bytes]:
    """The tar of some images, each with the names that it shall have; piece by piece, the same bytes every time."""
    layout = Layout()
    for image, names in chosen:
        manifest = layout.image(image, Packing())
        layout.name(manifest.to_json(), names)
        layout.docker(image, manifest, names)
    return layout.tar(chunk_size)


def chosen(images: Images, name: str) -> list[tuple[Image, list[str]]]:
    """Images and the names to save them under: the one given, all of a bare repository, none of an id."""
    full = "" if is_id(name) else str(Reference.parse(name))
    if full and ":" not in name.rpartition("/")[2]:
        repository = full.rpartition(":")[0]
        found = [
            (image, [tag for tag in image.tags if tag.rpartition(":")[0] == repository]) for image in images.list()
        ]
        if every := [(image, names) for image, names in found if names]:
            return every
    image = images.get(name)
    return [(image, [tag for tag in image.tags if tag == full])]


def load(images: Images, source: BinaryIO | bytes | Path | Iterable[bytes]) -> list[tuple[Image, list[str]]]:
    """Load every image of a tar: each with the names that it now has. Raises InvalidArgument, LayerError, CorruptBlob.

    Either all of them are loaded, or nothing is.
    """
    store = images.store
    try:
        with store.keep(), open_plain(store, source) as plain:
            try:
                archive = layertar.read(plain.path, lenient=True)
            except LayerError as error:
                raise ImageLoadError(f"cannot load this archive: {error}") from error
            loader = _Loader(images, Tree({path: entry for path, entry in archive.items() if path != "/"}))
            return loader.load()
    except BaseException:
        images.collect()
        raise


def from_layout(images: Images, files: Tree, tag: str = "", digest: str = "") -> Image:
    """An image out of the files of an OCI layout, by its tag there or its digest; it gets no name here.

    Raises ImageLoadError, CorruptBlob…
    """
    loader = _Loader(images, files)
    listed = parse_json(loader.text("/index.json"), "index.json").get("manifests") or []
    wanted = ("digest", digest) if digest else ("annotations", tag or "latest")
    chosen = [one for one in listed if isinstance(one, dict) and _is_called(one, *wanted)]
    with images.store.keep():
        found = loader.from_index({"manifests": chosen[:1]})
        if not found:
            raise ImageLoadError(f"no image {wanted[1]} in this OCI layout")
        return images.add_manifest(found[0][0])


def _is_called(entry: dict[str, Any], key: str, wanted: str) -> bool:
    value = entry.get(key) or {}
    return (value.get(REF_NAME) if isinstance(value, dict) else value) == wanted


def import_(images: Images, source: BinaryIO | bytes | Path | Iterable[bytes], config: dict[str, Any]) -> Image:
    """Make an image of one layer out of a plain tar of a file system, as `docker import`."""
    store = images.store
    try:
        with store.keep(), open_plain(store, source) as plain:
            changes = layertar.read(plain.path, lenient=True)
            layer = images.add_layer(Changeset({path: entry for path, entry in changes.items() if path != "/"}))
            return images.create(config, [layer])
    except BaseException:
        images.collect()
        raise


def gzipped(image: Image, level: int = 9) -> Image:
    """The same image with its layers gzipped, as registries hold them: another manifest that names the same config."""
    store, packed = image.store, []
    with store.keep():
        for layer in image.layers:
            packed.append(store.put(compress(store.open(layer.diff_id), "gzip", level), GZIP_LAYER))
        config = Descriptor.from_json(image.manifest["config"])
        return image.images.add_manifest(manifest_of(config, packed))


class _Loader:
    """The files of one archive on their way into the store."""

    def __init__(self, images: Images, tree: Tree) -> None:
        self.images, self.store, self.tree = images, images.store, tree

    def load(self) -> list[tuple[Image, list[str]]]:
        if "/index.json" in self.tree and "/oci-layout" in self.tree:
            found = self.from_index(parse_json(self.text("/index.json"), "index.json"))
        elif "/manifest.json" in self.tree:
            found = self.from_docker()
        else:
            raise ImageLoadError(
                "cannot load this archive: it has neither an index.json (OCI) nor a manifest.json (Docker)"
            )
        if not found:
            raise ImageLoadError("cannot load this archive: there is no image in it")
        images = self.images.add_manifests(found)
        return [(image, names) for image, (_, names) in zip(images, found, strict=True)]

    def file(self, path: str) -> Data:
        """A file of the archive; older archives link layers to each other."""
        try:
            entry = self.tree.get(self.tree.resolve(path))
        except OSError:
            entry = None
        if entry is None or entry.kind != "file":
            raise ImageLoadError(f"cannot load this archive: {path.lstrip('/')} is missing in it")
        return entry.data

    def text(self, path: str) -> bytes:
        data = self.file(path)
        if data.size > MAX_JSON:
            raise ImageLoadError(f"cannot load this archive: {path.lstrip('/')} is too large ({data.size} bytes)")
        return data.read()

    # OCI image layout

    def from_index(self, index: dict[str, Any], depth: int = 0) -> list[tuple[bytes, list[str]]]:
        """Each image of an index, as its manifest and its names; of an index within it, the one for this machine."""
        manifests = index.get("manifests")
        if not isinstance(manifests, list) or depth > MAX_DEPTH:
            raise ImageLoadError("cannot load this archive: its index has no list of manifests")
        found = []
        for blob in map(Descriptor.from_json, manifests):
            name = _full_name(blob.annotations) if depth == 0 else ""
            if "manifest.list" in blob.media_type or "image.index" in blob.media_type:
                inner = parse_json(self.blob(blob), blob.digest)
                found += [
                    (manifest, [name] if name else []) for manifest, _ in self.from_index(_ours(inner), depth + 1)
                ]
            elif not blob.annotations.get("vnd.docker.reference.type"):  # an attestation is no image
                found.append((self.manifest(blob), [name] if name else []))
        return found

    def manifest(self, blob: Descriptor) -> bytes:
        """Copy in what a manifest names. An OCI one stays as it is, byte for byte; a Docker one is written anew."""
        data = self.blob(blob)
        manifest = check_manifest(parse_json(data, f"manifest {blob.digest}"))
        config = Descriptor.from_json(manifest["config"])
        raw = check_config(parse_json(self.blob(config), f"configuration {config.digest}"), len(manifest["layers"]))
        layers = [Descriptor.from_json(layer) for layer in manifest["layers"]]
        for layer, diff_id in zip(layers, raw["rootfs"]["diff_ids"], strict=True):
            content = self.file("/" + blob_name(layer.digest))
            if content.size != layer.size:
                raise ImageLoadError(f"cannot load this archive: blob {layer.digest} is not {layer.size} bytes long")
            self.layer(content, layer.media_type, diff_id, layer.digest)
        stored = self.store.put(self.blob(config), CONFIG, sync=False)
        return data if config.media_type == CONFIG else manifest_of(stored, [_as_oci(layer) for layer in layers])

    def blob(self, blob: Descriptor) -> bytes:
        data = self.text("/" + blob_name(blob.digest))
        found = self.file("/" + blob_name(blob.digest)).digest
        if found != blob.digest or len(data) != blob.size:
            raise ImageLoadError(f"cannot load this archive: blob {blob.digest} has other bytes than its digest says")
        return data

    # docker save, before Docker 25

    def from_docker(self) -> list[tuple[bytes, list[str]]]:
        listed = parse_json(b'{"images": %s}' % self.text("/manifest.json"), "manifest.json")["images"]
        if not isinstance(listed, list):
            raise ImageLoadError("manifest.json must be a list of images")
        return [self.docker_image(item) for item in listed]

    def docker_image(self, item: Any) -> tuple[bytes, list[str]]:
        try:
            config, layers, names = item["Config"], item["Layers"] or [], item.get("RepoTags") or []
            good = isinstance(layers, list) and isinstance(names, list)
            good = good and all(isinstance(part, str) for part in [config, *layers, *names])
        except (TypeError, KeyError, AttributeError):
            good = False
        if not good:
            raise ImageLoadError("manifest.json: each image needs Config, Layers and RepoTags")
        text = self.text("/" + config)
        raw = check_config(parse_json(text, config), len(layers))
        pairs = zip(layers, raw["rootfs"]["diff_ids"], strict=True)
        blobs = [self.layer(self.file("/" + path), LAYER, diff_id) for path, diff_id in pairs]
        return manifest_of(self.store.put(text, CONFIG, sync=False), blobs), [_tag(name) for name in names]

    def layer(self, data: Data, media_type: str, diff_id: str, digest: str | None = None) -> Descriptor:
        """Copy a layer's blob into the store, and read it through once: hostile ones stop here."""
        check_digest(diff_id)
        known = Descriptor(media_type, digest or diff_id, data.size)
        if not self.store.has(known.digest) or file_digest(self.store.path(known.digest)) != known.digest:
            with BlobWriter(self.store, media_type) as writer:
                gzipped = False
                for number, chunk in enumerate(data.chunks()):
                    gzipped = gzipped or (number == 0 and chunk.startswith(GZIP))
                    writer.write(chunk)
                expected = digest or (None if gzipped else diff_id)
                known = writer.commit(expected)
            if gzipped and digest is None:
                known = Descriptor(GZIP_LAYER, known.digest, known.size)
        self.store.layer(known, diff_id)
        return known


class open_plain:
    """A source as an uncompressed file on disk: the file itself where it is one, else a copy, gone afterwards."""

    def __init__(self, store: Store, source: BinaryIO | bytes | Path | Iterable[bytes]) -> None:
        self.store, self.source = store, source
        self.path = temp_path(store.root / "tmp" / "archive")
        self.mine = True

    def __enter__(self) -> open_plain:
        name = self.source if isinstance(self.source, Path) else getattr(self.source, "name", None)
        if isinstance(name, (str, Path)) and Path(name).is_file() and _is_plain(Path(name), self.source):
            self.path, self.mine = Path(name), False
            return self
        try:
            with self.path.open("xb") as out:
                for chunk in decompress(_chunks(self.source)):
                    out.write(chunk)
        except BaseException as error:
            self.path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise unwritable(self.store.root, error) from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.mine:
            self.path.unlink(missing_ok=True)


def _is_plain(path: Path, source: Any) -> bool:
    """Whether the file can be read where it lies: not compressed, and not read already in part."""
    at = source.tell() if hasattr(source, "tell") else 0
    with path.open("rb") as stream:
        return at == 0 and not stream.read(4).startswith((GZIP, ZSTD))


def _chunks(source: BinaryIO | bytes | Path | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield from _chunks(stream)
    elif isinstance(source, bytes):
        yield from _chunks(io.BytesIO(source))
    elif hasattr(source, "read"):
        while chunk := cast(BinaryIO, source).read(CHUNK):
            yield chunk
    else:
        yield from source


def _ours(index: dict[str, Any]) -> dict[str, Any]:
    """An index of one image for several platforms, cut down to this machine's; where that is missing, to the first."""
    entries = index.get("manifests")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return index  # refused where it is read
    images = [
        entry for entry in entries if not Descriptor.from_json(entry).annotations.get("vnd.docker.reference.type")
    ]
    fitting = [entry for entry in images if _fits(entry.get("platform"))]
    return index | {"manifests": (fitting or images)[:1]}


def _fits(platform: Any) -> bool:
    return isinstance(platform, dict) and (platform.get("os"), platform.get("architecture")) == (
        "linux",
        architecture(),
    )


def _as_oci(layer: Descriptor) -> Descriptor:
    """A layer's descriptor with the OCI media type for what it is."""
    zipped = layer.media_type.endswith(("gzip", "zstd"))
    kind = layer.media_type if ".oci." in layer.media_type else GZIP_LAYER if zipped else LAYER
    return Descriptor(kind, layer.digest, layer.size)


def _tag(name: str) -> str:
    reference = Reference.parse(name)
    if reference.digest:
        raise ImageLoadError(f"cannot load this archive: {name!r} cannot be the name of an image in it")
    return str(reference)


def _full_name(notes: dict[str, str]) -> str:
    """The name that an index gives an image: the whole one, or a reference that is more than a tag; no digest."""
    text = notes.get(FULL_NAME) or notes.get(REF_NAME) or ""
    if not text or (FULL_NAME not in notes and ":" not in text and "/" not in text):
        return ""
    reference = Reference.parse(text)
    return "" if reference.digest else str(reference)
