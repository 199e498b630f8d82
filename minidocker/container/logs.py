"""A container's log: `log.jsonl`, one record a line, in the form of Docker's json-file driver.

>>> import tempfile; folder = tempfile.TemporaryDirectory()
>>> path = Path(folder.name) / "log.jsonl"
>>> _ = path.write_text('{"log": "hi\\\\n", "stream": "stdout", "time": "2026-01-01T00:00:00.000000000Z"}\\n')
>>> [text(record) for record in read(path)]
[b'hi\\n']
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minidocker.runtime import monitor
from minidocker.times import stamp


def read(
    path: Path,
    tail: str | int = "all",
    since: Any = None,
    until: Any = None,
    going: Callable[[], bool] | None = None,
) -> Iterator[dict[str, Any]]:
    """The records of a log; with `going`, also those to come for as long as it says that the container runs.

    `tail` is a number of records or `all`; `since` and `until` are what `minidocker.times.stamp` takes.
    """
    first, last = stamp(since), stamp(until)
    return _between(_records(path, going, _tail(path, tail)), first, last)


def text(record: dict[str, Any]) -> bytes:
    """The bytes that the program wrote."""
    return str(record["log"]).encode("utf-8", "surrogateescape")


def _between(records: Iterator[dict[str, Any]], first: str | None, last: str | None) -> Iterator[dict[str, Any]]:
    for record in records:
        if last is not None and record["time"] > last:
            return
        if first is None or record["time"] >= first:
            yield record


def _tail(path: Path, tail: str | int) -> int:
    """From which byte on to read. As Docker: a tail that is no number is all of it, and both streams count."""
    if not str(tail).isdigit() or not path.exists():
        return 0
    starts: deque[int] = deque(maxlen=int(tail) or 1)
    at = 0
    with path.open("rb") as log:
        for line in log:
            starts.append(at)
            at += len(line)
    return starts[0] if starts and int(tail) else at


def _records(path: Path, going: Callable[[], bool] | None, start: int) -> Iterator[dict[str, Any]]:
    at = start
    while True:
        alive = going is not None and going()  # asked before reading, so that the last words are not missed
        if path.exists():
            with path.open("rb") as log:
                log.seek(at)
                for line in log:
                    if not line.endswith(b"\n"):
                        break
                    at += len(line)
                    yield json.loads(line)
        if not alive:
            return
        monitor.doze(path.parent, monitor.TICK)
