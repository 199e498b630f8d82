"""`docker exec`: one more program in a container that runs."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from minidocker.container import spec
from minidocker.errors import Conflict, InvalidArgument, StartError
from minidocker.runtime import NO_STDIO, Process, Stdio

if TYPE_CHECKING:
    from minidocker.container.container import Container

Command = str | list[str]
Environment = Mapping[str, Any] | list[str] | None
MOMENT = 0.05  # seconds in which a program that cannot be started has said so


class ExecResult(NamedTuple):
    """What `exec_run` returns, as from Docker's SDK: `ExecResult(exit_code=0, output=b'hi\\n')`."""

    exit_code: int | None
    output: Any


class Execution:
    """A program to run in a container, its options checked. Raises Conflict where the container does not run."""

    def __init__(
        self,
        container: Container,
        cmd: Command,
        user: str = "",
        environment: Environment = None,
        workdir: str = "",
        privileged: bool = False,
    ) -> None:
        state, config = container.state(), container.config["Config"]
        if state["Paused"]:
            raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
        if not state["Running"] or state["Restarting"]:
            how = "restarting, wait until the container is running" if state["Restarting"] else "not running"
            raise Conflict(f"Container {container.id} is {how}")
        env = spec.merge_env(container.env(), spec.env_list(environment))
        self.process = Process(
            tuple(spec.words(cmd)),
            tuple(env),
            workdir or config.get("WorkingDir") or "/",
            str(user or config.get("User") or ""),
            privileged=privileged,
            groups=container.groups(),
        )
        if not self.process.args:
            raise InvalidArgument("No exec command specified")
        self.container = container

    def run(self, stdio: Stdio = NO_STDIO) -> int:
        """Run it to its end, connected to file descriptors; its exit code. Raises StartError."""
        id, what = os.urandom(32).hex(), " ".join(self.process.args)
        for action in ("exec_create", "exec_start"):
            self.container.tell(f"{action}: {what}", execID=id)
        code = self.container.containers.runtime.exec(self.container.box(), self.process, stdio)
        self.container.tell("exec_die", execID=id, exitCode=str(code))
        return code

    def collect(self, stdout: bool, stderr: bool, demux: bool) -> ExecResult:
        """Run it to its end: exit code and output, with `demux` as (stdout, stderr)."""
        import tempfile

        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            to = (out.fileno() if stdout else None, (err if demux else out).fileno() if stderr else None)
            code, said = self._attempt(Stdio(None, *to))
            out.seek(0)
            err.seek(0)
            texts = (out.read() + said, err.read())
        return ExecResult(code, tuple(text or None for text in texts) if demux else texts[0])

    def _attempt(self, stdio: Stdio) -> tuple[int, bytes]:
        """The exit code; and in Docker's words, why the program did not start."""
        try:
            return self.run(stdio), b""
        except StartError as error:
            return error.exit_code, f"OCI runtime exec failed: {error.explanation}\r\n".encode()

    def detach(self) -> ExecResult:
        """Run it behind one's back. Raises StartError when it does not start at once. It ends with this process."""
        failed: list[StartError] = []

        def run() -> None:
            try:
                self.run()
            except StartError as error:
                failed.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(MOMENT)
        if failed:
            raise failed[0]
        return ExecResult(None, "")

    def stream(self, stdout: bool, stderr: bool, demux: bool) -> ExecResult:
        """Run it, and give its output while it comes: pieces, with `demux` pairs of which one is None."""
        pipes = [os.pipe(), os.pipe()] if demux else [os.pipe()]
        to = [pipes[0][1] if stdout else None, pipes[-1][1] if stderr else None]

        def run() -> None:
            _, said = self._attempt(Stdio(None, *to))
            with contextlib.suppress(BrokenPipeError):  # nobody listens any more
                os.write(pipes[0][1], said)
            for _, end in pipes:
                os.close(end)

        threading.Thread(target=run, daemon=True).start()
        return ExecResult(None, _pieces([start for start, _ in pipes], demux))


def _pieces(pipes: list[int], demux: bool) -> Iterator[Any]:
    import select

    left = list(pipes)
    try:
        while left:
            for pipe in select.select(left, [], [])[0]:
                if data := os.read(pipe, 1 << 16):
                    yield data if not demux else (data, None) if pipe == pipes[0] else (None, data)
                else:
                    left.remove(pipe)
    finally:
        for pipe in pipes:
            os.close(pipe)
