"""`docker exec`: one more program in a container that runs.

What it is and how it is stands in `execs/<id>.json` in the container's folder: any engine can look it up, attach to it
or tell its terminal its size, as the API's `/exec/{id}/…` do.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from minidocker.container import attaching, detaching, links, spec
from minidocker.container.options.terminal import stdin as stdin_of
from minidocker.content import read_json, write_json
from minidocker.errors import APIError, Conflict, InvalidArgument, NotFound, StartError
from minidocker.runtime import NO_STDIO, Client, Process, Stdio

if TYPE_CHECKING:
    from minidocker.container.container import Container

Command = str | list[str]
Environment = Mapping[str, Any] | list[str] | None
MOMENT = 0.05  # seconds in which a program that cannot be started has said so
KEPT = 300.0  # seconds for which one that has ended can be looked at
NOT_RUN = 126  # what a program that could not be started exits with, as in Docker (whose SDK tests that)
SHOWN = "ID Running ExitCode ProcessConfig OpenStdin OpenStderr OpenStdout CanRemove ContainerID DetachKeys Pid".split()


class ExecResult(NamedTuple):
    """What `exec_run` returns, as from Docker's SDK: `ExecResult(exit_code=0, output=b'hi\\n')`."""

    exit_code: int | None
    output: Any


def create(container: Container, cmd: Command, **options: Any) -> dict[str, Any]:
    """What is to be run, checked; the keys are those of the API's `GET /exec/{id}/json`, and a few of our own."""
    check_running(container)
    links.check(container)
    config, args = container.config["Config"], spec.words(cmd)
    if not args:
        raise InvalidArgument("No exec command specified")
    env, tty = spec.env_list(options.get("environment")), bool(options.get("tty"))
    user = str(options.get("user") or config.get("User") or "")
    keys = options.get("detach_keys") or ""
    wants = {f"Open{name.capitalize()}": bool(options.get(name)) for name in ("stdin", "stderr", "stdout")}
    process = {"tty": tty, "entrypoint": args[0], "arguments": args[1:], "privileged": bool(options.get("privileged"))}
    id = os.urandom(32).hex()
    container.tell(f"exec_create: {args[0]} {' '.join(args[1:])}", execID=id)
    return {
        "ID": id,
        "Running": False,
        "ExitCode": None,
        "ProcessConfig": process | ({"user": options["user"]} if options.get("user") else {}),
        **wants,
        "CanRemove": False,
        "ContainerID": container.id,
        "DetachKeys": base64.b64encode(detaching.codes(keys)).decode() if keys else "",
        "Pid": 0,
        "Env": spec.merge_env(container.env(tty), env),
        "Cwd": options.get("workdir") or config.get("WorkingDir") or "/",
        "User": user,
    }


def check_running(container: Container) -> None:
    """Raise Conflict, in Docker's words, where nothing can be run in a container now."""
    state = container.state()
    if state["Paused"]:
        raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
    if not state["Running"] or state["Restarting"]:
        how = "restarting, wait until the container is running" if state["Restarting"] else "not running"
        raise Conflict(f"Container {container.id} is {how}")


def running_ids(container: Container) -> list[str]:
    """The ids of those that run in a container now."""
    every = (Execution(container, read_json(path)) for path in (container.path / "execs").glob("*.json"))
    return sorted(one.id for one in every if one.inspect()["Running"])


class Execution:
    """A program to run in a container, or one that runs or ran there."""

    def __init__(self, container: Container, record: dict[str, Any]) -> None:
        self.container, self.record = container, record
        self.id: str = record["ID"]

    @property
    def tty(self) -> bool:
        """Whether it has a terminal."""
        return bool(self.record["ProcessConfig"]["tty"])

    @property
    def process(self) -> Process:
        """The program as a runtime sees it."""
        of, record = self.record["ProcessConfig"], self.record
        size = tuple(record.get("Size") or (0, 0))
        stdin = stdin_of({"OpenStdin": record["OpenStdin"], "StdinOnce": True})
        return Process(
            (of["entrypoint"], *of["arguments"]),
            tuple(record["Env"]),
            record["Cwd"],
            record["User"],
            privileged=of["privileged"],
            groups=self.container.groups(),
            tty=of["tty"],
            size=size,
            stdin=stdin,
        )

    def save(self) -> Execution:
        """Write down that it is to be run, so that any engine can find it; forget those that ended long ago."""
        folder = self.container.path / "execs"
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in folder.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > KEPT and read_json(path)["ExitCode"] is not None:
                    path.unlink()
        write_json(folder / f"{self.id}.json", self.record, sync=False)
        return self

    def inspect(self) -> dict[str, Any]:
        """How it is, as the API's `GET /exec/{id}/json` says it. Raises NotFound."""
        folder = self.container.path / "execs"
        try:
            self.record = read_json(folder / f"{self.id}.json")
        except FileNotFoundError:
            raise NotFound(f"No such exec instance: {self.id}") from None
        if self.record["Running"] and not _answers(folder, f"{self.id}.sock"):
            self.record = read_json(folder / f"{self.id}.json")  # it may have ended meanwhile
            if self.record["Running"]:  # killed, together with the process that kept it
                self.record |= {"Running": False, "ExitCode": 137}
        return {key: self.record[key] for key in SHOWN}

    def connect(self, size: tuple[int, int] = (0, 0)) -> socket.socket:
        """Start it, and give a connection with its streams. Raises StartError, Conflict where it was started before."""
        ours, theirs = socket.socketpair()
        with theirs:
            wants = (bool(self.record[f"Open{name}"]) for name in ("Stdin", "Stdout", "Stderr"))
            try:
                self.spawn((Client(theirs.fileno(), *wants),), size)
            except BaseException:
                ours.close()
                raise
        return ours

    def spawn(self, clients: tuple[Client, ...] = (), size: tuple[int, int] = (0, 0)) -> None:
        """Start it; it runs on when nobody is attached. Raises StartError, Conflict where it was started before."""
        attaching.need_attachable(self.container)
        self.inspect()
        if self.record["Running"]:
            raise Conflict(f"Error: Exec command {self.id} is already running")
        if self.record["ExitCode"] is not None:
            raise Conflict(f"Error: Exec command {self.id} has already run")
        check_running(self.container)
        self.record["Size"] = list(size)
        self._tell_start()
        folder = str((self.container.path / "execs").absolute())
        runtime = self.container.runtime
        try:
            runtime.spawn(self.container.box(), self.process, {**self.record, "folder": folder}, clients)
        except StartError as error:
            error.exit_code = NOT_RUN
            self.record |= {"ExitCode": NOT_RUN}
            write_json(self.container.path / "execs" / f"{self.id}.json", self.record, sync=False)
            raise

    def resize(self, height: int, width: int) -> None:
        """Tell its terminal its size. Raises Conflict where it does not run or has none."""
        if not self.tty:
            raise Conflict(f"cannot resize exec {self.id}: it has no terminal")
        self.container.runtime.resize(self.container.box(), self.id, height, width)

    def run(self, stdio: Stdio = NO_STDIO) -> int:
        """Run it to its end, connected to file descriptors; its exit code. Raises StartError."""
        self._tell_start()
        code = self.container.runtime.exec(self.container.box(), self.process, stdio)
        self.container.tell("exec_die", execID=self.id, exitCode=str(code))
        return code

    def _tell_start(self) -> None:
        program, *args = self.process.args
        self.container.tell(f"exec_start: {program} {' '.join(args)}", execID=self.id)

    def collect(self, stdout: bool, stderr: bool, demux: bool) -> ExecResult:
        """Run it to its end: exit code and output, with `demux` as (stdout, stderr)."""
        import tempfile

        if self.tty:
            try:
                output = attaching.joined(attaching.pieces(self.save().connect(), tty=True), demux)
            except StartError as error:
                return ExecResult(error.exit_code, said(error))
            return ExecResult(self.inspect()["ExitCode"], output)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            to = (out.fileno() if stdout else None, (err if demux else out).fileno() if stderr else None)
            code, why = self._attempt(Stdio(None, *to))
            out.seek(0)
            err.seek(0)
            texts = (out.read() + why, err.read())
        return ExecResult(code, tuple(text or None for text in texts) if demux else texts[0])

    def _attempt(self, stdio: Stdio) -> tuple[int, bytes]:
        """The exit code; and in Docker's words, why the program did not start."""
        try:
            return self.run(stdio), b""
        except StartError as error:
            return NOT_RUN, said(error)

    def detach(self) -> ExecResult:
        """Run it behind one's back. Raises StartError when it does not start.

        Where a runtime cannot do that, it ends with this process.
        """
        if self.container.runtime.attachable:
            self.save().spawn()
            return ExecResult(None, "")
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
        if self.tty:
            found = attaching.pieces(self.save().connect(), tty=True)
            return ExecResult(None, found if demux else (pair[0] for pair in found))
        pipes = [os.pipe(), os.pipe()] if demux else [os.pipe()]
        to = [pipes[0][1] if stdout else None, pipes[-1][1] if stderr else None]

        def run() -> None:
            _, why = self._attempt(Stdio(None, *to))
            with contextlib.suppress(BrokenPipeError):  # nobody listens any more
                os.write(pipes[0][1], why)
            for _, end in pipes:
                os.close(end)

        threading.Thread(target=run, daemon=True).start()
        return ExecResult(None, _pieces([start for start, _ in pipes], demux))


def said(error: APIError) -> bytes:
    """Why a program did not start, as it stands in its output."""
    return f"{error.said('exec') if isinstance(error, StartError) else error.explanation}\r\n".encode()


def _answers(folder: Any, name: str) -> bool:
    """Whether somebody is behind a door."""
    from minidocker.runtime.door import address

    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError), address(str(folder), name) as where:
        connection.connect(where)
        return True
    return False


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
