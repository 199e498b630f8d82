"""Docker's plugin protocol, with a plugin of our own: found, asked, killed in the middle, and reported well."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidocker.cli import main
from minidocker.engine import Engine
from minidocker.errors import APIError, NotFound, Unsupported
from minidocker.plugin import client, discovery, managing
from minidocker.plugin.discovery import Plugin

BASE = "minidocker/base"
PROGRAM = Path(__file__).with_name("plugin.py")


class Served:
    """A plugin that runs."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder, self.socket = folder, root / "plugins" / "shelf.sock"
        self.socket.parent.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, PROGRAM, self.socket, self.folder])
        while True:
            assert self.process.poll() is None
            with contextlib.suppress(APIError):
                client.ask(Plugin("shelf", f"unix://{self.socket}"), "Plugin.Activate", {}, 10, patience=0)
                return
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def plugin(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The plugin `shelf`, which is given up at once where it does not answer."""
    monkeypatch.setenv("MINIDOCKER_PLUGIN_PATIENCE", "0")
    served = Served(engine.root, tmp_path)
    yield served
    for container in engine.containers.list(all=True):
        container.remove(force=True, v=True)
    (served.socket.parent / "disabled.json").unlink(missing_ok=True)
    for volume in engine.volumes.list():
        with contextlib.suppress(APIError):
            volume.remove(force=True)
    served.kill()
    served.socket.unlink(missing_ok=True)


def test_a_volume_of_a_plugin(engine: Engine, plugin: Served) -> None:
    made = engine.volumes.create("v1", driver="shelf", driver_opts={"a": "b"}, labels={"x": "y"})
    assert (made.attrs["Driver"], made.attrs["Scope"], made.attrs["Options"]) == ("shelf", "global", {"a": "b"})
    assert not (engine.root / "volumes" / "v1" / "_data").exists()
    engine.containers.run(BASE, ["sh", "-c", "echo hi > /d/f"], volumes=["v1:/d"], remove=True)
    assert (plugin.folder / "volumes" / "v1" / "f").read_text() == "hi\n"
    asked = [line for line in plugin.asked() if "ount" in line]
    assert asked.count("VolumeDriver.Mount v1") == asked.count("VolumeDriver.Unmount v1") == 2, "the first to fill it"
    assert [(volume.name, volume.labels) for volume in engine.volumes.list({"driver": "shelf"})] == [("v1", {"x": "y"})]
    made.remove()
    assert engine.volumes.list() == []
    assert "VolumeDriver.Remove v1" in plugin.asked()


def test_what_a_plugin_has_is_listed_and_used(engine: Engine, plugin: Served) -> None:
    theirs = plugin.folder / "volumes" / "theirs"
    theirs.mkdir(parents=True)
    assert [(volume.name, volume.driver) for volume in engine.volumes.list()] == [("theirs", "shelf")]
    made = engine.containers.create(BASE, ["sh", "-c", "echo x > /d/f"], volumes=["theirs:/d"])
    made.start()
    made.wait()
    point = made.attrs["Mounts"][0]
    assert (point["Driver"], point["Source"]) == ("shelf", str(theirs))
    assert (theirs / "f").exists()


def test_a_plugin_that_says_no(engine: Engine, plugin: Served) -> None:
    (plugin.folder / "volumes").write_text("in the way")
    with pytest.raises(client.PluginError, match=r"^create v1: VolumeDriver.Create: "):
        engine.volumes.create("v1", driver="shelf")
    assert not (engine.root / "volumes" / "v1").exists()


def test_a_plugin_that_dies_in_the_middle(engine: Engine, plugin: Served) -> None:
    engine.volumes.create("die", driver="shelf")
    with pytest.raises(APIError, match=r"plugin shelf went away in the middle of VolumeDriver.Mount"):
        engine.containers.create(BASE, "true", volumes=["die:/d"])
    assert engine.containers.list(all=True) == [], "nothing half made"
    with pytest.raises(APIError, match=r"plugin shelf does not answer \(.*\): dial unix://.*: connection refused"):
        engine.volumes.create("v2", driver="shelf")
    assert engine.volumes.list() != []
    assert "plugin shelf does not answer" in engine.volumes.warnings[0]
    plugin.start()
    engine.volumes.get("die").remove()


def test_a_container_whose_plugin_has_gone(engine: Engine, plugin: Served) -> None:
    engine.volumes.create("v1", driver="shelf")
    made = engine.containers.create(BASE, "true", volumes=["v1:/d"])
    plugin.kill()
    with pytest.raises(APIError, match=r"error while mounting volume '.*': plugin shelf does not answer"):
        made.start()
    assert made.status == "created"
    plugin.start()
    made.start()
    assert made.wait()["StatusCode"] == 0


class Clock:
    """Time, in which nobody sleeps."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep, self.monotonic = sleep, time.monotonic


def test_one_that_is_just_starting_is_waited_for(
    engine: Engine, plugin: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            plugin.start()

    plugin.kill()
    monkeypatch.setenv("MINIDOCKER_PLUGIN_PATIENCE", "3000")
    monkeypatch.setattr(client, "time", Clock(nap))
    assert client.activate(discovery.find(engine.root, "shelf")) == ["VolumeDriver"]
    assert naps == [1, 2, 4]


def test_plugins_are_listed_enabled_and_disabled(
    engine: Engine, plugin: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    def docker(*words: str) -> tuple[int, str, str]:
        code = main(["--root", str(engine.root), "--runtime", engine.runtime.name, *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    assert docker("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}") == (0, "shelf true\n", "")
    engine.volumes.create("v1", driver="shelf")
    used = engine.containers.create(BASE, "true", volumes=["v1:/d"])
    assert "shelf is in use: a container has its volume v1" in docker("plugin", "disable", "shelf")[2]
    used.remove()
    assert docker("plugin", "disable", "shelf") == (0, "shelf\n", "")
    assert "is already disabled" in docker("plugin", "disable", "shelf")[2]
    assert docker("plugin", "ls", "-f", "enabled=true", "-q") == (0, "", "")
    code, _, words = docker("volume", "create", "-d", "shelf", "v2")
    assert (code, 'plugin "shelf" not found' in words) == (1, True)
    assert docker("plugin", "enable", "shelf")[0] == 0
    text = docker("plugin", "inspect", "shelf")[1]
    assert json.loads(text)[0]["Config"]["Interface"]["Socket"] == f"unix://{plugin.socket}"
    assert [each["Name"] for each in managing.listed(engine.root, {"capability": ["volumedriver"]})] == ["shelf"]


class TestDiscovery:
    """Where plugins are looked for."""

    def test_sockets_and_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(discovery, "SOCKETS", [])
        monkeypatch.setattr(discovery, "SPECS", [tmp_path / "etc"])
        (tmp_path / "etc" / "three").mkdir(parents=True)
        (tmp_path / "etc" / "one.spec").write_text("tcp://localhost:8080\n")
        (tmp_path / "etc" / "two.json").write_text('{"Name": "two", "Addr": "https://h", "TLSConfig": {"CAFile": "c"}}')
        (tmp_path / "etc" / "three" / "three.spec").write_text("unix:///x.sock")
        (tmp_path / "etc" / "three" / "other.spec").write_text("unix:///y.sock")
        assert discovery.every(tmp_path) == [
            Plugin("one", "tcp://localhost:8080"),
            Plugin("three", "unix:///x.sock"),
            Plugin("two", "https://h", {"CAFile": "c"}),
        ]

    def test_nonsense(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(discovery, "SPECS", [tmp_path])
        (tmp_path / "bad.json").write_text("[]")
        [bad] = discovery.every(tmp_path)  # it stands in nobody's way
        with pytest.raises(client.PluginError, match="does not say where plugin bad listens"):
            client.ask(bad, "Plugin.Activate", {}, 1)
        with pytest.raises(Unsupported, match="cannot ask plugin x at ftp://y"):
            client.ask(Plugin("x", "ftp://y"), "Plugin.Activate", {}, 1)
        (tmp_path / "bad.json").unlink()
        with pytest.raises(NotFound, match='plugin "none" not found'):
            discovery.find(tmp_path, "none")
