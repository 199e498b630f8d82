"""`--device` and `--gpus`: devices of the host that a container gets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from minidocker.errors import InvalidArgument, Unsupported
from minidocker.runtime import Device

OPTIONS = frozenset({"devices", "device_requests"})


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Devices`; requests for devices of a driver's are refused in Docker's words, as there are no such drivers.

    >>> host_config({"devices": ["/dev/kvm:/dev/kvm:rw"]})
    {'Devices': [{'PathOnHost': '/dev/kvm', 'PathInContainer': '/dev/kvm', 'CgroupPermissions': 'rw'}]}
    """
    for request in given.get("device_requests") or ():
        kinds = json.dumps(request.get("Capabilities") or []).replace('"', "").replace(",", "")
        text = f'could not select device driver "{request.get("Driver") or ""}" with capabilities: {kinds}'
        raise Unsupported(f"{text}; minidocker has no drivers of devices")
    if (asked := given.get("devices")) is None:
        return {"Devices": None}
    if not isinstance(asked, list | tuple):
        raise InvalidArgument(f"invalid devices: expected a list, not {asked!r}")
    return {"Devices": [_device(each) for each in asked]}


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The devices; a mode that is none allows nothing, which only the runtime finds out, as in Docker."""
    keys = ("PathOnHost", "PathInContainer", "CgroupPermissions")
    asked = config["HostConfig"].get("Devices") or ()
    return {"devices": tuple(Device(*(str(each[key]) for key in keys)) for each in asked)}


def is_mode(text: str) -> bool:
    """Whether a text is some of `rwm`, each at most once.

    >>> is_mode("rw"), is_mode("rr"), is_mode("")
    (True, False, False)
    """
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def _device(asked: Any) -> dict[str, str]:
    if isinstance(asked, Mapping):
        source = str(asked.get("PathOnHost") or "")
        target, mode = asked.get("PathInContainer") or source, asked.get("CgroupPermissions") or "rwm"
    else:
        source, _, rest = str(asked).partition(":")
        target, _, mode = rest.partition(":")
        if not mode and is_mode(target):
            target, mode = "", target
        target, mode = target or source, mode or "rwm"
    if not source.startswith("/") or not str(target).startswith("/"):
        raise InvalidArgument(f"invalid device specification: {asked}")
    if not is_mode(str(mode)):
        raise InvalidArgument(f"bad mode specified: {mode}")
    return {"PathOnHost": source, "PathInContainer": str(target), "CgroupPermissions": str(mode)}
