"""A client for tests: what the specification's conformance suite sends, and nothing that makes up for the server."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of its first error."""
        return str(self.json["errors"][0]["code"])


class Talk:
    """One client of one registry."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.url, self.headers = url, headers or {}
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, **headers: str) -> Answer:
        """A request; `Content_Range=…` is a header. `path` may be a whole URL, or what a Location said."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=120)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, path.removeprefix(self.url), body, self.headers | named)
            answer = self._connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def start(self, name: str) -> str:
        """Where an upload goes on."""
        answer = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        assert answer.status == 202
        return str(answer.headers["Location"])

    def push_blob(self, name: str, data: bytes, algorithm: str = "sha256") -> str:
        location = self.start(name)
        done = self.ask("PUT", with_options(location, digest=digest(data, algorithm)), data)
        assert done.status == 201, done.body
        return digest(data, algorithm)

    def push_manifest(self, name: str, value: dict[str, Any], reference: str = "", kind: str = "") -> Answer:
        data = json.dumps(value).encode()
        kind = kind or value["mediaType"]
        return self.ask("PUT", f"/v2/{name}/manifests/{reference or digest(data)}", data, Content_Type=kind)

    def push_image(self, name: str, reference: str = "", **more: Any) -> str:
        """An image with a layer of random bytes; the digest of its manifest."""
        value = image(self.push_blob(name, b"{}"), [self.push_blob(name, os.urandom(64))]) | more
        answer = self.push_manifest(name, value, reference)
        assert answer.status == 201, answer.body
        return str(answer.headers["Docker-Content-Digest"])


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def with_options(location: str, **options: str) -> str:
    return location + ("&" if "?" in location else "?") + urlencode(options)


def descriptor(digest: str, kind: str, size: int = 64) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size}


def image(config: str, layers: list[str]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(config, CONFIG, 2),
        "layers": [descriptor(layer, LAYER) for layer in layers],
    }


def index(*manifests: dict[str, Any]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
