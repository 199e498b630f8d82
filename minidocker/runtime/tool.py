"""What the commands of the simulated runtime have in common: options, inputs, users."""

from __future__ import annotations

import calendar
import contextlib
import getopt
import operator
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from minidocker.runtime.kernel import CannotRun, Command, Process, Task, decode

Options = dict[str, str]
Tool = Callable[[Process, Options, list[str]], Any]


def tool(
    table: dict[str, Command], names: str, known: str = "", plain: str = "", numbers: bool = False
) -> Callable[[Tool], Tool]:
    """Put a command in a table. `known` lists its options: `n:=lines` takes a value, `q` does not; `=all` is long only.

    The function gets them by their short name, or long where there is none; a repeated one has its values joined by
    newlines. `-5` is `-n 5` where `plain` is `n`, and no option where `numbers` are operands. An option that is not
    listed is refused by name.
    """
    short, long, names_of = "", [], {}
    for word in known.split():
        letter, _, name = word.partition("=")
        short += letter
        names_of["-" + letter[:1]] = letter[:1] or name.rstrip(":")
        if name:
            takes = name.endswith(":") or letter.endswith(":")
            long.append(name.rstrip(":") + "=" * takes)
            names_of["--" + name.rstrip(":")] = letter[:1] or name.rstrip(":")

    def register(function: Tool) -> Tool:
        def run(process: Process, args: list[str]) -> Any:
            if plain and args and args[0][:1] == "-" and args[0][1:].isdigit():
                args = [f"-{plain}", args[0][1:], *args[1:]]
            negative = [place for place, arg in enumerate(args) if numbers and re.fullmatch(r"-\d+(\.\d+)?", arg)]
            args = [*args[: negative[0]], "--", *args[negative[0] :]] if negative else args
            try:
                found, rest = getopt.gnu_getopt(args, short, long)
            except getopt.GetoptError as error:
                raise ValueError(
                    f"{error.msg} (the simulated runtime's {names.split()[0]} has: {known or 'no options'})"
                ) from None
            options: Options = {}
            for flag, value in found:
                key = names_of[flag]
                options[key] = f"{options[key]}\n{value}" if value and key in options else value
            return function(process, options, rest)

        for name in names.split():
            table[name] = run
        return function

    return register


def raw(table: dict[str, Command], names: str) -> Callable[[Command], Command]:
    """Put a command in a table that reads its arguments itself."""

    def register(function: Command) -> Command:
        table.update(dict.fromkeys(names.split(), function))
        return function

    return register


def inputs(process: Process, names: list[str]) -> Generator[bool, None, tuple[list[tuple[str, bytes]], int]]:
    """The content of each file (`-` or none: standard input), and 1 if one of them could not be read."""
    found: list[tuple[str, bytes]] = []
    status = 0
    for name in names or ["-"]:
        try:
            found.append((name, (yield from read(process, name))))
        except OSError as error:
            process.err(f"{process.args[0]}: {name}: {error.strerror}")
            status = 1
    return found, status


def read(process: Process, name: str) -> Generator[bool, None, bytes]:
    """All of a file, a device or standard input (`-`)."""
    if name == "-":
        return (yield from process.read_all())
    stream = process.open(name)
    content = bytearray()
    while data := stream.read(1 << 16):
        content += data
    return bytes(content)


def lines(content: bytes) -> list[str]:
    """A text's lines, without their newlines."""
    text = decode(content)
    return text.removesuffix("\n").split("\n") if text else []


def size(text: str) -> int:
    """A number with a unit: `size("4k") == 4096`."""
    digits = text.rstrip("bkKMGB")
    if not digits.lstrip("+-").isdigit():
        raise ValueError(f"invalid number '{text}'")
    return (
        int(digits) * {"": 1, "b": 512, "k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[text[len(digits) :][:1]]
    )


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"=": operator.eq, "==": operator.eq, "!=": operator.ne}
COMPARISONS |= {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def compare(left: object, op: str, right: object) -> bool:
    """Two strings, or two numbers: `compare(2, "<", 10)`."""
    return COMPARISONS[op](left, right)


def human(count: int) -> str:
    """A size for people: `human(1536) == "1.5K"`."""
    power = min(max(count.bit_length() - 1, 0) // 10, 4)
    return f"{count / 1024**power:.1f}{'BKMGT'[power]}" if power else str(count)


# Users and groups are lines of two files


def rows(process: Process, path: str) -> list[list[str]]:
    """The lines of `/etc/passwd` or `/etc/group`, each cut at its colons."""
    entry = process.files.find(path)
    text = decode(entry.data.read()) if entry and entry.kind == "file" else ""
    return [line.split(":") for line in text.splitlines() if line.count(":") >= 2]


def name_of(process: Process, path: str, number: int) -> str:
    """The user (group) name of an id; the id itself where there is none."""
    return next((row[0] for row in rows(process, path) if row[2] == str(number)), str(number))


def id_of(process: Process, path: str, name: str) -> int:
    """The id of a user or group name, or of a number; ValueError for somebody unknown."""
    for row in rows(process, path):
        if row[0] == name:
            return int(row[2])
    if not name.isdigit():
        raise ValueError(f"unknown {'user' if path.endswith('passwd') else 'group'} {name}")
    return int(name)


def user(process: Process) -> str:
    """The name of a process's user."""
    return name_of(process, "/etc/passwd", process.files.uid)


def each(process: Process, items: Iterable[str], action: Callable[[str], Any]) -> int:
    """Do something for each operand; a failure is told and counted, and the others are done all the same."""
    status = 0
    for item in items:
        try:
            action(item)
        except OSError as error:
            process.err(f"{process.args[0]}: {item}: {error.strerror}")
            status = 1
    return status


def need(operands: list[str], count: int = 1) -> Iterator[str]:
    """The operands, if there are enough of them."""
    if len(operands) < count:
        raise ValueError("missing operand")
    return iter(operands)


def moment(text: str) -> int:
    """A point in time, in UTC: `now`, `@0`, `2024-01-31`, `2024-01-31 10:00:00`, `2024-01-31T10:00:00Z`."""
    if text == "now":
        return int(time.time())
    if text.startswith("@") and text[1:].isdigit():
        return int(text[1:])
    plain = text.replace("T", " ").rstrip("Z").removesuffix(" UTC")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        with contextlib.suppress(ValueError):
            return calendar.timegm(time.strptime(plain, form))
    raise ValueError(f"invalid date '{text}'")


def run_program(process: Process, command: list[str]) -> Task:
    """Start a program and wait for it; 127 or 126 where it cannot be started."""
    child = process.fork(command)
    try:
        task = process.kernel.program(child, command)
    except CannotRun as error:
        process.err(f"{process.args[0]}: {command[0]}: {error.reason}")
        child.end(error.code)
        return error.code
    return (yield from process.wait(child.start(task)))
