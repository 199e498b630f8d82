"""The last thing that a process does of ours: with the walls up, it becomes the container's program.

In order: user, groups, capabilities, ulimits, the seccomp filter, `execve`.
"""

# ruff: noqa: PTH116
from __future__ import annotations

import base64
import os
import signal
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from minidocker.runtime import linux, reaper
from minidocker.runtime.messages import Refusal, reason
from minidocker.runtime.user import identify, more_groups

IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python; what is ignored stays so over `execve`


def step_in(process: Mapping[str, Any], rootless: bool, security: Mapping[str, Any], init: bool = False) -> None:
    """Become the program: user, capabilities, folder, signals, `execve`. Never returns; raises Refusal.

    With `init` the program is a child, and we stay and look after it.
    """
    capabilities: int = security["capabilities"]
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    who = identify(root, process["user"])
    groups = more_groups(root, process["groups"])
    if rootless and groups:
        raise Refusal("unable to add groups: started without root, a container has only the group 0")
    if rootless and (who.uid or who.gid):
        text = f"unable to run as user {process['user']}: started without root, a container has only the user 0; "
        raise Refusal(text + "start minidocker as root, or leave the user out")
    change_directory(root, process["cwd"])
    for stream in range(3):
        if stat.S_ISFIFO(os.fstat(stream).st_mode):
            with suppress(OSError):
                os.fchown(stream, who.uid, who.gid)  # so that it may open /dev/stdout
    if process["tty"]:
        os.fchown(0, who.uid, -1)
    linux.drop_bounding(capabilities)
    if not rootless:
        os.setgroups(list(dict.fromkeys((who.gid, *who.groups, *groups))))  # its own is among them, as with Docker
    os.setresgid(who.gid, who.gid, who.gid)
    linux.prctl(linux.PR_SET_KEEPCAPS, 1)
    os.setresuid(who.uid, who.uid, who.uid)
    own = 0 if who.uid else capabilities
    linux.set_capabilities(own, aside=linux.CAP_SYS_ADMIN)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    env = dict(text.split("=", 1) for text in process["env"] if "=" in text)
    env.setdefault("HOME", who.home)
    path = find(process["args"][0], env.get("PATH", ""))
    for signum in IGNORED:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    linux.close_on_exec(3)
    if process["ulimits"]:
        from minidocker.runtime import ulimits

        ulimits.apply(process["ulimits"])
    confine(own, security)
    if init:
        with suppress(OSError):
            linux.set_capabilities(own)  # no `execve` takes from an init what it needs no more
        reaper.stay_behind(process["args"])
    execute(path, process["args"], env)


def confine(own: int, security: Mapping[str, Any]) -> None:
    """Give up what is given up last: new privileges, and the system calls that the program is not to make.

    To install a filter takes CAP_SYS_ADMIN, which `execve` then takes from everybody who is not to have it: what root
    has afterwards is the bounding set, and others nothing.
    """
    if security["filter"]:
        linux.set_capabilities(own | linux.CAP_SYS_ADMIN)
    else:
        linux.set_capabilities(own)
    if security["no_new_privileges"]:
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    if security["filter"]:
        code, flags = security["filter"]
        linux.seccomp(base64.b64decode(code), flags)


def change_directory(root: int, path: str) -> None:
    """Go to the working directory. Nothing there leads out: not even a link to another process's folder in /proc."""
    try:
        os.fchdir(linux.open_inside(root, path, os.O_PATH | os.O_DIRECTORY))
    except OSError as error:
        text = f'chdir to cwd ("{path}") set in config.json failed: {reason(error)}'
        raise Refusal(text, exit_code(error)) from None


def find(name: str, search: str) -> str:
    """Find a program as Docker's runtime does: with a slash in its name there, else in the folders of `PATH`."""
    if "/" in name:
        try:
            check_program(name)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Refusal(f'exec: "{name}": stat {name}: {reason(error)}', 127) from None
        except OSError as error:
            raise Refusal(f'exec: "{name}": {reason(error)}', exit_code(error)) from None
        return name
    for folder in search.split(":") if search else ():
        with suppress(OSError):
            check_program(f"{folder or '.'}/{name}")
            return f"{folder or '.'}/{name}"
    raise Refusal(f'exec: "{name}": executable file not found in $PATH', 127)


def check_program(path: str) -> None:
    """Raise the OSError that says why a path is no program."""
    if stat.S_ISDIR(os.stat(path).st_mode):
        raise IsADirectoryError(21, "is a directory")
    if not os.access(path, os.X_OK):
        raise PermissionError(13, "permission denied")


def execute(path: str, args: list[str], env: Mapping[str, str]) -> None:
    """`execve`; what the kernel says against it becomes a Refusal."""
    try:
        os.execve(path, args, env)
    except OSError as error:
        raise Refusal(f"exec {path}: {reason(error)}", exit_code(error)) from None


def exit_code(error: OSError) -> int:
    """Docker's exit code for a program that did not start: 127 not found, 126 found but not to be run."""
    return 127 if isinstance(error, FileNotFoundError | NotADirectoryError) else 126
