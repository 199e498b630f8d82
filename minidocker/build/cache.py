"""The build cache: what each step was made from, what came of it, and why it hit or missed.

    cache/steps/<key>.json     one step: its facts and the layer that they led to; the key is the digest of the facts
    cache/files/<digest>.json  what a COPY took: path -> kind, mode, owner and digest
    cache/remote/…             what was fetched from URLs (`download.py`)
    cache/builds/<name>.json   the last builds of each Dockerfile, step by step: what a miss is compared with

A fact is whatever the result depends on: the parent's key, the command, the environment, the files. Text that was only
typed differently is no fact, nor is a time. All of these are files to `cat`; one that is lost or broken costs a miss.

    >>> old = {"parent": "sha256:aa", "run": ["make"], "args": {"V": "1"}}
    >>> difference(old, old | {"args": {"V": "2"}}, lambda digest: {})
    'build argument V changed (was 1, now 2)'
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.content import Descriptor, Store, temp_path
from minidocker.errors import APIError

if TYPE_CHECKING:
    from minidocker.build.cachefrom import CacheSource

Facts = dict[str, Any]
Seal = list[int]
REMEMBERED = 4  # builds of one Dockerfile
NEVER = "never built before"
LOST = "its result is not in the cache: the last build failed here, or the cache was pruned"


@dataclass(frozen=True)
class Decision:
    """Whether a step's result was taken from the cache, and why (not). `key` names the facts that were looked up.

    Only a forecast has decisions that depend on what nobody knows before it is built: no hit, and no miss either.
    """

    hit: bool
    reason: str
    key: str
    depends: bool = False

    @property
    def word(self) -> str:
        """What it is: `hit`, `miss` or `depends`."""
        return "hit" if self.hit else "depends" if self.depends else "miss"

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Record:
    """A step that was built: its layer (None when it made none), when, and how long that took.

    `reason` is why it had to be built, `where` the Dockerfile and the line.
    """

    key: str
    layer: Descriptor | None
    created: str
    seconds: float
    facts: Facts = field(default_factory=dict)
    reason: str = ""
    where: str = ""


class Cache:
    """The cache of one store. Any number of builds may work on it at the same time."""

    def __init__(self, store: Store) -> None:
        self.store, self.root = store, store.root / "cache"
        self.sources: Sequence[CacheSource] = ()  # what --cache-from names

    def find(self, key: str) -> tuple[Record | None, str]:
        """The record of a step, if its layer is there and sound, and where it came from, if not from here.

        Else None, and what is wrong with it, if anything.
        """
        record, problem = self._find(key)
        for source in self.sources if record is None else ():
            try:
                if fetched := self.fetch(source, key):
                    return fetched, f"from {source.where}"
            except (APIError, OSError) as error:
                problem = problem or f"{source.where} is damaged: {error}"
        return record, problem

    def fetch(self, source: CacheSource, key: str) -> Record | None:
        """Take a record from elsewhere. Raises APIError, OSError."""
        return source.fetch(key, self)

    def _find(self, key: str) -> tuple[Record | None, str]:
        path = self._step(key)
        try:
            value = json.loads(path.read_bytes())
            layer = Descriptor.from_json(value["layer"]) if value["layer"] else None
            record = Record(key, layer, value["created"], value["seconds"], value["facts"])
        except FileNotFoundError:
            return None, ""
        except (OSError, ValueError, KeyError, TypeError, APIError):
            return None, f"the record {path.name} is damaged"
        if layer and (problem := self._unsound(layer, value.get("seal"))):
            return None, problem
        return record, ""

    def used(self, key: str) -> None:
        """Remember that a record was of use, and when: a line's end more. How many there are is how often it was."""
        with contextlib.suppress(OSError), self._step(key).open("ab") as record:
            record.write(b"\n")

    def add(self, record: Record, text: str) -> None:
        """Remember a step that was built."""
        value = {
            "instruction": text,
            "reason": record.reason,
            "where": record.where,
            "created": record.created,
            "seconds": round(record.seconds, 6),
            "layer": record.layer.to_json() if record.layer else None,
            "seal": _seal(self.store.path(record.layer.digest)) if record.layer else None,
            "facts": record.facts,
        }
        _write(self._step(record.key), value)

    def alias(self, key: str, other: str = "") -> str:
        """The key that a cheaper one stands for ("" for none); with `other`, remember that."""
        path = self._step(key)
        if other:
            _write(path, {"same": other})
            return other
        try:
            return str(json.loads(path.read_bytes())["same"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def put_files(self, files: Mapping[str, str]) -> str:
        """The digest of what a COPY takes; the listing is kept under it, for the day when it changes."""
        digest = listing_digest(files)
        path = self.root / "files" / f"{digest[7:]}.json"
        if not path.exists():
            _write(path, dict(files))
        return digest

    def files(self, digest: str) -> dict[str, str]:
        """The listing of a digest; empty when it is lost."""
        try:
            return dict(json.loads((self.root / "files" / f"{digest[7:]}.json").read_bytes()))
        except (OSError, ValueError):
            return {}

    def last(self, origin: str) -> Trail:
        """What the last builds of this origin (context and Dockerfile) did."""
        path = self.root / "builds" / f"{hashlib.sha256(origin.encode(errors='surrogateescape')).hexdigest()[:16]}.json"
        try:
            stages = json.loads(path.read_bytes())["stages"]
            before = {name: [[Row(*row) for row in rows] for rows in runs] for name, runs in stages.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            before = {}
        return Trail(self, path, origin, before)

    def _step(self, key: str) -> Path:
        return self.root / "steps" / f"{key.partition(':')[2]}.json"

    def _unsound(self, layer: Descriptor, seal: object) -> str:
        """What is wrong with a layer's blob. One that has not been touched since it was written is not read again."""
        path = self.store.path(layer.digest)
        try:
            if _seal(path) != seal:
                for _ in self.store.open(layer.digest):
                    pass
        except FileNotFoundError:
            return f"its layer {short(layer.digest)} is gone from the store"
        except APIError:
            return f"its layer {short(layer.digest)} is corrupt"
        return ""


@dataclass(frozen=True)
class Row:
    """One step of a build: line, instruction as written, facts."""

    line: int
    text: str
    facts: Facts


@dataclass
class Trail:
    """The steps of the last builds of a Dockerfile, by stage, the latest first; and of the one that is going on."""

    cache: Cache
    path: Path
    origin: str
    before: dict[str, list[list[Row]]]
    now: dict[str, list[Row]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def begin(self, stage: str, texts: list[str]) -> None:
        """A stage, and what is written in it."""
        self.now[stage], self.texts[stage] = [], texts

    def note(self, stage: str, row: Row) -> None:
        """The next step of a stage."""
        self.now[stage].append(row)

    def why(self, stage: str, missed: int) -> str:
        """What is different about the step just noted. `missed` is the number of the step that changed its parent."""
        row, index = self.now[stage][-1], len(self.now[stage]) - 1
        if not self.before.get(stage):
            return NEVER
        if missed:
            return f"parent changed (step {missed})"
        rows = self._closest(stage, row, index)
        if index >= len(rows):
            return f"line {row.line} is new: `{row.text}`"
        old = rows[index]
        if old.text == row.text:
            return difference(old.facts, row.facts, self.cache.files) or LOST
        if old.text in self.texts[stage][index:] and row.text not in [other.text for other in rows]:
            return f"line {row.line} is new: `{row.text}`"
        if row.text in [other.text for other in rows[index:]]:
            moved = old.text in self.texts[stage][index:]
            return f"`{old.text}` was {'moved below' if moved else 'removed before'} line {row.line}"
        return f"line {row.line} changed: was `{old.text}`, now `{row.text}`"

    def again(self, stage: str) -> Row | None:
        """The step of an earlier build, the latest, that was written as the one just noted."""
        text = self.now[stage][-1].text
        return next((row for rows in self.before.get(stage, []) for row in rows if row.text == text), None)

    def _closest(self, stage: str, row: Row, index: int) -> list[Row]:
        """Of the builds before this one, the latest that stood just here: on the same parent, if there is one."""
        runs = self.before[stage]
        here = [rows for rows in runs if index < len(rows) and _parent(rows[index]) == _parent(row)]
        same = [rows for rows in here if rows[index].text == row.text]
        return (same or here or runs)[0]

    def save(self) -> None:
        """Make this build the last one; stages that it did not reach stay as they were."""
        stages = dict(self.before)
        for name, rows in self.now.items():
            others = [other for other in stages.get(name, []) if other != rows]
            stages[name] = [rows, *others][:REMEMBERED]
        if stages == self.before:  # all of it was there already: nothing to write
            return
        plain = {
            name: [[[row.line, row.text, row.facts] for row in rows] for rows in runs] for name, runs in stages.items()
        }
        _write(self.path, {"origin": self.origin, "stages": plain})


NOUNS = {
    "run": "the command",
    "copy": "the sources",
    "to": "the destination",
    "owner": "--chown",
    "mode": "--chmod",
    "parents": "--parents",
    "exclude": "--exclude",
    "unpack": "--unpack",
    "user": "the user",
    "workdir": "the working directory",
    "network": "--network",
    "mounts": "--mount",
    "epoch": "SOURCE_DATE_EPOCH",
    "instruction": "the instruction",
    "args": "build argument",
    "env": "environment variable",
}


def difference(old: Facts, new: Facts, files: Callable[[str], Mapping[str, str]]) -> str:
    """The first thing in which two steps differ, in words; "" for none. `files` gives a listing by its digest."""
    for name in (*NOUNS, "id", "files", "from"):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        if name == "id":
            return f"base image {new.get('image')} changed (was {short(str(was))}, now {short(str(now))})"
        if name == "files":
            return "; ".join(_changed_files(files(str(was)), files(str(now)))) or "the files changed"
        if isinstance(was, dict) and isinstance(now, dict):
            return next(_changed(NOUNS[name], was, now))
        return f"{NOUNS.get(name, name)} changed (was {_shown(was)}, now {_shown(now)})"
    return "parent changed" if old.get("parent") != new.get("parent") else ""


def key_of(facts: Facts) -> str:
    """The digest of facts."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def listing_digest(files: Mapping[str, str]) -> str:
    """The digest of what a COPY takes: path -> kind, mode, owner and digest."""
    lines = "\n".join([f"{name}\0{what}" for name, what in sorted(files.items())])
    return f"sha256:{hashlib.sha256(lines.encode(errors='surrogateescape')).hexdigest()}"


def short(digest: str) -> str:
    """The beginning of a digest, for people. `sha256:3f2a…`"""
    return f"{digest[:11]}…" if digest.startswith("sha256:") else digest


def _parent(row: Row) -> Any:
    """What a step stands on; a FROM stands on nothing but the name of its image."""
    return row.facts.get("parent") or row.facts.get("image")


def _changed(noun: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(was.keys() | now.keys()):
        if name not in now:
            yield f"{noun} {name} is gone (was {_shown(was[name])})"
        elif name not in was:
            yield f"{noun} {name} is new ({_shown(now[name])})"
        elif was[name] != now[name]:
            yield f"{noun} {name} changed (was {_shown(was[name])}, now {_shown(now[name])})"
    yield f"{noun}s changed their order"


def _changed_files(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The first changed file by name, and how many more."""
    found = [name for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)]
    said = [_changed_file(name, was.get(name, ""), now.get(name, "")) for name in found[:1]]
    return said + ([f"and {len(found) - 1} more"] if len(found) > 1 else [])


def _changed_file(name: str, was: str, now: str) -> str:
    if not was or not now:
        return f"{name} was {'removed' if was else 'added'}"
    old, new = was.split(" ", 3), now.split(" ", 3)
    if old[3:] != new[3:] and old[0] == new[0]:
        return f"{name} changed (was {short(old[-1])}, now {short(new[-1])})"
    for what, before, after in zip(("kind", "mode", "owner"), old, new, strict=False):
        if before != after:
            return f"{name}: its {what} changed (was {before}, now {after})"
    return f"{name} changed"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "`" + " ".join(map(str, value)) + "`"
    return "unset" if value in (None, "") else str(value)


def _seal(path: Path) -> Seal:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _write(path: Path, value: Any) -> None:
    _write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


def _write_bytes(path: Path, data: bytes) -> None:
    """Replaced as a whole, but not forced to the disk: what a power cut takes is only a miss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = temp_path(path)
    temp.write_bytes(data)
    temp.replace(path)
