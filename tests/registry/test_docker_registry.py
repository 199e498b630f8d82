"""Our client at Debian's docker-registry, plain, with passwords and with TLS; skopeo and docker at its other side."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from minidocker import connect
from minidocker.cli import main
from minidocker.engine import Engine
from minidocker.registry.settings import Settings
from minidocker.registry.trace import Exchange, trace
from minidocker.registry.wire import NotTLS, Request, Wire
from tests.registry.upset import upset

pytestmark = pytest.mark.skipif(not shutil.which("docker-registry"), reason="docker-registry is not installed")
PASSWORD = "pass"
HTPASSWD = "ada:$2b$05$.ZSo6s9rluRdUO4TnXctb.X9ZDYZSQnNfz7SO6Vdwn3w280E3RxES\n"


def address(host: str) -> tuple[str, int]:
    name, _, port = host.partition(":")
    return name, int(port)


@contextmanager
def serving(folder: Path, more: str = "") -> Iterator[str]:
    """A docker-registry of our own on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
        f"http:\n  addr: {host}\n{more}"
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(address(host), 1):
                break
            time.sleep(0.02)
        yield host
    finally:
        process.kill()
        process.wait()


@contextmanager
def cutting(host: str, after: int) -> Iterator[str]:
    """A way to a server that breaks off the first connection over which so many bytes have gone."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = [after]

    def carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                left[0] -= len(data)
                if left[0] < 0 and left[0] + len(data) >= 0:
                    break
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                one, _ = listener.accept()
                other = socket.create_connection(address(host))
                for pair in ((one, other), (other, one)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_push_that_is_cut_goes_on(engine: Engine, host: str, tmp_path: Path) -> None:
    image = built(engine, "big", 3_000_000)
    with cutting(host, 2_000_000) as way:
        image.tag(f"{way}/cut:1")
        with trace() as conversation:
            digest = digest_of(pushed(engine, f"{way}/cut:1"))
    assert any(one.why == "how far did it come?" for one in conversation)
    with connect(tmp_path / "other", "simulated") as other, cutting(host, 2_000_000) as way:
        with trace() as conversation:
            assert other.images.pull(f"{way}/cut:1").manifest_digest == digest
        assert [one.why for one in conversation].count("the rest of the blob") == 1


def test_a_layer_is_sent_in_chunks_of_what_the_registry_asks_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minidocker.registry.upload.CHUNK", 50_000)
    image = built(engine, "app")
    got: dict[str, bytes] = {"all": b""}

    def begin(here: Any) -> None:
        got["all"] = b""
        here.reply(202, Location="/v2/app/up?x=0", OCI_Chunk_Min_Length="70000")

    def patch(here: Any) -> None:
        start = int(here.headers["Content-Range"].partition("-")[0])
        assert start == len(got["all"])
        got["all"] += here.body
        here.reply(202, Location="/v2/app/up?x=1", Range=f"0-{len(got['all']) - 1}")

    with upset() as server:
        server.rules["POST", "/v2/app/blobs/uploads/"] = begin
        server.rules["PATCH", "/v2/app/up?x="] = patch
        server.rules["PUT", "/v2/app/up"] = lambda here: here.reply(201)
        server.rules["PUT", "/v2/app/manifests/1"] = lambda here: here.reply(201)
        (engine.root / "daemon.json").write_text('{"max-concurrent-uploads": 1}')
        image.tag(f"{server.host}/app:1")
        pushed(engine, f"{server.host}/app:1")
        sizes = [int(one["content-length"]) for one in server.asked("PATCH", "/v2/app/up")]
    assert sizes[0] == 70000
    assert max(sizes) == 70000


def test_docker_pulls_what_we_pushed_and_we_what_it_pushed(engine: Engine, host: str, tmp_path: Path) -> None:
    if not shutil.which("dockerd") or not shutil.which("docker") or os.geteuid() != 0:
        pytest.skip("dockerd is not installed, or this is not root")
    engine.images.get("minidocker/base").tag(f"{host}/ours:1")
    pushed(engine, f"{host}/ours:1")
    where = f"unix://{tmp_path}/d.sock"
    options = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    words = ["dockerd", "-H", where, *(f"--{name}={tmp_path / place}" for name, place in options.items())]
    daemon = subprocess.Popen(
        [*words, "--iptables=false", "--bridge=none"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        docker = ["docker", "-H", where]
        for _ in range(100):
            if subprocess.run([*docker, "version"], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        else:
            pytest.skip("dockerd does not start here")
        out = tool(*docker, "pull", f"{host}/ours:1").splitlines()
        (digest,) = [line for line in out if line.startswith("Digest: ")]
        engine.images.remove(f"{host}/ours:1", force=True)
        said: list[str] = []
        engine.images.pull(f"{host}/ours:1", on_event=lambda one: said.append(one.get("status", "")))
        assert said[-2:] == [digest, f"Status: Downloaded newer image for {host}/ours:1"]
        tool(*docker, "tag", f"{host}/ours:1", f"{host}/theirs:1")
        pushed_by_docker = tool(*docker, "push", f"{host}/theirs:1").splitlines()[-1]
        theirs = engine.images.pull(f"{host}/theirs:1")
        assert theirs.manifest_digest in pushed_by_docker
        assert theirs.id == engine.images.get(f"{host}/ours:1").id
    finally:
        daemon.terminate()
        daemon.wait(30)
        subprocess.run(["umount", "-R", "-q", tmp_path / "data"], check=False)
