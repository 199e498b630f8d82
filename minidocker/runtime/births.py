"""How a process of a container is born: cloned into new namespaces, or forked into those that there are.

The child says nothing when all is well: its end of a pipe closes when it becomes the program. Otherwise it writes
there why it could not, in Docker's words, with Docker's exit code.
"""

# ruff: noqa: PTH115, PTH123
from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from minidocker.runtime import linux
from minidocker.runtime.inside import Refusal


def bear(box: Mapping[str, Any], become: Callable[[], None], flags: int | None = None) -> int:
    """Start a process in new namespaces that will `become` a program; return its number once it has. Raises Refusal."""
    error_end, error_start = os.pipe()
    go_end, go_start = os.pipe()
    child = linux.clone(namespaces(box) if flags is None else flags)
    if child == 0:
        try:
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(go_start)
            if os.read(go_end, 1):  # the ids of the user namespace are mapped, and the parent is alive
                become()
        except BaseException as error:
            confess(error_start, error)
        os._exit(125)
    os.close(error_start)
    os.close(go_end)
    try:
        map_ids(child, box["userns"])
        os.write(go_start, b"!")
        os.close(go_start)
        check_confession(error_end)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return child


def namespaces(box: Mapping[str, Any]) -> int:
    """The clone flags of a container: seven new namespaces, or fewer where it asks for the host's."""
    flags = linux.NEWNS | linux.NEWPID | linux.NEWUTS | linux.NEWIPC | linux.NEWCGROUP
    flags |= 0 if box["network"] == "host" else linux.NEWNET
    return flags | (linux.NEWUSER if box["userns"] else 0)


def map_ids(child: int, how: str) -> None:
    """Map the ids of a new user namespace: `same` ones inside and outside, or only `one`: we are root inside."""
    if not how:
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


def check_confession(pipe: int) -> None:
    """Wait until the child runs its program; raise the Refusal that it sent instead."""
    with open(pipe, "rb") as reader:
        said = reader.read()
    if said:
        text, code = json.loads(said)
        raise Refusal(text, code)


def exit_status(child: int) -> int:
    """The exit code of a child that has ended, 128 + n after signal n; the child stays a zombie."""
    found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert found is not None
    return found.si_status if found.si_code == os.CLD_EXITED else 128 + found.si_status


def other_namespaces(pid: int) -> int:
    """The clone flags of those namespaces in which a process is and we are not."""
    kinds = {
        "user": linux.NEWUSER,
        "mnt": linux.NEWNS,
        "pid": linux.NEWPID,
        "uts": linux.NEWUTS,
        "ipc": linux.NEWIPC,
        "net": linux.NEWNET,
        "cgroup": linux.NEWCGROUP,
    }
    return sum(flag for kind, flag in kinds.items() if not same_namespace(pid, kind))


def same_namespace(pid: int, kind: str) -> bool:
    """Whether a process is in the same namespace of a kind as we are."""
    return os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
