"""A container's log: `log.jsonl`, one record a line, in the form of Docker's json-file driver.

>>> import tempfile; path = Path(tempfile.mkdtemp()) / "log.jsonl"
>>> _ = path.write_text('{"log": "hi\\\\n", "stream": "stdout", "time": "2026-01-01T00:00:00.000000000Z"}\\n')
>>> [text(record) for record in read(path, {"stdout"})]
[b'hi\\n']
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from minidocker.errors import InvalidArgument

TICK = 0.02  # seconds between two looks at a log that is being followed
GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}


def read(
    path: Path,
    streams: set[str],
    tail: str | int = "all",
    since: Any = None,
    until: Any = None,
    going: Callable[[], bool] | None = None,
) -> Iterator[dict[str, Any]]:
    """The records of a log; with `going`, also those to come for as long as it says that the container runs.

    `tail` is a number of records or `all`; `since` and `until` are what `moment` takes.
    """
    first, last = moment(since), moment(until)
    records = (
        record
        for record in _records(path, going, _tail(path, streams, tail))
        if record["stream"] in streams and (first is None or record["time"] >= first)
    )
    for record in records:
        if last is not None and record["time"] > last:
            return
        yield record


def text(record: dict[str, Any]) -> bytes:
    """The bytes that the program wrote."""
    return str(record["log"]).encode("utf-8", "surrogateescape")


def now() -> str:
    """This moment as Docker writes it: RFC 3339 in UTC, with nanoseconds."""
    whole, rest = divmod(time.time_ns(), 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def moment(value: Any) -> str | None:
    """A time as the log writes it, of a datetime, seconds since 1970, an RFC 3339 text, or how long ago (`1h30m`).

    >>> moment(60), moment("2026-01-01")
    ('1970-01-01T00:01:00.000000Z', '2026-01-01T00:00:00.000000Z')
    """
    if value in (None, "", 0, "0"):
        return None
    try:
        if isinstance(value, str) and GO_DURATION.sub("", value) == "":
            ago = sum(float(number) * UNITS[unit] for number, unit in GO_DURATION.findall(value))
            value = datetime.now(UTC) - timedelta(seconds=ago)
        elif isinstance(value, str) and not re.fullmatch(r"\d+(\.\d+)?", value):
            value = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value).replace("Z", "+00:00"))
        if not isinstance(value, datetime):
            value = datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidArgument(
            f"invalid value for time: {value!r}; use seconds, RFC 3339 or a duration like 10m"
        ) from error
    value = value if value.tzinfo else value.replace(tzinfo=UTC)
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _tail(path: Path, streams: set[str], tail: str | int) -> int:
    """From which byte on to read."""
    if tail == "all":
        return 0
    if not str(tail).isdigit():
        return 0  # as Docker: a tail that is no number is all of it
    starts: deque[int] = deque(maxlen=int(tail) or 1)
    at = 0
    if path.exists():
        with path.open("rb") as log:
            for line in log:
                if json.loads(line)["stream"] in streams:
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
        time.sleep(TICK)
