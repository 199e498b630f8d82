"""A daemon for one notebook: an engine behind a UNIX socket, and what crosses that is written down.

    desk = daemon(engine)
    client = desk.client()
    with desk.listening() as talk:
        client.containers.list()
    crossing(talk)

Where a machine has no UNIX sockets, the same daemon answers in this process, and `desk.address` is empty.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from minidocker.daemon import inprocess
from minidocker.daemon.api import Api
from minidocker.daemon.tap import Exchange, Part, Tap
from minidocker.errors import Unsupported
from minidocker.web.message import Request, Response
from minidocker.web.server import Server

if TYPE_CHECKING:
    from docker import DockerClient  # type: ignore[import-untyped]

    from minidocker.engine import Engine

SOCKET, LONGEST = "docker.sock", 100  # a socket's path has 103 bytes at most on some systems
_open: dict[Path, Desk] = {}


class Desk:
    """An engine's API, with a tap. `pause`: seconds that each answer takes longer."""

    def __init__(self, engine: Engine) -> None:
        self.pause, self.path = 0.0, engine.root.resolve() / SOCKET
        self._api, self.tap = Api(engine), Tap(self._answer)
        self._server: Server | None = None
        if hasattr(socket, "AF_UNIX") and len(os.fsencode(self.path)) < LONGEST:
            self._server = Server(self.tap)
            self._server.listen_unix(self.path)
            self._server.start()

    def _answer(self, request: Request) -> Response:
        time.sleep(self.pause)
        return self._api(request)

    @property
    def address(self) -> str:
        """As `docker -H` has it; empty where there is no socket."""
        return f"unix://{self.path}" if self._server else ""

    def connect(self) -> socket.socket:
        """A connection, for those who speak HTTP themselves."""
        if not self._server:
            return inprocess.connect(self.tap)
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self.path))
        return sock

    def client(self) -> DockerClient:
        """Docker's SDK for Python, connected to it. Raises Unsupported where that is not installed."""
        if not self._server:
            return inprocess.client(self.tap)
        from minidocker.cli.remote import client

        return client(self.address)

    @contextmanager
    def listening(self) -> Iterator[list[Exchange]]:
        """What is asked and answered meanwhile; the list is filled at the end."""
        first, talk = len(self.tap.exchanges), list[Exchange]()
        try:
            yield talk
        finally:
            talk += self.tap.exchanges[first:]

    @property
    def has_docker(self) -> bool:
        """Whether there is a docker command, and a socket for it."""
        return bool(shutil.which("docker") and self._server)

    def docker(self, line: str) -> str:
        """What the real docker command prints, or why it fails. Raises Unsupported where there is none."""
        if not self.has_docker:
            raise Unsupported("this needs the docker command, and a UNIX socket")
        ours = {"DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(self.path.parent / "tmp")}
        env = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")} | ours
        words = ["docker", "-H", self.address, *shlex.split(line)]
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60, check=False)
        return done.stderr if done.returncode else done.stdout

    def close(self) -> None:
        """Listen no more; containers run on."""
        if self._server:
            self._server.stop(1.0)


def daemon(engine: Engine) -> Desk:
    """The daemon of an engine; it begins to listen when it is first asked for."""
    root = engine.root.resolve()
    if root not in _open:
        _open[root] = Desk(engine)
    return _open[root]


def close_below(home: Path) -> None:
    """Close the daemons of engines below this folder."""
    for root in [root for root in _open if root.is_relative_to(home.resolve())]:
        _open.pop(root).close()


def tar(name: str, data: bytes) -> bytes:
    """A tar of one file, as `docker cp` sends it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def recorded_run() -> list[Exchange]:
    """What the docker command, 28.2, says when it runs `docker run --rm --name ann shop`, which prints two lines."""
    name, versions = "a" * 64, {"Api-Version": "1.41"}
    create = b'{"Cmd": null, "Image": "shop", "Hostname": "", "Tty": false, "HostConfig": {"AutoRemove": true}}'
    output = b"\1\0\0\0\0\0\0\6hello\n\2\0\0\0\0\0\0\5oops\n"
    asked = (
        ("HEAD", "/_ping", 200, b"", b"", 1, 1),
        ("POST", "/v1.41/containers/create?name=ann", 201, create, b'{"Id": "%s"}' % name.encode(), 1, 2),
        ("POST", f"/v1.41/containers/{name}/attach?stderr=1&stdout=1&stream=1", 101, b"", output, 2, 5),
        ("POST", f"/v1.41/containers/{name}/wait?condition=removed", 200, b"", b'{"StatusCode": 0}', 1, 5),
        ("POST", f"/v1.41/containers/{name}/start", 204, b"", b"", 3, 5),
    )
    return [
        Exchange(method, target, {}, Part(len(sent), sent), status, versions, Part(len(received), received),
                 status == 101, [], True, number, connection, until)
        for number, (method, target, status, sent, received, connection, until) in enumerate(asked, 1)
    ]  # fmt: skip
