"""`--chmod` of COPY and ADD: an octal mode for all, or a change to the mode of each, in the words of `chmod(1)`.

>>> [f"{changed('u=rwX,go=rX', mode, folder):o}" for mode, folder in ((0o600, False), (0o711, False), (0o700, True))]
['644', '755', '755']
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from operator import or_

Mode = int | str  # octal, or a text that `parse` let through

CLASSES = {"u": 0o4700, "g": 0o2070, "o": 0o0007, "a": 0o6777}
BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}
SHIFT = {"u": 6, "g": 3, "o": 0}
CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)")
ACTION = re.compile(r"([-+=])([rwxXstugo]*)")


def parse(text: str) -> Mode:
    """The mode that a text means. Raises ValueError.

    >>> parse("0755") == 0o755, parse("g=u")
    (True, 'g=u')
    """
    if re.fullmatch(r"[0-7]{1,11}", text) and int(text, 8) <= 0o7777:
        return int(text, 8)
    if text[:1].isdigit() or not all(CLAUSE.fullmatch(clause) for clause in text.split(",")):
        wanted = "it should be octal string and between 0 and 07777"
        raise ValueError(f"invalid chmod parameter: {text!r}. {wanted}, or symbolic, such as u=rwX,go=rX")
    return text


def changed(mode: Mode, before: int, folder: bool) -> int:
    """The permissions of a file or folder after the change. X stands for x in a folder, or where there was one."""
    if isinstance(mode, int):
        return mode
    now = before
    for clause in mode.split(","):
        who, actions = CLAUSE.fullmatch(clause).groups()  # type: ignore[union-attr]
        reach = _union(CLASSES[name] for name in who or "a")
        for sign, letters in ACTION.findall(actions):
            bits = reach | (BITS["t"] if "t" in letters and set(who) != {"o"} else 0)
            wanted = bits & _union(_meant(letter, before, now, folder) for letter in letters)
            now = {"+": now | wanted, "-": now & ~wanted, "=": now & ~bits | wanted}[sign]
    return now


def _meant(letter: str, before: int, now: int, folder: bool) -> int:
    if letter in SHIFT:
        return (now >> SHIFT[letter] & 7) * 0o111
    return BITS["x"] * (folder or bool(before & BITS["x"])) if letter == "X" else BITS[letter]


def _union(masks: Iterable[int]) -> int:
    return reduce(or_, masks, 0)
