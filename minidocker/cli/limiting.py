"""Limits on the command line: the options of `run` and `create`, and the commands update and stats."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from minidocker.cli.flags import Call, Exit, Invalid, command
from minidocker.cli.format import Listing, Row, binary_size, columns, each, human_size
from minidocker.container import Container, stats
from minidocker.container.options import limits
from minidocker.errors import DockerException, InvalidArgument, NotFound

_BOTH = """
      --blkio-weight uint16        Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)
      --cpu-period int             Limit CPU CFS (Completely Fair Scheduler) period
      --cpu-quota int              Limit CPU CFS (Completely Fair Scheduler) quota
      --cpu-rt-period int          Limit the CPU real-time period in microseconds
      --cpu-rt-runtime int         Limit the CPU real-time runtime in microseconds
  -c, --cpu-shares int             CPU shares (relative weight)
      --cpus decimal               Number of CPUs
      --cpuset-cpus string         CPUs in which to allow execution (0-3, 0,1)
      --cpuset-mems string         MEMs in which to allow execution (0-3, 0,1)
      --kernel-memory bytes        Kernel memory limit (deprecated: no kernel has it any more)
  -m, --memory bytes               Memory limit
      --memory-reservation bytes   Memory soft limit
      --memory-swap bytes          Swap limit equal to memory plus swap: -1 to enable unlimited swap
      --pids-limit int             Tune container pids limit (set -1 for unlimited)
"""
CREATION = f"""{_BOTH}
      --blkio-weight-device list   Block IO weight (relative device weight)
      --cgroup-parent string       Optional parent cgroup for the container
      --device-cgroup-rule list    Add a rule to the cgroup allowed devices list
      --device-read-bps list       Limit read rate (bytes per second) from a device
      --device-read-iops list      Limit read rate (IO per second) from a device
      --device-write-bps list      Limit write rate (bytes per second) to a device
      --device-write-iops list     Limit write rate (IO per second) to a device
      --memory-swappiness int      Tune container memory swappiness (0 to 100) (default -1)
      --oom-kill-disable           Disable OOM Killer
      --oom-score-adj int          Tune host's OOM preferences (-1000 to 1000)
      --storage-opt list           Storage driver options for the container
      --ulimit list                Ulimit options
"""
SIZES = {
    "memory": "mem_limit",
    "memory-reservation": "mem_reservation",
    "memory-swap": "memswap_limit",
    "kernel-memory": "kernel_memory",
}
PLAIN = {
    "cpu-period": "cpu_period",
    "cpu-quota": "cpu_quota",
    "cpu-rt-period": "cpu_rt_period",
    "cpu-rt-runtime": "cpu_rt_runtime",
    "cpu-shares": "cpu_shares",
    "cpuset-cpus": "cpuset_cpus",
    "cpuset-mems": "cpuset_mems",
    "pids-limit": "pids_limit",
    "cgroup-parent": "cgroup_parent",
    "device-cgroup-rule": "device_cgroup_rules",
    "memory-swappiness": "mem_swappiness",
    "oom-kill-disable": "oom_kill_disable",
    "oom-score-adj": "oom_score_adj",
}
DEVICES = {
    "blkio-weight-device": "Weight",
    "device-read-bps": "Rate",
    "device-read-iops": "Rate",
    "device-write-bps": "Rate",
    "device-write-iops": "Rate",
}
LISTS = ("ulimits", *(key.replace("-", "_") for key in DEVICES))


def _size(text: str) -> int:
    try:
        if text.startswith("-"):
            raise InvalidArgument(f"invalid size: '{text}'")
        return limits.size(text)
    except InvalidArgument as error:
        raise ValueError(error.explanation) from None


def _swap(text: str) -> int:
    return -1 if text == "-1" else _size(text)


def _cpus(text: str) -> int:
    try:
        nanos = Fraction(text) * 10**9
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if nanos.denominator != 1:
        raise ValueError("value is too precise")
    return int(nanos)


def _weight(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _ulimit(text: str) -> dict[str, Any]:
    try:
        return limits.ulimit(text)
    except InvalidArgument as error:
        raise ValueError(error.explanation) from None


def _rule(text: str) -> None:
    if not limits.RULE.fullmatch(text):
        raise ValueError(f"invalid device cgroup format '{text}'")


def _device(key: str, text: str) -> dict[str, Any]:
    """`/dev/vda:1mb`, for an option of this name."""
    path, colon, value = text.partition(":")
    if not colon or not path:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    if key == "blkio-weight-device":
        if not value.isdecimal() or (int(value) and not 10 <= int(value) <= 1000):
            raise ValueError(f"invalid weight for device: {text}")
        return {"Path": path, "Weight": int(value)}
    shape = "<device-path>:<number>" + ("[<unit>]" if key.endswith("bps") else "")
    unit = ". Unit is optional and can be kb, mb, or gb" if key.endswith("bps") else ""
    try:
        rate = _size(value) if key.endswith("bps") else int(value) if value.isdecimal() else -1
    except ValueError:
        rate = -1
    if rate < 0:
        what = f"The correct format is {shape}. Number must be a positive integer{unit}"
        raise ValueError(f"invalid rate for device: {text}. {what}")
    return {"Path": path, "Rate": rate}


def _device_check(key: str) -> Callable[[str], object]:
    return lambda text: _device(key, text)


CHECKS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("memory", "memory-reservation", "kernel-memory"), _size),
    "memory-swap": _swap,
    "cpus": _cpus,
    "blkio-weight": _weight,
    "ulimit": _ulimit,
    "device-cgroup-rule": _rule,
    **{key: _device_check(key) for key in DEVICES},
}


def options(call: Call) -> dict[str, Any]:
    """The limits that a command line gives, in the SDK's words."""
    found: dict[str, Any] = {}
    for flag in call.given:
        value = call.options[flag]
        if flag in SIZES:
            found[SIZES[flag]] = _swap(value)
        elif flag in PLAIN:
            found[PLAIN[flag]] = value
        elif flag in DEVICES:
            found[flag.replace("-", "_")] = [_device(flag, text) for text in value]
        elif flag == "cpus":
            found["nano_cpus"] = _cpus(value)
        elif flag == "blkio-weight":
            found["blkio_weight"] = _weight(value)
        elif flag == "ulimit":
            last = {limit["Name"]: limit for limit in map(_ulimit, value)}  # of two for one thing, the second
            found["ulimits"] = [last[name] for name in sorted(last)]
        elif flag == "storage-opt":
            found["storage_opt"] = dict(_storage(value))
    if hasattr(call, "annotation"):  # of a new container docker sends all lists, also the empty ones
        found = {option: [] for option in LISTS} | found
    swappiness = found.get("mem_swappiness", -1)
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise Invalid(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    return {key: value for key, value in found.items() if value != -1 or key != "mem_swappiness"}


def _storage(given: list[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise Invalid("invalid storage option")
        yield name, value


def warn(container: Container) -> None:
    """Say what cannot be enforced."""
    for warning in container.warnings:
        print(f"WARNING: {warning}", file=sys.stderr)


def restart_policy(call: Call, wrong: Callable[[str], Exit]) -> str | None:
    """`--restart`; where docker's client itself says what is wrong with it, so do we, with its exit code: `wrong`."""
    name, colon, count = call.restart.partition(":")
    why = ""
    if colon and not name:
        why = "invalid restart policy format: no policy provided before colon"
    elif count and not re.fullmatch("[+-]?[0-9]+", count):
        why = "invalid restart policy format: maximum retry count must be an integer"
    elif getattr(call, "rm", False) and name not in ("", "no"):
        why = "conflicting options: cannot specify both --restart and --rm"
    if why:
        raise wrong(why)
    return call.restart if "restart" in call.given else None


@command(
    f"""
update [OPTIONS] CONTAINER [CONTAINER...]

Update configuration of one or more containers
{_BOTH}
      --restart string             Restart policy to apply when a container exits
""",
    checks=CHECKS,
)
def update(call: Call) -> int:
    """`docker update`."""
    if not call.given:
        raise Exit(1, "you must provide one or more flags when using this command")
    policy = restart_policy(call, partial(Exit, 1))
    asked = options(call) | ({} if policy is None else {"restart_policy": policy})
    warnings: list[str] = []

    def one(name: str) -> None:
        warnings.extend(call.engine.containers.get(name).update(**asked)["Warnings"] or [])

    try:
        return each(call.args, one)
    finally:
        for warning in warnings:
            print(warning)


# What is used

LISTING = Listing(
    "*container.statsContext",
    "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    {
        "Container": "CONTAINER",
        "Name": "NAME",
        "ID": "CONTAINER ID",
        "CPUPerc": "CPU %",
        "MemUsage": "MEM USAGE / LIMIT",
        "MemPerc": "MEM %",
        "NetIO": "NET I/O",
        "BlockIO": "BLOCK I/O",
        "PIDs": "PIDS",
    },
)
HOME = "\x1b[H"  # the cursor goes to the top, and what was there is overwritten
CLEAR_LINE, CLEAR_BELOW = "\x1b[K", "\x1b[J"


@command("""
stats [OPTIONS] [CONTAINER...]

Display a live stream of container(s) resource usage statistics

  -a, --all             Show all containers (default shows just running)
      --format string   Format output using a Go template, "table TEMPLATE" for a table, or "json"
      --no-stream       Disable streaming stats and only pull the first result
      --no-trunc        Do not truncate output
""")
def stats_(call: Call) -> int:
    """`docker stats`."""
    for name in call.args:
        call.engine.containers.get(name)
    before: dict[str, dict[str, Any]] = {}
    samples(call, before)
    while True:
        time.sleep(stats.INTERVAL)
        text = LISTING.text([row(call, *pair) for pair in samples(call, before)], call.format)
        if call.no_stream:
            print(text or columns(["\t".join(LISTING.headers.values())]))
            return 0
        lines = "".join(f"{line}{CLEAR_LINE}\n" for line in text.splitlines())
        print(f"{HOME}{lines}{CLEAR_BELOW}", end="", flush=True)


def samples(call: Call, before: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """A sample of each container that is meant, by the name that it was given; `before` is kept for the next time."""
    found = []
    listed = call.args or [container.short_id for container in call.engine.containers.list(all=call.all)]
    for name in listed:
        try:
            container = call.engine.containers.get(name)
            sample = container.sample if call.engine.remote else partial(stats.sample, container)
            before[name] = sample(before.get(name))
            found.append((name, before[name]))
        except NotFound:
            continue
        except DockerException:
            if call.args:
                raise
            found.append((name, {"name": f"/{container.name}", "id": container.id}))
    return found


def row(call: Call, name: str, found: Mapping[str, Any]) -> Row:
    """What a listing shows of a sample; one that could not be taken has dashes."""
    shown: Row = {"Container": name, "Name": found["name"][1:], "ID": found["id"][: None if call.no_trunc else 12]}
    if "cpu_stats" not in found:
        return shown | dict.fromkeys(("CPUPerc", "MemPerc", "NetIO", "BlockIO", "PIDs"), "--") | {"MemUsage": "-- / --"}
    used, limit = stats.memory_used(found), found["memory_stats"].get("limit", 0)
    networks = found.get("networks", {}).values()
    disks = found["blkio_stats"]["io_service_bytes_recursive"] or []

    def disk(op: str) -> int:
        return sum(each["value"] for each in disks if each["op"].lower() == op)

    return shown | {
        "CPUPerc": f"{stats.cpu_percent(found):.2f}%",
        "MemUsage": f"{binary_size(used)} / {binary_size(limit)}",
        "MemPerc": f"{100 * used / limit if limit else 0:.2f}%",
        "NetIO": _pair(*(sum(each[key] for each in networks) for key in ("rx_bytes", "tx_bytes"))),
        "BlockIO": _pair(disk("read"), disk("write")),
        "PIDs": str(found["pids_stats"].get("current", 0)),
    }


def _pair(one: int, other: int) -> str:
    return f"{human_size(one, 3)} / {human_size(other, 3)}"
