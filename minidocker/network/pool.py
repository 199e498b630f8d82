"""The pool: which range of addresses a network has, and which a container gets (Docker's IPAM driver `default`).

Ranges and addresses are the lowest that nobody has; whoever asks holds the lock on all networks, so no two get one.

    >>> subnet(["172.17.0.0/16"]), address("10.9.0.0/24", "10.9.0.128/25", {"10.9.0.128"})
    ('172.18.0.0/16', '10.9.0.129')
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from minidocker.errors import APIError, InvalidArgument

POOLS = (  # Docker's own, each with the size of what it is cut into
    *(("172.17.0.0/16", 16), ("172.18.0.0/15", 16), ("172.20.0.0/14", 16), ("172.24.0.0/14", 16)),
    *(("172.28.0.0/14", 16), ("192.168.0.0/16", 20)),
)


def subnet(taken: Iterable[str]) -> str:
    """The first range that overlaps with none that is taken. Raises APIError where there is none left."""
    used = [ipaddress.ip_network(text, strict=False) for text in taken]
    for pool, size in POOLS:
        for part in ipaddress.ip_network(pool).subnets(new_prefix=size):
            if not any(part.overlaps(other) for other in used):
                return str(part)
    raise APIError(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    )


def config(asked: Iterable[Mapping[str, Any]], taken: Collection[str]) -> list[dict[str, Any]]:
    """The `IPAM.Config` of a new network, of what was asked for: range, gateway, part to give from. Raises APIError."""
    given = [{key: value for key, value in entry.items() if value} for entry in asked or ()]
    sixth = [entry for entry in given if ":" in entry.get("Subnet", "")]
    fourth = [entry for entry in given if entry not in sixth]
    if len(fourth) > 1 or len(sixth) > 1:
        raise Refused("bridge driver doesn't support multiple subnets")
    found = [_checked(entry, taken) for entry in (*(fourth or [{}]), *sixth)]
    found[0].setdefault("Gateway", gateway(found[0]))
    return found


def gateway(config: Mapping[str, Any]) -> str:
    """The address of the switch itself in a range: as asked for, or the first."""
    whole = _network(config["Subnet"], "subnet")
    return str(config.get("Gateway") or whole[min(1, whole.num_addresses - 1)]).partition("/")[0]


def _checked(entry: dict[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """One entry of an `IPAM.Config`, with its range. Raises APIError."""
    if not entry.get("Subnet"):
        if entry:
            raise InvalidArgument("an IPAM configuration with a gateway or a range needs its subnet too")
        entry = {"Subnet": subnet(taken)}
    if "/" not in entry["Subnet"]:
        raise InvalidArgument(f"Invalid subnet {entry['Subnet']} : invalid CIDR address: {entry['Subnet']}")
    whole = _network(entry["Subnet"], "subnet")
    if any(whole.overlaps(ipaddress.ip_network(other, strict=False)) for other in taken):
        raise Refused("Pool overlaps with other one on this address space")
    for key, what in (("Gateway", "gateway"), ("IPRange", "range")):
        if key in entry and not _within(entry[key], what, whole):
            raise InvalidArgument(f"no matching subnet for {what} {entry[key]}")
    auxiliary = entry.get("AuxiliaryAddresses") or {}
    for name, text in auxiliary.items():
        if not _within(text, "auxiliary address", whole):
            raise InvalidArgument(f"no matching subnet for aux-address {text} ({name})")
    return entry


class Refused(APIError):
    """What Docker's address manager does not allow: status 403."""

    status_code = 403


def address(whole: str, part: str, taken: Collection[str]) -> str:
    """The lowest address of a range that nobody has. Raises APIError where all are given away."""
    for candidate in _usable(whole, part or whole):
        if candidate not in taken:
            return candidate
    version = ipaddress.ip_network(whole, strict=False).version
    raise APIError(f"no available IPv{version} addresses on this network's address pools: {whole}")


def claim(wanted: str, whole: str, taken: Collection[str]) -> str:
    """An address that somebody asks for. Raises APIError where it is not the network's, or is given away."""
    try:
        range = ipaddress.ip_network(whole, strict=False)
        kind = ipaddress.IPv4Address if range.version == 4 else ipaddress.IPv6Address
        there, wanted = kind(wanted) in range, str(kind(wanted))
    except ValueError:
        raise InvalidArgument(f"invalid IPv{range.version} address: {wanted}") from None
    if not there:
        raise InvalidArgument(f"Invalid address {wanted}: It does not belong to any of this network's subnets")
    if wanted in taken:
        raise Refused("Address already in use")
    return wanted


def hardware(ip: str) -> str:
    """The hardware address that goes with an address, as Docker makes it.

    >>> hardware("172.17.0.2")
    '02:42:ac:11:00:02'
    """
    return "02:42:" + ipaddress.IPv4Address(ip).packed.hex(":")


def _usable(whole: str, part: str) -> Iterator[str]:
    """The addresses of a part of a range, but for those that name the whole of it and everybody in it."""
    everything = ipaddress.ip_network(whole, strict=False)
    edges = {everything.network_address, everything.broadcast_address} if everything.num_addresses > 2 else set()
    return (str(ip) for ip in ipaddress.ip_network(part, strict=False) if ip not in edges)


Range = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str, what: str) -> Range:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidArgument(f"Invalid {what} {text} : invalid CIDR address: {text}") from None


def _within(text: str, what: str, whole: Range) -> bool:
    found = _network(text, what)
    return found.network_address in whole and found.prefixlen >= whole.prefixlen
