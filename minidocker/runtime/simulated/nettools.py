"""Commands that ask the network: `ping`, `nslookup`, `getent`, `ip`, `nc`, `wget` and a small `httpd`.

What they print is busybox's. They reach containers on the same networks (`neighbours`), and nothing else.
"""

from __future__ import annotations

import contextlib
import ipaddress
import posixpath
import re
import time
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from minidocker.runtime.names import SERVER
from minidocker.runtime.simulated.kernel import Command, Process, Task
from minidocker.runtime.simulated.mounted import failure
from minidocker.runtime.simulated.neighbours import Connection, Listener
from minidocker.runtime.simulated.streams import Source, decode
from minidocker.runtime.simulated.tool import Options, tool

TABLE: dict[str, Command] = {}
ICMP, DATA = 8, 56  # bytes of an echo request's head, and of what it carries
LONGEST_HEAD = 1 << 16  # bytes of a request's or an answer's head
NAP = 0.01
UNSURE = "Non-authoritative answer:\n"  # as Docker's server has it, once for each kind of address that is asked for


class BadAddress(ValueError):
    """A name that nobody has."""


def hosts(process: Process) -> Iterator[tuple[str, list[str]]]:
    """The lines of /etc/hosts: an address, and its names."""
    entry = process.files.find("/etc/hosts")
    for line in decode(entry.data.read()).splitlines() if entry and entry.kind == "file" else ():
        words = line.partition("#")[0].split()
        if len(words) > 1:
            yield words[0], words[1:]


def resolve(process: Process, name: str) -> list[str]:
    """The addresses of a name: /etc/hosts comes first, then the name server of the container's networks."""
    with contextlib.suppress(ValueError):
        return [str(ipaddress.IPv4Address(name))]
    written = [address for address, names in hosts(process) if name in names and ":" not in address]
    found = written or process.kernel.neighbours.lookup(name)
    if not found:
        raise BadAddress(f"bad address '{name}'")
    return found


def port_of(text: str) -> int:
    """The number of a port. Raises ValueError."""
    if not (text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"bad port '{text}'")
    return int(text)


def pause(seconds: float) -> Generator[bool, None, None]:
    """Let so much time pass."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield False


@tool(TABLE, "hostname", "i s f")
def hostname(process: Process, options: Options, operands: list[str]) -> None:  # noqa: ARG001
    """The container's name; with `-i`, its addresses."""
    name = process.files.mounts.named["hostname"].strip()
    if "i" in options:
        name = " ".join(address for address, names in hosts(process) if name in names)
    process.out(name + "\n")


@tool(TABLE, "getent", operands=1)
def getent(process: Process, options: Options, operands: list[str]) -> int:  # noqa: ARG001
    """Look up names in a database: `getent hosts web`, `getent ahostsv4 web`."""
    database, *names = operands
    if database not in ("hosts", "ahostsv4") or not names:
        raise ValueError(f"{' '.join(operands)}: the simulated runtime's getent has: hosts NAME, ahostsv4 NAME")
    status = 0
    for name in names:
        try:
            found = resolve(process, name)
        except BadAddress:
            status = 2
            continue
        if database == "hosts":
            known = process.kernel.neighbours.reverse(name) if found == [name] else name
            process.out("".join(f"{address:<15} {known}\n" for address in found if known))
            status = status if known else 2
        for address in found if database == "ahostsv4" else ():
            process.out("".join(f"{address:<15} {kind:<6} {name}\n" for kind in ("STREAM", "DGRAM", "RAW")))
    return status


@tool(TABLE, "nslookup", operands=1)
def nslookup(process: Process, options: Options, operands: list[str]) -> int:  # noqa: ARG001
    """Ask the name server of the container's networks."""
    neighbours, name = process.kernel.neighbours, operands[0]
    if not any(wire["named"] for wire in neighbours.wires()):
        raise ValueError("there is no name server: this container is on no network with names; make one, and join it")
    if len(operands) > 1 and operands[1] != SERVER:
        raise ValueError(f"{operands[1]}: the simulated runtime knows one name server, {SERVER}")
    process.out(f"Server:\t\t{SERVER}\nAddress:\t{SERVER}:53\n\n")
    try:
        turned = ".".join(reversed(str(ipaddress.IPv4Address(name)).split("."))) + ".in-addr.arpa"
    except ValueError:
        found = neighbours.lookup(name)
        answer = "".join(f"Name:\t{name}\nAddress: {address}\n" for address in found)
        refused = f"** server can't find {name}: NXDOMAIN\n"
        process.out(f"{UNSURE}{answer}\n{UNSURE}\n" if found else f"{refused}\n{refused}\n")
        return int(not found)
    known = neighbours.reverse(name)
    process.out(f"{UNSURE}{turned}\tname = {known}\n\n" if known else f"** server can't find {turned}: NXDOMAIN\n\n")
    return int(not known)


@tool(TABLE, "ping", "4 q c: i: W: w: s:", operands=1)
def ping(process: Process, options: Options, operands: list[str]) -> Task:
    """Ask whether a container is there: `ping -c 3 web`."""
    count, wait = int(options.get("c", "0")), float(options.get("W", "10"))
    end = time.monotonic() + float(options.get("w", "inf"))
    size, interval = int(options.get("s", DATA)), float(options.get("i", "1"))
    address = resolve(process, operands[0])[0]
    process.out(f"PING {operands[0]} ({address}): {size} data bytes\n")
    took: list[float] = []
    sent = 0
    while True:
        yield from process.flush()
        began = time.monotonic()
        there = answers(process, address)
        sent += 1
        if there:
            took.append(1000 * (time.monotonic() - began))
            line = f"{size + ICMP} bytes from {address}: seq={sent - 1} ttl=64 time={took[-1]:.3f} ms\n"
            process.out("" if "q" in options else line)
        last = count and sent >= count
        yield from pause(min((0 if there else wait) if last else interval, max(0, end - time.monotonic())))
        if last or time.monotonic() >= end:
            break
    lost = 100 * (sent - len(took)) // sent
    process.out(f"\n--- {operands[0]} ping statistics ---\n{sent} packets transmitted, {len(took)} packets received, ")
    process.out(f"{lost}% packet loss\n")
    if took:
        words = "/".join(f"{each:.3f}" for each in (min(took), sum(took) / len(took), max(took)))
        process.out(f"round-trip min/avg/max = {words} ms\n")
    return int(not took)


def answers(process: Process, address: str) -> bool:
    """Whether somebody has an address. Raises ValueError where there is no way to it."""
    import errno

    try:
        process.kernel.neighbours.route(address)
    except OSError as error:
        if error.errno == errno.ENETUNREACH:
            raise ValueError("sendto: Network is unreachable") from None
        return False
    return True


@tool(TABLE, "ip", "4 o f:")
def ip(process: Process, options: Options, operands: list[str]) -> None:
    """Interfaces, addresses and routes: `ip addr`, `ip link`, `ip route`."""
    what, *rest = operands or [""]
    kind = next((name for name in ("address", "link", "route") if what and name.startswith(what)), "")
    rest = [word for word in rest if word not in ("show", "list", "dev")]
    wires = process.kernel.neighbours.wires()
    if not kind or len(rest) > 1 or not process.kernel.neighbours.inside:
        raise ValueError(f"{' '.join(operands)}: the simulated runtime's ip has: addr, link, route [show [dev NAME]]")
    if kind == "route":
        return process.out("".join(routes(wires)))
    shown = [
        (1, "lo", "", "127.0.0.1/8"),
        *((n, w["interface"], w["mac"], w["address"]) for n, w in enumerate(wires, 2)),
    ]
    if rest and rest[0] not in [name for _, name, _, _ in shown]:
        raise ValueError(f"can't find device '{rest[0]}'")
    for each in shown:
        if not rest or each[1] == rest[0]:
            process.out(interface(*each, addresses=kind == "address", short="o" in options))
    return None


def routes(wires: list[dict[str, Any]]) -> Iterator[str]:
    """The lines of `ip route`: the way out is the first network's that has one."""
    out = next((wire for wire in wires if not wire["internal"]), None)
    if out:
        yield f"default via {out['gateway']} dev {out['interface']} \n"
    for wire in wires:
        whole = ipaddress.ip_network(wire["address"], strict=False)
        yield f"{whole} dev {wire['interface']} scope link  src {wire['address'].partition('/')[0]} \n"


def interface(number: int, name: str, mac: str, address: str, addresses: bool, short: bool) -> str:
    """What `ip addr` says of an interface."""
    around = ipaddress.ip_interface(address).network.broadcast_address
    flags, mtu = ("BROADCAST,MULTICAST", 1500) if mac else ("LOOPBACK", 65536)
    kind, far = ("ether", "ff:ff:ff:ff:ff:ff") if mac else ("loopback", "00:00:00:00:00:00")
    scope = f"brd {around} scope global" if mac else "scope host"
    head = f"{number}: {name}: <{flags},UP,LOWER_UP> mtu {mtu} qdisc noqueue qlen 1000"
    link = f"link/{kind} {mac or far} brd {far}"
    life = "valid_lft forever preferred_lft forever"
    if short:
        return (
            f"{number}: {name}    inet {address} {scope} {name}\\       {life}\n"
            if addresses
            else f"{head}\\    {link}\n"
        )
    lines = f"{head}\n    {link}\n"
    return lines + (f"    inet {address} {scope} {name}\n       {life}\n" if addresses else "")


# Connections


def connect(process: Process, name: str, port: int) -> Connection:
    """Connect to a port of a container. Raises ValueError in busybox's words."""
    address = resolve(process, name)[0]
    try:
        connection: Connection = process.kernel.neighbours.dial(address, port)
    except OSError as error:
        words = "No route to host" if "route" in str(error.strerror).lower() else error.strerror
        raise ValueError(f"can't connect to remote host ({address}): {words}") from None
    return connection


def opened(process: Process, stream: Connection | Listener) -> int:
    """A descriptor of the process for a connection: whatever ends the process closes it."""
    fd = next(number for number in range(3, 1 << 16) if number not in process.fds)
    process.attach(fd, stream)
    return fd


def listen(process: Process, port: int, address: str = "") -> Listener:
    """Listen at a port, of one address or of all. Raises ValueError in busybox's words."""
    try:
        listener: Listener = process.kernel.neighbours.listen(port, address)
    except OSError as error:
        raise ValueError(f"bind: {error.strerror}") from None
    opened(process, listener)
    return listener


def coming(listener: Listener) -> Generator[bool, None, Connection]:
    """Wait for the next one who comes."""
    while (connection := listener.accept()) is None:
        yield False
    return connection


@tool(TABLE, "nc", "l p: w:")
def nc(process: Process, options: Options, operands: list[str]) -> Task:
    """Connect, or with `-l` wait for somebody who does; standard input goes there, what comes from there is printed."""
    if "l" in options:
        words = [options["p"]] if "p" in options else operands[-1:]
        if not words:
            raise ValueError("-l needs -p PORT")
        connection = yield from coming(listen(process, port_of(words[0])))
        for fd in [fd for fd, stream in process.fds.items() if isinstance(stream, Listener)]:
            process.detach(fd)
    elif len(operands) != 2:
        raise ValueError("HOST and PORT are needed, or -l -p PORT")
    else:
        connection = connect(process, operands[0], port_of(operands[1]))
    opened(process, connection)
    return (yield from carry(process, connection))


def carry(process: Process, connection: Connection) -> Task:
    """Carry bytes both ways until the other end has said all."""
    source, talking = process.fds.get(0, Source()), True
    while True:
        idle = True
        if talking and not connection.full and (data := source.read(1 << 16)) is not None:
            idle = False
            connection.write(data)
            if not data:
                talking = False
        if not talking and not connection.pending and not connection.closing:
            yield from connection.finish()
        data = connection.read(1 << 16)
        if data:
            process.out(data)
            yield from process.flush()
        elif data is not None:
            return 0
        yield not idle or bool(data)


def message(connection: Connection, patience: float = 900) -> Generator[bool, None, tuple[str, bytes]]:
    """The head of a message of HTTP, and what has come of its body. Raises ValueError."""
    came, end = b"", time.monotonic() + patience
    while b"\r\n\r\n" not in came.replace(b"\n\n", b"\r\n\r\n"):
        data = connection.read(1 << 16)
        if data is None:
            if time.monotonic() > end:
                raise ValueError("download timed out")
            yield False
            continue
        if not data or len(came) > LONGEST_HEAD:
            raise ValueError("error getting response")
        came += data
    head, _, body = came.partition(b"\r\n\r\n" if b"\r\n\r\n" in came else b"\n\n")
    return decode(head), body


@tool(TABLE, "wget", "q S O: T: U: P: =spider =header:", operands=1)
def wget(process: Process, options: Options, operands: list[str]) -> Task:
    """Get what a server in a container answers: `wget -q -O- http://web/`."""
    for word in operands:
        url = urlsplit(word if "//" in word else f"http://{word}")
        if url.scheme != "http":
            raise ValueError(f"{url.scheme}: the simulated runtime's wget speaks http only")
        name, port = url.hostname or "", url.port or 80
        address = resolve(process, name)[0]
        quiet = "q" in options
        if not quiet:
            process.err(f"Connecting to {url.netloc} ({address}:{port})")
        connection = connect(process, address, port)
        fd = opened(process, connection)
        path = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
        more = "".join(f"{line}\r\n" for line in options.get("header", "").splitlines())
        head = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: {options.get('U', 'Wget')}\r\n"
        connection.write(f"{head}Connection: close\r\n{more}\r\n".encode())
        said, body = yield from message(connection, float(options.get("T", "900")))
        lines = said.splitlines()
        if "S" in options:
            process.err("\n".join(f"  {line}" for line in lines))
        if not re.match(r"HTTP/1\.[01] 2", lines[0]):
            raise ValueError(f"server returned error: {lines[0]}")
        if "spider" in options:
            process.err("remote file exists") if not quiet else None
        else:
            whole = body + (yield from process.read_all(connection))
            yield from keep(process, options, posixpath.basename(url.path) or "index.html", whole)
        process.detach(fd)
    return 0


def keep(process: Process, options: Options, name: str, content: bytes) -> Generator[bool, None, None]:
    """Print what was got, or write it to a file."""
    target = options.get("O", posixpath.join(options.get("P", ""), name))
    if target == "-":
        process.out(content)
        yield from process.flush()
        return
    if "O" not in options and process.files.find(target):
        raise ValueError(f"can't open '{target}': File exists")
    if "q" not in options:
        process.err(f"saving to '{target}'")
    process.open(target, "w").write(content)
    if "q" not in options:
        process.err(f"{posixpath.basename(target)[:20]:<20} 100% |{'*' * 32}| {len(content):5}  0:00:00 ETA")
        process.err(f"'{target}' saved")


@tool(TABLE, "httpd", "f v p: h:")
def httpd(process: Process, options: Options, operands: list[str]) -> Task:  # noqa: ARG001
    """Answer requests with files: `httpd -f -p 80 -h /www`; without `-f`, in the background."""
    home = process.files.locate(options.get("h", "."))
    if not process.files.stat(home).is_dir:
        raise failure(20, home)
    address, _, port = options.get("p", "80").rpartition(":")
    listener = listen(process, port_of(port), address if address != "0.0.0.0" else "")
    if "f" in options:
        return (yield from serve(process, listener, home))
    child = process.fork()
    child.start(serve(child, listener, home))
    return 0


def serve(process: Process, listener: Listener, home: str) -> Task:
    """Answer everybody, each in a process of its own."""
    while True:
        connection = yield from coming(listener)
        child = process.fork()
        for fd in [fd for fd, stream in child.fds.items() if isinstance(stream, Listener)]:
            child.detach(fd)
        opened(child, connection)
        child.start(answer(child, connection, home))


def answer(process: Process, connection: Connection, home: str) -> Task:
    """Answer one request."""
    try:
        head, _ = yield from message(connection, 60)
    except ValueError:
        return 1
    method, _, rest = head.partition(" ")
    path = posixpath.normpath("/" + unquote(rest.split(" ")[0].partition("?")[0]))
    status, body = found(process, method, home + path)
    when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    kind = "text/html" if status != "200 OK" or path.endswith((".html", ".htm", "/")) else "application/octet-stream"
    kind = "text/plain" if path.endswith(".txt") else kind
    text = f"HTTP/1.1 {status}\r\nDate: {when}\r\nConnection: close\r\nContent-type: {kind}\r\n"
    connection.write(f"{text}Content-Length: {len(body)}\r\n\r\n".encode() + (b"" if method == "HEAD" else body))
    yield from connection.finish()
    return 0


def found(process: Process, method: str, path: str) -> tuple[str, bytes]:
    """The status and the body of an answer."""
    title = "404 Not Found"
    if method not in ("GET", "HEAD"):
        title = "501 Not Implemented"
    else:
        entry = process.files.find(path)
        if entry and entry.is_dir:
            path = posixpath.join(path, "index.html")
        with contextlib.suppress(OSError):
            return "200 OK", process.files.read(path)
    words = {"4": "The requested URL was not found", "5": "The requested method is not recognized"}[title[0]]
    page = f"<HTML><HEAD><TITLE>{title}</TITLE></HEAD>\n<BODY><H1>{title}</H1>\n{words}\n</BODY></HTML>\n"
    return title, page.encode()
