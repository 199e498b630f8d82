"""Containers without Linux: a shell and its commands in Python, run over the layers as a value.

It works wherever Python does. The union view is the root file system; the writable layer is kept as a tar in the
container's folder; processes are generators (`kernel`), run by a `Machine`. Builds and `exec` run right here, in the
engine's process. A detached container has a monitor process, `python -m minidocker.runtime.simulated.runtime`, as with
the other runtime: it outlives the engine, and both meet in the container's folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from minidocker import journal
from minidocker.content import FileLock, read_json
from minidocker.errors import Conflict, StartError, Unsupported
from minidocker.layer import Changeset, diff, merge, view
from minidocker.plugin.releasing import release
from minidocker.runtime import NO_STDIO, Bind, Box, Client, Process, Stdio, Usage, Wire, health, monitor, names
from minidocker.runtime.capabilities import DEFAULT
from minidocker.runtime.policy import policy_of, restarts
from minidocker.runtime.simulated.doors import check as check_ports
from minidocker.runtime.simulated.doors import published
from minidocker.runtime.simulated.files import Mounts
from minidocker.runtime.simulated.machine import (
    LONGEST_NAP,
    SHORTEST_NAP,
    Disk,
    Log,
    Machine,
    control,
    held_volumes,
    processes,
    write,
)
from minidocker.runtime.simulated.mounted import folder_of, listing, pour
from minidocker.runtime.simulated.rounds import Rounds
from minidocker.times import now
from minidocker.tree import Bytes, Tree

NEVER = "0001-01-01T00:00:00Z"
FIRST_DELAY, LONGEST_DELAY, LONG_ENOUGH = 0.1, 60.0, 10.0  # seconds: Docker's back-off between restarts


class Monitor:
    """One container's keeper, from its start to its end: state, log, restart policy."""

    def __init__(self, box: Box, disk: Disk, stdio: Stdio, started: Callable[[], None]) -> None:
        self.box, self.disk, self.stdio, self.started = box, disk, stdio, started
        self.log = Log(box.path / "log.jsonl", box.log_file.attrs) if box.log and box.log_file else None
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
        with contextlib.suppress(FileNotFoundError, ValueError):  # or cut short by a crash of the machine
            self.state = read_json(self.box.path / "state.json")
        self.state = {"FinishedAt": NEVER, "StartedAt": NEVER} | self.state
        self.state |= {
            "RestartCount": 0,
            "OOMKilled": False,
            "Dead": False,
            "Monitor": os.getpid(),
            "Boot": monitor.boot_id(),
        }
        delay = 0.0
        while True:
            began = time.monotonic()
            code = self.once()
            again = self.should_restart(code)
            self.write(Status="restarting" if again else "exited", Running=again, Restarting=again, ExitCode=code)
            self.tell("die", exitCode=str(code))
            for wire in self.box.wires:
                about = {"name": wire.name, "type": wire.driver, "container": self.box.path.name}
                journal.append(str(self.box.path.parent.parent), "network", "disconnect", wire.network, about)
            if not again and (config := self.config()):
                release(str(self.box.path.parent.parent), config)
            long_enough = time.monotonic() - began >= LONG_ENOUGH
            delay = FIRST_DELAY if long_enough or not delay else min(delay * 2, LONGEST_DELAY)
            if not (again and self.wait(delay)):
                return
            self.state["RestartCount"] += 1

    def once(self) -> int:
        """Run the program to its end; its exit code."""
        with self.disk.held(), held_volumes(self.box) as volumes, published(self.box) as ports:
            machine = Machine(self.box, self.disk, main=True, volumes=volumes)
            machine.on_pause = self.paused
            machine.read = (self.box.path / "control").stat().st_size if (self.box.path / "control").exists() else 0
            first = machine.boot(self.box.process, self.stdio, self.log)
            machine.report()
            self.state |= {"Paused": False, "Pid": os.getpid(), "Error": "", "StartedAt": now(), "Ports": ports}
            former = self.state.pop("Health", None)
            checked = {"Health": health.fresh(former)} if self.box.health else {}
            self.write(Status="running", Running=True, Restarting=False, ExitCode=0, **checked)
            if self.box.health:
                machine.each_round = Rounds(machine, self.box.health, self.judge, self.tell).look
            self.tell("start")
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
        if changes["Status"] != "running" and "Health" in self.state:  # as Docker: nobody can say that it is well
            self.state["Health"] |= {"Status": "unhealthy"}
        write(self.box.path / "state.json", json.dumps(self.state))

    def paused(self, paused: bool) -> None:
        """Write down that it is paused, or goes on."""
        self.write(Paused=paused, Status="paused" if paused else "running")

    def judge(self, result: dict[str, Any], age: float) -> str:
        """Write down what a probe found; the health's status."""
        before = self.state["Health"]
        after = health.judged(asdict(self.box.health), before, result, age) if self.box.health else before
        self.write(Status=self.state["Status"], Health=after)
        if after["Status"] != before["Status"]:
            self.tell(f"health_status: {after['Status']}")
        return str(after["Status"])

    def config(self) -> dict[str, Any]:
        """The container's `config.json` as it is now; empty for a step of a build, which has none."""
        try:
            found: dict[str, Any] = read_json(self.box.path / "config.json")
        except (OSError, ValueError):
            return {}
        return found

    def tell(self, action: str, **attributes: str) -> None:
        """Write an event of this container into the journal."""
        if config := self.config():
            journal.append_of(str(self.box.path.parent.parent), config, action, attributes)

    def should_restart(self, code: int) -> bool:
        """Whether the restart policy wants the program started again; `docker update` may have changed it."""
        by_hand = (self.box.path / "stopped").exists()
        config = self.config()
        policy, most = policy_of(config) if config else self.box.restart
        return restarts(policy, most, code, self.state["RestartCount"], by_hand)

    def wait(self, delay: float) -> bool:
        """Let the back-off pass; False where somebody stops the container meanwhile."""
        end = time.monotonic() + delay
        while time.monotonic() < end:
            time.sleep(LONGEST_NAP)
            if (self.box.path / "stopped").exists():
                self.write(Status="exited", Running=False, Restarting=False)
                return False
        return True


def refuse_real(box: Box) -> None:
    """Raise Unsupported for what only a kernel can do."""
    real = {
        "namespaces to share": {kind for kind, whose in box.share.items() if whose not in ("none", "shareable")},
        "an init process": box.init,
        "kernel settings": box.sysctls,
        "further groups": box.process.groups,
        "privileged containers": box.security.privileged,
        "capabilities to add or drop": set(box.security.capabilities) != set(DEFAULT),
        "seccomp profiles": box.security.seccomp not in ("builtin", "unconfined"),
        "devices": box.devices,
        "IPv6 and link-local addresses": any(wire.more for wire in box.wires),
        "networks with enable_icc=false": any(wire.alone for wire in box.wires),
        "mounts below a folder": any(isinstance(one, Bind) and not (one.recursive and one.deep) for one in box.mounts),
    }
    for what, asked in real.items():
        if asked:
            raise Unsupported(f"the simulated runtime does not have {what}: leave it out, or run it on Linux")


def check(box: Box) -> None:
    """Raise Unsupported for what only real processes can have."""
    check_ports(box)
    if box.process.tty:
        raise Unsupported("the simulated runtime has no terminals: leave out -t; -i alone passes stdin")
    if box.log_file and box.log_file.max_size:
        raise Unsupported("the simulated runtime keeps a log in one file: leave out --log-opt max-size")


class Simulated:
    """The runtime for machines that start no real containers."""

    name, storage = "simulated", "tree"
    attachable = False

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
        refuse_real(box)
        box.path.mkdir(parents=True, exist_ok=True)
        check(box)
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
        package = str(Path(__file__).parents[3])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
        keeper = subprocess.Popen(
            [sys.executable, "-S", "-m", "minidocker.runtime.simulated.runtime"],
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
        if process.privileged:
            raise Unsupported("the simulated runtime does not have exec --privileged: leave it out, or run it on Linux")
        self._running(box)
        disk = self._disk(box)
        with disk.held(), held_volumes(box) as volumes:
            machine = Machine(box, disk, main=False, volumes=volumes)
            return machine.kernel.run(machine.boot(process, stdio))

    def supports(self) -> frozenset[str]:
        """No limit can be enforced: what runs here is Python, in a process of its own choice."""
        return frozenset()

    def update(self, box: Box, limits: Mapping[str, Any]) -> None:
        """Nothing: limits have been discarded, with a warning, by now."""

    def cgroup_files(self, box: Box) -> dict[str, str]:
        """There are none."""
        self._running(box)
        return {}

    def usage(self, box: Box) -> Usage:
        """There is nothing to measure. Raises Unsupported."""
        self._running(box)
        text = "the simulated runtime cannot measure containers (stats): they have no processor or memory of their own"
        raise Unsupported(f"{text}; `minidocker doctor` tells how to get real ones")

    def spawn(self, box: Box, process: Process, record: dict[str, Any], clients: Sequence[Client]) -> int:
        """Nothing can be left running in the engine's own process."""
        raise Unsupported("the simulated runtime runs `exec` right here, to its end: it cannot be left alone")

    def attach(self, box: Box, exec_id: str, client: Client) -> socket.socket:
        """A simulated program has no streams that others could share."""
        raise Unsupported("the simulated runtime cannot attach anybody to a program: read its logs instead")

    def resize(self, box: Box, exec_id: str, height: int, width: int) -> None:
        """There is no terminal."""
        raise Unsupported("the simulated runtime has no terminals")

    def top(self, box: Box) -> list[dict[str, Any]]:
        """The processes inside, by the numbers that they have there."""
        self._running(box)
        return processes(box.path)

    def changes(self, box: Box) -> Changeset:
        """The writable layer."""
        disk = self._disk(box)
        with disk.held():
            return disk.changes()

    def apply(self, box: Box, changes: Changeset) -> None:
        """Write entries into the container's file system as its processes see it, mounts included, running or not."""
        disk = self._disk(box)
        here = {path: replace(entry, data=Bytes(entry.data.read())) for path, entry in changes.items()}
        with disk.held() as before, held_volumes(box) as volumes:
            mounts = Mounts(before, names.contents(box), box.mounts, False, volumes, disk.stubs)
            mounted = {path for path in here if mounts.route(path)[2] != "/"}
            own = {path: entry for path, entry in here.items() if path not in mounted}
            disk.show(diff(disk.lower, merge(before.tree(), Changeset(own, changes.opaque))))
            disk.saved = -1
            for path in sorted(mounted):
                mounts.put(path, here[path])

    def fill(self, folder: Bind, changes: Changeset) -> None:
        """Write entries into a volume's folder, as containers are to see them there: with their owners."""
        pour(folder_of(folder), changes)

    def listing(self, folder: Bind) -> Tree:
        """What containers see in a volume's folder."""
        return Tree(listing(folder_of(folder)))

    def no_bridge(self, folder: str) -> str:
        """Nothing is needed for networks that are only told of."""
        return ""

    def no_interface(self) -> str:
        """What plugins make is real."""
        return "a simulated container has no interface for the plugin's: run it on Linux"

    def connect(self, box: Box, wire: Wire) -> None:
        """Nothing but its /etc/hosts: the networks' files are looked at each time."""
        refuse_real(box)
        self.rewrite(box)

    def disconnect(self, box: Box, wire: Wire) -> None:
        """The same."""
        self.rewrite(box)

    def rewrite(self, box: Box) -> None:
        """Have its monitor write its /etc/hosts anew."""
        told = {"wires": [asdict(wire) for wire in box.wires], "links": box.names.links}
        control(box.path, f"hosts {json.dumps(told)}")

    def bury(self, box: Box) -> None:
        """Nothing is left of one whose monitor was killed: its processes were part of that."""

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
