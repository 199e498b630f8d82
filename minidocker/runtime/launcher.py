"""The small process that forks: a container starts without starting a Python interpreter.

Each engine process has one launcher, started on first use. It always has one worker forked ahead, which waits on the
engine's socket; when that one takes a request, the launcher forks the next. While requests are alike, the worker in
waiting has already borne a process with all that is the same in each container, and waits for what is not.

    launcher ──fork──▶ monitor ──clone──▶ the container's first process ──execve──▶ the program
             └─fork──▶ worker  ──setns, fork──▶ one more process inside (`docker exec`)

The launcher dies when its engine does; monitors (`shim`) live on. It imports only what it needs of the standard
library.
"""

# ruff: noqa: PTH108, PTH120
from __future__ import annotations

import array  # noqa: F401 - what others import only when they use it, which would be in each worker anew
import fcntl  # noqa: F401
import gc
import os
import select
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from minidocker.runtime import cgroup, linux, shim, terminal, ulimits
from minidocker.runtime.births import (
    Newborn,
    bear_walled,
    check_confession,
    confess,
    connect,
    exit_status,
    identity,
    other_namespaces,
    program_of,
)
from minidocker.runtime.clients import Client
from minidocker.runtime.door import open_door
from minidocker.runtime.messages import Refusal, receive, receive_fds, send, streams
from minidocker.runtime.program import IGNORED, step_in
from minidocker.runtime.state import boot_id, monitor_lock, tell, write_json
from minidocker.runtime.stdio import Streams

FOR_CHILDREN = linux.NEWUSER | linux.NEWPID  # the others hide our own files
BREATH = 0.008  # seconds that whoever has just been asked for is left alone, before the next one is borne ahead
NO_CONTAINER = b"-"  # what a request is about that starts none


def main(fd: int) -> None:
    """Serve an engine until it goes."""
    with suppress(OSError):
        os.setsid()  # Ctrl-C in the engine's terminal is not meant for us
    os.chdir("/")
    for signum in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, *IGNORED}:
        signal.signal(signum, signal.SIG_DFL)  # whatever the engine ignores, containers should not
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # workers leave no zombies
    linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_CLEAR_ALL)
    gc.disable()
    gc.freeze()
    boot_id(), cgroup.places()
    identity("uid"), identity("gid")
    server = socket.socket(fileno=fd)
    last = kind = NO_CONTAINER
    while True:
        taken_end, taken_start = os.pipe()
        if os.fork() == 0:
            os.close(taken_end)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ahead = kind == last != NO_CONTAINER and not select.select([server], [], [], BREATH)[0]
            spare = bear_ahead(*kind.decode().split(" ", 1)) if ahead else None
            data, fds = receive_fds(server, 1)
            if data:
                server.close()
                worker(socket.socket(fileno=fds[0]), taken_start, spare)
            elif spare:
                spare.stop()
            os._exit(0)
        os.close(taken_start)
        last, kind = kind, os.read(taken_end, 512)
        if not kind:  # nobody is left who could ask
            cgroup.sweep()
            return
        os.close(taken_end)


def bear_ahead(network: str, userns: str) -> Newborn | None:
    """A container's first process, ready for what is the container's own, since two alike make a third one likely."""
    with suppress(OSError):
        like = {"userns": userns, "network": network, "rootless": userns == "one", "share": {}}
        spare = shim.bear_first(like | {"security": shim.ORDINARY})
        name = f"{cgroup.HOME}/ahead-{spare.pid}"
        try:
            spare.ahead = name if cgroup.Group(name).enter_ahead(spare.pid) else ""
        except Refusal:  # it may be in some of its folders
            spare.ahead = name
            spare.stop()
            return None
        return spare
    return None  # the start itself will say why


def worker(client: socket.socket, taken: int, spare: Newborn | None) -> None:
    """Do what one request asks for, in a process of its own; say before which kind of container it is about."""
    request: dict[str, Any] = {"do": "nothing", "stdio": [], "clients": []}
    fds: list[int] = []
    with suppress(EOFError, ConnectionResetError):
        request, fds = receive(client)
    box = request.get("box")
    with suppress(BrokenPipeError):
        os.write(taken, (shim.kind(box).encode() if box else b"") or NO_CONTAINER)
    os.close(taken)
    stdio = streams(request, fds)
    try:
        clients = [Client(*pair) for pair in zip(fds[sum(request["stdio"]) :], request["clients"], strict=True)]
        if request["do"] == "start":
            monitor_of(request["box"])(request["box"], stdio, clients, partial(last_answer, client), spare).run()
            return
        if spare:
            spare.stop()
        if request["do"] == "hold":
            hold(request["box"], client)
        elif request["do"] == "exec":
            execute(request, stdio, clients, client)
    except Refusal as refusal:
        answer(client, {"error": str(refusal), "exit_code": refusal.exit_code})
    except Exception as error:
        answer(client, {"error": f"{type(error).__name__}: {error}", "exit_code": 125})


def monitor_of(box: Mapping[str, Any]) -> type[shim.Monitor]:
    """Who keeps such a container."""
    if "bundle" not in box:
        return shim.Monitor
    from minidocker.runtime.bundle import BundleMonitor

    return BundleMonitor


def answer(client: socket.socket, message: Mapping[str, Any]) -> None:
    """Answer a request, unless whoever asked has gone."""
    with suppress(OSError):
        send(client, message)


def last_answer(client: socket.socket, message: Mapping[str, Any]) -> None:
    """Answer a request for the last time; nothing happens when that was done before."""
    answer(client, message)
    client.close()


def execute(request: Mapping[str, Any], stdio: list[int | None], clients: list[Client], client: socket.socket) -> None:
    """Run one more process in a container. One without a record goes when whoever asked for it goes."""
    record, process = request["record"], request["process"]
    door = open_door(record["folder"], f"{record['ID']}.sock") if record else None
    ulimits.allow(os.getpid(), process["ulimits"], process["oom_score_adj"])
    linux.prctl(linux.PR_SET_DUMPABLE, 0)  # nobody inside may look into us before we are the program
    try:
        first = program_of(request["pid"]) if request["init"] else request["pid"]
        target, others = os.pidfd_open(first), other_namespaces(first)
    except (ProcessLookupError, FileNotFoundError):
        raise Refusal("cannot exec in a stopped container", 126) from None
    entries = cgroup.Group(request["cgroup"]).entries()
    linux.setns(target, others & FOR_CHILDREN)
    program = Streams(process, stdio, None, kept=bool(record))
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            cgroup.join(entries)
            connect(program.theirs)
            linux.setns(target, others & ~FOR_CHILDREN)
            os.setsid()
            if process["tty"]:
                terminal.take(theirs, process["size"])
            step_in(process, request["rootless"], request["security"])
        except BaseException as error:
            confess(theirs.fileno(), error)
    theirs.close()
    try:
        program.handed_over(check_confession(ours))
    except Refusal:
        os.waitpid(child, 0)
        raise
    if door:
        program.open(door, clients)
        keep(program, child, client, request["record"])
        return
    for fd in stdio:
        if fd is not None:
            os.close(fd)
    poll = select.poll()
    poll.register(ended := os.pidfd_open(child), select.POLLIN)
    poll.register(client, select.POLLIN)
    if ended not in {fd for fd, _ in poll.poll()}:
        os.kill(child, signal.SIGKILL)
    code = exit_status(child)
    os.waitpid(child, 0)
    answer(client, {"exit_code": code})


def keep(program: Streams, child: int, client: socket.socket, record: dict[str, Any]) -> None:
    """Keep a process inside to its end, whoever comes and goes; its record says how it is."""
    path = f"{record.pop('folder')}/{record['ID']}"
    write_json(f"{path}.json", record | {"Running": True, "Pid": child})
    last_answer(client, {"pid": child})
    program.carry_until(child)
    code = exit_status(child)
    tell(os.path.dirname(os.path.dirname(path)), "exec_die", execID=record["ID"], exitCode=str(code))
    with suppress(FileNotFoundError):  # the container may be removed meanwhile
        write_json(f"{path}.json", record | {"Running": False, "Pid": child, "ExitCode": code})
        os.unlink(f"{path}.sock")
    os.waitpid(child, 0)
    program.close()


def hold(box: Mapping[str, Any], client: socket.socket) -> None:
    """Show a stopped container's file system, in a process that only waits, until the client has done with it."""
    held = monitor_lock(box["path"])

    def become() -> None:
        os.closerange(3, 1 << 30)  # the parent waits for this
        signal.pause()

    child, servers = bear_walled(box, become)
    answer(client, {"pid": child})
    client.recv(1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    servers.wait()
    os.close(held)
    answer(client, {})
