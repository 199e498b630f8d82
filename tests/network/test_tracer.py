"""The packet tracer: each way that a connection can end, and the piece that it says is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from minidocker.network.plan import ANY, LOOPBACK, MACHINE, WORLD, Binding, Net, Peer, Place, Plan
from minidocker.network.tracer import NAME, PORT, PROGRAM, WAY, trace

LISTENS = frozenset({(ANY, 80)})
SHY = frozenset({(LOOPBACK, 80)})
NETS = (
    Net("bridge", "172.17.0.0/16", named=False),
    Net("front", "10.0.0.0/24"),
    Net("vault", "10.0.1.0/24", internal=True),
)
PEERS = (
    Peer("api-1", (Place("front", "10.0.0.4", ("api",)),), listens=LISTENS),
    Peer("api-2", (Place("front", "10.0.0.5", ("api",)),), listens=LISTENS),
    Peer("blind", (Place("front", "10.0.0.6"),), listens=None),
    Peer("db", (Place("vault", "10.0.1.2", ("store",)),), listens=LISTENS, exposed=(80,)),
    Peer("helper", (), "container:shy"),
    Peer("hosted", (), "host", listens=frozenset({(ANY, 9000), (LOOPBACK, 9001)})),
    Peer("off", (Place("front"),), runs=False),
    Peer("old", (Place("bridge", "172.17.0.2"),), listens=LISTENS),
    Peer("old-2", (Place("bridge", "172.17.0.3"),)),
    Peer("sealed", (), "none"),
    Peer("shy", (Place("front", "10.0.0.3"),), published=(Binding("0.0.0.0", 8081, 80, "8081"),), listens=SHY),
    Peer(
        "web",
        (Place("front", "10.0.0.2"),),
        published=(
            Binding("0.0.0.0", 8080, 80, "8080"),
            Binding(LOOPBACK, 8443, 80, "8443"),
            Binding("0.0.0.0", 32768, 81),
        ),
        listens=LISTENS,
    ),
)
SHOP = Plan(NETS, PEERS)


@pytest.mark.parametrize(
    ("start", "target", "port", "last"),
    [
        ("web", "api-1", 80, "api-1 listens at every address"),
        ("web", "API", 80, "api-1 listens at every address"),
        ("web", "10.0.0.4", 80, "api-1 listens at every address"),
        ("web", "localhost", 80, "web listens at every address"),
        ("shy", "127.0.0.1", 80, "shy listens at 127.0.0.1"),
        ("helper", "localhost", 80, "helper listens at 127.0.0.1"),
        ("old", "172.17.0.2", 80, "old listens at every address"),
        ("web", "blind", 80, "who listens inside blind is not to be seen here"),
        ("web", "example.com", 443, "out through the gateway, if the machine has a way out"),
        ("old", "9.9.9.9", 53, "out through the gateway, if the machine has a way out"),
        (MACHINE, "localhost", 8080, "web listens at every address"),
        (MACHINE, "localhost", 8443, "web listens at every address"),
        (MACHINE, MACHINE, 8080, "web listens at every address"),
        (WORLD, MACHINE, 8080, "web listens at every address"),
        ("hosted", "localhost", 8080, "web listens at every address"),
        (WORLD, MACHINE, 9000, "hosted listens at every address"),
        (MACHINE, "127.0.0.1", 9001, "hosted listens at 127.0.0.1"),
    ],
)
def test_it_arrives(start: str, target: str, port: int, last: str) -> None:
    found = trace(SHOP, start, target, port)
    assert found.arrives and not found.missing and not found.cure
    assert found.hops[-1].found == last


@pytest.mark.parametrize(
    ("start", "target", "port", "missing", "error", "says", "cure"),
    [
        ("old", "old-2", 80, NAME, "bad address 'old-2'", "default network nobody has a name", "network create"),
        ("web", "db", 80, NAME, "bad address 'db'", "it is on vault", "docker network connect vault web"),
        ("web", "store", 80, NAME, "bad address 'store'", "it is on vault", "docker network connect vault web"),
        ("web", "off", 80, NAME, "bad address 'off'", "has no name until it does", "docker start off"),
        ("web", "nobody", 80, NAME, "bad address 'nobody'", "nobody is called nobody", "docker ps"),
        ("web", "sealed", 80, NAME, "bad address 'sealed'", "it is on none", "docker network connect … web"),
        (
            "db",
            "example.com",
            80,
            NAME,
            "bad address 'example.com'",
            "vault is internal",
            "docker network connect … db",
        ),
        ("sealed", "web", 80, NAME, "bad address 'web'", "has no network", "--network"),
        ("off", "web", 80, NAME, "it does not run", "nobody asks", "docker start off"),
        ("web", "10.0.1.2", 80, WAY, "No route to host", "networks are kept apart", "connect vault web"),
        ("db", "10.0.0.2", 80, WAY, "Network is unreachable", "networks are kept apart", "connect front db"),
        ("db", "9.9.9.9", 80, WAY, "Network is unreachable", "no way leads out", "docker network connect … db"),
        ("sealed", "10.0.0.2", 80, WAY, "Network is unreachable", "no network but itself", "--network"),
        ("web", "10.0.0.99", 80, PROGRAM, "No route to host", "nobody has the address", "a name"),
        ("web", "shy", 80, PROGRAM, "Connection refused", "127.0.0.1:80 only", "0.0.0.0"),
        ("web", "localhost", 5432, PROGRAM, "Connection refused", "but at 80", "ask for port 80"),
        ("old", "172.17.0.3", 80, PROGRAM, "Connection refused", "(yet?)", "docker logs old-2"),
        (MACHINE, "localhost", 80, PORT, "Connection refused", "db exposes its own port 80", "-p 80:80"),
        (MACHINE, "localhost", 7, PORT, "Connection refused", "port 7 of your machine is nobody's", "-p 7:7"),
        (MACHINE, "localhost", 8081, PROGRAM, "Connection reset", "127.0.0.1:80 only", "0.0.0.0"),
        (MACHINE, "localhost", 32768, PROGRAM, "Connection reset", "at port 81, but at 80", "80"),
        (MACHINE, "web", 80, NAME, "bad address 'web'", "has not heard of it", "ask for localhost"),
        (MACHINE, "10.0.0.2", 80, WAY, "No route to host", "has no way in", "docker run -p 80:80"),
        (WORLD, "localhost", 8080, NAME, "Connection refused", "some computer out there", "machine's address"),
        (WORLD, MACHINE, 8443, PORT, "Connection refused", "at 127.0.0.1 alone", "without an address"),
        (WORLD, MACHINE, 9001, PROGRAM, "Connection refused", "127.0.0.1:9001 only", "0.0.0.0"),
        (WORLD, "web", 80, NAME, "bad address 'web'", "has not heard of it", "ask for your machine"),
    ],
)
def test_it_ends_and_says_which_piece_is_missing(
    start: str, target: str, port: int, missing: str, error: str, says: str, cure: str
) -> None:
    found = trace(SHOP, start, target, port)
    assert (found.missing, found.error) == (missing, error)
    assert says in found.hops[-1].found and cure in found.cure
    assert all(hop.ok for hop in found.hops[:-1]) and found.hops[-1].ok is False


def test_a_port_of_no_exposing_container_is_told_by_who_listens_inside() -> None:
    alone = Plan(NETS, (replace(PEERS[-1], published=()),))
    assert "web listens at its own port 80" in trace(alone, MACHINE, "localhost", 80).hops[-1].found


def test_what_it_says_to_type_mends_it() -> None:
    """Connected as it says, the name is known, and the packet arrives."""
    assert trace(SHOP, "web", "db", 80).cure == "docker network connect vault web"
    web = replace(PEERS[-1], places=(*PEERS[-1].places, Place("vault", "10.0.1.3")))
    assert trace(Plan(NETS, (*PEERS[:-1], web)), "web", "db", 80).arrives


def test_a_port_that_the_machine_chose_is_not_told_by_its_number() -> None:
    assert trace(SHOP, MACHINE, "localhost", 32768).port == "the port that was given"
    assert trace(SHOP, MACHINE, "localhost", 8080).port == "port 8080"
    assert trace(SHOP, "web", "db", 32768).port == "port 32768"


def test_one_in_the_network_of_another_that_is_gone_has_none() -> None:
    lost = Plan(NETS, (Peer("lost", (), "container:gone"),))
    assert trace(lost, "lost", "web", 80).missing == NAME
