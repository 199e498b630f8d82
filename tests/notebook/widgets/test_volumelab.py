"""The lab of volumes: what is left is what the engine has left; what Docker refuses is told; nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ipywidgets")

import minidocker
from minidocker.engine import Engine
from minidocker.notebook.widgets.volumelab import FOURTH, PRUNE, RM, RM_V, RUN, VOLUME, WRITE, VolumeLab, volume_lab


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with minidocker.connect(tmp_path_factory.mktemp("lab"), runtime="simulated") as engine:
        yield engine


@pytest.fixture
def lab(engine: Engine, tmp_path: Path) -> Iterator[VolumeLab]:
    lab = volume_lab(engine, tmp_path)
    yield lab
    lab.close()
    engine.volumes.prune({"all": True})


def press(lab: VolumeLab, *names: str) -> list[str]:
    for name in names:
        assert not lab.buttons[name].disabled
        lab.buttons[name].click()
    assert lab.picture.figure is not None
    return [" ".join(line.split()) for line in lab.picture.figure.twin.splitlines()]


def test_it_begins_with_a_container_and_the_images_files_in_all_but_the_bind_mount(lab: VolumeLab) -> None:
    lines = press(lab)
    assert lines[1:5] == [
        "/own menu -> writable layer: nothing",
        f"/named menu -> volume {VOLUME}: menu",
        "/bound nothing -> bind mount: nothing",
        "/fourth menu -> anonymous volume: menu",
    ]
    assert lab.face().twin == str(lab) and "<svg" in lab._repr_mimebundle_()["text/html"]
    assert lab.buttons[RUN].disabled


def test_what_was_written_is_left_where_it_is_kept(lab: VolumeLab) -> None:
    gone = press(lab, WRITE, RM)
    assert gone[1] == "/own no container -> writable layer: gone"
    assert gone[2] == f"/named no container -> volume {VOLUME}: menu note-1"
    assert gone[-1] == "anonymous volumes that no container has: 1"
    again = press(lab, RUN)
    assert again[1:5] == [
        "/own menu -> writable layer: nothing",
        f"/named menu note-1 -> volume {VOLUME}: menu note-1",
        "/bound note-1 -> bind mount: note-1",
        "/fourth menu -> anonymous volume: menu",
    ]
    assert press(lab, PRUNE)[-2:] == [
        "$ docker volume prune: 1 volume removed",
        "anonymous volumes that no container has: 0",
    ]
    assert press(lab, RM_V)[-1] == "anonymous volumes that no container has: 0"
    assert press(lab)[4] == "/fourth no container -> anonymous volume: gone"


def test_another_fourth_folder_counts_from_the_next_container_on(lab: VolumeLab) -> None:
    lab.fourth.value = "the volume of /named, read-only"
    assert "this counts from the next docker run on" in press(lab)[-2]
    lines = press(lab, RM, RUN, WRITE)
    assert lines[4] == f"/fourth menu note-1 -> volume {VOLUME}, read-only: menu note-1"
    assert "$ /fourth/note-1: Read-only file system" in lines
    assert list(lab.fourth.options) == list(FOURTH)[:-1], "a simulated container's memory is its first process's"


def test_what_somebody_else_removed_is_told_and_no_traceback(lab: VolumeLab, engine: Engine) -> None:
    engine.containers.get("lab").remove(force=True)
    lab.buttons[RM].click()
    assert lab.container is None and "Docker says" in lab.said[-1]
    press(lab, RUN)


def test_closed_it_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    lab = volume_lab(engine, tmp_path)
    lab = volume_lab(engine, tmp_path)
    lab.close()
    assert engine.containers.list(all=True) == [] and not (tmp_path / "desk").exists()
    assert VOLUME not in [volume.name for volume in engine.volumes.list()]
    engine.volumes.prune()
