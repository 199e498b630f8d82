"""A Dockerfile and what Docker warns about in it: the rule beside the line, and below what it says."""

from __future__ import annotations

from collections.abc import Sequence

from minidocker.dockerfile.lint import LintWarning
from minidocker.notebook.pictures.svg import Figure, Markup, el, rect, text

WIDTH, LINE, NUMBER, CODE, RULE = 780, 20, 34, 46, 520  # where the columns start; the height of a line


def linted(dockerfile: str, warnings: Sequence[LintWarning]) -> Figure:
    """The lines of a Dockerfile, those marked that a build check minds.

    >>> from minidocker.dockerfile import Dockerfile
    >>> from minidocker.dockerfile.lint import check
    >>> file = Dockerfile.parse("FROM scratch as web\\nLABEL a=1")
    >>> print(linted(file.text, check(file)))
    1 warning
    → 1 │ FROM scratch as web
            FromAsCasing: 'as' and 'FROM' keywords' casing do not match
      2 │ LABEL a=1
    """
    count = len(warnings) or "no"
    title = f"{count} warning{'' if count == 1 else 's'}"
    drawn, twin, y = [text(0, 16, title, "md-h")], [title], 26.0
    for number, line in enumerate(dockerfile.splitlines(), 1):
        minded = [one for one in warnings if one.line <= number <= max(one.line, one.end)]
        said = [one for one in minded if one.line == number]
        rules = ", ".join(dict.fromkeys(one.rule for one in said))
        drawn += [_line(y, number, line, bool(minded)), text(RULE, y + 14, rules, "md-b", width=WIDTH - RULE - 8)]
        twin += [f"{'→' if minded else ' '} {number} │ {line}", *(f"        {one.rule}: {one.message}" for one in said)]
        y += LINE
        for one in said:
            drawn.append(_said(y, one))
            y += LINE
    told = ". ".join([title, *map(str, warnings)])
    return Figure(title, told, "".join(drawn), WIDTH, y + 4, "\n".join(twin))


def _line(y: float, number: int, line: str, minded: bool) -> Markup:
    parts = [rect(0, y, WIDTH, LINE - 1, "md-on")] if minded else []
    parts.append(text(NUMBER, y + 14, str(number), "md-c", "md-dim", text_anchor="end"))
    parts.append(
        text(CODE, y + 14, line, "md-c", width=(RULE if minded else WIDTH) - CODE - 8, style="white-space:pre")
    )
    return Markup("".join(parts))


def _said(y: float, warning: LintWarning) -> Markup:
    """What a rule says, which leads to where Docker describes it."""
    return el("a", text(CODE, y + 14, warning.message, "md-s", width=WIDTH - CODE), href=warning.url, target="_blank")
