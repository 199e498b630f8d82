"""`docker stats`: what a container uses, in the JSON of the Engine API (`GET /containers/{id}/stats`).

A sample has the figures of now (`cpu_stats`) and those of the sample before (`precpu_stats`), since a share of the
processor is the difference of two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from minidocker.runtime import Usage
from minidocker.times import NEVER, now

if TYPE_CHECKING:
    from minidocker.container.container import Container

INTERVAL = 1.0  # seconds between two samples
BLKIO = "service_bytes serviced queue service_time wait_time merged time".split()
NO_CPU: dict[str, Any] = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
MOST = (1 << 64) - 1  # what Docker says of processes without a limit, on version 2


def stream(container: Container) -> Iterator[dict[str, Any]]:
    """A sample a second, for as long as the container is there."""
    before: dict[str, Any] | None = None
    while True:
        before = sample(container, before)
        yield before
        time.sleep(INTERVAL)
        if not container.path.exists():
            return


def twice(container: Container) -> dict[str, Any]:
    """One sample that has another before it, a second earlier; of a container that does not run, an empty one."""
    before = sample(container, None)
    if before["read"] == NEVER:
        return before
    time.sleep(INTERVAL)
    return sample(container, before)


def sample(container: Container, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What it uses now."""
    from minidocker.errors import Conflict, NotFound

    usage, pid = None, 0
    try:
        state = container.state()
        if state["Status"] in ("running", "paused"):
            usage, pid = container.usage(), state["Pid"]
    except (Conflict, NotFound):  # it has ended meanwhile
        pass
    past = before or {"read": NEVER, "cpu_stats": NO_CPU}
    answer = {"read": NEVER if usage is None else now(), "preread": past["read"]}
    answer |= _figures(usage, pid) if usage else _nothing()
    return answer | {"precpu_stats": past["cpu_stats"], "name": f"/{container.name}", "id": container.id}


def _nothing() -> dict[str, Any]:
    return {
        "pids_stats": {},
        "blkio_stats": _blkio({}, None),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": NO_CPU,
        "memory_stats": {},
    }


def _figures(usage: Usage, pid: int) -> dict[str, Any]:
    from minidocker.runtime.usage import networks, system_cpu_ns

    details, version = usage.details, usage.details.get("version", 1)
    pids = {"current": usage.pids}
    if usage.pids_limit or version == 2:
        pids["limit"] = usage.pids_limit or MOST
    counts = details.get("throttling", {})
    unit = 1000 if version == 2 else 1
    own = {"percpu_usage": details["percpu"]} if details.get("percpu") else {}
    memory: dict[str, Any] = {"usage": usage.memory, "stats": details.get("memory", {}), "limit": usage.limit}
    if version == 1 and usage.peak:
        memory["max_usage"] = usage.peak
    if details.get("failcnt"):
        memory["failcnt"] = details["failcnt"]
    seen = networks(pid)
    return {
        "pids_stats": pids,
        "blkio_stats": _blkio(details.get("blkio", {}), [] if version == 1 else None),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": {
            "cpu_usage": {
                "total_usage": usage.cpu_ns,
                **own,
                "usage_in_kernelmode": usage.cpu_system_ns,
                "usage_in_usermode": usage.cpu_user_ns,
            },
            "system_cpu_usage": system_cpu_ns(),
            "online_cpus": os.cpu_count() or 1,
            "throttling_data": {
                "periods": counts.get("nr_periods", 0),
                "throttled_periods": counts.get("nr_throttled", 0),
                "throttled_time": counts.get("throttled_time", counts.get("throttled_usec", 0) * unit),
            },
        },
        "memory_stats": memory,
        **({"networks": seen} if seen else {}),
    }


def _blkio(found: Mapping[str, Any], missing: list[Any] | None) -> dict[str, Any]:
    keys = [*(f"io_{name}_recursive" for name in BLKIO), "sectors_recursive"]
    return {key: found.get(key, missing) for key in keys}


def cpu_percent(stats: Mapping[str, Any]) -> float:
    """The share of one processor, in percent, as docker's command line computes it.

    >>> cpu = {"cpu_usage": {"total_usage": 150}, "system_cpu_usage": 2000, "online_cpus": 2}
    >>> cpu_percent({"cpu_stats": cpu, "precpu_stats": {"cpu_usage": {"total_usage": 50}, "system_cpu_usage": 1000}})
    20.0
    """
    cpu, before = stats["cpu_stats"], stats["precpu_stats"]
    used = cpu["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = cpu.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    return float(used / passed * cpu.get("online_cpus", 1) * 100) if used > 0 and passed > 0 else 0.0


def memory_used(stats: Mapping[str, Any]) -> int:
    """Bytes of memory without those that the kernel would give back at once: as docker's command line shows."""
    memory = stats["memory_stats"]
    total, details = memory.get("usage", 0), memory.get("stats", {})
    cached = details.get("total_inactive_file", details.get("inactive_file", 0))
    return int(total - cached if cached < total else total)
