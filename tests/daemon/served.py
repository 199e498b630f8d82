"""An engine that is served on a UNIX socket of its own, and the clients that speak to it."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import minidocker
from minidocker.daemon.api import Api
from minidocker.engine import Engine
from minidocker.web.server import Server

DOCKER = shutil.which("docker")
needs_docker = pytest.mark.skipif(DOCKER is None, reason="there is no docker command here")


class Line(http.client.HTTPConnection):
    """A connection to a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(str(self.path))


@dataclass
class Answer:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.split(b"\r\n") if line]


@dataclass
class Served:
    """A daemon: its engine, and its socket."""

    engine: Engine
    socket: Path

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Answer:
        """One request. A body that is no bytes goes as JSON, an iterator in chunks."""
        line = Line(self.socket)
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
        asked = path + (f"?{urlencode(query, doseq=True)}" if query else "")
        with contextlib.closing(line):
            line.request(method, asked, body, dict(headers or {}))
            got = line.getresponse()
            return Answer(got.status, dict(got.getheaders()), got.read())

    def sdk(self) -> Any:
        """Docker's SDK."""
        docker = pytest.importorskip("docker")
        return docker.DockerClient(base_url=f"unix://{self.socket}")

    def cli(self, *args: str, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The docker command."""
        assert DOCKER is not None
        env = {"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0"}
        env["HOME"] = env["DOCKER_CONFIG"] = str(self.socket.parent)
        done = subprocess.run(
            [DOCKER, *args], input=stdin, capture_output=True, env=env, cwd=cwd, timeout=120, check=False
        )
        return subprocess.CompletedProcess(args, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextlib.contextmanager
def serve(folder: Path, runtime: str = "") -> Iterator[Served]:
    """Serve an engine whose folder is below this one."""
    path = folder / "d.sock"
    with minidocker.connect(folder / "root", runtime or None) as engine:
        server = Server(Api(engine))
        server.listen_unix(path)
        with server:
            yield Served(engine, path)


def tar(**files: str | bytes) -> bytes:
    """A tar of some files; `__` in a name stands for a dot."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()
