"""Learners' results are compared without asking them."""

from __future__ import annotations

from typing import Any

import pytest

from minidocker.grading.compare import copy, describe, difference, same
from minidocker.layer import WHITEOUT
from minidocker.tree import Bytes, Entry, directory, file


class Yes:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class YesText(str):
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True


@pytest.mark.parametrize(
    "got", [Yes(), {"/a": Yes()}, {YesText("/b"): file(b"x")}, {"/a": file(b"y")}, {}, None, [("/a", file(b"x"))]]
)
def test_nothing_but_the_value_itself_is_the_same(got: Any) -> None:
    assert not same(got, {"/a": file(b"x")})


def test_equal_trees_are_the_same() -> None:
    tree = {"/": directory(), "/a": file(b"x"), "/b": WHITEOUT}
    assert same(dict(reversed(tree.items())), copy(tree))


def test_bytes_that_claim_to_be_equal_are_looked_at() -> None:
    class Liar(Bytes):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = Bytes.__hash__

    assert not same(Entry("file", data=Liar(b"y")), file(b"x"))


def test_a_copy_does_not_change_with_the_original() -> None:
    value: dict[str, Any] = {"a": [1, {"b": (2,)}]}
    other = copy(value)
    value["a"][1]["b"] = 3
    assert other == {"a": [1, {"b": (2,)}]}


def test_the_first_difference_is_told_by_path() -> None:
    want = {"/a": file(b"x"), "/b": directory()}
    assert difference({"/b": directory()}, want) == "/a is missing"
    assert difference(want | {"/c": WHITEOUT}, want) == "/c should not be there"
    assert difference(want | {"/a": WHITEOUT}, want) == "/a should be a file b'x' (mode 644), and is WHITEOUT"


def test_a_strangers_repr_is_not_asked() -> None:
    class Loud:
        def __repr__(self) -> str:
            raise AssertionError("asked")

    assert describe(Loud()) == "a Loud"


def test_only_what_is_unusual_of_a_file_is_told() -> None:
    assert describe(file(b"x")) == "a file b'x' (mode 644)"
    assert describe(file(b"x", 0o600, uid=7, mtime=9)) == "a file b'x' (mode 600, owner 7:0, mtime 9)"
    assert describe([(1, "a")]) == "[(1, 'a')]"
