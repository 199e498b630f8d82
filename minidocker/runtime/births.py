"""How a process of a container is born: cloned into new namespaces, or forked into those that there are.

The child says nothing when all is well: its end of a pipe closes when it becomes the program. Otherwise it writes
there why it could not, in Docker's words, with Docker's exit code.
"""

# ruff: noqa: PTH110, PTH115, PTH123
from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from minidocker.runtime import cgroup, inside, linux
from minidocker.runtime.fuse import Servers
from minidocker.runtime.messages import Refusal, receive_fds

KINDS = {  # of namespaces, as in /proc/<pid>/ns, and the flags of clone(2) for them
    "user": linux.NEWUSER,
    "mnt": linux.NEWNS,
    "pid": linux.NEWPID,
    "uts": linux.NEWUTS,
    "ipc": linux.NEWIPC,
    "net": linux.NEWNET,
    "cgroup": linux.NEWCGROUP,
    "time": linux.NEWTIME,
}

FORKNOEXEC = 0x40  # of the flags in proc_pid_stat(5): "forked but didn't exec"
MAPPERS = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"  # where newuidmap and newgidmap are


class Killed(Refusal):
    """It was killed before it became a program."""


class Newborn:
    """A process in new namespaces, from its birth until it is a program. It dies with whoever bore it.

    It calls `become` with its end of a connection, through which it may be given orders. When all is well that end
    closes as it becomes the program; else it carries why it did not. It may hand out the `master` of its terminal.
    """

    master: int | None = None

    def __init__(
        self,
        userns: str,
        flags: int,
        become: Callable[[socket.socket], None],
        kind: str = "",
        clone: Callable[[int], int] = linux.clone,
    ) -> None:
        self.kind = kind
        self.ahead = ""  # the name of the cgroup that it has for now
        self.orders, theirs = socket.socketpair()
        self.pid = clone(flags)
        if self.pid == 0:
            try:
                linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
                self.orders.close()
                if theirs.recv(1):  # the ids of the user namespace are mapped, and the parent is alive
                    become(theirs)
            except BaseException as error:
                confess(theirs.fileno(), error)
            finally:
                os._exit(125)
        theirs.close()
        try:
            map_ids(self.pid, userns)
            self.orders.send(b"!")
        except BaseException:
            self.stop()
            raise

    def runs(self) -> int:
        """Wait until it runs its program; return its number. Raises Refusal."""
        try:
            self.master = check_confession(self.orders)
            if self.was_killed():  # a connection closes then, too
                raise Killed("unable to start container process: container init was killed (memory limit too low?)")
        except BaseException:
            self.stop()
            raise
        self.orders.close()
        return self.pid

    def was_killed(self) -> bool:
        """Whether somebody killed it before it became a program."""
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is None or found.si_code == os.CLD_EXITED:
            return False
        with open(f"/proc/{self.pid}/stat", "rb") as file:
            return bool(int(file.read().rpartition(b")")[2].split()[6]) & FORKNOEXEC)

    def stop(self) -> None:
        """Kill it."""
        self.orders.close()
        os.kill(self.pid, signal.SIGKILL)
        exit_status(self.pid)
        if self.ahead:
            cgroup.Group(self.ahead).remove()
        os.waitpid(self.pid, 0)  # only now may its number, which is in the group's name, be another's


def bear(box: Mapping[str, Any], become: Callable[[], None], flags: int | None = None) -> int:
    """Start a process in new namespaces that will `become` a program; return its number once it has. Raises Refusal."""
    flags = namespaces(box["userns"], box["share"]) if flags is None else flags
    return Newborn(box["userns"], flags, lambda _: become()).runs()


def bear_walled(box: Mapping[str, Any], become: Callable[[], None]) -> tuple[int, Servers]:
    """The same for one that builds the container's walls first; and the servers of what it mounts."""
    servers = Servers(box)

    def build() -> None:
        inside.build(box, given=servers.take())
        become()

    newborn = Newborn(box["userns"], namespaces(box["userns"], box["share"]), lambda _: build())
    servers.start(newborn.pid)
    return newborn.runs(), servers


def namespaces(userns: str, share: Mapping[str, str]) -> int:
    """The clone flags of a container: seven new namespaces, less those that it shares with others. That of cgroups
    comes later: it begins at the cgroup that a process is in.
    """
    shared = {kind for kind, whose in share.items() if whose == "host" or whose.startswith("container:")}
    shared |= {"cgroup"} | (set() if userns else {"user"})
    return sum(flag for kind, flag in KINDS.items() if kind not in shared)


def map_ids(child: int, how: str) -> None:
    """Map the ids of a new user namespace: `same` ones inside and outside, only `one` (we are root inside), or ranges.

    Ranges are those of newuidmap(1), then those of newgidmap(1): `0 1000 1 1 100000 65536/0 1000 1 1 100000 65536`.
    """
    if not how:
        return
    if how[0].isdigit():
        for kind, ranges in zip(("uid", "gid"), how.split("/"), strict=True):
            args = [f"new{kind}map", str(child), *ranges.split()]
            _, status = os.waitpid(os.posix_spawnp(args[0], args, {"PATH": MAPPERS}), 0)
            if status:
                raise Refusal(f"{args[0]} does not map what /etc/sub{kind} says: see `minidocker doctor`")
        return
    if how == "one":
        with open(f"/proc/{child}/setgroups", "w") as file:
            file.write("deny")
    for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
        lines = f"0 {own} 1" if how == "one" else identity(kind)
        with open(f"/proc/{child}/{kind}_map", "w") as file:
            file.write(lines)


@cache
def identity(kind: str) -> str:
    """A map of all the `uid`s or `gid`s that we have to themselves."""
    with open(f"/proc/self/{kind}_map") as file:
        ours = [line.split() for line in file]
    return "\n".join(f"{first} {first} {count}" for first, _, count in ours)


def connect(stdio: list[int | None]) -> None:
    """Make the descriptors this process's standard streams; None is /dev/null."""
    for stream, fd in enumerate(stdio):
        if fd is not None:
            os.dup2(fd, stream)


def confess(pipe: int, error: BaseException) -> None:
    """Tell the parent why the program did not start, and end."""
    code = error.exit_code if isinstance(error, Refusal) else 125
    text = str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    os.write(pipe, json.dumps([text, code]).encode()[:60000])
    os._exit(code)


def check_confession(end: socket.socket) -> int | None:
    """Wait until the child runs its program; give the terminal that it sent. Raise the Refusal that it sent instead."""
    said, master = b"", None
    with suppress(ConnectionResetError):  # it died before it had read all that it was told
        while True:
            more, fds = receive_fds(end, 1 << 16)
            if fds:
                master = fds[0]
            elif more:
                said += more
            else:
                break
    if said:
        text, code = json.loads(said)
        raise Refusal(text, code)
    return master


def exit_status(child: int) -> int:
    """The exit code of a child that has ended, 128 + n after signal n; the child stays a zombie."""
    found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert found is not None
    return found.si_status if found.si_code == os.CLD_EXITED else 128 + found.si_status


def other_namespaces(pid: int) -> int:
    """The clone flags of those namespaces in which a process is and we are not; a kernel may not have all kinds."""
    there = {kind: flag for kind, flag in KINDS.items() if os.path.exists(f"/proc/self/ns/{kind}")}
    return sum(flag for kind, flag in there.items() if not same_namespace(pid, kind))


def same_namespace(pid: int, kind: str) -> bool:
    """Whether a process is in the same namespace of a kind as we are."""
    return os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")


def program_of(init: int) -> int:
    """The program that an init looks after: the first of its children. The init itself lets nobody look into it."""
    with suppress(OSError, IndexError), open(f"/proc/{init}/task/{init}/children") as file:
        return int(file.read().split()[0])
    return init
