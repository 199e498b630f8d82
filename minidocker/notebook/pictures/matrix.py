"""Combinations in a table: what happens in each cell, and beside it what somebody said would happen.

>>> print(matrix("sums", ["1"], ["1", "2"], {("1", "1"): "2", ("1", "2"): "3"}, {("1", "1"): "2", ("1", "2"): "4"}))
sums
  1, 1: 2 (as you said)
  1, 2: 3 (you said 4)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from minidocker.notebook.pictures.svg import Figure, Markup, group, rect, text

WIDTH, HEAD, LINE, FIRST = 800, 154, 16, 17  # all in all; where columns start; a line in a cell, and the first one

Cell = tuple[str, str]  # its row, its column


def matrix(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[Cell, str],
    guesses: Mapping[Cell, str] | None = None,
    corner: str = "",
    lit: frozenset[Cell] | set[Cell] = frozenset(),
) -> Figure:
    """Draw a table. A cell's first line is the outcome, what follows is small; a cell that is missing is a `?`.

    `guesses` are compared with the outcomes. `lit` cells are drawn as such.
    """
    guesses = guesses or {}
    wide = (WIDTH - HEAD) / max(len(columns), 1)
    most = max([1, *(words.count("\n") + 1 for words in cells.values())]) + bool(guesses)
    height = most * LINE + 16  # of a row, with the room below it
    drawn = [text(0, 16, title, "md-h", width=WIDTH), text(0, 44, corner, "md-dim", "md-s", width=HEAD)]
    for index, column in enumerate(columns):
        drawn.append(text(HEAD + index * wide + 10, 44, column, "md-c", width=wide - 16))
    for number, row in enumerate(rows):
        y = 54.0 + number * height
        drawn.append(text(0, y + FIRST, row, "md-c", width=HEAD - 8))
        for index, column in enumerate(columns):
            at = (row, column)
            box = _cell(cells.get(at, "?"), guesses.get(at), at in lit, wide - 6, height - 6)
            drawn.append(group(box, HEAD + index * wide, y))
    said = list(_said(rows, columns, cells, guesses))
    twin = "\n".join([title, *(f"  {line}" for line in said)])
    return Figure(title, ". ".join(said), "".join(drawn), WIDTH, 54.0 + len(rows) * height, twin)


def _cell(words: str, guess: str | None, lit: bool, width: float, height: float) -> Iterator[Markup]:
    outcome, *more = words.split("\n")
    right = guess == outcome
    known = outcome != "?"
    yield rect(0, 0, width, height, "md-on" if lit else "md-a" if right else "md-box" if known else "md-thin md-dash")
    yield text(10, FIRST, outcome, "md-c", width=width - 34, font_weight="bold" if known else None)
    for index, line in enumerate(more, 1):
        yield text(10, FIRST + index * LINE, line, "md-dim", "md-s", width=width - 16)
    if guess is not None:
        y = FIRST + (len(more) + 1) * LINE
        yield text(
            width - 14, FIRST, "" if not known else "✓" if right else "≠", text_anchor="middle", font_weight="bold"
        )
        yield text(10, y, "as you said" if right else f"you said {guess}", "md-dim", "md-s", width=width - 16)


def _said(
    rows: Sequence[str], columns: Sequence[str], cells: Mapping[Cell, str], guesses: Mapping[Cell, str]
) -> Iterator[str]:
    for row in rows:
        for column in columns:
            outcome, *more = cells.get((row, column), "?").split("\n")
            guess = guesses.get((row, column))
            beside = "" if guess is None else " (as you said)" if guess == outcome else f" (you said {guess})"
            yield f"{row}, {column}: {outcome}{beside}" + "".join(f"; {line}" for line in more)
