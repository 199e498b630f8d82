"""Networks without containers: made, found, refused, pruned; and the addresses that they give."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

from minidocker.content import Store
from minidocker.errors import APIError, Conflict, InvalidArgument, NotFound, Unsupported
from minidocker.network import Networks
from minidocker.network.bridge import BRIDGE, MTU
from minidocker.network.network import Forbidden


@pytest.fixture
def running() -> set[str]:
    """The ids of containers that run."""
    return set()


@pytest.fixture
def networks(tmp_path: Path, running: set[str]) -> Networks:
    return Networks(Store(tmp_path), str, running.__contains__)


@pytest.fixture
def starting(running: set[str]) -> Callable[[str], str]:
    def start(id: str) -> str:
        running.add(id)
        return id

    return start


def own(subnet: str, **more: Any) -> dict[str, Any]:
    return {"Config": [{"Subnet": subnet, **more}]}


def test_three_networks_are_always_there(networks: Networks) -> None:
    assert [(n.name, n.driver, n.subnet) for n in networks.list()] == [
        ("bridge", "bridge", "172.17.0.0/16"),
        ("host", "host", ""),
        ("none", "null", ""),
    ]
    assert networks.get("bridge") == Networks(networks.store, str, networks.lives).get("bridge")


def test_a_network_is_found_by_name_id_and_the_start_of_it(networks: Networks) -> None:
    made = networks.create("a", labels={"x": "y"}, internal=True)
    assert networks.get("a") == networks.get(made.id) == networks.get(made.id[:7]) == made
    assert (made.attrs["Internal"], made.attrs["Labels"], made.attrs["Containers"]) == (True, {"x": "y"}, {})
    assert (made.subnet, made.gateway) == ("172.18.0.0/16", "172.18.0.1")
    with pytest.raises(NotFound, match="network nosuch not found"):
        networks.get("nosuch")


@pytest.mark.parametrize(
    ("name", "options", "kind", "words"),
    [
        ("a", {}, Conflict, "network with name a already exists"),
        ("bridge", {}, APIError, "operation is not permitted on predefined bridge network"),
        (" ", {}, InvalidArgument, "invalid name: name is empty"),
        ("c", {"driver": "foo"}, NotFound, 'plugin "foo" not found'),
        ("c", {"driver": "host"}, APIError, 'only one instance of "host" network is allowed'),
        ("c", {"ipam": own("172.18.0.0/24")}, APIError, "Pool overlaps with other one on this address space"),
        ("c", {"ipam": own("10.9.0")}, InvalidArgument, "Invalid subnet 10.9.0 : invalid CIDR address: 10.9.0"),
        (
            "c",
            {"ipam": own("10.10.0.0/24", Gateway="10.11.0.1")},
            InvalidArgument,
            "no matching subnet for gateway 10.11.0.1",
        ),
        (
            "c",
            {"ipam": own("10.8.0.0/24", IPRange="10.7.0.0/24")},
            InvalidArgument,
            "no matching subnet for range 10.7.0.0/24",
        ),
        ("c", {"enable_ipv6": True}, APIError, None),
        ("default", {}, Forbidden, "operation is not permitted on predefined default network"),
        ("c", {"driver": "macvlan"}, Unsupported, None),
        ("c", {"options": {f"{BRIDGE}enable_ip_masquerade": "false"}}, Unsupported, None),
        (
            "c",
            {"options": {f"{BRIDGE}enable_icc": "maybe"}},
            InvalidArgument,
            f'failed to parse {BRIDGE}enable_icc value: maybe (strconv.ParseBool: parsing "maybe": invalid syntax)',
        ),
        ("c", {"options": {MTU: "-1"}}, InvalidArgument, "invalid MTU number: -1"),
        (
            "c",
            {"options": {f"{BRIDGE}host_binding_ipv4": "x"}},
            InvalidArgument,
            f"failed to parse {BRIDGE}host_binding_ipv4 value: x (nil ip)",
        ),
        ("c", {"options": {f"{BRIDGE}name": "much-too-long-a-name"}}, InvalidArgument, None),
        ("c", {"options": {f"{BRIDGE}name": "docker0"}}, APIError, None),
        ("c", {"ipam": own("fd00::/64", Gateway="fd01::1")}, InvalidArgument, "no matching subnet for gateway fd01::1"),
        ("c", {"scope": "swarm"}, Unsupported, None),
    ],
)
def test_what_cannot_be_made_is_refused(
    networks: Networks, name: str, options: dict[str, Any], kind: type[APIError], words: str | None
) -> None:
    networks.create("a")
    before = networks.list()
    with pytest.raises(kind) as failed:
        networks.create(name, **options)
    assert words is None or str(failed.value) == words
    assert networks.list() == before


def test_addresses_are_the_lowest_that_nobody_has(networks: Networks, starting: Callable[[str], str]) -> None:
    made = networks.create("b", ipam=own("10.9.0.0/24", IPRange="10.9.0.128/25", Gateway="10.9.0.129"))
    first = networks.join(made, starting("1" * 64), "one", {})
    second = networks.join(made, starting("2" * 64), "two", {"Aliases": ["web"]})
    third = networks.join(
        made, starting("3" * 64), "three", {"IPAMConfig": {"IPv4Address": "10.9.0.7"}, "Aliases": ["web"]}
    )
    assert [one["IPv4Address"] for one in (first, second, third)] == ["10.9.0.128/24", "10.9.0.130/24", "10.9.0.7/24"]
    assert first["MacAddress"] == "02:42:0a:09:00:80"
    assert made.table() == {
        "one": ["10.9.0.128"],
        "two": ["10.9.0.130"],
        "web": ["10.9.0.130", "10.9.0.7"],
        "three": ["10.9.0.7"],
    }
    networks.leave(made.id, "1" * 64)
    networks.renamed("2" * 64, "deux")
    made.reload()
    assert made.table().keys() == {"deux", "web", "three"}
    assert networks.join(made, starting("4" * 64), "four", {})["IPv4Address"] == "10.9.0.128/24"


def test_an_address_of_one_that_died_is_given_again(networks: Networks, starting: Callable[[str], str]) -> None:
    made = networks.create("b", ipam=own("10.9.0.0/30"))
    networks.join(made, "d" * 64, "dead", {})  # nobody starts it, and no monitor lives
    assert made.attrs["Containers"] == {}
    assert networks.join(made, starting("1" * 64), "one", {})["IPv4Address"] == "10.9.0.2/30"
    with pytest.raises(APIError, match="no available IPv4 addresses on this network"):
        networks.join(made, starting("2" * 64), "two", {})


@pytest.mark.parametrize(
    ("network", "asked", "words"),
    [
        ("bridge", {"IPAMConfig": {"IPv4Address": "1.2.3.4"}}, "supported on user defined networks only"),
        (
            "bridge",
            {"Aliases": ["x"]},
            "network-scoped alias is supported only for containers",
        ),
        (
            "auto",
            {"IPAMConfig": {"IPv4Address": "172.18.0.9"}},
            "only when connecting to networks with user",
        ),
        ("own", {"IPAMConfig": {"IPv4Address": "10.9.1.1"}}, "Invalid address 10.9.1.1: It does not belong to any"),
        ("own", {"IPAMConfig": {"IPv4Address": "10.9.0.1"}}, "Address already in use"),
    ],
)
def test_addresses_that_cannot_be_had(networks: Networks, network: str, asked: dict[str, Any], words: str) -> None:
    networks.create("auto")
    networks.create("own", ipam=own("10.9.0.0/24"))
    with pytest.raises(APIError, match=words):
        networks.join(networks.get(network), "1" * 64, "one", asked)


def test_many_at_once_never_share_an_address(networks: Networks, starting: Callable[[str], str]) -> None:
    networks.create("many")
    ids = [starting(f"{number:064x}") for number in range(40)]

    def join(id: str) -> str:
        fresh = Networks(Store(networks.store.root), str, networks.lives)
        return str(fresh.join(fresh.get("many"), id, id[-4:], {})["IPv4Address"])

    with ThreadPool(8) as threads:
        assert len(set(threads.map(join, ids))) == 40


def test_what_is_used_stays(networks: Networks, starting: Callable[[str], str]) -> None:
    used, free = networks.create("used"), networks.create("free")
    networks.join(used, starting("1" * 64), "one", {})
    with pytest.raises(APIError, match=f"network used id {used.id} has active endpoints"):
        used.remove()
    with pytest.raises(APIError, match="bridge is a pre-defined network and cannot be removed"):
        networks.get("bridge").remove()
    assert networks.list(filters={"dangling": True}) == [free]
    assert networks.prune() == {"NetworksDeleted": ["free"]}
    assert networks.prune() == {"NetworksDeleted": None}


def test_filters(networks: Networks) -> None:
    made = networks.create("front", labels={"tier": "web"})

    def names(**filters: Any) -> list[str]:
        return [network.name for network in networks.list(filters=filters)]

    assert names(driver="bridge") == ["bridge", "front"] and names(type="custom") == ["front"]
    assert names(name="^fr.nt$") == names(name="ro") == ["front"] and names(name="^ro") == []
    assert names(id=made.short_id) == ["front"] and names(scope="local") != []
    assert names(label="tier=web") == ["front"] and names(label="tier=db") == []
    with pytest.raises(InvalidArgument, match="Invalid filter 'foo'"):
        names(foo="bar")
