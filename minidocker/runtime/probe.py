"""What this machine offers for running containers, found out by trying it, and the choice that follows.

One child process builds a container's walls for nothing, with the very code that a real start uses. Only where that
fails are the parts tried one by one, to say which of them is missing and how to get it: `minidocker doctor`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from minidocker.errors import InvalidArgument

FORCED, FORCED_STORAGE = "MINIDOCKER_RUNTIME", "MINIDOCKER_STORAGE"
MANY = "without root, with the users that /etc/subuid gives"
OVERLAY, FUSE, VFS = STORAGES = ("overlay2", "fuse-overlayfs", "vfs")  # Docker's storage drivers, the best one first
WALLS: dict[str, Any] = {
    "security": {"unmasked": False, "privileged": False},
    "shm_size": 0,
}  # those of a container that asks for nothing


@dataclass(frozen=True)
class Ability:
    """One thing that a machine can do or cannot: `detail` says what was found, `remedy` how to get it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """What was found. `userns` is how ids map: `same` ones as root, `one` without, `` with no user namespace,
    else it is the `ranges` of `mapped`.

    `storage` is how layers become one file system: by the kernel's overlay, by fuse-overlayfs, or by copies (vfs).
    """

    abilities: tuple[Ability, ...]
    works: bool
    userns: str
    storage: str = ""

    @property
    def reason(self) -> str:
        """Why the runtime that is chosen by itself is that one, in a sentence."""
        if self.works:
            how = {"one": "without root", "same": "as root, each in a user namespace", "": "as root"}
            return f"namespaces: this machine starts real containers, {how.get(self.userns, MANY)}"
        missing = next(ability for ability in self.abilities if not ability.ok)
        return f"simulated: no {missing.name} here ({missing.detail}). {missing.remedy}".rstrip()


def choose(folder: Path | None = None) -> str:
    """The runtime to use: `namespaces` where real containers work, else `simulated`; MINIDOCKER_RUNTIME forces one.

    `folder` is where containers will be kept, as not every file system can carry an overlay.

    >>> choose() in ("namespaces", "simulated")
    True
    """
    return os.environ.get(FORCED) or ("namespaces" if report(folder).works else "simulated")


def reason(folder: Path | None = None) -> str:
    """Why `choose()` says what it says."""
    forced = os.environ.get(FORCED)
    return f"{forced}: because {FORCED} says so" if forced else report(folder).reason


@cache
def report(folder: Path | None = None) -> Report:
    """Try what this machine can do; once in a process, in about 10 ms where all is well."""
    if not sys.platform.startswith("linux"):
        linux = Ability("Linux", False, f"this is {sys.platform}", "Use a Linux machine, or WSL 2 on Windows.")
        return Report((linux,), False, "")
    found = json.loads(_in_child(_existing(folder or Path(tempfile.gettempdir()))))
    abilities = tuple(Ability(*ability) for ability in found["parts"])
    return Report((*abilities, *_surroundings()), found["works"], found["userns"], found["storage"])


def storages() -> tuple[str, ...]:
    """The storage drivers to try, the best one first; MINIDOCKER_STORAGE names the only one.

    Raises InvalidArgument, in Docker's words, for one that is none.
    """
    forced = os.environ.get(FORCED_STORAGE)
    if forced and forced not in STORAGES:
        raise InvalidArgument(f"driver not supported: {forced}: {FORCED_STORAGE} may be {', '.join(STORAGES)}")
    return (forced,) if forced else STORAGES


def _existing(folder: Path) -> str:
    """The folder, or the nearest one above it that is there and ours to write to; else the one for temporary files."""
    found = (up for up in (folder, *folder.absolute().parents) if up.exists())
    up = next(found, folder)
    return str(up.absolute() if os.access(up, os.W_OK) else tempfile.gettempdir())


def _in_child(folder: str) -> bytes:
    """Run `_try_all` in a process of its own, and return what it says."""
    reader, writer = os.pipe()
    if threading.active_count() == 1:
        pid = os.fork()
        if pid == 0:
            _say(folder, writer)
    else:  # forking beside other threads is not safe: take a fresh interpreter
        code = f"import sys; sys.path[:0] = {[str(Path(__file__).parents[2])]!r}\n"
        code += f"from minidocker.runtime import probe\nprobe._say({folder!r}, 1)"
        args = [sys.executable, "-I", "-S", "-c", code]
        pid = os.posix_spawn(sys.executable, args, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)])
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text or b'{"works": false, "userns": "", "storage": "", "parts": []}'


def _say(folder: str, writer: int) -> None:
    try:
        found = _try_all(folder)
    except BaseException as error:
        parts = [("container", False, f"{type(error).__name__}: {error}", "")]
        found = {"works": False, "userns": "", "storage": "", "parts": parts}
    os.write(writer, json.dumps(found).encode())
    os._exit(0)


HOME = "Needs Linux 5.12, and MINIDOCKER_ROOT on a file system that is no overlay itself (a volume, or a tmpfs)."


# In the child


def _try_all(folder: str) -> dict[str, Any]:
    """Whether a whole container can be built, with which id mapping and storage; if not, what each part says."""
    from minidocker.runtime import mapped
    from minidocker.runtime.discarding import discard

    place = Path(tempfile.mkdtemp(prefix=".minidocker-probe-", dir=folder))
    try:
        for name in ("upper", "work", "empty"):
            (place / name).mkdir()
        maps = (*filter(None, [mapped.ranges()]), "one") if os.geteuid() else ("same", "")
        errors: list[str] = []
        for userns, storage in product(maps, storages()):
            if not (error := _attempt(_box(place, userns) | {"storage": storage})):
                parts = [("container", True, "starts", ""), _storage(storage, errors)]
                return {"works": True, "userns": userns, "storage": storage, "parts": parts}
            errors.append(error)
        parts = list(_try_parts(_box(place, maps[0])))
        return {"works": False, "userns": "", "storage": "", "parts": [*parts, ("container", False, errors[0], "")]}
    finally:
        discard(place)


def _storage(storage: str, errors: list[str]) -> tuple[str, bool, str, str]:
    """Which storage driver it is to be, and why no better one."""
    if os.environ.get(FORCED_STORAGE):
        return "storage", True, f"{storage}: because {FORCED_STORAGE} says so", ""
    what = {OVERLAY: "the kernel's overlay", FUSE: "a process for each container", VFS: "each container is a copy"}
    why = f", as {errors[0].partition(';')[0]}" if errors else ""
    fuse = " For containers that are no copies, install fuse-overlayfs." if storage == VFS else ""
    return "storage", not errors, f"{storage}: {what[storage]}{why}", HOME + fuse if errors else ""


def _box(place: Path, userns: str) -> dict[str, Any]:
    process = {"args": ["true"], "env": [], "cwd": "/", "user": "", "ulimits": []}
    layers = [str(place / "empty")]
    box: dict[str, Any] = {"path": str(place), "layers": layers, "process": process, "hostname": "probe"}
    box |= {"names": {"domain": ""}, "mounts": [], "files": [], "share": {}, "sysctls": {}, "init": False}
    box |= {"storage": OVERLAY, "rootless": userns == "one", "userns": userns}
    return box | {"read_only": False, "network": "none", "cgroup": {"mounts": []}, **WALLS}


def _try_parts(box: dict[str, Any]) -> Iterator[tuple[str, bool, str, str]]:
    """Each namespace, then each mount, for itself: name, whether it works, what was found, how to get it."""
    from minidocker.runtime import inside, linux

    def mounts(what: Callable[[], None]) -> Callable[[], None]:
        def become() -> None:
            linux.mount("", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
            what()

        return become

    def proc() -> None:
        linux.mount("proc", f"{box['path']}/empty", "proc", inside.SAFE)

    yield _part("user namespace", _attempt(box, 0, None), _userns_remedy())
    kinds = {"mount": linux.NEWNS, "pid": linux.NEWPID, "uts": linux.NEWUTS, "ipc": linux.NEWIPC}
    for kind, flag in (kinds | {"network": linux.NEWNET, "cgroup": linux.NEWCGROUP}).items():
        yield _part(f"{kind} namespace", _attempt(box, flag, None), "Allow it in the sandbox around this process.")
    overlay = mounts(lambda: inside.mount_overlay(str(box["path"]), list(box["layers"])))
    yield _part("overlay mount", _attempt(box, linux.NEWNS, overlay), HOME)
    unmasked = "The sandbox around this process hides parts of /proc (Docker: --security-opt systempaths=unconfined)."
    yield _part("/proc mount", _attempt(box, linux.NEWNS | linux.NEWPID, mounts(proc)), unmasked)


def _part(name: str, error: str, remedy: str) -> tuple[str, bool, str, str]:
    return name, not error, error or "works", remedy if error else ""


def _attempt(box: dict[str, Any], flags: int | None = None, what: Callable[[], None] | None = None) -> str:
    """Have a child in new namespaces do something (nothing said: build a container's walls); why it failed, or ``."""
    from minidocker.runtime import births, linux

    def become() -> None:
        if what:
            what()
        os._exit(0)

    user = linux.NEWUSER if box["userns"] else 0
    try:
        if flags is not None:
            os.waitpid(births.bear(box, become, flags | user), 0)
        else:
            pid, servers = births.bear_walled(box, become)
            os.waitpid(pid, 0)
            servers.wait()
    except Exception as error:
        return str(error)
    return ""


# What else there is to know


def _userns_remedy() -> str:
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "Ubuntu restricts it: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "Debian restricts it: sudo sysctl kernel.unprivileged_userns_clone=1"
    if _setting("user/max_user_namespaces") == "0":
        return "It is switched off: sudo sysctl user.max_user_namespaces=15000"
    return "Run as root, or outside of the sandbox around this process (Docker: --privileged)."


def _setting(name: str) -> str:
    with suppress(OSError):
        return Path("/proc/sys", name).read_text().strip()
    return ""


def _surroundings() -> Iterator[Ability]:
    """What is not needed to start a container, but for some of what one may ask of it."""
    from minidocker.runtime import cgroup

    found = cgroup.places()
    versions = sorted({place.version for place in found.values()})
    detail = (
        f"version {' and '.join(map(str, versions))}: {', '.join(filter(None, found))}" if found else "not writable"
    )
    remedy = "Without it there are no limits, and pause uses SIGSTOP, which programs notice. "
    remedy += "Start minidocker as root, or (version 2) below systemd --user." if os.geteuid() else ""
    yield Ability("cgroup", bool(found), detail, "" if found else remedy.rstrip())
    if os.geteuid():
        from minidocker.runtime import mapped

        tools = all(map(shutil.which, ("newuidmap", "newgidmap")))
        detail = "/etc/subuid and /etc/subgid do not name you" if tools else "no newuidmap (Debian: uidmap)"
        remedy = "Without, a container has the user root only. sudo usermod --add-subuids 100000-165535 "
        remedy += "--add-subgids 100000-165535 YOU gives you more."
        many = bool(mapped.ranges())
        yield Ability("more than one user", many, mapped.ranges() or detail, "" if many else remedy)
