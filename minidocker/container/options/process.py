"""`--init`, `--sysctl`, `--group-add`: what is done for the first process before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidocker.errors import InvalidArgument
from minidocker.filters import texts

OPTIONS = frozenset({"init", "sysctls", "group_add"})


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Init`, `Sysctls` and `GroupAdd`; as in Docker, the first two are only there where they were asked for.

    >>> host_config({"init": True, "group_add": [29]})
    {'GroupAdd': ['29'], 'Init': True}
    """
    sysctls = given.get("sysctls") or {}
    if not isinstance(sysctls, Mapping):
        raise TypeError(f"Invalid type for sysctls param: expected dict but found {type(sysctls)}")
    if "" in sysctls:
        raise InvalidArgument("invalid sysctl: it needs a name")
    found: dict[str, Any] = {"GroupAdd": texts(given.get("group_add")) or None}
    if given.get("init") is not None:
        found["Init"] = bool(given["init"])
    return found | ({"Sysctls": {str(name): str(value) for name, value in sysctls.items()}} if sysctls else {})


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The init and the settings; the groups go with each process."""
    host = config["HostConfig"]
    return {"init": bool(host.get("Init")), "sysctls": host.get("Sysctls") or {}}
