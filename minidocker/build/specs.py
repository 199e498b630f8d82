"""`type=oci,dest=app.tar`: the form in which outputs, caches and attestations are asked for.

>>> pairs('type=oci,"name=a,b",dest=app.tar')
{'type': 'oci', 'name': 'a,b', 'dest': 'app.tar'}
"""

from __future__ import annotations

from collections.abc import Sequence

from minidocker.dockerfile.mounts import TRUTH, cells
from minidocker.errors import InvalidArgument


def fields(text: str) -> list[str]:
    """The comma-separated parts. Raises InvalidArgument."""
    try:
        return cells(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid value {text!r}: {str(error).rpartition(': ')[2]}") from error


def pairs(text: str) -> dict[str, str]:
    """The parts as key and value; keys are in lower case. Raises InvalidArgument."""
    found: dict[str, str] = {}
    for field in fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise InvalidArgument(f"invalid value {field}")
        found[key.strip() if key.startswith("annotation") else key.strip().lower()] = value
    return found


def truth(options: dict[str, str], key: str, default: bool = False) -> bool:
    """Take a bool out of the options; given without a value, it is true. Raises InvalidArgument."""
    if key not in options:
        return default
    value = options.pop(key)
    if value and value not in TRUTH:
        raise InvalidArgument(f"non-bool value specified for {key}: {value!r}")
    return TRUTH[value] if value else True


def texts(value: str | Sequence[str] | None) -> list[str]:
    """One or several, without the empty ones."""
    return [text for text in ([value] if isinstance(value, str) else value or ()) if text]
