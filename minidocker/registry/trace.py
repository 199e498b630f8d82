"""The conversation with registries, written down: one `Exchange` a request, in the order of the answers.

    with trace() as conversation:
        engine.images.push("127.0.0.1:5000/app")
    for exchange in conversation:
        print(exchange)         # HEAD /v2/app/blobs/sha256:9ae7… 404  is the blob there?

No header is in it, and so no secret; of an address, neither its user nor its query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. `sent` and `received` are bytes of the bodies; `status` is 0 where none came.

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

    def __str__(self) -> str:
        body = "".join(f" {arrow}{size}" for arrow, size in (("↑", self.sent), ("↓", self.received)) if size)
        return f"{self.method} {self.path} {self.status}{body}  {self.why}"


_listeners: list[Callable[[Exchange], None]] = []


@contextmanager
def trace() -> Iterator[list[Exchange]]:
    """The exchanges of all clients of this process, from now to the end of the block."""
    conversation: list[Exchange] = []
    _listeners.append(conversation.append)
    try:
        yield conversation
    finally:
        _listeners.remove(conversation.append)


def tell(exchange: Exchange) -> None:
    """Somebody has had an answer."""
    for listener in list(_listeners):
        listener(exchange)
