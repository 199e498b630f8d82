"""The switch of an engine: the process in whose network namespace all of its bridges are.

    container ── eth0 ═veth═ port ── bridge ── port ═veth═ eth0 ── another container
    127.0.0.11 ── name server          │
    the host's port ── door ───────────┘

There is one for each root folder, started with the first container on a network and gone some time after the last. So
nothing of the host's own network is changed, and it needs no more rights than containers do. A container is plugged in
for as long as the connection lasts over which its monitor asked for it. Netlink is spoken by `pyroute2`.
"""

# ruff: noqa: PTH108, PTH110, PTH112, PTH123
from __future__ import annotations

import fcntl
import json
import os
import random
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from typing import Any

from minidocker.network import bridge, names, nameserver
from minidocker.network.nameserver import NO_SUCH_NAME, SERVER_FAILURE, Malformed
from minidocker.network.pool import hardware
from minidocker.runtime import births, linux, wayout
from minidocker.runtime.door import open_door
from minidocker.runtime.forward import Door
from minidocker.runtime.loop import Loop
from minidocker.runtime.messages import receive, receive_fds, send
from minidocker.runtime.netlink import DELETE_ROUTE, DELETE_RULE, MAIN, NEW_ROUTE, NEW_RULE, Links

SOCKET, LOCK = "switch.sock", ".switch.lock"  # in the folder `networks`
WAY_OUT = ".out"  # by which program one gets out, or why not
LINGER = 10.0  # seconds that it waits for another container
BREATH = 0.3  # seconds that the kernel has to take away by itself what was a container's
MAP_US, OUT, NO_OUT = b"m", b"o", b"n"  # what the switch and whoever starts it say: map my ids; there is a way out
OUTWARD, OWN, REST = 50, 100, 200  # priorities of rules: for what goes out, what begins here, and all the rest
NAME_SERVER = ("127.0.0.11", 53)
SIOCSIFADDR, SIOCSIFNETMASK, SIOCADDRT, SIOCDELRT = 0x8916, 0x891C, 0x890B, 0x890C
ROUTE = struct.Struct("L16s16s16sHhLPhPLLH")  # struct rtentry of route(4)
RTF_UP, RTF_GATEWAY = 1, 2
PATIENCE = 5.0  # seconds after which a name server that was asked is given up
MOST_QUESTIONS = 4096  # that wait for an answer from outside


class Switch:
    """All bridges of one root folder, and who is plugged in."""

    def __init__(self, folder: str, world: int = -1) -> None:
        self.folder, self.loop = folder, Loop()
        self.world = world  # the network namespace of the host
        self.links = Links()
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.bridges: dict[str, tuple[int, str, str]] = {}  # network -> its bridge's number, its range, its name
        self.plugged: dict[str, Plug] = {}  # container -> what it has here
        self.visitors = 0  # connections
        self.way_out = False
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            linux.interface_flags(any_socket.fileno(), "lo", add=linux.IFF_UP)
        for which in ("all", "default"):
            write_setting(f"ipv6/conf/{which}/disable_ipv6", "1")
        self.forbid()

    def forbid(self) -> None:
        """See to it that one bridge is no way to another. By a rule whoever tries is told so; without rules, nothing
        is forwarded at all.
        """
        write_setting("ipv4/ip_forward", "0")
        with suppress(OSError):
            self.links.rule(OWN, "lo", MAIN)
            self.links.rule(REST)
            write_setting("ipv4/ip_forward", "1")

    def open_way(self, there: bool) -> None:
        """Have a way out, or not. What comes back goes by the everyday routes, to whoever asked."""
        with suppress(OSError):
            if there and wayout.hide_addresses():
                number = socket.if_nametoindex(wayout.INTERFACE)
                self.links.way_out(wayout.TABLE, number, wayout.GATEWAY)
                self.links.rule(OUTWARD, wayout.INTERFACE, MAIN)
                self.way_out = True
        with open(f"{self.folder}/{WAY_OUT}", "w") as file:
            file.write(wayout.program() if self.way_out else wayout.missing() or "it did not work")

    # Bridges

    def bridge(self, network: Mapping[str, Any]) -> int:
        """The bridge of a network, which is made when it is first needed."""
        if network["Id"] not in self.bridges:
            name = bridge.name_of(network)
            config = network["IPAM"]["Config"][0]
            gateway = config["Gateway"].partition("/")[0]
            subnet = str(ip_network(config["Subnet"], strict=False))
            self.outward(name, subnet, network["Internal"])
            self.links.bridge(name, bridge.mtu(network), hardware(gateway))
            configure(name, f"{gateway}/{config['Subnet'].partition('/')[2]}", "")
            for more in network["IPAM"]["Config"][1:] if network["EnableIPv6"] else ():
                whole = ip_network(more["Subnet"], strict=False)
                configure_sixth(name, f"{(more.get('Gateway') or str(whole[1])).partition('/')[0]}/{whole.prefixlen}")
            self.bridges[network["Id"]] = (socket.if_nametoindex(name), subnet, name)
        return self.bridges[network["Id"]][0]

    def outward(self, bridge: str, subnet: str, internal: bool, new: bool = True) -> None:
        """Let what comes from a bridge go out, but not to the networks of other bridges; or forget that."""
        kinds = (NEW_ROUTE, NEW_RULE) if new else (DELETE_ROUTE, DELETE_RULE)
        if self.way_out:
            self.links.no_way(wayout.TABLE, subnet, kinds[0])
        if self.way_out and not internal:
            self.links.rule(OUTWARD, bridge, wayout.TABLE, kinds[1])

    def wire(self, namespace: int, wire: Mapping[str, Any], out: bool) -> None:
        """Lay a cable from a container's network namespace to the bridge of a network, which may be its way `out`."""
        network = self.network(wire["network"])
        if wire.get("source"):
            return self.take_in(namespace, wire, out)
        port, interface = port_name(wire["endpoint"]), wire["interface"]
        self.links.cable(port, self.bridge(network), bridge.mtu(network), namespace, interface, wire["mac"])
        if wire.get("alone"):
            self.links.isolate(port)
        with inside(namespace, self.home):
            configure(interface, wire["address"], wire["gateway"] if out else "")
            configure_more(wire)
        return None

    def lead(self, namespace: int, old: str, new: str) -> None:
        """Let the default route of a container lead to another gateway; either may be none."""
        with inside(namespace, self.home):
            for gateway, what in ((old, SIOCDELRT), (new, SIOCADDRT)):
                with suppress(OSError):  # it went with its interface
                    default_route(gateway, what)

    def take_in(self, namespace: int, wire: Mapping[str, Any], out: bool) -> None:
        """Move an interface that a plugin made on the host into a container's network namespace, and set it up."""
        self.move(self.world, wire["source"], namespace, wire["interface"], wire["mac"])
        with inside(namespace, self.home):
            configure(wire["interface"], wire["address"], wire["gateway"] if out else "")
            configure_more(wire)
            links = Links()
            try:
                for where, through in wire["routes"]:
                    links.route(where, through, wire["interface"])
            finally:
                links.close()

    def move(self, there: int, name: str, namespace: int, new: str, mac: str = "") -> None:
        """Move an interface from one network namespace to another. Raises OSError that says which."""
        with inside(there, self.home):
            links = Links()
            try:
                links.move(name, namespace, new, mac)
            except OSError as error:
                why = f"cannot move the interface {name}, which the plugin named: {error.strerror}"
                raise OSError(error.errno, why) from None
            finally:
                links.close()

    def cut(self, endpoint: str) -> None:
        """Take a cable away, at both ends; it may have gone with its container."""
        with suppress(OSError):
            self.links.remove(port_name(endpoint))

    def drop_unused(self) -> None:
        """Remove the bridges of networks that there are no more."""
        for id in [id for id in self.bridges if not os.path.exists(f"{self.folder}/{id}.json")]:
            _, subnet, name = self.bridges.pop(id)
            with suppress(OSError):
                self.links.remove(name)
            with suppress(OSError):
                self.outward(name, subnet, internal=False, new=False)

    def network(self, id: str) -> dict[str, Any]:
        """What is written of a network."""
        with open(f"{self.folder}/{id}.json", encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        return found

    # Who is there

    def endpoints(self, network: str) -> tuple[str, list[dict[str, Any]]]:
        """A network's name, and the endpoints of those that are plugged in."""
        try:
            record = self.network(network)
        except FileNotFoundError:
            return "", []
        return record["Name"], [end for id, end in record["Endpoints"].items() if id in self.plugged]

    def welcome(self, connection: socket.socket) -> None:
        """Somebody connects: do what they ask for, for as long as they stay."""
        self.visitors += 1
        plug = Plug(self)

        def heard(_: int) -> None:
            try:
                request, fds = receive(connection)
            except (EOFError, OSError, ValueError):
                self.loop.forget(connection.fileno())
                plug.pull()
                connection.close()  # only then: whoever waits for that may have its ports again
                self.visitors -= 1
                return
            try:
                answer = plug.do(request, fds)
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            with suppress(OSError):
                send(connection, answer)

        connection.settimeout(PATIENCE)  # one that sends half a request must not stop the others for long
        self.loop.watch(connection.fileno(), heard)

    def serve(self, listener: socket.socket) -> None:
        """Serve until nobody has been there for a while."""
        self.loop.watch(listener.fileno(), lambda _: self.welcome(listener.accept()[0]))
        empty: float = time.monotonic()
        while (self.visitors or time.monotonic() - empty < LINGER) and os.path.isdir(self.folder):
            self.loop.turn(PATIENCE if self.visitors else 1.0)
            empty = time.monotonic() if self.visitors else empty
            self.drop_unused()
            for plug in self.plugged.values():
                plug.tidy()


class Plug:
    """What one container has of the switch: cables, a name server, doors."""

    def __init__(self, switch: Switch) -> None:
        self.switch, self.id = switch, ""
        self.namespace, self.gateway = -1, ""
        self.wires: dict[str, dict[str, Any]] = {}  # network -> the cable
        self.doors: list[Door] = []
        self.names: NameServer | None = None

    def do(self, request: Mapping[str, Any], fds: list[int]) -> dict[str, Any]:
        """`plug` a container in, `connect` it to one more network, `disconnect` it; or `hello`, which only waits."""
        if request["do"] == "plug":
            self.plug(request, fds)
        elif request["do"] in ("connect", "disconnect"):
            other = self.switch.plugged.get(request["container"])
            if other is None:
                return {"error": "the container is not plugged in: it does not run, or its switch was killed"}
            if request["do"] == "connect":
                other.connect(request["wire"])
                other.choose()
                other.answer(request["servers"], fds)
            else:
                other.disconnect(request["network"])
        return {}

    def plug(self, request: Mapping[str, Any], fds: list[int]) -> None:
        """Connect a container to its networks, open its doors, answer its questions."""
        self.id, self.namespace = request["container"], fds[0]
        self.switch.plugged[self.id] = self
        try:
            self.gateway = way_out(request["wires"])
            for wire in request["wires"]:
                self.connect(wire, wire["gateway"] == self.gateway)
            self.answer(request["servers"], fds[1:2])
            listeners = [socket.socket(fileno=fd) for fd in fds[2 if self.names else 1 :]]
            for listener, to in zip(listeners, request["doors"], strict=True):
                self.doors.append(Door(self.switch.loop, listener, (to[0], to[1])))
        except BaseException:
            self.pull()
            raise

    def answer(self, servers: list[str] | None, fds: list[int]) -> None:
        """Have the container's questions answered, where that is wanted and is not done already."""
        if servers is not None and fds:
            upstream = socket.socket(fileno=fds[0])
            if self.names:
                return upstream.close()
            self.names = NameServer(self, upstream, servers)
        return None

    def connect(self, wire: dict[str, Any], out: bool = False) -> None:
        """One more cable."""
        self.switch.wire(self.namespace, wire, out)
        self.wires[wire["network"]] = wire

    def choose(self) -> None:
        """Choose the way out anew."""
        before, self.gateway = self.gateway, way_out(self.wires.values())
        if before != self.gateway:
            self.switch.lead(self.namespace, before, self.gateway)

    def disconnect(self, network: str) -> None:
        """One cable less."""
        wire = self.wires.pop(network, None)
        if wire and wire.get("source"):
            with suppress(OSError):  # the plugin has it back
                self.switch.move(self.namespace, wire["interface"], self.switch.world, wire["source"])
        elif wire:
            self.switch.cut(wire["endpoint"])
        self.choose()

    def tidy(self) -> None:
        """Give up questions that nobody answered."""
        if self.names:
            self.names.tidy()

    def pull(self) -> None:
        """Take away all that the container had. Its cables go with its network namespace; where another container has
        that too, they are cut a moment later: to wait for it takes the kernel longer than to start a container.
        """
        if self.switch.plugged.get(self.id) is self:
            del self.switch.plugged[self.id]
        for door in self.doors:
            door.close()
        if self.names:
            self.names.close()
        if self.namespace >= 0:
            os.close(self.namespace)
        for wire in self.wires.values():
            self.switch.loop.after(BREATH, lambda endpoint=wire["endpoint"]: self.switch.cut(endpoint))  # type: ignore[misc]
        self.wires, self.doors, self.names, self.namespace = {}, [], None, -1


class NameServer:
    """The name server that a container finds at 127.0.0.11. What it does not know, it asks the machine's."""

    def __init__(self, plug: Plug, upstream: socket.socket, servers: list[str]) -> None:
        self.plug, self.loop = plug, plug.switch.loop
        self.upstream, self.servers = upstream, servers
        self.asked: dict[int, tuple[bytes, Any, float]] = {}  # its number outside -> a question, who asks, and when
        with inside(plug.namespace, plug.switch.home):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            linux.interface_flags(self.socket.fileno(), "lo", add=linux.IFF_UP)  # the container may not be that far yet
            self.socket.bind(NAME_SERVER)
        upstream.setblocking(False)
        self.loop.watch(self.socket.fileno(), self.question)
        self.loop.watch(upstream.fileno(), self.answer)

    def question(self, _: int) -> None:
        """A program in the container asks."""
        with suppress(OSError, Malformed):
            message, client = self.socket.recvfrom(nameserver.LARGEST)
            asked = nameserver.question(message)
            found = self.find(asked.name, asked.kind)
            if found is not None:
                self.socket.sendto(nameserver.answer(message, found), client)
            elif self.servers and not self.cut_off():
                self.ask(message, client)
            else:
                code = SERVER_FAILURE if "." in asked.name else NO_SUCH_NAME
                self.socket.sendto(nameserver.refuse(message, code), client)

    def find(self, name: str, kind: str) -> list[str] | None:
        """What the container's networks know; None where that is nothing at all."""
        named = {id: wire for id, wire in self.plug.wires.items() if wire["named"]}
        networks = [self.plug.switch.endpoints(id) for id in named]
        if kind == "PTR":
            known = names.reverse(networks, nameserver.address_of(name))
            return [known] if known else None
        tables = map(names.table, [ends for _, ends in networks], [wire["links"] for wire in named.values()])
        found = list(names.told(zip([net for net, _ in networks], tables, strict=True), name))
        if kind == "AAAA" and found:
            sixths = [(net, names.table(ends, key="IPv6Address")) for net, ends in networks]
            return [ip for ip in names.told(sixths, name) if ip]
        if kind != "A":
            return [] if found else None
        random.shuffle(found)  # as Docker does: who takes the first of several takes each in turn
        return found or None

    def cut_off(self) -> bool:
        """Whether all of the container's networks are internal: then nothing goes out, questions neither."""
        return all(wire["internal"] for wire in self.plug.wires.values())

    def ask(self, message: bytes, client: Any) -> None:
        """Pass a question on, under a number that nobody can guess."""
        number = int.from_bytes(os.urandom(2), "big")
        if number in self.asked or len(self.asked) > MOST_QUESTIONS:
            return
        self.asked[number] = (message, client, time.monotonic())
        self.upstream.sendto(number.to_bytes(2, "big") + message[2:], (self.servers[0], 53))

    def answer(self, _: int) -> None:
        """The machine's name server answers."""
        with suppress(OSError):
            message, server = self.upstream.recvfrom(1 << 16)
            number = int.from_bytes(message[:2], "big")
            if server[0] not in self.servers or number not in self.asked:
                return
            question, client = self.asked[number][:2]
            there = slice(nameserver.HEADER.size, nameserver.question(question).end)
            if message[there].lower() == question[there].lower():  # it is about what was asked
                del self.asked[number]
                self.socket.sendto(question[:2] + message[2:], client)

    def tidy(self) -> None:
        """Say of questions that nobody answered in time that they failed."""
        late = [key for key, (_, _, when) in self.asked.items() if when < time.monotonic() - PATIENCE]
        for number in late:
            message, client = self.asked.pop(number)[:2]
            with suppress(OSError, Malformed):
                self.socket.sendto(nameserver.refuse(message), client)

    def close(self) -> None:
        """Answer no more."""
        for end in (self.socket, self.upstream):
            self.loop.forget(end.fileno())
            end.close()


# In a container's network namespace


def way_out(wires: Iterable[Mapping[str, Any]]) -> str:
    """The gateway by which a container gets out: of the networks that have one, that of the highest priority, and of
    several such the one that comes first by name, as in Docker. Empty where there is none.
    """
    outward = [wire for wire in wires if wire["gateway"] and not wire["internal"]]
    best = min(outward, key=lambda wire: (-wire.get("priority", 0), wire.get("name", "")), default=None)
    return str(best["gateway"]) if best else ""


@contextmanager
def inside(namespace: int, home: int) -> Iterator[None]:
    """Be in another network namespace for a moment: what is opened there stays there."""
    linux.setns(namespace, linux.NEWNET)
    try:
        yield
    finally:
        linux.setns(home, linux.NEWNET)


def configure(interface: str, address: str, gateway: str) -> None:
    """Give an interface its address, switch it on, and have everything else go through the gateway, if there is one."""
    ip, _, size = address.partition("/")
    mask = (0xFFFFFFFF << (32 - int(size)) & 0xFFFFFFFF).to_bytes(4, "big")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for what, value in ((SIOCSIFADDR, socket.inet_aton(ip)), (SIOCSIFNETMASK, mask)):
            fcntl.ioctl(any_socket, what, struct.pack("16s", interface.encode()) + _address(value) + bytes(8))
        linux.interface_flags(any_socket.fileno(), interface, add=linux.IFF_UP)
    default_route(gateway)


def default_route(gateway: str, what: int = SIOCADDRT) -> None:
    """Add, or delete, the route for everything else through a gateway, if there is one."""
    if gateway:
        to, everywhere = _address(socket.inet_aton(gateway)), _address(bytes(4))
        route = ROUTE.pack(0, everywhere, to, everywhere, RTF_UP | RTF_GATEWAY, 0, 0, 0, 0, 0, 0, 0, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(FileExistsError):
            fcntl.ioctl(any_socket, what, route)


def configure_more(wire: Mapping[str, Any]) -> None:
    """Give an interface its further addresses."""
    for number, address in enumerate(wire.get("more") or ()):
        if ":" in address:
            configure_sixth(wire["interface"], address)
        else:
            configure(f"{wire['interface']}:{number}", address, "")


def configure_sixth(interface: str, address: str) -> None:
    """Give an interface an IPv6 address as well, at once: nobody but us gives them away, so nobody need be asked."""
    for setting, value in (("disable_ipv6", "0"), ("accept_dad", "0"), ("accept_ra", "0")):
        write_setting(f"ipv6/conf/{interface}/{setting}", value)
    ip, _, size = address.partition("/")
    request = socket.inet_pton(socket.AF_INET6, ip) + struct.pack("Ii", int(size), socket.if_nametoindex(interface))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFADDR, request)


def _address(ip: bytes) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, ip)


def write_setting(name: str, value: str) -> None:
    """Write a setting of this network namespace, where the kernel has it."""
    with suppress(OSError), open(f"/proc/sys/net/{name}", "w") as file:
        file.write(value)


def port_name(endpoint: str) -> str:
    """What the switch's end of a cable is called."""
    return f"v-{endpoint[:12]}"


# The process


def main(folder: str, userns: str) -> None:
    """Leave a switch of a folder `networks` behind, unless there is one; it serves when this returns."""
    os.closerange(3, 1 << 30)  # whatever came from who started us, among it perhaps the end of somebody's pipe
    above, below = socket.socketpair()
    child = os.fork()
    if child == 0:
        above.close()
        be_the_switch(folder, below, bool(userns))
        return
    below.close()
    said = above.recv(1)
    if said == MAP_US:
        births.map_ids(child, userns)
        above.send(said)
        said = above.recv(1)
    if said:
        leave, stay = os.pipe()
        socket.send_fds(above, [OUT if wayout.open_way(child, leave) else NO_OUT], [stay])
        said = above.recv(1)
    if not said:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def be_the_switch(folder: str, above: socket.socket, apart: bool) -> None:
    """Serve until nobody needs us; who is `above` is told when we do, and maps the ids of our user namespace, if we
    are to have one: then we are `apart`.
    """
    with suppress(OSError):
        os.setsid()
    lock = os.open(f"{folder}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        linux.flock(lock, wait=False)
    except BlockingIOError:
        return
    world = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    linux.unshare(linux.NEWNET | (linux.NEWUSER if apart else 0))
    if apart:
        above.send(MAP_US)
        above.recv(1)
    switch = Switch(folder, world)
    with open_door(folder, SOCKET) as listener:
        above.send(b"!")
        said, _stay = receive_fds(above, 1)  # what leads out lasts as long as we hold the other end
        switch.open_way(said == OUT)
        above.send(said)
        above.close()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        switch.serve(listener)
        with suppress(OSError):
            os.unlink(f"{folder}/{SOCKET}")
