"""(b) Twenty RUN steps, uncached and cached, beside BuildKit, Docker's classic builder and buildah.

Each builds the same Dockerfile on the same busybox; uncached times build with a new value in every step.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import minidocker
from minidocker.archive import import_
from tests.bench.measure import Action, Report, command
from tests.bench.rivals import Rivals

FRESH = itertools.count()


def dockerfile(base: str, mark: str) -> str:
    """Twenty steps that each write a file; `mark` makes them new to every cache."""
    return f"FROM {base}\n" + "".join(f"RUN echo {mark} > /tmp/file{number}\n" for number in range(20))


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

    contenders: dict[str, Action] = {"minidocker": lambda: engine.images.build(path=str(work / "ours"), tag="steps")}
    before = {"minidocker": write("ours")}
    if rivals.docker:
        for name, buildkit in (("BuildKit", True), ("docker, classic builder", False)):
            folder = name.split(",", maxsplit=1)[0]
            contenders[name] = rivals.docker_command(
                "build", "-q", "--network", "none", work / folder, buildkit=buildkit
            )
            before[name] = write(folder)
    else:
        report.notes.append("docker left out: no dockerd, or no root")
    if rivals.buildah:
        words, base = rivals.buildah
        contenders["buildah"] = command(*words, "bud", "-q", "--layers", "--isolation", "chroot", work / "buildah")
        before["buildah"] = write("buildah", base)
    else:
        report.notes.append("buildah left out: not installed, or it does not work here")
    report.side_by_side("20 RUN steps, uncached", contenders, 1 if quick else 3, before)
    for action in contenders.values():
        action()
    report.side_by_side("the same, cached", contenders, 3 if quick else 7)
    engine.close()
