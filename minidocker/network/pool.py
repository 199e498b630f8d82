"""The pool: which range of addresses a network has, and which a container gets (Docker's IPAM driver `default`).

Ranges and addresses are the lowest that nobody has; whoever asks holds the lock on all networks, so no two get one.

    >>> subnet(["172.17.0.0/16"]), address("10.9.0.0/24", "10.9.0.128/25", {"10.9.0.128"})
    ('172.18.0.0/16', '10.9.0.129')
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from minidocker.errors import APIError, InvalidArgument, Unsupported

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
    given = [dict(entry) for entry in asked or ()] or [{}]
    if len(given) > 1:
        raise Unsupported("a network of minidocker has one subnet; make a second network for the other")
    entry = {key: value for key, value in given[0].items() if value}
    if not entry.get("Subnet"):
        if entry:
            raise InvalidArgument("an IPAM configuration with a gateway or a range needs its subnet too")
        entry = {"Subnet": subnet(taken)}
    whole = _network(entry["Subnet"], "subnet")
    if any(whole.overlaps(ipaddress.ip_network(other, strict=False)) for other in taken):
        raise Refused("Pool overlaps with other one on this address space")
    for key, what in (("Gateway", "gateway"), ("IPRange", "range")):
        if key in entry and not _network(entry[key], what).subnet_of(whole):
            raise InvalidArgument(f"no matching subnet for {what} {entry[key]}")
    entry.setdefault("Gateway", str(whole[min(1, whole.num_addresses - 1)]))
    auxiliary = entry.get("AuxiliaryAddresses") or {}
    for name, text in auxiliary.items():
        if not _network(text, "auxiliary address").subnet_of(whole):
            raise InvalidArgument(f"no matching subnet for aux-address {text} ({name})")
    return [entry]


class Refused(APIError):
    """What Docker's address manager does not allow: status 403."""

    status_code = 403


def address(whole: str, part: str, taken: Collection[str]) -> str:
    """The lowest address of a range that nobody has. Raises APIError where all are given away."""
    for candidate in _usable(whole, part or whole):
        if candidate not in taken:
            return candidate
    raise APIError(f"no available IPv4 addresses on this network's address pools: {whole}")


def claim(wanted: str, whole: str, taken: Collection[str]) -> str:
    """An address that somebody asks for. Raises APIError where it is not the network's, or is given away."""
    try:
        there = ipaddress.IPv4Address(wanted) in ipaddress.IPv4Network(whole, strict=False)
    except ValueError:
        raise InvalidArgument(f"invalid IPv4 address: {wanted}") from None
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
    everything = ipaddress.IPv4Network(whole, strict=False)
    edges = {everything.network_address, everything.broadcast_address} if everything.prefixlen < 31 else set()
    return (str(ip) for ip in ipaddress.IPv4Network(part, strict=False) if ip not in edges)


def _network(text: str, what: str) -> ipaddress.IPv4Network:
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidArgument(f"Invalid {what} {text} : invalid CIDR address: {text}") from None
    if isinstance(found, ipaddress.IPv6Network):
        raise Unsupported(f"networks of minidocker have IPv4 addresses only, not {text}; leave the {what} out")
    return found
