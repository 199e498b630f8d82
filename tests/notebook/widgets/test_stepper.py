"""The stepper: slider and buttons choose one step of a build; forwards, backwards, quickly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("ipywidgets")

import minidocker
from minidocker.build import Build
from minidocker.errors import InvalidArgument
from minidocker.notebook import stepper
from minidocker.notebook.widgets.stepper import Stepper


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    with minidocker.connect(tmp_path_factory.mktemp("engine"), runtime="simulated") as engine:
        lines = ["FROM minidocker/base", "WORKDIR /app", *(f"RUN echo {n} > {n}" for n in range(6)), 'CMD ["sh"]']
        yield engine.images.build(path=str(tmp_path_factory.mktemp("context")), text="\n".join(lines), tag="walk")[1]


def shown(walk: Stepper) -> str:
    assert walk.picture.figure is not None
    return walk.picture.figure.twin.partition("\n")[0]


def test_the_slider_and_the_buttons_choose_the_step(build: Build) -> None:
    walk = stepper(build)
    assert (walk.at, shown(walk)) == (1, "step 1 of 9: FROM minidocker/base  (line 1; taken from the cache)")
    walk.on.click()
    assert shown(walk).startswith("step 2 of 9: WORKDIR /app")
    walk.slider.value = 9
    assert shown(walk).startswith('step 9 of 9: CMD ["sh"]')
    walk.back.click()
    assert walk.at == 8 and "echo 5 &gt; 5" in walk.picture.value
    walk.last.click()
    walk.first.click()
    assert walk.at == 1


def test_nothing_leads_beyond_the_ends(build: Build) -> None:
    walk = stepper(build)
    assert [button.disabled for button in (walk.first, walk.back, walk.on, walk.last)] == [True, True, False, False]
    walk.back.click()
    assert walk.at == 1
    walk.last.click()
    assert [button.disabled for button in (walk.first, walk.back, walk.on, walk.last)] == [False, False, True, True]
    walk.on.click()
    assert walk.at == 9


def test_its_still_face_shows_all_steps(build: Build) -> None:
    bundle = stepper(build)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("build of walk:latest  (9 instructions: 7 made a layer, 2 did not)")
    assert "run this cell" in bundle["text/html"]


def test_every_control_has_a_name(build: Build) -> None:
    walk = stepper(build)
    assert all(control.description and control.tooltip for control in (walk.first, walk.back, walk.on, walk.last))
    assert walk.slider.description == "step"


def test_a_build_without_steps_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no steps"):
        stepper(Build())
