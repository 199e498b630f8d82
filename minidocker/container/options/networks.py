"""`--network`, `--network-alias`, `--ip`, `--mac-address`, `-p`, `-P`, `--expose`: whom it reaches, and who it.

Which networks it is to be on stands in its configuration; on which it is, and with which address, in theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.container.options.sharing import JOINS, network_of
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.filters import texts
from minidocker.network import ports
from minidocker.network.names import parse
from minidocker.runtime import Port

if TYPE_CHECKING:
    from minidocker.image import Image

OPTIONS = frozenset(
    "network network_mode network_disabled networking_config mac_address ports publish_all_ports".split()
)
MAC = re.compile(r"[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}")
ENDPOINT: dict[str, Any] = {"IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None}
ENDPOINT |= {"GwPriority": 0}


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`NetworkMode`, `PortBindings` and `PublishAllPorts`.

    >>> host_config({"ports": {"80": 8080}})["PortBindings"]
    {'80/tcp': [{'HostIp': '', 'HostPort': '8080'}]}
    """
    bound = ports.bindings(given.get("ports"))
    for key in bound:
        if key.endswith("/sctp"):
            raise Unsupported(f"minidocker publishes ports of tcp and udp, not {key}; leave it out")
    return {
        "NetworkMode": mode_of(given),
        "PortBindings": None if given.get("ports") is None else bound,
        "PublishAllPorts": bool(given.get("publish_all_ports")),
    }


def config(image: Image, given: Mapping[str, Any]) -> dict[str, Any]:
    """`ExposedPorts`: the image's, and what is exposed or published; `NetworkDisabled` and `MacAddress`."""
    exposed = {**(image.config.get("ExposedPorts") or {}), **ports.exposed(ports.keys(given.get("ports")))}
    return {
        **({"ExposedPorts": exposed} if exposed else {}),
        **({"NetworkDisabled": True} if given.get("network_disabled") else {}),
        **({"MacAddress": mac(given["mac_address"])} if given.get("mac_address") else {}),
    }


def wanted(given: Mapping[str, Any], default: str) -> dict[str, dict[str, Any]]:
    """The networks that it is to be on, and what it asks of each: aliases, an address. `default` is for no other."""
    mode = mode_of(given)
    if given.get("network_disabled") or mode.startswith(JOINS):
        return {}
    asked = given.get("networking_config") or {}
    asked = asked.get("EndpointsConfig", asked)
    if mode == "default" and asked and not {mode, default} & {*asked}:  # as Docker: then only what is asked for
        mode = next(iter(asked))
    first = default if mode == "default" else mode
    found = {first: endpoint(asked.get(first) or asked.get(mode))}
    found |= {name: endpoint(what) for name, what in asked.items() if name not in (mode, first)}
    if given.get("mac_address"):
        found[first]["MacAddress"] = mac(given["mac_address"])
    return found


def endpoint(asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is asked of one network, under the API's keys. Raises Unsupported."""
    made: dict[str, Any] = ENDPOINT | {key: value for key, value in (asked or {}).items() if key in ENDPOINT}
    made["Links"] = [":".join(pair) for pair in parse(made["Links"])] or None
    if made["MacAddress"]:
        made["MacAddress"] = mac(made["MacAddress"])
    return made | {"Aliases": texts(made["Aliases"]) or None}


def mode_of(given: Mapping[str, Any]) -> str:
    """The network mode that is asked for. Raises InvalidArgument in Docker's words."""
    if given.get("network") and given.get("network_mode"):
        raise InvalidArgument('The options "network" and "network_mode" can not be used together.')
    mode = str(network_of(given))
    if mode in ("container", JOINS):
        raise InvalidArgument("Invalid network mode: invalid container format container:<name|id>")
    return mode


def mac(text: str) -> str:
    """A hardware address. Raises InvalidArgument."""
    if not MAC.fullmatch(text) or int(text[:2], 16) & 1:
        raise InvalidArgument(f"invalid MAC address: {text}")
    return text.lower().replace("-", ":")


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The ports that the world shall find on the host."""
    host = config["HostConfig"]
    bound = {key: list(places) for key, places in (host.get("PortBindings") or {}).items()}
    if host.get("PublishAllPorts"):
        for key in sorted(config["Config"].get("ExposedPorts") or {}, key=ports.order):
            bound.setdefault(key, [{"HostIp": "", "HostPort": ""}])
    found = []
    for key, places in bound.items():
        number, _, protocol = key.partition("/")
        for place in places:
            choices = ports.choices(place) or [0]
            found.append(Port(int(number), protocol, place["HostIp"], choices[0], choices[-1]))
    return {"ports": tuple(found)}
