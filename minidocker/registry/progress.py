"""What a pull or a push tells while it goes on: Docker's JSON messages, one a change.

{"status": "Downloading", "id": "4f4fb700ef54", "progressDetail": {"current": 32, "total": 64}, "progress": "[=…"}
{"status": "Digest: sha256:…"}
{"aux": {"Tag": "latest", "Digest": "sha256:…", "Size": 528}, "progressDetail": {}}
{"errorDetail": {"message": "denied: …"}, "error": "denied: …"}
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
Listener = Callable[[Message], None]
RATE = 0.1  # seconds between two messages of one layer about how far it is
WIDTH = 50


class Progress:
    """Tells one listener, from whatever thread, one message after another."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.listener, self.lock = listener, threading.Lock()
        self.last: dict[str, float] = {}

    def emit(self, message: Message) -> None:
        """Tell a message as it is."""
        if self.listener is not None:
            with self.lock:
                self.listener(message)

    def say(self, status: str, id: str = "") -> None:
        """A line; with an id, it is the first thing on it."""
        self.emit({"status": status} | ({"id": id} if id else {}))

    def state(self, id: str, status: str) -> None:
        """What a layer does now."""
        self.emit({"status": status, "progressDetail": {}, "id": id})

    def amount(self, id: str, status: str, current: int, total: int) -> None:
        """How far a layer is; not more often than somebody can see."""
        moment = time.monotonic()
        if self.listener is None or (current < total and moment - self.last.get(id, 0.0) < RATE):
            return
        self.last[id] = moment
        detail = {"current": current, "total": total}
        self.emit({"status": status, "progressDetail": detail, "progress": bar(current, total), "id": id})


def bar(current: int, total: int) -> str:
    """Docker's bar.

    >>> bar(512, 1024)
    '[=========================>                         ]     512B/1.024kB'
    """
    if total <= 0:
        return f"{size(current):>8}" if current > 0 else ""
    done = min(WIDTH, int(current / total * 100) // 2)
    numbers = f"{size(current):>8}" + (f"/{size(total)}" if current <= total else "")
    return f"[{'=' * done}>{' ' * (WIDTH - done)}] {numbers}"


def size(number: float) -> str:
    """Bytes in powers of 1000, to four digits.

    >>> size(1984154)
    '1.984MB'
    """
    units = iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while number >= 1000:
        number, unit = number / 1000, next(units, "EB")
    return f"{number:.4g}{unit}"


def short(digest: str) -> str:
    """The twelve digits by which a layer is called."""
    return digest.partition(":")[2][:12]
