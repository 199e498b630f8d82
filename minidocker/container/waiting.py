"""`docker wait`: how a container ends, asked before it does.

Whoever waits holds `watch.lock`, so that a `--rm` container stays until its exit code is known.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.container.state import LIVE
from minidocker.errors import InvalidArgument, NotFound
from minidocker.runtime import monitor
from minidocker.runtime.policy import policy_of

if TYPE_CHECKING:
    from minidocker.container.container import Container

CONDITIONS = ("not-running", "next-exit", "removed")
ENDED = ("exited", "dead")
FAREWELL = 5.0  # seconds in which a monitor that has written its last state ends
KILLED = 137  # what a container that was removed by force had
STARTED = threading.Condition()  # notified when this process starts some container: nobody need look again and again


class Waiting:
    """Somebody waits for a container to end; what happens from the moment on that this is made counts."""

    def __init__(self, container: Container, condition: str = "not-running") -> None:
        if condition not in CONDITIONS:
            raise InvalidArgument(f"invalid condition: {condition!r}; use not-running, next-exit or removed")
        self.container, self.condition = container, condition
        self.code: int | None = None  # known when it has ended
        self._watch = contextlib.ExitStack()
        self._watch.enter_context(container.watching())
        try:
            state = container.state()
        except BaseException:
            self.close()
            raise
        ahead = {"next-exit": (*ENDED, "created"), "removed": ("created",)}.get(condition, ())
        self._before = state["StartedAt"]
        self._run = None if state["Status"] in ahead else self._before  # the run whose end is meant, by its start

    def result(self, longest: float = math.inf) -> dict[str, Any] | None:
        """How it ended: `{"StatusCode": 0, "Error": None}`; None where it has not within `longest` seconds."""
        end = time.monotonic() + longest
        while not self._over():
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._sleep(min(left, monitor.LONGEST))
        return {"StatusCode": self.code, "Error": None}

    def close(self) -> None:
        """Wait no longer: a `--rm` container that has ended may go."""
        self._watch.close()

    def _over(self) -> bool:
        """Look at it once: whether that has happened which is waited for."""
        try:
            state = self.container.state()
        except NotFound:
            self.code = KILLED if self.code is None else self.code
            return True
        if self._run is None and state["StartedAt"] != self._before:
            self._run = state["StartedAt"]
        if self.code is None and self._has_ended(state):
            self.code = state["ExitCode"]
            self.close()
            self.container.containers.reap(self.container)
        return self.code is not None and (self.condition != "removed" or not self.container.path.exists())

    def _has_ended(self, state: Mapping[str, Any]) -> bool:
        if self._run is None:
            return False
        if state["Status"] == "restarting" or self._run != state["StartedAt"]:
            return True
        return state["Status"] not in LIVE and monitor.await_end(self.container.path, FAREWELL)

    def _sleep(self, longest: float) -> None:
        if self._run is None:
            with STARTED:
                STARTED.wait(min(longest, monitor.TICK))
        elif self.code is None and policy_of(self.container.config)[0] == "no":
            monitor.doze(self.container.path, longest)
        else:
            time.sleep(min(longest, monitor.TICK))
