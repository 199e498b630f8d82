"""`grep`, `sed` and `awk`: what they have of regular expressions, and as much of their languages as builds use."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from minidocker.runtime.simulated.kernel import Command, Process, Task
from minidocker.runtime.simulated.streams import encode
from minidocker.runtime.simulated.syntax import unescape
from minidocker.runtime.simulated.tool import Options, all_lines, classes, inputs, lines, need, tool

TABLE: dict[str, Command] = {}
BRACKET = re.compile(r"\[(\^?)(\]?(?:\[:\w+:\]|[^\]])*)\]")


def posix(pattern: str, extended: bool) -> str:
    r"""A POSIX regular expression as one of Python's: `posix(r"a\(b\)*c+", False) == r"a(b)*c\+"`."""
    found: list[str] = []
    place = 0
    while place < len(pattern):
        char, after = pattern[place], pattern[place + 1 : place + 2]
        if char == "[" and (match := BRACKET.match(pattern, place)):
            found.append(f"[{match[1]}" + re.sub(r"([\\\[\]])", r"\\\1", classes(match[2])) + "]")
            place = match.end()
            continue
        if char == "\\" and after:
            place += 1
            swap = not extended and after in "(){}|+?"
            known = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "n": "\n", "t": "\t"}
            same = after in "wWsSbB123456789"
            found.append(after if swap else known.get(after, "\\" + after if same else re.escape(after)))
        elif char == "*" and (not found or found[-1] in ("(", "|", "^")):
            found.append(r"\*")
        elif char == "^" and not extended and found and found[-1] not in ("(", "|"):
            found.append(r"\^")
        elif char == "$" and (extended or place + 1 == len(pattern) or pattern.startswith((r"\)", r"\|"), place + 1)):
            found.append(r"\Z")
        else:
            found.append(char if char in ".*^" or (extended and char in "(){}|+?") else re.escape(char))
        place += 1
    return "".join(found)


def compiled(pattern: str, extended: bool, ignore_case: bool = False) -> re.Pattern[str]:
    """`posix`, compiled; ValueError for a bad one."""
    try:
        return re.compile(posix(pattern, extended), re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise ValueError(f"bad regex '{pattern}': {error}") from None


GREP = "E=extended-regexp F=fixed-strings i=ignore-case v=invert-match c=count n=line-number l=files-with-matches "
GREP += "q=quiet o=only-matching r=recursive w=word-regexp x=line-regexp h=no-filename s=no-messages e:"


@tool(TABLE, "grep egrep fgrep", GREP)
def grep(process: Process, options: Options, operands: list[str]) -> Task:
    """Print the lines that match."""
    need(operands, "e" not in options)
    given, names = (options["e"], operands) if "e" in options else (operands[0], operands[1:])
    extended, fixed = "E" in options or process.args[0] == "egrep", "F" in options or process.args[0] == "fgrep"
    sources = [re.escape(one) if fixed else compiled(one, extended).pattern for one in given.split("\n")]
    whole = "|".join(f"(?:{source})" for source in sources)
    whole = rf"(?<!\w)(?:{whole})(?!\w)" if "w" in options else rf"\A(?:{whole})\Z" if "x" in options else whole
    matcher = re.compile(whole, re.IGNORECASE if "i" in options else 0)
    if "r" in options:
        names = [path for name in names or ["."] for path in tree(process, name)]
    found, status = yield from inputs(process, names)
    shown = (len(names) > 1 or "r" in options) and "h" not in options
    counts = [search(process, options, matcher, name, lines(content), shown) for name, content in found]
    return 0 if any(counts) and ("q" in options or not status) else 2 if status else 1


def tree(process: Process, top: str) -> list[str]:
    """All files below a path."""
    found: list[str] = []
    process.files.walk(top, lambda path, entry: found.append(path) if entry.kind == "file" else None)
    return found


def search(
    process: Process, options: Options, matcher: re.Pattern[str], name: str, rows: list[str], named: bool
) -> int:
    """`grep` in one input; how many lines were selected."""
    prefix = f"{name}:" * named
    picked = [(number, line) for number, line in enumerate(rows, 1) if bool(matcher.search(line)) != ("v" in options)]
    if "c" in options:
        process.out(f"{prefix}{len(picked)}\n")
    elif "l" in options:
        process.out(f"{name}\n" * bool(picked))
    elif "q" not in options:
        for number, line in picked:
            texts = [match.group() for match in matcher.finditer(line) if match.group()] if "o" in options else [line]
            process.out("".join(prefix + f"{number}:" * ("n" in options) + f"{text}\n" for text in texts))
    return len(picked)


# sed


@dataclass
class Step:
    """One command of a `sed` script: `1,/x/!s/a/b/g` -> addresses `1` and `/x/`, negated, name `s`."""

    addresses: list[int | re.Pattern[str]]
    negated: bool
    name: str
    text: str = ""
    pattern: re.Pattern[str] | None = None
    flags: str = ""
    active: bool = False  # whether we are inside its range

    def applies(self, number: int, last: int, line: str) -> bool:
        """Whether the addresses select this line."""

        def matches(address: int | re.Pattern[str]) -> bool:
            if isinstance(address, int):
                return number == (address if address >= 0 else last)
            return bool(address.search(line))

        if len(self.addresses) < 2:
            return all(map(matches, self.addresses)) != self.negated
        first, end = self.addresses
        selected = self.active or matches(first)
        if self.active:
            self.active = not matches(end) if not isinstance(end, int) or end < 0 else number < end
        elif selected:
            self.active = not isinstance(end, int) or end < 0 or end > number
        return selected != self.negated


class Script:
    """A `sed` script, parsed into its steps. ValueError for what is unknown."""

    def __init__(self, text: str, extended: bool) -> None:
        self.text, self.extended, self.place = text, extended, 0
        self.steps: list[Step] = []
        self.take(r"[\s;]*")
        while self.place < len(text):
            step = Step(self.addresses(), bool(self.take(r"\s*!\s*")), self.take(r"\s*(.)").strip())
            self.arguments(step)
            self.steps.append(step)
            self.take(r"[\s;]*")

    def take(self, pattern: str) -> str:
        """Read what matches here, perhaps nothing."""
        match = re.compile(pattern).match(self.text, self.place)
        self.place = match.end() if match else self.place
        return match.group() if match else ""

    def addresses(self) -> list[int | re.Pattern[str]]:
        """None, one or two of: a line number, `$` (as -1), `/regex/`."""
        found: list[int | re.Pattern[str]] = []
        while True:
            if text := self.take(r"\d+|\$"):
                found.append(-1 if text == "$" else int(text))
            elif self.text.startswith("/", self.place):
                found.append(compiled(self.delimited(), self.extended))
            if not found or len(found) == 2 or not self.take(r"\s*,\s*"):
                return found

    def delimited(self) -> str:
        """The text up to the next delimiter, which is the character here."""
        mark = self.text[self.place : self.place + 1]
        inner = rf"(?s)((?:\\.|\[\^?\]?(?:\[:\w+:\]|[^\]\n])*\]|[^\\{re.escape(mark)}])*?){re.escape(mark)}"
        match = re.compile(inner).match(self.text, self.place + 1)
        if not mark or match is None:
            raise ValueError("unterminated address or `s` command")
        self.place = match.end()
        return match[1].replace("\\" + mark, mark) if mark not in ".*[]^$+?(){}|" else match[1]

    def arguments(self, step: Step) -> None:
        """Read what belongs to a command."""
        if step.name == "s":
            pattern = self.delimited()
            self.place -= 1
            step.text, step.flags = self.replacement(), self.take("[gpiI]*")
            step.pattern = compiled(pattern, self.extended, bool({"i", "I"} & {*step.flags}))
        elif step.name in ("a", "i", "c"):
            text = self.take(r"[ \t]*\\\n(?:\\.|[^\\\n]|\\\n)*|[^\n]*")
            step.text = re.sub(r"(?s)\\(.)", r"\1", re.sub(r"\A[ \t]*(\\\n)?", "", text))
        elif step.name not in ("p", "d", "q", "="):
            raise ValueError(f"unknown command: `{step.name}` (the simulated runtime's sed has: s p d q = a i c)")

    def replacement(self) -> str:
        """The right side of `s`, as a template of Python's `re`."""
        found = ""
        for part in re.split(r"(?s)(\\.|&)", self.delimited()):
            if part == "&" or re.fullmatch(r"\\\d", part):
                found += rf"\g<{part[1:] or 0}>"
            else:
                plain = {r"\n": "\n", r"\t": "\t"}.get(part, part[1:] if part.startswith("\\") else part)
                found += plain.replace("\\", r"\\")
        return found

    def run(self, rows: list[str], out: Callable[[str], object], quiet: bool) -> int:
        """Edit lines; how many of them were read before `q`."""
        for number, line in enumerate(rows, 1):
            after, ended = [], ""
            for step in self.steps:
                if ended or not step.applies(number, len(rows), line):
                    continue
                if step.pattern:
                    line, count = step.pattern.subn(step.text, line, count="g" not in step.flags)
                    out(f"{line}\n" * (bool(count) and "p" in step.flags))
                elif step.name in ("p", "=", "i"):
                    out({"p": line, "=": str(number), "i": step.text}[step.name] + "\n")
                elif step.name == "a":
                    after.append(step.text)
                else:
                    ended = step.name
                    out(f"{step.text}\n" * (ended == "c" and not step.active))
            out(f"{line}\n" * (not quiet and ended in ("", "q")))
            out("".join(text + "\n" for text in after))
            if ended == "q":
                return number
        return len(rows)


@tool(TABLE, "sed", "n=quiet E=regexp-extended r e:=expression i=in-place")
def sed(process: Process, options: Options, operands: list[str]) -> Task:
    """Edit lines by a script: `sed -n 's/a/b/p' file`, `sed -i …` in place."""
    need(operands, "e" not in options)
    text, names = (options["e"], operands) if "e" in options else (operands[0], operands[1:])
    extended, quiet = bool(options.keys() & {"E", "r"}), "n" in options
    if "i" not in options:
        rows, status = yield from all_lines(process, names)
        Script(text, extended).run(rows, process.out, quiet)
        return status
    for name in names:
        out: list[str] = []
        before = process.files.read(name)
        rows = lines(before)
        done = Script(text, extended).run(rows, out.append, quiet)
        after = "".join([*out, *(line + "\n" for line in rows[done:])])
        process.files.write(name, encode(after if before.endswith(b"\n") else after.removesuffix("\n")))
    return 0


# awk

VALUE = r'"(?:\\.|[^"\\])*"|\$NF|\$\d+|NF|NR|\d+|,'
PATTERN = rf"(?:/((?:\\.|[^/\\])+)/|({VALUE})\s*([!=]=)\s*({VALUE}))?"
RULE = re.compile(rf"\s*{PATTERN}\s*(?:\{{\s*print\b((?:\s*(?:{VALUE}))*)[\s;]*\}})?\s*")


@tool(TABLE, "awk", "F:", operands=1)
def awk(process: Process, options: Options, operands: list[str]) -> Task:
    """Print fields: `awk -F: '$1 == "x" {print $2, "y" $NF}'`. The rest of the language is refused."""
    rule = RULE.fullmatch(operands[0])
    if rule is None or not operands[0].strip():
        has = """/regex/ or $1 == "text" or nothing, then {print $1, $NF, NF, NR, "text"}"""
        raise ValueError(f"the simulated runtime's awk only prints fields: `{operands[0]}` is not of the form {has}")
    regex, left, op, right, printed = rule.groups(default="")
    matcher, separator = compiled(regex.replace("\\/", "/"), True), unescape(options.get("F", " "))
    splitter = re.compile(separator if separator[1:] else re.escape(separator))
    rows, status = yield from all_lines(process, operands[1:])
    for number, line in enumerate(rows, 1):
        fields = line.split() if separator == " " else splitter.split(line)

        def value(token: str, line: str = line, fields: list[str] = fields, number: int = number) -> str:
            known = {"": "", ",": " ", "NF": str(len(fields)), "NR": str(number), "$0": line, "$NF": line}
            known |= {"$NF": fields[-1]} if fields else {}
            known |= {f"${place}": field for place, field in enumerate(fields, 1)}
            return unescape(token[1:-1]) if token[:1] == '"' else known.get(token, token if token.isdigit() else "")

        if matcher.search(line) and (value(left) == value(right)) == (op != "!="):
            process.out("".join(map(value, re.findall(VALUE, printed) or ["$0"])) + "\n")
    return status
