"""A template cut into pieces: literal text, and actions (`{{…}}`) as words.

>>> [[token.text for token in piece.tokens] if piece.tokens else piece.text for piece in cut("a {{- .ID | json}} b")]
['a', [' ', '.ID', ' ', '|', ' ', 'json'], ' b']
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class TemplateError(Exception):
    """The text is no template. The message is Go's: `template: :1: unclosed action`."""


class ExecError(TemplateError):
    """The template does not fit the value: `template: :1:2: executing "" at <.Foo>: …`."""


_TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<string>"(?:\\.|[^"\\\n])*") | (?P<raw>`[^`]*`)
      | (?P<number>[+-]?\d[\w.]*) | (?P<field>\.[^\W\d]\w*) | (?P<dot>\.) | (?P<variable>\$\w*)
      | (?P<name>[^\W\d]\w*) | (?P<op>:=|=|\||\(|\)|,)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A word of an action: its kind, its text, and where in the template it is."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Piece:
    """Literal text, or (when `tokens` is not None) an action."""

    text: str
    at: int
    tokens: tuple[Token, ...] | None = None


def cut(source: str) -> Iterator[Piece]:
    """The pieces of a template, white space beside `{{-` and `-}}` trimmed. Raises TemplateError."""
    at, trim = 0, False
    while True:
        start = source.find("{{", at)
        text = source[at : start if start >= 0 else None]
        text = text.lstrip() if trim else text
        if start < 0:
            yield Piece(text, at)
            return
        begin, left = start + 2, bool(re.match(r"-\s", source[start + 2 :]))
        begin += left
        yield Piece(text.rstrip() if left else text, at)
        tokens, end = _action(source, begin)
        trim = source[end] == "-"
        at = end + 2 + trim
        if tokens is not None:
            yield Piece("", start, tokens)


def _action(source: str, at: int) -> tuple[tuple[Token, ...] | None, int]:
    """The tokens from `at` on, and where the closing `}}` or `-}}` is; None for a comment."""
    comment = re.compile(r"\s*/\*.*?\*/\s*(?=-?}})", re.DOTALL).match(source, at)
    if comment:
        return None, comment.end()
    tokens: list[Token] = []
    while True:
        if source.startswith("}}", at) or (source.startswith("-}}", at) and source[at - 1].isspace()):
            return tuple(tokens), at
        match = _TOKEN.match(source, at)
        if match is None:
            raise parse_error(source, at, _complaint(source, at))
        tokens.append(Token(match.lastgroup or "", match[0], at))
        at = match.end()


_UNTERMINATED = {'"': "quoted string", "`": "raw quoted string", "'": "character constant"}


def _complaint(source: str, at: int) -> str:
    rest = source[at:]
    if not rest:
        return "unclosed action"
    if rest[0] in _UNTERMINATED:
        return f"unterminated {_UNTERMINATED[rest[0]]}"
    if rest[0] == "}":
        return 'unexpected "}" in operand'
    return f"unrecognized character in action: U+{ord(rest[0]):04X} '{rest[0]}'"


def parse_error(source: str, at: int, message: str) -> TemplateError:
    """The complaint, in Go's form, about the line of `source` that `at` is in."""
    return TemplateError(f"template: :{source.count(chr(10), 0, at) + 1}: {message}")
