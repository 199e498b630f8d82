"""The standard streams of one program, on the side of the process that keeps it: a container's monitor, or an exec's.

    the program's pipes, or its terminal  ──▶  the log, and each client that is attached
    the clients' input  ──▶  the program's stdin

Clients come through a *door*, a UNIX socket in the container's folder, from any process of the container's owner; those
that wait for the start are handed over with it. What goes through a connection is what Docker's API sends after it was
upgraded: bytes as they are with a terminal, else frames of stdout and stderr (`clients`).

A client that reads slowly gets all that it has asked for: when more than LIMIT waits for it, the program has to wait as
well, as with Docker. One that has gone is forgotten.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from minidocker.runtime import terminal
from minidocker.runtime.clients import Client, see_off
from minidocker.runtime.door import READY
from minidocker.runtime.logfile import Log, write_all
from minidocker.runtime.loop import Loop
from minidocker.runtime.messages import receive

LIMIT = 1 << 20  # bytes
SETTLES = 0.3  # seconds after which a program is one that runs for a while


class Streams:
    """What a program reads and writes. `theirs` are the ends that it gets.

    `attached` are descriptors that were handed over: stdin is the program's own, to the others its output is copied.
    Without `kept` they all are the program's own, and nobody else reads them.
    """

    def __init__(self, process: Mapping[str, Any], attached: list[int | None], log: Log | None, kept: bool) -> None:
        self.attached, self.log, self.loop, self.kept = attached, log, Loop(), kept
        self.tty, self.once = process["tty"], process["stdin"] == "once"
        self.clients: list[Client] = []
        self.outputs: dict[int, int] = {}  # our end -> the number of the stream
        self.stdin = self.slave = -1  # where to write what the program shall read; kept open, lest the terminal ends
        self.input, self.input_ends = bytearray(), False
        self.settled: Callable[[], object] | None = None  # what to do once it has run for a while
        self.theirs = list(attached)
        self._lent: list[int] = []
        if kept and not self.tty:
            self._open_pipes(bool(process["stdin"]))

    def _open_pipes(self, stdin_open: bool) -> None:
        for stream in (1, 2):
            ours, end = os.pipe()
            self.outputs[ours] = stream
            self._lend(stream, end)
        if stdin_open and self.attached[0] is None:
            end, self.stdin = os.pipe()
            self._lend(0, end)

    def _lend(self, stream: int, end: int) -> None:
        self.theirs[stream] = end
        self._lent.append(end)

    def handed_over(self, master: int | None = None) -> None:
        """The program has its ends, or will never have them: close ours of them. `master` is that of its terminal."""
        for fd in self._lent:
            os.close(fd)
        if master is not None:
            self.outputs[master], self.stdin, self.slave = 1, master, terminal.peer(master)
        for fd in {*self.outputs, self.stdin} - {-1}:
            os.set_blocking(fd, False)

    def open(self, door: socket.socket | None, clients: list[Client]) -> None:
        """Let those in who are attached from the start, and from now on all who knock."""
        for client in clients:
            self._let_in(client)
        if door:
            self.loop.watch(door.fileno(), lambda _: self._answer(door))

    def carry_until(self, child: int) -> None:
        """Carry everything where it belongs until a child of ours has ended, and all that it wrote is read."""
        ended: list[int] = []
        pidfd = os.pidfd_open(child)
        self.loop.watch(pidfd, ended.append)
        settles = time.monotonic() + SETTLES
        while not ended:
            self._settle()
            if self.settled and time.monotonic() >= settles:
                self.settled()
                self.settled = None
            self.loop.turn(SETTLES if self.settled else None)
        os.close(pidfd)
        for fd in list(self.outputs):
            while self._carry(fd):
                pass
        if self.log:
            self.log.flush()

    def close(self) -> None:
        """Let all go; whoever has not read everything yet is served on by a process of its own."""
        for fd in {*self.outputs, self.stdin, self.slave} - {-1}:
            os.close(fd)
        see_off(self.clients)
        self.outputs, self.stdin, self.slave, self.clients = {}, -1, -1, []

    # What the program writes

    def _carry(self, fd: int, _events: int = 0) -> bool:
        """Read what is there and pass it on; False where there is nothing (any more)."""
        stream = self.outputs[fd]
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self.loop.forget(fd)
            os.close(fd)
            del self.outputs[fd]
            return False
        if self.log:
            self.log.write(stream, data)
        to = self.attached[stream]
        if to is not None and not write_all(to, data):
            os.close(to)
            self.attached[stream] = None
        for client in self.clients:
            client.give(stream, data)
        return True

    # What it reads

    def _take(self, client: Client, events: int) -> None:
        """Something happened to a client: it sent input, ended it, can be sent more, or has gone."""
        data = client.take() if events & (select.POLLIN | select.POLLHUP) else None
        if data:
            self.input += data if client.stdin and self.stdin >= 0 else b""
        elif data == b"":
            self._half_closed(client)
        if not client.flush() or (data == b"" and events & select.POLLHUP):
            self._drop(client)

    def _half_closed(self, client: Client) -> None:
        """A client's input has ended. As with Docker: so has the program's where it is that of one (`StdinOnce`), and
        else the client leaves.
        """
        client.reads = False
        if not client.stdin:
            return
        if self.once and not self.tty:
            self.input_ends = True
        else:
            self._drop(client)

    def _feed(self, _events: int = 0) -> None:
        """Give the program what it can take now."""
        try:
            while self.input:
                del self.input[: os.write(self.stdin, bytes(self.input[: 1 << 16]))]
        except BlockingIOError:
            return
        except OSError:  # it has closed its stdin
            self._close_stdin()
        if self.input_ends and not self.tty:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self.stdin >= 0 and not self.tty:
            self.loop.forget(self.stdin)
            os.close(self.stdin)
            self.stdin = -1
        self.input.clear()

    # Who is attached

    def _answer(self, door: socket.socket) -> None:
        try:
            connection, _ = door.accept()
        except OSError:  # gone already
            return
        connection.settimeout(1)  # whoever comes says at once what for
        try:
            request, _ = receive(connection)
            if request["do"] == "resize":
                terminal.resize(next(iter(self.outputs)), request["height"], request["width"])
            connection.send(READY)
        except (OSError, EOFError, ValueError, KeyError, StopIteration):
            connection.close()
            return
        if request["do"] == "attach":
            self._let_in(Client(connection.detach(), request))
        connection.close()

    def _let_in(self, client: Client) -> None:
        client.framed = not self.tty
        self.clients.append(client)

    def _drop(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
            self.loop.forget(client.fd)
            see_off([client])

    def _settle(self) -> None:
        """Watch for what can be done now: nothing is read that nobody has room for."""
        if self.input or self.input_ends:
            self._feed()
        room = all(len(client.waiting) < LIMIT for client in self.clients)
        for fd in self.outputs:
            events = (select.POLLIN if room else 0) | (select.POLLOUT if fd == self.stdin and self.input else 0)
            self.loop.watch(fd, partial(self._both, fd), events)
        if self.stdin >= 0 and not self.tty:
            self.loop.watch(self.stdin, self._feed, select.POLLOUT if self.input else 0)
        for client in list(self.clients):
            if client.waiting and not client.flush():
                self._half_closed(client)
                self._drop(client)
                continue
            events = select.POLLIN if client.reads and len(self.input) < LIMIT else 0
            self.loop.watch(client.fd, partial(self._take, client), events | (select.POLLOUT if client.waiting else 0))

    def _both(self, fd: int, events: int) -> None:
        """A pipe to read from, or a terminal, which is written to as well."""
        if events & ~select.POLLOUT:
            self._carry(fd)
        if events & select.POLLOUT:
            self._feed()
