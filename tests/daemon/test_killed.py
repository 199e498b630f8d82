"""`kill -9` of the daemon while it works: the next one finds a sound store and true containers, and nothing is left."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.content import Store
from minidocker.fsck import problems
from minidocker.registry.server import Registry
from minidocker.registry.serving import serving
from minidocker.web.message import FilePart, Gone, Request, Response
from tests.daemon.process import Daemon
from tests.until import comes

docker_sdk = pytest.importorskip("docker")
pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no UNIX sockets here")

IMAGE = "minidocker/base"
LONG = f"{1000 + os.getpid()}"  # seconds: whose they are
BUILD = f"FROM {IMAGE}\nRUN head -c 3000000 /dev/urandom > /big\nRUN touch /begun; sleep {LONG}\n"
BIG = ["sh", "-c", "head -c 5000000 /dev/urandom > /big; echo made; sleep 1000"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with minidocker.connect(tmp_path / "root") as engine:
        if engine.runtime.name != "namespaces":
            pytest.skip("the containers of these tests are real ones")
        engine.images.get(IMAGE)
    found = Daemon(tmp_path, "namespaces")
    yield found
    found.kill()
    with minidocker.connect(found.root) as engine:
        for container in engine.containers.list(all=True):
            container.remove(force=True)


class Client:
    """Something that a client does until its daemon dies; the error that it gets then is its own."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.ended: BaseException | None = None
        self._act = act
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._act()
        except Exception as error:
            self.ended = error


def sdk(daemon: Daemon) -> Any:
    return docker_sdk.DockerClient(base_url=f"unix://{daemon.socket}")


def command(daemon: Daemon, *words: str, stdin: str = "") -> Callable[[], object]:
    """The docker command; nothing, where there is none."""
    if shutil.which("docker") is None:
        return lambda: None
    env = os.environ | {"DOCKER_HOST": f"unix://{daemon.socket}", "DOCKER_BUILDKIT": "0"}
    return lambda: subprocess.run(
        ["docker", *words], input=stdin, env=env, capture_output=True, text=True, timeout=120, check=True
    )


def killed(daemon: Daemon, pid: int, *clients: Client) -> Any:
    """Kill it, see each client go with an error, start the next one; that one's client."""
    os.kill(pid, signal.SIGKILL)
    assert daemon.gone(pid)
    for client in clients:
        client.thread.join(120)
        assert not client.thread.is_alive()
        assert client.ended is not None or shutil.which("docker") is None
    assert list(problems(Store(daemon.root))) == []
    daemon.start()
    after = sdk(daemon)
    for container in after.containers.list(all=True):
        state = container.attrs["State"]
        assert state["Status"] in ("created", "running", "exited")
        assert (state["Pid"] > 0) == (state["Status"] == "running")
        assert not state["Pid"] or Path(f"/proc/{state['Pid']}").exists()
    assert after.containers.run(IMAGE, "echo works", remove=True) == b"works\n"
    return after


def nothing_is_left(daemon: Daemon, after: Any) -> None:
    for container in after.containers.list(all=True):
        container.remove(force=True)
    after.images.prune({"dangling": True})
    after.close()
    pid = int((daemon.root / "daemon.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    assert daemon.gone(pid)
    shutil.rmtree(daemon.root / "networks")  # else the switch would wait ten seconds for another container
    assert comes(lambda: not daemon.left()), daemon.left()
    assert list(problems(Store(daemon.root))) == []
    assert comes(lambda: all(path.name.endswith("lock") for path in (daemon.root / "tmp").iterdir()))


def sleepers() -> set[str]:
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_bytes() == f"sleep\0{LONG}\0".encode():
                found.add(file.parent.name)
    return found


def test_in_the_middle_of_a_build(daemon: Daemon) -> None:
    pid, client = daemon.start(), sdk(daemon)
    build = Client(lambda: client.images.build(fileobj=io.BytesIO(BUILD.encode()), tag="half"))
    typed = Client(command(daemon, "build", "-", stdin=BUILD.replace("/big", "/large")))
    assert comes(lambda: len(sleepers()) == 1 + bool(shutil.which("docker")))
    after = killed(daemon, pid, build, typed)
    assert comes(lambda: not sleepers()), "the programs of its steps ended with it"
    assert after.images.list("half") == []
    made, _ = after.images.build(fileobj=io.BytesIO(BUILD.replace(f"; sleep {LONG}", "").encode()), tag="half")
    assert made.tags == ["half:latest"]
    nothing_is_left(daemon, after)


def test_in_the_middle_of_a_pull(daemon: Daemon, tmp_path: Path) -> None:
    halfway, go_on = threading.Event(), threading.Event()

    class Slow(Registry):
        def __call__(self, request: Request) -> Response:
            response = super().__call__(request)
            if isinstance(response.body, FilePart) and "/blobs/" in request.path and not go_on.is_set():
                response.headers["Content-Length"] = str(response.body.size)
                response.body = trickle()
            return response

    def trickle() -> Iterator[bytes]:
        yield bytes(10)
        halfway.set()
        go_on.wait(120)
        raise Gone

    with serving(Slow(Store(tmp_path / "registry")), "127.0.0.1:0") as address:
        url = address.removeprefix("http://")
        with minidocker.connect(daemon.root) as engine:
            engine.images.get(IMAGE).tag(f"{url}/app", "1")
            engine.images.push(f"{url}/app", "1")
            engine.images.remove(f"{url}/app:1")
            engine.images.remove(IMAGE)
        pid, client = daemon.start(), sdk(daemon)
        pull = Client(lambda: client.images.pull(f"{url}/app", tag="1"))
        typed = Client(command(daemon, "pull", f"{url}/app:1"))
        assert halfway.wait(120)
        after = killed(daemon, pid, pull, typed)
        go_on.set()
        assert after.images.list(f"{url}/app") == []
        assert after.images.pull(f"{url}/app", tag="1").tags
    nothing_is_left(daemon, after)


def test_in_the_middle_of_runs(daemon: Daemon) -> None:
    pid, client = daemon.start(), sdk(daemon)

    def runs() -> None:
        while True:
            client.containers.run(IMAGE, "sleep 1000", detach=True)

    many = Client(runs)
    typed = Client(command(daemon, "run", "--rm", "--name", "typed", IMAGE, "sleep", "1000"))
    looking = sdk(daemon)
    assert comes(lambda: len(looking.containers.list()) > 3)
    kept = {one.id: one.attrs["State"]["Pid"] for one in looking.containers.list()}
    after = killed(daemon, pid, many, typed)
    alive = {one.id: one.attrs["State"]["Pid"] for one in after.containers.list()}
    assert kept.items() <= alive.items(), "containers outlive their daemon"
    nothing_is_left(daemon, after)


def test_in_the_middle_of_commits(daemon: Daemon) -> None:
    pid, client = daemon.start(), sdk(daemon)
    box = client.containers.run(IMAGE, BIG, detach=True, name="big")
    assert comes(lambda: box.logs() == b"made\n")

    def commits() -> None:
        while True:
            box.commit("made", "1")

    many = Client(commits)
    typed = Client(command(daemon, "commit", "big", "typed:1"))
    typed.thread.join(120)
    typed = Client(command(daemon, "commit", "big", "typed:2"))
    after = killed(daemon, pid, many)
    for image in after.images.list():
        assert after.containers.run(image, "true", remove=True) == b""
    assert after.containers.get("big").status == "running", "not left paused"
    nothing_is_left(daemon, after)
