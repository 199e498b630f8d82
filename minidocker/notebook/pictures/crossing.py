"""What crosses between a client and the daemon: each request, each answer, each frame of a stream, in its turn.

    with desk.listening() as talk:
        client.containers.run("shop", "echo hello")
    crossing(talk)

What is another each time (ids, moments) stands as ‹id› and ‹date›, and of a body only what tells something. An answer
that lasts while others are asked for (attach, wait) begins in one row and goes on in others, further down.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from minidocker.notebook.pictures.conversation import lifelines
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.svg import MONO, Figure, Markup, clip, el, group, rect, text, tip

if TYPE_CHECKING:
    from minidocker.daemon.tap import Exchange, Frame, Part

WIDTH, LEFT, RIGHT, TOP = 800, 120, 740, 86
SPOTS = {"client": LEFT, "daemon": RIGHT}
INSIDE = int((RIGHT - LEFT - 30) / (11 * MONO))  # characters between the two
PLAIN, WITH_BODY, FRAMED = 26, 42, 56  # heights of rows
CELL = 22  # a byte of a frame's header
KEYS = (  # what of a JSON object is shown, where it has any of these
    "message Id Image Cmd Names Name State Status ExitCode StatusCode ApiVersion stream status error aux".split()
)
MASKS = (
    (r"\b(sha256:)?[0-9a-f]{64}\b|\b[0-9a-f]{12}\b", "‹id›"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(Z|[+-]\d\d:\d\d)", "‹date›"),
)
EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True)
class Row:
    """Something that crossed. `head` is the line that a request or an answer begins with, empty where one goes on.

    `connection` is 0 where it does not matter which.
    """

    connection: int
    arrow: str  # ↑ to the daemon, ↓ to the client
    head: str = ""
    body: str = ""
    frame: Frame | None = None
    of: Exchange | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        way = "→" if self.arrow == "↑" else "←"
        return f"{self.connection or ' '} {way} {'  '.join(filter(None, [self.head, self._bytes(), self.body]))}"

    def _bytes(self) -> str:
        return f"[{' '.join(header(self.frame))}] {said(self.frame)}  ({self.frame.stream})" if self.frame else ""


def crossing(talk: Sequence[Exchange], title: str = "what crossed") -> Figure:
    """Draw what a tap has heard."""
    return crossing_figure(rows(talk), title)


# From exchanges to rows


def rows(talk: Sequence[Exchange]) -> list[Row]:
    """What crossed, in turn. An answer that went on while others were asked for goes on below the last of these."""
    found: list[Row] = []
    apart = any(one.until > one.number for one in talk)  # else one after the other, and it could be one connection
    lines = {number: line * apart for line, number in enumerate(dict.fromkeys(one.connection for one in talk), 1)}
    lasting: list[Exchange] = []
    for one in talk:
        line, lasts = lines[one.connection], one.until > one.number or one.upgraded or bool(one.frames())
        found.append(Row(line, "↑", f"{one.method} {_target(one)}", excerpt(asked(one)), of=one))
        if one.status:
            found.append(Row(line, "↓", status(one), "" if lasts else _answered(one), of=one))
        lasting += [one] if lasts else []
        for other in [other for other in lasting if other.until <= one.number]:
            lasting.remove(other)
            found += _rest(other, lines[other.connection])
    for other in lasting:
        found += _rest(other, lines[other.connection])
    return found


def _target(one: Exchange) -> str:
    path, _, query = one.target.partition("?")
    options = "&".join(option for option in query.split("&") if not option.endswith(("=", "=False", "=0")))
    return masked(unquote(f"{path}{'?' if options else ''}{options}"))


def status(one: Exchange) -> str:
    """As the first line of an answer has it."""
    try:
        return f"{one.status} {'UPGRADED' if one.upgraded else HTTPStatus(one.status).phrase}"
    except ValueError:
        return str(one.status)


def _answered(one: Exchange) -> str:
    spoken = one.answer.get("Api-Version", "")
    return f"Api-Version: {spoken}" if one.target.endswith("/_ping") and spoken else excerpt(one.received)


def asked(one: Exchange) -> Part:
    """A request's body, without what was typed after it."""
    from minidocker.daemon.tap import Part

    typed = sum(piece.size for piece in one.pieces if piece.arrow == "↑")
    size = one.sent.size - typed
    return Part(size, one.sent.first[: max(size, 0)])


def _rest(one: Exchange, line: int) -> Iterator[Row]:
    """What an answer said after its head, and what was said to it."""
    typed = b"".join(piece.first for piece in one.pieces if piece.arrow == "↑")
    if typed:
        yield Row(line, "↑", "", _quoted(typed), of=one)
    if frames := one.frames():
        yield from (Row(line, "↓", frame=frame, of=one) for frame in frames)
    elif one.received.size:
        yield Row(line, "↓", "", excerpt(one.received), of=one)


# Bodies, shortened


def excerpt(part: Part) -> str:
    """A body in a line: what tells something of JSON, the names of the files in a tar."""
    if not part.size:
        return ""
    if part.first[257:262] == b"ustar" or (part.size > 512 and part.first[100:107] == b"0000644"):
        return f"a tar: {', '.join(_names(part.first))}"
    if objects := list(_objects(part.first)):
        words = [rendered(one) for one in objects if one != {"stream": "\n"}]
        return clip(words[0] if len(words) < 2 else f"{words[0]} … {words[-1]}", INSIDE)
    return clip(masked(part.first.decode("utf-8", "replace").rstrip()), INSIDE)


def _names(data: bytes) -> Iterator[str]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|") as tar:
            yield from (member.name for member in tar)
    except tarfile.TarError:
        yield "…"


def _objects(data: bytes) -> Iterator[Any]:
    """The JSON values that a body consists of; none where it is cut, or is something else."""
    words, decoder = data.decode("utf-8", "replace").strip(), json.JSONDecoder()
    while words[:1] in ("{", "["):
        try:
            value, end = decoder.raw_decode(words)
        except (ValueError, RecursionError):
            return
        yield value
        words = words[end:].lstrip()


def rendered(value: Any) -> str:
    """A JSON value, as far as it tells something.

    >>> rendered({"Id": "ab" * 32, "Warnings": []}), rendered({"Hostname": "a", "Cmd": ["ls"], "Tty": False})
    ('{"Id": "‹id›"}', '{"Cmd": ["ls"], …}')
    """
    if isinstance(value, dict):
        known = [key for key in KEYS if value.get(key, "") not in EMPTY and (key != "Status" or "State" not in value)]
        keys = known or [key for key, one in value.items() if one not in (*EMPTY, 0)]
        more = ["…"] if any(one not in (*EMPTY, 0) for key, one in value.items() if key not in keys) else []
        return "{" + ", ".join([*(f'"{key}": {rendered(value[key])}' for key in keys), *more]) + "}"
    if isinstance(value, list):
        more = [f"… {len(value) - 3} more"] if len(value) > 3 and isinstance(value[0], dict) else []
        return "[" + ", ".join([*map(rendered, value[:3] if more else value), *more]) + "]"
    return masked(json.dumps(value, ensure_ascii=False))


def masked(words: str) -> str:
    """Words without what is another each time."""
    for pattern, mask in MASKS:
        words = re.sub(pattern, mask, words)
    return words


def _quoted(data: bytes) -> str:
    return json.dumps(data.decode("utf-8", "replace"), ensure_ascii=False)


def header(frame: Frame) -> list[str]:
    """The eight bytes before a frame's data, in hexadecimal."""
    number = {"stdin": 0, "stdout": 1, "stderr": 2}.get(frame.stream, 3)
    return [f"{byte:02x}" for byte in [number, 0, 0, 0, *len(frame.data).to_bytes(4, "big")]]


def said(frame: Frame) -> str:
    """What is in it."""
    return clip(_quoted(frame.data), 50)


# The drawing


def summary(found: Sequence[Row]) -> str:
    """`5 requests on 3 connections`, or `2 requests`."""
    requests = sum(row.arrow == "↑" and bool(row.head) for row in found)
    connections = len({row.connection for row in found} - {0})
    return count(requests, "request") + (f" on {count(connections, 'connection')}" if connections else "")


def crossing_figure(found: Sequence[Row], title: str, chosen: int = -1) -> Figure:
    """Draw rows from the top down; the chosen one stands out."""
    told, drawn, y, before = summary(found), [text(0, 16, title, "md-h")], float(TOP - 4), 0
    heights = [FRAMED if row.frame else WITH_BODY if row.head and row.body else PLAIN for row in found]
    bottom = y + sum(heights) + 4
    drawn += [text(0, 34, told, "md-dim", "md-s"), *lifelines(bottom, SPOTS)]
    for number, (row, height) in enumerate(zip(found, heights, strict=True)):
        if number == chosen:
            drawn.append(rect(0, y, WIDTH - 1, height, "md-on"))
        drawn.append(group(_drawn(row, height, row.connection != before), 0, y))
        y, before = y + height, row.connection
    lines = [f"{'>' if number == chosen else ' '} {row}" for number, row in enumerate(found)]
    twin = "\n".join([f"{title}  ({told})", *lines])
    return Figure(title, f"{told}. {'. '.join(map(str, found))}", "".join(drawn), WIDTH, bottom, twin)


def _drawn(row: Row, height: int, first: bool) -> Iterator[Markup]:
    if first:
        yield text(8, 17, f"connection {row.connection}", "md-s")
    inside = LEFT + 14
    if row.frame:
        yield from _framed(row.frame, inside)
    else:
        yield text(inside, 16, clip(row.head or row.body, INSIDE), "md-c", *(["md-b"] if row.head else []))
        if row.head and row.body:
            yield text(inside, 31, clip(row.body, INSIDE), "md-c", "md-dim")
    yield from _arrow(row.arrow, height - 4)


def _framed(frame: Frame, x: float) -> Iterator[Markup]:
    cells = header(frame)
    for number, byte in enumerate(cells):
        look = "md-m" if number in (0, 4, 5, 6, 7) else "md-slab"
        yield rect(x + number * CELL, 6, CELL - 1, 20, look, rx=2)
        yield text(x + number * CELL + CELL / 2, 20, byte, "md-c", text_anchor="middle")
    data, words = x + 8 * CELL + 4, said(frame)
    yield rect(data, 6, len(words) * 11 * MONO + 14, 20, "md-a", rx=2)
    yield text(data + 7, 20, words, "md-c")
    yield text(x, 42, frame.stream, "md-s")
    yield text(x + 4 * CELL, 42, f"length: {len(frame.data)}", "md-s")
    yield text(data + 7, 42, "what the program wrote", "md-s")


def _arrow(arrow: str, y: float) -> Iterator[Markup]:
    start, end = ((LEFT + 2, y), (RIGHT - 1, y)) if arrow == "↑" else ((RIGHT - 2, y), (LEFT + 1, y))
    back, look = (5, "md-ink") if arrow == "↑" else (-5, "md-ink md-dash")
    yield el("path", d=f"M{start[0]} {y}H{end[0] - back}", class_=look)
    yield tip(start, end)
