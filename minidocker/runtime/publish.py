"""`-p`: ports of the host are opened for a container. Whoever plugs it in hands them to the switch, which forwards."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from minidocker.runtime.forward import listen
from minidocker.runtime.messages import Refusal

ANY = ("0.0.0.0", "::")  # where the world finds a port of which nobody says where
EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"
Door = tuple[socket.socket, int]  # what listens on the host, and the port inside


class Published:
    """The ports that a container has on the host, open until they are closed."""

    def __init__(self, wanted: Iterable[Mapping[str, Any]], who: str, folder: str = "") -> None:
        self.doors: list[Door] = []
        self.ports: dict[str, list[dict[str, str]]] = {}  # as `docker inspect` shows them
        self.who, self.folder = who, folder
        try:
            for one in wanted:
                self._open(one)
        except BaseException:
            self.close()
            raise

    def _open(self, wanted: Mapping[str, Any]) -> None:
        """Open one port: at all addresses, or at none; the first one that is free of those that may be taken."""
        hosts = [wanted["host"]] if wanted["host"] else list(ANY)
        failed: tuple[str, int, OSError] | None = None
        for number in choices(wanted):
            opened, failed = together(hosts, number, wanted["protocol"])
            if failed is None:
                break
        else:
            raise Refusal(self._words(wanted["protocol"], *failed) if failed else "all ports have been allocated")
        place = self.ports.setdefault(f"{wanted['inside']}/{wanted['protocol']}", [])
        for one in opened:
            self.doors.append((one, wanted["inside"]))
            place.append({"HostIp": one.getsockname()[0], "HostPort": str(one.getsockname()[1])})

    def _words(self, protocol: str, host: str, number: int, error: OSError) -> str:
        """Why a port cannot be had, in Docker's words: another container has it, or another program, or we may not."""
        where = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
        own = {door.getsockname()[1] for door, _ in self.doors}
        if error.errno == errno.EADDRINUSE and (number in own or str(number) in taken(self.folder)):
            why = f"Bind for {where} failed: port is already allocated"
        else:
            said = (error.strerror or str(error)).lower()
            kind = f"{protocol}{'6' if ':' in host else '4'}"
            why = f"Error starting userland proxy: listen {kind} {where}: bind: {said}"
        return f"driver failed programming external connectivity on endpoint {self.who}: {why}"

    def close(self) -> None:
        """Open no more: of the host's own sides, those that were handed on stay open."""
        for door, _ in self.doors:
            door.close()
        self.doors = []


def choices(wanted: Mapping[str, Any]) -> Iterator[int]:
    """The ports that may be taken; where nobody says which, those that the system gives away, from the first on."""
    if wanted["first"]:
        yield from range(wanted["first"], wanted["last"] + 1)
        return
    first, last = 32768, 60999
    with suppress(OSError, ValueError), open(EPHEMERAL, encoding="ascii") as file:  # noqa: PTH123
        first, last = map(int, file.read().split())
    yield from range(first, last + 1)


def together(
    hosts: list[str], number: int, protocol: str
) -> tuple[list[socket.socket], tuple[str, int, OSError] | None]:
    """Listen on one port at several addresses; or on none, and which one could not be had, and why."""
    opened: list[socket.socket] = []
    for host in hosts:
        try:
            opened.append(listen(host, number, protocol))
        except OSError as error:
            if len(hosts) > 1 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                continue  # this machine has no IPv6
            for one in opened:
                one.close()
            return [], (host, number, error)
    return opened, None


def taken(folder: str) -> set[str]:
    """The host's ports that containers have, by what is written of them in a folder `containers`."""
    found = set()
    for id in os.listdir(folder) if folder else ():  # noqa: PTH208
        with suppress(OSError, ValueError), open(f"{folder}/{id}/state.json", encoding="utf-8") as file:  # noqa: PTH123
            state = json.load(file)
            places = (state.get("Ports") or {}).values() if state["Running"] else ()
            found |= {bound["HostPort"] for place in places for bound in place}
    return found
