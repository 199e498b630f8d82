"""From a name to one image: the manifest behind a tag or a digest, and of an index the one for a platform.

Everything is checked against what named it: digest, size and kind, from the index down to the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minidocker.content import CONFIG, Descriptor, parse_json
from minidocker.drawn import printable
from minidocker.errors import CorruptBlob, InvalidArgument, NotFound, Unsupported
from minidocker.manifest import DOCKERS, check_config, check_manifest
from minidocker.platforms import Platform
from minidocker.reference import Reference
from minidocker.registry.client import IMAGES, INDEXES, SCHEMA1, Found, Repository

MAX_DEPTH = 3  # indexes inside indexes
CONFIGS = (CONFIG, DOCKERS[CONFIG])
ATTESTATION = "vnd.docker.reference.type"


@dataclass(frozen=True)
class Resolved:
    """An image of a registry: what its name stands for (`top`: an index, or the manifest itself), and its parts."""

    top: Found
    manifest: Found
    config: bytes
    parts: dict[str, Any]
    raw: dict[str, Any]

    @property
    def layers(self) -> list[tuple[Descriptor, str, tuple[str, ...]]]:
        """Each layer's descriptor, diff id, and other addresses of it."""
        diff_ids = self.raw["rootfs"]["diff_ids"]
        pairs = zip(self.parts["layers"], diff_ids, strict=True)
        return [(Descriptor.from_json(one), diff_id, _addresses(one)) for one, diff_id in pairs]


def resolve(repository: Repository, name: Reference, platform: str = "") -> Resolved:
    """The image of a name. Raises Refused, NotFound (no such platform), Unsupported, CorruptBlob, InvalidArgument."""
    top = repository.manifest(name.digest or name.tag)
    manifest = choose(repository, top, name, platform)
    parts = check_manifest(_image(manifest, name))
    config = repository.small_blob(Descriptor.from_json(parts["config"]))
    raw = check_config(parse_json(config, "the image's configuration"), len(parts["layers"]))
    return Resolved(top, manifest, config, parts, raw)


def choose(repository: Repository, top: Found, name: Reference, platform: str) -> Found:
    """The manifest of one image: of an index, the one that fits best."""
    found = top
    for _ in range(MAX_DEPTH + 1):
        if kind_of(found) not in INDEXES:
            return found
        entry = best(parse_json(found.data, f"index {found.digest}"), platform)
        blob = Descriptor.from_json(entry)
        found = repository.manifest(blob.digest, "the manifest for this platform")
        if len(found.data) != blob.size:
            raise CorruptBlob(f"manifest {blob.digest} is not {blob.size} bytes long, as its index says")
    raise InvalidArgument(f"{name}: its indexes lie more than {MAX_DEPTH} deep in each other")


def kind_of(found: Found) -> str:
    """What a manifest is: by its own word; what the server called it must not say something else."""
    value = parse_json(found.data, f"manifest {found.digest}")
    said, called = value.get("mediaType") or "", found.media_type
    known = (*IMAGES, *INDEXES)
    if "manifests" in value and ("layers" in value or "config" in value or "fsLayers" in value):
        raise InvalidArgument(f"manifest {found.digest} is both an index and an image, and so neither")
    if said and called in known and said != called:
        raise InvalidArgument(f"manifest {found.digest} says that it is {printable(str(said))}, the registry {called}")
    if said in known or called in known:
        return str(said if said in known else called)
    return INDEXES[0] if isinstance(value.get("manifests"), list) else str(said or called)


def best(index: dict[str, Any], platform: str) -> dict[str, Any]:
    """The entry of an index for a platform; this machine's where none is named. Raises NotFound, InvalidArgument."""
    entries = index.get("manifests")
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise InvalidArgument("the registry sent an index that has no list of manifests")
    wanted = Platform.parse(platform)
    images = [one for one in entries if ATTESTATION not in Descriptor.from_json(one).annotations]
    for fitting in wanted.runs():
        for one in images:
            if Platform.of(one.get("platform")) == fitting:
                return dict(one)
    if len(images) == 1 and not images[0].get("platform"):
        return dict(images[0])
    there = ", ".join(sorted({str(found) for one in images if (found := Platform.of(one.get("platform")))}))
    raise NotFound(f"no matching manifest for {wanted} in the manifest list entries: there is {there or 'none'}")


def _image(found: Found, name: Reference) -> dict[str, Any]:
    """The manifest, if it is one of an image that we can run."""
    value, kind = parse_json(found.data, f"manifest {found.digest}"), kind_of(found)
    if value.get("schemaVersion") == 1 or kind in SCHEMA1 or "fsLayers" in value:
        raise Unsupported(
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest "
            f"the author of {name.full} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2"
        )
    config = value.get("config")
    of_config = config.get("mediaType") if isinstance(config, dict) else None
    artifact = value.get("artifactType")
    if kind in IMAGES and (of_config not in CONFIGS or (artifact and artifact not in CONFIGS)):
        what = printable(str(artifact or of_config))[:100]
        raise Unsupported(f'Encountered remote "{what}"(unknown) when fetching {name}: it is an artifact, not an image')
    if kind not in IMAGES and not isinstance(value.get("layers"), list):
        raise Unsupported(
            f"unsupported media type {printable(kind)[:100]!r} of {name}: an image or an index is expected"
        )
    return value


def _addresses(layer: dict[str, Any]) -> tuple[str, ...]:
    urls = layer.get("urls")
    good = isinstance(urls, list) and all(isinstance(url, str) and url.startswith("https://") for url in urls)
    return tuple(urls) if good and isinstance(urls, list) else ()


def fits(resolved: Resolved, platform: str) -> str:
    """What is wrong with the platform of an image that was asked for; "" where nothing is."""
    if not platform:
        return ""
    wanted, actual = Platform.parse(platform), Platform.of(resolved.raw)
    if actual is None or actual in wanted.runs():
        return ""
    return f"does not match the specified platform: wanted {wanted}, actual: {actual}"
