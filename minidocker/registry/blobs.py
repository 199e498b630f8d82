"""Blobs over HTTP: pulled whole or in ranges, pushed in one piece or in chunks, mounted from another repository."""

from __future__ import annotations

import os
import re

from minidocker.registry.errorcodes import RegistryError
from minidocker.registry.names import check_digest
from minidocker.registry.shelf import Repository, Shelf
from minidocker.registry.uploads import Uploads
from minidocker.web.message import FilePart, Request, Response

FOREVER = "max-age=31536000"  # what a digest names never changes


class Blobs:
    """The handlers of `/v2/<name>/blobs/…`."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.uploads = shelf, Uploads()

    def get(self, request: Request) -> Response:
        """Pull a blob, or a range of it."""
        repository, digest = self.shelf.repository(request.variables["name"]), check_digest(request.variables["digest"])
        if not repository.has_blob(digest):
            raise RegistryError("BLOB_UNKNOWN", {"digest": digest})
        return serve_blob(request, self.shelf, digest)

    def delete(self, request: Request) -> Response:
        """Take a blob out of a repository; its bytes go with the next collection of garbage."""
        self.shelf.repository(request.variables["name"]).unlink(check_digest(request.variables["digest"]))
        return Response(202)

    def start(self, request: Request) -> Response:
        """Begin an upload, or be done at once: with the blob in the request, or one that another repository has."""
        repository = self.shelf.repository(request.variables["name"])
        if (digest := request.option("mount")) and self._mount(repository, digest, request.option("from")):
            return _created(repository, digest)
        if digest := request.option("digest"):
            return self._whole(repository, check_digest(digest), request)
        return self._progress(202, request, repository, self.uploads.start(repository), 0)

    def _mount(self, repository: Repository, digest: str, source: str) -> bool:
        """From the repository that is named, or else from any."""
        check_digest(digest)
        names = [source] if source else self.shelf.names()
        with self.shelf.store.keep():
            found = any(self.shelf.repository(name).has_blob(digest) for name in names)
            if found:
                repository.link(digest)
        return found

    def _whole(self, repository: Repository, digest: str, request: Request) -> Response:
        name = self.uploads.start(repository)
        try:
            self.uploads.append(repository, name, request.body, digest.partition(":")[0])
            self.uploads.commit(repository, name, digest)
        except BaseException:
            if (repository.uploads / name).exists():
                self.uploads.cancel(repository, name)
            raise
        return _created(repository, digest)

    def append(self, request: Request) -> Response:
        """Add a chunk."""
        repository, name = self._session(request)
        size = self.uploads.append(repository, name, request.body, _algorithm(request), _span(request))
        return self._progress(202, request, repository, name, size)

    def finish(self, request: Request) -> Response:
        """Add the last chunk, if there is one more, and close the upload: now it is a blob."""
        repository, name = self._session(request)
        self.uploads.size(repository, name)
        digest = check_digest(request.option("digest"))
        self.uploads.append(repository, name, request.body, digest.partition(":")[0], _span(request))
        self.uploads.commit(repository, name, digest)
        return _created(repository, digest)

    def status(self, request: Request) -> Response:
        """How far an upload has come."""
        repository, name = self._session(request)
        return self._progress(204, request, repository, name, self.uploads.size(repository, name))

    def cancel(self, request: Request) -> Response:
        """Forget an upload."""
        self.uploads.cancel(*self._session(request))
        return Response(204)

    def _session(self, request: Request) -> tuple[Repository, str]:
        return self.shelf.repository(request.variables["name"]), request.variables["id"]

    def _progress(self, status: int, request: Request, repository: Repository, name: str, size: int) -> Response:
        algorithm = f"?digest-algorithm={_algorithm(request)}" if request.option("digest-algorithm") else ""
        location = f"/v2/{repository.name}/blobs/uploads/{name}{algorithm}"
        return Response(status, {"Location": location, "Range": f"0-{max(size - 1, 0)}", "Docker-Upload-UUID": name})


def serve_blob(request: Request, shelf: Shelf, digest: str) -> Response:
    """The bytes of a blob that may be read, or the range of them that is asked for, straight from its file."""
    headers = {
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Cache-Control": FOREVER,
        "Accept-Ranges": "bytes",
    }
    if f'"{digest}"' in request.headers.get("if-none-match", ""):
        return Response(304, headers)
    headers["Content-Type"] = "application/octet-stream"
    try:
        blob = shelf.path(digest).open("rb")
    except FileNotFoundError:
        raise RegistryError("BLOB_UNKNOWN", {"digest": digest}) from None
    size = os.fstat(blob.fileno()).st_size
    asked = request.headers.get("range", "")
    if not asked or request.headers.get("if-range", f'"{digest}"') != f'"{digest}"' or "," in asked:
        return Response(200, headers, FilePart(blob, 0, size))
    try:
        first, last = _range(asked, size)
    except BaseException:
        blob.close()
        raise
    return Response(
        206, headers | {"Content-Range": f"bytes {first}-{last}/{size}"}, FilePart(blob, first, last - first + 1)
    )


def _range(text: str, size: int) -> tuple[int, int]:
    """The first and last byte of a Range header.

    >>> _range("bytes=2-5", 10), _range("bytes=2-", 10), _range("bytes=-3", 10), _range("bytes=8-99", 10)
    ((2, 5), (2, 9), (7, 9), (8, 9))
    """
    match = re.fullmatch(r"bytes=\s*([0-9]{0,19})-([0-9]{0,19})\s*", text)
    if match is None or not (match[1] or match[2]):
        first, last = 1, 0
    elif not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2]), size - 1) if match[2] else size - 1
    if first > last:
        raise RegistryError("RANGE_INVALID", {"range": text[:80]}, headers={"Content-Range": f"bytes */{size}"})
    return first, last


def _span(request: Request) -> tuple[int, int] | None:
    """The first and last byte of a chunk, where the client counts them; they must agree with the length."""
    text = request.headers.get("content-range", "")
    if not text:
        return None
    match = re.fullmatch(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/.*)?", text)
    if match is None or int(match[1]) > int(match[2]):
        raise RegistryError("RANGE_INVALID", {"range": text[:80]})
    span = int(match[1]), int(match[2])
    length = request.headers.get("content-length")
    if length is not None and int(length) != span[1] - span[0] + 1:
        raise RegistryError("SIZE_INVALID", {"range": text[:80], "length": length})
    return span


def _algorithm(request: Request) -> str:
    """What an upload will be hashed by: its client may say so when it begins, else one guesses."""
    asked = request.option("digest-algorithm", "sha256")
    if asked not in ("sha256", "sha512"):
        raise RegistryError("DIGEST_INVALID", {"algorithm": asked[:80]}, "unsupported digest algorithm")
    return asked


def _created(repository: Repository, digest: str) -> Response:
    location = f"/v2/{repository.name}/blobs/{digest}"
    return Response(201, {"Location": location, "Docker-Content-Digest": digest})
