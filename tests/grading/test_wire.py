"""Values come through the wire as they were; what is none of them comes out as nothing that could do harm."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.grading import wire
from minidocker.grading.compare import describe, same
from minidocker.layer import WHITEOUT
from minidocker.tree import directory, file, symlink

LEAVES = st.none() | st.booleans() | st.integers(-(1 << 4000), 1 << 4000) | st.text(max_size=9) | st.binary(max_size=9)
ENTRIES = st.builds(file, st.binary(max_size=9), mode=st.integers(0, 0o7777)) | st.sampled_from(
    [directory(), symlink("/x"), WHITEOUT]
)
KEYS = st.text(max_size=9) | st.binary(max_size=9) | st.integers(-99, 99) | st.none()
VALUES = st.recursive(
    LEAVES | ENTRIES | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=20,
)


def through(value: Any) -> Any:
    return wire.decode(json.loads(json.dumps(wire.encode(value))))


@given(VALUES)
def test_a_value_comes_through_as_it_was(value: Any) -> None:
    assert same(through(value), value)


def test_a_whiteout_is_the_whiteout() -> None:
    assert through({"/a": WHITEOUT})["/a"] is WHITEOUT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*wire.TEXTS, "tuple", "dict", "Entry", "Bytes", "prop", "x"]), inner, max_size=2
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_comes_is_a_value_that_can_be_told_or_a_value_error(found: Any) -> None:
    with contextlib.suppress(ValueError):
        value = wire.decode(found)
        assert " at 0x" not in describe(value) and same(value, value) in (True, False)


@pytest.mark.parametrize(
    "found",
    [
        {"int": "f" * 5000},
        {"other": "\ud800"},
        {"int": "__import__('os')"},
        {"dict": [[[1], 2]]},
        {"dict": [[{"int": hex(1 << 61)}, 1]]},  # keys of which many could be made with one hash
        {"bytes": "*"},
        {"Entry": ["file"] * 20},
        {"prop": 0},
        {"type": "os.system"},
        0.5,
        1 << 60,
    ],
)
def test_what_no_sandbox_writes_is_refused(found: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        wire.decode(found)


def test_what_is_large_or_deep_is_refused_on_both_sides() -> None:
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    for value in ([0] * 300_000, "x" * (5 << 20), deep, 1 << 5000):
        with pytest.raises(wire.TooLarge):
            wire.encode(value)
    for found in ([0] * 300_000, deep):
        with pytest.raises(wire.TooLarge):
            wire.decode(found)


def test_of_an_object_nothing_is_asked_but_its_type() -> None:
    class Liar:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    assert type(through([Liar()])[0]).__name__ == "Liar"


def test_an_entry_of_odd_things_is_told_the_same_way_each_time() -> None:
    odd = wire.decode({"Entry": [{"other": "Kind"}, {"other": "Mode"}]})
    assert describe(odd) == "a a Kind"
    assert describe(wire.decode({"Entry": ["file", 420]})).startswith("a file")


def test_the_name_of_a_class_is_not_what_its_metaclass_says() -> None:
    class Meta(type):
        __name__ = property(lambda _: "bool")

    class Liar(metaclass=Meta):
        pass

    assert str(Liar.__name__) == "bool" and wire.encode(Liar()) == {"other": "Liar"}
