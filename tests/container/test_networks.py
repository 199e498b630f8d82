"""Containers on networks: addresses, names, published ports, and what is said of them; on both runtimes, where both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.container import Container
from minidocker.container.containers import Containers
from minidocker.engine import Engine
from minidocker.errors import APIError, InvalidArgument, NotFound, StartError
from minidocker.network.network import Forbidden
from minidocker.runtime import plug, wayout
from tests.bridged import bridged
from tests.until import HANG, until

BASE = "minidocker/base"
SERVE = ["sh", "-c", "while true; do echo $HOSTNAME | busybox nc -l -p 80; done"]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that connects containers for real."""
    opened = bridged(tmp_path_factory.mktemp("engine"), "namespaces")
    yield opened
    clear(opened)
    opened.close()


@pytest.fixture(autouse=True)
def clean(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"real", "engine"} & set(request.fixturenames):
        clear(request.getfixturevalue(name))


def clear(engine: Engine) -> None:
    for container in engine.containers.list(all=True):
        container.remove(force=True)
    engine.networks.prune()


def run(engine: Engine, command: Any = "sleep 60", **options: Any) -> Container:
    made: Container = engine.containers.run(BASE, command, detach=True, **options)
    return made


def sh(container: Container, command: str) -> str:
    said: bytes = container.exec_run(["sh", "-c", command]).output
    return said.decode()


def place(container: Container, network: str = "bridge") -> dict[str, Any]:
    found: dict[str, Any] = container.attrs["NetworkSettings"]["Networks"][network]
    return found


def read(port: int) -> str:
    """What a server in a container says, once it is there."""

    def said() -> bytes:
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=HANG) as client:
            return client.recv(100)
        return b""

    return until(said).decode().strip()


class TestSaid:
    """What can be read of networks, the same on both runtimes."""

    def test_the_default_network(self, engine: Engine) -> None:
        made = engine.containers.create(BASE, "sleep 60")
        assert place(made)["IPAddress"] == "" and made.attrs["HostConfig"]["NetworkMode"] == "default"
        one, two = run(engine), run(engine)
        assert [place(one)["IPAddress"], place(two)["IPAddress"]] == ["172.17.0.2", "172.17.0.3"]
        settings = one.attrs["NetworkSettings"]
        assert settings["IPAddress"] == "172.17.0.2" and settings["Gateway"] == "172.17.0.1"
        assert settings["MacAddress"] == "02:42:ac:11:00:02" and settings["IPPrefixLen"] == 16
        assert b"172.17.0.2\t" + one.short_id.encode() in one.exec_run("cat /etc/hosts").output
        assert {*engine.networks.get("bridge").attrs["Containers"]} == {one.id, two.id}
        one.remove(force=True)
        assert place(run(engine))["IPAddress"] == "172.17.0.2", "what is free is given again"

    def test_a_network_of_ones_own(self, engine: Engine) -> None:
        net = engine.networks.create("front", ipam={"Config": [{"Subnet": "10.9.0.0/24"}]})
        config = {"front": {"Aliases": ["www"], "IPAMConfig": {"IPv4Address": "10.9.0.7"}}}
        made = run(engine, name="web", network="front", networking_config=config, mac_address="02:00:00:00:00:07")
        said = place(made, "front")
        assert (said["IPAddress"], said["MacAddress"], said["NetworkID"]) == ("10.9.0.7", "02:00:00:00:00:07", net.id)
        assert said["Aliases"] == ["www", made.short_id] and said["DNSNames"] == ["web", "www", made.short_id]
        assert b"nameserver 127.0.0.11\noptions ndots:0\n" in made.exec_run("cat /etc/resolv.conf").output
        with pytest.raises(Forbidden, match="has active endpoints"):
            net.remove()
        assert [one.id for one in engine.containers.list(filters={"network": "front"})] == [made.id]
        made.remove(force=True)
        net.remove()

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"network": "nosuch"}, "network nosuch not found"),
            ({"networking_config": {"bridge": {"Aliases": ["a"]}}}, "network-scoped alias is supported only"),
            ({"networking_config": {"bridge": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}}}}, "user defined networks"),
        ],
    )
    def test_what_cannot_be_had_is_said_at_the_start(self, engine: Engine, options: dict[str, Any], why: str) -> None:
        given = {"network": "bridge"} | options
        made = engine.containers.create(BASE, "true", **given)
        with pytest.raises(APIError, match=why):
            made.start()
        assert made.status == "created" and not engine.networks.get("bridge").attrs["Containers"]

    def test_the_events(self, engine: Engine) -> None:
        moment = time.time()
        made = engine.containers.create(BASE, "true")
        made.start()
        made.wait()

        def seen() -> list[str]:
            found = engine.events(since=moment, until=time.time() + 0.01, decode=True)
            return [event["Action"] for event in found if made.id in json.dumps(event)]

        until(lambda: "disconnect" in seen())
        assert seen() == ["create", "connect", "start", "die", "disconnect"]

    def test_nothing_is_there_where_it_is_not_wanted(self, engine: Engine) -> None:
        off = engine.containers.create(BASE, "true", network_disabled=True)
        assert off.attrs["NetworkSettings"]["Networks"] == {} and off.attrs["Config"]["NetworkDisabled"]
        alone = engine.containers.create(BASE, "true", network_mode="none")
        assert list(alone.attrs["NetworkSettings"]["Networks"]) == ["none"]
        with pytest.raises(InvalidArgument, match="can not be used together"):
            engine.containers.create(BASE, "true", network="one", network_mode="two")
        with pytest.raises(NotFound):
            engine.networks.get("bridge").connect("nosuch")

    def test_one_that_is_alone_asks_nobody_else(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        """A listing would take the square of how many there are."""
        made = run(engine, network_mode="none")
        (endpoint,) = engine.networks.get("none").attrs["Containers"].values()
        monkeypatch.setattr(Containers, "list", None)
        for said in (made.attrs, made.summary()):
            assert said["NetworkSettings"]["Networks"]["none"]["EndpointID"] == endpoint["EndpointID"]
        assert not any(network.row["Containers"] for network in engine.networks.list())

    def test_a_stopped_container_may_be_connected_and_disconnected(self, engine: Engine) -> None:
        net = engine.networks.create("later")
        made = engine.containers.create(BASE, "sleep 60")
        net.connect(made, aliases=["a"])
        made.reload()
        assert list(made.attrs["NetworkSettings"]["Networks"]) == ["bridge", "later"]
        made.start()
        assert place(made, "later")["IPAddress"] == "172.18.0.2"
        with pytest.raises(Forbidden, match="already exists in network later"):
            net.connect(made)
        made.kill()
        net.disconnect(made.name)
        made.reload()
        assert list(made.attrs["NetworkSettings"]["Networks"]) == ["bridge"]


class TestReached:
    """Packets that really go from one container to another."""

    def test_by_name_on_one_network_and_not_on_another(self, real: Engine) -> None:
        for name in ("front", "back"):
            real.networks.create(name)
        web = run(real, SERVE, name="web", network="front")
        client, stranger = run(real, network="front"), run(real, network="back")
        assert "1 packets received" in sh(client, "busybox ping -c1 -W5 web")
        said = sh(stranger, f"busybox ping -c1 -W5 {place(web, 'front')['IPAddress']}; busybox nslookup -type=a web")
        assert "0 packets received" in said and "NXDOMAIN" in said
        real.containers.get("web").rename("www")
        assert "NXDOMAIN" in sh(client, "busybox nslookup -type=a web")
        assert place(web, "front")["IPAddress"] in sh(client, "busybox nslookup -type=a www")

    def test_where_there_is_no_way_out_that_is_said_at_once(self, real: Engine) -> None:
        real.networks.create("cell", internal=True)
        assert "unreachable" in sh(run(real, network="cell"), "busybox nc -w 5 203.0.113.9 80 2>&1").lower()
        made = run(real)
        assert "default via 172.17.0.1 dev eth0" in sh(made, "busybox ip route")
        if wayout.missing():
            assert "unreachable" in sh(made, "busybox nc -w 5 203.0.113.9 80 2>&1").lower()

    @pytest.mark.skipif(bool(wayout.missing()), reason=f"no way out: {wayout.missing()}")
    def test_the_way_out(self, real: Engine) -> None:
        made = run(real, extra_hosts=["outside:host-gateway"])
        other = run(real, SERVE, network=real.networks.create("other").name)
        host = next(line.split()[0] for line in sh(made, "cat /etc/hosts").splitlines() if "\toutside" in line)
        assert host != "127.0.0.1"
        with socket.create_server((host, 0)) as server:
            made.exec_run(["busybox", "nc", "-w", "5", "outside", str(server.getsockname()[1])], detach=True)
            server.settimeout(120)
            client, (source, _) = server.accept()
            client.close()
        assert source == host, "a connection of the machine's own"
        to = place(other, "other")["IPAddress"]
        assert "No route" in sh(made, f"busybox nc -w 5 {to} 80 2>&1"), "no way into another network"

    @pytest.mark.skipif(not wayout.missing(), reason="there is a way out")
    def test_without_a_way_out_there_is_no_gateway_to_the_host(self, real: Engine) -> None:
        with pytest.raises(StartError, match="unable to derive the IP value for host-gateway"):
            run(real, extra_hosts=["outside:host-gateway"])

    def test_connected_while_it_runs(self, real: Engine) -> None:
        net = real.networks.create("more")
        made, other = run(real), run(real, name="other", network="more")
        net.connect(made)
        made.reload()
        ip = place(made, "more")["IPAddress"]
        assert ip in sh(made, "cat /etc/hosts; busybox ip a") and "127.0.0.11" in sh(made, "cat /etc/resolv.conf")
        assert "1 packets received" in sh(made, "busybox ping -c1 -W5 other")
        assert ip in sh(other, f"busybox nslookup -type=a {made.name}")
        net.disconnect(made)
        assert ip not in sh(made, "cat /etc/hosts; busybox ip a")
        assert "127.0.0.11" not in sh(made, "cat /etc/resolv.conf")

    def test_one_way_out_of_several_networks(self, real: Engine) -> None:
        first, second = real.networks.create("aa"), real.networks.create("bb")
        made = run(real, network="bb")
        other = run(real, network="aa")

        def out() -> list[str]:
            return [line.split()[2] for line in sh(made, "ip route").splitlines() if line.startswith("default")]

        assert out() == [second.gateway]
        first.connect(made)
        assert out() == [first.gateway]  # by name
        assert "1 packets received" in sh(made, f"ping -c1 -W2 {other.name}.aa")
        assert "bad address" in sh(made, f"ping -c1 -W2 {other.name}.bb")
        first.disconnect(made)
        assert out() == [second.gateway]
        first.connect(made, gw_priority=-1)
        assert out() == [second.gateway]
        second.disconnect(made)
        assert out() == [first.gateway]
        made.reload()
        assert place(made, "aa")["GwPriority"] == -1

    def test_the_options_of_a_bridge(self, real: Engine) -> None:
        options = {"enable_icc": "false", "host_binding_ipv4": "127.0.0.1", "name": "br-mine"}
        net = real.networks.create(
            "alone",
            options={f"com.docker.network.bridge.{key}": value for key, value in options.items()}
            | {"com.docker.network.container_iface_prefix": "net", "com.docker.network.driver.mtu": "1400"},
        )
        one, other = run(real, SERVE, network="alone", ports={"80": None}), run(real, network="alone")
        ip = place(one, "alone")["IPAddress"]
        assert "0 packets received" in sh(other, f"ping -c1 -W1 {ip}")
        assert "1 packets received" in sh(other, f"ping -c1 -W2 {net.gateway}")
        assert "net0" in sh(other, "ip link") and "mtu 1400" in sh(other, "ip link")
        [bound] = one.ports["80/tcp"]
        assert bound["HostIp"] == "127.0.0.1" and read(int(bound["HostPort"])) == one.id[:12]

    def test_a_port_of_the_host(self, real: Engine) -> None:
        made = run(real, SERVE, hostname="hello", ports={"80/tcp": None, "53/udp": ("127.0.0.1", None)})
        bound = made.ports["80/tcp"]
        assert {one["HostIp"] for one in bound} <= {"0.0.0.0", "::"}
        port = int(bound[0]["HostPort"])
        assert read(port) == "hello" and made.ports["53/udp"][0]["HostIp"] == "127.0.0.1"
        with pytest.raises(StartError, match="port is already allocated") as failed:
            real.containers.run(BASE, "true", name="late", ports={"80/tcp": port})
        assert failed.value.exit_code == 125
        late = real.containers.get("late")
        assert late.status == "created" and late.id not in real.networks.get("bridge").attrs["Containers"]
        made.restart(timeout=0)
        assert read(int(made.ports["80/tcp"][0]["HostPort"])) == "hello"
        made.kill()
        late.start()
        late.wait()

    def test_a_port_that_another_program_has(self, real: Engine) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            ports = {"80": ("127.0.0.1", server.getsockname()[1])}
            with pytest.raises(StartError, match=r"listen tcp4 .* bind: address already in use"):
                real.containers.run(BASE, "true", ports=ports)

    def test_a_policy_plugs_it_in_again(self, real: Engine) -> None:
        made = run(real, "sleep 60", restart_policy={"Name": "always"}, name="phoenix", network="bridge")
        first = made.state()["Pid"]
        os.kill(first, signal.SIGKILL)
        until(lambda: made.state()["Pid"] not in (0, first))
        until(lambda: place(made)["IPAddress"] in sh(made, "busybox ip a"))

    def test_the_switch_is_killed(self, real: Engine) -> None:
        net = real.networks.create("net")
        made = run(real, network="net")
        plugs = {"folder": str(real.networks.folder), "codec": plug.codec(), "userns": ""}
        with plug.connect(plugs) as connection:
            os.kill(plug.keeper(connection), signal.SIGKILL)
        until(lambda: "eth0" not in sh(made, "busybox ip link"))
        assert made.status == "running", "only its network is gone"
        other = real.networks.create("other")
        with pytest.raises(APIError, match="switch"):
            other.connect(made)
        late = run(real, network="net")
        assert place(late, "net")["IPAddress"] != place(made, "net")["IPAddress"]
        made.restart(timeout=0)
        assert f"inet {place(made, 'net')['IPAddress']}" in sh(made, "busybox ip a")
        net.reload()
        assert {one.id for one in net.containers} == {made.id, late.id}

    def test_the_host_keeps_its_own_network(self, real: Engine) -> None:
        before = Path("/proc/net/dev").read_text().count(":")
        run(real)
        assert Path("/proc/net/dev").read_text().count(":") == before


def test_where_there_are_no_bridges_the_default_is_loopback(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine.runtime.name == "simulated":
        pytest.skip("its networks are only told of")
    monkeypatch.setattr(plug, "codec", lambda: "")
    made = run(engine)
    assert list(made.attrs["NetworkSettings"]["Networks"]) == ["none"]
    assert "pip install" in engine.runtime.no_bridge(str(engine.networks.folder))


ROOTLESS = """
import minidocker
engine = minidocker.connect("root", runtime="namespaces")
engine.networks.create("front")
web = engine.containers.run("minidocker/base", "sleep 60", detach=True, name="web", network="front", ports={"80": None})
for shared in ({}, {"pid_mode": "host"}, {"uts_mode": "host", "ipc_mode": "host"}):
    said = engine.containers.run("minidocker/base", "busybox ping -c1 -W5 web", remove=True, network="front", **shared)
    assert b"1 packets received" in said, said
assert web.exec_run("cat /proc/sys/net/ipv4/ip_unprivileged_port_start").output == b"0\\n"
engine.networks.get("bridge").connect(web)
assert b"172.17.0.2" in web.exec_run("busybox ip a").output
assert web.ports["80/tcp"]
web.remove(force=True)
engine.close()
print("all well")
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.skipif(not all(map(shutil.which, ("setpriv", "python3"))), reason="no setpriv to become another user with")
@pytest.mark.usefixtures("real")
def test_all_of_it_works_without_root() -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or "python3"
    folder = Path(tempfile.mkdtemp(prefix="minidocker-rootless-"))
    try:
        folder.chmod(0o777)
        for package in (Path(minidocker.__file__).parent, Path(plug.codec())):
            shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-c", ROOTLESS]
        environment = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"], "HOME": "/"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
        if done.stderr.startswith("setpriv: failed to execute"):
            pytest.skip("no Python that another user can start")
        assert done.stdout == "all well\n", done.stderr
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_what_somebody_else_connected_meanwhile_is_known(engine: Engine) -> None:
    """As with Docker's SDK: an object of before acts on the container as it is now."""
    old, again = run(engine), engine.networks.create("again")
    again.connect(old.name)
    again.disconnect(engine.containers.get(old.name))
    again.remove()
    engine.networks.create("again").connect(old)
    engine.networks.get("again").disconnect(old.id)
    with pytest.raises(Forbidden, match="is not connected to network again"):
        engine.networks.get("again").disconnect(old)


SIXTH = {"Config": [{"Subnet": "fd00:9::/64"}]}


def test_addresses_of_version_6(real: Engine) -> None:
    real.networks.create("six", enable_ipv6=True, ipam=SIXTH)
    web = run(real, name="web", network="six")
    place = web.attrs["NetworkSettings"]["Networks"]["six"]
    assert [place[key] for key in ("GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPv6Gateway")] == [
        "fd00:9::2",
        64,
        "fd00:9::1",
    ]
    asked = {"six": {"IPAMConfig": {"IPv6Address": "fd00:9::99", "LinkLocalIPs": ["169.254.8.8"]}}}
    other = run(real, name="other", network="six", networking_config=asked)
    seen = other.exec_run("cat /proc/net/if_inet6").output.decode()
    assert "fd000009000000000000000000000099" in seen
    assert "fd00:9::99\t" in other.exec_run("cat /etc/hosts").output.decode()
    assert "169.254.8.8" in other.exec_run("cat /proc/net/fib_trie").output.decode()
    assert real.networks.get("six").attrs["Containers"][other.id]["IPv6Address"] == "fd00:9::99/64"
    assert other.exec_run("ping -6 -c1 -W2 web").exit_code == 0
    assert other.exec_run("ping -6 -c1 -W2 fd00:9::1").exit_code == 0


@pytest.mark.parametrize("ip", ["fd00:9::1", "fd00:8::2", "10.1.2.3"])
def test_addresses_of_version_6_that_cannot_be_had(engine: Engine, ip: str) -> None:
    engine.networks.create("six", enable_ipv6=True, ipam=SIXTH)
    asked = {"six": {"IPAMConfig": {"IPv6Address": ip}}}
    with pytest.raises(APIError):
        run(engine, network="six", networking_config=asked)


def test_why_it_does_not_start_is_said_though_it_ended_before_it_was_plugged_in(real: Engine) -> None:
    part = {"Type": "volume", "Source": "parts", "Target": "/x", "VolumeOptions": {"Subpath": "missing"}}
    made = real.containers.create(BASE, "true", mounts=[part])
    for _ in range(12):  # in a third of the cases it has ended by then
        with pytest.raises(StartError, match=r"cannot access path .*missing: no such file or directory"):
            made.start()
