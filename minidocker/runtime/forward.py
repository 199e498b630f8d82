"""Published ports: what comes in on the host goes on into a container, and what it answers comes back.

What Docker's `docker-proxy` does for `-p`, and for the same reasons: it needs no privilege and works from the machine
itself. One process forwards for all containers; it lives where it can reach them, while the sockets that it listens on
were opened by whoever could open them on the host.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from minidocker.runtime.loop import Loop

PIECE = 1 << 18
IDLE = 90.0  # seconds that a UDP client's place is kept, as Docker keeps it
MOST = 1024  # UDP clients of one port at a time

Address = tuple[str, int]


class Door:
    """One published port: a socket that listens on the host, and where it leads."""

    def __init__(self, loop: Loop, listener: socket.socket, to: Address) -> None:
        self.loop, self.listener, self.to = loop, listener, to
        self.open: set[Relay] = set()
        self.clients: dict[Address, tuple[socket.socket, float]] = {}
        listener.setblocking(False)
        stream = listener.type == socket.SOCK_STREAM
        loop.watch(listener.fileno(), lambda _: self.accept() if stream else self.inward())

    def accept(self) -> None:
        """Somebody connects: connect to the container for them."""
        with suppress(OSError):  # they have gone already
            client, _ = self.listener.accept()
            relay = Relay(self.loop, client, self.to, self.open.discard)
            if relay.alive:
                self.open.add(relay)

    def inward(self) -> None:
        """A datagram comes in: send it on, from a socket that is this client's alone."""
        with suppress(OSError):
            data, client = self.listener.recvfrom(1 << 16)
            if client not in self.clients:
                self._forget_idle()
                self.clients[client] = (self._place(client), 0.0)
            place = self.clients[client][0]
            self.clients[client] = (place, time.monotonic())
            place.send(data)

    def _place(self, client: Address) -> socket.socket:
        place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        place.connect(self.to)

        def outward(_: int) -> None:
            with suppress(OSError):
                self.listener.sendto(place.recv(1 << 16), client)

        self.loop.watch(place.fileno(), outward)
        return place

    def _forget_idle(self) -> None:
        """Give up the places of those silent for long; where there are too many, of the one silent longest."""
        by_age = sorted(self.clients.items(), key=lambda item: item[1][1])
        old = [client for client, (_, heard) in by_age if heard < time.monotonic() - IDLE]
        for client in old or [client for client, _ in by_age[: len(by_age) >= MOST]]:
            self._drop(client)

    def _drop(self, client: Address) -> None:
        place, _ = self.clients.pop(client)
        self.loop.forget(place.fileno())
        place.close()

    def close(self) -> None:
        """Let nobody in any more, and end what is open."""
        self.loop.forget(self.listener.fileno())
        self.listener.close()
        for relay in list(self.open):
            relay.close()
        for client in list(self.clients):
            self._drop(client)


class Relay:
    """One connection through a door: two sockets, and what one said that the other has not taken yet."""

    def __init__(self, loop: Loop, client: socket.socket, to: Address, gone: Callable[[Relay], object]) -> None:
        self.loop, self.gone, self.alive = loop, gone, True
        server = socket.socket()
        self.peer = {client: server, server: client}
        self.waiting = {client: memoryview(b""), server: memoryview(b"")}  # for each: what is to be written to it
        self.ended: set[socket.socket] = set()  # those that have said all
        for end in self.peer:
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BlockingIOError):
            try:
                server.connect(to)
            except BlockingIOError:
                raise
            except OSError:
                self.close()
                return
        for end in self.peer:
            self._watch(end)

    def _watch(self, end: socket.socket) -> None:
        """Wait for what this end says unless the other still has to take something, and for it to take what waits."""
        reads = end not in self.ended and not self.waiting[self.peer[end]]
        events = (select.POLLIN if reads else 0) | (select.POLLOUT if self.waiting[end] else 0)
        if events:
            self.loop.watch(end.fileno(), lambda events, end=end: self.ready(end, events), events)  # type: ignore[misc]
        else:
            self.loop.forget(end.fileno())

    def ready(self, end: socket.socket, events: int) -> None:
        """Something can be read from an end, or written to it."""
        try:
            if self.waiting[end] and events & (select.POLLOUT | select.POLLERR | select.POLLHUP):
                self.waiting[end] = self.waiting[end][end.send(self.waiting[end]) :]
            elif events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._read(end)
        except BlockingIOError:
            pass
        except OSError:
            return self.close()
        other = self.peer[end]
        for one, its in ((end, other), (other, end)):
            if its in self.ended and not self.waiting[one]:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_WR)
        if len(self.ended) == 2 and not any(self.waiting.values()):
            return self.close()
        self._watch(end)
        return self._watch(other)

    def _read(self, end: socket.socket) -> None:
        data = end.recv(PIECE)
        if not data:
            self.ended.add(end)
            return
        other = self.peer[end]
        try:
            sent = other.send(data)
        except BlockingIOError:
            sent = 0
        self.waiting[other] = memoryview(data)[sent:]

    def close(self) -> None:
        """End both."""
        if not self.alive:
            return
        self.alive = False
        for end in self.peer:
            self.loop.forget(end.fileno())
            end.close()
        self.gone(self)


def listen(host: str, port: int, protocol: str) -> socket.socket:
    """Open a port of the host; 0 is any that is free. Raises OSError where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    opened = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        if kind == socket.SOCK_STREAM:
            opened.listen(1024)
    except BaseException:
        opened.close()
        raise
    return opened
