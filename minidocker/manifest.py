"""Manifests and configurations, by the OCI image specification; those from outside are checked here, once.

A manifest names the blobs of an image: one configuration, and the layers, bottom first. The configuration says what a
container starts with, how the image was made, and the diff id of each layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from minidocker.content import CONFIG, INDEX, LAYER, MANIFEST, Descriptor, check_digest
from minidocker.errors import InvalidArgument

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
DOCKERS = {  # what Docker called the parts of an image before there was an OCI
    INDEX: "application/vnd.docker.distribution.manifest.list.v2+json",
    MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
    CONFIG: "application/vnd.docker.container.image.v1+json",
    LAYER: "application/vnd.docker.image.rootfs.diff.tar",
    LAYER + "+gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
MANIFESTS = (MANIFEST, DOCKERS[MANIFEST], None)  # of an image, as an index names them; with none, it is the OCI's
LAYER_TYPE = re.compile(
    r"application/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?"
    r"|docker\.image\.rootfs\.(diff|foreign\.diff)\.tar(\.gzip)?)"
)
SHAPES: dict[str, type] = {
    **dict.fromkeys("architecture os created author created_by comment User WorkingDir StopSignal".split(), str),
    **dict.fromkeys("Env Cmd Entrypoint OnBuild Shell".split(), list),
    **dict.fromkeys("Labels ExposedPorts Volumes Healthcheck".split(), dict),
    "empty_layer": bool,
}
MAX_LAYERS = 127  # as Docker's overlay2


def manifest_of(
    config: Descriptor, layers: Sequence[Descriptor], notes: Mapping[str, str] | None = None, kind: str = MANIFEST
) -> bytes:
    """The manifest of an image, with annotations, as the bytes of its blob."""
    value = {"schemaVersion": 2, "mediaType": kind, "config": config.to_json()}
    said = {"annotations": dict(notes)} if notes else {}
    return dump(value | {"layers": [layer.to_json() for layer in layers]} | said)


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


def type_of(manifest: Mapping[str, Any]) -> str:
    """The media type of a manifest: what it says itself, else by what its configuration is."""
    said = manifest.get("mediaType")
    docker = manifest["config"]["mediaType"] == DOCKERS[CONFIG]
    return said if said in MANIFESTS and said else DOCKERS[MANIFEST] if docker else MANIFEST


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
    found: Any
    for name, found in value.items():
        kind = SHAPES.get(name)
        if kind is None or found is None:
            continue
        if not issubclass(type(found), kind):
            raise InvalidArgument(f"invalid image configuration: {name} must be a {kind.__name__}")
        words: Any = found if kind is list else found.values() if name == "Labels" else ()
        if not all(isinstance(word, str) for word in words):
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
