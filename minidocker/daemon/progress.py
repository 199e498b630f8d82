"""Work that tells how it goes on, as a stream of JSON: build, pull, push, load; and events, which have no end.

The work is done in a thread, and what it tells waits in a queue for the client. One that reads slowly makes the work
wait; one that has left ends it. What goes wrong before anything was told is an HTTP error, after that a message:

    {"errorDetail": {"message": "no space left on device"}, "error": "no space left on device"}
"""

from __future__ import annotations

import base64
import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from minidocker.daemon.route import Call
from minidocker.errors import DockerException, InvalidArgument
from minidocker.registry.service import failure
from minidocker.web.message import Gone, Request, Response

Message = Mapping[str, Any]
Tell = Callable[[Message], None]
LOOK = 0.5  # seconds between two looks whether the client is still there


class Left(Exception):
    """Nobody listens any more."""


class Work:
    """The body of an answer: what `action` tells, object by object, each with `end` behind it. `stop` ends it early."""

    def __init__(
        self, request: Request, action: Callable[[Tell], object], stop: Callable[[], None], end: bytes = b"\r\n"
    ) -> None:
        self.request, self.action, self.stop, self.end = request, action, stop, end
        self.messages: queue.Queue[Message | None] = queue.Queue(100)
        self.left, self.over = threading.Event(), False
        self.told: Message | None = None  # what came first
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def answered(self) -> Response:
        """The answer, once something was told. Raises what went wrong before that."""
        try:
            self.told = self._next()
            if self.told is None and self.error is not None:
                raise self.error
        except BaseException:
            self.close()
            raise
        return self.at_once()

    def at_once(self) -> Response:
        """The answer, before anything is told."""
        return Response(200, {"Content-Type": "application/json"}, self)

    def __iter__(self) -> Iterator[bytes]:
        message = self.told or self._next()
        while message is not None:
            yield self._line(message)
            message = self._next()
        if isinstance(self.error, DockerException):
            yield self._line(failure(self.error))
        elif self.error is not None:
            raise self.error

    def _line(self, message: Message) -> bytes:
        return json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogateescape") + self.end

    def _next(self) -> Message | None:
        while not self.over:
            try:
                message = self.messages.get(timeout=LOOK)
                self.over = message is None
                return message
            except queue.Empty:
                if self.request.gone():
                    raise Gone from None
        return None

    def _tell(self, message: Message | None) -> None:
        while not self.left.is_set():
            try:
                self.messages.put(message, timeout=LOOK)
            except queue.Full:
                continue
            return
        if message is not None:
            raise Left

    def _run(self) -> None:
        try:
            self.action(self._tell)
        except BaseException as error:
            self.error = error
        self._tell(None)

    def close(self) -> None:
        """End it, and wait until nothing of it goes on."""
        self.left.set()
        while self.thread.is_alive():
            self.stop()
            self.thread.join(0.05)


def stream(call: Call, action: Callable[[Tell], object], stop: Callable[[], None] = lambda: None) -> Response:
    """Answer with what an action tells, and end it when the client leaves. Raises what goes wrong before that."""
    return Work(call.request, action, stop).answered()


def login_of(call: Call) -> dict[str, Any]:
    """Who the client is to a registry: `X-Registry-Auth`, base64 of JSON; empty for nobody."""
    try:
        return decoded(call.request.headers.get("x-registry-auth", ""))
    except InvalidArgument:  # as Docker does: pulls then are anonymous, and the registry says what it thinks of that
        return {}


def decoded(text: str) -> dict[str, Any]:
    """A JSON object in base64, of either alphabet, padded or not. Raises InvalidArgument.

    >>> decoded("e30="), decoded("eyJ1c2VybmFtZSI6ICJhIn0")
    ({}, {'username': 'a'})
    """
    try:
        value = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_") or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"Bad parameters: no base64 of JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArgument("Bad parameters: a JSON object is expected")
    return value
