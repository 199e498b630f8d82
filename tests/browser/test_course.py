"""The course in a real JupyterLab: each lesson is opened, run, looked at in both themes, and played with.

Pictures of all lessons, and how long controls took, are left in `.artefacts/` (or in `$MINIDOCKER_ARTEFACTS`).
"""

from __future__ import annotations

import pytest

from minidocker.notebook import NAMES
from tests.browser.conftest import ARTEFACTS
from tests.browser.lab import Desk, Lesson
from tests.browser.moves import MOVES

LIVE = "application/vnd.jupyter.widget-view+json"


def test_every_cell_runs_without_an_error(lesson: Lesson) -> None:
    failed = [cell for cell in lesson.cells() if "error" in [output["output_type"] for output in cell["outputs"]]]
    assert not failed


def test_every_widget_lives(lesson: Lesson) -> None:
    for cell in lesson.cells():
        wanted = any(LIVE in output.get("data", {}) for output in cell["outputs"])
        assert bool(cell["living"]) == wanted, cell["source"]
        assert "displaying widget" not in cell["said"], cell["said"]


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_no_fault_in_either_theme(lesson: Lesson, theme: str) -> None:
    lesson.theme(theme)
    lesson.photograph(ARTEFACTS / f"{lesson.name}-{theme.lower()}.png")
    assert not lesson.violations()


def test_pictures_follow_the_hand(lesson: Lesson) -> None:
    for move in MOVES.get(lesson.name, ()):
        move(lesson)


def test_no_request_left_this_machine_and_nothing_broke_in_the_page(desk: Desk) -> None:
    assert not desk.outside
    assert not desk.broken


def test_each_widget_of_the_course_is_moved_somewhere() -> None:
    widgets = {name for place, names in NAMES.items() if place.startswith("widgets.") for name in names.split()}
    assert widgets <= {move.__name__ for moves in MOVES.values() for move in moves}
