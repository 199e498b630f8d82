"""The engine's end of its launcher process: started once, asked through a socket, let go with the engine."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minidocker.errors import APIError, StartError
from minidocker.runtime import Stdio
from minidocker.runtime.messages import receive, send, with_streams

BOOTSTRAP = """import sys, types
for name, folder in zip(("minidocker", "minidocker.runtime"), sys.argv[1:]):
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = [folder]
from minidocker.runtime.launcher import main
main(3)
"""  # the launcher needs two modules of ours, and none of what the packages themselves import


class Launcher:
    """The engine's end of its launcher process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._pid = self._owner = 0

    def ask(self, request: dict[str, Any], stdio: Stdio) -> socket.socket:
        """Send a request and wait for its first answer; further ones come through the socket that is returned."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._hand_over(theirs)
            request = request | {"clients": [asdict(client) for client in stdio.clients]}
            fds = [client.fd for client in stdio.clients]
            send(ours, *with_streams(request, [stdio.stdin, stdio.stdout, stdio.stderr], fds))
            if request["do"] == "start":
                answered(ours)
        except BaseException:
            ours.close()
            raise
        return ours

    def _hand_over(self, end: socket.socket) -> None:
        """Give the launcher one end of a connection; start one where there is none, or it has died."""
        with self._lock:
            if self._owner == os.getpid() and self._socket:
                with suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(self._socket, [b"\0"], [end.fileno()])
                    return
            self._start()
            assert self._socket
            socket.send_fds(self._socket, [b"\0"], [end.fileno()])

    def wake(self) -> None:
        """Start it where there is none yet."""
        with self._lock:
            if not (self._owner == os.getpid() and self._socket):
                self._start()

    def _start(self) -> None:
        self._reap()
        here = Path(__file__).parent
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open(os.devnull, os.O_RDWR)
        theirs_copy = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, 10)  # so that dup2 to 3 is never onto itself
        actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)] + [(os.POSIX_SPAWN_DUP2, theirs_copy, 3)]
        args = [sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOTSTRAP, str(here.parent), str(here)]
        try:
            self._pid = os.posix_spawn(sys.executable, args, os.environ, file_actions=actions)
        finally:
            theirs.close()
            os.close(null)
            os.close(theirs_copy)
        self._socket, self._owner = ours, os.getpid()

    def _reap(self) -> None:
        if self._pid and self._owner == os.getpid():
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
        self._pid, self._socket = 0, None

    def close(self) -> None:
        """Let the launcher end, and wait for it."""
        with self._lock:
            if self._socket:
                self._socket.close()
            self._reap()

    def __del__(self) -> None:
        with suppress(Exception):  # an engine that was dropped without `close` leaves no zombie either
            self.close()


def answered(connection: socket.socket) -> dict[str, Any]:
    """The next answer. Raises the error that it may be."""
    try:
        answer, _ = receive(connection)
    except (EOFError, ConnectionResetError):
        raise APIError("the container's monitor was killed before it could answer") from None
    if "error" in answer:
        raise StartError(answer["error"], exit_code=answer["exit_code"])
    return answer
