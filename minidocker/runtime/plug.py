"""How a container is plugged into the switch of its engine: what its monitor, or an engine, asks the switch for.

A plug is a dictionary, as it is in the box that a monitor is given: the folder `networks`, the wires (one for each
network), the doors (published ports), and the name servers outside; besides, where `pyroute2` is, and how ids map.
"""

# ruff: noqa: PTH108, PTH120, PTH123
from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from minidocker.runtime.door import address
from minidocker.runtime.messages import Refusal, receive, send
from minidocker.runtime.state import boot_id

SOCKET = "switch.sock"
REFUSED = ".refused"  # why it could not start, and in which run of the machine
NO_CODEC = "networks need the Python package pyroute2: pip install 'minidocker-course[networks]'"
PATIENCE = 30.0  # seconds in which a switch must have started
PACKAGES = ("minidocker", "minidocker.runtime", "minidocker.network", "pyroute2")
BOOTSTRAP = """import sys, types
for name, folder in zip(sys.argv[1].split(), sys.argv[2:]):
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = [folder]
from minidocker.runtime.switch import main
main(*sys.argv[-2:])
"""  # of those packages, only the modules that it needs are loaded


def refused(folder: str) -> str:
    """Why the switch could not start here, since the machine did; empty where it could, or nobody has tried."""
    with suppress(OSError), open(f"{folder}/{REFUSED}", encoding="utf-8") as file:
        boot, _, why = file.read().partition(" ")
        return why if boot == boot_id() else ""
    return ""


def connect(plugs: Mapping[str, Any]) -> socket.socket:
    """Go to the switch of a folder `networks`; start it where there is none. Raises Refusal where it cannot start."""
    folder = plugs["folder"]
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return _knock(folder)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                raise Refusal(f"the switch of the networks in {folder} does not start") from None
            start(folder, plugs["codec"], plugs["userns"])
            time.sleep(0.001)  # somebody else may be starting it


def start(folder: str, codec: str, userns: str) -> None:
    """Start the switch, and wait until it serves; another one may be quicker. Raises Refusal.

    `codec` is where pyroute2 is, `userns` how the ids of the switch's user namespace map; empty where it needs none.
    """
    if not codec:
        raise Refusal(NO_CODEC)
    here = os.path.dirname(__file__)
    room = os.path.dirname(here)
    said, words = os.pipe()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((null, null, words))]
    args = [sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOTSTRAP, " ".join(PACKAGES)]
    args += [room, here, f"{room}/network", codec, folder, userns]
    try:
        pid = os.posix_spawn(sys.executable, args, os.environ, file_actions=actions, setsigmask=[])
    finally:
        os.close(words)
        os.close(null)
    with os.fdopen(said, encoding="utf-8", errors="replace") as file:
        complaint = file.read().strip().splitlines()
    _, status = os.waitpid(pid, 0)
    if status:
        why = f"the switch of the networks cannot start: {complaint[-1] if complaint else status}"
        with open(f"{folder}/{REFUSED}", "w", encoding="utf-8") as file:
            file.write(f"{boot_id()} {why}")
        raise Refusal(why)
    with suppress(FileNotFoundError):
        os.unlink(f"{folder}/{REFUSED}")


def ask(plugs: Mapping[str, Any], request: Mapping[str, Any], fds: list[int] | None = None) -> socket.socket:
    """Ask the switch for something; it lasts until the connection is closed. Raises Refusal."""
    for attempt in range(3):
        connection = connect(plugs)
        try:
            send(connection, request, fds)
            answer, _ = receive(connection)
            break
        except (EOFError, OSError) as error:  # it may just have gone, as it had nothing to do
            connection.close()
            if attempt == 2:
                raise Refusal(f"the switch of the networks does not answer: {error}") from None
    if "error" in answer:
        connection.close()
        raise Refusal(answer["error"])
    return connection


def plug_in(plugs: Mapping[str, Any], id: str, network: int, doors: list[tuple[socket.socket, int]]) -> socket.socket:
    """Plug a network namespace into the switch, for as long as the connection lasts. Raises Refusal."""
    wires = [wire for wire in plugs["wires"] if wire.get("address")]
    inside = wires[0]["address"].partition("/")[0]
    servers = plugs["servers"] if any(wire["named"] for wire in wires) else None
    request = {"do": "plug", "container": id, "wires": wires, "servers": servers}
    outside = upstream() if servers is not None else None
    try:
        request["doors"] = [[inside, number] for _, number in doors]
        fds = [network, *([outside.fileno()] if outside else []), *(one.fileno() for one, _ in doors)]
        return ask(plugs, request, fds)
    finally:
        if outside:
            outside.close()


def keeper(connection: socket.socket) -> int:
    """The process number of the switch at the other end of a connection."""
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


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


@cache
def codec() -> str:
    """Where the package pyroute2 is, which is not loaded for that; empty where it is not installed."""
    from importlib.util import find_spec

    with suppress(ImportError, ValueError):
        spec = find_spec("pyroute2")
        if spec and spec.submodule_search_locations:
            return str(next(iter(spec.submodule_search_locations)))
    return ""
