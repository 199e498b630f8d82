"""The health checks of one real container, run by its monitor: a probe is one more process inside, as by `docker exec`.

    monitor ──fork──▶ examiner ──setns, fork──▶ the probe
       ▲ output, exit code  │
       └────────────────────┘

No probe is begun while another one runs or the container is paused; one that takes too long is killed.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from minidocker.runtime import health, linux
from minidocker.runtime.loop import Loop
from minidocker.runtime.messages import receive, send
from minidocker.runtime.state import now

Execute = Callable[[Mapping[str, Any], list[int | None], list[Any], socket.socket], None]


class CheckUp:
    """The probes of a container from its program's start to its end.

    `execute` runs a program inside; `report` is told each result, and gives the health's new status, or None where the
    container is paused: then the result does not count.
    """

    def __init__(
        self,
        check: Mapping[str, Any],
        request: Mapping[str, Any],
        loop: Loop,
        execute: Execute,
        report: Callable[[dict[str, Any] | None, float], str | None],
        tell: Callable[..., None],
    ) -> None:
        self.check, self.request, self.loop, self.execute = check, request, loop, execute
        self.report, self.tell = report, tell
        self.began = time.monotonic()
        self.probe: Probe | None = None
        self.timer = loop.after(health.delay(check, "starting", 0), self.begin)

    def begin(self) -> None:
        """Begin a probe, unless the container is paused."""
        if self.report(None, 0) is None:
            return self.again("")
        program, *args = self.request["process"]["args"]
        id = os.urandom(32).hex()
        for action in ("exec_create", "exec_start"):
            self.tell(f"{action}: {program} {' '.join(args)}", execID=id)
        self.probe = Probe(self.request, self.execute, id, time.monotonic() - self.began)
        self.loop.watch(self.probe.output, self.read)
        self.loop.watch(self.probe.end.fileno(), self.answered)
        self.timer = self.loop.after(self.check["timeout"], self.too_late)
        return None

    def again(self, status: str) -> None:
        """See to it that there will be another one."""
        self.timer = self.loop.after(health.delay(self.check, status, time.monotonic() - self.began), self.begin)

    def read(self, _events: int) -> None:
        """Take in what the probe says."""
        assert self.probe
        if not self.probe.read():
            self.loop.forget(self.probe.output)

    def answered(self, _events: int) -> None:
        """It has ended, or could not begin."""
        assert self.probe
        try:
            said, _ = receive(self.probe.end)
        except (EOFError, OSError):
            said = {"error": "the process that ran the health check was killed"}
        self.probe.read()
        if "error" in said:
            self.done(-1, f"OCI runtime exec failed: {said['error']}")
            return
        self.tell("exec_die", execID=self.probe.id, exitCode=str(said["exit_code"]))
        self.done(said["exit_code"], health.shortened(self.probe.said))

    def too_late(self) -> None:
        """It takes too long."""
        assert self.probe
        self.tell("exec_die", execID=self.probe.id, exitCode=str(128 + signal.SIGKILL))
        self.done(-1, health.timed_out(self.check, health.shortened(self.probe.said)))

    def done(self, code: int, output: str) -> None:
        """Report a result."""
        assert self.probe
        result = {"Start": self.probe.start, "End": now(), "ExitCode": code, "Output": output}
        age = self.probe.age
        self.stop()
        self.again(self.report(result, age) or "")

    def stop(self) -> None:
        """End the probe that runs, if one does, and begin no more."""
        self.loop.cancel(self.timer)
        if self.probe:
            self.loop.forget(self.probe.output)
            self.loop.forget(self.probe.end.fileno())
            self.probe.close()
            self.probe = None


class Probe:
    """One probe that runs."""

    def __init__(self, request: Mapping[str, Any], execute: Execute, id: str, age: float) -> None:
        self.id, self.age, self.start, self.said = id, age, now(), b""
        self.end, theirs = socket.socketpair()
        self.output, out = os.pipe()
        self.examiner = os.fork()
        if self.examiner == 0:
            try:
                examine(request, execute, theirs, out)
            finally:
                os._exit(0)
        theirs.close()
        os.close(out)
        os.set_blocking(self.output, False)

    def read(self) -> bool:
        """Take in what there is; False at the end. More than is kept is read, and forgotten."""
        with suppress(BlockingIOError):
            while more := os.read(self.output, 1 << 16):
                self.said = (self.said + more)[: health.MAX_OUTPUT + 1]
            return False
        return True

    def close(self) -> None:
        """Be done with it: if it still runs, the kernel kills it with its examiner."""
        self.end.close()
        os.close(self.output)
        with suppress(ProcessLookupError):
            os.kill(self.examiner, signal.SIGKILL)
        os.waitpid(self.examiner, 0)


def examine(request: Mapping[str, Any], execute: Execute, end: socket.socket, out: int) -> None:
    """In a process of its own: run the probe, and answer with its exit code, or why it could not be run."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.closerange(3, min(end.fileno(), out))  # among them the lock that says: the monitor lives
    os.closerange(min(end.fileno(), out) + 1, max(end.fileno(), out))
    os.closerange(max(end.fileno(), out) + 1, 1 << 30)
    try:
        execute(request, [None, out, os.dup(out)], [], end)
    except Exception as error:
        send(end, {"error": str(error)})
