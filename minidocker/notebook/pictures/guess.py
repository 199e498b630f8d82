"""A prediction beside what was measured: the picture that every lesson comes back to.

Numbers are drawn too: an open bar for what was said, a full one for what is, on one scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidocker.notebook.pictures.svg import Figure, Markup, group, rect, text

WIDTH, BARS, BAR, SAID, IS, LINE = 780, 360, 130, 506, 626, 34  # where the columns start; the height of a line
TITLE = "what you said, and what it is"


def compare(guesses: Mapping[str, Any], measured: Mapping[str, Any]) -> Figure:
    """Predictions beside what was measured, one line for each thing that was measured.

    >>> print(compare({"layers": 5}, {"layers": 3, "kernels": 1}))
    what you said, and what it is
      layers   you said 5; it is 3
      kernels  you said nothing; it is 1
    """
    wide = max(map(len, measured), default=0)
    heads = [(0, TITLE, "md-h"), (SAID, "you said", "md-dim"), (IS, "it is", "md-dim")]
    drawn = [text(x, 16, words, look) for x, words, look in heads]
    lines = [TITLE]
    for index, (name, truth) in enumerate(measured.items()):
        guess, truth = word(guesses.get(name, "nothing")), word(truth)
        drawn.append(group(_line(name, guess, truth), 0, 26.0 + index * LINE))
        lines.append(f"  {name:<{wide}}  you said {guess}; it is {truth}{', as you said' if guess == truth else ''}")
    return Figure(TITLE, ". ".join(lines), "".join(drawn), WIDTH, 30.0 + LINE * len(measured), "\n".join(lines))


def questions(guesses: Mapping[str, Any]) -> Figure:
    """Predictions alone, before anything was measured.

    >>> print(questions({"layers": 5}))
    before you look, you say
      layers  5
    """
    title, wide = "before you look, you say", max(map(len, guesses), default=0)
    drawn = [text(0, 16, title, "md-h")]
    guesses = {name: word(guess) for name, guess in guesses.items()}
    for index, (name, guess) in enumerate(guesses.items()):
        row = [rect(0, 0, SAID + 110, LINE - 4, "md-box"), text(12, 19, name, width=SAID - 20), _value(SAID, guess)]
        drawn.append(group(row, 0, 26.0 + index * LINE))
    lines = [title, *(f"  {name:<{wide}}  {guess}" for name, guess in guesses.items())]
    said = ". ".join(f"{name}: {guess}" for name, guess in guesses.items())
    return Figure(title, said, "".join(drawn), WIDTH, 30.0 + LINE * len(guesses), "\n".join(lines))


def word(value: Any) -> Any:
    """True and False as the fields call them."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _line(name: str, guess: Any, truth: Any) -> list[Markup]:
    right = guess == truth
    return [
        rect(0, 0, WIDTH, LINE - 4, "md-a" if right else "md-box"),
        text(12, 19, name, width=BARS - 20),
        *_bars(guess, truth),
        _value(SAID, guess, "" if right else "md-gone"),
        _value(IS, truth, "md-bold"),
        text(WIDTH - 16, 20, "✓" if right else "≠", text_anchor="middle", font_weight="bold"),
    ]


def _value(x: float, value: Any, look: str = "") -> Markup:
    bold = "bold" if look == "md-bold" else None
    return text(x, 19, str(value), "md-c", "" if bold else look, width=112, font_weight=bold)


def _bars(guess: Any, truth: Any) -> list[Markup]:
    """Both numbers on one scale; nothing where one of them is no number."""
    if not (type(guess) in (int, float) and type(truth) in (int, float)):
        return []
    most = max(guess, truth, 0)
    if not most:
        return []
    said, real = (BAR * max(number, 0) / most for number in (guess, truth))
    return [
        rect(BARS, 5, float(max(said, 2)), 8, "md-thin", *(["md-dash"] if said > 8 else []), rx=1),
        rect(BARS, 17, float(max(real, 2)), 8, "md-slab", rx=1),
    ]
