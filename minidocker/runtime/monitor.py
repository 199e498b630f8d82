"""Is there a monitor? The process that keeps a container holds `monitor.lock` for as long as it lives.

Whoever wants to know whether a container runs looks whether that lock is held; no process number is believed, since
another process may have it by now.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

from minidocker.content import FileLock, read_json

TICK = 0.02  # seconds between two looks, where the system has nothing to wait on
LONGEST = 1.0  # seconds to sleep at a time: the process that is watched may be another one by now


def lives(folder: Path) -> bool:
    """Whether the container's monitor lives."""
    path = folder / "monitor.lock"
    if not os.path.exists(path):  # noqa: PTH110  (a listing asks for hundreds)
        return False
    lock = FileLock(path, shared=True)
    try:
        free = lock.acquire(blocking=False)
    except FileNotFoundError:  # the container was removed meanwhile
        return False
    if free:
        lock.release()
    return not free


@cache
def boot_id() -> str:
    """What tells this run of the machine from all others, where the system has such a thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def await_end(folder: Path, timeout: float | None = None) -> bool:
    """Wait until no monitor lives; False when one still does after `timeout` seconds."""
    end = None if timeout is None else time.monotonic() + timeout
    while lives(folder):
        left = LONGEST if end is None else end - time.monotonic()
        if left <= 0:
            return False
        doze(folder, min(left, LONGEST))
    return True


def doze(folder: Path, longest: float) -> None:
    """Sleep until the monitor ends, where the system can tell; else for a moment. `longest` is in seconds."""
    try:
        import select

        pidfd = os.pidfd_open(int(read_json(folder / "state.json")["Monitor"]))  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, ImportError, OSError, KeyError, ValueError):
        time.sleep(min(TICK, longest))
        return
    try:
        select.select([pidfd], [], [], longest)
    finally:
        os.close(pidfd)
