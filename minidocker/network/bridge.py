"""The options of the driver `bridge` (`network create -o`): each is obeyed, or refused by name; others are only labels.

>>> mtu({"Options": {MTU: "1400"}}), name_of({"Options": {}, "Id": 64 * "a"})
(1400, 'br-aaaaaaaaaaaa')
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from minidocker.errors import APIError, InvalidArgument, Unsupported

BRIDGE, MTU = "com.docker.network.bridge.", "com.docker.network.driver.mtu"
PREFIX = "com.docker.network.container_iface_prefix"
TRUE, FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
FIXED = {  # options of Docker's of which there is one value here
    BRIDGE + "enable_ip_masquerade": (TRUE, "what goes out always bears the address of the machine"),
    BRIDGE + "inhibit_ipv4": (FALSE, "a bridge always has its gateway's address"),
    BRIDGE + "gateway_mode_ipv4": (("nat",), "addresses of containers are not seen outside"),
    BRIDGE + "gateway_mode_ipv6": (("nat",), "addresses of containers are not seen outside"),
    BRIDGE + "trusted_host_interfaces": (("",), "the machine does not reach containers but by published ports"),
    "com.docker.network.host_ipv4": (("",), "what goes out always bears the address of the machine"),
    "com.docker.network.host_ipv6": (("",), "what goes out always bears the address of the machine"),
}
LONGEST = 15  # letters of an interface's name


def check(options: Mapping[str, str], id: str, others: Iterable[Mapping[str, Any]]) -> None:
    """Raise InvalidArgument or APIError in Docker's words, or Unsupported, for what a new network cannot have."""
    for key, (values, why) in FIXED.items():
        if key in options and options[key] not in values:
            raise Unsupported(f"minidocker does not have {key}={options[key]}: {why}; leave it out")
    if (text := options.get(BRIDGE + "enable_icc", "true")) not in (*TRUE, *FALSE):
        raise _unread("enable_icc", text, f'strconv.ParseBool: parsing "{text}": invalid syntax')
    text = options.get(MTU, "1500")
    if not text.lstrip("+-").isdecimal():
        raise InvalidArgument(f'failed to parse {MTU} value: {text} (strconv.Atoi: parsing "{text}": invalid syntax)')
    if not 0 <= int(text) <= 65535:
        raise InvalidArgument(f"invalid MTU number: {text}")
    try:
        ipaddress.IPv4Address(options.get(BRIDGE + "host_binding_ipv4") or "0.0.0.0")
    except ValueError:
        raise _unread("host_binding_ipv4", options[BRIDGE + "host_binding_ipv4"], "nil ip") from None
    for name in (options.get(BRIDGE + "name", ""), options.get(PREFIX, "eth") + "00"):
        if len(name.encode()) > LONGEST or any(letter.isspace() or letter in "/:" for letter in name):
            raise InvalidArgument(f"{name!r} cannot be the name of an interface: 1 to {LONGEST} letters, no / or :")
    if wanted := options.get(BRIDGE + "name"):
        for other in others:
            if name_of(other) == wanted:
                same = f"conflicts with network {other['Id']} ({wanted}): networks have same bridge name"
                raise Refused(f"cannot create network {id} ({wanted}): {same}")


class Refused(APIError):
    """What Docker's bridge driver does not allow: status 403."""

    status_code = 403


def _unread(option: str, text: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"failed to parse {BRIDGE}{option} value: {text} ({why})")


def name_of(record: Mapping[str, Any]) -> str:
    """What the bridge of a network is called."""
    return str(record["Options"].get(BRIDGE + "name") or f"br-{record['Id'][:12]}")


def mtu(record: Mapping[str, Any]) -> int:
    """How large the packets on a network may be."""
    return int(record["Options"].get(MTU) or 0) or 1500


def prefix(record: Mapping[str, Any]) -> str:
    """What the interfaces of containers begin with."""
    return str(record["Options"].get(PREFIX) or "eth")
