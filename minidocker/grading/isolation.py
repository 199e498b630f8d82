"""Exercise 05: the walls that a container needs, ids on both sides of them, limits, capabilities, and process 1.

Where the machine has real containers, the transplant runs some on the learner's functions. Half of these are called by
the launcher, which is a process of its own: here it is forked from this very process, so that it has them too. An organ
that asks for fewer walls is refused before anything is done: without them, the host's own would be rebuilt.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import APIError, Unsupported
from minidocker.grading.compare import Prop
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, counted, operate
from minidocker.grading.show import NARROW, show_text
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.notebook.pictures.svg import Figure, rect, text
from minidocker.runtime import capabilities, mapped, probe
from minidocker.runtime.capabilities import ALL, DEFAULT

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine

KINDS = {  # of namespaces, and the flags of clone(2) for new ones
    **{"user": 0x10000000, "mnt": 0x00020000, "pid": 0x20000000, "uts": 0x04000000},
    **{"ipc": 0x08000000, "net": 0x40000000, "time": 0x00000080},
}


def _engine(module: str, name: str) -> Callable[..., Any]:
    """A function of the engine's on Unix. Windows has not even the names of what it needs."""
    try:
        found: Callable[..., Any] = getattr(import_module(f"minidocker.runtime.{module}"), name)
    except (ImportError, AttributeError):
        return lambda *_: Unsupported(f"{name} is for Linux")
    return found


# Pictures


def show_walls(title: str, value: int, _arguments: tuple[Any, ...]) -> Figure:
    """A box for each kind of namespace: new ones are drawn whole, those of others dashed."""
    drawn, words = [text(0, 16, title, "md-h")], []
    for place, (kind, flag) in enumerate(KINDS.items()):
        new = bool(value & flag)
        x, y = 95 * (place % 4), 30 + 52 * (place // 4)
        drawn.append(rect(x, y, 88, 44, "md-on" if new else "md-box", "" if new else "md-dash"))
        drawn.append(text(x + 44, y + 19, kind, "md-h", text_anchor="middle"))
        drawn.append(text(x + 44, y + 35, "new" if new else "shared", "md-s", text_anchor="middle"))
        words.append(f"{kind} {'new' if new else 'shared'}")
    rest = value & ~sum(KINDS.values())
    words += [f"and what no wall has: {rest:#x}"] if rest else []
    drawn.append(text(0, 150, f"clone({value:#010x})" + (f", with {rest:#x}: no wall" if rest else ""), "md-c"))
    twin = "\n".join([f"{title}: clone({value:#010x})", *(f"  {line}" for line in words)])
    return Figure(title, "; ".join(words), "".join(drawn), NARROW, 160, twin)


def show_map(title: str, value: int | None, arguments: tuple[Any, ...]) -> Figure:
    """The rows of a map, and where the id goes."""
    id, rows = arguments
    lines = [f"{'>' if a <= id < a + n else ' '} {a}…{a + n - 1} inside is {b}…{b + n - 1}" for a, b, n in rows]
    return show_text(title, [*lines, f"{id} inside: " + (f"{value} outside" if type(value) is int else "nobody")])


def show_capabilities(title: str, value: int, _arguments: tuple[Any, ...]) -> Figure:
    """A mask, and in what it is not Docker's usual one."""
    found = [name for bit, name in enumerate(ALL) if value >> bit & 1]
    more = [f"+ {name}" for name in found if name not in DEFAULT]
    less = [f"- {name}" for name in DEFAULT if name not in found]
    rest = value >> len(ALL)
    unknown = [f"and bits that are no capability: {rest << len(ALL):#x}"] if rest else []
    said = [*(more if len(more) < 9 else [f"+ {len(more)} more"]), *(less if len(less) < 9 else [f"- {len(less)}"])]
    return show_text(title, [f"{value:#018x}", f"{len(found)} capabilities: Docker's usual ones", *said, *unknown])


def show_files(title: str, value: Mapping[str, str], _arguments: tuple[Any, ...]) -> Figure:
    """What is written into which file."""
    return show_text(title, [f"{file} <- {content}" for file, content in sorted(value.items())] or ["(nothing)"])


def show_reaped(title: str, value: tuple[int | None, list[int]], arguments: tuple[Any, ...]) -> Figure:
    """Who was collected, and what that says of the program."""
    code, collected = value
    lines = [f"{pid} was collected" + (": the program" if pid == arguments[0] else "") for pid in collected]
    return show_text(title, [*lines, "the program lives" if code is None else f"exit code {code}"])


# Specifications


def _walls(*shared: str) -> int:
    return sum(flag for kind, flag in KINDS.items() if kind not in shared)


OWN = "A mode that is neither `host` nor `container:…` says how the new one shall be. It is a new one."
WALLS = Task(
    "5.1",
    "namespaces",
    ("userns", "share"),
    "With these flags clone(2) bears a container",
    (
        Case("nothing is shared", ("same", {}), _walls(), "The sum of all seven flags: sum(KINDS.values())."),
        Case("--pid host", ("same", {"pid": "host"}), _walls("pid"), "`host`: no new namespace of that kind."),
        Case(
            "--pid host --network host --uts host",
            ("same", {"pid": "host", "net": "host", "uts": "host"}),
            _walls("pid", "net", "uts"),
            "Each kind on its own.",
        ),
        Case(
            "--network container:3fa0",
            ("same", {"net": "container:3fa0"}),
            _walls("net"),
            "It joins the namespace of another: a new one is not needed. whose.startswith('container:')",
        ),
        Case("--ipc shareable", ("same", {"ipc": "shareable"}), _walls(), OWN),
        Case("--ipc none", ("same", {"ipc": "none"}), _walls(), OWN),
        Case("no user namespace", ("", {}), _walls("user"), "Where `userns` is empty, ids are not mapped: no `user`."),
        Case("without root", ("one", {"uts": "host"}), _walls("uts"), "Any text but the empty one means a new `user`."),
        Case(
            "--cgroupns host",
            ("same", {"cgroup": "host"}),
            _walls(),
            "KINDS has no `cgroup` (that namespace is made later): go through KINDS, not through share.",
        ),
    ),
    (
        "Go through KINDS: a flag counts unless share.get(kind, '') is 'host' or begins with 'container:'.",
        "The user namespace has a condition of its own: it is new only if userns is not empty.",
        "sum(flag for kind, flag in KINDS.items() if …)",
    ),
    _engine("births", "namespaces"),
    show_walls,
    1,
)
RANGES = [(0, 1000, 1), (1, 100000, 65536)]
ROW = "A row says: `count` ids from `first` on are those from `there` on. there + (id - first)"
IDS = Task(
    "5.2",
    "host_id",
    ("id", "rows"),
    "So the kernel looks an id up whenever a process of a container touches anything",
    (
        Case("root, as an ordinary user's container has it", (0, RANGES), 1000, ROW),
        Case("the second row", (1, RANGES), 100000, ROW),
        Case("in the midst of a row", (33, RANGES), 100032, ROW),
        Case("the last of a row", (65536, RANGES), 165535, "The last one is first + count - 1."),
        Case("beyond the last", (65537, RANGES), None, "first <= id < first + count, else it is nobody's: None."),
        Case("one id only", (1, [(0, 1000, 1)]), None, "No row has it: None. (The kernel shows 65534, nobody.)"),
        Case("the same inside and outside", (1000, [(0, 0, 4294967295)]), 1000, "The numbers can be the same."),
        Case("outside it is root", (5, [(5, 0, 1)]), 0, "0 is an id, and not None."),
        Case("no rows", (0, []), None, "Of an empty map nobody is anybody."),
    ),
    (
        "for first, there, count in rows: is the id in this row?",
        "It is, if first <= id < first + count. Then it is the (id - first)th from `there` on.",
        "After the loop: return None.",
    ),
    mapped.translated,
    show_map,
    1,
)


def _mask(names: str) -> int:
    return sum(1 << ALL.index(f"CAP_{name}") for name in names.split())


USUAL, EVERY = sum(1 << ALL.index(name) for name in DEFAULT), (1 << len(ALL)) - 1
ADMIN, RAW = _mask("NET_ADMIN"), _mask("NET_RAW")
BITS = "The bit of a capability is 1 << ALL.index(name)."
CAPABILITIES = Task(
    "5.3",
    "capability_mask",
    ("add", "drop"),
    "This number is in CapBnd of /proc/1/status: what root in a container may do",
    (
        Case("nothing was asked for", ([], []), USUAL, f"Docker's DEFAULT. {BITS}"),
        Case("--cap-add NET_ADMIN", (["CAP_NET_ADMIN"], []), USUAL | ADMIN, "Those to add come on top of DEFAULT."),
        Case("--cap-drop NET_RAW", ([], ["CAP_NET_RAW"]), USUAL & ~RAW, "Those to drop are left out of DEFAULT."),
        Case(
            "one that is there is added",
            (["CAP_CHOWN"], []),
            USUAL,
            "A set has each one once: put bits together with |, or make a set of the names first.",
        ),
        Case("one that is not there is dropped", ([], ["CAP_SYS_ADMIN"]), USUAL, "Nothing is to be taken away."),
        Case("--cap-drop ALL", ([], ["ALL"]), 0, "Of DEFAULT nothing is left."),
        Case(
            "--cap-drop ALL --cap-add CHOWN",
            (["CAP_CHOWN"], ["ALL"]),
            _mask("CHOWN"),
            "First all are dropped, then those to add come: the least that a program needs, and no more.",
        ),
        Case(
            "--cap-add ALL --cap-drop NET_ADMIN",
            (["ALL"], ["CAP_NET_ADMIN"]),
            EVERY & ~ADMIN,
            "ALL means every one that there is, and those to drop are left out of it.",
        ),
        Case(
            "the same one added and dropped",
            (["CAP_NET_RAW"], ["CAP_NET_RAW"]),
            USUAL,
            "Dropped from DEFAULT, then added: it is there.",
        ),
        Case(
            "ALL added, ALL dropped",
            (["ALL"], ["ALL"]),
            EVERY,
            "ALL to add goes first in Docker: then only names that are dropped one by one are left out.",
        ),
        Case("no such capability", (["CAP_FLY"], []), ValueError, "ALL.index raises ValueError by itself."),
    ),
    (
        "First find the names, then the number: three cases, 'ALL' in add, 'ALL' in drop, and neither.",
        "'ALL' in add: those of ALL that are not in drop. 'ALL' in drop: add. Else DEFAULT without drop, and add.",
        "sum(1 << ALL.index(name) for name in set(names))",
    ),
    capabilities.tweaked,
    show_capabilities,
    2,
)
MIB = 1 << 20
UNITS = "NanoCpus are billionths of a processor. Of each period of 100000 µs a container gets its share as a quota."
LIMITS = Task(
    "5.4",
    "cgroup_files",
    ("limits", "version"),
    "Into these files of a cgroup go the limits of a container, and the kernel does the rest",
    (
        Case("no limits", ({}, 2), {}, "Nothing is written: an empty dict."),
        Case(
            "--memory 64m",
            ({"Memory": 64 * MIB}, 2),
            {"memory.max": "67108864"},
            "Numbers are written as text: str(67108864).",
        ),
        Case(
            "--memory 64m, on version 1",
            ({"Memory": 64 * MIB}, 1),
            {"memory.limit_in_bytes": "67108864"},
            "Version 1 has another name for it: memory.limit_in_bytes.",
        ),
        Case("--cpus 0.5", ({"NanoCpus": 500_000_000}, 2), {"cpu.max": "50000 100000"}, UNITS),
        Case(
            "--cpus 1.5, on version 1",
            ({"NanoCpus": 1_500_000_000}, 1),
            {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"},
            "Version 1 has two files for it; the quota may be more than a period: several processors.",
        ),
        Case("--pids-limit 50", ({"PidsLimit": 50}, 1), {"pids.max": "50"}, "pids.max, in both versions."),
        Case("--pids-limit -1", ({"PidsLimit": -1}, 2), {}, "-1 and 0 mean: no limit. Nothing is written."),
        Case(
            "--memory 64m --memory-swap 96m, on version 1",
            ({"Memory": 64 * MIB, "MemorySwap": 96 * MIB}, 1),
            {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "100663296"},
            "MemorySwap is memory and swap together; so is memsw of version 1.",
        ),
        Case(
            "--memory 64m --memory-swap 96m",
            ({"Memory": 64 * MIB, "MemorySwap": 96 * MIB}, 2),
            {"memory.max": "67108864", "memory.swap.max": "33554432"},
            "MemorySwap is memory and swap together; memory.swap.max of version 2 is swap alone: subtract.",
        ),
        Case(
            "--memory 64m --memory-swap -1",
            ({"Memory": 64 * MIB, "MemorySwap": -1}, 2),
            {"memory.max": "67108864", "memory.swap.max": "max"},
            "-1: as much swap as there is. Version 2 writes `max` for that.",
        ),
        Case(
            "--memory 64m --memory-swap -1, on version 1",
            ({"Memory": 64 * MIB, "MemorySwap": -1}, 1),
            {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "-1"},
            "Version 1 takes the -1 as it is.",
        ),
        Case(
            "all at once, with zeros",
            ({"Memory": 0, "MemorySwap": 0, "NanoCpus": 2_000_000_000, "PidsLimit": 7}, 2),
            {"cpu.max": "200000 100000", "pids.max": "7"},
            "0 stands for what was not asked for: limits.get('Memory', 0).",
        ),
    ),
    (
        "Start with files = {}, and for each limit that is not 0: files[name] = str(number).",
        "quota = limits['NanoCpus'] * 100_000 // 10**9 (with //: no fractions of a microsecond)",
        "Version 2: f'{quota} 100000' goes into cpu.max, and memory.swap.max gets 'max' if swap == -1, else the rest.",
    ),
    _engine("limits", "settings"),
    show_files,
    2,
)


class Wait(Prop):
    """`wait()` of a case: what it gives at each call. None stands for ChildProcessError, which then stays."""

    def __init__(self, *answers: tuple[int, int] | None) -> None:
        self.answers, self.asked = answers, 0

    def fresh(self) -> Wait:
        """One that was not called yet."""
        return Wait(*self.answers)

    def __repr__(self) -> str:
        return "wait that gives " + ", ".join(map(str, self.answers)).replace("None", "ChildProcessError")

    def __call__(self) -> tuple[int, int]:
        """The next that has ended."""
        self.asked += 1
        if self.asked > len(self.answers) + 5:
            raise RuntimeError("wait() was called again and again, though nobody more has ended")
        found = self.answers[min(self.asked, len(self.answers)) - 1]
        if found is None:
            raise ChildProcessError(10, "No child processes")
        return found


NONE_NOW = (0, 0)
EACH = "One signal may stand for several that have ended: call wait() until it gives (0, 0)."
REAP = Task(
    "5.5",
    "reap",
    ("program", "wait"),
    "This is the heart of `docker run --init`, and of every process 1",
    (
        Case("nobody has ended", (7, Wait(NONE_NOW)), (None, []), "(0, 0): children live, none has ended. Stop."),
        Case("the program has", (7, Wait((7, 3), NONE_NOW)), (3, [7]), "Its code is the result; its number is listed."),
        Case("an orphan has", (7, Wait((12, 1), NONE_NOW)), (None, [12]), "An orphan is collected; the program lives."),
        Case("several have", (7, Wait((12, 0), (13, 0), NONE_NOW)), (None, [12, 13]), EACH),
        Case(
            "the program, and others after it",
            (7, Wait((12, 0), (7, 1), (13, 2), NONE_NOW)),
            (1, [12, 7, 13]),
            "Go on after the program, too: who is not collected stays a zombie. Keep its code for the end.",
        ),
        Case("the program, with success", (7, Wait((7, 0), NONE_NOW)), (0, [7]), "0 is a code, None is none."),
        Case("nobody is left", (7, Wait((7, 4), None)), (4, [7]), "ChildProcessError: no children. That ends it, too."),
        Case("nobody was there", (7, Wait(None)), (None, []), "ChildProcessError can come at the first call."),
        Case("the program was killed", (7, Wait((7, -9), NONE_NOW)), (137, [7]), "-9 is signal 9. Docker: 128 + 9."),
        Case("an orphan was killed", (7, Wait((12, -15), NONE_NOW)), (None, [12]), "Only the program's code counts."),
    ),
    (
        "try: while True: pid, code = wait(); if pid == 0: break. except ChildProcessError: pass.",
        "Append each pid to a list; where pid == program, keep the code.",
        "At the end: a negative code is 128 - code. return code, collected",
    ),
    _engine("reaper", "reap"),
    show_reaped,
    3,
)
TASKS = (WALLS, IDS, CAPABILITIES, LIMITS, REAP)

# The transplant

IMAGE = "minidocker/base"
SLEEP = ["sh", "-c", "touch /mine; while :; do sleep 0.05; done"]
LEAVES = "(for n in 1 2 3 4 5 6 7 8; do true & done; exec sleep 0.2)"  # eight, at one moment: a sleep waits for nobody
ORPHANS = f"{LEAVES}; sleep 0.3; cat /proc/[0-9]*/stat; exit 7"
ENDINGS = {"of who leaves orphans": ORPHANS, "of who is killed": "kill -KILL $$"}
LIMITED = {  # what is asked for, where the machine can do it
    **{"Memory": ("mem_limit", "64m"), "MemorySwap": ("memswap_limit", "96m")},
    **{"NanoCpus": ("nano_cpus", 500_000_000), "PidsLimit": ("pids_limit", 50)},
}
PATIENCE = 5.0  # seconds for what takes 0.3


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """Containers behind the learner's walls; where there are only simulated ones, what the kernel would be told."""
    runtime = probe.choose(Path(tempfile.gettempdir()))  # chosen now: with organs, it could choose another one
    return operate(counted(namespace, TASKS), grafts, _live, {}, runtime)


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    found: dict[Callable[..., Any], Callable[..., Any]] = {
        WALLS.engine: _namespaces(organs["namespaces"]),
        mapped.translated: organs["host_id"],
        capabilities.tweaked: _tweaked(organs["capability_mask"]),
        LIMITS.engine: _settings(organs["cgroup_files"]),
        REAP.engine: _reap(organs["reap"]),
    }
    with suppress(ImportError, AttributeError):  # elsewhere than on Linux
        launching = import_module("minidocker.runtime.launching")
        import_module("minidocker.runtime.launcher")  # all that it imports is to be there before it is replaced
        found[launching.Launcher._start] = _fork_launcher
    return found


def _live(engine: Engine, _folder: Path, title: str) -> Outcome:
    flags = _engine("births", "namespaces")("same", {})
    facts = {
        "capabilities": ", ".join(capabilities.tweaked(["CAP_NET_ADMIN"], ["ALL"])),
        "www-data, seen from outside": str(mapped.translated(33, RANGES)),
    }
    if isinstance(flags, int):
        facts |= {"clone(2) is given": f"{flags:#010x}", "cgroups are given": _given()}
    if engine.containers.runtime.name != "namespaces":
        return Outcome(facts, show_walls(title, flags if isinstance(flags, int) else 0, ()))
    from minidocker.runtime.births import other_namespaces

    can = engine.containers.runtime.supports()
    limits = {option: value for name, (option, value) in LIMITED.items() if name in can}
    with _running(engine, cap_drop=["NET_RAW"], **limits) as container:
        pid = container.state()["Pid"]
        walls = other_namespaces(pid) & sum(KINDS.values())  # that of cgroups comes later, and is not the learner's
        facts |= {
            "walls of a container": _names(walls),
            "CapBnd": _status(pid, "CapBnd"),
            "its limits, as the kernel has them": _limits(container),
            "outside, its root is": f"{_foretold(pid)}; and of its file the owner is {_owner(pid)}",
        }
    with _running(engine, network_mode="host", uts_mode="host") as container:
        facts["walls with --network host --uts host"] = _names(other_namespaces(container.state()["Pid"]))
    for name, script in ENDINGS.items():
        facts[f"end {name}"] = _end(engine, script)
    return Outcome(facts, show_walls(title, walls, ()))


def _given() -> str:
    """What two cgroups would be told, one of each version."""
    from minidocker.runtime.cgroup import SELF, Place

    asked = {"Memory": 64 * MIB, "MemorySwap": 96 * MIB, "NanoCpus": 500_000_000, "PidsLimit": 50}
    names = [{"memory", "cpu", "pids"}, {SELF, "memory", "cpu", "pids"}]
    places = [{name: Place(version, "", "") for name in found} for version, found in enumerate(names, 1)]
    settings = _engine("limits", "settings")
    files = (sorted(f"{file}={said}" for _, file, said in settings(asked, there)) for there in places)
    return "; ".join(", ".join(found) for found in files)


@contextmanager
def _running(engine: Engine, **options: Any) -> Iterator[Container]:
    container = engine.containers.run(IMAGE, SLEEP, detach=True, **options)
    try:
        for _ in range(100):
            if Path(f"/proc/{container.state()['Pid']}/root/mine").exists():
                break
            time.sleep(0.02)
        yield container
    finally:
        container.remove(force=True)


def _names(flags: int) -> str:
    return ", ".join(kind for kind, flag in KINDS.items() if flags & flag)


def _status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def _limits(container: Container) -> str:
    wanted = ("memory.max", "memory.limit_in_bytes", "cpu.max", "cpu.cfs_quota_us", "pids.max")
    found = container.cgroup_files()
    return ", ".join(f"{name} {found[name]}" for name in wanted if name in found) or "none can be set here"


def _foretold(pid: int) -> int | None:
    """Who root of a container is outside, by its map."""
    rows = [tuple(map(int, line.split())) for line in Path(f"/proc/{pid}/uid_map").read_text().splitlines()]
    return mapped.translated(0, [(first, there, count) for first, there, count in rows])


def _owner(pid: int) -> int:
    """Whose file it is that root of a container has made, seen from here."""
    return Path(f"/proc/{pid}/root/mine").stat().st_uid


def _end(engine: Engine, script: str) -> str:
    """How a program under `--init` ends, and how many zombies it saw."""
    container = engine.containers.run(IMAGE, ["sh", "-c", script], detach=True, init=True)
    try:
        code = container.wait(timeout=PATIENCE)["StatusCode"]
        zombies = sum(b") Z " in line for line in container.logs().splitlines())
        return f"exit code {code}, {zombies} zombies"
    except APIError:
        return "it never ended"
    finally:
        container.remove(force=True)


# The adapters


def _namespaces(namespaces: Callable[..., int]) -> Callable[..., int]:
    """`births.namespaces`, by the learner's: not with fewer walls, and nothing but walls."""
    right = WALLS.engine

    def walls(userns: str, share: Mapping[str, str]) -> int:
        flags, wanted = namespaces(userns, dict(share)), right(userns, share)
        if missing := wanted & ~flags:
            said = f"clone({flags:#x}) makes no new {_names(missing)} namespace"
            raise Unsupported(f"{said}: the walls would be built in the host's own, so that was not tried")
        if more := flags & ~sum(KINDS.values()):
            raise Unsupported(f"clone({flags:#x}) has flags that no namespace has, {more:#x}: that was not tried")
        return flags

    return walls


def _tweaked(capability_mask: Callable[..., int]) -> Callable[..., tuple[str, ...]]:
    """`capabilities.tweaked`: the names of the learner's bits."""

    def tweaked(add: Any = (), drop: Any = ()) -> tuple[str, ...]:
        given = capability_mask(capabilities.normalized(add), capabilities.normalized(drop))
        return tuple(name for bit, name in enumerate(ALL) if given >> bit & 1)

    return tweaked


def _settings(cgroup_files: Callable[..., dict[str, str]]) -> Callable[..., list[tuple[str, str, str]]]:
    """`limits.settings`, of which the learner's knows four; in the kernel's order (memory before memsw)."""
    right = LIMITS.engine

    def settings(limits: Mapping[str, Any], places: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        asked = {name: limits[name] for name in LIMITED if limits.get(name)}
        rest = {name: value for name, value in limits.items() if name not in LIMITED}
        files = cgroup_files(asked, 2 if "" in places else 1)
        return [*right(rest, places), *((file.partition(".")[0], file, said) for file, said in sorted(files.items()))]

    return settings


def _reap(reap: Callable[..., tuple[int | None, list[int]]]) -> Callable[[int], int | None]:
    """`reaper.reap`, with the kernel's own wait: this runs as process 1 of a container."""

    def wait() -> tuple[int, int]:
        pid, status = os.waitpid(-1, os.WNOHANG)
        return pid, os.waitstatus_to_exitcode(status) if pid else 0

    return lambda program: reap(program, wait)[0]


def _fork_launcher(launcher: Any) -> None:
    """`Launcher._start`, without `execve`: what has the engine's place here has it there."""
    import socket
    import warnings

    from minidocker.runtime.launcher import main

    launcher._reap()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which are not in the child, nor needed there
        pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(theirs.fileno(), 3)
            for number in range(3):
                os.dup2(null if null != 3 else os.open(os.devnull, os.O_RDWR), number)
            os.closerange(4, 1 << 30)
            main(3)
        os._exit(0)
    theirs.close()
    launcher._pid, launcher._socket, launcher._owner = pid, ours, os.getpid()
