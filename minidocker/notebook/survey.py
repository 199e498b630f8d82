"""What the network map and the packet tracer are drawn from: all networks and containers, as the engine tells of them.

Which ports programs listen at, the kernel tells where containers are real; and what became of a connection, `probe`
finds out by making one.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.network.plan import ANY, DEFAULT, MACHINE, Binding, Listening, Net, Peer, Place, Plan
from minidocker.network.ports import choices

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine

LISTENS = "0A"  # the state TCP_LISTEN, in /proc/net/tcp
PATIENCE = 5  # seconds that a probe waits


def survey(engine: Engine, before: Plan | None = None) -> Plan:
    """What there is now. Who listens is taken from a plan of `before`: the kernel needs 30 ms to tell it."""
    listens = {peer.name: peer.listens for peer in before.peers if peer.runs} if before else {}
    found = engine.networks.list()
    bridges = [one for one in found if one.driver not in ("host", "null")]
    nets = [Net(one.name, one.subnet, one.internal, one.name != DEFAULT) for one in bridges]
    known = {net.name for net in nets}
    peers = (_peer(one, found, known, listens) for one in engine.containers.list(all=True))
    nets.sort(key=lambda net: (net.name != DEFAULT, net.name))
    return Plan(tuple(nets), tuple(sorted(peers, key=lambda peer: peer.name)))


def _peer(
    container: Container, networks: Iterable[Any], known: set[str], listens: Mapping[str, Listening | None]
) -> Peer:
    attrs = container.attrs
    state, host = attrs["State"], attrs["HostConfig"]
    by_id = {network.name: network.record["Endpoints"].get(container.id) or {} for network in networks}
    order = lambda name: (by_id.get(name, {}).get("Interface", ""), name)  # noqa: E731
    places = tuple(
        _place(name, by_id.get(name, {}), {container.short_id, container.name})
        for name in sorted(attrs["NetworkSettings"]["Networks"], key=order)
        if name in known
    )
    running = bool(state["Running"])
    seen: Listening | None = frozenset()
    if running:
        seen = listens[container.name] if container.name in listens else _listens(container, state)
    mode = str(host["NetworkMode"])
    if mode.startswith("container:"):
        with suppress(LookupError):
            whose = mode.partition(":")[2]
            mode = f"container:{container.containers.get(whose).name}"
    return Peer(
        container.name,
        places,
        mode if not places else DEFAULT,
        running,
        tuple(sorted({int(key.partition("/")[0]) for key in attrs["Config"].get("ExposedPorts") or {}})),
        tuple(_bindings(host.get("PortBindings") or {}, attrs["NetworkSettings"]["Ports"] or {})),
        seen,
    )


def _place(network: str, endpoint: Mapping[str, Any], known: set[str]) -> Place:
    aliases = tuple(alias for alias in endpoint.get("Aliases", ()) if alias not in known)
    return Place(network, endpoint.get("IPv4Address", "").partition("/")[0], aliases)


def _bindings(asked: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Binding]:
    """The ports of the machine: those that are open, else those that were asked for."""
    for key, wanted in asked.items():
        inside = int(key.partition("/")[0])
        texts = [str(one["HostPort"]) for one in wanted]
        here = [one for one in given.get(key) or () if ":" not in one["HostIp"]]
        for number, text in enumerate(texts):
            one = here[number] if number < len(here) else wanted[number]
            port = int(one["HostPort"]) if here else next(iter(choices(wanted[number])), 0)
            yield Binding(one["HostIp"] or "0.0.0.0", port, inside, "" if text == "0" else text)


def _listens(container: Container, state: Mapping[str, Any]) -> Listening | None:
    if container.runtime.name == "simulated":
        from minidocker.runtime.simulated import neighbours

        return frozenset((address or ANY, port) for address, port in neighbours.listening(container.path))
    found: set[tuple[str, int]] = set()
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            found |= set(listening(Path(f"/proc/{state['Pid']}/net/{name}").read_text(encoding="ascii")))
    return frozenset(spot for spot in found if not spot[0].startswith("127.0.0.11"))


def listening(table: str) -> Iterator[tuple[str, int]]:
    """Who listens, by the kernel's table /proc/net/tcp or tcp6: address and port, `*` for every address.

    >>> list(listening("sl local\\n 0: 0100007F:0050 00000000:0000 0A 0 0\\n 1: 00000000:1538 00000000:0000 0A 0 0\\n"))
    [('127.0.0.1', 80), ('*', 5432)]
    """
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and words[3] == LISTENS:
            address, _, port = words[1].partition(":")
            yield _address(address), int(port, 16)


def _address(text: str) -> str:
    """An address as the kernel writes it: words of four bytes, in the order of this machine."""
    data = b"".join(struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
    if not any(data):
        return ANY
    if data == bytes(15) + b"\1":
        return "127.0.0.1"
    return socket.inet_ntop(socket.AF_INET6 if len(data) == 16 else socket.AF_INET, data).removeprefix("::ffff:")


def probe(engine: Engine, start: str, target: str, port: int) -> str:
    """Try it: `""` where somebody took the connection, else what the program was told; `?` where it cannot be tried.

    From a container with its own `nc`; from the machine with a connection of ours, which must bring an answer or at
    least stay open for a moment, since a proxy takes everything.
    """
    if start == MACHINE:
        return _knock("127.0.0.1" if target == MACHINE else target, port)
    if start not in [one.name for one in engine.containers.list()]:
        return "?"
    command = 'nc -w "$0" "$1" "$2" </dev/null 2>&1'
    said = engine.containers.get(start).exec_run(["sh", "-c", command, str(PATIENCE), target, str(port)])
    words = said.output.decode(errors="replace").strip()
    return "?" if said.exit_code in (126, 127) else words.rpartition("nc: ")[2] if said.exit_code else ""


def _knock(target: str, port: int) -> str:
    try:
        with socket.create_connection((target, port), PATIENCE) as end:
            end.settimeout(PATIENCE / 10)
            return "Connection reset" if end.recv(1) == b"" else ""
    except TimeoutError:
        return ""
    except socket.gaierror:
        return f"bad address '{target}'"
    except OSError as error:
        return error.strerror or str(error)
