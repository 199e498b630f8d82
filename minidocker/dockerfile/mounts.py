"""What a `RUN --mount=type=cache,target=/root/.cache` asks for; the grammar is BuildKit's.

>>> RunMount.parse("type=cache,target=$HOME/.cache,sharing=locked", lambda text: text.replace("$HOME", "/root"))
RunMount(type='cache', target='/root/.cache', sharing='locked')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from .values import meant
from .words import quoted

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
SHORT = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
WORDS = ("type", "source", "target", "readonly", "readwrite", "id", "sharing", "required", "size", "mode", "uid", "gid")
NAMES = SHORT | {word: word for word in (*WORDS, "env")} | {"from": "origin"}
TRUTH = {word: word[0] in "1tT" for word in "1 t T TRUE true True 0 f F FALSE false False".split()}
SIZE = re.compile(r"(\d+\.?\d*|\.\d+) ?(?:([kmgtp])(?:i?b)?|b)?", re.ASCII | re.IGNORECASE)
QUOTED = re.compile(r'"((?:[^"]|"")*)"')
CELL = re.compile(QUOTED.pattern + "(?=,|$)|([^,]*)")


@dataclass(frozen=True, repr=False)
class RunMount:
    """One mount of a RUN. `origin` is its `from`: a stage or an image; a bind without it is of the build context."""

    type: str = "bind"
    target: str = ""
    source: str = ""
    origin: str = ""
    id: str = ""
    read_only: bool = False
    required: bool = False
    size: int = 0
    sharing: str = ""
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None

    @classmethod
    def parse(cls, text: str, expand: Callable[[str], str]) -> RunMount:
        """Read what follows `--mount=`. Every value is expanded. Raises ValueError, in BuildKit's words."""
        found: dict[str, object] = {"type": "bind"}
        for cell in cells(text):
            key, equals, value = cell.partition("=")
            _set(found, key.lower(), expand(value) if equals else None, cell)
        kind = found["type"]
        found.setdefault("read_only", kind not in ("cache", "tmpfs"))
        mount = cls(**found)  # type: ignore[arg-type]
        mount._check()
        return mount

    def _check(self) -> None:
        """Refuse what does not go together."""
        for name in ("mode", "uid", "gid") if self.type in ("bind", "tmpfs") else ():
            if getattr(self, name) is not None:
                raise ValueError(f'{name} not allowed for "{self.type}" type mounts')
        if self.type == "secret":
            if self.origin:
                raise ValueError("secret mount should not have a from")
            if self.sharing:
                raise ValueError("secret mount should not define sharing")
            if not (self.source or self.target or self.id):
                raise ValueError("invalid secret mount. one of source, target required")
            if self.source and self.id:
                raise ValueError("both source and id can't be set")
        if self.type == "ssh" and self.source:
            raise ValueError("ssh does not support source")
        if self.sharing and self.type != "cache":
            raise ValueError(f"invalid cache sharing set for {self.type} mount")

    def __repr__(self) -> str:
        said = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        return f"RunMount({', '.join(f'{name}={value!r}' for name, value, usual in said if value != usual)})"


def origin(text: str) -> tuple[str, str]:
    """The `from` and the target of a mount, as written. Raises ValueError: this is all that is checked when a
    Dockerfile is read, as the rest may have variables.
    """
    pairs = dict(cell.partition("=")[::2] for cell in cells(text) if "=" in cell)
    found = {NAMES.get(key.lower()): value for key, value in pairs.items()}
    name = found.get("origin", "")
    if re.search(r"\$.", name):
        raise ValueError("'from' doesn't support variable expansion, define alias stage instead")
    return name, found.get("target", "")


def cells(text: str) -> list[str]:
    """The fields of one line of comma-separated values, quoted as in Go's `encoding/csv`. Raises ValueError.

    >>> cells('type=secret,"id=a,b"')
    ['type=secret', 'id=a,b']
    """
    return list(_cells(text))


def _cells(text: str) -> Iterator[str]:
    failed = "failed to parse csv mounts"
    if not text:
        raise ValueError(f"{failed}: EOF")
    at = 0
    while True:
        match = CELL.match(text, at)
        assert match is not None
        if match[1] is None and '"' in match[2]:
            column, what = at + match[2].index('"') + 1, 'bare " in non-quoted-field'
            if match[2].startswith('"'):
                whole = QUOTED.match(text, at)
                column, what = whole.end() if whole else len(text) + 1, 'extraneous or missing " in quoted-field'
            raise ValueError(f"{failed}: parse error on line 1, column {column}: {what}")
        yield match[2] if match[1] is None else match[1].replace('""', '"')
        at = match.end() + 1
        if match.end() == len(text):
            return


def _set(found: dict[str, object], key: str, value: str | None, cell: str) -> None:
    """Understand one field. `value` is None where it is a key alone."""
    kind, name = str(found["type"]), NAMES.get(key)
    if value is None and name not in ("readonly", "readwrite", "required"):
        raise ValueError(f"invalid field '{cell}' must be a key=value pair")
    if (name == "required" and kind not in ("secret", "ssh")) or (name == "size" and kind != "tmpfs"):
        raise ValueError(f"unexpected key '{key}' for mount type '{kind}'")
    if name in ("readonly", "readwrite"):
        found["read_only"] = _flag(key, value) == (name == "readonly")
    elif name == "required":
        found[name] = _flag(key, value)
    elif name in ("mode", "uid", "gid"):
        found[name] = _number(name, value or "")
    elif name == "size":
        found[name] = in_bytes(key, value or "")
    elif name in ("type", "sharing"):
        found[name] = _choice(name, value or "")
    elif name:
        found[name] = value
    else:
        raise ValueError(f"unexpected key '{key}' in '{cell}'{meant(key, NAMES)}")


def _flag(key: str, value: str | None) -> bool:
    if value is None:
        return True
    if value not in TRUTH:
        raise ValueError(f"invalid value for {key}: {value}")
    return TRUTH[value]


def _number(name: str, value: str) -> int:
    digits = "[0-7]+" if name == "mode" else "[0-9]+"
    number = int(value, 8 if name == "mode" else 10) if re.fullmatch(digits, value) else 1 << 32
    if number >= 1 << 32:
        raise ValueError(f"invalid value {value} for {name}")
    return number


def in_bytes(key: str, value: str) -> int:
    """A size as Docker reads it. Raises ValueError.

    >>> in_bytes("size", "1.5kb")
    1536
    """
    match = SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"invalid value for {key}: {value}")
    return int(float(match[1]) * 1024 ** " kmgtp".index((match[2] or " ").lower()))


def _choice(name: str, value: str) -> str:
    choices, what = (TYPES, "mount type") if name == "type" else (SHARING, "sharing value")
    if value.lower() not in choices:
        raise ValueError(f"unsupported {what} {quoted(value)}{meant(value, choices)}")
    return value.lower()
