"""Where a submission runs: a container of our own, or, where there are none, a process with limits.

The container has no network, a root file system that cannot be written, a small `/tmp`, no capability, Docker's seccomp
policy, and limits on memory, processes and files. The process has limits only: it can do what its user can, with files,
the network and other processes.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import DockerException, Unsupported
from minidocker.grading import course, wire

if TYPE_CHECKING:
    from minidocker.engine import Engine

COMMAND = ["-B", "-S", "-s", "-P", "-m", "minidocker.grading.harness"]  # no site, no user's packages, no current folder
UNHEARD = 100  # lines that nobody has asked for: one that says so many is not listened to any more
NOBODY, LABEL = "65534:65534", "minidocker.grading.sandbox"


@dataclass(frozen=True)
class Limits:
    """What a submission may use: bytes of memory and files, processes; seconds for a check or a cell, and for all."""

    memory: int = 512 << 20
    files: int = 16 << 20
    processes: int = 32
    check_seconds: float = 5.0
    all_seconds: float = 120.0

    def of_a_process(self) -> dict[str, int]:
        """The kernel's limits of each process, beside those of the container as a whole."""
        return {"AS": self.memory, "FSIZE": self.files, "NPROC": self.processes}

    def __str__(self) -> str:
        return (
            f"memory {self.memory >> 20} MiB, files {self.files >> 20} MiB, {self.processes} processes, "
            f"{self.check_seconds:g} s a check"
        )


class Sandbox:
    """One that runs: lines go in, lines come out, and `close` leaves nothing of it."""

    def __init__(self, inlet: int, outlet: int, close: Callable[[], None]) -> None:
        os.set_blocking(inlet, False)
        self._inlet, self._outlet, self._close = inlet, outlet, close
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def say(self, line: bytes, deadline: float) -> None:
        """Send a line; one that nobody takes in time, or at all, is lost."""
        with contextlib.suppress(OSError):
            while line and select.select([], [self._inlet], [], max(deadline - time.monotonic(), 0))[1]:
                line = line[os.write(self._inlet, line) :]

    def hear(self, deadline: float) -> bytes:
        """The next line; nothing where it has ended, or says nothing in time."""
        try:
            return self._lines.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            return b""

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            os.close(self._inlet)
        self._close()
        self._reader.join()

    def _read(self) -> None:
        rest = b""
        with os.fdopen(self._outlet, "rb", buffering=0) as outlet:
            while data := outlet.read(1 << 16):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._lines.put(line)
                if len(rest) > 2 * wire.LINE or self._lines.qsize() > UNHEARD:
                    break
        self._lines.put(b"")


def in_container(engine: Engine, limits: Limits) -> Sandbox:
    """A container of minidocker's, started. Raises DockerException where it cannot be."""
    from minidocker.runtime import Stdio

    container = engine.containers.create(
        course.image(engine),
        ["python3", *COMMAND],
        **{"stdin_open": True, "network_mode": "none", "read_only": True, "working_dir": "/tmp"},
        user=NOBODY if os.getuid() == 0 else None,  # without root, who is root inside is nobody else outside
        tmpfs={"/tmp": f"size={limits.files},mode=1777"},
        shm_size=limits.files,
        mem_limit=limits.memory,
        pids_limit=limits.processes + 8,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        log_config={"Type": "none"},
        labels=[LABEL],
        auto_remove=True,  # where whoever grades is killed: the harness ends when nobody asks any more
    )
    theirs_in, inlet = os.pipe()
    outlet, theirs_out = os.pipe()
    try:
        container.start(Stdio(theirs_in, theirs_out, theirs_out, attached=True))
    except BaseException:
        for descriptor in (inlet, outlet):
            os.close(descriptor)
        container.remove(force=True)
        raise
    finally:
        os.close(theirs_in)
        os.close(theirs_out)

    def close() -> None:
        with contextlib.suppress(DockerException):  # its monitor may be about to
            container.remove(v=True, force=True)

    return Sandbox(inlet, outlet, close)


def in_process() -> Sandbox:
    """A process in an empty folder; its limits it sets itself. Raises Unsupported where processes cannot be forked."""
    if not hasattr(os, "fork"):
        raise Unsupported(f"grading forks processes, which {sys.platform} cannot: grade on Linux (WSL), or on macOS")
    folder = tempfile.TemporaryDirectory(prefix="minidocker-grade-", ignore_cleanup_errors=True)
    home = Path(folder.name) / "home"
    home.mkdir()
    environment = {"PATH": os.defpath, "HOME": str(home), "PYTHONHASHSEED": "0"}
    environment["PYTHONPATH"] = str(course.unpack(Path(folder.name) / "course"))
    python = getattr(sys, "_base_executable", "") or sys.executable
    command, quiet = [python, *COMMAND], subprocess.DEVNULL
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": quiet}
    process = subprocess.Popen(command, cwd=home, env=environment, start_new_session=True, **pipes)
    assert process.stdin and process.stdout
    inlet, outlet = os.dup(process.stdin.fileno()), os.dup(process.stdout.fileno())
    process.stdin.close()
    process.stdout.close()

    def close() -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)  # it ends its own children, when nobody asks any more
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        folder.cleanup()

    return Sandbox(inlet, outlet, close)


def works(engine: Engine) -> str:
    """Why submissions cannot run in containers here; nothing, where they can."""
    if engine.runtime.name == "simulated":
        return "there are no containers here (minidocker doctor says why)"
    try:
        course.image(engine)
    except DockerException as error:
        return str(error)
    return ""
