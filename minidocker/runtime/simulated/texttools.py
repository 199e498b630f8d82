"""Commands on text: `cat`, `sort`, `cut`, `printf`… They read what comes in, and print."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from minidocker.runtime.simulated.kernel import Command, Process, Task
from minidocker.runtime.simulated.streams import Source, decode, encode
from minidocker.runtime.simulated.syntax import unescape
from minidocker.runtime.simulated.tool import (
    Options,
    all_lines,
    classes,
    inputs,
    lines,
    need,
    raw,
    read,
    run_program,
    streams,
    tool,
)

TABLE: dict[str, Command] = {}


@tool(TABLE, "cat")
def cat(process: Process, options: Options, operands: list[str]) -> Task:  # noqa: ARG001
    """Print files one after the other."""
    found, status = streams(process, operands)
    for _, stream in found:
        while data := (yield from process.read(stream)):
            yield from process.write(data)
    return status


@tool(TABLE, "head", "n:=lines c:=bytes")
def head(process: Process, options: Options, operands: list[str]) -> Task:
    """Print the beginning. It reads no further than it must, so `yes | head` ends."""
    limit = int(options.get("c") or options.get("n", "10"))
    found, status = streams(process, operands)
    for number, (name, stream) in enumerate(found):
        if len(operands) > 1:
            process.out("\n" * (number > 0) + f"==> {name} <==\n")
        content, count = bytearray(), 0
        while count < limit and (data := (yield from process.read(stream))):
            content += data
            count += len(data) if "c" in options else data.count(b"\n")
        process.out(bytes(content[:limit]) if "c" in options else b"".join(content.splitlines(True)[:limit]))
        yield from process.flush()
    return status


@tool(TABLE, "tail", "n:=lines c:=bytes f=follow F")
def tail(process: Process, options: Options, operands: list[str]) -> Task:
    """Print the end; with `-f` go on as more comes."""
    text = options.get("c") or options.get("n", "10")
    found, status = yield from inputs(process, operands)
    for number, (name, content) in enumerate(found):
        if len(found) > 1:
            process.out("\n" * (number > 0) + f"==> {name} <==\n")
        parts = re.findall(b"(?s).", content) if "c" in options else content.splitlines(True)
        start = int(text) - 1 if text.startswith("+") else len(parts) - abs(int(text))
        process.out(b"".join(parts[max(start, 0) :]))
    yield from process.flush()
    while options.keys() & {"f", "F"}:
        yield False
        for number, (name, before) in enumerate(found):
            entry = process.files.find(name) if name != "-" else None
            if entry and entry.kind == "file" and entry.size != len(before):
                now = process.files.read(name)
                yield from process.write(now[len(before) :] if len(now) > len(before) else now)
                found[number] = (name, now)
    return status


@tool(TABLE, "wc", "l=lines w=words c=bytes m=chars")
def wc(process: Process, options: Options, operands: list[str]) -> Task:
    """Count lines, words and bytes."""
    counters: dict[str, Callable[[bytes], int]] = {
        "l": lambda data: data.count(b"\n"),
        "w": lambda data: len(data.split()),
        "m": lambda data: len(decode(data)),
        "c": len,
    }
    wanted = [key for key in counters if key in options] or ["l", "w", "c"]
    found, status = yield from inputs(process, operands)
    table = [([counters[key](content) for key in wanted], name) for name, content in found]
    if len(found) > 1:
        table.append(([sum(column) for column in zip(*(counts for counts, _ in table), strict=True)], "total"))
    width = 1 if len(wanted) == 1 else 9
    for counts, name in table:
        process.out(" ".join(f"{count:{width}}" for count in counts) + f" {name}" * bool(operands) + "\n")
    return status


@tool(TABLE, "sort", "r=reverse n=numeric-sort u=unique k:=key t:=field-separator f=ignore-case V=version-sort o:")
def sort(process: Process, options: Options, operands: list[str]) -> Task:
    """Sort lines, by bytes as in the C locale."""
    rows, status = yield from all_lines(process, operands)
    common = set(options) & set("nfVr")
    keys = [Key.parse(spec, common, options.get("t")) for spec in options.get("k", "").split("\n") if spec]
    keys = keys or [Key(common)]
    for key in reversed(keys if "u" in options else [*keys, Key(common & {"r"})]):
        rows.sort(key=key.value, reverse="r" in key.flags)
    if "u" in options:
        rows = list({tuple(key.value(line) for key in keys): line for line in reversed(rows)}.values())[::-1]
    content = "".join(line + "\n" for line in rows)
    if "o" in options:
        process.files.write(options["o"], encode(content))
    else:
        process.out(content)
    return status


@dataclass
class Key:
    """What `sort` compares lines by: the fields `first` to `last` (`-k 2,3n`), by number, version or bytes."""

    flags: set[str]
    separator: str | None = None
    first: int = 1
    last: int | None = None

    @classmethod
    def parse(cls, spec: str, common: set[str], separator: str | None) -> Key:
        """`2`, `2,3n`, `1r`; a key without flags has those that are given for all."""
        match = re.fullmatch(r"(\d+)([nfVr]*)(?:,(\d+)([nfVr]*))?", spec)
        if match is None:
            raise ValueError(f"bad key '{spec}' (the simulated runtime's sort knows whole fields)")
        flags = set(match[2] + (match[4] or ""))
        return cls(flags or common, separator, int(match[1]), int(match[3]) if match[3] else None)

    def value(self, line: str) -> tuple[object, ...]:
        """What to compare of a line."""
        text = line
        if self.first > 1 or self.last:
            parts = line.split(self.separator) if self.separator else re.findall(r"\s*\S+", line)
            text = (self.separator or "").join(parts[self.first - 1 : self.last])
        if "n" in self.flags:
            match = re.match(r"\s*(-?\d+\.?\d*|-?\.\d+)", text)
            return (float(match[1]) if match else 0.0,)
        if "V" in self.flags:
            return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", text))
        return (encode(text.upper() if "f" in self.flags else text),)


@tool(TABLE, "uniq", "c=count d=repeated u=unique")
def uniq(process: Process, options: Options, operands: list[str]) -> Task:
    """Leave out lines that repeat the one before."""
    groups: list[list[str]] = []
    rows, status = yield from all_lines(process, operands[:1])
    for line in rows:
        if groups and line == groups[-1][0]:
            groups[-1].append(line)
        else:
            groups.append([line])
    for group in groups:
        if not (("d" in options and len(group) < 2) or ("u" in options and len(group) > 1)):
            process.out((f"{len(group):7} " if "c" in options else "") + group[0] + "\n")
    return status


def ranges(text: str) -> Callable[[int], bool]:
    """`1,3-5,7-` as a test of numbers."""
    spans = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d*)(-?)(\d*)", part)
        if match is None or not part.strip("-"):
            raise ValueError(f"invalid list '{text}'")
        spans.append((int(match[1] or 1), int(match[3] or 1 << 60) if match[2] else int(match[1])))
    return lambda number: any(low <= number <= high for low, high in spans)


@tool(TABLE, "cut", "d:=delimiter f:=fields c:=characters b:=bytes s=only-delimited")
def cut(process: Process, options: Options, operands: list[str]) -> Task:
    """Cut fields or characters out of each line."""
    places = options.get("f") or options.get("c") or options.get("b")
    if places is None:
        raise ValueError("expected a list of bytes, characters, or fields")
    chosen, delimiter = ranges(places), options.get("d", "\t") if "f" in options else ""
    rows, status = yield from all_lines(process, operands)
    for line in rows:
        if delimiter and delimiter not in line:
            process.out(line + "\n" if "s" not in options else "")
            continue
        parts = line.split(delimiter) if delimiter else list(line)
        process.out(delimiter.join(part for place, part in enumerate(parts, 1) if chosen(place)) + "\n")
    return status


def characters(text: str) -> str:
    """A set of `tr`: escapes, ranges and classes written out."""

    def span(match: re.Match[str]) -> str:
        return "".join(chr(code) for code in range(ord(match[1]), ord(match[2]) + 1))

    return re.sub(r"(?s)(.)-(.)", span, unescape(classes(text)))


@tool(TABLE, "tr", "d=delete s=squeeze-repeats c=complement", operands=1)
def tr(process: Process, options: Options, operands: list[str]) -> Task:
    """Translate, delete or squeeze characters."""
    sets = [characters(operand) for operand in operands]
    text = decode((yield from process.read_all()))
    first = set(sets[0]) if "c" not in options else ({chr(code) for code in range(256)} | set(text)) - set(sets[0])
    if "d" in options:
        text = "".join(char for char in text if char not in first)
    elif len(sets) > 1:
        last = sets[1][-1:]
        table = dict.fromkeys(first, last) | ({} if "c" in options else dict(zip(sets[0], sets[1], strict=False)))
        text = "".join(table.get(char, char) for char in text)
    if "s" in options:
        squeezed = set(sets[-1]) if len(sets) > 1 else first
        text = re.sub(r"(?s)(.)\1+", lambda match: match[1] if match[1] in squeezed else match[0], text)
    process.out(text)
    return 0


@tool(TABLE, "tee", "a=append")
def tee(process: Process, options: Options, operands: list[str]) -> Task:
    """Copy the input to files and to the output."""
    streams = [process.open(name, "a" if "a" in options else "w") for name in operands]
    while data := (yield from process.read()):
        for stream in streams:
            stream.write(data)
        yield from process.write(data)
    return 0


@tool(TABLE, "paste", "s=serial d:=delimiters")
def paste(process: Process, options: Options, operands: list[str]) -> Task:
    """Put lines side by side; with `-s` each file's lines in one."""
    found, status = yield from inputs(process, operands)
    columns = [lines(content) for _, content in found]
    if "s" not in options:
        height = max((len(column) for column in columns), default=0)
        columns = [[column[row] if row < len(column) else "" for column in columns] for row in range(height)]
    process.out("".join(unescape(options.get("d", "\t"))[:1].join(row) + "\n" for row in columns))
    return status


@tool(TABLE, "tac rev")
def backwards(process: Process, _: Options, operands: list[str]) -> Task:
    """Reverse the order of lines (`tac`), or each line (`rev`)."""
    rows, status = yield from all_lines(process, operands)
    rows = rows[::-1] if process.args[0] == "tac" else [row[::-1] for row in rows]
    process.out("".join(f"{row}\n" for row in rows))
    return status


@tool(TABLE, "cmp diff", "u q=brief s", operands=2)
def diff(process: Process, options: Options, operands: list[str]) -> Task:
    """Compare two files; the output of `diff` is unified, as busybox's is."""
    one, two = (yield from read(process, operands[0])), (yield from read(process, operands[1]))
    if one == two:
        return 0
    if process.args[0] == "diff" and "q" not in options:
        rows = difflib.unified_diff(lines(one), lines(two), operands[0], operands[1], lineterm="")
        process.out("".join(row + "\n" for row in rows))
    elif "s" not in options:
        process.out(f"{operands[0]} {operands[1]} differ\n")
    return 1


@raw(TABLE, "seq")
def seq(process: Process, args: list[str]) -> None:
    """Print numbers: `seq last`, `seq first last`, `seq first step last`."""
    if not 1 <= len(args) <= 3 or not all(re.fullmatch(r"-?\d+", arg) for arg in args):
        raise ValueError("the simulated runtime's seq has: [first [step]] last, whole numbers")
    first, last = int(args[0]) if len(args) > 1 else 1, int(args[-1])
    step = int(args[1]) if len(args) > 2 else 1
    process.out("".join(f"{number}\n" for number in range(first, last + (1 if step > 0 else -1), step)))


@raw(TABLE, "yes")
def yes(process: Process, args: list[str]) -> Task:
    """Print `y` until somebody stops it."""
    line = encode((" ".join(args) or "y") + "\n")
    while True:
        yield from process.write(line * (4096 // len(line) + 1))
        yield True


@raw(TABLE, "xargs")
def xargs(process: Process, args: list[str]) -> Task:
    """Run a command with arguments from the input: `xargs [-0] [-r] [-n count] [-I {}] command`."""
    import getopt

    try:
        found, command = getopt.getopt(args, "0n:I:r")
    except getopt.GetoptError as error:
        raise ValueError(f"{error.msg} (the simulated runtime's xargs has: -0 -n -I -r)") from None
    options, command = dict(found), command or ["echo"]
    text, mark = decode((yield from process.read_all())), options.get("-I")
    if "-0" in options:
        items = text.removesuffix("\0").split("\0") if text else []
    elif mark:
        items = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        quoted = re.findall(r"(?:\\.|'[^']*'|\"[^\"]*\"|[^\s'\"\\])+", text)
        items = [re.sub(r"\\(.)|'([^']*)'|\"([^\"]*)\"", r"\1\2\3", item) for item in quoted]
    count = 1 if mark else int(options.get("-n", 0)) or len(items) or 1
    batches = [items[start : start + count] for start in range(0, len(items), count)]
    batches = batches or ([] if "-r" in options or mark else [[]])
    process.attach(0, Source())
    status = 0
    for batch in batches:
        line = [part.replace(mark, batch[0]) for part in command] if mark else command + batch
        code = yield from run_program(process, line)
        if code in (126, 127):
            return code
        status = 123 if code else status
    return status


@raw(TABLE, "echo")
def echo(process: Process, args: list[str]) -> None:
    """Print its arguments. As busybox's: `-n` leaves out the newline, `-e` reads escapes."""
    flags = ""
    while args and re.fullmatch("-[neE]+", args[0]):
        flags, args = flags + args[0], args[1:]
    text = " ".join(args)
    process.out((unescape(text) if "e" in flags else text) + "\n" * ("n" not in flags))


@raw(TABLE, "printf")
def printf(process: Process, args: list[str]) -> int:
    """Print by a format, again and again while there are arguments: `%s %d %5.2f %x %o %c %b %%`."""
    need(args)
    rest, status = args[1:], 0

    def conversion(match: re.Match[str]) -> str:
        nonlocal status
        flags, kind = match[1], match[2]
        if kind == "%":
            return "%"
        if kind not in "sbcdiuoxXf":
            raise ValueError(f"{match[0]}: the simulated runtime's printf has not got it")
        value = rest.pop(0) if rest else ""
        if kind in "sbc":
            return f"%{flags}s" % (unescape(value) if kind == "b" else value[:1] if kind == "c" else value)
        try:
            number = float(value or 0) if kind == "f" else int(value or "0", 0)
        except ValueError:
            process.err(f"printf: {value}: invalid number")
            status, number = 1, 0
        return f"%{flags}{'d' if kind in 'iu' else kind}" % number

    while True:
        before = len(rest)
        for part in re.split(r"(%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z%])", args[0]):
            match = re.fullmatch(r"%([-+ #0]*\d*(?:\.\d+)?)([a-zA-Z%])", part)
            process.out(conversion(match) if match else unescape(part))
        if not rest or len(rest) == before:
            return status
