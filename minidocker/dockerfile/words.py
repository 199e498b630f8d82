"""Quotes, escapes and `${variables}` in the words of a Dockerfile, as Docker's builder reads them.

This is a small shell-like language of its own (Docker calls it "environment replacement"), not the shell that runs
a RUN: there are no commands in it, and nothing is ever executed.

    >>> expand('"${greeting:-hello}" $name', {"name": "world"})
    'hello world'
    >>> expand("${file%.tar.*}-${file##*.}", {"file": "app.tar.gz"})
    'app-gz'

| word               | becomes                                                               |
|--------------------|-----------------------------------------------------------------------|
| `$v` `${v}`        | the value, or nothing when unset                                      |
| `${v:-w}` `${v-w}` | `w` when v is unset (with the colon: or empty)                         |
| `${v:+w}` `${v+w}` | `w` when v is set (with the colon: and not empty)                      |
| `${v:?m}` `${v?m}` | an error with the message m when unset (with the colon: or empty)     |
| `${v#p}` `${v##p}` | the value without its shortest (longest) beginning that matches p     |
| `${v%p}` `${v%%p}` | the same at its end                                                   |
| `${v/p/w}` `${v//p/w}` | the value with the first (every) match of p replaced by w         |
| `'…'`              | the text as it stands                                                 |
| `"…"`              | the text with variables replaced; the escape character works on `"` `$` and itself |

Described in the Dockerfile reference, "Environment replacement"; the details are those of BuildKit's word lexer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ..wildcard import join

NAME = re.compile(r"\d+|[@*#?$!-]|\w+")  # $1 and $@ are names too, of variables that a build never has
MODIFIERS = "+-?#%"
MAX_DEPTH = 50  # of ${a:-${b:-${c…}}}, before Python's stack ends


def expand(word: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """Return `word` with its variables replaced and its quotes removed; ValueError in Docker's words if malformed.

    >>> expand(r"\\$HOME is '$HOME'", {"HOME": "/root"})
    '$HOME is $HOME'
    """
    return _process(word, _Lexer(word, env, escape))[0]


def expand_words(word: str, env: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Expand `word`, then split what comes of it at blanks that are not quoted.

    >>> expand_words("$ports 'a b'", {"ports": "80 443"})
    ['80', '443', 'a b']
    """
    return _process(word, _Lexer(word, env, escape))[1]


def expand_text(text: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """Expand a here-document: variables and escapes work, quotes mean nothing.

    >>> expand_text("it's $x", {"x": "1"})
    "it's 1"
    """
    return _process(text, _Lexer(text, env, escape, quotes=False))[0]


def split_words(line: str) -> list[str]:
    """Split a line at blanks that are not quoted and change nothing else; [] when a quote or brace stays open.

    >>> split_words('RUN cat "a b" <<EOF $x')
    ['RUN', 'cat', '"a b"', '<<EOF', '$x']
    """
    try:
        return _process(line, _Lexer(line, {}, "\\", raw=True))[1]
    except ValueError:
        return []


def quoted(text: str) -> str:
    """Return the text in double quotes, as Docker's messages print it (Go's `%q`)."""
    return json.dumps(text, ensure_ascii=False)


def is_space(char: str) -> bool:
    """Whether Go's `unicode.IsSpace` holds; Python's own counts four separators more."""
    return char.isspace() and char not in "\x1c\x1d\x1e\x1f"


def _process(word: str, lexer: _Lexer) -> tuple[str, list[str]]:
    try:
        return lexer.until("")
    except ValueError as error:
        raise ValueError(f"failed to process {quoted(word)}: {error}") from None


class _Words:
    """What was read so far, split at blanks."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.word = ""

    def add(self, text: str) -> None:
        for char in text:
            if not is_space(char):
                self.word += char
            elif self.word:
                self.done.append(self.word)
                self.word = ""

    def add_whole(self, text: str) -> None:
        self.word += text

    def all(self) -> list[str]:
        return [*self.done, self.word] if self.word else self.done


class _Lexer:
    """One pass over a word; `raw` keeps quotes, escapes and (being without values) variables as they are."""

    def __init__(
        self, text: str, env: Mapping[str, str], escape: str, *, quotes: bool = True, raw: bool = False
    ) -> None:
        self.text, self.env, self.escape = text, env, escape
        self.quotes, self.raw = quotes, raw
        self.raw_escapes = raw
        self.pos = self.depth = 0

    def peek(self) -> str:
        return self.text[self.pos : self.pos + 1]  # "" at the end

    def next(self) -> str:
        char = self.peek()
        self.pos += len(char)
        return char

    def until(self, stop: str, raw_escapes: bool | None = None) -> tuple[str, list[str]]:
        """Read up to the character `stop` ("" is the end); return the text, and the same as words."""
        before = self.raw_escapes
        self.raw_escapes = before if raw_escapes is None else raw_escapes
        try:
            return self._until(stop)
        finally:
            self.raw_escapes = before

    def _until(self, stop: str) -> tuple[str, list[str]]:
        result, words = "", _Words()
        while (char := self.peek()) and char != stop:
            if char == "$":
                piece = self.dollar()
                words.add(piece)
            elif self.quotes and char in "'\"":
                piece = self.single() if char == "'" else self.double()
                words.add_whole(piece)
            elif self.next() == self.escape:
                piece = (char if self.raw_escapes else "") + self.next()  # at the end it escapes nothing, and goes
                words.add_whole(piece)
            else:
                piece = char
                words.add(piece)
            result += piece
        if self.next() != stop:
            raise ValueError(f"unexpected end of statement while looking for matching {stop}")
        return result, words.all()

    def single(self) -> str:
        self.next()
        end = self.text.find("'", self.pos)
        if end < 0:
            self.pos = len(self.text)
            raise ValueError("unexpected end of statement while looking for matching single-quote")
        inside, self.pos = self.text[self.pos : end], end + 1
        return f"'{inside}'" if self.raw else inside

    def double(self) -> str:
        result = self.next()
        while char := self.peek():
            if char == "$":
                result += self.dollar()
            elif self.next() == '"':
                return result + char if self.raw else result[1:]
            elif char == self.escape:
                result += self.escaped(char)
            else:
                result += char
        raise ValueError("unexpected end of statement while looking for matching double-quote")

    def escaped(self, escape: str) -> str:
        """Return what an escape character inside double quotes makes of the next one."""
        kept = escape if self.raw_escapes else ""
        if not self.peek():
            return kept
        return kept + (self.next() if self.peek() in f'"${escape}' else escape)

    def dollar(self) -> str:
        self.next()
        if self.peek() != "{":
            name = self.name()
            return self.value(name, f"${name}") if name else "$"
        self.next()
        if not self.peek():
            raise ValueError("syntax error: missing '}'")
        if self.peek() in "{}:":
            raise ValueError("syntax error: bad substitution")
        name, modifier = self.name(), self.next()
        if modifier == "}":
            return self.value(name, f"${{{name}}}")
        if modifier == "/":
            return self.replace(name)
        if modifier == ":":
            modifier += self.next()
        if not modifier:
            raise ValueError("syntax error: missing '}'")
        if modifier[-1] not in MODIFIERS or modifier in (":#", ":%"):
            raise ValueError(f"unsupported modifier ({modifier}) in substitution")
        word = self.inner("}", "syntax error: missing '}'", raw_escapes=modifier in "#%")
        if self.raw:
            return f"${{{name}{modifier}{word}}}"
        return self.modified(name, modifier, word)

    def name(self) -> str:
        """Read a name: letters, digits and _; or digits alone; or one special character."""
        match = NAME.match(self.text, self.pos)
        if not match:
            return ""
        self.pos = match.end()
        return match.group()

    def value(self, name: str, otherwise: str) -> str:
        return otherwise if self.raw else self.env.get(name, "")

    def inner(self, stop: str, missing: str, raw_escapes: bool) -> str:
        if self.depth == MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} substitutions in one another")
        self.depth += 1
        try:
            return self.until(stop, raw_escapes)[0]
        except ValueError:
            if self.peek():
                raise
            raise ValueError(missing) from None
        finally:
            self.depth -= 1

    def modified(self, name: str, modifier: str, word: str) -> str:
        value = self.env.get(name)
        missing = value is None or (modifier[0] == ":" and not value)
        match modifier[-1]:
            case "-":
                return word if missing else value or ""
            case "+":
                return "" if missing else word
            case "?" if missing:
                state = "unset" if value is None else "empty"
                raise ValueError(f"{name}: {word or f'is not allowed to be {state}'}")
            case "#" | "%":
                longest = word[:1] == modifier
                pattern = word[1:] if longest else word
                return _trim(value or "", pattern, longest, at_end=modifier == "%")
        return value or ""

    def replace(self, name: str) -> str:
        everywhere = self.peek() == "/"
        self.pos += everywhere
        pattern = self.inner("/", "syntax error: missing '/' in ${}", raw_escapes=True)
        new = self.inner("}", "syntax error: missing '}'", raw_escapes=True)
        if self.raw:
            return f"${{{name}/{pattern}/{new}}}"
        value = self.env.get(name, "")
        terms = _terms(pattern)
        if value and set(terms) == {"*"}:
            terms = [".", "*"]  # or the nothing after a match would match once more
        return re.sub(join(terms, "."), lambda _: new, value, count=0 if everywhere else 1)


def _trim(value: str, pattern: str, longest: bool, at_end: bool) -> str:
    """Cut the beginning that matches; an end is the beginning of the reverse, which makes "shortest" mean the same."""
    terms = _terms(pattern)
    if at_end:
        return _cut(value[::-1], join(terms[::-1], ".", longest))[::-1]
    return _cut(value, join(terms, ".", longest))


def _cut(value: str, regex: str) -> str:
    match = re.match(regex, value)
    return value[match.end() :] if match else value


def _terms(pattern: str) -> list[str]:
    """Return a pattern as regular expressions, one a character; of the wildcards Docker knows `*` and `?` here."""
    terms, chars = [], iter(pattern)
    for char in chars:
        if char == "\\":
            char = next(chars, "")
            if not char or char not in "*?\\}/":
                raise ValueError(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{char}'")
            terms.append(re.escape(char))
        else:
            terms.append({"*": "*", "?": "."}.get(char) or re.escape(char))
    return terms
