"""`--runtime`: who builds the walls of this one container; and `--isolation`, of which Linux has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidocker.errors import InvalidArgument

OPTIONS = frozenset({"runtime", "isolation"})


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Runtime` and `Isolation`, where they are named.

    >>> host_config({"runtime": "runc"}), host_config({})
    ({'Runtime': 'runc'}, {})
    """
    if (isolation := given.get("isolation") or "default") != "default":
        raise InvalidArgument(f"Invalid isolation: \"{isolation}\" - linux only supports 'default'")
    named = {"Runtime": given.get("runtime"), "Isolation": given.get("isolation")}
    return {key: str(value) for key, value in named.items() if value}


def boxed(_config: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing: another runtime is given the same box."""
    return {}
