"""What is in a file, and lists of files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minidocker.layer import WHITEOUT, directory, file
from minidocker.notebook.pictures.contents import LINES, beginning, content_figure, rows_figure
from minidocker.tree import Entry


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"no end of line", ["no end of line"]),
        ("grüß\n".encode(), ["grüß"]),
        (b"a\r\n\x1b[2J", ["a\\r", "\\x1b[2J"]),
        (b"x" * 9000, ["x" * 111 + "…", "…"]),
        (b"l\n" * 100, ["l"] * LINES + ["…"]),
        (b"\xff\xfe", ["00000000  ff fe                                             |..|"]),
        ("é".encode() * 5000, ["é" * 111 + "…", "…"]),
    ],
)
def test_the_beginning_of_a_file(content: bytes, lines: list[str]) -> None:
    assert beginning(file(content)) == lines


@pytest.mark.parametrize(
    ("entry", "said"),
    [(None, "nothing"), (WHITEOUT, "it is deleted here"), (directory(), "directory"), (file(b"hi <b>"), "hi <b>")],
)
def test_whatever_is_there_is_told(entry: Entry | None, said: str, parse: Callable[[Any], Any]) -> None:
    figure = content_figure("/a\u202eb", "layer 1", entry)
    parse(figure)
    assert said in figure.twin and "\u202e" not in figure.twin


def test_rows(parse: Callable[[Any], Any]) -> None:
    figure = rows_figure(
        "all", ["", "path", "layer", "size"], [["D", "/a", "layer 2", ""], ["A", "/b", "layer 1", "3B"]]
    )
    parse(figure)
    assert figure.twin.splitlines()[1:] == ["  D  /a            layer 2", "  A  /b        3B  layer 1"]
