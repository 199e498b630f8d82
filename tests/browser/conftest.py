"""One JupyterLab and one Chromium for the tests here; they skip, and say why, where there is none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import lab
from tests.browser.desk import Desk, Lesson

ARTEFACTS = Path(os.environ.get("MINIDOCKER_ARTEFACTS", lab.HOME / ".artefacts"))
NOTEBOOKS = sorted(path.stem for path in (lab.HOME / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")  # not longer: while Playwright is there, no other test can have an event loop
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """JupyterLab on copies of the course, seen with a Chromium."""
    if why := lab.missing():
        pytest.skip(f"no browser tests: {why}")
    shown = {name: lab.HOME / name for name in ("notebooks", "exercises")}
    with lab.jupyterlab(tmp_path_factory.mktemp("lab"), shown) as address, lab.chromium() as browser:
        yield Desk.at(browser, address)


@pytest.fixture(scope="module", params=NOTEBOOKS)
def opened(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Lesson]:
    """Each lesson, just opened. How long its controls took goes to `moves.json`, beside the pictures."""
    lesson = desk.open(f"notebooks/{request.param}.ipynb")
    yield lesson
    lesson.close()
    if lesson.milliseconds:
        ARTEFACTS.mkdir(exist_ok=True)
        report = ARTEFACTS / "moves.json"
        known = json.loads(report.read_text()) if report.exists() else {}
        report.write_text(json.dumps(known | {lesson.name: lesson.milliseconds}, indent=1))


@pytest.fixture(scope="module")
def lesson(opened: Lesson) -> Lesson:
    """Each lesson, run from top to bottom."""
    opened.run_all()
    return opened
