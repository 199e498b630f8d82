"""Streams go in and come out the same, and what is written repeats; the programs gzip and zstd read it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker import compression
from minidocker.compression import compress, decompress, gzip_together
from minidocker.errors import InvalidArgument, Unsupported

GZIP = shutil.which("gzip")
ZSTD = shutil.which("zstd") is not None or compression._library() is not None
KINDS = ["gzip", pytest.param("zstd", marks=pytest.mark.skipif(not ZSTD, reason="no zstd here"))]


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(data=st.binary(max_size=5000), size=st.integers(1, 6000), level=st.sampled_from([None, 0, 1, 9]))
def test_gzip_there_and_back(data: bytes, size: int, level: int | None) -> None:
    packed = b"".join(compress(pieces(data, size), "gzip", level))
    assert packed[4:8] == bytes(4), "no time"
    assert packed[9] == 255, "no system"
    assert b"".join(decompress(pieces(packed, size))) == data


@pytest.mark.parametrize("kind", KINDS)
def test_it_repeats_however_it_is_cut(kind: str) -> None:
    data = bytes(range(256)) * 9000
    packed = {b"".join(compress(pieces(data, size), kind)) for size in (700, 1 << 20)}
    assert len(packed) == 1
    assert b"".join(decompress(iter(packed))) == data


@pytest.mark.parametrize("kind", KINDS)
def test_the_programs_read_it(kind: str) -> None:
    if not shutil.which(kind):
        pytest.skip(f"{kind} is not installed")
    packed = b"".join(compress([b"hello"], kind, 1))
    assert subprocess.run([kind, "-dc"], input=packed, capture_output=True, check=True).stdout == b"hello"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: data[:8] + b"xxxxxx" + data[14:]])
def test_what_is_broken_is_refused(kind: str, damage: Any) -> None:
    packed = b"".join(compress([bytes(range(256)) * 300], kind))
    with pytest.raises(InvalidArgument, match=f"the {kind} stream is"):
        list(decompress(iter([damage(packed)])))


def test_levels() -> None:
    for kind, level in (("gzip", 10), ("gzip", -1), ("zstd", 23)):
        with pytest.raises(InvalidArgument, match=f"invalid compression level {level}"):
            compress([], kind, level)


def test_without_any_zstd_it_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_library", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Unsupported, match="or use gzip"):
        list(compress([b"x"], "zstd"))


@pytest.mark.parametrize("fast", [True, False], ids=["isal where it is", "zlib"])
@pytest.mark.skipif(GZIP is None, reason="no program gzip")
def test_many_threads_make_one_stream_that_others_read(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fast:
        monkeypatch.setitem(sys.modules, "isal", None)
    data = random.Random(1).randbytes(100_000) + b"the same again and again, " * 200_000
    packed = {b"".join(gzip_together(pieces(data, size), workers)) for size, workers in ((999, 1), (1 << 20, 3))}
    assert len(packed) == 1, "the same bytes, whatever the threads and the pieces"
    assert GZIP and subprocess.run([GZIP, "-dc"], input=next(iter(packed)), capture_output=True).stdout == data
    assert b"".join(gzip_together([], 2)) and b"".join(decompress(gzip_together([], 2))) == b""
