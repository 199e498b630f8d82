"""The build cache goes elsewhere: `--cache-to`.

`type=local` is an OCI image layout. Its index names one manifest for each tag; the manifest's layers are those of the
steps, compressed, and its configuration is ours:

    {"records": [{"instruction": …, "created": …, "seconds": …, "facts": {…}, "layer": 0, "diff_id": "sha256:…"}],
     "files": {"sha256:…": {"a.txt": "file 644 0:0 sha256:…"}}}

A record's key is not in it, as it is the digest of the facts. `type=inline` puts the records into the configuration of
the image itself, under `minidocker.cache.v0`, for the layers that the image has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.build.cache import Cache
from minidocker.build.specs import pairs, truth
from minidocker.content import MANIFEST, FileLock, Store, parse_json
from minidocker.errors import APIError, InvalidArgument, Unsupported
from minidocker.image import Layer
from minidocker.layout import SUFFIX, Layout, Packing, blob_name, entries_of, level_of
from minidocker.manifest import REF_NAME, dump, manifest_of

if TYPE_CHECKING:
    from minidocker.build.step import Build, Step

Json = dict[str, Any]
INLINE = "minidocker.cache.v0"
TYPE = "application/vnd.minidocker.cache.config.v0+json"
ELSEWHERE = ("registry", "gha", "s3", "azblob")
NOWHERE = "use type=local,dest=DIR, and carry the folder; or type=inline with --push"
IGNORED = ("oci-mediatypes", "image-manifest")  # what they choose between is the same here


@dataclass(frozen=True)
class Target:
    """One `--cache-to`."""

    kind: str
    dest: str = ""
    full: bool = False  # mode=max: the layers of all steps, and not only those of the image
    tag: str = "latest"
    packing: Packing = Packing("gzip")  # noqa: RUF009 it cannot be changed
    lenient: bool = False

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read one. Raises InvalidArgument, Unsupported."""
        if "=" not in text:
            raise Unsupported(f"--cache-to {text}: {NOWHERE}")
        options = pairs(text)
        kind, mode = options.pop("type", ""), options.pop("mode", "min")
        if kind in ELSEWHERE:
            raise Unsupported(f"--cache-to type={kind} is not supported: {NOWHERE}")
        if kind not in ("local", "inline"):
            raise InvalidArgument(f'type required for "{text}"' if not kind else f"unknown cache exporter: {kind!r}")
        if mode not in ("min", "max"):
            raise InvalidArgument(f"invalid cache mode {mode!r}: min or max")
        dest, tag, lenient = options.pop("dest", ""), options.pop("tag", "latest"), truth(options, "ignore-error")
        if kind == "local" and not dest:
            raise InvalidArgument("local cache exporter requires dest")
        pack, force = options.pop("compression", "gzip"), truth(options, "force-compression")
        if pack not in SUFFIX:
            raise Unsupported(f"compression={pack} is not supported: use {', '.join(SUFFIX)}")
        packing = Packing(pack, level_of(pack, options.pop("compression-level", "")), force)
        for name in IGNORED:
            truth(options, name)
        if options:
            raise InvalidArgument(f"unknown attribute for cache type={kind}: {min(options)}")
        return cls(kind, dest, mode == "max", tag, packing, lenient)


def inline(steps: Sequence[Step], history: Sequence[Mapping[str, Any]], layers: Sequence[Layer]) -> Json:
    """What goes into an image's configuration: the records of the steps that made it, as its history has them."""
    places = {layer.diff_id: number for number, layer in enumerate(layers)}
    chosen = [step for step in steps if step.history and dict(step.history) in [dict(line) for line in history]]
    return {INLINE: {"records": [_record(step, places, None) for step in chosen]}}


def export(target: Target, builds: Sequence[Build], store: Store, scratch: Path) -> None:
    """Write what the builds made, or took from the cache, into a folder. Raises APIError, OSError."""
    cache, layout = Cache(store), Layout(scratch)
    known: dict[str, Layer] = {}
    files: dict[str, Mapping[str, str]] = {}
    records: dict[str, tuple[Step, float]] = {}
    for build in builds:
        assert build.image is not None
        wanted = set(build.image.diff_ids)
        for step in build.steps:
            record, _ = cache.find(step.decision.key)
            if record is None or (step.layer and not target.full and step.layer.diff_id not in wanted):
                continue
            if step.layer:
                known[step.layer.diff_id] = step.layer
            records[record.key] = (step, record.seconds)
            if listing := cache.files(str(record.facts.get("files", ""))):
                files[record.facts["files"]] = listing
    places = {diff_id: number for number, diff_id in enumerate(known)}
    blobs = [layout.layer(layer, target.packing) for layer in known.values()]
    rows = [_record(step, places, seconds) for step, seconds in records.values()]
    config = layout.put(dump({"records": rows, "files": files}), TYPE)
    manifest = manifest_of(config, blobs)
    entry = layout.put(manifest, MANIFEST).to_json()
    layout.entries.append(entry | {"annotations": {REF_NAME: target.tag}})
    layout.folder(Path(target.dest))
    _tidy(Path(target.dest))


def _record(step: Step, places: Mapping[str, int], seconds: float | None) -> Json:
    said: Json = {"instruction": step.text, "created": step.history.get("created", ""), "facts": dict(step.facts)}
    if seconds is not None:
        said["seconds"] = seconds
    if step.layer:
        size = step.layer.descriptor.size
        said |= {"layer": places[step.layer.diff_id], "diff_id": step.layer.diff_id, "size": size}
    return said


def _tidy(folder: Path) -> None:
    """Delete what no tag of the folder names any more, unless there is anything in it that is not ours."""
    with FileLock(folder / "index.json.lock"), suppress(APIError, OSError):
        alive = set()
        for entry in entries_of(folder):
            manifest = parse_json((folder / blob_name(entry["digest"])).read_bytes(), "a manifest")
            if manifest["config"]["mediaType"] != TYPE:
                return
            alive |= {entry["digest"], manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])}
        for path in (folder / "blobs" / "sha256").iterdir():
            if re.fullmatch(r"[0-9a-f]{64}", path.name) and f"sha256:{path.name}" not in alive:
                path.unlink()
