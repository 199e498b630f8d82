"""How Go writes values down, and the functions that its templates have.

What `{{.}}` prints for a list (`[a b]`), a map (`map[k:v]`), a struct (`{no 0}`) or nothing (`<no value>`, `<nil>`);
`printf`; `json`; and the rest of the functions of text/template and of docker's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class Struct(dict[str, Any]):
    """A dict whose fields are known, as a Go struct's are; printed `{no 0}` where a map is `map[a:b]`.

    `kind`, when given, is the type's name for "can't evaluate field X in type …".
    """

    kind: str = ""


class Null(list[Any]):
    """Something that is null in JSON but that Go, which knows its type, prints as `[]`, `map[]` or `<nil>`."""

    def __init__(self, text: str = "[]") -> None:
        super().__init__()
        self.text = text


def text_of(value: Any, top: bool = True) -> str:
    """What `{{.}}` prints.

    >>> text_of({"b": [1, "x"], "a": True})
    'map[a:true b:[1 x]]'
    """
    match value:
        case None:
            return "<no value>" if top else "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case Null():
            return value.text
        case list() | tuple():
            return "[" + " ".join(text_of(item, False) for item in value) + "]"
        case Struct():
            return "{" + " ".join(text_of(item, False) for item in value.values()) + "}"
        case dict():
            return "map[" + " ".join(f"{key}:{text_of(value[key], False)}" for key in sorted(value)) + "]"
    return str(value)


def to_json(value: Any, indent: int | None = None) -> str:
    """Compact JSON as Go writes it; nulls stay null."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(_plain(value), ensure_ascii=False, separators=separators, indent=indent)


def _plain(value: Any) -> Any:
    if isinstance(value, Null):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def kind_of(value: Any) -> str:
    """The name of its type in Go."""
    names = {bool: "bool", int: "int", float: "float64", str: "string", type(None): "nil"}
    return names.get(type(value), "list" if isinstance(value, list) else "map")


_MAPS = {
    "Labels",
    "Volumes",
    "ExposedPorts",
    "PortBindings",
    "Ports",
    "Networks",
    "Sysctls",
    "Tmpfs",
    "Data",
    "Annotations",
}
_LISTS = {
    "Env",
    "Cmd",
    "Entrypoint",
    "OnBuild",
    "Shell",
    "Binds",
    "Args",
    "Mounts",
    "RepoTags",
    "RepoDigests",
    "ExecIDs",
}
_LISTS |= {"CapAdd", "CapDrop", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd", "Links", "VolumesFrom"}


def as_structs(attrs: Mapping[str, Any]) -> Struct:
    """What `inspect` shows, with the types that Go gives to it: fields known by name, and nulls that have a type.

    >>> text_of(as_structs({"Cmd": None, "Labels": None, "Health": None, "RestartPolicy": {"Name": "no", "Max": 0}}))
    '{[] map[] <nil> {no 0}}'
    """
    return Struct((name, _typed(name, value)) for name, value in attrs.items())


def _typed(name: str, value: Any) -> Any:
    if value is None:
        return Null("[]" if name in _LISTS else "map[]" if name in _MAPS else "<nil>")
    if isinstance(value, Mapping):
        return dict(value) if name in _MAPS else as_structs(value)
    return [_typed("", item) for item in value] if isinstance(value, list) else value


_VERB = re.compile(r"%([-+# 0]*)(\d{0,4})(?:\.(\d{1,4}))?(.)", re.DOTALL)
_FITS = {"s": "string list map", "d": "int", "x": "int string", "t": "bool", "q": "string", "f": "float64"}


def sprintf(format: str, *args: Any) -> str:
    """Go's `Sprintf`, with its words for verbs and values that do not fit.

    >>> sprintf("%-6s|%03d|%q|%d", "web", 7, "a b", "x")
    'web   |007|"a b"|%!d(string=x)'
    """
    rest = list(args)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        value = rest.pop(0)
        if verb != "v" and kind_of(value) not in _FITS.get(verb, "").split():
            return f"%!{verb}({kind_of(value)}={text_of(value, False)})"
        if verb in "dxf" and not isinstance(value, str):
            return str(f"%{flags}{width}{'.' + precision if precision else ''}{verb}" % value)
        text = _spelled(value, verb)[: int(precision) if precision else None]
        return text.ljust(int(width or 0)) if "-" in flags else text.rjust(int(width or 0))

    text = _VERB.sub(one, format)
    extra = ", ".join(f"{kind_of(value)}={text_of(value, False)}" for value in rest)
    return text + (f"%!(EXTRA {extra})" if extra else "")


def _spelled(value: Any, verb: str) -> str:
    if verb == "q":
        return json.dumps(value, ensure_ascii=False)
    return value.encode().hex() if verb == "x" else text_of(value, False)


# --- the functions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """A template function: how many arguments it takes, and which of them must be strings."""

    call: Callable[..., Any]
    least: int = 1
    most: int | None = 1
    strings: tuple[int, ...] = ()


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            texts = all(isinstance(item, str) for item in value.values())
            value = value.get(key, "" if texts else None)
        elif not isinstance(value, list | str):
            raise ValueError("index of untyped nil" if value is None else f"can't index item of type {kind_of(value)}")
        elif not isinstance(key, int) or isinstance(key, bool):
            raise ValueError(f"cannot index slice/array with type {kind_of(key)}")
        elif not 0 <= key < len(value):
            raise ValueError(f"index out of range: {key}")
        else:
            value = value[key]
    return value


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | dict):
        return len(value)
    raise ValueError(f"len of {'nil pointer' if value is None else 'type ' + kind_of(value)}")


def _equal(first: Any, *others: Any) -> bool:
    for other in others:
        if None not in (first, other) and kind_of(first) != kind_of(other):
            raise ValueError("incompatible types for comparison")
    return any(first == other for other in others)


def _less(first: Any, second: Any) -> bool:
    if kind_of(first) != kind_of(second) or isinstance(first, list | dict | bool):
        raise ValueError("incompatible types for comparison")
    return bool(first < second)


def _print(*values: Any) -> str:
    """Go puts a space between two values when neither is a string."""
    out = ""
    for i, value in enumerate(values):
        spaced = i and not isinstance(value, str) and not isinstance(values[i - 1], str)
        out += (" " if spaced else "") + text_of(value, False)
    return out


def _urlquery(*values: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_print(*values))


FUNCTIONS: dict[str, Function] = {
    "and": Function(lambda *v: v[-1], 1, None),  # `and` and `or` stop early: see _Parser.call
    "or": Function(lambda *v: v[-1], 1, None),
    "not": Function(lambda v: not v),
    "eq": Function(_equal, 2, None),
    "ne": Function(lambda a, b: not _equal(a, b), 2, 2),
    "lt": Function(_less, 2, 2),
    "le": Function(lambda a, b: a == b or _less(a, b), 2, 2),
    "gt": Function(lambda a, b: a != b and not _less(a, b), 2, 2),
    "ge": Function(lambda a, b: not _less(a, b), 2, 2),
    "index": Function(_index, 1, None),
    "len": Function(_length),
    "slice": Function(lambda v, i=0, j=None: v[i:j], 1, 3),
    "print": Function(_print, 0, None),
    "println": Function(lambda *v: " ".join(text_of(x, False) for x in v) + "\n", 0, None),
    "printf": Function(sprintf, 1, None, (0,)),
    "urlquery": Function(_urlquery, 0, None),
    "json": Function(to_json),
    "split": Function(lambda s, sep: s.split(sep) if sep else list(s), 2, 2, (0, 1)),
    "join": Function(lambda v, sep: sep.join(text_of(x, False) for x in v), 2, 2, (1,)),
    "title": Function(lambda s: re.sub(r"\b\w", lambda m: m[0].upper(), s), strings=(0,)),
    "lower": Function(str.lower, strings=(0,)),
    "upper": Function(str.upper, strings=(0,)),
    "pad": Function(lambda s, before, after: " " * before + s + " " * after if s else s, 3, 3, (0,)),
    "truncate": Function(lambda s, n: s[:n], 2, 2, (0,)),
}
