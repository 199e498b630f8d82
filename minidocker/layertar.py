"""A layer on the wire: a changeset as a tar, and a hostile tar refused.

The format is the OCI image specification's `layer.md`: a removed path `/a/b` is an empty member `a/.wh.b`, an opaque
directory holds `.wh..wh..opq`, a later name of a hard-linked file is a link member, extended attributes are PAX records
`SCHILY.xattr.<name>`. Ours are deterministic: sorted names, whole seconds, no user names, explicit whiteouts; so the
same change is the same digest on every machine.

    >>> out = io.BytesIO()
    >>> write(Changeset({"/etc/motd": file(b"hi"), "/old": WHITEOUT}), out)
    >>> out.seek(0); [member.name for member in tarfile.open(fileobj=out)]
    0
    ['.wh.old', 'etc/motd']

A tar from outside is hostile until it is read: nothing here follows a name to the disk. Members become entries of a
`Changeset`, keyed by their cleaned path, so a name cannot lead out, and what has no place in a layer (`..`, a member
below a symbolic link, a hard link to nothing, a duplicate, trailing garbage) is a `LayerError` that names the member.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from minidocker.errors import LayerError
from minidocker.layer import WHITEOUT, Changeset
from minidocker.tree import CHUNK, Data, Entry, clean, directory, file, parents

__all__ = ["Span", "chunks", "file", "read", "write"]

PREFIX = ".wh."
OPAQUE = ".wh..wh..opq"
XATTR = "SCHILY.xattr."
BLOCK = tarfile.BLOCKSIZE
EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
MAX_EXTENDED = 16  # extended headers before one member
MAX_HEADER = 1 << 20  # bytes of one of them
MAX_FILE = 1 << 40  # bytes that a sparse member may claim
MAX_MEMBERS = 4_000_000
NAME_MAX, PATH_MAX, XATTR_MAX = 255, 4096, 65536  # Linux's limits
NO_ID = (1 << 32) - 1  # what chown(2) takes for "leave the owner as it is"
KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.LNKTYPE: "link",
    tarfile.SYMTYPE: "symlink",
    tarfile.DIRTYPE: "dir",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
}
TYPES = {kind: flag for flag, kind in reversed(KINDS.items())}


class Span(Data):
    """The bytes of a file inside an uncompressed tar on disk: (offset, size) runs, with zeros between sparse ones."""

    def __init__(self, path: Path, offset: int, size: int, sparse: tuple[tuple[int, int], ...] | None = None) -> None:
        self.path, self.offset, self.size, self.sparse = path, offset, size, sparse

    def open(self) -> BinaryIO:
        """Open the bytes for reading from the start."""
        return cast(BinaryIO, io.BufferedReader(_Chunks(self.chunks())))

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes piece by piece."""
        with self.path.open("rb") as blob:
            blob.seek(self.offset)
            at = 0
            for start, size in ((0, self.size),) if self.sparse is None else self.sparse:
                yield from _zeros(start - at)
                yield from _exactly(blob, size)
                at = start + size
            yield from _zeros(self.size - at)

    def __repr__(self) -> str:
        return f"Span({self.path.name[:12]!r}, {self.offset}, {self.size})"


def chunks(layer: Changeset, clamp: int | None = None, top: str = "") -> Iterator[bytes]:
    """The bytes of a layer's deterministic tar. No time in it is later than `clamp` (`SOURCE_DATE_EPOCH`).

    Where it has a `top` (`./`), that is the name of its root, and how all names begin.
    """
    root = [(_member("/", layer["/"]), None)] if top else []
    for member, data in (*root, *sorted(_members(layer), key=lambda pair: pair[0].name)):
        member.name = top + member.name
        if member.type == tarfile.LNKTYPE:
            member.linkname = top + member.linkname
        if clamp is not None:
            member.mtime = min(member.mtime, clamp)
        yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if data is not None:
            yield from _content(data, member)
    yield bytes(2 * BLOCK)


def write(layer: Changeset, out: BinaryIO, clamp: int | None = None) -> None:
    """Write `chunks(layer)` to a file."""
    for chunk in chunks(layer, clamp):
        out.write(chunk)


def read(path: Path, *, lenient: bool = False) -> Changeset:
    """Read the uncompressed tar at `path` as a layer; the entries' data stay in it as `Span`s.

    Raises LayerError for whatever a layer must not have. `lenient` is for archives that are not layers (`ADD`,
    `import`, `cp`): there `.wh.` names mean nothing special, and of duplicates the last one counts, as for `tar`.
    """
    reader = _Reader(lenient)
    with path.open("rb") as stream:
        for member in _headers(stream):
            reader.add(member, path)
    return reader.changeset()


# Writing


def _members(layer: Changeset) -> Iterator[tuple[tarfile.TarInfo, Data | None]]:
    for path, entry in layer.items():
        if path == "/":
            continue
        if f"/{PREFIX}" in path:
            raise LayerError(f"{path!r} cannot be stored: in a layer, names that start with {PREFIX} mean whiteouts")
        yield _member(path, entry), entry.data if entry.kind == "file" and entry.link in ("", path) else None
    for path in layer.opaque:
        yield _whiteout(f"{path}/{OPAQUE}"), None


def _whiteout(path: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path.lstrip("/"))
    member.mode = 0o644
    return member


def _member(path: str, entry: Entry) -> tarfile.TarInfo:
    if entry.kind == "whiteout":
        head, _, name = path.rpartition("/")
        return _whiteout(f"{head}/{PREFIX}{name}")
    member = tarfile.TarInfo(path[1:])
    member.mode, member.uid, member.gid, member.mtime = entry.mode, entry.uid, entry.gid, entry.mtime
    member.type = TYPES[entry.kind]
    member.linkname = entry.target
    member.devmajor, member.devminor = entry.device
    member.size = entry.size
    member.pax_headers = {XATTR + name: value.decode("utf-8", "surrogateescape") for name, value in entry.xattrs}
    if entry.link not in ("", path):
        member.type, member.linkname, member.size = tarfile.LNKTYPE, entry.link[1:], 0
    return member


def _content(data: Data, member: tarfile.TarInfo) -> Iterator[bytes]:
    written = 0
    for chunk in data.chunks():
        written += len(chunk)
        yield chunk
    if written != member.size:
        raise LayerError(f"/{member.name} changed while it was read: it had {member.size} bytes and now {written}")
    yield bytes(-written % BLOCK)


# Reading


def _headers(stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, one after another; strict where `tarfile` shrugs: bad headers, truncation, garbage."""
    archive = tarfile.TarFile(fileobj=io.BytesIO(bytes(BLOCK)))
    archive.fileobj, archive.offset = _Strict(stream), 0  # type: ignore[assignment]
    end = stream.seek(0, io.SEEK_END)
    for _ in range(MAX_MEMBERS):
        start = stream.seek(archive.offset)
        head = stream.read(BLOCK)
        if not head.strip(b"\0"):
            _only_zeros(stream)
            return
        try:
            member = _header(stream, archive, start, end)
        except (tarfile.TarError, ValueError, OverflowError, IndexError) as error:
            raise LayerError(f"not a valid tar: bad header at byte {start} ({error})") from error
        _check(member, archive.offset, end)
        yield member
    raise LayerError(f"the archive has more than {MAX_MEMBERS} members")


def _header(stream: BinaryIO, archive: tarfile.TarFile, start: int, end: int) -> tarfile.TarInfo:
    """One member. The raw blocks are looked at first: `tarfile` would read whatever size an extended header claims."""
    at = start
    for _ in range(MAX_EXTENDED):
        stream.seek(at)
        member = tarfile.TarInfo.frombuf(stream.read(BLOCK), "utf-8", "surrogateescape")
        if member.type not in EXTENDED:
            break
        if not 0 <= member.size <= MAX_HEADER or at + BLOCK + member.size > end:
            raise ValueError(f"an extended header of {member.size} bytes")
        at += BLOCK + member.size + -member.size % BLOCK
    else:
        raise ValueError(f"more than {MAX_EXTENDED} extended headers for one member")
    if at == start and member.type in KINDS and member.type != tarfile.GNUTYPE_SPARSE and not archive.pax_headers:
        member.offset_data = archive.offset = at + BLOCK
        archive.offset += (member.size + -member.size % BLOCK) if member.isreg() else 0
        return member
    stream.seek(start)
    return tarfile.TarInfo.fromtarfile(archive)


def _check(member: tarfile.TarInfo, after: int, end: int) -> None:
    """Numbers that make no sense, and content that is not there."""
    if not (abs(member.mtime) < 1 << 40 and 0 <= member.uid < NO_ID and 0 <= member.gid < NO_ID):
        raise LayerError(f"{member.name!r} has an owner or a time that cannot be")
    at = stored = 0
    for offset, size in _runs(member) or ():
        if offset < at or size < 0:
            raise LayerError(f"{member.name!r}: the map of its sparse runs makes no sense")
        at, stored = offset + size, stored + size
    if member.sparse is None and member.isreg():
        stored = member.size
    elif not at <= member.size <= MAX_FILE:
        raise LayerError(f"{member.name!r}: a sparse file of {member.size} bytes is too large")
    if member.size < 0 or member.offset_data + stored > min(end, after):
        raise LayerError(f"{member.name!r} claims {member.size} bytes, but the archive ends before that")


def _runs(member: tarfile.TarInfo) -> tuple[tuple[int, int], ...] | None:
    """The (offset, size) runs of a sparse member, without the empty ones that fill up its map; None for any other."""
    if member.sparse is None:
        return None
    return tuple((offset, size) for offset, size in cast("list[tuple[int, int]]", member.sparse) if size)


def _only_zeros(stream: BinaryIO) -> None:
    while chunk := stream.read(CHUNK):
        if chunk.strip(b"\0"):
            raise LayerError("not a valid tar: there is garbage after its end")


class _Reader:
    """Members in, changeset out; every rule about what may follow what is here."""

    def __init__(self, lenient: bool) -> None:
        self.lenient = lenient
        self.entries: dict[str, Entry] = {}
        self.opaque: set[str] = set()
        self.gone: set[str] = set()
        self.implied: set[str] = set()

    def add(self, member: tarfile.TarInfo, archive: Path) -> None:
        path = _clean(member.name, "the member")
        if not self.lenient and f"/{PREFIX}" in path:
            self.whiteout(path)
            return
        if path == "/" and not member.isdir():
            raise LayerError(f"{member.name!r} would replace the root directory")
        self.make_room(path, member)
        self.entries[path] = self.link(path, member) if member.islnk() else _entry(path, member, archive)

    def whiteout(self, path: str) -> None:
        up, _, name = path.rpartition("/")
        if f"/{PREFIX}{PREFIX}" in path and name != OPAQUE:
            return  # aufs left such notes to itself; they hide nothing
        if f"/{PREFIX}" in up:
            raise LayerError(f"{path!r} lies below a whiteout")
        if name == OPAQUE:
            self.opaque.add(up or "/")
        elif (gone := name[len(PREFIX) :]) in ("", ".", ".."):
            raise LayerError(f"{path!r} is a whiteout of nothing")
        else:
            self.gone.add(f"{up}/{gone}")

    def make_room(self, path: str, member: tarfile.TarInfo) -> None:
        self.imply(path)
        old = self.entries.get(path)
        if old is not None and not self.lenient:
            raise LayerError(f"{path!r} is in the layer twice; the OCI image specification forbids that")
        if path in self.implied and not member.isdir():
            raise LayerError(f"{path!r} is not a directory, but there are members below it")
        if old is not None and old.link == path:
            raise LayerError(f"{path!r} is replaced, but it has hard links")

    def imply(self, path: str) -> None:
        for up in parents(path):
            if up in self.implied:
                break
            if up in self.entries and not self.entries[up].is_dir:
                raise LayerError(f"{path!r} lies below {up!r}, which is a {self.entries[up].kind}")
            self.implied.add(up)

    def link(self, path: str, member: tarfile.TarInfo) -> Entry:
        target = _clean(member.linkname, f"the hard link {member.name!r}")
        entry = self.entries.get(target)
        if entry is None or target == path:
            raise LayerError(
                f"the hard link {member.name!r} names {member.linkname!r}, which is not in this archive before it"
            )
        if entry.is_dir:
            raise LayerError(f"the hard link {member.name!r} names the directory {member.linkname!r}")
        if entry.kind != "file":
            return entry
        self.entries[target] = entry = replace(entry, link=entry.link or target)
        return entry

    def changeset(self) -> Changeset:
        """Whiteouts reach lower layers only, wherever in the tar they stand, so they are settled at the end."""
        for path in sorted(self.gone):
            if self.hidden(path):
                continue
            if path in self.entries or path in self.implied:
                if self.entries.setdefault(path, directory()).is_dir:
                    self.opaque.add(path)
            else:
                self.entries[path] = WHITEOUT
        folders = {path for path in self.opaque if path not in self.entries or self.entries[path].is_dir}
        return Changeset(self.entries, {path for path in folders if not self.hidden(path)})

    def hidden(self, path: str) -> bool:
        """Whether this layer has something else than a directory above the path: then all below is gone anyway."""
        return any(up in self.entries and not self.entries[up].is_dir for up in parents(path))


def _clean(name: str, what: str) -> str:
    if "\0" in name:
        raise LayerError(f"{what} {name!r} has a NUL byte in its name")
    parts = name.split("/")
    if ".." in parts:
        raise LayerError(f"{what} {name!r} leads out of the layer: '..' is not allowed in a name")
    path = clean(name)
    raw = path.encode("utf-8", "surrogateescape")
    if len(raw) > PATH_MAX or any(len(part) > NAME_MAX for part in raw.split(b"/")):
        raise LayerError(f"{what} {name[:40]!r}… has a name that is too long")
    return path


def _entry(path: str, member: tarfile.TarInfo, archive: Path) -> Entry:
    kind = KINDS.get(member.type)
    if kind is None or kind == "link":
        raise LayerError(f"{path!r} is of a type that a layer cannot hold ({member.type!r})")
    if kind == "symlink" and not 0 < len(member.linkname.encode("utf-8", "surrogateescape")) < PATH_MAX:
        raise LayerError(f"the symbolic link {path!r} has a target of no length that Linux allows")
    if kind == "symlink" and "\0" in member.linkname:
        raise LayerError(f"the symbolic link {path!r} has a NUL byte in its target")
    if kind in ("char", "block") and not (0 <= member.devmajor < 1 << 12 and 0 <= member.devminor < 1 << 20):
        raise LayerError(f"{path!r} is a device whose number cannot be")
    if kind == "char" and member.devmajor == member.devminor == 0:
        raise LayerError(
            f"{path!r} is the character device 0:0, overlayfs's mark of a whiteout; layers have .wh. names"
        )
    return Entry(
        kind,  # type: ignore[arg-type]
        member.mode & 0o7777 if kind != "symlink" else 0o777,
        member.uid,
        member.gid,
        int(member.mtime),
        Span(archive, member.offset_data, member.size, _runs(member)) if kind == "file" else Entry("file").data,
        member.linkname if kind == "symlink" else "",
        (member.devmajor, member.devminor) if kind in ("char", "block") else (0, 0),
        _xattrs(member),
    )


def _xattrs(member: tarfile.TarInfo) -> tuple[tuple[str, bytes], ...]:
    """The extended attributes, but those by which overlayfs itself marks whiteouts: a layer must not fake them."""
    found = []
    for key, value in member.pax_headers.items():
        name, raw = key.removeprefix(XATTR), str(value).encode("utf-8", "surrogateescape")
        if name == key or ".overlay." in f"{name}.":
            continue
        if "\0" in name or not 0 < len(name.encode("utf-8", "surrogateescape")) <= NAME_MAX or len(raw) > XATTR_MAX:
            raise LayerError(f"{member.name!r} has an extended attribute that Linux does not allow")
        found.append((name, raw))
    return tuple(sorted(found))


class _Strict:
    """A stream for `tarfile` that never ends quietly: some of its loops would wait for more for ever."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read_some, self.seek, self.tell = stream.read, stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        data = self.read_some(size)
        if size and not data:
            raise tarfile.ReadError("unexpected end of data")
        return data


class _Chunks(io.RawIOBase):
    """A reader over an iterator of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.source, self.rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        if not self.rest:
            self.rest = next(self.source, b"")
        part, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        chunk = stream.read(min(size, CHUNK))
        if not chunk:
            raise LayerError("the layer's tar ends before its content")
        size -= len(chunk)
        yield chunk


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield bytes(min(size, CHUNK))
        size -= CHUNK
