"""The switch: network namespaces plugged into bridges, as containers will be: who reaches whom, by which name."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from minidocker.content import Store
from minidocker.network import Network, Networks
from minidocker.runtime import plug, probe
from tests.until import until

pytest.importorskip("pyroute2", reason="no pyroute2, which the switch speaks netlink with")
ROOT = sys.platform.startswith("linux") and os.geteuid() == 0
pytestmark = [
    pytest.mark.skipif(not ROOT or not probe.report().works, reason="needs root, to make bare network namespaces"),
    pytest.mark.skipif(not shutil.which("busybox"), reason="no busybox (Debian: busybox-static)"),
]
SLEEPER = """
import os, socket, sys
from minidocker.runtime import linux
linux.unshare(linux.NEWNET)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    linux.interface_flags(any_socket.fileno(), "lo", add=linux.IFF_UP)
print("up", flush=True)
sys.stdin.read()
"""


@dataclass
class Host:
    """A network namespace with one process, plugged in over a connection."""

    id: str
    process: subprocess.Popen[str]
    plugged: socket.socket
    doors: list[tuple[str, int]]

    def sh(self, command: str) -> str:
        args = ["nsenter", "-t", str(self.process.pid), "-n", "busybox", "sh", "-c", command]
        done = subprocess.run(args, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr

    def resolve(self, name: str) -> set[str]:
        said = self.sh(f"busybox nslookup -type=a {name} 127.0.0.11")
        return {line.split()[-1] for line in said.splitlines()[2:] if line.startswith("Address")}

    def reaches(self, address: str) -> bool:
        return "1 packets received" in self.sh(f"busybox ping -c1 -W1 {address}")


class Lab:
    """Networks on a disk, and hosts on them."""

    def __init__(self, root: Path) -> None:
        self.networks = Networks(Store(root), str, lambda _: True)
        self.plugs = {"folder": str(self.networks.folder), "codec": plug.codec(), "userns": ""}
        self.hosts: list[Host] = []

    def host(self, name: str, *networks: Network, aliases: tuple[str, ...] = (), ports: tuple[int, ...] = ()) -> Host:
        from minidocker.runtime.forward import listen

        id = f"{len(self.hosts) + 1:064x}"
        process = subprocess.Popen(
            [sys.executable, "-c", SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout and process.stdout.readline() == "up\n"
        wires = [self.wire(id, name, network, place, aliases) for place, network in enumerate(networks)]
        doors = [[wires[0]["address"].partition("/")[0], port] for port in ports]
        listeners, upstream = [listen("127.0.0.1", 0, "tcp") for _ in ports], plug.upstream()
        namespace = os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        request = {"do": "plug", "container": id, "wires": wires, "servers": [], "doors": doors}
        fds = [namespace, upstream.fileno(), *(one.fileno() for one in listeners)]
        self.hosts.append(Host(id, process, plug.ask(self.plugs, request, fds), [x.getsockname() for x in listeners]))
        os.close(namespace)
        for one in (upstream, *listeners):
            one.close()
        return self.hosts[-1]

    def wire(self, id: str, name: str, network: Network, place: int, aliases: tuple[str, ...] = ()) -> dict[str, Any]:
        end = self.networks.join(network, id, name, {"Aliases": aliases})
        return {
            "network": network.id,
            "endpoint": end["EndpointID"],
            "interface": f"eth{place}",
            "address": end["IPv4Address"],
            "mac": end["MacAddress"],
            "gateway": network.gateway,
            "internal": network.internal,
            "named": not network.predefined,
            "links": [],
        }

    def switch(self) -> int:
        """The process number of the switch, which holds a lock."""
        inode = (self.networks.folder / ".switch.lock").stat().st_ino
        rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return next(int(row[4]) for row in rows if row[5].endswith(f":{inode}"))

    def close(self) -> None:
        for host in self.hosts:
            host.plugged.close()
            host.process.kill()
            host.process.communicate()
        if self.hosts:
            os.kill(self.switch(), 9)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.close()


def test_hosts_on_one_network_reach_and_know_each_other(lab: Lab) -> None:
    front = lab.networks.create("front", ipam={"Config": [{"Subnet": "10.9.0.0/24"}]})
    back = lab.networks.create("back", internal=True, ipam={"Config": [{"Subnet": "10.8.0.0/24"}]})
    web = lab.host("web", front)
    db = lab.host("db", front, back, aliases=("data",))
    other = lab.host("other", back, aliases=("data",))
    assert web.reaches("10.9.0.3") and db.reaches("10.9.0.2") and other.reaches("10.8.0.2")
    assert not web.reaches("10.8.0.3"), "one network is no way into another"
    assert "default via 10.9.0.1 dev eth0" in web.sh("busybox ip route")
    assert "default" not in other.sh("busybox ip route"), "an internal network has no way out"
    assert web.resolve("db") == web.resolve("DATA.") == {"10.9.0.3"} and web.resolve("other") == set()
    assert other.resolve("data") == {"10.8.0.2", "10.8.0.3"}, "one name, two addresses"
    assert db.resolve("data.back") == {"10.8.0.2", "10.8.0.3"} and web.resolve("db.back") == set()
    assert db.resolve("Web.front") == {"10.9.0.2"}
    assert "name = db.front" in web.sh("busybox nslookup 10.9.0.3 127.0.0.11")
    assert "NXDOMAIN" in web.sh("busybox nslookup -type=a nosuch 127.0.0.11")


def test_who_leaves_is_forgotten_at_once(lab: Lab) -> None:
    net = lab.networks.create("net")
    one, two = lab.host("one", net), lab.host("two", net)
    assert one.resolve("two") != set()
    two.plugged.close()
    until(lambda: one.resolve("two") == set())
    until(lambda: "eth0" not in two.sh("busybox ip link"))


def test_a_network_may_be_connected_and_disconnected_while_a_host_runs(lab: Lab) -> None:
    net, more = lab.networks.create("net"), lab.networks.create("more", ipam={"Config": [{"Subnet": "10.7.0.0/24"}]})
    one, two = lab.host("one", net), lab.host("two", more)
    wire = lab.wire(one.id, "one", more, 1)
    request = {"do": "connect", "container": one.id, "wire": wire, "servers": None}
    plug.ask(lab.plugs, request).close()
    assert one.reaches("10.7.0.2") and two.resolve("one") == {"10.7.0.3"}
    plug.ask(lab.plugs, {"do": "disconnect", "container": one.id, "network": more.id}).close()
    assert not one.reaches("10.7.0.2")


def test_a_port_of_the_host_leads_in(lab: Lab) -> None:
    host = lab.host("web", lab.networks.create("net"), ports=(7000,))
    args = ["nsenter", "-t", str(host.process.pid), "-n", "busybox", "nc", "-l", "-p", "7000", "-e", "echo", "hello"]
    with subprocess.Popen(args):
        until(lambda: ":1B58" in Path(f"/proc/{host.process.pid}/net/tcp6").read_text())
        with socket.create_connection(host.doors[0]) as client:
            assert client.recv(100) == b"hello\n"


def test_the_host_keeps_its_own_network(lab: Lab) -> None:
    before = Path("/proc/net/dev").read_text().count(":")
    lab.host("one", lab.networks.create("net"))
    assert Path("/proc/net/dev").read_text().count(":") == before
    assert Path(f"/proc/{lab.switch()}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
