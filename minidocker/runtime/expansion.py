"""From words to arguments: what `sh` does between reading a command and running it (IEEE 1003.1, 2.6).

Parameters, command output and arithmetic are put in; what came in unquoted is split at `IFS`; patterns become the names
that they match; quotes are gone. Each character remembers meanwhile whether it was quoted, by way of two strings: a
`Field`'s text, and the same as a pattern, where quoted characters are escaped.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidocker.runtime.kernel import encode
from minidocker.runtime.syntax import Arith, Output, Param, Part, Text, Word

if TYPE_CHECKING:
    from minidocker.runtime.files import Files
    from minidocker.runtime.shell import Shell

CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9a-fA-F",
    "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
}


@dataclass
class Field:
    """A word on its way to becoming an argument."""

    text: str = ""
    pattern: str = ""

    def add(self, text: str, quoted: bool) -> None:
        """Append characters."""
        self.text += text
        self.pattern += re.sub(r"([\\*?\[\]!^-])", r"\\\1", text) if quoted else text


class Fields:
    """Collects the fields of a word; without `ifs` there is one, and nothing is split."""

    def __init__(self, ifs: str | None) -> None:
        self.done: list[Field] = []
        self.current: Field | None = None
        self.ifs = ifs
        if ifs:
            blank = re.escape("".join(char for char in ifs if char in " \t\n"))
            other = re.escape("".join(char for char in ifs if char not in " \t\n"))
            blanks = f"[{blank}]" if blank else "(?!)"
            self.separator = re.compile(f"{blanks}*([{other}]){blanks}*|{blanks}+" if other else f"(?!)()|{blanks}+")

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
        if quoted or not self.ifs:
            if text or quoted:
                self.add(text, quoted)
            return
        start = 0
        for match in self.separator.finditer(text):
            if match.start() > start:
                self.add(text[start : match.start()], False)
            self.end(force=match[1] is not None)
            start = match.end()
        if start < len(text):
            self.add(text[start:], False)


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
            if isinstance(part, Text):
                text = self.home(part) if number == 0 and part.text.startswith("~") and not part.quoted else part.text
                if inside and not part.quoted:
                    fields.value(text, False)
                else:
                    fields.add(text, part.quoted)
            else:
                yield from self.part(fields, part)

    def home(self, part: Text) -> str:
        """`~` and `~user` at the start of a word."""
        user, slash, rest = part.text.partition("/")
        if user == "~":
            return self.shell.variables.get("HOME", "~") + slash + rest
        return self.shell.home_of(user[1:], user) + slash + rest

    def part(self, fields: Fields, part: Part) -> Generator[bool, None, None]:
        """Add what an expansion gives."""
        if isinstance(part, Output):
            fields.value((yield from self.shell.output(part.body)), part.quoted)
        elif isinstance(part, Arith):
            expression = yield from self.string(part.expression)
            fields.value(str(self.arithmetic(expression)), part.quoted)
        elif isinstance(part, Param):
            yield from self.parameter(fields, part)

    def arithmetic(self, expression: str) -> int:
        """The value of `$((expression))`."""
        try:
            return Arithmetic(expression, self.shell.variables.get, self.shell.assign).value()
        except (ArithmeticError, ValueError) as error:
            self.shell.fatal(f"arithmetic syntax error: {error}" if isinstance(error, ValueError) else str(error))

    def parameter(self, fields: Fields, part: Param) -> Generator[bool, None, None]:
        """`$x` and all that braces can do with it."""
        name, op, many = part.name, part.op, part.name in "@*"
        value = self.shell.parameter(name)
        if op and op[-1] in "-=+?":
            empty = value is None or (op[0] == ":" and not value) or (many and not self.shell.arguments)
            if op[-1] == "+" or empty:
                if op[-1] == "?" or (op[-1] == "=" and empty):
                    yield from self.demand(part)
                    value = self.shell.parameter(name)
                    fields.value(value or "", part.quoted)
                elif empty != (op[-1] == "+"):
                    yield from self.word(fields, part.arg or ((Text("", True),) if part.quoted else ()), inside=True)
                elif part.quoted:
                    fields.add("", True)
                return
        elif value is None and "u" in self.shell.options and not many:
            self.shell.fatal(f"{name}: parameter not set")
        if many and op in ("", "-", ":-", "=", ":=", "?", ":?"):
            self.positional(fields, name, part.quoted)
            return
        cut = op and op[-1] not in "-=+?"
        fields.value((yield from self.edited(part, value or "")) if cut else value or "", part.quoted)

    def positional(self, fields: Fields, name: str, quoted: bool) -> None:
        """`$@` and `$*`: a field each, but `"$*"` is one."""
        arguments, ifs = self.shell.arguments, self.shell.variables.get("IFS", " ")
        if (name == "*" and quoted) or fields.ifs is None:
            fields.value((ifs[:1] if name == "*" else " ").join(arguments), quoted)
            return
        for number, argument in enumerate(arguments):
            if number:
                fields.end()
            fields.value(argument, quoted)

    def demand(self, part: Param) -> Generator[bool, None, None]:
        """`${x=word}` and `${x?word}` of something that is not there."""
        text = yield from self.string(part.arg)
        if part.op[-1] == "?":
            self.shell.fatal(f"{part.name}: {text or 'parameter not set' + ' or null' * (part.op[0] == ':')}")
        self.shell.assign(part.name, text)

    def edited(self, part: Param, value: str) -> Generator[bool, None, str]:
        """The operators that cut a value to size."""
        op = part.op
        if op == "len":
            bytes_ = len(encode(value))  # as in the C locale
            return str(len(self.shell.arguments) if part.name in "@*" else bytes_)
        if op == ":":
            start = self.arithmetic((yield from self.string(part.arg)))
            start = start if start >= 0 else max(len(value) + start, 0)
            if not part.second:
                return value[start:]
            length = self.arithmetic((yield from self.string(part.second)))
            return value[start : start + length if length >= 0 else len(value) + length]
        pattern = (yield from self.field(part.arg)).pattern
        if op[0] == "/":
            new = yield from self.string(part.second)
            return re.sub(regex(pattern), lambda _: new, value, count=op == "/", flags=re.DOTALL) if pattern else value
        matcher = re.compile(regex(pattern), re.DOTALL)
        cuts = range(len(value) + 1) if op in ("#", "%%") else range(len(value), -1, -1)
        for cut in cuts:
            if matcher.fullmatch(value[:cut] if op[0] == "#" else value[cut:]):
                return value[cut:] if op[0] == "#" else value[:cut]
        return value


def regex(pattern: str) -> str:
    """A shell pattern as a regular expression.

    >>> regex("*.[ch]"), regex(r"a\\*?")
    ('.*\\\\.[ch]', 'a\\\\*.')
    """
    found, place = [], 0
    bracket = re.compile(r"\[([!^]?)(\]?(?:\[:\w+:\]|\\.|[^\]\\])*)\]", re.DOTALL)
    while place < len(pattern):
        char = pattern[place]
        match = bracket.match(pattern, place) if char == "[" else None
        if match:
            inner = re.sub(
                r"\[:(\w+):\]",
                lambda name: CLASSES.get(str(name[1]), ""),
                match[2].replace("[", r"\[", match[2].startswith("[") and not match[2].startswith("[:")),
            )
            inner = "\\" + inner if inner.startswith(("]", "^")) else inner
            found.append(f"[{'^' if match[1] else ''}{inner}]" if inner else "(?!)")
            place = match.end()
            continue
        if char == "\\" and place + 1 < len(pattern):
            place += 1
            found.append(re.escape(pattern[place]))
        else:
            found.append({"*": ".*", "?": "."}.get(char) or re.escape(char))
        place += 1
    return "".join(found)


def glob(files: Files, pattern: str) -> list[str]:
    """The paths that a pattern matches, sorted; none if it is no pattern or nothing matches."""
    if not re.search(r"[*?]|\[.*\]", re.sub(r"\\.", "", pattern)):
        return []
    found = ["/"] if pattern.startswith("/") else [""]
    for name in [name for name in pattern.split("/") if name]:
        plain = re.sub(r"\\(.)", r"\1", name)
        if not re.search(r"[*?\[]", re.sub(r"\\.", "", name)):
            found = [posixpath.join(up, plain) for up in found]
            continue
        matcher = re.compile(regex(name), re.DOTALL)
        found = [
            posixpath.join(up, entry)
            for up in found
            if (here := files.find(up or ".")) and here.is_dir and files.permits(here, 4)
            for entry in ([".", ".."] if name.startswith(".") else []) + files.listdir(up or ".")
            if matcher.fullmatch(entry) and (name.startswith(".") or not entry.startswith("."))
        ]
    return [path for path in found if files.find(path, follow=False)]


LEVELS = ("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %", "**")
PRIORITY = {op: level for level, ops in enumerate(LEVELS) for op in ops.split()}
TOKEN = re.compile(
    r"\s*(0[xX][\da-fA-F]+|\d+|[A-Za-z_]\w*|<<=|>>=|\*\*|<<|>>|&&|\|\||\+\+|--|[-+*/%&|^<>=!]=|[-+*/%&|^<>=!~?:(),])"
)
ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}


def signed(number: int) -> int:
    """What is left of a number in 64 bits."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def divide(a: int, b: int) -> int:
    """C's division, towards zero."""
    if b == 0:
        raise ArithmeticError("divide by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def power(a: int, b: int) -> int:
    """`a ** b`, in 64 bits."""
    if b < 0:
        raise ArithmeticError("exponent less than 0")
    return signed(pow(a, b, 1 << 64))


OPERATORS: dict[str, Callable[[int, int], int]] = {
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    ">": lambda a, b: int(a > b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": divide,
    "%": lambda a, b: a - divide(a, b) * b,
    "**": power,
    "||": lambda a, b: int(bool(a or b)),
    "&&": lambda a, b: int(bool(a and b)),
}


class Arithmetic:
    """C's integer expressions in 64 bits, evaluated as they are read. `Arithmetic("1+2*3", get, put).value() == 7`."""

    def __init__(self, text: str, get: Callable[[str], str | None], put: Callable[[str, str], None]) -> None:
        self.text, self.get, self.put = text, get, put
        self.tokens: list[str] = []
        self.dead = 0  # inside a branch that is not taken: read, but nothing happens
        place = 0
        while text[place:].strip():
            match = TOKEN.match(text, place)
            if match is None:
                raise ValueError(repr(text))
            self.tokens.append(match[1])
            place = match.end()

    def value(self) -> int:
        """The whole expression's value; an empty one is 0."""
        if not self.tokens:
            return 0
        result = self.comma()
        if self.tokens:
            raise ValueError(repr(self.text))
        return result

    def next(self, *wanted: str) -> str:
        """Read a token, if it is one of those wanted."""
        return self.tokens.pop(0) if self.tokens and (not wanted or self.tokens[0] in wanted) else ""

    def need(self, token: str) -> None:
        """Read a token that must be here."""
        if not self.next(token):
            raise ValueError(repr(self.text))

    def comma(self) -> int:
        """`a, b`."""
        result = self.assignment()
        while self.next(","):
            result = self.assignment()
        return result

    def assignment(self) -> int:
        """`x = a`, `x += a`, and whatever binds tighter."""
        if len(self.tokens) > 1 and self.tokens[1] in ASSIGNMENTS and re.match(r"[A-Za-z_]", self.tokens[0]):
            name, op = self.next(), self.next()
            new = self.assignment()
            return self.store(name, new if op == "=" else self.apply(op[:-1], self.load(name), new))
        return self.choice()

    def choice(self) -> int:
        """`a ? b : c`."""
        condition = self.binary(0)
        if not self.next("?"):
            return condition
        yes = self.when(bool(condition), self.assignment)
        self.need(":")
        no = self.when(not condition, self.assignment)
        return yes if condition else no

    def when(self, alive: bool, read: Callable[[], int]) -> int:
        """Read on; with effect only if `alive`."""
        self.dead += not alive
        result = read()
        self.dead -= not alive
        return result

    def binary(self, level: int) -> int:
        """Operators of at least this priority."""
        left = self.unary()
        while self.tokens and PRIORITY.get(self.tokens[0], -1) >= level:
            op = self.next()
            above = PRIORITY[op] + (op != "**")
            alive = not ((op == "&&" and not left) or (op == "||" and left))
            right = self.when(alive, lambda above=above: self.binary(above))  # type: ignore[misc]
            left = self.apply(op, left, right)
        return left

    def apply(self, op: str, left: int, right: int) -> int:
        """One operation."""
        return 0 if self.dead else signed(OPERATORS[op](left, right))

    def unary(self) -> int:
        """Signs, `!`, `~`, `++x`, numbers, names and parentheses."""
        token = self.next()
        if token in ("++", "--") and self.tokens and re.match(r"[A-Za-z_]", self.tokens[0]):
            name = self.next()
            return self.store(name, self.load(name) + (1 if token == "++" else -1))
        if token in ("-", "+", "!", "~", "++", "--"):
            value = self.unary()
            return signed({"-": -value, "!": int(not value), "~": ~value}.get(token, value))
        if token == "(":
            value = self.comma()
            self.need(")")
            return value
        if re.match(r"[A-Za-z_]", token):
            value = self.load(token)
            if step := self.next("++", "--"):
                self.store(token, value + (1 if step == "++" else -1))
            return value
        return self.number(token)

    def number(self, text: str) -> int:
        """A constant: decimal, 0octal or 0xhex."""
        if not re.fullmatch(r"0[xX][\da-fA-F]+|0[0-7]*|[1-9]\d*", text):
            raise ValueError(repr(self.text))
        return signed(int(text, 16 if text[1:2] in ("x", "X") else 8 if text.startswith("0") else 10))

    def load(self, name: str) -> int:
        """A variable's value, which may be an expression itself; 0 if it is not set."""
        text = (self.get(name) or "0").strip()
        return Arithmetic(text, lambda inner: None if inner == name else self.get(inner), self.put).value()

    def store(self, name: str, value: int) -> int:
        """Set a variable."""
        if not self.dead:
            self.put(name, str(signed(value)))
        return signed(value)
