"""Artifacts: what is said about an image, beside it in the registry; a signature, an SBOM, a test report.

An artifact is a manifest whose `subject` is the image's, by the OCI image specification 1.1. Nothing of the image
changes, its digest neither, and whoever has it finds what is about it: `GET /v2/<name>/referrers/<digest>`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from minidocker.content import MANIFEST, Descriptor, parse_json
from minidocker.manifest import dump
from minidocker.registry.client import Repository

EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


def referrers(repository: Repository, digest: str, artifact_type: str = "") -> list[dict[str, Any]]:
    """The descriptors of the artifacts that are about the manifest of this digest. Raises Refused, Unreachable."""
    place = f"referrers/{quote(digest, safe=':')}"
    if artifact_type:
        place += f"?{urlencode({'artifactType': artifact_type})}"
    with repository.ask("GET", place, "what is said about it?", [200]) as answer:
        index = parse_json(answer.read(), "the list of referrers")
    found = [one for one in index.get("manifests") or [] if isinstance(one, dict)]
    return [one for one in found if artifact_type in ("", one.get("artifactType"))]  # not every registry chooses


def attach(
    repository: Repository,
    reference: str,
    artifact_type: str,
    content: bytes,
    media_type: str = "application/octet-stream",
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Say something about the manifest of a tag or digest; the descriptor of the new artifact."""
    repository.pushes = True
    subject = repository.manifest(reference).descriptor
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": _put(repository, EMPTY, EMPTY_TYPE).to_json(),
        "layers": [_put(repository, content, media_type).to_json()],
        "subject": subject.to_json(),
    } | ({"annotations": dict(annotations)} if annotations else {})
    data = dump(value)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    repository.put_manifest(digest, data, MANIFEST)
    return Descriptor(MANIFEST, digest, len(data))


def _put(repository: Repository, data: bytes, media_type: str) -> Descriptor:
    """A small blob, in one request where the registry takes it so, else in two."""
    blob = Descriptor(media_type, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    if not repository.has_blob(blob.digest):
        why, asked = "the artifact's content", urlencode({"digest": blob.digest})
        headers = {"Content-Type": "application/octet-stream"}
        place = f"blobs/uploads/?{asked}"
        with repository.ask("POST", place, why, [201, 202], headers, lambda: [data], len(data)) as answer:
            status, location = answer.status, answer.header("Location")
        if status == 202:
            place = f"{location}{'&' if '?' in location else '?'}{asked}"
            repository.ask("PUT", place, why, [201], headers, lambda: [data], len(data)).close()
    return blob
