"""The same contexts, built now by a real dockerd's BuildKit and by us: what we recorded holds, and RUN is real."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.archive import import_
from minidocker.build import build_image
from minidocker.content import Store
from minidocker.images import Images
from minidocker.runtime import probe
from tests.dockerd import dockerd

NEEDED = [tool for tool in ("dockerd", "/usr/bin/docker", "/bin/busybox") if not shutil.which(tool)]
pytestmark = [
    pytest.mark.skipif(bool(NEEDED), reason=f"not installed: {', '.join(NEEDED)}"),
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="dockerd needs root"),
]
CASES = (
    "env_run workdir_user onbuild_triggered stages copy_from_links copy_chown run_delete run_kinds run_network_none "
    "mount_bind mount_from mount_tmpfs mount_cache mount_secret"
).split()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, recorder: dict[str, Any]) -> Iterator[None]:
    """A dockerd of our own, with busybox in it, for as long as this module takes."""
    root = tmp_path_factory.mktemp("d")
    with pytest.MonkeyPatch.context() as patch, dockerd(root) as where:
        patch.setenv("DOCKER_HOST", where)
        recorder["import_busybox"](root / "busybox")
        yield


@pytest.fixture(scope="module")
def engine(daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:  # noqa: ARG001
    """The same busybox in a store of ours, and real containers to run steps in."""
    if not probe.report().works:
        pytest.skip("no namespaces here")
    from minidocker.runtime.namespaces import Namespaces

    class Engine:
        store = Store(tmp_path_factory.mktemp("store"))
        images = Images(store)
        runtime = Namespaces()

    folder = tmp_path_factory.getbasetemp() / "d0" / "busybox"
    tar = subprocess.run(["tar", "-C", str(folder), "-c", "."], capture_output=True, check=True).stdout
    Engine.images.tag(import_(Engine.images, tar, {"history": [{"comment": "Imported from -"}]}), "busybox")
    yield Engine
    Engine.runtime.close()


@pytest.mark.parametrize("name", CASES)
def test_buildkit_and_we_agree(
    name: str, engine: Any, recorder: dict[str, Any], cases: Any, tmp_path: Path, same_as: Callable[..., None]
) -> None:
    case = cases["GOOD"][name]
    theirs = recorder["build"](case, buildkit=True)
    (tmp_path / "Dockerfile").write_text(case["dockerfile"])
    recorder["write"](tmp_path, case["files"])
    ours = build_image(engine, path=tmp_path, **recorder["as_options"](case["args"]))
    same_as(ours.image, theirs)


OUT = """\
FROM busybox AS b
RUN mkdir -p /o/d && echo hi > /o/d/f && ln -s d/f /o/l && ln /o/d/f /o/d/g && chmod 4751 /o/d/f && chown 7:8 /o/d
FROM scratch
COPY --from=b /o /
COPY --chmod=600 a.txt /x/
CMD ["x"]
"""


def members(data: bytes) -> dict[str, tuple[Any, ...]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {one.name.strip("/"): (one.type, one.mode, one.uid, one.gid, one.linkname.strip("/")) for one in tar}


def on_disk(folder: Path) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for path in folder.rglob("*"):
        info, is_link = path.lstat(), path.is_symlink()
        what = str(path.readlink()) if is_link else path.read_bytes() if path.is_file() else b""
        found[path.relative_to(folder).as_posix()] = (oct(info.st_mode), info.st_uid, info.st_gid, what)
    return found


def test_the_files_that_come_out_are_those_that_buildkit_lets_out(engine: Any, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(OUT)
    (context / "a.txt").write_text("A")
    command = ["/usr/bin/docker", "build", "-q", "--network=host", "-o"]
    env = os.environ | {"DOCKER_BUILDKIT": "1"}
    done = subprocess.run([*command, "-", str(context)], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    theirs = done.stdout
    subprocess.run([*command, str(tmp_path / "theirs"), str(context)], env=env, capture_output=True, check=True)
    ours = io.BytesIO()
    build_image(engine, path=context, output=["-", str(tmp_path / "ours")], stdout=ours)
    assert members(ours.getvalue()) == members(theirs)
    assert on_disk(tmp_path / "ours") == on_disk(tmp_path / "theirs")


@pytest.mark.parametrize("packing", ["gzip", "uncompressed"])
def test_docker_loads_what_comes_out(engine: Any, tmp_path: Path, packing: str) -> None:
    (tmp_path / "Dockerfile").write_text(OUT)
    (tmp_path / "a.txt").write_text("A")
    name, tar = f"out:{packing}", tmp_path / "o.tar"
    output = f"type=docker,dest={tar},compression={packing}"
    image = build_image(engine, path=tmp_path, tag=name, output=output).image
    assert image is not None
    docker = ["/usr/bin/docker"]
    assert (
        f"Loaded image: {name}"
        in subprocess.run([*docker, "load", "-i", str(tar)], capture_output=True, text=True).stdout
    )
    format_ = "{{.Id}} {{json .RootFS.Layers}}"
    said = subprocess.run([*docker, "inspect", "-f", format_, name], capture_output=True, check=True, text=True).stdout
    id, layers = said.split(" ", 1)
    assert (id, json.loads(layers)) == (image.id, image.diff_ids)
