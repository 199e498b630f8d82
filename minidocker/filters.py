"""What the filters of all listings share: `{"label": ["a=b", "c"], "dangling": True}`, in the shapes that clients use.

>>> texts("a=b"), texts(["a", 1]), texts(True), texts({"a": True})
(['a=b'], ['a', '1'], ['true'], ['a'])
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from minidocker.errors import InvalidArgument


def texts(value: Any) -> list[str]:
    """One value or several, as a list of texts; nothing is an empty list."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [str(value)]
    return [str(item) for item in value]


def is_true(key: str, value: str) -> bool:
    """Whether a filter's value is true. Raises InvalidArgument where it is neither true nor false."""
    if value.lower() in ("1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise InvalidArgument(f"Invalid filter '{key}=[{value}]'")


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Whether a label is there, given as `key` or `key=value`."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits: a regular expression that is found in it, or else a part of it."""
    with suppress(re.error):
        return bool(re.search(pattern, name))
    return pattern in name
