"""Legacy links: what `--link` tells of a container on the default network, and that it is a name on any other.

The words and the variables are those of Debian's dockerd, asked by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from minidocker.container import Container, links
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, InvalidArgument, NotFound
from minidocker.network.names import table
from tests.bridged import bridged

BASE = "minidocker/base"


@pytest.fixture(scope="module", params=["simulated", "namespaces"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with closing(bridged(tmp_path_factory.mktemp(request.param), request.param)) as opened:
        yield opened


@pytest.fixture
def engine(shared: Engine) -> Iterator[Engine]:
    yield shared
    for container in shared.containers.list(all=True):
        container.remove(force=True)
    shared.networks.prune()


def running(engine: Engine, name: str, **options: Any) -> Container:
    made: Container = engine.containers.run(BASE, "sleep 60", name=name, detach=True, **options)
    return made


def hosts(container: Container) -> list[str]:
    return [line for line in container.exec_run("cat /etc/hosts").output.decode().splitlines() if " db" in line]


def address(container: Container) -> str:
    return str(container.attrs["NetworkSettings"]["IPAddress"])


def test_ports_and_variables_of_the_linked_one() -> None:
    found = links.variables(
        "/app/my-db", "10.0.0.2", ["81/tcp", "53/udp", "80/tcp", "82/tcp"], ["A=1", "PATH=/", "HOME=/"]
    )
    assert found[0] == "MY_DB_PORT=udp://10.0.0.2:53"
    assert [text for text in found if "_80_" in text or "END" in text] == [
        "MY_DB_PORT_80_TCP_START=tcp://10.0.0.2:80",
        "MY_DB_PORT_80_TCP_ADDR=10.0.0.2",
        "MY_DB_PORT_80_TCP_PROTO=tcp",
        "MY_DB_PORT_80_TCP_PORT_START=80",
        "MY_DB_PORT_82_TCP_END=tcp://10.0.0.2:82",
        "MY_DB_PORT_80_TCP_PORT_END=82",
        "MY_DB_PORT_80_TCP=tcp://10.0.0.2:80",
        "MY_DB_PORT_80_TCP_ADDR=10.0.0.2",
        "MY_DB_PORT_80_TCP_PORT=80",
        "MY_DB_PORT_80_TCP_PROTO=tcp",
    ]
    assert found[-2:] == ["MY_DB_NAME=/app/my-db", "MY_DB_ENV_A=1"]


def test_an_alias_is_known_to_who_is_linked_alone() -> None:
    there = [{"Name": "db", "IPv4Address": "10.0.0.2/24"}]
    assert table(there, ["db:Store", "nosuch:x"]) == {"db": ["10.0.0.2"], "store": ["10.0.0.2"]}
    assert table(there) == {"db": ["10.0.0.2"]}


def test_a_link_is_a_line_in_hosts_and_variables(engine: Engine) -> None:
    db = running(engine, "db", environment={"A": "1"}, ports={"80": None})
    app = running(engine, "app", links={"db": "store"})
    assert hosts(app) == [f"{address(db)}\tstore {db.short_id} db"]
    env = app.exec_run("env").output.decode().splitlines()
    assert {"STORE_NAME=/app/store", "STORE_ENV_A=1", f"STORE_PORT_80_TCP_ADDR={address(db)}"} <= {*env}
    assert app.exec_run("ping -c 1 store").exit_code in (0, 127)  # 127: no ping in this base
    assert app.attrs["HostConfig"]["Links"] == ["/db:/app/store"]
    db.reload()
    assert db.summary()["Names"] == ["/app/store", "/db"]


def test_names_in_links_follow_a_rename_and_hosts_a_restart(engine: Engine) -> None:
    db, app = running(engine, "db"), running(engine, "app", links=["db:store"])
    db.rename("db2")
    app.rename("app2")
    assert app.attrs["HostConfig"]["Links"] == ["/db2:/app2/store"]
    db.stop(timeout=0)
    before, filler = address(app), running(engine, "filler")
    with pytest.raises(APIError, match="Cannot link to a non running container: /db2 AS /app2/store"):
        app.exec_run("true")
    db.start()
    assert address(db) not in (before, address(filler), "")
    for _ in range(200):  # the simulated runtime's monitor has to hear of it
        if (said := hosts(app)) == [f"{address(db)}\tstore {db.short_id} db2"]:
            break
    assert said == [f"{address(db)}\tstore {db.short_id} db2"]


def test_who_is_linked_starts_only_while_the_other_runs(engine: Engine) -> None:
    db = running(engine, "db")
    app = engine.containers.create(BASE, "true", name="app", links=[("db", "store")])
    db.kill()
    db.wait()
    with pytest.raises(APIError, match="Cannot link to a non running container: /db AS /app/store"):
        app.start()
    db.remove()
    assert app.attrs["HostConfig"]["Links"] is None
    app.start()
    assert app.wait()["StatusCode"] == 0


def test_a_link_is_removed_by_its_name(engine: Engine) -> None:
    running(engine, "db")
    app = engine.containers.create(BASE, name="app", links=["db"])
    with pytest.raises(Conflict, match="cannot remove the default link name of the container"):
        engine.containers.unlink("app")
    with pytest.raises(NotFound, match="No such container: app/nosuch"):
        engine.containers.unlink("app/nosuch")
    engine.containers.unlink("/app/db")
    app.reload()
    assert app.attrs["HostConfig"]["Links"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"links": ["nosuch:x"]}, "could not get container for nosuch: No such container: nosuch"),
        ({"links": [":x"]}, 'could not get container for : invalid name or ID supplied: ""'),
        ({"links": ["a:b:c"]}, "bad format for links: a:b:c"),
        (
            {"links": ["db"], "network": "host"},
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior",
        ),
    ],
)
def test_links_that_cannot_be(engine: Engine, options: dict[str, Any], words: str) -> None:
    engine.containers.create(BASE, name="db")
    with pytest.raises(InvalidArgument) as refused:
        engine.containers.create(BASE, **options)
    assert refused.value.explanation == words


def test_on_a_network_of_ones_own_a_link_is_one_more_name(engine: Engine) -> None:
    network = engine.networks.create("front")
    running(engine, "db", network="front")
    app = running(engine, "app", network="front", networking_config={"front": {"Links": ["db:store", "nosuch:x"]}})
    later = running(engine, "later")
    network.connect(later, links=["db:late"])
    assert app.attrs["NetworkSettings"]["Networks"]["front"]["Links"] == ["db:store", "nosuch:x"]
    assert app.attrs["HostConfig"]["Links"] is None
    for who, name, code in ((app, "store", 0), (later, "late", 0), (app, "late", 1), (app, "x", 1)):
        assert who.exec_run(f"ping -c 1 {name}").exit_code in (code, 127), name
