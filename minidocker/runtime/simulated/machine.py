"""A simulated container from inside: its disk, its log, and the kernel that runs over them.

upper/layer.tar  upper.lock   the writable layer, and whose turn it is to change it
control                       lines from engines to the monitor: `1 15` (pid, signal), `pause`, `unpause`
processes.json                what runs inside, for `top` and `ps`
"""

from __future__ import annotations

import json
import os
import posixpath
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from minidocker import layertar
from minidocker.content import FileLock, read_json, temp_path
from minidocker.errors import StartError
from minidocker.layer import Changeset, diff
from minidocker.runtime import Box, Mount, Process, Stdio, Tmpfs, Volume, Wire, monitor, names
from minidocker.runtime.jsonlog import pieces
from minidocker.runtime.simulated import kernel
from minidocker.runtime.simulated.applets import COMMANDS
from minidocker.runtime.simulated.files import Files, Mounts
from minidocker.runtime.simulated.kernel import CannotRun, Kernel
from minidocker.runtime.simulated.neighbours import Neighbours
from minidocker.runtime.simulated.streams import Source, Stream
from minidocker.runtime.simulated.tool import rows
from minidocker.times import now
from minidocker.tree import Bytes, Tree, prefix
from minidocker.union import Union

SHORTEST_NAP, LONGEST_NAP, TURN = 0.0005, 0.02, 0.05  # seconds: between two looks; how long to keep the disk


class Disk:
    """The writable layer of a container, shared by all engines and monitors: whoever holds the lock may use `view`."""

    def __init__(self, path: Path, lower: Tree, first: Changeset | None = None) -> None:
        self.path, self.lower, self.first = path, lower, first
        self.view = Union(lower=lower)
        self.stubs: set[str] = set()  # what was only made for something to be mounted on
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
        elif self.first and not stamp:
            self.show(self.first)
            self.saved = -1

    def changes(self) -> Changeset:
        """The writable layer, less the places that nobody used but as a place to mount something on."""
        seen = self.view.tree().entries()
        for path in sorted(self.stubs & seen.keys(), reverse=True):
            if not seen[path].size and not any(other.startswith(prefix(path)) for other in seen):
                del seen[path]
        return diff(self.lower, Tree.trusted(seen))

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


@contextmanager
def held_volumes(box: Box) -> Iterator[dict[Path, Disk]]:
    """The volumes of a container, each for oneself: in the order of their paths, so that no two wait for each other."""
    wanted = sorted({mount.path: mount for mount in box.mounts if isinstance(mount, Volume)}.items())
    disks = {path: Disk(path, Tree(), volume.first) for path, volume in wanted}
    with ExitStack() as stack:
        for disk in disks.values():
            stack.enter_context(disk.held())
        yield disks


def with_memory(box: Box) -> tuple[Mount, ...]:
    """What is mounted, with the shared memory of the container, which has its size."""
    own = () if any(mount.target == "/dev/shm" for mount in box.mounts) else (Tmpfs("/dev/shm", size=box.shm_size),)
    return (*own, *box.mounts)


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

    def __init__(self, path: Path, attrs: Mapping[str, str] | None = None) -> None:
        self.path, self.more = path, {"attrs": dict(attrs)} if attrs else {}
        self.rest = {"stdout": b"", "stderr": b""}
        self.append("stdout", [])

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
        said = [
            {"log": record.decode(errors="replace"), "stream": stream, **self.more, "time": now()} for record in records
        ]
        with self.path.open("ab") as out:
            out.write("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in said).encode())


class Machine:
    """One kernel over a container's disk: for its first process (`main`), or for one `exec`."""

    def __init__(self, box: Box, disk: Disk, main: bool, volumes: Mapping[Path, Disk] | None = None) -> None:
        self.box, self.disk, self.main = box, disk, main
        self.disks = [disk, *(volumes or {}).values()]
        self.mounts = Mounts(disk.view, names.contents(box), with_memory(box), box.read_only, volumes or {}, disk.stubs)
        self.kernel = Kernel(COMMANDS, self.between)
        self.kernel.outside = self.pass_on
        self.kernel.neighbours = Neighbours(box)
        self.nap, self.taken = SHORTEST_NAP, time.monotonic()
        self.read, self.shown, self.paused = 0, "", False
        self.on_pause: Callable[[bool], None] = lambda paused: None  # noqa: ARG005
        self.each_round: Callable[[], None] = lambda: None
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
            text = f'chdir to cwd ("{process.cwd}") set in config.json failed: {lowered(error.strerror or str(error))}'
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
            for disk in self.disks:
                disk.release()
            try:
                time.sleep(self.nap)
            finally:
                for disk in self.disks:
                    disk.acquire()
                self.mounts.root = self.disk.view
            self.taken = time.monotonic()
        self.nap = min(self.nap * 2, LONGEST_NAP) if idle or self.paused else SHORTEST_NAP
        if self.main:
            self.each_round()
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
            if line.startswith("hosts "):
                self.rewrite(json.loads(line.removeprefix("hosts ")))
                continue
            if line in ("pause", "unpause"):
                self.paused = line == "pause"
                self.on_pause(self.paused)
                continue
            pid, signum = (int(word) for word in line.split())
            if target := self.kernel.processes.get(pid):
                target.signal(signum)

    def rewrite(self, told: Mapping[str, Any]) -> None:
        """Bring /etc/hosts up to date: the networks that it is on now, and its links; what others wrote there stays."""
        wires, known = (
            tuple(Wire(**wire) for wire in told["wires"]),
            replace(self.box.names, links=tuple(told["links"])),
        )
        self.box = replace(self.box, wires=wires, names=known)
        system, there = self.mounts.table[names.TARGETS["hosts"]][0], names.TARGETS["hosts"]
        if entry := system.get(there):
            text = names.with_networks(entry.data.read().decode(errors="replace"), self.box)
            system.write(there, text.encode(), entry.mode, False, entry.uid, entry.gid)

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
    text = lowered(error.reason)
    if (error.code, text) == (127, "not found"):
        text = f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
    return f'exec: "{name}": {text}'


def lowered(text: str) -> str:
    """The kernel's words in Go's spelling, which is without a capital."""
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
    name, group = f"{user}:".split(":")[:2]
    name = name or "0"
    accounts = [row for row in rows(root, "/etc/passwd") if len(row) > 5 and row[2].isdigit() and row[3].isdigit()]
    account = next((row for row in accounts if name in (row[0], row[2])), None)
    if account is None and not name.isdigit():
        raise StartError(f"unable to find user {name}: no matching entries in passwd file", exit_code=126)
    uid, gid, home = (int(account[2]), int(account[3]), account[5]) if account else (int(name), 0, "/")
    teams = [row for row in rows(root, "/etc/group") if row[2].isdigit()]
    if group:
        found = next((int(row[2]) for row in teams if row[0] == group), int(group) if group.isdigit() else -1)
        if found < 0:
            raise StartError(f"unable to find group {group}: no matching entries in group file", exit_code=126)
        return uid, found, frozenset(), home
    extra = {int(row[2]) for row in teams if account and len(row) > 3 and account[0] in row[3].split(",")}
    return uid, gid, frozenset(extra), home
