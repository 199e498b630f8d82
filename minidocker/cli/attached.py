"""This process's own terminal or pipes, connected to those of a program in a container: what `run -it` does here.

In a terminal's raw mode each key goes to the program as it is, Ctrl-C too; but for the detach keys, which leave it
running. However this ends, the terminal is as it was before.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from minidocker.cli.flags import Exit
from minidocker.cli.hosts import settings
from minidocker.container.attaching import Frames
from minidocker.container.detaching import DEFAULT, Detacher, codes
from minidocker.errors import APIError

DETACHED = "read escape sequence"
ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT")


def is_real(name: str) -> bool:
    """Whether `sys.stdout` (…) is the process's own, and not that of a notebook or a test."""
    stream = getattr(sys, name)
    return stream is not None and stream is getattr(sys, f"__{name}__")


def is_terminal(name: str) -> bool:
    """Whether it is a terminal."""
    with suppress(OSError, ValueError):
        return is_real(name) and os.isatty(getattr(sys, name).fileno())
    return False


def check_terminal(stdin: bool, tty: bool) -> None:
    """Leave, in Docker's words, where keys are to go to a terminal inside and none is here."""
    if not (stdin and tty) or is_terminal("stdin"):
        return
    if type(sys.stdout).__module__.startswith("ipykernel"):
        raise Exit(
            1, "the input device is not a TTY: a cell has none. Use a terminal (JupyterLab: File, New, Terminal)"
        )
    raise Exit(1, "the input device is not a TTY")


def size() -> tuple[int, int]:
    """Height and width of the terminal that is printed to; zeros where it is none."""
    with suppress(OSError, ValueError):
        found = os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return found.lines, found.columns
    return 0, 0


def detach_keys(given: str) -> bytes:
    """The keys to watch for: those of the command line, else those of Docker's config.json, else ctrl-p ctrl-q."""
    return codes(given or settings().get("detachKeys") or DEFAULT)


def converse(
    connection: socket.socket, tty: bool, stdin: bool, keys: bytes, resize: Callable[[int, int], None]
) -> bool:
    """Carry what is typed in, and what is printed out, until the program's streams end; whether one has detached."""
    raw = raw_terminal() if tty and stdin and is_terminal("stdin") else nullcontext()
    follow = following_size(resize) if tty and is_terminal("stdout") else nullcontext()
    with connection, raw, follow:
        return Conversation(connection, tty, stdin, keys if tty else b"").run()


class Conversation:
    """One connection, until it ends."""

    def __init__(self, connection: socket.socket, tty: bool, stdin: bool, keys: bytes) -> None:
        self.connection, self.frames, self.detacher = connection, Frames(tty), Detacher(keys)
        self.source = sys.stdin.fileno() if stdin and is_real("stdin") else -1
        self.typed = b""
        if stdin and self.source < 0:  # of a notebook or a test: it is all there already
            self.typed = (getattr(sys.stdin, "buffer", None) and sys.stdin.buffer.read()) or b""
        self.ends = stdin and self.source < 0
        connection.setblocking(False)

    def run(self) -> bool:
        """Go on until either side ends."""
        while not self.detacher.detached:
            if self.ends and not self.typed:
                self.ends = False
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_WR)
            readers = [self.connection, *([self.source] if self.source >= 0 and not self.typed else [])]
            ready, writable, _ = select.select(readers, [self.connection] if self.typed else [], [])
            if self.source in ready:
                self._type()
            if writable:
                self._send()
            if self.connection in ready and not self._show():
                return False
        return True

    def _type(self) -> None:
        try:
            data = os.read(self.source, 1 << 16)
        except OSError:
            data = b""
        self.typed += self.detacher.feed(data)
        if not data:
            self.source, self.ends = -1, True

    def _send(self) -> None:
        try:
            self.typed = self.typed[self.connection.send(self.typed) :]
        except BlockingIOError:
            return
        except OSError:  # the program reads no more
            self.typed, self.source = b"", -1

    def _show(self) -> bool:
        try:
            data = self.connection.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for stream, piece in self.frames.feed(data) if data else ():
            write(sys.stdout if stream == 1 else sys.stderr, piece)
        return bool(data)


def write(stream: Any, data: bytes) -> None:
    """Print bytes, at once."""
    binary = getattr(stream, "buffer", None)
    if binary is None:
        stream.write(data.decode(errors="replace"))
    else:
        stream.flush()
        binary.write(data)
    stream.flush()


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Our terminal in raw mode, for as long as this lasts; signals that would end us end it first."""
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def leave(number: int, _frame: Any) -> None:
        raise Exit(128 + number)

    with handlers(leave, ENDING, only=(signal.SIG_DFL, signal.default_int_handler)):
        try:
            tty.setraw(fd, termios.TCSANOW)
            yield
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def following_size(resize: Callable[[int, int], None]) -> Iterator[None]:
    """Tell a terminal inside how large ours is, now and whenever that changes."""

    def follow(*_: Any) -> None:
        with suppress(APIError, OSError):
            resize(*size())

    with handlers(follow, ("SIGWINCH",)):
        follow()
        yield


@contextmanager
def handlers(handler: Any, names: tuple[str, ...], only: tuple[Any, ...] | None = None) -> Iterator[None]:
    """While this lasts, a handler for these signals; `only` in the place of such ones. In the main thread alone."""
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            found = [number for name in names if (number := getattr(signal, name, None))]
            before = {n: signal.getsignal(n) for n in found if only is None or signal.getsignal(n) in only}
            for number in before:
                signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
