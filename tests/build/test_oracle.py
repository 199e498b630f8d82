"""The same contexts, built now by a real dockerd's BuildKit and by us: what we recorded holds, and RUN is real."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.archive import import_
from minidocker.build import build_image
from minidocker.content import Store
from minidocker.images import Images
from minidocker.runtime import probe

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
    socket = f"unix://{root}/s"
    folders = ["--data-root", f"{root}/data", "--exec-root", f"{root}/exec", "-p", f"{root}/pid", "-H", socket]
    with (root / "log").open("wb") as log:
        command = ["dockerd", *folders, "--bridge=none", "--iptables=false"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", socket)
        try:
            end = time.monotonic() + 20
            while subprocess.run(["/usr/bin/docker", "info"], capture_output=True).returncode:
                if process.poll() is not None or time.monotonic() > end:
                    pytest.skip("dockerd does not start here")
                time.sleep(0.2)
            recorder["import_busybox"](root / "busybox")
            yield
        finally:
            process.terminate()
            process.wait()


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
