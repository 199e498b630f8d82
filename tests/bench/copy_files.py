"""(c) COPY of 10,000 files (50 MB), uncached and cached, beside BuildKit, Docker's classic builder and buildah.

"One file changed" makes the layer new, and nothing else is thrown away. The first build of each, with nothing there at
all, is shown apart.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import minidocker
from tests.bench.measure import Action, Report, command
from tests.bench.rivals import Rivals

FRESH = itertools.count()


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    context = make_context(work / "context", 10_000, 50_000_000)
    engine = minidocker.connect(work / "root")
    build = ["build", "-q", context]
    contenders: dict[str, Action] = {"minidocker": lambda: engine.images.build(path=str(context), tag="copy")}
    if rivals.docker:
        contenders["BuildKit"] = rivals.docker_command(*build)
        contenders["docker, classic builder"] = rivals.docker_command(*build, buildkit=False)
    else:
        report.notes.append("docker left out: no dockerd, or no root")
    if rivals.buildah:
        contenders["buildah"] = command(*rivals.buildah[0], "bud", "-q", "--layers", context)
    else:
        report.notes.append("buildah left out: not installed, or it does not work here")

    def touch() -> None:
        (context / "d0" / "changed").write_text(f"{next(FRESH)}")

    report.side_by_side("COPY of 10,000 files, the first time", contenders, 1)
    if not quick:
        report.side_by_side("one file changed", contenders, 3, dict.fromkeys(contenders, touch))
        for action in contenders.values():
            action()
    report.side_by_side("nothing changed (cached)", contenders, 2 if quick else 5)
    engine.close()


def make_context(folder: Path, files: int, size: int) -> Path:
    """A build context of that many files in a hundred folders."""
    folder.mkdir()
    for number in range(100):
        (folder / f"d{number}").mkdir()
    for number in range(files):
        (folder / f"d{number % 100}" / f"f{number}").write_bytes(os.urandom(size // files))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /app/\n")
    return folder
