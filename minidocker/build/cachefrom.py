"""Build caches from elsewhere: `--cache-from`. What is there is what `minidocker.build.cacheto` wrote.

All of it is hostile: digests, sizes and shapes are checked, and a layer must be a valid one. But whoever can write
there decides what a step gives, so take only what is yours. A cache that is not there, or is broken, costs time and no
more.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.build.cache import Cache, Record, key_of, listing_digest
from minidocker.build.cacheto import ELSEWHERE, INLINE, NOWHERE, TYPE
from minidocker.build.specs import fields, pairs
from minidocker.compression import decompress
from minidocker.content import LAYER, MAX_JSON, Descriptor, check_digest, parse_json
from minidocker.errors import APIError, InvalidArgument, Unsupported
from minidocker.image import Layer
from minidocker.layout import blob_name, entries_of, name_of, read_file
from minidocker.manifest import LAYER_TYPE
from minidocker.times import unix_time

if TYPE_CHECKING:
    from minidocker.images import Images

Json = dict[str, Any]


@dataclass(frozen=True)
class CacheSource:
    """A cache from elsewhere. `layers` are the uncompressed bytes of each layer; `where` is what it is called."""

    where: str
    records: Mapping[str, Json]
    files: Mapping[str, Any]
    layers: Sequence[Callable[[], Iterable[bytes]]]

    def find(self, key: str) -> Record | None:
        """The record of a key, its layer not yet fetched."""
        value = self.records.get(key)
        if value is None:
            return None
        layer = Descriptor(LAYER, value["diff_id"], value["size"]) if value.get("diff_id") else None
        why = f"taken from {self.where}"
        return Record(key, layer, value["created"], float(value.get("seconds", 0)), value["facts"], why)

    def fetch(self, key: str, cache: Cache) -> Record | None:
        """The record of a key, now in the cache with its layer. Raises APIError where that is not what it should be."""
        record = self.find(key)
        if record is None:
            return None
        value, store = self.records[key], cache.store
        if record.layer and not store.has(record.layer.digest):
            with store.writer(LAYER) as writer:
                for chunk in self.layers[value["layer"]]():
                    if writer.write(chunk) and writer.size > record.layer.size:
                        raise InvalidArgument(f"layer {record.layer.digest} is larger than it should be")
                writer.commit(record.layer.digest)
        if record.layer:
            store.layer(record.layer, record.layer.digest)  # a hostile one stops here
        listing = self.files.get(record.facts.get("files", ""))
        if isinstance(listing, dict) and listing_digest(listing) == record.facts["files"]:
            cache.put_files(listing)
        cache.add(record, value["instruction"])
        return record


def sources(given: Sequence[str], images: Images, warn: Callable[[str], None]) -> Iterator[CacheSource]:
    """What `--cache-from` names, as far as it is there; of the rest, a warning. Raises InvalidArgument, Unsupported."""
    for text in given:
        options = pairs(text) if "=" in text else {}
        for name in [options.get("ref", "")] if options.get("type") == "registry" else [] if options else fields(text):
            with _warned(warn, f"cache import from {name}"):
                yield _inline(images, name)
        if options and options.get("type") != "registry":
            source = partial(_local, **_local_options(text, options))
            with _warned(warn, f"local cache import at {options['src']}"):
                yield source()


@contextmanager
def _warned(warn: Callable[[str], None], what: str) -> Iterator[None]:
    try:
        yield
    except (APIError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        warn(f"[Warning] {what} not found due to err: {error}\n")


def _local_options(text: str, options: dict[str, str]) -> dict[str, str]:
    kind = options.get("type", "")
    if kind in ELSEWHERE:
        raise Unsupported(f"--cache-from type={kind} is not supported: {NOWHERE}")
    if kind != "local":
        raise InvalidArgument(f'type required for "{text}"' if not kind else f"unknown cache importer: {kind!r}")
    if not options.get("src"):
        raise InvalidArgument("local cache importer requires src")
    if wrong := options.keys() - {"type", "src", "tag", "digest"}:
        raise InvalidArgument(f"unknown attribute for cache type=local: {min(wrong)}")
    return {"src": options["src"], "tag": options.get("tag", "latest"), "digest": options.get("digest", "")}


def _local(src: str, tag: str, digest: str) -> CacheSource:
    """A folder that `--cache-to type=local` wrote."""
    folder = Path(src)
    entries = entries_of(folder)
    chosen = [one for one in entries if (one["digest"] == digest if digest else name_of(one) == tag)]
    if not chosen:
        raise InvalidArgument(f"there is no {digest or f'tag {tag}'} in {src}")
    manifest = _json(folder, Descriptor.from_json(chosen[0]))
    config = Descriptor.from_json(manifest.get("config"))
    if config.media_type != TYPE:
        raise InvalidArgument(f"{src} holds an image, or another builder's cache")
    blobs = [Descriptor.from_json(layer) for layer in manifest["layers"]]
    if not all(LAYER_TYPE.fullmatch(blob.media_type) for blob in blobs):
        raise InvalidArgument(f"{src} has layers of an unknown kind")
    layers = [partial(_blob, folder, blob) for blob in blobs]
    value = _json(folder, config)
    files = value.get("files")
    return CacheSource(
        f"the cache in {src}", _records(value, len(layers)), files if isinstance(files, dict) else {}, layers
    )


def _inline(images: Images, name: str) -> CacheSource:
    """The records that are in an image of this engine."""
    image = images.get(name) if images.find(name) else images.fetch(name)
    if INLINE not in image.raw:
        raise InvalidArgument("there is no cache metadata in it: build it with --cache-to type=inline")
    layers = [partial(_plain, layer) for layer in image.layers]
    value = image.raw[INLINE]
    if not isinstance(value, dict):
        raise InvalidArgument("its cache metadata is no object")
    records = _records(value, len(layers))
    for record in records.values():
        if record.get("diff_id") and record["diff_id"] != image.diff_ids[record["layer"]]:
            raise InvalidArgument("its cache metadata is about other layers")
    return CacheSource(f"the image {name}", records, {}, layers)


def _plain(layer: Layer) -> Iterator[bytes]:
    return decompress(layer.store.open(layer.descriptor.digest))


def _blob(folder: Path, blob: Descriptor) -> Iterator[bytes]:
    path = folder / blob_name(blob.digest)
    if path.stat().st_size != blob.size:
        raise InvalidArgument(f"blob {blob.digest} in {folder} is not {blob.size} bytes long")
    return decompress(read_file(path))


def _json(folder: Path, blob: Descriptor) -> Json:
    with (folder / blob_name(blob.digest)).open("rb") as stream:
        data = stream.read(MAX_JSON + 1)
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != blob.digest or len(data) != blob.size:
        raise InvalidArgument(f"blob {blob.digest} in {folder} has other bytes than its digest says")
    return parse_json(data, f"blob {blob.digest}")


def _records(value: Json, layers: int) -> dict[str, Json]:
    """The records by their keys, each looked at. Raises InvalidArgument."""
    found = {}
    for record in value.get("records") or ():
        try:
            facts, text, seconds = record["facts"], record["instruction"], record.get("seconds", 0)
            good = isinstance(facts, dict) and isinstance(text, str) and unix_time(record["created"]) >= 0
            good = good and isinstance(record["created"], str) and math.isfinite(seconds) and seconds >= 0
            if record.get("diff_id") is not None:
                check_digest(record["diff_id"])
                good = good and type(record["size"]) is int and 0 <= record["layer"] < layers
            found[key_of(facts)] = record
        except (KeyError, TypeError, AttributeError):
            good = False
        if not good:
            raise InvalidArgument("a record of the cache makes no sense")
    return found


def check(given: Sequence[str]) -> None:
    """Refuse sources that make no sense, before anything is built. Raises InvalidArgument, Unsupported."""
    for text in given:
        options = pairs(text) if "=" in text else {}
        if options and options.get("type") != "registry":
            _local_options(text, options)
