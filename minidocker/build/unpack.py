"""What is in an archive: the tars that ADD unpacks, and the contexts that come as one. All of them hostile.

An archive is what its first bytes say it is: a tar, as it is or compressed with gzip, bzip2, xz or zstd. It is spread
out into a file of our own first, so that nobody can change it while its members are read.
"""

from __future__ import annotations

import bz2
import lzma
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from minidocker import layertar
from minidocker.content import decompress, temp_path
from minidocker.errors import APIError, BuildError, InvalidArgument
from minidocker.layer import Changeset
from minidocker.tree import CHUNK, Data


def unpack(data: Data, name: str, scratch: Path) -> Changeset | None:
    """The members of a file that is an archive; None of one that is not. Their bytes lie in the folder `scratch`.

    Raises BuildError for an archive that is broken or hostile.
    """
    chunks = data.chunks()
    first = next(chunks, b"")
    try:
        plain = expand(_chain(first, chunks))
        block = _first_block(plain)
        tarfile.TarInfo.frombuf(block[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (APIError, tarfile.TarError):
        return None
    try:
        return read(_chain(block, plain), scratch)
    except APIError as error:
        raise BuildError(f"Error processing tar file {name}: {error}") from error


def read(chunks: Iterator[bytes], scratch: Path) -> Changeset:
    """The members of an uncompressed tar. Raises LayerError."""
    path = temp_path(scratch / "archive.tar")
    with path.open("xb") as out:
        for chunk in chunks:
            out.write(chunk)
    return layertar.read(path, lenient=True)


def expand(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of a stream that may be compressed, told by its first bytes. Raises InvalidArgument, Unsupported."""
    first = next(chunks, b"")
    while 0 < len(first) < 6 and (more := next(chunks, b"")):
        first += more
    whole = _chain(first, chunks)
    if first[:3] == b"BZh":
        return _inflate(bz2.BZ2Decompressor, whole, "bzip2")
    if first[:6] == b"\xfd7zXZ\0":
        return _inflate(lzma.LZMADecompressor, whole, "xz")
    return decompress(whole)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _inflate(make: Callable[[], _Decompressor], chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    """Piece by piece, so that a bomb never sits in memory; members may follow each other."""
    inflate, started = make(), False
    try:
        for chunk in chunks:
            rest = chunk
            while rest or not (inflate.eof or inflate.needs_input):
                if inflate.eof:
                    inflate = make()
                yield inflate.decompress(rest, CHUNK)
                rest = getattr(inflate, "unused_data", b"")
                started = True
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise InvalidArgument(f"the {what} stream is broken: {error}") from error
    if started and not inflate.eof:
        raise InvalidArgument(f"the {what} stream is cut short")


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _first_block(chunks: Iterator[bytes]) -> bytes:
    block = b""
    while len(block) < tarfile.BLOCKSIZE and (more := next(chunks, b"")):
        block += more
    return block
