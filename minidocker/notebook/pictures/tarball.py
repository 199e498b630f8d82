"""A layer's tar, block by block: headers in words, content, padding, the end; and the digest of all of it.

A tar is a row of blocks of 512 bytes: for each entry a header, then its content filled up with zeros, at the end two
blocks of zeros. A block is drawn 512 wide, so content and padding are true to scale. What is not as it was before
carries ≠.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from minidocker.layer import Changeset, view
from minidocker.layertar import BLOCK, chunks
from minidocker.notebook.pictures.facts import Mark, count, marks
from minidocker.notebook.pictures.files import tree_lines
from minidocker.notebook.pictures.stack import LOOK
from minidocker.notebook.pictures.svg import (
    MONO,
    Figure,
    Markup,
    bytes_text,
    clip,
    el,
    group,
    middle,
    printable,
    rect,
    text,
)
from minidocker.tree import Tree

if TYPE_CHECKING:
    from minidocker.image import Layer

LEFT, LINE, GAP, WIDTH = 258, 24, 8, 258 + BLOCK  # where blocks start, how high they are, what is between two entries
COLUMNS = {"name": 156, "mode": 48, "owner": 42, "size": 58, "modified": 144, "checksum": 64}  # 512 in all
LIMIT = 6  # entries drawn at most
PATHS = 14  # and lines of the tree


@dataclass(frozen=True)
class Member:
    """One entry of a tar: where it starts, its header's fields in words, the blocks of an extended header, content."""

    offset: int
    fields: tuple[str, ...]  # as in COLUMNS
    extended: int
    content: bytes
    size: int

    @property
    def name(self) -> str:
        """The name, with a `/` behind a directory's, and where a link points."""
        return self.fields[0]

    @property
    def blocks(self) -> int:
        """Blocks of content."""
        return -(-self.size // BLOCK)


@dataclass(frozen=True)
class Tarball:
    """The bytes of a layer, what is in them, and what the layer does to what lies below."""

    data: bytes
    members: tuple[Member, ...]
    marks: tuple[Mark, ...]

    @property
    def digest(self) -> str:
        """The layer's diff id."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @property
    def said(self) -> str:
        """How much of it is content, in words."""
        content = sum(member.size for member in self.members)
        blocks = f"{_entries(len(self.members))} in {len(self.data) // BLOCK} blocks of 512"
        return f"{blocks}: {len(self.data):,} bytes for {bytes_text(content)} of content"


def blocks(layer: Layer | Changeset, lower: Tree | None = None) -> Figure:
    """Draw the tar of a layer, block by block; `lower` is the tree that it lies on, which an image's layer knows.

    >>> from minidocker.layer import WHITEOUT
    >>> print(blocks(Changeset({"/tmp/junk": WHITEOUT})))
    a layer's tar  (1 entry in 3 blocks of 512: 1,536 bytes for 0B of content)
      D /tmp/junk
      block   0: tmp/.wh.junk  0644 0:0 0B 1970-01-01 00:00:00 checksum 010120
    digest    sha256:1194ec99fae851cb615c8d60113b65328ca2cdd19f40022e82794c34efbd784b
    """
    changes, below = taken_up(layer)
    return tar_figure("a layer's tar", tarball(changes, lower or below))


def taken_up(layer: Layer | Changeset) -> tuple[Changeset, Tree]:
    """A layer as a value, and the tree that it lies on: an empty one, where nothing is known of it."""
    if isinstance(layer, Changeset):
        return layer, Tree()
    return layer.changes, view(tuple(below.changes for below in layer.below))


def tarball(layer: Changeset, lower: Tree | None = None) -> Tarball:
    """A layer as its tar. `lower` is what it lies on: without, nothing can be told to be modified.

    >>> from minidocker.layer import WHITEOUT, file
    >>> [member.name for member in tarball(Changeset({"/motd": file(b"hi"), "/junk": WHITEOUT})).members]
    ['.wh.junk', 'motd']
    """
    data = b"".join(chunks(layer))
    return Tarball(data, tuple(members(data)), tuple(marks(lower or Tree(), layer)))


def members(data: bytes) -> Iterator[Member]:
    """Read a tar's entries, with plain `tarfile`."""
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as archive:
        for info in archive:
            head = info.offset_data - BLOCK
            size = info.size if info.isreg() else 0
            name = info.name + ("/" if info.isdir() else f" -> {info.linkname}" if info.linkname else "")
            when = f"{datetime.fromtimestamp(int(info.mtime), UTC):%Y-%m-%d %H:%M:%S}"
            checksum = data[head + 148 : head + 154].decode("ascii", "replace")
            fields = (name, f"{info.mode:04o}", f"{info.uid}:{info.gid}", str(size), when, checksum)
            content = data[info.offset_data : info.offset_data + size]
            yield Member(info.offset, fields, (head - info.offset) // BLOCK, content, size)


def tar_figure(title: str, now: Tarball, before: Tarball | None = None, focus: str = "") -> Figure:
    """Draw a tar; of too many entries those about `focus`, a path. `before` is what it is compared with."""
    rows = list(_rows(now, before or now, focus))
    drawn = [text(0, 16, title, "md-h", width=WIDTH), text(0, 34, now.said, "md-dim", "md-s")]
    drawn += [group(_list(now.marks, focus), 0, 62), group(_heads(), LEFT, 54)]
    y = 62.0
    for row, height in rows:
        drawn.append(group(row, LEFT, y))
        y += height
    lines = len(list(tree_lines({mark.path for mark in now.marks})))
    y = max(y, 62.0 + LINE * min(lines, PATHS + 1)) + 16
    drawn.append(group(_digests(now, before), 0, y))
    same = before is None or before.digest == now.digest
    ends = [f"digest    {now.digest}"] + ([] if same or before is None else [f"≠ before  {before.digest}"])
    told = [*map(str, now.marks[:PATHS]), *(_told(member) for member in _window(now.members, focus)[1])]
    return Figure(
        title,
        f"{now.said}. {'; '.join(told)}. {'. '.join(ends)}",
        "".join(drawn),
        WIDTH,
        y + (16 if same else 36),
        "\n".join([f"{title}  ({now.said})", *(f"  {line}" for line in told), *ends]),
    )


def _told(member: Member) -> str:
    """One entry in a line of text."""
    name, mode, owner, size, when, checksum = member.fields
    content = f", content {clip(_shown(member.content), 40)}" if member.size else ""
    return f"block {member.offset // BLOCK:>3}: {name}  {mode} {owner} {size}B {when} checksum {checksum}{content}"


def _window(found: Sequence[Member], focus: str) -> tuple[int, Sequence[Member]]:
    """The entries that are drawn: all, or a few about the focus; and how many come before them."""
    at = next((index for index, member in enumerate(found) if _key(member) == focus.lstrip("/")), 0)
    first = max(0, min(at - LIMIT // 2, len(found) - LIMIT))
    return first, found[first : first + LIMIT]


def _key(member: Member) -> str:
    """What an entry is about: a file and the whiteout of it are about one path."""
    return member.name.replace(".wh.", "", 1)


Row = tuple[list[Markup], float]  # what is drawn, and how far below the next row starts


def _rows(now: Tarball, before: Tarball, focus: str) -> Iterator[Row]:
    """The blocks from the first to the last."""
    known = {_key(member): member for member in before.members}
    skipped, shown = _window(now.members, focus)
    rest = len(now.members) - skipped - len(shown)
    if skipped:
        yield [_more(skipped)], LINE
    for member in shown:
        old = known.get(_key(member))
        yield _header(member, old), LINE + 1
        yield from _content(member, old)
        yield [], GAP
    if rest:
        yield [_more(rest)], LINE
    yield _block(len(now.data) - 2 * BLOCK, 0, "", "1,024 zeros: the end of the tar", False), LINE


def _header(member: Member, old: Member | None) -> list[Markup]:
    """The fields that matter, in words; those that are not as before are framed and carry ≠."""
    x, drawn = 0.0, [_offset(member.offset + member.extended * BLOCK)]
    for index, (wide, value) in enumerate(zip(COLUMNS.values(), member.fields, strict=True)):
        changed = old is None or old.fields[index] != value
        drawn.append(rect(x, 0, wide, LINE, "md-on" if changed else "md-slab", rx=0))
        words = middle(f"≠{value}" if changed else value, int((wide - 6) / (11 * MONO)))
        drawn.append(
            el("g", el("title", value), text(x + 5, 16, words, "md-c"))
            if "…" in words
            else text(x + 5, 16, words, "md-c")
        )
        x += wide
    if member.extended:
        drawn.append(text(BLOCK - 4, -2, f"and {count(member.extended, 'block')} before it", "md-dim", "md-s"))
    return drawn


def _content(member: Member, old: Member | None) -> Iterator[Row]:
    """Content block by block (of many the first and the last), and what fills the last one up."""
    changed = old is None or old.content != member.content
    start = member.offset + (member.extended + 1) * BLOCK
    last = member.blocks - 1
    for index in range(member.blocks) if last < 3 else (0, last):
        if index == last > 2:
            yield [text(4, 15, f"… {last - 1} blocks more of it", "md-dim")], LINE
        part = member.content[index * BLOCK : (index + 1) * BLOCK]
        zeros = f"{BLOCK - len(part)} zeros of padding" if len(part) < BLOCK else ""
        yield _block(start + index * BLOCK, len(part), _shown(part), zeros, changed), LINE + 1


def _block(offset: int, used: int, words: str, zeros: str, changed: bool) -> list[Markup]:
    """One block, one unit wide for each byte: content, and zeros."""
    drawn = [_offset(offset), rect(0, 0, BLOCK, LINE, "md-thin", "md-dash", rx=0)]
    if used:
        drawn.append(rect(0, 0, used, LINE, "md-on" if changed else "md-slab", rx=0))
    start, room = (5, used - 8) if used > 120 else (used + 6, BLOCK - used - len(zeros) * 6 - 28)  # in it, or beside
    shown = text(start, 16, ("≠" if changed else "") + words, "md-c", width=room) if used else Markup()
    label = zeros if used <= 300 else ""
    return [*drawn, shown, text(BLOCK - 8, 16, label, "md-dim", "md-s", text_anchor="end")]


def _offset(offset: int) -> Markup:
    return text(-8, 16, f"{offset:,}", "md-dim", "md-s", text_anchor="end")


def _more(number: int) -> Markup:
    return text(4, 15, f"… {_entries(number)} more", "md-dim")


def _entries(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def _heads() -> list[Markup]:
    x, drawn = 4.0, [text(-8, 0, "byte", "md-dim", "md-s", text_anchor="end")]
    for name, wide in COLUMNS.items():
        drawn.append(text(x, 0, name, "md-dim", "md-s"))
        x += wide
    return drawn


def _list(found: Sequence[Mark], focus: str) -> list[Markup]:
    """What the layer does to what lies below, as a tree with letters."""
    letters = {mark.path: mark for mark in found}
    lines = list(tree_lines(set(letters)))
    drawn = []
    for index, (path, depth) in enumerate(lines[:PATHS]):
        drawn.append(group(_path(path, depth, letters.get(path), focus), 0, index * LINE))
    if len(lines) > PATHS:
        drawn.append(text(28, PATHS * LINE + 14, f"and {len(lines) - PATHS} more", "md-dim"))
    return drawn


def _path(path: str, depth: int, mark: Mark | None, focus: str) -> list[Markup]:
    name = path.rsplit("/", 1)[-1] + ("/" if mark is None or mark.kind == "dir" else "")
    if mark is None:
        return [text(28 + depth * 14, 15, name, "md-c", "md-dim", width=LEFT - 90 - depth * 14)]
    look, word = LOOK[mark.letter]
    box = rect(0, 2, 20, LINE - 5, look, fill="HATCH" if mark.letter == "D" else None)
    letter = el("text", el("tspan", mark.letter, font_weight="bold"), class_="md-c", x=10, y=15, text_anchor="middle")
    strike = "md-gone" if mark.letter == "D" else "" if path == focus else "md-dim"
    shown = text(28 + depth * 14, 15, name, "md-c", strike, width=LEFT - 90 - depth * 14)
    return [el("title", f"{path}: {word}"), box, letter, shown]


def _digests(now: Tarball, before: Tarball | None) -> list[Markup]:
    """The name that the bytes have; and the one that they had, where that was another."""
    drawn = [text(0, 10, "digest", "md-h"), text(LEFT, 10, now.digest, "md-c")]
    if before and before.digest != now.digest:
        drawn += [text(0, 30, "≠ before", "md-dim"), text(LEFT, 30, before.digest, "md-c", "md-dim")]
    return drawn


def _shown(content: bytes) -> str:
    """Bytes as text that can be read."""
    return printable(content.decode("utf-8", "backslashreplace"))
