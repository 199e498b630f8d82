"""How Docker's json-file log cuts output into records: a record a line, or 16 KiB of it."""

from __future__ import annotations

MAX_RECORD = 16 * 1024  # bytes of a line that Docker keeps in one record


def pieces(line: bytes) -> list[bytes]:
    """Cut a line into records, never inside a UTF-8 character; there is always a last one, which may be empty.

    >>> [len(piece) for piece in pieces(b"x" * 40_000)]
    [16384, 16384, 7232]
    """
    found = []
    while len(line) > MAX_RECORD:
        end = MAX_RECORD
        while end > MAX_RECORD - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        found.append(line[:end])
        line = line[end:]
    return [*found, line]
