"""A request that streams in and a response that streams out.

>>> Response.json({"Version": "1"}).body
b'{"Version": "1"}\\n'
>>> request = Request("GET", "/v2/app/tags/list", [("n", "2")], {"accept": "*/*"})
>>> request.option("n"), request.option("last"), request.body.read()
('2', '', b'')
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from minidocker.errors import APIError

Socket = Any  # a socket, or a TLS one


class TooLarge(APIError):
    """A body of more bytes than the handler reads."""

    status_code = 413


class Gone(Exception):
    """The client left, or let us wait for too long."""


class Body:
    """The body of a request: read it in pieces, or whole up to a limit; what nobody reads is skipped."""

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, as they come. Raises Gone when the client leaves before the end."""
        return self._pieces

    def read(self, limit: int = 1 << 20) -> bytes:
        """All of it. Raises TooLarge."""
        data = bytearray()
        for piece in self._pieces:
            data += piece
            if len(data) > limit:
                raise TooLarge(f"the request's body has more than {limit} bytes")
        return bytes(data)


@dataclass
class Request:
    """What a client asks: header names in lower case, the path as it was sent, options with percent signs read."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = field(default_factory=Body)
    variables: dict[str, str] = field(default_factory=dict)
    peer: str = ""
    scheme: str = "http"
    version: tuple[int, int] = (1, 41)  # of the API that is spoken, where paths say one
    gone: Callable[[], bool] = lambda: False  # whether the client has left: for handlers that wait

    def option(self, name: str, default: str = "") -> str:
        """The first value of an option in the query."""
        return next((value for key, value in self.query if key == name), default)

    def options(self, name: str) -> list[str]:
        """All values of an option."""
        return [value for key, value in self.query if key == name]


@dataclass(frozen=True)
class FilePart:
    """A stretch of an open file; it goes out by sendfile, and is closed after that."""

    file: BinaryIO
    offset: int
    size: int

    def close(self) -> None:
        """Close the file."""
        self.file.close()


@dataclass(frozen=True)
class Hijack:
    """From here on the connection is the handler's own: `take(socket, bytes already read)` returns when it is done."""

    take: Callable[[Socket, bytes], None]


@dataclass
class Response:
    """What is answered. A body of pieces goes out chunked, as they come; `bytes` and files with their length."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | FilePart | Hijack = b""
    endless: bool = False  # it ends when one of us goes: a server that stops does not wait for it

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """A JSON value."""
        text = (json.dumps(value, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")
        return cls(status, {"Content-Type": "application/json", **(headers or {})}, text)

    def close(self) -> None:
        """Let go of what the body holds: a file, a generator."""
        closing = getattr(self.body, "close", None)
        if closing is not None:
            closing()


Handler = Callable[[Request], Response]
