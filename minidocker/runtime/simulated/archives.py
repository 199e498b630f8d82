"""Archives and digests: `tar`, `gzip`, `sha256sum`."""

from __future__ import annotations

import fnmatch
import getopt
import gzip
import hashlib
import io
import posixpath
import tarfile
import zlib
from dataclasses import dataclass

from minidocker.runtime.simulated.filetools import make_folder, preserve, remove
from minidocker.runtime.simulated.kernel import Command, Process, Task
from minidocker.runtime.simulated.tool import Options, all_lines, inputs, name_of, need, raw, read, tool
from minidocker.tree import Entry

TABLE: dict[str, Command] = {}
LONG = ["create", "extract", "list", "gzip", "verbose", "file=", "directory=", "strip-components=", "exclude="]
SHORT = dict(zip(("list", "directory", "extract", "gzip", "create", "verbose", "file"), "tCxzcvf", strict=True))


@raw(TABLE, "tar")
def tar(process: Process, args: list[str]) -> Task:
    """Pack (`c`), unpack (`x`) and list (`t`) archives, with gzip (`z`)."""
    args = ["-" + args[0], *args[1:]] if args and not args[0].startswith("-") else args
    try:
        found, names = getopt.gnu_getopt(args, "cxtzvpf:C:", LONG)
    except getopt.GetoptError as error:
        raise ValueError(f"{error.msg} (the simulated runtime's tar has: c x t z v p f C, {' '.join(LONG)})") from None
    options = {SHORT.get(flag.strip("-"), flag.strip("-")): value for flag, value in found}
    excluded = [value for flag, value in found if flag == "--exclude"]
    archive = Archive(process, options.get("C", "."), int(options.get("strip-components", 0)), excluded, "v" in options)
    name = options.get("f", "-")
    if "c" in options:
        content = archive.pack(names)
        content = gzip.compress(content, mtime=0) if "z" in options else content
        if name == "-":
            yield from process.write(content)
        else:
            process.files.write(name, content)
        return 0
    if not options.keys() & {"x", "t"}:
        raise ValueError("you must specify one of c, t, x")
    content = yield from read(process, name)
    try:
        archive.read(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content, names, "x" in options)
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise ValueError(f"not a tar archive: {error}") from None
    return 0


@dataclass
class Archive:
    """A `tar` at work in a folder of the container."""

    process: Process
    folder: str
    strip: int
    excluded: list[str]
    verbose: bool

    def leaves_out(self, name: str) -> bool:
        """Whether `--exclude` is about this name."""
        ways = (name, posixpath.basename(name), name.removeprefix("./"))
        return any(fnmatch.fnmatchcase(way, pattern) for pattern in self.excluded for way in ways)

    def pack(self, names: list[str]) -> bytes:
        """The archive of some files and trees."""
        need(names)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as writer:
            for name in names:
                top = posixpath.join(self.folder, name)

                def add(path: str, entry: Entry, name: str = name, top: str = top) -> None:
                    inside = posixpath.join(name, path[len(top) :].strip("/")).rstrip("/")
                    if not self.leaves_out(inside):
                        writer.addfile(self.member(inside, entry), entry.data.open() if entry.size else None)

                self.process.files.walk(top, add)
        return out.getvalue()

    def member(self, name: str, entry: Entry) -> tarfile.TarInfo:
        """The header of one entry."""
        if self.verbose:
            self.process.out(name + "/" * entry.is_dir + "\n")
        member = tarfile.TarInfo(name.lstrip("/"))
        member.mode, member.uid, member.gid, member.mtime = entry.mode, entry.uid, entry.gid, entry.mtime
        member.uname = name_of(self.process, "/etc/passwd", entry.uid)
        member.gname = name_of(self.process, "/etc/group", entry.gid)
        types = {"dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE}
        member.type, member.linkname = types.get(entry.kind, tarfile.REGTYPE), entry.target
        member.size = entry.size
        return member

    def read(self, content: bytes, names: list[str], extract: bool) -> None:
        """List or unpack the members that are asked for."""
        wanted = [name.rstrip("/") for name in names]
        with tarfile.open(fileobj=io.BytesIO(content)) as reader:
            for member in reader:
                name = member.name.rstrip("/")
                asked = not wanted or any(name == want or name.startswith(want + "/") for want in wanted)
                if not asked or self.leaves_out(name):
                    continue
                if self.verbose or not extract:
                    self.process.out(member.name + "/" * member.isdir() + "\n")
                if extract:
                    self.unpack(reader, member)

    def place(self, name: str) -> str:
        """Where a member goes; empty if nothing is left of its name. `..` is refused, as tar does."""
        parts = [part for part in name.split("/") if part not in ("", ".")][self.strip :]
        if ".." in parts:
            raise ValueError(f"{name}: name contains '..'")
        return posixpath.join(self.folder, *parts) if parts else ""

    def unpack(self, reader: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Write one member into the view, which it cannot leave."""
        files, path = self.process.files, self.place(member.name)
        if not path:
            return
        make_folder(self.process, posixpath.dirname(path) or ".")
        old = files.find(path, follow=False)
        if old and not (old.is_dir and member.isdir()):
            remove(self.process, path, deep=False)
        if member.isdir():
            make_folder(self.process, path)
        elif member.issym():
            files.symlink(member.linkname, path)
        elif member.islnk():
            files.link(self.place(member.linkname), path)
        elif member.isreg() and (stream := reader.extractfile(member)):
            files.write(path, stream.read())
        else:
            raise ValueError(f"{member.name}: the simulated runtime makes no devices")
        attributes = (member.mode & 0o7777, member.uid, member.gid, int(member.mtime))
        preserve(self.process, Entry("symlink" if member.issym() else "file", *attributes), path)


@tool(TABLE, "gzip gunzip", "d=decompress c=stdout k=keep f=force 9=best")
def gzip_(process: Process, options: Options, operands: list[str]) -> Task:
    """Compress and decompress."""
    back = "d" in options or process.args[0] == "gunzip"
    for path in operands or ["-"]:
        content = yield from read(process, path)
        try:
            result = gzip.decompress(content) if back else gzip.compress(content, mtime=0)
        except (gzip.BadGzipFile, zlib.error, EOFError):
            raise ValueError(f"{path}: not in gzip format") from None
        if path == "-" or "c" in options:
            process.out(result)
            continue
        if back and not path.endswith(".gz"):
            raise ValueError(f"{path}: unknown suffix")
        target = path[:-3] if back else path + ".gz"
        process.files.write(target, result)
        preserve(process, process.files.stat(path), target)
        if "k" not in options:
            process.files.unlink(path)
    return 0


@tool(TABLE, "sha256sum sha512sum sha1sum md5sum", "c=check s=status")
def digest(process: Process, options: Options, operands: list[str]) -> Task:
    """Print digests, or check them (`-c`)."""
    algorithm = process.args[0].removesuffix("sum")
    if "c" not in options:
        found, status = yield from inputs(process, operands)
        for name, content in found:
            process.out(f"{hashlib.new(algorithm, content).hexdigest()}  {name}\n")
        return status
    expected, status = yield from all_lines(process, operands)
    for line in expected:
        wanted, _, name = line.partition(" ")
        found, failed = yield from inputs(process, [name.lstrip(" *")])
        good = not failed and hashlib.new(algorithm, found[0][1]).hexdigest() == wanted
        status |= not good
        if "s" not in options:
            process.out(f"{name.lstrip(' *')}: {'OK' if good else 'FAILED'}\n")
    return status
