"""Messages between engine, launcher and what they start: a length, then JSON, with file descriptors beside it."""

from __future__ import annotations

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
    """Receive one message; EOFError where the other side has gone."""
    data, fds, _, _ = socket.recv_fds(source, 1 << 16, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
    while len(data) < 4 or len(data) < 4 + struct.unpack_from("<I", data)[0]:
        more = source.recv(1 << 20)
        if not more:
            raise EOFError("the other side has gone")
        data += more
    return json.loads(data[4:]), fds


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
