"""What is in an archive: the tars that ADD unpacks, and the contexts that come as one. All of them hostile.

An archive is what its first bytes say it is: a tar, as it is or compressed with gzip, bzip2, xz or zstd. It is spread
out into a file of our own first, so that nobody can change it while its members are read.
"""

from __future__ import annotations

import bz2
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path

from minidocker import layertar
from minidocker.compression import decompress, inflate
from minidocker.content import temp_path
from minidocker.errors import APIError, BuildError
from minidocker.layer import Changeset
from minidocker.tree import Data


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
        return inflate(bz2.BZ2Decompressor, whole, "bzip2")
    if first[:6] == b"\xfd7zXZ\0":
        return inflate(lzma.LZMADecompressor, whole, "xz", lzma.LZMAError)
    return decompress(whole)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _first_block(chunks: Iterator[bytes]) -> bytes:
    block = b""
    while len(block) < tarfile.BLOCKSIZE and (more := next(chunks, b"")):
        block += more
    return block
