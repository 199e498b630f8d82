"""The life of containers in pictures: the machine is the engine's table, the crowd shares a stack, time is to scale."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

import minidocker
from minidocker.container import life
from minidocker.engine import Engine
from minidocker.notebook.pictures.crowd import crowd, crowd_figure
from minidocker.notebook.pictures.facts import Mark, Row
from minidocker.notebook.pictures.life import Life, following
from minidocker.notebook.pictures.machine import ROUTES, STATES, arrows, life_cycle
from minidocker.notebook.pictures.signals import Stop, signals, signals_figure
from minidocker.notebook.pictures.svg import Figure

ROWS = (Row("FROM minidocker/base", number=2, folded=2), Row("COPY app /", number=3))


def words(figure: Figure) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(figure.svg()).iter("{http://www.w3.org/2000/svg}text")]


def one(name: str = "web", status: str = "running", *written: str) -> Life:
    return Life(name, "app:latest", "sh", status, 0, ROWS, tuple(Mark(path, "A") for path in written))


def test_every_move_of_the_engines_table_is_an_arrow_and_no_other_is() -> None:
    moves = {(a, b) for table in (life.VERBS, life.BY_ITSELF) for step in table.values() for a, b in step.items()}
    assert set(arrows()) == {(a, b) for a, b in moves if a != b} == set(ROUTES)
    assert {state for ends in ROUTES for state in ends} == set(STATES)


@pytest.mark.parametrize("state", STATES)
def test_the_state_is_marked_and_what_leads_on_stands_out(state: str) -> None:
    figure = life_cycle(state)
    assert [word for word in words(figure) if word.startswith("▸")] == [f"▸ {state}"]
    lit = [path for path in re.findall(r"<path [^>]*>", figure.svg()) if "md-go" in path]
    assert len(lit) == len(following(state)) == sum(start == state for start, _ in ROUTES)
    assert f"▸ {state}" in figure.twin


def test_without_a_state_nothing_is_marked() -> None:
    assert "▸" not in life_cycle().twin and "md-go" not in life_cycle().svg()


@pytest.mark.parametrize("containers", [0, 1, 4, 9])
def test_the_shared_stack_is_there_once(containers: int) -> None:
    figure = crowd_figure("app", ROWS, [one(f"c{n}") for n in range(containers)])
    assert words(figure).count("COPY app /") == 1
    assert figure.svg().count("md-on md-dash") == containers
    assert "3 layers of app" in figure.twin


def test_a_crowd_tells_who_wrote_what() -> None:
    figure = crowd_figure("app", ROWS, [one("ann", "running", "/note"), one("bob", "exited")])
    assert "ann  running       A /note" in figure.twin
    assert "bob  exited (0)    nothing written yet" in figure.twin


def test_the_line_of_time_is_to_scale() -> None:
    figure = signals_figure([Stop("deaf", "sh", 2, 137), Stop("polite", "sh", 1, 0)], 4)
    bars = [
        float(rect.get("width") or 0)
        for rect in ElementTree.fromstring(figure.svg()).iter("{http://www.w3.org/2000/svg}rect")
    ]
    assert bars[0] == pytest.approx(2 * bars[1])
    assert words(figure).count("TERM") == 2 and words(figure).count("KILL") == 1


def test_strangers_names_stay_text() -> None:
    nasty = "<script>alert(1)</script>\x1b[2J"
    for figure in (
        crowd_figure(nasty, ROWS, [one(nasty, "running", nasty)]),
        signals_figure([Stop(nasty, nasty, 0, 0)], 1),
    ):
        ElementTree.fromstring(figure.svg())
        assert "<script" not in figure.html().lower() and "\x1b" not in figure.html() + figure.twin


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with minidocker.connect(tmp_path, runtime="simulated") as engine:
        yield engine


def test_real_containers_are_drawn_as_they_are(engine: Engine) -> None:
    image = engine.images.get("minidocker/base")
    ann = engine.containers.create(image, ["sh", "-c", "echo hi > /note; exit 3"], name="ann")
    engine.containers.create(image, "true", name="bob")
    assert "ann  created" in crowd(engine, "minidocker/base").twin
    ann.start()
    ann.wait()
    assert "ann  exited (3)    A /note" in crowd(engine, "minidocker/base").twin
    assert "the life of ann: exited" in life_cycle(ann).twin and "▸ exited (3)" in words(life_cycle(ann))
    assert "ann  TERM at 0 s, ends at 0 s: exited (3)" in signals({ann: 0.2}, 1).twin
