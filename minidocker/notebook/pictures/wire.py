"""One row of a crossing from near by: the lines of a request or an answer, or the bytes of a frame."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from minidocker.notebook.pictures.crossing import WIDTH, Row, asked, excerpt, masked, status
from minidocker.notebook.pictures.svg import Figure, clip, rect, text

if TYPE_CHECKING:
    from minidocker.daemon.tap import Part

HEADERS = ("content-type", "connection", "upgrade", "transfer-encoding")  # of those that there are
MOST, ACROSS = 14, 118  # lines of a body, characters of a line


def wire_figure(row: Row) -> Figure:
    """What stands on the wire."""
    return _boxed("on the wire", _lines(row))


def _lines(row: Row) -> Iterator[str]:
    one = row.of
    if row.frame:
        yield from _dump(row)
    elif not one or not row.head:
        yield row.body
    elif row.arrow == "↑":
        yield masked(f"{one.method} {one.target} HTTP/1.1")
        yield from _headers(one.headers)
        yield from _body(asked(one))
    else:
        yield f"HTTP/1.1 {status(one)}"
        yield from _headers(one.answer)
        yield from _body(one.received) if row.body else []


def _headers(headers: dict[str, str]) -> Iterator[str]:
    yield from (f"{name.title()}: {value}" for name, value in headers.items() if name.lower() in HEADERS)


def _body(part: Part) -> Iterator[str]:
    """JSON is spread over lines, without what is empty."""
    if not part.size:
        return
    yield ""
    try:
        lines = json.dumps(_told(json.loads(part.first)), indent=2, ensure_ascii=False).splitlines()
    except (ValueError, RecursionError):
        lines = [excerpt(part)]
    yield from map(_timeless, lines[:MOST])
    if len(lines) > MOST:
        yield "…"


def _timeless(line: str) -> str:
    """A line without what is another each time."""
    line = re.sub(r'("Created": )\d+', r"\1‹date›", re.sub(r'("Pid": )\d+', r"\1‹pid›", masked(line)))
    return re.sub(r'("Status": "Up )[^"]*', r"\1‹so long›", line)


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _told(one) for key, one in value.items() if one not in (None, "", [], {}, 0)}
    return [_told(one) for one in value] if isinstance(value, list) else value


def _dump(row: Row) -> Iterator[str]:
    """Sixteen bytes a line."""
    from minidocker.runtime.clients import frame

    assert row.frame
    number = {"stdin": 0, "stdout": 1, "stderr": 2}.get(row.frame.stream, 3)
    data = frame(number, row.frame.data)[: 16 * MOST]
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{part.hex(' '):<48} {shown}"


def _boxed(title: str, lines: Iterable[str]) -> Figure:
    shown = [clip(line, ACROSS) for line in lines]
    drawn = [text(0, 16, title, "md-h"), rect(0, 26, WIDTH - 1, 14 + 16 * len(shown), "md-slab")]
    drawn += [text(10, 44 + 16 * n, line, "md-c", style="white-space:pre") for n, line in enumerate(shown)]
    twin = "\n".join([title, *(f"  {line}" for line in shown)])
    return Figure(title, "; ".join(shown), "".join(drawn), WIDTH, 46 + 16 * len(shown), twin)
