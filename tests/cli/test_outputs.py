"""build -o and its companions on the command line."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY a.txt /\n")
    (folder / "a.txt").write_text("A")
    return folder


def test_a_tar_on_stdout_is_nothing_but_the_tar(bare: Any, context: Path) -> None:
    done = bare("build", "-o", "-", str(context))
    with tarfile.open(fileobj=io.BytesIO(done.raw)) as tar:
        assert tar.getnames() == ["a.txt"]
    assert done.code == 0
    assert "COPY a.txt /" in done.err, "how it goes is told on the other stream"


def test_short_forms_and_several(bare: Any, context: Path, tmp_path: Path) -> None:
    bare.ok(
        "build", "-q", "-o", str(tmp_path / "o"), f"--output=type=docker,dest={tmp_path}/d.tar", "-t", "x", str(context)
    )
    assert (tmp_path / "o" / "a.txt").read_text() == "A"
    bare.ok("rmi", "x")
    assert bare.ok("load", "-i", f"{tmp_path}/d.tar") == "Loaded image: x:latest"


def test_metadata_iid_and_provenance(bare: Any, context: Path, tmp_path: Path) -> None:
    meta, iid = tmp_path / "m.json", tmp_path / "iid"
    files = ["--metadata-file", str(meta), "--iidfile", str(iid)]
    id = bare.ok("build", "-q", *files, "--provenance=mode=max", "--build-arg", "V=1", str(context))
    said = json.loads(meta.read_text())
    assert iid.read_text() == said["containerimage.config.digest"] == id
    assert said["buildx.build.provenance"]["invocation"]["parameters"]["args"] == {"build-arg:V": "1"}


def test_several_platforms(bare: Any, context: Path, tmp_path: Path) -> None:
    done = bare("build", "--platform", "linux/amd64,linux/arm64", str(context))
    assert done.code == 1 and "does not currently support exporting manifest lists" in done.err
    bare.ok("build", "-q", "--platform=linux/amd64", "--platform=linux/arm64", "-o", str(tmp_path / "o"), str(context))
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["linux_amd64", "linux_arm64"]


def test_a_cache_goes_and_comes(bare: Any, context: Path, tmp_path: Path) -> None:
    there = tmp_path / "cache"
    bare.ok("build", "-q", "--cache-to", f"type=local,dest={there}", str(context))
    bare.ok("builder", "prune", "-f")
    plan = bare.ok("build", "--plan", "--cache-from", f"type=local,src={there}", str(context))
    assert "hit" in plan and "miss" not in plan


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--push"], "tag is needed when pushing to registry"),
        (["--sbom=true"], "does not scan"),
        (["-o", "type=registry"], "tag is needed when pushing to registry"),
        (["--cache-to", "type=gha"], "type=gha is not supported"),
        (["--provenance=true"], "--metadata-file"),
        (["-o", "type=what"], "exporter 'what' could not be found"),
    ],
)
def test_what_is_not_done_is_refused_by_name(bare: Any, context: Path, options: list[str], words: str) -> None:
    done = bare("build", *options, str(context))
    assert done.code != 0
    assert words in done.err
