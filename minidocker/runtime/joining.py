"""Namespaces that a container shares: those of the host, or of other containers that run.

A process cannot enter namespaces and leave them again, so somebody in between enters them and bears the first process
as a sibling of its own: the child of the monitor. Whoever joins a container is in its user namespace too, since the
kernel lets nobody else mount what belongs to it (/proc, /sys, /dev/mqueue).
"""

# ruff: noqa: PTH115, PTH119, PTH120, PTH123, PTH208
from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from minidocker.runtime import linux, plug
from minidocker.runtime.births import KINDS, identity, other_namespaces, program_of
from minidocker.runtime.messages import Refusal, receive_fds
from minidocker.runtime.state import read_config, read_state

REFUSED = {  # Docker's words for a container that does not run; the one above the container is in State.Error
    "net": "cannot join network of a non running container: {}",
    "ipc": "can't join IPC of container {0}: container {0} is not running",
    "pid": "container {} is not running",
}


class Joined:
    """The containers whose namespaces one shares, held by descriptors of their first processes."""

    def __init__(self, path: str, share: Mapping[str, str]) -> None:
        self.donors: dict[str, tuple[int, int]] = {}  # container -> pidfd, process
        self.kinds: dict[str, int] = {}
        self.shm: list[int] = []
        try:
            for kind, whose in share.items():
                if whose.startswith("container:"):
                    id = whose.partition(":")[2]
                    if id not in self.donors:
                        self.donors[id] = first_process(f"{os.path.dirname(path)}/{id}", REFUSED[kind].format(id))
                    self.kinds[id] = self.kinds.get(id, 0) | KINDS[kind]
        except BaseException:
            self.close()
            raise
        self.shm = self._shared_memory(share.get("ipc", ""))  # a mount, or nothing

    def userns(self, own: str) -> str:
        """How ids are to be mapped: not at all where the namespace of another is joined. Raises Refusal."""
        if len(self.donors) > 1 and os.geteuid():
            raise Refusal("cannot join namespaces of several containers: without root, they must all be of one")
        return "" if self.donors else own

    def clone(self, flags: int) -> int:
        """`linux.clone` into the namespaces that are shared."""
        return clone_inside(self._entries(), flags) if self.donors else linux.clone(flags)

    def _entries(self) -> list[tuple[int, int, int]]:
        """What to enter: of one container its user namespace too; of several, only root may, and has the host's."""
        user = linux.NEWUSER if len(self.donors) == 1 else 0
        return [(*self.donors[id], kinds | user) for id, kinds in self.kinds.items()]

    def _shared_memory(self, ipc: str) -> list[int]:
        """A copy of the mount of another container's /dev/shm, which is in its mount namespace alone."""
        if not ipc.startswith("container:"):
            return []
        return copy_of_mount(*self.donors[ipc.partition(":")[2]], "/dev/shm")

    def close(self) -> None:
        """Let go of the descriptors."""
        for fd in (*(pidfd for pidfd, _ in self.donors.values()), *self.shm):
            os.close(fd)


def copy_of_mount(pidfd: int, pid: int, path: str) -> list[int]:
    """A detached copy of what is mounted at a path of another container; nothing where that has ended."""
    ours, theirs = socket.socketpair()
    helper = os.fork()
    if helper == 0:
        with suppress(BaseException):
            linux.setns(pidfd, (linux.NEWUSER | linux.NEWNS) & other_namespaces(pid))
            root = os.open("/", os.O_PATH)
            there = linux.open_inside(root, path, os.O_PATH | os.O_DIRECTORY)
            socket.send_fds(theirs, [b"!"], [linux.open_tree(there, "")])
        os._exit(0)
    theirs.close()
    _, fds = receive_fds(ours, 1)
    ours.close()
    os.waitpid(helper, 0)
    return list(fds)


@contextmanager
def volumes_in_memory(path: str, mounts: Sequence[dict[str, Any]]) -> Iterator[list[int]]:
    """Those of a container's volumes that are memory and that others which run have, too: copies of their mounts.

    What is `given` so is marked. Until all of them are mounted, nobody else begins to use one.
    """
    import fcntl

    wanted = sorted((mount for mount in mounts if mount.get("volume")), key=lambda mount: str(mount["volume"]))
    locks, found = [], {}
    try:
        for folder in dict.fromkeys(mount["volume"] for mount in wanted):
            locks.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
            fcntl.flock(locks[-1], fcntl.LOCK_EX)
        for mount in wanted:
            copy = _memory_of_others(path, os.path.basename(mount["volume"]))
            mount["given"] = bool(copy)
            found[id(mount)] = copy
        yield [fd for mount in mounts for fd in found.get(id(mount), [])]
    finally:
        for fd in (*locks, *(fd for copy in found.values() for fd in copy)):
            os.close(fd)


def _memory_of_others(path: str, name: str) -> list[int]:
    above, own = os.path.split(path)
    for other in os.listdir(above):
        config = read_config(f"{above}/{other}") if other != own else {}
        for point in config.get("Mounts") or ():
            if point.get("Name") == name and (copy := _copied(f"{above}/{other}", config, point["Destination"])):
                return copy
    return []


def _copied(folder: str, config: Mapping[str, Any], target: str) -> list[int]:
    try:
        pidfd, pid = first_process(folder, "")
    except Refusal:
        return []
    try:
        looked_into = program_of(pid) if config["HostConfig"].get("Init") else pid
        if looked_into != pid:
            os.close(pidfd)
            pidfd = os.pidfd_open(looked_into)
        return copy_of_mount(pidfd, looked_into, target)
    except ProcessLookupError:
        return []
    finally:
        os.close(pidfd)


def clone_inside(entries: Iterable[tuple[int, int, int]], flags: int, born: Callable[[int], None] | None = None) -> int:
    """`linux.clone` by somebody in between, who enters namespaces first (pidfd, process, kinds of each), and may do
    something for the one that is `born`.
    """
    end, start = os.pipe()
    between = os.fork()
    if between == 0:
        child = -1
        with suppress(BaseException):
            for pidfd, pid, kinds in entries:
                linux.setns(pidfd, kinds & other_namespaces(pid))
            child = linux.clone(flags | linux.CLONE_PARENT)
            if child and born:
                born(child)
        if child == 0:
            return 0
        os.write(start, str(child).encode())
        os._exit(0)
    os.close(start)
    said = os.read(end, 64)
    os.close(end)
    os.waitpid(between, 0)
    if int(said) < 0:
        raise Refusal("cannot join the namespaces of another container: this kernel or sandbox does not allow it")
    return int(said)


def clone_below(plugs: Mapping[str, Any], flags: int) -> int:
    """`linux.clone` into a user namespace below that of the switch, with the same ids as there, where we are not root.

    Only those in the user namespaces above it have power over the network namespace of a container.
    """

    def born(child: int) -> None:
        for kind in ("uid", "gid"):
            with open(f"/proc/{child}/{kind}_map", "w") as file:
                file.write(identity.__wrapped__(kind))

    with plug.connect(plugs) as connection:
        pid = plug.keeper(connection)
        pidfd = os.pidfd_open(pid)
        try:
            return clone_inside([(pidfd, pid, linux.NEWUSER)], flags | linux.NEWUSER, born)
        finally:
            os.close(pidfd)


def first_process(folder: str, refusal: str) -> tuple[int, int]:
    """A descriptor of the first process of a container, and its number. Raises Refusal where it does not run."""
    pid = read_state(folder).get("Pid", 0)
    with suppress(ProcessLookupError):
        if pid:
            pidfd = os.pidfd_open(pid)
            if read_state(folder).get("Pid", 0) == pid:  # still: so it is no other that got its number
                return pidfd, pid
            os.close(pidfd)
    raise Refusal(refusal)


def kill_all(mounts: str) -> None:
    """Kill the processes in a mount namespace until there are none."""
    while left := in_mount_namespace(mounts):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def left_behind(path: str) -> str:
    """The mount namespace of a container that nobody keeps any more: the one in which its own files are mounted."""
    for pid in all_pids():
        with suppress(OSError), open(f"/proc/{pid}/mountinfo") as mounts:
            if f"/{os.path.basename(path)}/hostname " in mounts.read():
                return mount_namespace(pid)
    return ""


def in_mount_namespace(name: str) -> list[int]:
    """The processes in a mount namespace (`mnt:[4026532301]`): those of one container, whatever else it shares."""
    return [pid for pid in all_pids() if name and mount_namespace(pid) == name]


def all_pids() -> list[int]:
    """The numbers of all processes that there are."""
    return sorted(map(int, filter(str.isdecimal, os.listdir("/proc"))))


def mount_namespace(pid: int) -> str:
    """The name of a process's mount namespace; empty where it has gone, or is not ours to look at."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/mnt")
    return ""
