"""(r) A registry: push and pull of the image of a Debian root on loopback, ours beside docker-registry.

The layer goes as it is, so that skopeo's gzip is not what is measured; each push is the first one of its bytes. Memory
is the peak of the server's process, after a layer of 1 GB went in and out.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.load_root import debian, docker_archive, made_up
from tests.bench.measure import Action, Report, command
from tests.bench.rivals import Rivals

INSECURE = ("--src-tls-verify=false", "--dest-tls-verify=false")
GIGABYTE = 1 << 30
CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: {host}}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""


class Server:
    """A registry in a process of its own, over a fresh folder whenever it is started."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin anew."""
        self.stop()
        self.folder.mkdir()
        if self.name == "minidocker":
            root = str(self.folder / "root")
            words = [sys.executable, "-m", "minidocker", "--root", root, "registry", "serve", "--addr", self.host]
        else:
            config = self.folder / "config.yml"
            config.write_text(CONFIG.format(folder=self.folder / "root", host=self.host))
            words = ["docker-registry", "serve", str(config)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(tuple(self.host.split(":"))).close()  # type: ignore[arg-type]
                return
            time.sleep(0.05)
        raise RuntimeError("does not start")

    def stop(self) -> None:
        """End it, and forget what it had."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def memory(self) -> float:
        """The peak of its resident memory, in MB."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextlib.contextmanager
def servers(work: Path, names: list[str]) -> Iterator[list[Server]]:
    """Registries that are gone afterwards."""
    found = [Server(name, work / f"{name}-server") for name in names]
    try:
        yield found
    finally:
        for server in found:
            server.stop()


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    if lacking := rivals.missing("skopeo"):
        report.notes.append(f"left out: {lacking}")
        return
    names = ["minidocker", *([] if rivals.missing("docker-registry") else ["docker-registry"])]
    with servers(work, names) as found:
        layout = image(work)
        copy = copier(work)
        rounds = 1 if quick else 5
        push = {f"{one.name}, skopeo push": copy(f"oci:{layout}:x", f"docker://{one.host}/deb:1") for one in found}
        report.side_by_side("push", push, rounds, dict(zip(push, map(fresh, found), strict=True)))
        pull = {
            f"{one.name}, skopeo pull": copy(f"docker://{one.host}/deb:1", f"dir:{work}/{one.name}") for one in found
        }
        report.side_by_side("pull", pull, rounds)
        wire = {f"{one.name}, sent in one PUT": sender(one, layout) for one in found}
        report.side_by_side("the layer alone, by http.client: in", wire, rounds)
        wire = {f"{one.name}, one GET": getter(one) for one in found}
        report.side_by_side("and out", wire, rounds)
        if not quick:
            for one in found:
                one.start()
                send(one.host, lambda: (b"x" * (1 << 20) for _ in range(1024)), GIGABYTE)
                get(one.host)
                report.notes.append(f"peak memory of {one.name} after 1 GB in and out: {one.memory():.0f} MB")


def image(work: Path) -> Path:
    """An OCI layout with the image of a Debian root, its layer not compressed."""
    root = debian() or made_up(work / "rootfs", 200_000_000)
    subprocess.run(["tar", "-C", root, "-cf", work / "layer.tar", "."], check=True)
    archive = docker_archive(work / "layer.tar", work / "image.tar")
    command(
        "skopeo", "copy", "--dest-oci-accept-uncompressed-layers", f"docker-archive:{archive}", f"oci:{work}/oci:x"
    )()
    return work / "oci"


def copier(work: Path) -> Callable[[str, str], Action]:
    """skopeo, with nothing remembered of where it has seen a blob before."""
    environment = {**os.environ, "HOME": str(work), "XDG_DATA_HOME": str(work / "data")}

    def copy(source: str, target: str) -> Action:
        return command("skopeo", "copy", "-q", *INSECURE, "--preserve-digests", source, target, env=environment)

    return copy


def fresh(server: Server) -> Action:
    """Start it anew, and let the disk come to rest."""

    def call() -> None:
        server.start()
        os.sync()

    return call


def sender(server: Server, layout: Path) -> Action:
    """An action that pushes the layer under a new name each time: the bytes and some more."""
    data = max((layout / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size).read_bytes()

    def call() -> None:
        more = os.urandom(16)
        send(server.host, lambda: iter([data, more]), len(data) + 16)

    return call


def getter(server: Server) -> Action:
    """An action that pulls what was pushed last."""
    return lambda: get(server.host)


PUSHED: dict[str, str] = {}  # host -> digest


def send(host: str, pieces: Callable[[], Iterator[bytes]], size: int) -> None:
    """Push a blob in POST and PUT."""
    import hashlib

    sha = hashlib.sha256()
    for piece in pieces():
        sha.update(piece)
    connection = http.client.HTTPConnection(host)
    connection.request("POST", "/v2/deb/blobs/uploads/")
    answer = connection.getresponse()
    answer.read()
    location = answer.headers["Location"].removeprefix(f"http://{host}")
    url = f"{location}{'&' if '?' in location else '?'}digest=sha256:{sha.hexdigest()}"
    connection.request("PUT", url, pieces(), {"Content-Length": str(size)})
    answer = connection.getresponse()
    if answer.status != 201:
        raise RuntimeError(answer.read().decode())
    PUSHED[host] = f"sha256:{sha.hexdigest()}"
    connection.close()


def get(host: str) -> None:
    """Pull it again, to nowhere."""
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/v2/deb/blobs/{PUSHED[host]}")
    answer, room = connection.getresponse(), bytearray(1 << 20)
    while answer.readinto(room):
        pass
    connection.close()
