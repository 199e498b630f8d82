"""`--init`: process 1 of a container, which reaps what others leave behind, and passes signals on to the program.

Linux gives process 1 two duties that few programs know of: it inherits every orphan, which stays a zombie until it is
waited for, and signals that it has no handler for do not reach it. Docker's own init (tini) does no more than this.
Ours is no program of its own: the process that built the walls stays, and the program is its child.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from minidocker.runtime import linux

NAME = "/sbin/docker-init"  # what `ps` and `docker top` show in Docker
OWN = {signal.SIGCHLD, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGTRAP}


def stay_behind(args: Sequence[str]) -> None:
    """Return in a new process, which is to become the program; stay behind as its init, and end as it does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    linux.prctl(linux.PR_SET_DUMPABLE, 0)  # our memory is that of the host's Python; the program's exec undoes it there
    with suppress(Exception):
        disguise(" ".join([NAME, "--", *args]))  # before the program can look; its own exec undoes that, too
    program = os.fork()
    if program == 0:
        with suppress(OSError):  # of its own process group, which a terminal's keys are for
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpgrp())
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        return
    with suppress(BaseException):
        os.closerange(3, 1 << 30)
        os._exit(look_after(program))
    os._exit(125)


def look_after(program: int) -> int:
    """Reap whatever ends, pass on whatever signal comes, until the program ends; its exit code."""
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)  # where process 1 is another container's, orphans come to us as well
    while True:
        signum = signal.sigwait(signal.valid_signals())
        if signum not in OWN:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(program, signum)
        if (code := reap(program)) is not None:
            return code


def reap(program: int) -> int | None:
    """Collect all that have ended; the exit code of the program, once it is among them."""
    code = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == program:
                code = os.waitstatus_to_exitcode(ended[1])
    return code if code is None or code >= 0 else 128 - code


def disguise(command: str) -> None:
    """Be seen as docker-init."""
    linux.set_name(NAME.rpartition("/")[2])
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc_pid_stat(5)
    if 0 < start < end:
        text = command.encode("utf-8", "surrogateescape")[: end - start - 2].ljust(end - start - 1, b"\0")
        ctypes.memmove(start, text + b"!", end - start)  # with no NUL at its end, it ends at the first: setproctitle(3)
