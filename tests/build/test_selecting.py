"""What a COPY takes: the cases of the Dockerfile reference, and the corners that BuildKit has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidocker.build.copy import Copy, copy
from minidocker.build.selecting import contents, select
from minidocker.errors import BuildError
from minidocker.layer import merge
from minidocker.tree import Entry, Tree, directory, file, symlink

PETS = Tree({path: file(path.encode()) for path in ("/hom.txt", "/home.md", "/hom.py", "/homs/a.txt", "/homs/d/b.txt")})
DEEP = Tree(
    {
        "/test/a/b/c/d/foo": file(b"1"),
        "/test/a/b/c/d/e/bay": file(b"2"),
        "/test/a/b2/c/d/e/bar": file(b"3"),
        "/test/a/b/c2/d/e/baz": file(b"4"),
        "/test/a/b/c2/d/e2/baz": file(b"5"),
        "/top.txt": file(b"6"),
    }
)


def copied(
    tree: Tree,
    sources: Sequence[str],
    to: str = "/out/",
    exclude: Sequence[str] = (),
    *,
    parents: bool = False,
    lower: Tree | None = None,
) -> dict[str, Entry]:
    found = select(tree, sources, exclude=exclude, parents=parents)
    after = merge(lower or Tree(), copy([(tree, found)], Copy(to), lower or Tree()))
    return {path[len(to) :]: after[path] for path in after.below(to)}


def files(found: dict[str, Entry]) -> list[str]:
    return [path for path, entry in found.items() if not entry.is_dir]


# --exclude


@pytest.mark.parametrize(
    ("sources", "exclude", "expected"),
    [
        (["hom*"], ["*.txt"], ["d/b.txt", "hom.py", "home.md"]),
        (["hom*"], ["*.txt", "*.md"], ["d/b.txt", "hom.py"]),
        (["hom*"], ["**/*.txt"], ["hom.py", "home.md"]),
        (["."], ["*.txt"], ["hom.py", "home.md", "homs/a.txt", "homs/d/b.txt"]),
        (["."], ["homs"], ["hom.py", "hom.txt", "home.md"]),
        (["."], ["homs/*", "!homs/d"], ["hom.py", "hom.txt", "home.md", "homs/d/b.txt"]),
        (["."], ["*", "!homs/d/b.txt"], ["homs/d/b.txt"]),
        (["homs"], ["homs"], ["a.txt", "d/b.txt"]),
        (["homs"], ["d"], ["a.txt"]),
        (["hom.py", "hom.txt"], ["*.py"], ["hom.txt"]),
        (["homs"], ["", "  "], ["a.txt", "d/b.txt"]),
    ],
)
def test_exclude_is_relative_to_each_source(sources: list[str], exclude: list[str], expected: list[str]) -> None:
    assert files(copied(PETS, sources, exclude=exclude)) == expected


def test_all_may_be_excluded_and_the_destination_is_still_made() -> None:
    tree = Tree({"/dir1/a": file(), "/dir2/b": file()})
    layer = copy([(tree, select(tree, ["dir*"], exclude=["*"]))], Copy("/6"), Tree())
    assert [(path, entry.kind) for path, entry in layer.items()] == [("/6", "dir")]


def test_what_is_excluded_is_no_evidence() -> None:
    found = select(PETS, ["."], exclude=["*.txt", "homs"])
    assert set(contents(PETS, found)) == {".", "hom.py", "home.md"}


@pytest.mark.parametrize(("pattern", "words"), [("a[", "syntax error in pattern"), ("!", "illegal exclusion pattern")])
def test_a_pattern_that_is_none(pattern: str, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        select(PETS, ["."], exclude=[pattern])


@given(st.lists(st.sampled_from(["a", "b", "*", "a/*", "**/b", "!a/b", "!b"]), max_size=3))
@settings(max_examples=60)
def test_what_is_left_can_be_reached(patterns: list[str]) -> None:
    tree = Tree({"/a/b/a": file(), "/a/a": file(), "/b": file(), "/b2/b": file()})
    [found] = select(tree, ["."], exclude=patterns)
    left = found.below(tree)
    assert left == sorted(left)
    assert set(left) <= set(tree.below("/"))
    assert all(path.rpartition("/")[0] in {"", *left} for path in left)


# --parents


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["top.txt"], ["top.txt"]),
        (["./test/a/b/c/d"], ["test/a/b/c/d/e/bay", "test/a/b/c/d/foo"]),
        (["/test/a/b/c/d/."], ["test/a/b/c/d/e/bay", "test/a/b/c/d/foo"]),
        (["/test/a/b/./c/d"], ["c/d/e/bay", "c/d/foo"]),
        (["/test/a/./b/./c"], ["b/c/d/e/bay", "b/c/d/foo"]),
        (["/test/a/./*/c"], ["b/c/d/e/bay", "b/c/d/foo", "b2/c/d/e/bar"]),
        (["/test/a/b*/./c/**/e"], ["c/d/e/bar", "c/d/e/bay"]),
        (["/test/a/b/c*/./d/**/baz", "/test/a/b*/./c/**/bar"], ["c/d/e/bar", "d/e/baz", "d/e2/baz"]),
        (["**/ba?"], [path[1:] for path in DEEP if path.rpartition("/")[2] in ("bar", "bay", "baz")]),
        (["."], [path[1:] for path, entry in DEEP.items() if entry.kind == "file"]),
        (["test/a/./"], [path[8:] for path in DEEP if path.startswith("/test/a/") and DEEP[path].kind == "file"]),
        (["*.md"], []),
    ],
)
def test_parents_are_kept_below_the_pivot(sources: list[str], expected: list[str]) -> None:
    assert files(copied(DEEP, sources, parents=True)) == sorted(expected)


def test_parents_come_with_their_own_mode_and_owner() -> None:
    tree = Tree({"/a": directory(0o700, uid=3), "/a/b": directory(0o711, uid=4), "/a/b/f": file(uid=5), "/a/c": file()})
    found = copied(tree, ["a/b/f"], parents=True)
    assert {path: (entry.mode, entry.uid) for path, entry in found.items()} == {
        "a": (0o700, 3),
        "a/b": (0o711, 4),
        "a/b/f": (0o644, 5),
    }
    there = Tree({"/out/a": directory(0o755, uid=9)})
    assert copied(tree, ["a/b/f"], parents=True, lower=there)["a"] == directory(0o700, uid=9), "the owner stays"


def test_parents_with_exclude() -> None:
    assert files(copied(DEEP, ["**/ba?"], exclude=["test/a/b"], parents=True)) == ["test/a/b2/c/d/e/bar"]
    assert files(copied(DEEP, ["test/a/./**/ba?"], exclude=["b", "**/e2"], parents=True)) == ["b2/c/d/e/bar"]


def test_the_destination_of_parents_is_a_directory() -> None:
    layer = copy([(DEEP, select(DEEP, ["top.txt"], parents=True))], Copy("/x"), Tree())
    assert list(layer) == ["/x", "/x/top.txt"]


def test_what_is_not_there_is_said() -> None:
    for source in ("nope", "test/./nope", "nope/./a"):
        with pytest.raises(BuildError, match="not found"):
            select(DEEP, [source], parents=True)
    behind = Tree({"/real/f": file(), "/link": symlink("real")})
    with pytest.raises(BuildError, match="leads through a link"):
        select(behind, ["link/f"], parents=True)
    assert files(copied(behind, ["link"], parents=True)) == ["link"]


# Several sources, wildcards, destinations


def test_several_sources_onto_one_path_follow_each_other() -> None:
    tree = Tree({"/a": file(b"1"), "/b": file(b"2"), "/d/x": file(b"3")})
    layer = copy([(tree, select(tree, ["a", "b"]))], Copy("/x"), Tree())
    assert [(path, entry.data.read()) for path, entry in layer.items()] == [("/x", b"2")]
    layer = copy([(tree, select(tree, ["d", "a"]))], Copy("/x"), Tree())
    assert list(layer) == ["/x", "/x/a", "/x/x"]


def test_a_wildcard_that_matches_nothing_copies_nothing(workshop: Any) -> None:
    image = workshop.image("FROM busybox\nCOPY nope* /x/\n")
    assert "/x" not in image.tree()
    assert len(image.layers) == 2
    with pytest.raises(BuildError, match='"/nope" not found'):
        workshop.build("FROM busybox\nCOPY nope/* /x/\n")


def test_flags_are_facts_that_a_miss_can_name(workshop: Any) -> None:
    first = "FROM busybox\nCOPY --exclude=*.md . /x/\n"
    workshop.build(first, {"a.txt": "1", "b.md": "2"})
    (workshop.folder / "b.md").write_text("3")
    assert workshop.build(first).steps[1].decision.hit, "what is excluded may change"
    again = workshop.build("FROM busybox\nCOPY --exclude=*.txt . /x/\n")
    assert again.steps[1].decision.reason.startswith("miss because line 2 changed")
    assert sorted(again.image.tree().children("/x")) == ["b.md"]
    image = workshop.image("FROM scratch\nCOPY --parents --chown=5:6 --link . /x/\n")
    assert image.history()[0]["CreatedBy"] == "COPY --parents . /x/ # buildkit"
