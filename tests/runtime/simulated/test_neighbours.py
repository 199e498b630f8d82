"""What programs in containers say of their network is the same on both runtimes: busybox's words, and the truth."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

import minidocker
from minidocker.engine import Engine
from minidocker.errors import ContainerError, StartError, Unsupported
from minidocker.runtime.simulated.nettools import UNSURE
from tests.bridged import bridged
from tests.until import until

BASE = "minidocker/base"
SERVER = "echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp"


@pytest.fixture(scope="module", params=["simulated", "namespaces"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Two networks: `web` and `twin` on the one, `far` on the other."""
    opened = bridged(tmp_path_factory.mktemp(request.param), request.param, "busybox true")
    with closing(opened):
        front, _ = opened.networks.create("front"), opened.networks.create("back")
        for name, network, command in (("web", "front", SERVER), ("twin", "front", SERVER), ("far", "back", SERVER)):
            made = opened.containers.create(BASE, ["sh", "-c", command], name=name)
            opened.networks.get("bridge").disconnect(made)
            opened.networks.get(network).connect(made, aliases=None if name == "web" else ["both"])
            made.start()
        front.connect(opened.containers.create(BASE, name="still"))  # it does not run, so it is not there
        yield opened
        for container in opened.containers.list(all=True):
            container.remove(force=True)


def says(engine: Engine, command: str, network: str = "front") -> str:
    """What a program says that runs for a moment on a network, with its exit code, and with no times in it."""
    script = f"({command}) 2>&1; echo = $?"
    said: bytes = engine.containers.run(BASE, ["sh", "-c", script], network=network, remove=True)
    return re.sub(r"time=[\d.]+ ms|[\d.]+/[\d.]+/[\d.]+ ms|Date:.*\n|@if\d+|,M-DOWN", "", said.decode())


def address(engine: Engine, name: str) -> str:
    places = engine.containers.get(name).attrs["NetworkSettings"]["Networks"].values()
    return next(str(place["IPAddress"]) for place in places if place["IPAddress"])


def test_a_neighbour_answers_by_its_name(engine: Engine) -> None:
    web = address(engine, "web")
    assert says(engine, "ping -c 2 -i 0.01 web").splitlines() == [
        f"PING web ({web}): 56 data bytes",
        f"64 bytes from {web}: seq=0 ttl=64 ",
        f"64 bytes from {web}: seq=1 ttl=64 ",
        "",
        "--- web ping statistics ---",
        "2 packets transmitted, 2 packets received, 0% packet loss",
        "round-trip min/avg/max = ",
        "= 0",
    ]


@pytest.mark.parametrize("name", ["far", "still", "nosuch"])
def test_nobody_else_has_a_name(engine: Engine, name: str) -> None:
    assert says(engine, f"ping -c 1 {name}") == f"ping: bad address '{name}'\n= 1\n"


def test_an_address_of_another_network_does_not_answer(engine: Engine) -> None:
    far = address(engine, "far")
    assert "1 packets transmitted, 0 packets received, 100% packet loss" in says(engine, f"ping -c 1 -W 1 {far}")
    assert says(engine, f"wget -q -O- http://{far}/").endswith("No route to host\n= 1\n")


def test_the_name_server_knows_names_and_addresses(engine: Engine) -> None:
    web, twin = address(engine, "web"), address(engine, "twin")
    head = "Server:\t\t127.0.0.11\nAddress:\t127.0.0.11:53\n\n"
    for name in ("web", "web.front"):
        assert says(engine, f"nslookup {name}") == f"{head}{UNSURE}Name:\t{name}\nAddress: {web}\n\n{UNSURE}\n= 0\n"
    assert "name = web.front\n\n= 0\n" in says(engine, f"nslookup {web}")
    assert says(engine, "nslookup nosuch") == head + 2 * "** server can't find nosuch: NXDOMAIN\n\n" + "= 1\n"
    assert {web, twin} & {*re.findall(r"Address: (\S+)", says(engine, "nslookup both"))} == {twin}


def test_a_server_is_reached_at_its_port_only(engine: Engine) -> None:
    web = address(engine, "web")
    assert says(engine, "wget -q -O- http://web/") == "hello\n= 0\n"
    missing = f"Connecting to web ({web}:80)\nwget: server returned error: HTTP/1.1 404 Not Found\n= 1\n"
    assert says(engine, "wget -O- http://web/nosuch") == missing
    refused = f"nc: can't connect to remote host ({web}): Connection refused\n= 1\n"
    assert says(engine, "nc web 81") == refused
    assert says(engine, "httpd -p 80; httpd -p 80") == "httpd: bind: Address already in use\n= 1\n"


def test_who_listens_at_loopback_is_reached_by_itself_alone(engine: Engine) -> None:
    command = "mkdir /w; hostname > /w/index.html; httpd -p 127.0.0.1:80 -h /w; echo ready; exec sleep 100"
    options: dict[str, Any] = {"hostname": "shy", "network": "front", "ports": {"80": None}}
    shy = engine.containers.run(BASE, ["sh", "-c", command], name="shy", detach=True, **options)
    try:
        next(shy.logs(stream=True))
        assert shy.exec_run("wget -q -O- http://localhost/").output == b"shy\n"
        assert "Connection refused" in says(engine, "nc shy 80")
        assert "Connection refused" in shy.exec_run(f"nc {address(engine, 'shy')} 80").output.decode()
        port = int(shy.ports["80/tcp"][0]["HostPort"])
        with pytest.raises(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/")
    finally:
        shy.remove(force=True)


def test_two_programs_talk(engine: Engine) -> None:
    one = engine.containers.get("twin")
    one.exec_run(["sh", "-c", "rm -f /tmp/came; nc -l -p 99 > /tmp/came < /dev/null &"])
    script = "nc -l -p 98 > /tmp/here & until echo hello | nc localhost 98 2>/dev/null; do sleep 0.05; done; wait"
    script += "; cat /tmp/here"
    assert says(engine, script) == "hello\n= 0\n"


def test_interfaces_and_routes(engine: Engine) -> None:
    said = says(engine, "ip -4 -o addr; ip route; hostname -i")
    own, life = said.splitlines()[-2], "       valid_lft forever preferred_lft forever"
    assert said.splitlines()[1:] == [
        f"2: eth0    inet {own}/16 brd {own[:7]}255.255 scope global eth0\\{life}",
        f"default via {own[:7]}0.1 dev eth0 ",
        f"{own[:7]}0.0/16 dev eth0 scope link  src {own} ",
        own,
        "= 0",
    ]


def test_without_a_network_there_is_no_way(engine: Engine) -> None:
    said = says(engine, "ping -c 1 10.1.2.3", network="none")
    assert said == "PING 10.1.2.3 (10.1.2.3): 56 data bytes\nping: sendto: Network is unreachable\n= 1\n"


def test_who_is_connected_later_is_found_and_finds(engine: Engine) -> None:
    far, front = engine.containers.get("far"), engine.networks.get("front")
    front.connect(far)
    try:
        assert "0% packet loss" in says(engine, "ping -c 1 far")
        assert far.exec_run("ping -c 1 web").exit_code == 0
        own = address(engine, "far")
        until(lambda: own in far.exec_run("cat /etc/hosts").output.decode())
    finally:
        front.disconnect(far)
    assert far.exec_run("ping -c 1 web").exit_code == 1


def read(port: int) -> bytes:
    """What a web server says, once it is there."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        return bytes(answer.read())
    return b""


def test_a_published_port_leads_in(engine: Engine) -> None:
    made = engine.containers.run(BASE, ["sh", "-c", SERVER], network="front", ports={"80": None}, detach=True)
    try:
        port = int(made.attrs["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])
        assert until(lambda: read(port)) == b"hello\n"
        with pytest.raises(StartError, match="port is already allocated"):
            engine.containers.run(BASE, "true", network="front", ports={"80": port})
    finally:
        made.remove(force=True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_nothing_may_be_run_on_a_tmpfs_unless_it_is_asked_for(engine: Engine) -> None:
    script = r"for d in a b; do printf '#!/bin/sh\necho ran' > /$d/x; chmod 755 /$d/x; /$d/x; echo $?; done"
    said: bytes = engine.containers.run(
        BASE, ["sh", "-c", script], tmpfs={"/a": "", "/b": "exec,size=50%"}, stderr=True, remove=True
    )
    assert sorted(said.decode().splitlines()) == ["0", "126", "ran", "sh: /a/x: Permission denied"]
    with pytest.raises(ContainerError):
        engine.containers.run(BASE, ["sh", "-c", "echo > /a/x"], tmpfs={"/a": "ro"}, remove=True)


def test_what_the_simulated_runtime_cannot_reach_it_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    with minidocker.connect(tmp_path_factory.mktemp("alone"), runtime="simulated") as engine:
        engine.networks.create("front")
        assert "no way out to the world" in says(engine, "wget -O- http://192.0.2.1/")
        assert "network of this machine" in says(engine, "ping -c 1 127.0.0.1", network="host")
        assert "sendto: Network is unreachable" in says(engine, "ping -c 1 192.0.2.1", network="none")
        with pytest.raises(Unsupported, match="publishes ports of tcp"):
            engine.containers.run(BASE, "true", network="front", ports={"53/udp": None}, remove=True)
