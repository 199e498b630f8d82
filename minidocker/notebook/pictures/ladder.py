"""The cache ladder: one rung for each step of a build, and why it was a hit or a miss.

BuildKit only says CACHED. Here the first rung that missed is lit and gives its reason; below it everything is built
again because its parent is new, and the ladder says that too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.facts import count, instruction
from minidocker.notebook.pictures.svg import MONO, Figure, Markup, bytes_text, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.build import Step

WIDTH, RUNG, TEXT = 760, 40, 300


def ladder(title: str, steps: Sequence[Step], total: int = 0) -> Figure:
    """Draw the steps of a build, first on top, as they were decided; `total` above their number: still building."""
    total = max(total, len(steps))
    hits = sum(step.decision.hit for step in steps)
    left = total - len(steps)
    said = f"{count(total, 'step')}: {hits} from the cache, {len(steps) - hits} built" + (
        f", {left} to go" if left else ""
    )
    height = 44.0 + total * RUNG
    rails = [el("path", d=f"M{x} 42V{height - 2}", class_="md-thin") for x in (12, 36)]
    drawn = [text(0, 16, title, "md-h"), text(0, 34, said, "md-dim", "md-s"), *rails]
    first = next((index for index, step in enumerate(steps) if not step.decision.hit), -1)
    for index, step in enumerate(steps):
        drawn.append(group(_rung(step, lit=index == first), 0, 44.0 + index * RUNG))
    drawn += [group(_waiting(), 0, 44.0 + index * RUNG) for index in range(len(steps), total)]
    described = f"{said}. " + " ".join(f"{_words(step)}." for step in steps)
    twin = "\n".join([f"{title}  ({said})", *map(_line, steps)])
    return Figure(title, described, "".join(drawn), WIDTH, height + 4, twin)


def _rung(step: Step, lit: bool) -> list[Markup]:
    """A hit is a round rung with a tick, a miss a square one with a cross; the first miss is lit."""
    hit = step.decision.hit
    shape = rect(3, 7, 42, 24, "md-a" if hit else "md-on" if lit else "md-slab", rx=12 if hit else 3)
    sign = text(24, 23, "hit" if hit else "miss", "md-s", text_anchor="middle", font_weight="bold")
    made = f"+ {bytes_text(step.layer.size)} layer" if step.layer else ""
    words = instruction(step.text)
    return [
        rect(3, 7, 42, 24, "md-box", rx=12 if hit else 3),
        shape,
        sign,
        text(58, 17, words, "md-c", width=WIDTH - 70),
        text(58 + min(len(words) + 2, 90) * 11 * MONO, 17, made, "md-dim", "md-s"),
        text(58, 32, reason(step), "md-dim", "md-s", width=WIDTH - 20),
    ]


def reason(step: Step) -> str:
    """Why a step was taken from the cache or not; a plain hit needs no more words."""
    return "taken from the cache" if step.decision.reason == "hit" else step.decision.reason


def _waiting() -> list[Markup]:
    return [rect(3, 7, 42, 24, "md-box", "md-dash", rx=3), text(24, 23, "…", "md-dim", text_anchor="middle")]


def _words(step: Step) -> str:
    return f"{'hit' if step.decision.hit else 'miss'}: {instruction(step.text)} ({reason(step)})"


def _line(step: Step) -> str:
    return f"  {'HIT ' if step.decision.hit else 'MISS'} {instruction(step.text)}\n       {reason(step)}"
