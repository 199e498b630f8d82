"""Commands on processes, users and the machine: `env`, `id`, `ps`, `date`, `test`…"""

from __future__ import annotations

import os
import posixpath
import re
import time

from minidocker.runtime.builtin import signal_number
from minidocker.runtime.files import EXECUTE, READ, WRITE
from minidocker.runtime.kernel import SIGNALS, CannotRun, Command, Process, Task, encode
from minidocker.runtime.tool import Options, compare, id_of, moment, name_of, need, raw, rows, tool, user

TABLE: dict[str, Command] = {
    "true": lambda process, args: 0,  # noqa: ARG005
    "false": lambda process, args: 1,  # noqa: ARG005
    "sync": lambda process, args: 0,  # noqa: ARG005
}


@raw(TABLE, "env")
def env(process: Process, args: list[str]) -> Task:
    """Print the environment, or run a program in another one."""
    args = list(args)
    while args and (args[0].startswith("-") or "=" in args[0]):
        word = args.pop(0)
        if word in ("-i", "-", "--ignore-environment"):
            process.env.clear()
        elif word in ("-u", "--unset"):
            process.env.pop(args.pop(0), None)
        elif word in ("-S", "--"):
            args = (args[0].split() + args[1:]) if word == "-S" else args
        elif "=" in word:
            name, _, value = word.partition("=")
            process.env[name] = value
        else:
            raise ValueError(f"unrecognized option {word} (the simulated runtime's env has -i, -u, -S)")
    if not args:
        process.out("".join(f"{name}={value}\n" for name, value in process.env.items()))
        return 0
    return (yield from become(process, args))


def become(process: Process, args: list[str]) -> Task:
    """Go on as another program."""
    name = process.args[0]
    try:
        task = process.kernel.program(process, args)
    except CannotRun as error:
        process.err(f"{name}: {args[0]}: {error.reason}")
        return error.code
    return (yield from task)


@raw(TABLE, "printenv")
def printenv(process: Process, args: list[str]) -> int:
    """Print the environment, or some of it."""
    values = (
        [process.env.get(name) for name in args] if args else [f"{name}={value}" for name, value in process.env.items()]
    )
    process.out("".join(f"{value}\n" for value in values if value is not None))
    return int(None in values)


@tool(TABLE, "id", "u=user g=group G=groups n=name r")
def id_(process: Process, options: Options, operands: list[str]) -> None:
    """Who is this?"""
    files = process.files
    uid, gid, groups = files.uid, files.gid, [files.gid, *sorted(files.groups - {files.gid})]
    if operands:
        uid = id_of(process, "/etc/passwd", operands[0])
        gid = next((int(row[3]) for row in rows(process, "/etc/passwd") if row[2] == str(uid)), uid)
        groups = [gid, *groups_of(process, name_of(process, "/etc/passwd", uid))]

    def show(path: str, number: int) -> str:
        return name_of(process, path, number) if "n" in options else str(number)

    def full(path: str, number: int) -> str:
        name = name_of(process, path, number)
        return f"{number}({name})" if name != str(number) else name

    if "u" in options:
        process.out(show("/etc/passwd", uid) + "\n")
    elif "g" in options:
        process.out(show("/etc/group", gid) + "\n")
    elif "G" in options:
        process.out(" ".join(show("/etc/group", group) for group in groups) + "\n")
    else:
        also = ",".join(full("/etc/group", group) for group in groups) if operands or files.groups else ""
        process.out(f"uid={full('/etc/passwd', uid)} gid={full('/etc/group', gid)}{' groups=' * bool(also)}{also}\n")


def groups_of(process: Process, name: str) -> list[int]:
    """The groups that list a user."""
    return [int(row[2]) for row in rows(process, "/etc/group") if len(row) > 3 and name in row[3].split(",")]


@tool(TABLE, "groups")
def groups(process: Process, _: Options, __: list[str]) -> None:
    """The names of the user's groups."""
    numbers = [process.files.gid, *sorted(process.files.groups - {process.files.gid})]
    process.out(" ".join(name_of(process, "/etc/group", number) for number in numbers) + "\n")


@tool(TABLE, "whoami")
def whoami(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """The user's name."""
    process.out(user(process) + "\n")


@tool(TABLE, "hostname", "s f i")
def hostname(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """The container's name for itself."""
    if operands:
        raise ValueError("you must be root in the host's network to set it")
    process.out(process.files.mounts.hostname + "\n")


@tool(TABLE, "uname arch", "a s=kernel-name n=nodename r=kernel-release v m=machine o=operating-system p")
def uname(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """Name the system: a Linux, for that is what containers are."""
    import platform

    machine = {"AMD64": "x86_64", "arm64": "aarch64", "wasm32": "x86_64", "": "x86_64"}.get(
        platform.machine(), platform.machine()
    )
    values = {
        "s": "Linux",
        "n": process.files.mounts.hostname,
        "r": "0.0.0-simulated",
        "v": "minidocker",
        "m": machine,
        "p": "unknown",
        "o": "GNU/Linux",
    }
    wanted = (
        ["m"]
        if process.args[0] == "arch"
        else list("snrvmo")
        if "a" in options
        else [key for key in values if key in options] or ["s"]
    )
    process.out(" ".join(values[key] for key in wanted) + "\n")


@tool(TABLE, "nproc", "=all =ignore:")
def nproc(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """How many processors there are."""
    process.out(f"{os.cpu_count() or 1}\n")


@tool(TABLE, "date", "u=utc d:=date I R r:")
def date(process: Process, options: Options, operands: list[str]) -> None:
    """The time, in UTC as containers have it."""
    when = moment(options["d"]) if "d" in options else int(time.time())
    if "r" in options:
        when = process.files.stat(options["r"]).mtime
    form = (
        operands[0]
        if operands
        else "%F"
        if "I" in options
        else "+%a, %d %b %Y %H:%M:%S +0000"
        if "R" in options
        else "+%a %b %e %H:%M:%S UTC %Y"
    )
    form = (
        form.removeprefix("+")
        .replace("%s", str(when))
        .replace("%F", "%Y-%m-%d")
        .replace("%T", "%H:%M:%S")
        .replace("%N", "000000000")
    )
    form = form.replace("%Z", "UTC").replace("%z", "+0000")
    process.out(time.strftime(form, time.gmtime(when)) + "\n")


@tool(TABLE, "sleep")
def sleep(process: Process, options: Options, operands: list[str]) -> Task:  # noqa: ARG001
    """Wait: `sleep 0.5`, `sleep 1m 30s`, `sleep infinity`."""
    end = time.monotonic() + sum(seconds(operand) for operand in need(operands))
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
    """Run a program for so long at most; 143 (busybox) if it had to be ended."""
    signum, args = SIGNALS["TERM"], list(args)
    while args and args[0].startswith("-"):
        word = args.pop(0)
        if word in ("-s", "-k"):
            value = args.pop(0)
            signum = signal_number(value) if word == "-s" else signum
        elif word.startswith("-s"):
            signum = signal_number(word[2:])
    list(need(args, 2))
    child = process.fork(args[1:])
    try:
        task = process.kernel.program(child, args[1:])
    except CannotRun as error:
        process.err(f"timeout: {args[1]}: {error.reason}")
        child.end(error.code)
        return error.code
    child.start(task)
    end = time.monotonic() + seconds(args[0])
    while child.status is None:
        if time.monotonic() > end:
            child.signal(signum)
            end = float("inf")
        yield False
    return child.status


@raw(TABLE, "nohup")
def nohup(process: Process, args: list[str]) -> Task:
    """Run a program that hang-ups do not reach."""
    process.handlers[SIGNALS["HUP"]] = ""
    return (yield from become(process, args))


@raw(TABLE, "kill")
def kill(process: Process, args: list[str]) -> int:
    """Send a signal: `kill -TERM pid`, `kill -0 pid`, `kill -l`."""
    args, signum, status = list(args), SIGNALS["TERM"], 0
    if args[:1] == ["-l"]:
        process.out("\n".join(SIGNALS) + "\n")
        return 0
    if args and args[0] == "-s":
        signum, args = signal_number(args[1]), args[2:]
    elif args and args[0].startswith("-") and args[0] != "--":
        signum, args = signal_number(args[0][1:]), args[1:]
    for word in need([arg for arg in args if arg != "--"]):
        if not word.lstrip("-").isdigit():
            raise ValueError(f"invalid number '{word}'")
        pid = int(word)
        target = process.kernel.processes.get(pid)
        if pid == -1:
            for other in [
                other for other in process.kernel.processes.values() if other.pid != 1 and other is not process
            ]:
                other.signal(signum)
        elif target is not None:
            target.signal(signum)
        elif not process.kernel.outside(pid, signum):
            process.err(f"kill: can't kill pid {pid}: No such process")
            status = 1
    return status


@tool(TABLE, "ps", "e f a x u A o: w")
def ps(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """The processes inside."""
    process.out("PID   USER     TIME  COMMAND\n")
    rows = [(row["pid"], row["user"], row["command"]) for row in process.kernel.elsewhere()]
    rows += [(each.pid, str(each.files.uid), " ".join(each.args)) for each in process.kernel.processes.values()]
    for pid, uid, what in sorted(rows):
        process.out(f"{pid:5} {name_of(process, '/etc/passwd', int(uid)):<8}  0:00 {what}\n")


@tool(TABLE, "which", "a")
def which(process: Process, options: Options, operands: list[str]) -> int:  # noqa: ARG001
    """Where a program is."""
    status = 0
    for name in need(operands):
        try:
            process.out(process.kernel.find(process, name) + "\n")
        except CannotRun:
            status = 1
    return status


@raw(TABLE, "basename")
def basename(process: Process, args: list[str]) -> None:
    """The last part of a path, without a suffix if that is given."""
    args = [arg for arg in args if arg != "--"]
    path = next(need(args))
    name = posixpath.basename(path.rstrip("/")) or path[:1]
    suffix = args[1] if len(args) > 1 else ""
    process.out((name.removesuffix(suffix) if name != suffix else name) + "\n")


@raw(TABLE, "dirname")
def dirname(process: Process, args: list[str]) -> None:
    """The path without its last part."""
    for path in need([arg for arg in args if arg != "--"]):
        up = posixpath.dirname(path.rstrip("/") or "/")
        process.out((up.rstrip("/") or up[:1] or ".") + "\n")


@raw(TABLE, "pwd")
def pwd(process: Process, args: list[str]) -> None:  # noqa: ARG001
    """The working directory."""
    process.out(process.files.cwd + "\n")


@raw(TABLE, "test")
def check(process: Process, args: list[str]) -> int:
    """Whether something holds."""
    return Test(process, args).status()


@raw(TABLE, "[")
def bracket(process: Process, args: list[str]) -> int:
    """`test`, with a bracket at its end."""
    if args[-1:] != ["]"]:
        process.err("[: missing ]")
        return 2
    return Test(process, args[:-1]).status()


class Test:
    """The expression of `test`: `! ( ) -a -o`, unary and binary primaries."""

    __test__ = False
    BINARY = ("=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef")

    def __init__(self, process: Process, args: list[str]) -> None:
        self.process, self.args = process, list(args)

    def status(self) -> int:
        """0: it holds; 1: it does not; 2: it is no expression."""
        if not self.args:
            return 1
        try:
            result = self.either()
            if self.args:
                raise ValueError(f"{self.args[0]}: unknown operand")
        except ValueError as error:
            self.process.err(f"sh: {error}")
            return 2
        return int(not result)

    def either(self) -> bool:
        """`a -o b`."""
        result = self.both()
        while self.args[:1] == ["-o"]:
            self.args.pop(0)
            result = self.both() or result
        return result

    def both(self) -> bool:
        """`a -a b`."""
        result = self.negation()
        while self.args[:1] == ["-a"]:
            self.args.pop(0)
            result = self.negation() and result
        return result

    def negation(self) -> bool:
        """`! a`."""
        if self.args[:1] == ["!"] and len(self.args) > 1 and not (len(self.args) == 3 and self.args[1] in self.BINARY):
            self.args.pop(0)
            return not self.negation()
        return self.primary()

    def primary(self) -> bool:
        """One comparison, one look at a file, or a string that is not empty."""
        if len(self.args) > 2 and self.args[1] in self.BINARY:
            left, op, right = self.args[:3]
            del self.args[:3]
            return self.compare(left, op, right)
        word = self.args.pop(0) if self.args else ""
        if word == "(" and self.args:
            result = self.either()
            if self.args[:1] != [")"]:
                raise ValueError("closing paren expected")
            self.args.pop(0)
            return result
        if re.fullmatch("-[bcdefghkLnprsStuwxzOG]", word) and self.args:
            return self.look(word[1], self.args.pop(0))
        return bool(word)

    def compare(self, left: str, op: str, right: str) -> bool:
        """Two strings, numbers or files."""
        if op in ("=", "==", "!=", "<", ">"):
            one, two = encode(left), encode(right)
            return compare(one, op, two)
        if op in ("-nt", "-ot", "-ef"):
            one_, two_ = self.process.files.find(left), self.process.files.find(right)
            if op == "-ef":
                return one_ is not None and one_ is two_
            first, second = (entry.mtime if entry else -1 for entry in (one_, two_))
            return first > second if op == "-nt" else first < second
        for text in (left, right):
            if not re.fullmatch(r"\s*[-+]?\d+\s*", text):
                raise ValueError(f"{text}: bad number")
        a, b = int(left), int(right)
        return {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b, "-ge": a >= b}[op]

    def look(self, what: str, word: str) -> bool:
        """`-f path` and the like; `-n`, `-z` of strings."""
        if what in "nz":
            return bool(word) == (what == "n")
        if what == "t":
            return False  # nothing here is a terminal
        files = self.process.files
        if what in "rwx":
            return files.access(word, {"r": READ, "w": WRITE, "x": EXECUTE}[what])
        entry = files.find(word, follow=what not in "hL")
        if entry is None:
            return False
        kinds = {
            "f": "file",
            "d": "dir",
            "h": "symlink",
            "L": "symlink",
            "p": "fifo",
            "b": "block",
            "c": "char",
            "S": "socket",
        }
        if what in kinds:
            return entry.kind == kinds[what]
        bits = {"u": 0o4000, "g": 0o2000, "k": 0o1000}
        if what in bits:
            return bool(entry.mode & bits[what])
        owners = {"O": entry.uid == files.uid, "G": entry.gid == files.gid}
        return owners.get(what, what == "e" or entry.size > 0 or entry.is_dir)


@raw(TABLE, "expr")
def expr(process: Process, args: list[str]) -> int:
    """Evaluate: `expr 1 + 2`, `expr abc : 'a\\(.*\\)'`, comparisons, `length`."""
    from minidocker.runtime.texttools import compiled

    rest = list(args)
    levels = [("|",), ("&",), ("=", "==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"), (":",)]

    def whole(text: str) -> int:
        if not re.fullmatch(r"-?\d+", text):
            raise ValueError("non-numeric argument")
        return int(text)

    def operate(op: str, left: str, right: str) -> str:
        if op == "|":
            return left if left not in ("", "0") else right
        if op == "&":
            return left if left not in ("", "0") and right not in ("", "0") else "0"
        if op == ":":
            match = compiled(right, extended=False).match(left)
            return (
                (match[1] or "" if match.re.groups else str(match.end())) if match else ("" if "\\(" in right else "0")
            )
        if op in levels[2]:
            numbers = all(re.fullmatch(r"-?\d+", text) for text in (left, right))
            return str(int(compare(int(left), op, int(right)) if numbers else compare(left, op, right)))
        x, y = whole(left), whole(right)
        if op in "/%" and not y:
            raise ValueError("division by zero")
        quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1) if op in "/%" else 0
        return str({"+": x + y, "-": x - y, "*": x * y, "/": quotient, "%": x - quotient * y}[op])

    def parse(level: int) -> str:
        if level == len(levels):
            word = rest.pop(0) if rest else ""
            if word == "(":
                inner = parse(0)
                rest[:1] = []
                return inner
            return str(len(rest.pop(0))) if word == "length" and rest else word
        left = parse(level + 1)
        while rest and rest[0] in levels[level]:
            left = operate(rest.pop(0), left, parse(level + 1))
        return left

    try:
        result = parse(0)
    except ValueError as error:
        process.err(f"expr: {error}")
        return 2
    process.out(result + "\n")
    return int(result in ("", "0"))


@raw(TABLE, "su")
def su(process: Process, args: list[str]) -> int:  # noqa: ARG001
    """Refused: change users with `USER` or `-u`."""
    raise ValueError("the simulated runtime has no su; use USER in the Dockerfile, or `run -u`")
