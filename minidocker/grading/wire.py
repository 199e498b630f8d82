"""Values on their way between who grades and the sandbox: JSON lines, of exactly the types that exercises use.

What comes out of a sandbox was made by anybody's program. So it is no pickle: nothing in it can name a class or be run,
and what is too large, too deep or of no known type is refused where it is read.

    >>> decode(encode({"/etc": (1, b"hi", None)}))
    {'/etc': (1, b'hi', None)}
    >>> type(decode(encode(range(3)))).__name__  # of anything else the name of its type is left
    'range'
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from minidocker.layer import WHITEOUT
from minidocker.tree import Bytes, Entry

LINE = 4 << 20  # bytes that one message may have
PIECES = 200_000  # values in one message
DEPTH = 50
BITS = 4096  # of an integer
FIELDS = tuple(field.name for field in fields(Entry))


class TooLarge(ValueError):
    """A value that is larger or deeper than any that an exercise asks for."""


class Foreign:
    """Stands for a value of a type that is not carried; of that it has the name only."""

    def __repr__(self) -> str:
        return f"a {type(self).__name__}"


def encode(value: Any, prop: Callable[[Any], Any] | None = None) -> Any:
    """A value as JSON has it. `prop` gives what stands for an object that is not sent, or None where it is none.

    Nothing is asked of objects of other types: only their type's name is taken. Raises TooLarge.
    """
    left = [PIECES, LINE]

    def walk(value: Any, depth: int) -> Any:
        left[0] -= 1
        kind = type(value)
        if kind in (str, bytes):
            left[1] -= len(value)
        if min(left) < 0 or depth > DEPTH or (kind is int and value.bit_length() > BITS):
            raise TooLarge("more than a result of this exercise can be")
        if value is None or kind is bool or kind is str or (kind is int and abs(value) < 1 << 53):
            return value
        if kind is list:
            return [walk(item, depth + 1) for item in value]
        if kind is dict:
            return {"dict": [[walk(key, depth + 1), walk(item, depth + 1)] for key, item in value.items()]}
        if kind is tuple:
            return {"tuple": [walk(item, depth + 1) for item in value]}
        if kind is Entry:
            return {"Entry": [walk(getattr(value, name), depth + 1) for name in FIELDS]}
        if kind is Bytes:
            return {"Bytes": walk(vars(value).get("value"), depth + 1)}
        if kind in SIMPLE:
            return {kind.__name__: SIMPLE[kind](value)}
        found = prop(value) if prop else None
        return {"other": name_of(kind)} if found is None else {"prop": found}

    return walk(value, 0)


def decode(found: Any, prop: Callable[[Any], Any] | None = None) -> Any:
    """The value again. Raises ValueError for what `encode` does not write, however it is wrong."""
    left = [PIECES]

    def walk(found: Any, depth: int) -> Any:
        left[0] -= 1
        if left[0] < 0 or depth > DEPTH:
            raise TooLarge("more than a result of this exercise can be")
        if found is None or type(found) in (bool, str) or (type(found) is int and abs(found) < 1 << 53):
            return found
        if type(found) is list:
            return [walk(item, depth + 1) for item in found]
        if type(found) is not dict or len(found) != 1:
            raise ValueError("no value")
        [(kind, inner)] = found.items()
        if kind == "prop" and prop:
            return prop(inner)
        if kind in TEXTS and type(inner) is str:
            return TEXTS[kind](inner)
        if kind == "Bytes":
            return Bytes(walk(inner, depth + 1))
        if type(inner) is not list or kind not in ("tuple", "dict", "Entry"):
            raise ValueError("no value")
        items = [walk(item, depth + 1) for item in inner]
        if kind == "dict":
            return {_key(key): item for key, item in items}
        return _entry(items) if kind == "Entry" else tuple(items)

    try:
        return walk(found, 0)
    except TooLarge:
        raise
    except (TypeError, AttributeError, binascii.Error) as error:
        raise ValueError(f"no value: {error}") from None


def name_of(kind: type) -> str:
    """The name of a class, whatever its metaclass says."""
    return str(type.__dict__["__name__"].__get__(kind))[:80]


def _entry(items: list[Any]) -> Entry:
    entry = Entry(*items)
    return WHITEOUT if items[0] == WHITEOUT.kind and entry == WHITEOUT else entry  # whoever asks `is WHITEOUT` is right


def _key(key: Any) -> Any:
    """A key of a dict; none of which many with the same hash could be made."""
    if key is None or type(key) in (str, bytes, bool) or (type(key) is int and abs(key) < 1 << 53):
        return key
    raise ValueError("no key")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _integer(text: str) -> int:
    if len(text) > BITS // 4 + 3:
        raise TooLarge("an integer larger than a result of this exercise can be")
    return int(text, 16)


def _foreign(name: str) -> Any:
    """An object of no type that anybody asks for, with the name that its type has in the sandbox."""
    return type(name.replace("\0", "")[:80], (Foreign,), {})()


SIMPLE: dict[type, Callable[[Any], str]] = {int: hex, float: float.hex, bytes: _base64}
TEXTS: dict[str, Callable[[str], Any]] = {
    "int": _integer,
    "float": float.fromhex,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "other": _foreign,
}
