"""(b) Twenty RUN steps, uncached and cached, beside BuildKit, Docker's classic builder and buildah.

Each builds the same Dockerfile on the same busybox; uncached times build with a new value in every step.
"""

from __future__ import annotations

from pathlib import Path

import minidocker
from tests.bench.measure import Report
from tests.bench.rivals import Rivals


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
    contenders, before = rivals.builds(report, engine, work, dockerfile, classic=True)
    report.side_by_side("20 RUN steps, uncached", contenders, 1 if quick else 3, before)
    for action in contenders.values():
        action()
    report.side_by_side("the same, cached", contenders, 3 if quick else 7)
    engine.close()
