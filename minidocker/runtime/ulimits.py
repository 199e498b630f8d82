"""Ulimits: what one process may have at most, of open files, processes, memory… See setrlimit(2).

A limit is soft, where a process is refused more, and hard, up to where it may raise the soft one by itself. To raise a
hard one takes CAP_SYS_RESOURCE outside, which a container does not have: so whoever starts it does that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from minidocker.runtime import linux
from minidocker.runtime.messages import Refusal, reason

NUMBERS = {
    "cpu": 0,
    "fsize": 1,
    "data": 2,
    "stack": 3,
    "core": 4,
    "rss": 5,
    "nproc": 6,
    "nofile": 7,
    "memlock": 8,
    "locks": 10,
    "sigpending": 11,
    "msgqueue": 12,
    "nice": 13,
    "rtprio": 14,
    "rttime": 15,
}  # the same on all machines that we know the system calls of
Ulimits = Iterable[tuple[str, int, int]]


def allow(pid: int, ulimits: Ulimits, oom_score_adj: int) -> None:
    """Raise the hard limits of a process as far as they will be asked for. Raises Refusal."""
    for name, _, hard in ulimits:
        soft, most = linux.rlimit(pid, NUMBERS[name])
        if most != -1 and (hard == -1 or hard > most):
            _set(pid, name, soft, hard)
    if oom_score_adj:
        try:
            with open(f"/proc/{pid}/oom_score_adj", "w") as file:  # noqa: PTH123
                file.write(str(oom_score_adj))
        except OSError as error:
            text = f"cannot set oom_score_adj to {oom_score_adj}: {reason(error)}"
            raise Refusal(f"{text}; to lower it takes CAP_SYS_RESOURCE") from None


def apply(ulimits: Ulimits) -> None:
    """Set this process's limits, as the last thing that it does before it is the program. Raises Refusal."""
    for name, soft, hard in ulimits:
        _set(os.getpid(), name, soft, hard)


def _set(pid: int, name: str, soft: int, hard: int) -> None:
    try:
        linux.rlimit(pid, NUMBERS[name], (soft, hard))
    except OSError as error:
        text = f"error setting rlimits for ready process: error setting rlimit type {NUMBERS[name]}: {reason(error)}"
        raise Refusal(text) from None
