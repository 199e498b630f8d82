"""What `docker run` says of namespaces to share, names, settings and an init; the words are recorded from dockerd."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, InvalidArgument, NotFound, Unsupported
from minidocker.layer import Changeset
from minidocker.tree import file


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with an image `box` and a container `other`, which does not run. Nothing runs here."""
    with minidocker.connect(tmp_path / "root", runtime="simulated") as opened:
        layer = opened.images.add_layer(Changeset({"/etc/motd": file(b"hello")}))
        opened.images.create({"config": {"Cmd": ["sh"]}}, [layer]).tag("box")
        opened.containers.create("box", name="other")
        yield opened


IMAGE = "minidocker/base"
MODES = [  # option, value, Docker's words where it refuses
    ("pid_mode", "host", ""),
    ("pid_mode", "private", "invalid PID mode: private"),
    ("pid_mode", "container:", "invalid PID mode: container:"),
    ("ipc_mode", "none", ""),
    ("ipc_mode", "shareable", ""),
    ("ipc_mode", "foo", "Invalid IPC mode: foo"),
    ("ipc_mode", "container:", "Invalid IPC mode: container:"),
    ("uts_mode", "host", ""),
    ("uts_mode", "container:other", "invalid UTS mode: container:other"),
    ("userns_mode", "host", ""),
    ("userns_mode", "foo", "invalid user namespace mode: foo"),
    ("cgroupns", "host", ""),
    ("cgroupns", "private", ""),
    ("cgroupns", "foo", "invalid cgroup namespace mode: foo"),
    ("network_mode", "container", "Invalid network mode: invalid container format container:<name|id>"),
    ("network_mode", "container:", "Invalid network mode: invalid container format container:<name|id>"),
]
KEYS = {
    "pid_mode": "PidMode",
    "ipc_mode": "IpcMode",
    "uts_mode": "UTSMode",
    "userns_mode": "UsernsMode",
    "cgroupns": "CgroupnsMode",
}


@pytest.mark.parametrize(("option", "mode", "refusal"), MODES)
def test_modes(engine: Engine, option: str, mode: str, refusal: str) -> None:
    if refusal:
        with pytest.raises(InvalidArgument, match=re.escape(refusal) + "$"):
            engine.containers.create("box", **{option: mode})
    else:
        assert engine.containers.create("box", **{option: mode}).attrs["HostConfig"][KEYS[option]] == mode


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"uts_mode": "host", "hostname": "x"}, "hostname and the UTS mode"),
        ({"network_mode": "container:other", "hostname": "x"}, "hostname and the network mode"),
        ({"network_mode": "container:other", "dns": ["1.1.1.1"]}, "dns and the network mode"),
        (
            {"network": "container:other", "extra_hosts": {"a": "1.1.1.1"}},
            "custom host-to-IP mapping and the network mode",
        ),
    ],
)
def test_what_does_not_go_together(engine: Engine, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^conflicting options: {words}$"):
        engine.containers.create("box", **options)


def test_another_container_stands_by_its_id(engine: Engine) -> None:
    other = engine.containers.get("other")
    made = engine.containers.create("box", pid_mode="container:other", network_mode=f"container:{other.short_id}")
    host = made.attrs["HostConfig"]
    assert host["PidMode"] == host["NetworkMode"] == f"container:{other.id}"
    other.rename("another")
    assert made.attrs["HostConfig"] == host


def test_another_container_must_be_there_when_one_is_made_but_for_its_network(engine: Engine) -> None:
    for option in ("pid_mode", "ipc_mode"):
        with pytest.raises(InvalidArgument, match=r"No such container: nosuch"):
            engine.containers.create("box", **{option: "container:nosuch"})
    with pytest.raises(NotFound, match=r"No such container: nosuch"):
        engine.containers.create("box", network_mode="container:nosuch").start()


def test_another_container_must_run_when_one_starts(engine: Engine) -> None:
    id = engine.containers.get("other").id
    refused: dict[str, tuple[type[APIError], str]] = {
        "network_mode": (Conflict, f"cannot join network of a non running container: {id}"),
        "pid_mode": (Conflict, f"container {id} is not running"),
        "ipc_mode": (Conflict, f"can't join IPC of container {id}: container {id} is not running"),
    }
    for option, (kind, words) in refused.items():
        made = engine.containers.create("box", **{option: "container:other"})
        with pytest.raises(kind, match=f"^{words}$"):
            made.start()
        assert made.status == "created"


def test_communication_is_shared_by_those_that_allow_it(engine: Engine) -> None:
    other = engine.containers.get("other")
    state = {"Status": "running", "Running": True, "Restarting": False}
    made = engine.containers.create("box", ipc_mode="container:other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(other), "state", lambda _: state)
        from minidocker.container.options import sharing

        with pytest.raises(InvalidArgument, match=f"can't join IPC of container {other.id}: non-shareable IPC"):
            sharing.check(made)


def test_names_of_hosts(engine: Engine) -> None:
    assert engine.containers.create("box", network_mode="host").attrs["Config"]["Hostname"] == socket.gethostname()
    assert engine.containers.create("box", uts_mode="host").attrs["Config"]["Hostname"] == socket.gethostname()
    assert engine.containers.create("box", network_mode="host", hostname="x").attrs["Config"]["Hostname"] == "x"
    made = engine.containers.create("box", hostname="web", domainname="do.main")
    assert (made.attrs["Config"]["Hostname"], made.attrs["Config"]["Domainname"]) == ("web", "do.main")


def test_naming_is_told_as_docker_tells_it(engine: Engine) -> None:
    made = engine.containers.create(
        "box", dns=["9.9.9.9", "::1"], dns_search=["a.b", "."], dns_opt=["ndots:3"], extra_hosts={"db": "10.0.0.2"}
    )
    host = made.attrs["HostConfig"]
    assert (host["Dns"], host["DnsSearch"], host["DnsOptions"]) == (["9.9.9.9", "::1"], ["a.b", "."], ["ndots:3"])
    assert host["ExtraHosts"] == ["db:10.0.0.2"]
    assert engine.containers.create("box").attrs["HostConfig"]["ExtraHosts"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dns": ["foo"]}, "IP address is not correctly formatted: foo"),
        ({"dns_search": ["foo..x"]}, "foo..x is not a valid domain"),
        ({"extra_hosts": ["a"]}, 'bad format for add-host: "a"'),
        ({"extra_hosts": ["a:foo"]}, 'invalid IP address in add-host: "foo"'),
        ({"extra_hosts": [":1.2.3.4"]}, 'bad format for add-host: ":1.2.3.4"'),
    ],
)
def test_names_that_are_none(engine: Engine, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(words)):
        engine.containers.create("box", **options)


def test_the_gateway_to_the_host_is_looked_for_at_the_start(engine: Engine) -> None:
    made = engine.containers.create("box", extra_hosts={"host": "host-gateway"})
    assert made.attrs["HostConfig"]["ExtraHosts"] == ["host:host-gateway"]


def test_settings_and_init_are_only_there_where_they_were_asked_for(engine: Engine) -> None:
    plain = engine.containers.create("box").attrs["HostConfig"]
    assert not plain.keys() & {"Init", "Sysctls"}
    assert plain["GroupAdd"] is None
    host = engine.containers.create("box", init=True, sysctls={"net.x": 1}, group_add=[29, "app"]).attrs["HostConfig"]
    assert (host["Init"], host["Sysctls"], host["GroupAdd"]) == (True, {"net.x": "1"}, ["29", "app"])
    with pytest.raises(TypeError, match="Invalid type for sysctls param: expected dict but found <class 'list'>"):
        engine.containers.create("box", sysctls=["net.x=1"])


@pytest.mark.parametrize(
    "options",
    [{"init": True}, {"sysctls": {"net.x": "1"}}, {"group_add": [29]}, {"pid_mode": "host"}, {"uts_mode": "host"}],
)
def test_what_only_a_kernel_can_do_is_refused_without_one(engine: Engine, options: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="the simulated runtime does not have"):
        engine.containers.run("box", "true", **options)
    assert [made.name for made in engine.containers.list(all=True)] != []


def test_names_hold_on_the_simulated_runtime_too(engine: Engine) -> None:
    options: dict[str, Any] = {"extra_hosts": {"db": "10.0.0.2"}, "dns": ["9.9.9.9"], "hostname": "web"}
    said = engine.containers.run(IMAGE, ["cat", "/etc/hosts", "/etc/resolv.conf"], **options)
    assert said.splitlines()[-3:] == [b"10.0.0.2\tdb", b"172.17.0.2\tweb", b"nameserver 9.9.9.9"]
