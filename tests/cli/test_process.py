"""What only shows in a process of its own: streams as they come, signals, closed pipes, how long `version` takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

BASE = "minidocker/base"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")


def start(cli: Any, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "minidocker", "--root", str(cli.root), "--runtime", cli.runtime, *argv]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, **(pipes | options))


def test_output_comes_while_the_program_runs(cli: Any) -> None:
    script = "echo first; read on; echo second; echo err >&2; exit 3"
    running = start(cli, "run", "--rm", "-i", BASE, "sh", "-c", script, stdin=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stdout.readline() == b"first\n"
    out, err = running.communicate(b"\n", timeout=120)
    assert (running.returncode, out, err) == (3, b"second\n", b"err\n")
    assert cli.ok("ps", "-aq") == ""


def test_stdin_goes_in_with_i_and_only_then(cli: Any) -> None:
    running = start(cli, "run", "--rm", "-i", BASE, "cat", stdin=subprocess.PIPE)
    assert running.communicate(b"to the program", timeout=120)[0] == b"to the program"
    running = start(cli, "run", "--rm", BASE, "cat", stdin=subprocess.PIPE)
    assert running.communicate(b"to nobody", timeout=120)[0] == b""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_are_passed_on_to_the_program(cli: Any, name: str) -> None:
    trap = f"trap 'echo got it; exit 7' {name[3:]}; echo ready; while true; do sleep 0.1; done"
    running = start(cli, "run", "--rm", BASE, "sh", "-c", trap)
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    running.send_signal(getattr(signal, name))
    out, _ = running.communicate(timeout=120)
    assert (running.returncode, out) == (7, b"got it\n")


def test_the_third_ctrl_c_ends_the_wait_for_a_program_that_goes_on(cli: Any) -> None:
    running = start(
        cli, "run", "--rm", BASE, "sh", "-c", "trap 'echo got' INT; echo ready; while true; do sleep 0.1; done"
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    for _ in range(2):
        running.send_signal(signal.SIGINT)
        assert running.stdout.readline() == b"got\n"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (1, b"\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n")
    assert cli.ok("ps", "-aq") == ""


def test_ctrl_c_stops_a_build_and_leaves_the_store_in_order(cli: Any, tmp_path: Path, valid_store: Any) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN sleep 30\n")
    cli.ok("run", "--rm", BASE, "true")
    before = cli.ok("images", "-aq")
    running = start(cli, "build", "--no-cache", str(tmp_path))
    assert running.stderr is not None
    while not (line := running.stderr.readline()).startswith(b"#2 [2/2] RUN"):
        assert line, running.communicate()
    time.sleep(0.7)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert running.returncode == 130
    assert cli.ok("images", "-aq") == before
    assert cli.ok("ps", "-aq") == ""
    valid_store(cli.root)


def test_following_a_log_ends_with_the_container(cli: Any) -> None:
    id = cli.ok("run", "-d", BASE, "sh", "-c", "echo a; sleep 0.5; echo b")
    following = start(cli, "logs", "-f", id)
    assert following.communicate(timeout=120) == (b"a\nb\n", b"")
    cli.ok("rm", id)


def test_a_reader_that_goes_away_is_no_traceback(cli: Any) -> None:
    id = cli.ok("run", "-d", BASE, "sh", "-c", "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done")
    cli.ok("wait", id)
    code = f"{sys.executable} -c 'from minidocker.cli import main; import sys; sys.exit(main())'"
    shown = subprocess.run(
        f"{code} --root {cli.root} --runtime {cli.runtime} logs {id} | head -n 1",
        shell=True,
        capture_output=True,
        timeout=30,
    )
    assert (shown.stdout, shown.stderr) == (b"line 0\n", b"")
    cli.ok("rm", id)


def test_archives_are_not_written_to_a_terminal(cli: Any) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    try:
        running = start(cli, "save", BASE, stdout=slave)
        assert b"cowardly refusing to save to a terminal" in running.communicate(timeout=120)[1]
        assert running.returncode == 1
    finally:
        os.close(master)
        os.close(slave)


def test_version_loads_next_to_nothing(tmp_path: Path) -> None:
    """…and so it is quick: modules are counted beside those of Python's own start."""

    def loaded(code: str) -> int:
        count = f"{code}; import sys; print(len(sys.modules))"
        done = subprocess.run([sys.executable, "-c", count], check=True, capture_output=True, cwd=tmp_path)
        return int(done.stdout.split()[-1])

    assert loaded("from minidocker.cli import main; main(['version'])") < loaded("pass") + 50
