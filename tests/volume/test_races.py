"""Somebody swaps links in a volume while others mount it, copy out of it and write into it: nothing leads out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from minidocker.engine import Engine
from minidocker.errors import DockerException

BASE = "minidocker/base"
ROUNDS = 12
SWAP = """
import os, sys
os.chdir(sys.argv[1])
while True:
    os.rename("a", "b"); os.symlink(sys.argv[2], "a"); os.unlink("a"); os.rename("b", "a")
"""


@pytest.fixture
def outside(engine: Engine, tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody is to reach; in the volume `v1`, `a` is a folder at one time and a link to it at another."""
    folder = Path(engine.volumes.create("v1").mountpoint)
    (folder / "a").mkdir(exist_ok=True)
    (folder / "a" / "f").write_text("inside")
    (tmp_path / "f").write_text("secret")
    swapper = subprocess.Popen([sys.executable, "-c", SWAP, folder, tmp_path])
    yield tmp_path
    swapper.kill()
    swapper.wait()
    for container in engine.containers.list(all=True):
        container.remove(force=True)
    engine.volumes.get("v1").remove()


@pytest.mark.usefixtures("outside")
def test_a_part_of_a_volume(engine: Engine) -> None:
    mounts = [{"Type": "volume", "Source": "v1", "Target": "/p", "VolumeOptions": {"Subpath": "a"}}]
    for _ in range(ROUNDS):
        with suppress(DockerException):
            said: Any = engine.containers.run(BASE, "cat /p/f", mounts=mounts, remove=True)
            assert said == b"inside"


def test_a_mount_in_a_volume(engine: Engine, outside: Path) -> None:
    for _ in range(ROUNDS):
        with suppress(DockerException):
            engine.containers.run(BASE, "touch /v/a/new/x", volumes=["v1:/v", "v2:/v/a/new"], remove=True)
    assert os.listdir(outside) == ["f"]  # noqa: PTH208
    engine.volumes.remove("v2", force=True)


def test_copies(engine: Engine, outside: Path) -> None:
    made = engine.containers.create(BASE, "true", volumes=["v1:/v"])
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("put"), io.BytesIO())
    for _ in range(ROUNDS):
        with suppress(DockerException, OSError):
            chunks, _ = made.get_archive("/v/a/f")
            assert b"secret" not in b"".join(chunks)
        with suppress(DockerException, OSError):
            made.put_archive("/v/a", tar.getvalue())
    assert os.listdir(outside) == ["f"]  # noqa: PTH208
