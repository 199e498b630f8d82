"""A container's limits in the kernel's files: which can be enforced here, and what is to be written where.

What is asked for has the names and units of the API's `HostConfig` (`NanoCpus`, `MemorySwap`); what is written is what
runc, Docker's runtime, writes. See cgroup-v1/*.rst and cgroup-v2.rst of the kernel's documentation.

    >>> from minidocker.runtime.cgroup import Place
    >>> where = {"cpu": Place(1, "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu")}
    >>> settings({"NanoCpus": 500_000_000}, where)
    [('cpu', 'cpu.cfs_period_us', '100000'), ('cpu', 'cpu.cfs_quota_us', '50000')]
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from minidocker.errors import InvalidArgument, StartError
from minidocker.runtime.cgroup import HOME, SELF, Group, Places, Setting, read, unswept
from minidocker.runtime.messages import Refusal

PERIOD = 100_000  # microseconds: the period of a limit that is given as a number of processors
FILES_1 = {  # version 1: limit -> controller, and the file that a kernel has which can enforce it
    "Memory": ("memory", "memory.limit_in_bytes"),
    "MemorySwap": ("memory", "memory.memsw.limit_in_bytes"),
    "MemoryReservation": ("memory", "memory.soft_limit_in_bytes"),
    "MemorySwappiness": ("memory", "memory.swappiness"),
    "OomKillDisable": ("memory", "memory.oom_control"),
    "CpuShares": ("cpu", "cpu.shares"),
    "NanoCpus": ("cpu", "cpu.cfs_quota_us"),
    "CpuPeriod": ("cpu", "cpu.cfs_period_us"),
    "CpuQuota": ("cpu", "cpu.cfs_quota_us"),
    "CpuRealtimePeriod": ("cpu", "cpu.rt_period_us"),
    "CpuRealtimeRuntime": ("cpu", "cpu.rt_runtime_us"),
    "CpusetCpus": ("cpuset", "cpuset.cpus"),
    "CpusetMems": ("cpuset", "cpuset.mems"),
    "PidsLimit": ("pids", "cgroup.procs"),
    "BlkioWeight": ("blkio", "blkio.weight"),
    "BlkioWeightDevice": ("blkio", "blkio.weight_device"),
    "BlkioDeviceReadBps": ("blkio", "blkio.throttle.read_bps_device"),
    "BlkioDeviceWriteBps": ("blkio", "blkio.throttle.write_bps_device"),
    "BlkioDeviceReadIOps": ("blkio", "blkio.throttle.read_iops_device"),
    "BlkioDeviceWriteIOps": ("blkio", "blkio.throttle.write_iops_device"),
    "DeviceCgroupRules": ("devices", "devices.allow"),
}
FILES_2 = {  # version 2: the same
    "Memory": ("memory", "memory.max"),
    "MemorySwap": ("memory", "memory.swap.max"),
    "MemoryReservation": ("memory", "memory.low"),
    "CpuShares": ("cpu", "cpu.weight"),
    "NanoCpus": ("cpu", "cpu.max"),
    "CpuPeriod": ("cpu", "cpu.max"),
    "CpuQuota": ("cpu", "cpu.max"),
    "CpusetCpus": ("cpuset", "cpuset.cpus"),
    "CpusetMems": ("cpuset", "cpuset.mems"),
    "PidsLimit": ("pids", "pids.max"),
    "BlkioWeight": ("io", "io.weight"),
    "BlkioWeightDevice": ("io", "io.bfq.weight"),
    "BlkioDeviceReadBps": ("io", "io.max"),
    "BlkioDeviceWriteBps": ("io", "io.max"),
    "BlkioDeviceReadIOps": ("io", "io.max"),
    "BlkioDeviceWriteIOps": ("io", "io.max"),
}
IO_MAX = {
    "BlkioDeviceReadBps": "rbps",
    "BlkioDeviceWriteBps": "wbps",
    "BlkioDeviceReadIOps": "riops",
    "BlkioDeviceWriteIOps": "wiops",
}
DEVICES = (  # what Docker lets every container make (m) and use (rwm), beside what it is given
    *("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm"),
    *("c 5:2 rwm", "c 10:200 rwm", "c 136:* rwm"),
)


def supported(places: Places) -> frozenset[str]:
    """The limits that can be enforced here, by their names in `HostConfig`."""
    if SELF not in places:
        return frozenset(limit for limit, file in FILES_1.items() if _has(places, *file))
    with suppress(Refusal), unswept(places):  # what is delegated to us is only seen in a cgroup below
        Group(HOME, places).make([SELF])
        return frozenset(limit for limit, file in FILES_2.items() if _has(places, *file))
    return frozenset()


def _has(places: Places, controller: str, file: str) -> bool:
    if controller not in places:
        return False
    home = Group(HOME, places).folder(controller) if places[controller].version == 2 else places[controller].root
    return os.access(f"{home}/{file}", os.F_OK)


def settings(limits: Mapping[str, Any], places: Places) -> list[Setting]:
    """What is to be written into a new cgroup, in this order. Raises StartError for a device that is not there."""
    return [*(_version_2 if SELF in places else _version_1)({key: value for key, value in limits.items() if value})]


def _version_1(asked: Mapping[str, Any]) -> Iterator[Setting]:
    asked = dict(asked)
    if not 2 <= asked.get("CpuShares", 2) <= 262144:
        least = asked["CpuShares"] < 2
        raise StartError(f"the {'minimum' if least else 'maximum'} allowed cpu-shares is {2 if least else 262144}")
    if cpus := asked.pop("NanoCpus", 0):
        asked |= {"CpuPeriod": PERIOD, "CpuQuota": cpus * PERIOD // 10**9}
    if asked.get("OomKillDisable"):
        asked["OomKillDisable"] = 1
    if asked.get("MemorySwap") and not asked.get("Memory"):
        del asked["MemorySwap"]
    for limit, (controller, file) in FILES_1.items():
        if limit == "PidsLimit" and asked.get(limit, 0) > 0:
            yield controller, "pids.max", str(asked[limit])
        elif limit == "DeviceCgroupRules" and asked.get(limit):
            yield controller, "devices.deny", "a"
            yield from ((controller, file, rule) for rule in (*DEVICES, *asked[limit]))
        elif limit.startswith("Blkio") and limit in asked and limit != "BlkioWeight":
            yield from ((controller, file, f"{number} {value}") for number, value in _devices(asked[limit]))
        elif limit in asked and limit != "PidsLimit":
            yield controller, file, str(asked[limit])


def _version_2(asked: Mapping[str, Any]) -> Iterator[Setting]:
    memory, swap = asked.get("Memory", 0), asked.get("MemorySwap", 0)
    if memory:
        yield "memory", "memory.max", str(memory)
        if swap:
            yield "memory", "memory.swap.max", "max" if swap == -1 else str(swap - memory)
    if low := asked.get("MemoryReservation"):
        yield "memory", "memory.low", str(low)
    if shares := asked.get("CpuShares"):
        yield "cpu", "cpu.weight", str(1 + (max(2, min(shares, 262144)) - 2) * 9999 // 262142)
    if any(key in asked for key in ("NanoCpus", "CpuPeriod", "CpuQuota")):
        cpus, period = asked.get("NanoCpus", 0), asked.get("CpuPeriod") or PERIOD
        quota = cpus * PERIOD // 10**9 if cpus else asked.get("CpuQuota", 0)
        yield "cpu", "cpu.max", f"{quota if quota > 0 else 'max'} {period}"
    for limit in ("CpusetCpus", "CpusetMems"):
        if limit in asked:
            yield *FILES_2[limit], asked[limit]
    if asked.get("PidsLimit", 0) > 0:
        yield "pids", "pids.max", str(asked["PidsLimit"])
    if weight := asked.get("BlkioWeight"):
        yield "io", "io.weight", str(1 + (weight - 10) * 9999 // 990)
    for number, weight in _devices(asked.get("BlkioWeightDevice", ())):
        yield "io", "io.bfq.weight", f"{number} {weight}"
    for limit, word in IO_MAX.items():
        for number, rate in _devices(asked.get(limit, ())):
            yield "io", "io.max", f"{number} {word}={rate}"


def _devices(asked: Any) -> Iterator[tuple[str, int]]:
    """Of each `{"Path": "/dev/vda", "Rate": 1048576}` (or `Weight`) the device's numbers, and the value."""
    for each in asked:
        try:
            found = Path(each["Path"]).stat()
        except OSError as error:
            text = f"stat {each['Path']}: {(error.strerror or '').lower()}"
            raise StartError(text, exit_code=127 if isinstance(error, FileNotFoundError) else 126) from None
        if not stat.S_ISBLK(found.st_mode) and not stat.S_ISCHR(found.st_mode):
            raise StartError(f"{each['Path']} is not a device")
        value = each["Rate"] if "Rate" in each else each["Weight"]
        yield f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}", value


# While it runs


def change(group: Group, asked: Mapping[str, Any], pids: Any) -> None:
    """Write other limits into the cgroup of a container that runs. Raises InvalidArgument with what the kernel says.

    Of memory and memory with swap the kernel wants the second never to be less than the first, so which one goes first
    depends on whether they grow.
    """
    wanted = [*settings(asked, group.places), *_lifted(asked, group.places)]
    if (new := asked.get("Memory", 0)) and SELF not in group.places and group.holds("memory"):
        now = read(f"{group.folder('memory')}/memory.memsw.limit_in_bytes").strip()
        if now and new > int(now):
            wanted.sort(key=lambda setting: not setting[1].startswith("memory.memsw"))
    for controller, file, value in wanted:
        group.gather(controller, pids)
        try:
            group.write(controller, file, value)
        except Refusal as error:
            raise InvalidArgument(str(error).removeprefix("unable to apply cgroup configuration: ")) from None


def _lifted(asked: Mapping[str, Any], places: Places) -> Iterator[Setting]:
    """What is written where a limit of processes is taken away."""
    if "pids" in places and "PidsLimit" in asked and (asked["PidsLimit"] or 0) <= 0:
        yield "pids", "pids.max", "max"


# What the machine has


def available(kind: str) -> str:
    """The processors (`cpus`) or memory nodes (`mems`) that there are, as the kernel lists them: `0-3`."""
    field = {"cpus": "Cpus_allowed_list", "mems": "Mems_allowed_list"}[kind]
    for line in read("/proc/self/status").splitlines():
        if line.startswith(f"{field}:"):
            return line.partition(":")[2].strip()
    return "0" if kind == "mems" else f"0-{(os.cpu_count() or 1) - 1}"


def total_memory() -> int:
    """Bytes of memory that the machine has; 0 where it does not say."""
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) << 10
    return 0


def in_files(group: Group) -> dict[str, str]:
    """The kernel's files about a container's limits, and what they say: the same as are seen inside.

    `{"memory.limit_in_bytes": "67108864", "cpu.cfs_quota_us": "50000", …}`
    """
    named = [*(FILES_2 if SELF in group.places else FILES_1).values(), ("pids", "pids.max")]
    found = ((file, f"{group.folder(name)}/{file}") for name, file in named if name in group.places)
    return {file: text for file, path in found if file != "cgroup.procs" and (text := read(path).strip())}
