"""Messages between engine, launcher and what they start: a length, then JSON, with file descriptors beside it."""

from __future__ import annotations

import array
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

MAX_FDS = 200  # that come with a message


def send(to: socket.socket, message: Mapping[str, Any], fds: list[int] | None = None) -> None:
    """Send one message."""
    data = json.dumps(message).encode()
    frame = struct.pack("<I", len(data)) + data
    sent = socket.send_fds(to, [frame], fds) if fds else 0
    if sent < len(frame):  # else the other side may have done with it and gone already
        to.sendall(frame[sent:])


def receive(source: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive one message, and nothing of what follows it; EOFError where the other side has gone."""
    head, fds = receive_fds(source, 4, MAX_FDS)
    size = struct.unpack("<I", _all_of(source, 4, head))[0]
    return json.loads(_all_of(source, size)), fds


def receive_fds(source: socket.socket, size: int, most: int = 1) -> tuple[bytes, list[int]]:
    """Receive bytes, and the descriptors beside them, which no program inherits that is started meanwhile.

    `socket.recv_fds` forgets its flags.
    """
    fds = array.array("i")
    data, beside, _, _ = source.recvmsg(size, socket.CMSG_LEN(most * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return data, list(fds)


def _all_of(source: socket.socket, size: int, data: bytes = b"") -> bytes:
    while len(data) < size:
        more = source.recv(min(size - len(data), 1 << 20))
        if not more:
            raise EOFError("the other side has gone")
        data += more
    return data


def with_streams(
    message: Mapping[str, Any], streams: list[int | None], more: list[int] | None = None
) -> tuple[dict[str, Any], list[int]]:
    """A message that says which of some streams there are, and the descriptors of those, and `more` after them."""
    given = [fd for fd in streams if fd is not None]
    return {**message, "stdio": [fd is not None for fd in streams]}, [*given, *(more or [])]


def streams(message: Mapping[str, Any], fds: list[int]) -> list[int | None]:
    """The streams that came with such a message, None where there is none."""
    given = iter(fds)
    return [next(given) if there else None for there in message["stdio"]]


class Refusal(Exception):
    """Why the program cannot start, in Docker's words, and the exit code that Docker gives for it."""

    def __init__(self, message: str, exit_code: int = 125) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def reason(error: OSError) -> str:
    """The kernel's words in Go's spelling, which is without a capital: `permission denied`."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
