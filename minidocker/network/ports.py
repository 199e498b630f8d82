"""Ports: what an image says that it listens on (`--expose`), and where the world finds it (`-p`).

The grammar is that of Docker's `go-connections`: `[[address:]host:]container[/protocol]`, each port a number or a
range; `target=80,published=8080,protocol=tcp` says the same. The result is the API's `PortBindings`.

    >>> bindings(["8080:80"])
    {'80/tcp': [{'HostIp': '', 'HostPort': '8080'}]}
    >>> bindings({"80": ("127.0.0.1", 8080), "53/udp": None})
    {'80/tcp': [{'HostIp': '127.0.0.1', 'HostPort': '8080'}], '53/udp': [{'HostIp': '', 'HostPort': ''}]}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from minidocker.errors import InvalidArgument
from minidocker.filters import texts

PROTOCOLS = ("tcp", "udp", "sctp")
LONG = ("target", "published", "protocol", "mode")

Binding = dict[str, str]  # HostIp, HostPort; a port may be a choice: "9000-9002"
Bindings = dict[str, list[Binding]]  # "80/tcp" -> where the world finds it


def bindings(ports: Any) -> Bindings:
    """The `PortBindings` of a list of `-p` texts, or of the SDK's `ports` and the API's own. Raises InvalidArgument."""
    found: Bindings = {}
    if isinstance(ports, Mapping):
        pairs = ((port(key), bound) for key, value in ports.items() for bound in _of_sdk(value))
    else:
        pairs = (pair for text in texts(ports) for pair in parse(text))
    for key, bound in pairs:
        found.setdefault(key, []).append(bound)
    return found


def parse(text: str) -> Iterator[tuple[str, Binding]]:
    """One `-p` text: each port of the container with its place on the host. Raises InvalidArgument in Docker's words.

    >>> list(parse("127.0.0.1:9000-9001:80-81/udp"))[1]
    ('81/udp', {'HostIp': '127.0.0.1', 'HostPort': '9001'})
    """
    text = _long(text) if "=" in text else text
    rest, _, inside = text.rpartition(":")
    address, _, outside = rest.rpartition(":") if rest.count(":") else ("", "", rest)
    inside, slash, protocol = inside.partition("/")
    if not inside:
        raise InvalidArgument(f"no port specified: {text}<empty>")
    if (slash and not protocol) or protocol.lower() not in ("", *PROTOCOLS):
        raise InvalidArgument(f"invalid proto: {protocol}")
    host = _address(address)
    first, last = _range(inside, "containerPort")
    low, high = _range(outside, "hostPort") if outside else (0, 0)
    single = last == first
    if outside and high - low != last - first and not single:
        raise InvalidArgument(f"invalid ranges specified for container and host Ports: {inside} and {outside}")
    for offset in range(last - first + 1):
        chosen = "" if not outside else f"{low}-{high}" if single and high > low else str(low + offset)
        yield f"{first + offset}/{protocol.lower() or 'tcp'}", {"HostIp": host, "HostPort": chosen}


def exposed(ports: Any) -> dict[str, dict[str, Any]]:
    """The API's `ExposedPorts` of `--expose` texts, the SDK's `ports` of a container, or the API's own.

    >>> exposed(["80", "70-71/udp"])
    {'80/tcp': {}, '70/udp': {}, '71/udp': {}}
    """
    if isinstance(ports, Mapping):
        return {port(key): {} for key in ports}
    found: dict[str, dict[str, Any]] = {}
    for each in ports or ():
        text = "/".join(map(str, each)) if isinstance(each, tuple) else str(each)
        numbers, _, protocol = text.partition("/")
        if ":" in text or protocol.lower() not in ("", *PROTOCOLS):
            raise InvalidArgument(f"invalid port format for --expose: {text}")
        try:
            first, last = _range(numbers, "range format for --expose")
        except InvalidArgument as error:
            number = next((each for each in numbers.split("-") if not each.isdecimal()), numbers)
            why = "value out of range" if number.isdecimal() else "invalid syntax"
            why = f'strconv.ParseUint: parsing "{number}": {why}' if numbers else "empty string specified for ports"
            raise InvalidArgument(f"{error.explanation}, error: {why}") from None
        found |= {f"{number}/{protocol.lower() or 'tcp'}": {} for number in range(first, last + 1)}
    return found


def keys(ports: Any) -> list[str]:
    """The ports of a container that `bindings` is given, published or not.

    >>> keys({"80": None, "53/udp": []}), keys(["8080:80"])
    (['80/tcp', '53/udp'], ['80/tcp'])
    """
    return [port(key) for key in ports] if isinstance(ports, Mapping) else list(bindings(ports))


def order(key: str) -> tuple[int, str]:
    """What ports are sorted by: `80/tcp` comes before `443/tcp`."""
    number, _, protocol = key.partition("/")
    return int(number), protocol


def port(key: Any) -> str:
    """A container's port as the API writes it: `80/tcp`. Raises InvalidArgument."""
    number, _, protocol = str(key).partition("/")
    if protocol.lower() not in ("", *PROTOCOLS):
        raise InvalidArgument(f"invalid proto: {protocol}")
    first, last = _range(number, "containerPort")
    if first != last:
        raise InvalidArgument(f"invalid port specification: {key!r}: one port is expected here, no range")
    return f"{first}/{protocol.lower() or 'tcp'}"


def choices(bound: Mapping[str, str]) -> range:
    """The host's ports that a binding may take; empty where any is fine.

    >>> choices({"HostPort": "9000-9002"}), choices({"HostPort": ""})
    (range(9000, 9003), range(0, 0))
    """
    if bound["HostPort"] in ("", "0"):
        return range(0)
    low, high = _range(bound["HostPort"], "hostPort")
    return range(low, high + 1)


def _of_sdk(value: Any) -> Iterable[Binding]:
    """One value of the SDK's `ports`: None, a number, (address, number), a `HostIp`/`HostPort`, or a list of these."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, Mapping):
            host, number = one.get("HostIp") or "", one.get("HostPort") or ""
        elif isinstance(one, tuple):
            host, number = one[0], (one[1] if len(one) > 1 else None) or ""
        else:
            host, number = "", "" if one is None else one
        if number:
            _range(str(number), "hostPort")
        yield {"HostIp": _address(str(host)), "HostPort": str(number)}


def _long(text: str) -> str:
    """`target=80,published=8080,protocol=udp` in the short form."""
    fields = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidArgument(f"invalid publish opts format (should be name=value but got '{part}')")
        fields[key] = value
    if unknown := fields.keys() - set(LONG):
        raise InvalidArgument(f"invalid publish option: {min(unknown)}; {', '.join(LONG)} are known")
    return f"{fields.get('published', '')}:{fields.get('target', '')}/{fields.get('protocol', 'tcp')}"


def _range(text: str, what: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    ends = (low, high if dash else low)
    if not all(re.fullmatch(r"[0-9]{1,5}", end) and int(end) < 65536 for end in ends) or int(ends[0]) > int(ends[1]):
        raise InvalidArgument(f"invalid {what}: {text}")
    return int(ends[0]), int(ends[1])


def _address(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare)) if bare else ""
    except ValueError:
        raise InvalidArgument(f"invalid IP address: {text}") from None
