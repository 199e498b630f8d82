"""What `sh` does itself: the commands that change the shell, which no other process could do for it.

`BUILTINS` is the table; each takes the shell and its arguments and gives an exit code (None is 0). `sh` is the program.
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Iterable

from minidocker.runtime.simulated.expansion import separator
from minidocker.runtime.simulated.files import EXECUTE
from minidocker.runtime.simulated.kernel import SIGNALS, CannotRun, Died, Process, Task, signal_number
from minidocker.runtime.simulated.mounted import failure
from minidocker.runtime.simulated.shell import OPTIONS, SHARED, Builtin, Exit, Jump, Return, Shell
from minidocker.runtime.simulated.streams import decode
from minidocker.runtime.simulated.syntax import NAME


def sh(process: Process, args: list[str]) -> Task:
    """The program `sh`: `sh -c text [name [arg…]]`, `sh script [arg…]`, or a script from its input."""
    shell = Shell(process, BUILTINS, process.invoked)
    shell.bash = posixpath.basename(process.args[0]) == "bash"
    rest = set_options(shell, args, ignore="il")
    if "c" in shell.options:
        shell.options.discard("c")
        if not rest:
            shell.error("-c requires an argument")
            return 2
        text, shell.name, shell.arguments = rest[0], rest[1] if len(rest) > 1 else shell.name, rest[2:]
    elif rest and "s" not in shell.options:
        shell.name, shell.arguments = rest[0], rest[1:]
        if not (entry := process.files.find(rest[0])) or entry.is_dir:
            process.err(f"{process.args[0]}: can't open '{rest[0]}': No such file or directory")
            return 2
        text = decode(process.files.read(rest[0]))
    else:
        shell.arguments = rest
        text = decode((yield from process.read_all()))
    return (yield from shell.main(shell.text(text)))


def set_options(shell: Shell, args: list[str], ignore: str = "") -> list[str]:
    """Read `-eux`, `+e`, `-o name`; what is left are the arguments. ValueError for what is no option."""
    rest = list(args)
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        for letter in word[1:]:
            name = letter
            if letter == "o":
                name = OPTIONS.get(rest.pop(0) if rest else "", "")
            if letter in ignore:
                continue
            if name not in {*OPTIONS.values(), "c", "s"} or (name in "cs" and not ignore):
                raise ValueError(f"set: illegal option {word}")
            (shell.options.add if word[0] == "-" else shell.options.discard)(name)
    return rest


def set_(shell: Shell, args: list[str]) -> None:
    """`set -e -- a b`."""
    try:
        rest = set_options(shell, args)
    except ValueError as error:
        shell.fatal(str(error))
    if rest or "--" in args:
        shell.arguments = rest


def number(shell: Shell, name: str, args: list[str], otherwise: int) -> int:
    """The one numeric argument of `exit`, `return`, `shift`, `break`…"""
    if not args:
        return otherwise
    if not args[0].isdigit():
        shell.fatal(f"{name}: Illegal number: {args[0]}")
    return int(args[0])


def exit_(shell: Shell, args: list[str]) -> None:
    """`exit [n]`."""
    raise Exit(number(shell, "exit", args, shell.status) & 255)


def return_(shell: Shell, args: list[str]) -> None:
    """`return [n]` from a function or a sourced file."""
    raise Return(number(shell, "return", args, shell.status) & 255)


def jump(name: str) -> Builtin:
    """`break [n]` or `continue [n]`; outside a loop it does nothing."""

    def run(shell: Shell, args: list[str]) -> None:
        levels = number(shell, name, args, 1)
        if shell.loops:
            raise Jump(levels, name == "continue")

    return run


def cd(shell: Shell, args: list[str]) -> int:
    """`cd [folder | -]`."""
    target = args[-1] if args else shell.variables.get("HOME", "/")
    back = target == "-"
    target = shell.variables.get("OLDPWD", ".") if back else target
    files, before = shell.process.files, shell.variables.get("PWD", "/")
    try:
        logical = posixpath.normpath(posixpath.join(before, target))
        there = files.locate(logical)
        entry = files.stat(there)
        if not entry.is_dir:
            raise failure(errno.ENOTDIR, target)
        if not files.permits(entry, EXECUTE):
            raise failure(errno.EACCES, target)
    except OSError as error:
        shell.error(f"cd: can't cd to {target}: {error.strerror}")
        return 2
    files.cwd = there
    shell.exported |= {"OLDPWD", "PWD"}
    shell.variables |= {"OLDPWD": before, "PWD": logical}
    if back:
        shell.process.out(logical + "\n")
    return 0


def eval_(shell: Shell, args: list[str]) -> Task:
    """`eval words`."""
    return (yield from shell.text(" ".join(args)))


def source(shell: Shell, args: list[str]) -> Task:
    """`. file`: run a file in this shell."""
    if not args:
        shell.fatal(".: filename argument required")
    name = args[0]
    folders = shell.variables.get("PATH", "").split(":") if "/" not in name else []
    places = [posixpath.join(folder, name) for folder in folders] + [name]
    path = next((place for place in places if (entry := shell.process.files.find(place)) and not entry.is_dir), None)
    if path is None:
        shell.fatal(f".: can't open '{name}': No such file or directory")
    before = shell.arguments
    shell.arguments = args[1:] or before
    try:
        return (yield from shell.text(decode(shell.process.files.read(path))))
    except Return as back:
        return back.status
    finally:
        shell.arguments = before if args[1:] else shell.arguments


def exec_(shell: Shell, args: list[str]) -> Task:
    """`exec program`: this process becomes the program; alone it keeps its redirections."""
    args = args[1:] if args[:1] == ["--"] else args
    if not args:
        return 0
    process = shell.process
    process.env = shell.environment()
    process.handlers = {signum: action for signum, action in process.handlers.items() if not action}
    try:
        task = shell.execute(process, args)
    except CannotRun as error:
        shell.error(f"exec: {args[0]}: {error.reason}")
        raise Exit(error.code) from None
    raise Died((yield from task))


def declare(kind: str) -> Builtin:
    """`export` and `readonly`."""

    def run(shell: Shell, args: list[str]) -> None:
        marked = shell.exported if kind == "export" else shell.readonly
        names = [arg for arg in args if not arg.startswith("-")]
        for arg in names:
            name, equals, value = arg.partition("=")
            if not NAME.fullmatch(name):
                shell.fatal(f"{kind}: {name}: bad variable name")
            if equals:
                shell.assign(name, value)
            (marked.discard if "-n" in args else marked.add)(name)

    return run


def local(shell: Shell, args: list[str]) -> None:
    """`local x=1`: a variable that is put back when the function returns."""
    if not shell.locals:
        shell.fatal("local: not in a function")
    for arg in args:
        name, equals, value = arg.partition("=")
        if not NAME.fullmatch(name):
            shell.fatal(f"local: {name}: bad variable name")
        shell.locals[-1].setdefault(name, (shell.variables.get(name), name in shell.exported))
        if equals:
            shell.assign(name, value)
        else:
            shell.variables.pop(name, None)


def unset(shell: Shell, args: list[str]) -> None:
    """`unset name`, `unset -f function`."""
    for name in args:
        if name in ("-v", "-f"):
            continue
        if name in shell.readonly:
            shell.fatal(f"unset: {name}: is read only")
        if "-f" in args:
            shell.functions.pop(name, None)
        elif NAME.fullmatch(name):
            shell.variables.pop(name, None)
            shell.exported.discard(name)
        else:
            shell.fatal(f"unset: {name}: bad variable name")


def shift(shell: Shell, args: list[str]) -> int:
    """`shift [n]`."""
    count = number(shell, "shift", args, 1)
    if count > len(shell.arguments):
        return 1
    del shell.arguments[:count]
    return 0


def read(shell: Shell, args: list[str]) -> Task:
    """`read [-r] names`: one line of input into variables, cut at IFS; the last one takes the rest."""
    names = [arg for arg in args if arg != "-r"] or ["REPLY"]
    if bad := [name for name in names if not NAME.fullmatch(name)]:
        shell.error(f"read: {bad[0]}: bad variable name (the simulated runtime's read has -r)")
        return 2
    line, complete = b"", False
    while not complete and (byte := (yield from shell.process.read(size=1))):
        line += byte
        complete = byte == b"\n" and ("-r" in args or not line.endswith(b"\\\n"))
    text = decode(line).removesuffix("\n")
    text = text if "-r" in args else re.sub(r"(?s)\\(.)", lambda match: match[1].strip("\n"), text)
    ifs = shell.variables.get("IFS", " \t\n")
    blank = "".join(char for char in ifs if char in " \t\n")
    values = (
        separator(ifs).split(text.strip(blank), maxsplit=len(names) - 1) if ifs and names[1:] else [text.strip(blank)]
    )
    for name, value in zip(names, [*values, *[""] * len(names)], strict=False):
        shell.assign(name, value)
    return int(not complete)


def trap(shell: Shell, args: list[str]) -> int:
    """`trap action EXIT TERM…`; `-` resets, an empty action ignores."""
    args = args[1:] if args[:1] == ["--"] else args
    action, names = (args[0], args[1:]) if len(args) > 1 else ("-", args)
    for name in names:
        try:
            signum = 0 if name == "EXIT" else signal_number(name)
        except ValueError as error:
            shell.error(f"trap: {error}")
            return 1
        key = next((key for key, value in SIGNALS.items() if value == signum), "EXIT")
        shell.traps.pop(key, None)
        shell.process.handlers.pop(signum, None)
        if action != "-":
            shell.traps[key] = action
            if signum:
                shell.process.handlers[signum] = action
    return 0


def wait(shell: Shell, args: list[str]) -> Task:
    """`wait [pid…]`: for background commands; a signal with a trap ends the waiting."""
    wanted = [int(arg) for arg in args if arg.isdigit()] if args else list(shell.jobs)
    status = 0
    for pid in wanted:
        job = shell.jobs.get(pid)
        if job is None:
            status = 127
            continue
        while job.status is None:
            if shell.process.pending:
                return 128 + shell.process.pending[0]
            yield False
        status = job.status
        del shell.jobs[pid]
    return status if args else 0


def command(shell: Shell, args: list[str]) -> Task:
    """`command -v name` says what a name is; `command name` passes functions over."""
    if args[:1] == ["-v"]:
        return describe(shell, args[1:])
    return (yield from shell.command(args, [], functions=False)) if args else 0


def describe(shell: Shell, names: Iterable[str]) -> int:
    """`command -v`: what each name would run."""
    status = 0
    for name in names:
        if name in shell.functions or name in BUILTINS or name in SHARED:
            shell.process.out(name + "\n")
            continue
        try:
            shell.process.out(shell.process.kernel.find(shell.process, name, shell.variables.get("PATH", "")) + "\n")
        except CannotRun:
            status = 127
    return status


def umask(shell: Shell, args: list[str]) -> int:
    """`umask [octal]`."""
    if not args:
        shell.process.out(f"{shell.process.files.umask:04o}\n")
        return 0
    if any(digit not in "01234567" for digit in args[0]):
        shell.error(f"umask: {args[0]}: only octal masks are known here")
        return 1
    shell.process.files.umask = int(args[0], 8) & 0o777
    return 0


def refuse(name: str) -> Builtin:
    """What other shells do themselves, and this one does not: it stops rather than pretend."""

    def run(shell: Shell, args: list[str]) -> int:  # noqa: ARG001
        shell.fatal(f"{name}: the simulated runtime's shell has not got it; plain `sh` or a program may do instead")

    return run


BUILTINS: dict[str, Builtin] = {
    ":": lambda shell, args: 0,  # noqa: ARG005
    ".": source,
    "source": source,
    "break": jump("break"),
    "continue": jump("continue"),
    "cd": cd,
    "command": command,
    "eval": eval_,
    "exec": exec_,
    "exit": exit_,
    "export": declare("export"),
    "local": local,
    "pwd": lambda shell, args: shell.process.out(shell.variables.get("PWD", "/") + "\n"),  # noqa: ARG005
    "read": read,
    "readonly": declare("readonly"),
    "return": return_,
    "set": set_,
    "shift": shift,
    "trap": trap,
    "umask": umask,
    "unset": unset,
    "wait": wait,
    **{name: refuse(name) for name in "[[ alias declare getopts hash shopt type ulimit".split()},
}
