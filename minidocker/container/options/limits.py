"""`--memory`, `--cpus`, `--pids-limit`, `--ulimit` and the like: what a container may use of the machine.

What makes no sense is refused, in Docker's words. What makes sense but cannot be enforced here (no cgroup, no such
controller, a simulated machine) is discarded with a warning, as Docker does: `discard`.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from minidocker.errors import InvalidArgument

SIZES = {  # of the SDK's options, those that are sizes: bytes, or `64m`; and their names in the API's HostConfig
    "mem_limit": "Memory",
    "mem_reservation": "MemoryReservation",
    "memswap_limit": "MemorySwap",
    "kernel_memory": "KernelMemory",
}
TYPED: dict[str, tuple[str, type]] = {  # the others, and what they have to be
    "mem_swappiness": ("MemorySwappiness", int),
    "oom_kill_disable": ("OomKillDisable", bool),
    "oom_score_adj": ("OomScoreAdj", int),
    "nano_cpus": ("NanoCpus", int),
    "cpu_shares": ("CpuShares", int),
    "cpu_period": ("CpuPeriod", int),
    "cpu_quota": ("CpuQuota", int),
    "cpu_rt_period": ("CpuRealtimePeriod", int),
    "cpu_rt_runtime": ("CpuRealtimeRuntime", int),
    "cpuset_cpus": ("CpusetCpus", str),
    "cpuset_mems": ("CpusetMems", str),
    "pids_limit": ("PidsLimit", int),
    "blkio_weight": ("BlkioWeight", int),
    "blkio_weight_device": ("BlkioWeightDevice", list),
    "device_read_bps": ("BlkioDeviceReadBps", list),
    "device_write_bps": ("BlkioDeviceWriteBps", list),
    "device_read_iops": ("BlkioDeviceReadIOps", list),
    "device_write_iops": ("BlkioDeviceWriteIOps", list),
    "device_cgroup_rules": ("DeviceCgroupRules", list),
    "cgroup_parent": ("CgroupParent", str),
    "ulimits": ("Ulimits", list),
}
KEYS = dict(SIZES) | {option: key for option, (key, _) in TYPED.items()}
UPDATABLE = frozenset(KEYS) - frozenset(
    "ulimits cgroup_parent device_cgroup_rules oom_kill_disable oom_score_adj mem_swappiness blkio_weight_device "
    "device_read_bps device_write_bps device_read_iops device_write_iops".split()
)
OPTIONS = frozenset(KEYS) | {"storage_opt"}
LIMITS = frozenset(KEYS.values()) - {"Ulimits", "OomScoreAdj", "CgroupParent"}  # that cgroups enforce
DEFAULTS: dict[str, Any] = dict.fromkeys(KEYS.values(), 0) | {"CpusetCpus": "", "CpusetMems": "", "CgroupParent": ""}
DEFAULTS |= dict.fromkeys(
    "MemorySwappiness PidsLimit BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps "
    "BlkioDeviceWriteIOps DeviceCgroupRules Ulimits".split()
)
DEFAULTS |= {"OomKillDisable": False}
del DEFAULTS["KernelMemory"]  # which newer Docker does not list
LEAST = 6 << 20  # bytes: with less, no container starts
DISCARDED = {  # Docker's warnings; of the last four there is more than one word
    "Memory": "memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
    "MemorySwap": "swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
    "MemorySwappiness": "memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
    "MemoryReservation": "memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
    "KernelMemory": "kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
    "OomKillDisable": "OomKillDisable. OomKillDisable discarded.",
    "PidsLimit": "PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
    "CpuShares": "CPU shares or the cgroup is not mounted. Shares discarded.",
    "CpuPeriod": "CPU CFS scheduler. CPU period/quota discarded.",
    "CpuQuota": "CPU CFS scheduler. CPU period/quota discarded.",
    "CpuRealtimePeriod": "CPU real-time scheduler. CPU real-time period/runtime discarded.",
    "CpuRealtimeRuntime": "CPU real-time scheduler. CPU real-time period/runtime discarded.",
    "CpusetCpus": "cpuset or the cgroup is not mounted. Cpuset discarded.",
    "CpusetMems": "cpuset or the cgroup is not mounted. Cpuset discarded.",
    "BlkioWeight": "Block I/O weight or the cgroup is not mounted. Weight discarded.",
    "BlkioWeightDevice": "Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
    "BlkioDeviceReadBps": "BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.",
    "BlkioDeviceWriteBps": (
        "BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded."
    ),
    "BlkioDeviceReadIOps": "IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
    "BlkioDeviceWriteIOps": (
        "IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded."
    ),
    "DeviceCgroupRules": "cgroup devices or the cgroup is not mounted. Device rules discarded.",
}
UNLIMITED_OOM = (
    "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out "
    "of resources."
)
ULIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
RULE = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}")


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """The limits among the options, all of them as keys of `HostConfig`.

    >>> found = host_config({"mem_limit": "64m", "nano_cpus": 500_000_000})
    >>> found["Memory"], found["MemorySwap"], found["NanoCpus"], found["PidsLimit"]
    (67108864, 134217728, 500000000, None)
    """
    _refuse_storage(given.get("storage_opt") or {})
    found = {**DEFAULTS, **_read(given)}
    if found["Memory"] > 0 and not found["MemorySwap"]:
        found["MemorySwap"] = 2 * found["Memory"]
    if (found["PidsLimit"] or 0) <= 0:
        found["PidsLimit"] = None  # without a limit
    check(found)
    return found


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The cgroup's name, what it limits, and the ulimits of each process."""
    host = config["HostConfig"]
    parent = host.get("CgroupParent") or "/minidocker"
    path = posixpath.normpath(f"/{parent}/{config['Id']}").replace("//", "/")
    return {
        "cgroup": path if parent.startswith("/") else path[1:],
        "limits": {key: host[key] for key in sorted(LIMITS) if host.get(key)},
        "ulimits": tuple((each["Name"], each["Soft"], each["Hard"]) for each in host.get("Ulimits") or ()),
        "oom_score_adj": host.get("OomScoreAdj", 0),
    }


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, under the API's names and as its types. Raises TypeError, InvalidArgument."""
    found: dict[str, Any] = {key: size(given[option]) for option, key in SIZES.items() if option in given}
    for option, (key, kind) in TYPED.items():
        if option in given:
            value = list(given[option]) if isinstance(given[option], tuple) else given[option]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                what = f"expected {kind.__name__} but found {type(value)}"
                raise TypeError(f"Invalid type for {option} param: {what}")
            found[key] = value
    for key in [key for key in found if key.startswith(("BlkioDevice", "BlkioWeightDevice"))]:
        number = "Weight" if key == "BlkioWeightDevice" else "Rate"
        if not all(isinstance(each, Mapping) and {"Path", number} <= each.keys() for each in found[key]):
            raise InvalidArgument(f"invalid {key}: each needs a Path and a {number}")
    if "Ulimits" in found:
        found["Ulimits"] = [ulimit(each) for each in found["Ulimits"]]
    for rule in found.get("DeviceCgroupRules") or ():
        if not RULE.fullmatch(rule):
            raise InvalidArgument(f"invalid device cgroup rule format: '{rule}'")
    return found


def size(value: Any) -> int:
    """A size in bytes: a number, or a text with a unit (`b`, `k`, `m`, `g`, …: powers of 1024).

    >>> size("64m"), size("1.5g"), size(-1), size("-1")
    (67108864, 1610612736, -1, -1)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if str(value) == "-1":
        return -1
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([kmgtp])?(?:i?b)?|(.*))", str(value).lower())
    if not match or isinstance(value, bool):
        raise InvalidArgument(f"invalid size: '{value}'")
    if match[3]:
        raise InvalidArgument(f"invalid suffix: '{match[3]}'")
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2] or " "))


def ulimit(value: Any) -> dict[str, Any]:
    """One ulimit, of `nofile=1024:2048` or the API's `{"Name": "nofile", "Soft": 1024, "Hard": 2048}`.

    >>> ulimit("nofile=1024")
    {'Name': 'nofile', 'Hard': 1024, 'Soft': 1024}
    """
    if isinstance(value, str):
        value = _split_ulimit(value)
    if not isinstance(value, Mapping):
        raise TypeError(f"Invalid type for ulimits param: expected dict but found {type(value)}")
    low = {str(key).lower(): number for key, number in value.items()}
    name, soft, hard = low.get("name"), low.get("soft"), low.get("hard")
    soft, hard = (hard if soft is None else soft) or 0, (soft if hard is None else hard) or 0
    if name not in ULIMITS:
        raise InvalidArgument(f"invalid ulimit type: {name}")
    if not isinstance(soft, int) or not isinstance(hard, int):
        raise InvalidArgument(f"invalid ulimit argument: {name}: the limits are numbers")
    if hard != -1 and soft == -1:
        text = f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
        raise InvalidArgument(text)
    if hard != -1 and soft > hard:
        raise InvalidArgument(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def _split_ulimit(text: str) -> dict[str, Any]:
    name, equals, values = text.partition("=")
    if not equals:
        raise InvalidArgument(f"invalid ulimit argument: {text}")
    if name not in ULIMITS:
        raise InvalidArgument(f"invalid ulimit type: {name}")
    soft, *rest = values.split(":")
    if len(rest) > 1:
        raise InvalidArgument(f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    for number in (soft, *rest):
        if not re.fullmatch(r"[-+]?\d+", number):
            raise InvalidArgument(f'strconv.ParseInt: parsing "{number}": invalid syntax')
    return {"Name": name, "Soft": int(soft), "Hard": int((rest or [soft])[0])}


def _refuse_storage(options: Any) -> None:
    """Docker's overlay2 knows one such option, which takes quotas of the file system that are not here."""
    for key in dict(options):
        if str(key).lower() != "size":
            raise InvalidArgument(f"Unknown option {key}")
        raise InvalidArgument("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")


# Checked


def check(host: Mapping[str, Any], update: bool = False) -> None:
    """Raise InvalidArgument, in Docker's words, for limits that make no sense, by themselves or together."""
    for message in (*_about_memory(host, update), *_about_processors(host)):
        raise InvalidArgument(message)
    if not -1000 <= host["OomScoreAdj"] <= 1000:
        raise InvalidArgument(f"Invalid value {host['OomScoreAdj']}, range for oom score adj is [-1000, 1000]")


def _about_memory(host: Mapping[str, Any], update: bool) -> Iterator[str]:
    memory, swap, low = host["Memory"], host["MemorySwap"], host["MemoryReservation"]
    if memory and memory < LEAST:
        yield "Minimum memory limit allowed is 6MB"
    if memory > 0 and 0 < swap < memory:
        yield "Minimum memoryswap limit should be larger than memory limit, see usage"
    if not memory and swap > 0 and not update:
        yield "You should always set the Memory limit when using Memoryswap limit, see usage"
    if host["MemorySwappiness"] == -1:
        return  # the kernel's own
    if host["MemorySwappiness"] is not None and not 0 <= host["MemorySwappiness"] <= 100:
        yield f"Invalid value: {host['MemorySwappiness']}, valid memory swappiness range is 0-100"
    if 0 < low < LEAST:
        yield "Minimum memory reservation allowed is 6MB"
    if memory > 0 and low > memory:
        yield "Minimum memory limit can not be less than memory reservation limit, see usage"
    if 0 < host.get("KernelMemory", 0) < LEAST:
        yield "Minimum kernel memory limit allowed is 6MB"


def _about_processors(host: Mapping[str, Any]) -> Iterator[str]:
    cpus, period, quota, count = host["NanoCpus"], host["CpuPeriod"], host["CpuQuota"], os.cpu_count() or 1
    for name, value in (("Period", period), ("Quota", quota)):
        if cpus > 0 and value > 0:
            yield f"Conflicting options: Nano CPUs and CPU {name} cannot both be set"
    if not 0 <= cpus <= count * 10**9:
        yield f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
    if host["CpuShares"] < 0:
        yield "shares: invalid argument"
    if period and not 1000 <= period <= 1_000_000:
        yield "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
    if 0 < quota < 1000:
        yield "CPU cfs quota can not be less than 1ms (i.e. 1000)"
    if host["CpuRealtimeRuntime"] and host["CpuRealtimeRuntime"] > (host["CpuRealtimePeriod"] or 1_000_000):
        yield "cpu real-time runtime cannot be higher than cpu real-time period"
    for kind, key, what in (("cpus", "CpusetCpus", "CPUs"), ("mems", "CpusetMems", "memory nodes")):
        if host[key]:
            yield from _about_set(kind, host[key], what)


def _about_set(kind: str, asked: str, what: str) -> Iterator[str]:
    from minidocker.runtime.limits import available

    wanted = numbers(asked)
    if wanted is None:
        yield f"Invalid value {asked} for cpuset {kind}: invalid format: {asked}"
    elif not wanted <= (numbers(available(kind)) or set()):
        yield f"Requested {what} are not available - requested {asked}, available: {available(kind)}"


def numbers(text: str) -> set[int] | None:
    """`0-2,7` -> {0, 1, 2, 7}; None for what is no such list."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            return None
        found |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found


def asks(host: Mapping[str, Any]) -> bool:
    """Whether there is any limit that somebody has to enforce."""
    return any(host.get(key) for key in LIMITS)


def discard(host: dict[str, Any], supported: Callable[[], frozenset[str]]) -> list[str]:
    """Take away what cannot be enforced here; Docker's warnings about that. Raises InvalidArgument.

    >>> host = host_config({"mem_limit": "64m"})
    >>> discard(host, frozenset)[0]
    'Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.'
    >>> host["Memory"], host["MemorySwap"]
    (0, -1)
    """
    if not asks(host):
        host.pop("KernelMemory", None)
        return []
    here = supported()
    if host["NanoCpus"] > 0 and "NanoCpus" not in here:
        why = "your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        raise InvalidArgument(f"NanoCPUs can not be set, as {why}")
    warnings = [*_discarded(host, here)]
    if host["OomKillDisable"] and not host["Memory"]:
        warnings.append(UNLIMITED_OOM)
    if host["BlkioWeight"] and not 10 <= host["BlkioWeight"] <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    host.pop("KernelMemory", None)
    return list(dict.fromkeys(warnings))


def _discarded(host: dict[str, Any], here: frozenset[str]) -> Iterator[str]:
    for key, words in DISCARDED.items():
        asked = host.get(key)
        if not asked or key in here:
            continue
        host[key] = DEFAULTS.get(key)
        if key == "Memory":
            host["MemorySwap"] = -1
        elif key == "MemorySwap":
            host[key] = -1
            if asked == -1 or not host["Memory"]:
                continue
        if not isinstance(asked, int) or asked > 0:
            yield f"Your kernel does not support {words}"


# Changed


def changed(id: str, host: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What `docker update` makes other: the keys of `HostConfig` that change. Raises InvalidArgument."""
    new = {key: value for key, value in _read(given).items() if value}
    merged = {**DEFAULTS, **host, **new}

    def refuse(why: str) -> None:
        raise InvalidArgument(f"Cannot update container {id}: {why}")

    check({**DEFAULTS, **new}, update=True)
    if "NanoCpus" in new and (host["CpuPeriod"] or host["CpuQuota"]):
        name = "CPU Period" if host["CpuPeriod"] else "CPU Quota"
        refuse(f"Conflicting options: Nano CPUs cannot be updated as {name} has already been set")
    for key, name in (("CpuPeriod", "CPU Period"), ("CpuQuota", "CPU Quota")):
        if key in new and host["NanoCpus"]:
            refuse(f"Conflicting options: {name} cannot be updated as NanoCPUs has already been set")
    if "Memory" in new and "MemorySwap" not in new and 0 < host["MemorySwap"] < new["Memory"]:
        refuse(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    if "MemorySwap" in new and not merged["Memory"] and new["MemorySwap"] > 0:
        refuse("You should always set the Memory limit when using Memoryswap limit, see usage")
    return new
