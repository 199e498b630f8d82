"""The course in a real JupyterLab: each lesson is opened, run, looked at in both themes, and played with.

Pictures of all lessons, and how long controls took, are left in `.artefacts/` (or in `$MINIDOCKER_ARTEFACTS`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from minidocker.notebook import NAMES
from tests.browser.conftest import ARTEFACTS
from tests.browser.desk import Desk, Lesson
from tests.browser.lab import HOME
from tests.browser.moves import MOVES

LIVE = "application/vnd.jupyter.widget-view+json"


def test_just_opened_and_not_trusted_it_shows_text_in_place_of_every_picture(opened: Lesson) -> None:
    twins = opened.page.locator(".jp-Notebook .md-twin")
    assert twins.count() > 0
    assert all(twin.is_visible() and twin.inner_text().strip() for twin in twins.all())
    assert not opened.page.locator(".jp-Notebook .md-fig").count()


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
        lesson.holding = move.__name__
        move(lesson)


def test_an_export_shows_its_pictures_without_a_network_or_a_kernel(desk: Desk, tmp_path: Path) -> None:
    exporter = pytest.importorskip("nbconvert").HTMLExporter(template_name="lab")
    page = desk.browser.new_page()
    (tmp_path / "lesson.html").write_text(exporter.from_filename(str(HOME / "notebooks/00-start-here.ipynb"))[0])
    page.goto(f"file://{tmp_path}/lesson.html")
    figures = page.locator("svg.md-fig").all()
    assert figures and all(figure.is_visible() for figure in figures)
    assert not any(twin.is_visible() for twin in page.locator(".md-twin").all())
    page.close()


def test_no_request_left_this_machine_and_nothing_broke_in_the_page(desk: Desk) -> None:
    assert not desk.outside
    assert not desk.broken


def test_each_widget_of_the_course_is_moved_somewhere() -> None:
    widgets = {name for place, names in NAMES.items() if place.startswith("widgets.") for name in names.split()}
    assert widgets <= {move.__name__ for moves in MOVES.values() for move in moves}
