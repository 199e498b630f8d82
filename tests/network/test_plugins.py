"""Networks that a plugin makes: libnetwork's remote driver protocol, with a small plugin of our own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.engine import Engine
from minidocker.errors import APIError, NotFound, Unsupported
from minidocker.plugin import client
from minidocker.plugin.discovery import Plugin
from minidocker.plugin.networkdriver import NetworkDriver
from minidocker.runtime import probe
from tests.until import comes

pytest.importorskip("pyroute2", reason="no pyroute2, which the switch speaks netlink with")
ROOT = sys.platform.startswith("linux") and os.geteuid() == 0
pytestmark = [
    pytest.mark.skipif(not ROOT or not probe.report().works, reason="needs root: the interfaces are the host's"),
    pytest.mark.skipif(not shutil.which("ip"), reason="no ip (Debian: iproute2)"),
]
BASE = "minidocker/base"
SLEEP = ["sleep", "1000"]


class Served:
    """A plugin that runs."""

    def __init__(self, root: Path, log: Path) -> None:
        self.socket, self.log = root / "plugins" / "wires.sock", log
        self.socket.parent.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, Path(__file__).with_name("plugin.py"), self.socket, self.log])
        while True:
            assert self.process.poll() is None
            with contextlib.suppress(APIError):
                client.ask(Plugin("wires", f"unix://{self.socket}"), "Plugin.Activate", {}, 10, patience=0)
                return
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def asked(self, least: int = 0) -> list[str]:
        """The questions since somebody last looked, less those whether it is there; so many at `least` are awaited."""

        def so_far() -> list[str]:
            return self.log.read_text().splitlines() if self.log.exists() else []

        comes(lambda: sum(line.startswith("NetworkDriver.") for line in so_far()) >= least)
        lines = so_far()
        self.log.unlink(missing_ok=True)
        return [line.partition(".")[2] for line in lines if line.startswith("NetworkDriver.")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with minidocker.connect(tmp_path_factory.mktemp("engine"), runtime="namespaces") as made:
        yield made


@pytest.fixture
def plugin(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The plugin `wires`, which is given up at once where it does not answer."""
    monkeypatch.setenv("MINIDOCKER_PLUGIN_PATIENCE", "0")
    served = Served(engine.root, tmp_path / "log")
    yield served
    for container in engine.containers.list(all=True):
        container.remove(force=True)
    for network in engine.networks.list(filters={"type": "custom"}):
        network.remove()
    served.kill()
    served.socket.unlink(missing_ok=True)


def test_containers_on_a_network_of_a_plugin(engine: Engine, plugin: Served) -> None:
    network = engine.networks.create(
        "far", driver="wires", ipam={"Config": [{"Subnet": "10.66.0.0/24", "Gateway": "10.66.0.1"}]}
    )
    assert plugin.asked() == ["GetCapabilities", "CreateNetwork"]
    web = engine.containers.run(BASE, SLEEP, detach=True, name="web", network="far")
    assert plugin.asked() == ["CreateEndpoint", "Join", "EndpointOperInfo"]
    db = engine.containers.run(BASE, SLEEP, detach=True, name="db", network="far")
    code, said = web.exec_run(["ping", "-c1", "-W2", "db"])
    assert code == 0 and b"10.66.0.3" in said, said
    place = db.attrs["NetworkSettings"]["Networks"]["far"]
    assert (place["IPAddress"], place["Gateway"]) == ("10.66.0.3", "")
    seen = web.exec_run("ip addr show net0").output.decode()
    assert "inet 10.66.0.2/24" in seen and "02:42:00:00:00:" in seen
    routes = web.exec_run("ip route").output.decode()
    assert "10.77.0.0/16 dev net0" in routes and "default" not in routes
    plugin.asked()
    network.disconnect(db)
    assert plugin.asked() == ["Leave", "DeleteEndpoint"]
    assert b"net0" not in db.exec_run("ip link").output
    network.connect(db)
    assert db.exec_run(["ping", "-c1", "-W2", "web"]).exit_code == 0
    plugin.asked()
    web.kill()
    assert plugin.asked(2) == ["Leave", "DeleteEndpoint"]


def test_the_place_of_one_whose_monitor_was_killed_is_given_up(engine: Engine, plugin: Served) -> None:
    network = engine.networks.create("far", driver="wires")
    one = engine.containers.run(BASE, SLEEP, detach=True, network="far")
    os.kill(one.attrs["State"]["Pid"], 19)  # it must not die first, and its monitor tell
    os.kill(int(one.state()["Monitor"]), 9)
    one.reload()
    plugin.asked()
    one.remove(force=True)
    network.remove()
    assert plugin.asked() == ["Leave", "DeleteEndpoint", "DeleteNetwork"]


@pytest.mark.usefixtures("plugin")
def test_what_a_plugin_refuses_is_not_made(engine: Engine) -> None:
    with pytest.raises(APIError, match="no such networks today"):
        engine.networks.create("far", driver="wires", options={"refuse": "1"})
    assert engine.networks.list(["far"]) == []
    with pytest.raises(NotFound, match='plugin "nosuch" not found'):
        engine.networks.create("far", driver="nosuch")


def test_a_plugin_that_dies_in_the_middle(engine: Engine, plugin: Served) -> None:
    network = engine.networks.create("far", driver="wires")
    Path(f"{plugin.log}.die").touch()
    made = engine.containers.create(BASE, SLEEP, network="far")
    with pytest.raises(APIError, match=r"plugin wires went away in the middle of NetworkDriver\.Join"):
        made.start()
    assert (made.status, network.containers) == ("created", [])
    with pytest.raises(APIError, match="plugin wires does not answer"):
        network.remove()
    plugin.kill()
    Path(f"{plugin.log}.die").unlink()
    plugin.start()
    made.start()
    made.remove(force=True)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("options", "why"),
    [({"ports": {"80": 0}}, "cannot be published"), ({"restart_policy": {"Name": "always"}}, "restarted by itself")],
)
def test_what_nobody_can_have_there(engine: Engine, options: dict[str, object], why: str) -> None:
    engine.networks.create("far", driver="wires")
    with pytest.raises(Unsupported, match=why):
        engine.containers.create(BASE, SLEEP, network="far", **options).start()


def test_an_answer_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = NetworkDriver(Plugin("wires", ""))
    end = {"EndpointID": "e", "IPv4Address": "10.0.0.2/24", "MacAddress": ""}
    join = {"InterfaceName": {"SrcName": "a"}}
    answers: list[dict[str, Any]] = [
        {},
        {"InterfaceName": {"SrcName": "../x"}},
        {"InterfaceName": []},
        join | {"Gateway": "x"},
        join | {"StaticRoutes": [{"Destination": "10.0.0.0/8"}]},
        join | {"StaticRoutes": 3},
        join | {"Interface": {"Address": "10.0.0.9/24"}},
    ]
    for answer in answers:
        monkeypatch.setattr(driver, "ask", lambda *_, answer=answer, **__: answer)
        with pytest.raises(APIError, match="answered something that is no endpoint"):
            driver.join("n", end, "", {})
    monkeypatch.setattr(driver, "ask", lambda *_, **__: join)
    assert driver.join("n", end, "", {})["Prefix"] == "eth"
