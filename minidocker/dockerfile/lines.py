"""The lines of a Dockerfile: directives, comments, continuations and here-documents.

What comes out is one `Line` for each instruction, whatever number of lines it was written on, before anybody asks
whether the instruction exists or makes sense:

    >>> source = Source.read("# escape=`\\nRUN echo a `\\n  # a comment\\n  b\\nCOPY <<EOF /x\\nhello\\nEOF\\n")
    >>> [(line.keyword, line.text, line.line, line.end) for line in source.lines]
    [('RUN', 'RUN echo a   b', 2, 4), ('COPY', 'COPY <<EOF /x', 5, 7)]
    >>> source.lines[1].heredocs[0].content
    'hello\\n'

Described in the Dockerfile reference, "Format", "Parser directives" and "Here-Documents".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import DockerfileError
from .words import expand_words, is_space, split_words

BLANKS = re.compile(r"[\t\v\f\r ]+")
DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*", re.ASCII)
DIRECTIVES = ("syntax", "escape", "check")
HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]*)")
HEREDOC_KEYWORDS = ("RUN", "COPY", "ADD")
MAX_LINE = 65_535  # bytes, as BuildKit's reader


@dataclass(frozen=True)
class Heredoc:
    """A here-document: `<<EOF`, and the lines up to the one that is `EOF`.

    `expand` is False when the name was quoted; `chomp` says that it was `<<-`, whose leading tabs do not count.
    """

    name: str
    content: str = ""
    expand: bool = True
    chomp: bool = False
    descriptor: int = 0

    @property
    def data(self) -> str:
        """The content as a file gets it: for `<<-` without the leading tabs."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.chomp else self.content


@dataclass(frozen=True)
class Line:
    """One instruction as it stands: its lines joined, its keyword, its flags and the rest."""

    text: str
    line: int
    end: int
    word: str  # the keyword as it was typed
    flags: tuple[str, ...]
    rest: str
    heredocs: tuple[Heredoc, ...] = ()
    escape: str = "\\"
    name: str = "Dockerfile"
    comments: tuple[str, ...] = ()  # those right above it
    gap: int = 0  # the line on which it ends, if there is an empty one among those that it was joined of

    @property
    def keyword(self) -> str:
        """The keyword in capitals: `RUN`."""
        return self.word.upper()

    def error(self, message: str) -> DockerfileError:
        """Return the error for this line."""
        return error_in(self.keyword, message, self.name, self.line)


def error_in(keyword: str, message: str, name: str, line: int) -> DockerfileError:
    """Return an error with its place; a message that does not name the instruction gets its name in front."""
    where = "" if keyword in message.upper() else f"{keyword}: "
    return DockerfileError(where + message, name, line)


@dataclass(frozen=True)
class Source:
    """A Dockerfile as text: its instructions' lines, and the parser directives at its top."""

    lines: tuple[Line, ...]
    directives: dict[str, str]

    @classmethod
    def read(cls, text: str, name: str = "Dockerfile") -> Source:
        """Read a whole file.

        Raises DockerfileError for a file without instructions, a directive that is wrong or given twice, and a
        here-document without end.
        """
        text = text.removeprefix("\ufeff")
        if not text:
            raise DockerfileError(f"the Dockerfile ({name}) cannot be empty", name)
        reader = _Reader(text, name)
        lines = tuple(reader.instructions())
        if not lines:
            raise DockerfileError("file with no instructions", name, reader.number)
        return cls(lines, reader.directives)

    @property
    def escape(self) -> str:
        """The escape character: a backslash, or a backtick after `# escape=`."""
        return self.directives.get("escape", "\\")


class _Reader:
    """Goes through the physical lines, once."""

    def __init__(self, text: str, name: str) -> None:
        self.raw = iter(re.findall(r"[^\n]*\n|[^\n]+", text))
        self.name, self.number = name, 0
        self.directives: dict[str, str] = {}
        self.at_top = True

    def error(self, message: str, line: int = 0) -> DockerfileError:
        return DockerfileError(message, self.name, line or self.number)

    def physical(self) -> Iterator[str]:
        """Yield line after line, endings included."""
        for raw in self.raw:
            self.number += 1
            if len(raw) > MAX_LINE // 4 and len(raw.encode(errors="replace")) > MAX_LINE:
                raise self.error(f"dockerfile line greater than max allowed size of {MAX_LINE}")
            yield raw

    def instructions(self) -> Iterator[Line]:
        comments: list[str] = []
        for raw in self.physical():
            text = trim_left(raw.rstrip("\r\n"))
            if self.directive(text):
                continue
            comment = trim(text[1:]) if text.startswith("#") else None
            if comment:
                comments.append(comment)
                continue
            if text and comment is None:
                yield self.instruction(text, tuple(comments))
            comments = []  # an empty line, or comment, parts one from what follows

    def directive(self, text: str) -> bool:
        """Take a parser directive, as long as nothing else has come before it; whether it was one."""
        match = DIRECTIVE.fullmatch(text) if self.at_top else None
        key = match[1].lower() if match else ""
        self.at_top = key in DIRECTIVES
        if not match or not self.at_top:
            return False
        if key in self.directives:
            raise self.error(f"only one {key} parser directive can be used")
        if key == "escape" and match[2] not in ("`", "\\"):
            raise self.error(f"invalid escape token '{match[2]}' does not match ` or \\")
        self.directives[key] = match[2]
        return True

    def joined(self, text: str) -> tuple[str, int]:
        """Return the line with those that continue it; comments among them vanish, and so do empty lines.

        With an empty line among them comes the number of the last.
        """
        text, more = self.continued(text)
        pieces, empty = [text], False
        while more and (raw := next(self.physical(), None)) is not None:
            following = raw.rstrip("\r\n")
            if not trim_left(following):
                empty = True
            elif not trim_left(following).startswith("#"):
                following, more = self.continued(following)
                pieces.append(following)
        return "".join(pieces), self.number if empty else 0

    @property
    def escape(self) -> str:
        return self.directives.get("escape", "\\")

    def continued(self, text: str) -> tuple[str, bool]:
        """Whether the escape character, itself not escaped, ends the line; and the line without it."""
        body = text.rstrip(" \t")
        more = body.endswith(self.escape) and not body.endswith(self.escape * 2)
        return (body[:-1], True) if more else (text, False)

    def instruction(self, text: str, comments: tuple[str, ...]) -> Line:
        start = self.number
        text, gap = self.joined(text)
        word, rest = first_word(text)
        flags, rest = split_flags(rest)
        names = heredoc_names(text) if holds_heredocs(word, rest) else []
        heredocs = tuple(self.heredoc(heredoc, start) for heredoc in names)
        return Line(text, start, self.number, word, flags, rest, heredocs, self.escape, self.name, comments, gap)

    def heredoc(self, heredoc: Heredoc, start: int) -> Heredoc:
        """Read the here-document's lines."""
        content: list[str] = []
        for raw in self.physical():
            end = raw.rstrip("\r\n")
            if (end.lstrip("\t") if heredoc.chomp else end) == heredoc.name:
                return replace(heredoc, content="".join(content))
            content.append(raw)
        raise self.error(f"unterminated heredoc: no line is {heredoc.name!r}", start)


def trim_left(text: str) -> str:
    """Cut white space at the start."""
    start = 0
    while start < len(text) and is_space(text[start]):
        start += 1
    return text[start:]


def trim(text: str) -> str:
    """Cut white space at both ends."""
    return trim_left(trim_left(text)[::-1])[::-1]


def first_word(text: str) -> tuple[str, str]:
    """Split the first word from the rest.

    >>> first_word(" RUN  echo hi ")
    ('RUN', 'echo hi')
    """
    word, *rest = BLANKS.split(trim(text), maxsplit=1)
    return word, "".join(rest)


def split_flags(text: str) -> tuple[tuple[str, ...], str]:
    """Split the `--flag=value` words at the start from the rest; `--` alone ends them.

    >>> split_flags('--from=build --chown="a b" --link /src /dst')
    (('--from=build', '--chown=a b', '--link'), '/src /dst')
    """
    flags: list[str] = []
    text = trim(text)
    while text.startswith("--"):
        flag, text = _flag(text)
        if flag == "--":
            break
        flags.append(flag)
    return tuple(flags), trim(text)


def _flag(text: str) -> tuple[str, str]:
    """Cut the first word off, without its quotes; a backslash escapes here, whatever the directive says."""
    word, quote, chars = "", "", iter(enumerate(text))
    for position, char in chars:
        if char == "\\":
            word += next(chars, (0, ""))[1]
        elif quote:
            word, quote = (word, "") if char == quote else (word + char, quote)
        elif char in "'\"":
            quote = char
        elif is_space(char):
            return word, trim_left(text[position:])
        else:
            word += char
    return word, ""


def json_list(text: str) -> list[str] | None:
    """Return the list when `text` is a JSON array of strings (the exec form); None: it is not JSON.

    Raises ValueError for an array with anything but strings in it.

    >>> json_list(' ["echo", "hi"]'), json_list("[ -f /x ] && echo hi"), json_list('["echo", "hi"] # said')
    (['echo', 'hi'], None, None)
    """
    text = trim_left(text)
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in value):
        raise ValueError("when using JSON array syntax, arrays must be comprised of strings only")
    return [re.sub("[\ud800-\udfff]", "\ufffd", item) for item in value]  # half a character is none


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def holds_heredocs(word: str, rest: str) -> bool:
    """Whether `<<EOF` means something: in RUN, COPY and ADD, also as triggers, and not in the exec form."""
    keyword = word.upper()
    if keyword == "ONBUILD":
        word, rest = first_word(rest)
        keyword, rest = word.upper(), split_flags(rest)[1]
    if keyword not in HEREDOC_KEYWORDS or "<<" not in rest:
        return False
    try:
        return json_list(rest) is None
    except ValueError:
        return False


def heredoc_names(text: str) -> list[Heredoc]:
    """Return the here-documents that a line opens, without their content."""
    return [heredoc for word in split_words(text) if (heredoc := parse_heredoc(word))]


def parse_heredoc(word: str) -> Heredoc | None:
    """Return what `<<EOF` announces, or None when the word does not.

    >>> parse_heredoc("<<-'END'")
    Heredoc(name='END', content='', expand=False, chomp=True, descriptor=0)
    """
    match = HEREDOC.fullmatch(word)
    if not match or not match[3]:
        return None
    names = expand_words(match[3].replace("$", "\\$"), {})  # a name is no place for variables
    if len(names) != 1:
        return None
    quotes = sum(match[3].count(quote) - names[0].count(quote) for quote in "'\"")
    return Heredoc(names[0], expand=not quotes, chomp=bool(match[2]), descriptor=int(match[1] or 0))
