"""Words as Docker expands them: what Docker 20.10 made of each (a LABEL, read back with inspect), as literals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.dockerfile.words import expand, expand_text, expand_words, split_words

ENV = {"x": "xval", "e": "", "sp": "a b", "q": "it's ok"}  # and n is not set

DOCKER = [
    ("a", "a"),
    ("$x", "xval"),
    ("${x}", "xval"),
    ("${x}y", "xvaly"),
    ("$xy", ""),
    ('"$x"', "xval"),
    ("'$x'", "$x"),
    (r"\$x", "$x"),
    (r"\\$x", r"\xval"),
    (r'"\$x"', "$x"),
    (r'"\\$x"', r"\xval"),
    (r'"a\b"', r"a\b"),
    (r"a\b", "ab"),
    (r"a\ b", "a b"),
    ('"a b"', "a b"),
    ("'a b'", "a b"),
    ('a"b c"d', "ab cd"),
    ("${e:-def}", "def"),
    ("${x:-def}", "xval"),
    ("${n:-def}", "def"),
    ("${n:-$x}", "xval"),
    ("${n:-${x}}", "xval"),
    ('${n:-"a b"}', "a b"),
    ("${x:+yes}", "yes"),
    ("${e:+yes}", ""),
    ("${n:+yes}", ""),
    (r"${n:-a\}b}", "a}b"),
    ("${n:-'a}b'}", "a}b"),
    ('${n:-"a}b"}', "a}b"),
    ("${x:-}", "xval"),
    ('"${n:-a b}"', "a b"),
    ("${x:-a:b}", "xval"),
    ("${n:-a:b}", "a:b"),
    ("${x:+${sp}}", "a b"),
    (r"${n:-\$x}", "$x"),
    (r"${n:-\\}", "\\"),
    (r'"${n:-\"}"', '"'),
    ("$", "$"),
    ("a$", "a$"),
    ("$$", ""),
    ("$$x", "x"),
    ("$1", ""),
    ("$10a", "a"),
    ("$@", ""),
    ("${@}", ""),
    ("$#", ""),
    ("$%", "$%"),
    ("$.", "$."),
    ("$/x", "$/x"),
    ("$(x)", "$(x)"),
    ("`$x`", "`xval`"),
    ("$sp", "a b"),
    ("$q", "it's ok"),
    (r"\"a\"", '"a"'),
    ("'it'\"'\"'s'", "it's"),
    (r'"a\""', 'a"'),
    (r"'a\'", "a\\"),
    (r"'a\\'", r"a\\"),
    ('""', ""),
    ("''", ""),
    ('""a', "a"),
    ("{$x}", "{xval}"),
    ("}", "}"),
    ("*", "*"),
    ("a;b&&c", "a;b&&c"),
    ("한$x", "한xval"),
    ("$한", ""),
    (r"a\tb", "atb"),
    (r'"a\tb"', r"a\tb"),
]


@pytest.mark.parametrize(("word", "expected"), DOCKER)
def test_docker_expands(word: str, expected: str) -> None:
    assert expand(word, ENV) == expected


NEWER = [
    ("${x-def}", "xval"),
    ("${e-def}", ""),
    ("${n-def}", "def"),
    ("${e+yes}", "yes"),
    ("${n+yes}", ""),
    ("${x?no}", "xval"),
    ("${x:?no}", "xval"),
    ("${e?no}", ""),
    ("${f#*.}", "tar.gz"),
    ("${f##*.}", "gz"),
    ("${f%.*}", "app.tar"),
    ("${f%%.*}", "app"),
    ("${f#nothing}", "app.tar.gz"),
    ("${f#a?p}", ".tar.gz"),
    ("${f%.gz}", "app.tar"),
    ("${f/a/A}", "App.tar.gz"),
    ("${f//a/A}", "App.tAr.gz"),
    ("${f//./-}", "app-tar-gz"),
    ("${f/.*/}", "app"),
    ("${f//*/y}", "y"),
    ("${n//*/y}", "y"),
    ("${n#*}", ""),
    (r"${star#\*}", "*x"),
    (r"${star##\**}", ""),
    (r"${star//\*/-}", "--x"),
    (r"${path##*\/}", "file"),
    ("${path%/*}", "/a/b"),
    (r"${path//\//:}", ":a:b:file"),
    ("${f%${n:-.gz}}", "app.tar"),
    ('"${f%.gz}"', "app.tar"),
]


@pytest.mark.parametrize(("word", "expected"), NEWER)
def test_forms_of_todays_buildkit(word: str, expected: str) -> None:
    """The published table of modifiers, which Docker 20.10 did not have yet."""
    env = ENV | {"f": "app.tar.gz", "star": "**x", "path": "/a/b/file"}
    assert expand(word, env) == expected


BAD = [
    ("'a", "unexpected end of statement while looking for matching single-quote"),
    ('"a', "unexpected end of statement while looking for matching double-quote"),
    ('"a\\', "unexpected end of statement while looking for matching double-quote"),
    ("${", "syntax error: missing '}'"),
    ("${a", "syntax error: missing '}'"),
    ("${a:-b", "syntax error: missing '}'"),
    ("${a:-'b}", "syntax error: missing '}'"),
    ("${a/b", "syntax error: missing '/' in ${}"),
    ("${a/b/c", "syntax error: missing '}'"),
    ("${}", "syntax error: bad substitution"),
    ("${:-a}", "syntax error: bad substitution"),
    ("${{a}", "syntax error: bad substitution"),
    ("${a!b}", "unsupported modifier (!) in substitution"),
    ("${a:b}", "unsupported modifier (:b) in substitution"),
    ("${a:#b}", "unsupported modifier (:#) in substitution"),
    ("${a=b}", "unsupported modifier (=) in substitution"),
    ("${n?}", "n: is not allowed to be unset"),
    ("${n:?}", "n: is not allowed to be unset"),
    ("${e:?}", "e: is not allowed to be empty"),
    ("${n:?say $x}", "n: say xval"),
    (r"${x#\a}", r"invalid pattern (\a) in substitution: invalid escape '\a'"),
]


@pytest.mark.parametrize(("word", "problem"), BAD)
def test_malformed_words_are_refused_in_dockers_words(word: str, problem: str) -> None:
    with pytest.raises(ValueError) as refused:
        expand(word, ENV)
    assert str(refused.value).startswith("failed to process ")
    assert str(refused.value).endswith(f": {problem}")


def test_substitutions_may_stand_in_one_another_but_not_for_ever() -> None:
    assert expand("${n:-" * 50 + "x" + "}" * 50, {}) == "x"
    with pytest.raises(ValueError, match="more than 50 substitutions in one another"):
        expand("${n:-" * 51 + "x" + "}" * 51, {})


def test_the_escape_character_can_be_a_backtick() -> None:
    assert expand(r"`$x c:\dir\$x", ENV, "`") == r"$x c:\dir\xval"
    assert expand('"`"a`b"', ENV, "`") == '"a`b'


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("80 81", ["80", "81"]),
        ("$sp", ["a", "b"]),
        ('"$sp"', ["a b"]),
        ("'a b' c", ["a b", "c"]),
        (r"a\ b c", ["a b", "c"]),
        ("$n", []),
        ("  a  ", ["a"]),
        ("a$sp'c d'", ["aa", "bc d"]),
    ],
)
def test_words_are_split_after_expansion(word: str, expected: list[str]) -> None:
    assert expand_words(word, ENV) == expected


def test_a_heredoc_has_variables_and_escapes_but_no_quotes() -> None:
    assert expand_text('it\'s "$x" \\$x a\\nb\n', ENV) == 'it\'s "xval" $x anb\n'


def test_splitting_changes_nothing() -> None:
    line = r"""RUN a "b c" 'd e' ${f:-g h} \"i j $k"""
    assert split_words(line) == ["RUN", "a", '"b c"', "'d e'", "${f:-g", "h}", r"\"i", "j", "$k"]
    assert split_words("RUN echo 'open") == []


@given(st.text(alphabet="ab$x{}:-+?#%/'\"\\ ", max_size=12))
def test_every_word_has_a_value_or_a_reason(word: str) -> None:
    try:
        expand(word, ENV)
    except ValueError as error:
        assert "failed to process" in str(error)


@given(st.text(alphabet="abc d'\"$\\", max_size=8))
def test_what_is_quoted_comes_back(text: str) -> None:
    double = '"' + "".join("\\" + char if char in '"$\\' else char for char in text) + '"'
    assert expand(double, {}) == text
    if "'" not in text:
        assert expand(f"'{text}'", {}) == text
