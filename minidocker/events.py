"""What happens to containers and images, told as it happens: `docker events`, the Engine API's `GET /events`.

It is read from the `journal`, so one sees what any process does to this root folder; Linux tells at once when there is
more to read, elsewhere one looks again and again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from minidocker.errors import APIError, InvalidArgument
from minidocker.filters import has_label, texts
from minidocker.journal import NAME, OLD
from minidocker.reference import Reference
from minidocker.runtime import linux
from minidocker.times import rfc3339, stamp
from minidocker.waiting import ready

Event = dict[str, Any]
TICK, LONGEST = 0.02, 3600.0  # seconds between two looks, where the system does not tell; and where it does
NAMED = ("daemon", "container", "plugin", "volume", "network", "node", "service", "secret", "config")
KEYS = {*NAMED, "event", "type", "scope", "image", "label"}
FAMILIES = {"health_status", "exec_create", "exec_start"}  # of events, whose names go on with `: what`


class Events(Iterator[Any]):
    """The events of a root folder, from when it is made: past ones after `since`, and those to come until `until`.

    Times are what `times.stamp` takes, filters those of `docker events`. With `decode` an event is a dictionary, else
    a line of JSON. `close`, which any thread may call, ends it.
    """

    def __init__(
        self,
        root: Path,
        since: Any = None,
        until: Any = None,
        filters: Mapping[str, Any] | None = None,
        decode: Any = True,
    ) -> None:
        self.since, self.until = _moment(since), _moment(until)
        if self.since and self.until and self.since > self.until:
            raise InvalidArgument(f"`since` time ({since}) cannot be after `until` time ({until})")
        self.filters, self.decode, self._closed = check_filters(filters or {}), decode, False
        self._bell = Bell(root / "events")
        self._lines = Lines(root / "events", past=bool(self.since or self.until))
        self._found = self._records()

    def __next__(self) -> Any:
        event = next(self._found)
        return event if self.decode else json.dumps(event, separators=(",", ":")).encode() + b"\n"

    def _records(self) -> Iterator[Event]:
        while not self._closed:
            over = self._left() <= 0  # asked before reading, so that the last event is not missed
            yield from filter(self._wanted, self._lines.read())
            if over:
                return
            self._bell.wait(self._left())

    def _wanted(self, event: Event) -> bool:
        moment = rfc3339(event["timeNano"])
        in_time = (not self.since or moment >= self.since) and (not self.until or moment <= self.until)
        return in_time and matches(event, self.filters)

    def _left(self) -> float:
        """Seconds until it is over."""
        from datetime import datetime

        end = datetime.fromisoformat(self.until).timestamp() if self.until else None
        return LONGEST if end is None else min(LONGEST, end - time.time())

    def close(self) -> None:
        """Let whoever waits for the next event go."""
        self._closed = True
        self._bell.ring()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Lines:
    """The lines of a journal, also of one that others write to, and put another file in the place of, meanwhile."""

    files: Sequence[BinaryIO] = ()  # those that are read, or will be, oldest first

    def __init__(self, folder: Path, past: bool) -> None:
        self.folder = folder
        self.files = self._after(None)
        if self.files and not past:
            for file in self.files[:-1]:
                file.close()
            self.files = self.files[-1:]
            self.files[0].seek(0, os.SEEK_END)

    def read(self) -> Iterator[Event]:
        """What has come since the last time."""
        self.files = self.files or self._after(None)
        while self.files:
            file = self.files[0]
            if len(self.files) == 1:  # asked before reading, so that the file's last lines are not missed
                self.files = [file, *self._after(file)]
            yield from _events(file)
            if len(self.files) == 1:
                return
            file.close()
            self.files = self.files[1:]

    def _after(self, file: BinaryIO | None) -> list[BinaryIO]:
        """The files that came after one, oldest first; all there are, where that is None."""
        if file and self._has(NAME, file):
            return []
        new, old = self._open(NAME), self._open(OLD)
        while not self._has(NAME, new):  # another one has taken its place: which is the older one?
            for each in filter(None, (new, old)):
                each.close()
            new, old = self._open(NAME), self._open(OLD)
        if old and file and os.path.samestat(os.fstat(old.fileno()), os.fstat(file.fileno())):
            old.close()
            old = None
        return [each for each in (old, new) if each]

    def _open(self, name: str) -> BinaryIO | None:
        try:
            return (self.folder / name).open("rb")
        except FileNotFoundError:
            return None

    def _has(self, name: str, file: BinaryIO | None) -> bool:
        """Whether a file has that name; None: whether there is none."""
        try:
            there = (self.folder / name).stat()
        except FileNotFoundError:
            return file is None
        return file is not None and os.path.samestat(os.fstat(file.fileno()), there)

    def __del__(self) -> None:
        for file in self.files:
            file.close()


class Bell:
    """Rings when something changes in a folder, or when somebody rings it."""

    def __init__(self, folder: Path) -> None:
        self.rope, self.hand = os.pipe()
        self.watch = -1
        with suppress(OSError, AttributeError, TypeError):  # on systems that have no such thing, too
            folder.mkdir(mode=0o700, exist_ok=True)
            self.watch = linux.watch(str(folder), linux.IN_MODIFY | linux.IN_CREATE | linux.IN_MOVED_TO)

    def wait(self, seconds: float) -> None:
        """Wait until it rings, or for so long."""
        if self.watch < 0:
            time.sleep(max(0.0, min(TICK, seconds)))
            return
        if self.watch in ready([self.watch, self.rope], seconds):
            os.read(self.watch, 1 << 16)

    def ring(self) -> None:
        """Wake whoever waits."""
        os.write(self.hand, b"!")

    def __del__(self) -> None:
        for fd in (self.rope, self.hand, self.watch):
            if fd >= 0:
                os.close(fd)


def _events(file: BinaryIO) -> Iterator[Event]:
    for line in file:
        if not line.endswith(b"\n"):
            file.seek(-len(line), os.SEEK_CUR)  # somebody is writing it
            return
        with suppress(ValueError):  # a line that the end of the machine's power cut
            yield json.loads(line)


def _moment(value: Any) -> str | None:
    try:
        return rfc3339(0) if str(value) == "0" else stamp(value)
    except InvalidArgument:
        raise InvalidArgument(f'failed to parse value as time or duration: "{value}"') from None


def check_filters(filters: Mapping[str, Any]) -> dict[str, list[str]]:
    """Filters as lists of texts; what is none is let by, as with Docker."""
    return {key: texts(value) for key, value in filters.items() if key in KEYS and texts(value)}


def matches(event: Event, filters: Mapping[str, list[str]]) -> bool:
    """Whether an event passes all the filters; of the values of one, any will do (of labels: all).

    >>> died = {"Type": "container", "Action": "die", "Actor": {"ID": "1f2e", "Attributes": {"name": "web", "a": "1"}}}
    >>> matches(died, {"event": ["start", "die"], "label": ["a=1"], "container": ["1f"]})
    True
    >>> matches(died, {"type": ["image"]})
    False
    """
    actor, attributes = event["Actor"]["ID"], event["Actor"]["Attributes"]
    images = (actor, attributes.get("name" if event["Type"] == "image" else "image", ""))
    found = {
        "event": [event["Action"]],
        "type": [event["Type"]],
        "scope": [event.get("scope", "local")],
        "image": [*images, *map(_repository, images)],
        **{key: [actor, attributes.get("name", "")] for key in NAMED},
    }
    labels = all(has_label(attributes, value) for value in filters.get("label", []))
    return labels and all(_fits(key, found[key], wanted) for key, wanted in filters.items() if key != "label")


def _fits(key: str, found: Iterable[str], wanted: list[str]) -> bool:
    """Whether one of the texts is wanted, or starts with what is, where that is enough."""
    start = key in NAMED or (key == "event" and bool(FAMILIES & {*wanted}))
    return any(text == value or (start and text.startswith(value)) for text in found for value in wanted)


def _repository(name: str) -> str:
    try:
        return Reference.parse(name).name
    except APIError:
        return name
