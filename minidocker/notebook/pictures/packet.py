"""The packet tracer's picture: a connection step by step, to the program that answers or the piece that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from minidocker.network.plan import MACHINE, WORLD
from minidocker.network.tracer import NAME, PORT, PROGRAM, WAY, Hop, Trace, trace
from minidocker.notebook.pictures.svg import Figure, Markup, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.engine import Engine

WIDTH, TOP, ROW, FOUND = 760, 34, 40, 216
ASKED = {
    NAME: "Whose name is it?",
    WAY: "Is there a way?",
    PORT: "Does that port lead in?",
    PROGRAM: "Does a program listen?",
}
SIGNS = {True: "✓", False: "✗", None: "?"}


def packet(engine: Engine, start: str, target: str, port: int) -> Figure:
    """Follow a connection from a container (or `your machine`, `the world`) to a name or an address, and a port."""
    from minidocker.notebook.survey import survey

    return trace_figure(trace(survey(engine), start, target, port))


def trace_figure(traced: Trace, tried: str = "") -> Figure:
    """Draw a trace; `tried` is what a real attempt has shown."""
    title = f"{traced.start} asks for {traced.target}, {traced.port}"
    steps = [*traced.hops, *(Hop(piece, "", None) for piece in _rest(traced))]
    drawn = [text(0, 16, title, "md-h")]
    drawn += [group(_step(hop, last=hop is steps[-1]), 0, float(TOP + ROW * n)) for n, hop in enumerate(steps)]
    ending = _ending(traced)
    y = TOP + ROW * len(steps) + 4.0
    drawn.append(rect(0, y, WIDTH, 50 if traced.cure else 30, "md-a" if traced.arrives else "md-on"))
    drawn.append(text(12, y + 20, ending, "md-b", width=WIDTH - 20))
    drawn.append(text(12, y + 39, f"to mend it: {traced.cure}" if traced.cure else "", "md-c", width=WIDTH - 20))
    y += 58 if traced.cure else 38
    drawn.append(text(0, y + 12, tried, "md-s"))
    lines = [f"  {SIGNS[hop.ok]} {ASKED[hop.piece]} {hop.found or '(not asked)'}" for hop in steps]
    lines += [
        f"  {ending}",
        *([f"  to mend it: {traced.cure}"] if traced.cure else []),
        *([f"  {tried}"] if tried else []),
    ]
    height = y + (20 if tried else 2)
    return Figure(title, " ".join(lines), "".join(drawn), WIDTH, height, "\n".join([title, *lines]))


def _rest(traced: Trace) -> list[str]:
    """The pieces that were not asked for, since it ended before."""
    if traced.arrives:
        return []
    order = [NAME, PORT, PROGRAM] if traced.start in (MACHINE, WORLD) else [NAME, WAY, PROGRAM]
    last = traced.hops[-1].piece
    return order[order.index(last) + 1 :] if last in order else [PROGRAM]


def _ending(traced: Trace) -> str:
    if traced.error:
        return f"It ends here. The program is told: {traced.error}"
    if traced.hops[-1].ok is None:
        return "It gets as far as the container."
    return "It leaves the machine." if traced.hops[-1].piece == WAY else "It arrives."


def _step(hop: Hop, last: bool) -> Iterator[Markup]:
    """One step: a station on the line, the question, and what was found."""
    asked = bool(hop.found)
    if not last:
        yield el("path", d=f"M14 24V{ROW}", class_="md-ink" if asked and hop.ok is not False else "md-ink md-dash")
    look = {True: ["md-a"], False: ["md-on"], None: ["md-box", "md-dash"]}[hop.ok]
    yield el("circle", cx=14, cy=12, r=11, class_=" ".join(look))
    yield text(14, 16.5, SIGNS[hop.ok] if asked else "", "md-b", text_anchor="middle")
    yield text(36, 17, ASKED[hop.piece], "md-b" if asked else "md-dim")
    yield text(FOUND, 17, hop.found, width=WIDTH - FOUND)
