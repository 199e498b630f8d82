"""Control groups: what a container may use of the machine, and what it has used. See cgroups(7).

A container has a cgroup, `minidocker/<id>`. On version 2 that is one folder with many files; on version 1 a folder in
each hierarchy (memory, cpu, pids, …) that it needs. Its first process is put there before it is the program, and all
that it starts is born there. Who may not make cgroups (without root, where nothing is delegated) has no limits.

    /sys/fs/cgroup/pids/minidocker/1f2e…/pids.max       version 1: one hierarchy, one controller
    /sys/fs/cgroup/minidocker/1f2e…/pids.max            version 2: one hierarchy, all controllers
"""

# ruff: noqa: PTH102, PTH104, PTH106, PTH110, PTH112, PTH120, PTH123, PTH208
from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import NamedTuple

from minidocker.runtime import linux
from minidocker.runtime.messages import Refusal, reason

HOME = "/minidocker"  # the cgroup of our containers' cgroups
COUNTERS = ("memory", "cpuacct", "pids")  # version 1: where every container is, since these count what it uses
CONTROLLERS = ("memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "io", "devices", "freezer")
SELF = ""  # version 2: what is there without any controller
PATIENCE = 10.0  # seconds that the kernel may take to freeze, or to bury the dead


class Place(NamedTuple):
    """A hierarchy: its version, the topmost folder of it that is ours to write to, and the one that we are in."""

    version: int
    root: str
    own: str


Places = Mapping[str, Place]
Setting = tuple[str, str, str]  # controller, file, value


@cache
def places() -> Places:
    """Controller -> its hierarchy, for those in which we may make cgroups."""
    with open("/proc/self/mountinfo") as mounts, open("/proc/self/cgroup") as membership:
        return discover(mounts.read(), membership.read())


def discover(mounts: str, membership: str, writable: Callable[[str], bool] | None = None) -> dict[str, Place]:
    """`places`, from what /proc/self/mountinfo and /proc/self/cgroup say."""
    may = writable or (lambda folder: os.access(folder, os.W_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK))
    own = {}  # controllers, as they are written there -> the cgroup that we are in
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    found: dict[str, Place] = {}
    for root, folder, kind, options in _hierarchies(mounts):
        names = [name for name in options if name in CONTROLLERS] if kind == "cgroup" else [SELF]
        if not names or names[0] in found or names[0] not in own:
            continue
        here = os.path.normpath(f"{folder}/{os.path.relpath(own[names[0]], root)}")
        ours = next((each for each in _down(folder, here) if may(each)), None)
        if ours is None:
            continue
        if kind == "cgroup2":
            names += [name for name in read(f"{ours}/cgroup.controllers").split() if name in CONTROLLERS]
        below = here if here == ours or here.startswith(f"{ours}/") else ours
        found.update({name: Place(1 if kind == "cgroup" else 2, ours, below) for name in names if name not in found})
    if any(place.version == 1 for place in found.values()) and not {"memory", "pids"} & _of(found, 2):
        found.pop(SELF, None)  # beside version 1 in use, version 2 only keeps the books of systemd
    return found


def _of(found: Places, version: int) -> set[str]:
    return {name for name, place in found.items() if place.version == version}


def _hierarchies(mounts: str) -> Iterator[tuple[str, str, str, list[str]]]:
    """Of each mounted hierarchy: which part of it is mounted, where, version's name, controllers and options."""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, folder = map(_unescape, left.split(" ")[3:5])
            yield root, folder, kind, options.split(",")


def _unescape(text: str) -> str:
    """A path as mountinfo has it, with `\\040` for a space; without a codec that would have to be read from disk."""
    first, *rest = text.split("\\")
    return first + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)


def _down(top: str, to: str) -> Iterator[str]:
    """The folders from the top of a hierarchy down to a cgroup; only the top, where that is elsewhere."""
    yield top
    at = top
    for part in to[len(top) :].strip("/").split("/") if to.startswith(f"{top}/") else ():
        at = f"{at}/{part}"
        yield at


class Group:
    """The cgroup of one container, which may not be there (yet): `/minidocker/<id>`, or without the first slash below
    the cgroup that we are in ourselves.
    """

    def __init__(self, name: str, where: Places | None = None) -> None:
        self.name, self.places = name, places() if where is None else where

    def folder(self, controller: str) -> str:
        """Its folder in the hierarchy of a controller."""
        place = self.places[controller]
        return f"{place.root if self.name.startswith('/') else place.own}/{self.name.strip('/')}"

    def folders(self, controllers: Iterable[str] | None = None) -> list[str]:
        """Its folders for some controllers, or all; each once."""
        names = self.places if controllers is None else [name for name in controllers if name in self.places]
        return list(dict.fromkeys(self.folder(name) for name in names))

    def holds(self, controller: str) -> bool:
        """Whether it is there, in the hierarchy of a controller."""
        return controller in self.places and os.path.exists(f"{self.folder(controller)}/cgroup.procs")

    def counters(self) -> list[str]:
        """The controllers that it is always in."""
        return [name for name in (*COUNTERS, SELF) if name in self.places]

    # Life

    def enter(self, pid: int, settings: Iterable[Setting] = (), ahead: str = "") -> None:
        """Make it, write the settings and put a process there. `ahead`: it is already in the group of that name, which
        can get another one. Raises Refusal.
        """
        if not self.remove(kill=False):
            raise Refusal(f"unable to apply cgroup configuration: container's cgroup is not empty: {self.name}")
        self._take(pid, list(settings), ahead)

    def _take(self, pid: int, settings: Sequence[Setting] = (), ahead: str = "") -> None:
        """`enter` for one that is not there."""
        wanted = list(dict.fromkeys([*self.counters(), *(controller for controller, _, _ in settings)]))
        with unswept(self.places):
            moved = self._renamed(ahead) if ahead else []
            self.make(wanted)
            for setting in settings:
                self.write(*setting)
            self.join(pid, [folder for folder in self.folders(wanted) if folder not in moved])

    def enter_ahead(self, pid: int) -> bool:
        """Put a process into it while nobody waits for that, to be renamed later; False where that is not to be.
        Raises Refusal.
        """
        if any(place.version == 2 for place in self.places.values()) or not self.counters():
            return False
        self._take(pid)
        return True

    def _renamed(self, ahead: str) -> list[str]:
        """Give the folders of another group our name; which ours are now."""
        renamed = []
        for name in self.counters():
            with suppress(OSError):
                os.rename(Group(ahead, self.places).folder(name), self.folder(name))
                renamed.append(self.folder(name))
        return renamed

    def make(self, controllers: Iterable[str]) -> None:
        """Make its folders, and those above. Raises Refusal."""
        for controller in controllers:
            if controller in self.places:
                top = self.places[controller]
                try:
                    _make(self.folder(controller), top, self.places.get("cpuset"))
                except OSError as error:
                    text = f"mkdir {self.folder(controller)}: {reason(error)}"
                    raise Refusal(f"unable to apply cgroup configuration: {text}") from None

    def write(self, controller: str, name: str, value: str) -> None:
        """Write one setting. Raises Refusal in the words of Docker's runtime."""
        path = f"{self.folder(controller)}/{name}"
        try:
            put(path, value)
        except OSError as error:
            why = f'failed to write "{value}": write {path}: {reason(error)}'
            raise Refusal(f"unable to apply cgroup configuration: {why}") from None

    def join(self, pid: int, folders: Iterable[str]) -> None:
        """Put a process into folders of it; what it starts from now on is there too."""
        for folder in folders:
            try:
                put(f"{folder}/cgroup.procs", str(pid))
            except ProcessLookupError:
                return
            except OSError as error:
                why = f'failed to write "{pid}": write {folder}/cgroup.procs: {reason(error)}'
                raise Refusal(f"unable to apply cgroup configuration: {why}") from None

    def entries(self) -> list[int]:
        """Descriptors through which a process goes into it (`join`), from where its folders cannot be seen."""
        there = [folder for folder in self.folders() if os.path.exists(f"{folder}/cgroup.procs")]
        return [os.open(f"{folder}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for folder in there]

    def gather(self, controller: str, pids: Callable[[], list[int]]) -> None:
        """Bring all its processes into the hierarchy of one more controller: it may have been left out at first."""
        if self.holds(controller):
            return
        moved: set[int] = set()
        with unswept(self.places):
            self.make([controller])
            while new := set(pids()) - moved:  # a child that is born meanwhile is where its parent was
                for pid in new:
                    self.join(pid, [self.folder(controller)])
                moved |= new

    def pids(self) -> list[int]:
        """The processes in it."""
        for name in self.counters():
            if self.holds(name):
                return sorted(map(int, read(f"{self.folder(name)}/cgroup.procs").split()))
        return []

    def remove(self, kill: bool = True) -> bool:
        """Take it away, having killed (or else thawed: death may be pending) what is left in it; whether it is gone."""
        end = 0.0
        folders = self.folders()
        while folders := [folder for folder in folders if not _remove(folder)]:
            end = end or time.monotonic() + PATIENCE
            if time.monotonic() > end:
                return False
            for folder in folders:
                if kill:
                    _kill(folder)
                with suppress(OSError):
                    put(f"{folder}/freezer.state", "THAWED")
            time.sleep(0.002)
        return True

    # Pause

    def freeze(self, pids: Callable[[], list[int]]) -> bool:
        """Stop all its processes where they stand, unnoticed by them; False where that cannot be done."""
        name = "freezer" if "freezer" in self.places else SELF
        try:
            self.gather(name, pids)
            put(f"{self.folder(name)}/{'freezer.state' if name else 'cgroup.freeze'}", "FROZEN" if name else "1")
        except (OSError, KeyError, Refusal):
            return False
        end = time.monotonic() + PATIENCE
        while not self.is_frozen():
            if time.monotonic() > end:
                self.thaw()
                raise TimeoutError("the kernel does not freeze it")
            time.sleep(0.002)
        return True

    def is_frozen(self) -> bool:
        """Whether `freeze` has done its work."""
        if "freezer" in self.places:
            return read(f"{self.folder('freezer')}/freezer.state").strip() == "FROZEN"
        return SELF in self.places and "frozen 1" in read(f"{self.folder(SELF)}/cgroup.events")

    def thaw(self) -> None:
        """Let its processes go on."""
        with suppress(OSError, KeyError):
            put(f"{self.folder('freezer')}/freezer.state", "THAWED")
        with suppress(OSError, KeyError):
            put(f"{self.folder(SELF)}/cgroup.freeze", "0")

    # Memory that ran out

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed because memory ran out."""
        name = "memory" if "memory" in self.places else SELF
        if name not in self.places:
            return 0
        version = self.places[name].version
        text = read(f"{self.folder(name)}/{'memory.oom_control' if version == 1 else 'memory.events'}")
        return int(fields(text).get("oom_kill", 0))

    def watch_oom(self) -> tuple[int, int] | None:
        """A descriptor on which something happens when memory runs out, and what: for poll(2). None: there is none."""
        try:
            folder = self.folder("memory")
            if self.places["memory"].version == 2:
                events = os.open(f"{folder}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
                os.read(events, 4096)  # what has been read is no news
                return events, select.POLLPRI
            control = os.open(f"{folder}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            put(f"{folder}/cgroup.event_control", f"{event} {control}")
            os.close(control)
        except (OSError, KeyError):
            return None
        return event, select.POLLIN


def join(entries: Iterable[int]) -> None:
    """Put this process into a group."""
    for entry in entries:
        os.write(entry, b"0")


def _kill(folder: str) -> None:
    """Kill every process in a folder."""
    with suppress(OSError):
        put(f"{folder}/cgroup.kill", "1")
    for pid in read(f"{folder}/cgroup.procs").split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _make(folder: str, top: Place, cpuset: Place | None) -> None:
    """Make a folder of a hierarchy with those above it; each passes on to those below what they cannot be without."""
    if os.path.exists(folder):
        return
    above = os.path.dirname(folder)
    if above != top.root:
        _make(above, top, cpuset)
    if top.version == 2:
        for controller in read(f"{above}/cgroup.controllers").split():
            with suppress(OSError):  # not where there are processes: then there is only what needs no controller
                put(f"{above}/cgroup.subtree_control", f"+{controller}")
    with suppress(FileExistsError):
        os.mkdir(folder)
    for name in ("cpuset.cpus", "cpuset.mems") if top.version == 1 and top == cpuset else ():
        if not read(f"{folder}/{name}").strip():
            put(f"{folder}/{name}", read(f"{above}/{name}").strip())


def _remove(folder: str) -> bool:
    """Remove one folder; whether it is gone."""
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def unswept(where: Places | None = None, sweeps: bool = False) -> Iterator[None]:
    """Meanwhile nobody sweeps: what has just been made is empty, too. Or we alone do, and nobody makes anything."""
    found = places() if where is None else where
    locked = [os.open(place.root, os.O_RDONLY | os.O_CLOEXEC) for place in list(found.values())[:1]]
    try:
        for fd in locked:
            linux.flock(fd, shared=not sweeps)
        yield
    finally:
        for fd in locked:
            os.close(fd)


def sweep(where: Places | None = None) -> None:
    """Remove what containers left behind whose monitor was killed: cgroups of ours that nobody is in."""
    home = Group(HOME, where)
    with unswept(where, sweeps=True):
        for folder in home.folders():
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                if os.path.isdir(f"{folder}/{name}"):
                    _remove(f"{folder}/{name}")
            _remove(folder)


def fields(text: str) -> dict[str, str]:
    """A flat keyed file: `oom_kill 1` a line."""
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def read(path: str, missing: str | None = "") -> str:
    """What a file of the kernel's says; `missing` (None: FileNotFoundError) where there is none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        if missing is None:
            raise FileNotFoundError(2, error.strerror, path) from None
        return missing


def put(path: str, value: str) -> None:
    """Write to a file of the kernel's, in one piece; it is never made."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
