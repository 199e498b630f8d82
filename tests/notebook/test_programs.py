"""A function as a program beside the notebook: it is ready when it says so, and ends when it is told to, or alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidocker.errors import Unsupported
from minidocker.notebook import programs
from minidocker.notebook.programs import beside


def waiter(path: str) -> None:
    import pathlib
    import time

    pathlib.Path(path).write_text("here")
    print("ready", flush=True)
    time.sleep(1000)


def broken() -> None:
    raise SystemExit(3)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    programs.close_all()


def test_it_is_ready_when_it_is_there_and_another_of_the_same_takes_its_place(tmp_path: Path) -> None:
    first = beside(waiter, tmp_path / "x")
    assert (tmp_path / "x").read_text() == "here" and first.poll() is None
    second = beside(waiter, tmp_path / "x")
    assert first.returncode is not None and second.poll() is None
    programs.close_all()
    assert second.returncode is not None


def test_one_that_ends_at_once_is_said_to() -> None:
    with pytest.raises(Unsupported, match=r"broken\(\) ended before it said that it is ready"):
        beside(broken)


def test_where_no_programs_can_be_started_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(Unsupported, match="no programs can be started here"):
        beside(waiter, tmp_path / "x")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux lets one wait for somebody else's process")
def test_it_ends_with_a_notebook_that_is_killed(tmp_path: Path) -> None:
    import select

    code = (
        "import os, sys; from tests.notebook.test_programs import waiter; from minidocker.notebook import beside\n"
        f"print(beside(waiter, {str(tmp_path / 'x')!r}).pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    try:
        there = os.pidfd_open(int(done.stdout))
    except ProcessLookupError:
        return
    assert select.select([there], [], [], 30)[0], "it lives on"
    os.close(there)
