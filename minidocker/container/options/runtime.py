"""`--runtime`: who builds the walls of this one container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPTIONS = frozenset({"runtime"})


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Runtime`, where one is named.

    >>> host_config({"runtime": "runc"}), host_config({})
    ({'Runtime': 'runc'}, {})
    """
    return {"Runtime": str(given["runtime"])} if given.get("runtime") else {}


def boxed(_config: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing: another runtime is given the same box."""
    return {}
