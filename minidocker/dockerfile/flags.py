"""The `--flags` between an instruction's keyword and its arguments: which there are, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping

from .values import meant

Flag = str | bool | tuple[str, ...]
ARCHIVES: dict[str, type] = {"keep-git-dir": bool, "unpack": bool}
FLAGS: dict[str, dict[str, type]] = {
    "FROM": {"platform": str},
    "RUN": {"mount": tuple, "network": str, "security": str, "device": tuple},
    "COPY": {"from": str, "chown": str, "chmod": str, "link": bool, "parents": bool, "exclude": tuple},
    "ADD": {"chown": str, "chmod": str, "link": bool, "exclude": tuple, "checksum": str, **ARCHIVES},
    "HEALTHCHECK": dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), str),
}
FLAGS_IGNORED = ("ARG", "STOPSIGNAL")  # Docker forgot to look at theirs, so whatever stands there works


def parse_flags(keyword: str, words: tuple[str, ...]) -> dict[str, Flag]:
    """Return the flags of an instruction; ValueError for one that it does not have, or has twice, or without value.

    >>> parse_flags("COPY", ("--from=build", "--link"))
    {'from': 'build', 'link': True}
    """
    if keyword in FLAGS_IGNORED:
        return {}
    flags: dict[str, Flag] = {}
    known = FLAGS.get(keyword, {})
    for word in words:
        name, equals, value = word[2:].partition("=")
        kind = known.get(name)
        if kind is None:
            raise ValueError(f"unknown flag: --{name}{meant(name, known)}; {_known(keyword, known)}")
        if name in flags and kind is not tuple:
            raise ValueError(f"duplicate flag specified: {name}")
        if not value and (equals if kind is bool else not equals):
            raise ValueError(f"missing a value on flag: {name}")
        flags[name] = _flag_value(name, value, kind, flags.get(name))
    return flags


def _known(keyword: str, known: Mapping[str, type]) -> str:
    return f"{keyword} takes {', '.join(f'--{name}' for name in known)}" if known else f"{keyword} takes no flags"


def _flag_value(name: str, value: str, kind: type, before: Flag | None) -> Flag:
    if kind is tuple:
        return (*(before if isinstance(before, tuple) else ()), value)
    if kind is str:
        return value
    if value.lower() not in ("", "true", "false"):
        raise ValueError(f"expecting boolean value for flag {name}, not: {value}")
    return value.lower() != "false"
