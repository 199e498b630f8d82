"""`sed` and `awk`: the two small languages that shell scripts lean on. Of `sed` most, of `awk` a little."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from minidocker.runtime.kernel import Command, Process, Task, decode, encode
from minidocker.runtime.syntax import unescape
from minidocker.runtime.texttools import compiled
from minidocker.runtime.tool import Options, compare, inputs, lines, need, raw, read, tool

TABLE: dict[str, Command] = {}


@dataclass
class Step:
    """One command of a `sed` script: `1,/x/!s/a/b/g` -> addresses `1` and `/x/`, negated, name `s`."""

    addresses: list[str | int | re.Pattern[str]]
    negated: bool
    name: str
    text: str = ""
    pattern: re.Pattern[str] | None = None
    flags: str = ""
    end: int = 0  # for `{`: the step after its `}`
    active: bool = False  # whether we are inside its range


@dataclass
class Script:
    """A `sed` script, parsed. ValueError for what is unknown."""

    text: str
    extended: bool
    steps: list[Step] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place, self.last = 0, re.compile("")
        opened: list[Step] = []
        while self.skip(" \t\n;"):
            step = Step(self.addresses(), bool(self.take(r"\s*!\s*")), self.take(r"\s*(.)").strip())
            if step.name == "}":
                if not opened:
                    raise ValueError("unexpected '}'")
                opened.pop().end = len(self.steps)
                continue
            self.arguments(step)
            if step.name == "#":
                continue
            if step.name == ":":
                self.labels[step.text] = len(self.steps)
                continue
            opened += [step] if step.name == "{" else []
            self.steps.append(step)
        if opened:
            raise ValueError("unmatched '{'")

    def skip(self, chars: str) -> bool:
        """Pass over characters; False at the end."""
        while self.place < len(self.text) and self.text[self.place] in chars:
            self.place += 1
        return self.place < len(self.text)

    def take(self, pattern: str) -> str:
        """Read what matches here, perhaps nothing."""
        match = re.compile(pattern).match(self.text, self.place)
        self.place = match.end() if match else self.place
        return match.group() if match else ""

    def addresses(self) -> list[str | int | re.Pattern[str]]:
        """None, one or two of: a line number, `$`, `/regex/`, `first~step`, `+count`."""
        found: list[str | int | re.Pattern[str]] = []
        while True:
            if text := self.take(r"\d+~\d+|\+\d+|\$"):
                found.append(text)
            elif text := self.take(r"\d+"):
                found.append(int(text))
            elif self.text[self.place : self.place + 1] in ("/", "\\"):
                self.place += self.text[self.place] == "\\"
                found.append(self.regex(self.delimited(), re.IGNORECASE * bool(self.take("I"))))
            if not found or len(found) == 2 or not self.take(r"\s*,\s*"):
                return found

    def delimited(self) -> str:
        """The text up to the next delimiter, which is the character here; it is read but not the one at the end."""
        mark = self.text[self.place]
        match = re.compile(
            rf"((?:\\.|\[\^?\]?(?:\[:\w+:\]|[^\]\n])*\]|[^\\{re.escape(mark)}])*?){re.escape(mark)}", re.DOTALL
        ).match(self.text, self.place + 1)
        if match is None:
            raise ValueError("unterminated address or `s` command")
        self.place = match.end()
        return match[1].replace("\\" + mark, mark) if mark != "\\" and mark not in ".*[]^$+?(){}|" else match[1]

    def regex(self, text: str, flags: int = 0) -> re.Pattern[str]:
        """A regular expression; an empty one is the last one again."""
        self.last = compiled(text, self.extended, flags) if text else self.last
        return self.last

    def arguments(self, step: Step) -> None:
        """Read what belongs to a command."""
        if step.name == "s":
            mark = self.text[self.place : self.place + 1]
            pattern = self.delimited()
            self.place -= 1
            step.text, step.flags = self.replacement(mark), self.take(r"[gpiIm0-9]*")
            step.pattern = self.regex(pattern, re.IGNORECASE * bool(set("iI") & set(step.flags)))
        elif step.name == "y":
            source = self.delimited()
            self.place -= 1
            step.text, step.flags = source, self.delimited()
            if len(unescape(source)) != len(unescape(step.flags)):
                raise ValueError("strings for `y` command are different lengths")
        elif step.name in "aic":
            text = self.take(r"[ \t]*\\\n(?:\\.|[^\\\n]|\\\n)*|[^\n]*(?:\\\n[^\n]*)*")
            step.text = re.sub(r"\\(.)", r"\1", re.sub(r"\A[ \t]*(\\\n)?", "", text), flags=re.DOTALL)
        elif step.name in ":btrw":
            step.text = self.take(r"[^\n;}]*" if step.name in "bt" else r"[^\n;]*").strip()
            if step.name in "rw":
                raise ValueError(f"the simulated runtime's sed has no `{step.name}` command")
        elif step.name == "#":
            self.take(r"[^\n]*")
        elif step.name in "qQ":
            step.text = self.take(r"\s*\d*").strip()
        elif step.name not in "{pdDnNhHgGx=":
            raise ValueError(f"unknown command: `{step.name}`")

    def replacement(self, mark: str) -> str:
        """The right side of `s`, as a template of Python's `re`."""
        text = self.delimited()
        parts = re.split(r"(\\.|&)", text, flags=re.DOTALL)
        names = {"\\n": "\n", "\\t": "\t", "\\&": "&", "&": r"\g<0>", "\\" + mark: mark}
        found = ""
        for part in parts:
            if part in names:
                found += names[part]
            elif re.fullmatch(r"\\\d", part):
                found += rf"\g<{part[1]}>"
            else:
                found += (part[1:] if part.startswith("\\") and len(part) == 2 else part).replace("\\", r"\\")
        return found


class Editor:
    """A `sed` at work on one stream of lines."""

    def __init__(self, script: Script, rows: list[str], out: Callable[[str], None], quiet: bool) -> None:
        self.script, self.rows, self.out, self.quiet = script, rows, out, quiet
        self.number, self.hold, self.space = 0, "", ""
        self.status = 0

    def run(self) -> bool:
        """All lines; False where `q` ended it before the end."""
        again = False
        while again or self.number < len(self.rows):
            if not again:
                self.space = self.rows[self.number]
                self.number += 1
            self.after: list[str] = []
            again = False
            outcome = self.cycle()
            if outcome in ("", "q") and not self.quiet:
                self.out(self.space + "\n")
            for text in self.after:
                self.out(text + "\n")
            if outcome in ("q", "Q"):
                return False
            again = outcome == "D"
        return True

    def cycle(self) -> str:
        """One run through the script; how it ended: `""`, `d` (nothing to print), `D`, `q`, `Q`."""
        place, changed = 0, False
        while place < len(self.script.steps):
            step = self.script.steps[place]
            place += 1
            if not self.applies(step):
                place = step.end if step.name == "{" else place
                continue
            if step.name == "s" and step.pattern:
                changed |= self.substitute(step)
            elif step.name in "bt":
                if step.name == "b" or changed:
                    if step.text and step.text not in self.script.labels:
                        raise ValueError(f"can't find label for jump to `{step.text}'")
                    place, changed = self.script.labels.get(step.text, len(self.script.steps)), False
            elif step.name in "dDqQ":
                self.status = int(step.text or 0)
                if step.name == "D" and "\n" in self.space:
                    self.space = self.space.partition("\n")[2]
                    return "D"
                return step.name.lower() if step.name == "D" else step.name
            elif step.name in "nN":
                if self.number >= len(self.rows):
                    return "" if step.name == "N" or not self.quiet else "d"
                if step.name == "n" and not self.quiet:
                    self.out(self.space + "\n")
                self.space = (self.space + "\n" if step.name == "N" else "") + self.rows[self.number]
                self.number += 1
            elif step.name == "c":
                if len(step.addresses) < 2 or not step.active:
                    self.out(step.text + "\n")
                return "d"
            else:
                self.simple(step)
        return ""

    def simple(self, step: Step) -> None:
        """The commands that do not change the way through the script."""
        name = step.name
        if name == "p":
            self.out(self.space + "\n")
        elif name == "=":
            self.out(f"{self.number}\n")
        elif name == "i":
            self.out(step.text + "\n")
        elif name == "a":
            self.after.append(step.text)
        elif name == "y":
            self.space = self.space.translate(str.maketrans(unescape(step.text), unescape(step.flags)))
        elif name == "x":
            self.space, self.hold = self.hold, self.space
        elif name in "hH":
            self.hold = (self.hold + "\n" if name == "H" else "") + self.space
        elif name in "gG":
            self.space = (self.space + "\n" if name == "G" else "") + self.hold

    def substitute(self, step: Step) -> bool:
        """`s/pattern/text/flags`."""
        assert step.pattern
        nth = int("".join(char for char in step.flags if char.isdigit()) or 1)
        seen = 0

        def one(match: re.Match[str]) -> str:
            nonlocal seen
            seen += 1
            return match.expand(step.text) if seen == nth or (seen > nth and "g" in step.flags) else match[0]

        self.space = step.pattern.sub(one, self.space)
        if seen >= nth and "p" in step.flags:
            self.out(self.space + "\n")
        return seen >= nth

    def applies(self, step: Step) -> bool:
        """Whether the addresses select this line."""
        if len(step.addresses) < 2:
            return (not step.addresses or self.matches(step.addresses[0])) != step.negated
        first, last = step.addresses
        if not step.active:
            selected = first == 0 or self.matches(first)
            if selected:
                step.text = step.text
                self.stop = self.number + int(last[1:]) if isinstance(last, str) and last[0] == "+" else last
                over = isinstance(self.stop, int) and self.stop <= self.number
                step.active = not over and not (first == 0 and isinstance(last, re.Pattern) and self.matches(last))
            return selected != step.negated
        last = self.stop if isinstance(last, str) and last[0] == "+" else last
        step.active = self.number < last if isinstance(last, int) else not self.matches(last)
        return not step.negated

    def matches(self, address: str | int | re.Pattern[str]) -> bool:
        """Whether one address is this line."""
        if isinstance(address, int):
            return self.number == address
        if isinstance(address, str):
            if address == "$":
                return self.number == len(self.rows)
            first, _, step = address.partition("~")
            return self.number >= int(first) and (self.number - int(first)) % (int(step) or 1) == 0
        return bool(address.search(self.space))


@raw(TABLE, "sed")
def sed(process: Process, args: list[str]) -> Task:
    """Edit lines by a script: `sed -n 's/a/b/p' file`, `sed -i …` in place."""
    suffix, plain = None, []
    for arg in args:
        if arg.startswith(("-i", "--in-place")) and not arg.startswith("-ie"):
            suffix = arg.removeprefix("--in-place").removeprefix("-i").removeprefix("=")
        elif match := re.fullmatch("-([nErs]+)i", arg):
            suffix = ""
            plain.append(f"-{match[1]}")
        else:
            plain.append(arg)
    return (yield from edit(process, plain, suffix))


def edit(process: Process, args: list[str], suffix: str | None) -> Task:
    """`sed`, once `-i` is out of the way; with a `suffix` (perhaps empty) each file is edited in place."""
    import getopt

    try:
        found, names = getopt.gnu_getopt(
            args, "nErse:f:z", ["expression=", "quiet", "silent", "regexp-extended", "file="]
        )
    except getopt.GetoptError as error:
        raise ValueError(f"{error.msg} (the simulated runtime's sed has: -n -E -r -s -e -f -i)") from None
    flags = {flag.lstrip("-")[0] for flag, _ in found}
    scripts = [value for flag, value in found if flag in ("-e", "--expression")]
    for flag, value in found:
        if flag in ("-f", "--file"):
            scripts.append(decode((yield from read(process, value))))
    if not scripts:
        scripts, names = [next(need(names))], names[1:]
    script = Script("\n".join(scripts), bool(flags & {"E", "r"}))
    quiet = bool(flags & {"n", "q"}) or script.text.startswith("#n\n")
    if suffix is None:
        contents, status = yield from inputs(process, names)
        editor = Editor(script, [line for _, content in contents for line in lines(content)], process.out, quiet)
        editor.run()
        return editor.status or status
    for name in need(names):
        out: list[str] = []
        before = process.files.read(name)
        editor = Editor(Script(script.text, script.extended), lines(before), out.append, quiet)
        if not editor.run():
            out += [line + "\n" for line in editor.rows[editor.number :]]
        if suffix:
            process.files.write(name + suffix, before)
        text = "".join(out)
        process.files.write(name, encode(text if before.endswith(b"\n") or not before else text.removesuffix("\n")))
    return 0


# awk: patterns and print


TOKENS = re.compile(
    r'\s*("(?:\\.|[^"\\])*"|\$?NF|\$?NR|\$\d+|\d+(?:\.\d+)?|[A-Za-z_]\w*|==|!=|<=|>=|!~|&&|\|\||/(?:\\.|[^/\\])+/|[<>~+\-*/%,;(){}!])'
)


@tool(TABLE, "awk", "F: v:")
def awk(process: Process, options: Options, operands: list[str]) -> Task:
    """Print fields: `awk -F: '$3 > 999 {print $1, "x" $NF}'`. Patterns, `print`, BEGIN, END; the rest is refused."""
    rules = list(parse_awk(next(need(operands))))
    found, status = yield from inputs(
        process, operands[1:] if any(kind != "BEGIN" for kind, _, _ in rules) else ["/dev/null"]
    )
    variables = dict(item.split("=", 1) for item in options.get("v", "").split("\n") if "=" in item)
    separator = unescape(options.get("F", " "))
    record = Record(variables, separator)
    for kind, _, action in rules:
        if kind == "BEGIN":
            process.out(record.print(action))
    for line in [line for _, content in found for line in lines(content)]:
        record.load(line)
        for kind, pattern, action in rules:
            if kind == "" and (not pattern or record.holds(pattern)):
                process.out(record.print(action))
    for kind, _, action in rules:
        if kind == "END":
            process.out(record.print(action))
    return status


def parse_awk(text: str) -> Iterator[tuple[str, list[str], list[list[list[str]]]]]:
    """Rules: BEGIN, END or "", the pattern's tokens, and for each `print` its comma-separated expressions."""

    def refuse(what: str) -> ValueError:
        return ValueError(f"the simulated runtime's awk only prints fields: it does not know `{what}`")

    for pattern, body in re.findall(
        r'\s*((?:"(?:\\.|[^"\\])*"|/(?:\\.|[^/\\])*/|[^{}"/])*)(?:\{((?:"(?:\\.|[^"\\])*"|[^{}"])*)\})?', text.strip()
    ):
        pattern = pattern.strip()
        if not pattern and not body:
            continue
        kind = pattern if pattern in ("BEGIN", "END") else ""
        prints: list[list[list[str]]] = []
        for statement in tokenize(body, refuse):
            if not statement:
                continue
            if statement[0] != "print":
                raise refuse(statement[0])
            expressions: list[list[str]] = [[]]
            for token in statement[1:]:
                if token == ",":
                    expressions.append([])
                elif token in ("(", ")") or (re.fullmatch(r"\W+", token) and not token.startswith(('"', "$"))):
                    raise refuse(token)
                else:
                    expressions[-1].append(token)
            prints.append(expressions if expressions != [[]] else [[["$0"]][0]])
        condition = [token for part in tokenize(pattern if not kind else "", refuse) for token in part]
        yield kind, condition, prints or [[["$0"]]] if not body else prints


def tokenize(text: str, refuse: Callable[[str], ValueError]) -> list[list[str]]:
    """Tokens, cut into statements at `;`."""
    found: list[list[str]] = [[]]
    place = 0
    while text[place:].strip():
        match = TOKENS.match(text, place)
        if match is None:
            raise refuse(text[place:].strip())
        place = match.end()
        if match[1] == ";":
            found.append([])
        else:
            found[-1].append(match[1])
    return found


class Record:
    """The line that `awk` is at."""

    def __init__(self, variables: dict[str, str], separator: str) -> None:
        self.variables, self.separator, self.number = variables, separator, 0
        self.line, self.fields = "", list[str]()

    def load(self, line: str) -> None:
        """Go to the next line."""
        self.number, self.line = self.number + 1, line
        if self.separator == " ":
            self.fields = line.split()
        else:
            self.fields = (
                re.split(self.separator if len(self.separator) > 1 else re.escape(self.separator), line) if line else []
            )

    def value(self, token: str) -> str:
        """A field, a string, a number, NR, NF or a variable of `-v`."""
        if token[0] == '"':
            return unescape(token[1:-1]).replace('\\"', '"')
        if token[0] == "$":
            index = len(self.fields) if token == "$NF" else self.number if token == "$NR" else int(token[1:])
            return self.line if index == 0 else self.fields[index - 1] if index <= len(self.fields) else ""
        if token in ("NR", "NF"):
            return str(self.number if token == "NR" else len(self.fields))
        return token if token[0].isdigit() else self.variables.get(token, "")

    def print(self, statements: list[list[list[str]]]) -> str:
        """What the `print` statements of a rule print."""
        rows = [" ".join("".join(map(self.value, tokens)) for tokens in expressions) for expressions in statements]
        return "".join(row + "\n" for row in rows)

    def holds(self, tokens: list[str]) -> bool:
        """A condition: `/regex/`, `a op b`, `!` before it, with `&&` and `||` between."""
        for op, combine in (("||", any), ("&&", all)):
            if op in tokens:
                place = tokens.index(op)
                return combine([self.holds(tokens[:place]), self.holds(tokens[place + 1 :])])
        if tokens[0] == "!":
            return not self.holds(tokens[1:])
        if len(tokens) == 1:
            if tokens[0][0] == "/":
                return bool(compiled(tokens[0][1:-1].replace("\\/", "/"), True).search(self.line))
            return self.value(tokens[0]) not in ("", "0")
        if len(tokens) == 5 and tokens[1] == "%":
            tokens = [str(int(float(self.value(tokens[0])) % float(self.value(tokens[2])))), *tokens[3:]]
        if len(tokens) != 3:
            raise ValueError(f"the simulated runtime's awk does not know the pattern `{' '.join(tokens)}`")
        left, op, right = tokens
        if op in ("~", "!~"):
            source = right[1:-1] if right[0] == "/" else self.value(right)
            return bool(compiled(source, True).search(self.value(left))) == (op == "~")
        a, b = self.value(left), self.value(right)
        number = re.compile(r"\s*-?\d+(\.\d+)?\s*")
        numbers = number.fullmatch(a) and number.fullmatch(b) and right[0] != '"'
        return compare(float(a), op, float(b)) if numbers else compare(a, op, b)
