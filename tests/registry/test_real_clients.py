"""The tools that people push and pull with, at a registry of ours, on loopback; what is not installed is skipped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from minidocker import connect
from minidocker.content import Store
from minidocker.fsck import problems
from minidocker.registry.server import Registry
from minidocker.registry.serving import serving
from minidocker.registry.users import Users, line
from tests.dockerd import dockerd, missing
from tests.registry.talk import MANIFEST, Talk, digest, with_options

INSECURE = ["--src-tls-verify=false", "--dest-tls-verify=false"]


def tool(*words: object, **options: Any) -> str:
    """What a tool prints; the test skips where it is not installed."""
    if shutil.which(str(words[0])) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout with an image of two layers: `oci:LAYOUT:app`."""
    folder = tmp_path_factory.mktemp("made")
    with connect(folder / "store", "simulated") as engine:
        (folder / "context").mkdir()
        (folder / "context" / "data").write_bytes(os.urandom(300_000))
        (folder / "context" / "Dockerfile").write_text("FROM scratch\nCOPY data /one\nCOPY data /two\n")
        engine.images.build(path=str(folder / "context"), tag="app")
        (folder / "app.tar").write_bytes(b"".join(engine.images.get("app").save()))
    tool("skopeo", "copy", "-q", f"docker-archive:{folder}/app.tar", f"oci:{folder}/layout:app")
    return folder / "layout"


def manifest_digest(folder: Path) -> str:
    """Of what skopeo left in a `dir:`."""
    return digest((folder / "manifest.json").read_bytes())


def test_skopeo_pushes_pulls_lists_and_deletes(url: str, talk: Talk, layout: Path, tmp_path: Path) -> None:
    there = f"docker://{urlsplit(url).netloc}/team/app:1"
    tool("skopeo", "copy", "-q", *INSECURE, f"oci:{layout}:app", there)
    tool("skopeo", "copy", "-q", *INSECURE, "--preserve-digests", there, f"dir:{tmp_path}/back")
    pushed = talk.ask("GET", "/v2/team/app/manifests/1")
    assert (tmp_path / "back/manifest.json").read_bytes() == pushed.body
    listed = json.loads(tool("skopeo", "list-tags", "--tls-verify=false", there.removesuffix(":1")))
    assert listed["Tags"] == ["1"]
    assert tool("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", there).strip() == digest(
        pushed.body
    )
    tool("skopeo", "copy", "-q", *INSECURE, there, there.replace("team/app", "other"))  # blobs are mounted
    tool("skopeo", "delete", "--tls-verify=false", there)
    assert talk.ask("GET", "/v2/team/app/tags/list").json["tags"] == []


@pytest.mark.parametrize("kind", ["v2s2", "oci"])
def test_an_image_comes_through_three_tools_with_its_digest(url: str, layout: Path, tmp_path: Path, kind: str) -> None:
    host = urlsplit(url).netloc
    tool("skopeo", "copy", "-q", *INSECURE, "--format", kind, f"oci:{layout}:app", f"docker://{host}/app:{kind}")
    tool(
        "skopeo", "copy", "-q", *INSECURE, "--preserve-digests", f"docker://{host}/app:{kind}", f"dir:{tmp_path}/first"
    )
    if kind == "oci" and shutil.which("umoci"):
        tool("skopeo", "copy", "-q", *INSECURE, f"docker://{host}/app:oci", f"oci:{tmp_path}/u:app")
        tool("umoci", "tag", "--image", f"{tmp_path}/u:app", "again")
        tool(
            "skopeo",
            "copy",
            "-q",
            *INSECURE,
            "--preserve-digests",
            f"oci:{tmp_path}/u:again",
            f"docker://{host}/app:{kind}",
        )
    tool("skopeo", "copy", "-q", *INSECURE, "--preserve-digests", f"docker://{host}/app:{kind}", f"dir:{tmp_path}/last")
    assert manifest_digest(tmp_path / "first") == manifest_digest(tmp_path / "last")


def test_buildah_pushes_and_pulls(url: str, layout: Path, tmp_path: Path, talk: Talk) -> None:
    if os.geteuid() != 0:
        pytest.skip("buildah is tried as root alone")
    host = urlsplit(url).netloc
    where = ["buildah", "--root", tmp_path / "root", "--runroot", tmp_path / "run", "--storage-driver", "vfs"]
    pulled = tool(*where, "pull", "-q", "--policy", "always", f"oci:{layout}:app").strip()
    tool(*where, "push", "-q", "--tls-verify=false", pulled, f"docker://{host}/by/buildah:x")
    assert talk.ask("GET", "/v2/by/buildah/tags/list").json["tags"] == ["x"]
    assert tool(*where, "pull", "-q", "--tls-verify=false", f"{host}/by/buildah:x").strip() == pulled


def test_docker_pushes_and_pulls(url: str, layout: Path, tmp_path: Path, docker: list[str]) -> None:
    name = f"{urlsplit(url).netloc}/by/docker:x"
    tool("skopeo", "copy", "-q", f"oci:{layout}:app", f"docker-archive:{tmp_path}/app.tar:{name}")
    tool(*docker, "load", "-q", "-i", tmp_path / "app.tar")
    before = tool(*docker, "inspect", "-f", "{{.Id}}", name)
    pushed = tool(*docker, "push", name)
    assert "digest: sha256:" in pushed
    tool(*docker, "rmi", "-f", name)
    assert "Downloaded newer image" in tool(*docker, "pull", name)
    assert tool(*docker, "inspect", "-f", "{{.Id}}", name) == before
    assert "Layer already exists" in tool(*docker, "push", name)


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[list[str]]:
    """Debian's Docker, as the words before a command."""
    if why := missing():
        pytest.skip(why)
    with dockerd(tmp_path, "--storage-driver=vfs") as where:
        yield ["docker", "-H", where]


def test_50_pulls_at_once(url: str, talk: Talk) -> None:
    data = os.urandom(500_000)
    name = talk.push_blob("a", data)

    def pull(_: int) -> bool:
        own = Talk(url)
        try:
            return all(own.ask("GET", f"/v2/a/blobs/{name}").body == data for _ in range(3))
        finally:
            own.close()

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(pull, range(50)))


# --- who is let in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anonymous_pull", [False, True])
def test_login_push_and_pull_with_a_password(tmp_path: Path, layout: Path, anonymous_pull: bool) -> None:
    users = Users.parse(line("ada", "secret", cost=4))
    with serving(Registry(Store(tmp_path / "store"), users, anonymous_pull), "127.0.0.1:0") as url:
        host = urlsplit(url).netloc
        auth = tmp_path / "auth.json"
        words = ["skopeo", "login", "--tls-verify=false", "--authfile", auth, "-u", "ada"]
        tool(*words, "-p", "secret", host)
        tool("skopeo", "copy", "-q", *INSECURE, "--dest-authfile", auth, f"oci:{layout}:app", f"docker://{host}/a:1")
        if shutil.which("skopeo"):
            wrong = subprocess.run([*map(str, words), "-p", "wrong", host], capture_output=True)
            assert wrong.returncode
        refused = Talk(url).ask("GET", "/v2/")
        assert (refused.status, refused.code) == (401, "UNAUTHORIZED")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer " if anonymous_pull else "Basic ")
        if anonymous_pull:
            tool("skopeo", "copy", "-q", *INSECURE, "--src-no-creds", f"docker://{host}/a:1", f"dir:{tmp_path}/back")
            push = ["skopeo", "copy", "-q", *INSECURE, "--dest-no-creds", f"oci:{layout}:app", f"docker://{host}/a:2"]
            assert subprocess.run(push, capture_output=True).returncode


# --- a crash at any moment ------------------------------------------------------------------------------------------


class Program:
    """A registry in a process of its own, that can be killed."""

    def __init__(self, root: Path) -> None:
        words = [sys.executable, "-m", "minidocker", "--root", str(root), "registry", "serve", "--addr", "127.0.0.1:0"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split("Registry at ")[1].split(",")[0]

    def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process.stdout is not None
        self.process.send_signal(number)
        self.process.stdout.close()
        return self.process.wait(120)


def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    assert Program(tmp_path).kill(signal.SIGTERM) == 0


@pytest.mark.parametrize("after", [0.002, 0.01, 0.03, 0.06])
def test_killed_in_the_middle_and_started_again_it_goes_on(tmp_path: Path, after: float) -> None:
    data = os.urandom(40 << 20)
    name, program = digest(data), Program(tmp_path)
    talk = Talk(program.url)
    location = talk.start("a")

    def push() -> None:
        try:
            Talk(program.url).ask("PATCH", location, data)
            Talk(program.url).ask("PUT", with_options(location, digest=name), b"")
        except OSError:
            pass

    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push)
        time.sleep(after)
        program.kill()
        pushing.result()
    assert list(problems(Store(tmp_path))) == []
    again = Program(tmp_path)
    talk = Talk(again.url)
    if talk.ask("HEAD", f"/v2/a/blobs/{name}").status == 404:
        status = talk.ask("GET", location)
        have = int(status.headers["Range"].partition("-")[2]) + 1
        start = have if have > 1 else 0
        assert talk.ask("PATCH", location, data[start:], Content_Range=f"{start}-{len(data) - 1}").status == 202
        assert talk.ask("PUT", with_options(location, digest=name), b"").status == 201
    value = {"schemaVersion": 2, "config": {"mediaType": "x", "digest": name, "size": len(data)}, "layers": []}
    assert talk.push_manifest("a", value, "t", MANIFEST).status == 201
    assert hashlib.sha256(talk.ask("GET", f"/v2/a/blobs/{name}").body).hexdigest() == name[7:]
    assert again.kill(signal.SIGTERM) == 0
    assert list(problems(Store(tmp_path))) == []
