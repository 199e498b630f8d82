r"""`*`, `?` and `[a-z]` in a path, as Go's `filepath.Match` has them, and so COPY and `.dockerignore`.

*      is any text within one name          [a-z]  one character of a set, [^a-z] one outside of it
?      any one character of a name          \x     the character x itself

>>> match("src/*.py", "src/a.py"), match("*", "src/a.py"), match("[^a]?", "bc")
(True, False, True)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

BAD_PATTERN = "syntax error in pattern"
WILD = re.compile(r"[*?\[\\]")


def match(pattern: str, path: str) -> bool:
    """Whether the whole path matches; `*` and `?` stop at a slash, and `**` is nothing special.

    Raises ValueError, in Go's words, for a malformed pattern.
    """
    return bool(re.fullmatch(join(terms(pattern), "[^/]"), path, re.DOTALL))


def has_wildcard(pattern: str) -> bool:
    """Whether `match` would read anything but a plain path in it."""
    return bool(WILD.search(pattern))


def terms(pattern: str) -> Iterator[str]:
    """Yield the terms of a pattern: `*`, or a regular expression for one character."""
    chars = iter(pattern)
    for char in chars:
        if char == "*":
            yield char
        elif char == "?":
            yield "[^/]"
        elif char == "[":
            yield _class(chars)
        else:
            yield re.escape(_escaped(char, chars))


def join(terms: Iterable[str], star: str, longest: bool = True) -> str:
    """Return one regular expression for terms, where `*` is any number of `star`.

    All stars but the last take the first place that fits and stay there. That finds a match where there is one, and
    no pattern, however many stars it has, can keep the search busy for ever.

    >>> join(["a", "*", "b", "*", "c"], ".")
    'a(?>.*?b).*c'
    """
    chunks = [""]
    for term in terms:
        if term == "*":
            chunks.append("")
        else:
            chunks[-1] += term
    first, *others = chunks
    middle = "".join(f"(?>{star}*?{chunk})" for chunk in others[:-1])
    return first + middle + "".join(f"{star}*{'' if longest else '?'}{chunk}" for chunk in others[-1:])


def _escaped(char: str, chars: Iterator[str]) -> str:
    """Return the character, or the one after a backslash; the end of the pattern is no character."""
    char = next(chars, "") if char == "\\" else char
    if not char:
        raise ValueError(BAD_PATTERN)
    return char


def _class(chars: Iterator[str]) -> str:
    """Read `[a-z]`, after its bracket."""
    char = next(chars, "")
    negated = char == "^"
    if negated:
        char = next(chars, "")
    ranges: list[tuple[str, str]] = []
    while char != "]" or not ranges:
        low = high = _member(char, chars)
        char = next(chars, "")
        if char == "-":
            high = _member(next(chars, ""), chars)
            char = next(chars, "")
        ranges.append((low, high))
    members = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
    if not members:
        return r"[\s\S]" if negated else r"(?!)"
    return f"[{'^' if negated else ''}{members}]"


def _member(char: str, chars: Iterator[str]) -> str:
    if char in ("", "-", "]"):
        raise ValueError(BAD_PATTERN)
    return _escaped(char, chars)
