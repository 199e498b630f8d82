"""Networks: made, listed, looked at, removed; containers are connected to them, and taken off."""

from __future__ import annotations

from typing import Any

from minidocker.daemon.fields import Fields
from minidocker.daemon.route import Call
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.web.message import Response


def create(call: Call) -> Response:
    """Make a network."""
    body = Fields(call.json())
    if body.flag("ConfigOnly") or body.inner("ConfigFrom").text("Network"):
        raise Unsupported("minidocker's networks take no configuration from others: say it in the network itself")
    made = call.engine.networks.create(
        body.text("Name"),
        driver=body.text("Driver") or None,
        options=body.texts("Options"),
        ipam=_ipam(body.inner("IPAM")),
        check_duplicate=body.flag("CheckDuplicate"),
        internal=body.flag("Internal"),
        labels=body.texts("Labels"),
        enable_ipv6=body.flag("EnableIPv6"),
        attachable=body.flag("Attachable"),
        scope=body.text("Scope") or None,
        ingress=body.flag("Ingress"),
    )
    return Response.json({"Id": made.id, "Warning": ""}, 201)


def _ipam(body: Fields) -> dict[str, Any]:
    pools = [Fields(one, "IPAM.Config.") for one in body.list("Config", dict)]
    keys = ("Subnet", "IPRange", "Gateway")
    config = [
        {key: text for key in keys if (text := one.text(key))}
        | ({"AuxiliaryAddresses": found} if (found := one.texts("AuxiliaryAddresses")) else {})
        for one in pools
    ]
    return {"Driver": body.text("Driver") or "default", "Options": body.texts("Options"), "Config": config}


def listed(call: Call) -> Response:
    """All networks; who is on them, only `inspect` says."""
    found = call.engine.networks.list(filters=call.filters())
    return Response.json([network.attrs | {"Containers": {}} for network in found])


def inspected(call: Call) -> Response:
    """All that is known of a network."""
    if (scope := call.text("scope")) not in ("", "local"):
        raise InvalidArgument(f"network {call['id']} is not in scope {scope}: all networks here are local")
    return Response.json(call.engine.networks.get(call["id"]).attrs)


def remove(call: Call) -> Response:
    """Delete a network."""
    call.engine.networks.get(call["id"]).remove()
    return Response(204)


def connect(call: Call) -> Response:
    """Connect a container, whether it runs or not."""
    network, body = call.engine.networks.get(call["id"]), Fields(call.json())
    container = call.engine.containers.get(body.text("Container"))
    container.connect_to(network, endpoint(body.inner("EndpointConfig")))
    return Response(200)


def endpoint(body: Fields) -> dict[str, Any]:
    """What a container asks of a network, checked."""
    ipam = body.inner("IPAMConfig")
    asked = {key: text for key in ("IPv4Address", "IPv6Address") if (text := ipam.text(key))}
    return {
        "IPAMConfig": asked | ({"LinkLocalIPs": found} if (found := ipam.list("LinkLocalIPs")) else {}) or None,
        "Links": body.list("Links") or None,
        "Aliases": body.list("Aliases") or None,
        "MacAddress": body.text("MacAddress"),
        "DriverOpts": body.texts("DriverOpts") or None,
    }


def disconnect(call: Call) -> Response:
    """Take a container off a network."""
    network, body = call.engine.networks.get(call["id"]), Fields(call.json())
    call.engine.containers.get(body.text("Container")).disconnect_from(network, body.flag("Force"))
    return Response(200)


def prune(call: Call) -> Response:
    """Remove those on which no container runs."""
    return Response.json(call.engine.networks.prune(call.filters()))
