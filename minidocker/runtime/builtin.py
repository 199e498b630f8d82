"""What `sh` does itself: the commands that change the shell, which no other process could do for it.

`BUILTINS` is the table; each takes the shell and its arguments and gives an exit code (None is 0). `sh` is the program.
"""

from __future__ import annotations

import errno
import getopt
import posixpath
from collections.abc import Generator, Iterable

from minidocker.runtime.files import EXECUTE, failure
from minidocker.runtime.kernel import SIGNALS, CannotRun, Died, Process, Task, decode, signal_number
from minidocker.runtime.shell import OPTIONS, SHARED, SPECIAL, Builtin, Exit, Jump, Return, Shell
from minidocker.runtime.syntax import NAME


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
    """`set -e -- a b`; alone it prints the variables."""
    if not args:
        for name, value in sorted(shell.variables.items()):
            shell.process.out(f"{name}={quoted(value)}\n")
        return
    try:
        rest = set_options(shell, args)
    except ValueError as error:
        shell.fatal(str(error))
    if rest or "--" in args:
        shell.arguments = rest


def quoted(value: str) -> str:
    """A value in single quotes, whatever it is."""
    return "'" + value.replace("'", "'\"'\"'") + "'"


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
    where = [arg for arg in args if arg not in ("-L", "-P", "--")]
    target = where[0] if where else shell.variables.get("HOME", "/")
    back = target == "-"
    target = shell.variables.get("OLDPWD", ".") if back else target
    files = shell.process.files
    try:
        logical = posixpath.normpath(posixpath.join(shell.variables.get("PWD", "/"), target))
        there = files.locate(logical if "-P" not in args else target)
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
    shell.variables["OLDPWD"], shell.variables["PWD"] = (
        shell.variables.get("PWD", "/"),
        there if "-P" in args else logical,
    )
    if back:
        shell.process.out(logical + "\n")
    return 0


def pwd(shell: Shell, args: list[str]) -> None:
    """`pwd [-P]`."""
    shell.process.out((shell.process.files.cwd if "-P" in args else shell.variables.get("PWD", "/")) + "\n")


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
        for name in sorted(marked) if not names else ():
            known = name in shell.variables
            shell.process.out(f"{kind} {name}" + (f"={quoted(shell.variables[name])}\n" if known else "\n"))

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
    """`read [-r] [-p prompt] [-d char] [-n count] names`: one line of input into variables."""
    try:
        options, names = getopt.getopt(args, "rsp:d:n:t:")
    except getopt.GetoptError as error:
        shell.error(f"read: {error}")
        return 2
    given = dict(options)
    if "-t" in given:
        shell.error("read: the simulated runtime's read has no -t")
        return 2
    end, raw, limit = given.get("-d", "\n")[:1] or "\0", "-r" in given, int(given.get("-n", 0))
    line, complete = yield from read_line(shell.process, end, raw, limit)
    fields = split(line, shell.variables.get("IFS", " \t\n"), len(names or ["REPLY"]))
    for name, value in zip(names or ["REPLY"], fields, strict=True):
        shell.assign(name, value)
    return 0 if complete else 1


def read_line(
    process: Process, end: str, raw: bool, limit: int
) -> Generator[bool, None, tuple[list[tuple[str, bool]], bool]]:
    """Characters up to `end`, each with whether a backslash quoted it; and whether the end came."""
    line: list[tuple[str, bool]] = []
    pending = b""
    quoting = False
    while not limit or len(line) < limit:
        byte = yield from process.read(size=1)
        if not byte:
            return line, False
        pending += byte
        char = decode(pending)
        if char != "\n" and len(char) == 1 and "\udc80" <= char <= "\udcff" and len(pending) < 4:
            continue  # in the middle of a UTF-8 character
        pending = b""
        if quoting:
            quoting = False
            line += [] if char == "\n" else [(char, True)]
        elif char == "\\" and not raw:
            quoting = True
        elif char == end:
            return line, True
        else:
            line += [(each, False) for each in char]
    return line, True


def split(line: list[tuple[str, bool]], ifs: str, count: int) -> list[str]:
    """Cut a line at IFS into so many fields, the last of which takes the rest."""

    def blank(place: int) -> bool:
        return place < len(line) and line[place][0] in ifs and line[place][0] in " \t\n" and not line[place][1]

    def delimiter(place: int) -> bool:
        return place < len(line) and line[place][0] in ifs and not line[place][1]

    fields: list[str] = []
    place = 0
    while blank(place):
        place += 1
    while len(fields) < count - 1 and place < len(line):
        start = place
        while place < len(line) and not delimiter(place):
            place += 1
        fields.append("".join(char for char, _ in line[start:place]))
        while blank(place):
            place += 1
        if delimiter(place) and not blank(place):
            place += 1
            while blank(place):
                place += 1
    rest = line[place:]
    while rest and rest[-1][0] in " \t\n" and rest[-1][0] in ifs and not rest[-1][1]:
        rest.pop()
    if len(rest) > 1 and rest[-1][0] in ifs and not rest[-1][1] and not any(c in ifs and not q for c, q in rest[:-1]):
        rest.pop()  # one delimiter at the very end belongs to the field before it
    fields.append("".join(char for char, _ in rest))
    return fields + [""] * (count - len(fields))


def trap(shell: Shell, args: list[str]) -> int:
    """`trap action EXIT TERM…`; `-` resets, an empty action ignores."""
    args = args[1:] if args[:1] == ["--"] else args
    if not args:
        for name, action in shell.traps.items():
            shell.process.out(f"trap -- {quoted(action)} {name}\n")
        return 0
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
    if args[:1] in (["-v"], ["-V"]):
        return describe(shell, args[1:], verbose=args[0] == "-V")
    words = [arg for arg in args[:1] if arg not in ("-p", "--")] + args[1:]
    return (yield from shell.command(words, [], functions=False)) if words else 0


def type_(shell: Shell, args: list[str]) -> int:
    """`type name`."""
    return describe(shell, args, verbose=True)


def describe(shell: Shell, names: Iterable[str], verbose: bool) -> int:
    """What each name would run."""
    status = 0
    for name in names:
        special = "special " if name in SPECIAL else ""
        if name in shell.functions:
            line = f"{name} is a function" if verbose else name
        elif name in BUILTINS or name in SHARED:
            line = f"{name} is a {special}shell builtin" if verbose else name
        else:
            try:
                path = shell.process.kernel.find(shell.process, name, shell.variables.get("PATH", ""))
                line = f"{name} is {path}" if verbose else path
            except CannotRun:
                status = 127
                line = f"{name}: not found" if verbose else ""
        shell.process.out(line + "\n" if line else "")
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


def getopts(shell: Shell, args: list[str]) -> int:
    """`getopts ab: name`: the next option of the positional parameters."""
    spec, name = args[0], args[1]
    words = args[2:] or shell.arguments
    index, _, inner = shell.variables.get("OPTIND", "1").partition(".")
    place, letter = int(index) - 1, int(inner or shell.variables.get("_OPTPOS", "1"))
    place = 0 if place > len(words) else place
    word = words[place] if place < len(words) else ""
    if letter == 1 and (len(word) < 2 or word[0] != "-" or word == "--"):
        shell.variables |= {name: "?", "OPTIND": str(place + 1 + (word == "--")), "_OPTPOS": "1"}
        return 1
    option, rest = word[letter], word[letter + 1 :]
    where = spec.lstrip(":").find(option)
    shell.variables.pop("OPTARG", None)
    if where < 0 or option == ":":
        shell.variables[name] = "?"
        if spec.startswith(":"):
            shell.variables["OPTARG"] = option
        else:
            shell.process.err(f"Illegal option -{option}")
    else:
        shell.variables[name] = option
        if spec.lstrip(":")[where + 1 : where + 2] == ":":
            if not rest and place + 1 >= len(words):
                shell.variables[name] = ":" if spec.startswith(":") else "?"
                shell.variables["OPTARG"] = option
                if not spec.startswith(":"):
                    shell.process.err(f"No arg for -{option} option")
            else:
                shell.variables["OPTARG"] = rest or words[place + 1]
                place += not rest
            rest = ""
    shell.variables |= {"OPTIND": str(place + 1 + (not rest)), "_OPTPOS": str(letter + 1) if rest else "1"}
    return 0


def refuse(name: str, why: str) -> Builtin:
    """A builtin that other shells have and this has not."""

    def run(shell: Shell, args: list[str]) -> int:  # noqa: ARG001
        shell.error(f"{name}: {why}")
        return 2

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
    "getopts": getopts,
    "hash": lambda shell, args: 0,  # noqa: ARG005
    "local": local,
    "pwd": pwd,
    "read": read,
    "readonly": declare("readonly"),
    "return": return_,
    "set": set_,
    "shift": shift,
    "times": lambda shell, args: shell.process.out("0m0.00s 0m0.00s\n" * 2),  # noqa: ARG005
    "trap": trap,
    "type": type_,
    "umask": umask,
    "unset": unset,
    "wait": wait,
    "alias": refuse("alias", "the simulated runtime's shell has no aliases; write a function"),
    "declare": refuse("declare", "this is bash's; in `sh` a plain assignment does"),
    "shopt": refuse("shopt", "this is bash's, and changes what `sh` does not have"),
    "ulimit": refuse("ulimit", "the simulated runtime has no limits to set"),
    "[[": refuse("[[", "no part of POSIX `sh`, and not in the simulated runtime; write [ … ]"),
}
