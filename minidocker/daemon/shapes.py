"""The body of a request, held against the shape that it must have, as Go's encoding/json does it for Docker.

A shape is `str`, `bool`, `int`, a list of a shape, a dictionary of the known keys of an object, `Map(shape)` for an
object with any keys, or `WORDS`: a text, or a list of them. What is null is not there; keys that are not known are
ignored, and the case of letters in them is too. A wrong type is refused in Docker's words.

>>> read({"image": "a", "Cmd": "ls", "X": 1, "Tty": None}, {"Image": str, "Cmd": WORDS, "Tty": bool})
{'Image': 'a', 'Cmd': ['ls']}
>>> read({"Tty": "yes"}, {"Tty": bool})
Traceback (most recent call last):
...
minidocker.errors.InvalidArgument: json: cannot unmarshal string into Go struct field Tty of type bool
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minidocker.errors import InvalidArgument


@dataclass(frozen=True)
class Map:
    """An object with any keys, and values of one shape; without one, values that say nothing."""

    of: Any = None


WORDS = object()
LARGEST = 1 << 63
GO: dict[Any, str] = {str: "string", bool: "bool", int: "int64"}
SCHEMA: dict[Any, str] = {str: "string", bool: "boolean", int: "integer"}
JSON = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def read(value: Any, shape: Any, where: str = "") -> Any:
    """A value of this shape. Raises InvalidArgument."""
    if isinstance(shape, Mapping):
        return _object(_checked(value, dict, "struct", where), shape, where)
    if isinstance(shape, Map):
        pairs = _checked(value, dict, "map", where).items()
        return {_text(key, where): read(each, shape.of, where) if shape.of else {} for key, each in pairs}
    if shape is WORDS:
        return [_text(value, where)] if isinstance(value, str) else read(value, [str], where)
    if isinstance(shape, list):
        every = _checked(value, list, "slice", where)
        return [read(_nothing(shape[0]) if each is None else each, shape[0], where) for each in every]
    if value is None:
        return _nothing(shape)
    if type(value) is not shape or (shape is int and not -LARGEST <= value < LARGEST):
        raise _wrong(value, GO[shape], where)
    return _text(value, where) if shape is str else value


def schema(shape: Any) -> dict[str, Any]:
    """The same as a JSON Schema, for the OpenAPI document.

    >>> schema({"Cmd": WORDS, "Labels": Map(str)})["properties"]["Labels"]["additionalProperties"]
    {'type': 'string', 'nullable': True}
    """
    if isinstance(shape, Mapping):
        return {"type": "object", "properties": {key: schema(each) for key, each in shape.items()}, "nullable": True}
    if isinstance(shape, Map):
        return {"type": "object", "additionalProperties": schema(shape.of) if shape.of else {}, "nullable": True}
    if isinstance(shape, list) or shape is WORDS:
        return {"type": "array", "items": schema(shape[0] if isinstance(shape, list) else str), "nullable": True}
    return {"type": SCHEMA[shape], "nullable": True} | ({"format": "int64"} if shape is int else {})


def _object(value: Mapping[str, Any], shape: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = {key.lower(): key for key in shape}
    found = {}
    for key, each in value.items():
        name = key if key in shape else known.get(key.lower())
        if name is not None and each is not None:
            found[name] = read(each, shape[name], f"{where}.{name}" if where else name)
    return found


def _nothing(shape: Any) -> Any:
    """What Go makes of null in a list or a map."""
    return shape() if isinstance(shape, type) else [] if isinstance(shape, list) or shape is WORDS else {}


def _checked(value: Any, kind: type, name: str, where: str) -> Any:
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise _wrong(value, name, where)
    return value


def _text(text: str, where: str) -> str:
    """A text that the system can take: without NUL, and half of a pair of surrogates replaced, as Go does it."""
    if "\0" in text:
        raise InvalidArgument(f"invalid value of {where}: a text cannot have NUL in it")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _wrong(value: Any, wanted: str, where: str) -> InvalidArgument:
    what = f"Go struct field {where}" if where else "Go value"
    return InvalidArgument(f"json: cannot unmarshal {JSON.get(type(value), 'null')} into {what} of type {wanted}")
