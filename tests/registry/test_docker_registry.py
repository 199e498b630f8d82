"""Our client at Debian's docker-registry, plain, with passwords and with TLS; skopeo and docker at its other side."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
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
from tests.dockerd import dockerd, missing
from tests.registry.upset import upset
from tests.until import until

pytestmark = pytest.mark.skipif(not shutil.which("docker-registry"), reason="docker-registry is not installed")
PASSWORD = "pass"
HTPASSWD = "ada:$2b$05$.ZSo6s9rluRdUO4TnXctb.X9ZDYZSQnNfz7SO6Vdwn3w280E3RxES\n"


def address(host: str) -> tuple[str, int]:
    name, _, port = host.partition(":")
    return name, int(port)


def answers(address: tuple[str, int]) -> bool:
    """Whether somebody listens."""
    with suppress(OSError), socket.create_connection(address):
        return True
    return False


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
        until(lambda: answers(address(host)))
        yield host
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("MINIDOCKER_ROOT", str(tmp_path / "engine"))
    monkeypatch.setenv("MINIDOCKER_RUNTIME", "simulated")
    with connect(tmp_path / "engine", "simulated") as engine:
        yield engine


def built(engine: Engine, name: str, size: int = 300_000) -> Any:
    folder = engine.root.parent / "context"
    folder.mkdir(exist_ok=True)
    (folder / "data").write_bytes(os.urandom(size))
    image, _ = engine.images.build(path=str(folder), tag=name, text="FROM scratch\nCOPY data /one\nCOPY data /two\n")
    return image


def pushed(engine: Engine, name: str) -> list[dict[str, Any]]:
    messages = list(engine.images.push(name, stream=True, decode=True))
    assert "error" not in messages[-1], messages[-1]
    return messages


def digest_of(messages: list[dict[str, Any]]) -> str:
    return str(messages[-1]["aux"]["Digest"])


def tool(*words: object) -> str:
    if shutil.which(str(words[0])) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def lines(conversation: list[Exchange]) -> list[str]:
    return [f"{one.method} {one.path.split('/')[3] if one.path != '/v2/' else ''}".strip() for one in conversation]


def test_there_and_back(engine: Engine, host: str, tmp_path: Path) -> None:
    image, name = built(engine, f"{host}/team/app:1"), f"{host}/team/app:1"
    first = pushed(engine, name)
    assert first[0] == {"status": f"The push refers to repository [{host}/team/app]"}
    assert sorted(one["status"] for one in first if one.get("progressDetail") == {} and "id" in one) == [
        "Preparing", "Preparing", "Pushed", "Pushed"
    ]  # fmt: skip
    assert first[-2]["status"] == f"1: digest: {digest_of(first)} size: {first[-1]['aux']['Size']}"
    assert image.digests == [f"{host}/team/app@{digest_of(first)}"]
    with connect(tmp_path / "other", "simulated") as other:
        here = other.images.pull(name)
        assert (here.id, here.manifest_digest) == (image.id, digest_of(first))
        assert here.cat("/one") == image.cat("/one")
        here.tag(f"{host}/else/where:2")
        with trace() as conversation:
            assert digest_of(pushed(other, f"{host}/else/where:2")) == digest_of(first)
        assert any("take it from team/app" in one.why and one.status == 201 for one in conversation)
        assert not any(one.sent for one in conversation if one.method in ("PATCH", "POST"))


def test_a_second_push_is_questions_alone(engine: Engine, host: str) -> None:
    built(engine, f"{host}/again:1")
    first = digest_of(pushed(engine, f"{host}/again:1"))
    with trace() as conversation:
        again = pushed(engine, f"{host}/again:1")
    assert digest_of(again) == first
    assert {one.get("status") for one in again if one.get("id")} == {"Preparing", "Layer already exists"}
    assert sorted(lines(conversation)) == ["GET", "HEAD blobs", "HEAD blobs", "HEAD blobs", "PUT manifests"]


@pytest.mark.parametrize("kind", ["v2s2", "oci"])
def test_three_tools_keep_the_digest(engine: Engine, host: str, tmp_path: Path, kind: str) -> None:
    built(engine, "app")
    (tmp_path / "app.tar").write_bytes(b"".join(engine.images.get("app").save()))
    there = f"docker://{host}/{kind}/app:1"
    insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    tool("skopeo", "copy", "-q", *insecure, "--format", kind, f"docker-archive:{tmp_path}/app.tar", there)
    ask = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}"]
    digest = tool(*ask, there).strip()
    image = engine.images.pull(f"{host}/{kind}/app:1")
    assert image.manifest_digest == digest
    image.tag(f"{host}/{kind}/back:1")
    assert digest_of(pushed(engine, f"{host}/{kind}/back:1")) == digest
    assert tool(*ask, f"docker://{host}/{kind}/back:1").strip() == digest
    if kind == "oci":  # of a layout, skopeo sees no others
        assert tool(*ask[:2], *ask[3:], f"oci:{engine.root}:{host}/{kind}/back:1").strip() == digest
    assert engine.containers.create(image, "true").image.id == image.id


def test_the_command_line(engine: Engine, host: str, capfd: pytest.CaptureFixture[str]) -> None:
    image = built(engine, f"{host}/cli")
    engine.images.get(f"{host}/cli").tag(f"{host}/cli", "two")
    assert main(["push", "-a", f"{host}/cli"]) == 0
    assert capfd.readouterr().out.count(": digest: sha256:") == 2
    assert main(["push", "-q", f"{host}/cli"]) == 0
    assert capfd.readouterr().out == f"{host}/cli:latest\n"
    digest = image.digests[0].partition("@")[2]
    assert main(["images", "--digests", "--format", "{{.Tag}} {{.Digest}}"]) == 0
    assert capfd.readouterr().out.splitlines() == [f"latest {digest}", f"two {digest}"]
    assert main(["rmi", "-f", image.id]) == 0
    assert f"Untagged: {host}/cli@{digest}" in capfd.readouterr().out
    assert main(["pull", f"{host}/cli"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[:2] == ["Using default tag: latest", "latest: Pulling from cli"]
    assert {line.partition(": ")[2] for line in out[2:-3]} == {
        "Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"
    }  # fmt: skip
    newer = f"Status: Downloaded newer image for {host}/cli:latest"
    assert out[-3:] == [f"Digest: {digest}", newer, f"{host}/cli:latest"]
    assert main(["pull", "-q", f"{host}/cli@{digest}"]) == 0
    assert capfd.readouterr().out == f"{host}/cli@{digest}\n"
    assert main(["pull", "-a", f"{host}/cli"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == f"{host}/cli"
    assert {*engine.images.get(f"{host}/cli:two").tags} == {f"{host}/cli:latest", f"{host}/cli:two"}
    assert main(["pull", f"{host}/nosuch"]) == 1
    says = (
        f"Error response from daemon: manifest for {host}/nosuch:latest not found: manifest unknown: manifest unknown\n"
    )
    assert capfd.readouterr().err == says
    assert main(["push", f"{host}/notmine"]) == 1
    assert "An image does not exist locally with the tag: " in capfd.readouterr().err


def test_run_and_from_pull_what_is_missing(engine: Engine, host: str, capfd: pytest.CaptureFixture[str]) -> None:
    engine.images.get("minidocker/base").tag(f"{host}/box:1")
    digest = digest_of(pushed(engine, f"{host}/box:1"))

    def gone() -> None:
        engine.images.remove(f"{host}/box:1", force=True)
        capfd.readouterr()

    gone()
    assert main(["run", "--rm", f"{host}/box:1", "echo", "hello"]) == 0
    done = capfd.readouterr()
    assert done.out == "hello\n"
    assert done.err.startswith(f"Unable to find image '{host}/box:1' locally\n1: Pulling from box\n")
    assert main(["run", "--rm", "--pull", "always", f"{host}/box:1", "true"]) == 0
    assert f"Status: Image is up to date for {host}/box:1" in capfd.readouterr().err
    gone()
    assert main(["run", "--rm", "--pull", "never", f"{host}/box:1", "true"]) == 125
    assert f"No such image: {host}/box:1" in capfd.readouterr().err
    assert engine.containers.run(f"{host}/box:1", "echo hi", remove=True) == b"hi\n"
    gone()
    image, _ = engine.images.build(text=f"FROM {host}/box:1\nRUN echo x > /x\n", fileobj=None)
    assert image.cat("/x") == b"x\n"
    gone()
    image, _ = engine.images.build(text=f"FROM {host}/box@{digest}\n", pull=True)
    assert engine.images.get(f"{host}/box@{digest}").id


def test_a_build_is_pushed(engine: Engine, host: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    assert main(["build", "--push", "-t", f"{host}/made:1", str(tmp_path)]) == 0
    assert main(["build", "-o", f"type=registry,name={host}/made:2", str(tmp_path)]) == 0
    ask = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{host}/made:1"]
    assert engine.images.get(f"{host}/made:2").digests == [f"{host}/made@{tool(*ask).strip()}"]
    capfd.readouterr()
    assert main(["build", "--push", str(tmp_path)]) == 1
    assert "tag is needed when pushing to registry" in capfd.readouterr().err
    assert main(["build", "--push", "-t", "127.0.0.1:1/made", str(tmp_path)]) == 1
    assert "failed to push 127.0.0.1:1/made:latest: Get" in capfd.readouterr().err


def test_a_cache_comes_from_a_registry(engine: Engine, host: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    given = {"path": str(tmp_path), "tag": f"{host}/cached:1"}
    engine.images.build(**given, cache_to="type=inline", push=True)
    with connect(tmp_path / "other", "simulated") as other:
        _, build = other.images.build(**given, cache_from=f"type=registry,ref={host}/cached:1")
        assert [step.decision.hit for step in build.steps][1:] == [True]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "htpasswd").write_text(HTPASSWD)
    with serving(folder, f"auth: {{htpasswd: {{realm: x, path: {folder}/htpasswd}}}}\n") as host:
        yield host


def test_login(
    engine: Engine, guarded: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    built(engine, f"{guarded}/app:1")
    assert (
        "no basic auth credentials"
        in list(engine.images.push(f"{guarded}/app:1", stream=True, decode=True))[-1]["error"]
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    assert main(["login", "-u", "ada", "--password-stdin", guarded]) == 1
    assert f"login attempt to http://{guarded}/v2/ failed with status: 401 Unauthorized" in capfd.readouterr().err
    assert main(["login", "-u", "ada", "-p", PASSWORD, guarded]) == 0
    done = capfd.readouterr()
    assert done.out == "Login Succeeded\n"
    assert "WARNING! Using --password via the CLI is insecure." in done.err
    assert main(["login", guarded]) == 0
    assert "Authenticating with existing credentials... [Username: ada]" in capfd.readouterr().out
    assert pushed(engine, f"{guarded}/app:1")
    config = json.loads((engine.root.parent / "docker" / "config.json").read_text())
    assert [*config["auths"]] == [guarded]
    assert main(["logout", guarded]) == 0
    assert capfd.readouterr().out == f"Removing login credentials for {guarded}\n"
    assert main(["pull", f"{guarded}/app:1"]) == 1
    assert engine.login("ada", PASSWORD, registry=guarded)["Status"] == "Login Succeeded"
    assert engine.images.pull(f"{guarded}/app:1").tags
    assert connect(engine.root, "simulated").images.pull(
        f"{guarded}/app", "1", auth_config={"username": "ada", "password": PASSWORD}
    )


def certificate(folder: Path) -> None:
    """A certificate authority, and a server's certificate for 127.0.0.1 of it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=120)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=authority")
    openssl("req", *key, "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=127.0.0.1")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext"]
    openssl("x509", "-req", "-in", "csr.pem", "-out", "cert.pem", *signed)


def test_tls(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate(tmp_path)
    more = f"  tls: {{certificate: {tmp_path}/cert.pem, key: {tmp_path}/key.pem}}\n"
    with serving(tmp_path, more) as host:
        built(engine, f"{host}/app:1")
        with trace() as conversation:
            pushed(engine, f"{host}/app:1")
        assert {one.server for one in conversation} == {f"https://{host}"}
        strict = Request("GET", f"https://{host}/v2/", "")
        with pytest.raises(NotTLS, match="x509: certificate signed by unknown authority"):
            Wire().ask(strict)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
        place = tmp_path / "xdg" / "docker" / "certs.d" / host
        place.mkdir(parents=True)
        shutil.copy(tmp_path / "ca.crt", place / "ca.crt")
        wire = Wire()
        with wire.ask(strict) as answer:
            assert answer.status == 200
        wire.close()


def test_plain_http_where_tls_is_wanted(host: str) -> None:
    with pytest.raises(NotTLS, match="server gave HTTP response to HTTPS client"):
        Wire().ask(Request("GET", f"https://{host}/v2/", ""))
    assert [one.scheme for one in Settings().endpoints("reg.lan")] == ["https"]
    assert [one.url for one in Settings(insecure=("10.0.0.0/8",)).endpoints("10.1.2.3:5000")][
        1
    ] == "http://10.1.2.3:5000"


@contextmanager
def cutting(host: str, after: int) -> Iterator[str]:
    """A way to a server that breaks off, once: the first connection over which so many bytes have gone one way."""
    listener = socket.create_server(("127.0.0.1", 0))
    uncut = threading.Lock()  # who gets it is the one that cuts

    def carry(one: socket.socket, other: socket.socket) -> None:
        gone = 0
        with suppress(OSError):
            while data := one.recv(65536):
                gone += len(data)
                if gone > after and uncut.acquire(blocking=False):
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
    if why := missing():
        pytest.skip(why)
    engine.images.get("minidocker/base").tag(f"{host}/ours:1")
    pushed(engine, f"{host}/ours:1")
    with dockerd(tmp_path) as where:
        docker = ["docker", "-H", where]
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
