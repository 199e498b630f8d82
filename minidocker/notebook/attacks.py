"""What a program inside a container may try, and the walls that stop it: each attack with its wall, and without it.

All of them are harmless: they only ask, count to a number that is fixed, or change what is the container's own. They
are Python, so `attempt` runs them in a container of `minidocker/python`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import DockerException
from minidocker.notebook.pictures.matrix import matrix
from minidocker.notebook.pictures.svg import Figure

if TYPE_CHECKING:
    from minidocker.engine import Engine

PYTHON, WORKS = "minidocker/python", "it works"
PRELUDE = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
other = int(sys.argv[1])

def call(name, *args):
    if getattr(libc, name)(*args) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

try:
    {code}
    print("it works")
except OSError as error:
    print(errno.errorcode[error.errno] + ": " + error.strerror)
"""


@dataclass(frozen=True)
class Attack:
    """Something that root inside tries: the call, the wall that stops it, and the option that takes this wall away."""

    code: str
    wall: str
    flag: str
    without: Mapping[str, Any] = field(default_factory=dict)


ADMIN = ("--cap-add SYS_ADMIN", {"cap_add": ["SYS_ADMIN"]})
OPEN = ("seccomp=unconfined", {"security_opt": ["seccomp=unconfined"]})
ATTACKS = {
    "mount a disk": Attack('call("mount", b"x", b"/mnt", b"tmpfs", 0, None)', "capabilities", *ADMIN),
    "rename the machine": Attack('call("sethostname", b"mine", 4)', "capabilities", *ADMIN),
    "be root of namespaces": Attack('call("unshare", 0x10000000)', "seccomp", *OPEN),
    "read the kernel's keys": Attack(
        'call("syscall", 250 if os.uname().machine == "x86_64" else 219, 0, -3, 1)', "seccomp", *OPEN
    ),
    "see your notebook": Attack(
        'call("ptrace", 0x4206, other, None, None)', "pid namespace", "--pid=host", {"pid_mode": "host"}
    ),
}
RECORDED = {  # attack -> what came of it, with all walls and with one less: on Linux
    "mount a disk": ("EPERM: Operation not permitted", WORKS),
    "rename the machine": ("EPERM: Operation not permitted", WORKS),
    "be root of namespaces": ("EPERM: Operation not permitted", WORKS),
    "read the kernel's keys": ("EPERM: Operation not permitted", WORKS),
    "see your notebook": ("ESRCH: No such process", "EPERM: Operation not permitted"),
}


def attempt(engine: Engine, attack: str, **options: Any) -> str:
    """Run one attack as root in a container: `it works`, or the kernel's answer. `options` are those of `run`."""
    program = PRELUDE.format(code=ATTACKS[attack].code)
    command = ["python3", "-S", "-c", program, str(os.getpid())]
    try:
        return str(engine.containers.run(PYTHON, command, remove=True, **options).decode().strip())
    except DockerException as error:
        return str(error).partition("\n")[0]


def attempts(engine: Engine) -> dict[str, tuple[str, str]]:
    """Every attack twice: as Docker starts a container, and with the wall taken away that stopped it."""
    return {name: (attempt(engine, name), attempt(engine, name, **one.without)) for name, one in ATTACKS.items()}


def walls(answers: Mapping[str, tuple[str, str]]) -> Figure:
    """Draw what came of attacks: with all walls, and with one less."""
    columns = ("as Docker starts it", "without that wall")
    cells, lit = {}, set()
    for name, both in answers.items():
        notes = (f"by {ATTACKS[name].wall}", ATTACKS[name].flag)
        for column, answer, note in zip(columns, both, notes, strict=True):
            short, _, words = answer.partition(": ")
            then = "by user namespace" if column == columns[1] and answer != WORKS else ""
            cells[name, column] = "\n".join([short, ", ".join(filter(None, (words, then or note)))])
            if answer == WORKS:
                lit.add((name, column))
    return matrix("what root tries in a container, and the kernel's answer", [*answers], columns, cells, lit=lit)


def in_a_chroot(program: str, folder: Path) -> str:
    """Run a program in Python here, on this machine, that may call chroot; what it prints.

    That takes root, or a user namespace of its own in which it is root. Raises OSError where it may do neither.
    """
    from minidocker.runtime import linux

    code = "import os, sys; from minidocker.runtime import linux\n"
    code += f"try: linux.unshare({linux.NEWUSER})\nexcept OSError:\n    if os.geteuid(): raise\n{program}"
    package = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))}
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip().rpartition("\n")[2])
    return done.stdout
