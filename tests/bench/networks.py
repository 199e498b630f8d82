"""Networks: what a bridge costs at the start, a crowd that knows each other, a published port, and what is left.

The port is measured beside Docker's own userland proxy: bytes that go through each, from the same server.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import minidocker
from minidocker.archive import import_
from minidocker.container import Container
from minidocker.engine import Engine
from minidocker.runtime import plug
from tests.bench.measure import Report, seconds
from tests.bench.rivals import Rivals

CROWD, STARTS, BYTES = 200, 1000, 256 << 20
PROXY = "/usr/sbin/docker-proxy"
SERVER = f"""import socket
with socket.create_server(("", 80)) as server:
    while True:
        client, _ = server.accept()
        with client:
            for _ in range({BYTES >> 18}):
                client.sendall(bytes(1 << 18))
"""


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    engine = minidocker.connect(work / "root")
    if not rivals.busybox or engine.runtime.no_bridge(str(engine.networks.folder)):
        report.notes.append("no static busybox to run, or no bridges here")
        return
    import_(engine.images, rivals.busybox_tar, {}).tag("bench")
    run = engine.containers.run
    contenders = {
        "on a bridge": lambda: run("bench", "true", remove=True),
        "with loopback alone": lambda: run("bench", "true", remove=True, network="none"),
    }
    engine.containers.run("bench", "true", remove=True)
    report.side_by_side("run true, and it is gone", contenders, 10 if quick else 40)
    throughput(report, engine)
    crowd(report, engine, 30 if quick else CROWD)
    nothing_left(report, engine, 100 if quick else STARTS)
    engine.close()


def throughput(report: Report, engine: Engine) -> None:
    """Bytes a second through a published port, and through docker-proxy, to one server in a container's network."""
    made: Container = engine.containers.run("bench", "sleep 1000", detach=True, ports={"80": None})
    port, ip = int(made.ports["80/tcp"][0]["HostPort"]), made.attrs["NetworkSettings"]["IPAddress"]
    pid, switch = made.state()["Pid"], keeper(engine)
    with inside(pid, sys.executable, "-c", SERVER):
        rates = {"our switch": rate(port)}
        options = ["-proto", "tcp", "-host-ip", "127.0.0.1", "-host-port", "18081"]
        if shutil.which(PROXY):
            options += ["-container-ip", ip, "-container-port", "80"]
            with inside(
                switch, "sh", "-c", 'exec "$0" "$@" 3>/dev/null', PROXY, *options
            ):  # 3: where it says that it serves
                ask = [sys.executable, "-c", "from tests.bench.networks import rate; print(rate(18081))"]
                done = subprocess.run([*nsenter(switch), *ask], capture_output=True, text=True, check=True)
                rates["docker-proxy"] = float(done.stdout)
    report.lines += [f"a published port, through {name}: {found / 1e6:,.0f} MB/s" for name, found in rates.items()]
    made.remove(force=True)


def nsenter(pid: int) -> list[str]:
    """What runs a program in the network namespace of a process."""
    return ["nsenter", "-t", str(pid), "-n"]


@contextmanager
def inside(pid: int, *words: str) -> Iterator[None]:
    """A program that runs there for a while."""
    with subprocess.Popen([*nsenter(pid), *words], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def keeper(engine: Engine) -> int:
    """The process number of an engine's switch."""
    plugs = {"folder": str(engine.networks.folder), "codec": plug.codec(), "userns": ""}
    with plug.connect(plugs) as connection:
        return plug.keeper(connection)


def rate(port: int) -> float:
    """How fast a server that sends and closes is read: the best of three times, as others work here, too."""
    found = []
    for _ in range(200):
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as client:
            began, size = time.perf_counter(), 0
            while data := client.recv(1 << 20):
                size += len(data)
            if size:
                found.append(size / (time.perf_counter() - began))
        if len(found) == 3:
            return max(found)
        time.sleep(0.05)
    raise OSError("nobody serves")


def crowd(report: Report, engine: Engine, size: int) -> None:
    """Many on one network, of whom each asks for another one."""
    net = engine.networks.create("crowd")
    made: list[Container] = []

    def start() -> None:
        for number in range(size):
            made.append(engine.containers.run("bench", "sleep 1000", detach=True, name=f"c{number}", network=net.name))

    report.lines.append(f"{size} containers started on one network: {seconds(start):.1f} s")

    def ask(number: int) -> bool:
        found = made[number].exec_run(["nslookup", "-type=a", f"c{(number + size // 2) % size}"])
        return b"Name:" in found.output

    with ThreadPoolExecutor(4) as pool:
        began = time.perf_counter()
        right = sum(pool.map(ask, range(size)))
    report.lines.append(f"of these, {right} found another by name: {time.perf_counter() - began:.1f} s")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda container: container.remove(force=True), made))
    net.remove()


def nothing_left(report: Report, engine: Engine, starts: int) -> None:
    """What the kernel still has of many containers, and networks, that are gone."""
    for number in range(starts):
        if number % 10 == 0:
            net = engine.networks.create(f"n{number}")
        engine.containers.run("bench", "true", remove=True, network=net.name)
        if number % 10 == 9:
            net.remove()
    time.sleep(2)
    switch = nsenter(keeper(engine))
    links, rules = (
        subprocess.run([*switch, "ip", *words], capture_output=True, text=True, check=False).stdout.splitlines()
        for words in (["-br", "link"], ["rule"])
    )
    report.lines.append(f"after {starts} starts on {starts // 10} networks: {len(links)} links, {len(rules)} rules")
