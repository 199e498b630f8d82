"""Commands on processes, users and the machine: `env`, `id`, `ps`, `date`, `test`…"""

from __future__ import annotations

import os
import platform
import posixpath
import re
import time

from minidocker.runtime.simulated.files import EXECUTE, READ, WRITE
from minidocker.runtime.simulated.kernel import CannotRun, Command, Process, Task, signal_number
from minidocker.runtime.simulated.tool import Options, id_of, moment, name_of, need, raw, rows, tool

TABLE: dict[str, Command] = {
    "true": lambda process, args: 0,  # noqa: ARG005
    "false": lambda process, args: 1,  # noqa: ARG005
    "sync": lambda process, args: 0,  # noqa: ARG005
    "pwd": lambda process, args: process.out(process.files.cwd + "\n"),  # noqa: ARG005
    "nproc": lambda process, args: process.out(f"{os.cpu_count() or 1}\n"),  # noqa: ARG005
    "whoami": lambda process, args: process.out(name_of(process, "/etc/passwd", process.files.uid) + "\n"),  # noqa: ARG005
}


@raw(TABLE, "env")
def env(process: Process, args: list[str]) -> Task:
    """Print the environment, or run a program in another one: `env -i -u HOME A=1 program`."""
    args = list(args)
    while args and (args[0].startswith("-") or "=" in args[0]):
        word = args.pop(0)
        if word == "-i":
            process.env.clear()
        elif word == "-u":
            process.env.pop(args.pop(0), None)
        elif word.startswith("-"):
            raise ValueError(f"unrecognized option {word} (the simulated runtime's env has -i, -u)")
        else:
            name, _, value = word.partition("=")
            process.env[name] = value
    if not args:
        process.out("".join(f"{name}={value}\n" for name, value in process.env.items()))
        return 0
    try:
        task = process.kernel.program(process, args)
    except CannotRun as error:
        process.err(f"env: {args[0]}: {error.reason}")
        return error.code
    return (yield from task)


@raw(TABLE, "printenv")
def printenv(process: Process, args: list[str]) -> int:
    """Print the environment, or some of it."""
    everything = [f"{name}={value}" for name, value in process.env.items()]
    values = [process.env.get(name) for name in args] if args else everything
    process.out("".join(f"{value}\n" for value in values if value is not None))
    return int(None in values)


@tool(TABLE, "id", "u=user g=group G=groups n=name")
def id_(process: Process, options: Options, operands: list[str]) -> None:
    """Who is this?"""
    files = process.files
    uid, groups = files.uid, [files.gid, *sorted(files.groups - {files.gid})]
    if operands:
        uid = id_of(process, "/etc/passwd", operands[0])
        name = name_of(process, "/etc/passwd", uid)
        first = next((int(row[3]) for row in rows(process, "/etc/passwd") if row[2] == str(uid)), uid)
        groups = [first, *(int(row[2]) for row in rows(process, "/etc/group") if name in row[-1].split(","))]
    users, teams = [("/etc/passwd", uid)], [("/etc/group", gid) for gid in groups]
    for letter, asked in (("u", users), ("g", teams[:1]), ("G", teams)):
        if letter in options:
            shown = [name_of(process, *who) if "n" in options else str(who[1]) for who in asked]
            process.out(" ".join(shown) + "\n")
            return

    def full(path: str, number: int) -> str:
        name = name_of(process, path, number)
        return f"{number}({name})" if name != str(number) else name

    also = ",".join(full(*team) for team in teams)
    process.out(f"uid={full(*users[0])} gid={full(*teams[0])} groups={also}\n")


@tool(TABLE, "uname", "a s=kernel-name n=nodename r=kernel-release m=machine")
def uname(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """Name the system: a Linux, for that is what containers are."""
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    values = {"s": "Linux", "n": process.files.mounts.named["hostname"].rstrip(), "r": "0.0.0-simulated", "m": machine}
    process.out(" ".join(values[key] for key in values if key in (options or "s") or "a" in options) + "\n")


@tool(TABLE, "date", "u=utc d:=date")
def date(process: Process, options: Options, operands: list[str]) -> None:
    """The time, in UTC as containers have it."""
    when = moment(options.get("d", "now"))
    form = operands[0].removeprefix("+") if operands else "%a %b %e %H:%M:%S UTC %Y"
    for short, long in (("%s", str(when)), ("%F", "%Y-%m-%d"), ("%T", "%H:%M:%S"), ("%Z", "UTC"), ("%z", "+0000")):
        form = form.replace(short, long)
    process.out(time.strftime(form, time.gmtime(when)) + "\n")


@tool(TABLE, "sleep", operands=1)
def sleep(process: Process, options: Options, operands: list[str]) -> Task:  # noqa: ARG001
    """Wait: `sleep 0.5`, `sleep 1m 30s`, `sleep infinity`."""
    end = time.monotonic() + sum(map(seconds, operands))
    while time.monotonic() < end:
        yield False
    return 0


def seconds(text: str) -> float:
    """A duration: `seconds("1.5m") == 90.0`."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+|inf|infinity)([smhd]?)", text)
    if match is None:
        raise ValueError(f"invalid number '{text}'")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


@raw(TABLE, "timeout")
def timeout(process: Process, args: list[str]) -> Task:
    """Run a program for so long at most; 143 (as busybox) if it had to be ended."""
    need(args, 2)
    child = process.fork(args[1:])
    try:
        child.start(process.kernel.program(child, args[1:]))
    except CannotRun as error:
        process.err(f"timeout: {args[1]}: {error.reason}")
        return error.code
    end = time.monotonic() + seconds(args[0])
    while child.status is None:
        if time.monotonic() > end:
            child.signal(15)
            end = float("inf")
        yield False
    return child.status


@raw(TABLE, "kill")
def kill(process: Process, args: list[str]) -> int:
    """Send a signal: `kill -TERM pid`, `kill -s TERM pid`, `kill -0 pid`."""
    args, name, status = list(args), "TERM", 0
    if args and args[0].startswith("-"):
        flag = args.pop(0)
        name = args.pop(0) if flag == "-s" and args else flag[1:]
    need(args)
    for pid in map(int, args):
        target = process.kernel.processes.get(pid)
        if target is not None:
            target.signal(signal_number(name))
        elif not process.kernel.outside(pid, signal_number(name)):
            process.err(f"kill: can't kill pid {pid}: No such process")
            status = 1
    return status


@tool(TABLE, "ps", "e f a x u")
def ps(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """The processes inside."""
    process.out("PID   USER     TIME  COMMAND\n")
    table = [(row["pid"], row["user"], row["command"]) for row in process.kernel.elsewhere()]
    table += [(each.pid, str(each.files.uid), " ".join(each.args)) for each in process.kernel.processes.values()]
    for pid, uid, what in sorted(table):
        process.out(f"{pid:5} {name_of(process, '/etc/passwd', int(uid)):<8}  0:00 {what}\n")


@tool(TABLE, "which", operands=1)
def which(process: Process, options: Options, operands: list[str]) -> int:  # noqa: ARG001
    """Where a program is."""
    status = 0
    for name in operands:
        try:
            process.out(process.kernel.find(process, name) + "\n")
        except CannotRun:
            status = 1
    return status


@tool(TABLE, "basename", operands=1)
def basename(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """The last part of a path, without a suffix if that is given."""
    path, suffix = [*operands, ""][:2]
    name = posixpath.basename(path.rstrip("/")) or path[:1]
    process.out((name.removesuffix(suffix) if name != suffix else name) + "\n")


@tool(TABLE, "dirname", operands=1)
def dirname(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """The path without its last part."""
    for path in operands:
        up = posixpath.dirname(path.rstrip("/") or "/")
        process.out((up.rstrip("/") or up[:1] or ".") + "\n")


@raw(TABLE, "test")
def test(process: Process, args: list[str]) -> int:
    """Whether something holds: 0; 1 if not, 2 if it is no expression."""
    try:
        return int(not holds(process, args))
    except ValueError as error:
        process.err(f"test: {error}")
        return 2


@raw(TABLE, "[")
def bracket(process: Process, args: list[str]) -> int:
    """`test`, with a bracket at its end."""
    if args[-1:] != ["]"]:
        process.err("[: missing ]")
        return 2
    return int(test(process, args[:-1]))


BINARY = ("=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot")
KINDS = {"f": "file", "d": "dir", "h": "symlink", "L": "symlink", "p": "fifo", "b": "block", "c": "char"}


def holds(process: Process, args: list[str]) -> bool:
    """The expression of `test`. Decided by how many words there are, as POSIX has it; with `-o` and `-a` between."""
    if not args:
        return False
    if len(args) == 1:
        return bool(args[0])
    if len(args) == 3 and args[1] in BINARY:
        return compare(process, *args)
    for op, combine in (("-o", any), ("-a", all)):
        if op in args[1:-1]:
            place = args.index(op, 1)
            return combine([holds(process, args[:place]), holds(process, args[place + 1 :])])
    if args[0] == "!":
        return not holds(process, args[1:])
    if len(args) == 2 and re.fullmatch("-[bcdefhLnprstuwxz]", args[0]):
        return look(process, args[0][1], args[1])
    raise ValueError(f"{' '.join(args)}: unknown to the simulated runtime's test")


def compare(process: Process, left: str, op: str, right: str) -> bool:
    """Two strings, numbers or files."""
    if op in ("=", "==", "!="):
        return (left == right) == (op != "!=")
    if op in ("-nt", "-ot"):
        first, second = (entry.mtime if entry else -1 for entry in map(process.files.find, (left, right)))
        return first > second if op == "-nt" else first < second
    for text in (left, right):
        if not re.fullmatch(r"\s*[-+]?\d+\s*", text):
            raise ValueError(f"{text}: bad number")
    a, b = int(left), int(right)
    return {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b, "-ge": a >= b}[op]


def look(process: Process, what: str, word: str) -> bool:
    """`-f path` and the like; `-n`, `-z` of strings."""
    if what in "nzt":
        return what != "t" and bool(word) == (what == "n")  # nothing here is a terminal
    if what in "rwx":
        return process.files.access(word, {"r": READ, "w": WRITE, "x": EXECUTE}[what])
    entry = process.files.find(word, follow=what not in "hL")
    if entry is None:
        return False
    if what == "u":
        return bool(entry.mode & 0o4000)
    return entry.kind == KINDS[what] if what in KINDS else what == "e" or entry.size > 0 or entry.is_dir
