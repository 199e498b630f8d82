"""Push and pull as a conversation: each request that went over the wire, its answer, and what both carried.

    with trace() as talk:
        engine.images.push(f"{hub}/shop:1")
    conversation(talk, hub)

Layers go side by side, as it comes; here each one's requests stand together, in the order of the layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.repository import Part, about
from minidocker.notebook.pictures.svg import Figure, Markup, el, group, rect, text, tip

if TYPE_CHECKING:
    from minidocker.notebook.hub import Hub
    from minidocker.registry.trace import Exchange

WIDTH, LEFT, RIGHT, TOP, ROW = 800, 170, 610, 86, 40  # where the two lifelines stand, the first row, its height
SPOTS = {"client": LEFT, "registry": RIGHT}


@dataclass(frozen=True)
class Line:
    """One exchange, as it is shown; `subject` is the blob that it is about."""

    asked: str
    answered: str
    why: str
    sent: int
    received: int
    subject: str = ""
    there: int = -1  # bytes of a blob that was there already

    def __str__(self) -> str:
        amounts = [f"{mark} {about(size)}" for mark, size in (("↑", self.sent), ("↓", self.received)) if size]
        body = f"  {' '.join(amounts)}" if amounts else ""
        return f"{self.asked}  {self.answered}{body}  {self.why}" + (f": {self.subject}" if self.subject else "")


def conversation(talk: Sequence[Exchange], hub: Hub | None = None) -> Figure:
    """Draw a conversation with a registry; with `hub`, the registry itself, blobs have names and not only digests."""
    return conversation_figure(lines(talk, hub.parts() if hub else {}), subject(talk))


def subject(talk: Iterable[Exchange]) -> str:
    """What it was all about: `push of shop:1`."""
    for exchange in talk:
        if found := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", exchange.path):
            name = f"{found[1]}{'@' if ':' in found[2] else ':'}{_short(found[2])}"
            return f"{'push' if exchange.method == 'PUT' else 'pull'} of {name}"
    return "a talk with a registry"


def moved(talk: Iterable[Exchange]) -> int:
    """Bytes of blobs that went over the wire, in either direction; not the questions, nor the manifest."""
    return sum(one.sent + one.received for one in talk if "/blobs/" in one.path and one.status < 400)


def lines(talk: Sequence[Exchange], parts: Mapping[str, Part]) -> list[Line]:
    """The exchanges as lines, those of a layer together."""
    digests = {one.upload: one.digest for one in talk if one.upload and one.digest}
    about_what = [(one, digests.get(one.upload, one.digest)) for one in talk]
    order = [digest for digest, part in parts.items() if part.kind == "layer"]
    found: list[Line] = []
    run: list[tuple[int, Line]] = []
    for one, digest in about_what:
        line = _line(one, digest, parts.get(digest))
        if digest in order or (one.upload and not digest):
            run.append((order.index(digest) if digest else len(order), line))
            continue
        found += [line for _, line in sorted(run, key=lambda pair: pair[0])]
        run = []
        found.append(line)
    return found + [line for _, line in sorted(run, key=lambda pair: pair[0])]


def _line(one: Exchange, digest: str, part: Part | None) -> Line:
    path = re.sub(r"(uploads/)[^/]+$", r"\1…", one.path.removeprefix("/v2/"))
    path = re.sub(r"sha256:[0-9a-f]{64}", "sha256:…" if part else _short(digest), path) or "/v2/"
    if one.method == "PUT" and one.upload:
        path += "?digest=…"
    if one.method == "POST" and one.digest:
        path += "?mount=…"
    try:
        answer = f"{one.status} {HTTPStatus(one.status).phrase}"
    except ValueError:
        answer = str(one.status)
    kept = (one.method == "HEAD" and one.status == 200) or (one.method == "POST" and one.status == 201)
    there = part.size if part and kept else -1
    return Line(f"{one.method} {path}", answer, one.why, one.sent, one.received, part.words if part else "", there)


def _short(reference: str) -> str:
    return f"{reference[:15]}…" if ":" in reference else reference


def summary(found: Sequence[Line]) -> str:
    """What it cost: `5 requests, <1kB sent; there already: 3 blobs, 1MB`."""
    sent, received = sum(line.sent for line in found), sum(line.received for line in found)
    words = [count(len(found), "request")]
    words += [f"{about(size)} {what}" for size, what in ((sent, "sent"), (received, "received")) if size > 3]
    there = [line.there for line in found if line.there >= 0]
    return ", ".join(words) + (f"; there already: {count(len(there), 'blob')}, {about(sum(there))}" if there else "")


def conversation_figure(found: Sequence[Line], title: str) -> Figure:
    """Draw lines of a conversation, from the top down."""
    height = TOP + ROW * max(len(found), 1) + 8.0
    told = summary(found)
    drawn = [text(0, 16, title, "md-h"), text(0, 34, told, "md-dim", "md-s"), *lifelines(height, SPOTS)]
    before = ""
    for number, line in enumerate(found):
        drawn.append(group(_drawn(line, line.subject != before), 0, TOP + number * ROW))
        before = line.subject
    twin = [f"{title}  ({told})", *(f"  {line}" for line in found)]
    return Figure(title, f"{told}. " + ". ".join(map(str, found)), "".join(drawn), WIDTH, height, "\n".join(twin))


def lifelines(height: float, spots: Mapping[str, int]) -> Iterator[Markup]:
    """Those who talk, and a line down from each: name -> where it stands."""
    for name, x in spots.items():
        yield rect(x - 42, TOP - 34, 84, 22, "md-slab", rx=11)
        yield text(x, TOP - 19, name, text_anchor="middle")
        yield el("path", d=f"M{x} {TOP - 12}V{height}", class_="md-thin")


def _drawn(line: Line, first: bool) -> Iterator[Markup]:
    asks, answers = (LEFT + 2, 19), (RIGHT - 2, 29)
    if first:
        yield text(0, 14, line.subject, "md-c", width=LEFT - 14)
    yield text(LEFT + 12, 12, line.asked, "md-c")
    yield text(RIGHT - 12, 12, line.why, "md-dim", "md-s", text_anchor="end")
    yield from _arrow(asks, (RIGHT - 1, 19), line.sent)
    yield from _arrow(answers, (LEFT + 1, 29), line.received, "md-dash")
    yield text(RIGHT + 12, 22, line.answered, "md-c")
    words = f"↑ {about(line.sent)}" if line.sent else f"↓ {about(line.received)}" if line.received else ""
    words = words or (f"= {about(line.there)}" if line.there >= 0 else "")
    yield text(WIDTH, 22, words, "md-b", text_anchor="end")


def _arrow(start: tuple[float, float], end: tuple[float, float], size: int, *look: str) -> Iterator[Markup]:
    """A line; one that carries a body is a band, the broader the more."""
    if size:
        left = min(start[0], end[0]) + (6 if end[0] < start[0] else 0)
        broad = 3 if size < 10_000 else 5 if size < 100_000 else 8
        yield rect(left, start[1] - broad / 2, abs(end[0] - start[0]) - 6, broad, "md-m", rx=1)
    else:
        back = 5 if end[0] > start[0] else -5
        yield el("path", d=f"M{start[0]} {start[1]}H{end[0] - back}", class_=" ".join(["md-ink", *look]))
    yield tip(start, end)
