"""Commands on files and directories: `ls`, `cp`, `find`, `tar`… Each is a function over a process's `Files`."""

from __future__ import annotations

import errno
import fnmatch
import gzip
import hashlib
import io
import posixpath
import re
import time
from collections.abc import Callable, Iterator

from minidocker.runtime.files import EXECUTE, READ, failure
from minidocker.runtime.kernel import Command, Process, Task
from minidocker.runtime.tool import Options, each, human, id_of, inputs, name_of, need, raw, read, tool
from minidocker.tree import Entry, prefix

TABLE: dict[str, Command] = {}
LETTERS = {"file": "-", "dir": "d", "symlink": "l", "char": "c", "block": "b", "fifo": "p"}


def mode_text(entry: Entry) -> str:
    """`-rwxr-xr-x`."""
    bits = "".join(letter if entry.mode >> (8 - place) & 1 else "-" for place, letter in enumerate("rwxrwxrwx"))
    for place, bit, letter in ((2, 0o4000, "s"), (5, 0o2000, "s"), (8, 0o1000, "t")):
        if entry.mode & bit:
            bits = bits[:place] + (letter if bits[place] == "x" else letter.upper()) + bits[place + 1 :]
    return LETTERS.get(entry.kind, "?") + bits


@tool(TABLE, "ls", "l a A 1 d R h F t r S n p i C")
def ls(process: Process, options: Options, operands: list[str]) -> int:
    """List files and directories."""
    files = process.files
    found: list[tuple[str, Entry]] = []
    status = each(
        process,
        operands or ["."],
        lambda name: found.append((name, files.stat(name, "l" not in options))) if True else None,
    )  # noqa: E501
    plain = [(name, entry) for name, entry in found if not entry.is_dir or "d" in options]
    folders = [name for name, entry in found if entry.is_dir and "d" not in options]
    listing(process, options, plain)
    todo = folders[::-1]
    first = not plain
    while todo:
        folder = todo.pop()
        if len(operands) > 1 or "R" in options:
            process.out(("" if first else "\n") + f"{folder}:\n")
        first = False
        names = [name for name in files.listdir(folder) if options.keys() & {"a", "A"} or not name.startswith(".")]
        entries = [(name, files.stat(posixpath.join(folder, name), follow=False)) for name in names]
        if "a" in options:
            entries = [(name, files.stat(posixpath.join(folder, name))) for name in (".", "..")] + entries
        if "l" in options:
            process.out(f"total {sum((entry.size + 4095) // 4096 * 4 for _, entry in entries)}\n")
        listing(process, options, entries, folder)
        if "R" in options:
            todo += [
                posixpath.join(folder, name)
                for name, entry in reversed(entries)
                if entry.is_dir and name not in (".", "..")
            ]
    return status


def listing(process: Process, options: Options, entries: list[tuple[str, Entry]], folder: str = "") -> None:
    """Print entries, one a line."""
    if "t" in options:
        entries = sorted(entries, key=lambda item: -item[1].mtime)
    if "S" in options:
        entries = sorted(entries, key=lambda item: -item[1].size)
    rows = [
        row(process, options, name, entry, folder) for name, entry in (entries[::-1] if "r" in options else entries)
    ]
    widths = (
        [max((len(cells[column]) for cells in rows), default=0) for column in range(5)]
        if rows and len(rows[0]) > 5
        else []
    )
    for cells in rows:
        left = [
            cell.rjust(width) if column in (1, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths))
        ]
        process.out(" ".join([*left, *cells[len(widths) :]]) + "\n")


def row(process: Process, options: Options, name: str, entry: Entry, folder: str) -> list[str]:
    """The columns of one entry."""
    mark = (
        {"dir": "/", "symlink": "@" * ("l" not in options)}.get(entry.kind, "*" * (entry.mode & 0o111 > 0))
        if "F" in options
        else ""
    )
    mark = mark or "/" * ("p" in options and entry.is_dir)
    if not options.keys() & {"l", "n"}:
        return [name + mark]
    path = posixpath.join(folder, name)
    count = 2 if entry.is_dir else 1
    if entry.link:
        count = links(process, path)
    owner, group = (
        (str(entry.uid), str(entry.gid))
        if "n" in options
        else (
            name_of(process, "/etc/passwd", entry.uid),
            name_of(process, "/etc/group", entry.gid),
        )
    )
    length = (
        f"{entry.device[0]}, {entry.device[1]}"
        if entry.kind in ("char", "block")
        else str(len(entry.target) or entry.size)
    )
    when = time.strftime(
        "%b %e %H:%M" if abs(time.time() - entry.mtime) < 15552000 else "%b %e  %Y", time.gmtime(entry.mtime)
    )
    arrow = f" -> {entry.target}" if entry.kind == "symlink" else ""
    return [
        mode_text(entry),
        str(count),
        owner,
        group,
        human(entry.size) if "h" in options else length,
        when,
        name + mark + arrow,
    ]


def links(process: Process, path: str) -> int:
    """How many names a file has."""
    label = process.files.stat(path, follow=False).link
    return sum(entry.link == label for entry in process.files.mounts.root.tree().values()) if label else 1


@tool(TABLE, "mkdir", "p=parents m:=mode v=verbose")
def mkdir(process: Process, options: Options, operands: list[str]) -> int:
    """Make directories."""
    return each(process, need(operands), lambda path: make_folder(process, path, "p" in options, options.get("m", "")))


def make_folder(process: Process, path: str, parents: bool = False, mode: str = "") -> None:
    """`mkdir -p -m mode path`."""
    files = process.files
    if parents:
        up = posixpath.dirname(path.rstrip("/"))
        if up and not files.find(up):
            make_folder(process, up, parents=True)
        if (there := files.find(path)) and there.is_dir:
            return
    files.mkdir(path)
    if mode:
        files.chmod(path, new_mode(mode, files.stat(path), files.umask))


@tool(TABLE, "rmdir", "p=parents =ignore-fail-on-non-empty")
def rmdir(process: Process, options: Options, operands: list[str]) -> int:
    """Remove empty directories."""

    def one(path: str) -> None:
        process.files.rmdir(path)
        if "p" in options and (up := posixpath.dirname(path.rstrip("/"))) not in ("", "/"):
            one(up)

    return each(process, need(operands), one)


@tool(TABLE, "rm", "r=recursive R f=force i v=verbose d=dir =no-preserve-root")
def rm(process: Process, options: Options, operands: list[str]) -> int:
    """Remove files, and with `-r` directories."""
    force, deep = "f" in options, bool(options.keys() & {"r", "R"})
    if not operands and force:
        return 0

    def one(path: str) -> None:
        if (
            posixpath.basename(path.rstrip("/")) in (".", "..")
            or posixpath.normpath(process.files.absolute(path)) == "/"
        ):
            raise OSError(errno.EINVAL, "refusing to remove it", path)
        if force and process.files.find(path, follow=False) is None:
            return
        remove(process, path, deep)

    return each(process, need(operands), one)


def remove(process: Process, path: str, deep: bool) -> None:
    """Remove a file, or all that is below a directory."""
    entry = process.files.stat(path, follow=False)
    if not entry.is_dir:
        process.files.unlink(path)
        return
    if not deep:
        raise failure(errno.EISDIR, path)
    for name in process.files.listdir(path):
        remove(process, prefix(path) + name, deep)
    process.files.rmdir(path)


@tool(TABLE, "cp", "r=recursive R a=archive p f=force v=verbose L P d n=no-clobber T t: u i =preserve:")
def cp(process: Process, options: Options, operands: list[str]) -> int:
    """Copy files and, with `-r`, directories."""
    deep = bool(options.keys() & {"r", "R", "a"})
    keep = bool(options.keys() & {"p", "a", "preserve"})
    follow = "L" in options or not (deep or options.keys() & {"P", "d"})
    seen: dict[str, str] = {}  # hard links among what is copied
    pairs = destinations(process, options, operands)
    return each(
        process,
        [source for source, _ in pairs],
        lambda source: copy(process, source, dict(pairs)[source], deep, keep, follow, "n" in options, seen),
    )  # noqa: E501


def destinations(process: Process, options: Options, operands: list[str]) -> list[tuple[str, str]]:
    """Where each operand of `cp`, `mv`, `ln` or `install` goes."""
    sources, target = (operands, options["t"]) if "t" in options else (operands[:-1], operands[-1] if operands else "")
    list(need(sources))
    entry = process.files.find(target)
    if entry and entry.is_dir and "T" not in options:
        return [(source, prefix(target) + posixpath.basename(source.rstrip("/"))) for source in sources]
    if len(sources) > 1:
        raise ValueError(f"target '{target}' is not a directory")
    return [(sources[0], target)]


def copy(
    process: Process, source: str, target: str, deep: bool, keep: bool, follow: bool, spare: bool, seen: dict[str, str]
) -> None:
    """Copy one file or tree."""
    files = process.files
    entry = files.stat(source, follow)
    old = files.find(target, follow=False)
    if old and spare and not entry.is_dir:
        return
    if entry.is_dir:
        if not deep:
            raise OSError(errno.EISDIR, "omitting directory (use -r)", source)
        if prefix(files.locate(target)).startswith(prefix(files.locate(source))):
            raise OSError(errno.EINVAL, f"cannot copy a directory into itself, '{target}'", source)
        if not old:
            files.mkdir(target, entry.mode | 0o700)
        for name in files.listdir(source):
            copy(process, prefix(source) + name, prefix(target) + name, deep, keep, follow and "L" in (), spare, seen)
    elif entry.kind == "symlink":
        if old:
            files.unlink(target)
        files.symlink(entry.target, target)
    elif keep and entry.link and entry.link in seen:
        if old:
            files.unlink(target)
        files.link(seen[entry.link], target)
        return
    elif entry.kind == "file":
        if old and files.locate(source) == files.locate(target):
            raise OSError(errno.EINVAL, f"'{target}' is the same file", source)
        files.write(target, files.read(source), mode=entry.mode & 0o777)
        seen[entry.link or source] = target
    else:
        raise OSError(errno.EINVAL, f"the simulated runtime copies no {entry.kind} device", source)
    if keep:
        preserve(process, entry, target)


def preserve(process: Process, entry: Entry, target: str) -> None:
    """Give a copy the owner, mode and time of its original."""
    if process.files.uid == 0:
        process.files.chown(target, entry.uid, entry.gid, follow=False)
    if entry.kind != "symlink":
        process.files.chmod(target, entry.mode)
        process.files.utime(target, entry.mtime)


@tool(TABLE, "mv", "f=force n=no-clobber v=verbose T t: i u")
def mv(process: Process, options: Options, operands: list[str]) -> int:
    """Move or rename."""
    pairs = dict(destinations(process, options, operands))

    def one(source: str) -> None:
        target = pairs[source]
        if "n" in options and process.files.find(target, follow=False):
            return
        try:
            process.files.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            copy(process, source, target, deep=True, keep=True, follow=False, spare=False, seen={})
            remove(process, source, deep=True)

    return each(process, pairs, one)


@tool(TABLE, "ln", "s=symbolic f=force n=no-dereference v=verbose T t: r")
def ln(process: Process, options: Options, operands: list[str]) -> int:
    """Make links."""
    files = process.files
    if len(operands) == 1:
        operands = [*operands, posixpath.basename(operands[0])]
    last = files.find(operands[-1], follow=False) if operands else None
    if "n" in options and last and last.kind == "symlink":
        options = options | {"T": ""}
    pairs = dict(destinations(process, options, operands))

    def one(source: str) -> None:
        target = pairs[source]
        if "s" not in options:
            files.stat(source, follow=False)
        old = files.find(target, follow=False)
        if "f" in options and old and not old.is_dir:
            files.unlink(target)
        if "s" not in options:
            files.link(source, target)
            return
        if "r" in options:
            source = posixpath.relpath(files.locate(source), files.locate(posixpath.dirname(files.absolute(target))))
        files.symlink(source, target)

    return each(process, pairs, one)


@tool(TABLE, "touch", "c=no-create a m t: d:=date r:=reference h")
def touch(process: Process, options: Options, operands: list[str]) -> int:
    """Make files, or make them new."""
    when = int(time.time())
    if "r" in options:
        when = process.files.stat(options["r"]).mtime
    elif "d" in options:
        when = moment(options["d"])
    elif "t" in options:
        digits = options["t"].replace(".", "")
        when = int(time.mktime(time.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")))

    def one(path: str) -> None:
        if process.files.find(path) is None:
            if "c" in options:
                return
            process.files.write(path, b"")
            if not options.keys() & {"r", "d", "t"}:
                return
        process.files.utime(path, when)

    return each(process, need(operands), one)


def moment(text: str) -> int:
    """A point in time: `@0`, `2024-01-31`, `2024-01-31 10:00:00`, `2024-01-31T10:00:00Z`, `now` (UTC, as containers are)."""
    import calendar

    if text.startswith("@") and text[1:].isdigit():
        return int(text[1:])
    if text == "now":
        return int(time.time())
    plain = text.replace("T", " ").rstrip("Z").removesuffix(" UTC")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return calendar.timegm(time.strptime(plain, form))
        except ValueError:
            continue
    raise ValueError(f"invalid date '{text}'")


def new_mode(text: str, entry: Entry, umask: int) -> int:
    """What `chmod` makes of a mode: octal, or clauses like `u+rwx,go-w,a=r,+x,g+s`."""
    if re.fullmatch("[0-7]{1,4}", text):
        return int(text, 8)
    mode = entry.mode
    for clause in text.split(","):
        match = re.fullmatch(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)", clause)
        if match is None:
            raise ValueError(f"invalid mode '{text}'")
        who = match[1].replace("a", "ugo") or "ugo"
        mask = 0o7777 if match[1] else ~umask & 0o7777
        for op, what in re.findall(r"([-+=])([rwxXst]*|[ugo])", match[2]):
            bits = 0
            for place, letter in ((6, "u"), (3, "g"), (0, "o")):
                if letter not in who:
                    continue
                value = sum({"r": 4, "w": 2, "x": 1}.get(each, 0) for each in set(what))
                value |= "X" in what and (entry.is_dir or mode & 0o111 > 0)
                if what in ("u", "g", "o") and what:
                    value = mode >> {"u": 6, "g": 3, "o": 0}[what] & 7
                bits |= value << place
                bits |= ("s" in what) * {"u": 0o4000, "g": 0o2000, "o": 0}[letter]
            bits |= 0o1000 * ("t" in what)
            bits &= mask | 0o7000
            scope = sum({"u": 0o700, "g": 0o070, "o": 0o007}[letter] for letter in set(who))
            mode = mode | bits if op == "+" else mode & ~bits if op == "-" else (mode & ~scope) | bits
    return mode


@raw(TABLE, "chmod")
def chmod(process: Process, args: list[str]) -> int:
    """Change permissions; reads its own options, for `-x` is a mode."""
    flags = [arg for arg in args if re.fullmatch("-[Rfvc]+|--recursive", arg)]
    operands = [arg for arg in args if arg not in flags and arg != "--"]
    mode = next(need(operands, 2))

    def change(path: str, entry: Entry) -> None:
        if entry.kind != "symlink":
            process.files.chmod(path, new_mode(mode, entry, process.files.umask))

    deep = any("R" in flag or "recursive" in flag for flag in flags)
    return each(
        process,
        operands[1:],
        lambda path: process.files.walk(path, change) if deep else change(path, process.files.stat(path)),
    )


@tool(TABLE, "chown chgrp", "R=recursive h=no-dereference f v c H L P")
def chown(process: Process, options: Options, operands: list[str]) -> int:
    """Change owner and group: `chown user:group`, `chown :group`, `chgrp group`."""
    who = next(need(operands, 2))
    user, _, group = (":" + who if process.args[0] == "chgrp" else who.replace(".", ":", ":" not in who)).partition(":")
    uid = id_of(process, "/etc/passwd", user) if user else -1
    gid = id_of(process, "/etc/group", group) if group else -1

    def change(path: str, entry: Entry) -> None:  # noqa: ARG001
        process.files.chown(path, uid, gid, follow=not options.keys() & {"h", "R"})

    return each(
        process,
        operands[1:],
        lambda path: (
            process.files.walk(path, change)
            if "R" in options
            else change(path, process.files.stat(path, "h" not in options))
        ),
    )  # noqa: E501


@tool(TABLE, "stat", "c:=format L t")
def stat(process: Process, options: Options, operands: list[str]) -> int:
    """Tell what is known of a file."""

    def one(path: str) -> None:
        entry = process.files.stat(path, "L" in options)
        kinds = {
            "file": "regular file" if entry.size else "regular empty file",
            "dir": "directory",
            "symlink": "symbolic link",
        }
        when = time.strftime("%Y-%m-%d %H:%M:%S.000000000 +0000", time.gmtime(entry.mtime))
        values = {
            "a": f"{entry.mode:o}", "A": mode_text(entry), "n": path, "s": str(len(entry.target) or entry.size), "u": str(entry.uid),
            "g": str(entry.gid), "U": name_of(process, "/etc/passwd", entry.uid), "G": name_of(process, "/etc/group", entry.gid),
            "F": kinds.get(entry.kind, entry.kind), "Y": str(entry.mtime), "y": when, "X": str(entry.mtime), "Z": str(entry.mtime),
            "h": str(links(process, path)), "N": f"'{path}'" + (f" -> '{entry.target}'" if entry.target else ""), "%": "%",
            "x": when, "z": when, "B": "512", "b": str((entry.size + 511) // 512), "f": f"{mode_bits(entry):x}",
        }  # fmt: skip
        default = "  File: %N\n  Size: %s\t%F\nAccess: (%a/%A)  Uid: (%u/%U)  Gid: (%g/%G)\nModify: %y"
        form = options.get("c", default)
        process.out(re.sub("%(.)", lambda match: values.get(match[1], "?"), form) + "\n")

    return each(process, need(operands), one)


def mode_bits(entry: Entry) -> int:
    """`st_mode`: kind and permissions."""
    kinds = {
        "file": 0o100000,
        "dir": 0o040000,
        "symlink": 0o120000,
        "char": 0o020000,
        "block": 0o060000,
        "fifo": 0o010000,
    }
    return kinds[entry.kind] | entry.mode


@tool(TABLE, "readlink", "f=canonicalize e m n=no-newline")
def readlink(process: Process, options: Options, operands: list[str]) -> int:
    """Print where a link points; with `-f` the whole true path."""
    end = "" if "n" in options else "\n"
    for path in need(operands):
        try:
            process.out(
                (process.files.locate(path) if options.keys() & {"f", "e", "m"} else process.files.readlink(path)) + end
            )
        except OSError:
            return 1
    return 0


@tool(TABLE, "realpath", "e s q m")
def realpath(process: Process, options: Options, operands: list[str]) -> int:  # noqa: ARG001
    """Print the true path."""
    return each(process, need(operands), lambda path: process.out(process.files.locate(path) + "\n"))


@tool(TABLE, "du", "s=summarize h=human-readable k a=all c d:=max-depth b x")
def du(process: Process, options: Options, operands: list[str]) -> int:
    """Add up sizes."""
    depth = 0 if "s" in options else int(options.get("d", 1 << 30))

    def usage(path: str, level: int) -> int:
        entry = process.files.stat(path, follow=False)
        total = entry.size if "b" in options else (entry.size + 4095) // 4096 * 4 + 4 * entry.is_dir
        for name in process.files.listdir(path) if entry.is_dir else ():
            total += usage(prefix(path) + name, level + 1)
        if level <= depth and (entry.is_dir or level == 0 or "a" in options):
            process.out(f"{human(total * (1 if 'b' in options else 1024)) if 'h' in options else total}\t{path}\n")
        return total

    return each(process, operands or ["."], lambda path: usage(path, 0))


@tool(TABLE, "df", "h k P T i a")
def df(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """Show the file systems; those of the simulated runtime have no limit of their own."""
    process.out("Filesystem 1K-blocks Used Available Use% Mounted on\n")
    used = sum(entry.size for entry in process.files.mounts.root.tree().values()) // 1024
    process.out(f"overlay - {used} - - /\n")


@tool(TABLE, "install", "d m:=mode o:=owner g:=group D t: v T c s p")
def install(process: Process, options: Options, operands: list[str]) -> int:
    """Copy files and set their modes; with `-d` make directories."""
    files = process.files
    uid = id_of(process, "/etc/passwd", options["o"]) if "o" in options else -1
    gid = id_of(process, "/etc/group", options["g"]) if "g" in options else -1

    def finish(path: str) -> None:
        files.chmod(path, new_mode(options.get("m", "755"), files.stat(path), files.umask))
        if uid >= 0 or gid >= 0:
            files.chown(path, uid, gid)

    if "d" in options:
        return each(process, need(operands), lambda path: (make_folder(process, path, parents=True), finish(path)))
    if "D" in options and "t" not in options:
        make_folder(process, posixpath.dirname(operands[-1]) or ".", parents=True)
    pairs = dict(destinations(process, options, operands))

    def one(source: str) -> None:
        if files.find(pairs[source], follow=False):
            files.unlink(pairs[source])
        files.write(pairs[source], files.read(source))
        finish(pairs[source])

    return each(process, pairs, one)


@tool(TABLE, "mktemp", "d=directory p: t q u")
def mktemp(process: Process, options: Options, operands: list[str]) -> None:
    """Make a file or directory with a name that nobody has."""
    import secrets
    import string

    template = operands[0] if operands else "tmp.XXXXXX"
    stem = template.rstrip("X")
    if len(template) - len(stem) < 6 and len(template) - len(stem) < 3:
        raise ValueError(f"too few X's in template '{template}'")
    if not operands or options.keys() & {"p", "t"}:
        stem = posixpath.join(options.get("p") or process.env.get("TMPDIR", "/tmp"), stem)
    alphabet = string.ascii_letters + string.digits
    path = stem + "".join(secrets.choice(alphabet) for _ in range(len(template) - len(template.rstrip("X"))))
    if "d" in options:
        process.files.mkdir(path, 0o700)
    elif "u" not in options:
        process.files.write(path, b"", mode=0o600)
    process.out(path + "\n")


# find


@raw(TABLE, "find")
def find(process: Process, args: list[str]) -> Task:
    """Walk trees and test what is there: `find . -name '*.c' -type f -exec wc {} +`."""
    split = next(
        (place for place, arg in enumerate(args) if arg[:1] in "-!(" and arg not in ("-", "-H", "-L", "-P")), len(args)
    )
    roots, search = [arg for arg in args[:split] if arg not in ("-H", "-P")] or ["."], Search(process, args[split:])
    status = 0
    for root in roots:
        if process.files.find(root, follow=False) is None:
            process.err(f"find: {root}: No such file or directory")
            status = 1
            continue
        for path, entry, level in search.walk(root):
            if search.least <= level:
                yield from search.visit(path, entry)
    for command, found in search.batches:
        if found:
            yield from search.launch([*command, *found])
    return status or search.status


class Search:
    """The expression of a `find`, read once: a function from (path, entry) to whether it holds."""

    def __init__(self, process: Process, args: list[str]) -> None:
        self.process, self.args = process, args
        self.least, self.most, self.deep, self.status = 0, 1 << 30, False, 0
        self.prunes: set[str] = set()
        self.acts = False
        self.batches: list[tuple[list[str], list[str]]] = []
        self.test = self.either() if args else lambda path, entry: always(True)
        if self.args:
            raise ValueError(f"paths must precede expression: {self.args[0]}")

    def walk(self, path: str, level: int = 0) -> Iterator[tuple[str, Entry, int]]:
        """Every path to visit, with its depth."""
        entry = self.process.files.find(path, follow=False)
        if entry is None:
            return
        if not self.deep:
            yield path, entry, level
        if entry.is_dir and level < self.most and path not in self.prunes:
            for name in self.process.files.listdir(path):
                yield from self.walk(prefix(path) + name, level + 1)
        if self.deep:
            yield path, entry, level

    def visit(self, path: str, entry: Entry) -> Task:
        """Test one path; print it if nothing else was to be done."""
        if (yield from self.test(path, entry)) and not self.acts:
            self.process.out(path + "\n")
        return 0

    def launch(self, command: list[str]) -> Task:
        """Run a command of `-exec`."""
        yield from self.process.flush()
        return (yield from run_program(self.process, command))

    def either(self) -> Callable[[str, Entry], Task]:
        """`a -o b`."""
        left = self.both()
        while self.args and self.args[0] in ("-o", "-or"):
            self.args = self.args[1:]
            left = self._or(left, self.both())
        return left

    def _or(
        self, left: Callable[[str, Entry], Task], right: Callable[[str, Entry], Task]
    ) -> Callable[[str, Entry], Task]:
        def test(path: str, entry: Entry) -> Task:
            return (yield from left(path, entry)) or (yield from right(path, entry))

        return test

    def both(self) -> Callable[[str, Entry], Task]:
        """`a -a b`, `a b`."""
        left = self.primary()
        while self.args and self.args[0] not in ("-o", "-or", ")"):
            if self.args[0] in ("-a", "-and"):
                self.args = self.args[1:]
            left = self._and(left, self.primary())
        return left

    def _and(
        self, left: Callable[[str, Entry], Task], right: Callable[[str, Entry], Task]
    ) -> Callable[[str, Entry], Task]:
        def test(path: str, entry: Entry) -> Task:
            return (yield from left(path, entry)) and (yield from right(path, entry))

        return test

    def take(self) -> str:
        """The next argument."""
        if not self.args:
            raise ValueError("an argument is missing")
        word, self.args = self.args[0], self.args[1:]
        return word

    def primary(self) -> Callable[[str, Entry], Task]:
        """One test or action."""
        word = self.take()
        if word in ("!", "-not"):
            inner = self.primary()

            def negated(path: str, entry: Entry) -> Task:
                return int(not (yield from inner(path, entry)))

            return negated
        if word == "(":
            test = self.either()
            self.take()
            return test
        if word in ("-exec", "-execdir"):
            return self.execute()
        if word in ("-maxdepth", "-mindepth"):
            value = int(self.take())
            self.most, self.least = (value, self.least) if word == "-maxdepth" else (self.most, value)
            return lambda path, entry: always(True)
        if word in ("-depth", "-xdev", "-mount"):
            self.deep |= word == "-depth"
            return lambda path, entry: always(True)
        return self.simple(word)

    def simple(self, word: str) -> Callable[[str, Entry], Task]:
        """The tests that only look, and the short actions."""
        process = self.process
        if word in ("-print", "-print0", "-delete", "-prune", "-quit"):
            self.acts |= word != "-prune"
            self.deep |= word == "-delete"
            return lambda path, entry: always(self.act(word, path, entry))
        if word == "-empty":
            return lambda path, entry: always(
                not process.files.listdir(path) if entry.is_dir else entry.kind == "file" and not entry.size
            )
        if word in ("-true", "-false"):
            return lambda path, entry: always(word == "-true")
        if word in ("-executable", "-readable"):
            want = EXECUTE if word == "-executable" else READ
            return lambda path, entry: always(process.files.permits(entry, want))
        value = self.take()
        insensitive = word.startswith("-i")
        matcher = re.compile(fnmatch.translate(value), re.IGNORECASE if insensitive else 0)
        tests: dict[str, Callable[[str, Entry], bool]] = {
            "name": lambda path, entry: bool(matcher.match(posixpath.basename(path.rstrip("/")) or "/")),
            "path": lambda path, entry: bool(matcher.match(path)),
            "type": lambda path, entry: (LETTERS[entry.kind] if entry.kind != "file" else "f") in value.split(","),
            "user": lambda path, entry: entry.uid == id_of(process, "/etc/passwd", value),
            "group": lambda path, entry: entry.gid == id_of(process, "/etc/group", value),
            "perm": lambda path, entry: permissions(value, entry),
            "size": lambda path, entry: compare(value, entry.size),
            "mtime": lambda path, entry: compare(value, int(time.time() - entry.mtime) // 86400),
            "mmin": lambda path, entry: compare(value, int(time.time() - entry.mtime) // 60),
            "newer": lambda path, entry: entry.mtime > process.files.stat(value).mtime,
        }
        test = tests.get(word[2:] if word in ("-iname", "-ipath") else word[1:])
        if test is None:
            raise ValueError(f"unrecognized: {word} (the simulated runtime's find has not got it)")
        return lambda path, entry: always(test(path, entry))

    def act(self, word: str, path: str, entry: Entry) -> bool:
        """Do a short action."""
        if word == "-prune":
            self.prunes.add(path)
        elif word == "-quit":
            self.most = -1
        elif word == "-delete":
            (self.process.files.rmdir if entry.is_dir else self.process.files.unlink)(path)
        else:
            self.process.out(path + ("\0" if word == "-print0" else "\n"))
        return True

    def execute(self) -> Callable[[str, Entry], Task]:
        """`-exec command {} ;` and `-exec command {} +`."""
        self.acts = True
        command: list[str] = []
        while (word := self.take()) not in (";", "+") or (word == "+" and command[-1:] != ["{}"]):
            command.append(word)
        if word == "+":
            batch: tuple[list[str], list[str]] = (command[:-1], [])
            self.batches.append(batch)

            def collect(path: str, entry: Entry) -> Task:  # noqa: ARG001
                batch[1].append(path)
                return always(True)

            return collect

        def run(path: str, entry: Entry) -> Task:  # noqa: ARG001
            status = yield from self.launch([part.replace("{}", path) for part in command])
            return int(not status)

        return run


def always(value: bool) -> Task:
    """A test that does not wait."""
    return int(value)
    yield


def compare(wanted: str, value: int) -> bool:
    """`+n`, `-n`, `n`; sizes in blocks of 512 bytes unless they have a unit."""
    number = wanted.lstrip("+-")
    if unit := {"c": 1, "k": 1024, "M": 1 << 20, "G": 1 << 30, "b": 512}.get(number[-1:]):
        value, number = -(-value // unit), number[:-1]
    return (
        value > int(number) if wanted[0] == "+" else value < int(number) if wanted[0] == "-" else value == int(number)
    )


def permissions(wanted: str, entry: Entry) -> bool:
    """`-perm 644`, `-perm -u+x`, `-perm /222`."""
    bits = new_mode(wanted.lstrip("-/"), Entry("file", 0), 0)
    return (
        entry.mode & bits == bits
        if wanted[0] == "-"
        else bool(entry.mode & bits)
        if wanted[0] == "/"
        else entry.mode == bits
    )


def run_program(process: Process, command: list[str]) -> Task:
    """Start a program and wait for it; 127 or 126 where it cannot be started."""
    from minidocker.runtime.kernel import CannotRun

    child = process.fork(command)
    try:
        task = process.kernel.program(child, command)
    except CannotRun as error:
        process.err(f"{process.args[0]}: {command[0]}: {error.reason}")
        child.end(error.code)
        return error.code
    return (yield from process.wait(child.start(task)))


# Archives and digests


@raw(TABLE, "tar")
def tar(process: Process, args: list[str]) -> Task:
    """Pack (`c`), unpack (`x`) and list (`t`) archives, with gzip (`z`)."""
    import getopt
    import tarfile

    if args and not args[0].startswith("-"):
        args = ["-" + args[0], *args[1:]]
    long = "create extract list gzip verbose file= directory= strip-components= exclude= no-same-owner numeric-owner".split()
    found, names = getopt.gnu_getopt(args, "cxtzvpjJaf:C:", long)
    options = {
        flag.lstrip("-")[:1] if not flag.startswith("--no") else flag: value
        for flag, value in found
        if flag not in ("--exclude", "--strip-components")
    }  # noqa: E501
    options["C"] = options.pop("d", options.get("C", "."))
    options.setdefault("x", "") if "e" in options else None
    options.setdefault("z", "") if "g" in options else None
    strip = int(dict(found).get("--strip-components", 0))
    excluded = [value for flag, value in found if flag == "--exclude"]
    if options.keys() & {"j", "J"}:
        raise ValueError("the simulated runtime's tar has gzip only")
    archive = options.get("f", "-")
    if "c" in options:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as writer:
            for name in need(names):
                pack(process, writer, options["C"], name, excluded, "v" in options)
        content = out.getvalue()
        if "z" in options or archive.endswith((".tgz", ".gz")) and "a" in options:
            content = gzip.compress(content, mtime=0)
        if archive == "-":
            yield from process.write(content)
        else:
            process.files.write(archive, content)
        return 0
    content = yield from read(process, archive)
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as reader:
            for member in reader:
                if names and not any(
                    member.name.rstrip("/") == name.rstrip("/") or member.name.startswith(name.rstrip("/") + "/")
                    for name in names
                ):  # noqa: E501
                    continue
                if any(fnmatch.fnmatch(member.name, pattern) for pattern in excluded):
                    continue
                if "t" in options or "v" in options:
                    process.out(member.name + ("/" if member.isdir() else "") + "\n")
                if "x" in options:
                    unpack(process, reader, member, options["C"], strip)
    except tarfile.TarError as error:
        raise ValueError(f"not a tar archive: {error}") from None
    return 0


def pack(
    process: Process, writer: "tarfile.TarFile", folder: str, name: str, excluded: list[str], verbose: bool
) -> None:  # type: ignore[name-defined]  # noqa: F821,UP037
    """Add a file or tree to an archive."""
    import tarfile

    def add(path: str, entry: Entry) -> None:
        inside = posixpath.join(name, path[len(posixpath.join(folder, name)) :].strip("/")).rstrip("/")
        if any(
            fnmatch.fnmatch(inside, pattern) or fnmatch.fnmatch(posixpath.basename(inside), pattern)
            for pattern in excluded
        ):
            return
        member = tarfile.TarInfo(inside.lstrip("/"))
        member.mode, member.uid, member.gid, member.mtime = entry.mode, entry.uid, entry.gid, entry.mtime
        member.uname, member.gname = (
            name_of(process, "/etc/passwd", entry.uid),
            name_of(process, "/etc/group", entry.gid),
        )
        types = {"dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "fifo": tarfile.FIFOTYPE}
        member.type, member.linkname, member.size = types.get(entry.kind, tarfile.REGTYPE), entry.target, entry.size
        if verbose:
            process.out(inside + "/" * entry.is_dir + "\n")
        writer.addfile(member, entry.data.open() if entry.kind == "file" else None)

    process.files.walk(posixpath.join(folder, name), add)


def unpack(process: Process, reader: "tarfile.TarFile", member: "tarfile.TarInfo", folder: str, strip: int) -> None:  # type: ignore[name-defined]  # noqa: F821,UP037
    """Write one member into the view; it cannot leave it, and `..` is refused as tar does."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")][strip:]
    if ".." in parts:
        raise ValueError(f"{member.name}: member name contains '..'")
    files, path = process.files, posixpath.join(folder, *parts)
    if not parts:
        return
    make_folder(process, posixpath.dirname(path) or ".", parents=True)
    old = files.find(path, follow=False)
    if old and not (old.is_dir and member.isdir()):
        remove(process, path, deep=False)
    if member.isdir():
        make_folder(process, path, parents=True)
    elif member.issym():
        files.symlink(member.linkname, path)
    elif member.islnk():
        target = [part for part in member.linkname.split("/") if part not in ("", ".")][strip:]
        if ".." in target:
            raise ValueError(f"{member.linkname}: link name contains '..'")
        files.link(posixpath.join(folder, *target), path)
    elif member.isreg() and (stream := reader.extractfile(member)):
        files.write(path, stream.read())
    else:
        raise ValueError(f"{member.name}: the simulated runtime makes no devices")
    preserve(
        process,
        Entry("symlink" if member.issym() else "file", member.mode & 0o7777, member.uid, member.gid, int(member.mtime)),
        path,
    )


@tool(TABLE, "gzip gunzip zcat", "d=decompress c=stdout k=keep f=force n 1 2 3 4 5 6 7 8 9=best q t")
def gzip_(process: Process, options: Options, operands: list[str]) -> Task:
    """Compress and decompress."""
    name = process.args[0]
    back = "d" in options or name != "gzip"
    for path in operands or ["-"]:
        content = yield from read(process, path)
        try:
            result = gzip.decompress(content) if back else gzip.compress(content, mtime=0)
        except (OSError, EOFError):
            raise ValueError(f"{path}: not in gzip format") from None
        if path == "-" or "c" in options or name == "zcat":
            process.out(result)
            continue
        if back and not path.endswith((".gz", ".tgz")):
            raise ValueError(f"{path}: unknown suffix")
        target = (path[:-4] + ".tar" if path.endswith(".tgz") else path[:-3]) if back else path + ".gz"
        entry = process.files.stat(path)
        process.files.write(target, result)
        preserve(process, entry, target)
        if "k" not in options:
            process.files.unlink(path)
    return 0


@tool(TABLE, "sha256sum sha1sum sha512sum md5sum", "c=check s=status b t w q")
def digest(process: Process, options: Options, operands: list[str]) -> Task:
    """Print digests, or check them (`-c`)."""
    algorithm = process.args[0].removesuffix("sum")
    found, status = yield from inputs(process, operands)
    if "c" not in options:
        for name, content in found:
            process.out(f"{hashlib.new(algorithm, content).hexdigest()}  {name}\n")
        return status
    for line in [line for _, content in found for line in content.decode().splitlines() if line]:
        wanted, _, name = line.partition(" ")
        name = name.lstrip(" *")
        try:
            good = hashlib.new(algorithm, process.files.read(name)).hexdigest() == wanted
        except OSError:
            good = False
        status |= not good
        if "s" not in options:
            process.out(f"{name}: {'OK' if good else 'FAILED'}\n")
    return status
