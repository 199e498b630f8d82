"""Commands on text: `cat`, `grep`, `sed`, `sort`… They read what comes in, and print."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from minidocker.runtime.kernel import Command, Process, Source, Task, decode, encode
from minidocker.runtime.syntax import unescape
from minidocker.runtime.tool import Options, inputs, lines, need, raw, read, run_program, size, tool

TABLE: dict[str, Command] = {}


@tool(TABLE, "cat", "n=number u b e v")
def cat(process: Process, options: Options, operands: list[str]) -> Task:
    """Print files one after the other."""
    status, count = 0, 0
    for name in operands or ["-"]:
        try:
            stream = process.stream(0) if name == "-" else process.open(name)
        except OSError as error:
            process.err(f"cat: {name}: {error.strerror}")
            status = 1
            continue
        while (data := stream.read(1 << 16)) != b"":
            if data is None:
                yield False
                continue
            if "n" in options:
                numbered = [f"{number:6}\t{line}\n" for number, line in enumerate(lines(data), count + 1)]
                count += len(numbered)
                data = encode("".join(numbered))
            yield from process.write(data)
    return status


@tool(TABLE, "head", "n:=lines c:=bytes q=quiet v", plain="n")
def head(process: Process, options: Options, operands: list[str]) -> Task:
    """Print the beginning. It reads no further than it must, so `yes | head` ends."""
    limit = size(options.get("c") or options.get("n", "10"))
    status = 0
    for number, name in enumerate(operands or ["-"]):
        if len(operands) > 1 and "q" not in options:
            process.out("\n" * (number > 0) + f"==> {name} <==\n")
        try:
            stream = process.stream(0) if name == "-" else process.open(name)
        except OSError as error:
            process.err(f"head: {name}: {error.strerror}")
            status = 1
            continue
        content = b""
        while limit < 0 or (len(content) if "c" in options else content.count(b"\n")) < limit:
            data = stream.read(1 << 16)
            if data == b"":
                break
            content += data or b""
            if data is None:
                yield False
        process.out(content[:limit] if "c" in options else b"".join(content.splitlines(True)[:limit]))
        yield from process.flush()
    return status


@tool(TABLE, "tail", "n:=lines c:=bytes f=follow F q=quiet s:", plain="n")
def tail(process: Process, options: Options, operands: list[str]) -> Task:
    """Print the end; with `-f` go on as more comes."""
    text = options.get("c") or options.get("n", "10")
    count = size(text)
    found, status = yield from inputs(process, operands)
    for number, (name, content) in enumerate(found):
        if len(found) > 1 and "q" not in options:
            process.out("\n" * (number > 0) + f"==> {name} <==\n")
        parts = (
            [content[place : place + 1] for place in range(len(content))]
            if "c" in options
            else content.splitlines(True)
        )
        start = count - 1 if text.startswith("+") else max(len(parts) - abs(count), 0)
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


@tool(TABLE, "wc", "l=lines w=words c=bytes m=chars L")
def wc(process: Process, options: Options, operands: list[str]) -> Task:
    """Count lines, words and bytes."""
    counters: dict[str, Callable[[bytes], int]] = {
        "l": lambda data: data.count(b"\n"),
        "w": lambda data: len(data.split()),
        "m": lambda data: len(decode(data)),
        "c": len,
        "L": lambda data: max((len(line) for line in lines(data)), default=0),
    }
    wanted = [key for key in counters if key in options] or ["l", "w", "c"]
    found, status = yield from inputs(process, operands)
    table = [([counters[key](content) for key in wanted], name) for name, content in found]
    if len(found) > 1:
        table.append(([sum(column) for column in zip(*(counts for counts, _ in table), strict=True)], "total"))
    width = 1 if len(wanted) == 1 else 9
    for counts, name in table:
        row = " ".join(f"{count:{width}}" for count in counts)
        process.out(row + (f" {name}" if operands else "") + "\n")
    return status


@tool(
    TABLE,
    "sort",
    "r=reverse n=numeric-sort u=unique k:=key t:=field-separator f=ignore-case o:=output V=version-sort h b s c d",
)
def sort(process: Process, options: Options, operands: list[str]) -> Task:
    """Sort lines, by bytes as in the C locale."""
    found, status = yield from inputs(process, operands)
    rows = [line for _, content in found for line in lines(content)]

    separator, common = options.get("t"), set(options) & set("nhVfbr")
    keys = [Key.parse(spec, common, separator) for spec in options.get("k", "").split("\n") if spec] or [Key(common)]
    for key in reversed(keys if options.keys() & {"u", "s"} else [*keys, Key(common & {"r"})]):
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
        match = re.fullmatch(r"(\d+)([a-zA-Z]*)(?:,(\d+)([a-zA-Z]*))?", spec)
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
        if self.flags & {"n", "h"}:
            match = re.match(r"\s*(-?\d+\.?\d*|-?\.\d+)([kKMGT]?)", text)
            unit = " KMGT".find(match[2].upper() or " ") if match and "h" in self.flags else 0
            return (float(match[1]) * 1024**unit if match else 0.0,)
        if "V" in self.flags:
            return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", text))
        return (encode(text.upper() if "f" in self.flags else text).lstrip(b" \t" * ("b" in self.flags)),)


@tool(TABLE, "uniq", "c=count d=repeated u=unique i")
def uniq(process: Process, options: Options, operands: list[str]) -> Task:
    """Leave out lines that repeat the one before."""
    content = yield from read(process, operands[0] if operands else "-")
    groups: list[list[str]] = []
    for line in lines(content):
        if groups and (line == groups[-1][0] or ("i" in options and line.lower() == groups[-1][0].lower())):
            groups[-1].append(line)
        else:
            groups.append([line])
    for group in groups:
        if ("d" in options and len(group) < 2) or ("u" in options and len(group) > 1):
            continue
        process.out((f"{len(group):7} " if "c" in options else "") + group[0] + "\n")
    return 0


def ranges(text: str) -> Callable[[int], bool]:
    """`1,3-5,7-` as a test of numbers."""
    spans = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d*)(-?)(\d*)", part)
        if match is None or not part.strip("-"):
            raise ValueError(f"invalid list '{text}'")
        spans.append((int(match[1] or 1), int(match[3] or 1 << 60) if match[2] else int(match[1])))
    return lambda number: any(low <= number <= high for low, high in spans)


@tool(TABLE, "cut", "d:=delimiter f:=fields c:=characters b:=bytes s=only-delimited n =output-delimiter:")
def cut(process: Process, options: Options, operands: list[str]) -> Task:
    """Cut fields or characters out of each line."""
    if not options.keys() & {"f", "c", "b"}:
        raise ValueError("expected a list of bytes, characters, or fields")
    chosen = ranges(options.get("f") or options.get("c") or options["b"])
    delimiter = options.get("d", "\t")
    found, status = yield from inputs(process, operands)
    for line in [line for _, content in found for line in lines(content)]:
        if "f" not in options:
            process.out("".join(char for place, char in enumerate(line, 1) if chosen(place)) + "\n")
        elif delimiter in line:
            parts = [part for place, part in enumerate(line.split(delimiter), 1) if chosen(place)]
            process.out(options.get("output-delimiter", delimiter).join(parts) + "\n")
        elif "s" not in options:
            process.out(line + "\n")
    return status


def characters(text: str) -> str:
    """A set of `tr`: escapes, ranges and classes written out."""
    classes = {"alpha": "A-Za-z", "digit": "0-9", "alnum": "0-9A-Za-z", "upper": "A-Z", "lower": "a-z"}
    classes |= {
        "space": "\t\n\v\f\r ",
        "blank": "\t ",
        "punct": "!-/:-@[-`{-~",
        "xdigit": "0-9A-Fa-f",
        "cntrl": "\0-\x1f\x7f",
    }
    text = unescape(re.sub(r"\[:(\w+):\]", lambda match: classes.get(match[1], ""), text))
    return re.sub(
        r"(.)-(.)",
        lambda match: "".join(chr(code) for code in range(ord(match[1]), ord(match[2]) + 1)),
        text,
        flags=re.DOTALL,
    )


@tool(TABLE, "tr", "d=delete s=squeeze-repeats c=complement C t")
def tr(process: Process, options: Options, operands: list[str]) -> Task:
    """Translate, delete or squeeze characters."""
    sets = [characters(operand) for operand in need(operands)]
    text = decode((yield from process.read_all()))
    first = set(sets[0])
    if options.keys() & {"c", "C"}:
        first = {chr(code) for code in range(256)} | set(text)
        first -= set(sets[0])
    if "d" in options:
        text = "".join(char for char in text if char not in first)
    elif len(sets) > 1:
        last = sets[1][-1:] or "\0"
        table = dict.fromkeys(first, last) if options.keys() & {"c", "C"} else {}
        if not table:
            for place, char in enumerate(sets[0]):
                table.setdefault(char, sets[1][place] if place < len(sets[1]) else last)
        text = "".join(table.get(char, char) for char in text)
    if "s" in options:
        squeezed = set(sets[1]) if len(sets) > 1 else first
        text = re.sub(r"(.)\1+", lambda match: match[1] if match[1] in squeezed else match[0], text, flags=re.DOTALL)
    process.out(text)
    return 0


def posix(pattern: str, extended: bool) -> str:
    r"""A POSIX regular expression as one of Python's: `posix(r"a\(b\)*c+", False) == r"a(b)*c\+"`."""
    found: list[str] = []
    place = 0
    while place < len(pattern):
        char, after = pattern[place], pattern[place + 1 : place + 2]
        if char == "[" and (match := re.compile(r"\[\^?\]?(?:\[:\w+:\]|[^\]])*\]").match(pattern, place)):
            from minidocker.runtime.expansion import CLASSES

            inner = re.sub(r"\[:(\w+):\]", lambda name: CLASSES.get(name[1], ""), match[0][1:-1].replace("\\", r"\\"))
            start = "^" * inner.startswith("^")
            inner = inner[len(start) :]
            found.append("[" + start + re.sub(r"^\]", r"\]", re.sub(r"\[", r"\[", inner)) + "]")
            place = match.end()
            continue
        if char == "\\" and after:
            place += 1
            swap = not extended and after in "(){}|+?"
            known = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "`": r"\A", "'": r"\Z", "n": "\n", "t": "\t"}
            found.append(
                after if swap else known.get(after, "\\" + after if after in "wWsSbB123456789" else re.escape(after))
            )
        elif char == "*" and (not found or found[-1] in ("(", "|", "^")):
            found.append(r"\*")
        elif char == "^" and not extended and found and found[-1] not in ("(", "|"):
            found.append(r"\^")
        elif char == "$" and (extended or place + 1 == len(pattern) or pattern.startswith((r"\)", r"\|"), place + 1)):
            found.append(r"\Z")
        else:
            special = char in ".*^" or (extended and char in "(){}|+?")
            found.append(char if special else re.escape(char))
        place += 1
    return "".join(found)


def compiled(pattern: str, extended: bool, flags: int = 0) -> re.Pattern[str]:
    """`posix`, compiled; ValueError for a bad one."""
    try:
        return re.compile(posix(pattern, extended), flags)
    except re.error as error:
        raise ValueError(f"bad regex '{pattern}': {error}") from None


GREP = "E=extended-regexp F=fixed-strings G P i=ignore-case v=invert-match c=count n=line-number "
GREP += "l=files-with-matches q=quiet o=only-matching r=recursive R w=word-regexp x=line-regexp "
GREP += "h=no-filename H=with-filename s=no-messages e: m: L a A: B: C:"


@tool(TABLE, "grep egrep fgrep", GREP)
def grep(process: Process, options: Options, operands: list[str]) -> Task:
    """Print the lines that match."""
    if options.keys() & {"P", "A", "B", "C"}:
        raise ValueError("the simulated runtime's grep has no -P, -A, -B, -C")
    patterns = (options["e"] if "e" in options else next(need(operands))).split("\n")
    names = operands if "e" in options else operands[1:]
    extended = "E" in options or process.args[0] == "egrep"
    fixed = "F" in options or process.args[0] == "fgrep"
    sources = [re.escape(pattern) if fixed else compiled(pattern, extended).pattern for pattern in patterns]
    whole = "|".join(f"(?:{source})" for source in sources)
    whole = rf"(?<!\w)(?:{whole})(?!\w)" if "w" in options else rf"\A(?:{whole})\Z" if "x" in options else whole
    matcher = re.compile(whole, re.IGNORECASE if "i" in options else 0)
    if options.keys() & {"r", "R"}:
        names = [path for name in names or ["."] for path in tree(process, name)]
        options = options | ({} if "h" in options else {"H": ""})
    found, status = [], 0
    for name in names or ["-"]:
        try:
            found.append((name, (yield from read(process, name))))
        except OSError as error:
            status = 2
            if "s" not in options:
                process.err(f"grep: {name}: {error.strerror}")
    matches = [search(process, options, matcher, name, content, len(names) > 1) for name, content in found]
    return 0 if any(matches) and ("q" in options or not status) else status or int(not any(matches))


def tree(process: Process, top: str) -> list[str]:
    """All files below a path."""
    found: list[str] = []
    process.files.walk(top, lambda path, entry: found.append(path) if entry.kind == "file" else None)
    return found


def search(process: Process, options: Options, matcher: re.Pattern[str], name: str, content: bytes, many: bool) -> bool:
    """`grep` in one input; whether a line was selected."""
    prefix = f"{name}:" if ("H" in options or many) and "h" not in options else ""
    count = 0
    silent = options.keys() & {"q", "c", "l", "L"}
    for number, line in enumerate(lines(content), 1):
        if bool(matcher.search(line)) == ("v" in options):
            continue
        count += 1
        start = prefix + (f"{number}:" if "n" in options else "")
        shown = [match.group() for match in matcher.finditer(line) if match.group()] if "o" in options else [line]
        process.out("".join(f"{start}{text}\n" for text in shown) if not silent else "")
        if count == int(options.get("m", -1)):
            break
    if "c" in options:
        process.out(f"{prefix}{count}\n")
    if ("l" in options and count) or ("L" in options and not count):
        process.out(f"{name}\n")
    return count > 0


# sed


@tool(TABLE, "tee", "a=append i")
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
    """Put lines side by side."""
    found, status = yield from inputs(process, operands)
    columns = [lines(content) for _, content in found]
    delimiters = unescape(options.get("d", "\t")) or "\0"
    if "s" not in options:
        height = max((len(column) for column in columns), default=0)
        columns = [[column[row] if row < len(column) else "" for column in columns] for row in range(height)]
    for row in columns:
        text = "".join(part + delimiters[place % len(delimiters)] for place, part in enumerate(row[:-1]))
        process.out(text.replace("\0", "") + (row[-1] if row else "") + "\n")
    return status


@tool(TABLE, "rev tac")
def backwards(process: Process, options: Options, operands: list[str]) -> Task:  # noqa: ARG001
    """Reverse each line (`rev`), or the order of lines (`tac`)."""
    found, status = yield from inputs(process, operands)
    for _, content in found:
        rows = lines(content)
        process.out(
            "".join(f"{row}\n" for row in (rows[::-1] if process.args[0] == "tac" else [row[::-1] for row in rows]))
        )
    return status


@tool(TABLE, "nl", "b: w: s: n:")
def nl(process: Process, options: Options, operands: list[str]) -> Task:
    """Number the lines."""
    found, status = yield from inputs(process, operands)
    number = 0
    for line in [line for _, content in found for line in lines(content)]:
        counted = bool(line) or options.get("b") == "a"
        number += counted
        width = int(options.get("w", 6))
        process.out((f"{number:{width}}" + options.get("s", "\t") if counted else " " * (width + 1)) + line + "\n")
    return status


@tool(TABLE, "base64", "d=decode w:=wrap")
def base64_(process: Process, options: Options, operands: list[str]) -> Task:
    """Encode and decode."""
    content = yield from read(process, operands[0] if operands else "-")
    if "d" in options:
        process.out(base64.b64decode(content))
        return 0
    text, width = base64.b64encode(content).decode(), int(options.get("w", 76))
    cut = [text[start : start + width] for start in range(0, len(text), width)] if width else [text]
    process.out("\n".join(cut) + "\n" * (width > 0 and bool(text)))
    return 0


@tool(TABLE, "cmp", "s=quiet l")
def cmp(process: Process, options: Options, operands: list[str]) -> Task:
    """Compare two files byte by byte."""
    list(need(operands, 2))
    one, two = (yield from read(process, operands[0])), (yield from read(process, operands[1]))
    if one == two:
        return 0
    place = next((place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    if "s" in options:
        return 1
    if place is None:
        process.err(f"cmp: EOF on {operands[0] if len(one) < len(two) else operands[1]}")
    else:
        process.out(f"{operands[0]} {operands[1]} differ: char {place + 1}, line {one[:place].count(10) + 1}\n")
    return 1


@tool(TABLE, "diff", "u q=brief r s N b w i")
def diff(process: Process, options: Options, operands: list[str]) -> Task:
    """Compare two files line by line; the output is unified, as busybox's is."""
    list(need(operands, 2))
    files = process.files
    if "r" in options or any((entry := files.find(name)) and entry.is_dir for name in operands if name != "-"):
        raise ValueError("the simulated runtime's diff compares files, not directories")
    one, two = (yield from read(process, operands[0])), (yield from read(process, operands[1]))
    if one == two:
        return 0
    if "q" in options:
        process.out(f"Files {operands[0]} and {operands[1]} differ\n")
        return 1
    for line in difflib.unified_diff(lines(one), lines(two), operands[0], operands[1], lineterm=""):
        process.out(line + "\n")
    return 1


@tool(TABLE, "seq", "s:=separator w=equal-width", numbers=True)
def seq(process: Process, options: Options, operands: list[str]) -> None:
    """Print numbers: `seq last`, `seq first last`, `seq first step last`."""
    first, step, last = (
        ["1", "1", *operands]
        if len(operands) == 1
        else [operands[0], "1", operands[1]]
        if len(operands) == 2
        else operands
    )
    places = max((len(text.partition(".")[2]) for text in (first, step)), default=0)
    low, by, high = float(first), float(step), float(last)
    if not by:
        raise ValueError("step is zero")
    count = max(int((high - low) / by + 1e-9) + 1, 0)
    rows = [f"{low + by * number:.{places}f}" for number in range(count)]
    width = max((len(row) for row in rows), default=0)
    rows = [row.zfill(width) for row in rows] if "w" in options else rows
    process.out(options.get("s", "\n").join(rows) + "\n" * bool(rows))


@raw(TABLE, "dd")
def dd(process: Process, args: list[str]) -> Task:
    """Copy blocks: `dd if=/dev/zero of=/file bs=1M count=10`."""
    options = dict(arg.split("=", 1) for arg in args if "=" in arg)
    if unknown := options.keys() - {"if", "of", "bs", "count", "skip", "status"}:
        raise ValueError(f"the simulated runtime's dd has no {', '.join(sorted(unknown))}")
    block = size(options.get("bs", "512"))
    left = block * int(options["count"]) if "count" in options else 1 << 62
    source = process.open(options["if"]) if "if" in options else process.stream(0)
    skip, content = block * int(options.get("skip", 0)), bytearray()
    while skip or len(content) < left:
        data = source.read(min(skip or left - len(content), 1 << 20))
        if data == b"":
            break
        if data is None:
            yield False
        elif skip:
            skip -= len(data)
        else:
            content += data
    yield from process.write(bytes(content)) if "of" not in options else ()
    if "of" in options:
        process.open(options["of"], "w").write(bytes(content))
    if options.get("status") != "none":
        whole, part = divmod(len(content), block)
        records = f"{whole}+{int(part > 0)} records"
        process.err(f"{records} in\n{records} out\n{len(content)} bytes copied")
    return 0


@tool(TABLE, "truncate", "s:=size c=no-create")
def truncate(process: Process, options: Options, operands: list[str]) -> None:
    """Cut files, or fill them up with zeros, to a size."""
    wanted = size(options.get("s", ""))
    for path in need(operands):
        before = process.files.read(path) if process.files.find(path) else b""
        process.files.write(path, before[:wanted].ljust(wanted, b"\0"))


@raw(TABLE, "yes")
def yes(process: Process, args: list[str]) -> Task:
    """Print `y` until somebody stops it."""
    line = encode((" ".join(args) or "y") + "\n")
    while True:
        yield from process.write(line * (4096 // len(line) + 1))
        yield True


XARGS = "0=null n:=max-args I: i d:=delimiter r=no-run-if-empty t=verbose P:=max-procs L: s: x p"


@raw(TABLE, "xargs")
def xargs(process: Process, args: list[str]) -> Task:
    """Run a command with arguments from the input."""
    import getopt

    try:
        found, command = getopt.getopt(
            args, "0n:I:d:rtP:L:", ["null", "max-args=", "delimiter=", "no-run-if-empty", "verbose", "max-procs="]
        )
    except getopt.GetoptError as error:
        raise ValueError(f"{error.msg} (the simulated runtime's xargs has: -0 -n -I -d -r -t -P -L)") from None
    options = {
        {"--null": "0", "--max-args": "n", "--delimiter": "d"}.get(flag, flag.lstrip("-")): value
        for flag, value in found
    }
    text = decode((yield from process.read_all()))
    if "0" in options or "d" in options:
        separator = "\0" if "0" in options else unescape(options["d"])
        items = text.removesuffix(separator).split(separator) if text else []
    elif options.keys() & {"I", "L"}:
        items = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        items = [words(match) for match in re.findall(r"(?:\\.|'[^']*'|\"[^\"]*\"|[^\s'\"\\])+", text, re.DOTALL)]
    command = command or ["echo"]
    count = 1 if options.keys() & {"I", "L"} else int(options.get("n", 0)) or len(items) or 1
    batches = [items[start : start + count] for start in range(0, len(items), count)] or (
        [] if options.keys() & {"r", "no-run-if-empty", "I"} else [[]]
    )
    process.attach(0, Source())
    status = 0
    for batch in batches:
        line = [part.replace(options["I"], batch[0]) for part in command] if "I" in options else command + batch
        if options.keys() & {"t", "verbose"}:
            process.err(" ".join(line))
        code = yield from run_program(process, line)
        if code in (126, 127):
            return code
        status = 123 if code else status
    return status


def words(text: str) -> str:
    """An item of `xargs`, unquoted."""
    return re.sub(
        r"\\(.)|'([^']*)'|\"([^\"]*)\"",
        lambda match: next(part for part in match.groups() if part is not None),
        text,
        flags=re.DOTALL,
    )


@raw(TABLE, "echo")
def echo(process: Process, args: list[str]) -> None:
    """Print its arguments. As busybox's: `-n` leaves out the newline, `-e` reads escapes."""
    flags = ""
    while args and re.fullmatch("-[neE]+", args[0]):
        flags, args = flags + args[0], args[1:]
    text = " ".join(args)
    if flags.rfind("e") > flags.rfind("E"):
        text, stop, _ = text.partition("\\c")
        text, flags = unescape(text), flags + "n" * bool(stop)
    process.out(text + "\n" * ("n" not in flags))


@raw(TABLE, "printf")
def printf(process: Process, args: list[str]) -> int:
    """Print by a format, again and again while there are arguments."""
    form, rest = next(need(args)), list(args[1:])
    status = 0

    def conversion(match: re.Match[str]) -> str:
        nonlocal status
        flags, kind = match[1], match[2]
        if kind == "%":
            return "%"
        while "*" in flags:
            flags = flags.replace("*", rest.pop(0) if rest else "0", 1)
        value = rest.pop(0) if rest else None
        if kind in "sbcq":
            text = value or ""
            text = unescape(text) if kind == "b" else text[:1] if kind == "c" else text
            return f"%{flags}s" % text
        try:
            number: float = numeric(value or "0")
        except ValueError:
            process.err(f"printf: {value}: invalid number")
            status, number = 1, 0
        return f"%{flags}{'d' if kind in 'iu' else kind}" % (number if kind in "eEfFgG" else int(number))

    while True:
        before = len(rest)
        parts = re.split(r"(%[-+ #0]*[\d*]*(?:\.[\d*]+)?[a-zA-Z%])", form)
        for place, part in enumerate(parts):
            if place % 2:
                match = re.fullmatch(r"%([-+ #0]*[\d*]*(?:\.[\d*]+)?)([diouxXeEfFgGcsb%])", part)
                if match is None:
                    raise ValueError(f"{part}: invalid format")
                process.out(conversion(match))
            else:
                process.out(unescape(part))
        if not rest or len(rest) == before:
            return status


def numeric(text: str) -> float:
    """A number as `printf` reads it: decimal, 0x, 0octal, `'c`, or with a point."""
    if text[:1] in ("'", '"'):
        return ord(text[1:2] or "\0")
    body = text.lstrip("+-")
    if re.fullmatch(r"0[0-7]+", body):
        return int(body, 8) * (-1 if text.startswith("-") else 1)
    return int(text, 0) if re.fullmatch(r"[-+]?(\d+|0[xX][\da-fA-F]+)", text) else float(text)
