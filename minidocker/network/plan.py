"""Networks and containers as one value: who is where, called what, listens at what. What `tracer` follows a packet in.

>>> shop = Plan((Net("shop", "10.0.0.0/24"),), (Peer("web", (Place("shop", "10.0.0.2", ("www",)),)),))
>>> shop.tables(shop.peers[0])
[('shop', {'web': ['10.0.0.2'], 'www': ['10.0.0.2']})]
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from minidocker.network import names

MACHINE, WORLD = "your machine", "the world"  # those who ask, and are no containers
ANY, LOOPBACK = "*", "127.0.0.1"
DEFAULT = "bridge"

Listening = frozenset[tuple[str, int]]  # (address, port); the address `*` is all of them


@dataclass(frozen=True)
class Net:
    """A network. On one without `named`, nobody has a name."""

    name: str
    subnet: str = ""
    internal: bool = False
    named: bool = True


@dataclass(frozen=True)
class Place:
    """Where a container is on a network, and what it is called there beside its name."""

    network: str
    address: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binding:
    """A port of the machine that leads to one of a container. `asked` is what `-p` said: nothing means any."""

    host: str
    number: int  # 0 where nobody knows it
    inside: int
    asked: str = ""


@dataclass(frozen=True)
class Peer:
    """A container. Of `listens`, None means that nobody can look here."""

    name: str
    places: tuple[Place, ...] = ()
    mode: str = "bridge"
    runs: bool = True
    exposed: tuple[int, ...] = ()
    published: tuple[Binding, ...] = ()
    listens: Listening | None = frozenset()

    @property
    def names(self) -> set[str]:
        """What it is called, wherever."""
        return {self.name, *(alias for place in self.places for alias in place.aliases)}

    def has(self, address: str) -> bool:
        """Whether an address is its own."""
        return any(place.address == address for place in self.places)

    def ports(self) -> set[int]:
        """The ports that its programs listen at, as far as one can know."""
        return {number for _, number in self.listens or ()}


@dataclass(frozen=True)
class Plan:
    """All networks and containers, as they are now."""

    nets: tuple[Net, ...]
    peers: tuple[Peer, ...]

    def net(self, name: str) -> Net:
        """The network of a name."""
        return next(net for net in self.nets if net.name == name)

    def called(self, name: str) -> Peer | None:
        """The container that has a name, or an alias, on any network."""
        return next((one for one in self.peers if name in one.names), None)

    def find(self, name: str) -> Peer | None:
        """The container of a name, as it is on its networks: one in another's network is where that is."""
        found = next((peer for peer in self.peers if peer.name == name), None)
        if found and found.mode.startswith("container:"):
            other = self.find(found.mode.partition(":")[2])
            return replace(other, name=found.name) if other and other.name != name else found
        return found

    def endpoints(self, network: str) -> list[dict[str, object]]:
        """Who runs on a network, as its file has it."""
        return [
            {"Name": peer.name, "Aliases": list(place.aliases), "IPv4Address": place.address}
            for peer in self.peers
            for place in peer.places
            if peer.runs and place.network == network and place.address
        ]

    def tables(self, peer: Peer) -> list[tuple[str, dict[str, list[str]]]]:
        """The names that a container can ask for: each of its networks that has names, and the table of these."""
        named = [place.network for place in peer.places if self.net(place.network).named]
        return [(network, names.table(self.endpoints(network))) for network in named]
