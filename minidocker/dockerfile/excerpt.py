"""The lines of a Dockerfile that a message is about, as BuildKit prints them."""

from __future__ import annotations

RULE = "-" * 20


def excerpt(text: str, name: str, first: int, last: int = 0) -> str:
    """The lines from `first` to `last` and a few around them, marked and numbered; "" when they are not there.

    >>> print(excerpt("FROM scratch\\nCOPY a\\nCMD x", "Dockerfile", 2), end="")
    Dockerfile:2
    --------------------
       1 |     FROM scratch
       2 | >>> COPY a
       3 |     CMD x
    --------------------
    """
    lines = text.split("\n")
    if not 1 <= first <= len(lines):
        return ""
    last = min(max(first, last), len(lines))
    start, end = _around(first, last, len(lines))
    rows = [
        f" {number:3} | {'>>>' if first <= number <= last else '   '} {lines[number - 1]}".rstrip("\r")
        for number in range(start, end + 1)
    ]
    return "\n".join([f"{name}:{first}", RULE, *rows, RULE, ""])


def _around(start: int, end: int, count: int) -> tuple[int, int]:
    """Widen a range: by four lines around a single one, by two around several, evenly as far as there are any."""
    room, widened = 2 if end > start else 4, 0
    while widened < room:
        if start > 1:
            start, widened = start - 1, widened + 1
        if end < count:
            end, widened = end + 1, widened + 1
        widened += 1
    return start, end
