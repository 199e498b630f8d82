"""A command line that is typed in this process, with streams of its own: for tests that mean no process."""

from __future__ import annotations

import io
import sys
from typing import NamedTuple

from minidocker.cli import main


class Done(NamedTuple):
    code: int
    out: str
    err: str
    raw: bytes


def typed(*argv: str, stdin: bytes = b"") -> Done:
    """`typed("--root", …, "ps", "-a")`: what `minidocker` does with these words."""
    before = sys.stdin, sys.stdout, sys.stderr
    out, err = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(raw, write_through=True) for raw in (io.BytesIO(stdin), out, err)]
    sys.stdin, sys.stdout, sys.stderr = streams
    try:
        code = main(argv)
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    return Done(code, out.getvalue().decode(errors="replace"), err.getvalue().decode(), out.getvalue())
