"""(h) A forecast of twenty steps over a context of 1,000 files, beside the cached build, ours and BuildKit's.

"One file changed" forecasts what would be built below the COPY; the build beside it really builds that.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import minidocker
from tests.bench.copy_files import make_context
from tests.bench.measure import Action, Report
from tests.bench.rivals import Rivals

FRESH = itertools.count()
ROUNDS = 7


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    context = make_context(work / "context", 1_000, 5_000_000)
    engine = minidocker.connect(work / "root")
    report.notes.append(f"runtime: {engine.runtime.name}")
    ours = {"path": str(context), "text": dockerfile("minidocker/base"), "tag": "foresee"}
    contenders: dict[str, Action] = {
        "forecast": lambda: engine.images.forecast(**ours),
        "minidocker, cached build": lambda: engine.images.build(**ours),
    }
    if rivals.docker and rivals.busybox:
        (work / "theirs").write_text(dockerfile("bench-busybox"))
        words = ("build", "-q", "--network", "none", "-f", work / "theirs", context)
        contenders["BuildKit, cached build"] = rivals.docker_command(*words)
    else:
        report.notes.append("docker left out: no dockerd, no root, or no static busybox")

    def touch() -> None:
        (context / "d0" / "changed").write_text(f"{next(FRESH)}")

    for action in reversed(contenders.values()):
        action()
    rounds = 2 if quick else ROUNDS
    report.side_by_side("20 steps, 1,000 files, nothing changed", contenders, rounds)
    names = {name.replace("cached build", "rebuild"): action for name, action in contenders.items()}
    before: dict[str, Action] = {"forecast": touch}  # the builds that follow find the same change
    if not quick:
        report.side_by_side("one file changed", names, 3, before)
    engine.close()


def dockerfile(base: str) -> str:
    """A COPY of all, then eighteen commands."""
    return f"FROM {base}\nCOPY . /app/\n" + "".join(f"RUN echo {number} > /tmp/{number}\n" for number in range(18))
