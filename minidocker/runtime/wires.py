"""Wires: what a container has of a network, as the network's file tells it; who is plugged in reads it there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
        "gateway": config.get("Gateway", "").partition("/")[0],
        "internal": record["Internal"],
        "named": record["Name"] != DEFAULT,
    }


def short(wire: Any) -> dict[str, Any]:
    """The little that there is to say of a wire that needs no cable."""
    return {key: getattr(wire, key) for key in ("network", "name", "driver")}


def about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to say of a network that needs no cable."""
    return {"network": record["Id"], "name": record["Name"], "driver": record["Driver"]}
