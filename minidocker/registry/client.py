"""One repository of a registry: its manifests, blobs and tags, by the OCI distribution specification.

    GET  /v2/<name>/manifests/<tag or digest>    a manifest, or an index of several
    GET  /v2/<name>/blobs/<digest>               what a manifest names; with Range, the rest of it
    HEAD                                         whether it is there
    PUT  /v2/<name>/manifests/<tag or digest>    all that it names has to be there
    GET  /v2/<name>/tags/list                    by pages; Link names the next one

Requests that fail by chance (429, 5xx, a cut) are repeated, after a moment that grows, or that the server names.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from minidocker.content import INDEX, MANIFEST, Descriptor, check_digest
from minidocker.errors import APIError, CorruptBlob, InvalidArgument
from minidocker.manifest import DOCKERS
from minidocker.registry.authorize import Authorizer, NoCredentials
from minidocker.registry.challenge import parse_all
from minidocker.registry.credentials import Login
from minidocker.registry.refusals import Refused, refusal
from minidocker.registry.settings import Endpoint, Settings
from minidocker.registry.wire import Answer, Body, Request, Unreachable, Wire, origin

SCHEMA1 = (
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
)
INDEXES = (INDEX, DOCKERS[INDEX])
IMAGES = (MANIFEST, DOCKERS[MANIFEST])
ACCEPT = ", ".join((*IMAGES, *INDEXES, *SCHEMA1, "*/*"))
MAX_MANIFEST = 4 << 20  # bytes; what registries allow
MAX_WAIT = 30  # seconds; who says that we shall wait longer is told about instead
MAX_PAGES = 10_000
Result = TypeVar("Result")


@dataclass(frozen=True)
class Found:
    """A manifest, as it came."""

    data: bytes = field(repr=False)
    media_type: str
    digest: str

    @property
    def descriptor(self) -> Descriptor:
        """How others point to it."""
        return Descriptor(self.media_type, self.digest, len(self.data))


class Client:
    """The connections and tokens of one pull or push. `logins` gives who we are to a registry."""

    def __init__(self, settings: Settings, logins: Callable[[str], Login]) -> None:
        self.settings = settings
        self.wire = Wire(settings.timeout, settings.is_insecure)
        self.authorizer = Authorizer(self.wire, settings, logins)

    def repositories(self, domain: str, path: str, mirrors: bool = True) -> Iterator[Repository]:
        """The repository, on each server that may have it and that answers. Raises Unreachable where none does."""
        answered, error = "", None
        for endpoint in self.settings.endpoints(domain, mirrors):
            if endpoint.host == answered:
                continue  # it has TLS, so nothing goes there without
            try:
                self.ping(endpoint)
            except Unreachable as caught:
                error = caught
                continue
            answered, error = endpoint.host, None
            yield Repository(self, endpoint, path)
        if error is not None:
            raise error

    def repository(self, domain: str, path: str) -> Repository:
        """The repository on the registry itself. Raises Unreachable."""
        return next(self.repositories(domain, path, mirrors=False))

    def ping(self, endpoint: Endpoint) -> None:
        """Ask whether there is a registry, and what it wants to see."""

        def ask() -> None:
            request = Request("GET", f"{endpoint.url}/v2/", "are you a registry?", verify=endpoint.verify)
            with self.wire.ask(request) as answer:
                self.authorizer.learn(endpoint, parse_all(answer.headers.get_all("WWW-Authenticate") or ()))

        self.again(ask, 1 if endpoint.scheme == "https" and not endpoint.verify else None)

    def ask(self, endpoint: Endpoint, request: Request, scopes: Sequence[str]) -> Answer:
        """Send a request with what the server wants to see; once more, where that was not good enough.

        Raises Unreachable, NoCredentials, Refused (of who gives tokens).
        """
        for last in (False, True):
            request.authorization = self.authorizer.header(endpoint, scopes)
            answer = self.wire.ask(request)
            if answer.status != 401 or last:
                break
            self.authorizer.learn(endpoint, parse_all(answer.headers.get_all("WWW-Authenticate") or ()))
            if self.authorizer.wants_password(endpoint):
                answer.close()
                raise NoCredentials(
                    f'{request.method.capitalize()} "{request.url}": no basic auth credentials: '
                    f"log in with `minidocker login {endpoint.name}`"
                )
            if not self.authorizer.forget(endpoint, request.authorization):
                break
            answer.close()
        return answer

    def again(self, action: Callable[[], Result], attempts: int | None = None) -> Result:
        """Do something; again, where it fails by chance."""
        attempts = attempts or self.settings.attempts
        for attempt in range(1, attempts + 1):
            try:
                return action()
            except (Refused, Unreachable) as error:
                wait = error.wait if isinstance(error, Refused) else None
                if not error.again or attempt == attempts or (wait or 0) > MAX_WAIT or self.wire.stopped.is_set():
                    raise
                self.pause(attempt, wait)
        raise AssertionError

    def pause(self, attempt: int, wait: float | None = None) -> None:
        """Wait before the next attempt; no longer than until somebody ends it all."""
        usual = self.settings.pause * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
        self.wire.stopped.wait(usual if wait is None else wait)

    def close(self) -> None:
        """Done."""
        self.wire.close()


class Repository:
    """One repository on one server."""

    def __init__(self, client: Client, endpoint: Endpoint, path: str) -> None:
        self.client, self.endpoint, self.path = client, endpoint, path
        self.base = f"{endpoint.url}/v2/{path}"
        self.pushes = False
        self.sources: tuple[str, ...] = ()

    @property
    def scopes(self) -> list[str]:
        """What a token has to allow."""
        actions = "pull,push" if self.pushes else "pull"
        return [f"repository:{self.path}:{actions}", *(f"repository:{path}:pull" for path in self.sources)]

    def ask(
        self,
        method: str,
        place: str,
        why: str,
        good: Sequence[int],
        headers: dict[str, str] | None = None,
        body: Body | None = None,
        size: int = 0,
        follow: bool = True,
    ) -> Answer:
        """One request; `place` is below the repository, or a whole URL. Raises Refused for an answer not in `good`.

        A URL on another server, where a registry may send an upload, gets no credentials.
        """
        url = urljoin(f"{self.base}/", place)
        request = Request(method, url, why, dict(headers or {}), "", body, size, self.endpoint.verify, follow)
        if origin(urlsplit(url)) == origin(urlsplit(self.base)):
            answer = self.client.ask(self.endpoint, request, self.scopes)
        else:
            self._check_elsewhere(url)
            request.verify = not self.client.settings.is_insecure(urlsplit(url).netloc)
            answer = self.client.wire.ask(request)
        if answer.status not in good:
            raise refusal(answer)
        return answer

    def _check_elsewhere(self, url: str) -> None:
        parts = urlsplit(url)
        plain = parts.scheme == "http" and self.endpoint.scheme == "https"
        if parts.scheme not in ("http", "https") or (plain and not self.client.settings.is_insecure(parts.netloc)):
            raise APIError(f"{self.endpoint.host} sends us on to {parts.scheme}://{parts.hostname}, which is not safe")

    # Manifests

    def manifest(self, reference: str, why: str = "the manifest") -> Found:
        """A manifest by its tag, or by its digest, which it then must have. Raises Refused, CorruptBlob, APIError."""

        def ask() -> Found:
            with self.ask("GET", f"manifests/{reference}", why, [200], {"Accept": ACCEPT}) as answer:
                return _found(answer, reference)

        return self.client.again(ask)

    def head_manifest(self, reference: str, why: str = "which manifest is it now?") -> Descriptor | None:
        """What a tag names, without the manifest; None where the registry does not say."""
        with self.ask("HEAD", f"manifests/{reference}", why, [200], {"Accept": ACCEPT}) as answer:
            digest, size = answer.header("Docker-Content-Digest"), answer.header("Content-Length")
            kind = answer.header("Content-Type").partition(";")[0].strip()
        try:
            return Descriptor(kind, check_digest(digest), int(size)) if size.isdigit() else None
        except InvalidArgument:
            return None

    def put_manifest(self, reference: str, data: bytes, media_type: str) -> None:
        """Store a manifest under a tag or its digest."""
        headers, why = {"Content-Type": media_type}, "the manifest: the name appears"
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"

        def ask() -> None:
            place = f"manifests/{reference}"
            with self.ask("PUT", place, why, [201], headers, lambda: [data], len(data)) as answer:
                said = answer.header("Docker-Content-Digest")
            if said.startswith("sha256:") and said != digest:
                raise CorruptBlob(f"{self.endpoint.host} stored a manifest as {said}, but its digest is {digest}")

        self.client.again(ask)

    # Blobs

    def has_blob(self, digest: str) -> bool:
        """Whether a blob is there."""

        def ask() -> bool:
            with self.ask("HEAD", f"blobs/{digest}", "is the blob there?", [200, 404]) as answer:
                return answer.status == 200

        return self.client.again(ask)

    def blob(self, digest: str, start: int = 0) -> Answer:
        """The bytes of a blob, from `start` on where the server can do that (206), else all of them (200)."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        return self.ask("GET", f"blobs/{digest}", "the rest of the blob" if start else "the blob", [200, 206], headers)

    def small_blob(self, blob: Descriptor) -> bytes:
        """A blob that is read as a whole, checked. Raises CorruptBlob."""

        def ask() -> bytes:
            with self.blob(blob.digest) as answer:
                data = answer.read(min(blob.size, MAX_MANIFEST * 8) + 1)
            if len(data) != blob.size or f"sha256:{hashlib.sha256(data).hexdigest()}" != blob.digest:
                raise CorruptBlob(f"{self.endpoint.host}: blob {blob.digest} has other bytes than its digest says")
            return data

        return self.client.again(ask)

    # Tags

    def tags(self) -> list[str]:
        """All tags, in the registry's order."""
        found: list[str] = []
        place = "tags/list"
        for _ in range(MAX_PAGES):

            def ask(place: str = place) -> tuple[bytes, str]:
                with self.ask("GET", place, "which tags are there?", [200]) as answer:
                    return answer.read(), answer.header("Link")

            data, link = self.client.again(ask)
            found += _tags(data, self.endpoint.host)
            after = next_page(link)
            if not after:
                return found
            following = urljoin(urljoin(f"{self.base}/", place), after)
            if origin(urlsplit(following)) != origin(urlsplit(self.base)) or following == place:
                raise APIError(f"{self.endpoint.host} sends us elsewhere for the rest of its tags")
            place = following
        raise APIError(f"{self.endpoint.host} has no end of tags")


def _found(answer: Answer, reference: str) -> Found:
    data = answer.read(MAX_MANIFEST)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if ":" in reference and digest != reference:
        raise CorruptBlob(f"manifest verification failed for digest {reference}: what came has the digest {digest}")
    said = answer.header("Docker-Content-Digest")
    if said.startswith("sha256:") and said != digest:
        raise CorruptBlob(f"manifest verification failed for digest {said}: what came has the digest {digest}")
    return Found(data, answer.header("Content-Type").partition(";")[0].strip().lower(), digest)


def _tags(data: bytes, host: str) -> list[str]:
    try:
        tags = json.loads(data).get("tags") or []
    except (ValueError, AttributeError, RecursionError):
        tags = None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise APIError(f"{host} answered something that is no list of tags")
    return tags


def next_page(link: str) -> str:
    """The address of the next page in a Link header (RFC 8288); "" where there is none.

    >>> next_page('</v2/app/tags/list?last=b&n=2>; rel="next"')
    '/v2/app/tags/list?last=b&n=2'
    """
    import re

    for address, rest in re.findall(r"<([^>]*)>([^<]*)", link):
        if re.search(r';\s*rel="?next\b', rest):
            return str(address)
    return ""
