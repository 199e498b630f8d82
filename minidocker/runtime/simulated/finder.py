"""`find`: walk trees, and test what is there."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Iterator
from typing import NamedTuple

from minidocker.runtime.simulated.filetools import KINDS
from minidocker.runtime.simulated.kernel import Command, Process, Task
from minidocker.runtime.simulated.tool import id_of, need, raw, run_program
from minidocker.tree import Entry, prefix

TABLE: dict[str, Command] = {}


class Seen(NamedTuple):
    """A path on the way, and what is there."""

    path: str
    entry: Entry


Test = Callable[[Seen], Task]


@raw(TABLE, "find")
def find(process: Process, args: list[str]) -> Task:
    """`find . -name '*.c' -type f -exec wc {} +`."""
    split = next((place for place, arg in enumerate(args) if arg[:1] in ("-", "!", "(")), len(args))
    search, status = Search(process, args[split:]), 0
    for root in args[:split] or ["."]:
        if process.files.find(root, follow=False) is None:
            process.err(f"find: {root}: No such file or directory")
            status = 1
        for seen in search.walk(root):
            if (yield from search.test(seen)) and not search.acts:
                process.out(seen.path + "\n")
    for command, found in search.batches:
        if found and (yield from run_program(process, [*command, *found])):
            status = 1
    return status


def simple(look: Callable[[Seen], object]) -> Test:
    """A test that does not wait."""

    def test(seen: Seen) -> Task:
        return int(bool(look(seen)))
        yield

    return test


class Search:
    """The expression of a `find`, read once. ValueError for what it does not know."""

    def __init__(self, process: Process, args: list[str]) -> None:
        self.process, self.args = process, args
        self.least, self.most, self.deep = 0, 1 << 30, False
        self.acts = False  # whether something other than printing is to be done
        self.batches: list[tuple[list[str], list[str]]] = []
        self.test = self.joined(("-o", "-or"), 1) if args else simple(lambda _: True)
        if self.args:
            raise ValueError(f"paths must precede expression: {self.args[0]}")

    def walk(self, path: str, level: int = 0) -> Iterator[Seen]:
        """Every path to visit."""
        entry = self.process.files.find(path, follow=False)
        if entry is None or level > self.most:
            return
        if not self.deep and level >= self.least:
            yield Seen(path, entry)
        for name in self.process.files.listdir(path) if entry.is_dir else ():
            yield from self.walk(prefix(path) + name, level + 1)
        if self.deep and level >= self.least:
            yield Seen(path, entry)

    def take(self) -> str:
        """The next argument."""
        need(self.args)
        return self.args.pop(0)

    def joined(self, words: tuple[str, ...], decides: int) -> Test:
        """`a -o b`, where the first 1 decides; its parts are `a -a b`, or `a b`, where the first 0 does."""

        def part() -> Test:
            return self.joined(("-a", "-and"), 0) if decides else self.primary()

        tests = [part()]
        while self.args and (self.args[0] in words or (not decides and self.args[0] not in ("-o", "-or", ")"))):
            if self.args[0] in words:
                self.take()
            tests.append(part())

        def test(seen: Seen) -> Task:
            for one in tests:
                if (yield from one(seen)) == decides:
                    return decides
            return 1 - decides

        return test

    def primary(self) -> Test:
        """One test or action."""
        word = self.take()
        if word in ("!", "-not"):
            inner = self.primary()

            def negated(seen: Seen) -> Task:
                return 1 - (yield from inner(seen))

            return negated
        if word == "(":
            test = self.joined(("-o", "-or"), 1)
            self.take()
            return test
        if word == "-exec":
            return self.execute()
        if word in ("-maxdepth", "-mindepth"):
            setattr(self, {"-maxdepth": "most", "-mindepth": "least"}[word], int(self.take()))
        if word in ("-maxdepth", "-mindepth", "-depth", "-xdev"):
            self.deep |= word == "-depth"
            return simple(lambda _: True)
        return simple(self.action(word) or self.look(word))

    def action(self, word: str) -> Callable[[Seen], object] | None:
        """What is done to a path."""
        files, out = self.process.files, self.process.out
        actions: dict[str, Callable[[Seen], object]] = {
            "-print": lambda seen: out(seen.path + "\n"),
            "-print0": lambda seen: out(seen.path + "\0"),
            "-delete": lambda seen: (files.rmdir if seen.entry.is_dir else files.unlink)(seen.path),
        }
        self.acts |= word in actions
        self.deep |= word == "-delete"
        return (lambda seen: actions[word](seen) is None) if word in actions else None

    def look(self, word: str) -> Callable[[Seen], object]:
        """A test of what is there."""
        files = self.process.files
        if word == "-empty":
            return lambda seen: not (files.listdir(seen.path) if seen.entry.is_dir else seen.entry.size)
        value = self.take() if word in ("-name", "-iname", "-path", "-type", "-user", "-group") else ""
        kinds = {kind: letter.replace("-", "f") for kind, (letter, _) in KINDS.items()}
        tests: dict[str, Callable[[Seen], object]] = {
            "-name": lambda seen: fnmatch.fnmatchcase(posixpath.basename(seen.path.rstrip("/")) or "/", value),
            "-iname": lambda seen: fnmatch.fnmatchcase(posixpath.basename(seen.path).lower(), value.lower()),
            "-path": lambda seen: fnmatch.fnmatchcase(seen.path, value),
            "-type": lambda seen: kinds[seen.entry.kind] in value.split(","),
            "-user": lambda seen: seen.entry.uid == id_of(self.process, "/etc/passwd", value),
            "-group": lambda seen: seen.entry.gid == id_of(self.process, "/etc/group", value),
        }
        if word not in tests:
            has = " ".join([*tests, "-empty -maxdepth -mindepth -depth -xdev -print -print0 -delete -exec ! ( ) -o"])
            raise ValueError(f"unrecognized: {word} (the simulated runtime's find has: {has})")
        return tests[word]

    def execute(self) -> Test:
        """`-exec command {} ;` and `-exec command {} +`."""
        self.acts = True
        command: list[str] = []
        while (word := self.take()) != ";" and not (word == "+" and command[-1:] == ["{}"]):
            command.append(word)
        if word == "+":
            found: list[str] = []
            self.batches.append((command[:-1], found))
            return simple(lambda seen: found.append(seen.path) is None)  # type: ignore[func-returns-value]

        def run(seen: Seen) -> Task:
            return int(not (yield from run_program(self.process, [part.replace("{}", seen.path) for part in command])))

        return run
