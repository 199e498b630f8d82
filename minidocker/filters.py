"""The filters of `docker ps`: each is a test that a container passes or not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from minidocker.errors import ImageNotFound, InvalidArgument

if TYPE_CHECKING:
    from minidocker.container import Container, Containers

STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
Test = Callable[["Container"], bool]


def container_filter(containers: Containers, key: str, wanted: list[str]) -> Test:
    """The test for one filter with its values, of which one must fit (for labels: all). Raises InvalidArgument."""
    if key == "name":
        return lambda c: any(re.search(pattern.lstrip("/"), c.name) for pattern in _patterns(wanted))
    if key == "id":
        return lambda c: any(c.id.startswith(value) for value in wanted)
    if key == "status":
        for value in wanted:
            if value not in STATUSES:
                raise InvalidArgument(f"invalid filter 'status={value}'")
        return lambda c: c.status in wanted
    if key == "exited":
        if not all(re.fullmatch(r"-?\d+", value) for value in wanted):
            raise InvalidArgument(f"invalid filter 'exited={wanted[0]}': a number is expected")
        return lambda c: c.status == "exited" and str(c.state()["ExitCode"]) in wanted
    if key == "label":
        return lambda c: all(_has_label(c.labels, value) for value in wanted)
    if key in ("before", "since"):
        edge = containers.get(wanted[-1]).attrs["Created"]
        return lambda c: c.attrs["Created"] < edge if key == "before" else c.attrs["Created"] > edge
    if key == "ancestor":
        stacks = [stack for value in wanted if (stack := _stack(containers, value)) is not None]
        return lambda c: any(c.image.diff_ids[: len(stack)] == stack for stack in stacks)
    raise InvalidArgument(f"invalid filter '{key}'")


def _patterns(wanted: list[str]) -> list[str]:
    for pattern in wanted:
        try:
            re.compile(pattern)
        except re.error as error:
            raise InvalidArgument(f"invalid filter 'name={pattern}': {error}") from error
    return wanted


def _has_label(labels: dict[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _stack(containers: Containers, image: str) -> list[str] | None:
    try:
        return containers.images.get(image).diff_ids
    except (ImageNotFound, InvalidArgument):
        return None
