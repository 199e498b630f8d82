"""Images on their way out: an OCI image layout that is being put together, to become a tar or a folder.

`docker save` and the outputs of a build make one. Layers go out as they lie in the store, or gzipped, or as zstd; the
configuration, and with it the image id, stays what it is. Blobs come first and the index last, so that whoever looks
meanwhile sees the old layout or the new one.

    >>> out = Layout(); blob = out.put(b"{}", "application/vnd.oci.image.config.v1+json")
    >>> import io; names = tarfile.open(fileobj=io.BytesIO(b"".join(out.tar()))).getnames()
    >>> names[0], names[-2:], blob.size
    ('blobs', ['index.json', 'oci-layout'], 2)
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from minidocker.compression import LEVELS, compress, decompress
from minidocker.content import (
    INDEX,
    LAYER,
    MANIFEST,
    MAX_JSON,
    Descriptor,
    FileLock,
    check_digest,
    file_digest,
    parse_json,
    temp_path,
    write_atomic,
)
from minidocker.errors import InvalidArgument
from minidocker.image import Image, Layer
from minidocker.manifest import DOCKERS, FULL_NAME, REF_NAME, dump, manifest_of
from minidocker.reference import Reference
from minidocker.tree import CHUNK

Read = Callable[[], Iterable[bytes]]
SUFFIX = {"uncompressed": "", "gzip": "+gzip", "zstd": "+zstd"}
OCIS = {docker: oci for oci, docker in DOCKERS.items()}


@dataclass(frozen=True)
class Packing:
    """How layers go out: `kind` is a key of `SUFFIX`, or "" for as they are; `force` is for compressed ones too.

    `docker` is for Docker's own media types in place of the OCI's.
    """

    kind: str = ""
    level: int | None = None
    force: bool = False
    docker: bool = False

    def type(self, media_type: str) -> str:
        """The media type of a part; zstd has only an OCI one."""
        return DOCKERS.get(media_type, media_type) if self.docker else OCIS.get(media_type, media_type)


class Layout:
    """The blobs and the index of a layout. What has to be compressed is written into the folder `scratch`."""

    def __init__(self, scratch: Path | None = None) -> None:
        self.scratch = scratch
        self.blobs: dict[str, tuple[int, Read]] = {}
        self.stacks: dict[str, list[str]] = {}  # of each manifest, the layers
        self.entries: list[dict[str, Any]] = []  # of index.json
        self.images: list[dict[str, Any]] = []  # of manifest.json, which Docker reads

    # What is in it

    def put(self, data: bytes, media_type: str) -> Descriptor:
        """A small blob."""
        blob = Descriptor(media_type, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
        return self.add(blob, lambda: [data])

    def add(self, blob: Descriptor, read: Read) -> Descriptor:
        """A blob that lies somewhere."""
        self.blobs[blob.digest] = (blob.size, read)
        return blob

    def image(self, image: Image, how: Packing, notes: Mapping[str, str] | None = None) -> Descriptor:
        """An image with all of its blobs, and more annotations; the descriptor of its manifest."""
        store = image.store
        raw, old = store.read(image.manifest_digest), image.manifest
        config = Descriptor.from_json(old["config"])
        config = self.put(store.read(config.digest), how.type(config.media_type))
        layers = [self.layer(layer, how) for layer in image.layers]
        kind = image.descriptor.media_type
        if [one.digest for one in layers] != [one["digest"] for one in old["layers"]] or notes or how.docker:
            kind = how.type(MANIFEST)
            raw = manifest_of(config, layers, (old.get("annotations") or {}) | dict(notes or {}), kind)
        manifest = self.put(raw, kind)
        self.stacks[manifest.digest] = [layer.digest for layer in layers]
        return manifest

    def layer(self, layer: Layer, how: Packing) -> Descriptor:
        """A layer, as it lies in the store or packed."""
        blob, store, kind = layer.descriptor, layer.store, _kind(layer)
        if how.kind in ("", kind) or (kind != "uncompressed" and not how.force):
            blob = Descriptor(how.type(blob.media_type), blob.digest, blob.size, blob.annotations)
            return self.add(blob, partial(store.open, blob.digest))
        media_type = how.type(LAYER + SUFFIX[how.kind])
        if how.kind == "uncompressed":
            path = store.layer_tar(blob, layer.diff_id)
        else:
            path = self._packed(layer, how)
        return self.add(Descriptor(media_type, file_digest(path), path.stat().st_size), partial(read_file, path))

    def _packed(self, layer: Layer, how: Packing) -> Path:
        """A layer's tar, compressed into the scratch folder, unless another output has asked for just that."""
        assert self.scratch is not None
        path = self.scratch / f"{layer.diff_id[7:]}.{how.kind}{how.level}"
        if not path.exists():
            plain = decompress(layer.store.open(layer.descriptor.digest))
            write_stream(path, compress(plain, how.kind, how.level))
        return path

    def name(self, blob: dict[str, Any], names: Sequence[str]) -> None:
        """Enter a manifest or an index into `index.json`: once for each name, or without one."""
        notes = [{REF_NAME: Reference.parse(name).tag, FULL_NAME: Reference.parse(name).full} for name in names]
        self.entries += [blob | {"annotations": blob.get("annotations", {}) | note} for note in notes] or [blob]

    def docker(self, image: Image, manifest: Descriptor, names: Sequence[str]) -> None:
        """Enter an image into `manifest.json`."""
        tags = [str(Reference.parse(name)) for name in names]
        layers = [blob_name(digest) for digest in self.stacks[manifest.digest]]
        self.images.append({"Config": blob_name(image.id), "RepoTags": tags or None, "Layers": layers})

    # Out

    def files(self, entries: list[dict[str, Any]]) -> dict[str, bytes]:
        """What lies in the layout beside the blobs."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        old = {"manifest.json": dump(self.images)} if self.images else {}
        return {"index.json": dump(index), **old, "oci-layout": dump({"imageLayoutVersion": "1.0.0"})}

    def tar(self, chunk_size: int = CHUNK) -> Iterator[bytes]:
        """The layout as a tar, piece by piece; of the same images, the same bytes."""
        for name in ("blobs", "blobs/sha256"):
            yield _header(name, 0, tarfile.DIRTYPE)
        for digest, (size, read) in sorted(self.blobs.items()):
            yield _header(blob_name(digest), size)
            for chunk in read():
                yield from (chunk[at : at + chunk_size] for at in range(0, len(chunk), chunk_size))
            yield bytes(-size % tarfile.BLOCKSIZE)
        for name, data in self.files(self.entries).items():
            yield _header(name, len(data)) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def folder(self, path: Path) -> None:
        """The layout as a folder: a new one appears as a whole; an empty one, or a layout, gets what is new in it.

        Raises InvalidArgument where the folder holds anything else, which is left alone.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            old = entries_of(path) if any(path.iterdir()) else []
            with FileLock(path / "index.json.lock"):
                self._fill(path, [*self._without_ours(old), *self.entries])
            return
        half = temp_path(path)
        half.mkdir()
        try:
            self._fill(half, self.entries)
            half.rename(path)
        finally:
            shutil.rmtree(half, ignore_errors=True)

    def _without_ours(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The entries of an index but those whose names ours take, or, as ours have none, have none either."""
        ours = {name_of(entry) for entry in self.entries}
        return [entry for entry in entries if name_of(entry) not in ours]

    def _fill(self, path: Path, entries: list[dict[str, Any]]) -> None:
        (path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        added: list[Path] = []
        try:
            for digest, (_, read) in sorted(self.blobs.items()):
                there = path / blob_name(digest)
                if not there.is_file() or file_digest(there) != digest:
                    write_stream(there, read())
                    added.append(there)
            for name, data in reversed(self.files(entries).items()):
                write_atomic(path / name, data)
        except BaseException:
            for blob in added:
                blob.unlink(missing_ok=True)
            raise


def entries_of(path: Path) -> list[dict[str, Any]]:
    """The entries of the `index.json` of a layout. Raises InvalidArgument where the folder is none."""
    try:
        with (path / "index.json").open("rb") as stream:
            index = parse_json(stream.read(MAX_JSON + 1), f"{path}/index.json")
    except OSError as error:
        raise InvalidArgument(f"could not read {path}/index.json: {(error.strerror or str(error)).lower()}") from error
    entries = index.get("manifests")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidArgument(f"{path}/index.json is no index of an OCI image layout")
    for entry in entries:
        Descriptor.from_json(entry)
    return entries


def name_of(entry: Mapping[str, Any]) -> str:
    """The name that an entry of an index has; "" for none."""
    notes = entry.get("annotations") or {}
    return str(notes.get(FULL_NAME) or notes.get(REF_NAME) or "")


def write_stream(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that appears as a whole, or not at all; what is no file (a pipe, a device) is written to."""
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            device.writelines(chunks)
        return
    half = temp_path(path)
    try:
        with half.open("xb") as out:
            out.writelines(chunks)
        half.replace(path)
    finally:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)


def _kind(layer: Layer) -> str:
    """How a layer lies in the store."""
    if layer.descriptor.digest == layer.diff_id:
        return "uncompressed"
    return "zstd" if layer.descriptor.media_type.endswith("zstd") else "gzip"


def blob_name(digest: str) -> str:
    """Where a blob lies in a layout."""
    return f"blobs/sha256/{check_digest(digest).partition(':')[2]}"


def level_of(kind: str, text: str) -> int | None:
    """The level of a compression as people write it, 0 to 22; more than there is of it is all of it."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) > 22:
        raise InvalidArgument(f"invalid compression level {text!r}: 0 to 22 is expected")
    return min(int(text), LEVELS[kind][1]) if kind in LEVELS else None


def read_file(path: Path) -> Iterator[bytes]:
    """The bytes of a file, piece by piece."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.mode = size, kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
    return member.tobuf(tarfile.USTAR_FORMAT)
