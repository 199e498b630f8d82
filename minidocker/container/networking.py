"""A container on its networks: it joins them when it starts, and may be connected to others while it runs.

Until it starts, its configuration says which networks it wants; once it runs, each network's own file says which
address it has there, for as long as it runs.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from minidocker.container.options.networks import ENDPOINT, endpoint
from minidocker.container.options.sharing import JOINS
from minidocker.container.state import LIVE
from minidocker.errors import APIError, Unsupported
from minidocker.network.bridge import prefix
from minidocker.network.network import Forbidden, Network
from minidocker.network.networks import check_address
from minidocker.network.pool import gateway
from minidocker.runtime import Wire
from minidocker.runtime.wires import DEFAULT, about, wire_of

if TYPE_CHECKING:
    from minidocker.container.container import Container

ALONE = ("host", "none")  # the networks beside which there can be no other
NO_ADDRESS: dict[str, Any] = {
    "EndpointID": "",
    "Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "MacAddress": "",
}
ADDRESS = "EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen".split()


def wanted(container: Container) -> dict[str, dict[str, Any]]:
    """The networks that it is to be on, by name, and what it asks of each."""
    found: dict[str, dict[str, Any]] = (container.config.get("NetworkSettings") or {"Networks": {}})["Networks"]
    return found


# As it starts and ends


def settle(container: Container) -> bool:
    """Do without the default network, where this machine turns out to have no bridges; whether that is so."""
    mode, folder = container.config["HostConfig"]["NetworkMode"], str(container.containers.networks.folder)
    if mode != "default" or DEFAULT not in wanted(container) or not container.runtime.no_bridge(folder):
        return False
    others = {name: asked for name, asked in wanted(container).items() if name != DEFAULT}
    remember(container, others or {"none": dict(ENDPOINT)})
    return True


def join(container: Container) -> tuple[Wire, ...]:
    """Get its place on all networks that it wants: an address on each. Raises APIError, and then it has none."""
    wires: list[Wire] = []
    try:
        for name, asked in wanted(container).items():
            wires.append(enter(container, container.containers.networks.get(name), asked, wires))
    except BaseException:
        leave(container, wires)
        raise
    return tuple(wires)


def enter(container: Container, network: Network, asked: dict[str, Any], wires: list[Wire]) -> Wire:
    """Get its place on one network, beside those that it has."""
    networks = container.containers.networks
    if network.foreign:
        _check_foreign(container, network)
    if network.bare:
        check_address(network, asked)
        networks.tell("connect", network.record, container.id)
        return Wire(**about(network.record))
    if asked.get("Aliases") or not network.predefined:
        asked = asked | {"Aliases": aliases(container, network, asked)}
    used = {wire.interface for wire in wires}
    first = prefix(network.record)
    interface = next(name for number in range(len(used) + 1) if (name := f"{first}{number}") not in used)
    networks.join(network, container.id, container.name, asked | {"Interface": interface, "Interfaces": used})
    return Wire(**wire_of(network.record, container.id))


def _check_foreign(container: Container, network: Network) -> None:
    """Raise Unsupported for what a container cannot have on the network of a plugin."""
    host = container.config["HostConfig"]
    why = container.runtime.no_interface()
    if host.get("PortBindings") or host.get("PublishAllPorts"):
        why = "its ports cannot be published (-p): connect to its address"
    elif (host.get("RestartPolicy") or {}).get("Name") not in (None, "", "no"):
        why = "it cannot be restarted by itself (--restart): the plugin would have to be asked each time"
    if why:
        raise Unsupported(f"on the network {network.name} of the plugin {network.driver}, {why}")


def leave(container: Container, wires: list[Wire] | tuple[Wire, ...]) -> None:
    """Give up its places."""
    for wire in wires:
        container.containers.networks.leave(wire.network, container.id)


def aliases(container: Container, network: Network, asked: dict[str, Any]) -> list[str]:
    """What it is called on a network, beside its name: on one that somebody made, by id and host name as well."""
    own = [] if network.predefined else [container.short_id, container.config["Config"]["Hostname"]]
    return list(dict.fromkeys([*(asked.get("Aliases") or ()), *own]))


def now(container: Container) -> list[Wire]:
    """The places that it has, if it runs: in the order of its interfaces."""
    networks = container.containers.networks.by_name()
    found = []
    for name in wanted(container):
        network = networks.get(name)
        if network and container.id in network.record["Endpoints"]:
            found.append(Wire(**wire_of(network.record, container.id)))
    return sorted(found, key=lambda wire: wire.interface)


# While it is there


def connect(container: Container, network: Network, asked: dict[str, Any]) -> None:
    """Connect it to one more network, whether it runs or not. Raises Forbidden, NotFound, InvalidArgument."""
    mode, have = container.config["HostConfig"]["NetworkMode"], wanted(container)
    if mode == "host" or network.name == "host":
        raise Forbidden("container cannot be disconnected from host network or connected to host network")
    if mode.startswith(JOINS):
        who = "container sharing network namespace with another container or host"
        raise Forbidden(f"{who} cannot be connected to any other network")
    if have and (network.name == "none" or "none" in have):
        raise Forbidden(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
    asked = endpoint(asked)
    check_address(network, asked)
    running = container.state()["Status"] in LIVE
    if running and network.name in have:
        raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
    if running:
        before = now(container)
        wire = enter(container, network, asked, before)
        try:
            container.runtime.connect(container.box((*before, wire)), wire)
        except BaseException:
            leave(container, [wire])
            raise
    remember(container, have | {network.name: asked})


def disconnect(container: Container, network: Network, force: bool = False) -> None:
    """Take it off a network. Raises Forbidden, in Docker's words, where it is not on it."""
    have, before = wanted(container), now(container)
    if network.name == "host" and "host" in have:
        raise Forbidden("container cannot be disconnected from host network or connected to host network")
    if network.name not in have:
        raise Forbidden(f"container {container.id} is not connected to network {network.name}")
    if container.state()["Status"] in LIVE:
        gone = [wire for wire in before if wire.network == network.id]
        rest = tuple(wire for wire in before if wire not in gone)
        for wire in gone:
            try:
                container.runtime.disconnect(container.box(rest), wire)
            except APIError:
                if not force:
                    raise
        leave(container, gone)
    remember(container, {name: asked for name, asked in have.items() if name != network.name})


def remember(container: Container, have: dict[str, dict[str, Any]]) -> None:
    """Write down which networks it wants."""
    container.containers.change(container, NetworkSettings={"Networks": have})


# What is said of it


def settings(container: Container, state: dict[str, Any]) -> dict[str, Any]:
    """The `NetworkSettings` of `docker inspect`."""
    running, shown = state["Status"] in LIVE, places(container, state)
    sandbox = hashlib.sha256(f"{container.id} {state['StartedAt']}".encode()).hexdigest() if running else ""
    first = shown.get(DEFAULT, NO_ADDRESS)
    return {
        "Bridge": "",
        "SandboxID": sandbox,
        "SandboxKey": f"/proc/{state['Pid']}/ns/net" if running and state["Pid"] else "",
        "Ports": ports(container, state) if running else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{key: first[key] for key in NO_ADDRESS},
        "Networks": shown,
    }


def places(container: Container, state: dict[str, Any]) -> dict[str, Any]:
    """The `Networks` of these: what is said of each that it is on, or is to be on."""
    networks = container.containers.networks.by_name() if state["Status"] in LIVE else {}
    return {
        name: place(container, networks.get(name), asked, state) for name, asked in sorted(wanted(container).items())
    }


def place(
    container: Container, network: Network | None, asked: dict[str, Any], state: dict[str, Any]
) -> dict[str, Any]:
    """What is said of one network that it is on; of one that it is to be on (None), what it asks for."""
    made = ENDPOINT | asked | {"NetworkID": network.id if network else ""}
    if network and not network.predefined:
        made["Aliases"] = aliases(container, network, asked)
    made |= {key: NO_ADDRESS[key] for key in ADDRESS} | {"MacAddress": asked.get("MacAddress") or "", "DNSNames": None}
    if network is None:
        return made
    one = without_cable(container, state) if network.bare else network.record["Endpoints"].get(container.id)
    if one is None:
        return made
    ip, _, size = one["IPv4Address"].partition("/")
    made |= {"EndpointID": one["EndpointID"], "MacAddress": one["MacAddress"]}
    made |= {
        "IPAddress": ip,
        "IPPrefixLen": int(size or 0),
        "Gateway": one.get("Gateway", network.gateway) if ip else "",
    }
    if sixth := one["IPv6Address"]:
        ip, _, size = sixth.partition("/")
        made |= {"GlobalIPv6Address": ip, "GlobalIPv6PrefixLen": int(size)}
        made["IPv6Gateway"] = gateway(network.record["IPAM"]["Config"][1])
    if not network.predefined:
        made["DNSNames"] = list(dict.fromkeys([container.name, *(made["Aliases"] or ())]))
    return made


def without_cable(container: Container, state: dict[str, Any]) -> dict[str, Any]:
    """Its endpoint on the network `host` or `none`, which needs nothing but an id."""
    id = hashlib.sha256(f"{container.id} {state['StartedAt']} endpoint".encode()).hexdigest()
    return {"Name": container.name, "EndpointID": id, "MacAddress": "", "IPv4Address": "", "IPv6Address": ""}


def ports(container: Container, state: dict[str, Any]) -> dict[str, Any]:
    """The `Ports` of one that runs: where the world finds them, None for those that are only exposed."""
    if not any(wire.address for wire in now(container)):
        return {}
    exposed = dict.fromkeys(container.config["Config"].get("ExposedPorts") or {})
    return dict(sorted({**exposed, **(state.get("Ports") or {})}.items()))


def listed(container: Container, state: dict[str, Any]) -> list[dict[str, Any]]:
    """The same, as `docker ps` has it: one entry for each place."""
    rows: list[dict[str, Any]] = []
    for key, places in (ports(container, state) if state["Status"] in LIVE else {}).items():
        number, _, protocol = key.partition("/")
        row = {"PrivatePort": int(number), "Type": protocol}
        rows += [{"IP": one["HostIp"], **row, "PublicPort": int(one["HostPort"])} for one in places or ()] or [row]
    return rows
