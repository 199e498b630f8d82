"""Debian's own Docker, to compare with: a dockerd of one's own, on its own socket and folder, without a bridge."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.until import HANG


def missing() -> str:
    """Why there can be no dockerd here; empty where there can."""
    absent = [tool for tool in ("dockerd", "docker") if not shutil.which(tool)]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "" if hasattr(os, "geteuid") and os.geteuid() == 0 else "dockerd needs root"


@contextmanager
def dockerd(folder: Path, *options: str, wait: float = HANG) -> Iterator[str]:
    """A dockerd that keeps all it has in a folder; its address, once it answers. Where it does not, the test skips.

    It mounts its data folder over itself, and leaves that behind when it ends.
    """
    host, places = f"unix://{folder}/s", {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    words = ["dockerd", "-H", host, *(f"--{name}={folder / place}" for name, place in places.items())]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*words, "--iptables=false", "--bridge=none", *options], stdout=log, stderr=log)
    try:
        end = time.monotonic() + wait
        while subprocess.run(["docker", "-H", host, "version"], capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() > end:
                pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text()[-300:]}")
            time.sleep(0.1)
        yield host
    finally:
        process.terminate()
        process.wait(120)
        subprocess.run(["umount", "-R", "-q", folder / "data"], check=False)
