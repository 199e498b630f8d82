"""Compressed streams: gzip and zstd, of layers and of archives, in both directions.

What is compressed here repeats: no name, no time, one thread, a level that does not depend on the machine. One thing
stays: zlib's other builds (zlib-ng) and zstd's other versions make other bytes of the same content. A layer's diff id
does not depend on that, and so neither does an image id; the digests of compressed blobs and of manifests do.

    >>> packed = b"".join(compress([b"hello ", b"hello"], "gzip"))
    >>> packed[:10].hex(), b"".join(decompress(iter([packed])))
    ('1f8b08000000000000ff', b'hello hello')

zstd is in Python's library from 3.14 on; before, the package `backports.zstd` or the program `zstd` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from minidocker.errors import InvalidArgument, Unsupported
from minidocker.tree import CHUNK

if TYPE_CHECKING:
    from concurrent.futures import Future

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # how each begins
LEVELS = {"gzip": (6, 9), "zstd": (3, 22)}  # kind -> the level where none is asked for, and the highest
PIECE = 32 << 10  # bytes of compressed data at a time
WINDOW = 32 << 10  # bytes that deflate looks back
OUT = 256 << 10  # bytes that come out at a time: what fits into a processor's cache comes out faster


def compress(chunks: Iterable[bytes], kind: str, level: int | None = None) -> Iterator[bytes]:
    """The stream as `gzip` or `zstd`. Raises InvalidArgument for a level that is none, and Unsupported."""
    usual, highest = LEVELS[kind]
    level = usual if level is None else level
    if not 0 <= level <= highest:
        raise InvalidArgument(f"invalid compression level {level}: {kind} has 0 to {highest}")
    return _gzip(chunks, level) if kind == "gzip" else _zstd(chunks, level)


def decompress(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Uncompressed bytes of a stream that is plain, gzip (all its members) or zstd, told by its first bytes.

    Raises InvalidArgument where the compressed stream is broken or cut, or has garbage after it, and Unsupported.
    """
    first = next(chunks, b"")
    while 0 < len(first) < len(ZSTD) and (more := next(chunks, b"")):
        first += more
    whole = chain([first], chunks)
    return _gunzip(whole) if first.startswith(GZIP) else _unzstd(whole) if first.startswith(ZSTD) else whole


def _gzip(chunks: Iterable[bytes], level: int) -> Iterator[bytes]:
    import zlib

    yield GZIP + b"\x08\0\0\0\0\0" + {9: b"\x02", 1: b"\x04"}.get(level, b"\0") + b"\xff"  # no name, no time, no system
    deflate, sum_, size = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS), 0, 0
    for chunk in chunks:
        sum_, size = zlib.crc32(chunk, sum_), size + len(chunk)
        yield deflate.compress(chunk)
    yield deflate.flush() + sum_.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def gzip_together(chunks: Iterable[bytes], workers: int) -> Iterator[bytes]:
    """One gzip stream, made fast, by several threads; the same bytes whatever their number, however it is cut up.

    Each block of the content is compressed by itself, knowing the end of the one before it, as `pigz` does. The package
    `isal` does it in a fifth of zlib's time, where it is installed, and 2% larger.

    >>> b"".join(decompress(gzip_together([b"hello ", b"hello"], 2)))
    b'hello hello'
    """
    import zlib
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor

    packer, level = _fast()

    def block(before: bytes, data: bytes, last: bool) -> bytes:
        known = (before,) if before else ()
        deflate = packer.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, 0, *known)
        packed: bytes = deflate.compress(data) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        return packed

    sum_ = size = 0
    yield GZIP + b"\x08\0\0\0\0\0\0\xff"
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[bytes]] = deque()
        before = b""
        for data, last in _blocks(chunks):
            ahead.append(pool.submit(block, before, data, last))
            sum_, size, before = zlib.crc32(data, sum_), size + len(data), data[-WINDOW:]
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    yield sum_.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def _fast() -> tuple[Any, int]:
    """What compresses fastest here, and at which level: 2 of zlib is 3% larger than 6, in less than half the time."""
    import importlib

    with suppress(ImportError):
        return importlib.import_module("isal.isal_zlib"), 1
    return importlib.import_module("zlib"), 2


def _blocks(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The content in blocks of one size, each with whether it is the last."""
    rest = bytearray()
    for chunk in chunks:
        rest += chunk
        while len(rest) > CHUNK:
            yield bytes(rest[:CHUNK]), False
            del rest[:CHUNK]
    yield bytes(rest), True


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zlib

    # Small pieces: at each member's end what is left of one is copied, and a hostile stream is all ends.
    pieces = (chunk[at : at + PIECE] for chunk in chunks for at in range(0, len(chunk), PIECE))
    inflate = zlib.decompressobj(31)
    data = b""
    try:
        while data or (data := next(pieces, b"")):
            if inflate.eof:
                inflate = zlib.decompressobj(31)
            yield inflate.decompress(data, OUT)
            data = inflate.unconsumed_tail or inflate.unused_data
    except zlib.error as error:
        raise InvalidArgument(f"the gzip stream is broken: {error}") from error
    while not inflate.eof and (rest := inflate.decompress(inflate.unconsumed_tail, CHUNK)):
        yield rest
    if not inflate.eof:
        raise InvalidArgument("the gzip stream is cut short")


def _zstd(chunks: Iterable[bytes], level: int) -> Iterator[bytes]:
    if (library := _library()) is None:
        yield from _through(["--ultra", f"-{level or 3}", "--single-thread", "--no-check"], chunks)
        return
    packer = library.ZstdCompressor(level)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    if (library := _library()) is None:
        return _through(["--decompress"], chunks)
    return inflate(library.ZstdDecompressor, chunks, "zstd", library.ZstdError)


class Decompressor(Protocol):
    """What Python's decompressors have in common (zlib's has not)."""

    @property
    def eof(self) -> bool:
        """Whether the end of a member was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether all that was put in has come out."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """What these bytes stand for, as far as it fits."""


def inflate(
    make: Callable[[], Decompressor], chunks: Iterable[bytes], what: str, broken: type[Exception] = OSError
) -> Iterator[bytes]:
    """Piece by piece, so that a bomb never sits in memory; members may follow each other. Raises InvalidArgument.

    `broken` is what such a decompressor raises.
    """
    unpacker, started = make(), False
    try:
        for chunk in chunks:
            rest = chunk
            while rest or not (unpacker.eof or unpacker.needs_input):
                unpacker = make() if unpacker.eof else unpacker
                yield unpacker.decompress(rest, CHUNK)
                rest, started = getattr(unpacker, "unused_data", b""), True
    except (broken, EOFError) as error:
        raise InvalidArgument(f"the {what} stream is broken: {error}") from error
    if started and not unpacker.eof:
        raise InvalidArgument(f"the {what} stream is cut short")


def _library() -> Any:
    """Python's own zstd, or the package that has it for older versions; None where there is neither."""
    import importlib

    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return importlib.import_module(name)
    return None


def _through(options: list[str], chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What the program `zstd` makes of a stream, which it reads from a file: so neither waits for the other."""
    import shutil
    import subprocess
    import tempfile

    program = shutil.which("zstd")
    if program is None:
        raise Unsupported(
            "zstd needs Python 3.14 or newer, the package backports.zstd, or the program zstd: install one, or use gzip"
        )
    with tempfile.TemporaryFile() as given:
        given.writelines(chunks)
        given.seek(0)
        command = [program, *options, "--quiet", "--stdout"]
        with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            try:
                while chunk := process.stdout.read(CHUNK):
                    yield chunk
                said = process.stderr.read(500).decode(errors="replace").strip()
                process.wait()
            finally:
                process.kill()
    if process.returncode:
        raise InvalidArgument(f"the zstd stream is broken: {said}")
