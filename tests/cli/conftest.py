from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.typed import Done, typed


class Cli:
    """`cli("ps", "-a")`: one command line in this process, with streams of its own."""

    def __init__(self, root: Path, runtime: str) -> None:
        self.root, self.runtime = root, runtime

    def __call__(self, *argv: str, stdin: bytes = b"") -> Done:
        return typed("--root", str(self.root), "--runtime", self.runtime, *argv, stdin=stdin)

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
