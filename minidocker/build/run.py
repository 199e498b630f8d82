"""RUN: a program in a container of its own, for the sake of what it changes.

The container is a folder that lasts as long as the step; nothing of it stays behind, however the step ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from minidocker.build.together import Together
from minidocker.content import FileLock, read_json
from minidocker.errors import APIError, BuildError, StartError
from minidocker.layer import Changeset
from minidocker.runtime import Bind, Box, LayerLike, Mount, Process, Runtime, Stdio

HOSTNAME = "buildkitsandbox"
LOOK = 0.05  # seconds between two looks at the output of a step that runs
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


class StepFailed(BuildError):
    """A RUN whose program failed, with `code`, or did not even start. `docker build` itself exits with 1."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


@contextlib.contextmanager
def run(
    runtime: Runtime,
    folder: Path,
    layers: Sequence[LayerLike],
    command: Command,
    output: Callable[[str], None],
    together: Together[Any],
) -> Iterator[Changeset]:
    """What the command changes; it can be read until the `with` ends, for its bytes lie in the container.

    `folder` must not be there yet. Raises StepFailed, and Stopped where something else that is built has failed.
    """
    folder.mkdir(mode=0o700)
    mounts = (*_binds(folder, command), *command.mounts)
    box = Box(folder, layers, command.process, HOSTNAME, mounts, network=command.network, log=False, throwaway=True)
    failed = f'process "{" ".join(command.process.args)}" did not complete successfully'
    try:
        with together.stoppable(partial(_kill, runtime, box)):
            code = _run(runtime, box, output, together)
        together.check()
        if code:
            raise StepFailed(f"{failed}: exit code: {code}", code)
        yield runtime.changes(box)
    except StartError as error:
        raise StepFailed(f"{failed}: {error}", error.exit_code) from error
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


def _run(runtime: Runtime, box: Box, output: Callable[[str], None], together: Together[Any]) -> int:
    """Run to the end and return the exit code. The output goes through a file, which never makes the program wait."""
    path = box.path / "output"
    with path.open("xb") as out, path.open("rb") as back:
        rest = b""
        runtime.start(box, Stdio(None, out.fileno(), out.fileno()))
        lock = FileLock(box.path / "monitor.lock", shared=True)
        while not lock.acquire(blocking=False):
            together.check()
            _doze(box)
            rest = _pass_on(rest + back.read(), output)
        lock.release()
        _pass_on(rest + back.read(), output, last=True)
    return int(read_json(box.path / "state.json")["ExitCode"])


def _pass_on(data: bytes, output: Callable[[str], None], last: bool = False) -> bytes:
    """Pass on whole lines, since others may speak in between; what is left of the last one is given back."""
    end = len(data) if last or len(data) > LONG else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if end:
        output(data[:end].decode(errors="replace"))
    return data[end:]


def _doze(box: Box) -> None:
    """Sleep until the monitor ends, or for a moment."""
    try:
        monitor = os.pidfd_open(int(read_json(box.path / "state.json")["Monitor"]))  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError, KeyError, ValueError):
        time.sleep(LOOK / 10)
        return
    try:
        select.select([monitor], [], [], LOOK)
    finally:
        os.close(monitor)


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
