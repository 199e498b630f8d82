"""The health checks of a simulated container: its monitor looks after them between two rounds of the kernel.

A probe is one more process of the container's own kernel; no other one begins while it runs, nor while it is paused.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from minidocker.errors import StartError
from minidocker.runtime import HealthCheck, Stdio, health
from minidocker.runtime.simulated import kernel
from minidocker.runtime.simulated.machine import Machine
from minidocker.runtime.simulated.streams import Sink
from minidocker.times import now


class Rounds:
    """The probes of a container, from its start to its end; `judge` is told each result, and gives the status."""

    def __init__(
        self,
        machine: Machine,
        wanted: HealthCheck,
        judge: Callable[[dict[str, Any], float], str],
        tell: Callable[..., None],
    ) -> None:
        self.machine, self.check, self.judge, self.tell = machine, asdict(wanted), judge, tell
        self.process = replace(machine.box.process, args=wanted.command, tty=False, stdin="")
        self.began = time.monotonic()
        self.probe: kernel.Process | None = None
        self.id = self.start = ""
        self.age, self.output = 0.0, Sink()
        self.due = self.began + health.delay(self.check, "starting", 0)

    def look(self) -> None:
        """Do what is due."""
        if self.probe is None:
            if time.monotonic() >= self.due and not self.machine.paused:
                self._begin()
        elif self.probe.status is not None:
            self.tell("exec_die", execID=self.id, exitCode=str(self.probe.status))
            self._done(self.probe.status, health.shortened(bytes(self.output.content)))
        elif time.monotonic() >= self.due:
            self.probe.end(128 + kernel.KILL)
            self.tell("exec_die", execID=self.id, exitCode=str(self.probe.status))
            self._done(-1, health.timed_out(self.check, health.shortened(bytes(self.output.content))))

    def _begin(self) -> None:
        self.id, self.start, self.age, self.output = os.urandom(32).hex(), now(), time.monotonic() - self.began, Sink()
        program, *args = self.process.args
        for action in ("exec_create", "exec_start"):
            self.tell(f"{action}: {program} {' '.join(args)}", execID=self.id)
        try:
            self.probe = self.machine.boot(self.process, Stdio())
        except StartError as error:
            self._done(-1, error.said("exec"))
            return
        for stream in (1, 2):
            self.probe.attach(stream, self.output)
        self.due = time.monotonic() + self.check["timeout"]

    def _done(self, code: int, output: str) -> None:
        self.probe = None
        result = {"Start": self.start, "End": now(), "ExitCode": code, "Output": output}
        status = self.judge(result, self.age)
        self.due = time.monotonic() + health.delay(self.check, status, time.monotonic() - self.began)
