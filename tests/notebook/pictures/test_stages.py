"""The graph of stages: what was executed, what is copied, what is in the image; and no line runs through a box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.engine import Engine, connect
from minidocker.notebook.pictures.layout import Edge, layout
from minidocker.notebook.pictures.stages import graph, stages
from minidocker.notebook.pictures.svg import Figure

TEXT = """FROM minidocker/base AS build
RUN head -c 1000 /dev/zero > /tool
RUN echo program > /program
FROM build AS test
RUN false
FROM scratch
COPY --from=build /program /
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return connect(tmp_path_factory.mktemp("engine"), runtime="simulated")


def test_what_is_not_needed_is_never_executed_and_only_what_is_copied_is_kept(
    engine: Engine, parse: Callable[[Figure], Any]
) -> None:
    _, build = engine.images.build(text=TEXT, tag="app")
    assert stages(build).twin.splitlines() == [
        "stages of app  (3 stages, 1 never executed; 1.02kB made, 8B of it in the image)",
        "  build (stage: 1.01kB): FROM minidocker/base",
        "  stage 2 (target: 8B): FROM scratch, COPY --from=build /program",
        "  app (image): holds 8B made here",
        "  test (never executed): FROM build",
        "  build =====> test",
        "  build - - -> stage 2",
        "  stage 2 =====> app",
    ]
    assert parse(stages(build)) is not None


def test_a_target_that_is_based_on_a_stage_keeps_all_of_it(engine: Engine) -> None:
    _, build = engine.images.build(text=TEXT.replace("RUN false", "RUN echo ok > /ok"), tag="app", target="test")
    twin = stages(build).twin
    assert "app (image): holds 1.01kB made here, on top of minidocker/base" in twin
    assert "stage 2 (never executed)" in twin and "test (target: 3B)" in twin


def test_a_forecast_has_stages_too(engine: Engine) -> None:
    engine.images.build(text=TEXT, tag="app")
    nodes, _ = graph(engine.images.forecast(text=TEXT, tag="app"))
    assert [node.word for node in nodes] == ["stage", "target", "stage"]


GRAPHS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=10)


@given(GRAPHS)
def test_boxes_do_not_overlap_and_lines_run_between_them(pairs: list[tuple[int, int]]) -> None:
    edges = [Edge(f"{min(pair)}", f"{max(pair)}") for pair in pairs if pair[0] != pair[1]]
    heights = {f"{number}": 20.0 + number * 7 for number in range(8)}
    spots, routes = layout(heights, edges)
    boxes = [(column, top, top + heights[key]) for key, (column, top) in spots.items()]
    for one, (column, top, _) in enumerate(boxes):
        assert column >= 0 <= top
        assert not [
            other for other in boxes[:one] if other[0] == column and other[1] < boxes[one][2] and top < other[2]
        ]
    for edge, route in zip(edges, routes, strict=True):
        assert [column for column, _ in route] == list(range(spots[edge.start][0], spots[edge.end][0] + 1))
        for column, y in route[1:-1]:
            assert not [box for box in boxes if box[0] == column and box[1] < y < box[2]]
