"""(b) Stages at the same time: three, two of them independent and of two seconds each, beside BuildKit and buildah.

Each builds the same Dockerfile on the same busybox. The figure is how near that comes to the longest path.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import minidocker
from minidocker.archive import import_
from tests.bench.measure import Action, Report, command
from tests.bench.rivals import Rivals

FRESH = itertools.count()
LONGEST = 2.0  # seconds


def dockerfile(base: str, mark: str) -> str:
    """Two stages that sleep, and one that takes a file of each; `mark` makes them new to every cache."""
    stages = [f"FROM {base} AS {name}\nRUN sleep 2; echo {mark} > /tmp/{name}\n" for name in ("one", "two")]
    return "".join(stages) + "FROM scratch\nCOPY --from=one /tmp/one /\nCOPY --from=two /tmp/two /\n"


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    if not rivals.busybox:
        report.notes.append("no static busybox to build on")
        return
    engine = minidocker.connect(work / "root")
    report.notes.append(f"runtime: {engine.runtime.name}")
    import_(engine.images, rivals.busybox_tar, {}).tag("bench-busybox")

    def write(name: str, base: str = "bench-busybox") -> Action:
        (work / name).mkdir(exist_ok=True)
        return lambda: (work / name / "Dockerfile").write_text(dockerfile(base, f"{name}{next(FRESH)}"))

    contenders: dict[str, Action] = {"minidocker": lambda: engine.images.build(path=str(work / "ours"), tag="lanes")}
    before = {"minidocker": write("ours")}
    if rivals.docker:
        contenders["BuildKit"] = rivals.docker_command("build", "-q", "--network", "none", work / "BuildKit")
        before["BuildKit"] = write("BuildKit")
    else:
        report.notes.append("docker left out: no dockerd, or no root")
    if rivals.buildah:
        words, base = rivals.buildah
        isolation = ("--isolation", "chroot", "--jobs", "0")
        contenders["buildah --jobs 0"] = command(*words, "bud", "-q", "--layers", *isolation, work / "buildah")
        before["buildah --jobs 0"] = write("buildah", base)
    else:
        report.notes.append("buildah left out: not installed, or it does not work here")
    write("ours")()
    engine.images.build(path=str(work / "ours"))  # the base is unpacked once
    medians = report.side_by_side("two stages of 2 s at the same time", contenders, 1 if quick else 3, before)
    for name, middle in medians.items():
        report.notes.append(f"{name}: {100 * (middle / LONGEST - 1):.1f} % above the longest path")
    engine.close()
