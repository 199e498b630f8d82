"""The filters of `docker network ls` and `docker network prune`: each is a test that a network passes or not."""

from __future__ import annotations

from collections.abc import Callable

from minidocker.errors import InvalidArgument
from minidocker.filters import has_label, matches
from minidocker.network.network import Network
from minidocker.times import stamp

Test = Callable[[Network], bool]


def network_filter(key: str, wanted: list[str]) -> Test:
    """The test for one filter of `network ls`: one of its values must fit, of labels all. Raises InvalidArgument."""
    if key == "name":
        return lambda n: any(matches(value, n.name) for value in wanted)
    if key == "id":
        return lambda n: any(n.id.startswith(value) for value in wanted)
    if key == "driver":
        return lambda n: n.driver in wanted
    if key == "scope":
        return lambda n: n.record["Scope"] in wanted
    if key == "label":
        return lambda n: all(has_label(n.record["Labels"], value) for value in wanted)
    if key == "type":
        if bad := set(wanted) - {"custom", "builtin"}:
            raise InvalidArgument(f"invalid filter: 'type'='{min(bad)}'")
        return lambda n: ("builtin" if n.predefined else "custom") in wanted
    if key == "dangling":
        if not {*wanted} <= {"true", "1"} and not {*wanted} <= {"false", "0"}:
            words = """must be "true" (or "1"), or "false" (or "0")"""
            raise InvalidArgument(f"invalid value for filter 'dangling', {words}")
        unused = wanted[-1] in ("true", "1")
        return lambda n: (not n.predefined and not n.endpoints) == unused
    raise InvalidArgument(f"Invalid filter '{key}'")


def prune_filter(key: str, wanted: list[str]) -> Test:
    """The test for one filter of `network prune`: `label`, `label!` or `until`. Raises InvalidArgument."""
    if key == "label":
        return lambda n: all(has_label(n.record["Labels"], value) for value in wanted)
    if key == "label!":
        return lambda n: not any(has_label(n.record["Labels"], value) for value in wanted)
    if key == "until":
        if len(wanted) > 1:
            raise InvalidArgument("more than one until filter specified")
        edge = stamp(wanted[0]) or ""
        return lambda n: bool(n.record["Created"] < edge)
    raise InvalidArgument(f"Invalid filter '{key}'")
