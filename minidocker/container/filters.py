"""The filters of `docker ps` and `docker container prune`: each is a test that a container passes or not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from minidocker.container import networking
from minidocker.errors import ImageNotFound, InvalidArgument, Unsupported
from minidocker.filters import has_label, is_true
from minidocker.times import stamp

if TYPE_CHECKING:
    from minidocker.container.container import Container
    from minidocker.container.containers import Containers

STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
HEALTHS = ("starting", "healthy", "unhealthy", "none")
Test = Callable[["Container"], bool]


def container_filter(containers: Containers, key: str, wanted: list[str]) -> Test:
    """The test for one filter with its values, of which one must fit (for labels: all). Raises InvalidArgument."""
    if key == "is-task":  # of a service of a swarm, which none is
        tasks = {is_true(key, value) for value in wanted}
        return lambda _: True not in tasks
    if key == "isolation":
        raise Unsupported("containers of Linux have no isolation to filter by: leave the filter 'isolation' out")
    if key == "name":
        patterns = [_pattern(text) for text in wanted]
        return lambda c: any(pattern.search(c.name) or pattern.search("/" + c.name) for pattern in patterns)
    if key == "id":
        return lambda c: any(c.id.startswith(value) for value in wanted)
    if key == "status":
        _check(key, wanted, lambda value: value in STATUSES)
        return lambda c: c.status in wanted
    if key == "exited":
        _check(key, wanted, lambda value: bool(re.fullmatch(r"-?\d+", value)))
        return lambda c: c.status == "exited" and str(c.state()["ExitCode"]) in wanted
    if key == "label":
        return lambda c: all(has_label(c.labels, value) for value in wanted)
    if key in ("before", "since"):
        edge = containers.get(wanted[-1]).config["Created"]
        return lambda c: c.config["Created"] < edge if key == "before" else c.config["Created"] > edge
    if key == "ancestor":
        stacks = [stack for value in wanted if (stack := _stack(containers, value)) is not None]
        return lambda c: any(c.image.diff_ids[: len(stack)] == stack for stack in stacks)
    if key == "network":
        ids = {name: network.id for name, network in containers.networks.by_name().items()}
        return lambda c: any(
            name in wanted or any(ids.get(name, " ").startswith(value) for value in wanted)
            for name in networking.wanted(c)
        )
    if key in ("publish", "expose"):
        ranges = [_port_range(key, value) for value in wanted]
        return lambda c: any(set(found) & _ports_of(c, key) for found in ranges)
    if key == "volume":
        keys = ("Name", "Source", "Destination")
        return lambda c: any(point.get(key) in wanted for point in c.config["Mounts"] for key in keys)
    if key == "health":
        for value in wanted:
            if value not in HEALTHS:
                raise InvalidArgument(f"Unrecognised filter value for health: {value}")
        return lambda c: (c.health if c.health in HEALTHS else "none") in wanted
    raise InvalidArgument(f"Invalid filter '{key}'")


def prune_filter(key: str, wanted: list[str]) -> Test:
    """The test for one filter of prune: `label`, `label!`, or `until` (created before). Raises InvalidArgument."""
    if key == "label":
        return lambda c: all(has_label(c.labels, value) for value in wanted)
    if key == "label!":
        return lambda c: not any(has_label(c.labels, value) for value in wanted)
    if key == "until" and len(wanted) == 1:
        edge = stamp(wanted[0]) or ""
        return lambda c: bool(c.config["Created"] < edge)
    raise InvalidArgument(f"Invalid filter '{key}'")


def _port_range(key: str, value: str) -> list[tuple[int, str]]:
    """`80`, `8000-8080/udp`: the ports that a filter asks for. Raises InvalidArgument."""
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", value)
    if not match:
        raise InvalidArgument(f"invalid filter '{key}={value}': a port is expected, or a range, and a protocol")
    return [(number, match[3] or "tcp") for number in range(int(match[1]), int(match[2] or match[1]) + 1)]


def _ports_of(container: Container, key: str) -> set[tuple[int, str]]:
    """The ports that a container has on the host, or that it exposes."""
    if key == "expose":
        exposed = container.config["Config"].get("ExposedPorts") or {}
        return {(int(text.partition("/")[0]), text.partition("/")[2]) for text in exposed}
    rows = networking.listed(container, container.state())
    return {(row["PublicPort"], row["Type"]) for row in rows if "PublicPort" in row}


def _check(key: str, wanted: list[str], good: Callable[[str], bool]) -> None:
    for value in wanted:
        if not good(value):
            raise InvalidArgument(f"Invalid filter '{key}={value}'")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidArgument(f"Invalid filter 'name={text}': {error}") from error


def _stack(containers: Containers, image: str) -> list[str] | None:
    try:
        return containers.images.get(image).diff_ids
    except (ImageNotFound, InvalidArgument):
        return None
