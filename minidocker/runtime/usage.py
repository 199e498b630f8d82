"""What a container uses of the machine: read from its cgroup, or where it has none from /proc, process by process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from minidocker.runtime import Usage
from minidocker.runtime.cgroup import SELF, Group, fields, read
from minidocker.runtime.limits import total_memory

NANOS = 10**9
BLKIO = {"io_service_bytes_recursive": "io_service_bytes", "io_serviced_recursive": "io_serviced"}


def of_group(group: Group) -> Usage:
    """What the kernel has counted for a cgroup, in either version."""
    return (_version_2 if SELF in group.places else _version_1)(group)


def _version_1(group: Group) -> Usage:
    def get(controller: str, file: str) -> str:
        return read(f"{group.folder(controller)}/{file}") if controller in group.places else ""

    blkio = {key: _rows_1(get("blkio", f"blkio.throttle.{file}_recursive")) for key, file in BLKIO.items()}
    ticks = {
        key: int(value) * NANOS // os.sysconf("SC_CLK_TCK")
        for key, value in fields(get("cpuacct", "cpuacct.stat")).items()
    }
    return Usage(
        memory=_number(get("memory", "memory.usage_in_bytes")),
        limit=_limit(get("memory", "memory.limit_in_bytes")),
        peak=_number(get("memory", "memory.max_usage_in_bytes")),
        cpu_ns=_number(get("cpuacct", "cpuacct.usage")),
        cpu_user_ns=ticks.get("user", 0),
        cpu_system_ns=ticks.get("system", 0),
        pids=_number(get("pids", "pids.current")),
        pids_limit=_number(get("pids", "pids.max")),
        **_disks(blkio["io_service_bytes_recursive"]),
        details={
            "version": 1,
            "memory": _numbers(get("memory", "memory.stat")),
            "failcnt": _number(get("memory", "memory.failcnt")),
            "throttling": _numbers(get("cpu", "cpu.stat")),
            "percpu": [int(text) for text in get("cpuacct", "cpuacct.usage_percpu").split()],
            "blkio": blkio,
        },
    )


def _version_2(group: Group) -> Usage:
    def get(file: str) -> str:
        return read(f"{group.folder(SELF)}/{file}")

    cpu = _numbers(get("cpu.stat"))
    blkio = {"io_service_bytes_recursive": _rows_2(get("io.stat"))}
    return Usage(
        memory=_number(get("memory.current")),
        limit=_limit(get("memory.max")),
        peak=_number(get("memory.peak")),
        cpu_ns=cpu.get("usage_usec", 0) * 1000,
        cpu_user_ns=cpu.get("user_usec", 0) * 1000,
        cpu_system_ns=cpu.get("system_usec", 0) * 1000,
        pids=_number(get("pids.current")) or len(get("cgroup.procs").split()),
        pids_limit=_number(get("pids.max")),
        **_disks(blkio["io_service_bytes_recursive"]),
        details={
            "version": 2,
            "memory": _numbers(get("memory.stat")),
            "failcnt": _numbers(get("memory.events")).get("oom", 0),
            "throttling": cpu,
            "percpu": [],
            "blkio": blkio,
        },
    )


def of_processes(pids: Iterable[int]) -> Usage:
    """What some processes and their children use, without a cgroup. Of shared memory each has its share."""
    memory = user = system = count = read_bytes = written = 0
    for pid in pids:
        with suppress(OSError, IndexError, ValueError):
            times = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            user += int(times[11]) + int(times[13])  # with those of children that have ended
            system += int(times[12]) + int(times[14])
            rollup = _lines(read(f"/proc/{pid}/smaps_rollup") or read(f"/proc/{pid}/status"))
            memory += int(rollup.get("Pss", rollup.get("VmRSS", "0 kB")).split()[0]) << 10
            disks = _lines(read(f"/proc/{pid}/io"))
            read_bytes, written = read_bytes + int(disks["read_bytes"]), written + int(disks["write_bytes"])
            count += 1
    tick = NANOS // os.sysconf("SC_CLK_TCK")
    return Usage(
        memory=memory,
        limit=total_memory(),
        cpu_ns=(user + system) * tick,
        cpu_user_ns=user * tick,
        cpu_system_ns=system * tick,
        pids=count,
        read_bytes=read_bytes,
        written_bytes=written,
    )


def _lines(text: str) -> dict[str, str]:
    """`Pss: 12 kB` a line."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0  # also `max`, and what is not there


def _numbers(text: str) -> dict[str, int]:
    return {key: int(value) for key, value in fields(text).items() if value.strip().isdecimal()}


def _limit(text: str) -> int:
    """A limit of memory: no more than there is."""
    whole, number = total_memory(), _number(text)
    return min(number, whole) if number and whole else number or whole


def _rows_1(text: str) -> list[dict[str, Any]]:
    """`254:0 Read 4096` a line."""
    rows = [line.replace(":", " ", 1).split() for line in text.splitlines()]
    return [
        {"major": int(a), "minor": int(b), "op": op, "value": int(n)}
        for a, b, op, n in (r for r in rows if len(r) == 4)
    ]


def _rows_2(text: str) -> list[dict[str, Any]]:
    """`254:0 rbytes=4096 wbytes=0 rios=1 wios=0 …` a line."""
    found = []
    for device, *words in (line.split() for line in text.splitlines() if ":" in line):
        major, minor = map(int, device.split(":"))
        counts = dict(word.split("=", 1) for word in words if "=" in word)
        for op, key in (("read", "rbytes"), ("write", "wbytes")):
            if counts.get(key, "").isdecimal():
                found.append({"major": major, "minor": minor, "op": op, "value": int(counts[key])})
    return found


def _disks(rows: list[dict[str, Any]]) -> dict[str, int]:
    def total(op: str) -> int:
        return sum(row["value"] for row in rows if row["op"].lower() == op)

    return {"read_bytes": total("read"), "written_bytes": total("write")}


def system_cpu_ns() -> int:
    """The processor time that the whole machine has had, idle or not."""
    words = read("/proc/stat").partition("\n")[0].split()
    return sum(map(int, words[1:8])) * NANOS // os.sysconf("SC_CLK_TCK")


def networks(pid: int) -> dict[str, dict[str, int]]:
    """What has gone over each interface, but for loopback, that a process can see."""
    names = "bytes packets errors dropped".split()
    found = {}
    for line in read(f"/proc/{pid}/net/dev").splitlines()[2:]:
        name, _, text = line.partition(":")
        counts = list(map(int, text.split()))
        if name.strip() != "lo":
            both = (("rx", counts[:4]), ("tx", counts[8:12]))
            found[name.strip()] = {f"{way}_{key}": n for way, part in both for key, n in zip(names, part, strict=True)}
    return found
