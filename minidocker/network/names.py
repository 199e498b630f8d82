"""Names: who can be asked for on a network, and what the answer is. What Docker's name server at 127.0.0.11 knows.

A container's name, its aliases and the first digits of its id; two containers with one alias are two addresses. On the
default network there are no names: that is Docker's oldest surprise.

    >>> table([{"Name": "web", "Aliases": ["app"], "IPv4Address": "10.0.0.2/24"}])
    {'web': ['10.0.0.2'], 'app': ['10.0.0.2']}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidocker.errors import InvalidArgument


def table(
    endpoints: Iterable[Mapping[str, Any]], links: Iterable[str] = (), key: str = "IPv4Address"
) -> dict[str, list[str]]:
    """Name -> addresses, of all who are on a network; names are compared without regard to case.

    `key` says which kind of them. `links` are further names that only who asks knows: `db:database`.
    """
    found: dict[str, list[str]] = {}
    for endpoint in endpoints:
        address = endpoint[key].partition("/")[0]
        for name in dict.fromkeys(map(str.lower, (endpoint["Name"], *endpoint.get("Aliases", ())))):
            found.setdefault(name, []).append(address)
    more = {alias.lower(): found[name.lower()] for name, alias in parse(links) if name.lower() in found}
    return found | more


def parse(asked: Any) -> list[tuple[str, str]]:
    """Links as the SDK, the API and the command line have them: container and alias. Raises InvalidArgument.

    >>> parse({"db": "database"}), parse(["db", "/cache:/app/c"])
    ([('db', 'database')], [('db', 'db'), ('cache', 'c')])
    """
    pairs = sorted(asked.items()) if isinstance(asked, Mapping) else asked or ()
    return [_pair(":".join(filter(None, each)) if isinstance(each, tuple) else str(each)) for each in pairs]


def _pair(text: str) -> tuple[str, str]:
    name, colon, alias = text.partition(":")
    if not text:
        raise InvalidArgument("empty string specified for links")
    if ":" in alias:
        raise InvalidArgument(f"bad format for links: {text}")
    if name.startswith("/"):  # as `docker inspect` shows them
        return name[1:], alias.rpartition("/")[2]
    return name, alias if colon else name


def lookup(tables: Iterable[Mapping[str, list[str]]], name: str) -> list[str]:
    """The addresses of a name on the first of a container's networks that knows it.

    >>> lookup([{"db": ["10.0.0.2"]}, {"db": ["10.1.0.2"]}], "DB.")
    ['10.0.0.2']
    """
    wanted = name.rstrip(".").lower()
    return next((addresses for known in tables if (addresses := known.get(wanted))), [])


def told(networks: Iterable[tuple[str, Mapping[str, list[str]]]], name: str) -> list[str]:
    """The same of networks with their names: `db.back` is `db` on the network `back`, if nobody has the whole name.

    >>> told([("front", {"db": ["10.0.0.2"]}), ("back", {"db": ["10.1.0.2"]})], "db.back")
    ['10.1.0.2']
    """
    known, wanted = list(networks), name.rstrip(".").lower()
    ends = [(table, f".{network.lower()}") for network, table in known]
    parts = [lookup([table], wanted.removesuffix(end)) for table, end in ends if wanted.endswith(end)]
    return lookup((table for _, table in known), wanted) or next(filter(None, parts), [])


def reverse(networks: Iterable[tuple[str, Iterable[Mapping[str, Any]]]], address: str) -> str:
    """The name that goes with an address: `web.frontend`, the container's and its network's; empty where none does.

    >>> reverse([("frontend", [{"Name": "web", "IPv4Address": "10.0.0.2/24"}])], "10.0.0.2")
    'web.frontend'
    """
    for network, endpoints in networks:
        for endpoint in endpoints:
            if endpoint["IPv4Address"].partition("/")[0] == address:
                return f"{endpoint['Name']}.{network}"
    return ""
