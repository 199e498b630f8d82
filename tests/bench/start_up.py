"""(e) `minidocker version` as a process, and `import minidocker`, beside Python alone and `docker version`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench.measure import Action, Report, command
from tests.bench.rivals import Rivals


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    python = sys.executable
    entry = [python, "-c", "import sys; from minidocker.cli import main; sys.exit(main())"]
    contenders: dict[str, Action] = {
        "minidocker version": command(*entry, "--root", work / "root", "version"),
        "import minidocker": command(python, "-c", "import minidocker"),
        "Python that does nothing": command(python, "-c", "pass"),
    }
    if rivals.docker:
        contenders["docker version"] = rivals.docker_command("version")
    for action in contenders.values():
        action()
    report.side_by_side("as a process", contenders, 5 if quick else 15)
    inside = command(
        python, "-c", "import time; a = time.perf_counter(); import minidocker; print(time.perf_counter() - a)"
    )
    report.side_by_side("import, with the interpreter's start", {"import minidocker": inside}, 3)
