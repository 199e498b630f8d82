"""`--runtime`: who builds the walls of this one container, and `--annotation`, which is for them to read.

The runtimes of others find annotations in the bundle; ours only keeps them. Of `--isolation`, Linux has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidocker.errors import InvalidArgument

OPTIONS = frozenset({"runtime", "isolation", "annotations"})


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Runtime` and `Isolation`, where they are named.

    >>> host_config({"runtime": "runc"}), host_config({})
    ({'Runtime': 'runc'}, {})
    """
    if (isolation := given.get("isolation") or "default") != "default":
        raise InvalidArgument(f"Invalid isolation: \"{isolation}\" - linux only supports 'default'")
    annotations = {str(key): str(value) for key, value in (given.get("annotations") or {}).items()}
    if "" in annotations:
        raise InvalidArgument("invalid Annotations: the empty string is not permitted as an annotation key")
    named = {"Runtime": given.get("runtime"), "Isolation": given.get("isolation")}
    found: dict[str, Any] = {key: str(value) for key, value in named.items() if value}
    return found | ({"Annotations": annotations} if annotations else {})


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations."""
    return {"annotations": config["HostConfig"].get("Annotations") or {}}
