"""The monitor of one container: what containerd-shim and conmon are for others.

It keeps the log, waits for the program, applies the restart policy and writes `state.json`. It outlives launcher and
engine. If it is killed, its container dies with it, as the kernel sees to (PR_SET_PDEATHSIG, and the pid namespace).
"""

# ruff: noqa: PTH108, PTH110, PTH119, PTH120
from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from minidocker import journal
from minidocker.runtime import cgroup, health, inside, linux, terminal, ulimits
from minidocker.runtime.autoremove import auto_remove
from minidocker.runtime.births import Killed, Newborn, connect, exit_status, namespaces
from minidocker.runtime.checkup import CheckUp
from minidocker.runtime.clients import Client
from minidocker.runtime.door import open_door
from minidocker.runtime.fuse import Servers
from minidocker.runtime.logfile import Log
from minidocker.runtime.messages import Refusal, receive, send, streams, with_streams
from minidocker.runtime.policy import policy_of, restarts
from minidocker.runtime.program import step_in
from minidocker.runtime.state import (
    NEVER,
    boot_id,
    monitor_lock,
    now,
    read_config,
    read_state,
    release_volumes,
    state_lock,
    tell,
    write_state,
)
from minidocker.runtime.stdio import Streams

FIRST_DELAY, LONGEST_DELAY, LONG_ENOUGH = 0.1, 60.0, 10.0  # seconds: Docker's back-off between restarts
FAREWELL = 30.0  # seconds in which a switch must have let go
WAKE = signal.SIGUSR1  # tells a monitor that waits to restart its container to look whether it still should


class Monitor:
    """One container's keeper, from its start to its end."""

    def __init__(
        self,
        box: dict[str, Any],
        stdio: list[int | None],
        clients: list[Client],
        answer: Callable[[dict[str, Any]], None],
        spare: Newborn | None = None,
    ) -> None:
        self.box, self.path, self.answer = box, box["path"], answer
        self.stdio, self.clients = stdio, clients
        self.spare, self.kind = spare, kind(box)
        self.state: dict[str, Any] = {}
        self.log = Log(f"{self.path}/log.jsonl", **box["log_file"]) if box["log_file"] and box["log"] else None
        self.door: socket.socket | None = None
        self.own = ""  # its mount namespace, where that alone tells its processes from others
        self.watched: tuple[int, int] | None = None
        self.guard = -1  # tells when the container's folder is deleted
        self.group = cgroup.Group(box["cgroup"]["name"])
        self.memory: list[int] = []  # volumes that are no more than that, and in use by others
        self.plugs: dict[str, Any] = box["plugs"]
        self.plugged: list[Any] = []  # what is to be closed for it to be plugged in no more

    def run(self) -> None:
        """Start the program, again and again where the restart policy says so, and leave when it has ended for good."""
        os.setsid()
        signal.pthread_sigmask(signal.SIG_BLOCK, [WAKE])
        monitor_lock(self.path)
        self.state = {"Status": "created", "StartedAt": NEVER, "FinishedAt": NEVER} | read_state(self.path)
        self.state |= {"RestartCount": 0, "OOMKilled": False, "Dead": False, "Monitor": os.getpid(), "Boot": boot_id()}
        self.door = open_door(self.path, "attach.sock") if self.box["log"] else None
        self.keep()
        if self.door:
            with suppress(FileNotFoundError):
                os.unlink(f"{self.path}/attach.sock")
        if self.state["Status"] == "exited":
            auto_remove(self.path)

    def keep(self) -> None:
        """`run`, when nobody else can."""
        delay = 0.0
        while True:
            began = time.monotonic()
            with self.volumes_in_memory():
                try:
                    child = self.launch()
                except Refusal as refusal:
                    self.refuse(refusal)
                    return
                self.running(child)
            checkup = self.check_up(child)
            self.stay_with_the_folder(child)
            self.streams.carry_until(child)
            if self.watched:
                os.close(self.watched[0])
            if self.guard >= 0:
                os.close(self.guard)
            if checkup:
                checkup.stop()
            code = exit_status(child)
            self.end_the_rest()
            self.unplug()
            long_enough = time.monotonic() - began >= LONG_ENOUGH
            delay = FIRST_DELAY if long_enough or not delay else min(delay * 2, LONGEST_DELAY)
            again = self.should_restart(code)
            self.ended(code, again)
            self.tell_networks("disconnect")
            self.streams.close()
            os.waitpid(child, 0)  # only now may its number be given to another process
            self.servers.wait()
            self.group.remove()
            if not (again and self.wait(delay)):
                return
            self.state["RestartCount"] += 1
            self.find_wires()

    @contextmanager
    def volumes_in_memory(self) -> Iterator[None]:
        """Have what is in memory and in use by others."""
        if not any(mount.get("volume") for mount in self.box["mounts"]):
            yield
            return
        from minidocker.runtime import joining

        with joining.volumes_in_memory(self.path, self.box["mounts"]) as self.memory:
            yield
        self.memory = []

    def launch(self) -> int:
        """Start the container's first process and return its number, once the program runs. Raises Refusal."""
        self.streams = Streams(self.box["process"], self.stdio, self.log, self.box["log"])
        try:
            newborn = self.first_process(self.streams.theirs)
        except Refusal:
            self.streams.handed_over()
            self.streams.close()
            raise
        self.streams.handed_over(newborn.master)
        self.streams.open(self.door, self.clients)
        self.clients = []
        return newborn.pid

    def first_process(self, stdio: list[int | None]) -> Newborn:
        """Have one that was borne ahead, or a new one, become the program. Raises Refusal."""
        newborn, self.spare = self.spare, None
        if newborn and newborn.kind != self.kind:
            newborn.stop()
            newborn = None
        if self.box["share"]:
            return self.one_that_shares(stdio)
        if self.plugs["userns"]:
            return self.one_below_the_switch(newborn, stdio)
        if newborn:
            with suppress(Killed):  # while it waited, perhaps
                return self.give_orders(newborn, stdio)
        return self.give_orders(bear_first(self.box), stdio)

    def one_below_the_switch(self, newborn: Newborn | None, stdio: list[int | None]) -> Newborn:
        """`first_process` where it takes a user namespace above its own to lay a cable to it: without root."""
        from minidocker.runtime import joining

        if newborn:
            newborn.stop()
        return self.give_orders(bear_first(self.box | {"userns": ""}, partial(joining.clone_below, self.plugs)), stdio)

    def one_that_shares(self, stdio: list[int | None]) -> Newborn:
        """`first_process` in namespaces of others. All that is in its mount namespace ends with it, or with us."""
        from minidocker.runtime import joining

        joined = joining.Joined(self.path, self.box["share"])
        try:
            userns, clone = joined.userns(self.box["userns"]), joined.clone
            if self.plugs["userns"] and not joined.donors:  # as in `one_below_the_switch`
                userns, clone = "", partial(joining.clone_below, self.plugs)
            newborn = bear_first(self.box | {"userns": userns}, clone)
            self.own = joining.mount_namespace(newborn.pid)
            return self.give_orders(newborn, stdio, joined.shm)
        finally:
            joined.close()

    def give_orders(self, newborn: Newborn, stdio: list[int | None], more: list[int] | None = None) -> Newborn:
        """Tell a first process which container it is for, and wait until it runs. Raises Refusal."""
        self.servers = Servers(self.box)
        message, fds = with_streams(self.box, stdio)
        self.limit(newborn)
        try:
            with self.network_of(newborn.pid) as network:  # now: one that shares lets nobody look at it later
                with suppress(BrokenPipeError, ConnectionResetError):  # it could not do its part, and says so
                    send(newborn.orders, message, fds + self.servers.ends + self.memory + (more or []))
                self.servers.start(newborn.pid)
                self.plug_in(network)
        except BaseException:
            newborn.stop()
            raise
        with suppress(BrokenPipeError, ConnectionResetError):
            newborn.orders.send(b"!")  # it has waited for its networks, if it got so far
        newborn.runs()
        return newborn

    @contextmanager
    def network_of(self, pid: int) -> Iterator[int]:
        """A descriptor of the network namespace of a first process, where there are cables to lay; else -1."""
        namespace = -1
        if any(wire.get("address") for wire in self.plugs["wires"]):
            with suppress(FileNotFoundError):  # it has ended: it could not do its part, and says why
                namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            yield namespace
        finally:
            if namespace >= 0:
                os.close(namespace)

    def plug_in(self, network: int) -> None:
        """Connect a first process to its networks, while it builds its walls, and open its ports. Raises Refusal."""
        self.unplug()
        self.state["Ports"] = {}
        if network < 0:
            return
        from minidocker.runtime import plug
        from minidocker.runtime.publish import Published

        first, folder, id = self.plugs["wires"][0], os.path.dirname(self.path), os.path.basename(self.path)
        published = Published(self.plugs["ports"], f"{first['container']} ({first['endpoint']})", folder)
        try:
            self.plugged = [plug.plug_in(self.plugs, id, network, published.doors)]
        finally:
            published.close()
        self.state["Ports"] = published.ports

    def unplug(self) -> None:
        """It is no more on its networks, and its ports are free."""
        for connection in self.plugged:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(FAREWELL)
                connection.recv(1)
            connection.close()
        self.plugged = []

    def find_wires(self) -> None:
        """See which networks it is on by now, as it starts once more; its addresses are still its own."""
        if self.plugs["folder"]:
            from minidocker.runtime import wires

            others = [wire for wire in self.plugs["wires"] if "address" not in wire]
            self.plugs["wires"] = wires.wires_now(self.plugs["folder"], os.path.basename(self.path)) or others
            self.tell_networks("connect")

    def tell_networks(self, action: str) -> None:
        """Write down that it is on its networks, or no more."""
        for wire in self.plugs["wires"]:
            about = {"name": wire["name"], "type": wire["driver"], "container": os.path.basename(self.path)}
            journal.append(os.path.dirname(self.plugs["folder"]), "network", action, wire["network"], about)

    def end_the_rest(self) -> None:
        """Kill what is left of a container that has no pid namespace of its own, now that its first process ended."""
        if "pid" in self.box["share"]:
            from minidocker.runtime import joining

            joining.kill_all(self.own)

    def running(self, child: int) -> None:
        """Write down that the program runs, and tell whoever asked for it."""
        self.state["OOMKilled"] = False
        self.watched = self.group.watch_oom() if self.box["cgroup"]["watch"] else None
        if self.watched:
            self.streams.loop.watch(self.watched[0], partial(self.out_of_memory, self.watched[0]), self.watched[1])
        self.write(Status="running", Running=True, Restarting=False, Paused=False, Pid=child)
        self.tell("start")
        self.answer({})

    def tell(self, action: str, **attributes: str) -> None:
        """Write an event of this container into the journal."""
        tell(self.path, action, **attributes)

    def limit(self, newborn: Newborn) -> None:
        """Put it into the container's cgroup, with its limits, while it builds the walls. Raises Refusal."""
        process = self.box["process"]
        try:
            self.group.enter(newborn.pid, self.box["cgroup"]["settings"], newborn.ahead)
            newborn.ahead = ""
            if process["ulimits"] or process["oom_score_adj"]:
                ulimits.allow(newborn.pid, process["ulimits"], process["oom_score_adj"])
        except BaseException:
            newborn.stop()
            raise

    def out_of_memory(self, watched: int, events: int) -> None:
        """Write down that memory ran out, as soon as it has; version 2 tells of less than that on the same file, and
        version 1 of the group's end.
        """
        os.lseek(watched, 0, os.SEEK_SET)
        os.read(watched, 4096)
        if (events & select.POLLIN and self.group.holds("memory")) or self.group.oom_kills():
            with state_lock(self.path):
                self.state = read_state(self.path) | {"OOMKilled": True}
                write_state(self.path, self.state)
            self.tell("oom")

    def write(self, **changes: Any) -> None:
        """Change the state and write it down."""
        if changes["Status"] == "running":
            changes |= {"StartedAt": now(), "ExitCode": 0, "Error": ""}
            former = self.state.pop("Health", None)
            changes |= {"Health": health.fresh(former)} if self.box["health"] else {}
        else:
            changes = {"FinishedAt": now(), "Pid": 0, "Paused": False} | changes
            changes |= {"Health": found | {"Status": "unhealthy"}} if (found := self.state.get("Health")) else {}
        self.state |= changes
        with suppress(FileNotFoundError, NotADirectoryError), state_lock(self.path):  # or somebody deleted all of it
            write_state(self.path, self.state, lasting=not self.box["throwaway"])

    def stay_with_the_folder(self, child: int) -> None:
        """Have the program killed when somebody deletes the container's folder: nobody could ever stop it again.

        Only what runs for a while is watched: the kernel takes 20 ms to end a watch.
        """
        if not os.path.exists(f"{self.path}/config.json"):
            self.stay_with_the_engine(child)
            return

        def look(_events: int = 0) -> None:
            if self.guard >= 0:
                os.read(self.guard, 1 << 16)
            if not os.path.exists(f"{self.path}/config.json"):
                self.streams.loop.forget(self.guard)
                os.kill(child, signal.SIGKILL)

        def watch() -> None:
            with suppress(OSError):  # there are too many watches already, or it has gone
                self.guard = linux.watch(self.path, linux.IN_DELETE)
                self.streams.loop.watch(self.guard, look)
            if not os.path.exists(f"{self.path}/config.json"):
                os.kill(child, signal.SIGKILL)

        self.streams.settled = watch

    def stay_with_the_engine(self, child: int) -> None:
        """Have the program of a box without a container, as a build has it, killed with the engine that wants it."""
        if "engine" not in self.box:
            return  # an OCI bundle's program is its own

        def kill(_events: int = 0) -> None:
            self.streams.loop.forget(self.guard)
            os.kill(child, signal.SIGKILL)

        def watch() -> None:
            try:
                self.guard = os.pidfd_open(self.box["engine"])
                self.streams.loop.watch(self.guard, kill)
            except ProcessLookupError:
                os.kill(child, signal.SIGKILL)

        self.streams.settled = watch

    def check_up(self, child: int) -> CheckUp | None:
        """Have the container's health looked after, where somebody wants that."""
        from minidocker.runtime.launcher import execute

        check = self.box["health"]
        if not check:
            return None
        request = check["request"] | {"pid": child}
        return CheckUp(check, request, self.streams.loop, execute, self.judge, self.tell)

    def judge(self, result: dict[str, Any] | None, age: float) -> str | None:
        """Write down what a probe found; the health's status. None, and nothing else, while the container is paused."""
        with state_lock(self.path):
            self.state = read_state(self.path) or self.state  # somebody may have paused it
            before = self.state["Health"]
            if self.state["Paused"] or result is None:
                return None if self.state["Paused"] else str(before["Status"])
            self.state["Health"] = after = health.judged(self.box["health"], before, result, age)
            write_state(self.path, self.state)
        if after["Status"] != before["Status"]:
            self.tell(f"health_status: {after['Status']}")
        return str(after["Status"])

    def should_restart(self, code: int) -> bool:
        """Whether the restart policy wants the program started again; `docker update` may have changed it."""
        by_hand = os.path.exists(f"{self.path}/stopped")
        config = read_config(self.path)
        policy, most = policy_of(config) if config else self.box["restart"]
        return restarts(policy, most, code, self.state["RestartCount"], by_hand)

    def ended(self, code: int, again: bool) -> None:
        """Write down that the program ended. Docker counts a container that will restart as running."""
        status = "restarting" if again else "exited"
        out_of_memory = self.state["OOMKilled"] or self.group.oom_kills() > 0
        self.state["LogLost"] = self.log.lost if self.log else 0  # records for which the disk had no room
        self.write(Status=status, Running=again, Restarting=again, ExitCode=code, OOMKilled=out_of_memory)
        self.tell("die", exitCode=str(code))
        if not again:
            release_volumes(self.path)
            self.release_wires()

    def release_wires(self) -> None:
        """Tell the plugins on whose networks it was."""
        for wire in self.plugs["wires"]:
            if wire.get("source"):
                from pathlib import Path

                from minidocker.content import Store
                from minidocker.network import Networks

                store = Store(Path(self.plugs["folder"]).parent)
                Networks(store, str, lambda _: True).leave(wire["network"], os.path.basename(self.path))

    def wait(self, delay: float) -> bool:
        """Let the back-off pass; False where somebody stops the container meanwhile."""
        woken = signal.sigtimedwait([WAKE], delay)
        if woken is None and not os.path.exists(f"{self.path}/stopped"):
            return True
        self.write(Status="exited", Running=False, Restarting=False)
        return False

    def refuse(self, refusal: Refusal) -> None:
        """Write down why the program did not start; a container that never ran stays `created`."""
        self.group.remove()
        self.unplug()
        said = {"ExitCode": refusal.exit_code, "Error": str(refusal)}
        if self.state["StartedAt"] == NEVER:
            self.write(Status="created", Running=False, Restarting=False, FinishedAt=NEVER, **said)
        else:
            self.write(Status="exited", Running=False, Restarting=False, **said)
        self.answer({"error": str(refusal), "exit_code": refusal.exit_code})


ORDINARY = {"unmasked": False, "privileged": False}  # what such a container sees of the machine


def kind(box: Mapping[str, Any]) -> str:
    """What is the same for the first processes of containers that are alike; empty for those that nobody is like."""
    alone = box["share"] or box["security"]["unmasked"] or "bundle" in box
    return "" if alone else f"{box['network']} {box['userns']}"


def bear_first(like: Mapping[str, Any], clone: Callable[[int], int] = linux.clone) -> Newborn:
    """Bear the first process of a container `like` this: it does what it can ahead, then waits for the box."""
    userns, network, share, security = like["userns"], like["network"], like["share"], like["security"]

    def become(orders: socket.socket) -> None:
        os.closerange(3, orders.fileno())  # the parent's, among them perhaps the lock that says: the monitor lives
        os.closerange(orders.fileno() + 1, 1 << 30)
        trees = inside.prepare(network, like["rootless"], share, security)
        box, fds = receive(orders)
        if share:  # from others whom we are beside by now
            linux.prctl(linux.PR_SET_DUMPABLE, 0)
        given = streams(box, fds)
        connect(given)
        os.setsid()
        inside.build(box, trees, fds[sum(fd is not None for fd in given) :])
        if box["process"]["tty"]:
            inside.mount_console(terminal.take(orders, box["process"]["size"]))
        orders.recv(1)  # so late, its networks are there, mostly
        step_in(box["process"], box["rootless"], box["security"], box["init"])

    return Newborn(userns, namespaces(userns, share), become, kind(like), clone)
