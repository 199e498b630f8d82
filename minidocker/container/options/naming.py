"""`--dns`, `--dns-option`, `--dns-search`, `--add-host`, `--domainname`: what a container finds under which name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from minidocker.errors import InvalidArgument
from minidocker.filters import texts
from minidocker.runtime import Names

HOST_GATEWAY = "host-gateway"
OPTIONS = frozenset({"dns", "dns_opt", "dns_search", "extra_hosts"})
DOMAIN = re.compile(r"(:?(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9]))\.?)+")


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Dns`, `DnsOptions`, `DnsSearch` and `ExtraHosts`.

    >>> host_config({"extra_hosts": {"db": "10.0.0.2"}})["ExtraHosts"]
    ['db:10.0.0.2']
    """
    hosts = given.get("extra_hosts")
    if isinstance(hosts, Mapping):
        hosts = [f"{name}:{address}" for name, address in hosts.items()]
    return {
        "Dns": _listed(given, "dns", server),
        "DnsOptions": _listed(given, "dns_opt", str),
        "DnsSearch": _listed(given, "dns_search", domain),
        "ExtraHosts": [extra_host(text) for text in texts(hosts)] or None,
    }


def _listed(given: Mapping[str, Any], option: str, read: Callable[[str], str]) -> list[str] | None:
    """A list that was given, also an empty one, which is what docker's command line sends; None where none was."""
    return None if given.get(option) is None else [read(text) for text in texts(given[option])]


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be in /etc/hosts and /etc/resolv.conf."""
    host = config["HostConfig"]
    keys = ("ExtraHosts", "Dns", "DnsSearch", "DnsOptions")
    return {"names": Names(config["Config"].get("Domainname", ""), *(tuple(host.get(key) or ()) for key in keys))}


def server(text: str) -> str:
    """The address of a name server. Raises InvalidArgument in Docker's words."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise InvalidArgument(f"IP address is not correctly formatted: {text}") from None


def domain(text: str) -> str:
    """A search domain; `.` says that there are none. Raises InvalidArgument."""
    if text.strip(" ") != "." and not (DOMAIN.fullmatch(text) and len(text) < 255):
        raise InvalidArgument(f"{text} is not a valid domain")
    return text.strip(" ")


def extra_host(text: str) -> str:
    """`name:address` or `name=address`, as `name:address`. `host-gateway` is where the host is found. Raises
    InvalidArgument.

    >>> extra_host("v6=[::1]")
    'v6:::1'
    """
    name, mark, address = re.fullmatch(r"([^:=]*)([:=]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    if not name or not mark:
        raise InvalidArgument(f'bad format for add-host: "{text}"')
    if address == HOST_GATEWAY:
        return f"{name}:{address}"
    plain = address[1:-1] if address[:1] + address[-1:] == "[]" else address
    try:
        ipaddress.ip_address(plain)
    except ValueError:
        raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None
    return f"{name}:{plain}"
