"""`docker network …` and `docker port`."""

from __future__ import annotations

import sys
from typing import Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import Listing, Row, confirm, filters_of
from minidocker.cli.inspecting import show
from minidocker.errors import APIError, NotFound
from minidocker.network import Network

LISTING = Listing(
    "*network.networkContext",
    "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    {
        "ID": "NETWORK ID",
        "Name": "NAME",
        "Driver": "DRIVER",
        "Scope": "SCOPE",
        "IPv4": "IPV4",
        "IPv6": "IPV6",
        "Internal": "INTERNAL",
        "Labels": "LABELS",
        "CreatedAt": "CREATED AT",
    },
)


@command(
    """
network create [OPTIONS] NETWORK

Create a network

      --attachable           Enable manual container attachment
      --aux-address list     Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])
  -d, --driver string        Driver to manage the Network (default "bridge")
      --gateway strings      IPv4 or IPv6 Gateway for the master subnet
      --ingress              Create swarm routing-mesh network
      --internal             Restrict external access to the network
      --ip-range strings     Allocate container ip from a sub-range
      --ipam-driver string   IP Address Management Driver (default "default")
      --ipam-opt list        Set IPAM driver specific options (default map[])
      --ipv4                 Enable or disable IPv4 address assignment (default true)
      --ipv6                 Enable or disable IPv6 address assignment
      --label list           Set metadata on a network
  -o, --opt list             Set driver specific options (default map[])
      --scope string         Control the network's scope
      --subnet strings       Subnet in CIDR format that represents a network segment
""",
    refused={"networks that are only configurations are parts of a swarm": "config-from= config-only"},
)
def create(call: Call) -> int:
    """`docker network create`."""
    if not call.ipv4:
        raise Exit(1, "minidocker's networks have IPv4 addresses; leave --ipv4=false out")
    network = call.engine.networks.create(
        call.args[0],
        driver=call.driver,
        options=_pairs(call.opt),
        ipam={"Driver": call.ipam_driver, "Options": _pairs(call.ipam_opt), "Config": ipam(call)},
        internal=call.internal,
        labels=_pairs(call.label),
        enable_ipv6=call.ipv6,
        attachable=call.attachable,
        scope=call.scope or None,
        ingress=call.ingress,
    )
    print(network.id)
    return 0


def ipam(call: Call) -> list[dict[str, Any]]:
    """The `IPAM.Config` that the options describe: each gateway and range belongs to the subnet that it is in."""
    import ipaddress

    if len(call.subnet) < max(len(call.gateway), len(call.ip_range)):
        raise Exit(1, "every ip-range or gateway must have a corresponding subnet")
    found: dict[str, dict[str, Any]] = {}
    for text in call.subnet:
        if any(_overlap(text, other, ipaddress) for other in found):
            raise Exit(1, "multiple overlapping subnet configuration is not supported")
        found[text] = {"Subnet": text}
    auxiliary = [(text.partition("=")[2], text.partition("=")[0]) for text in call.aux_address]
    for key, what, texts in (("Gateway", "gateway", call.gateway), ("IPRange", "range", call.ip_range)):
        for text in texts:
            entry = _subnet_of(found, text, what, ipaddress)
            if key in entry:
                where = "on the same" if key == "IPRange" else "for the same"
                several = f"{what}s ({text}, {entry[key]}) {where} subnet ({entry['Subnet']})"
                raise Exit(1, f"cannot configure multiple {several}")
            entry[key] = text
    for address, name in auxiliary:
        _subnet_of(found, address, "aux-address", ipaddress).setdefault("AuxiliaryAddresses", {})[name] = address
    return [*found.values()]


def _overlap(one: str, other: str, ipaddress: Any) -> bool:
    try:
        return bool(ipaddress.ip_network(one, strict=False).overlaps(ipaddress.ip_network(other, strict=False)))
    except (ValueError, TypeError):
        return False  # the engine says what is wrong


def _subnet_of(found: dict[str, dict[str, Any]], text: str, what: str, ipaddress: Any) -> dict[str, Any]:
    for subnet, entry in found.items():
        try:
            if ipaddress.ip_network(text, strict=False).subnet_of(ipaddress.ip_network(subnet, strict=False)):
                return entry
        except (ValueError, TypeError):
            continue
    raise Exit(1, f"no matching subnet for {what} {text}")


def _pairs(texts: list[str]) -> dict[str, str]:
    return {text.partition("=")[0]: text.partition("=")[2] for text in texts}


@command("""
network ls [OPTIONS]

List networks

  -f, --filter filter   Provide filter values (e.g. "driver=bridge")
      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
      --no-trunc        Do not truncate the output
  -q, --quiet           Only display network IDs
""")
def ls(call: Call) -> int:
    """`docker network ls`; where containers cannot be connected here, it says so."""
    found = call.engine.networks.list(filters=filters_of(call.filter))
    LISTING.show([network_row(network, call.no_trunc) for network in found], call.format, call.quiet)
    why = "" if call.engine.remote else call.engine.runtime.no_bridge(str(call.engine.networks.folder))
    if why and not call.quiet and call.format in ("", "table"):
        print(f"minidocker: containers cannot be connected here, so they have loopback alone: {why}", file=sys.stderr)
    return 0


def network_row(network: Network, full: bool = False) -> Row:
    """What a listing shows of a network."""
    record = network.record
    labels = record["Labels"]
    return {
        "ID": network.id if full else network.short_id,
        "Name": network.name,
        "Driver": network.driver,
        "Scope": record["Scope"],
        "IPv4": "true",
        "IPv6": str(bool(record.get("EnableIPv6"))).lower(),
        "Internal": str(network.internal).lower(),
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": lambda key: labels.get(key, ""),
        "CreatedAt": spelled(record["Created"]),
    }


def spelled(moment: str) -> str:
    """A moment as Go spells it.

    >>> spelled("2026-11-23T13:15:17.845300870Z")
    '2026-11-23 13:15:17.84530087 +0000 UTC'
    """
    day, _, hour = moment.removesuffix("Z").partition("T")
    return f"{day} {hour.rstrip('0').rstrip('.') if '.' in hour else hour} +0000 UTC"


@command("""
network inspect [OPTIONS] NETWORK [NETWORK...]

Display detailed information on one or more networks

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
  -v, --verbose         Verbose output for diagnostics
""")
def inspect(call: Call) -> int:
    """`docker network inspect`."""

    def look(name: str) -> dict[str, Any]:
        attrs: dict[str, Any] = call.engine.networks.get(name).attrs
        return attrs

    return show(call, [look])


@command(
    """
network connect [OPTIONS] NETWORK CONTAINER

Connect a container to a network

      --alias strings           Add network-scoped alias for the container
      --driver-opt strings      driver options for the network
      --gw-priority int         Highest gw-priority provides the default gateway. Accepts positive and negative values.
      --ip string               IPv4 address (e.g., "172.30.100.104")
      --ip6 string              IPv6 address (e.g., "2001:db8::33")
      --link list               Add link to another container
      --link-local-ip strings   Add a link-local address for the container
"""
)
def connect(call: Call) -> int:
    """`docker network connect`."""
    network, container = call.args
    call.engine.networks.get(network).connect(
        container,
        aliases=call.alias or None,
        links=call.link or None,
        ipv4_address=call.ip or None,
        ipv6_address=call.ip6 or None,
        link_local_ips=call.link_local_ip or None,
        driver_opt=_pairs(call.driver_opt),
        **({"gw_priority": call.gw_priority} if call.gw_priority else {}),
    )
    return 0


@command("""
network disconnect [OPTIONS] NETWORK CONTAINER

Disconnect a container from a network

  -f, --force   Force the container to disconnect from a network
""")
def disconnect(call: Call) -> int:
    """`docker network disconnect`."""
    network, container = call.args
    call.engine.networks.get(network).disconnect(container, force=call.force)
    return 0


@command("""
network rm NETWORK [NETWORK...]

Remove one or more networks

  -f, --force   Do not error if the network does not exist
""")
def rm(call: Call) -> int:
    """`docker network rm`."""

    from minidocker.cli import complaint

    wrong = False
    for name in call.args:
        try:
            call.engine.networks.get(name).remove()
            print(name, flush=True)
        except APIError as error:
            if not (call.force and isinstance(error, NotFound)):
                print(complaint(error), file=sys.stderr)
                wrong = True
    if wrong:
        raise Exit(1, "exit status 1")
    return 0


@command("""
network prune [OPTIONS]

Remove all unused networks

      --filter filter   Provide filter values (e.g. "until=<timestamp>")
  -f, --force           Do not prompt for confirmation
""")
def prune(call: Call) -> int:
    """`docker network prune`."""
    question = "WARNING! This will remove all custom networks not used by at least one container."
    if call.force or confirm(question):
        show_pruned(call.engine.networks.prune(filters=filters_of(call.filter)))
    return 0


def show_pruned(gone: dict[str, Any]) -> None:
    """Print which networks have been removed."""
    if gone["NetworksDeleted"]:
        print("Deleted Networks:", *gone["NetworksDeleted"], "", sep="\n")


@command("""
port CONTAINER [PRIVATE_PORT[/PROTO]]

List port mappings or a specific mapping for the container
""")
def port(call: Call) -> int:
    """`docker port`."""
    from minidocker.network.ports import order
    from minidocker.network.ports import port as port_of

    name, *asked = call.args
    ports = call.engine.containers.get(name).ports
    lines = {key: [_place(one) for one in ports[key] or ()] for key in sorted(ports, key=order)}
    if not asked:
        for key, places in lines.items():
            print(*(f"{key} -> {place}" for place in places), sep="\n", end="\n" if places else "")
        return 0
    try:
        places = lines.get(port_of(asked[0]), [])
    except APIError as error:
        raise Exit(1, f"Error: {error.explanation}") from None
    if not places:
        raise Exit(1, f"Error: No public port '{asked[0]}' published for {name}")
    print(*places, sep="\n")
    return 0


def _place(bound: dict[str, str]) -> str:
    host = bound["HostIp"]
    return f"[{host}]:{bound['HostPort']}" if ":" in host else f"{host}:{bound['HostPort']}"


def ports_text(rows: list[dict[str, Any]]) -> str:
    """The PORTS column of `docker ps`: what follows one another is one range, unless it is another port outside.

    >>> ports_text([{"PrivatePort": 80, "Type": "tcp"}, {"PrivatePort": 81, "Type": "tcp"}])
    '80-81/tcp'
    >>> ports_text([{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}])
    '0.0.0.0:8080->80/tcp'
    """
    groups: dict[tuple[str, str], list[list[int]]] = {}
    moved = []
    keys = ("PrivatePort", "IP", "PublicPort", "Type")
    for row in sorted(rows, key=lambda row: [row.get(key, 0 if "Port" in key else "") for key in keys]):
        host, inside = row.get("IP", ""), row["PrivatePort"]
        if host and row["PublicPort"] != inside:
            moved.append(f"{_place({'HostIp': host, 'HostPort': row['PublicPort']})}->{inside}/{row['Type']}")
            continue
        ranges = groups.setdefault((host, row["Type"]), [])
        if ranges and ranges[-1][1] + 1 == inside:
            ranges[-1][1] = inside
        else:
            ranges.append([inside, inside])
    early = [_range(key, one) for key, ranges in groups.items() for one in ranges[:-1]]
    late = [_range(key, ranges[-1]) for key, ranges in groups.items()]
    return ", ".join([*early, *late, *moved])


def _range(key: tuple[str, str], ends: list[int]) -> str:
    host, protocol = key
    text = str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"
    place = _place({"HostIp": host, "HostPort": text}) + "->" if host else ""
    return f"{place}{text}/{protocol}"
