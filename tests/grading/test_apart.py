"""Whatever a Dockerfile does in its trial: it is ended, told why, and gone."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from minidocker.grading import apart
from minidocker.grading.project import Project
from minidocker.grading.trial import Trial
from minidocker.notebook.lessons import sweep
from minidocker.runtime import probe
from tests.until import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of processes")
SMALL = Project(smaller=200)
BOUNDS = apart.Bounds(seconds=60, disk=100 << 20, files=3000, memory=96 << 20, processes=24)
NO_NETWORK = "The engine refused: a trial has no network"
LOOP = "RUN while :; do :; done"


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOT_FOR_LEARNERS", "a-secret-of-the-graders")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def tried(line: str, **bounds: float) -> Trial | str:
    apart.BOUNDS = replace(BOUNDS, **bounds)  # type: ignore[arg-type]
    try:
        return apart.attempt(f"FROM minidocker/base\n{line}\n", "", SMALL, "hostile")
    finally:
        apart.BOUNDS = apart.Bounds()


def of(home: Path) -> list[str]:
    """The command lines of processes that have something to do with a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text()
        except OSError:
            continue
        found += [words] if str(home) in words else []
    return found


@pytest.mark.parametrize("kind", ["namespaces", "simulated"])
@pytest.mark.parametrize(
    ("line", "bounds", "says"),
    [
        (LOOP, {"seconds": 2.5}, "It took more than 2.5 seconds to build and run it twice, and was ended."),
        ("CMD while :; do echo again; done", {"seconds": 4}, "It took more than 4 seconds"),
        ("RUN i=; while :; do head -c 9000000 /dev/zero > /f$i; i=1$i; done", {}, "It took more than 100 MiB of disk"),
        ("FROM debian:12", {}, NO_NETWORK),
        ("ADD http://127.0.0.1:1/x /", {}, NO_NETWORK),
        ("ADD https://127.0.0.1:1/x.git /", {}, NO_NETWORK),
    ],
)
def test_it_is_ended_and_told_why(
    line: str, bounds: dict[str, float], says: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIDOCKER_RUNTIME", kind)
    real(kind, tmp_path)
    found = tried(line, **bounds)
    assert isinstance(found, str) and found.startswith(says), found
    assert list(tmp_path.iterdir()) == [] and of(tmp_path) == []


def real(kind: str, folder: Path) -> None:
    if kind == "namespaces" and not probe.report(folder).works:
        pytest.skip("no containers here")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("RUN f() { f | f & }; f; f; sleep 1; exit 9", "exit code: [92]$"),  # 2: nor can the shell start `sleep`
        ("RUN x=$(cat /dev/zero | tr '\\0' x); echo ${#x}", "exit code: "),
        (
            "RUN cat /dev/zero > /x",
            "exit code: |of disk",
        ),  # whichever limit is noticed first
        ('RUN --network=host test "$(ls /sys/class/net)" = lo || exit 8; exit 7', "exit code: 7"),
        ("RUN env | grep -q graders && exit 8; exit 7", "exit code: 7"),
    ],
    ids=["fork bomb", "memory", "one large file", "the host's network", "the environment"],
)
def test_in_containers_it_gets_no_more_than_its_bounds(
    line: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIDOCKER_RUNTIME", raising=False)
    real("namespaces", tmp_path)
    found = tried(line)
    assert isinstance(found, str) and re.search(says, found), found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_who_measures_is_killed_and_the_trial_ends_too(end: signal.Signals, tmp_path: Path) -> None:
    program = f"from tests.grading.test_apart import *; tempfile.tempdir = {str(tmp_path)!r}; tried({LOOP!r})"
    with subprocess.Popen([sys.executable, "-c", program]) as grader:
        until(lambda: bool(list(tmp_path.glob("*/engine/tmp/*"))))
        grader.send_signal(end)
    until(lambda: of(tmp_path) == [])
    sweep()
    assert list(tmp_path.iterdir()) == [], "the next one clears away what was left"
