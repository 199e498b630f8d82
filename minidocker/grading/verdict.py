"""What an exercise says: passed, a hint while under way, or that this way cannot pass, and why.

Each message has two forms, as every picture has: HTML in the notebook's colours, and text for the logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from minidocker.notebook.pictures.svg import Figure, printable

Voice = Literal["passed", "under way", "cannot pass", "note"]
SIGNS = {"passed": "✓", "under way": "…", "cannot pass": "✗", "note": "·"}
COLOURS = {"passed": "#009e73", "under way": "#e69f00", "cannot pass": "#d55e00", "note": "#888"}


@dataclass(frozen=True)
class Message:
    """A titled note; `lines` are its text, one paragraph each."""

    title: str
    lines: tuple[str, ...] = ()
    voice: Voice = "note"

    @property
    def twin(self) -> str:
        """The message as text."""
        return "\n".join([f"{SIGNS[self.voice]} {self.title}", *(f"  {line}" for line in self.lines)])

    def __repr__(self) -> str:
        return self.twin

    def html(self) -> str:
        """The message for a page."""
        head = f"<b>{SIGNS[self.voice]} {_text(self.title)}</b>"
        body = "".join(f'<div style="white-space:pre-wrap">{_text(line)}</div>' for line in self.lines)  # blanks count
        style = f"border-left:4px solid {COLOURS[self.voice]};padding:4px 12px;margin:4px 0"
        return f'<div style="{style}">{head}{body}{self._more()}</div>'

    def _more(self) -> str:
        return ""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.twin, "text/html": self.html()}


@dataclass(frozen=True)
class Verdict(Message):
    """What `check` says of a task, with pictures of the learner's result and the expected one, side by side."""

    yours: Figure | None = None
    expected: Figure | None = None

    @property
    def passed(self) -> bool:
        """Whether the task is done."""
        return self.voice == "passed"

    @property
    def twin(self) -> str:
        """The verdict as text, the two pictures below each other."""
        return "\n".join([super().twin, *(figure.twin for figure in self.figures)])

    @property
    def figures(self) -> Sequence[Figure]:
        """The pictures that there are."""
        return [figure for figure in (self.yours, self.expected) if figure]

    def _more(self) -> str:
        halves = "".join(
            f'<div style="flex:1 1 {min(figure.width, 640):.0f}px">{figure.html()}</div>' for figure in self.figures
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:24px;margin-top:8px">{halves}</div>' if halves else ""


def _text(words: str) -> str:
    return escape(printable(words), quote=False)
