"""`minidocker daemon`, a process of its own on a folder of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.typed import typed


def ask(path: Path, method: str, target: str, body: object = None) -> tuple[int, bytes]:
    """One request through a UNIX socket: status and body."""
    connection = http.client.HTTPConnection("x", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(20)
    connection.sock.connect(str(path))
    connection.request(method, target, None if body is None else json.dumps(body))
    answer = connection.getresponse()
    with contextlib.closing(connection):
        return answer.status, answer.read()


def until(true: Callable[[], object], seconds: float = 20) -> bool:
    """Wait for something to be so; whether it is."""
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(found)


class Daemon:
    """`minidocker daemon --detach` on a folder."""

    def __init__(self, folder: Path, runtime: str = "simulated") -> None:
        self.root, self.socket, self.runtime = folder / "root", folder / "d.sock", runtime

    def refused(self, *more: str, host: str = "") -> str:
        """Why it does not start."""
        done = typed(*self._words(host), *more)
        assert done.code == 1, done
        return done.err

    def _words(self, host: str = "") -> list[str]:
        where = ["--root", str(self.root), "--runtime", self.runtime]
        return [*where, "daemon", "-H", host or f"unix://{self.socket}"]

    def start(self, *more: str) -> int:
        words = [sys.executable, "-m", "minidocker", *self._words(), "--detach", *more]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done
        return int(done.stdout)

    @property
    def log(self) -> str:
        return (self.root / "daemon.log").read_text()

    def gone(self, pid: int) -> bool:
        def ended() -> bool:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
            return False

        return until(ended)

    def kill(self) -> None:
        """As a fixture's last act."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.root / "daemon.pid").read_text())
            os.kill(pid, signal.SIGKILL)
            self.gone(pid)

    def left(self) -> list[str]:
        """Processes and mounts that have to do with its folder."""
        found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.root) in line]
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                told = [(process / name).read_bytes() for name in ("cmdline", "environ")]
                told += [bytes(file.readlink()) for file in (process / "fd").iterdir()]
                if process.name != str(os.getpid()) and any(bytes(self.root) in text for text in told):
                    found.append(f"{process.name}: {told[0]!r}")
        return found
