"""The small process that forks: a container starts without starting a Python interpreter.

Each engine process has one launcher, started on first use. It always has one worker forked ahead, which waits on the
engine's socket; when that one takes a request, the launcher forks the next.

    launcher ──fork──▶ monitor ──clone──▶ the container's first process ──execve──▶ the program
             └─fork──▶ worker  ──setns, fork──▶ one more process inside (`docker exec`)

The launcher dies when its engine does; monitors (`shim`) live on. It imports only what it needs of the standard
library.
"""

from __future__ import annotations

import array  # noqa: F401 - what others import only when they use it, which would be in each worker anew
import fcntl  # noqa: F401
import gc
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from minidocker.runtime import inside, linux, shim
from minidocker.runtime.births import bear, check_confession, confess, connect, exit_status, identity, other_namespaces
from minidocker.runtime.inside import Refusal
from minidocker.runtime.state import boot_id, monitor_lock

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
            shim.Monitor(request["box"], stdio, partial(last_answer, client)).run()
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


def last_answer(client: socket.socket, message: Mapping[str, Any]) -> None:
    """Answer a request for the last time; nothing happens when that was done before."""
    answer(client, message)
    client.close()


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


def hold(box: Mapping[str, Any], client: socket.socket) -> None:
    """Show a stopped container's file system, in a process that only waits, until the client has done with it."""
    held = monitor_lock(box["path"])

    def become() -> None:
        inside.build(box)
        os.closerange(3, 1 << 30)  # the parent waits for this
        signal.pause()

    child = bear(box, become)
    answer(client, {"pid": child})
    client.recv(1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(held)
    answer(client, {})
