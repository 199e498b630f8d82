"""The lessons as they are committed: short, executed, without traces of a machine; and every cell can run twice.

They are shown where nothing runs, too: each stored output is a drawing for an export, and text for GitHub.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from minidocker.grading.release import read, source
from minidocker.notebook import lessons

HOME = Path(__file__).parents[2]
NOTEBOOKS = sorted((HOME / "notebooks").glob("*.ipynb"))
RUNTIMES = ("simulated", "namespaces")
LIVE = "application/vnd.jupyter.widget-view+json"


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == kind]


def drawings(path: Path) -> list[dict[str, str]]:
    """Every stored output that has a picture: the forms that it is kept in."""
    outputs = [output.get("data", {}) for cell in cells(path, "code") for output in cell["outputs"]]
    kept = [{form: "".join(text) for form, text in data.items()} for data in outputs]
    return [forms for forms in kept if "<svg" in forms.get("text/html", "")]


def drawn(html: str) -> list[list[str]]:
    """What every SVG in some HTML says."""
    return [unescape(re.sub(r"<[^>]+>", " ", svg)).split() for svg in re.findall(r"<svg.*?</svg>", html, re.S)]


def is_executed(path: Path) -> bool:
    """Every cell ran, in order. nbval compares nothing in a cell that did not, so this has to be asked."""
    code = cells(path, "code")
    return [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


class Filtered(HTMLParser):
    """What is left of HTML where styles and SVG are filtered out: GitHub, or a notebook that is not trusted."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self._inside = "", 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._inside += tag in ("style", "svg")

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag in ("style", "svg")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._inside else data


@pytest.fixture(params=NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def lesson(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_are_lessons() -> None:
    assert NOTEBOOKS and NOTEBOOKS[0].stem == "00-start-here"


def test_the_readme_leads_to_every_lesson_and_nowhere_else() -> None:
    links = re.findall(r"\]\(((?:notebooks|exercises)/[^)]+\.ipynb)\)", (HOME / "README.md").read_text())
    assert {HOME / link for link in links if link.startswith("notebooks")} == set(NOTEBOOKS)
    assert all((HOME / link).exists() for link in links)


def test_it_is_small_and_more_text_than_code(lesson: Path) -> None:
    assert lesson.stat().st_size < 100_000
    code, prose = cells(lesson, "code"), cells(lesson, "markdown")
    assert 1.0 <= len(prose) / len(code) <= 1.5
    assert statistics.median(len(source(cell).splitlines()) for cell in code) <= 4


def test_it_fits_a_laptops_screen(lesson: Path) -> None:
    """With JupyterLab's list of files beside it; what a cell imports may run on, and has no more to tell there."""
    lines = [line for cell in cells(lesson, "code") for line in source(cell).splitlines()]
    assert not [line for line in lines if len(line) > 104 and not line.startswith("from ")]


def test_no_question_and_no_answer_of_a_prediction_is_cut_off(lesson: Path) -> None:
    said = [forms["text/html"] for forms in drawings(lesson) if "you said" in forms["text/html"]]
    assert said and not [html for html in said if re.search(r"<text[^>]*><title>", html)]


def test_it_is_committed_executed_from_top_to_bottom_without_errors(lesson: Path) -> None:
    assert is_executed(lesson)
    outputs = [output for cell in cells(lesson, "code") for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert drawings(lesson)


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


def test_it_asks_measures_and_shows_its_source(lesson: Path) -> None:
    code = [source(cell) for cell in cells(lesson, "code")]
    assert f'engine, folder = lesson("{lesson.stem[:2]}")' in code[0]
    asked, told = (next(index for index, text in enumerate(code) if word in text) for word in (" predict(", ".reveal("))
    assert asked < len(code) / 2 < told
    assert lesson.stem == "00-start-here" or any(text.startswith("source(") for text in code)


def test_pictures_have_a_text_twin_which_shows_where_drawings_are_filtered_out(lesson: Path) -> None:
    for forms in drawings(lesson):
        twin = forms["text/plain"].strip()
        assert twin and "object at 0x" not in twin
        assert twin in Filtered(forms["text/html"]).text


def test_of_a_widget_its_still_face_is_kept_and_nothing_that_needs_a_kernel(lesson: Path) -> None:
    assert LIVE not in lesson.read_text(encoding="utf-8")
    assert "widgets" not in read(lesson)["metadata"]
    asked = [cell for cell in cells(lesson, "code") if re.search(r"^\w+ = predict\(", source(cell), re.M)]
    assert asked and all("A still picture" in json.dumps(cell["outputs"]) for cell in asked)


@pytest.mark.parametrize("template", ["lab", "basic"])
def test_an_export_shows_every_picture_and_asks_the_network_for_none(lesson: Path, template: str) -> None:
    exporter = pytest.importorskip("nbconvert").HTMLExporter(template_name=template)
    page, _ = exporter.from_filename(str(lesson))
    kept = "".join(forms["text/html"] for forms in drawings(lesson))
    assert drawn(page) == drawn(kept)
    assert not re.search(r"(src|href)=|url\((?!#)|@import", kept)


def test_a_lesson_fails_whose_stored_output_differs_or_that_was_not_executed(tmp_path: Path) -> None:
    notebook = read(NOTEBOOKS[0])
    notebook["cells"] = [one_plus_one(1, "2"), one_plus_one(2, "3"), one_plus_one(None, "")]
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps(notebook))
    assert "-p nbval.plugin --nbval notebooks/*.ipynb" in (HOME / "Makefile").read_text()
    words = "-m pytest -q -p nbval.plugin --nbval -p no:cacheprovider".split()
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # as in the Makefile
    command = [sys.executable, *words, path.name]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "1 failed, 2 passed" in done.stdout, "it compares nothing where nothing was executed"
    assert not is_executed(path)


def one_plus_one(count: int | None, stored: str) -> dict[str, Any]:
    result = {"output_type": "execute_result", "metadata": {}, "execution_count": count, "data": {"text/plain": stored}}
    cell = {"cell_type": "code", "id": f"cell-{count}", "metadata": {}, "source": "1 + 1"}
    return cell | {"execution_count": count, "outputs": [result] if stored else []}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An IPython without a kernel: quick, and the notebook's own process."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", lessons.EPOCH)  # a lesson sets it; here it has to go again
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
