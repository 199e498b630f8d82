"""An image read backwards: a bar for what each line made, what of it nobody sees, and below it the line to change.

The bars are to scale; hatched is what is in vain. A number in a circle leads from a line to the advice on it. What came
with the base is one line without a bar. Seconds differ from machine to machine: they are told from one on.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.svg import Figure, Markup, bytes_text, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.advice import Advice
    from minidocker.explain import Explanation, Line

WIDTH, LINE, NOTE = 780, 28, 16  # of all; the height of a line, and of a line of advice
MARKS, WORDS, BARS = 44, 420, 210  # where the instruction starts, where the bars do, how long the longest is
LETTERS = 124  # in a line of advice
MOST = 9  # pieces of advice that are drawn


def explain_figure(found: Explanation) -> Figure:
    """Draw what each line of an image made, and the advice."""
    title = f"image {', '.join(found.image.tags) or found.image.short_id}, read backwards"
    said = f"efficiency {found.efficiency:.0%}: {bytes_text(found.wasted)} of {bytes_text(found.size)} are wasted"
    said += ", the base left out" if found.base else ""
    advice, more = found.advice[:MOST], len(found.advice) - MOST
    drawn, y = [text(0, 16, title, "md-h", width=WIDTH), text(0, 34, said, "md-dim", "md-s")], 46.0
    if any(line.base for line in found.lines):
        drawn.append(group(_base(found), 0, y))
        y += LINE
    most = max([line.size for line in found.own], default=0)
    for line in found.own:
        drawn.append(group(_line(line, most, _marks(line, advice)), 0, y))
        y += LINE
    y += 12
    for number, one in enumerate(advice, 1):
        rows = wrap(_said(one), LETTERS)
        drawn.append(group(_note(number, rows), 0, y))
        y += NOTE * len(rows) + 8
    drawn.append(text(MARKS, y + 10, f"and {count(more, 'piece')} of advice more" if more > 0 else "", "md-dim"))
    twin = [f"{title}  ({said})", *_twin(found, advice)]
    return Figure(title, f"{said}. {' '.join(map(_said, advice))}", "".join(drawn), WIDTH, y + 14, "\n".join(twin))


def _base(found: Explanation) -> list[Markup]:
    layers = sum(bool(line.layer) for line in found.lines if line.base)
    words = [text(MARKS + 30, 17, f"FROM {found.base}", "md-c", "md-dim", width=WORDS - MARKS - 40)]
    box = rect(MARKS + 4, 1, WORDS - MARKS - 14, LINE - 4, "md-slab md-dash")
    return [box, *words, text(WORDS, 17, count(layers, "layer"), "md-dim", "md-s")]


def _marks(line: Line, advice: list[Advice]) -> list[int]:
    return [number for number, one in enumerate(advice, 1) if line in one.lines]


def _line(line: Line, most: int, marks: list[int]) -> list[Markup]:
    """The numbers of the advice, the instruction, a bar of what was made, and what it is."""
    drawn = [group(_circle(number), MARKS - 22 * (len(marks) - index), 3) for index, number in enumerate(marks[:2])]
    words = " ".join(line.text.split())
    drawn.append(text(MARKS + 22, 17, str(line.line or ""), "md-dim", "md-s", text_anchor="end"))
    drawn.append(text(MARKS + 30, 17, words, "md-c", "" if line.layer else "md-dim", width=WORDS - MARKS - 38))
    if not line.layer:
        return [*drawn, text(WORDS, 17, "no layer", "md-dim", "md-s")]
    scale = BARS / most if most else 0
    seen, vain = (line.size - line.wasted) * scale, line.wasted * scale
    bars = [rect(WORDS, 5, max(seen, 1.5), LINE - 12, "md-a", rx=1)] if line.size > line.wasted else []
    bars += [rect(WORDS + seen, 5, max(vain, 1.5), LINE - 12, "md-d", rx=1, fill="HATCH")] if line.wasted else []
    tip = el("title", _made(line))
    label = text(WORDS + max(seen + vain, 1.5) + 8, 17, _short(line), "md-s")
    return [*drawn, el("g", tip, *bars, label)]


def _short(line: Line) -> str:
    if not line.size:
        return f"deletes {count(line.hidden, 'file')}" if line.hidden else "0B"
    vain = "all" if line.wasted == line.size else bytes_text(line.wasted)
    return bytes_text(line.size) + (f", {vain} wasted" if line.wasted else "")


def _made(line: Line) -> str:
    """What a line made, in words."""
    if not line.layer:
        return "no layer"
    counts = {"adds": line.added, "changes": line.changed, "hides": line.hidden}
    words = [f"{verb} {count(number, 'file')}" for verb, number in counts.items() if number]
    return f"{', '.join(words) or 'no file'}: {bytes_text(line.size)}, {bytes_text(line.wasted)} wasted"


def _circle(number: int) -> list[Markup]:
    label = text(9, 13.5, str(number), "md-s", "md-b", text_anchor="middle")
    return [el("circle", cx=9, cy=10, r=9, class_="md-box"), el("circle", cx=9, cy=10, r=9, class_="md-on"), label]


def _note(number: int, rows: list[str]) -> list[Markup]:
    lines = [text(MARKS + 8, 14 + NOTE * index, row) for index, row in enumerate(rows)]
    return [group(_circle(number), MARKS - 22), *lines]


def _said(one: Advice) -> str:
    saves = [bytes_text(one.bytes)] if one.bytes else []
    saves += [f"about {one.seconds:.0f} s of the last rebuild"] if one.seconds >= 1 else []
    return one.text + (f". Saves {' and '.join(saves)}." if saves else ".")


def _twin(found: Explanation, advice: list[Advice]) -> Iterator[str]:
    rows = [(f"{line.line or '':>2} {' '.join(line.text.split())[:44]}", _made(line)) for line in found.own]
    wide = max([len(row[0]) for row in rows], default=0)
    if found.base:
        yield f"     FROM {found.base}"
    yield from (f"  {words:<{wide}}  {made}" for words, made in rows)
    yield from (f"  {number}. {_said(one)}" for number, one in enumerate(advice, 1))
