"""An ssh agent for a RUN: a socket of its own, behind which the agent lists its keys and signs with them, and no more.

A message is its length, a byte that says what it is, and more: draft-miller-ssh-agent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

LIST_KEYS, SIGN, FAILURE = 11, 13, b"\0\0\0\1\5"
LONGEST = 256 * 1024  # bytes of one message


@contextlib.contextmanager
def forwarded(agent: str, mode: int, uid: int, gid: int) -> Iterator[str]:
    """The path of a socket of that mode and owner, behind which an agent lists its keys, and signs; nothing else."""
    with tempfile.TemporaryDirectory(prefix="minidocker-ssh-") as folder, socket.socket(socket.AF_UNIX) as server:
        path = f"{folder}/agent"
        server.bind(path)
        with contextlib.suppress(OSError):  # without root, it is the user's own, who is root inside
            os.chown(path, uid, gid)
        Path(path).chmod(mode)
        server.listen()
        doing = threading.Thread(target=_serve, args=(server, agent), daemon=True)
        doing.start()
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            doing.join()


def _serve(server: socket.socket, agent: str) -> None:
    """Answer one client after the other, until nobody can come any more."""
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_answer, args=(client, agent), daemon=True).start()


def _answer(client: socket.socket, agent: str) -> None:
    """Pass on what one client may ask, and what the agent says to that."""
    with contextlib.suppress(OSError, EOFError), client, socket.socket(socket.AF_UNIX) as behind:
        behind.connect(agent)
        while True:
            request = _message(client)
            if request[4] in (LIST_KEYS, SIGN):
                behind.sendall(request)
                client.sendall(_message(behind))
            else:
                client.sendall(FAILURE)


def _message(source: socket.socket) -> bytes:
    """One message: its length, then as many bytes. Raises EOFError."""
    head = _exactly(source, 4)
    size = struct.unpack(">I", head)[0]
    if not 0 < size <= LONGEST:
        raise EOFError
    return head + _exactly(source, size)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
