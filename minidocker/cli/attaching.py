"""The options of `run` and `create` about networks and ports."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from typing import Any

from minidocker.cli.flags import Call, Exit, Invalid
from minidocker.cli.surroundings import in_words_of
from minidocker.container.options.networks import MAC
from minidocker.errors import InvalidArgument
from minidocker.network import ports
from minidocker.network.names import parse

LISTS = {"alias": "Aliases", "link-local-ip": "LinkLocalIPs", "driver-opt": "DriverOpts"}
ADDRESSES = {"ip": "IPv4Address", "ip6": "IPv6Address"}
NOT_MADE = ("default", "bridge", "host", "none")  # networks that nobody made
BOTH = (  # option of `run` -> the same in a --network, and what docker calls that
    ("network-alias", "alias", "alias"),
    ("ip", "ip", "IPv4 address"),
    ("ip6", "ip6", "IPv6 address"),
    ("mac-address", "mac-address", "MAC address"),
    ("link-local-ip", "link-local-ip", "link-local IP addresses"),
)
Asked = dict[str, Any]  # what one --network says: name, and lists or texts under its own keys


def network(text: str) -> Asked:
    """One `--network`: a name, or `name=front,alias=web,ip=10.0.0.5`. Raises ValueError in docker's words.

    >>> network("name=front,alias=a,alias=b")
    {'name': 'front', 'alias': ['a', 'b']}
    """
    if not re.search(r"\w+=\w+", text):
        return {"name": text}
    found: Asked = {}
    for field in next(csv.reader([text])):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals or not key:
            raise ValueError(f"invalid field {field}")
        if key == "driver-opt" and "=" not in value:
            raise ValueError("invalid key value pair format in driver options")
        if key in LISTS:
            found.setdefault(key, []).append(value)
        elif key in ("name", "mac-address", *ADDRESSES):
            found[key] = value
        elif key == "gw-priority":
            if not re.fullmatch("[-+]?[0-9]{1,9}", value):
                raise ValueError(f"invalid gw-priority ({value}): invalid syntax")
            found[key] = int(value)
        else:
            raise ValueError(f"invalid field key {key}")
    if not found.get("name"):
        raise ValueError("network name/id is not specified")
    return found


CHECKS: dict[str, Callable[[str], object]] = {
    "network": network,
    "net": network,
    "link": in_words_of(lambda text: parse([text])),
}


def options(call: Call) -> dict[str, Any]:
    """These options, under the SDK's names."""
    asked = [network(text) for text in (*call.network, *call.net)] or [{"name": "default"}]
    _merge(call, asked[0])
    names = [one["name"] for one in asked]
    for one in asked:
        _check(call, one, names)
    if call.link and _made(asked[0]["name"]):
        asked[0]["link"] = call.link
    if call.mac_address and not MAC.fullmatch(call.mac_address):
        raise _refusal(call, f"{call.mac_address} is not a valid mac address")
    try:
        bound = dict(ports.bindings(call.publish))
        published: dict[str, Any] = {key: [] for key in ports.exposed(call.expose)} | bound
    except InvalidArgument as error:
        raise Invalid(error.explanation) from None
    wanted = {one["name"]: endpoint(one) for one in asked if len(one) > 1 or len(asked) > 1}
    return {
        "network_mode": names[0] if call.network or call.net else None,
        "networking_config": wanted or None,
        "links": call.link or None,
        "ports": published,
        "publish_all_ports": call.publish_all or None,
    }


def endpoint(asked: Asked) -> dict[str, Any]:
    """What is asked of one network, as the API wants it."""
    ipam: dict[str, Any] = {ADDRESSES[key]: asked[key] for key in ADDRESSES if key in asked}
    ipam |= {"LinkLocalIPs": asked["link-local-ip"]} if "link-local-ip" in asked else {}
    pairs = [text.partition("=")[::2] for text in asked.get("driver-opt", ())]
    return {
        "IPAMConfig": ipam or None,
        "Aliases": asked.get("alias"),
        "Links": asked.get("link"),
        "MacAddress": asked.get("mac-address", ""),
        "DriverOpts": dict(pairs) or None,
        "GwPriority": asked.get("gw-priority", 0),
    }


def _merge(call: Call, first: Asked) -> None:
    """`--ip` and its like belong to the first network."""
    call.options["network-alias"] = [*call.network_alias, *call.net_alias]
    for option, key, what in BOTH:
        value = call.options[option]
        if value and key in first:
            plain = f"per-network {what}"
            raise _refusal(call, f"conflicting options: cannot specify both --{option} and {plain}")
        if value:
            first[key] = value


def _made(name: str) -> bool:
    """Whether a network is one that somebody made."""
    return name not in NOT_MADE and not name.startswith("container:")


def _check(call: Call, one: Asked, names: list[str]) -> None:
    """Raise docker's complaint about a network."""
    made = _made(one["name"])
    if names.count(one["name"]) > 1:
        raise _refusal(call, f'network "{one["name"]}" is specified multiple times')
    if not made and one.get("alias"):
        raise _refusal(call, "network-scoped aliases are only supported for user-defined networks")
    if not made and len(names) > 1 and one["name"] not in ("bridge", "default"):
        what = "cannot attach both user-defined and non-user-defined network-modes"
        raise _refusal(call, f"conflicting options: {what}")
    if "mac-address" in one and not MAC.fullmatch(one["mac-address"]):
        raise _refusal(call, f"{one['mac-address']} is not a valid mac address")


def _refusal(call: Call, why: str) -> Exit:
    return Exit(125, f"minidocker: {why}\n\nRun '{call.path} --help' for more information")
