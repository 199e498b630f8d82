"""Comparing what a learner's function returned, without trusting it.

`==` asks the objects that it compares, and a class may answer True to everything. Here only values of exactly the
known types are compared, piece by piece.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from minidocker.tree import Bytes, Entry

PLAIN = (str, bytes, int, bool, float, type(None))


class Prop:
    """What a case lends to a function to play with, and what changes with that: each try gets a fresh one."""

    def fresh(self) -> Prop:
        """One like this, as it was before anybody used it."""
        raise NotImplementedError


def same(got: Any, want: Any) -> bool:
    """Whether `got` is `want`, of the same types all the way down.

    >>> class Liar:
    ...     def __eq__(self, other): return True
    >>> same({"a": [1, 2]}, {"a": [1, 2]}), same(Liar(), 1), same(True, 1), same({"a": Liar()}, {"a": 1})
    (True, False, False, False)
    """
    kind = type(want)
    if type(got) is not kind:
        return False
    if kind is dict:
        if not all(type(key) in PLAIN for key in got) or len(got) != len(want):
            return False
        return all(key in got and same(got[key], want[key]) for key in want)
    if kind in (list, tuple):
        return len(got) == len(want) and all(map(same, got, want))
    if kind is Entry:
        return all(same(getattr(got, field.name), getattr(want, field.name)) for field in fields(Entry))
    if kind is Bytes:
        return same(got.value, want.value)
    if issubclass(kind, Prop):
        return True
    return bool(kind in PLAIN and got == want)


def as_lists(value: Any) -> Any:
    """A value with lists where it has tuples.

    >>> same(as_lists([("a", 1)]), as_lists([["a", 1]]))
    True
    """
    if type(value) is dict:
        return {key: as_lists(item) for key, item in value.items()}
    return list(map(as_lists, value)) if type(value) in (list, tuple) else value


def copy(value: Any) -> Any:
    """A copy of nested dicts, lists and tuples, to find out afterwards whether a function changed its arguments.

    A prop in them is a fresh one.
    """
    if type(value) is dict:
        return {key: copy(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(copy, value))
    return value.fresh() if isinstance(value, Prop) else value


def difference(got: dict[str, Any], want: dict[str, Any]) -> str:
    """The first thing in which two trees differ, in words; by path."""
    for path in sorted(want.keys() | {key for key in got if type(key) is str}):
        if path not in got:
            return f"{path} is missing"
        if path not in want:
            return f"{path} should not be there"
        if not same(got[path], want[path]):
            return f"{path} should be {describe(want[path])}, and is {describe(got[path])}"
    return "a key is no text"


def describe(value: Any) -> str:
    """A value in a few words; of one that a learner made nothing is asked but its type.

    >>> describe({"/a": Entry("file", data=Bytes(b"hi")), "/b": Entry("whiteout")})
    "{'/a': a file b'hi' (mode 644), '/b': WHITEOUT}"
    """
    kind = type(value)
    if kind is Entry:
        what = value.kind if type(value.kind) is str else describe(value.kind)
        if what == "whiteout":
            return "WHITEOUT"
        held = value.data.value if type(value.data) is Bytes else None
        content = describe(held[:30] if type(held) is bytes else held) if what == "file" and held is not None else ""
        return f"a {what} {content}".rstrip() + (f" ({_meta(value)})" if type(value.mode) is int else "")
    if kind is dict:
        return "{" + ", ".join(f"{describe(key)}: {describe(item)}" for key, item in value.items()) + "}"
    if kind in (list, tuple):
        opening, closing = "[]" if kind is list else "()"
        return opening + ", ".join(map(describe, value)) + closing
    return repr(value)[:160] if kind in PLAIN or issubclass(kind, Prop) else f"a {kind.__name__}"


def _meta(entry: Entry) -> str:
    """The mode, and what is not as usual: an owner that is not root, a time that is not 0."""
    owner = f", owner {describe(entry.uid)}:{describe(entry.gid)}" if entry.uid or entry.gid else ""
    return f"mode {entry.mode:o}{owner}" + (f", mtime {describe(entry.mtime)}" if entry.mtime else "")
