"""The daemon: the same docker command against ours and against Debian's dockerd, in turns.

Times are the whole command's, so the client's own start (the first line) is in all of them. `run` and `build` have no
network (dockerd runs without a bridge here); ours also runs on its bridge. A crowd is 200 connections of which each
asks in turn; memory is the resident set (RSS) of the daemon alone.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.crowd import weight
from tests.bench.measure import Action, Report, command, seconds
from tests.bench.rivals import Rivals
from tests.bench.steps import dockerfile

CONTAINERS, RUNNING, IMAGES, CLIENTS, REQUESTS = 200, 10, 500, 200, 10_000
WHAT = ("/_ping", "/v1.41/version", "/v1.41/containers/c0/json", "/v1.41/networks", "/v1.41/images/i0/json")


class Engine:
    """A daemon under test: its socket, its process, and the docker command that drives it."""

    def __init__(self, client: str, path: Path, pid: int) -> None:
        self.client, self.path, self.pid = client, path, pid

    def command(self, *words: object) -> Action:
        """An action: one call of the docker command; builds are the classic builder's."""
        env = os.environ | {"DOCKER_HOST": f"unix://{self.path}", "DOCKER_BUILDKIT": "0"}
        return command(self.client, *words, env=env)

    def connect(self) -> http.client.HTTPConnection:
        """A connection to it."""
        line = http.client.HTTPConnection("localhost")
        line.sock = socket.socket(socket.AF_UNIX)
        line.sock.settimeout(120)
        line.sock.connect(str(self.path))
        return line

    def ask(self, method: str, path: str, body: Any = None) -> int:
        """One request; its status."""
        with closing(self.connect()) as line:
            line.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = line.getresponse()
            answer.read()
            return answer.status

    def create(self, name: str, words: list[str]) -> None:
        """Make a container without a network."""
        body = {"Image": "bench-busybox", "Cmd": words, "HostConfig": {"NetworkMode": "none"}}
        if self.ask("POST", f"/v1.41/containers/create?name={name}", body) != 201:
            raise RuntimeError(f"no container {name} on {self.path}")

    @property
    def memory(self) -> float:
        """What it has in memory, in MB."""
        return weight(self.pid)[0] / 1024


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    if not rivals.busybox or not rivals.docker or rivals.daemon is None:
        report.notes.append("no static busybox, no docker command, no dockerd, or no root")
        return
    client = shutil.which("docker") or rivals.docker[0]
    report.notes.append(
        subprocess.run([client, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    )
    with ours(work, client) as mine:
        engines = {"minidocker": mine, "dockerd": Engine(client, rivals.folder / "docker.sock", rivals.daemon.pid)}
        mine.command("import", rivals.busybox_tar, "bench-busybox")()
        resident(report, engines, "idle")
        run(report, engines, 5 if quick else 15)
        build(report, engines, work, quick)
        lists(report, engines, work, quick)
        for name, engine in engines.items():
            crowd(report, name, engine, 500 if quick else REQUESTS, rounds=2 if engine is mine else 1)


@contextmanager
def ours(work: Path, client: str) -> Iterator[Engine]:
    """Our daemon, for as long as the block runs."""
    path = work / "d.sock"
    words = [sys.executable, "-m", "minidocker", "--root", str(work / "root"), "daemon", "-H", f"unix://{path}"]
    with (work / "daemon.log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
        engine = Engine(client, path, process.pid)
        try:
            _until(lambda: path.exists() and engine.ask("GET", "/_ping") == 200)
            yield engine
        finally:
            process.terminate()


def _until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.1)
    raise OSError("the daemon does not answer")


def resident(report: Report, engines: dict[str, Engine], when: str) -> None:
    """The memory of each."""
    report.lines.append(f"{when}: " + ", ".join(f"{name} {engine.memory:.0f} MB" for name, engine in engines.items()))


def run(report: Report, engines: dict[str, Engine], rounds: int) -> None:
    """`docker run --rm … true`."""
    words = ("run", "--rm", "--network", "none", "bench-busybox", "true")
    contenders = {name: engine.command(*words) for name, engine in engines.items()}
    contenders["minidocker, on its bridge"] = engines["minidocker"].command("run", "--rm", "bench-busybox", "true")
    contenders["(docker --version)"] = engines["minidocker"].command("--version")
    for action in contenders.values():
        action()
    report.side_by_side("docker run --rm … true", contenders, rounds)


def build(report: Report, engines: dict[str, Engine], work: Path, quick: bool) -> None:
    """20 RUN steps: new ones each time, and then the last of them again."""
    fresh, folders = itertools.count(), {name: work / f"context-{name}" for name in engines}
    contenders = {name: engine.command("build", "--network", "none", folders[name]) for name, engine in engines.items()}

    def write(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile("bench-busybox", f"mark{next(fresh)}"))

    before: dict[str, Action] = {name: partial(write, folder) for name, folder in folders.items()}
    report.side_by_side("docker build, 20 RUN steps, uncached", contenders, 1 if quick else 3, before)
    report.side_by_side("the same, cached", contenders, 3 if quick else 11)


def lists(report: Report, engines: dict[str, Engine], work: Path, quick: bool) -> None:
    """`docker ps` and `docker images`, where there are many; also the first time, when nothing is remembered yet."""
    containers, running, count = (20, 2, 50) if quick else (CONTAINERS, RUNNING, IMAGES)
    many(work / "many.tar", count)
    for name, engine in engines.items():
        took = seconds(engine.command("load", "-q", "-i", work / "many.tar"))
        report.lines.append(f"docker load of {count} images: {name} {took:.1f} s")
        for number in range(containers):
            engine.create(f"c{number}", ["true"])
    listing(report, engines, ["images"], f"{count} images", quick)
    listing(report, engines, ["ps", "-a"], f"{containers} containers", quick)
    try:
        for engine in engines.values():
            for number in range(running):
                engine.create(f"r{number}", ["sleep", "1000"])
                engine.ask("POST", f"/v1.41/containers/r{number}/start")
        listing(report, engines, ["ps"], f"{running} of {containers + running} containers running", quick)
    finally:
        for engine in engines.values():
            for number in range(running):
                engine.ask("DELETE", f"/v1.41/containers/r{number}?force=1")


def listing(report: Report, engines: dict[str, Engine], words: list[str], what: str, quick: bool) -> None:
    """One command that lists something."""
    contenders, title = {name: engine.command(*words) for name, engine in engines.items()}, f"docker {' '.join(words)}"
    first = (f"{name} {seconds(action) * 1000:.0f} ms" for name, action in contenders.items())
    report.lines.append(f"{title}, {what}, the first time: {', '.join(first)}")
    report.side_by_side(f"{title}, {what}", contenders, 5 if quick else 15)


def many(path: Path, count: int) -> None:
    """A tar as of `docker save`: so many images, of one layer."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as inner:
        inner.addfile(tarfile.TarInfo("file"))
    diff = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
    manifest = []
    with tarfile.open(path, "w") as out:

        def add(name: str, data: bytes) -> str:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
            return name

        add("layer.tar", layer.getvalue())
        for number in range(count):
            config = {
                "architecture": "amd64",
                "os": "linux",
                "created": "2026-01-01T00:00:00Z",
                "config": {"Labels": {"number": str(number)}},
                "rootfs": {"type": "layers", "diff_ids": [diff]},
                "history": [{"created": "2026-01-01T00:00:00Z"}],
            }
            data = json.dumps(config).encode()
            name = add(f"{hashlib.sha256(data).hexdigest()}.json", data)
            manifest.append({"Config": name, "RepoTags": [f"i{number}:latest"], "Layers": ["layer.tar"]})
        add("manifest.json", json.dumps(manifest).encode())


def crowd(report: Report, name: str, engine: Engine, requests: int, rounds: int) -> None:
    """Many clients at once: whether all were answered, how fast, and what it left in memory."""
    wrong: list[str] = []

    def client() -> None:
        try:
            with closing(engine.connect()) as line:
                for target in itertools.islice(itertools.cycle(WHAT), requests // CLIENTS):
                    line.request("GET", target)
                    answer = line.getresponse()
                    if answer.read() and answer.status != 200:
                        wrong.append(f"{target}: {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            wrong.append(repr(error))

    def once() -> None:
        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    times, memory = [], [engine.memory]
    for _ in range(rounds):
        times.append(seconds(once))
        memory.append(engine.memory)
    report.lines.append(
        f"{CLIENTS} clients at once, {requests} requests: {name} {', again '.join(f'{took:.1f} s' for took in times)}, "
        f"{len(wrong)} errors {wrong[:2]}; memory {' -> '.join(f'{size:.0f}' for size in memory)} MB"
    )
