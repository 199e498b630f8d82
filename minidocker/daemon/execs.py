"""`docker exec`: more programs in a container that runs."""

from __future__ import annotations

import base64
import time

from minidocker.container.attaching import need_attachable
from minidocker.container.detaching import DEFAULT, Detacher, codes
from minidocker.container.execution import Execution, check_running, said
from minidocker.daemon.containers import found, size_of
from minidocker.daemon.route import Call
from minidocker.daemon.shapes import WORDS, read
from minidocker.daemon.streams import Conversation, hijacked, reframed
from minidocker.errors import APIError, Conflict, StartError
from minidocker.runtime.clients import frame
from minidocker.web.message import Response, Socket

CREATE = {
    "AttachStdin": bool,
    "AttachStdout": bool,
    "AttachStderr": bool,
    "Cmd": WORDS,
    "ConsoleSize": [int],
    "Detach": bool,
    "DetachKeys": str,
    "Env": [str],
    "Privileged": bool,
    "Tty": bool,
    "User": str,
    "WorkingDir": str,
}
START = {"Detach": bool, "Tty": bool, "ConsoleSize": [int]}
SOON = 2.0  # seconds in which a program that is just being started can be told the size of its terminal


def create(call: Call) -> Response:
    """Say what is to be run."""
    given = read(call.json(), CREATE)
    execution = found(call).exec_create(
        given.get("Cmd", []),
        stdin=given.get("AttachStdin", False),
        stdout=given.get("AttachStdout", False),
        stderr=given.get("AttachStderr", False),
        tty=given.get("Tty", False),
        privileged=given.get("Privileged", False),
        user=given.get("User", ""),
        environment=given.get("Env", []),
        workdir=given.get("WorkingDir", ""),
        detach_keys=given.get("DetachKeys", ""),
    )
    return Response.json({"Id": execution.id}, 201)


def start(call: Call) -> Response:
    """Run it: behind one's back, or with its streams on this connection. Why it cannot run is said in the stream."""
    given = read(call.json(), START)
    execution = call.engine.containers.execution(call["id"])
    check_running(execution.container)
    need_attachable(execution.container)
    size = (*given.get("ConsoleSize", ()), 0, 0)[:2]
    if given.get("Detach"):
        try:
            execution.spawn(size=size)
        except StartError as error:
            raise StartError(error.said("exec")) from None
        return Response(200)
    tty = given.get("Tty", False)

    def take(client: Socket, first: bytes) -> None:
        detacher = Detacher(_keys(execution) if execution.tty else b"")
        try:
            program = execution.connect(size)
        except APIError as error:
            client.sendall(said(error) if tty else frame(1, said(error)))
            return
        typed = detacher if execution.record["OpenStdin"] else None
        Conversation(client, program, first, typed, reframed(tty, execution.tty)).run()

    return hijacked(call, take)


def inspect(call: Call) -> Response:
    """How it is; its exit code, when it has ended."""
    return Response.json(call.engine.containers.execution(call["id"]).inspect())


def resize(call: Call) -> Response:
    """Tell its terminal its size; clients do that while it is being started."""
    height, width = size_of(call)
    execution = call.engine.containers.execution(call["id"])
    end = time.monotonic() + SOON
    while not (state := execution.inspect())["Running"]:
        if state["ExitCode"] is not None or time.monotonic() > end:
            raise Conflict(f"Container {execution.container.id} has no exec {execution.id} that runs")
        time.sleep(0.01)
    execution.resize(height, width)
    return Response(200)


def _keys(execution: Execution) -> bytes:
    return base64.b64decode(execution.record["DetachKeys"]) or codes(DEFAULT)
