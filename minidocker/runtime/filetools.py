"""Commands on files and directories: `ls`, `cp`, `chmod`… Each is a function over a process's `Files`."""

from __future__ import annotations

import errno
import posixpath
import re
import secrets
import string
import time
from dataclasses import dataclass, field

from minidocker.runtime.files import failure
from minidocker.runtime.kernel import Command, Process
from minidocker.runtime.tool import Options, each, human, id_of, moment, name_of, need, raw, tool
from minidocker.tree import Entry, prefix

TABLE: dict[str, Command] = {}
KINDS = {  # kind -> the letter of `ls`, the bits of `st_mode`, the words of `stat`
    "file": ("-", 0o100000, "regular file"),
    "dir": ("d", 0o040000, "directory"),
    "symlink": ("l", 0o120000, "symbolic link"),
    "char": ("c", 0o020000, "character special file"),
    "block": ("b", 0o060000, "block special file"),
    "fifo": ("p", 0o010000, "fifo"),
}


def mode_text(entry: Entry) -> str:
    """`-rwxr-xr-x`."""
    bits = ["rwxrwxrwx"[place] if entry.mode >> (8 - place) & 1 else "-" for place in range(9)]
    for place, bit, letter in ((2, 0o4000, "s"), (5, 0o2000, "s"), (8, 0o1000, "t")):
        if entry.mode & bit:
            bits[place] = letter if bits[place] == "x" else letter.upper()
    return KINDS[entry.kind][0] + "".join(bits)


def length(entry: Entry) -> int:
    """`st_size`: of a link its target's, of a directory what ext4 would say."""
    return len(entry.target) if entry.kind == "symlink" else 4096 if entry.is_dir else entry.size


def links(process: Process, entry: Entry) -> int:
    """How many names a file has; of a directory, what Linux's overlay says is of no use either."""
    if not entry.link:
        return 2 if entry.is_dir else 1
    return sum(other.link == entry.link for other in process.files.mounts.root.tree().values())


@tool(TABLE, "ls", "l a A 1 d R h F t r S n p i C")
def ls(process: Process, options: Options, operands: list[str]) -> int:
    """List files and directories."""
    files, found = process.files, dict[str, Entry]()
    status = each(
        process, operands or ["."], lambda name: found.setdefault(name, files.stat(name, follow="l" not in options))
    )
    listing(process, options, [(name, entry) for name, entry in found.items() if not entry.is_dir or "d" in options])
    todo = [name for name, entry in found.items() if entry.is_dir and "d" not in options][::-1]
    blank = len(todo) < len(found)
    while todo:
        folder = todo.pop()
        if len(operands) > 1 or "R" in options:
            process.out("\n" * blank + f"{folder}:\n")
        blank = True
        names = [name for name in files.listdir(folder) if options.keys() & {"a", "A"} or not name.startswith(".")]
        names = [".", "..", *names] if "a" in options else names
        entries = [(name, files.stat(posixpath.join(folder, name), follow=False)) for name in names]
        if options.keys() & {"l", "n"}:
            process.out(f"total {sum(-(-length(entry) // 4096) * 4 for _, entry in entries)}\n")
        listing(process, options, entries)
        if "R" in options:
            inner = [name for name, entry in entries if entry.is_dir and name not in (".", "..")]
            todo += [posixpath.join(folder, name) for name in reversed(inner)]
    return status


def listing(process: Process, options: Options, entries: list[tuple[str, Entry]]) -> None:
    """Print entries, one a line."""
    if options.keys() & {"t", "S"}:
        entries = sorted(entries, key=lambda item: -item[1].mtime if "t" in options else -item[1].size)
    table = [columns(process, options, *item) for item in (entries[::-1] if "r" in options else entries)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        left = [
            cell.rjust(widths[place]) if place in (1, 4) else cell.ljust(widths[place])
            for place, cell in enumerate(row[:-1])
        ]
        process.out(" ".join([*left, row[-1]]) + "\n")


def columns(process: Process, options: Options, name: str, entry: Entry) -> list[str]:
    """What is told of one entry."""
    if "F" in options:
        name += {"dir": "/", "symlink": "@" * ("l" not in options)}.get(entry.kind, "*" * bool(entry.mode & 0o111))
    elif "p" in options and entry.is_dir:
        name += "/"
    if not options.keys() & {"l", "n"}:
        return [name]
    owner, group = str(entry.uid), str(entry.gid)
    if "n" not in options:
        owner, group = name_of(process, "/etc/passwd", entry.uid), name_of(process, "/etc/group", entry.gid)
    size = human(length(entry)) if "h" in options else str(length(entry))
    if entry.kind in ("char", "block"):
        size = f"{entry.device[0]}, {entry.device[1]}"
    recent = abs(time.time() - entry.mtime) < 180 * 86400
    when = time.gmtime(entry.mtime)
    date = f"{time.strftime('%b', when)} {when.tm_mday:2} {time.strftime('%H:%M' if recent else ' %Y', when)}"
    arrow = f" -> {entry.target}" if entry.kind == "symlink" else ""
    return [mode_text(entry), str(links(process, entry)), owner, group, size, date, name + arrow]


@tool(TABLE, "mkdir", "p=parents m:=mode v=verbose")
def mkdir(process: Process, options: Options, operands: list[str]) -> int:
    """Make directories."""
    return each(process, need(operands), lambda path: make_folder(process, path, "p" in options, options.get("m", "")))


def make_folder(process: Process, path: str, parents: bool = True, mode: str = "") -> None:
    """`mkdir -p -m mode path`."""
    files = process.files
    if parents:
        up = posixpath.dirname(path.rstrip("/"))
        if up and not files.find(up):
            make_folder(process, up)
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


@tool(TABLE, "rm", "r=recursive R f=force i v=verbose d=dir")
def rm(process: Process, options: Options, operands: list[str]) -> int:
    """Remove files, and with `-r` directories."""
    force = "f" in options

    def one(path: str) -> None:
        if posixpath.normpath(process.files.absolute(path)) == "/" or posixpath.basename(path) in (".", ".."):
            raise OSError(errno.EINVAL, "refusing to remove it", path)
        if not force or process.files.find(path, follow=False):
            remove(process, path, bool(options.keys() & {"r", "R"}))

    return each(process, operands if force else need(operands), one)


def remove(process: Process, path: str, deep: bool) -> None:
    """Remove a file, or all that is below a directory."""
    if not process.files.stat(path, follow=False).is_dir:
        process.files.unlink(path)
        return
    if not deep:
        raise failure(errno.EISDIR, path)
    for name in process.files.listdir(path):
        remove(process, prefix(path) + name, deep)
    process.files.rmdir(path)


def destinations(process: Process, options: Options, operands: list[str]) -> dict[str, str]:
    """Where each operand of `cp`, `mv`, `ln` or `install` goes."""
    sources, target = (operands, options["t"]) if "t" in options else (operands[:-1], operands[-1] if operands else "")
    entry = process.files.find(target) if list(need(sources)) else None
    if entry and entry.is_dir and "T" not in options:
        return {source: prefix(target) + posixpath.basename(source.rstrip("/")) for source in sources}
    if len(sources) > 1:
        raise ValueError(f"target '{target}' is not a directory")
    return {sources[0]: target}


@dataclass
class Copier:
    """A `cp` at work: `deep` copies directories, `keep` owner, mode and time too; symbolic links: `follow` or copy."""

    process: Process
    deep: bool
    keep: bool
    follow: bool
    spare: bool = False  # leave what is there
    seen: dict[str, str] = field(default_factory=dict)  # hard links among what is copied

    def copy(self, source: str, target: str) -> None:
        """Copy one file or tree."""
        files = self.process.files
        entry, old = files.stat(source, self.follow), files.find(target, follow=False)
        if entry.is_dir:
            self.folder(source, target, entry, old)
        elif old and self.spare:
            return
        elif old and files.locate(source) == files.locate(target):
            raise OSError(errno.EINVAL, f"'{target}' is the same file", source)
        elif entry.kind == "symlink" or (self.keep and entry.link in self.seen):
            if old:
                files.unlink(target)
            if entry.kind == "symlink":
                files.symlink(entry.target, target)
            else:
                files.link(self.seen[entry.link], target)
        elif entry.kind == "file":
            files.write(target, files.read(source), mode=entry.mode & 0o777)
            if entry.link:
                self.seen[entry.link] = target
        else:
            raise OSError(errno.EINVAL, f"the simulated runtime copies no {KINDS[entry.kind][2]}", source)
        if self.keep:
            preserve(self.process, entry, target)

    def folder(self, source: str, target: str, entry: Entry, old: Entry | None) -> None:
        """Copy a directory and what is in it."""
        files = self.process.files
        if not self.deep:
            raise OSError(errno.EISDIR, "omitting directory (use -r)", source)
        if prefix(files.locate(target)).startswith(prefix(files.locate(source))):
            raise OSError(errno.EINVAL, f"cannot copy a directory into itself, '{target}'", source)
        if not old:
            files.mkdir(target, entry.mode | 0o700)
        for name in files.listdir(source):
            self.copy(prefix(source) + name, prefix(target) + name)


def preserve(process: Process, entry: Entry, target: str) -> None:
    """Give a copy the owner, mode and time of its original."""
    if process.files.uid == 0:
        process.files.chown(target, entry.uid, entry.gid, follow=False)
    if entry.kind != "symlink":
        process.files.chmod(target, entry.mode)
        process.files.utime(target, entry.mtime)


@tool(TABLE, "cp", "r=recursive R a=archive p f=force v=verbose L P d n=no-clobber T t: u i =preserve:")
def cp(process: Process, options: Options, operands: list[str]) -> int:
    """Copy files and, with `-r`, directories."""
    given = options.keys()
    deep, keep = bool(given & {"r", "R", "a"}), bool(given & {"p", "a", "preserve"})
    follow = "L" in options or not (deep or given & {"P", "d"})
    copier = Copier(process, deep, keep, follow, "n" in options)
    pairs = destinations(process, options, operands)
    return each(process, pairs, lambda source: copier.copy(source, pairs[source]))


@tool(TABLE, "mv", "f=force n=no-clobber v=verbose T t: i u")
def mv(process: Process, options: Options, operands: list[str]) -> int:
    """Move or rename."""
    pairs = destinations(process, options, operands)

    def one(source: str) -> None:
        if "n" in options and process.files.find(pairs[source], follow=False):
            return
        try:
            process.files.rename(source, pairs[source])
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            Copier(process, deep=True, keep=True, follow=False).copy(source, pairs[source])
            remove(process, source, deep=True)

    return each(process, pairs, one)


@tool(TABLE, "ln", "s=symbolic f=force n=no-dereference v=verbose T t: r")
def ln(process: Process, options: Options, operands: list[str]) -> int:
    """Make links."""
    files = process.files
    operands = [*operands, posixpath.basename(operands[0])] if len(operands) == 1 else operands
    last = files.find(operands[-1], follow=False) if operands else None
    if "n" in options and last and last.kind == "symlink":
        options = options | {"T": ""}
    pairs = destinations(process, options, operands)

    def one(source: str) -> None:
        target = pairs[source]
        if "s" not in options:
            files.stat(source, follow=False)
        if "f" in options and (old := files.find(target, follow=False)) and not old.is_dir:
            files.unlink(target)
        if "s" not in options:
            files.link(source, target)
        elif "r" in options:
            start = files.locate(posixpath.dirname(files.absolute(target)))
            files.symlink(posixpath.relpath(files.locate(source), start), target)
        else:
            files.symlink(source, target)

    return each(process, pairs, one)


@tool(TABLE, "touch", "c=no-create a m d:=date r:=reference h")
def touch(process: Process, options: Options, operands: list[str]) -> int:
    """Make files, or make them new."""
    when = process.files.stat(options["r"]).mtime if "r" in options else moment(options.get("d", "now"))

    def one(path: str) -> None:
        if process.files.find(path) is None:
            if "c" in options:
                return
            process.files.write(path, b"")
        process.files.utime(path, when)

    return each(process, need(operands), one)


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
        for op, what in re.findall(r"([-+=])([rwxXst]*|[ugo])", match[2]):
            bits = 0
            for place, letter in ((6, "u"), (3, "g"), (0, "o")):
                if letter in who:
                    bits |= permissions(what, entry, mode) << place
                    bits |= ("s" in what) * {"u": 0o4000, "g": 0o2000, "o": 0}[letter]
            bits &= 0o7777 if match[1] else ~umask
            bits |= 0o1000 * ("t" in what)
            scope = sum({"u": 0o4700, "g": 0o2070, "o": 0o007}[letter] for letter in set(who))
            mode = mode | bits if op == "+" else mode & ~bits if op == "-" else (mode & ~scope) | bits
    return mode


def permissions(what: str, entry: Entry, mode: int) -> int:
    """The three bits that `rwx`, `X`, or `u` (as the owner has) stand for."""
    if what in ("u", "g", "o"):
        return mode >> {"u": 6, "g": 3, "o": 0}[what] & 7
    return sum({"r": 4, "w": 2, "x": 1}.get(letter, 0) for letter in set(what)) | (
        "X" in what and (entry.is_dir or mode & 0o111 > 0)
    )


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
    return each(process, operands[1:], lambda path: process.files.walk(path, change, deep))


@tool(TABLE, "chown chgrp", "R=recursive h=no-dereference f v c H L P")
def chown(process: Process, options: Options, operands: list[str]) -> int:
    """Change owner and group: `chown user:group`, `chown :group`, `chgrp group`."""
    who = next(need(operands, 2))
    user, _, group = (":" + who if process.args[0] == "chgrp" else who).partition(":")
    uid = id_of(process, "/etc/passwd", user) if user else -1
    gid = id_of(process, "/etc/group", group) if group else -1

    def change(path: str, _: Entry) -> None:
        process.files.chown(path, uid, gid, follow=not options.keys() & {"h", "R"})

    return each(process, operands[1:], lambda path: process.files.walk(path, change, "R" in options))


@tool(TABLE, "stat", "c:=format L t")
def stat(process: Process, options: Options, operands: list[str]) -> int:
    """Tell what is known of a file."""

    def one(path: str) -> None:
        entry = process.files.stat(path, "L" in options)
        _, kind, words = KINDS[entry.kind]
        words = "regular empty file" if entry.kind == "file" and not entry.size else words
        when = time.strftime("%Y-%m-%d %H:%M:%S.000000000 +0000", time.gmtime(entry.mtime))
        arrow = f" -> '{entry.target}'" if entry.target else ""
        values = {"a": f"{entry.mode:o}", "A": mode_text(entry), "f": f"{kind | entry.mode:x}", "F": words}
        values |= {"n": path, "N": f"'{path}'{arrow}", "s": str(length(entry))}
        values |= {"u": str(entry.uid), "U": name_of(process, "/etc/passwd", entry.uid)}
        values |= {"g": str(entry.gid), "G": name_of(process, "/etc/group", entry.gid)}
        values |= dict.fromkeys("XYZ", str(entry.mtime)) | dict.fromkeys("xyz", when)
        values |= {"h": str(links(process, entry)), "b": str(-(-entry.size // 512)), "B": "512", "%": "%"}
        default = "  File: %N\n  Size: %s\t%F\nAccess: (%a/%A)  Uid: (%u/%U)  Gid: (%g/%G)\nModify: %y"
        form = options.get("c", default)
        process.out(re.sub("%(.)", lambda match: values.get(match[1], "?"), form) + "\n")

    return each(process, need(operands), one)


@tool(TABLE, "readlink realpath", "f=canonicalize e m n=no-newline s q")
def readlink(process: Process, options: Options, operands: list[str]) -> int:
    """Print where a link points; with `-f` (and as `realpath`) the whole true path."""
    whole = options.keys() & {"f", "e", "m"} or process.args[0] == "realpath"
    for path in need(operands):
        try:
            found = process.files.locate(path) if whole else process.files.readlink(path)
        except OSError:
            return 1
        process.out(found + "\n" * ("n" not in options))
    return 0


@tool(TABLE, "du", "s=summarize h=human-readable k a=all d:=max-depth x")
def du(process: Process, options: Options, operands: list[str]) -> int:
    """Add up sizes, in KiB."""
    depth = 0 if "s" in options else int(options.get("d", 1 << 30))

    def usage(path: str, level: int) -> int:
        entry = process.files.stat(path, follow=False)
        total = -(-entry.size // 4096) * 4 + 4 * entry.is_dir
        for name in process.files.listdir(path) if entry.is_dir else ():
            total += usage(prefix(path) + name, level + 1)
        if level <= depth and (entry.is_dir or level == 0 or "a" in options):
            process.out(f"{human(total * 1024) if 'h' in options else total}\t{path}\n")
        return total

    return each(process, operands or ["."], lambda path: usage(path, 0))


@tool(TABLE, "df", "h k P T i a")
def df(process: Process, _: Options, __: list[str]) -> None:
    """Show the file systems; those of the simulated runtime have no limit of their own."""
    used = sum(entry.size for entry in process.files.mounts.root.tree().values()) // 1024
    process.out(f"Filesystem 1K-blocks Used Available Use% Mounted on\noverlay - {used} - - /\n")


@tool(TABLE, "install", "d=directory m:=mode o:=owner g:=group D t: v T c s p")
def install(process: Process, options: Options, operands: list[str]) -> int:
    """Copy files and set their modes; with `-d` make directories."""
    files = process.files
    uid = id_of(process, "/etc/passwd", options["o"]) if "o" in options else -1
    gid = id_of(process, "/etc/group", options["g"]) if "g" in options else -1
    pairs: dict[str, str] = {}

    def one(path: str) -> None:
        target = pairs.get(path, path)
        if "d" in options:
            make_folder(process, path)
        else:
            if files.find(target, follow=False):
                files.unlink(target)
            files.write(target, files.read(path))
        files.chmod(target, new_mode(options.get("m", "755"), files.stat(target), files.umask))
        if uid >= 0 or gid >= 0:
            files.chown(target, uid, gid)

    if "d" not in options:
        if "D" in options and "t" not in options:
            make_folder(process, posixpath.dirname(operands[-1]) or ".")
        pairs = destinations(process, options, operands)
    return each(process, pairs or need(operands), one)


@tool(TABLE, "mktemp", "d=directory p: t q u")
def mktemp(process: Process, options: Options, operands: list[str]) -> None:
    """Make a file or directory with a name that nobody has."""
    template = operands[0] if operands else "tmp.XXXXXX"
    stem = template.rstrip("X")
    if len(template) - len(stem) < 3:
        raise ValueError(f"too few X's in template '{template}'")
    random = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in template[len(stem) :])
    folder = options.get("p") or process.env.get("TMPDIR", "/tmp")
    path = posixpath.join(folder, stem + random) if not operands or options.keys() & {"p", "t"} else stem + random
    if "d" in options:
        process.files.mkdir(path, 0o700)
    elif "u" not in options:
        process.files.write(path, b"", mode=0o600)
    process.out(path + "\n")
