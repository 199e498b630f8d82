"""TCP with TLS: whoever has a certificate of the authority is served, also with streams both ways; nobody else is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import minidocker
from minidocker.daemon.api import Api
from minidocker.daemon.serving import guarded
from minidocker.web.server import Server, tls_context

docker_sdk = pytest.importorskip("docker")
pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="the containers of these tests are Linux's")

IMAGE = "minidocker/base"
Docker = Callable[..., "subprocess.CompletedProcess[str]"]


def signed(folder: Path, name: str, ca: Path | None, more: str = "") -> None:
    """A key and a certificate, signed by an authority or by itself."""
    words = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} {more}"
    if ca:
        words += f" -CA {ca}/ca.pem -CAkey {ca}/ca-key.pem"
    files = f" -keyout {folder}/{name}-key.pem -out {folder}/{name}.pem"
    subprocess.run((words + files).split(), check=True, capture_output=True)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca`, `cert` and `key` as docker's clients look for them, and the server's own; a stranger's in `other`."""
    folder = tmp_path_factory.mktemp("papers")
    (folder / "other").mkdir()
    plain = "-addext basicConstraints=critical,CA:FALSE"
    try:
        signed(folder, "ca", None)
        signed(folder, "server", folder, f"{plain} -addext subjectAltName=IP:127.0.0.1")
        signed(folder, "client", folder, plain)
        signed(folder / "other", "ca", None)
        signed(folder / "other", "client", folder / "other", plain)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl makes no certificates here")
    for where in (folder, folder / "other"):
        (where / "client.pem").rename(where / "cert.pem")
        (where / "client-key.pem").rename(where / "key.pem")
    shutil.copy(folder / "ca.pem", folder / "other" / "ca.pem")
    return folder


@pytest.fixture(scope="module")
def address(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with minidocker.connect(tmp_path_factory.mktemp("tls")) as engine:
        if engine.runtime.name != "namespaces":
            pytest.skip("the containers of these tests are real ones")
        engine.images.get(IMAGE)
        server = Server(guarded(Api(engine)))
        tls = tls_context(papers / "server.pem", papers / "server-key.pem", papers / "ca.pem")
        host, port = server.listen("127.0.0.1", 0, tls)
        with server:
            yield f"{host}:{port}"


@pytest.fixture
def docker(address: str) -> Docker:
    """The docker command, with the certificates of a folder."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker command here")

    def run(papers: Path, *words: str, stdin: str = "", tls: str = "1") -> subprocess.CompletedProcess[str]:
        env = os.environ | {"DOCKER_HOST": f"tcp://{address}", "DOCKER_CERT_PATH": str(papers)}
        env |= {"DOCKER_TLS_VERIFY": tls, "DOCKER_CONFIG": str(papers)}
        return subprocess.run(
            ["docker", *words], input=stdin, env=env, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_the_docker_command_with_a_certificate(docker: Docker, papers: Path) -> None:
    said = docker(papers, "run", "--rm", "-i", IMAGE, "sh", "-c", "cat; echo err >&2; exit 3", stdin="typed\n")
    assert (said.returncode, said.stdout, said.stderr) == (3, "typed\n", "err\n")
    docker(papers, "run", "-d", "--name", "box", IMAGE, "sleep", "1000")
    large = "0123456789abcdef" * 20_000
    assert docker(papers, "exec", "-i", "box", "cat", stdin=large).stdout == large
    assert docker(papers, "rm", "-f", "box").returncode == 0


def test_without_one_or_with_a_strangers(docker: Docker, papers: Path, tmp_path: Path) -> None:
    shutil.copy(papers / "ca.pem", tmp_path)
    for other in (tmp_path, papers / "other"):
        done = docker(other, "ps")
        assert done.returncode == 1
        assert done.stdout == ""
    assert docker(tmp_path, "ps", tls="").returncode == 1, "nor without TLS at all"


def test_the_sdk(address: str, papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # to requests, these count more than what it is told
        monkeypatch.delenv(name, raising=False)
    own = (str(papers / "cert.pem"), str(papers / "key.pem"))
    tls = docker_sdk.tls.TLSConfig(client_cert=own, ca_cert=str(papers / "ca.pem"), verify=True)
    client = docker_sdk.DockerClient(base_url=f"https://{address}", tls=tls)
    box = client.containers.run(IMAGE, "sleep 1000", detach=True)
    assert box.exec_run("echo hello").output == b"hello\n"
    assert b"".join(box.exec_run("seq 20000", stream=True).output).endswith(b"20000\n")
    box.remove(force=True)
    client.close()
    nobody = docker_sdk.tls.TLSConfig(ca_cert=str(papers / "ca.pem"), verify=True)
    with pytest.raises(docker_sdk.errors.DockerException):
        docker_sdk.DockerClient(base_url=f"https://{address}", tls=nobody).ping()
