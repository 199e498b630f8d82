"""Commands on files and directories: `ls`, `cp`, `chmod`… Each is a function over a process's `Files`."""

from __future__ import annotations

import errno
import posixpath
import re
import secrets
import time
from dataclasses import dataclass, field

from minidocker.runtime.simulated.kernel import Command, Process
from minidocker.runtime.simulated.mounted import failure
from minidocker.runtime.simulated.tool import Options, each, human, id_of, moment, name_of, need, raw, tool
from minidocker.tree import Entry, prefix

TABLE: dict[str, Command] = {}
KINDS = {  # kind -> the letter of `ls`, the words of `stat`
    "file": ("-", "regular file"),
    "dir": ("d", "directory"),
    "symlink": ("l", "symbolic link"),
    "char": ("c", "character special file"),
    "block": ("b", "block special file"),
    "fifo": ("p", "fifo"),
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
    """How many names a file has; a directory has two, for Linux's overlay counts no further either."""
    if not entry.link:
        return 2 if entry.is_dir else 1
    return sum(other.link == entry.link for other in process.files.mounts.root.tree().values())


@tool(TABLE, "ls", "l a A 1 d R h")
def ls(process: Process, options: Options, operands: list[str]) -> int:
    """List files and directories."""
    files, found = process.files, dict[str, Entry]()
    status = each(
        process, operands or ["."], lambda name: found.setdefault(name, files.stat(name, follow="l" not in options))
    )
    plain = [(name, entry) for name, entry in found.items() if not entry.is_dir or "d" in options]
    listing(process, options, plain)
    todo, blank = [name for name in reversed(found) if (name, found[name]) not in plain], bool(plain)
    while todo:
        folder = todo.pop()
        if len(operands) > 1 or "R" in options:
            process.out("\n" * blank + f"{folder}:\n")
        blank = True
        names = [name for name in files.listdir(folder) if options.keys() & {"a", "A"} or not name.startswith(".")]
        names = [".", "..", *names] if "a" in options else names
        entries = [(name, files.stat(posixpath.join(folder, name), follow=False)) for name in names]
        if "l" in options:
            process.out(f"total {sum(-(-length(entry) // 4096) * 4 for _, entry in entries)}\n")
        listing(process, options, entries)
        if "R" in options:
            inner = [name for name, entry in entries if entry.is_dir and name not in (".", "..")]
            todo += [posixpath.join(folder, name) for name in reversed(inner)]
    return status


def listing(process: Process, options: Options, entries: list[tuple[str, Entry]]) -> None:
    """Print entries, one a line."""
    table = [columns(process, options, *item) if "l" in options else [item[0]] for item in entries]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = zip(row[:-1], widths, range(len(row)), strict=False)
        left = [cell.rjust(width) if place in (1, 4) else cell.ljust(width) for cell, width, place in cells]
        process.out(" ".join([*left, row[-1]]) + "\n")


def columns(process: Process, options: Options, name: str, entry: Entry) -> list[str]:
    """What `ls -l` tells of one entry."""
    owner, group = name_of(process, "/etc/passwd", entry.uid), name_of(process, "/etc/group", entry.gid)
    size = human(length(entry)) if "h" in options else str(length(entry))
    recent, when = abs(time.time() - entry.mtime) < 180 * 86400, time.gmtime(entry.mtime)
    date = f"{time.strftime('%b', when)} {when.tm_mday:2} {time.strftime('%H:%M' if recent else ' %Y', when)}"
    arrow = f" -> {entry.target}" if entry.kind == "symlink" else ""
    return [mode_text(entry), str(links(process, entry)), owner, group, size, date, name + arrow]


@tool(TABLE, "mkdir", "p=parents m:=mode v=verbose", operands=1)
def mkdir(process: Process, options: Options, operands: list[str]) -> int:
    """Make directories."""
    return each(process, operands, lambda path: make_folder(process, path, "p" in options, options.get("m", "")))


def make_folder(process: Process, path: str, parents: bool = True, mode: str = "") -> None:
    """`mkdir -p -m mode path`."""
    files, up = process.files, posixpath.dirname(path.rstrip("/"))
    if parents and (entry := files.find(path)) and entry.is_dir:
        return
    if parents and up and not files.find(up):
        make_folder(process, up)
    files.mkdir(path)
    if mode:
        files.chmod(path, new_mode(mode, files.stat(path), files.umask))


@tool(TABLE, "rmdir", "p=parents", operands=1)
def rmdir(process: Process, options: Options, operands: list[str]) -> int:
    """Remove empty directories; with `-p` those above them too."""

    def one(path: str) -> None:
        process.files.rmdir(path)
        if "p" in options and (up := posixpath.dirname(path.rstrip("/"))) not in ("", "/"):
            one(up)

    return each(process, operands, one)


@tool(TABLE, "rm", "r=recursive R f=force i v=verbose")
def rm(process: Process, options: Options, operands: list[str]) -> int:
    """Remove files and, with `-r`, all that is below a directory."""

    def one(path: str) -> None:
        if posixpath.normpath(process.files.absolute(path)) == "/" or posixpath.basename(path) in (".", ".."):
            raise OSError(errno.EINVAL, "refusing to remove it", path)
        if "f" not in options or process.files.find(path, follow=False):
            remove(process, path, bool(options.keys() & {"r", "R"}))

    need(operands, "f" not in options)
    return each(process, operands, one)


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


def destinations(process: Process, operands: list[str], into: bool = True) -> dict[str, str]:
    """Where each operand of `cp`, `mv` or `ln` goes: `into` the last one, if that is a directory."""
    *sources, target = operands
    if into and (entry := process.files.find(target)) and entry.is_dir:
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
    seen: dict[str, str] = field(default_factory=dict)  # hard links among what is copied

    def copy(self, source: str, target: str) -> None:
        """Copy one file or tree."""
        files = self.process.files
        entry, old = files.stat(source, self.follow), files.find(target, follow=False)
        if entry.is_dir:
            self.folder(source, target, entry, old)
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
            raise OSError(errno.EINVAL, f"the simulated runtime copies no {KINDS[entry.kind][1]}", source)
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


@tool(TABLE, "cp", "r=recursive R a=archive p=preserve f=force v=verbose L P d", operands=2)
def cp(process: Process, options: Options, operands: list[str]) -> int:
    """Copy files and, with `-r`, directories."""
    given, pairs = options.keys(), destinations(process, operands)
    deep, keep = bool(given & {"r", "R", "a"}), bool(given & {"p", "a"})
    copier = Copier(process, deep, keep, follow="L" in given or not (deep or given & {"P", "d"}))
    return each(process, pairs, lambda source: copier.copy(source, pairs[source]))


@tool(TABLE, "mv", "f=force v=verbose", operands=2)
def mv(process: Process, _: Options, operands: list[str]) -> int:
    """Move or rename."""
    pairs = destinations(process, operands)

    def one(source: str) -> None:
        try:
            process.files.rename(source, pairs[source])
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            Copier(process, deep=True, keep=True, follow=False).copy(source, pairs[source])
            remove(process, source, deep=True)

    return each(process, pairs, one)


@tool(TABLE, "ln", "s=symbolic f=force n=no-dereference v=verbose", operands=1)
def ln(process: Process, options: Options, operands: list[str]) -> int:
    """Make links."""
    files = process.files
    operands = [*operands, posixpath.basename(operands[0])] if len(operands) == 1 else operands
    last = files.find(operands[-1], follow=False)
    pairs = destinations(process, operands, into=not ("n" in options and last and last.kind == "symlink"))

    def one(source: str) -> None:
        if "f" in options and (old := files.find(pairs[source], follow=False)) and not old.is_dir:
            files.unlink(pairs[source])
        (files.symlink if "s" in options else files.link)(source, pairs[source])

    return each(process, pairs, one)


@tool(TABLE, "touch", "c=no-create a m d:=date r:=reference", operands=1)
def touch(process: Process, options: Options, operands: list[str]) -> int:
    """Make files, or make them new."""
    when = process.files.stat(options["r"]).mtime if "r" in options else moment(options.get("d", "now"))

    def one(path: str) -> None:
        if process.files.find(path) is None:
            if "c" in options:
                return
            process.files.write(path, b"")
        process.files.utime(path, when)

    return each(process, operands, one)


def new_mode(text: str, entry: Entry, umask: int) -> int:
    """What `chmod` makes of a mode: octal, or clauses like `u+rwx,go-w,a=r,+x,g+s`."""
    if re.fullmatch("[0-7]{1,4}", text):
        return int(text, 8)
    mode = entry.mode
    for clause in text.split(","):
        match = re.fullmatch(r"([ugoa]*)([-+=])([rwxXst]*)", clause)
        if match is None:
            raise ValueError(f"invalid mode '{text}'")
        who, op, what = match[1].replace("a", "ugo") or "ugo", match[2], set(match[3])
        three = sum({"r": 4, "w": 2, "x": 1}.get(letter, 0) for letter in what)
        three |= "X" in what and (entry.is_dir or mode & 0o111 > 0)
        bits = sum(three << place for place, letter in ((6, "u"), (3, "g"), (0, "o")) if letter in who)
        bits |= ("s" in what) * (0o4000 * ("u" in who) | 0o2000 * ("g" in who))
        bits = (bits if match[1] else bits & ~umask) | 0o1000 * ("t" in what)
        scope = sum({"u": 0o4700, "g": 0o2070, "o": 0o007}[letter] for letter in who)
        mode = mode | bits if op == "+" else mode & ~bits if op == "-" else (mode & ~scope) | bits
    return mode


@raw(TABLE, "chmod")
def chmod(process: Process, args: list[str]) -> int:
    """Change permissions; reads its own options, for `-x` is a mode."""
    flags = [arg for arg in args if re.fullmatch("-[Rfvc]+|--recursive", arg)]
    operands = [arg for arg in args if arg not in flags and arg != "--"]
    need(operands, 2)

    def change(path: str, entry: Entry) -> None:
        if entry.kind != "symlink":
            process.files.chmod(path, new_mode(operands[0], entry, process.files.umask))

    deep = any("R" in flag or flag == "--recursive" for flag in flags)
    return each(process, operands[1:], lambda path: process.files.walk(path, change, deep))


@tool(TABLE, "chown chgrp", "R=recursive h=no-dereference f v", operands=2)
def chown(process: Process, options: Options, operands: list[str]) -> int:
    """Change owner and group: `chown user:group`, `chown :group`, `chgrp group`."""
    user, _, group = (":" * (process.args[0] == "chgrp") + operands[0]).partition(":")
    uid, gid = id_of(process, "/etc/passwd", user), id_of(process, "/etc/group", group)

    def change(path: str, _: Entry) -> None:
        process.files.chown(path, uid, gid, follow=not options.keys() & {"h", "R"})

    return each(process, operands[1:], lambda path: process.files.walk(path, change, "R" in options))


@tool(TABLE, "stat", "c:=format L", operands=1)
def stat(process: Process, options: Options, operands: list[str]) -> int:
    """Tell what is known of a file."""

    def one(path: str) -> None:
        entry = process.files.stat(path, "L" in options)
        words = "regular empty file" if entry.kind == "file" and not entry.size else KINDS[entry.kind][1]
        when = time.strftime("%Y-%m-%d %H:%M:%S.000000000 +0000", time.gmtime(entry.mtime))
        values = {"a": f"{entry.mode:o}", "A": mode_text(entry), "F": words, "n": path, "s": str(length(entry))}
        values |= {"u": str(entry.uid), "U": name_of(process, "/etc/passwd", entry.uid)}
        values |= {"g": str(entry.gid), "G": name_of(process, "/etc/group", entry.gid)}
        values |= {"y": when, "Y": str(entry.mtime), "h": str(links(process, entry)), "%": "%"}
        form = options.get("c", "  File: %n\n  Size: %s\t%F\nAccess: (%a/%A)  Uid: (%u/%U)  Gid: (%g/%G)\nModify: %y")
        process.out(re.sub("%(.)", lambda match: values.get(match[1], "?"), form) + "\n")

    return each(process, operands, one)


@tool(TABLE, "readlink realpath", "f=canonicalize e m n=no-newline", operands=1)
def readlink(process: Process, options: Options, operands: list[str]) -> int:
    """Print where a link points; with `-f` (and as `realpath`) the whole true path."""
    whole = options.keys() & {"f", "e", "m"} or process.args[0] == "realpath"
    for path in operands:
        try:
            found = process.files.locate(path) if whole else process.files.readlink(path)
        except OSError:
            return 1
        process.out(found + "\n" * ("n" not in options))
    return 0


@tool(TABLE, "du", "s=summarize h=human-readable k")
def du(process: Process, options: Options, operands: list[str]) -> int:
    """Add up sizes, in KiB."""

    def usage(path: str, top: bool = True) -> int:
        entry = process.files.stat(path, follow=False)
        total = -(-entry.size // 4096) * 4 + 4 * entry.is_dir
        for name in process.files.listdir(path) if entry.is_dir else ():
            total += usage(prefix(path) + name, False)
        if top or (entry.is_dir and "s" not in options):
            process.out(f"{human(total * 1024) if 'h' in options else total}\t{path}\n")
        return total

    return each(process, operands or ["."], usage)


@tool(TABLE, "mktemp", "d=directory")
def mktemp(process: Process, options: Options, operands: list[str]) -> None:
    """Make a file or directory with a name that nobody has."""
    template = operands[0] if operands else posixpath.join(process.env.get("TMPDIR", "/tmp"), "tmp.XXXXXX")
    path = template.rstrip("X") + secrets.token_hex(5)
    if "d" in options:
        process.files.mkdir(path, 0o700)
    else:
        process.files.write(path, b"", mode=0o600)
    process.out(path + "\n")
