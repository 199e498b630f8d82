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
from pathlib import Path

from tests.typed import typed
from tests.until import comes


def ask(path: Path, method: str, target: str, body: object = None) -> tuple[int, bytes]:
    """One request through a UNIX socket: status and body."""
    connection = http.client.HTTPConnection("x", timeout=120)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(120)
    connection.sock.connect(str(path))
    connection.request(method, target, None if body is None else json.dumps(body))
    answer = connection.getresponse()
    with contextlib.closing(connection):
        return answer.status, answer.read()


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

        return comes(ended)

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
