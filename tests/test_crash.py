"""A killed engine, two engines at once, a full disk, a forbidden folder: the store stays valid, and works."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker import archive
from minidocker.content import Store
from minidocker.engine import Engine
from minidocker.errors import APIError
from minidocker.images import Images

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9 and mounts are POSIX's")
Valid = Callable[[Path], dict[str, Any]]

# An engine at work, doing one thing after another until it is killed, or as often as it is told.
WORK = r"""
import io, itertools, os, random, sys
import minidocker
from minidocker.errors import APIError

root, runtime, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
engine = minidocker.connect(root, runtime=runtime)
dice = random.Random(seed)
base = engine.images.get("minidocker/base")
base.tag("loaded", "1")
saved = b"".join(base.save(named="loaded:1"))


def build(n):
    text = f"FROM minidocker/base\nRUN echo {seed} {n} > /made\nENV N={n}\n"
    engine.images.build(fileobj=io.BytesIO(text.encode()), tag=f"built{seed}:{n % 3}")


def load(n):
    engine.images.load(saved)


def run(n):
    assert engine.containers.run("minidocker/base", f"echo {n}", remove=True) == f"{n}\n".encode()


def detach(n):
    engine.containers.run("minidocker/base", "sleep 100", detach=True, name=f"c{seed}.{n}").remove(force=True)


def remove(n):
    try:
        engine.images.remove(f"built{seed}:{n % 3}")
    except APIError:
        pass


print("ready", flush=True)
for n in itertools.count() if rounds < 0 else range(rounds):
    dice.choice([build, load, run, detach, remove])(n)
engine.close()
"""


def work(root: Path, runtime: str, seed: int, rounds: int = -1) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WORK, str(root), runtime, str(seed), str(rounds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_sound(engine: Engine, valid_store: Valid) -> None:
    """Everything that is there can be read, and nothing half-made can be seen."""
    valid_store(engine.root)
    for image in engine.images.list():
        image.tree()
        assert image.attrs["RootFS"]["Layers"] == image.diff_ids
    for container in engine.containers.list(all=True):
        assert container.status in ("created", "running", "exited")
        assert container.attrs["Id"] == container.id
        container.changes()


@pytest.fixture(scope="module", params=["namespaces", "simulated"])
def runtime(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    name: str = request.param
    try:
        with minidocker.connect(tmp_path_factory.mktemp("probe"), runtime=name) as engine:
            engine.containers.run("minidocker/base", "true", remove=True)
    except APIError as error:
        pytest.skip(f"runtime {name} does not work here: {error}")
    return name


@pytest.fixture
def engine(runtime: str, tmp_path: Path) -> Iterator[Engine]:
    with minidocker.connect(tmp_path / "root", runtime=runtime) as engine:
        engine.images.get("minidocker/base")
        yield engine
        for container in engine.containers.list(all=True):
            container.remove(force=True)


def test_killed_at_any_moment(engine: Engine, valid_store: Valid) -> None:
    dice = random.Random(7)
    for seed in range(4):
        child = work(engine.root, engine.runtime.name, seed)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        time.sleep(dice.random() * 0.4)
        child.kill()
        _, said = child.communicate()
        assert "Traceback" not in said, said
        with minidocker.connect(engine.root, runtime=engine.runtime.name) as after:
            check_sound(after, valid_store)
    for container in engine.containers.list(all=True):
        container.remove(force=True)
    engine.containers.run("minidocker/base", "true", remove=True)
    engine.images.prune({"dangling": False})
    assert [path for path in (engine.root / "tmp").iterdir() if not path.name.startswith(".lock")] == []
    assert str(engine.root) not in Path("/proc/mounts").read_text()


def test_a_container_lives_on_when_its_engine_is_killed(engine: Engine) -> None:
    script = (
        "import sys, time, minidocker\n"
        "engine = minidocker.connect(sys.argv[1], runtime=sys.argv[2])\n"
        "waits = 'echo begun; until [ -e /go ]; do sleep 0.05; done; echo ended; exit 3'\n"
        "engine.containers.run('minidocker/base', ['sh', '-c', waits], detach=True, name='survivor')\n"
        "print('ready', flush=True)\n"
        "time.sleep(100)\n"
    )
    words = [sys.executable, "-c", script, str(engine.root), engine.runtime.name]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    child.kill()
    child.communicate()
    container = engine.containers.get("survivor")
    assert container.status == "running"
    container.exec_run("touch /go")
    assert container.wait(timeout=120)["StatusCode"] == 3
    assert container.logs() == b"begun\nended\n"
    assert container.status == "exited"


def test_several_engines_on_one_root(engine: Engine, valid_store: Valid) -> None:
    children = [work(engine.root, engine.runtime.name, seed, rounds=6) for seed in range(2)]
    for child in children:
        _, said = child.communicate(timeout=120)
        assert child.returncode == 0, said
    check_sound(engine, valid_store)
    assert engine.containers.list(all=True) == []


def test_several_engines_tag_one_name(engine: Engine, valid_store: Valid) -> None:
    """Whoever comes last has it; nobody else's names are lost."""
    script = (
        "import sys, minidocker\n"
        "engine = minidocker.connect(sys.argv[1], runtime=sys.argv[2])\n"
        "image = engine.images.get('minidocker/base')\n"
        "for n in range(8):\n"
        "    image.tag(f'mine{sys.argv[3]}', str(n)); image.tag('ours', str(n))\n"
    )
    words = [sys.executable, "-c", script, str(engine.root), engine.runtime.name]
    children = [subprocess.Popen([*words, str(number)]) for number in range(2)]
    assert [child.wait(120) for child in children] == [0, 0]
    names = set(valid_store(engine.root))
    wanted = {f"mine{number}:{n}" for number in range(2) for n in range(8)} | {f"ours:{n}" for n in range(8)}
    assert wanted <= names


def an_image(megabytes: int) -> bytes:
    """An archive of one image with so much random content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("big")
        member.size = megabytes << 20
        tar.addfile(member, io.BytesIO(os.urandom(megabytes << 20)))
    return out.getvalue()


class TestFullDisk:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Path]:
        """A disk of 6 MB."""
        folder = tmp_path / "small"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("a small disk needs root")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)

    def test_loading_and_importing(self, small: Path, valid_store: Valid) -> None:
        images = Images(Store(small / "root"))
        archive.import_(images, an_image(1), {}).tag("kept")
        for _ in range(2):
            with pytest.raises(APIError, match=r"(?i)no space left"):
                archive.import_(images, an_image(8), {})
            assert set(valid_store(images.store.root)) == {"kept:latest"}
            assert list((images.store.root / "tmp").iterdir()) == []
        archive.import_(images, an_image(1), {}).tag("fits")
        assert images.get("kept").tree()["/big"].size == 1 << 20

    def test_building(self, small: Path, tmp_path: Path, valid_store: Valid) -> None:
        context = tmp_path / "context"
        context.mkdir()
        (context / "Dockerfile").write_text("FROM scratch\nCOPY big /\n")
        (context / "big").write_bytes(os.urandom(8 << 20))
        with minidocker.connect(small / "root", runtime="simulated") as engine:
            with pytest.raises((APIError, minidocker.errors.BuildError), match=r"(?i)no space left"):
                engine.images.build(path=str(context), tag="big")
            assert valid_store(engine.root) == {}
            (context / "big").write_bytes(b"small")
            engine.images.build(path=str(context), tag="big")
            assert set(valid_store(engine.root)) == {"big:latest"}

    def test_a_file_that_may_not_grow(self, tmp_path: Path, valid_store: Valid) -> None:
        """As a quota: writing beyond the limit is EFBIG. Works without root."""
        resource = pytest.importorskip("resource")
        images = Images(Store(tmp_path / "root"))
        data = an_image(2)
        before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
            with pytest.raises((APIError, OSError)):
                archive.import_(images, data, {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert valid_store(images.store.root) == {}
        assert list((images.store.root / "tmp").iterdir()) == []


class TestForbidden:
    def test_a_root_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("x")
        with pytest.raises(APIError, match="MINIDOCKER_ROOT"):
            minidocker.connect(tmp_path / "f", runtime="simulated")

    def test_a_root_that_cannot_be_made(self) -> None:
        with pytest.raises(APIError, match="MINIDOCKER_ROOT"):
            minidocker.connect("/proc/nowhere/root", runtime="simulated")

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may do everything")
    def test_a_root_without_permission(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(APIError, match=r"(?i)permission denied"):
            minidocker.connect(tmp_path / "root", runtime="simulated")
        tmp_path.chmod(0o700)

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
    def test_a_disk_that_is_read_only(self, tmp_path: Path) -> None:
        with minidocker.connect(tmp_path / "root", runtime="simulated") as engine:
            engine.images.get("minidocker/base")
        bind = ["mount", "--bind", "-o", "ro", str(tmp_path / "root"), str(tmp_path / "root")]
        if subprocess.run(bind, capture_output=True, check=False).returncode:
            pytest.skip("no mounts here")
        try:
            with pytest.raises(APIError, match=r"(?i)read-only"):
                minidocker.connect(tmp_path / "root", runtime="simulated").images.get("minidocker/base").tag("x")
        finally:
            subprocess.run(["umount", str(tmp_path / "root")], check=True)
