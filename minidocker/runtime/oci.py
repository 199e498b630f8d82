"""A container as an OCI runtime bundle, for runtimes of others: runc, crun.

    config(box) -> dict     the `config.json` of the OCI runtime specification 1.0.2
    find(name) -> Runtime   the runtime of a name

What is asked of a container is the same `Box` as for ours, and so is its monitor (`bundle`), which mounts the layers,
keeps the log and writes the state; only what builds the walls is another's. What it cannot be told is refused by name.

    >>> from pathlib import Path
    >>> from minidocker.runtime import Box, Process
    >>> made = config(Box(Path("/srv/c1"), [], Process(("sh",), ("PATH=/bin",)), "web", limits={"PidsLimit": 100}))
    >>> made["process"]["args"], made["hostname"], made["linux"]["resources"]["pids"]
    (['sh'], 'web', {'limit': 100})
    >>> [namespace["type"] for namespace in made["linux"]["namespaces"]]
    ['pid', 'mount', 'uts', 'ipc', 'network', 'cgroup', 'user']
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minidocker.errors import InvalidArgument, Unsupported
from minidocker.runtime import Bind, Box, Mount, Runtime, Secret, Tmpfs, Volume, seccomp
from minidocker.runtime.limits import DEVICES, PERIOD
from minidocker.runtime.masks import MASKED, READ_ONLY
from minidocker.runtime.names import TARGETS

VERSION = "1.0.2"
PROGRAMS = ("runc", "crun")  # those of others that we know how to call
NAMESPACES = {"pid": "pid", "mnt": "mount", "uts": "uts", "ipc": "ipc", "net": "network", "cgroup": "cgroup"}
ALL_IDS = 2**32 - 1
SAFE = ["nosuid", "noexec", "nodev"]
SHM = "size=65536k"  # of /dev/shm, unless another one is asked for
KERNEL = (  # Docker's mounts of the kernel's own file systems: target, type, options
    ("/proc", "proc", SAFE),
    ("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=64m"]),
    ("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/sys", "sysfs", [*SAFE, "ro"]),
    ("/sys/fs/cgroup", "cgroup", ["ro", *SAFE]),
    ("/dev/mqueue", "mqueue", SAFE),
    ("/dev/shm", "tmpfs", [*SAFE, "mode=1777", SHM]),
)
SOURCES = {"/dev/shm": "shm"}  # where it is not the type: what the host calls it
LIMITS = {  # of the API's HostConfig -> where in `linux.resources`
    "Memory": "memory.limit",
    "MemoryReservation": "memory.reservation",
    "MemorySwap": "memory.swap",
    "MemorySwappiness": "memory.swappiness",
    "OomKillDisable": "memory.disableOOMKiller",
    "CpuShares": "cpu.shares",
    "CpuPeriod": "cpu.period",
    "CpuQuota": "cpu.quota",
    "CpuRealtimePeriod": "cpu.realtimePeriod",
    "CpuRealtimeRuntime": "cpu.realtimeRuntime",
    "CpusetCpus": "cpu.cpus",
    "CpusetMems": "cpu.mems",
    "PidsLimit": "pids.limit",
    "BlkioWeight": "blockIO.weight",
}


def config(box: Box, userns: str = "same") -> dict[str, Any]:
    """The `config.json` of a container. `userns` is how ids map: `same` ones inside and out, or `` for none of its own.

    The program's user is root until its name has been looked up in the container's own tables. Raises Unsupported.
    """
    _refuse(box)
    made: dict[str, Any] = {
        "ociVersion": VERSION,
        **({"annotations": dict(box.annotations)} if box.annotations else {}),
        "process": _process(box),
        "root": {"path": "rootfs", "readonly": box.read_only},
        "mounts": list(_mounts(box, userns)),
        "linux": _linux(box, userns),
    }
    if box.hostname and box.share.get("uts") != "host":
        made["hostname"] = box.hostname
        made |= {"domainname": box.names.domain} if box.names.domain else {}
    return made


def _refuse(box: Box) -> None:
    """Raise Unsupported for what the bundle of another runtime cannot be told, or we cannot tell it."""
    others = [f"{kind} of another container" for kind, whose in box.share.items() if whose.startswith("container:")]
    others += ["an init (--init)"] * box.init + ["no IPC at all"] * (box.share.get("ipc") == "none")
    others += ["all privileges"] * box.security.privileged
    others += [f"the device {one.source} as {one.target}" for one in box.devices if one.source != one.target]
    others += [f"the limit {name}" for name in _unknown(box.limits)]
    for what in others:
        raise Unsupported(f"minidocker does not give runtimes of others {what} yet: leave out --runtime, or that")


def _unknown(limits: Mapping[str, Any]) -> list[str]:
    known = {*LIMITS, "NanoCpus", "DeviceCgroupRules"}
    return [name for name, value in limits.items() if value and name not in known]


def _process(box: Box) -> dict[str, Any]:
    """What is run, and what it may do."""
    process = box.process
    limits = [
        {"type": f"RLIMIT_{name.upper()}", "soft": soft % 2**64, "hard": hard % 2**64}
        for name, soft, hard in box.ulimits
    ]
    made: dict[str, Any] = {
        "terminal": process.tty,
        "user": {"uid": 0, "gid": 0},
        "args": list(process.args),
        "env": list(process.env),
        "cwd": process.cwd,
        "capabilities": {kind: list(box.security.capabilities) for kind in ("bounding", "effective", "permitted")},
        "rlimits": limits,
        "noNewPrivileges": box.security.no_new_privileges,
    }
    if process.tty and any(process.size):
        made["consoleSize"] = {"height": process.size[0], "width": process.size[1]}
    return made | ({"oomScoreAdj": box.oom_score_adj} if box.oom_score_adj else {})


def _mounts(box: Box, userns: str) -> Iterator[dict[str, Any]]:
    """The kernel's file systems, the files of the container's own, and what the user wants mounted."""
    for target, kind, options in KERNEL:
        host = {"/sys": "net", "/dev/mqueue": "ipc", "/dev/shm": "ipc", "/proc": "pid"}.get(target)
        if host and (box.share.get(host) == "host" or (host == "net" and box.network == "host")):
            yield _bind(target, target, read_only=target == "/sys")
        else:
            fit = [option for option in options if option != "gid=5" or userns != "one"]
            fit = [f"size={box.shm_size}" if option == SHM else option for option in fit]
            yield {"destination": target, "type": kind, "source": SOURCES.get(target, kind), "options": fit}
    wanted = {mount.target for mount in box.mounts}
    for name, target in TARGETS.items():
        if target not in wanted:
            yield _bind(str(box.path / name), target)
    for number, mount in sorted(enumerate(box.mounts), key=lambda pair: pair[1].target.count("/")):
        yield _mount(mount, box.path / "mounts" / str(number))


def _mount(mount: Mount, folder: Path) -> dict[str, Any]:
    if isinstance(mount, Tmpfs):
        own = [f"size={mount.size}"] * bool(mount.size) + [word for word in mount.options.split(",") if word]
        options = [*mount.flags, *["ro"] * mount.read_only, *own]
        return {"destination": mount.target, "type": "tmpfs", "source": "tmpfs", "options": options}
    if isinstance(mount, Bind):
        found = _bind(mount.source, mount.target, mount.read_only)
        return found if mount.recursive else found | {"options": ["bind", *found["options"][1:]]}
    if isinstance(mount, Secret):
        bound = _bind(f"{folder}/secret", mount.target, read_only=True)
        return bound | {"options": [*bound["options"], *SAFE]}  # as the memory is mounted that it lies in
    source = mount.path / "data" if isinstance(mount, Volume) else folder
    return _bind(f"{source}{mount.source.rstrip('/')}", mount.target, mount.read_only)


def _bind(source: str, target: str, read_only: bool = False) -> dict[str, Any]:
    options = ["rbind", "rprivate", *(["ro"] if read_only else [])]
    return {"destination": target, "type": "bind", "source": source, "options": options}


def _linux(box: Box, userns: str) -> dict[str, Any]:
    """Namespaces, limits, and what of the kernel's files is hidden."""
    hosts = {kind for kind, whose in box.share.items() if whose == "host"} | (
        {"net"} if box.network == "host" else set()
    )
    own = [{"type": name} for kind, name in NAMESPACES.items() if kind not in hosts]
    made: dict[str, Any] = {
        "namespaces": own,
        "resources": _resources(box),
        "sysctl": _sysctls(box, userns),
        "maskedPaths": [] if box.security.unmasked else list(MASKED),
        "readonlyPaths": [] if box.security.unmasked else list(READ_ONLY),
        "rootfsPropagation": "private",
    }
    if userns == "same" and "user" not in hosts:
        own.append({"type": "user"})
        same = [{"containerID": 0, "hostID": 0, "size": ALL_IDS}]
        made |= {"uidMappings": same, "gidMappings": same}
    made |= {"seccomp": policy} if (policy := _policy(box)) else {}
    made |= {"devices": [_node(device.target) for device in box.devices]} if box.devices else {}
    return made | ({"cgroupsPath": box.cgroup} if box.cgroup else {})


def _sysctls(box: Box, userns: str) -> dict[str, str]:
    """Kernel settings; in a network of its own, any user may open any port and ping, as with Docker."""
    if box.network != "none" or "net" in box.share:
        return dict(box.sysctls)
    ping = {"net.ipv4.ping_group_range": "0 2147483647"} if userns != "one" else {}
    return {"net.ipv4.ip_unprivileged_port_start": "0"} | ping | dict(box.sysctls)


def _policy(box: Box) -> dict[str, Any] | None:
    """`linux.seccomp`: which system calls it may make."""
    named = box.security.seccomp
    if named == "unconfined":
        return None
    profile = seccomp.default_profile() if named == "builtin" else seccomp.decoded(named)
    return seccomp.resolved(profile, box.security.capabilities)


def _node(path: str) -> dict[str, Any]:
    """A device of this machine."""
    info = Path(path).stat()
    kind = "b" if stat.S_ISBLK(info.st_mode) else "c"
    numbers = {"major": os.major(info.st_rdev), "minor": os.minor(info.st_rdev)}
    return {"path": path, "type": kind, **numbers, "fileMode": stat.S_IMODE(info.st_mode), "uid": 0, "gid": 0}


def _resources(box: Box) -> dict[str, Any]:
    """Limits, and the devices that Docker lets every container use."""
    asked = {name: value for name, value in box.limits.items() if value}
    rules = [*DEVICES, *asked.pop("DeviceCgroupRules", [])]
    made: dict[str, Any] = {"devices": [{"allow": False, "access": "rwm"}, *map(_device, rules)]}
    for device in box.devices:
        node = _node(device.source)
        made["devices"] += [
            {"allow": True, "access": device.permissions} | {k: node[k] for k in ("type", "major", "minor")}
        ]
    if cpus := asked.pop("NanoCpus", 0):
        asked |= {"CpuPeriod": PERIOD, "CpuQuota": cpus * PERIOD // 10**9}
    for name, value in asked.items():
        group, _, key = LIMITS[name].partition(".")
        made.setdefault(group, {})[key] = value
    return made


def _device(rule: str) -> dict[str, Any]:
    """A rule of the devices cgroup: `c 1:3 rwm`."""
    kind, numbers, access = rule.split(" ")
    pairs = zip(("major", "minor"), numbers.split(":"), strict=True)
    return {"allow": True, "type": kind, "access": access} | {key: int(text) for key, text in pairs if text != "*"}


# Which there are


def installed() -> dict[str, dict[str, str]]:
    """What `docker info` lists as Runtimes: name -> where its program is; ours, and those of others that are there."""
    found = {name: path for name in PROGRAMS if (path := shutil.which(name))}
    return {"namespaces": {"path": "minidocker"}} | {name: {"path": path} for name, path in found.items()}


def find(name: str, folder: Path | None = None) -> Runtime:
    """The runtime of a name. Raises InvalidArgument, in Docker's words."""
    if name not in PROGRAMS or not (program := shutil.which(name)) or not hasattr(os, "fork"):
        raise InvalidArgument(f"unknown or invalid runtime name: {name}")
    from minidocker.runtime.bundles import Bundles

    return Bundles(name, program, folder)
