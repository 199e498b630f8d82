"""`docker attach`: a connection with the streams of a container's program, while it runs or before it starts.

Whoever comes before the start leaves one end of a connection in the folder `waiting/`: behind a socket there, where the
one who starts the container fetches it. So no output is missed, whichever processes these are.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.container.state import LIVE
from minidocker.errors import Conflict, NotFound, Unsupported
from minidocker.runtime import Client
from minidocker.times import now

if TYPE_CHECKING:
    from minidocker.container.container import Container

MOMENT = 0.5  # seconds between two looks whether the container is still there
HEADER = 8  # bytes


def connect(container: Container, stdin: bool = False, stdout: bool = True, stderr: bool = True) -> socket.socket:
    """A connection with its program's streams: of the one that runs, or else of the one that will be started.

    Raises Conflict where it is paused or waits to be restarted.
    """
    need_attachable(container)
    state, client = container.state(), Client(-1, stdin, stdout, stderr)
    if state["Paused"]:
        raise Conflict(f"Container {container.id} is paused, unpause the container before attach")
    if state["Restarting"]:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    container.tell("attach")
    if state["Status"] in LIVE:
        with contextlib.suppress(Conflict):  # it has ended meanwhile
            return container.runtime.attach(container.box(), "", client)
    ours, theirs = socket.socketpair()
    Waiting(container.path, theirs, client)
    return ours


def need_attachable(container: Container) -> None:
    """Raise Unsupported where the runtime has no terminals, and no streams that others could share."""
    runtime = container.runtime
    if not runtime.attachable:
        raise Unsupported(f"the runtime {runtime.name!r} cannot attach anybody to a program: read its logs instead")


class Waiting(threading.Thread):
    """Keeps one end of a connection for the one who will start a container."""

    def __init__(self, folder: Path, end: socket.socket, client: Client) -> None:
        from minidocker.runtime.door import open_door

        super().__init__(daemon=True)
        self.folder, self.end, self.client = folder / "waiting", end, client
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.name = f"{os.urandom(8).hex()}.sock"
        self.door = open_door(str(self.folder), self.name)
        self.start()

    def run(self) -> None:
        """Wait until somebody fetches it, the other end is closed, or the container is removed."""
        import select

        from minidocker.runtime.messages import send

        poll = select.poll()
        poll.register(self.door, select.POLLIN)
        poll.register(self.end, 0)  # tells of its end alone
        with self.end, self.door, contextlib.suppress(OSError):
            while not (happened := poll.poll(MOMENT * 1000)) and self.folder.exists():
                continue
            if any(fd == self.door.fileno() for fd, _ in happened):
                connection, _ = self.door.accept()
                with connection:
                    send(connection, asdict(self.client), [self.end.fileno()])
            (self.folder / self.name).unlink()


@contextlib.contextmanager
def guests(folder: Path) -> Iterator[tuple[Client, ...]]:
    """Those who wait for a container's start; their connections are ours for as long as this lasts."""
    found: list[Client] = []
    try:
        for path in sorted((folder / "waiting").glob("*.sock")) if (folder / "waiting").exists() else ():
            with contextlib.suppress(OSError, EOFError):
                found.append(_fetch(path))
            path.unlink(missing_ok=True)
        yield tuple(found)
    finally:
        for client in found:
            os.close(client.fd)


def _fetch(path: Path) -> Client:
    from minidocker.runtime.door import address
    from minidocker.runtime.messages import receive

    with socket.socket(socket.AF_UNIX) as connection, address(str(path.parent), path.name) as where:
        connection.settimeout(2)
        connection.connect(where)
        wants, fds = receive(connection)
        return Client(**wants | {"fd": fds[0]})


def attach_socket(container: Container, params: Mapping[str, Any]) -> socket.socket:
    """A connection as Docker's API asks for one; with `logs`, first comes what was printed until now.

    `stream` off: only that, and its end.
    """
    wants = {name: _truth(params.get(name)) for name in ("stdin", "stdout", "stderr")}
    stream, past = _truth(params.get("stream")), _truth(params.get("logs"))
    live = connect(container, **wants) if stream else None
    if live and not past:
        return live
    need_attachable(container)
    ours, theirs = socket.socketpair()
    threading.Thread(target=_relay, args=(container, theirs, live, wants, past), daemon=True).start()
    return ours


def _truth(value: Any) -> bool:
    return str(value or "").lower() not in ("", "0", "no", "false", "none")


def _relay(
    container: Container, end: socket.socket, live: socket.socket | None, wants: Mapping[str, bool], past: bool
) -> None:
    """Send what was printed, and then carry to and fro what comes."""
    with end, live or contextlib.nullcontext(), contextlib.suppress(OSError, NotFound):
        for record in container.records(until=now()) if past else ():
            if wants[record["stream"]]:
                data = record["log"].encode("utf-8", "surrogateescape")
                end.sendall(data if container.config["Config"]["Tty"] else _frame(record["stream"], data))
        if live:
            back = threading.Thread(target=_copy, args=(end, live), daemon=True)
            back.start()
            _copy(live, end)


def _frame(stream: str, data: bytes) -> bytes:
    from minidocker.runtime.clients import frame

    return frame(1 if stream == "stdout" else 2, data)


def _copy(source: socket.socket, to: socket.socket) -> None:
    """Carry everything one way, and the end of it."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


class Frames:
    """What comes through such a connection, taken apart: `(1, b"to stdout")`, `(2, b"to stderr")`.

    >>> frames = Frames(tty=False)
    >>> list(frames.feed(b"\\1\\0\\0\\0\\0\\0\\0\\2hi\\2\\0")), list(frames.feed(b"\\0\\0\\0\\0\\0\\1!"))
    ([(1, b'hi')], [(2, b'!')])
    """

    def __init__(self, tty: bool) -> None:
        self.tty, self.rest = tty, b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The whole pieces that there are with these bytes."""
        if self.tty:
            yield 1, data
            return
        self.rest += data
        while len(self.rest) >= HEADER:
            end = HEADER + int.from_bytes(self.rest[4:HEADER], "big")
            if len(self.rest) < end:
                return
            piece, self.rest = (self.rest[0], self.rest[HEADER:end]), self.rest[end:]
            yield piece


def pieces(connection: socket.socket, tty: bool) -> Iterator[tuple[bytes | None, bytes | None]]:
    """What a program prints, piece by piece: `(stdout, stderr)`, of which one is None."""
    frames = Frames(tty)
    with connection:
        while data := connection.recv(1 << 16):
            for stream, piece in frames.feed(data):
                yield (piece, None) if stream == 1 else (None, piece)


def joined(found: Iterator[tuple[bytes | None, bytes | None]], demux: bool) -> Any:
    """All that was printed, or apart: (stdout, stderr)."""
    pairs = list(found)
    apart = tuple(b"".join(pair[which] or b"" for pair in pairs) or None for which in (0, 1))
    return apart if demux else b"".join(pair[0] or pair[1] or b"" for pair in pairs)
