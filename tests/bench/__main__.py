"""`make bench`: our speed beside that of others, measured side by side in one run and printed as ratios.

    python -m tests.bench [run] [crowd] [steps] [stages] [copy] [load] [start] [lessons] [explorer] [forecast] [growth]
                          [registry] [networks] [client] [grading] [daemon] [--quick]

Each figure is a module here and says what it measured. What is not installed is left out, with the reason.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

if not __package__:  # `python tests/bench`
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import (
    client,
    copy_files,
    crowd,
    daemon,
    explorer,
    foresee,
    grading,
    growth,
    lessons,
    load_root,
    networks,
    registry,
    run_true,
    side_by_side,
    start_up,
    steps,
)
from tests.bench.measure import Report
from tests.bench.rivals import Rivals

FIGURES = {
    "run": run_true,
    "crowd": crowd,
    "steps": steps,
    "stages": side_by_side,
    "copy": copy_files,
    "load": load_root,
    "start": start_up,
    "lessons": lessons,
    "explorer": explorer,
    "forecast": foresee,
    "growth": growth,
    "registry": registry,
    "networks": networks,
    "client": client,
    "grading": grading,
    "daemon": daemon,
}


def main(words: list[str]) -> int:
    """Run the figures that are named, or all of them."""
    quick = "--quick" in words
    names = [word for word in words if word != "--quick"] or list(FIGURES)
    if unknown := [name for name in names if name not in FIGURES]:
        print(f"no such figure: {', '.join(unknown)}; there are {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    failed = 0
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} CPUs{load}", flush=True)
    with tempfile.TemporaryDirectory(prefix="minidocker-bench-") as folder, Rivals(Path(folder) / "rivals") as rivals:
        for name in names:
            report = Report(FIGURES[name].__doc__ or name)
            work = Path(folder) / name
            work.mkdir()
            try:
                FIGURES[name].measure(report, rivals, work, quick)
            except Exception as error:
                failed = 1
                report.notes.append(f"broken off: {error!r}")
            report.print()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
