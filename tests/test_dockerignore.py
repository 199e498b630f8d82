"""`.dockerignore`: one tree, what Docker sent of it, and Go's table of `filepath.Match`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.dockerignore import Ignore
from minidocker.errors import DockerfileError
from minidocker.wildcard import has_wildcard, match

FILES = (
    *("a", "b", "ab", "a.b", ".hid", "[q]", "x y/z", "tmp/b", "d/a", "d/d/d", "foo/a/b", "foo/ab/c"),
    *("c/a", "c/b", "c/a.b", "c/.hid", "c/tmp/a", "c/d/a", "c/d/e/a", "c/d/e/b"),
)
IN_C = {name for name in FILES if name.startswith("c/")}
IN_CD = {name for name in FILES if name.startswith("c/d/")}
TOP = {name for name in FILES if "/" not in name}


def left(text: str) -> set[str]:
    """What is not excluded, and found by a walk that asks `skips` of directories."""
    ignore = Ignore.parse(text)

    found = {name for name in FILES if not ignore.excludes(name)}
    assert not any(ignore.skips(parent) for name in found for parent in parents(name)), "it would never be found"
    return found


def parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


DOCKER = [
    ("", set(FILES)),
    ("*\n!a\n", {"a"}),
    ("*\n!c\n", IN_C),
    ("*\n!c/d\n", IN_CD),
    ("*\n!c/d/e/a\n", {"c/d/e/a"}),
    ("*\n!.hid\n", {".hid"}),
    ("c\n!c/d\n", set(FILES) - IN_C | IN_CD),
    ("c\n!c/d/e\nc/d/e/b\n", set(FILES) - IN_C | {"c/d/e/a"}),
    ("c\n!c/a\n!c/d/a\n", set(FILES) - IN_C | {"c/a", "c/d/a"}),
    ("c/*\n!c/d\nc/d/*\n!c/d/e\n", set(FILES) - IN_C | {"c/d/e/a", "c/d/e/b"}),
    ("!c\nc\n!c/a\n", set(FILES) - IN_C | {"c/a"}),
    ("**/a\n", {name for name in FILES if "a" not in name.split("/")}),
    ("**/d\n", {name for name in FILES if "d" not in name.split("/")}),
    ("c/**\n", set(FILES) - IN_C),
    ("c/*\n", set(FILES) - IN_C),
    ("**\n!c/d\n", IN_CD),
    ("**\n", set()),
    (".\n", set(FILES)),
    ("/\n", set(FILES)),
    ("*/a\n", set(FILES) - {"d/a", "c/a", "foo/a/b"}),
    ("*/*/a\n", set(FILES) - {"c/tmp/a", "c/d/a"}),
    ("*/*/a\n!c/d/a\n", set(FILES) - {"c/tmp/a"}),
    ("/c\n", set(FILES) - IN_C),
    ("c/\n", set(FILES) - IN_C),
    ("./c\n", set(FILES) - IN_C),
    ("c/../a\n", set(FILES) - {"a"}),
    ("../a\n", set(FILES)),
    ("!a\na\n", set(FILES) - {"a"}),
    ("a\n!a\na\n", set(FILES) - {"a"}),
    ("# c\na\n", set(FILES) - {"a"}),
    (" # a\n", set(FILES)),
    ("a \n\tb\n", set(FILES) - {"a", "b"}),
    ("! a\n a\n! /a\n", set(FILES)),
    ("\ufeffa\r\nb\r\n", set(FILES) - {"a", "b"}),
    ("[[]q]\n", set(FILES) - {"[q]"}),
    ("\\[q]\n", set(FILES) - {"[q]"}),
    ("[q]\n", set(FILES)),
    ("?\n", set(FILES) - {"a", "b"} - IN_C - {"d/a", "d/d/d"}),
    ("*.*\n", set(FILES) - {"a.b", ".hid"}),
    ("a**\n", set(FILES) - {"a", "ab", "a.b"}),
    ("**/tmp\n", set(FILES) - {"tmp/b", "c/tmp/a"}),
    ("tmp\n", set(FILES) - {"tmp/b"}),
    ("x y\n", set(FILES) - {"x y/z"}),
    ("c/[a-b]\n", set(FILES) - {"c/a", "c/b"}),
    ("c/[^a]\n", set(FILES) - {"c/b"} - IN_CD),
    ("**/.*\n", set(FILES) - {".hid", "c/.hid"}),
    ("foo/**/b\n", set(FILES) - {"foo/a/b"}),
    ("**/d/e\n", set(FILES) - {"c/d/e/a", "c/d/e/b"}),
    ("**/e/**\n!**/b\n", set(FILES) - {"c/d/e/a"}),
    ("*b\n!ab\n", set(FILES) - {"b", "a.b"}),
]


@pytest.mark.parametrize(("text", "expected"), DOCKER)
def test_docker_sends(text: str, expected: set[str]) -> None:
    assert left(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*\n!**/a\n", {name for name in FILES if "a" in name.split("/")}),
        ("*\n!c/**/a\n", {"c/a", "c/tmp/a", "c/d/a", "c/d/e/a"}),
        ("**b\n", {name for name in FILES if not any(part.endswith("b") for part in name.split("/"))}),
        ("c/d\n!c\n", set(FILES) - IN_CD),
    ],
)
def test_todays_docker_sends(text: str, expected: set[str]) -> None:
    """Where Docker 20.10 still went wrong: it skipped whole directories, whatever `!**/` had to say of them."""
    assert left(text) == expected


@pytest.mark.parametrize("line", ["[", "a[", "[a-", "[]a]", "\\", "c/[^"])
def test_a_malformed_pattern_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(DockerfileError) as refused:
        Ignore.parse(f"ok\n# comment\n!{line}\n")
    assert str(refused.value) == f".dockerignore:3: syntax error in pattern: !{line}"


def test_an_exception_of_nothing_is_refused() -> None:
    with pytest.raises(DockerfileError, match=r'sub/x.dockerignore:2: illegal exclusion pattern: "!"'):
        Ignore.parse("a\n!\n", "sub/x.dockerignore")


def test_a_directory_is_skipped_only_when_nothing_in_it_can_come_back() -> None:
    assert Ignore.parse("c").skips("c")
    assert Ignore.parse("c\n!d/x\n!cc").skips("c")
    assert not Ignore.parse("c\n!c/d/e").skips("c")
    assert Ignore.parse("c\n!c/d/e").skips("c/tmp")
    assert not Ignore.parse("c\n!*/a").skips("c")
    assert Ignore.parse("c\n!*/a").skips("c/d")
    assert not Ignore.parse("c\n!**/a").skips("c/d")
    assert not Ignore.parse("").skips("c")


GO = [  # pattern, name, result (None: malformed), as Go's own tests have them
    ("abc", "abc", True),
    ("*", "abc", True),
    ("*c", "abc", True),
    ("a*", "ab/c", False),
    ("a*/b", "abc/b", True),
    ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True),
    ("a*b?c*x", "abxbbxdbxebxczzy", False),
    ("ab[c]", "abc", True),
    ("ab[b-d]", "abc", True),
    ("ab[e-g]", "abc", False),
    ("ab[^c]", "abc", False),
    ("ab[^e-g]", "abc", True),
    (r"a\*b", "a*b", True),
    (r"a\*b", "ab", False),
    ("a?b", "a☺b", True),
    ("a[^a]b", "a☺b", True),
    ("a???b", "a☺b", False),
    ("[a-ζ]*", "α", True),
    ("*[a-ζ]", "A", False),
    ("a?b", "a/b", False),
    ("a*b", "a/b", False),
    ("a[^x]b", "a/b", True),
    (r"[\]a]", "]", True),
    (r"[\-]", "-", True),
    (r"[x\-]", "z", False),
    ("[z-a]", "b", False),
    ("[^z-a]", "b", True),
    ("[]a]", "]", None),
    ("[-]", "-", None),
    ("[x-]", "x", None),
    ("[-x]", "x", None),
    ("\\", "a", None),
    ("[a-b-c]", "a", None),
    ("[", "a", None),
    ("[^", "a", None),
    ("[^bc", "a", None),
    ("a[", "ab", None),
    ("*x", "xxx", True),
    ("**", "a/b", False),
    ("", "", True),
    ("", "a", False),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), GO)
def test_match_is_gos(pattern: str, name: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="syntax error in pattern"):
            match(pattern, name)
    else:
        assert match(pattern, name) is expected


def test_a_pattern_full_of_stars_takes_no_time() -> None:
    assert not match("*a" * 40, "a" * 60 + "b")
    assert not Ignore.parse("**/*a*a*a*a*a*a*a*a*a*a*a\n").excludes("a/" * 60 + "ab" * 10 + "c")


def test_wildcards_are_seen() -> None:
    assert [name for name in ("a", "a*", "?", "[a", "a\\b", "a.b/c") if has_wildcard(name)] == ["a*", "?", "[a", "a\\b"]


patterns = st.text(alphabet="ab/*?!", min_size=1, max_size=6)
names = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3).map("/".join)


@given(st.lists(patterns, max_size=4), names)
def test_what_is_below_a_skipped_directory_is_excluded(lines: list[str], name: str) -> None:
    try:
        ignore = Ignore.parse("\n".join(lines))
    except DockerfileError:
        return
    if any(map(ignore.skips, parents(name))):
        assert ignore.excludes(name)


def test_it_tells_which_line_decides() -> None:
    ignore = Ignore.parse("# logs\n*.log\n\n!keep.log\nlib\n")
    decided = {path: ignore.decides(path) for path in ("a.log", "keep.log", "lib/x/y", "other")}
    assert {path: one and (one.line, str(one)) for path, one in decided.items()} == {
        "a.log": (2, "*.log"),
        "keep.log": (4, "!keep.log"),
        "lib/x/y": (5, "lib"),
        "other": None,
    }
