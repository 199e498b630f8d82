"""Pause: stop every process of a container where it stands, and let it go on.

Through the kernel's cgroup freezer where we may make a cgroup (version 2, or version 1's freezer), which the processes
cannot notice; else by SIGSTOP and SIGCONT to each. The cgroup exists only while the container is paused.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

HOMES = (Path("/sys/fs/cgroup/freezer"), Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
PATIENCE = 2.0  # seconds that the kernel may take to freeze


def cgroup(path: Path) -> Path | None:
    """The cgroup that freezes a container while it is paused, which may not exist; None where there can be none."""
    for home in HOMES:
        if (home / "cgroup.procs").exists() and os.access(home, os.W_OK):
            return home / f"minidocker-{path.name}"
    return None


def freeze(path: Path, pids: Callable[[], list[int]]) -> None:
    """Stop all processes of a container; `pids` tells which they are now."""
    group = cgroup(path)
    if group is not None:
        try:
            group.mkdir(exist_ok=True)
            return _freeze_group(group, pids)
        except OSError:
            clean(path)
    stopped: set[int] = set()
    while new := set(pids()) - stopped:
        _signal(new, signal.SIGSTOP)
        stopped |= new
    return None


def _freeze_group(group: Path, pids: Callable[[], list[int]]) -> None:
    moved: set[int] = set()
    while new := set(pids()) - moved:  # a child that is born meanwhile is in its parent's old or new cgroup
        for pid in new:
            with suppress(ProcessLookupError):
                (group / "cgroup.procs").write_text(str(pid))
        moved |= new
    if (group / "freezer.state").exists():
        _write(group / "freezer.state", "FROZEN")
        _wait(lambda: (group / "freezer.state").read_text().strip() == "FROZEN")
    else:
        _write(group / "cgroup.freeze", "1")
        _wait(lambda: "frozen 1" in (group / "cgroup.events").read_text())


def thaw(path: Path, pids: Iterable[int]) -> None:
    """Let all processes of a container go on."""
    group = cgroup(path)
    if group is None or not group.exists():
        _signal(pids, signal.SIGCONT)
    clean(path)


def clean(path: Path) -> None:
    """Thaw and remove the container's cgroup, if there is one; its processes go back to where new ones are."""
    group = cgroup(path)
    if group is None or not group.exists():
        return
    v1 = group / "freezer.state"
    _write(v1, "THAWED") if v1.exists() else _write(group / "cgroup.freeze", "0")
    home = group.parent / "cgroup.procs"
    for _ in range(100):
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):
                home.write_text(pid)
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.01)


def _write(path: Path, value: str) -> None:
    path.write_text(value)


def _wait(done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the kernel does not freeze it")
        time.sleep(0.002)


def _signal(pids: Iterable[int], signum: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
