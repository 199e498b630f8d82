"""Moments and lengths of time in Docker's words: RFC 3339 with nanoseconds, and `About a minute`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

from minidocker.errors import InvalidArgument

NEVER = "0001-01-01T00:00:00Z"  # Docker's word for a moment that has not come
GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}


def now() -> str:
    """This moment, in UTC with nanoseconds: `2026-11-23T06:40:00.123456789Z`."""
    return rfc3339(time.time_ns())


def rfc3339(nanoseconds: int) -> str:
    """A moment of so many nanoseconds since 1970.

    >>> rfc3339(60 * 10**9)
    '1970-01-01T00:01:00.000000000Z'
    """
    whole, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def unix_time(text: Any) -> int:
    """Seconds since 1970 of an RFC 3339 time; 0 where there is none.

    >>> unix_time("1970-01-01T00:01:00.123456789Z"), unix_time(NEVER), unix_time(None)
    (60, 0, 0)
    """
    if str(text).startswith("0001-"):
        return 0
    try:
        moment = datetime.fromisoformat(str(text))
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0


def stamp(value: Any) -> str | None:
    """A moment as we write it, of a datetime, seconds since 1970, an RFC 3339 text, or how long ago (`1h30m`).

    None where none is meant (`None`, 0, ""). Raises InvalidArgument.

    >>> stamp("-1h") > stamp("1h")
    True
    >>> stamp(60), stamp("2026-01-01"), stamp("1.5")
    ('1970-01-01T00:01:00.000000000Z', '2026-01-01T00:00:00.000000000Z', '1970-01-01T00:00:01.500000000Z')
    """
    if value in (None, "", 0, "0"):
        return None
    try:
        return rfc3339(nanoseconds(value))
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise InvalidArgument(f'failed to parse value as time or duration: "{value}"') from error


def nanoseconds(value: Any) -> int:
    """What `stamp` takes, in nanoseconds since 1970. Raises ValueError."""
    text = str(value)
    unsigned = text.removeprefix("-")
    if isinstance(value, str) and GO_DURATION.sub("", unsigned) == "":
        ago = sum(float(number) * UNITS[unit] for number, unit in GO_DURATION.findall(unsigned))
        ago = ago if unsigned == text else -ago  # a time to come
        return time.time_ns() - int(ago * 10**9)
    if isinstance(value, datetime):
        text = value.isoformat()
    elif match := re.fullmatch(r"(\d+)(?:\.(\d{1,9}))?\d*", text):
        return int(match[1]) * 10**9 + int((match[2] or "").ljust(9, "0"))
    fraction = re.search(r"\.(\d+)", text)
    moment = datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return seconds * 10**9 + int((fraction[1] if fraction else "")[:9].ljust(9, "0"))


def human(seconds: float) -> str:
    """A length of time as Docker says it.

    >>> human(0.4), human(1), human(75), human(3600), human(3 * 86400), human(90 * 86400)
    ('Less than a second', '1 second', 'About a minute', 'About an hour', '3 days', '3 months')
    """
    whole, minutes, hours = int(seconds), int(seconds / 60), int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for unit, length, limit in (("days", 24, 14 * 24), ("weeks", 24 * 7, 60 * 24), ("months", 24 * 30, 730 * 24)):
        if hours < limit:
            return f"{hours // length} {unit}"
    return f"{hours // 24 // 365} years"


def age(moment: str) -> str:
    """How long ago it was: `2 weeks`."""
    return human(max(0.0, time.time() - unix_time(moment)))
