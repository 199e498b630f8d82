r"""What `.dockerignore` leaves out of a build context.

    >>> ignore = Ignore.parse("*.log\n!keep.log\n**/tmp\n")
    >>> [ignore.excludes(path) for path in ("a.log", "keep.log", "src/tmp/x", "src/a.log")]
    [True, False, True, False]

One pattern a line, from the root of the context; its wildcards are those of `wildcard`, and `**` is any number of
directories. Of the patterns that match a path, or a directory above it, the last one decides; `!` makes it an
exception. Described in the Docker documentation under "Build context", ".dockerignore files".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .errors import DockerfileError
from .wildcard import has_wildcard, join, match, terms

__all__ = ["Ignore", "Pattern", "match"]


def _deep_regex(pattern: str) -> str:
    """Return the regular expression for a pattern in which `**` or `**/` is any number of directories."""
    if pattern.startswith("**") and not has_wildcard(pattern[2:]):
        rest = re.escape(pattern[2:])
        return f"(?:.*/)?{rest[1:]}" if rest.startswith("/") else f".*{rest}"
    pieces: list[list[str]] = [[]]
    for term in terms(pattern):
        if term == "*" and pieces[-1][-1:] == ["*"]:
            pieces[-1].pop()
            pieces.append([])
        elif term != "/" or pieces[-1] or len(pieces) == 1:  # the slash after ** belongs to it
            pieces[-1].append(term)
    first, *others = pieces
    parts = [first, *(piece for piece in others if piece)]
    return "(?:.*/)?".join(join(part, "[^/]") for part in parts) + ("" if pieces[-1] or not others else ".*")


@dataclass(frozen=True)
class Pattern:
    """One line of a `.dockerignore`, cleaned; `exception` when it began with `!`; `line` is its number."""

    text: str
    exception: bool
    regex: re.Pattern[str] = field(compare=False, repr=False)
    line: int = field(default=0, compare=False)

    @classmethod
    def parse(cls, line: str, number: int = 0) -> Pattern:
        """Read a line that is neither blank nor a comment; ValueError when it is malformed."""
        exception = line.startswith("!")
        text = line.removeprefix("!").strip()
        if not text:
            raise ValueError('illegal exclusion pattern: "!"')
        text = posixpath.normpath(text).replace("//", "/", 1)  # normpath keeps two slashes at the start
        text = text.removeprefix("/") or "/"
        match(text, ".")  # Docker checks a pattern so, and so `**` counts as two stars here
        return cls(text, exception, re.compile(_deep_regex(text), re.DOTALL), number)

    def __str__(self) -> str:
        return "!" * self.exception + self.text

    def reaches(self, directory: str) -> bool:
        """Whether it could match something below the directory; in doubt, it could."""
        if "**" in self.text or "[" in self.text:
            return True
        names, above = self.text.split("/"), directory.split("/")
        return len(names) > len(above) and all(map(match, names, above))


@dataclass(frozen=True)
class Ignore:
    """The patterns of a `.dockerignore`, in order."""

    patterns: tuple[Pattern, ...] = ()
    _matches: dict[str, tuple[bool, ...]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, name: str = ".dockerignore") -> Ignore:
        """Read the file; DockerfileError, with its name and the line, for a malformed pattern."""
        return cls(tuple(_patterns(text.removeprefix("\ufeff").split("\n"), name)))

    def excludes(self, path: str) -> bool:
        """Whether the path, relative to the context and with slashes, is left out.

        That of a directory says nothing yet about what lies in it: see `skips`.
        """
        decided = self.decides(path)
        return decided is not None and not decided.exception

    def skips(self, directory: str) -> bool:
        """Whether the directory is left out with all that is in it, so that nobody need look.

        >>> Ignore.parse("docs\\n!docs/*.md").skips("docs"), Ignore.parse("docs\\n!src/x").skips("docs")
        (False, True)
        """
        directory = directory.strip("/")
        return self.excludes(directory) and not any(
            pattern.exception and pattern.reaches(directory) for pattern in self.patterns
        )

    def decides(self, path: str) -> Pattern | None:
        r"""The pattern that settles whether the path is left out: the last one that matches. None: nobody asked.

        >>> str(Ignore.parse("*.log\n!keep.log").decides("keep.log"))
        '!keep.log'
        """
        matches = zip(self.patterns, self._matched(path.strip("/")), strict=True)
        return next((pattern for pattern, matched in reversed(list(matches)) if matched), None)

    def _matched(self, path: str) -> tuple[bool, ...]:
        """Return which patterns match the path, or matched its directory: those need no second look.

        An exception counts only where something was excluded before it, as Docker has it.
        """
        parent = posixpath.dirname(path)
        if parent and parent not in self._matches:
            self._matches[parent] = self._matched(parent)
        above = self._matches[parent] if parent else (False,) * len(self.patterns)
        excluded, matches = False, []
        for pattern, inherited in zip(self.patterns, above, strict=True):
            matched = inherited or (pattern.exception == excluded and bool(pattern.regex.fullmatch(path)))
            excluded = not pattern.exception if matched else excluded
            matches.append(matched)
        return tuple(matches)


def _patterns(lines: Iterable[str], name: str) -> Iterator[Pattern]:
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        try:
            yield Pattern.parse(line.strip(), number)
        except ValueError as error:
            raise DockerfileError(f"{error}: {line.strip()}", name, number) from None
