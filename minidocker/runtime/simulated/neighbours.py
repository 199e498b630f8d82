"""What a simulated container reaches: the containers on its networks, by address or name, and what listens in them.

Nothing here is made up: who is on which network stands in the engine's files, and a program that listens does so at a
socket of this machine, whose number and passwords are in its container's folder (`tcp-80`). Both ends say one, so that
only simulated containers of this user find each other, and nobody takes another program for one of theirs.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import random
import secrets
import socket
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from minidocker.content import read_json, write_json
from minidocker.network import names
from minidocker.runtime import Box, monitor
from minidocker.runtime.simulated.mounted import failure
from minidocker.runtime.simulated.streams import PIPE_SIZE, Stream
from minidocker.runtime.wires import wires_now

Waiting = Generator[bool, None, None]
LOOPBACK = "127.0.0.1"
SECRET = 32  # letters of a password
PATIENCE = 30.0  # seconds in which who listens must let one in
NO_WORLD = (
    "the simulated runtime has no way out to the world, only to its containers; "
    "to reach it use the namespaces runtime (Linux); `minidocker doctor` tells how"
)
NO_MACHINE = (
    "the simulated runtime does not let programs into the network of this machine, which this container is in; "
    "use a network of containers, or the namespaces runtime (Linux)"
)


class Neighbours:
    """The networks as one container sees them, each time anew."""

    def __init__(self, box: Box) -> None:
        self.folder, self.box, self.inside = box.networks, box.path, box.network != "host"

    def wires(self) -> list[dict[str, Any]]:
        """The container's own places, in the order of its interfaces."""
        return wires_now(self.folder, self.box.name) if self.folder else []

    def _named(self) -> Iterator[tuple[str, list[Mapping[str, Any]], list[str]]]:
        """The networks with names that it is on: each one's name, who runs on it, and its own links there."""
        for wire in self.wires():
            if wire["named"]:
                yield wire["name"], [each for _, each in self._endpoints(wire["network"])], wire["links"]

    def lookup(self, name: str) -> list[str]:
        """The addresses that a name has on the first of its networks that knows it; in any order, as Docker's."""
        found = list(names.told([(net, names.table(each, links)) for net, each, links in self._named()], name))
        random.shuffle(found)
        return found

    def reverse(self, address: str) -> str:
        """The name that goes with an address: `web.frontend`; empty where none does."""
        return names.reverse([(name, each) for name, each, _ in self._named()], address)

    def route(self, address: str) -> Path | None:
        """The folder of the container that has an address; None where that is a network's gateway.

        Raises OSError as Linux does: nobody answers, or there is no way; ValueError for the world outside.
        """
        if not self.inside:
            raise ValueError(NO_MACHINE)
        wires = self.wires()
        if ipaddress.ip_address(address).is_loopback or address in {ip(wire["address"]) for wire in wires}:
            return self.box
        for wire in wires:
            if ipaddress.ip_address(address) in ipaddress.ip_network(wire["address"], strict=False):
                if address == wire["gateway"]:
                    return None
                for id, each in self._endpoints(wire["network"]):
                    if ip(each["IPv4Address"]) == address:
                        return self.box.parent / id
                raise failure(errno.EHOSTUNREACH, address)
        if all(wire["internal"] for wire in wires):
            raise failure(errno.ENETUNREACH, address)
        if self._other(address):
            raise failure(errno.EHOSTUNREACH, address)
        raise ValueError(NO_WORLD)

    def _endpoints(self, network: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The containers that run on a network."""
        try:
            found = read_json(Path(self.folder, f"{network}.json"))["Endpoints"]
        except FileNotFoundError:
            return
        yield from ((id, one) for id, one in found.items() if monitor.lives(self.box.parent / id))

    def _other(self, address: str) -> bool:
        """Whether an address belongs to a network that the container is not on."""
        configs = (read_json(path)["IPAM"]["Config"] for path in Path(self.folder).glob("*.json"))
        ranges = [one["Subnet"] for config in configs for one in config or ()]
        return any(ipaddress.ip_address(address) in ipaddress.ip_network(one, strict=False) for one in ranges)

    # Connections

    def dial(self, address: str, port: int) -> Connection:
        """Connect to what listens there. Raises OSError, ValueError."""
        folder = self.route(address)
        if folder is None:
            raise failure(errno.ECONNREFUSED, address)
        return Connection(*_reach(folder, port, address))

    def listen(self, port: int, address: str = "") -> Listener:
        """Listen at a port of the container, at an address or all. Raises OSError where somebody does already."""
        if not self.inside:
            raise ValueError(NO_MACHINE)
        if address and address not in {LOOPBACK, *(ip(wire["address"]) for wire in self.wires())}:
            raise failure(errno.EADDRNOTAVAIL, address)
        return Listener(self.box, port, address)


def ip(address: str) -> str:
    """`10.0.0.2/24` -> `10.0.0.2`."""
    return address.partition("/")[0]


def knock(folder: Path, port: int, address: str) -> socket.socket:
    """Connect to a program that listens in the container of a folder, and make sure that it is that. Raises OSError."""
    end = _reach(folder, port, address)
    try:
        end[0].settimeout(PATIENCE)
        if not secrets.compare_digest(end[0].recv(SECRET, socket.MSG_WAITALL), end[1]):
            raise failure(errno.ECONNREFUSED, "")
        end[0].settimeout(None)
    except BaseException:
        end[0].close()
        raise
    return end[0]


def listening(folder: Path) -> Iterator[tuple[str, int]]:
    """The addresses (empty: all) and ports at which programs listen in the container of a folder."""
    for path in folder.glob("tcp-*"):
        with contextlib.suppress(OSError, ValueError):
            yield read_json(path)["address"], int(path.name.removeprefix("tcp-"))


def _reach(folder: Path, port: int, address: str = "") -> tuple[socket.socket, bytes]:
    """A connection to what listens at an address, or at any: it has been told our password; and what must come back."""
    try:
        said = read_json(folder / f"tcp-{port}")
        if address and said["address"] not in ("", address):
            raise failure(errno.ECONNREFUSED, "")
        end = socket.create_connection((LOOPBACK, said["port"]), timeout=PATIENCE)
    except (OSError, ValueError):
        raise failure(errno.ECONNREFUSED, "") from None
    end.sendall(said["ask"].encode())
    return end, said["answer"].encode()


class Connection(Stream):
    """One end of a connection; nothing comes of it before the other has said its password."""

    def __init__(self, end: socket.socket, awaited: bytes, answer: bytes = b"") -> None:
        end.setblocking(False)
        self.end, self.awaited, self.answer = end, awaited, answer
        self.pending, self.came, self.closing = bytearray(), bytearray(), False

    @property
    def full(self) -> bool:  # type: ignore[override]
        """Whether the other end has some catching up to do."""
        self._push()
        return len(self.pending) > PIPE_SIZE

    def read(self, size: int) -> bytes | None:
        """What has come; None while there is nothing."""
        self._push()
        try:
            data = self.end.recv(size)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not self.awaited or not data:
            return data
        self.came += data
        if len(self.came) < len(self.awaited):
            return None
        expected, self.awaited = self.awaited, b""
        if not secrets.compare_digest(bytes(self.came[: len(expected)]), expected):
            return b""  # a stranger
        self.pending[:0] = self.answer
        return bytes(self.came[len(expected) :]) or self.read(size)

    def write(self, data: bytes) -> None:
        """Send `data`, as soon as the other end takes it."""
        self.pending += data
        self._push()

    def finish(self) -> Waiting:
        """Send the rest, and say that no more will come."""
        self.closing = True
        while self.pending:
            self._push()
            yield False
        with contextlib.suppress(OSError):
            self.end.shutdown(socket.SHUT_WR)

    def _push(self) -> None:
        """Send what is waiting, once both ends know each other."""
        if not self.pending or (self.answer and self.awaited):
            return
        try:
            del self.pending[: self.end.send(self.pending)]
        except BlockingIOError:
            pass
        except OSError:
            self.pending.clear()

    def close(self) -> None:
        """The last descriptor is gone."""
        self._push()
        self.end.close()


class Listener(Stream):
    """A port of a container at which a program waits for others to come. It ends with the process that has it open."""

    def __init__(self, folder: Path, port: int, address: str = "") -> None:
        self.path, self.words = folder / f"tcp-{port}", (secrets.token_hex(SECRET // 2), secrets.token_hex(SECRET // 2))
        self.end = socket.create_server((LOOPBACK, 0))
        said = {"address": address, "port": self.end.getsockname()[1], "ask": self.words[0], "answer": self.words[1]}
        try:
            with contextlib.suppress(OSError):
                _reach(folder, port)[0].close()
                raise Taken
            write_json(self.path, said, sync=False)
        except Taken:
            self.end.close()
            raise failure(errno.EADDRINUSE, "") from None
        self.end.setblocking(False)

    def accept(self) -> Connection | None:
        """Who has come; None where nobody has."""
        try:
            end, _ = self.end.accept()
        except BlockingIOError:
            return None
        return Connection(end, self.words[0].encode(), self.words[1].encode())

    def close(self) -> None:
        """Wait for nobody any more."""
        self.end.close()
        self.path.unlink(missing_ok=True)


class Taken(Exception):
    """A port that somebody listens at already."""
