"""Whoever is attached to a program: one end of a connection, and what still has to go through it.

With a terminal, the bytes are as they are. Else each piece of output is a frame of Docker's API: the number of the
stream (1 stdout, 2 stderr), three zeros, four bytes that say how long it is, and the piece itself.

>>> frame(1, b"hi")
b'\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x02hi'
"""

from __future__ import annotations

import os
import select
import signal
import struct
from collections.abc import Mapping
from typing import Any

AT_ONCE = 1 << 16  # bytes


def frame(stream: int, data: bytes) -> bytes:
    """A piece of output with its header."""
    return struct.pack(">BxxxL", stream, len(data)) + data


class Client:
    """One who is attached. `wants` says which of `stdin`, `stdout` and `stderr`."""

    framed = True

    def __init__(self, fd: int, wants: Mapping[str, Any]) -> None:
        os.set_blocking(fd, False)
        self.fd, self.stdin = fd, bool(wants["stdin"])
        self.streams = {number for number, name in ((1, "stdout"), (2, "stderr")) if wants[name]}
        self.waiting = bytearray()
        self.reads = True  # until it has said that nothing more comes

    def give(self, stream: int, data: bytes) -> None:
        """Something for it to read, if it wants that stream."""
        if stream in self.streams:
            self.waiting += frame(stream, data) if self.framed else data

    def flush(self) -> bool:
        """Send what can be sent now; False where it has gone."""
        try:
            while self.waiting:
                del self.waiting[: os.write(self.fd, bytes(self.waiting[:AT_ONCE]))]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def take(self) -> bytes | None:
        """What it sends: None where there is nothing now, b"" where nothing will come."""
        try:
            return os.read(self.fd, AT_ONCE)
        except BlockingIOError:
            return None
        except OSError:
            return b""


def see_off(clients: list[Client]) -> None:
    """Close connections. Whoever has not read everything gets the rest from a process that does nothing else."""
    slow = [client for client in clients if client.flush() and client.waiting]
    if slow and os.fork() == 0:
        try:
            keep_only({client.fd for client in slow})
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            while slow := [client for client in slow if client.flush() and client.waiting]:
                select.select([], [client.fd for client in slow], [])
        finally:
            os._exit(0)
    for client in clients:
        os.close(client.fd)


def keep_only(fds: set[int]) -> None:
    """Close all descriptors from 3 on but these; a lock among them is somebody else's to hold."""
    first = 3
    for fd in sorted(fds):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, 1 << 30)
