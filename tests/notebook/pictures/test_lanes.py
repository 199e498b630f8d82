"""The lanes of a build: what comes after what, the longest path, and what went on side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minidocker.engine import Engine, connect
from minidocker.notebook.pictures.lanes import lanes, placed, together
from minidocker.notebook.pictures.stages import stages
from minidocker.notebook.pictures.svg import Figure

TEXT = """FROM minidocker/base AS deps
RUN sleep 0.1; echo 1 > /tool
FROM minidocker/base AS docs
RUN echo 2 > /page
RUN echo 3 >> /page
FROM deps AS build
RUN cp /tool /prog
FROM scratch
COPY --from=docs /page /
COPY --from=build /prog /
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return connect(tmp_path_factory.mktemp("engine"), runtime="simulated")


def test_steps_stand_in_the_order_in_which_they_had_to_be(engine: Engine, parse: Callable[[Figure], Any]) -> None:
    _, build = engine.images.build(text=TEXT, tag="app")
    figure = lanes(build)
    assert figure.twin.splitlines() == [
        "lanes of app  (4 stages; deps, docs side by side; the longest path has 5 steps)",
        "  deps     [1=]  [2]",
        "  docs      3=    4     5",
        "  build                [6=]  [7]",
        "  stage-3   8=    ···   ···   9    [10]",
        "    1 FROM minidocker/base AS deps",
        "    2 RUN sleep 0.1; echo 1 > /tool",
        "    3 FROM minidocker/base AS docs",
        "    4 RUN echo 2 > /page",
        "    5 RUN echo 3 >> /page",
        "    6 FROM deps AS build  (after step 2)",
        "    7 RUN cp /tool /prog",
        "    8 FROM scratch",
        "    9 COPY --from=docs /page /  (after step 5)",
        "   10 COPY --from=build /prog /  (after step 7)",
    ]
    assert parse(figure) is not None
    one, two = (lanes(engine.images.build(text=TEXT, tag="app", nocache=True)[1]) for _ in range(2))
    assert one == two, "what was measured is not in it"


def test_measured_no_step_begins_before_what_it_waits_for(engine: Engine, parse: Callable[[Figure], Any]) -> None:
    _, build = engine.images.build(text=TEXT, nocache=True)
    _, bars = placed(build, timed=True)
    ends = {bar.step.number: bar.ends for bar in bars}
    assert all(bar.begins >= ends[number] for bar in bars for number in bar.after)
    assert [bar.step.number for bar in bars if bar.strong] == [1, 2, 6, 7, 10]
    assert parse(lanes(build, timed=True)) is not None
    assert " s * COPY --from=build /prog /" in lanes(build, timed=True).twin


def test_a_forecast_and_a_single_stage_have_lanes(engine: Engine) -> None:
    found = engine.images.forecast(text=TEXT)
    assert together(found) == [["deps", "docs"]]
    assert lanes(found).twin.splitlines()[1].startswith("  deps     [1")
    _, build = engine.images.build(text="FROM minidocker/base\nENV A=1\n")
    assert "1 stage; the longest path has 2 steps" in lanes(build).twin and together(build) == []


def test_the_graph_of_stages_says_so_too(engine: Engine) -> None:
    _, build = engine.images.build(text=TEXT, tag="app")
    assert stages(build).twin.splitlines()[0].endswith("in the image; deps, docs side by side)")
