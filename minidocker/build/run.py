"""RUN: a program in a container of its own, for the sake of what it changes.

The container is a folder that lasts as long as the step; nothing of it stays behind, however the step ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from minidocker.build.together import Together
from minidocker.content import FileLock, read_json
from minidocker.errors import APIError, BuildError, StartError
from minidocker.layer import Changeset
from minidocker.runtime import Bind, Box, LayerLike, Mount, Process, Runtime, Stdio
from minidocker.waiting import ready

HOSTNAME = "buildkitsandbox"
LOOK = 0.05  # seconds between two looks at the output of a step that runs
Around = Callable[[], AbstractContextManager[Mapping[str, Any] | None]]
Output = Callable[[str, bool], None]  # a piece of output; and whether it is of standard error
LONG = 1 << 14  # bytes of a line that are not waited for


@dataclass(frozen=True)
class Command:
    """What a RUN starts: a process, its network (`none` or `host`), and the script of a here-document with a `#!`.

    It finds `mounts` there, but not in what it has changed.
    """

    process: Process
    network: str
    script: tuple[str, str] | None = None  # the path inside, and the text
    mounts: tuple[Mount, ...] = ()
    around: Around = nullcontext  # gives further fields of its `Box` while it runs: limits, names of hosts, networks
    apart: bool = False  # whether its two streams are told apart, where the runtime can do that


class StepFailed(BuildError):
    """A RUN whose program failed, with `code`, or did not even start. `docker build` itself exits with 1."""

    def __init__(self, reason: str, code: int, args: Sequence[str]) -> None:
        super().__init__(reason)
        self.code, self.command = code, " ".join(args)


@contextlib.contextmanager
def run(
    runtime: Runtime,
    folder: Path,
    layers: Sequence[LayerLike],
    command: Command,
    output: Output,
    together: Together[Any],
) -> Iterator[Changeset]:
    """What the command changes; it can be read until the `with` ends, for its bytes lie in the container.

    `folder` must not be there yet. Raises StepFailed, and Stopped where something else that is built has failed.
    """
    folder.mkdir(mode=0o700)
    mounts = (*_binds(folder, command), *command.mounts)
    with command.around() as more:
        about = {"network": command.network, "log": False, "throwaway": True, **(more or {})}
        box = Box(folder, layers, command.process, HOSTNAME, mounts, **about)
        yield from _changes(runtime, box, command, output, together)


def _changes(
    runtime: Runtime, box: Box, command: Command, output: Output, together: Together[Any]
) -> Iterator[Changeset]:
    failed = f'process "{" ".join(command.process.args)}" did not complete successfully'
    try:
        with together.stoppable(partial(_kill, runtime, box)):
            code = _run(runtime, box, output, together, command.apart)
        together.check()
        if code:
            raise StepFailed(f"{failed}: exit code: {code}", code, command.process.args)
        yield runtime.changes(box)
    except StartError as error:
        raise StepFailed(f"{failed}: {error}", error.exit_code, command.process.args) from error
    finally:
        _clean_up(runtime, box)


def _binds(folder: Path, command: Command) -> tuple[Bind, ...]:
    if command.script is None:
        return ()
    target, text = command.script
    path = folder / "script"
    path.write_text(text)
    path.chmod(0o755)
    return (Bind(str(path), target, read_only=True),)


def _run(runtime: Runtime, box: Box, output: Output, together: Together[Any], apart: bool) -> int:
    """Run to the end and return the exit code."""
    (_listen if apart and runtime.attachable else _look)(runtime, box, output, together)
    return int(read_json(box.path / "state.json")["ExitCode"])


def _listen(runtime: Runtime, box: Box, output: Output, together: Together[Any]) -> None:
    """Run, with a pipe for each stream, so that they are told apart; what comes at the same time has no order."""
    lock = FileLock(box.path / "monitor.lock", shared=True)
    with closing(_Pipes(output)) as pipes:
        try:
            runtime.start(box, Stdio(None, *pipes.ends))
        finally:
            pipes.begun()
        with _monitor(box) as monitor:
            while not lock.acquire(blocking=False):
                together.check()
                pipes.hear(monitor, LOOK if monitor else LOOK / 10)
        lock.release()
        while pipes.hear([], 0):
            pass


class _Pipes:
    """The streams of a program: what comes out of them is passed on, in the order in which it comes."""

    def __init__(self, output: Output) -> None:
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        self.ends = (out_end, err_end)
        self.tell: dict[int, Callable[[str], None]] = {
            out: partial(_stdout, output),
            err: lambda text: output(text, True),
        }
        self.rests = {out: b"", err: b""}

    def begun(self) -> None:
        """The program has its ends of them."""
        for fd in self.ends:
            os.close(fd)

    def hear(self, others: Sequence[int], seconds: float) -> bool:
        """Pass on what comes first within a time, in which something else may happen; whether anything came."""
        found = [fd for fd in ready([*self.rests, *others], seconds) if fd in self.rests]
        for fd in found:
            data = os.read(fd, 1 << 16)
            self.rests[fd] = _pass_on(self.rests[fd] + data, self.tell[fd], last=not data)
            if not data:
                del self.rests[fd]
        return bool(found)

    def close(self) -> None:
        """Pass on what had no end of a line, and let go of them."""
        for fd, rest in self.rests.items():
            _pass_on(rest, self.tell[fd], last=True)
        for fd in self.tell:
            os.close(fd)


def _look(runtime: Runtime, box: Box, output: Output, together: Together[Any]) -> None:
    """Run, with a file for both streams: what they say is in its true order, and nothing makes the program wait."""
    path, tell = box.path / "output", partial(_stdout, output)
    with path.open("xb") as out, path.open("rb") as back:
        rest = b""
        runtime.start(box, Stdio(None, out.fileno(), out.fileno()))
        lock = FileLock(box.path / "monitor.lock", shared=True)
        while not lock.acquire(blocking=False):
            together.check()
            _doze(box)
            rest = _pass_on(rest + back.read(), tell)
        lock.release()
        _pass_on(rest + back.read(), tell, last=True)


def _stdout(output: Output, text: str) -> None:
    output(text, False)


def _pass_on(data: bytes, output: Callable[[str], None], last: bool = False) -> bytes:
    """Pass on whole lines, since others may speak in between; what is left of the last one is given back."""
    end = len(data) if last or len(data) > LONG else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if end:
        output(data[:end].decode(errors="replace"))
    return data[end:]


@contextlib.contextmanager
def _monitor(box: Box) -> Iterator[list[int]]:
    """A descriptor that can be waited for until the monitor ends; none, where that cannot be had."""
    try:
        found = [os.pidfd_open(int(read_json(box.path / "state.json")["Monitor"]))]  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError, KeyError, ValueError):
        found = []
    try:
        yield found
    finally:
        for fd in found:
            os.close(fd)


def _doze(box: Box) -> None:
    """Sleep until the monitor ends, or for a moment."""
    with _monitor(box) as monitor:
        ready(monitor, LOOK if monitor else LOOK / 10)


def _kill(runtime: Runtime, box: Box) -> None:
    with contextlib.suppress(APIError, OSError, ValueError):  # it may not have begun, or have ended
        runtime.signal(box, getattr(signal, "SIGKILL", 9))


def _clean_up(runtime: Runtime, box: Box) -> None:
    """Nothing runs and nothing stays, whether the step ended or was interrupted."""
    lock = FileLock(box.path / "monitor.lock", shared=True)
    while not lock.acquire(blocking=False):
        _kill(runtime, box)
        _doze(box)
    lock.release()
    runtime.remove(box)
    shutil.rmtree(box.path, ignore_errors=True)
