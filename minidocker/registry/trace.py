"""The conversation with registries, written down: one `Exchange` a request, in the order of the answers.

    with trace() as conversation:
        engine.images.push("127.0.0.1:5000/app")
    for exchange in conversation:
        print(exchange)         # HEAD /v2/app/blobs/sha256:9ae7… 404  is the blob there?

No header is in it, and so no secret; of an address, neither its user nor its query, but for the digest in that.
Layers go side by side, so their exchanges mix: what belongs together has the same `upload`, and in the end a `digest`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urljoin, urlsplit


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. `sent` and `received` are bytes of the bodies; `status` is 0 where none came.

    `digest` is that of what the address names, `upload` the path of the upload that it is part of.

    >>> print(Exchange("HEAD", "http://127.0.0.1:5000", "/v2/app/blobs/sha256:9ae7", 404, 0, 0, "is the blob there?"))
    HEAD /v2/app/blobs/sha256:9ae7 404  is the blob there?
    """

    method: str
    server: str
    path: str
    status: int
    sent: int
    received: int
    why: str
    digest: str = ""
    upload: str = ""

    @classmethod
    def of(cls, method: str, url: str, status: int, sent: int, received: int, why: str, location: str) -> Exchange:
        """An exchange by its address; `location` is where the answer says that it goes on.

        >>> asked = Exchange.of("POST", "http://host/v2/app/blobs/uploads/", 202, 0, 0, "", "/v2/app/blobs/uploads/1")
        >>> asked.upload, Exchange.of("GET", "http://host/v2/app/blobs/sha256:9ae7", 200, 0, 9, "", "").digest
        ('/v2/app/blobs/uploads/1', 'sha256:9ae7')
        """
        parts = urlsplit(url)
        query, last = parse_qs(parts.query), parts.path.rpartition("/")[2]
        named = query.get("digest") or query.get("mount") or ([last] if ":" in last else [""])
        upload = urlsplit(urljoin(url, location)).path if method == "POST" and status == 202 and location else ""
        server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        upload = upload or (parts.path if "/blobs/uploads/" in parts.path and last else "")
        return cls(method, server, parts.path, status, sent, received, why, named[0], upload)

    def __str__(self) -> str:
        body = "".join(f" {arrow}{size}" for arrow, size in (("↑", self.sent), ("↓", self.received)) if size)
        return f"{self.method} {self.path} {self.status}{body}  {self.why}"


_listeners: list[Callable[[Exchange], None]] = []


@contextmanager
def listening(listener: Callable[[Exchange], None]) -> Iterator[None]:
    """Call `listener` with each exchange of all clients of this process, until the block ends, from whatever thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def trace() -> Iterator[list[Exchange]]:
    """The exchanges of all clients of this process, from now to the end of the block."""
    conversation: list[Exchange] = []
    with listening(conversation.append):
        yield conversation


def tell(exchange: Exchange) -> None:
    """Somebody has had an answer."""
    for listener in list(_listeners):
        listener(exchange)
