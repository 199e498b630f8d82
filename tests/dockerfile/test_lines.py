"""How physical lines become instructions: directives, comments, continuations, here-documents, flags, the exec form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.dockerfile.lines import Source, json_list, parse_heredoc, split_flags
from minidocker.errors import DockerfileError


def texts(text: str) -> list[str]:
    return [line.text.rstrip() for line in Source.read(text).lines]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN a \\\n  b\n", ["RUN a   b"]),
        ("RUN a \\  \n  b\n", ["RUN a   b"]),
        ("RUN a\\\nb\n", ["RUN ab"]),
        ("RUN a \\\n# comment\n  b\n", ["RUN a   b"]),
        ("RUN a \\\n   # comment \\\n  b\n", ["RUN a   b"]),
        ("RUN a \\\n\n\n  b\n", ["RUN a   b"]),
        ("RUN a \\\n\n", ["RUN a"]),
        ("RUN a \\", ["RUN a"]),
        ("RUN a \\\\\nRUN b", ["RUN a \\\\", "RUN b"]),
        ("RUN a \\\\\\\nRUN b", ["RUN a \\\\\\", "RUN b"]),
        ("  RUN a # no comment\n\t# comment\n\n", ["RUN a # no comment"]),
        ("RUN a \\\r\n  b\r\nRUN c\r\n", ["RUN a   b", "RUN c"]),
        ("\ufeffRUN a\n", ["RUN a"]),
        ("RUN a\x0bb\u2028c\n", ["RUN a\x0bb\u2028c"]),
    ],
)
def test_lines_are_joined_as_docker_joins_them(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_a_line_knows_where_it_began_and_ended() -> None:
    source = Source.read("# c\n\nFROM x\nRUN a \\\n # c\n b\n\nRUN <<EOF\nx\nEOF\nCMD y")
    assert [(line.keyword, line.line, line.end) for line in source.lines] == [
        ("FROM", 3, 3),
        ("RUN", 4, 6),
        ("RUN", 8, 10),
        ("CMD", 11, 11),
    ]


def test_an_empty_continuation_line_is_noted_with_the_line_where_the_instruction_ends() -> None:
    lines = Source.read("RUN a \\\n\n b\nRUN a \\\n# \n b\nRUN <<E \\\n\n cat\nx\nE\n").lines
    assert [line.gap for line in lines] == [3, 0, 9]


def test_comments_belong_to_what_they_stand_right_above() -> None:
    text = "# syntax=docker/dockerfile:1\n# one\n#two \nRUN a\n# three\n\nRUN b\n# four\n#\nRUN c\n##\nRUN d"
    assert [line.comments for line in Source.read(text).lines] == [("one", "two"), (), (), ("#",)]


@pytest.mark.parametrize(
    ("text", "escape"),
    [
        ("# escape=`\nRUN a", "`"),
        ("#escape=`\nRUN a", "`"),
        ("  # Escape  =  `  \nRUN a", "`"),
        ("# syntax=docker/dockerfile:1\n# check=skip=all\n# escape=`\nRUN a", "`"),
        ("\ufeff# escape=`\r\nRUN a", "`"),
        ("# escape=\\\nRUN a", "\\"),
        ("\n# escape=`\nRUN a", "\\"),
        ("# a comment\n# escape=`\nRUN a", "\\"),
        ("# unknown=1\n# escape=`\nRUN a", "\\"),
        ("RUN a\n# escape=`", "\\"),
    ],
)
def test_directives_count_only_at_the_top(text: str, escape: str) -> None:
    assert Source.read(text).escape == escape


def test_the_escape_directive_changes_continuation() -> None:
    assert texts("# escape=`\nRUN a `\n b\nRUN c:\\\n") == ["RUN a  b", "RUN c:\\"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("# escape=x\nFROM a", 1, "invalid escape token 'x' does not match ` or \\"),
        ("# syntax=a\n# Syntax=b\nFROM a", 2, "only one syntax parser directive can be used"),
        ("# escape=`\n# escape=`\nFROM a", 2, "only one escape parser directive can be used"),
        ("", 0, "the Dockerfile (Dockerfile) cannot be empty"),
        ("\n\n", 2, "file with no instructions"),
        ("# only\n", 1, "file with no instructions"),
        ("FROM a\nRUN <<EOF\nx", 2, "unterminated heredoc: no line is 'EOF'"),
        ("FROM a\nRUN " + "x" * 65_536, 2, "dockerfile line greater than max allowed size of 65535"),
    ],
)
def test_a_file_that_cannot_be_read(text: str, line: int, problem: str) -> None:
    with pytest.raises(DockerfileError) as refused:
        Source.read(text)
    assert (refused.value.line, refused.value.message) == (line, problem)


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        ("--from=a b c", ("--from=a",), "b c"),
        ('--a="b c" --d x', ("--a=b c", "--d"), "x"),
        ("--a='b\"c' x", ('--a=b"c',), "x"),
        (r"--a=b\ c x", ("--a=b c",), "x"),
        ("-- --x y", (), "--x y"),
        ("a --b", (), "a --b"),
        ("-a b", (), "-a b"),
        ("--a", ("--a",), ""),
        ("--a --", ("--a",), ""),
        ("", (), ""),
    ],
)
def test_flags_come_first(text: str, flags: tuple[str, ...], rest: str) -> None:
    assert split_flags(text) == (flags, rest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["a", "b"]', ["a", "b"]),
        ('  [ "a" ,"b" ]  ', ["a", "b"]),
        ("[]", []),
        ('["a\\u00e9\\/"]', ["aé/"]),
        ('["\\ud800"]', ["\ufffd"]),
        ("['a']", None),
        ('["a",]', None),
        ('["a\\x"]', None),
        ('["a\tb"]', None),
        ('["a"] # comment', None),
        ('["a"]]', None),
        ('[ "$a" = b ] && c', None),
        ("[NaN]", None),
        ('{"a": 1}', None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_the_exec_form_is_a_json_list_and_anything_else_the_shell_form(text: str, expected: list[str] | None) -> None:
    assert json_list(text) == expected


@pytest.mark.parametrize("text", ["[1]", '["a", null]', '[["a"]]', "[{}]"])
def test_a_list_of_anything_but_strings_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="when using JSON array syntax, arrays must be comprised of strings only"):
        json_list(text)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("<<EOF", ("EOF", True, False, 0)),
        ("<<-EOF", ("EOF", True, True, 0)),
        ('<<"EOF"', ("EOF", False, False, 0)),
        ("<<'E F'", ("E F", False, False, 0)),
        ("<<E'O'F", ("EOF", False, False, 0)),
        ("3<<EOF", ("EOF", True, False, 3)),
        ("<<a.txt", ("a.txt", True, False, 0)),
        ("<<$x", ("$x", True, False, 0)),
    ],
)
def test_a_word_that_opens_a_heredoc(word: str, expected: tuple[str, bool, bool, int]) -> None:
    heredoc = parse_heredoc(word)
    assert heredoc
    assert (heredoc.name, heredoc.expand, heredoc.chomp, heredoc.descriptor) == expected


@pytest.mark.parametrize("word", ["<<", "<<<EOF", "a<<EOF", "EOF", "<EOF", "<<a b"])
def test_a_word_that_does_not(word: str) -> None:
    assert parse_heredoc(word) is None


def test_several_heredocs_on_one_line() -> None:
    text = "COPY <<one <<-'two' /dir/\n# kept\n  $a\none\n\t\tb\n\ttwo\nRUN next\n"
    copy, following = Source.read(text).lines
    assert [(heredoc.name, heredoc.data) for heredoc in copy.heredocs] == [("one", "# kept\n  $a\n"), ("two", "b\n")]
    assert copy.heredocs[1].content == "\t\tb\n"
    assert following.text == "RUN next"


@pytest.mark.parametrize(
    "text",
    [
        "RUN cat<<EOF\n",
        'RUN ["cat", "<<EOF"]\n',
        "ENV a=<<EOF\n",
        "CMD cat <<EOF\n",
        "RUN echo '<<EOF'\n",
        "RUN echo $((1<<2))\n",
        "RUN cat <<<EOF\n",
        "ONBUILD CMD <<EOF\n",
    ],
)
def test_no_heredoc_here(text: str) -> None:
    assert Source.read(text).lines[0].heredocs == ()


def test_heredocs_in_triggers_and_after_flags() -> None:
    assert Source.read("ONBUILD RUN --network=none <<EOF\nx\nEOF\n").lines[0].heredocs[0].content == "x\n"
    assert Source.read("RUN --mount=type=cache,target=/x cat <<EOF\nx\nEOF\n").lines[0].heredocs[0].content == "x\n"


@given(st.text(alphabet="RUN a\\\n#`<EOF\"'[]\r\t", max_size=40))
def test_any_text_reads_or_is_refused(text: str) -> None:
    try:
        source = Source.read(text)
    except DockerfileError:
        return
    assert all(1 <= line.line <= line.end for line in source.lines)
