"""Wires: what a container has of a network, as the network's file tells it; who is plugged in reads it there."""

# ruff: noqa: PTH112, PTH123, PTH208
from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

BINDING = "com.docker.network.bridge.host_binding_ipv4"  # where ports are published that say nothing of that
ICC = "com.docker.network.bridge.enable_icc"  # whether containers reach each other
DEFAULT = "bridge"  # the network of those that name none; nobody has a name on it


def wire_of(record: Mapping[str, Any], id: str) -> dict[str, Any]:
    """The wire of a container: the fields of `Wire`, of what is written of the network and of its endpoint there."""
    endpoint = record["Endpoints"][id]
    config: Mapping[str, Any] = next(iter(record["IPAM"]["Config"] or ()), {})
    return about(record) | {
        "endpoint": endpoint["EndpointID"],
        "container": endpoint["Name"],
        "interface": endpoint["Interface"],
        "address": endpoint["IPv4Address"],
        "mac": endpoint["MacAddress"],
        "gateway": endpoint.get("Gateway", config.get("Gateway", "").partition("/")[0]),
        "internal": record["Internal"],
        "named": record["Name"] != DEFAULT,
        "more": [*filter(None, [endpoint["IPv6Address"]]), *endpoint.get("More", ())],
        "links": endpoint.get("Links") or [],
        "source": endpoint.get("Source", ""),
        "routes": endpoint.get("Routes") or [],
        "alone": record["Options"].get(ICC, "true").lower() in ("0", "f", "false"),
        "binding": record["Options"].get(BINDING, "").removeprefix("0.0.0.0"),
        "priority": endpoint.get("Priority", 0),
    }


def short(wire: Any) -> dict[str, Any]:
    """The little that there is to say of a wire that needs no cable."""
    return {key: getattr(wire, key) for key in ("network", "name", "driver")}


def about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to say of a network that needs no cable."""
    return {"network": record["Id"], "name": record["Name"], "driver": record["Driver"]}


def wires_now(folder: str, id: str) -> list[dict[str, Any]]:
    """The wires that a container has by what is written in a folder `networks`, in the order of its interfaces."""
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if name.endswith(".json") and not name.startswith("."):
            with suppress(FileNotFoundError), open(f"{folder}/{name}", encoding="utf-8") as file:
                record = json.load(file)
                found += [wire_of(record, id)] if id in record["Endpoints"] else []
    return sorted(found, key=lambda wire: str(wire["interface"]))
