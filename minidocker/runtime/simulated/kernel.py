"""Processes without an operating system: the little kernel under the simulated runtime.

A process is a generator. It runs until it yields: `True` lets the others have a turn, `False` says that it waits for
something (input, time, a child). So pipelines stream, `&` runs beside, and signals arrive between two steps, all in
one thread, wherever Python runs.

    sleep 1 | wc -c        two generators, one `Pipe`, and `Kernel.run` going round them
"""

from __future__ import annotations

import contextlib
import copy
import errno
import inspect
import posixpath
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from minidocker.runtime.simulated.files import Files
from minidocker.runtime.simulated.mounted import failure
from minidocker.runtime.simulated.streams import Device, FileWriter, Source, Stream, encode
from minidocker.tree import Entry

Task = Generator[bool, None, int]
Command = Callable[["Process", list[str]], Any]  # an exit code, None for 0, or a Task
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HANGUP, INTERRUPT, QUIT, KILL, PIPE, TERMINATE = 1, 2, 3, 9, 13, 15
SIGNALS = {
    name: number
    for number, name in enumerate(
        "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU "
        "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(),
        1,
    )
}  # Linux's numbers, whatever the machine: a container is a Linux
HARMLESS = {SIGNALS[name] for name in ("CHLD", "CONT", "URG", "WINCH", "STOP", "TSTP", "TTIN", "TTOU")}
STUB = b"minidocker/base: "  # how the stand-ins in the base image begin
SYSTEM = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin")
SHELLS = ("sh", "ash", "dash", "bash")


class CannotRun(Exception):
    """A program that cannot be started: exit code 127 (not found) or 126, and why. `path` if a shell may read it."""

    def __init__(self, code: int, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason, self.path = code, reason, path


class Died(Exception):
    """The running process has ended by its own doing: `exit`, or a signal to itself."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Process:
    """One simulated process: what `fork` copies and `exec` keeps."""

    def __init__(
        self, kernel: Kernel, parent: Process | None, args: list[str], env: dict[str, str], files: Files
    ) -> None:
        self.kernel, self.parent, self.args, self.env, self.files = kernel, parent, args, env, files
        self.pid = kernel.new_pid()
        self.fds: dict[int, Stream] = {}
        self.status: int | None = None
        self.task: Task | None = None
        self.handlers: dict[int, str] = {}  # signal -> "" (ignored) or a trap's command
        self.pending: list[int] = []  # signals that a trap has yet to answer
        self.invoked = args[0] if args else ""  # the program's name as it was given: `$0`
        self.buffer: list[bytes] = []

    def fork(self, args: list[str] | None = None) -> Process:
        """A copy with the same files open; ignored signals stay ignored, traps do not pass on."""
        child = Process(self.kernel, self, args or self.args, dict(self.env), copy.copy(self.files))
        child.handlers = {signum: action for signum, action in self.handlers.items() if not action}
        for fd, stream in self.fds.items():
            child.attach(fd, stream)
        return child

    def start(self, task: Task) -> Process:
        """Let the kernel run it."""
        self.task = task
        self.kernel.processes[self.pid] = self
        return self

    # Descriptors

    def attach(self, fd: int, stream: Stream) -> None:
        """Make `fd` refer to this stream (dup2)."""
        stream.refs += 1
        self.detach(fd)
        self.fds[fd] = stream

    def detach(self, fd: int) -> None:
        """Close a descriptor, if it is open."""
        stream = self.fds.pop(fd, None)
        if stream is not None:
            stream.refs -= 1
            if not stream.refs:
                stream.close()

    def stream(self, fd: int) -> Stream:
        """What a descriptor refers to."""
        if fd not in self.fds:
            raise failure(errno.EBADF, "")
        return self.fds[fd]

    def open(self, path: str, mode: str = "r") -> Stream:
        """Open a file or device to read (`r`), write (`w`) or append (`a`)."""
        there = self.files.locate(path)
        if there.startswith("/proc/self/fd/") and there[14:].isdigit():
            return self.stream(int(there[14:]))
        entry = self.files.mounts.get(there)
        if entry is not None and entry.kind in ("char", "block"):
            return self._device(path, entry)
        if entry is not None and entry.kind == "fifo":
            raise failure(errno.ENXIO, path)
        return Source(self.files.read(path)) if mode == "r" else FileWriter(self.files, path, mode == "a")

    def _device(self, path: str, entry: Entry) -> Stream:
        if entry.device[0] != 1:
            raise failure(errno.ENXIO, path)
        return Device(entry.device[1])

    # Input and output

    def read(self, stream: Stream | None = None, size: int = 1 << 16) -> Generator[bool, None, bytes]:
        """Read (standard input), waiting for what comes; b"" is the end."""
        stream = stream or self.fds.get(0, Source())
        while (data := stream.read(size)) is None:
            yield False
        return data

    def read_all(self, stream: Stream | None = None) -> Generator[bool, None, bytes]:
        """Read to the end."""
        content, stream = bytearray(), stream or self.fds.get(0, Source())
        while data := (yield from self.read(stream)):
            content += data
        return bytes(content)

    def out(self, text: str | bytes) -> None:
        """Print to standard output, by way of a buffer."""
        self.buffer.append(encode(text))

    def err(self, text: str) -> None:
        """Print a line to standard error."""
        with contextlib.suppress(OSError):
            self.stream(2).write(encode(text + "\n"))

    def flush(self) -> Generator[bool, None, None]:
        """Write out the buffer, waiting where a pipe is full."""
        data, self.buffer = b"".join(self.buffer), []
        if data:
            yield from self.write(data)

    def write(self, data: bytes, fd: int = 1) -> Generator[bool, None, None]:
        """Write, waiting where a pipe is full; a pipe without a reader ends the process."""
        try:
            stream = self.stream(fd)
            stream.write(data)
        except BrokenPipeError:
            if PIPE in self.handlers:
                raise
            raise Died(128 + PIPE) from None
        while stream.full:
            yield False

    # Signals and the end

    def signal(self, signum: int) -> None:
        """What `kill` does: nothing, a trap, or death. Process 1 has no default action but for KILL, as on Linux."""
        if self.status is not None or not signum:
            return
        action = self.handlers.get(signum)
        if signum == KILL or (action is None and self.pid != 1 and signum not in HARMLESS):
            if self.kernel.current is self:
                raise Died(128 + signum)
            self.end(128 + signum)
        elif action:
            self.pending.append(signum)

    def end(self, status: int) -> None:
        """The process is over: descriptors close, its children become those of process 1."""
        if self.status is not None:
            return
        self.status = status
        if self.task is not None and self.kernel.current is not self:
            self.task.close()
        for fd in list(self.fds):
            self.detach(fd)
        self.kernel.processes.pop(self.pid, None)
        if self.parent is not None and self.parent.status is None:
            self.parent.signal(SIGNALS["CHLD"])

    def wait(self, child: Process) -> Task:
        """Wait for a child; its exit code."""
        while child.status is None:
            yield False
        return child.status


class Kernel:
    """All the processes of one container (or of one `exec` in it), and the programs that they can be.

    `commands` is the table of programs; `between` is called after each round with whether nobody had anything to do:
    there the runtime sleeps, saves, and hands on signals.
    """

    def __init__(self, commands: Mapping[str, Command], between: Callable[[bool], None] | None = None) -> None:
        self.commands = commands
        self.between = between or (lambda idle: time.sleep(0.001 if idle else 0))
        self.processes: dict[int, Process] = {}
        self.current: Process | None = None
        self.last_pid = 0
        self.turn = 0.0
        self.outside: Callable[[int, int], bool] = lambda pid, signum: False  # noqa: ARG005  (signals to other kernels)
        self.elsewhere: Callable[[], list[dict[str, Any]]] = list  # processes of other kernels, as rows
        self.neighbours: Any = None  # the containers around it (`neighbours.Neighbours`)

    def new_pid(self) -> int:
        """The next free process id."""
        self.last_pid += 1
        return self.last_pid

    def run(self, process: Process) -> int:
        """Run all processes until this one has ended; the others end with it. Its exit code."""
        try:
            while process.status is None:
                self.turn = time.monotonic() + 0.02
                busy = [self.step(each) for each in list(self.processes.values())]
                if process.status is None:
                    self.between(not any(busy))
        finally:
            for each in [process, *self.processes.values()]:
                each.end(128 + KILL)
        return process.status

    def due(self) -> bool:
        """Whether the running process has had its turn."""
        return time.monotonic() > self.turn

    def step(self, process: Process) -> bool:
        """Let one process run until it yields; False if it only waits."""
        if process.status is not None or process.task is None:
            return False
        self.current = process
        try:
            return next(process.task)
        except StopIteration as stop:
            status = stop.value
        except Died as died:
            status = died.status
        except RecursionError:
            process.err(f"{process.args[0]}: too much recursion")
            status = 2
        finally:
            self.current = None
        process.end(status or 0)
        return True

    # Programs

    def find(self, process: Process, name: str, path: str | None = None) -> str:
        """The path of a program, looked up in `PATH`; CannotRun 127 or 126."""
        files, denied = process.files, ""
        where = process.env.get("PATH", PATH) if path is None else path
        for candidate in [name] if "/" in name else [posixpath.join(up or ".", name) for up in where.split(":")]:
            entry = files.find(candidate)
            if entry is None or (entry.is_dir and "/" not in name):
                continue
            if entry.kind == "file" and files.runs(candidate, entry):
                return candidate
            denied = denied or candidate
        if denied:
            raise CannotRun(126, "Permission denied")
        raise CannotRun(127, "not found")

    def program(self, process: Process, args: list[str], depth: int = 0) -> Task:
        """What `execve` does: the process becomes this program. CannotRun before anything has happened."""
        path = self.find(process, args[0])
        name = posixpath.basename(path)
        with process.files.stat(path).data.open() as stream:
            head = stream.read(512)
        known = name in self.commands
        if head.startswith(b"#!"):
            line = head[2:].split(b"\n")[0].decode(errors="surrogateescape").strip()
            interpreter = line.split(None, 1) or [""]
            shell = posixpath.basename(interpreter[0]) in SHELLS
            if shell or not (known and posixpath.dirname(path) in SYSTEM):
                if depth > 4:
                    raise CannotRun(126, "Too many levels of symbolic links")
                try:
                    return self.program(process, [*interpreter, path, *args[1:]], depth + 1)
                except CannotRun as error:
                    missing = error.reason == "not found"
                    raise CannotRun(
                        error.code, f"bad interpreter: {interpreter[0]}" if missing else error.reason
                    ) from None
        elif not head.startswith(STUB) and b"\0" not in head:
            raise CannotRun(126, "exec format error", path)
        if name == "busybox" and len(args) > 1:
            args, name = args[1:], args[1]
            known = name in self.commands
        if not known:
            raise CannotRun(127, refusal(name))
        process.args, process.invoked = [name, *args[1:]], args[0]
        return self.perform(process, name, args[1:])

    def perform(self, process: Process, name: str, args: list[str]) -> Task:
        """Run a command's function as this process, and turn its failures into what it would print."""
        status: int | None
        try:
            result = self.commands[name](process, args)
            status = (yield from result) if inspect.isgenerator(result) else result
        except OSError as error:
            status = 1
            process.err(f"{name}: {f'{error.filename}: ' if error.filename else ''}{error.strerror}")
        except ValueError as error:
            status = 1
            process.err(f"{name}: {error}")
        except (Died, RecursionError):
            raise
        except Exception as error:
            status = 1  # a fault of ours must not take the engine with it
            process.err(f"{name}: the simulated runtime failed: {type(error).__name__}: {error}")
        try:
            yield from process.flush()
        except OSError as error:
            process.err(f"{name}: write error: {error.strerror}")
            status = 1
        return status or 0


def signal_number(name: str) -> int:
    """`TERM`, `SIGTERM` or `15` -> 15; ValueError for what is no signal."""
    if name.isdigit() and int(name) < 65:
        return int(name)
    if name.removeprefix("SIG") not in SIGNALS:
        raise ValueError(f"{name}: invalid signal specification")
    return SIGNALS[name.removeprefix("SIG")]


def refusal(name: str) -> str:
    """Why a program that is in the image does not run here, and what to do."""
    return (
        f"the simulated runtime cannot run '{name}': it has no processor, only a shell and its own commands; "
        "to run this program use the namespaces runtime (Linux); `minidocker doctor` tells how"
    )
