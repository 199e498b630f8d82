"""(b) Stages at the same time: three, two of them independent and of two seconds each, beside BuildKit and buildah.

Each builds the same Dockerfile on the same busybox. The figure is how near that comes to the longest path.
"""

from __future__ import annotations

from pathlib import Path

import minidocker
from tests.bench.measure import Report
from tests.bench.rivals import Rivals

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
    contenders, before = rivals.builds(report, engine, work, dockerfile, jobs=("--jobs", "0"))
    before["minidocker"]()
    contenders["minidocker"]()  # the base is unpacked once
    medians = report.side_by_side("two stages of 2 s at the same time", contenders, 1 if quick else 3, before)
    for name, middle in medians.items():
        report.notes.append(f"{name}: {100 * (middle / LONGEST - 1):.1f} % above the longest path")
    engine.close()
