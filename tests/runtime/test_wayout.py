"""The way out by either program: it is there, and goes when whoever asked for it lets go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minidocker.runtime import wayout
from tests.until import until

ROOT = sys.platform.startswith("linux") and os.geteuid() == 0


@pytest.mark.skipif(not ROOT or not shutil.which("unshare"), reason="needs root, to make a bare network namespace")
@pytest.mark.parametrize("program", wayout.PROGRAMS)
def test_it_lasts_as_long_as_somebody_holds_it(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wayout, "PROGRAMS", (program,))
    if wayout.missing():
        pytest.skip(wayout.missing())
    with subprocess.Popen(["unshare", "-n", "sleep", "300"]) as alone:
        table = Path(f"/proc/{alone.pid}/net/dev")
        while Path(f"/proc/{alone.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            time.sleep(0.01)
        leave, stay = os.pipe()
        script = "import sys; from minidocker.runtime import wayout; wayout.PROGRAMS = (sys.argv[1],)\n"
        script += "sys.exit(not wayout.open_way(int(sys.argv[2]), int(sys.argv[3])))"
        args = [sys.executable, "-c", script, program, str(alone.pid), str(leave)]
        assert subprocess.run(args, pass_fds=(leave,), timeout=120).returncode == 0
        os.close(leave)
        assert f"{wayout.INTERFACE}:" in table.read_text()
        os.close(stay)
        until(lambda: f"{wayout.INTERFACE}:" not in table.read_text())
        alone.kill()
