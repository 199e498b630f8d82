"""A manifest as it lies in a registry, in the words of `docker manifest inspect`."""

from __future__ import annotations

import base64
import json
from typing import Any

from minidocker.content import INDEX, MANIFEST, Descriptor, parse_json
from minidocker.errors import NotFound
from minidocker.manifest import DOCKERS
from minidocker.reference import Reference
from minidocker.registry.client import INDEXES, Found, Repository
from minidocker.registry.refusals import Refused
from minidocker.registry.resolve import kind_of

PLATFORM = ("architecture", "os", "os.version", "os.features", "variant", "features")


def inspect(repository: Repository, name: Reference, verbose: bool = False) -> str:
    """The manifest, or index, of a name as text; `verbose`, with each image's platform and bytes. Raises NotFound."""
    try:
        found = repository.manifest(name.digest or name.tag)
    except Refused as error:
        if error.http_status == 404:
            raise NotFound(f"no such manifest: {name}") from error
        raise
    if kind_of(found) in INDEXES:
        entries = parse_json(found.data, str(name)).get("manifests") or []
        if verbose:
            return _text([_image(repository, name, entry) for entry in entries])
        kind = INDEX if entries and entries[0].get("mediaType") == MANIFEST else DOCKERS[INDEX]
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": [_entry(entry) for entry in entries]}
        return json.dumps(index, indent=3, ensure_ascii=False)
    return _text(_verbose(repository, str(name), found) if verbose else parse_json(found.data, str(name)))


def _image(repository: Repository, name: Reference, entry: dict[str, Any]) -> dict[str, Any]:
    blob = Descriptor.from_json(entry)
    return _verbose(repository, f"{name}@{blob.digest}", repository.manifest(blob.digest), entry.get("platform"))


def _verbose(repository: Repository, ref: str, found: Found, platform: Any = None) -> dict[str, Any]:
    value = parse_json(found.data, ref)
    if platform is None:
        platform = parse_json(repository.small_blob(Descriptor.from_json(value["config"])), "the configuration")
    about = found.descriptor.to_json() | {"platform": _platform(platform)}
    kind = "OCIManifest" if kind_of(found) == MANIFEST else "SchemaV2Manifest"
    return {"Ref": ref, "Descriptor": about, "Raw": base64.b64encode(found.data).decode(), kind: value}


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {key: entry[key] for key in ("mediaType", "size", "digest") if key in entry}
    return kept | {"platform": _platform(entry.get("platform") or {})}


def _platform(facts: dict[str, Any]) -> dict[str, Any]:
    return {"architecture": "", "os": ""} | {key: facts[key] for key in PLATFORM if facts.get(key)}


def _text(value: Any) -> str:
    return json.dumps(value, indent="\t", ensure_ascii=False)
