"""What the commands of the simulated runtime have in common: options, inputs, users."""

from __future__ import annotations

import calendar
import contextlib
import getopt
import re
import time
from collections.abc import Callable, Generator, Iterable
from typing import Any

from minidocker.runtime.simulated.kernel import CannotRun, Command, Process, Task
from minidocker.runtime.simulated.streams import Source, Stream, decode

Options = dict[str, str]
Tool = Callable[[Process, Options, list[str]], Any]
CLASSES = {
    "alpha": "A-Za-z",
    "digit": "0-9",
    "alnum": "0-9A-Za-z",
    "upper": "A-Z",
    "lower": "a-z",
    "space": "\t\n\v\f\r ",
    "blank": "\t ",
    "punct": "!-/:-@[-`{-~",
    "xdigit": "0-9A-Fa-f",
}


def tool(table: dict[str, Command], names: str, known: str = "", operands: int = 0) -> Callable[[Tool], Tool]:
    """Put a command in a table, under its names. `known` lists its options: `r n:=lines =all`.

    A colon says that there is a value, `=` the long name. The function gets each by its short name, or long where
    there is none; a repeated one has its values joined by newlines. `-5` is `-n 5` where `n` has a value. Of operands
    there must be so many at least. Anything else is refused by name.
    """
    keys: dict[str, str] = {}
    for word in known.split():
        letter, _, name = word.replace(":", "").partition("=")
        keys |= {"-" + letter: letter or name, "--" + name: letter or name}
    short = "".join(word.partition("=")[0] for word in known.split())
    long = [word.replace(":", "").partition("=")[2] + "=" * (":" in word) for word in known.split() if "=" in word]

    def register(function: Tool) -> Tool:
        def run(process: Process, args: list[str]) -> Any:
            if "n:" in short and args and re.fullmatch(r"-\d+", args[0]):
                args = ["-n", args[0][1:], *args[1:]]
            try:
                found, rest = getopt.gnu_getopt(args, short, long)
            except getopt.GetoptError as error:
                has = f"(the simulated runtime's {names.split()[0]} has: {known or 'no options'})"
                raise ValueError(f"{error.msg} {has}") from None
            options: Options = {}
            for flag, value in found:
                key = keys[flag]
                options[key] = f"{options[key]}\n{value}" if value and key in options else value
            need(rest, operands)
            return function(process, options, rest)

        table.update(dict.fromkeys(names.split(), run))
        return function

    return register


def raw(table: dict[str, Command], names: str) -> Callable[[Command], Command]:
    """Put a command in a table that reads its arguments itself."""

    def register(function: Command) -> Command:
        table.update(dict.fromkeys(names.split(), function))
        return function

    return register


def need(operands: list[str], count: int = 1) -> None:
    """ValueError if there are too few operands."""
    if len(operands) < count:
        raise ValueError("missing operand")


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


def streams(process: Process, names: list[str]) -> tuple[list[tuple[str, Stream]], int]:
    """Each file (`-` or none: standard input), open, and 1 if one of them could not be opened."""
    found: list[tuple[str, Stream]] = []
    standard = process.fds.get(0, Source())
    status = each(
        process,
        names or ["-"],
        lambda name: found.append((name, standard if name == "-" else process.open(name))),
    )
    return found, status


def inputs(process: Process, names: list[str]) -> Generator[bool, None, tuple[list[tuple[str, bytes]], int]]:
    """The content of each file (`-` or none: standard input), and 1 if one of them could not be read."""
    found, status = streams(process, names)
    content = []
    for name, stream in found:
        content.append((name, (yield from process.read_all(stream))))
    return content, status


def read(process: Process, name: str) -> Generator[bool, None, bytes]:
    """All of a file or of standard input (`-`)."""
    return (yield from process.read_all(None if name == "-" else process.open(name)))


def lines(content: bytes) -> list[str]:
    """A text's lines, without their newlines."""
    text = decode(content)
    return text.removesuffix("\n").split("\n") if text else []


def all_lines(process: Process, names: list[str]) -> Generator[bool, None, tuple[list[str], int]]:
    """The lines of all inputs, and 1 if one of them could not be read."""
    found, status = yield from inputs(process, names)
    return [line for _, content in found for line in lines(content)], status


def human(count: int) -> str:
    """A size for people: `human(1536) == "1.5K"`."""
    power = min(max(count.bit_length() - 1, 0) // 10, 4)
    return f"{count / 1024**power:.1f}{'BKMGT'[power]}" if power else str(count)


def classes(text: str) -> str:
    """Character classes written out, inside brackets: `classes("[:digit:]x") == "0-9x"`."""
    return re.sub(r"\[:(\w+):\]", lambda match: CLASSES.get(match[1], ""), text)


def rows(process: Process, path: str) -> list[list[str]]:
    """The lines of `/etc/passwd` or `/etc/group`, each cut at its colons."""
    entry = process.files.find(path)
    text = decode(entry.data.read()) if entry and entry.kind == "file" else ""
    return [line.split(":") for line in text.splitlines() if line.count(":") >= 2]


def name_of(process: Process, path: str, number: int) -> str:
    """The user (group) name of an id; the id itself where there is none."""
    return next((row[0] for row in rows(process, path) if row[2] == str(number)), str(number))


def id_of(process: Process, path: str, name: str) -> int:
    """The id of a user or group name, or of a number; -1 for "", ValueError for somebody unknown."""
    found = next((row[2] for row in rows(process, path) if row[0] == name), name or "-1")
    if name and not found.isdigit():
        raise ValueError(f"unknown {'user' if path.endswith('passwd') else 'group'} {name}")
    return int(found)


def moment(text: str) -> int:
    """A point in time, in UTC: `now`, `@0`, `2024-01-31`, `2024-01-31 10:00:00`, `2024-01-31T10:00:00Z`."""
    if text == "now":
        return int(time.time())
    if re.fullmatch(r"@\d+", text):
        return int(text[1:])
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        with contextlib.suppress(ValueError):
            return calendar.timegm(time.strptime(text.replace("T", " ").rstrip("Z"), form))
    raise ValueError(f"invalid date '{text}'")


def run_program(process: Process, command: list[str]) -> Task:
    """Start a program and wait for it; 127 or 126 where it cannot be started."""
    yield from process.flush()
    child = process.fork(command)
    try:
        task = process.kernel.program(child, command)
    except CannotRun as error:
        process.err(f"{process.args[0]}: {command[0]}: {error.reason}")
        child.end(error.code)
        return error.code
    return (yield from process.wait(child.start(task)))
