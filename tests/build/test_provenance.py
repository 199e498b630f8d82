"""What an image was built from, as BuildKit says it; and that nothing takes the statement for an image."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from minidocker.archive import load
from minidocker.build.provenance import Attest
from minidocker.content import Store
from minidocker.errors import InvalidArgument
from minidocker.images import Images

TEXT = "FROM busybox AS b\nARG V=1\nRUN --network=none echo $V > /v\nFROM scratch\nCOPY --from=b /v /\n"
V02, V1 = "https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"
ASKED: dict[str, Any] = {"buildargs": {"V": "hush"}, "labels": {"l": "x"}, "target": ""}


def blobs(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isreg()}  # type: ignore[union-attr]


def built(workshop: Any, out: Path, provenance: str = "true", **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The index that comes out of a build, and the statement in it."""
    workshop.build(TEXT, output=f"type=oci,dest={out}", provenance=provenance, **(ASKED | options))
    files = blobs(out)

    def read(blob: dict[str, Any]) -> Any:
        return json.loads(files["blobs/sha256/" + blob["digest"][7:]])

    top = json.loads(files["index.json"])["manifests"][0]  # one for each name
    index = read(top)
    attestation = read(index["manifests"][-1])
    config = read(attestation["config"])
    assert config == {
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in attestation["layers"]]},
    }
    (layer,) = attestation["layers"]
    statement = read(layer)
    assert layer["mediaType"] == "application/vnd.in-toto+json"
    assert layer["annotations"] == {"in-toto.io/predicate-type": statement["predicateType"]}
    return index, statement


@pytest.mark.parametrize(
    ("text", "attest"),
    [
        ("", None),
        ("false", None),
        ("0", None),
        ("true", Attest()),
        ("mode=max", Attest(full=True)),
        ("mode=min,version=v1,builder-id=https://ci/1", Attest(version="v1", builder="https://ci/1")),
        ("mode=max,reproducible=true", Attest(full=True, reproducible=True)),
        ("disabled=true,mode=max", None),
    ],
)
def test_what_is_asked_for(text: str, attest: Attest | None) -> None:
    assert Attest.parse(text) == attest
    assert Attest.of(text or None, []) == attest
    assert Attest.of(None, [f"type=provenance,{text}"] if "=" in text else []) == (attest if "=" in text else None)


@pytest.mark.parametrize("text", ["mode=mid", "version=v3", "colour=red", "mode", "reproducible=perhaps"])
def test_what_makes_no_sense(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Attest.parse(text)
    for attests in (["mode=max"], ["type=vex"], ["type=provenance", "type=provenance,mode=max"]):
        with pytest.raises(InvalidArgument):
            Attest.of(None, attests)


def test_the_attestation_points_at_the_image(workshop: Any, tmp_path: Path) -> None:
    index, statement = built(workshop, tmp_path / "o.tar", tag=["app:1", "app:2"])
    image, attestation = index["manifests"]
    assert attestation["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert attestation["annotations"] == {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    assert statement["_type"] == "https://in-toto.io/Statement/v0.1"
    assert [one["digest"]["sha256"] for one in statement["subject"]] == [image["digest"][7:]] * 2
    assert statement["subject"][0]["name"].startswith("pkg:docker/app@1?platform=linux%2F")


def test_min_says_nothing_that_may_be_private(workshop: Any, tmp_path: Path) -> None:
    _, statement = built(workshop, tmp_path / "o.tar")
    said = statement["predicate"]
    assert statement["predicateType"] == V02
    assert "hush" not in json.dumps(statement) and '"l"' not in json.dumps(statement)
    assert said["buildType"] == "https://mobyproject.org/buildkit@v1"
    assert said["builder"] == {"id": ""}
    assert said["invocation"]["configSource"] == {"entryPoint": "Dockerfile"}
    assert said["invocation"]["parameters"]["frontend"] == "dockerfile.v0"
    assert "args" not in said["invocation"]["parameters"] and "buildConfig" not in said
    assert said["metadata"]["completeness"] == {"parameters": False, "environment": True, "materials": False}
    assert said["metadata"]["https://mobyproject.org/buildkit@v1#hermetic"] is True
    base = workshop.images.get("busybox").manifest_digest
    (material,) = said["materials"]
    assert material["uri"].startswith("pkg:docker/busybox@latest?platform=linux%2F")
    assert material["digest"] == {"sha256": base[7:]}


def test_max_says_it_all(workshop: Any, tmp_path: Path) -> None:
    _, statement = built(workshop, tmp_path / "o.tar", "mode=max,builder-id=https://ci/7", target="b")
    said = statement["predicate"]
    assert said["builder"] == {"id": "https://ci/7"}
    args = said["invocation"]["parameters"]["args"]
    assert args == {"build-arg:V": "hush", "label:l": "x", "target": "b"}
    assert said["metadata"]["completeness"]["parameters"] is True
    source = said["metadata"]["https://mobyproject.org/buildkit@v1#metadata"]["source"]
    assert base64.b64decode(source["infos"][0]["data"]).decode() == TEXT
    assert [step["instruction"] for step in said["buildConfig"]["steps"]][:2] == ["FROM busybox AS b", "ARG V=1"]


def test_version_one(workshop: Any, tmp_path: Path) -> None:
    _, statement = built(workshop, tmp_path / "o.tar", "version=v1,mode=max")
    assert statement["predicateType"] == V1
    definition, run = (statement["predicate"][key] for key in ("buildDefinition", "runDetails"))
    assert definition["externalParameters"]["configSource"] == {"path": "Dockerfile"}
    assert definition["externalParameters"]["request"]["args"]["build-arg:V"] == "hush"
    assert definition["resolvedDependencies"][0]["uri"].startswith("pkg:docker/busybox")
    assert run["metadata"]["buildkit_completeness"] == {"request": True, "resolvedDependencies": False}
    assert run["metadata"]["startedOn"] <= run["metadata"]["finishedOn"]


def test_secrets_are_never_in_it(workshop: Any, tmp_path: Path) -> None:
    text = "FROM busybox\nRUN --mount=type=secret,id=key cat /run/secrets/key > /dev/null\n"
    out, meta = tmp_path / "o.tar", tmp_path / "meta.json"
    cache = f"type=local,dest={tmp_path}/cache,mode=max"
    secrets = {"key": "s3cr3t-value"}
    build = workshop.build(
        text,
        output=f"type=oci,dest={out},compression=uncompressed",
        provenance="mode=max",
        secrets=secrets,
        metadata_file=str(meta),
        cache_to=[cache, "type=inline"],
    )
    everything = [out, meta, *(path for path in (tmp_path / "cache").rglob("*") if path.is_file())]
    assert not any(b"s3cr3t" in path.read_bytes() for path in everything)
    assert "s3cr3t" not in repr(build) and "s3cr3t" not in str(vars(build))


def test_what_add_fetched_is_a_material(workshop: Any, tmp_path: Path) -> None:
    import runpy

    site = runpy.run_path(str(Path(__file__).parent / "site.py"))
    with site["serve"](tmp_path) as server:
        url = server.put("/a.txt", "hello")
        workshop.build(f"FROM scratch\nADD {url} /\n", provenance="true", metadata_file=str(tmp_path / "m.json"))
    said = json.loads((tmp_path / "m.json").read_text())["buildx.build.provenance"]
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert said["materials"] == [{"uri": url, "digest": {"sha256": digest}}]


# Nothing takes it for an image


def test_we_load_the_image_and_not_the_attestation(workshop: Any, tmp_path: Path) -> None:
    built(workshop, tmp_path / "o.tar", tag="app:1")
    images = Images(Store(tmp_path / "other"))
    ((image, names),) = load(images, tmp_path / "o.tar")
    assert names == ["app:1"]
    assert [one.id for one in images.list()] == [image.id]
    assert image.raw["os"] == "linux"


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_finds_the_image(workshop: Any, tmp_path: Path) -> None:
    built(workshop, tmp_path / "o.tar", tag="app:1")
    where = f"oci-archive:{tmp_path}/o.tar:1"
    out = subprocess.run(["skopeo", "inspect", "--config", where], capture_output=True, check=True).stdout
    assert json.loads(out)["rootfs"]["diff_ids"] == workshop.images.get("app:1").diff_ids


def test_local_has_it_as_a_file(workshop: Any, tmp_path: Path) -> None:
    workshop.build(TEXT, output=f"type=local,dest={tmp_path}/o,attestation-prefix=p-", provenance="true")
    statement = json.loads((tmp_path / "o" / "p-provenance.json").read_text())
    assert [one["name"] for one in statement["subject"]] == ["v"]
