"""`find`: walk trees, and test what is there."""

from __future__ import annotations

import fnmatch
import posixpath
import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from minidocker.runtime.files import EXECUTE, READ
from minidocker.runtime.filetools import KINDS, new_mode
from minidocker.runtime.kernel import Command, Process, Task
from minidocker.runtime.tool import id_of, run_program
from minidocker.tree import Entry, prefix

TABLE: dict[str, Command] = {}


class Seen(NamedTuple):
    """A path on the way, and what is there."""

    path: str
    entry: Entry


Test = Callable[[Seen], Task]


def find(process: Process, args: list[str]) -> Task:
    """`find . -name '*.c' -type f -exec wc {} +`."""
    args = [arg for arg in args if arg not in ("-H", "-P")]
    split = next((place for place, arg in enumerate(args) if arg[:1] in ("-", "!", "(")), len(args))
    search, status = Search(process, args[split:]), 0
    for root in args[:split] or ["."]:
        if process.files.find(root, follow=False) is None:
            process.err(f"find: {root}: No such file or directory")
            status = 1
            continue
        for seen in search.walk(root):
            if (yield from search.test(seen)) and not search.acts:
                process.out(seen.path + "\n")
    for command, found in search.batches:
        if found and (yield from search.launch([*command, *found])):
            status = 1
    return status


TABLE["find"] = find


def simple(look: Callable[[Seen], bool]) -> Test:
    """A test that does not wait."""

    def test(seen: Seen) -> Task:
        return int(look(seen))
        yield

    return test


class Search:
    """The expression of a `find`, read once. ValueError for what it does not know."""

    def __init__(self, process: Process, args: list[str]) -> None:
        self.process, self.args = process, args
        self.least, self.most, self.deep = 0, 1 << 30, False
        self.acts = False  # whether something other than printing is to be done
        self.prunes: set[str] = set()
        self.batches: list[tuple[list[str], list[str]]] = []
        self.test = self.either() if args else simple(lambda _: True)
        if self.args:
            raise ValueError(f"paths must precede expression: {self.args[0]}")

    def walk(self, path: str, level: int = 0) -> Iterator[Seen]:
        """Every path to visit."""
        entry = self.process.files.find(path, follow=False)
        if entry is None or level > self.most:
            return
        if not self.deep and level >= self.least:
            yield Seen(path, entry)
        if entry.is_dir and path not in self.prunes:
            for name in self.process.files.listdir(path):
                yield from self.walk(prefix(path) + name, level + 1)
        if self.deep and level >= self.least:
            yield Seen(path, entry)

    def launch(self, command: list[str]) -> Task:
        """Run a command of `-exec`."""
        yield from self.process.flush()
        return (yield from run_program(self.process, command))

    def take(self) -> str:
        """The next argument."""
        if not self.args:
            raise ValueError("an argument is missing")
        word, self.args = self.args[0], self.args[1:]
        return word

    def either(self) -> Test:
        """`a -o b`."""
        tests = [self.both()]
        while self.args and self.args[0] in ("-o", "-or"):
            self.take()
            tests.append(self.both())

        def test(seen: Seen) -> Task:
            for one in tests:
                if (yield from one(seen)):
                    return 1
            return 0

        return test

    def both(self) -> Test:
        """`a -a b`, `a b`."""
        tests = [self.primary()]
        while self.args and self.args[0] not in ("-o", "-or", ")"):
            if self.args[0] in ("-a", "-and"):
                self.take()
            tests.append(self.primary())

        def test(seen: Seen) -> Task:
            for one in tests:
                if not (yield from one(seen)):
                    return 0
            return 1

        return test

    def primary(self) -> Test:
        """One test or action."""
        word = self.take()
        if word in ("!", "-not"):
            inner = self.primary()

            def negated(seen: Seen) -> Task:
                return int(not (yield from inner(seen)))

            return negated
        if word == "(":
            test = self.either()
            self.take()
            return test
        if word == "-exec":
            return self.execute()
        if word in ("-maxdepth", "-mindepth", "-depth", "-xdev", "-mount"):
            self.most = int(self.take()) if word == "-maxdepth" else self.most
            self.least = int(self.take()) if word == "-mindepth" else self.least
            self.deep |= word == "-depth"
            return simple(lambda _: True)
        return simple(self.action(word) or self.look(word) or self.compare(word, self.take()))

    def action(self, word: str) -> Callable[[Seen], bool] | None:
        """What is done to a path."""
        files, out = self.process.files, self.process.out
        actions: dict[str, Callable[[Seen], object]] = {
            "-print": lambda seen: out(seen.path + "\n"),
            "-print0": lambda seen: out(seen.path + "\0"),
            "-prune": lambda seen: self.prunes.add(seen.path),
            "-delete": lambda seen: (files.rmdir if seen.entry.is_dir else files.unlink)(seen.path),
        }
        if word not in actions:
            return None
        self.acts |= word != "-prune"
        self.deep |= word == "-delete"
        return lambda seen: actions[word](seen) is None

    def look(self, word: str) -> Callable[[Seen], bool] | None:
        """Tests without a value."""
        files = self.process.files
        tests: dict[str, Callable[[Seen], bool]] = {
            "-true": lambda _: True,
            "-false": lambda _: False,
            "-executable": lambda seen: files.permits(seen.entry, EXECUTE),
            "-readable": lambda seen: files.permits(seen.entry, READ),
            "-empty": lambda seen: not (files.listdir(seen.path) if seen.entry.is_dir else seen.entry.size),
        }
        return tests.get(word)

    def compare(self, word: str, value: str) -> Callable[[Seen], bool]:
        """Tests with a value."""
        process, now = self.process, time.time()
        matcher = re.compile(fnmatch.translate(value), re.IGNORECASE if word in ("-iname", "-ipath") else 0)
        letters = {kind: letter.replace("-", "f") for kind, (letter, _, _) in KINDS.items()}
        tests: dict[str, Callable[[Seen], bool]] = {
            "name": lambda seen: bool(matcher.match(posixpath.basename(seen.path.rstrip("/")) or "/")),
            "path": lambda seen: bool(matcher.match(seen.path)),
            "type": lambda seen: letters[seen.entry.kind] in value.split(","),
            "user": lambda seen: seen.entry.uid == id_of(process, "/etc/passwd", value),
            "group": lambda seen: seen.entry.gid == id_of(process, "/etc/group", value),
            "perm": lambda seen: has_mode(value, seen.entry),
            "size": lambda seen: in_range(value, seen.entry.size, 512),
            "mtime": lambda seen: in_range(value, int(now - seen.entry.mtime) // 86400),
            "mmin": lambda seen: in_range(value, int(now - seen.entry.mtime) // 60),
            "newer": lambda seen: seen.entry.mtime > process.files.stat(value).mtime,
        }
        name = {"-iname": "name", "-ipath": "path"}.get(word, word[1:])
        if name not in tests:
            raise ValueError(f"unrecognized: {word} (the simulated runtime's find has not got it)")
        return tests[name]

    def execute(self) -> Test:
        """`-exec command {} ;` and `-exec command {} +`."""
        self.acts = True
        command: list[str] = []
        while (word := self.take()) != ";" and not (word == "+" and command[-1:] == ["{}"]):
            command.append(word)
        if word == "+":
            self.batches.append((command[:-1], found := list[str]()))

            def collect(seen: Seen) -> bool:
                found.append(seen.path)
                return True

            return simple(collect)

        def run(seen: Seen) -> Task:
            return int(not (yield from self.launch([part.replace("{}", seen.path) for part in command])))

        return run


def in_range(wanted: str, value: int, unit: int = 1) -> bool:
    """`+n`, `-n`, `n`; a size has a unit, which is 512 bytes if it does not say: `+10k`."""
    number = wanted.lstrip("+-")
    if number[-1:] in "ckMG":
        unit, number = {"c": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}[number[-1]], number[:-1]
    value = -(-value // unit)
    return (
        value > int(number) if wanted[0] == "+" else value < int(number) if wanted[0] == "-" else value == int(number)
    )


def has_mode(wanted: str, entry: Entry) -> bool:
    """`-perm 644`, `-perm -u+x`, `-perm /222`."""
    bits = new_mode(wanted.lstrip("-/"), Entry("file", 0), 0)
    if wanted[0] == "/":
        return bool(entry.mode & bits)
    return entry.mode & bits == bits if wanted[0] == "-" else entry.mode == bits
