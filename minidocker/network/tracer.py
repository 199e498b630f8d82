"""The way of a connection: which steps it takes, where it ends, and which piece is missing there.

A value for what there is (`Plan`), and one for what becomes of a connection (`Trace`). It asks what the machine asks,
in that order: whose name is that, is there a way to the address, is the port published, does a program listen, and at
which address.

    >>> from minidocker.network.plan import Place
    >>> web = Peer("web", (Place("shop", "10.0.0.2"),), listens=frozenset({("*", 80)}))
    >>> shop = Plan((Net("shop", "10.0.0.0/24"),), (web, Peer("cli", (Place("shop", "10.0.0.3"),))))
    >>> trace(shop, "cli", "web", 80).arrives, trace(shop, "cli", "web", 81).error
    (True, 'Connection refused')
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from minidocker.network import names
from minidocker.network.plan import ANY, LOOPBACK, MACHINE, WORLD, Net, Peer, Plan

REFUSED, NO_ROUTE, NO_NETWORK = "Connection refused", "No route to host", "Network is unreachable"
NAME, WAY, PORT, PROGRAM = "name", "way", "port", "program"
PUBLISH = "docker run -p {0}:{0} …"
CONNECT = "docker network connect {} {}"
JOIN = "docker run --network … when it is made"
OWN = "docker network create shop, and run both with --network shop"


@dataclass(frozen=True)
class Hop:
    """One step: what had to be there, and what was found. `ok` is None where nobody can look."""

    piece: str
    found: str
    ok: bool | None = True


@dataclass(frozen=True)
class Trace:
    """What became of a connection. Where it ends: what its program is told (`error`), and what to type (`cure`)."""

    start: str
    target: str
    port: str
    hops: tuple[Hop, ...]
    error: str = ""
    cure: str = ""

    @property
    def arrives(self) -> bool:
        """Whether a program answers, as far as one can know."""
        return not self.error

    @property
    def missing(self) -> str:
        """Which piece is missing; empty where none is."""
        return self.hops[-1].piece if self.error else ""


class Ends(Exception):
    """The connection ends here."""

    def __init__(self, hop: Hop, error: str, cure: str) -> None:
        super().__init__(hop.found)
        self.hop, self.error, self.cure = hop, error, cure


def ends(piece: str, found: str, error: str, cure: str) -> Ends:
    """It ends at this piece."""
    return Ends(Hop(piece, found, ok=False), error, cure)


def trace(plan: Plan, start: str, target: str, port: int) -> Trace:
    """Follow a connection from a container, `your machine` or `the world` to a name or an address and a port."""
    hops: list[Hop] = []
    error = cure = ""
    asks = plan.find(start)
    try:
        if asks and not asks.runs:
            raise ends(NAME, f"{start} does not run: nobody asks", "", f"docker start {start}")
        if asks and asks.mode != "host":
            _inside(plan, asks, target, port, hops)
        else:
            _outside(plan, MACHINE if asks else start, target, port, hops)
    except Ends as end:
        hops.append(end.hop)
        error, cure = end.error or "it does not run", end.cure
    free = any(one.number == port and not one.asked for peer in plan.peers for one in peer.published)
    return Trace(
        start, target, "the port that was given" if free and not asks else f"port {port}", tuple(hops), error, cure
    )


# From a container


def _inside(plan: Plan, asks: Peer, target: str, port: int, hops: list[Hop]) -> None:
    address = _named(plan, asks, target, hops)
    if ipaddress.ip_address(address).is_loopback:
        hops.append(Hop(WAY, f"127.0.0.1 never leaves {asks.name}"))
        hops.append(_program(asks, LOOPBACK, port))
        return
    network = _way(plan, asks, address, hops)
    if network == WORLD:
        return
    owner = next((one for one in plan.peers if one.runs and one.has(address)), None)
    if owner is None:
        raise ends(PROGRAM, f"nobody has the address {address} now", NO_ROUTE, "ask for a name instead: it follows")
    hops.append(_program(owner, address, port))


def _named(plan: Plan, asks: Peer, target: str, hops: list[Hop]) -> str:
    """The address of a name, asked from inside a container."""
    if is_address(target):
        hops.append(Hop(NAME, f"{target} is an address: there is nothing to look up"))
        return target
    if target == "localhost":
        hops.append(Hop(NAME, f"localhost is whoever asks: {asks.name} itself"))
        return LOOPBACK
    found = names.told(plan.tables(asks), target)
    if not found:
        return _stranger(plan, asks, target, hops)
    several = f", one of {len(found)}" if len(found) > 1 else ""
    hops.append(Hop(NAME, f"{target} is {found[0]}{several}"))
    return found[0]


def _stranger(plan: Plan, asks: Peer, target: str, hops: list[Hop]) -> str:
    """A name that no network of this container knows: an address in the world; or Ends."""
    known = plan.called(target)
    error, mine = f"bad address '{target}'", [place.network for place in asks.places]
    if not mine:
        raise ends(NAME, f"{asks.name} has no network, and nobody to ask", error, JOIN)
    if known and not known.runs:
        raise ends(NAME, f"{target} does not run, and has no name until it does", error, f"docker start {known.name}")
    if known and not any(plan.net(network).named for network in mine):
        raise ends(NAME, "on the default network nobody has a name", error, OWN)
    if known:
        theirs = ", ".join(place.network for place in known.places) or known.mode
        cure = CONNECT.format(known.places[0].network if known.places else "…", asks.name)
        raise ends(NAME, f"nobody on {', '.join(mine)} is called {target}; it is on {theirs}", error, cure)
    if all(plan.net(network).internal for network in mine):
        why = f"{', '.join(mine)} is internal: nobody outside is asked"
        raise ends(NAME, why, error, CONNECT.format("…", asks.name))
    if "." not in target:
        raise ends(NAME, f"nobody is called {target}", error, "docker ps: is it spelled so, and does it run?")
    hops.append(Hop(NAME, "no container's name: the name server of the world is asked"))
    return "192.0.2.1"  # of those addresses that stand for any (RFC 5737)


def _way(plan: Plan, asks: Peer, address: str, hops: list[Hop]) -> str:
    """The network through which a packet goes; Ends where none does."""
    mine = [plan.net(place.network) for place in asks.places]
    others = [net.subnet for net in plan.nets if net.subnet and net not in mine]
    way = route(address, mine, others)
    if way is not None:
        out = "out through the gateway, if the machine has a way out"
        hops.append(Hop(WAY, out if way == WORLD else f"both are on {way}"))
        return way
    if not mine:
        raise ends(WAY, f"{asks.name} has no network but itself", NO_NETWORK, JOIN)
    there = next((net.name for net in plan.nets if net.subnet and within(address, net.subnet)), "")
    closed, on = all(net.internal for net in mine), ", ".join(net.name for net in mine)
    if there:
        why = f"{address} is on {there}, {asks.name} is not: networks are kept apart"
        raise ends(WAY, why, NO_NETWORK if closed else NO_ROUTE, CONNECT.format(there, asks.name))
    raise ends(WAY, f"{on} is internal: no way leads out", NO_NETWORK, CONNECT.format("…", asks.name))


def route(address: str, mine: Sequence[Net], others: Sequence[str]) -> str | None:
    """Through which of its networks a container reaches an address: a name, `the world`, or None: it does not.

    What is on none of its networks goes out through a gateway, which an internal network has not, and never to the
    `others`: the ranges of networks that it is not on.

    >>> route("10.0.0.9", [Net("shop", "10.0.0.0/24")], ["10.1.0.0/24"])
    'shop'
    >>> route("10.1.0.9", [Net("shop", "10.0.0.0/24")], ["10.1.0.0/24"]) is None
    True
    """
    for net in mine:
        if net.subnet and within(address, net.subnet):
            return net.name
    if any(within(address, other) for other in others) or all(net.internal for net in mine):
        return None
    return WORLD


# From outside


def _outside(plan: Plan, start: str, target: str, port: int, hops: list[Hop]) -> None:
    """From the machine to itself, or from the world to the machine."""
    here = start == MACHINE
    local = target == "localhost" or (is_address(target) and ipaddress.ip_address(target).is_loopback)
    if local and not here:
        raise ends(NAME, "localhost is whoever asks: some computer out there", REFUSED, "ask for the machine's address")
    if target not in (MACHINE, "localhost") and not local:
        if not is_address(target):
            why = f"{target} is a name for containers on its network: {start} has not heard of it"
            cure = f"publish its port, and ask for {'localhost' if here else MACHINE}"
            raise ends(NAME, why, f"bad address '{target}'", cure)
        why = f"{target} is inside a network of the engine's: {start} has no way in"
        raise ends(WAY, why, NO_ROUTE, PUBLISH.format(port))
    hops.append(Hop(NAME, "localhost is whoever asks: here, your machine" if local else "your machine, by its address"))
    _published(plan, port, local, hops)


def _published(plan: Plan, port: int, local: bool, hops: list[Hop]) -> None:
    """A port of the machine: whose is it, and does a program listen behind it?"""
    bound = [(one, binding) for one in plan.peers if one.runs for binding in one.published if binding.number == port]
    open_to = [pair for pair in bound if pair[1].host in ("", "0.0.0.0") or (local and pair[1].host == LOOPBACK)]
    if bound and not open_to:
        why = f"published at {bound[0][1].host} alone: for the machine itself"
        raise ends(PORT, why, REFUSED, f"docker run -p {bound[0][1].inside} …, without an address")
    if not open_to:
        shares = (one for one in plan.peers if one.runs and one.mode == "host" and port in one.ports())
        if owner := next(shares, None):
            hops.append(Hop(PORT, f"{owner.name} is on the machine's own network: there is nothing to publish"))
            hops.append(_program(owner, LOOPBACK if local else "", port))
            return
        raise _unpublished(plan, port)
    owner, binding = open_to[0]
    hops.append(Hop(PORT, f"published: it leads to port {binding.inside} of {owner.name}"))
    address = next((place.address for place in owner.places if place.address), "")
    hops.append(_program(owner, address, binding.inside, "Connection reset"))


def _unpublished(plan: Plan, port: int) -> Ends:
    exposing = [one.name for one in plan.peers if one.runs and port in one.exposed]
    inside = [one.name for one in plan.peers if one.runs and port in one.ports()]
    who = next(iter(exposing or inside), "")
    why = f"port {port} of your machine is nobody's"
    if exposing:
        they = f"{who} exposes its" if len(exposing) == 1 else f"{len(exposing)} containers expose their"
        why = f"nobody's: {they} own port {port}, which opens nothing here"
    elif inside:
        why = f"nobody's: {who} listens at its own port {port}, which is another one"
    return ends(PORT, why, REFUSED, PUBLISH.format(port))


# At the end


def _program(owner: Peer, address: str, port: int, error: str = REFUSED) -> Hop:
    """A program of a container that listens at a port, where it can be reached by this address; else Ends."""
    if owner.listens is None:
        return Hop(PROGRAM, f"who listens inside {owner.name} is not to be seen here", ok=None)
    if (ANY, port) in owner.listens or (address, port) in owner.listens:
        return Hop(PROGRAM, f"{owner.name} listens at {'every address' if (ANY, port) in owner.listens else address}")
    at = sorted(where for where, number in owner.listens if number == port)
    if at:
        why = f"{owner.name} listens at {', '.join(at)}:{port} only: for itself"
        raise ends(PROGRAM, why, error, "have the program listen at 0.0.0.0")
    ports = ", ".join(map(str, sorted(owner.ports())))
    why = f"nobody in {owner.name} listens at port {port}" + (f", but at {ports}" if ports else " (yet?)")
    raise ends(PROGRAM, why, error, f"ask for port {ports}" if ports else f"docker logs {owner.name}: is it ready?")


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False


def within(address: str, subnet: str) -> bool:
    """Whether an address is in a range."""
    return ipaddress.IPv4Address(address) in ipaddress.IPv4Network(subnet, strict=False)
