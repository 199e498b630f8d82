"""Shell text -> syntax tree: the grammar of POSIX `sh` (IEEE 1003.1, 2.10).

A word is not yet a string: it is a tuple of parts that are expanded each time the command runs.

    >>> Parser('echo "$HOME"').line().words
    ((Text(text='echo', quoted=False),), (Param(name='HOME', op='', arg=(), quoted=True),))
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn


class ShellSyntaxError(Exception):
    """Text that is no shell program."""

    def __init__(self, what: str) -> None:
        super().__init__(f"syntax error: {what}")


@dataclass(frozen=True)
class Text:
    """Literal characters; quoted ones are not split, and match only themselves."""

    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Param:
    """`$name`, `${name op arg}`; `${#name}` has the op `len`."""

    name: str
    op: str = ""
    arg: Word = ()
    quoted: bool = False


@dataclass(frozen=True)
class Output:
    """`$(…)` and backticks: what a command prints."""

    body: Node | None
    quoted: bool = False


@dataclass(frozen=True)
class Arith:
    """`$((…))`."""

    expression: Word
    quoted: bool = False


Part = Text | Param | Output | Arith
Word = tuple[Part, ...]


@dataclass
class Redirect:
    """`fd op word`, as in `2>> log`; a here-document's word is its body, which comes later."""

    fd: int
    op: str
    word: Word


@dataclass(frozen=True)
class Simple:
    """`A=1 name words >redirect`."""

    assigns: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True)
class Redirected:
    """A compound command with redirections."""

    body: Node
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True)
class Pipeline:
    """`a | b | c`, or `! a`."""

    commands: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True)
class AndOr:
    """`left && right`, `left || right`."""

    left: Node
    op: str
    right: Node


@dataclass(frozen=True)
class Series:
    """`a; b &`: each command, and whether it runs in the background."""

    items: tuple[tuple[Node, bool], ...]


@dataclass(frozen=True)
class Subshell:
    """`( body )`."""

    body: Node


@dataclass(frozen=True)
class If:
    """`if … then … elif … then … else … fi`."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True)
class Loop:
    """`while` and `until`."""

    condition: Node
    body: Node
    until: bool


@dataclass(frozen=True)
class For:
    """`for name in words; do body; done`; without `in`: over the positional parameters."""

    name: str
    words: tuple[Word, ...] | None
    body: Node


@dataclass(frozen=True)
class Case:
    """`case word in pattern|pattern) body;; esac`."""

    word: Word
    branches: tuple[tuple[tuple[Word, ...], Node], ...]


@dataclass(frozen=True)
class Function:
    """`name() body`."""

    name: str
    body: Node


Node = Simple | Redirected | Pipeline | AndOr | Series | Subshell | If | Loop | For | Case | Function

META = " \t\n|&;<>()"
OPERATOR = re.compile(r"&&|\|\||;;|\||&(?!>)|;|\n|\(|\)")
REDIRECT = re.compile(r"(\d*)(<<<|<<-|<<|<&|>>|>&|<|>)|(&>)")
NAME = re.compile(r"[A-Za-z_]\w*")
PARAMETER = re.compile(r"[A-Za-z_]\w*|\d+|[@*#?$!-]")
ASSIGN = re.compile(r"([A-Za-z_]\w*)=")
FUNCTION = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*\([ \t]*\)")
KEYWORD = re.compile(r"[^\s|&;<>()'\"\\$`]+(?=[\s|&;<>()]|$)")
RESERVED = {"then", "else", "elif", "fi", "do", "done", "esac", "}"}
OPERATION = re.compile(r":?[-=+?]|##?|%%?")
BACKTICKS = re.compile(r"(?s)`((?:[^`\\]|\\.)*)`")
BLANKS = re.compile(r"(?:[ \t]+|\\\n|#[^\n]*)*")


def literal(word: Word) -> str | None:
    """The text of a word without expansions, quotes removed; None where it has some."""
    texts = [part.text for part in word if isinstance(part, Text)]
    return "".join(texts) if len(texts) == len(word) else None


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
        found = OPERATOR.match(self.text, self.pos) or KEYWORD.match(self.text, self.pos)
        name = found.group() if found else self.text[self.pos : self.pos + 1] or "end of file"
        shown = "newline" if name == "\n" else f'"{name}"'
        raise ShellSyntaxError(f"unexpected {shown}" + (f' (expecting "{wanted}")' if wanted else ""))

    def starts(self, *texts: str) -> bool:
        """Whether one of these is next."""
        return self.text.startswith(texts, self.pos)

    def blanks(self) -> None:
        """Skip blanks, joined lines and a comment."""
        match = BLANKS.match(self.text, self.pos)
        self.pos = match.end() if match else self.pos

    def newlines(self) -> None:
        """Skip blanks and newlines; here-documents begin after the first of them."""
        self.blanks()
        while self.starts("\n"):
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
        """Read this reserved word or operator."""
        if not (self.take(word) if word in META else self.keyword(word)):
            self.fail(word)

    # Commands

    def series(self, stop_at_newline: bool = False) -> Node:
        """Commands separated by `;`, `&` and newlines, up to whatever cannot begin one."""
        items: list[tuple[Node, bool]] = []
        while True:
            node = self.and_or()
            background = self.take("&")
            items.append((node, background))
            if not background and not self.take(";") and (stop_at_newline or not self.starts("\n")):
                break
            if stop_at_newline:
                self.blanks()
            else:
                self.newlines()
            if self.at_end() or self.starts("\n"):
                break
        return items[0][0] if len(items) == 1 and not items[0][1] else Series(tuple(items))

    def at_end(self) -> bool:
        """Whether a list ends here: at `)`, `;;`, a closing reserved word or the end of the text."""
        match = KEYWORD.match(self.text, self.pos)
        closing = match is not None and match.group() in RESERVED
        return closing or self.pos >= len(self.text) or self.starts(")", ";;")

    def body(self, end: str) -> Node:
        """A compound list, and the word that ends it."""
        node = self.inner(end)
        self.expect(end)
        return node

    def inner(self, end: str) -> Node:
        """A compound list; what ends it is left to be read."""
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
        if self.take("("):
            node: Node = Subshell(self.body(")"))
        elif word := self.keyword(*COMPOUND):
            node = COMPOUND[word](self)
        elif match := FUNCTION.match(self.text, self.pos):
            self.pos = match.end()
            self.newlines()
            return Function(match[1], self.command())
        elif self.at_end():
            self.fail()
        else:
            return self.simple()
        redirects = tuple(iter(self.redirect, None))
        return Redirected(node, redirects) if redirects else node

    def if_(self) -> Node:
        """`if … fi`, after the `if`."""
        branches: list[tuple[Node, Node]] = []
        word, otherwise = "elif", None
        while word == "elif":
            condition = self.body("then")
            branches.append((condition, self.inner("fi")))
            word = self.keyword("elif", "else", "fi") or self.fail("fi")
        if word == "else":
            otherwise = self.body("fi")
        return If(tuple(branches), otherwise)

    def loop(self, until: bool = False) -> Node:
        """`while … do … done`, after the `while`."""
        return Loop(self.body("do"), self.body("done"), until)

    def for_(self) -> Node:
        """`for name in words; do …`, after the `for`."""
        self.blanks()
        name = literal(self.word()) or ""
        if not NAME.fullmatch(name):
            raise ShellSyntaxError("bad for loop variable")
        self.newlines()
        words = None
        if self.keyword("in"):
            self.blanks()
            words = tuple(iter(self.next_word, ()))
        self.take(";")
        self.newlines()
        self.expect("do")
        return For(name, words, self.body("done"))

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
            branches.append((tuple(patterns), Series(()) if self.at_end() else self.inner("esac")))
            if not self.take(";;"):
                self.expect("esac")
                break
            self.newlines()
        return Case(word, tuple(branches))

    def next_word(self) -> Word:
        """The next word of a list, or ()."""
        self.blanks()
        return self.word() if self.pos < len(self.text) and self.text[self.pos] not in META else ()

    def simple(self) -> Node:
        """Assignments, words and redirections, in any mixture."""
        assigns: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            if redirect := self.redirect():
                redirects.append(redirect)
            elif not words and (match := ASSIGN.match(self.text, self.pos)):
                self.pos = match.end()
                if self.starts("("):
                    raise ShellSyntaxError(f"{match[1]}=(…): this shell has no arrays, nor has any `sh`")
                assigns.append((match[1], tuple(self.parts(META, False))))
            elif word := self.next_word():
                words.append(word)
            else:
                break
        if not (assigns or words or redirects):
            self.fail()
        return Simple(tuple(assigns), tuple(words), tuple(redirects))

    # Redirections

    def redirect(self) -> Redirect | None:
        """One redirection, or None where there is none."""
        self.blanks()
        match = REDIRECT.match(self.text, self.pos)
        if match is None:
            return None
        op = match[2] or match[3]
        if op == "<<<" and not self.bash:
            raise ShellSyntaxError("<<< is bash's: `sh` has here-documents and pipes")
        self.pos = match.end()
        word = self.next_word() or self.fail("word")
        redirect = Redirect(int(match[1]) if match[1] else int(op[0] != "<"), op, word)
        if op in ("<<", "<<-"):
            quoted = any(isinstance(part, Text) and part.quoted for part in word)
            self.documents.append((redirect, literal(word) or "", quoted))
        return redirect

    def read_documents(self) -> None:
        """Read the bodies of the here-documents that the line before asked for."""
        pending, self.documents = self.documents, []
        for redirect, end, quoted in pending:
            body = ""
            while self.pos < len(self.text):
                line, newline, _ = self.text[self.pos :].partition("\n")
                self.pos += len(line + newline)
                line = line.lstrip("\t") if redirect.op == "<<-" else line
                if line == end:
                    break
                body += line + newline
            redirect.word = (Text(body, True),) if quoted else self.template(body)

    def template(self, text: str) -> Word:
        """Text with expansions in which quotes mean nothing: a here-document, an arithmetic expression."""
        return tuple(Parser(text, self.bash).parts("", True, here=True))

    # Words

    def word(self) -> Word:
        """One word, quotes and expansions and all."""
        start = self.pos
        parts = tuple(self.parts(META, False))
        if self.pos == start:
            self.fail("word")
        return parts or (Text("", False),)

    def parts(self, stop: str, quoted: bool, here: bool = False) -> list[Part]:
        """The parts up to a character in `stop`. In a here-document a double quote is itself."""
        found: list[Part] = []
        plain = re.compile("[^" + re.escape("\\'\"$`" + stop) + "]+")
        while self.pos < len(self.text) and (char := self.text[self.pos]) not in (stop or "\0"):
            if char == "\\":
                found += self.escape("$`\\" if here else '$`"\\' + stop if quoted else "")
            elif char == "'" and not quoted:
                found.append(Text(self.single_quoted(), True))
            elif char == '"' and not here:
                self.pos += 1
                found += self.parts('"', True) or [Text("", True)]
                self.close('"', "unterminated quoted string")
            elif char == "$":
                found.append(self.dollar(quoted))
            elif char == "`":
                found.append(self.backticks(quoted))
            else:
                match = plain.match(self.text, self.pos)
                found.append(Text(match.group() if match else char, quoted))
                self.pos = match.end() if match else self.pos + 1
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

    def single_quoted(self) -> str:
        """The text between `'` and `'`."""
        inner = self.text[self.pos + 1 :].partition("'")[0]
        self.pos += len(inner) + 1
        self.close("'", "unterminated quoted string")
        return inner

    def close(self, mark: str, otherwise: str) -> None:
        """Read the character that must be here."""
        if not self.starts(mark):
            raise ShellSyntaxError(otherwise)
        self.pos += 1

    def dollar(self, quoted: bool) -> Part:
        """Whatever begins with `$`."""
        self.pos += 1
        if self.starts("((") and (end := self.arithmetic_end()):
            inner, self.pos = self.text[self.pos + 2 : end], end + 2
            return Arith(self.template(inner), quoted)
        if self.starts("("):
            self.pos += 1
            self.newlines()
            return Output(None if self.take(")") else self.body(")"), quoted)
        if self.starts("{"):
            self.pos += 1
            return self.braced(quoted)
        if match := re.compile(r"[A-Za-z_]\w*|[\d@*#?$!-]").match(self.text, self.pos):
            self.pos = match.end()
            return Param(match.group(), quoted=quoted)
        return Text("$", quoted)

    def arithmetic_end(self) -> int:
        """Where the `))` is that ends the `((` here; 0 if this is a subshell in a command substitution after all."""
        depth = 0
        for place in range(self.pos, len(self.text)):
            depth += {"(": 1, ")": -1}.get(self.text[place], 0)
            if depth == 1 and self.text[place] == ")":
                return place if self.text.startswith("))", place) else 0
        return 0

    def backticks(self, quoted: bool) -> Part:
        """A command between backticks, where a backslash quotes only `$`, a backtick, itself (and a double quote)."""
        match = BACKTICKS.match(self.text, self.pos)
        if match is None:
            raise ShellSyntaxError("unterminated quoted string")
        self.pos = match.end()
        parser = Parser(re.sub(r'\\([$`\\"])' if quoted else r"\\([$`\\])", r"\1", match[1]), self.bash)
        lines: list[tuple[Node, bool]] = []
        while (line := parser.line()) is not None:
            lines.append((line, False))
        return Output(Series(tuple(lines)) if lines else None, quoted)

    def braced(self, quoted: bool) -> Part:
        """`${…}`, after the brace."""
        length = re.compile(r"#(?=[A-Za-z_\d@*#?$!-]+\})").match(self.text, self.pos)
        match = PARAMETER.match(self.text, self.pos + bool(length))
        if match is None:
            raise ShellSyntaxError("bad substitution")
        self.pos = match.end()
        op, arg = "len" * bool(length), list[Part]()
        if not length and (found := OPERATION.match(self.text, self.pos)):
            op, self.pos = found.group(), found.end()
            arg = self.parts("}", quoted and op[-1] in "-=+?")
        has = "this shell has ${x:-…} ${x:=…} ${x:+…} ${x:?…} ${x#…} ${x##…} ${x%…} ${x%%…} ${#x}, no arrays"
        self.close("}", f"bad substitution in ${{{match.group()}…: {has}")
        return Param(match.group(), op, tuple(arg), quoted)


ESCAPES = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def unescape(text: str) -> str:
    r"""Replace the backslash escapes of `echo -e` and `printf`: `unescape(r"a\tb\101")` is `a`, a tab, `bA`."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "01234567" or (code[0] == "x" and len(code) > 1):
            value = int(code[1:], 16) if code[0] == "x" else int(code, 8) & 0xFF
            return chr(value if value < 128 else 0xDC00 + value)  # one byte, as `surrogateescape` would decode it
        return ESCAPES.get(code, code if code in "\\'\"" else "\\" + code)

    return re.sub(r"(?s)\\(0?[0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", one, text)


COMPOUND: dict[str, Callable[[Parser], Node]] = {
    "{": lambda parser: parser.body("}"),
    "if": Parser.if_,
    "while": Parser.loop,
    "until": lambda parser: parser.loop(until=True),
    "for": Parser.for_,
    "case": Parser.case,
}
