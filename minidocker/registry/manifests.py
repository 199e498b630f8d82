"""Manifests over HTTP: pulled and pushed by tag or digest, checked when they come, found again by their subject."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from minidocker.content import INDEX
from minidocker.registry.client import IMAGES, INDEXES, MAX_MANIFEST, SCHEMA1
from minidocker.registry.errorcodes import RegistryError
from minidocker.registry.names import check_digest, check_tag, is_digest
from minidocker.registry.shelf import Entry, Repository, Shelf
from minidocker.web.message import Request, Response, TooLarge

ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"  # of a draft; some tools still push it
ELSEWHERE = ("nondistributable", "foreign")  # layers that are never pushed: an older Windows


class Manifests:
    """The handlers of `/v2/<name>/manifests/…`, `tags/list` and `referrers/…`."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def get(self, request: Request) -> Response:
        """Pull a manifest."""
        repository, reference = self._named(request)
        entry = repository.find(reference)
        if entry is None:
            raise unknown(repository, reference)
        return serve_manifest(request, repository, entry)

    def put(self, request: Request) -> Response:
        """Push a manifest. What it names must be here already; by `subject` it may name what is not."""
        repository, reference = self._named(request)
        try:
            data = request.body.read(MAX_MANIFEST)
        except TooLarge as error:
            raise RegistryError("SIZE_INVALID", {"limit": MAX_MANIFEST}, error.explanation, 413) from error
        tags = [check_tag(tag) for tag in request.options("tag")]
        if not is_digest(reference):
            tags = [reference, *tags]
            reference = request.option("digest")
        digest = _digest(data, check_digest(reference) if reference else "sha256:")
        if reference not in ("", digest):
            raise RegistryError("DIGEST_INVALID", {"digest": reference, "found": digest})
        value = parse(data)
        media_type = _media_type(request, value)
        subject = subject_of(value)
        self._check(repository, value, media_type)
        repository.put(digest, media_type, data, tags)
        headers = {"Location": f"/v2/{repository.name}/manifests/{digest}", "Docker-Content-Digest": digest}
        if subject is not None:
            headers["OCI-Subject"] = subject
        if request.options("tag"):
            headers["OCI-Tag"] = ", ".join(tags)
        return Response(201, headers)

    def delete(self, request: Request) -> Response:
        """Delete a tag, or a manifest by its digest."""
        repository, reference = self._named(request)
        if not repository.exists():
            raise RegistryError("NAME_UNKNOWN", {"name": repository.name})
        repository.remove(reference)
        return Response(202)

    def tags(self, request: Request) -> Response:
        """List the tags, in pages where they are asked for."""
        repository = self.shelf.repository(request.variables["name"])
        if not repository.exists():
            raise RegistryError("NAME_UNKNOWN", {"name": repository.name})
        return serve_tags(request, repository.name, repository.tags())

    def catalog(self, request: Request) -> Response:
        """List the repositories: Docker's own addition."""
        names, headers = page(request, list(self.shelf.names()))
        return Response.json({"repositories": names}, headers=headers)

    def referrers(self, request: Request) -> Response:
        """List the manifests whose `subject` is this digest, as an index; `artifactType` chooses among them."""
        repository = self.shelf.repository(request.variables["name"])
        digest, kind = check_digest(request.variables["digest"]), request.option("artifactType")
        found = [one for one in referrers(repository, digest) if kind in ("", one.get("artifactType"))]
        headers = {"Content-Type": INDEX} | ({"OCI-Filters-Applied": "artifactType"} if kind else {})
        found, more = _fitting(request, found)
        return Response.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}, headers=headers | more)

    def _named(self, request: Request) -> tuple[Repository, str]:
        reference = request.variables["reference"]
        return (
            self.shelf.repository(request.variables["name"]),
            check_digest(reference) if is_digest(reference) else check_tag(reference),
        )

    def _check(self, repository: Repository, value: dict[str, Any], media_type: str) -> None:
        """That it is a manifest, and that everything it names is here."""
        known = {entry["digest"] for entry in repository.entries()}
        missing = []
        for one, is_manifest in named(value, media_type):
            digest = check_digest(one["digest"])
            if not (digest in known if is_manifest else repository.has_blob(digest)) and not _elsewhere(one):
                missing.append(digest)
        if missing:
            raise RegistryError("MANIFEST_BLOB_UNKNOWN", {"digests": missing[:20]})


def serve_manifest(request: Request, repository: Repository, entry: Entry) -> Response:
    """A manifest as it was pushed, byte for byte."""
    digest = entry["digest"]
    headers = {"Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
    if f'"{digest}"' in request.headers.get("if-none-match", ""):
        return Response(304, headers)
    return Response(200, headers | {"Content-Type": entry["mediaType"]}, repository.read(entry))


def serve_tags(request: Request, name: str, tags: list[str]) -> Response:
    """The tags of a repository, or the page of them that is asked for."""
    tags, headers = page(request, tags)
    return Response.json({"name": name, "tags": tags}, headers=headers)


def unknown(repository: Repository, reference: str) -> RegistryError:
    """The error for a manifest that is not here."""
    if not repository.exists():
        return RegistryError("NAME_UNKNOWN", {"name": repository.name})
    return RegistryError("MANIFEST_UNKNOWN", {"name": repository.name, "reference": reference})


def parse(data: bytes) -> dict[str, Any]:
    """A manifest's JSON. Raises MANIFEST_INVALID."""
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise RegistryError("MANIFEST_INVALID", str(error)[:200]) from error
    if not isinstance(value, dict) or value.get("schemaVersion") != 2:
        raise RegistryError("MANIFEST_INVALID", "a JSON object with schemaVersion 2 is expected")
    return value


def named(value: dict[str, Any], media_type: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """The descriptors in a manifest but its subject, and whether each is of a manifest. Raises MANIFEST_INVALID."""
    if media_type in INDEXES:
        yield from ((one, True) for one in _descriptors(value, "manifests"))
        return
    if media_type in IMAGES:
        if not _is_descriptor(value.get("config")):
            raise RegistryError("MANIFEST_INVALID", "config must be a descriptor")
        yield value["config"], False
    yield from ((one, False) for one in _descriptors(value, "layers" if media_type in IMAGES else "blobs"))


def _descriptors(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    found = [] if found is None else found  # Go writes an empty list as null
    if not isinstance(found, list) or not all(map(_is_descriptor, found)):
        raise RegistryError("MANIFEST_INVALID", f"{key} must be a list of descriptors")
    return found


def _is_descriptor(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("digest"), str)
        and isinstance(value.get("mediaType", ""), str)
        and type(value.get("size")) is int
        and value["size"] >= 0
    )


def _elsewhere(descriptor: dict[str, Any]) -> bool:
    """Whether the blob may be missing here: a layer that must not be pushed, or is to be had at an address."""
    return bool(descriptor.get("urls")) or any(word in descriptor.get("mediaType", "") for word in ELSEWHERE)


def _media_type(request: Request, value: dict[str, Any]) -> str:
    """What it is, by its header, which it must not contradict."""
    header = request.headers.get("content-type", "").partition(";")[0].strip()
    own = value.get("mediaType")
    media_type = header or own
    if not isinstance(media_type, str) or media_type not in (*IMAGES, *INDEXES, ARTIFACT):
        old = ": images of schema 1 are too old" if media_type in SCHEMA1 else ""
        raise RegistryError("MANIFEST_INVALID", f"unsupported manifest media type {str(media_type)[:80]!r}{old}")
    if own not in (None, "", media_type):
        problem = f"mediaType in manifest should be {media_type!r} not {str(own)[:80]!r}"
        raise RegistryError("MANIFEST_INVALID", problem)
    if ("manifests" in value and media_type in IMAGES) or ("layers" in value and media_type in INDEXES):
        raise RegistryError("MANIFEST_INVALID", "a manifest is of one image or of several, not both")
    return media_type


def subject_of(value: dict[str, Any]) -> str | None:
    """The digest of the manifest that this one is about. Raises MANIFEST_INVALID, DIGEST_INVALID."""
    if (subject := value.get("subject")) is None:
        return None
    if not _is_descriptor(subject):
        raise RegistryError("MANIFEST_INVALID", "subject must be a descriptor")
    return check_digest(subject["digest"])


def _digest(data: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def referrers(repository: Repository, digest: str) -> list[dict[str, Any]]:
    """The descriptors of all manifests with this subject, with the facts that one chooses them by."""
    found = {}
    for entry in repository.entries():
        if entry["digest"] in found:
            continue
        try:
            value = parse(repository.read(entry))
            if subject_of(value) != digest:
                continue
        except RegistryError:
            continue
        found[entry["digest"]] = {key: entry[key] for key in ("mediaType", "digest", "size")} | _facts(value)
    return list(found.values())


def _facts(value: dict[str, Any]) -> dict[str, Any]:
    config = value.get("config")
    kind = value.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    notes = value.get("annotations")
    return {key: fact for key, fact in (("artifactType", kind), ("annotations", notes)) if fact}


def page(request: Request, everything: list[str]) -> tuple[list[str], dict[str, str]]:
    """A page of a sorted listing, by `n` and `last`, and the header that leads to the next one."""
    last, number = request.option("last"), request.option("n")
    if number and not (number.isascii() and number.isdigit() and len(number) < 19):
        raise RegistryError("PAGINATION_NUMBER_INVALID", {"n": number[:80]})
    rest = [one for one in everything if one > last] if last else everything
    if not number or int(number) >= len(rest):
        return rest, {}
    found = rest[: int(number)]
    return found, _next(request, {"n": number, "last": found[-1]}) if found else {}


def _next(request: Request, options: dict[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in request.query if key not in options}
    return {"Link": f'<{quote(request.path, safe="/%:")}?{urlencode(kept | options)}>; rel="next"'}


def _fitting(request: Request, found: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """As many of the descriptors, after `last`, as fit into an index of a sensible size."""
    last = request.option("last")
    names = [one["digest"] for one in found]
    rest = found[names.index(last) + 1 :] if last in names else found
    size = 0
    some: list[dict[str, Any]] = []
    for one in rest:
        size += len(json.dumps(one))
        if some and size > MAX_MANIFEST - 1024:
            return some, _next(request, {"last": some[-1]["digest"]})
        some.append(one)
    return some, {}
