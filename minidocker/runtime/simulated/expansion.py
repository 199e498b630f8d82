"""From words to arguments: what `sh` does between reading a command and running it (IEEE 1003.1, 2.6).

Parameters, command output and arithmetic are put in; what came in unquoted is split at `IFS`; patterns become the names
that they match; quotes are gone. Each character remembers meanwhile whether it was quoted, by way of two strings: a
`Field`'s text, and the same as a pattern of `fnmatch`, where quoted characters are escaped.
"""

from __future__ import annotations

import fnmatch
import operator
import posixpath
import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidocker.runtime.simulated.streams import encode
from minidocker.runtime.simulated.syntax import Arith, Output, Param, Part, Text, Word

if TYPE_CHECKING:
    from minidocker.runtime.simulated.files import Files
    from minidocker.runtime.simulated.shell import Shell


@dataclass
class Field:
    """A word on its way to becoming an argument."""

    text: str = ""
    pattern: str = ""

    def add(self, text: str, quoted: bool) -> None:
        """Append characters."""
        self.text += text
        self.pattern += re.sub(r"([*?\[])", r"[\1]", text) if quoted else text

    def matches(self, text: str) -> bool:
        """Whether the pattern is of this text."""
        return fnmatch.fnmatchcase(text, self.pattern)


def separator(ifs: str) -> re.Pattern[str]:
    """What parts fields: blanks that are in IFS, or one other character of it with blanks around."""
    blank, other = (re.escape("".join(char for char in ifs if (char in " \t\n") == white)) for white in (True, False))
    blanks = f"[{blank}]" if blank else "(?!)"
    return re.compile(f"(?:{blanks})*[{other}](?:{blanks})*|{blanks}+" if other else f"{blanks}+")


class Fields:
    """Collects the fields of a word; without `ifs` there is one, and nothing is split."""

    def __init__(self, ifs: str | None) -> None:
        self.done: list[Field] = []
        self.current: Field | None = None
        self.separator = separator(ifs) if ifs else None

    def add(self, text: str, quoted: bool) -> None:
        """Append characters that are not to be split."""
        self.current = self.current or Field()
        self.current.add(text, quoted)

    def end(self, force: bool = False) -> None:
        """The field that is being collected, if any, is complete."""
        if self.current or force:
            self.done.append(self.current or Field())
        self.current = None

    def value(self, text: str, quoted: bool) -> None:
        """Append what an expansion gave."""
        start = 0
        for match in () if quoted or not self.separator else self.separator.finditer(text):
            if match.start() > start:
                self.add(text[start : match.start()], False)
            self.end(force=match.group().strip(" \t\n") != "")
            start = match.end()
        if start < len(text) or quoted:
            self.add(text[start:], quoted)


class Expansion:
    """The expansions of one shell."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def arguments(self, words: Iterable[Word]) -> Generator[bool, None, list[str]]:
        """All words as arguments: expanded, split, and matched against files."""
        found: list[str] = []
        for word in words:
            fields = Fields(self.shell.variables.get("IFS", " \t\n"))
            yield from self.word(fields, word)
            fields.end()
            for field in fields.done:
                names = [] if "f" in self.shell.options else glob(self.shell.process.files, field.pattern)
                found += names or [field.text]
        return found

    def field(self, word: Word) -> Generator[bool, None, Field]:
        """A word that is not split: an assignment, a redirection's target, a pattern, a here-document."""
        fields = Fields(None)
        yield from self.word(fields, word)
        return fields.current or Field()

    def string(self, word: Word) -> Generator[bool, None, str]:
        """`field`, as text."""
        return (yield from self.field(word)).text

    def word(self, fields: Fields, word: Word, inside: bool = False) -> Generator[bool, None, None]:
        """Add a word's parts; `inside` another expansion, literal text is split as well."""
        for number, part in enumerate(word):
            if not isinstance(part, Text):
                yield from self.part(fields, part)
                continue
            home = number == 0 and not part.quoted and re.match("~(?=/|$)", part.text)
            text = self.shell.variables.get("HOME", "~") + part.text[1:] if home else part.text
            (fields.value if inside and not part.quoted else fields.add)(text, part.quoted)

    def part(self, fields: Fields, part: Part) -> Generator[bool, None, None]:
        """Add what an expansion gives."""
        if isinstance(part, Output):
            fields.value((yield from self.shell.output(part.body)), part.quoted)
        elif isinstance(part, Arith):
            expression = yield from self.string(part.expression)
            try:
                fields.value(str(arithmetic(expression, self.shell.variables.get)), part.quoted)
            except ArithmeticError as error:
                self.shell.fatal(f"arithmetic error: {error}")
        elif isinstance(part, Param):
            yield from self.parameter(fields, part)

    def parameter(self, fields: Fields, part: Param) -> Generator[bool, None, None]:
        """`$x` and all that braces can do with it."""
        name, op, many = part.name, part.op, part.name in "@*"
        value = self.shell.parameter(name)
        if op and op[-1] in "-=+?":
            empty = value is None or (op[0] == ":" and not value) or (many and not self.shell.arguments)
            if empty == (op[-1] != "+"):
                if op[-1] in "-+":
                    yield from self.word(fields, part.arg or ((Text("", True),) if part.quoted else ()), inside=True)
                    return
                value = yield from self.demand(part)
            elif op[-1] == "+":
                fields.value("", part.quoted)
                return
        elif value is None and "u" in self.shell.options and not many:
            self.shell.fatal(f"{name}: parameter not set")
        if op == "len":
            value = str(len(self.shell.arguments) if many else len(encode(value or "")))  # bytes, as in the C locale
        elif op and op[0] in "#%":
            value = trimmed(value or "", op, (yield from self.field(part.arg)))
        elif many:
            self.positional(fields, name, part.quoted)
            return
        fields.value(value or "", part.quoted)

    def positional(self, fields: Fields, name: str, quoted: bool) -> None:
        """`$@` and `$*`: a field each, but `"$*"` is one."""
        arguments, ifs = self.shell.arguments, self.shell.variables.get("IFS", " ")
        if (name == "*" and quoted) or fields.separator is None:
            fields.value((ifs[:1] if name == "*" else " ").join(arguments), quoted)
            return
        for number, argument in enumerate(arguments):
            if number:
                fields.end()
            fields.value(argument, quoted)

    def demand(self, part: Param) -> Generator[bool, None, str]:
        """`${x=word}` and `${x?word}` of something that is not there."""
        text = yield from self.string(part.arg)
        if part.op[-1] == "?":
            self.shell.fatal(f"{part.name}: {text or 'parameter not set' + ' or null' * (part.op[0] == ':')}")
        self.shell.assign(part.name, text)
        return text


def trimmed(value: str, op: str, pattern: Field) -> str:
    """`${x#pattern}` and its kin: `#` and `%` cut off as little as they can, `##` and `%%` as much."""
    cuts = range(len(value) + 1) if op in ("#", "%%") else range(len(value), -1, -1)
    for cut in cuts:
        if pattern.matches(value[:cut] if op[0] == "#" else value[cut:]):
            return value[cut:] if op[0] == "#" else value[:cut]
    return value


def glob(files: Files, pattern: str) -> list[str]:
    """The paths that a pattern matches, sorted; none if it is no pattern or nothing matches."""
    if not re.search(r"[*?]|\[.+\]", re.sub(r"\[[*?\[]\]", "", pattern)):
        return []
    found = ["/"] if pattern.startswith("/") else [""]
    for name in filter(None, pattern.split("/")):
        plain = re.sub(r"\[([*?\[])\]", r"\1", name)
        if not re.search(r"[*?\[]", plain):
            found = [posixpath.join(up, name) for up in found]
            continue
        found = [
            posixpath.join(up, entry)
            for up in found
            if (here := files.find(up or ".")) and here.is_dir and files.permits(here, 4)
            for entry in files.listdir(up or ".")
            if fnmatch.fnmatchcase(entry, name) and (name.startswith(".") or not entry.startswith("."))
        ]
    return [path for path in found if files.find(path, follow=False)]


def signed(number: int) -> int:
    """What is left of a number in 64 bits."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def divide(a: int, b: int) -> int:
    """C's division, towards zero."""
    if b == 0:
        raise ArithmeticError("divide by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


LEVELS = ("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %")
PRIORITY = {op: level for level, ops in enumerate(LEVELS) for op in ops.split()}
TOKEN = re.compile(r"\s*(0[xX][\da-fA-F]+|\d+|[A-Za-z_]\w*|<<|>>|&&|\|\||[<>=!]=|[-+*/%&|^<>!~?:()]|\S)\s*")
NUMBER = re.compile(r"0[xX][\da-fA-F]+|0[0-7]*|[1-9]\d*")
OPERATORS: dict[str, Callable[[int, int], int]] = {
    "|": operator.or_,
    "^": operator.xor,
    "&": operator.and_,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "%": lambda a, b: a - divide(a, b) * b,
}
Value = Callable[[], int]  # an expression that was read; called, it is computed


def arithmetic(text: str, get: Callable[[str], str | None]) -> int:
    """C's integer expressions in 64 bits, without assignments: `arithmetic("1+2*x", {"x": "3"}.get) == 7`."""
    tokens = TOKEN.findall(text)[::-1]

    def unary() -> Value:
        token = tokens.pop() if tokens else ""
        if token in ("-", "+", "!", "~"):
            inner = unary()
            signs: dict[str, Callable[[int], int]] = {"-": operator.neg, "+": operator.pos, "~": operator.inv}
            return lambda: signed(int(signs.get(token, operator.not_)(inner())))
        if token == "(":
            value = choice()
            if not tokens or tokens.pop() != ")":
                raise ArithmeticError(f"syntax error: {text!r}")
            return value
        if re.match(r"[A-Za-z_]", token):
            return lambda: arithmetic(get(token) or "0", lambda name: None if name == token else get(name))
        if not NUMBER.fullmatch(token):
            raise ArithmeticError(f"syntax error: {text!r} (this shell has no assignments here)")
        number = signed(int(token, 16 if token[1:2] in ("x", "X") else 8 if token[0] == "0" else 10))
        return lambda: number

    def binary(level: int) -> Value:
        left = unary()
        while tokens and PRIORITY.get(tokens[-1], -1) >= level:
            op = tokens.pop()
            left = operation(op, left, binary(PRIORITY[op] + 1))
        return left

    def choice() -> Value:
        condition = binary(0)
        if not tokens or tokens[-1] != "?":
            return condition
        tokens.pop()
        yes = choice()
        if not tokens or tokens.pop() != ":":
            raise ArithmeticError(f"syntax error: {text!r}")
        no = choice()
        return lambda: yes() if condition() else no()

    whole = choice() if tokens else lambda: 0
    if tokens:
        raise ArithmeticError(f"syntax error: {text!r}")
    return whole()


def operation(op: str, left: Value, right: Value) -> Value:
    """Two values as one; of `&&` and `||` the right one may never be asked for."""
    if op == "&&":
        return lambda: int(bool(left() and right()))
    if op == "||":
        return lambda: int(bool(left() or right()))
    return lambda: signed(int(OPERATORS[op](left(), right())))
