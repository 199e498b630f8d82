"""A container's log: `log.jsonl`, one record a line, in the form of Docker's json-file driver; older ones are
`log.jsonl.1`, `log.jsonl.2.gz`… (`minidocker.runtime.logfile` writes them).

>>> import tempfile; folder = tempfile.TemporaryDirectory()
>>> path = Path(folder.name) / "log.jsonl"
>>> _ = path.write_text('{"log": "hi\\\\n", "stream": "stdout", "time": "2026-01-01T00:00:00.000000000Z"}\\n')
>>> [text(record) for record in read(Files(path))]
[b'hi\\n']
"""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote_plus

from minidocker.content import FileLock
from minidocker.runtime import monitor
from minidocker.times import now, stamp


def read(
    files: Files,
    tail: str | int = "all",
    since: Any = None,
    until: Any = None,
    going: Callable[[], bool] | None = None,
) -> Iterator[dict[str, Any]]:
    """The records of a log; with `going`, also those to come for as long as it says that the container runs.

    `tail` is a number of records, those until now, or `all`; `since` and `until` are for `minidocker.times.stamp`.
    """
    past = files.tail(int(tail)) if str(tail).isdigit() else files.rest()  # as Docker: no number is all of it
    last = stamp(until)
    return _between(stamp(since), last, _records(files, past, going, last))


def _between(first: str | None, last: str | None, records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        if last is not None and record["time"] > last:
            return
        if first is None or record["time"] >= first:
            yield record


def text(record: dict[str, Any], timestamps: bool = False, details: bool = False) -> bytes:
    """The bytes that the program wrote, after what `--timestamps` and `--details` put before them.

    >>> text({"log": "hi", "time": "T", "attrs": {"tag": "a/b", "A": "1"}}, True, True)
    b'T A=1,tag=a%2Fb hi'
    """
    attrs = sorted((record.get("attrs") or {}).items())
    said = ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in attrs)
    before = f"{record['time']} " * timestamps + f"{said} " * details
    return before.encode() + str(record["log"]).encode("utf-8", "surrogateescape")


def _records(
    files: Files, past: Iterable[bytes], going: Callable[[], bool] | None, last: str | None
) -> Iterator[dict[str, Any]]:
    for line in past:
        yield from _record(line)
    while going is not None:
        alive = going() and (last is None or now() <= last)  # asked before reading, so that no last words are missed
        for line in files.rest():
            yield from _record(line)
        if not alive:
            return
        monitor.doze(files.path.parent, monitor.TICK)


def _record(line: bytes) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(ValueError):  # a line cut short by a crash is none
        yield json.loads(line)


class Files:
    """The files of a log, read from the oldest on, while the log goes on and begins new ones.

    Each has a number, that of the turn with which it began; so the next is known whatever it is called by now.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, -1
        self.file: IO[bytes] | None = None
        self.first = self._newer()

    def rest(self) -> Iterator[bytes]:
        """The lines that have not been read yet."""
        newer = self.first or self._newer()  # opened before the end of the one before is read: that is its end then
        self.first = []
        yield from self._lines()
        while newer:
            self.close()
            self.number, self.file = newer.pop(0)
            try:
                yield from self._lines()
            finally:
                if self.file is None:
                    for _, file in newer:
                        file.close()

    def tail(self, count: int) -> Iterable[bytes]:
        """The last lines."""
        return deque(self.rest(), maxlen=count)

    def close(self) -> None:
        """Close the file that is read, and those that never were."""
        for file in (self.file, *(file for _, file in self.first)):
            if file:
                file.close()
        self.file, self.first = None, []

    def _lines(self) -> Iterator[bytes]:
        if self.file is None:
            return
        for line in iter(self.file.readline, b""):
            if not line.endswith(b"\n"):
                self.file.seek(-len(line), 1)  # its end is not written yet
                return
            yield line

    def _newer(self) -> list[tuple[int, IO[bytes]]]:
        """The files after the one that is read, oldest first, opened."""
        lock, there = self.path.with_name("log.turns"), self.path.exists()
        if self.file and not lock.exists():
            return []
        with FileLock(lock) if lock.exists() else contextlib.nullcontext():
            turns = int(lock.read_text() or 0) if lock.exists() else 0
            if self.file and turns == self.number:
                return []
            found = []
            for path in self.path.parent.glob("log.jsonl.*"):
                parts = path.name.split(".")[2:]
                if parts[0].isdigit() and parts[1:] in ([], ["gz"]) and turns - int(parts[0]) > self.number:
                    found.append((turns - int(parts[0]), path))
            if there:
                found.append((turns, self.path))
            return [(number, _open(path)) for number, path in sorted(found)]


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        import gzip

        return cast("IO[bytes]", gzip.open(path))
    return path.open("rb")
