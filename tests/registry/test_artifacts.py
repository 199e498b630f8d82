"""What is said about an image beside it in a registry, and a look at manifests without pulling them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from minidocker import connect
from minidocker.cli import main
from minidocker.engine import Engine
from tests.registry.talk import MANIFEST, Talk, descriptor, index

SIGNATURE = "application/vnd.example.signature+json"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with connect(tmp_path / "engine", "simulated") as engine:
        yield engine


def test_an_artifact_is_attached_and_found_again(engine: Engine, url: str, talk: Talk) -> None:
    made, name = talk.push_image("app", "1"), f"{urlsplit(url).netloc}/app:1"
    assert engine.images.registries.referrers(name) == []
    about = engine.images.registries.attach(name, SIGNATURE, b"signed", annotations={"by": "ada"})
    engine.images.registries.attach(name, "application/spdx+json", b"{}", media_type="application/json")
    found = engine.images.registries.referrers(name, SIGNATURE)
    assert [(one["digest"], one["annotations"]) for one in found] == [(about.digest, {"by": "ada"})]
    assert len(engine.images.registries.referrers(f"{urlsplit(url).netloc}/app@{made}")) == 2
    manifest = talk.ask("GET", f"/v2/app/manifests/{about.digest}").json
    assert manifest["subject"]["digest"] == made
    assert talk.ask("GET", f"/v2/app/blobs/{manifest['layers'][0]['digest']}").body == b"signed"
    assert talk.ask("GET", "/v2/app/manifests/1").headers["Docker-Content-Digest"] == made  # nothing changed


@pytest.fixture
def names(talk: Talk, url: str) -> dict[str, str]:
    """An image whose configuration names its platform, and an index."""
    config = talk.push_blob("app", b'{"architecture": "arm64", "os": "linux", "variant": "v8"}')
    value = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, "x/y", 57), "layers": []}
    made = talk.push_manifest("app", value, "one").headers["Docker-Content-Digest"]
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    talk.push_manifest(
        "app", index(descriptor(made, MANIFEST, len(json.dumps(value))) | {"platform": platform}), "list"
    )
    host = urlsplit(url).netloc
    return {"one": f"{host}/app:one", "list": f"{host}/app:list", "nope": f"{host}/app:nope"}


@pytest.mark.parametrize("which", ["one", "list", "nope"])
@pytest.mark.parametrize("flags", [[], ["-v"]])
def test_manifest_inspect_prints_what_docker_prints(
    engine: Engine, names: dict[str, str], capfd: pytest.CaptureFixture[str], which: str, flags: list[str]
) -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    words = ["manifest", "inspect", "--insecure", *flags, names[which]]
    docker = subprocess.run(["docker", "-H", "unix:///nowhere", *words], capture_output=True, text=True, timeout=120)
    capfd.readouterr()
    code = main(["--root", str(engine.root), *words])
    said = capfd.readouterr()
    assert (code, said.out, said.err) == (docker.returncode, docker.stdout, docker.stderr)
