"""One process that waits for many things: for each file descriptor, what is to be done when it has something to say."""

from __future__ import annotations

import select
from collections.abc import Callable


class Loop:
    """Descriptors and their callbacks; a callback is told which events there were (`select.POLLIN`…)."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, Callable[[int], object]] = {}

    def watch(self, fd: int, callback: Callable[[int], object], events: int = select.POLLIN) -> None:
        """Call back when there is something; again for what is watched already, for other events or a new callback."""
        self._callbacks[fd] = callback
        self._poll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Watch no longer. To be called before the descriptor is closed."""
        if self._callbacks.pop(fd, None):
            self._poll.unregister(fd)

    def turn(self, seconds: float | None = None) -> None:
        """Wait until something happens, at most so long, and do what is to be done."""
        for fd, events in self._poll.poll(None if seconds is None else seconds * 1000):
            if callback := self._callbacks.get(fd):
                callback(events)
