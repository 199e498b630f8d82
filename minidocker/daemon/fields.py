"""The fields of a JSON body: found whatever their case, as Go does, and of the type that they should have.

>>> body = Fields({"name": "db", "Internal": None, "Options": {"mtu": "1400"}})
>>> body.text("Name"), body.flag("Internal"), body.texts("Options")
('db', False, {'mtu': '1400'})
>>> Fields({"Name": 1}).text("Name")
Traceback (most recent call last):
...
minidocker.errors.InvalidArgument: json: cannot unmarshal number into Go struct field .Name of type string
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidocker.errors import InvalidArgument

KINDS = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


class Fields:
    """A JSON object from outside. What is missing, or null, is empty."""

    def __init__(self, value: Mapping[str, Any], where: str = "") -> None:
        self.values, self.where = {key.lower(): one for key, one in value.items()}, where

    def get(self, name: str, kind: type) -> Any:
        """A field of one of JSON's types; None where it is not there. Raises InvalidArgument."""
        value = self.values.get(name.lower())
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise self._wrong(name, value, kind)
        return value

    def text(self, name: str) -> str:
        """A text."""
        return str(self.get(name, str) or "")

    def flag(self, name: str) -> bool:
        """A yes or no."""
        return bool(self.get(name, bool))

    def texts(self, name: str) -> dict[str, str]:
        """Texts by name."""
        value: dict[str, str] = self.get(name, dict) or {}
        for one in value.values():
            if not isinstance(one, str):
                raise self._wrong(name, one, str)
        return value

    def list(self, name: str, kind: type = str) -> list[Any]:
        """A list of things of one type."""
        value: list[Any] = self.get(name, list) or []
        for one in value:
            if not isinstance(one, kind):
                raise self._wrong(name, one, kind)
        return value

    def inner(self, name: str) -> Fields:
        """An object inside."""
        return Fields(self.get(name, dict) or {}, f"{self.where}{name}.")

    def _wrong(self, name: str, value: Any, kind: type) -> InvalidArgument:
        what = KINDS.get(type(value), "null")
        return InvalidArgument(
            f"json: cannot unmarshal {what} into Go struct field .{self.where}{name} of type {KINDS[kind]}"
        )
