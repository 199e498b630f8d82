"""One client: its requests in turn, each answered before the next is read (RFC 9112).

What is held for a client is bounded: the head of a request by `Limits.head`, what is read of a body by one piece, the
time without a byte by the timeouts. Whatever it sends that is no HTTP is answered with a 4xx, and then it is cut off.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import h11

from minidocker.errors import InvalidArgument
from minidocker.waiting import ready
from minidocker.web.message import Body, FilePart, Gone, Handler, Hijack, Request, Response, Socket

PIECE = 1 << 18  # bytes read from a socket at once
ORIGIN = re.compile("https?://[^/?]*", re.IGNORECASE)  # before a path: as to a proxy, which a server takes too
SMALL = 1 << 18  # an unread body of up to so many bytes is skipped, to go on with the connection


@dataclass(frozen=True)
class Limits:
    """How much, and how long, a server waits for."""

    head: int = 32 << 10  # bytes of a request's line and headers
    idle: float = 75.0  # seconds between two requests
    headers: float = 20.0  # seconds for all of the head of a request
    piece: float = 60.0  # seconds in which some byte of a body must go or come
    linger: float = 2.0  # seconds to let a client read our "no" before its connection is cut
    clients: int = 512  # connections at the same time


class Connection:
    """A connection: `run` serves it to its end."""

    def __init__(self, sock: Socket, peer: str, app: Handler, limits: Limits, last: Callable[[], bool]) -> None:
        self.sock, self.peer, self.app, self.limits = sock, peer, app, limits
        self.last = last  # whether the server stops, and so this request is the last one
        self.idle = True  # between two requests: may be closed without harm
        self.endless = False  # what is answered has no end of its own: nobody waits for it
        self.wire = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)

    def run(self) -> None:
        """Answer requests until one side has had enough."""
        with contextlib.suppress(Gone, OSError):
            try:
                while self._exchange():
                    self.wire.start_next_cycle()
                    self.idle = True
            except h11.RemoteProtocolError as error:
                self._refuse(error)
            except (Gone, OSError):
                raise
            except Exception:  # in the middle of an answer: all that is left is to cut it off
                traceback.print_exc(file=sys.stderr)

    def _exchange(self) -> bool:
        """One request and its answer; whether another one may follow."""
        event = self._head()
        if not isinstance(event, h11.Request):
            return False
        request = _request(event)
        request.body, request.peer, request.gone = Body(self._body()), self.peer, self._gone
        request.scheme = "https" if hasattr(self.sock, "cipher") else "http"
        response = self._answer(request)
        try:
            self.endless = response.endless or isinstance(response.body, Hijack)
            if isinstance(response.body, Hijack):
                return self._hand_over(response, response.body)
            self._send(request, response)
        finally:
            response.close()
        if self.wire.our_state is h11.MUST_CLOSE:
            self._linger()
        return self.wire.our_state is h11.DONE and self._skipped()

    def _answer(self, request: Request) -> Response:
        try:
            return self.app(request)
        except (Gone, h11.RemoteProtocolError):
            raise
        except Exception:  # a bug of ours: it must not take the other clients along
            traceback.print_exc(file=sys.stderr)
            return Response(500, {"Content-Type": "text/plain"}, b"internal server error\n")

    # What comes in

    def _head(self) -> Any:
        """The next request, or the end of the connection."""
        deadline = 0.0
        while (event := self.wire.next_event()) is h11.NEED_DATA:
            if deadline and time.monotonic() > deadline:
                raise Gone
            self._receive(self.limits.headers if deadline else self.limits.idle, self.limits.head)
            if not deadline:
                deadline, self.idle = time.monotonic() + self.limits.headers, False
        self.idle = False
        return event

    def _body(self) -> Iterator[bytes]:
        while self.wire.their_state is h11.SEND_BODY:
            if self.wire.they_are_waiting_for_100_continue:
                self.sock.sendall(
                    self.wire.send(h11.InformationalResponse(status_code=100, headers=[], reason="Continue")) or b""
                )
            try:
                event = self.wire.next_event()
            except h11.RemoteProtocolError as error:
                raise InvalidArgument(f"invalid request body: {error}") from None
            if event is h11.NEED_DATA:
                self._receive(self.limits.piece)
            elif isinstance(event, h11.Data):
                yield event.data  # bytes, or a bytearray of our own: not copied once more

    def _receive(self, timeout: float, most: int = PIECE) -> None:
        self.sock.settimeout(timeout)
        try:
            data = self.sock.recv(most)
        except OSError as error:  # TimeoutError is one
            raise Gone from error
        if not data and self.wire.their_state is h11.SEND_BODY:
            raise Gone  # in the middle of a body
        self.wire.receive_data(data)

    def _gone(self) -> bool:
        """Whether the client has closed its side; looks, but takes nothing."""
        if not ready([self.sock.fileno()], 0):
            return False
        try:
            with socket.fromfd(
                self.sock.fileno(), socket.AF_UNIX, socket.SOCK_STREAM
            ) as below:  # a TLS one cannot peek
                return below.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    # What goes out

    def _send(self, request: Request, response: Response) -> None:
        body = response.body
        headers = [("Date", _http_date()), *response.headers.items()]
        bare = request.method == "HEAD" or response.status in (204, 304)
        if isinstance(body, (bytes, FilePart)) and response.status != 204:
            size = len(body) if isinstance(body, bytes) else body.size
            if not any(name.lower() == "content-length" for name, _ in headers):
                headers.append(("Content-Length", str(size)))
        streams = not isinstance(body, (bytes, FilePart))
        if self.last() or (not streams and not self._skipped()):
            headers.append(("Connection", "close"))
        self.sock.settimeout(self.limits.piece)
        head = self._framed(h11.Response(status_code=response.status, headers=headers, reason=_reason(response.status)))
        if bare:
            self.sock.sendall(head + self._framed(h11.EndOfMessage()))
        elif isinstance(body, bytes):
            data = self._framed(h11.Data(data=body)) if body else b""
            self.sock.sendall(head + data + self._framed(h11.EndOfMessage()))
        elif isinstance(body, FilePart):
            self.sock.sendall(head)
            self._send_file(body)
        else:
            self.sock.sendall(head)
            for piece in body:  # type: ignore[union-attr]
                if piece:
                    self.sock.settimeout(self.limits.piece)
                    self.sock.sendall(self._framed(h11.Data(data=piece)))
            self.sock.sendall(self._framed(h11.EndOfMessage()))

    def _framed(self, event: Any) -> bytes:
        return self.wire.send(event) or b""

    def _send_file(self, part: FilePart) -> None:
        """By sendfile: the bytes never come up to Python; h11 only counts them."""
        if part.size:
            self.wire.send_with_data_passthrough(h11.Data(data=_Counted(part.size)))  # type: ignore[arg-type]
            if self.sock.sendfile(part.file, part.offset, part.size) != part.size:
                raise Gone  # the file has become shorter: there is no honest way to go on
        self._framed(h11.EndOfMessage())

    def _skipped(self) -> bool:
        """Read away what is left of a request that was answered early, if that is little; whether it is all gone."""
        if self.wire.they_are_waiting_for_100_continue or self.wire.their_state is h11.ERROR:
            return False
        size = 0
        while self.wire.their_state is h11.SEND_BODY:
            event = self.wire.next_event()
            if event is h11.NEED_DATA:
                if size > SMALL:
                    return False
                self._receive(self.limits.linger)
            elif isinstance(event, h11.Data):
                size += len(event.data)
        return True

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """What came is no HTTP: say so, if it can still be said."""
        if self.wire.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            text = f"{error.error_status_hint} {_reason(error.error_status_hint)}\n".encode()
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(text))), ("Connection", "close")]
            head = self._framed(
                h11.Response(
                    status_code=error.error_status_hint, headers=headers, reason=_reason(error.error_status_hint)
                )
            )
            self.sock.sendall(head + self._framed(h11.Data(data=text)) + self._framed(h11.EndOfMessage()))
            self._linger()

    def _linger(self) -> None:
        """Close our side, and read for a moment: a cut with bytes unread would take our answer away from the client."""
        if self.wire.their_state in (h11.DONE, h11.CLOSED, h11.MUST_CLOSE):
            return
        self.sock.shutdown(socket.SHUT_WR)
        end = time.monotonic() + self.limits.linger
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            if not self.sock.recv(PIECE):
                break

    def _hand_over(self, response: Response, hijack: Hijack) -> bool:
        """The connection belongs to the handler now, with what has been read of it already."""
        reason = "UPGRADED" if response.status == 101 else _reason(response.status)  # Docker's word
        lines = [
            f"HTTP/1.1 {response.status} {reason}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
        ]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self.sock.settimeout(None)
        hijack.take(self.sock, self.wire.trailing_data[0])
        return False


class _Counted:
    """Stands for bytes that go out another way."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


def _request(event: h11.Request) -> Request:
    path, _, query = _path(event).partition("?")
    headers: dict[str, str] = {}
    for raw_name, raw in event.headers:
        name, value = raw_name.decode("latin-1"), raw.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "content-length" in headers and "transfer-encoding" in headers:  # two ideas of where this request ends
        raise h11.RemoteProtocolError("a length beside chunks")
    try:
        options = parse_qsl(query, keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise h11.RemoteProtocolError(str(error)) from error
    return Request(event.method.decode("latin-1"), path or "/", options, headers)


def _path(event: h11.Request) -> str:
    target = event.target.decode("latin-1")
    match = ORIGIN.match(target)
    return target[match.end() :] if match else target


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _http_date() -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
