"""What the tests of every exercise prove in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import unescape
from typing import Any

import pytest

from minidocker.grading.verdict import Verdict

Judge = Callable[[str, str, Callable[..., Any]], Verdict]
Wrong = Sequence[tuple[str, Callable[..., Any], str, str]]  # a task's address, a solution, the voice and hint for it


def each_gets_its_hint(exercise: str, wrong: Wrong) -> Callable[..., None]:
    """A test: each wrong solution gets the hint that is meant for it, in the text and on the page."""

    def test(judge: Judge, address: str, function: Callable[..., Any], voice: str, hint: str) -> None:
        verdict = judge(exercise, address, function)
        assert (verdict.voice, verdict.passed) == (voice, False)
        assert hint in verdict.twin and hint in unescape(verdict.html())

    names, ids = ("address", "function", "voice", "hint"), [function.__name__ for _, function, _, _ in wrong]
    marked: Callable[..., None] = pytest.mark.parametrize(names, wrong, ids=ids)(test)
    return marked
