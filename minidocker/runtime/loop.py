"""One process that waits for many things: for each file descriptor, what is to be done when it has something to say."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable


class Loop:
    """Descriptors and their callbacks; a callback is told which events there were (`select.POLLIN`…)."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, Callable[[int], object]] = {}
        self._timers: dict[int, tuple[float, Callable[[], object]]] = {}
        self._made = 0

    def watch(self, fd: int, callback: Callable[[int], object], events: int = select.POLLIN) -> None:
        """Call back when there is something; again for what is watched already, for other events or a new callback."""
        self._callbacks[fd] = callback
        self._poll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Watch no longer. To be called before the descriptor is closed."""
        if self._callbacks.pop(fd, None):
            self._poll.unregister(fd)

    def after(self, seconds: float, callback: Callable[[], object]) -> int:
        """Call back once, when some time has passed; returns what `cancel` takes."""
        self._made += 1
        self._timers[self._made] = (time.monotonic() + seconds, callback)
        return self._made

    def cancel(self, timer: int) -> None:
        """Do not call back, where that has not happened yet."""
        self._timers.pop(timer, None)

    def turn(self, seconds: float | None = None) -> None:
        """Wait until something happens, at most so long, and do what is to be done."""
        waits = [max(0.0, moment - time.monotonic()) for moment, _ in self._timers.values()]
        waits += [] if seconds is None else [seconds]
        for fd, events in self._poll.poll(math.ceil(min(waits) * 1000) if waits else None):
            if callback := self._callbacks.get(fd):
                callback(events)
        for timer, (moment, done) in list(self._timers.items()):
            if moment <= time.monotonic() and timer in self._timers:
                self.cancel(timer)
                done()
