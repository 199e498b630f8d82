"""Who runs in a container: its monitor, its processes, its cgroup; and how all of them are held where they stand."""

from __future__ import annotations

import fcntl
import os
import signal as signals
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zlib import crc32

from minidocker.errors import Conflict
from minidocker.runtime import Box, births, cgroup, joining, mapped
from minidocker.runtime.state import read_state


def running(box: Box) -> dict[str, Any]:
    """The state of a container that runs, is paused or waits to be restarted. Raises Conflict where it does not."""
    state = read_state(str(box.path))
    if not state.get("Running") or not has_monitor(box.path):
        raise Conflict(f"Container {box.path.name} is not running")
    return state


def has_monitor(path: Path) -> bool:
    """Whether a monitor holds the container's lock."""
    try:
        fd = os.open(path / "monitor.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def process(pid: int) -> Iterator[int]:
    """A handle on a process that stays with it even where its number is given to another."""
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def processes(box: Box, first: int) -> list[int]:
    """The host's numbers of all processes of a container: those in its cgroup, or in its mount namespace."""
    return group_of(box).pids() or pids(box, first)


def pids(box: Box, first: int) -> list[int]:
    """The host's numbers of all processes of a container: those in its mount namespace, which it never shares.

    What has ended, but not been waited for, is in none; a pid namespace that is the container's own still has it.
    """
    shown = program_of(box, first)
    mounts, own = joining.mount_namespace(shown), "" if "pid" in box.share else namespace(shown)

    def belongs(pid: int) -> bool:
        there = joining.mount_namespace(pid)
        return pid == first or (bool(there) and there == mounts) or (not there and bool(own) and namespace(pid) == own)

    return [pid for pid in joining.all_pids() if belongs(pid)]


def program_of(box: Box, first: int) -> int:
    """The first process of a container; with an init the program, its child: an init lets nobody look into it."""
    return births.program_of(first) if box.init else first


def namespace(pid: int) -> str:
    """The name of a process's pid namespace; empty where it has gone or is not ours to look at."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def describe_process(pid: int, rootless: bool) -> dict[str, Any]:
    """One line of `docker top`."""
    folder = Path(f"/proc/{pid}")
    fields = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    uid = int(fields["Uid"].split()[0])
    uid = mapped.inside(0, uid) if rootless else uid
    return {
        "pid": pid,
        "ppid": int(fields["PPid"]),
        "user": "root" if uid == 0 else str(uid),
        "command": command or f"[{fields['Name']}]",
    }


def cgroup_name(box: Box) -> str:
    """The name of its cgroup; that of a box with no id of a container is made of where it lies."""
    return box.cgroup or f"{cgroup.HOME}/{box.path.name}-{crc32(os.fsencode(box.path.absolute())):08x}"


def group_of(box: Box) -> cgroup.Group:
    """Its cgroup."""
    return cgroup.Group(cgroup_name(box))


def hold(box: Box, first: int) -> None:
    """Stop all its processes where they stand."""
    stopped: set[int] = set()
    while not group_of(box).freeze(lambda: processes(box, first)) and (new := {*processes(box, first)} - stopped):
        for pid in new:
            with suppress(ProcessLookupError):
                os.kill(pid, signals.SIGSTOP)
        stopped |= new


def let_go(box: Box, first: int) -> None:
    """Let them go on."""
    group = group_of(box)
    if group.is_frozen():
        return group.thaw()
    for pid in processes(box, first):
        with suppress(ProcessLookupError):
            os.kill(pid, signals.SIGCONT)
    return None
