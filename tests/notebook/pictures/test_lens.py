"""The pictures of lesson 05: the lens, powers, limits, times of start; all of them true without a machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from minidocker.notebook.attacks import ATTACKS, RECORDED, WORKS, walls
from minidocker.notebook.pictures.lens import KINDS, STILL, Facet, Seen, Sight, lens_figure
from minidocker.notebook.pictures.meters import Meter, meters_figure
from minidocker.notebook.pictures.powers import powers
from minidocker.notebook.pictures.starts import MACHINE, Start, starts_figure
from minidocker.notebook.pictures.svg import Figure
from minidocker.runtime.capabilities import ALL, DEFAULT

FIGURES = [
    lens_figure(STILL),
    lens_figure(STILL, "docker run --pid=host", ["Docker says: <no>"]),
    powers(DEFAULT),
    powers([]),
    meters_figure([Meter("memory", "free", "8 GiB", "64 MiB", 1 / 128), Meter("pids", "pid_max", "9", "no limit", 1)]),
    starts_figure([Start("a process", 0.001, 0.001, "here"), MACHINE]),
    walls(RECORDED),
]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.title)
def test_each_is_sound_and_small(figure: Figure, parse: Callable[[Figure], Any]) -> None:
    svg = parse(figure)
    assert figure.width <= 800 and len(figure.html()) < 8000
    drawn = [element for element in svg.iter() if element.tag.endswith("rect")]
    assert all(float(element.get("width")) >= 0 for element in drawn)


def test_the_lens_has_a_row_a_kind_and_a_sign_for_each() -> None:
    assert [facet.kind for facet in STILL.facets] == [*KINDS]
    shared = replace(STILL.facets[0], apart=False)
    figure = lens_figure(Sight((shared, *STILL.facets[1:]), STILL.processes))
    assert figure.twin.count(" = ") == 1 and figure.twin.count(" ≠ ") == 7
    assert "7 of 8 kinds of namespaces are the container's own" in figure.description


def test_what_nobody_knows_is_no_wall() -> None:
    assert Facet("net", "", "not played", None).sign == "?"
    assert " -  ?  not played" in lens_figure(Sight((Facet("net", "", "not played", None),), ())).twin


def test_a_process_that_is_not_seen_has_no_number() -> None:
    figure = lens_figure(Sight((), (Seen("init", "1", ""), Seen("sleep", "4711", "1", True))))
    assert "init   1     as  not seen" in figure.twin and "sleep  4711  as  1" in figure.twin


def test_names_from_a_container_are_strangers() -> None:
    hostile = Sight((Facet("uts", "vm", "<b>\x1b[31m"),), (Seen("</svg>", "1", "1"),))
    assert "<b>" not in lens_figure(hostile).svg() and "\x1b" not in lens_figure(hostile).twin


def test_all_powers_are_named_once() -> None:
    figure = powers(DEFAULT)
    assert figure.title.startswith(f"root in a container: {len(DEFAULT)} of root's {len(ALL)}")
    assert figure.svg().count("✓ ") == len(DEFAULT) + 1
    assert "SYS_ADMIN" in figure.twin.partition("lacks")[2]


def test_every_attack_has_its_record_and_what_works_is_lit() -> None:
    assert RECORDED.keys() == ATTACKS.keys()
    assert walls(RECORDED).body.count("md-on") == sum(answer == WORKS for both in RECORDED.values() for answer in both)


def test_a_bar_is_as_long_as_its_part() -> None:
    def bars(part: float) -> list[str]:
        body = meters_figure([Meter("memory", "free", "8 GiB", "x", part)]).body
        return [piece.split("'")[0] for piece in body.split(" width='")[1:]]

    assert bars(0.5) == ["330", "165"] or bars(0.5) == ["330.0", "165"]
    assert bars(7)[1] == bars(1)[1] == bars(7)[0], "no limit beyond what there is"
    assert float(bars(0)[1]) > 0, "one still sees it"


def test_a_start_that_takes_ten_times_as_long_is_one_tick_longer() -> None:
    from minidocker.notebook.pictures.starts import DECADE, _x

    assert _x(0.01) - _x(0.001) == pytest.approx(DECADE)
    assert _x(0) == _x(1e-9), "quicker than the scale is no error"
