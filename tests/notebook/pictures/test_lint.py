"""A Dockerfile's warnings, drawn beside its lines."""

from __future__ import annotations

from minidocker.dockerfile import Dockerfile
from minidocker.dockerfile.lint import check
from minidocker.notebook.pictures.lint import linted
from minidocker.notebook.pictures.svg import Figure


def shown(text: str) -> Figure:
    return linted(text, check(Dockerfile.parse(text)))


def test_a_line_is_marked_as_often_as_its_instruction_is_long_and_its_rule_named_once() -> None:
    figure = shown("FROM scratch\n\nENV a $b\\\n  c\nLABEL x=<y>")
    assert figure.twin == (
        "2 warnings\n"
        "  1 │ FROM scratch\n"
        "  2 │ \n"
        "→ 3 │ ENV a $b\\\n"
        '        LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format\n'
        "        UndefinedVar: Usage of undefined variable '$b'\n"
        "→ 4 │   c\n"
        "  5 │ LABEL x=<y>"
    )
    assert figure.svg().count("class='md-on'") == 2
    assert "LegacyKeyValueFormat, UndefinedVar" in figure.svg()
    assert "https://docs.docker.com/go/dockerfile/rule/undefined-var/" in figure.svg()
    assert "x=&lt;y&gt;" in figure.svg()


def test_a_file_that_nobody_minds_is_a_file() -> None:
    figure = shown("FROM scratch\n")
    assert figure.twin == "no warnings\n  1 │ FROM scratch"
    assert "md-on" not in figure.svg()
