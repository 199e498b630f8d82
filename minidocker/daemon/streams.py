"""Connections that live: attach and exec carry bytes both ways; logs, stats and wait tell what happens as it happens.

A client that goes away is noticed within a second, whether there is something to send to it or not.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from minidocker.container import Container
from minidocker.container import logs as records
from minidocker.container.attaching import Frames, attach_socket
from minidocker.container.detaching import DEFAULT, Detacher, codes
from minidocker.container.stats import stream as samples
from minidocker.container.waiting import Waiting
from minidocker.daemon.route import Call
from minidocker.errors import InvalidArgument
from minidocker.runtime.clients import frame
from minidocker.times import nanoseconds, stamp
from minidocker.web.message import Hijack, Response, Socket

PIECE = 1 << 16
HEAD = 0.1  # seconds
FIRST_WORDS = 100_000_000  # nanoseconds
MOMENT = 1.0  # seconds between two looks whether a client is still there
RAW = "application/vnd.docker.raw-stream"
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL if hasattr(select, "poll") else 0
Filter = Callable[[bytes], bytes]


# Both ways


def hijacked(call: Call, take: Callable[[Socket, bytes], None]) -> Response:
    """From here on the connection is the program's: with Docker's 101 where the client asks for that, else 200."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"} if "upgrade" in call.request.headers else {}

    def begin(client: Socket, first: bytes) -> None:
        _let_read(client)
        take(client, first)

    return Response(101 if upgrade else 200, {"Content-Type": RAW, **upgrade}, Hijack(begin))


def _let_read(client: Socket) -> None:
    """Wait until a client has read the head: Docker's SDK loses what comes together with that."""
    import fcntl
    import termios

    end = time.monotonic() + HEAD
    with contextlib.suppress(OSError):
        while any(fcntl.ioctl(client.fileno(), termios.TIOCOUTQ, bytes(4))) and time.monotonic() < end:
            time.sleep(0.0005)


def attach(call: Call) -> Response:
    """A connection with a container's program, also before it runs; and what it has printed until now (`logs`)."""
    container = call.engine.containers.get(call["id"])
    wants = {name: call.flag(name) for name in ("stdin", "stdout", "stderr", "stream", "logs")}
    keys = codes(call.text("detachKeys") or DEFAULT)
    program = attach_socket(container, wants)
    detacher = Detacher(keys if container.tty else b"")

    def take(client: Socket, first: bytes) -> None:
        Conversation(client, program, first, detacher if wants["stdin"] else None, talk=TALKS.of(container.id)).run()
        if detacher.detached:
            container.tell("detach")

    return hijacked(call, take)


def reframed(asked_tty: bool, tty: bool) -> Filter:
    """What to do with output so that it is framed or not as the client asks, where the program is of the other kind."""
    if asked_tty == tty:
        return lambda data: data
    frames = Frames(tty)
    return lambda data: b"".join(part if asked_tty else frame(stream, part) for stream, part in frames.feed(data))


class Talks:
    """Who is attached to which container: of its end one hears after its last words, as from dockerd."""

    def __init__(self) -> None:
        self._changed, self._count = threading.Condition(), Counter[str]()

    @contextlib.contextmanager
    def of(self, container: str) -> Iterator[None]:
        """While somebody is attached."""
        self._add(container, 1)
        try:
            yield
        finally:
            self._add(container, -1)

    def _add(self, container: str, one: int) -> None:
        with self._changed:
            self._count[container] += one
            if not self._count[container]:
                del self._count[container]
            self._changed.notify_all()

    def over(self, container: str) -> None:
        """Wait, for a moment at most, until they all have heard what it said."""
        with self._changed:
            self._changed.wait_for(lambda: container not in self._count, MOMENT / 2)


TALKS = Talks()


class Conversation:
    """Carries bytes between a client and a program, until the program's side ends, or the client leaves or detaches.

    One thread serves both ways: a TLS socket is not to be used by two. What one side has sent waits until the other
    takes it, and no more is read meanwhile.
    """

    def __init__(
        self,
        client: Socket,
        program: socket.socket,
        first: bytes,
        typed: Detacher | None,
        shown: Filter = lambda data: data,
        talk: contextlib.AbstractContextManager[None] | None = None,
    ) -> None:
        self.client, self.program, self.typed, self.shown = client, program, typed, shown
        self.inward, self.outward = bytearray(typed.feed(first) if typed else b""), bytearray()
        self.talk = talk or contextlib.nullcontext()
        self.hears = self.speaks = True  # whether more may come from the client; whether the program may be told more

    def run(self) -> None:
        """Go on until it ends; the program's side is closed then."""
        with self.program, contextlib.suppress(OSError):
            self.client.setblocking(False)
            self.program.setblocking(False)
            with self.talk:
                while self._step():
                    continue
            self._drain()

    def _step(self) -> bool:
        """Wait for something to happen, and see to it; whether to go on."""
        happened = self._wait()
        client, program = happened.get(self.client.fileno(), 0), happened.get(self.program.fileno(), 0)
        if client & select.POLLIN:
            self._hear()
        elif client & GONE or (not happened and _poll({self.client: 0}, 0)):
            return False
        if program & (select.POLLIN | GONE) and not self.outward:
            data = _receive(self.program)
            if data == b"":
                return False
            self.outward += self.shown(data) if data else b""
        self._push()
        return not (self.typed and self.typed.detached)

    def _wait(self) -> dict[int, int]:
        wants: dict[Socket, int] = {}
        if not self.inward or self.outward:
            reads = select.POLLIN if self.hears and not self.inward else 0
            wants[self.client] = reads | (select.POLLOUT if self.outward else 0)
        if self.inward or not self.outward:
            reads = select.POLLIN if not self.outward else 0
            wants[self.program] = reads | (select.POLLOUT if self.inward else 0)
        return _poll(wants, MOMENT if self.inward else None)

    def _hear(self) -> None:
        data = _receive(self.client)
        if data == b"":
            self.hears = False
        elif data and self.typed:
            self.inward += self.typed.feed(data)

    def _push(self) -> None:
        """Send what can be sent. A program that reads no more may still print."""
        with contextlib.suppress(*WOULD_BLOCK):
            if self.outward:
                del self.outward[: self.client.send(self.outward)]
        try:
            if self.inward:
                del self.inward[: self.program.send(self.inward)]
            if self.speaks and not self.hears and not self.inward:
                self.speaks = False
                self.program.shutdown(socket.SHUT_WR)
        except WOULD_BLOCK:
            pass
        except OSError:
            self.inward.clear()

    def _drain(self) -> None:
        """What the client still sends in vain, for a moment: left unread, it would cut off our last words."""
        self.client.shutdown(socket.SHUT_WR)
        end = time.monotonic() + MOMENT
        while self.hears and _poll({self.client: select.POLLIN}, max(0, end - time.monotonic())):
            self.hears = _receive(self.client) != b""


def _receive(sock: Socket) -> bytes | None:
    """What has come: None for nothing, b"" for the end."""
    try:
        data: bytes = sock.recv(PIECE)
    except WOULD_BLOCK:
        return None
    except OSError:
        return b""
    return data


def _poll(wants: dict[Socket, int], seconds: float | None) -> dict[int, int]:
    poll = select.poll()
    for sock, events in wants.items():
        poll.register(sock, events)
    return dict(poll.poll(None if seconds is None else seconds * 1000))


# One way


class Lines:
    """Pieces for a client that may leave: `closing` is called then, or at the end."""

    def __init__(self, pieces: Iterator[bytes], closing: Callable[[], None]) -> None:
        self._pieces, self.close = pieces, closing

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


def logs(call: Call) -> Response:
    """What a container has printed, and with `follow` what it prints while it runs."""
    container, follow = call.engine.containers.get(call["id"]), call.flag("follow")
    wanted = {name for name in ("stdout", "stderr") if call.flag(name)}
    if not wanted:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    moments = {name: call.text(name) for name in ("since", "until") if call.text(name) not in ("", "0")}
    if not follow:
        _let_speak(container)
    found = container.records(follow, call.request.gone, tail=call.text("tail") or "all", **_checked(moments))
    shape = (lambda _, data: data) if container.tty else frame
    timestamps, details = call.flag("timestamps"), call.flag("details")
    pieces = (
        shape(1 if record["stream"] == "stdout" else 2, records.text(record, timestamps, details))
        for record in found
        if record["stream"] in wanted
    )
    return Response(200, {"Content-Type": RAW}, Lines(pieces, found.close if hasattr(found, "close") else pieces.close))


def _let_speak(container: Container) -> None:
    """Give a program that has just begun time for its first words: Docker's clients ask for them right after the start,
    from which dockerd returns later than we do.
    """
    waiting = Waiting(container)
    with contextlib.closing(waiting):
        while nanoseconds(container.state()["StartedAt"]) > time.time_ns() - FIRST_WORDS:
            if waiting.result(HEAD / 10) is not None:
                return


def _checked(moments: dict[str, str]) -> dict[str, str]:
    for text in moments.values():
        stamp(text)
    return moments


def stats(call: Call) -> Response:
    """What a container uses: a sample a second, or one."""
    container = call.engine.containers.get(call["id"])
    if not call.flag("stream", True):
        return Response.json(container.stats(stream=False, one_shot=call.flag("one-shot")))
    lines = (json.dumps(sample).encode() + b"\n" for sample in samples(container))
    return Response(200, {"Content-Type": "application/json"}, lines)


def wait(call: Call) -> Response:
    """The exit code of a container, when it ends. The headers go out at once: clients start it only then."""
    waiting = Waiting(call.engine.containers.get(call["id"]), call.text("condition") or "not-running")

    def answer() -> Iterator[bytes]:
        while (found := waiting.result(MOMENT)) is None:
            if call.request.gone():
                return
        yield json.dumps(found).encode() + b"\n"

    return Response(200, {"Content-Type": "application/json"}, Lines(answer(), waiting.close))
