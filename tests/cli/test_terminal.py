"""At a real terminal: `run -it`, `exec -it`, `attach`, `start -ai`; detach keys, sizes, Ctrl-C, and the way out.

The bytes and exit codes expected are those that docker 28 with Debian's dockerd 20.10 gave for the same keys.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from tests.until import HANG, comes

BASE = "minidocker/base"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a pty of Linux")
READY = ("sh", "-c", "echo ready; exec cat")
Step = tuple[bytes, bytes | Callable[["Terminal"], object]]


class Terminal:
    """A pty with a command of ours on it: what one would see, and what is typed when something is seen."""

    def __init__(self, words: list[str], size: tuple[int, int] = (24, 80), env: dict[str, str] | None = None) -> None:
        import fcntl
        import pty
        import termios

        self.master, slave = pty.openpty()
        self.resize(*size)
        self.before = self.modes()
        self.process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=os.environ | (env or {}),
        )
        os.close(slave)
        self.seen = b""

    def resize(self, height: int, width: int) -> None:
        import fcntl
        import termios

        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def modes(self) -> list[Any]:
        import termios

        return termios.tcgetattr(self.master)

    def is_raw(self) -> bool:
        import termios

        return not self.modes()[3] & termios.ICANON

    def play(self, *steps: Step, timeout: float = HANG) -> tuple[int, bytes]:
        """Type what each step says once its text is seen (and, for keys, our terminal raw); exit code and output."""
        left, at, end = list(steps), 0, time.monotonic() + timeout
        while time.monotonic() < end:
            while left and left[0][0] in self.seen[at:]:
                text, action = left.pop(0)
                at = self.seen.index(text, at) + len(text)
                self.do(action)
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    data = os.read(self.master, 1 << 16)
                except OSError:
                    break
                self.seen += data
        assert not left, (left, self.seen)
        return self.process.wait(timeout=HANG), self.seen

    def do(self, action: bytes | Callable[[Terminal], object]) -> None:
        if callable(action):
            action(self)
            return
        comes(self.is_raw)
        os.write(self.master, action)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture(autouse=True)
def _real(cli: Any) -> None:
    if cli.runtime == "simulated":
        pytest.skip("the simulated runtime has no terminals")


@pytest.fixture
def at(cli: Any) -> Iterator[Callable[..., Terminal]]:
    """A function that starts one of our commands at a terminal."""
    opened: list[Terminal] = []

    def start(*words: str, **options: Any) -> Terminal:
        program = [sys.executable, "-m", "minidocker", "--root", str(cli.root), "--runtime", cli.runtime]
        opened.append(Terminal([*program, *words], **options))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture
def cat(cli: Any) -> Iterator[str]:
    """A container with a terminal that says again what it is told."""
    yield cli.ok("run", "-dit", BASE, "cat")
    cli("rm", "-f", *cli.ok("ps", "-aq").split())


def test_a_shell(at: Any, cli: Any) -> None:
    code, seen = at("run", "-it", "--rm", BASE, "sh").play((b"# ", b"echo $((6*7)) $TERM; tty; exit 5\r"))
    assert code == 5
    assert b"\r\n42 xterm\r\n/dev/pts/0\r\n" in seen
    assert cli.ok("ps", "-aq") == ""


def test_the_terminal_is_raw_meanwhile_and_as_before_after_it(at: Any) -> None:
    terminal = at("run", "-it", "--rm", BASE, *READY)
    raw: list[bool] = []
    end = (lambda t: raw.append(t.is_raw()), b"\x04")
    code, seen = terminal.play((b"ready", b"hi\r"), (b"hi\r\nhi", end[0]), (b"", end[1]))
    assert (code, seen, raw) == (0, b"ready\r\nhi\r\nhi\r\n", [True])
    assert terminal.modes() == terminal.before


@pytest.mark.parametrize("how", ["the container", "the command"])
def test_it_is_as_before_whichever_is_killed(at: Any, cli: Any, cat: str, how: str) -> None:
    def end(terminal: Terminal) -> None:
        cli.ok("kill", cat) if how == "the container" else terminal.process.send_signal(signal.SIGTERM)

    terminal = at("attach", cat)
    code, _ = terminal.play((b"", b"hello\r"), (b"hello\r\nhello", end))
    assert code == (137 if how == "the container" else 128 + signal.SIGTERM)
    assert terminal.modes() == terminal.before


def test_ctrl_c_is_a_key(at: Any) -> None:
    script = "trap 'echo caught; exit 3' INT; echo ready; while true; do sleep 0.1; done"
    code, seen = at("run", "-it", "--rm", BASE, "sh", "-c", script).play((b"ready", b"\x03"))
    assert code == 3 and b"^C" in seen and b"caught" in seen


def test_the_size_is_ours_and_follows(at: Any) -> None:
    script = "stty size; trap 'stty size; exit' WINCH; echo ready; while true; do sleep 0.1; done"
    terminal = at("run", "-it", "--rm", BASE, "sh", "-c", script, size=(31, 97))
    code, seen = terminal.play((b"ready\r\n", b""), (b"", lambda t: t.resize(40, 132)))
    assert code == 0 and b"31 97\r\n" in seen and b"40 132\r\n" in seen


def test_detach_keys_leave_it_running(at: Any, cli: Any) -> None:
    keys = (b"ready", b"hi\r"), (b"hi\r\nhi", b"\x10\x11")
    assert at("run", "-it", "--name", "left", BASE, *READY).play(*keys) == (0, b"ready\r\nhi\r\nhi\r\n")
    assert cli.ok("inspect", "-f", "{{.State.Status}}", "left") == "running"
    again = (b"", b"yo\r"), (b"yo\r\nyo", b"\x01x")
    code, seen = at("attach", "--detach-keys", "ctrl-a,x", "left").play(*again)
    assert (code, seen) == (1, b"yo\r\nyo\r\nread escape sequence\r\n")
    code, seen = at("exec", "-it", "left", *READY).play(*keys)
    assert (code, seen) == (1, b"ready\r\nhi\r\nhi\r\nread escape sequence\r\n")
    cli.ok("kill", "left")
    assert at("start", "-ai", "left").play(*keys)[0] == 0
    assert cli.ok("inspect", "-f", "{{.State.Status}}", "left") == "running"
    cli.ok("rm", "-f", "left")


def test_detach_keys_of_the_settings(at: Any, cat: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"detachKeys": "ctrl-b"}')
    script = (b"", b"yo\r"), (b"yo\r\nyo", b"\x02")
    assert at("attach", cat, env={"DOCKER_CONFIG": str(tmp_path)}).play(*script)[0] == 1


def test_wrong_keys_are_refused(cli: Any, cat: str) -> None:
    for command in ("attach", "exec"):
        done = cli(command, "--detach-keys", "foo", cat, *(["true"] if command == "exec" else []))
        assert (done.code, done.err) == (1, "Error response from daemon: Invalid detach keys (foo) provided\n")


def test_two_at_once_see_the_same(at: Any, cli: Any, cat: str) -> None:
    one = at("attach", cat)
    two = cli_container(cli, cat).connect(stdin=True)
    with two:
        script = (
            (b"", b"hi\r"),
            (b"hi\r\nhi\r\n", lambda _: two.sendall(b"from two\r")),
            (b"from two\r\nfrom two\r\n", b"\x10\x11"),
        )
        assert one.play(*script)[0] == 1
        assert two.recv(1000).endswith(b"from two\r\nfrom two\r\n")


def cli_container(cli: Any, name: str) -> Any:
    return minidocker.connect(cli.root, cli.runtime).containers.get(name)


def test_no_terminal_here(cli: Any, cat: str) -> None:
    for words in (["run", "-it", BASE, "true"], ["exec", "-it", cat, "true"], ["attach", cat]):
        assert (cli(*words).code, cli(*words).err) == (1, "the input device is not a TTY\n")
    assert cli.ok("ps", "-aq") == cat[:12]


def test_t_alone_needs_none(cli: Any) -> None:
    assert cli("run", "--rm", "-t", BASE, "sh", "-c", "echo hi; exit 3")[:2] == (3, "hi\r\n")


def test_exec(at: Any, cat: str) -> None:
    code, seen = at("exec", "-it", cat, "sh", "-c", "stty size; read a; exit 7").play((b"24 80", b"yo\r"))
    assert (code, seen) == (7, b"24 80\r\nyo\r\n")
    code, seen = at("exec", "-it", cat, "nope").play()
    assert code in (126, 127) and b'exec: "nope": executable file not found in $PATH' in seen
