"""The container on the bench: each button does what it says, what Docker refuses is told, nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("ipywidgets")

import minidocker
from minidocker.engine import Engine
from minidocker.notebook.widgets.lifelab import LOOK, WRITE, LifeLab, life_lab
from tests.until import until

IMAGE = "minidocker/base"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with minidocker.connect(tmp_path_factory.mktemp("lab"), runtime="simulated") as engine:
        yield engine


@pytest.fixture
def lab(engine: Engine) -> Iterator[LifeLab]:
    lab = life_lab(engine, IMAGE)
    yield lab
    lab.close()


def press(lab: LifeLab, *verbs: str) -> None:
    for verb in verbs:
        lab.buttons[verb].click()


def twin(lab: LifeLab) -> str:
    assert lab.picture.figure is not None
    return lab.picture.figure.twin


def enabled(lab: LifeLab) -> list[str]:
    return [verb for verb, button in lab.buttons.items() if not button.disabled]


def test_it_begins_created_and_shows_so_without_a_kernel(lab: LifeLab) -> None:
    assert "▸ created" in twin(lab) and lab.face().twin == twin(lab) == str(lab)
    assert enabled(lab) == ["start", "restart", "remove"]
    assert "<svg" in lab._repr_mimebundle_()["text/html"]


def test_the_picture_and_the_buttons_follow(lab: LifeLab) -> None:
    seen = []
    for verb in ("start", "pause", "unpause", "stop", "start", "kill", "restart", "stop", "remove", "create"):
        assert verb in enabled(lab)
        press(lab, verb)
        seen.append(lab.last.state)
        assert f"▸ {lab.last.status}" in twin(lab) and "✗" not in twin(lab)
    assert seen == [
        *("running", "paused", "running", "exited (0)", "running", "exited (137)", "running", "exited (0)"),
        *("removed", "created"),
    ]


def test_stop_keeps_what_it_wrote_and_remove_loses_it(lab: LifeLab) -> None:
    press(lab, "start", WRITE, WRITE, "stop")
    assert "its own writable layer: A /file-1, A /file-2" in twin(lab)
    press(lab, "start")
    assert "A /file-2" in twin(lab)
    press(lab, "stop", "remove")
    assert "its own writable layer: gone with it" in twin(lab)
    press(lab, "create")
    assert "its own writable layer: nothing yet" in twin(lab)


def test_what_docker_refuses_can_be_tried_and_is_told_in_its_words(lab: LifeLab) -> None:
    lab.anyway.value = True
    assert enabled(lab) == list(lab.buttons)
    press(lab, "pause", WRITE, "create")
    assert "$ docker pause lab\n  ✗ Container lab is not running" in twin(lab)
    assert '✗ Conflict. The container name "/lab" is already' in twin(lab)
    press(lab, "remove", "start")
    assert "$ docker start lab\n  ✗ No such container: lab" in twin(lab)
    lab.anyway.value = False
    assert enabled(lab) == ["create"]


def test_it_follows_what_the_container_does_by_itself(engine: Engine) -> None:
    async def watch() -> str:
        lab = life_lab(engine, IMAGE, ["sh", "-c", "echo hi > /note; sleep 0.2; exit 3"], name="short")
        press(lab, "start")
        await asyncio.to_thread(until, lambda: lab.last.status != "running")
        assert lab.timer is None, "nobody looks at what has ended"
        lab.close()
        return twin(lab)

    seen = asyncio.run(watch())
    assert "▸ exited" in seen and "process 1 ended: exited (3)" in seen and "A /note" in seen


def test_closing_it_removes_its_container_and_looks_no_more(engine: Engine) -> None:
    async def use() -> Any:
        lab = life_lab(engine, IMAGE, name="closed")
        press(lab, "start")
        assert lab.timer is not None
        lab.close()
        await asyncio.sleep(LOOK / 10)
        return lab.timer

    assert asyncio.run(use()) is None
    assert not engine.containers.list(all=True, filters={"name": "closed"})


def test_a_container_removed_behind_its_back_is_removed(engine: Engine, lab: LifeLab) -> None:
    engine.containers.get("lab").remove()
    lab.refresh()
    assert "▸ removed" in twin(lab) and enabled(lab) == ["create"]


def test_a_second_run_of_the_cell_takes_the_place_of_the_first(engine: Engine, lab: LifeLab) -> None:
    press(lab, "start")
    again = life_lab(engine, IMAGE)
    assert again.last.status == "created"
    lab.refresh()
    assert "▸ removed" in twin(lab)
    again.close()
