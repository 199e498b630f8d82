"""Shell text -> syntax tree: the grammar of POSIX `sh` (IEEE 1003.1, 2.10), with the few extensions that busybox has.

A word is not yet a string: it is a tuple of parts that are expanded each time the command runs.

    >>> Parser('echo "$HOME" >f').line()
    Simple((), ((Text('echo', False),), (Param('HOME', '', (), (), True),)), (Redirect(1, '>', (Text('f', False),)),))
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import NoReturn


class ShellSyntaxError(Exception):
    """Text that is no shell program. `unfinished` when more text could make it one."""


class _Shown:
    """Values print positionally: `Text('x', False)`."""

    __slots__ = ()

    def __repr__(self) -> str:
        values = ", ".join(repr(getattr(self, item.name)) for item in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({values})"


@dataclass(frozen=True, repr=False, slots=True)
class Text(_Shown):
    """Literal characters; quoted ones are not split, and match only themselves."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, repr=False, slots=True)
class Param(_Shown):
    """`$name`, `${name op arg}`; `${#name}` has the op `len`, `${name/arg/second}` two words."""

    name: str
    op: str = ""
    arg: Word = ()
    second: Word = ()
    quoted: bool = False


@dataclass(frozen=True, repr=False, slots=True)
class Output(_Shown):
    """`$(…)` and backticks: what a command prints."""

    body: Node | None
    quoted: bool = False


@dataclass(frozen=True, repr=False, slots=True)
class Arith(_Shown):
    """`$((…))`."""

    expression: Word
    quoted: bool = False


Part = Text | Param | Output | Arith
Word = tuple[Part, ...]


class Node(_Shown):
    """A command of any kind."""


@dataclass(repr=False)
class Redirect(_Shown):
    """`fd op word`, as in `2>> log`; a here-document's word is its body."""

    fd: int
    op: str
    word: Word


@dataclass(frozen=True, repr=False)
class Simple(Node):
    """`A=1 name words >redirect`."""

    assigns: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, repr=False)
class Redirected(Node):
    """A compound command with redirections."""

    body: Node
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, repr=False)
class Pipeline(Node):
    """`a | b | c`, or `! a`."""

    commands: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True, repr=False)
class AndOr(Node):
    """`left && right`, `left || right`."""

    left: Node
    op: str
    right: Node


@dataclass(frozen=True, repr=False)
class Series(Node):
    """`a; b &`: each command, and whether it runs in the background."""

    items: tuple[tuple[Node, bool], ...]


@dataclass(frozen=True, repr=False)
class Subshell(Node):
    """`( body )`."""

    body: Node


@dataclass(frozen=True, repr=False)
class If(Node):
    """`if … then … elif … then … else … fi`."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True, repr=False)
class Loop(Node):
    """`while` and `until`."""

    condition: Node
    body: Node
    until: bool


@dataclass(frozen=True, repr=False)
class For(Node):
    """`for name in words; do body; done`; without `in`: over the positional parameters."""

    name: str
    words: tuple[Word, ...] | None
    body: Node


@dataclass(frozen=True, repr=False)
class Case(Node):
    """`case word in pattern|pattern) body;; esac`."""

    word: Word
    branches: tuple[tuple[tuple[Word, ...], Node], ...]


@dataclass(frozen=True, repr=False)
class Function(Node):
    """`name() body`."""

    name: str
    body: Node


META = " \t\n|&;<>()"
OPERATOR = re.compile(r"&&|\|\||;;|\||&(?!>)|;|\n|\(|\)")
REDIRECT = re.compile(r"(\d*)(<<<|<<-|<<|<>|<&|>>|>&|>\||<|>)|(&>>|&>)")
NAME = re.compile(r"[A-Za-z_]\w*")
PARAMETER = re.compile(r"[A-Za-z_]\w*|\d+|[@*#?$!-]")
ASSIGN = re.compile(r"([A-Za-z_]\w*)=")
KEYWORD = re.compile(r"[^\s|&;<>()'\"\\$`]+(?=[\s|&;<>()]|$)")
RESERVED = {"then", "else", "elif", "fi", "do", "done", "esac", "}"}
OPERATION = re.compile(r":?[-=+?]|##?|%%?|//?|:")


def literal(word: Word) -> str | None:
    """The text of a word without expansions, quotes removed; None where it has some."""
    return (
        "".join(part.text for part in word if isinstance(part, Text))
        if all(isinstance(p, Text) for p in word)
        else None
    )


class Parser:
    """Reads one program; `line()` gives one complete command line at a time, as a shell runs them.

    `bash` lets in what bash has and `sh` has not: here-strings (`<<<`).
    """

    def __init__(self, text: str, bash: bool = False) -> None:
        self.text, self.pos, self.bash = text, 0, bash
        self.documents: list[tuple[Redirect, str, bool]] = []  # here-documents whose bodies are still to come

    def line(self) -> Node | None:
        """The next command line with something on it; None at the end."""
        self.newlines()
        if self.pos >= len(self.text):
            return None
        node = self.series(stop_at_newline=True)
        if self.pos < len(self.text) and not self.take("\n"):
            self.fail()
        self.read_documents()
        return node

    # Characters and tokens

    def fail(self, wanted: str = "") -> NoReturn:
        """Say what was found where something else should have been."""
        if self.pos >= len(self.text):
            raise ShellSyntaxError(
                "syntax error: unexpected end of file" + (f' (expecting "{wanted}")' if wanted else "")
            )
        found = (
            OPERATOR.match(self.text, self.pos)
            or REDIRECT.match(self.text, self.pos)
            or KEYWORD.match(self.text, self.pos)
        )
        name = found.group() if found else self.text[self.pos]
        shown = "newline" if name == "\n" else f'"{name}"'
        raise ShellSyntaxError(f"syntax error: unexpected {shown}" + (f' (expecting "{wanted}")' if wanted else ""))

    def blanks(self) -> None:
        """Skip blanks, joined lines and a comment."""
        while match := re.compile(r"[ \t]+|\\\n|#[^\n]*").match(self.text, self.pos):
            self.pos = match.end()

    def newlines(self) -> None:
        """Skip blanks and newlines; here-documents begin after the first of them."""
        self.blanks()
        while self.pos < len(self.text) and self.text[self.pos] == "\n":
            self.pos += 1
            self.read_documents()
            self.blanks()

    def take(self, operator: str) -> bool:
        """Whether this operator is next; if so it is read."""
        self.blanks()
        match = OPERATOR.match(self.text, self.pos)
        if match is None or match.group() != operator:
            return False
        self.pos = match.end()
        return True

    def keyword(self, *wanted: str) -> str:
        """The reserved word that is next, if it is one of those wanted; it is read."""
        self.blanks()
        match = KEYWORD.match(self.text, self.pos)
        if match is None or match.group() not in wanted:
            return ""
        self.pos = match.end()
        return match.group()

    def expect(self, word: str) -> None:
        """Read this reserved word or operator, after any newlines."""
        if not (self.take(word) if word in META else self.keyword(word)):
            self.fail(word)

    # Commands

    def series(self, stop_at_newline: bool = False) -> Node:
        """Commands separated by `;`, `&` and newlines, up to whatever cannot begin one."""
        items: list[tuple[Node, bool]] = []
        while True:
            items.append((self.and_or(), False))
            if self.take("&"):
                items[-1] = (items[-1][0], True)
            elif not self.take(";") and (stop_at_newline or not self.text.startswith("\n", self.pos)):
                break
            if stop_at_newline:
                self.blanks()
                if self.pos >= len(self.text) or self.text[self.pos] == "\n":
                    break
            else:
                self.newlines()
            if self.at_end():
                break
        return items[0][0] if len(items) == 1 and not items[0][1] else Series(tuple(items))

    def at_end(self) -> bool:
        """Whether a list ends here: at `)`, `;;`, a closing reserved word or the end of the text."""
        match = KEYWORD.match(self.text, self.pos)
        closing = match is not None and match.group() in RESERVED
        return closing or self.pos >= len(self.text) or self.text.startswith((")", ";;"), self.pos)

    def body(self, end: str) -> Node:
        """A compound list and the word that ends it, which is left to be read."""
        self.newlines()
        node = self.series()
        self.newlines()
        if self.pos >= len(self.text) or not self.at_end():
            self.fail(end)
        return node

    def and_or(self) -> Node:
        """`pipeline && pipeline || pipeline`."""
        node = self.pipeline()
        while op := "&&" if self.take("&&") else "||" if self.take("||") else "":
            self.newlines()
            node = AndOr(node, op, self.pipeline())
        return node

    def pipeline(self) -> Node:
        """`! command | command`."""
        negated = bool(self.keyword("!"))
        commands = [self.command()]
        while self.take("|"):
            self.newlines()
            commands.append(self.command())
        return commands[0] if len(commands) == 1 and not negated else Pipeline(tuple(commands), negated)

    def command(self) -> Node:
        """One command: compound, function definition or simple."""
        self.blanks()
        match = KEYWORD.match(self.text, self.pos)
        word = match.group() if match else ""
        if word in RESERVED:
            self.fail()
        if self.text.startswith("(", self.pos):
            self.pos += 1
            node: Node = Subshell(self.body(")"))
            self.expect(")")
        elif word in COMPOUND:
            self.pos += len(word)
            node = COMPOUND[word](self)
        else:
            return self.function() or self.simple()
        redirects = self.redirects()
        return Redirected(node, redirects) if redirects else node

    def function(self) -> Node | None:
        """`name() body`, or None where there is none."""
        match = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*\([ \t]*\)").match(self.text, self.pos)
        if match is None:
            return None
        self.pos = match.end()
        self.newlines()
        return Function(match[1], self.command())

    def bash_function(self) -> Node:
        """`function name { body }`, which busybox has too."""
        self.blanks()
        name = self.word()
        if self.take("("):
            self.expect(")")
        self.newlines()
        return Function(literal(name) or self.fail("name"), self.command())

    def group(self) -> Node:
        """`{ body; }`."""
        node = self.body("}")
        self.expect("}")
        return node

    def if_(self) -> Node:
        """`if … fi`, after the `if`."""
        branches: list[tuple[Node, Node]] = []
        otherwise = None
        while True:
            condition = self.body("then")
            self.expect("then")
            branches.append((condition, self.body("fi")))
            if not self.keyword("elif"):
                break
        if self.keyword("else"):
            otherwise = self.body("fi")
        self.expect("fi")
        return If(tuple(branches), otherwise)

    def loop(self, until: bool = False) -> Node:
        """`while … do … done`, after the `while`."""
        condition = self.body("do")
        return Loop(condition, self.do(), until)

    def do(self) -> Node:
        """`do … done`."""
        self.expect("do")
        node = self.body("done")
        self.expect("done")
        return node

    def for_(self) -> Node:
        """`for name in words; do …`, after the `for`."""
        self.blanks()
        name = literal(self.word()) or ""
        if not NAME.fullmatch(name):
            raise ShellSyntaxError("syntax error: bad for loop variable")
        self.newlines()
        words = None
        if self.keyword("in"):
            words = self.words()
        if not self.take(";"):
            self.blanks()
        self.newlines()
        return For(name, words, self.do())

    def case(self) -> Node:
        """`case word in …`, after the `case`."""
        self.blanks()
        word = self.word()
        self.newlines()
        self.expect("in")
        self.newlines()
        branches: list[tuple[tuple[Word, ...], Node]] = []
        while not self.keyword("esac"):
            self.take("(")
            self.blanks()
            patterns = [self.word()]
            while self.take("|"):
                self.blanks()
                patterns.append(self.word())
            self.expect(")")
            self.newlines()
            body: Node = Series(()) if self.at_end() else self.body("esac")
            branches.append((tuple(patterns), body))
            if not self.take(";;"):
                self.newlines()
                self.expect("esac")
                break
            self.newlines()
        return Case(word, tuple(branches))

    def words(self) -> tuple[Word, ...]:
        """As many words as there are."""
        words: list[Word] = []
        self.blanks()
        while self.pos < len(self.text) and self.text[self.pos] not in META:
            words.append(self.word())
            self.blanks()
        return tuple(words)

    def simple(self) -> Node:
        """Assignments, words and redirections, in any mixture."""
        assigns: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self.blanks()
            match = None if words else ASSIGN.match(self.text, self.pos)
            if redirect := self.redirect():
                redirects.append(redirect)
            elif match:
                self.pos = match.end()
                if self.text.startswith("(", self.pos):
                    raise ShellSyntaxError(f"syntax error: {match[1]}=(…): this shell has no arrays, nor has any `sh`")
                assigns.append((match[1], tuple(self.parts(META, False))))
            elif self.pos < len(self.text) and self.text[self.pos] not in META:
                words.append(self.word())
            else:
                break
        if not (assigns or words or redirects):
            self.fail()
        return Simple(tuple(assigns), tuple(words), tuple(redirects))

    # Redirections

    def redirects(self) -> tuple[Redirect, ...]:
        """As many redirections as there are."""
        found: list[Redirect] = []
        while redirect := self.redirect():
            found.append(redirect)
        return tuple(found)

    def redirect(self) -> Redirect | None:
        """One redirection, or None where there is none."""
        self.blanks()
        match = REDIRECT.match(self.text, self.pos)
        if match is None:
            return None
        op = match[2] or match[3]
        if op == "<<<" and not self.bash:
            raise ShellSyntaxError("syntax error: <<< is bash's: `sh` has here-documents and pipes")
        self.pos = match.end()
        self.blanks()
        if self.pos >= len(self.text) or self.text[self.pos] in META:
            self.fail("word")
        fd = int(match[1]) if match[1] else 0 if op[0] == "<" else 1
        redirect = Redirect(fd, op, self.word())
        if op in ("<<", "<<-"):
            quoted = any(isinstance(part, Text) and part.quoted for part in redirect.word)
            self.documents.append((redirect, literal(redirect.word) or "", quoted))
        return redirect

    def read_documents(self) -> None:
        """Read the bodies of the here-documents that the line before asked for."""
        pending, self.documents = self.documents, []
        for redirect, end, quoted in pending:
            lines: list[str] = []
            while self.pos < len(self.text):
                stop = self.text.find("\n", self.pos)
                stop = len(self.text) if stop < 0 else stop
                line, newline = self.text[self.pos : stop], self.text[stop : stop + 1]
                self.pos = min(stop + 1, len(self.text))
                line = line.lstrip("\t") if redirect.op == "<<-" else line
                if line == end:
                    break
                lines.append(line + newline)
            body = "".join(lines)
            redirect.word = (Text(body, True),) if quoted else tuple(Parser(body, self.bash).parts("", True, here=True))

    # Words

    def word(self) -> Word:
        """One word, quotes and expansions and all."""
        start = self.pos
        parts = tuple(self.parts(META, False))
        return parts if self.pos > start else self.fail("word")

    def parts(self, stop: str, quoted: bool, here: bool = False) -> list[Part]:
        """The parts up to a character in `stop`. In a here-document a double quote is itself."""
        found: list[Part] = []
        special = re.compile("[^" + re.escape("\\'\"$`" + stop) + "]+")
        while self.pos < len(self.text) and (char := self.text[self.pos]) not in (stop or "\0"):
            if char == "\\":
                found += self.escape("$`\\" if here else '$`"\\' + stop if quoted else "")
            elif char == "'" and not quoted:
                found.append(Text(self.until("'"), True))
            elif char == '"' and not here:
                self.pos += 1
                inner = self.parts('"', True)
                found += inner or [Text("", True)]
                self.close('"')
            elif char == "$":
                found.append(self.dollar(quoted))
            elif char == "`":
                found.append(self.backticks(quoted))
            elif match := special.match(self.text, self.pos):
                self.pos = match.end()
                found.append(Text(match.group(), quoted))
            else:
                self.pos += 1
                found.append(Text(char, quoted))
        return found

    def escape(self, only: str) -> list[Part]:
        """A backslash and what it quotes; inside double quotes it quotes `only` some characters."""
        after = self.text[self.pos + 1 : self.pos + 2]
        self.pos += 2
        if after == "\n":
            return []
        if (only and after not in only) or not after:
            self.pos -= 1
            return [Text("\\", True)]
        return [Text(after, True)]

    def until(self, quote: str) -> str:
        """The text between here (an opening quote) and its end."""
        end = self.text.find(quote, self.pos + 1)
        if end < 0:
            raise ShellSyntaxError("syntax error: unterminated quoted string")
        inner, self.pos = self.text[self.pos + 1 : end], end + 1
        return inner

    def close(self, mark: str) -> None:
        """Read the character that must be here."""
        if not self.text.startswith(mark, self.pos):
            self.pos = len(self.text)
            raise ShellSyntaxError(
                "syntax error: unterminated quoted string" if mark == '"' else 'syntax error: missing "}"'
            )
        self.pos += len(mark)

    def dollar(self, quoted: bool) -> Part:
        """Whatever begins with `$`."""
        self.pos += 1
        rest = self.text[self.pos : self.pos + 2]
        if rest == "((" and (end := self.arithmetic_end()):
            inner, self.pos = self.text[self.pos + 2 : end], end + 2
            return Arith(tuple(Parser(inner, self.bash).parts("", True, here=True)), quoted)
        if rest[:1] == "(":
            self.pos += 1
            self.newlines()
            body = None if self.text.startswith(")", self.pos) else self.body(")")
            self.expect(")")
            return Output(body, quoted)
        if rest[:1] == "{":
            self.pos += 1
            return self.braced(quoted)
        if rest[:1] == "'" and not quoted:
            return self.ansi()
        if match := re.compile(r"[A-Za-z_]\w*|[\d@*#?$!-]").match(self.text, self.pos):
            self.pos = match.end()
            return Param(match.group(), quoted=quoted)
        return Text("$", quoted)

    def arithmetic_end(self) -> int:
        """Where the `))` is that ends the `((` here; 0 if this is a subshell in a command substitution after all."""
        depth = 0
        for place in range(self.pos, len(self.text)):
            depth += {"(": 1, ")": -1}.get(self.text[place], 0)
            if depth == 1 and place > self.pos + 1 and self.text[place] == ")":
                return place if self.text.startswith("))", place) else 0
        return 0

    def ansi(self) -> Part:
        r"""`$'a\tb'`."""
        match = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL).match(self.text, self.pos)
        if match is None:
            raise ShellSyntaxError("syntax error: unterminated quoted string")
        self.pos = match.end()
        return Text(unescape(match[1]), True)

    def backticks(self, quoted: bool) -> Part:
        """A command between backticks, where a backslash quotes only `$`, a backtick, itself (and a double quote)."""
        match = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL).match(self.text, self.pos)
        if match is None:
            raise ShellSyntaxError("syntax error: unterminated quoted string")
        self.pos = match.end()
        inner = re.sub(r'\\([$`\\"])' if quoted else r"\\([$`\\])", r"\1", match[1])
        parser = Parser(inner, self.bash)
        lines = []
        while (line := parser.line()) is not None:
            lines.append((line, False))
        return Output(Series(tuple(lines)) if lines else None, quoted)

    def braced(self, quoted: bool) -> Part:
        """`${…}`, after the brace."""
        length = re.compile(r"#(?=[A-Za-z_\d@*#?$!-]+\})").match(self.text, self.pos)
        match = PARAMETER.match(self.text, self.pos + bool(length))
        if match is None or (self.text.startswith("!", self.pos) and not self.text.startswith("!}", self.pos)):
            raise ShellSyntaxError("syntax error: bad substitution")
        self.pos = match.end()
        if length:
            self.close("}")
            return Param(match.group(), "len", quoted=quoted)
        found = OPERATION.match(self.text, self.pos)
        op, first, second = "", [], []
        if found:
            op, self.pos = found.group(), found.end()
            value = op[-1] in "-=+?"
            first = self.parts({"/": "/}", ":": ":}"}.get(op[:1] if not value else "", "}"), quoted and value)
            if not value and op[:1] in "/:" and self.text[self.pos : self.pos + 1] == op[:1]:
                self.pos += 1
                second = [*self.parts("}", quoted), Text("", True)]
        elif self.text.startswith("[", self.pos):
            raise ShellSyntaxError(f"syntax error: ${{{match.group()}[…]}}: this shell has no arrays, nor has any `sh`")
        if not self.text.startswith("}", self.pos):
            raise ShellSyntaxError("syntax error: bad substitution")
        self.pos += 1
        return Param(match.group(), op, tuple(first), tuple(second), quoted)


ESCAPES = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def byte(value: int) -> str:
    """One byte as the character that stands for it in text that was decoded with `surrogateescape`."""
    return chr(value if value < 128 else 0xDC00 + value)


def unescape(text: str) -> str:
    r"""Replace the backslash escapes of `echo -e` and `printf`: `unescape(r"a\tb\101")` is `a`, a tab, `bA`."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "01234567":
            return byte(int(code, 8) & 0xFF)
        if code[0] == "x" and len(code) > 1:
            return byte(int(code[1:], 16))
        return ESCAPES.get(code, code if code in "\\'\"" else "\\" + code)

    return re.sub(r"\\(0?[0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", one, text, flags=re.DOTALL)


COMPOUND = {
    "{": Parser.group,
    "if": Parser.if_,
    "while": Parser.loop,
    "until": lambda parser: parser.loop(until=True),
    "for": Parser.for_,
    "case": Parser.case,
    "function": Parser.bash_function,
}
