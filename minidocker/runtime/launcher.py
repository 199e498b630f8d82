"""The small process that forks: a container starts without starting a Python interpreter.

Each engine process has one launcher, started on first use. It always has one worker forked ahead, which waits on the
engine's socket; when that one takes a request, the launcher forks the next.

    launcher ──fork──▶ monitor ──clone──▶ the container's first process ──execve──▶ the program
             └─fork──▶ worker  ──setns, fork──▶ one more process inside (`docker exec`)

A *monitor* is what containerd-shim and conmon are for others: it keeps the log, waits for the program, applies the
restart policy and writes `state.json`. It outlives launcher and engine. If it is killed, its container dies with it.
The launcher dies when its engine does, and imports only what it needs of the standard library.
"""

# ruff: noqa: PTH104, PTH110, PTH115, PTH123
from __future__ import annotations

import array  # noqa: F401 - what `socket` takes only when it passes descriptors, then in each worker anew
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from json.encoder import encode_basestring
from typing import Any

from minidocker.runtime import inside, linux
from minidocker.runtime.inside import Refusal

NEVER = "0001-01-01T00:00:00Z"
MAX_RECORD = 16 * 1024  # bytes of a line that Docker's json-file log keeps in one record
FIRST_DELAY, LONGEST_DELAY, LONG_ENOUGH = 0.1, 60.0, 10.0  # seconds: Docker's back-off between restarts
WAKE = signal.SIGUSR1  # tells a monitor that waits to restart its container to look whether it still should


# Messages: a length, then JSON, with file descriptors beside it


def send(to: socket.socket, message: Mapping[str, Any], fds: list[int] | None = None) -> None:
    """Send one message."""
    data = json.dumps(message).encode()
    frame = struct.pack("<I", len(data)) + data
    sent = socket.send_fds(to, [frame], fds) if fds else 0
    to.sendall(frame[sent:])


def receive(source: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive one message; EOFError where the other side has gone."""
    data, fds, _, _ = socket.recv_fds(source, 1 << 16, 8, socket.MSG_CMSG_CLOEXEC)
    while len(data) < 4 or len(data) < 4 + struct.unpack_from("<I", data)[0]:
        more = source.recv(1 << 20)
        if not more:
            raise EOFError("the other side has gone")
        data += more
    return json.loads(data[4:]), fds


def main(fd: int) -> None:
    """Serve an engine until it goes."""
    with suppress(OSError):
        os.setsid()  # Ctrl-C in the engine's terminal is not meant for us
    os.chdir("/")
    for signum in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, *inside.IGNORED}:
        signal.signal(signum, signal.SIG_DFL)  # whatever the engine ignores, containers should not
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # workers leave no zombies
    linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_CLEAR_ALL)
    gc.disable()
    gc.freeze()
    boot_id()
    identity("uid"), identity("gid")
    server = socket.socket(fileno=fd)
    while True:
        taken_end, taken_start = os.pipe()
        if os.fork() == 0:
            os.close(taken_end)
            data, fds, _, _ = socket.recv_fds(server, 1, 1, socket.MSG_CMSG_CLOEXEC)
            if data:
                with suppress(BrokenPipeError):
                    os.write(taken_start, b"!")
                os.close(taken_start)
                server.close()
                worker(socket.socket(fileno=fds[0]))
            os._exit(0)
        os.close(taken_start)
        if not os.read(taken_end, 1):
            return  # nobody is left who could ask
        os.close(taken_end)


def worker(client: socket.socket) -> None:
    """Do what one request asks for, in a process of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, fds = receive(client)
    stdio = [fds.pop(0) if given else None for given in request["stdio"]]
    try:
        if request["do"] == "start":
            Monitor(request["box"], stdio, client).run()
        elif request["do"] == "hold":
            hold(request["box"], client)
        else:
            execute(request, stdio, client)
    except Refusal as refusal:
        answer(client, {"error": str(refusal), "exit_code": refusal.exit_code})
    except Exception as error:
        answer(client, {"error": f"{type(error).__name__}: {error}", "exit_code": 125})


def answer(client: socket.socket, message: Mapping[str, Any]) -> None:
    """Answer a request, unless whoever asked has gone."""
    with suppress(OSError):
        send(client, message)


# What is known of a container: state.json


def now() -> str:
    """The time in RFC 3339 with nanoseconds: `2026-11-23T06:40:00.123456789Z`."""
    seconds, nanos = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanos:09d}Z"


@cache
def boot_id() -> str:
    """What tells this run of the machine from all others."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def read_state(path: str) -> dict[str, Any]:
    """What `state.json` says; empty where there is none yet."""
    try:
        with open(f"{path}/state.json", encoding="utf-8") as file:
            state: dict[str, Any] = json.load(file)
            return state
    except FileNotFoundError:
        return {}


def write_state(path: str, state: Mapping[str, Any]) -> None:
    """Replace `state.json` in one step. That something runs is of no use after a crash of the machine: no fsync."""
    temporary = f"{path}/state.json.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    os.write(fd, json.dumps(state).encode())
    if not state["Running"]:
        os.fsync(fd)
    os.close(fd)
    os.rename(temporary, f"{path}/state.json")


@contextmanager
def state_lock(path: str) -> Iterator[None]:
    """Keep everybody else from changing `state.json`, by a lock on the folder that it lies in."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


# The monitor


class Monitor:
    """One container's keeper, from its start to its end."""

    def __init__(self, box: dict[str, Any], stdio: list[int | None], client: socket.socket) -> None:
        self.box, self.path, self.stdio = box, box["path"], stdio
        self.client: socket.socket | None = client
        self.state: dict[str, Any] = {}
        self.log = Log(f"{self.path}/log.jsonl") if box["log"] else None

    def run(self) -> None:
        """Start the program, again and again where the restart policy says so, and leave when it has ended for good."""
        os.setsid()
        signal.pthread_sigmask(signal.SIG_BLOCK, [WAKE])
        lock(self.path)
        self.state = {"Status": "created", "StartedAt": NEVER, "FinishedAt": NEVER} | read_state(self.path)
        self.state |= {"RestartCount": 0, "OOMKilled": False, "Dead": False, "Monitor": os.getpid(), "Boot": boot_id()}
        delay = 0.0
        while True:
            began = time.monotonic()
            try:
                child = self.launch()
            except Refusal as refusal:
                self.refuse(refusal)
                return
            self.running(child)
            self.pump(child)
            code = exit_status(child)
            long_enough = time.monotonic() - began >= LONG_ENOUGH
            delay = FIRST_DELAY if long_enough or not delay else min(delay * 2, LONGEST_DELAY)
            again = self.should_restart(code)
            self.ended(code, again)
            os.waitpid(child, 0)  # only now may its number be given to another process
            if not (again and self.wait(delay)):
                return
            self.state["RestartCount"] += 1

    def launch(self) -> int:
        """Start the container's first process and return its number, once the program runs. Raises Refusal."""
        box = self.box
        pipes = [os.pipe() if self.log and stream else None for stream in range(3)]

        def become() -> None:
            connect([pipe[1] if pipe else fd for pipe, fd in zip(pipes, self.stdio, strict=True)])
            os.setsid()
            inside.build(box)
            inside.step_in(box["process"], box["rootless"])

        try:
            child = bear(box, become)
        except Refusal:
            for pipe in pipes:
                os.close(pipe[0]) if pipe else None
            raise
        finally:
            for pipe in pipes:
                os.close(pipe[1]) if pipe else None
        self.outputs = {pipe[0]: stream for stream, pipe in enumerate(pipes) if pipe}
        return child

    def running(self, child: int) -> None:
        """Write down that the program runs, and tell whoever asked for it."""
        self.write(Status="running", Running=True, Restarting=False, Paused=False, Pid=child)
        if self.client:
            answer(self.client, {})
            self.client.close()
            self.client = None

    def write(self, **changes: Any) -> None:
        """Change the state and write it down."""
        if changes["Status"] == "running":
            changes |= {"StartedAt": now(), "ExitCode": 0, "Error": ""}
        else:
            changes = {"FinishedAt": now(), "Pid": 0, "Paused": False} | changes
        with state_lock(self.path):
            self.state |= changes
            write_state(self.path, self.state)

    def pump(self, child: int) -> None:
        """Carry the program's output to the log, and to whoever is attached, until it has ended and all is read."""
        with open(os.pidfd_open(child), "rb", buffering=0) as ended:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            for fd in self.outputs:
                os.set_blocking(fd, False)
                poll.register(fd, select.POLLIN)
            alive = True
            while alive:
                ready = {fd for fd, _ in poll.poll()}
                alive = ended.fileno() not in ready
                for fd in [fd for fd in self.outputs if fd in ready or not alive]:
                    if not self.carry(fd, drain=not alive):
                        poll.unregister(fd)
                        os.close(fd)
                        del self.outputs[fd]
        for fd in self.outputs:
            os.close(fd)
        if self.log:
            self.log.flush()

    def carry(self, fd: int, drain: bool) -> bool:
        """Read what is there (`drain`: all of it); False at the end of the stream."""
        stream = self.outputs[fd]
        while True:
            try:
                data = os.read(fd, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            if self.log:
                self.log.write(stream, data)
            tee = self.stdio[stream]
            if tee is not None and not write_all(tee, data):
                os.close(tee)
                self.stdio[stream] = None
            if not drain:
                return True

    def should_restart(self, code: int) -> bool:
        """Docker's restart policies; none applies to a container that a person stopped."""
        policy, most = self.box["restart"]
        if os.path.exists(f"{self.path}/stopped"):
            return False
        if policy == "on-failure":
            return code != 0 and (most == 0 or self.state["RestartCount"] < most)
        return policy in ("always", "unless-stopped")

    def ended(self, code: int, again: bool) -> None:
        """Write down that the program ended. Docker counts a container that will restart as running."""
        status = "restarting" if again else "exited"
        self.write(Status=status, Running=again, Restarting=again, ExitCode=code)

    def wait(self, delay: float) -> bool:
        """Let the back-off pass; False where somebody stops the container meanwhile."""
        woken = signal.sigtimedwait([WAKE], delay)
        if woken is None and not os.path.exists(f"{self.path}/stopped"):
            return True
        self.write(Status="exited", Running=False, Restarting=False)
        return False

    def refuse(self, refusal: Refusal) -> None:
        """Write down why the program did not start; a container that never ran stays `created`."""
        said = {"ExitCode": refusal.exit_code, "Error": str(refusal)}
        if self.state["StartedAt"] == NEVER:
            self.write(Status="created", Running=False, Restarting=False, FinishedAt=NEVER, **said)
        else:
            self.write(Status="exited", Running=False, Restarting=False, **said)
        if self.client:
            answer(self.client, {"error": str(refusal), "exit_code": refusal.exit_code})


class Log:
    """Docker's json-file log: one object a line, for each line of output or 16 KiB of it."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.rest = {1: b"", 2: b""}

    def write(self, stream: int, data: bytes) -> None:
        """Add output; the start of a line waits for its end."""
        *lines, rest = (self.rest[stream] + data).split(b"\n")
        records = [piece for line in lines for piece in pieces(line + b"\n")]
        *full, self.rest[stream] = pieces(rest)
        self.append(stream, records + full)

    def flush(self) -> None:
        """Write down lines that never got their end."""
        for stream, rest in self.rest.items():
            self.append(stream, [rest] if rest else [])
            self.rest[stream] = b""

    def append(self, stream: int, records: list[bytes]) -> None:
        """Write records to the end of the file."""
        name = {1: "stdout", 2: "stderr"}[stream]
        tail = f',"stream":"{name}","time":"{now()}"}}\n'
        lines = [f'{{"log":{encode_basestring(record.decode(errors="replace"))}{tail}' for record in records]
        write_all(self.fd, "".join(lines).encode())


def pieces(line: bytes) -> list[bytes]:
    """Cut a line into records, never inside a UTF-8 character; there is always a last one, which may be empty."""
    found = []
    while len(line) > MAX_RECORD:
        end = MAX_RECORD
        while end > MAX_RECORD - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        found.append(line[:end])
        line = line[end:]
    return [*found, line]


def write_all(fd: int, data: bytes) -> bool:
    """Write all of it, waiting where the reader is slow; False where the reader has gone."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True


# Births


def lock(path: str) -> None:
    """Take the lock that says: this container has a monitor. It is let go when this process ends."""
    fd = os.open(f"{path}/monitor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(20):  # somebody may only be looking whether it is held
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.005)
    raise Refusal("container is already running")


def bear(box: Mapping[str, Any], become: Callable[[], None], flags: int | None = None) -> int:
    """Start a process in new namespaces that will `become` a program; return its number once it has. Raises Refusal."""
    error_end, error_start = os.pipe()
    go_end, go_start = os.pipe()
    child = linux.clone(namespaces(box) if flags is None else flags)
    if child == 0:
        try:
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(go_start)
            if os.read(go_end, 1):  # the ids of the user namespace are mapped, and the parent is alive
                become()
        except BaseException as error:
            confess(error_start, error)
        os._exit(125)
    os.close(error_start)
    os.close(go_end)
    try:
        map_ids(child, box["userns"])
        os.write(go_start, b"!")
        os.close(go_start)
        check_confession(error_end)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return child


def hold(box: Mapping[str, Any], client: socket.socket) -> None:
    """Show a stopped container's file system, in a process that only waits, until the client has done with it."""
    lock(box["path"])

    def become() -> None:
        inside.build(box)
        os.closerange(3, 1 << 30)  # the parent waits for this
        signal.pause()

    child = bear(box, become)
    answer(client, {"pid": child})
    client.recv(1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    answer(client, {})


def namespaces(box: Mapping[str, Any]) -> int:
    """The clone flags of a container: seven new namespaces, or fewer where it asks for the host's."""
    flags = linux.NEWNS | linux.NEWPID | linux.NEWUTS | linux.NEWIPC | linux.NEWCGROUP
    flags |= 0 if box["network"] == "host" else linux.NEWNET
    return flags | (linux.NEWUSER if box["userns"] else 0)


def map_ids(child: int, how: str) -> None:
    """Map the ids of a new user namespace: `same` ones inside and outside, or only `one`: we are root inside."""
    if not how:
        return
    if how == "one":
        with open(f"/proc/{child}/setgroups", "w") as file:
            file.write("deny")
    for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
        lines = f"0 {own} 1" if how == "one" else identity(kind)
        with open(f"/proc/{child}/{kind}_map", "w") as file:
            file.write(lines)


@cache
def identity(kind: str) -> str:
    """A map of all the `uid`s or `gid`s that we have to themselves."""
    with open(f"/proc/self/{kind}_map") as file:
        ours = [line.split() for line in file]
    return "\n".join(f"{first} {first} {count}" for first, _, count in ours)


def connect(stdio: list[int | None]) -> None:
    """Make the descriptors this process's standard streams; None is /dev/null."""
    for stream, fd in enumerate(stdio):
        if fd is not None:
            os.dup2(fd, stream)


def confess(pipe: int, error: BaseException) -> None:
    """Tell the parent why the program did not start, and end."""
    code = error.exit_code if isinstance(error, Refusal) else 125
    text = str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    os.write(pipe, json.dumps([text, code]).encode()[:60000])
    os._exit(code)


def check_confession(pipe: int) -> None:
    """Wait until the child runs its program; raise the Refusal that it sent instead."""
    with open(pipe, "rb") as reader:
        said = reader.read()
    if said:
        text, code = json.loads(said)
        raise Refusal(text, code)


def exit_status(child: int) -> int:
    """The exit code of a child that has ended, 128 + n after signal n; the child stays a zombie."""
    found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert found is not None
    return found.si_status if found.si_code == os.CLD_EXITED else 128 + found.si_status


# One more process inside


def execute(request: Mapping[str, Any], stdio: list[int | None], client: socket.socket) -> None:
    """Run one more process in a container; it goes when whoever asked for it goes."""
    linux.prctl(linux.PR_SET_DUMPABLE, 0)  # nobody inside may look into us before we are the program
    target = os.pidfd_open(request["pid"])
    linux.setns(target, other_namespaces(request["pid"]))
    error_end, error_start = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            connect(stdio)
            os.setsid()
            inside.step_in(request["process"], request["rootless"])
        except BaseException as error:
            confess(error_start, error)
    os.close(error_start)
    for fd in stdio:
        if fd is not None:
            os.close(fd)
    try:
        check_confession(error_end)
    except Refusal:
        os.waitpid(child, 0)
        raise
    poll = select.poll()
    poll.register(ended := os.pidfd_open(child), select.POLLIN)
    poll.register(client, select.POLLIN)
    if ended not in {fd for fd, _ in poll.poll()}:
        os.kill(child, signal.SIGKILL)
    code = exit_status(child)
    os.waitpid(child, 0)
    answer(client, {"exit_code": code})


def other_namespaces(pid: int) -> int:
    """The clone flags of those namespaces in which a process is and we are not."""
    kinds = {
        "user": linux.NEWUSER,
        "mnt": linux.NEWNS,
        "pid": linux.NEWPID,
        "uts": linux.NEWUTS,
        "ipc": linux.NEWIPC,
        "net": linux.NEWNET,
        "cgroup": linux.NEWCGROUP,
    }
    return sum(flag for kind, flag in kinds.items() if not same_namespace(pid, kind))


def same_namespace(pid: int, kind: str) -> bool:
    """Whether a process is in the same namespace of a kind as we are."""
    return os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
