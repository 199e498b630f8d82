"""A door to a running program: a UNIX socket in its container's folder, through which its owner's processes come.

Whoever comes says first what for: `{"do": "attach", …}` or `{"do": "resize", …}`. The one who keeps the program answers
with one byte; after an attach, what follows is the program's.
"""

# ruff: noqa: PTH108
from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from minidocker.runtime.messages import send

READY = b"+"
BACKLOG = 64


def open_door(folder: str, name: str) -> socket.socket:
    """Make a door in a folder, for its owner alone."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(door.fileno(), 0o600)
    with address(folder, name) as path:
        with suppress(FileNotFoundError):  # that of one who was killed
            os.unlink(path)
        door.bind(path)
    door.listen(BACKLOG)
    door.setblocking(False)
    return door


def knock(folder: str, name: str, request: Mapping[str, Any]) -> socket.socket:
    """Go to a door and say what for. Raises OSError where nobody answers, or says no."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(folder, name) as path:
            connection.connect(path)
        send(connection, request)
        if connection.recv(1) != READY:
            raise ConnectionRefusedError(111, "nobody answers any more")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def address(folder: str, name: str) -> Iterator[str]:
    """The address of a door: as the path of a socket may be 107 bytes long only, by way of its folder's descriptor."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
