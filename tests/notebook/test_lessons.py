"""The lessons as they are committed: short, executed, without traces of a machine; and every cell can run twice."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.grading.release import read, source
from minidocker.notebook import lessons

HOME = Path(__file__).parents[2]
NOTEBOOKS = sorted((HOME / "notebooks").glob("*.ipynb"))
RUNTIMES = ("simulated", "namespaces")


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == kind]


@pytest.fixture(params=NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def lesson(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_are_lessons() -> None:
    assert NOTEBOOKS and NOTEBOOKS[0].stem == "00-start-here"


def test_it_is_small_and_more_text_than_code(lesson: Path) -> None:
    assert lesson.stat().st_size < 100_000
    code, prose = cells(lesson, "code"), cells(lesson, "markdown")
    assert 1.0 <= len(prose) / len(code) <= 1.5
    assert statistics.median(len(source(cell).splitlines()) for cell in code) <= 4


def test_it_is_committed_executed_from_top_to_bottom_without_errors(lesson: Path) -> None:
    code = cells(lesson, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    assert any("<svg" in json.dumps(cell["outputs"]) for cell in code)


def test_nothing_in_it_tells_on_which_machine_it_ran(lesson: Path) -> None:
    text = lesson.read_text(encoding="utf-8")
    assert not re.search(r"/(tmp|root|home|work|Users)/", text)
    assert not re.search(r"\b[0-9a-f]{64}\b", re.sub(r"sha256:[0-9a-f]{64}", "", text)), "a container's id"


def test_it_opens_with_a_question_and_a_prediction_and_ends_with_a_door(lesson: Path) -> None:
    prose = [source(cell) for cell in cells(lesson, "markdown")]
    assert re.search(r"\*\*[^*]+\?\*\*", prose[0]), "the question"
    assert any("predict" in text.lower() for text in prose)
    assert prose[-1].count("<details>") == 3, "three questions to check oneself"
    door = re.search(r"\]\((\.\./exercises/[^)]+\.ipynb)\)", prose[-1])
    assert door and (lesson.parent / door[1]).exists()


def test_pictures_have_a_text_twin(lesson: Path) -> None:
    for cell in cells(lesson, "code"):
        for output in cell["outputs"]:
            if "<svg" in json.dumps(output.get("data", {}).get("text/html", "")):
                assert "".join(output["data"]["text/plain"]).strip()
                assert "object at 0x" not in "".join(output["data"]["text/plain"])


@pytest.fixture
def shell() -> Iterator[Any]:
    """An IPython without a kernel: quick, and the notebook's own process."""
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    shell = interactive.InteractiveShell.instance()
    shell.reset()
    yield shell
    for name in list(lessons._open):
        lessons.close_lesson(name)
    interactive.InteractiveShell.clear_instance()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_cell_runs_and_runs_a_second_time(
    lesson: Path, runtime: str, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minidocker.runtime import probe

    if runtime == "namespaces" and probe.choose() != "namespaces":
        pytest.skip("no namespaces on this machine: minidocker doctor says why")
    monkeypatch.setenv("MINIDOCKER_RUNTIME", runtime)
    monkeypatch.chdir(lesson.parent)
    for cell in cells(lesson, "code"):
        for _ in range(2):
            shell.run_cell(source(cell)).raise_error()
