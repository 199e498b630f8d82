"""Networks: made, listed, looked at, removed; containers are connected to them, and taken off."""

from __future__ import annotations

from typing import Any

from minidocker.daemon.create import ENDPOINT_SHAPE
from minidocker.daemon.route import Call
from minidocker.daemon.shapes import Map, read
from minidocker.errors import NotFound, Unsupported
from minidocker.web.message import Response

POOL = {"Subnet": str, "IPRange": str, "Gateway": str, "AuxiliaryAddresses": Map(str)}
CREATE = {
    "Attachable": bool,
    "CheckDuplicate": bool,
    "ConfigFrom": {"Network": str},
    "ConfigOnly": bool,
    "Driver": str,
    "EnableIPv6": bool,
    "IPAM": {"Driver": str, "Options": Map(str), "Config": [POOL]},
    "Ingress": bool,
    "Internal": bool,
    "Labels": Map(str),
    "Name": str,
    "Options": Map(str),
    "Scope": str,
}
CONNECT = {"Container": str, "EndpointConfig": ENDPOINT_SHAPE}
DISCONNECT = {"Container": str, "Force": bool}


def create(call: Call) -> Response:
    """Make a network."""
    given = read(call.json(), CREATE)
    if given.get("ConfigOnly") or given.get("ConfigFrom", {}).get("Network"):
        raise Unsupported("minidocker's networks take no configuration from others: say it in the network itself")
    made = call.engine.networks.create(
        given.get("Name", ""),
        driver=given.get("Driver") or None,
        options=given.get("Options", {}),
        ipam=_ipam(given.get("IPAM", {})),
        check_duplicate=given.get("CheckDuplicate", False),
        internal=given.get("Internal", False),
        labels=given.get("Labels", {}),
        enable_ipv6=given.get("EnableIPv6", False),
        attachable=given.get("Attachable", False),
        scope=given.get("Scope") or None,
        ingress=given.get("Ingress", False),
    )
    return Response.json({"Id": made.id, "Warning": ""}, 201)


def _ipam(given: dict[str, Any]) -> dict[str, Any]:
    config = [{key: value for key, value in pool.items() if value} for pool in given.get("Config", ())]
    return {"Driver": given.get("Driver") or "default", "Options": given.get("Options"), "Config": config}


def listed(call: Call) -> Response:
    """All networks; who is on them, only `inspect` says."""
    found = call.engine.networks.list(filters=call.filters())
    return Response.json([network.row for network in found])


def inspected(call: Call) -> Response:
    """All that is known of a network."""
    if call.text("scope") not in ("", "local"):
        raise NotFound(f"network {call['id']} not found")  # all networks here are local
    return Response.json(call.engine.networks.get(call["id"]).attrs)


def remove(call: Call) -> Response:
    """Delete a network."""
    call.engine.networks.get(call["id"]).remove()
    return Response(204)


def connect(call: Call) -> Response:
    """Connect a container, whether it runs or not."""
    given = read(call.json(), CONNECT)
    container = call.engine.containers.get(given.get("Container", ""))
    container.connect_to(call.engine.networks.get(call["id"]), endpoint(given.get("EndpointConfig", {})))
    return Response(200)


def endpoint(given: dict[str, Any]) -> dict[str, Any]:
    """What a container asks of a network: all keys that there are; None where nothing is said."""
    addresses = {key: value for key, value in given.get("IPAMConfig", {}).items() if value}
    said = {key: value or None for key, value in given.items()}
    nothing = dict.fromkeys(ENDPOINT_SHAPE)
    return nothing | said | {"IPAMConfig": addresses or None, "MacAddress": given.get("MacAddress", "")}


def disconnect(call: Call) -> Response:
    """Take a container off a network."""
    network, given = call.engine.networks.get(call["id"]), read(call.json(), DISCONNECT)
    call.engine.containers.get(given.get("Container", "")).disconnect_from(network, given.get("Force", False))
    return Response(200)


def prune(call: Call) -> Response:
    """Remove those on which no container runs."""
    return Response.json(call.engine.networks.prune(call.filters()))
