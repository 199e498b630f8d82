"""What is known of a container that has been started: `state.json`, and who may change it.

The file is replaced in one step, so whoever reads it sees one state or the next. A lock on the container's folder
orders those who write it: its monitor, and an engine that pauses it. Another lock, `monitor.lock`, says that a monitor
lives.
"""

# ruff: noqa: PTH104, PTH108, PTH116, PTH120, PTH123
from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from minidocker import journal
from minidocker.runtime import linux
from minidocker.runtime.messages import Refusal

NEVER = "0001-01-01T00:00:00Z"


def now() -> str:
    """The time in RFC 3339 with nanoseconds: `2026-11-23T06:40:00.123456789Z`."""
    seconds, nanos = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanos:09d}Z"


@cache
def boot_id() -> str:
    """What tells this run of the machine from all others."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def read_state(path: str) -> dict[str, Any]:
    """What `state.json` says; empty where there is none yet, or a crash of the machine cut it short."""
    return _read(f"{path}/state.json")


def read_config(path: str) -> dict[str, Any]:
    """What `config.json` says, which may change; empty where there is none: a step of a build has none."""
    return _read(f"{path}/config.json")


def tell(path: str, action: str, **attributes: str) -> None:
    """Write an event of the container in a folder into the journal; a step of a build has none."""
    if config := read_config(path):
        journal.append_of(os.path.dirname(os.path.dirname(path)), config, action, attributes)


def release_volumes(path: str) -> None:
    """Say that a container that has ended needs its volumes no more."""
    if (config := read_config(path)) and config.get("Mounts"):
        from minidocker.plugin.releasing import release

        release(os.path.dirname(os.path.dirname(path)), config)


def _read(path: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(read_whole(path))
        return found
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}


def read_whole(path: str) -> bytes:
    """A file's bytes; `open` would ask the kernel four things more about it."""
    fd, pieces = os.open(path, os.O_RDONLY | os.O_CLOEXEC), []
    try:
        while piece := os.read(fd, 1 << 16):
            pieces.append(piece)
    finally:
        os.close(fd)
    return b"".join(pieces)


def write_state(path: str, state: Mapping[str, Any], lasting: bool = True) -> None:
    """Replace `state.json` in one step. What runs does not outlive a crash of the machine, so only an end is synced,
    and not that of a container which is removed right away: it is not `lasting`.
    """
    write_json(f"{path}/state.json", state, sync=lasting and not state["Running"])


def write_json(path: str, value: Mapping[str, Any], sync: bool = False) -> None:
    """Replace a file in one step; on a full disk, where there is no room for another, write over it."""
    temporary, data = f"{path}.{os.getpid()}", json.dumps(value).encode()
    try:
        write_whole(temporary, data, os.O_CREAT | os.O_TRUNC, sync)
        os.rename(temporary, path)
    except OSError as error:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        write_whole(path, data.ljust(os.stat(path).st_size), 0, sync)


def write_whole(path: str, data: bytes, flags: int, sync: bool) -> None:
    """Write a file from its start."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o644)
    try:
        if os.write(fd, data) < len(data):
            raise OSError(errno.ENOSPC, "no space left on device")
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def state_lock(path: str) -> Iterator[None]:
    """Keep everybody else from changing `state.json`, by a lock on the folder that it lies in."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        linux.flock(fd)
        yield
    finally:
        os.close(fd)


def monitor_lock(path: str) -> int:
    """Take the lock that says: this container has a monitor. It is let go when the descriptor closes."""
    fd = os.open(f"{path}/monitor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(20):  # somebody may only be looking whether it is held
        with suppress(BlockingIOError):
            linux.flock(fd, wait=False)
            return fd
        time.sleep(0.005)
    raise Refusal("container is already running")
