from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from minidocker.cli import main


class Done(NamedTuple):
    code: int
    out: str
    err: str
    raw: bytes


class Cli:
    """`cli("ps", "-a")`: one command line in this process, with streams of its own."""

    def __init__(self, root: Path, runtime: str) -> None:
        self.root, self.runtime = root, runtime

    def __call__(self, *argv: str, stdin: bytes = b"") -> Done:
        before = sys.stdin, sys.stdout, sys.stderr
        out, err = io.BytesIO(), io.BytesIO()
        streams = [io.TextIOWrapper(raw, write_through=True) for raw in (io.BytesIO(stdin), out, err)]
        sys.stdin, sys.stdout, sys.stderr = streams
        try:
            code = main(["--root", str(self.root), "--runtime", self.runtime, *argv])
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        return Done(code, out.getvalue().decode(errors="replace"), err.getvalue().decode(), out.getvalue())

    def ok(self, *argv: str, stdin: bytes = b"") -> str:
        """What a command that must succeed prints, without the last line's end."""
        done = self(*argv, stdin=stdin)
        assert done.code == 0, done
        return done.out.rstrip("\n")


@pytest.fixture(scope="module", params=["simulated", "namespaces"])
def cli(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    if request.param == "namespaces":
        from minidocker.runtime import probe

        if not probe.report().works:
            pytest.skip(probe.report().reason)
    cli = Cli(tmp_path_factory.mktemp("root"), request.param)
    yield cli
    if running := cli.ok("ps", "-aq").split():
        cli("rm", "-f", *running)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A command line over an empty root, for what needs no container."""
    return Cli(tmp_path_factory.mktemp("bare"), "simulated")
