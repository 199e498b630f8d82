"""Containers without Linux: a shell and its commands in Python, run over the layers as a value.

It works wherever Python does. The union view is the root file system; the writable layer is kept as a tar in the
container's folder; processes are generators (`kernel`). Builds and `exec` run right here, in the engine's process. A
detached container has a monitor process, `python -m minidocker.runtime.simulated`, as with the other runtime: it
outlives the engine, and both meet in the container's folder:

    upper/layer.tar  upper.lock   the writable layer, and whose turn it is to change it
    control                       lines from engines to the monitor: `1 15` (pid, signal), `pause`, `unpause`
    processes.json                what runs inside, for `top` and `ps`
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from minidocker import layertar
from minidocker.content import FileLock, read_json, temp_path
from minidocker.errors import Conflict, StartError
from minidocker.layer import Changeset, diff, merge, view
from minidocker.runtime import NO_STDIO, Box, Process, Stdio, kernel, monitor
from minidocker.runtime.applets import COMMANDS
from minidocker.runtime.files import Files, Mounts
from minidocker.runtime.kernel import CannotRun, Kernel, Source, Stream
from minidocker.runtime.tool import rows
from minidocker.times import now
from minidocker.tree import Bytes, Tree
from minidocker.union import Union

NEVER = "0001-01-01T00:00:00Z"
MAX_RECORD = 16 * 1024  # bytes of a line that Docker's json-file log keeps in one record
FIRST_DELAY, LONGEST_DELAY, LONG_ENOUGH = 0.1, 60.0, 10.0  # seconds: Docker's back-off between restarts
SHORTEST_NAP, LONGEST_NAP, TURN = 0.0005, 0.02, 0.05  # seconds: between two looks; how long to keep the disk


class Disk:
    """The writable layer of a container, shared by all engines and monitors: whoever holds the lock may use `view`."""

    def __init__(self, path: Path, lower: Tree) -> None:
        self.path, self.lower = path, lower
        self.view = Union(lower=lower)
        self.saved, self.stamp = (
            self.view.writes,
            (0, 0) if self._stamp() else None,
        )  # (0, 0): there is something to load
        self._lock: FileLock | None = None

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = (self.path / "upper" / "layer.tar").stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino

    def acquire(self) -> None:
        """Take the lock, and see what others have written meanwhile."""
        (self.path / "upper").mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / "upper.lock")
        lock.acquire()
        self._lock = lock  # not before: another thread may be about to let go of its own
        stamp = self._stamp()
        if stamp != self.stamp:
            upper = layertar.read(self.path / "upper" / "layer.tar") if stamp else Changeset()
            self.show({path: replace(entry, data=Bytes(entry.data.read())) for path, entry in upper.items()})
            self.saved, self.stamp = self.view.writes, stamp

    def show(self, upper: Mapping[str, Any]) -> None:
        """Start over with this writable layer."""
        self.view = Union(lower=self.lower, upper=Changeset(upper))

    def release(self) -> None:
        """Save what has changed, and let go; nothing to do where Ctrl-C came while waiting for the lock."""
        if self._lock is None:
            return
        try:
            if self.view.writes != self.saved:
                self._save()
        finally:
            lock, self._lock = self._lock, None
            lock.release()

    def _save(self) -> None:
        target = self.path / "upper" / "layer.tar"
        temporary = temp_path(target)
        try:
            with temporary.open("xb") as out:
                layertar.write(self.view.changes(), out)
            temporary.replace(target)
            self.saved, self.stamp = self.view.writes, self._stamp()
        except BaseException:
            temporary.unlink(missing_ok=True)
            self.stamp = (0, 0)  # what cannot be saved was never there: load what is
            raise

    @contextmanager
    def held(self) -> Iterator[Union]:
        """`acquire` … `release`."""
        self.acquire()
        try:
            yield self.view
        finally:
            self.release()


class Input(Stream):
    """A file descriptor of the host to read from; it does not hold up the other processes where the system allows."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, size: int) -> bytes | None:
        """What there is; None while there is nothing."""
        if os.name == "posix" and sys.platform != "emscripten":
            import select

            if not select.select([self.fd], [], [], 0)[0]:
                return None
        return os.read(self.fd, size)


class Output(Stream):
    """A container's standard output or error: to the log, and to whoever is attached."""

    def __init__(self, fd: int | None, log: Log | None, name: str) -> None:
        self.fd, self.log, self.name = fd, log, name

    def write(self, data: bytes) -> None:
        """Pass on all of `data`; a reader that has gone is no error of the program's."""
        if self.log:
            self.log.write(self.name, data)
        try:
            while data and self.fd is not None:
                try:
                    data = data[os.write(self.fd, data) :]
                except BlockingIOError:
                    time.sleep(SHORTEST_NAP)
        except OSError:
            self.fd = None


class Log:
    """Docker's json-file log: one object a line, for each line of output or 16 KiB of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rest = {"stdout": b"", "stderr": b""}

    def write(self, stream: str, data: bytes) -> None:
        """Add output; the start of a line waits for its end."""
        *whole, self.rest[stream] = (self.rest[stream] + data).split(b"\n")
        self.append(stream, [piece for line in whole for piece in pieces(line + b"\n")])
        *full, self.rest[stream] = pieces(self.rest[stream])
        self.append(stream, full)

    def flush(self) -> None:
        """Write down lines that never got their end."""
        for stream, rest in self.rest.items():
            self.append(stream, [rest] if rest else [])
            self.rest[stream] = b""

    def append(self, stream: str, records: list[bytes]) -> None:
        """Write records to the end of the file, which is there from the start."""
        said = [{"log": record.decode(errors="replace"), "stream": stream, "time": now()} for record in records]
        with self.path.open("ab") as out:
            out.write("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in said).encode())


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


class Machine:
    """One kernel over a container's disk: for its first process (`main`), or for one `exec`."""

    def __init__(self, box: Box, disk: Disk, main: bool) -> None:
        self.box, self.disk, self.main = box, disk, main
        self.mounts = Mounts(disk.view, box.hostname or "localhost", box.binds, box.read_only)
        self.kernel = Kernel(COMMANDS, self.between)
        self.kernel.outside = self.pass_on
        self.nap, self.taken = SHORTEST_NAP, time.monotonic()
        self.read, self.shown, self.paused = 0, "", False
        self.on_pause: Callable[[bool], None] = lambda paused: None  # noqa: ARG005
        if not main:
            self.kernel.last_pid = max((row["pid"] for row in processes(box.path)), default=1)
            self.kernel.elsewhere = lambda: processes(box.path)

    def boot(self, process: Process, stdio: Stdio, log: Log | None = None) -> kernel.Process:
        """Make the first process, ready to run. Raises StartError with Docker's exit code."""
        files = Files(self.mounts)
        who = identify(kernel.Process(self.kernel, None, ["sh"], {}, files), process.user)
        self.kernel.last_pid -= 1
        try:
            enter(files, process.cwd)
        except OSError as error:
            text = f'chdir to cwd ("{process.cwd}") set in config.json failed: {reason(error)}'
            raise StartError(text, exit_code=127 if isinstance(error, FileNotFoundError) else 126) from None
        files.uid, files.gid, files.groups, home = who
        env = dict(text.split("=", 1) for text in process.env if "=" in text)
        env.setdefault("HOME", home)
        first = kernel.Process(self.kernel, None, list(process.args), env, files)
        first.attach(0, Source() if stdio.stdin is None else Input(stdio.stdin))
        first.attach(1, Output(stdio.stdout, log, "stdout"))
        first.attach(2, Output(stdio.stderr, log, "stderr"))
        try:
            return first.start(self.kernel.program(first, list(process.args)))
        except CannotRun as error:
            raise StartError(explain(process.args[0], error), exit_code=error.code) from None

    def between(self, idle: bool) -> None:
        """After each round of the kernel: let others at the disk, listen, and sleep if there is nothing to do."""
        if idle or self.paused or time.monotonic() - self.taken > TURN:
            self.report()
            self.disk.release()
            try:
                time.sleep(self.nap)
            finally:
                self.disk.acquire()
                self.mounts.root = self.disk.view
            self.taken = time.monotonic()
        self.nap = min(self.nap * 2, LONGEST_NAP) if idle or self.paused else SHORTEST_NAP
        if self.main:
            self.listen()
            while self.paused and 1 in self.kernel.processes:
                self.between(True)
        elif idle and not monitor.lives(self.box.path):
            for each in list(self.kernel.processes.values()):
                each.end(137)  # the container has ended, and with it all that was inside

    def listen(self) -> None:
        """Do what engines wrote into `control` since the last look."""
        try:
            if (self.box.path / "control").stat().st_size <= self.read:
                return
            text = (self.box.path / "control").read_bytes()[self.read :]
        except FileNotFoundError:
            return
        text = text[: text.rfind(b"\n") + 1]
        self.read += len(text)
        for line in text.decode().splitlines():
            if line in ("pause", "unpause"):
                self.paused = line == "pause"
                self.on_pause(self.paused)
                continue
            pid, signum = (int(word) for word in line.split())
            if target := self.kernel.processes.get(pid):
                target.signal(signum)

    def report(self) -> None:
        """Write down what runs, if that has changed."""
        if not self.main:
            return
        table = [
            {
                "pid": each.pid,
                "ppid": each.parent.pid if each.parent and each.parent.status is None else 0 if each.pid == 1 else 1,
                "user": str(each.files.uid),
                "command": " ".join(each.args),
            }
            for each in self.kernel.processes.values()
        ]
        text = json.dumps(table)
        if text != self.shown:
            self.shown = text
            write(self.box.path / "processes.json", text)

    def pass_on(self, pid: int, signum: int) -> bool:
        """A signal from an `exec` to the container's own processes."""
        if self.main or pid not in {row["pid"] for row in processes(self.box.path)}:
            return False
        if signum:
            control(self.box.path, f"{pid} {signum}")
        return True


def processes(path: Path) -> list[dict[str, Any]]:
    """What the container's monitor says runs inside."""
    try:
        found: list[dict[str, Any]] = read_json(path / "processes.json")
    except FileNotFoundError:
        return []
    return found


def control(path: Path, line: str) -> None:
    """Tell the monitor something."""
    with (path / "control").open("ab") as out:
        out.write(f"{line}\n".encode())


def write(path: Path, text: str) -> None:
    """Replace a small file as a whole. After a crash of the machine it is of no use, so no fsync."""
    temporary = temp_path(path)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def explain(name: str, error: CannotRun) -> str:
    """Docker's words for a program that cannot be started."""
    if error.code == 127 and error.reason == "not found":
        return f'exec: "{name}": ' + (
            f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
        )
    return f'exec: "{name}": {error.reason[:1].lower() + error.reason[1:]}'


def reason(error: OSError) -> str:
    """The kernel's words in Go's spelling, which is without a capital."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def enter(files: Files, cwd: str) -> None:
    """Make the working directory, as Docker does, and go there."""
    path = ""
    for name in posixpath.normpath(cwd).split("/"):
        path += f"/{name}" if name else ""
        if path and not files.find(path):
            files.mkdir(path)
    if not files.stat(cwd).is_dir:
        raise NotADirectoryError(20, "Not a directory", cwd)
    files.cwd = files.locate(cwd)


def identify(root: kernel.Process, user: str) -> tuple[int, int, frozenset[int], str]:
    """A `--user` as uid, gid, further groups and home folder, by the container's own `/etc/passwd` and `/etc/group`."""
    name, colon, group = user.partition(":")
    name = name or "0"
    accounts = [row for row in rows(root, "/etc/passwd") if len(row) > 5 and row[2].isdigit() and row[3].isdigit()]
    account = next((row for row in accounts if name in (row[0], row[2])), None)
    if account is None and not name.isdigit():
        raise StartError(f"unable to find user {name}: no matching entries in passwd file", exit_code=126)
    uid, gid, home = (int(account[2]), int(account[3]), account[5]) if account else (int(name), 0, "/")
    teams = [row for row in rows(root, "/etc/group") if row[2].isdigit()]
    if colon and group:
        found = next((int(row[2]) for row in teams if row[0] == group), int(group) if group.isdigit() else -1)
        if found < 0:
            raise StartError(f"unable to find group {group}: no matching entries in group file", exit_code=126)
        return uid, found, frozenset(), home
    extra = {int(row[2]) for row in teams if account and len(row) > 3 and account[0] in row[3].split(",")}
    return uid, gid, frozenset(extra), home


class Monitor:
    """One container's keeper, from its start to its end: state, log, restart policy."""

    def __init__(self, box: Box, disk: Disk, stdio: Stdio, started: Callable[[], None]) -> None:
        self.box, self.disk, self.stdio, self.started = box, disk, stdio, started
        self.log = Log(box.path / "log.jsonl") if box.log else None
        self.state: dict[str, Any] = {}

    def run(self) -> None:
        """Start the program, again and again where the restart policy says so. Raises StartError the first time."""
        lock = FileLock(self.box.path / "monitor.lock")
        for _ in range(40):  # somebody may only be looking whether it is held
            if lock.acquire(blocking=False):
                break
            time.sleep(0.005)
        else:
            raise StartError("container is already running")
        try:
            self.keep()
        finally:
            lock.release()

    def keep(self) -> None:
        """`run`, with the lock held."""
        (self.box.path / "control").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.state = read_json(self.box.path / "state.json")
        self.state = {"FinishedAt": NEVER, "StartedAt": NEVER} | self.state
        self.state |= {"RestartCount": 0, "OOMKilled": False, "Dead": False, "Monitor": os.getpid(), "Boot": boot_id()}
        delay = 0.0
        while True:
            began = time.monotonic()
            code = self.once()
            again = self.should_restart(code)
            self.write(Status="restarting" if again else "exited", Running=again, Restarting=again, ExitCode=code)
            long_enough = time.monotonic() - began >= LONG_ENOUGH
            delay = FIRST_DELAY if long_enough or not delay else min(delay * 2, LONGEST_DELAY)
            if not (again and self.wait(delay)):
                return
            self.state["RestartCount"] += 1

    def once(self) -> int:
        """Run the program to its end; its exit code."""
        with self.disk.held():
            machine = Machine(self.box, self.disk, main=True)
            machine.on_pause = lambda paused: self.write(Paused=paused, Status="paused" if paused else "running")
            machine.read = (self.box.path / "control").stat().st_size if (self.box.path / "control").exists() else 0
            first = machine.boot(self.box.process, self.stdio, self.log)
            machine.report()
            self.state |= {"Paused": False, "Pid": os.getpid(), "Error": "", "StartedAt": now()}
            self.write(Status="running", Running=True, Restarting=False, ExitCode=0)
            self.started()
            try:
                code = machine.kernel.run(first)
            except KeyboardInterrupt:
                self.write(Status="exited", Running=False, Restarting=False, ExitCode=130)
                raise
            finally:
                machine.report()
                if self.log:
                    self.log.flush()
        return code

    def write(self, **changes: Any) -> None:
        """Change the state and write it down."""
        self.state |= changes
        if changes["Status"] in ("exited", "restarting"):
            self.state |= {"FinishedAt": now(), "Pid": 0, "Paused": False}
        write(self.box.path / "state.json", json.dumps(self.state))

    def should_restart(self, code: int) -> bool:
        """Docker's restart policies; none applies to a container that a person stopped."""
        policy, most = self.box.restart
        if (self.box.path / "stopped").exists():
            return False
        if policy == "on-failure":
            return code != 0 and (most == 0 or self.state["RestartCount"] < most)
        return policy in ("always", "unless-stopped")

    def wait(self, delay: float) -> bool:
        """Let the back-off pass; False where somebody stops the container meanwhile."""
        end = time.monotonic() + delay
        while time.monotonic() < end:
            time.sleep(LONGEST_NAP)
            if (self.box.path / "stopped").exists():
                self.write(Status="exited", Running=False, Restarting=False)
                return False
        return True


def boot_id() -> str:
    """What tells this run of the machine from all others, where the system has such a thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Simulated:
    """The runtime for machines that start no real containers."""

    name = "simulated"

    def __init__(self) -> None:
        self._disks: dict[Path, Disk] = {}
        self._monitors: list[Any] = []  # our children, to be reaped

    def _disk(self, box: Box) -> Disk:
        """The container's writable layer, read once."""
        if box.path not in self._disks:
            self._disks[box.path] = Disk(box.path, view(tuple(layer.changes for layer in box.layers)))
            for old in list(self._disks)[:-8]:
                del self._disks[old]
        return self._disks[box.path]

    def start(self, box: Box, stdio: Stdio = NO_STDIO) -> None:
        """Start the program: attached or connected to descriptors right here, to its end; else in a monitor process."""
        box.path.mkdir(parents=True, exist_ok=True)
        if (
            stdio.attached or stdio != NO_STDIO or sys.platform == "emscripten"
        ):  # where there are no processes, nothing can be detached
            Monitor(box, self._disk(box), stdio, lambda: None).run()
            return
        self._detach(box)

    def _detach(self, box: Box) -> None:
        """Start a monitor process and wait until it says that the program runs."""
        import pickle
        import subprocess

        self._monitors = [each for each in self._monitors if each.poll() is None]
        lower = view(tuple(layer.changes for layer in box.layers))
        package = str(Path(__file__).parent.parent.parent)
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
        keeper = subprocess.Popen(
            [sys.executable, "-S", "-m", "minidocker.runtime.simulated"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
            **apart,
        )
        self._monitors.append(keeper)
        assert keeper.stdin and keeper.stdout
        with keeper.stdin as out, keeper.stdout as answers:
            with contextlib.suppress(BrokenPipeError):
                out.write(pickle.dumps((replace(box, layers=(), path=box.path.absolute()), lower)))
                out.close()
            answer = answers.readline()
        if not answer:
            raise StartError("the container's monitor process ended before the program ran")
        said = json.loads(answer)
        if "error" in said:
            raise StartError(said["error"], exit_code=said["exit_code"])

    def signal(self, box: Box, signum: int) -> None:
        """Send a signal to the container's first process."""
        self._running(box)
        control(box.path, f"1 {int(signum)}")

    def pause(self, box: Box) -> None:
        """Hold every process of the container between two steps."""
        self._set_paused(box, True)

    def unpause(self, box: Box) -> None:
        """Let them go on."""
        self._set_paused(box, False)

    def _set_paused(self, box: Box, paused: bool) -> None:
        if self._running(box)["Paused"] == paused:
            raise Conflict(f"Container {box.path.name} is {'already' if paused else 'not'} paused")
        control(box.path, "pause" if paused else "unpause")
        while monitor.lives(box.path) and read_json(box.path / "state.json")["Paused"] != paused:
            time.sleep(SHORTEST_NAP * 10)

    def _running(self, box: Box) -> dict[str, Any]:
        """The state of a container that runs. Raises Conflict where it does not."""
        if monitor.lives(box.path):
            state: dict[str, Any] = read_json(box.path / "state.json")
            if state.get("Running"):
                return state
        raise Conflict(f"Container {box.path.name} is not running")

    def exec(self, box: Box, process: Process, stdio: Stdio = NO_STDIO) -> int:
        """Run one more process inside, right here, and return its exit code. What it leaves running ends with it."""
        self._running(box)
        disk = self._disk(box)
        with disk.held():
            machine = Machine(box, disk, main=False)
            return machine.kernel.run(machine.boot(process, stdio))

    def top(self, box: Box) -> list[dict[str, Any]]:
        """The processes inside, by the numbers that they have there."""
        self._running(box)
        return processes(box.path)

    def changes(self, box: Box) -> Changeset:
        """The writable layer."""
        with self._disk(box).held() as disk:
            return disk.changes()

    def apply(self, box: Box, changes: Changeset) -> None:
        """Write entries into the container's file system as its processes see it, binds included, running or not."""
        disk = self._disk(box)
        here = {path: replace(entry, data=Bytes(entry.data.read())) for path, entry in changes.items()}
        with disk.held() as before:
            mounts = Mounts(before, box.hostname, box.binds, box.read_only)
            mounted = {path for path in here if mounts.route(path)[2] != "/"}
            own = {path: entry for path, entry in here.items() if path not in mounted}
            disk.show(diff(disk.lower, merge(before.tree(), Changeset(own, changes.opaque))))
            disk.saved = -1
        for path in sorted(mounted):
            mounts.put(path, here[path])

    def remove(self, box: Box) -> None:
        """Delete the writable layer. Raises Conflict where the container runs."""
        if monitor.lives(box.path):
            raise Conflict(f"cannot remove container {box.path.name}: container is running: stop the container first")
        self._disks.pop(box.path, None)
        shutil.rmtree(box.path / "upper", ignore_errors=True)
        for name in ("upper.lock", "control", "processes.json"):
            (box.path / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing of the engine's has to end; containers live on with their monitors."""


def main() -> None:
    """Be the monitor of the container that is described on standard input."""
    import pickle

    def say(answer: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            os.write(1, json.dumps(answer).encode() + b"\n")
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)

    box, lower = pickle.loads(sys.stdin.buffer.read())  # from our parent, by a pipe that is ours
    os.chdir("/")
    try:
        Monitor(box, Disk(box.path, lower), NO_STDIO, lambda: say({})).run()
    except StartError as error:
        say({"error": error.explanation, "exit_code": error.exit_code})


if __name__ == "__main__":
    main()
