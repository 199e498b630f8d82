"""A read-through mirror: what is not here is fetched from another registry, checked, kept, and handed on meanwhile.

A tag is asked for at the other registry each time, as it may have moved; when that one does not answer, what is here
serves. A digest is asked for once: however many clients wait for a blob, one fetch feeds them all, from the file that
it fills.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO
from urllib.parse import urlsplit

from minidocker.errors import APIError, InvalidArgument
from minidocker.registry.blobs import serve_blob
from minidocker.registry.client import Client
from minidocker.registry.client import Repository as Remote
from minidocker.registry.credentials import Login
from minidocker.registry.errorcodes import RegistryError
from minidocker.registry.manifests import serve_manifest, serve_tags, unknown
from minidocker.registry.names import check_digest, check_tag, is_digest
from minidocker.registry.refusals import Refused
from minidocker.registry.settings import Endpoint, Settings
from minidocker.registry.shelf import Entry, Repository, Shelf
from minidocker.registry.uploads import Uploads
from minidocker.registry.wire import Answer, Unreachable
from minidocker.web.message import Gone, Request, Response

PATIENCE = 120.0  # seconds to wait for the next bytes from the other registry
PIECE = 1 << 18


class Mirror:
    """The handlers of pulls, in a registry that mirrors the one at `url`."""

    def __init__(self, shelf: Shelf, url: str, logins: Callable[[str], Login]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
            raise InvalidArgument(f"invalid mirror {url!r}: expected https://HOST[:PORT]")
        settings = Settings.read(shelf.store.root)
        verify = not settings.is_insecure(parts.netloc)
        self.shelf, self.url, self.uploads = shelf, url, Uploads()
        self.endpoint = Endpoint(parts.netloc, parts.scheme, parts.netloc, verify, prefix=parts.path.rstrip("/"))
        self.client = Client(settings, logins)
        self._fetches: dict[str, Fetch] = {}
        self._mutex = threading.Lock()

    def remote(self, repository: Repository) -> Remote:
        """The same repository over there."""
        return Remote(self.client, self.endpoint, repository.name)

    def manifest(self, request: Request) -> Response:
        """Pull a manifest."""
        repository, reference = self.shelf.repository(request.variables["name"]), request.variables["reference"]
        reference = check_digest(reference) if is_digest(reference) else check_tag(reference)
        return serve_manifest(request, repository, self._entry(repository, reference))

    def _entry(self, repository: Repository, reference: str) -> Entry:
        here = repository.find(reference)
        if here is not None and is_digest(reference):
            return here
        try:
            remote = self.remote(repository)
            there = None if is_digest(reference) or here is None else remote.head_manifest(reference)
            if here is None or there is None or there.digest != here["digest"]:
                found = remote.manifest(reference)
                repository.put(found.digest, found.media_type, found.data, [] if is_digest(reference) else [reference])
        except Refused as error:
            raise _passed_on(error, unknown(repository, reference)) from error
        except Unreachable as error:
            if here is None:
                raise RegistryError("UNKNOWN", None, error.explanation, 502) from error
        entry = repository.find(reference)
        if entry is None:
            raise unknown(repository, reference)
        return entry

    def blob(self, request: Request) -> Response:
        """Pull a blob: from here, or from the fetch that is under way."""
        repository, digest = self.shelf.repository(request.variables["name"]), check_digest(request.variables["digest"])
        if repository.has_blob(digest):
            return serve_blob(request, self.shelf, digest)
        fetch = self._fetch(repository, digest)
        if request.method == "HEAD" or "range" in request.headers:
            fetch.wait()
            return serve_blob(request, self.shelf, digest)
        headers = {"Docker-Content-Digest": digest, "Content-Type": "application/octet-stream"}
        if fetch.size >= 0:
            headers["Content-Length"] = str(fetch.size)
        return Response(200, headers, fetch.follow())

    def _fetch(self, repository: Repository, digest: str) -> Fetch:
        key = f"{repository.name}@{digest}"
        with self._mutex:
            fetch = self._fetches.get(key)
            if fetch is None:
                fetch = self._fetches[key] = Fetch(self, repository, digest, lambda: self._done(key))
        fetch.begun.wait(PATIENCE)
        fetch.check()
        return fetch

    def _done(self, key: str) -> None:
        with self._mutex:
            self._fetches.pop(key, None)

    def tags(self, request: Request) -> Response:
        """List the tags over there; when it does not answer, those that are here."""
        repository = self.shelf.repository(request.variables["name"])
        try:
            tags = sorted(self.remote(repository).tags())
        except Refused as error:
            raise _passed_on(error, RegistryError("NAME_UNKNOWN", {"name": repository.name})) from error
        except APIError:
            tags = repository.tags()
        return serve_tags(request, repository.name, tags)


class Fetch:
    """A blob on its way here, in a thread of its own; those who wait for it read the file that it fills."""

    def __init__(self, mirror: Mirror, repository: Repository, digest: str, done: Callable[[], None]) -> None:
        self.mirror, self.repository, self.digest, self.done = mirror, repository, digest, done
        self.begun, self.size, self.name = threading.Event(), -1, ""
        self.error: APIError | None = None
        self._got, self._over = 0, False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        uploads = self.mirror.uploads
        try:
            self.mirror.client.again(self._fill)
            uploads.commit(self.repository, self.name, self.digest)
        except APIError as error:
            self.error = error
        except Exception as error:
            self.error = APIError(f"fetching {self.digest} failed: {error!r}")
        finally:
            with suppress(RegistryError):
                if self.error is not None and self.name:
                    uploads.cancel(self.repository, self.name)
            with self._news:
                self._over = True
                self._news.notify_all()
            self.done()
            self.begun.set()

    def _fill(self) -> None:
        """Fetch the blob, or what is still missing of it after a cut."""
        uploads, start = self.mirror.uploads, self._got
        with self.mirror.remote(self.repository).blob(self.digest, start) as answer:
            if not self.begun.is_set():
                length = answer.header("Content-Length")
                self.size = int(length) if length.isdigit() else -1
                self.name = uploads.start(self.repository)
                self.begun.set()
            skip = start if answer.status == 200 else 0  # it cannot do ranges
            uploads.append(self.repository, self.name, self._pieces(answer, skip), self.digest.partition(":")[0])

    def _pieces(self, answer: Answer, skip: int) -> Iterator[bytes]:
        for piece in answer.chunks():
            fresh = piece[skip:]
            skip -= min(skip, len(piece))
            if fresh:
                yield fresh  # when we go on, it has been written
                with self._news:
                    self._got += len(fresh)
                    self._news.notify_all()

    def check(self) -> None:
        """Raise what went wrong."""
        if isinstance(self.error, Refused):
            raise _passed_on(self.error, RegistryError("BLOB_UNKNOWN", {"digest": self.digest}))
        if self.error is not None:
            raise RegistryError("UNKNOWN", None, self.error.explanation, 502)

    def wait(self) -> None:
        """Until all of it is here. Raises RegistryError."""
        self._thread.join()
        self.check()

    def follow(self) -> Iterator[bytes]:
        """The bytes as they come. The last one is given when all have been checked."""
        at = 0
        with self._open() as blob:
            while True:
                end, over = self._news_after(at)
                while at < end and (piece := blob.read(min(PIECE, end - at))):
                    at += len(piece)
                    yield piece
                if over:
                    return

    def _news_after(self, at: int) -> tuple[int, bool]:
        """How far one may read now, and whether that is all."""
        with self._news:
            news = self._news.wait_for(lambda: self._over or self._got > at + 1, PATIENCE)
            if self.error is not None or not news:
                raise Gone  # an answer that breaks off is the only honest one
            return (self._got, True) if self._over else (self._got - 1, False)

    def _open(self) -> BinaryIO:
        try:
            return (self.repository.uploads / self.name).open("rb", buffering=0)
        except FileNotFoundError:  # it is complete
            return self.mirror.shelf.path(self.digest).open("rb", buffering=0)


def _passed_on(error: Refused, otherwise: RegistryError) -> RegistryError:
    """What the other registry refused, in our name."""
    if error.http_status == 404:
        return otherwise
    if error.http_status == 429:
        return RegistryError("TOOMANYREQUESTS", None, error.explanation)
    return RegistryError("DENIED", None, error.explanation, 403 if error.http_status in (401, 403) else 502)
