"""An engine that is served on a UNIX socket in this process, and the clients that drive it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.daemon.api import Api
from minidocker.engine import Engine
from minidocker.web.connection import Limits
from minidocker.web.server import Server

IMAGE = "minidocker/base"


class Served:
    """A daemon in this process: its engine, its address."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine, self.path = engine, path
        self.host = f"unix://{path}"

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(120)
        sock.connect(str(self.path))
        return sock

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and answer: JSON where it is that."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = self.connect()
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, f"/v1.41{path}", data, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def hijack(self, path: str, body: Any = None, upgrade: bool = True) -> tuple[socket.socket, bytes]:
        """A connection of one's own: the socket after the head of the answer, and that."""
        sock, data = self.connect(), b"" if body is None else json.dumps(body).encode()
        more = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        return sock, head


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One daemon for all tests of a file: they leave it as they found it."""
    if minidocker.connect(tmp_path_factory.mktemp("probe")).runtime.name != "namespaces":
        pytest.skip("the containers of these tests are real ones")
    folder = tmp_path_factory.mktemp("daemon")
    engine = minidocker.connect(folder / "root", runtime="namespaces")
    engine.images.get(IMAGE)
    server = Server(Api(engine), Limits(clients=2048))
    server.listen_unix(folder / "d.sock")
    with server:
        yield Served(engine, folder / "d.sock")
    engine.close()


@pytest.fixture
def daemon(served: Served) -> Iterator[Served]:
    """The daemon, with nothing left in it afterwards."""
    yield served
    for container in served.engine.containers.list(all=True):
        container.remove(v=True, force=True)


@pytest.fixture
def docker(daemon: Served, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real docker command against the daemon."""
    program = shutil.which("docker")
    if program is None:
        pytest.skip("there is no docker command here")
    env = os.environ | {"DOCKER_HOST": daemon.host, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(tmp_path)}
    env.pop("DOCKER_CONTEXT", None)

    def run(*args: str, stdin: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *args], input=stdin, env=env, capture_output=True, text=True, timeout=120, check=False, **options
        )

    return run
