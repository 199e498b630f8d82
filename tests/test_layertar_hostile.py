"""Hostile layers: each is contained or refused by name, at every door that takes a tar from outside.

`CASES` are raw tars, written byte by byte, because no honest library writes them. Each says what a *layer* made of it
must do: be refused with a `LayerError`, or be held inside (`kept` are then all its paths and kinds). At the other
doors (`docker load`, `import`, `ADD`, `cp`) a case may be refused or contained, but never anything else: no other
exception, nothing written outside, nothing half-loaded, no hang, no explosion of memory.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker import archive, layertar
from minidocker.container import Container
from minidocker.content import CONFIG, MANIFEST, Store
from minidocker.content import LAYER as OCI_LAYER
from minidocker.engine import Engine
from minidocker.errors import APIError, BuildError, ContainerError, LayerError
from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import merge
from minidocker.tree import Tree

BLOCK = 512
END = bytes(2 * BLOCK)


def gzipped(data: bytes) -> bytes:
    """The same bytes at every time of day: they are in the names of tests, which pytest-xdist compares."""
    return gzip.compress(data, mtime=0)


def number(value: int | bytes, width: int) -> bytes:
    """A header's number: octal, or base-256 where it does not fit, or the bytes as given."""
    if isinstance(value, bytes):
        return value.ljust(width, b"\0")
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return bytes([0x80 if value >= 0 else 0xFF]) + value.to_bytes(width - 1, "big", signed=True)


def member(
    name: str | bytes,
    data: bytes = b"",
    kind: str | bytes = "0",
    link: str | bytes = "",
    *,
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    size: int | bytes | None = None,
    mtime: int | bytes = 0,
    device: tuple[int | bytes, int | bytes] = (0, 0),
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    check: int | bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    """One tar member as raw bytes; every field can lie."""

    def raw(text: str | bytes) -> bytes:
        return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text

    head = raw(name)[:100].ljust(100, b"\0") + number(mode, 8) + number(uid, 8) + number(gid, 8)
    head += number(len(data) if size is None else size, 12) + number(mtime, 12) + b" " * 8
    head += raw(kind)[:1] + raw(link)[:100].ljust(100, b"\0") + magic + bytes(64)
    head += number(device[0], 8) + number(device[1], 8) + prefix.ljust(155, b"\0")
    head = (head[: BLOCK - len(tail)] + tail).ljust(BLOCK, b"\0")
    total = sum(head) if check is None else check
    head = head[:148] + (total if isinstance(total, bytes) else b"%06o\0 " % total) + head[156:]
    return head + data + bytes(-len(data) % BLOCK)


def pax(kind: str = "x", **records: str | bytes) -> bytes:
    """An extended header; `__` in a keyword stands for a dot."""
    return raw_pax(b"".join(record(key.replace("__", "."), value) for key, value in records.items()), kind)


def record(key: str, value: str | bytes) -> bytes:
    rest = b" %s=%s\n" % (key.encode(), value.encode() if isinstance(value, str) else value)
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return str(length).encode() + rest


def raw_pax(body: bytes, kind: str = "x", size: int | None = None) -> bytes:
    return member("PaxHeaders/x", body, kind, size=size)


def long_name(name: bytes, kind: str = "L") -> bytes:
    return member("././@LongLink", name + b"\0", kind, magic=b"ustar  \0")


def sparse(runs: list[tuple[int, int]], real: int, data: bytes = b"", more: bool = False) -> bytes:
    """An old GNU sparse member: a map of (offset, size) in the header."""
    table = b"".join(number(start, 12) + number(size, 12) for start, size in runs).ljust(96, b"\0")
    return member("sparse", data, "S", magic=b"ustar  \0", tail=table + bytes([more]) + number(real, 12) + bytes(17))


def directory(name: str) -> bytes:
    return member(name, kind="5", mode=0o755)


REFUSED = None
EITHER = {"any": "thing"}  # Python's versions differ in what malformed records they pass over


@dataclass(frozen=True)
class Case:
    name: str
    tar: bytes
    kept: dict[str, str] | None  # path -> kind, of all that a layer made of it holds; None: it must be refused

    def __str__(self) -> str:
        return self.name


CASES: list[Case] = []


def case(name: str, *parts: bytes, kept: dict[str, str] | None = REFUSED, end: bytes = END) -> None:
    CASES.append(Case(name, b"".join(parts) + end, kept))


EVIL = b"evil\n"

# Names that lead out
case("dotdot", member("../evil", EVIL))
case("dotdot in the middle", member("a/../../evil", EVIL))
case("dotdot that stays inside", member("a/../b", EVIL))
case("dotdot after a dot", member("./../evil", EVIL))
case("dotdot at the end", member("a/..", EVIL))
case("dotdot alone", directory(".."))
case("many dotdots", member("../" * 20 + "tmp/evil", EVIL))
case("dotdot in the ustar prefix", member("evil", EVIL, prefix=b".."))
case("dotdot across prefix and name", member("./evil", EVIL, prefix=b"a/.."))
case("absolute", member("/canary/evil", EVIL), kept={"/canary/evil": "file"})
case("absolute with many slashes", member("///canary//evil", EVIL), kept={"/canary/evil": "file"})
case("absolute ustar prefix", member("evil", EVIL, prefix=b"/canary"), kept={"/canary/evil": "file"})
case("backslashes", member("..\\..\\evil", EVIL), kept={"/..\\..\\evil": "file"})
case("a drive", member("C:/evil", EVIL), kept={"/C:/evil": "file"})
case("three dots", member(".../evil", EVIL), kept={"/.../evil": "file"})
case("the root as a directory", directory("./"), kept={"/": "dir"})
case("the root by a slash", directory("/"), kept={"/": "dir"})
case("the root as a file", member("./", EVIL))
case("the root as a file, no slash", member(".", EVIL))
case("the root as a symbolic link", member(".", kind="2", link="/canary"))
case("the root as a hard link", member("a", EVIL), member("/", kind="1", link="a"))
case("the root as a fifo", member("/", kind="6"))
case("an empty name", member("", EVIL))
case("name with newline", member("a\nb", EVIL), kept={"/a\nb": "file"})
case("name with terminal escapes", member("a\x1b[2Jb", EVIL), kept={"/a\x1b[2Jb": "file"})
case("name of spaces", member("  ", EVIL), kept={"/  ": "file"})
case("name not UTF-8", member(b"caf\xe9", EVIL), kept={"/caf\udce9": "file"})
case("256 bytes in one name", long_name(b"n" * 256), member("x", EVIL))
case("255 bytes in one name", long_name(b"n" * 255), member("x", EVIL), kept={"/" + "n" * 255: "file"})
case("4097 bytes of path", long_name(b"a/" * 2048 + b"x"), member("x", EVIL))
case(
    "a path of 1900 folders", long_name(b"a/" * 1900 + b"x"), member("x", EVIL), kept={"/" + "a/" * 1900 + "x": "file"}
)

# Symbolic links
case("link to an absolute place", member("l", kind="2", link="/canary"), kept={"/l": "symlink"})
case("link upwards", member("l", kind="2", link="../../../../canary"), kept={"/l": "symlink"})
case("link to itself", member("l", kind="2", link="l"), kept={"/l": "symlink"})
case(
    "links in a ring",
    member("a", kind="2", link="b"),
    member("b", kind="2", link="a"),
    kept={"/a": "symlink", "/b": "symlink"},
)
case("write through a link", member("l", kind="2", link="/canary"), member("l/evil", EVIL))
case("write through a relative link", member("l", kind="2", link="../../canary"), member("l/evil", EVIL))
case("write through a link to itself", member("l", kind="2", link="l"), member("l/evil", EVIL))
case("write through a link to the root", member("l", kind="2", link="/"), member("l/evil", EVIL))
case(
    "write through a chain",
    member("a", kind="2", link="b"),
    member("b", kind="2", link="/canary"),
    member("a/evil", EVIL),
)
case(
    "write through a link in a folder",
    directory("d"),
    member("d/l", kind="2", link="/canary"),
    member("d/l/x/evil", EVIL),
)
case("make a folder through a link", member("l", kind="2", link="/canary"), directory("l/evil"))
case("link through a link", member("l", kind="2", link="/canary"), member("l/evil", kind="2", link="/"))
case("white out through a link", member("l", kind="2", link="/canary"), member("l/.wh.file"), kept={"/l": "symlink"})
case("opaque through a link", member("l", kind="2", link="/canary"), member("l/.wh..wh..opq"), kept={"/l": "symlink"})
case("a link after its child", member("l/evil", EVIL), member("l", kind="2", link="/canary"))
case("a link, then a file of that name", member("l", kind="2", link="/canary/file"), member("l", EVIL))
case(
    "a link, then a folder of that name", member("l", kind="2", link="/canary"), directory("l"), member("l/evil", EVIL)
)
case("a link to nothing", member("l", kind="2"))
case("a link of 4096 bytes", long_name(b"t" * 4096, "K"), member("l", kind="2"))
case("a link with NUL", pax(linkpath=b"/canary\0x"), member("l", kind="2", link="x"))
case("a link with content", member("l", EVIL, "2", "t"))

# Hard links
case("hard link to a host file", member("h", kind="1", link="/canary/file"))
case("hard link upwards", member("h", kind="1", link="../../canary/file"))
case("hard link to nothing", member("h", kind="1", link="absent"))
case("hard link to no name", member("h", kind="1"))
case("hard link to itself", member("h", kind="1", link="h"))
case("hard link to a later member", member("h", kind="1", link="a"), member("a", EVIL))
case("hard links in a ring", member("a", kind="1", link="b"), member("b", kind="1", link="a"))
case("hard link to a folder", directory("d"), member("h", kind="1", link="d"))
case("hard link to the root", member("h", kind="1", link="."))
case("hard link through a link", member("l", kind="2", link="/canary"), member("h", kind="1", link="l/file"))
case(
    "hard link below a link",
    member("a", EVIL),
    member("l", kind="2", link="/canary"),
    member("l/h", kind="1", link="a"),
)
case(
    "hard link to a link out",
    member("l", kind="2", link="/canary/file"),
    member("h", kind="1", link="l"),
    kept={"/l": "symlink", "/h": "symlink"},
)
case(
    "hard link to a link, then written through",
    member("l", kind="2", link="/canary"),
    member("h", kind="1", link="l"),
    member("h/evil", EVIL),
)
case("hard link to a whiteout", member(".wh.a"), member("h", kind="1", link=".wh.a"))
case("hard link to what is whited out", member(".wh.a"), member("h", kind="1", link="a"))
case(
    "hard link with content",
    member("a", b"ok"),
    member("h", kind="1", link="a", size=512),
    kept={"/a": "file", "/h": "file"},
)
case("hard link replaced", member("a", b"ok"), member("h", kind="1", link="a"), member("a", EVIL))
case("hard link, then a child below", member("a", b"ok"), member("h", kind="1", link="a"), member("h/evil", EVIL))
case("hard link by pax to a host file", pax(linkpath="../../canary/file"), member("h", kind="1", link="ok"))
case("hard link by GNU name to a host file", long_name(b"/canary/file", "K"), member("h", kind="1", link="ok"))

# Whiteouts
case("whiteout of nothing", member(".wh."))
case("whiteout of dot", member(".wh.."))
case("whiteout of dotdot", member(".wh..."))
case("whiteout of nothing below", member("a/.wh."))
case("whiteout of dot below", member("a/.wh.."))
case("whiteout of dotdot below", member("a/.wh..."))
case("whiteout above the root", member("../.wh.canary"))
case("whiteout as a folder", directory(".wh.a"), kept={"/a": "whiteout"})
case("whiteout as a link", member(".wh.a", kind="2", link="/canary"), kept={"/a": "whiteout"})
case("whiteout with content", member(".wh.a", EVIL), kept={"/a": "whiteout"})
case("below a whiteout", member(".wh.a/evil", EVIL))
case("folder of a whiteout's name, and a child", directory(".wh.a"), member(".wh.a/evil", EVIL))
case("whiteout twice", member(".wh.a"), member(".wh.a"), kept={"/a": "whiteout"})
case("whiteout, then the file", member(".wh.a"), member("a", EVIL), kept={"/a": "file"})
case("the file, then its whiteout", member("a", EVIL), member(".wh.a"), kept={"/a": "file"})
case("whiteout of a parent that follows", member(".wh.d"), member("d/x", EVIL), kept={"/d": "dir", "/d/x": "file"})
case("opaque root", member(".wh..wh..opq"), member("x", EVIL), kept={"/x": "file"})
case("opaque after entries", member("d/x", EVIL), member("d/.wh..wh..opq"), kept={"/d/x": "file"})
case("opaque as a folder", directory("d/.wh..wh..opq"), kept={})
case("opaque in a file", member("f", EVIL), member("f/.wh..wh..opq"), kept={"/f": "file"})
case("aufs's own notes", member(".wh..wh.aufs"), directory(".wh..wh.plnk"), member(".wh..wh.plnk/12.34", EVIL), kept={})
case("whiteout of a whiteout", member(".wh..wh.x"), kept={})
case("whiteout of a name that is too long", long_name(b".wh." + b"n" * 256), member("x"))
case("whiteout below a file", member("f", EVIL), member("f/.wh.x"), kept={"/f": "file"})

# Devices and modes
case("null device", member("null", kind="3", device=(1, 3), mode=0o666), kept={"/null": "char"})
case("a disk", member("sda", kind="4", device=(8, 0), mode=0o666), kept={"/sda": "block"})
case("kernel memory", member("mem", kind="3", device=(1, 1), mode=0o666), kept={"/mem": "char"})
case("character device 0:0, overlay's whiteout", member("f", kind="3", device=(0, 0)))
case("absurd device number", member("d", kind="3", device=(1 << 40, 1 << 40)))
case("negative device number", member("d", kind="3", device=(-1, -1)))
case("fifo", member("p", kind="6"), kept={"/p": "fifo"})
case("fifo with content", member("p", EVIL, "6"))
case("setuid root", member("su", EVIL, mode=0o6755), kept={"/su": "file"})
case("all the mode bits there are", member("m", EVIL, mode=0o7777777), kept={"/m": "file"})
case("mode of garbage", member("m", EVIL, mode=b"rw-r--r"))
case("user of 2^32", member("u", EVIL, uid=1 << 32))
case("user of -1", member("u", EVIL, uid=(1 << 32) - 1))
case("negative user", member("u", EVIL, uid=-5))
case("user of 2^31", member("u", EVIL, uid=1 << 31), kept={"/u": "file"})
case("pax user of a thousand digits", pax(uid="9" * 1000), member("u", EVIL))
case("negative pax group", pax(gid="-7"), member("u", EVIL))
for note in (
    "trusted.overlay.opaque",
    "trusted.overlay.redirect",
    "trusted.overlay.metacopy",
    "user.overlay.opaque",
    "user.overlay.whiteout",
):
    case(f"xattr {note}", pax(**{f"SCHILY.xattr.{note}": "y"}), directory("d"), kept={"/d": "dir"})
case(
    "xattr redirect out",
    pax(**{"SCHILY.xattr.trusted.overlay.redirect": "/../../canary"}),
    directory("d"),
    kept={"/d": "dir"},
)
case("xattr without a name", raw_pax(record("SCHILY.xattr.", "y")), member("x", EVIL))
case("xattr with NUL in its name", raw_pax(record("SCHILY.xattr.user.a\0b", "y")), member("x", EVIL))
case("xattr without a namespace", raw_pax(record("SCHILY.xattr.plain", "y")), member("x", EVIL), kept={"/x": "file"})
case(
    "xattr of a capability",
    raw_pax(record("SCHILY.xattr.security.capability", b"\1\0\0\2" + bytes(16))),
    member("x", EVIL),
    kept={"/x": "file"},
)
case("xattr of 70 kB", raw_pax(record("SCHILY.xattr.user.big", b"y" * 70000)), member("x", EVIL))

# Sizes, numbers, times
case("size 8 EiB", member("x", size=1 << 63))
case("size of eleven sevens", member("x", size=b"77777777777"))
case("size in base 256, absurd", member("x", size=b"\x80" + b"\xff" * 11))
case("size negative", member("x", size=-512))
case("size negative on a folder", member("x", kind="5", size=-512))
case("size of garbage", member("x", EVIL, size=b"5;rm -rf /"))
case("size with a minus", member("x", size=b"-0000001000"))
case("size one over the end", member("x", size=5 * BLOCK))
case("folder with a size", member("d", kind="5", size=512), member("e", EVIL), kept={"/d": "dir", "/e": "file"})
case("pax size larger than there is", pax(size="99999999"), member("x", EVIL))
case("pax size negative", pax(size="-512"), member("x", EVIL))
case("pax size no number", pax(size="many"), member("x", EVIL))
case("pax size of five thousand digits", pax(size="9" * 5000), member("x", EVIL))
case("time in the far future", member("x", EVIL, mtime=1 << 80))
case("time far past", member("x", EVIL, mtime=-(1 << 80)))
case("time before 1970", member("x", EVIL, mtime=-5), kept={"/x": "file"})
for when in ("inf", "nan", "1e400", "9" * 400, "-inf"):
    case(f"pax time {when[:6]}", pax(mtime=when), member("x", EVIL))
case("pax time with a fraction", pax(mtime="1700000000.987654321"), member("x", EVIL), kept={"/x": "file"})

# Broken archives
case("checksum zero", member("x", EVIL, check=0))
case("checksum off by one", member("x", EVIL, check=sum(member("x", EVIL)[:BLOCK])))
case("checksum of garbage", member("x", EVIL, check=b"garbage!"))
case("good member, then a bad one", member("ok", b"ok"), member("x", EVIL, check=0))
case("ends in a header", member("x", EVIL)[:100], end=b"")
case("ends before the content", member("x", EVIL)[:BLOCK], end=b"")
case("ends in the content", member("x", bytes(2 * BLOCK))[: BLOCK + 700], end=b"")
case("ends in the last padding", member("x", EVIL)[:-100], end=b"", kept={"/x": "file"})
case("no end at all", member("x", EVIL), end=b"", kept={"/x": "file"})
case("half an end", member("x", EVIL), end=bytes(BLOCK), kept={"/x": "file"})
case("ends in a pax header", pax(path="y" * 600)[:700], end=b"")
case("ends after a pax header", pax(path="y"), end=b"")
case("a pax header before the end", pax(path="y"))
case("ends in a GNU name", long_name(b"y" * 600)[:700], end=b"")
case("ends after a GNU name", long_name(b"y"), end=b"")
case("garbage after the end", member("x", EVIL), end=END + b"garbage")
case("another tar after the end", member("x", EVIL), END, member("../evil", EVIL))
case("zeros after the end", member("x", EVIL), end=bytes(40 * BLOCK), kept={"/x": "file"})
case("a zero block in the middle", member("x", EVIL), bytes(BLOCK), member("y", EVIL))
case("nothing at all", end=b"", kept={})
case("zeros alone", kept={})
case("text", b"#!/bin/sh\necho evil\n" * 60, end=b"")
case("seven bytes", b"garbage", end=b"")
case("random bytes", bytes((i * 197 + i // 7) % 251 + 1 for i in range(5000)), end=b"")

# Duplicates, and what lies below what
case("a file twice", member("x", b"ok"), member("x", EVIL))
case("a folder twice", directory("d"), directory("d"))
case("a folder, then a file", directory("d"), member("d", EVIL))
case("a file, then a folder", member("d", EVIL), directory("d"))
case("a file by two spellings", member("x", b"ok"), member("./x", EVIL))
case("a file by an absolute spelling", member("x", b"ok"), member("/x", EVIL))
case("a folder with and without slash", directory("d"), directory("d/"))
case("a file, then a child", member("f", EVIL), member("f/evil", EVIL))
case("a child, then its parent as a file", member("f/evil", EVIL), member("f", EVIL))
case("a fifo, then a child", member("p", kind="6"), member("p/evil", EVIL))
case("upper and lower case", member("a", EVIL), member("A", EVIL), kept={"/a": "file", "/A": "file"})

# Extended headers
case("pax path out", pax(path="../evil"), member("ok", EVIL))
case("pax path absolute", pax(path="/canary/evil"), member("ok", EVIL), kept={"/canary/evil": "file"})
case("pax path with NUL", pax(path=b"a\0b"), member("ok", EVIL))
case("pax path empty", pax(path=""), member("ok", EVIL))
case("pax path of 5000", pax(path="a/" * 2500), member("ok", EVIL))
case("pax path not UTF-8", pax(path=b"caf\xe9"), member("ok", EVIL), kept={"/caf\udce9": "file"})
case("global pax path out", pax("g", path="../evil"), member("ok", EVIL))
case("global pax path for all", pax("g", path="same"), member("a", EVIL), member("b", EVIL))
case("global pax comment", pax("g", comment="hello"), member("a", EVIL), kept={"/a": "file"})
case("pax header of 1 GB, claimed", raw_pax(b"", size=1 << 30), member("ok", EVIL))
case("pax header of 8 EiB, claimed", raw_pax(b"", size=1 << 62), member("ok", EVIL))
case("pax header of 8 EiB behind another", pax(path="a"), raw_pax(b"", size=1 << 62), member("ok", EVIL))
case("pax header of 8 EiB behind a GNU name", long_name(b"a"), raw_pax(b"", size=1 << 62), member("ok", EVIL))
case("pax header of 2 MB", pax(comment="c" * (2 << 20)), member("ok", EVIL))
case("pax header negative", raw_pax(b"", size=-1), member("ok", EVIL))
case("pax record of length 0", raw_pax(b"0 path=evil\n"), member("ok", EVIL))
case("pax record too long", raw_pax(b"9999 path=evil\n"), member("ok", EVIL))
case("pax record of negative length", raw_pax(b"-5 path=evil\n"), member("ok", EVIL), kept=EITHER)
case("pax record without =", raw_pax(b"11 patevil\n"), member("ok", EVIL), kept=EITHER)
case("pax record of garbage", raw_pax(b"\xff\xfe\xfd"), member("ok", EVIL), kept=EITHER)
case("pax record with huge length", raw_pax(b"9" * 5000 + b" path=evil\n"), member("ok", EVIL))
case("three thousand pax headers in a row", pax(path="evil") * 3000, member("ok", EVIL))
case("three thousand GNU names in a row", long_name(b"evil") * 3000, member("ok", EVIL))
case("GNU name out", long_name(b"../../evil"), member("ok", EVIL))
case("GNU name absolute", long_name(b"/canary/evil"), member("ok", EVIL), kept={"/canary/evil": "file"})
case("GNU name of 8 EiB, claimed", member("././@LongLink", b"", "L", size=1 << 62), member("ok", EVIL))
case("GNU name empty", long_name(b""), member("ok", EVIL))
case(
    "pax bomb of keywords",
    raw_pax(b"".join(record(f"k{i}", "v") for i in range(20000))),
    member("ok", EVIL),
    kept={"/ok": "file"},
)

# Sparse files
case("sparse of 8 EiB", sparse([(0, 0)], 1 << 62))
case("sparse negative", sparse([(0, 5)], -1, EVIL))
case("sparse beyond its end", sparse([(1 << 50, 5)], 10, EVIL))
case("sparse runs that overlap", sparse([(0, 5), (2, 5)], 100, EVIL * 2))
case("sparse runs backwards", sparse([(50, 5), (0, 5)], 100, EVIL * 2))
case("sparse run negative", sparse([(0, -5)], 100, EVIL))
case("sparse map that goes on after the end", sparse([(0, 5)], 100, more=True), end=b"")
case("sparse map larger than its data", sparse([(0, 1000)], 2000, EVIL))
case("sparse, well-formed", sparse([(0, 5), (1000, 5)], 2000, EVIL * 2), kept={"/sparse": "file"})
case(
    "pax sparse of 8 EiB",
    raw_pax(record("GNU.sparse.size", str(1 << 62)) + record("GNU.sparse.map", "0,5")),
    member("ok", EVIL),
)
case(
    "pax sparse map odd",
    raw_pax(record("GNU.sparse.size", "10") + record("GNU.sparse.map", "0,5,7")),
    member("ok", EVIL),
    kept=EITHER,
)
case(
    "pax sparse map of words",
    raw_pax(record("GNU.sparse.size", "10") + record("GNU.sparse.map", "a,b")),
    member("ok", EVIL),
)
case(
    "pax sparse map negative",
    raw_pax(record("GNU.sparse.size", "10") + record("GNU.sparse.map", "-5,5")),
    member("ok", EVIL),
)
case(
    "pax sparse name out",
    raw_pax(record("GNU.sparse.name", "../evil") + record("GNU.sparse.size", "5") + record("GNU.sparse.map", "0,5")),
    member("ok", EVIL),
)
SPARSE_1_0 = record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")
case(
    "pax sparse 1.0 with a billion runs",
    raw_pax(SPARSE_1_0 + record("GNU.sparse.realsize", "10")),
    member("ok", b"1000000000\n0\n5\n"),
)
case(
    "pax sparse 1.0 without a map", raw_pax(SPARSE_1_0 + record("GNU.sparse.realsize", "10")), member("ok", b"x" * 600)
)
case(
    "pax sparse 1.0 name out",
    raw_pax(SPARSE_1_0 + record("GNU.sparse.realsize", "5") + record("GNU.sparse.name", "../evil")),
    member("ok", b"1\n0\n5\n".ljust(512, b"\0") + EVIL),
)

# Types that no layer has
for flag in ("Z", "A", "M", "V", "N", "\x01", "9"):
    case(f"type {flag!r}", member("x", EVIL, flag))
case("a GNU dump directory", member("x", EVIL, "D"))
case("contiguous file", member("x", EVIL, "7"), kept={"/x": "file"})
case("no magic", member("x", EVIL, magic=bytes(8)), kept={"/x": "file"})


def packed(name: str, data: bytes) -> None:
    CASES.append(Case(name, data, REFUSED))


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../evil", EVIL)
    return out.getvalue()


packed("a zip", zipped())
packed("a tar in a tar's place, shifted", b"x" + member("x", EVIL) + END)
packed("an ELF", b"\x7fELF" + struct.pack("<8I", *range(8)) * 30)


@contextmanager
def limits(seconds: int = 20, memory: int = 1 << 30) -> Iterator[None]:
    """No hang and no explosion of memory; both would end as an exception of another type."""
    resource = pytest.importorskip("resource", reason="limits on memory are POSIX's")

    def late(*_: object) -> None:
        raise TimeoutError(f"still at it after {seconds} s")

    used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096 if Path("/proc/self/statm").exists() else 0
    before, handler = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


ACCEPTED = [hostile for hostile in CASES if hostile.kept is not REFUSED and hostile.kept is not EITHER]
all_cases = pytest.mark.parametrize("hostile", CASES, ids=str)


def test_the_cases_are_many_and_different() -> None:
    assert len(CASES) > 138
    assert len({hostile.name for hostile in CASES}) == len(CASES)


class TestRead:
    """The reader itself: bytes on disk to a changeset."""

    @pytest.mark.parametrize("hostile", [hostile for hostile in CASES if hostile.kept is not EITHER], ids=str)
    def test_as_a_layer(self, hostile: Case, tmp_path: Path) -> None:
        blob = tmp_path / "layer.tar"
        blob.write_bytes(hostile.tar)
        with limits():
            if hostile.kept is REFUSED:
                with pytest.raises(LayerError) as caught:
                    drain(layertar.read(blob))
                assert caught.value.explanation
                return
            layer = layertar.read(blob)
            drain(layer)
        assert {path: entry.kind for path, entry in layer.items()} == hostile.kept
        assert not any("overlay" in name for entry in layer.values() for name, _ in entry.xattrs)
        assert not any(entry.mode > 0o7777 for entry in layer.values())
        merge(Tree(), layer)

    @all_cases
    def test_as_an_archive(self, hostile: Case, tmp_path: Path) -> None:
        """As `ADD` and `cp` read it: duplicates are allowed there, and `.wh.` is a name like any other."""
        blob = tmp_path / "some.tar"
        blob.write_bytes(hostile.tar)
        with limits():
            try:
                layer = layertar.read(blob, lenient=True)
                drain(layer)
            except LayerError:
                return
        assert not any(".." in path.split("/") for path in layer)
        assert not layer.opaque
        assert not any(entry.kind == "whiteout" for entry in layer.values())
        merge(Tree(), layer)

    @pytest.mark.parametrize(
        "hostile", [hostile for hostile in CASES if hostile.kept not in (REFUSED, EITHER)], ids=str
    )
    def test_what_is_accepted_is_written_and_read_again(self, hostile: Case, tmp_path: Path) -> None:
        (tmp_path / "a.tar").write_bytes(hostile.tar)
        layer = layertar.read(tmp_path / "a.tar")
        with (tmp_path / "b.tar").open("wb") as out:
            layertar.write(layer, out)
        again = layertar.read(tmp_path / "b.tar")
        assert merge(Tree(), again) == merge(Tree(), layer)


def drain(layer: Any) -> None:
    """Read all the content, as unpacking would."""
    for entry in layer.values():
        if entry.kind == "file" and entry.size < 1 << 24:
            for _ in entry.data.chunks():
                pass


# The store's door: docker load of an image whose layer is hostile


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def described(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def oci_archive(layer: bytes, *, plain: bytes | None = None, name: str = "hostile:latest") -> bytes:
    """`skopeo copy … oci-archive:`: a layout in a tar. With `plain`, `layer` is its compressed form."""
    media_type = OCI_LAYER if plain is None else OCI_LAYER + "+gzip"
    config = dump(config_of(layer if plain is None else plain))
    manifest = dump(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(config, CONFIG),
            "layers": [described(layer, media_type)],
        }
    )
    entry = described(manifest, MANIFEST) | {"annotations": {"org.opencontainers.image.ref.name": name}}
    files = {"oci-layout": dump({"imageLayoutVersion": "1.0.0"}), "index.json": dump(index_of(entry))}
    files |= {f"blobs/sha256/{digest(blob)[7:]}": blob for blob in (config, manifest, layer)}
    return b"".join(member(path, data) for path, data in files.items()) + END


def docker_archive(layer: bytes) -> bytes:
    """`docker save` before Docker 25: manifest.json, a configuration, and `<id>/layer.tar`."""
    config = dump(config_of(layer))
    listed = [{"Config": "config.json", "RepoTags": ["hostile:latest"], "Layers": ["l/layer.tar"]}]
    return b"".join(
        [member("config.json", config), member("l/layer.tar", layer), member("manifest.json", dump(listed)), END]
    )


def config_of(*layers: bytes) -> dict[str, Any]:
    rootfs = {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}
    return {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]}, "rootfs": rootfs}


def index_of(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"schemaVersion": 2, "manifests": list(entries)}


def snapshot(root: Path) -> dict[str, bytes]:
    """Everything that a store holds, but its locks and its journal."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.parent.name != "events"
    }


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return Images(Store(tmp_path_factory.mktemp("root")))


class TestLoad:
    """`docker load`: all or nothing."""

    @pytest.mark.parametrize(
        ("hostile", "form"),
        [*((hostile, oci_archive) for hostile in CASES), *((hostile, docker_archive) for hostile in CASES[::4])],
        ids=lambda value: getattr(value, "__name__", str(value)),
    )
    def test_a_hostile_layer(self, hostile: Case, form: Callable[[bytes], bytes], images: Images) -> None:
        before = snapshot(images.store.root)
        with limits():
            try:
                loaded = archive.load(images, form(hostile.tar))
            except APIError as error:
                assert hostile.kept is REFUSED or hostile.kept is EITHER, error
            else:
                assert hostile.kept is not REFUSED
                image = loaded[0][0]
                assert image.tags == ["hostile:latest"]
                assert not any(".." in path.split("/") for path in image.tree())
                images.remove("hostile:latest")
        assert snapshot(images.store.root) == before

    @pytest.mark.parametrize("hostile", CASES[::3], ids=str)
    def test_a_hostile_file_system(self, hostile: Case, images: Images) -> None:
        """`docker import`: an image of one layer made of any tar."""
        before = snapshot(images.store.root)
        with limits():
            try:
                image = archive.import_(images, hostile.tar, {})
            except APIError:
                pass
            else:
                assert not any(".." in path.split("/") for path in image.tree())
                images.remove(image.id)
        assert snapshot(images.store.root) == before

    @pytest.mark.parametrize(
        ("name", "layer"),
        [
            ("cut short", gzipped(member("x", EVIL) + END)[:-9]),
            ("wrong checksum", gzipped(member("x", EVIL) + END)[:-8] + bytes(8)),
            ("garbage after it", gzipped(member("x", EVIL) + END) + b"garbage"),
            ("garbage inside", gzipped(member("x", EVIL) + END)[:30] + b"garbage" * 9),
            ("another member that makes garbage", gzipped(member("x", EVIL) + END) + gzipped(b"garbage")),
            ("only a head", b"\x1f\x8b\x08"),
            ("a header and nothing", gzipped(b"")[:10]),
        ],
    )
    def test_a_broken_gzip_stream(self, name: str, layer: bytes, images: Images) -> None:
        before = snapshot(images.store.root)
        with limits(), pytest.raises(APIError):
            archive.load(images, oci_archive(layer, plain=member("x", EVIL) + END))
        assert snapshot(images.store.root) == before, name

    def test_a_layer_in_two_gzip_members_is_a_layer(self, images: Images) -> None:
        plain = member("x", EVIL) + END
        packed = gzipped(plain[:700]) + gzipped(plain[700:])
        image = archive.load(images, oci_archive(packed, plain=plain))[0][0]
        assert image.tree()["/x"].data.read() == EVIL
        images.remove(image.id)

    def test_a_gzip_bomb_does_not_fill_the_memory(self, images: Images) -> None:
        plain = member("x", bytes(80 << 20)) + END
        bomb = oci_archive(gzipped(plain), plain=plain)
        assert len(bomb) < 1 << 18
        del plain
        before = snapshot(images.store.root)
        with limits(memory=40 << 20):
            image = archive.load(images, bomb)[0][0]
        assert image.size == 80 << 20
        images.remove(image.id)
        assert snapshot(images.store.root) == before


# The engine's doors: ADD, cp, and a container on what was accepted


ON_HOST = [Path(name) for name in ("/canary", "/evil", "/tmp/evil", "/tmp/canary")]


@pytest.fixture(scope="module", params=["namespaces", "simulated"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine, and the promise that nothing was written outside of its folder."""
    folder = tmp_path_factory.mktemp("jail")
    before = {path for path in ON_HOST if path.exists()}
    try:
        engine = minidocker.connect(folder / "root", runtime=request.param)
        engine.containers.run("minidocker/base", "true", remove=True)
    except APIError as error:
        pytest.skip(f"runtime {request.param} does not work here: {error}")
    yield engine
    for image in engine.images.list():
        engine.images.remove(image.id, force=True)
    engine.images.prune_builds()  # or trees too deep for pytest's own tidying up are left
    engine.close()
    assert {path for path in ON_HOST if path.exists()} == before
    assert [path.name for path in folder.iterdir()] == ["root"]
    for path in folder.rglob("evil"):
        assert {"upper", "layers"} & set(path.relative_to(folder).parts), path


@pytest.fixture(scope="module")
def box(engine: Engine) -> Iterator[Container]:
    container = engine.containers.create("minidocker/base", "true")
    yield container
    container.remove(force=True)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder of the host that nothing may touch."""
    (tmp_path / "canary").mkdir(mode=0o755)
    (tmp_path / "canary" / "file").write_text("untouched")
    before = described_folder(tmp_path / "canary")
    yield tmp_path / "canary"
    assert described_folder(tmp_path / "canary") == before
    assert str(tmp_path) not in mounts()


def mounts() -> str:
    return Path("/proc/mounts").read_text() if Path("/proc/mounts").exists() else ""


def described_folder(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


class TestEngine:
    @pytest.mark.parametrize("hostile", CASES[::17], ids=str)
    def test_cp(self, hostile: Case, box: Container) -> None:
        """`docker cp`: into a container that does not run."""
        with limits():
            try:
                box.put_archive("/tmp", hostile.tar)
            except APIError as error:
                assert error.explanation

    @pytest.mark.parametrize("hostile", CASES[::19], ids=str)
    def test_add(self, hostile: Case, engine: Engine, tmp_path: Path) -> None:
        """`ADD` unpacks what is an archive, and copies what is none."""
        (tmp_path / "evil.tar").write_bytes(hostile.tar)
        (tmp_path / "Dockerfile").write_text("FROM scratch\nADD evil.tar /in/\n")
        with limits():
            try:
                image = engine.images.build(path=str(tmp_path), tag="added")[0]
            except (APIError, BuildError) as error:
                assert str(error)
                return
        assert all(path in ("/", "/in") or path.startswith("/in/") for path in image.tree())

    @pytest.mark.parametrize("hostile", [*ACCEPTED[::4], *(h for h in CASES if "1900" in h.name)], ids=str)
    def test_unpacked(self, hostile: Case, engine: Engine) -> None:
        """What is accepted lies unpacked in its own folder, and nowhere else."""
        if engine.runtime.name != "namespaces":
            pytest.skip("the simulated runtime unpacks nothing")
        ((image, _),) = archive.load(engine.images, oci_archive(hostile.tar))
        with limits():
            try:
                folder = image.layers[0].path()
            except APIError as error:
                assert error.explanation
                return
        assert folder.is_relative_to(engine.root / "layers")
        made = {path for path, entry in image.tree().items() if entry.kind not in ("char", "block")}
        listing = subprocess.run(
            ["find", folder, "-mindepth", "1", "-printf", "/%P\\0"], capture_output=True, check=True
        )
        assert {os.fsdecode(path) for path in listing.stdout.split(b"\0")} >= made - {"/"}
        engine.images.remove(image.id, force=True)
        assert not folder.exists() or "1900" not in hostile.name  # others may have the same layer

    @pytest.mark.parametrize("hostile", [h for h in CASES if h.kept not in (REFUSED, EITHER)][::15], ids=str)
    def test_run(self, hostile: Case, engine: Engine) -> None:
        """The layer on top of a base that works: it runs, or says why it does not."""
        base = engine.images.get("minidocker/base")
        ((loaded, _),) = archive.load(engine.images, oci_archive(hostile.tar))
        image = engine.images.create({"config": base.config}, [*base.layers, *loaded.layers])
        with limits():
            try:
                assert engine.containers.run(image.id, ["sh", "-c", "echo ran"], remove=True) == b"ran\n"
            except (APIError, ContainerError) as error:
                assert "opaque root" in hostile.name or hostile.kept == {}, error

    @pytest.mark.parametrize(
        "name", ["proc", "dev", "sys", "etc", "tmp", "etc/hosts", "etc/hostname", "etc/resolv.conf"]
    )
    def test_a_link_where_the_runtime_mounts_or_writes(self, name: str, engine: Engine, canary: Path) -> None:
        target = str(canary / "file") if "/" in name else str(canary)
        parts = [directory("etc")] * ("/" in name) + [member(name, kind="2", link=target)]
        image = on_base(engine, b"".join(parts) + END)
        with contextlib.suppress(APIError, ContainerError):
            engine.containers.run(image.id, ["sh", "-c", f"echo evil > /{name}"], remove=True, hostname="x")

    def test_a_link_as_the_working_folder(self, engine: Engine, canary: Path) -> None:
        image = on_base(engine, member("w", kind="2", link=str(canary)) + END)
        with contextlib.suppress(APIError, ContainerError):
            engine.containers.run(image.id, ["sh", "-c", "echo evil > evil"], remove=True, working_dir="/w/deeper")

    def test_a_link_where_files_are_copied(self, engine: Engine, canary: Path, tmp_path: Path) -> None:
        on_base(engine, member("d", kind="2", link=f"../../../../../..{canary}") + END).tag("linked")
        context = tmp_path / "context"
        context.mkdir()
        (context / "evil").write_text("evil")
        (context / "Dockerfile").write_text("FROM linked\nCOPY evil /d/\nADD evil /d/file\nWORKDIR /d/x\n")
        with contextlib.suppress(APIError, BuildError):
            image = engine.images.build(path=str(context))[0]
            assert image.tree()[f"{canary}/evil"].data.read() == b"evil"
        container = engine.containers.create("linked", "true")
        with contextlib.suppress(APIError):
            container.put_archive("/d", member("evil", EVIL) + END)
        with contextlib.suppress(APIError):
            container.get_archive("/d/file")
        container.remove()

    def test_a_link_as_the_place_of_a_mount(self, engine: Engine, canary: Path, tmp_path: Path) -> None:
        (tmp_path / "bound").mkdir()
        image = on_base(engine, member("m", kind="2", link=str(canary)) + END)
        with contextlib.suppress(APIError, ContainerError):
            engine.containers.run(
                image.id, ["sh", "-c", "echo ok > /m/made"], remove=True, volumes=[f"{tmp_path / 'bound'}:/m/deeper"]
            )

    def test_a_device_of_the_host_cannot_be_opened(self, engine: Engine) -> None:
        if engine.runtime.name != "namespaces":
            pytest.skip("the simulated runtime has no devices")
        made = member("disk", kind="4", device=(254, 0), mode=0o666) + member(
            "mem", kind="3", device=(1, 1), mode=0o666
        )
        image = on_base(engine, made + member("zero", kind="3", device=(1, 5), mode=0o666) + END)
        for name in ("disk", "mem", "zero"):
            with pytest.raises((ContainerError, APIError)):
                engine.containers.run(image.id, ["sh", "-c", f"head -c 1 < /{name} | grep -q ''"], remove=True)

    def test_setuid_root_gives_nothing(self, engine: Engine) -> None:
        """A setuid program of the image is root inside only; `no_new_privs` or the namespace keep it there."""
        said = engine.containers.run("minidocker/base", ["sh", "-c", "id -u"], user="1000", remove=True)
        assert said == b"1000\n"


def on_base(engine: Engine, layer: bytes) -> Image:
    base = engine.images.get("minidocker/base")
    ((loaded, _),) = archive.load(engine.images, oci_archive(layer))
    return engine.images.create({"config": base.config}, [*base.layers, *loaded.layers])
