"""Published ports of a simulated container: what comes in on the host goes on to the program that listens inside.

A thread waits at each port, and each connection has two that carry. All end with the container's program.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minidocker.errors import StartError, Unsupported
from minidocker.runtime import Box
from minidocker.runtime.messages import Refusal
from minidocker.runtime.simulated.neighbours import knock

PIECE = 1 << 16


def check(box: Box) -> None:
    """Raise Unsupported for ports that only a real container can publish."""
    if udp := [port for port in box.ports if port.protocol != "tcp"]:
        what = f"{udp[0].inside}/{udp[0].protocol}"
        raise Unsupported(f"the simulated runtime publishes ports of tcp, not {what}: leave it out, or run it on Linux")


@contextlib.contextmanager
def published(box: Box) -> Iterator[dict[str, Any]]:
    """The ports of a container, open on the host; yields them as `docker inspect` shows them. Raises StartError."""
    wire = next((wire for wire in box.wires if wire.address), None)
    if wire is None or not box.ports:
        yield {}
        return
    from minidocker.runtime.publish import Published

    try:
        found = Published(map(asdict, box.ports), f"{wire.container} ({wire.endpoint})", str(box.path.parent))
    except Refusal as error:
        raise StartError(str(error)) from None
    try:
        address = wire.address.partition("/")[0]
        for door, inside in found.doors:
            threading.Thread(target=serve, args=(door, box.path, inside, address), daemon=True).start()
        yield found.ports
    finally:
        for door, _ in found.doors:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)  # wakes who waits there
        found.close()


def serve(door: socket.socket, folder: Path, port: int, address: str) -> None:
    """Let everybody in who comes; where no program listens, they are sent away at once, as by Docker's proxy."""
    while True:
        try:
            client, _ = door.accept()
        except OSError:
            return
        try:
            server = knock(folder, port, address)
        except OSError:
            client.close()
            continue
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=carry, args=(one, other), daemon=True).start()


def carry(one: socket.socket, other: socket.socket) -> None:
    """Carry what one end says to the other."""
    with contextlib.suppress(OSError):
        while data := one.recv(PIECE):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)
