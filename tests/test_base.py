"""The base images: the first layer is the same everywhere, the rest is this machine's, and all of it repeats."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from minidocker import base, elf
from minidocker.content import Store
from minidocker.errors import Unsupported
from minidocker.images import Images
from minidocker.runtime.simulated.applets import COMMANDS

SKELETON = "sha256:99b6d4844e60c5b59c57131f027a3705e1464513030cc981b64d143734664963"


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(Store(tmp_path))


def test_only_our_own_names_are_made(images: Images) -> None:
    assert base.ensure(images, "alpine") is None
    assert base.ensure(images, "minidocker/base:1") is None
    assert base.ensure(images, "not a name") is None
    assert images.list() == []


def test_the_base_image(images: Images) -> None:
    image = base.ensure(images, "minidocker/base")
    assert image is not None
    assert image.tags == ["minidocker/base:latest"]
    assert image.config["Cmd"] == ["sh"]
    tree = image.tree()
    assert tree["/tmp"].mode == 0o1777
    assert tree["/root"].mode == 0o700
    assert b"ID=minidocker" in tree["/etc/os-release"].data.read()
    for name in ("sh", "ls", "cat", "env"):
        assert tree[tree.resolve(f"/bin/{name}")].mode & 0o111
    again = base.ensure(images, "minidocker/base:latest")
    assert again is not None
    assert again.id == image.id


def test_the_first_layer_is_the_same_on_every_machine(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    layer = images.add_layer(base.skeleton(), "", base.clamp())
    assert layer.diff_id == SKELETON


def test_times_follow_source_date_epoch(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    image = base.ensure(images, "minidocker/base")
    assert image is not None
    assert image.raw["created"] == "1970-01-02T00:00:00Z"


def test_elsewhere_there_is_a_stand_in_for_each_command(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    image = base.ensure(images, "minidocker/base")
    assert image is not None
    tree = image.tree()
    assert set(tree.children("/bin")) == set(COMMANDS) - {"bash", "dash"}
    assert b"a stand-in for `ls`" in tree["/bin/ls"].data.read()
    with pytest.raises(Unsupported, match="minidocker/python"):
        base.ensure(images, "minidocker/python")


@pytest.mark.skipif(sys.platform != "linux", reason="takes this machine's programs")
def test_without_busybox_the_shell_and_its_libraries_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from shutil import which

    if elf.parse(Path(which("sh") or "").resolve()) is None:
        pytest.skip("the shell here is no 64-bit ELF program")
    monkeypatch.setattr("shutil.which", lambda name: None if name == "busybox" else which(name))
    changes = base.programs()
    header = elf.parse(Path(which("sh") or "").resolve())
    assert header is not None
    assert changes["/bin/sh"].size > 10_000
    assert header.interpreter in changes
    assert {Path(path).name for path in changes} >= set(header.needed)


@pytest.mark.skipif(sys.platform != "linux", reason="takes this machine's Python")
def test_python_s_programs_bring_what_they_need() -> None:
    changes, _ = base.python()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert changes["/usr/local/bin/python3"].target == version
    assert f"/usr/local/lib/{version}/os.py" in changes
    assert not any("/test/" in path or "/site-packages/" in path for path in changes)
    assert all(entry.data.read() is not None for path, entry in changes.items() if path.endswith(".py"))
    header = elf.parse(Path(sys.executable).resolve())
    assert header is not None
    assert header.interpreter in changes
