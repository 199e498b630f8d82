"""The filters of `docker ps` and `docker container prune`: each is a test that a container passes or not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from minidocker.container.inspection import network_of
from minidocker.errors import ImageNotFound, InvalidArgument, Unsupported
from minidocker.filters import has_label
from minidocker.times import stamp

if TYPE_CHECKING:
    from minidocker.container.container import Container
    from minidocker.container.containers import Containers

STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
HEALTHS = ("starting", "healthy", "unhealthy", "none")
LATER = ("publish", "expose", "is-task", "isolation")
Test = Callable[["Container"], bool]


def container_filter(containers: Containers, key: str, wanted: list[str]) -> Test:
    """The test for one filter with its values, of which one must fit (for labels: all). Raises InvalidArgument."""
    if key in LATER:
        raise Unsupported(f"minidocker does not have the filter '{key}'; leave it out")
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
        return lambda c: network_of(c) in wanted
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
