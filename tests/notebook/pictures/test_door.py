"""The context as the only door; a `.dockerignore` tried line by line; tables of combinations."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidocker.dockerignore import Ignore
from minidocker.errors import DockerfileError
from minidocker.notebook.pictures.door import MOST, door, door_figure, patterns
from minidocker.notebook.pictures.matrix import matrix
from minidocker.tree import Tree, file


def test_it_tells_what_comes_in_and_which_line_keeps_what_out() -> None:
    tree = Tree({"/.env": file(b"key"), "/src/a.py": file(b"12345"), "/.git/x/y": file(b"1" * 90), "/.git/z": file()})
    shown = door_figure(tree, Ignore.parse("# mine\n.git\n.env\n"), ["../above"])
    assert shown.twin.splitlines() == [
        "the build context is the only door  (it holds 1 of 4 files, 5B of 98B)",
        "  ✗ .env                             left out by line 3: .env",
        "  ✗ .git/ (2 files)                  left out by line 2: .git",
        "  ▸ src/a.py",
        "  ✗ ../above                         not in the context: no line can name it",
    ]
    assert shown.svg().count("<polygon") == 1


def test_a_directory_with_an_exception_in_it_is_not_folded() -> None:
    tree = Tree({"/docs/a": file(), "/docs/keep": file()})
    shown = door_figure(tree, Ignore.parse("docs\n!docs/keep\n"))
    assert "✗ docs/a" in shown.twin and "▸ docs/keep" in shown.twin


def test_a_folder_is_read_as_a_build_reads_it(tmp_path: Path) -> None:
    for name in ("a.log", "b.txt", "Dockerfile"):
        (tmp_path / name).write_text(name)
    assert "▸ a.log" in door(tmp_path).twin
    (tmp_path / ".dockerignore").write_text("*.log\n")
    assert "✗ a.log" in door(tmp_path).twin and "▸ Dockerfile" in door(tmp_path).twin
    (tmp_path / "Dockerfile.dockerignore").write_text("*.txt\n")
    assert "▸ a.log" in door(tmp_path).twin and "✗ b.txt" in door(tmp_path).twin


def test_many_files_are_counted() -> None:
    tree = Tree({f"/{number:03}": file() for number in range(100)})
    assert f"and {100 - MOST} more" in door_figure(tree, Ignore()).svg()


def test_each_line_of_a_dockerignore_may_turn_a_path_round() -> None:
    shown = patterns("*.log\n!keep.log\n**/*.log", ["keep.log", "logs/a.log", "a.txt"])
    assert shown.twin.splitlines()[1:] == [
        "  keep.log, 1: *.log: left out",
        "  keep.log, 2: !keep.log: in again",
        "  keep.log, 3: **/*.log: left out",
        "  logs/a.log, 1: *.log: in",
        "  logs/a.log, 2: !keep.log: in",
        "  logs/a.log, 3: **/*.log: left out",
        "  a.txt, 1: *.log: in",
        "  a.txt, 2: !keep.log: in",
        "  a.txt, 3: **/*.log: in",
    ]
    assert shown.svg().count("md-on") == 4, "where a line changed something"
    with pytest.raises(DockerfileError):
        patterns("[", ["a"])


def test_a_table_compares_with_what_was_said() -> None:
    cells = {("r", "c"): "hi\nbecause", ("r", "d"): "ho"}
    shown = matrix("t", ["r"], ["c", "d", "e"], cells, {("r", "c"): "hi", ("r", "d"): "hi"})
    assert shown.twin == "t\n  r, c: hi (as you said); because\n  r, d: ho (you said hi)\n  r, e: ?"
    assert shown.svg().count("✓") == shown.svg().count("≠") == 1


def test_an_empty_table_is_one_too() -> None:
    assert matrix("t", [], [], {}).twin == "t"
