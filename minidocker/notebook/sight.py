"""What can be seen from inside a container, and from outside: the same files of /proc, read on both sides.

A namespace is why the same question has two answers. The kernel numbers namespaces (`/proc/<pid>/ns`): where two
processes have the same number, they are in the same one, and every answer is the same.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.lens import Facet, Seen, Sight
from minidocker.runtime.capabilities import ALL

if TYPE_CHECKING:
    from minidocker.container import Container

SHARED = {  # kind of namespace -> how docker run is told to share the host's: its flag, and the SDK's option
    "pid": ("--pid=host", {"pid_mode": "host"}),
    "mnt": ("", {}),
    "uts": ("--uts=host", {"uts_mode": "host"}),
    "net": ("--network=host", {"network_mode": "host"}),
    "user": ("--userns=host", {"userns_mode": "host"}),
    "ipc": ("--ipc=host", {"ipc_mode": "host"}),
    "cgroup": ("--cgroupns=host", {"cgroupns": "host"}),
    "time": ("", {}),
}
FILES = tuple(
    f"/proc/{name}" for name in "sys/kernel/hostname mounts net/dev sysvipc/shm self/cgroup self/timens_offsets".split()
)
READER = """for file; do
    echo "== $file"
    cat "$file"
done 2>/dev/null
echo "== processes"
cd /proc; echo [0-9]*"""

Answers = Mapping[str, Sequence[str]]  # file -> its lines


def sight(container: Container) -> Sight:
    """Both sides of a container that runs: measured, or what its machine plays where it is a simulated one.

    Raises APIError where it does not run.
    """
    return _measured(container) if container.runtime.name == "namespaces" else _played(container)


def inside(container: Container, *files: str) -> dict[str, list[str]]:
    """Files as the processes of a container see them, each in lines; and the numbers of its `processes`.

    Those of the process that looks are left in, since it is one of them.
    """
    said = container.exec_run(["sh", "-c", READER, "sh", *files]).output.decode(errors="replace")
    found: dict[str, list[str]] = {}
    for part in said.split("== ")[1:]:
        name, *lines = part.splitlines()
        found[name] = lines
    return found


def outside(*files: str) -> dict[str, list[str]]:
    """The same of ours."""
    found = {}
    for file in files:
        with suppress(OSError):
            found[file] = Path(file).read_text(encoding="utf-8").splitlines()
    found["processes"] = [" ".join(name for name in os.listdir("/proc") if name.isdecimal())]  # noqa: PTH208
    return found


def status(pid: int) -> dict[str, list[str]]:
    """What /proc/<pid>/status says, as the host sees it: `{"NSpid": ["4711", "1"], …}`."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: words.split() for name, _, words in (line.partition(":") for line in lines)}


def capabilities(container: Container) -> tuple[str, ...]:
    """The powers that the first process of a container has: as the kernel says, or as they would be given to it."""
    if container.runtime.name == "simulated":
        return tuple(name for name in ALL if name in container.box().security.capabilities)
    return bits(status(int(container.state()["Pid"]))["CapEff"][0])


def bits(mask: str) -> tuple[str, ...]:
    """The capabilities of a bit set, as the kernel writes it.

    >>> bits("0000000000000021")
    ('CAP_CHOWN', 'CAP_KILL')
    """
    return tuple(name for number, name in enumerate(ALL) if int(mask, 16) >> number & 1)


def _measured(container: Container) -> Sight:
    pid = int(container.state()["Pid"])
    there, here = inside(container, *FILES), outside(*FILES)
    names = {kind: (_namespace("self", kind), _namespace(pid, kind)) for kind in SHARED}
    about = status(pid)
    facets = []
    for kind, (ours, theirs) in names.items():
        apart = ours != theirs if ours and theirs else None
        told = _told(kind, pid, about, here, there, bool(apart))
        left, right = (words.replace(container.id, container.short_id) for words in told)
        facets.append(Facet(kind, left, right, apart, ours, theirs))
    own = [int(row["pid"]) for row in container.runtime.top(container.box())]
    seen = _seen(sorted({1, os.getpid()} - {*own}), own, shared=names["pid"][0] == names["pid"][1])
    return Sight(tuple(facets), tuple(seen))


def _namespace(pid: int | str, kind: str) -> str:
    """`uts:[4026531838]`; empty where the kernel has no such kind, or we may not look."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/{kind}")  # noqa: PTH115
    return ""


def _told(
    kind: str, pid: int, about: Mapping[str, Sequence[str]], here: Answers, there: Answers, apart: bool
) -> tuple[str, str]:
    """What the two sides answer to the question that a namespace is about: the host, the container."""
    if kind == "pid":
        if not apart:
            return (f"process {pid}, among all of the machine",) * 2
        count = len(there["processes"][0].split()) - 1  # without the one that looks
        return f"process {pid} of {len(here['processes'][0].split())}", f"process {about['NSpid'][-1]} of {count}"
    if kind == "user":
        uid, count = about["Uid"][1], len(bits(about["CapEff"][0]))
        own = f"uid 0 with {count} powers"
        return (f"uid {uid}, without any power here" if apart else f"uid {uid} with {count} powers"), own
    if kind == "cgroup":
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
        return _place(lines), _place(there.get("/proc/self/cgroup", []))
    return _ANSWERS[kind](here), _ANSWERS[kind](there)


def _place(lines: Sequence[str]) -> str:
    return "group " + max((line.split(":", 2)[2] for line in lines), key=len, default="/")


def _disk(answers: Answers) -> str:
    mounts = [line.split() for line in answers["/proc/mounts"]]
    root = next((line[2] for line in mounts if line[1] == "/"), "?")
    return f"/ is {root}, and {len(mounts) - 1} mounts more"


def _interfaces(answers: Answers) -> str:
    return ", ".join(line.partition(":")[0].strip() for line in answers["/proc/net/dev"][2:])


def _segments(answers: Answers) -> str:
    return f"{max(len(answers['/proc/sysvipc/shm']) - 1, 0)} segments of shared memory"


def _clock(answers: Answers) -> str:
    shifts = {word for line in answers.get("/proc/self/timens_offsets", []) for word in line.split()[1:]}
    return "clocks shifted" if shifts - {"0"} else "clocks as they are"


_ANSWERS = {
    "mnt": _disk,
    "uts": lambda answers: answers["/proc/sys/kernel/hostname"][0],
    "net": _interfaces,
    "ipc": _segments,
    "time": _clock,
}


def _seen(others: Sequence[int], own: Sequence[int], shared: bool) -> Iterator[Seen]:
    for pid in others:
        with suppress(OSError):
            name = "this notebook" if pid == os.getpid() else status(pid)["Name"][0]
            yield Seen(name, str(pid), str(pid) if shared else "")
    for pid in own[:4]:
        with suppress(OSError):
            yield Seen(" ".join(status(pid)["Name"]), str(pid), str(pid) if shared else status(pid)["NSpid"][-1], True)


def _played(container: Container) -> Sight:
    """What a simulated machine is: a program that plays one. Nothing of it is the kernel's."""
    rows, pid = container.runtime.top(container.box()), str(container.state()["Pid"])
    played = {
        "pid": (f"process {pid}, which plays them", f"process {rows[0]['pid']} of {len(rows)}"),
        "mnt": ("the machine's files", "layers, kept in Python"),
        "uts": (socket.gethostname(), container.hostname()),
    }
    facets = [Facet(kind, *played.get(kind, ("", "not played")), None) for kind in SHARED]
    seen = [Seen(str(row["command"]), pid, str(row["pid"]), True) for row in rows[:4]]
    return Sight(tuple(facets), (Seen("this notebook", str(os.getpid()), ""), *seen))
