"""How a container is plugged into the switch of its engine: what its monitor, or an engine, asks the switch for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from minidocker.runtime.door import address
from minidocker.runtime.inside import Refusal
from minidocker.runtime.messages import receive, send

SOCKET = "switch.sock"


def connect(folder: str) -> socket.socket:
    """Go to the switch of a folder `networks`; start it where there is none. Raises Refusal where it cannot start."""
    for _ in range(3):
        try:
            return _knock(folder)
        except (FileNotFoundError, ConnectionRefusedError):
            start(folder)
    raise Refusal(f"the switch of {folder} does not start: is it allowed to make network namespaces here?")


def start(folder: str) -> None:
    """Start the switch, and wait until it serves; another one may be quicker. Raises Refusal."""
    args = [sys.executable, "-m", "minidocker.runtime.switch", folder]
    process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    with process.stdout, process.stderr:
        if process.stdout.read(1) or process.poll() == 0:
            return
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
    process.wait()
    if process.returncode:
        raise Refusal(f"the switch of the networks cannot start: {said[-1] if said else process.returncode}")


def ask(folder: str, request: Mapping[str, Any], fds: list[int] | None = None) -> socket.socket:
    """Ask the switch for something; it lasts until the connection is closed. Raises Refusal."""
    connection = connect(folder)
    try:
        send(connection, request, fds)
        answer, _ = receive(connection)
    except (EOFError, OSError) as error:
        connection.close()
        raise Refusal(f"the switch of the networks does not answer: {error}") from None
    if "error" in answer:
        connection.close()
        raise Refusal(answer["error"])
    return connection


def _knock(folder: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        with address(folder, SOCKET) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def upstream() -> socket.socket:
    """A socket in this network namespace, through which the switch asks the machine's own name servers."""
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def name_servers(resolv_conf: str) -> list[str]:
    """The name servers that a `resolv.conf` lists.

    >>> name_servers("# none\\nnameserver 10.0.0.1\\nnameserver fd00::1\\noptions ndots:0\\n")
    ['10.0.0.1']
    """
    lines = (line.split() for line in resolv_conf.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver" and ":" not in words[1]]


def namespace_of(pid: int) -> int:
    """A descriptor of the network namespace of a process."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
