"""What crosses between a client and the API, written down: for pictures, and for people who want to see it.

    tap = Tap(api)                          # answers as `api` does, before a server or in this process
    inprocess.client(tap).containers.list()
    for exchange in tap.exchanges:
        print(exchange)                     # GET /v1.41/containers/json?limit=-1 200  ↓3

Of a body the size and the first bytes are kept; of a connection that is handed over, each piece and its direction. No
header that tells a secret is: a registry's password is shown as `…`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

from minidocker.web.message import Body, FilePart, Gone, Handler, Hijack, Request, Response, Socket

KEPT = 1 << 14  # bytes of a body
PIECES = 1000  # of a connection that was handed over
SECRET = {"x-registry-auth", "x-registry-config", "authorization"}
STREAMS = ("stdin", "stdout", "stderr", "system error")


@dataclass
class Part:
    """A body: how long it became, and how it begins."""

    size: int = 0
    first: bytes = b""

    def add(self, piece: bytes) -> bytes:
        """Take a piece along."""
        self.size += len(piece)
        if len(self.first) < KEPT:
            self.first += bytes(piece[: KEPT - len(self.first)])
        return piece


@dataclass(frozen=True)
class Piece:
    """Bytes that crossed a connection that was handed over: `↑` to the daemon, `↓` to the client."""

    arrow: str
    size: int
    first: bytes


@dataclass(frozen=True)
class Frame:
    """A frame of Docker's raw stream: which of the program's streams, and what it said."""

    stream: str
    data: bytes


@dataclass
class Exchange:
    """One request and its answer. `status` is 0 until there is one; `done` when all of it has crossed.

    >>> print(Exchange("GET", "/_ping", {}, status=200, received=Part(2, b"OK"), done=True))
    GET /_ping 200 ↓2
    """

    method: str
    target: str  # path and query, as they were sent
    headers: dict[str, str]
    sent: Part = field(default_factory=Part)
    status: int = 0
    answer: dict[str, str] = field(default_factory=dict)  # its headers
    received: Part = field(default_factory=Part)
    upgraded: bool = False
    pieces: list[Piece] = field(default_factory=list)
    done: bool = False
    number: int = 0  # of the request: the first one is 1
    connection: int = 0  # that it came on, in the order of their first requests
    until: int = 0  # how many requests there had been when its answer last said something

    def __str__(self) -> str:
        sizes = (("↑", self.sent.size), ("↓", self.received.size))
        body = "".join(f" {arrow}{size}" for arrow, size in sizes if size)
        return f"{self.method} {self.target} {self.status or '…'}{body}{' upgraded' * self.upgraded}"

    def frames(self) -> list[Frame]:
        """What the program said, frame by frame; none where it has a terminal, whose bytes come as they are."""
        return list(frames(self.received.first))


def frames(data: bytes) -> Iterator[Frame]:
    """The whole frames at the beginning of a raw stream: `[stream, 0, 0, 0, length as 4 bytes]`, and so many bytes.

    >>> list(frames(bytes([1, 0, 0, 0, 0, 0, 0, 3]) + b"hi!"))
    [Frame(stream='stdout', data=b'hi!')]
    """
    while len(data) >= 8 and data[0] < 4 and data[1:4] == bytes(3):
        end = 8 + int.from_bytes(data[4:8], "big")
        if end > len(data):
            return
        yield Frame(STREAMS[data[0]], data[8:end])
        data = data[end:]


class Tap:
    """A handler around another one, that writes down what crosses. `listener` is called at each change."""

    def __init__(self, app: Handler, listener: Callable[[Exchange], None] | None = None) -> None:
        self.app, self.listener = app, listener
        self.exchanges: list[Exchange] = []
        self._connections: dict[threading.Thread, int] = {}  # each has a thread of its own
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        """Answer as the other one does."""
        query = f"?{urlencode(request.query)}" if request.query else ""
        headers = {name: "…" if name in SECRET else value for name, value in request.headers.items()}
        exchange = self._begin(Exchange(request.method, request.path + query, headers))
        request.body = Body(map(exchange.sent.add, request.body))
        response = self.app(request)
        exchange.status, exchange.answer = response.status, dict(response.headers)
        self._listen(exchange, request, response)
        self._tell(exchange)
        return response

    def _begin(self, exchange: Exchange) -> Exchange:
        with self._lock:
            me, known = threading.current_thread(), self._connections
            exchange.connection = known.setdefault(me, len(known) + 1)
            self.exchanges.append(exchange)
            exchange.number = exchange.until = len(self.exchanges)
        self._tell(exchange)
        return exchange

    def _tell(self, exchange: Exchange) -> None:
        if self.listener is not None:
            self.listener(exchange)

    def _listen(self, exchange: Exchange, request: Request, response: Response) -> None:
        body = response.body
        if isinstance(body, Hijack):
            exchange.upgraded = response.status == 101
            response.body = Hijack(lambda sock, already: self._between(exchange, body, sock, already))
        elif isinstance(body, (bytes, FilePart)):
            if isinstance(body, bytes) and request.method != "HEAD":
                exchange.received.add(body)
            elif isinstance(body, FilePart):
                exchange.received.size = body.size
            exchange.done = True
        else:
            response.body = self._through(exchange, body)

    def _through(self, exchange: Exchange, body: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for piece in body:
                exchange.received.add(piece)
                exchange.until = len(self.exchanges)
                self._tell(exchange)
                yield piece
        finally:
            if callable(closing := getattr(body, "close", None)):
                closing()
            exchange.done = True
            self._tell(exchange)

    def _between(self, exchange: Exchange, hijack: Hijack, sock: Socket, already: bytes) -> None:
        """Stand between the client's connection and the handler, and carry the bytes both ways."""
        ours, theirs = socket.socketpair()

        def note(arrow: str, part: Part, piece: bytes) -> None:
            part.add(piece)
            exchange.until = len(self.exchanges)
            if len(exchange.pieces) < PIECES:
                exchange.pieces.append(Piece(arrow, len(piece), piece[:KEPT]))
            self._tell(exchange)

        def carry(source: Socket, target: Socket, arrow: str, part: Part, piece: bytes = b"") -> None:
            with suppress(OSError, Gone):
                while piece := piece or source.recv(1 << 16):
                    note(arrow, part, piece)
                    target.sendall(piece)
                    piece = b""
            for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
                with suppress(OSError):  # it is closed already
                    end.shutdown(how)

        ways = ((sock, ours, "↑", exchange.sent, already), (ours, sock, "↓", exchange.received))
        threads = [threading.Thread(target=carry, args=way, daemon=True) for way in ways]
        with ours:
            for thread in threads:
                thread.start()
            with theirs:
                hijack.take(theirs, b"")
            threads[1].join()
            threads[0].join()
        exchange.done = True
        self._tell(exchange)
