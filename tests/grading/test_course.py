"""`minidocker course`: what a class is handed out, what it hands in, and the class at a glance."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from minidocker.cli import main
from minidocker.grading.collect import Collected, collect, learner
from minidocker.grading.grade import functions
from minidocker.grading.gradebook import Grade, Gradebook, read
from tests.grading.handed_in import FOLDER, notebook

yaml = pytest.importorskip("yaml")


LAYERS = notebook('check, hint, transplant = exercise("01-layers", globals())')
NEWER = notebook('exercise("01-layers", globals())', "newer = 1")


# --- handed out -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class")
    assert main(["course", "release", str(folder)]) == 0
    return folder


def test_no_solution_and_no_hidden_check_is_handed_out(handed_out: Path) -> None:
    assert {path.name for path in handed_out.rglob("*.ipynb")} & {"source.ipynb"} == set()
    assert [path.name for path in (handed_out / "minidocker" / "grading" / "hidden").iterdir()] == ["__init__.py"]
    for path in (handed_out / "exercises").rglob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text and "HIDDEN TESTS" not in text


def test_released_again_nothing_changes_and_what_a_teacher_wrote_stays(handed_out: Path, tmp_path: Path) -> None:
    assert main(["course", "release", str(handed_out)]) == 0
    shutil.copytree(handed_out, tmp_path / "own")
    readme = tmp_path / "own" / "README.md"
    readme.write_text("ours")
    assert main(["course", "release", str(tmp_path / "own")]) != 0
    assert readme.read_text() == "ours"
    assert main(["course", "release", "--force", str(tmp_path / "own")]) == 0
    assert readme.read_text() != "ours"


def scripts(folder: Path) -> list[str]:
    """What each of the two CI systems runs to grade."""
    github = yaml.safe_load((folder / ".github/workflows/grade.yml").read_text())
    gitlab = yaml.safe_load((folder / ".gitlab-ci.yml").read_text())
    steps = [step["run"] for step in github["jobs"]["grade"]["steps"] if step.get("name") == "Grade"]
    return [*steps, gitlab["grade"]["script"][-1]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="grading forks processes")
def test_ci_of_a_class_grades_what_was_begun(handed_out: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(handed_out, own)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "minidocker").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m minidocker "$@"\n')
    (programs / "minidocker").chmod(0o755)
    env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(own)}
    env |= {"MINIDOCKER_ROOT": str(tmp_path / "root")}
    first, second = scripts(own)
    assert first == second

    def graded() -> tuple[int, list[dict[str, Any]]]:
        done = subprocess.run(["sh", "-c", first], cwd=own, env=env, capture_output=True, timeout=120)
        found = json.loads((own / "grades" / "grades.json").read_text())["submissions"]
        return done.returncode, found

    assert graded() == (0, [])
    mine = own / "exercises" / "01-layers" / "layers.ipynb"
    mine.write_text(mine.read_text().replace("raise NotImplementedError()", "return 1", 1))
    code, found = graded()
    assert (code, [one["who"] for one in found]) == (1, ["01-layers/layers"])
    shutil.copy(FOLDER / "01-layers" / "source.ipynb", mine)
    code, found = graded()
    assert (code, found[0]["points"]) == (0, found[0]["of"])
    assert {task["hidden"]["of"] for task in found[0]["tasks"]} == {0}


# --- handed in ------------------------------------------------------------------------------------------------------


def collected(source: Path, roster: Path | None = None) -> Collected:
    return collect([source], roster, functions())


def put(path: Path, data: bytes, moment: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if moment:
        os.utime(path, (moment, moment))


def packed(path: Path, entries: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_of_a_clone_the_newest_of_each_exercise_counts(tmp_path: Path) -> None:
    put(tmp_path / "in/ada/exercises/01-layers/layers.ipynb", NEWER, 2_000_000)
    put(tmp_path / "in/ada/old/layers.ipynb", LAYERS, 1_000_000)
    put(tmp_path / "in/ada/.git/x.ipynb", LAYERS)
    found = collected(tmp_path / "in")
    assert list(found.kept) == [("ada", "01-layers")] and not found.strange
    assert found.kept["ada", "01-layers"].submission.data == NEWER


def test_what_platforms_give_is_understood(tmp_path: Path) -> None:
    moodle = packed(tmp_path / "all.zip", {"Ada Lovelace_12_assignsubmission_file_/layers.ipynb": LAYERS})
    assert list(collected(moodle).kept) == [("Ada Lovelace", "01-layers")]
    put(tmp_path / "canvas/hopper_LATE_12_34_layers.ipynb", LAYERS)
    packed(tmp_path / "canvas/turing.zip", {"a/b/layers.ipynb": LAYERS})
    zed = {"layers.ipynb": LAYERS, "__MACOSX/._layers.ipynb": b""}
    packed(tmp_path / "canvas/Zed_4_assignsubmission_file_.zip", zed)
    found = collected(tmp_path / "canvas")
    assert [who for who, _ in found.kept] == ["Zed", "hopper", "turing"] and not found.strange


def test_a_roster_says_who_somebody_is_who_is_missing_and_who_is_none_of_them(tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text("identifier,github_username\nLovelace,ada\nHopper,grace\n")
    put(tmp_path / "in/layers-ada/layers.ipynb", LAYERS)
    put(tmp_path / "in/mallory/layers.ipynb", LAYERS)
    found = collected(tmp_path / "in", roster)
    assert [who for who, _ in found.kept] == ["Lovelace", "mallory"]
    assert (found.missing, found.unlisted, collected(tmp_path / "in").unlisted) == (["Hopper"], ["mallory"], [])


@pytest.mark.parametrize("name", ["../../etc/layers.ipynb", "/abs/layers.ipynb", "..\\x\\layers.ipynb", ".ipynb"])
def test_a_hostile_archive_names_nothing_outside(tmp_path: Path, name: str) -> None:
    archive = packed(tmp_path / "in" / "eve.zip", {name: LAYERS})
    assert main(["course", "collect", str(archive), "-o", str(tmp_path / "out" / "deep")]) in (0, 1)
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.ipynb")}
    assert written <= {"out"}
    assert all((tmp_path / "out" / "deep") in path.parents for path in tmp_path.rglob("*.ipynb"))


def test_a_bomb_and_garbage_are_told_and_left(tmp_path: Path) -> None:
    packed(tmp_path / "in/eve.zip", {"layers.ipynb": b" " * (40 << 20)})
    put(tmp_path / "in/bob/notes.ipynb", b"{")
    put(tmp_path / "in/zoe/poem.ipynb", notebook("x = 1"))
    put(tmp_path / "in/ada/layers.ipynb", LAYERS)
    put(tmp_path / "in/torn.zip", b"PK nothing")
    found = collected(tmp_path / "in")
    assert list(found.kept) == [("ada", "01-layers")]
    assert [line.split(":")[0] for line in found.strange] == ["bob", "eve", "torn", "zoe"]


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "x.zip", b"PK nothing")
    assert main(["course", "collect", str(tmp_path / "x.zip")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("minidocker course collect: ") and "is no archive that can be read" in said


@pytest.mark.parametrize("name", ["..", "/", "a/b", "\x1b[31m", "con:", "." * 300, "x" * 300, ""])
def test_a_learner_is_one_part_of_a_path(name: str) -> None:
    made = learner(name)
    assert made and len(made) <= 100 and made not in (".", "..") and not set('/\\:*?"<>|\x1b') & set(made)


# --- at a glance ----------------------------------------------------------------------------------------------------


def task(address: str, points: float, said: str = "") -> dict[str, Any]:
    line = f"Task {address}: verify(blob), case 1 of 2: {said}" if said else "Task"
    return {"address": address, "name": "verify", "points": points, "stars": 1, "said": [line]}


BOOK = Gradebook(
    [
        Grade("ada", "01-layers", 2, 2, (task("1.1", 1), task("1.2", 1))),
        Grade("bob", "01-layers", 1, 2, (task("1.1", 1), task("1.2", 0, "a whiteout hides"))),
        Grade("bob", "01-layers", 0, 2, (task("1.1", 0), task("1.2", 0))),
        Grade("=eve|<b>", "02-images", 0, 3, (task("2.1", 0, "no digest"),)),
    ]
)


def test_the_best_of_several_counts() -> None:
    assert BOOK.grades["bob", "01-layers"].points == 1


def test_it_tells_where_a_class_is_stuck() -> None:
    hardest = BOOK.stuck()
    assert [(one.task, one.passed, one.of, one.met) for one in hardest] == [
        ("2.1 verify", 0, 1, "no digest"),
        ("1.2 verify", 1, 2, "a whiteout hides"),
        ("1.1 verify", 2, 2, ""),
    ]


def test_what_learners_are_called_harms_no_reader() -> None:
    assert BOOK.csv().splitlines()[1].startswith("'=eve|")
    assert "<b>" not in BOOK.html() and "=eve\\|&lt;b&gt;" in BOOK.markdown()
    assert "bob: 01-layers 1 of 2" in BOOK.figure().twin


def test_what_is_no_grades_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "grades.json").write_text("[]")
    assert main(["course", "report", str(tmp_path)]) == 1
    assert "is not what `minidocker grade` writes" in capsys.readouterr().err
    (tmp_path / "grades.json").write_text(
        json.dumps(
            {"submissions": [{"who": "ada/01-layers", "exercise": "01-layers", "points": 1, "of": 2, "tasks": []}]}
        )
    )
    assert read([tmp_path]) == [Grade("ada", "01-layers", 1, 2)]
    assert main(["course", "report", str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "gradebook.csv",
        "gradebook.html",
        "gradebook.md",
    ]
