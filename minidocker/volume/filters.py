"""The filters of `docker volume ls` and `docker volume prune`: each is a test that a volume passes or not."""

from __future__ import annotations

from collections.abc import Callable

from minidocker.errors import InvalidArgument
from minidocker.filters import has_label, is_true, matches
from minidocker.volume.volume import Volume

Test = Callable[[Volume], bool]


def volume_filter(key: str, wanted: list[str], used: dict[str, list[str]]) -> Test:
    """The test for one filter of `volume ls`: one of its values must fit, of labels all. Raises InvalidArgument."""
    if key == "name":
        return lambda v: any(matches(value, v.name) for value in wanted)
    if key == "driver":
        return lambda v: v.driver in wanted
    if key == "label":
        return lambda v: all(has_label(v.labels, value) for value in wanted)
    if key == "dangling":
        unused = is_true(key, wanted[-1])
        return lambda v: (v.name not in used) == unused
    raise InvalidArgument(f"Invalid filter '{key}'")


def prune_filter(key: str, wanted: list[str]) -> Test:
    """The test for one filter of `volume prune`: `label`, `label!` or `all`. Raises InvalidArgument."""
    if key == "label":
        return lambda v: all(has_label(v.labels, value) for value in wanted)
    if key == "label!":
        return lambda v: not any(has_label(v.labels, value) for value in wanted)
    if key == "all":
        every = is_true(key, wanted[-1])
        return lambda v: every or v.anonymous
    raise InvalidArgument(f"Invalid filter '{key}'")
