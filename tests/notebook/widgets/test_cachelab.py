"""The cache lab: an edit is forecast at once, a file is edited where it lies, a build is put beside its forecast."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ipywidgets")

from minidocker.engine import connect
from minidocker.notebook.widgets.cachelab import CacheLab, cache_lab, swapped, text_files

TEXT = 'FROM minidocker/base\nCOPY list.txt /\nCOPY . /app/\nRUN cat /list.txt > /got\nCMD ["cat", "/got"]\n'


@pytest.fixture
def lab(tmp_path: Path) -> CacheLab:
    folder = tmp_path / "folder"
    (folder / "src").mkdir(parents=True)
    for name, content in {"list.txt": "one", "src/app.py": "1", "src/picture.png": "\0"}.items():
        (folder / name).write_text(content)
    lab = cache_lab(connect(tmp_path / "engine", runtime="simulated"), folder, TEXT)
    lab.start.click()
    return lab


def rungs(lab: CacheLab) -> str:
    assert lab.picture.figure is not None
    lines = [line.strip() for line in lab.picture.figure.twin.splitlines()]
    return " ".join(line.partition(" ")[0].lower() for line in lines if line.startswith(("HIT", "MISS")))


def test_a_build_stands_beside_its_forecast(lab: CacheLab) -> None:
    assert lab.picture.figure is not None
    assert "the forecast  (5 steps: 1 from the cache, 4 to build)" in lab.picture.figure.twin
    assert "the build  (5 steps: 1 from the cache, 4 built)" in lab.picture.figure.twin
    assert rungs(lab) == " ".join(["hit miss miss miss miss"] * 2)


def test_an_edited_file_is_written_and_forecast(lab: CacheLab) -> None:
    (lab.folder / "src/app.py").chmod(0o751)
    lab.look()
    lab.file.value = "src/app.py"
    assert lab.content.value == "1"
    lab.content.value = "2"
    assert (lab.folder / "src/app.py").read_text() == "2"
    assert (lab.folder / "src/app.py").stat().st_mode & 0o777 == 0o751
    assert rungs(lab) == "hit hit miss miss miss"
    assert [path.name for path in lab.folder.rglob("*.*.*")] == [], "no temporary file stays"


def test_a_line_that_is_moved_takes_the_choice_with_it(lab: CacheLab) -> None:
    lab.line.value = 3
    lab.up.click()
    assert lab.text.value.splitlines()[2] == "RUN cat /list.txt > /got"
    assert lab.line.value == 2
    assert "`COPY . /app/` was moved below line 3" in str(lab.picture.figure)
    for _ in range(5):
        lab.up.click()
    assert lab.text.value.splitlines()[0] == "RUN cat /list.txt > /got", "and no further"
    lab.undo.click()
    assert lab.text.value == TEXT and rungs(lab) == "hit hit hit hit hit"


def test_start_again_puts_the_files_back_and_removes_new_ones(lab: CacheLab) -> None:
    lab.file.value = ".dockerignore"
    lab.content.value = "src\n"
    lab.file.value = "list.txt"
    lab.content.value = "two"
    lab.undo.click()
    assert (lab.folder / "list.txt").read_text() == lab.content.value == "one"
    assert not (lab.folder / ".dockerignore").exists()


def test_what_cannot_be_forecast_is_said_with_its_line(lab: CacheLab) -> None:
    lab.text.value = TEXT.replace("COPY . ", "COYP . ")
    assert "unknown instruction: COYP (did you mean COPY?)" in lab.message.value
    assert "→   3 │ COYP . /app/" in lab.message.value
    assert "the last forecast that was possible" in str(lab.picture.figure)
    lab.text.value = TEXT.replace("COPY . ", "COPY <b>x</b> ")
    assert "→   3 │ COPY &lt;b&gt;x" in lab.message.value and "<b>" not in lab.message.value
    assert "the build would fail here  (5 steps: 2 from the cache, 0 to build, 3 to go)" in str(lab.picture.figure)
    lab.text.value = TEXT
    assert lab.message.value == ""


def test_a_build_that_fails_says_what_the_program_said(lab: CacheLab) -> None:
    lab.text.value = TEXT.replace("cat /list.txt > /got", "echo so far so good; exit 3")
    lab.start.click()
    assert "so far so good" in lab.message.value and "exit code: 3" in lab.message.value
    assert "→   4 │ RUN echo so far" in lab.message.value
    assert not lab.start.disabled and "the build failed here" in str(lab.picture.figure)


def test_its_face_is_the_forecast_and_survives_a_text_that_is_none(lab: CacheLab) -> None:
    assert lab.face().twin.startswith("forecast: nothing is built yet  (5 steps: 5 from the cache")
    lab.text.value = ""
    assert "no forecast" in lab.face().twin
    assert not lab.line.options


def test_only_small_texts_can_be_edited(lab: CacheLab) -> None:
    assert text_files(lab.folder) == ["list.txt", "src/app.py", ".dockerignore"]
    (lab.folder / "link").symlink_to("/etc/passwd")
    (lab.folder / "large.txt").write_text("x" * 20_001)
    assert text_files(lab.folder) == ["list.txt", "src/app.py", ".dockerignore"]


def test_swapping_stays_inside() -> None:
    assert swapped("a\nb", 0, 1) == "b\na"
    assert swapped("a\nb\n", 0, -1) == swapped("a\nb\n", 1, 2) == "a\nb\n"
