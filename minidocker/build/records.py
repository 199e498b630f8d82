"""The records of the build cache, listed and pruned: `docker builder du`, `docker builder prune`.

    regular          a step that was built (or a file that ADD fetched), with the reason why it had to be
    exec.cachemount  what `RUN --mount=type=cache` keeps

A record is `Shared` where an image has its layer: then pruning it frees nothing. What is pruned are those that no build
is using and that the filters name, the longest unused first, until as little is left as was asked for.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minidocker.build import mountcache
from minidocker.content import Store
from minidocker.errors import InvalidArgument
from minidocker.filters import is_true, texts
from minidocker.garbage import reachable
from minidocker.times import stamp, unix_time

Record = dict[str, Any]
FILES = re.compile(rb'"files": "sha256:([0-9a-f]{64})"')
FIELDS = {"id": "ID", "parent": "Parent", "parents": "Parent", "type": "Type", "description": "Description"}
FLAGS = {"inuse": ("InUse", True), "shared": ("Shared", True), "private": ("Shared", False)}
FLAGS |= {"mutable": ("Mutable", True), "immutable": ("Mutable", False)}

OTHER: Record = {"Parent": "", "Reason": "", "Where": "", "InUse": False, "Mutable": False, "Layer": False}  # no steps
OTHER |= {"Shared": False}


@dataclass(frozen=True)
class Limits:
    """How much may be left: bytes to keep whatever happens, at most, and free on the disk; 0 for no such limit."""

    reserved: int = 0
    most: int = 0
    free: int = 0

    def keep(self, total: int, free: int) -> int:
        """How many bytes of the cache may stay, of which there are `total`, with so many `free` on the disk.

        >>> Limits(most=10).keep(100, 5), Limits(free=25).keep(100, 5), Limits(reserved=90, free=25).keep(100, 5)
        (10, 80, 90)
        """
        keep = self.most
        if (missing := self.free - free) > 0:
            keep = min(keep or total, total - missing)
        elif self.free and not keep:
            keep = total
        return max(keep, self.reserved)


def usage(store: Store, filters: Mapping[str, Any] | None = None) -> list[Record]:
    """The records, the last used first, as `docker system df` and `docker builder du` have them.

    Raises InvalidArgument for a filter that there is none.
    """
    tests = [_test(key, texts(wanted)) for key, wanted in (filters or {}).items()]
    found = [*_steps(store), *_downloads(store), *(OTHER | {"Mutable": True} | one for one in _mounted(store))]
    found.sort(key=lambda record: (record["LastUsedAt"], record["ID"]), reverse=True)
    return [record for record in found if all(test(record) for test in tests)]


def prune(store: Store, filters: Mapping[str, Any] | None = None, limits: Limits | None = None) -> list[Record]:
    """Forget records; those that went. Their layers go with the next collection of garbage."""
    chosen, everything = usage(store, filters), usage(store)
    left = sum(record["Size"] for record in everything)
    keep = limits.keep(left, shutil.disk_usage(store.root).free) if limits else 0
    gone: list[Record] = []
    for record in reversed(chosen):
        if record["InUse"] or (limits and left <= keep):
            continue
        if _remove(store, record):
            gone.append(record)
            left -= record["Size"]
    _tidy(store, all(record in gone for record in everything if record["Type"] == "regular"))
    return gone


def _steps(store: Store) -> Iterator[Record]:
    shared: set[str] | None = None
    for path in (store.root / "cache" / "steps").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            data, used = path.read_bytes(), path.stat().st_mtime
            value = json.loads(data)
            if "same" in value:
                continue
            if shared is None:
                shared = reachable(store, "index")
            layer = value["layer"]
            yield {
                "ID": path.stem[:25],
                "Parent": value["facts"].get("parent", "").removeprefix("sha256:")[:25],
                "Type": "regular",
                "Description": value["instruction"],
                "Reason": value.get("reason", ""),
                "Where": value.get("where", ""),
                "InUse": False,
                "Mutable": False,
                "Layer": bool(layer),
                "Shared": bool(layer) and layer["digest"][7:] in shared,
                "Size": layer["size"] if layer else 0,
                "CreatedAt": value["created"],
                "LastUsedAt": _moment(used),
                "UsageCount": len(data) - len(data.rstrip(b"\n")),  # each use adds a line's end
            }


def _downloads(store: Store) -> Iterator[Record]:
    for path in (store.root / "cache" / "remote").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            value, when = json.loads(path.read_bytes()), _moment(path.stat().st_mtime)
            about = {"ID": path.stem[:25], "Type": "regular", "Description": f"http url {value['url']}"}
            yield OTHER | about | {"Size": value["size"], "CreatedAt": when, "LastUsedAt": when, "UsageCount": 1}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _mounted(store: Store) -> list[Record]:
    return mountcache.usage(_mounts(store))


def _mounts(store: Store) -> Path:
    return store.root / "cache" / "mounts"


def _test(key: str, wanted: list[str]) -> Callable[[Record], bool]:
    """What a filter lets through. A key may end in `!` (not equal) or `~` (a regular expression), as with buildx."""
    name, sign = (key[:-1], key[-1]) if key[-1:] in ("!", "~") else (key, "")
    if len(wanted) != 1:
        raise InvalidArgument(f'"{key}" filter expects only one value')
    value = wanted[0]
    if name in ("until", "unused-for"):
        latest = unix_time(stamp(value))
        return lambda record: unix_time(record["LastUsedAt"]) < latest
    if name in FLAGS:
        field, meant = FLAGS[name]
        return lambda record: record.get(field, False) is (is_true(name, value) == meant)
    if name == "label":  # which no record has: `docker system prune --filter label=…` asks here, too
        return lambda record: ("label" in record) == (sign != "!")
    if name not in FIELDS:
        raise InvalidArgument(f"Invalid filter '{key}'")
    field = FIELDS[name]
    if sign == "~":
        pattern = _pattern(value)
        return lambda record: bool(pattern.search(record[field]))
    if sign == "!":
        return lambda record: record[field] != value
    return lambda record: value in record[field] if name == "id" else bool(record[field] == value)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidArgument(f"invalid filter {text!r}: {error}") from error


def _remove(store: Store, record: Record) -> bool:
    if record["Type"] == mountcache.TYPE:
        return bool(mountcache.prune(_mounts(store), lambda one: one["ID"] != record["ID"]))
    for name in ("steps", "remote"):
        for path in (store.root / "cache" / name).glob(f"{record['ID']}*.json"):
            path.unlink(missing_ok=True)
    return True


def _tidy(store: Store, all_gone: bool) -> None:
    """Delete what only the records that went had need of: listings, downloads, keys that stand for other keys."""
    cache = store.root / "cache"
    if all_gone:
        for name in ("steps", "files", "builds", "remote"):
            shutil.rmtree(cache / name, ignore_errors=True)
        return
    notes = [path.read_bytes() for folder in ("steps", "builds") for path in (cache / folder).glob("*.json")]
    files = {digest.decode() for note in notes for digest in FILES.findall(note)}
    contents = {json.loads(path.read_bytes())["digest"][7:] for path in (cache / "remote").glob("*.json")}
    for path in (cache / "steps").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            other = str(json.loads(path.read_bytes()).get("same", ""))
            if other and not (path.parent / f"{other[7:]}.json").exists():
                path.unlink()
    for folder, alive in (("files", files), ("remote", contents)):
        for path in (cache / folder).glob("*"):
            if path.suffix == (".json" if folder == "files" else "") and path.stem not in alive:
                path.unlink(missing_ok=True)
