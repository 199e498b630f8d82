"""The files by which a container finds out what it and others are called: /etc/hostname, /etc/hosts, /etc/resolv.conf.

They are made anew at each start, and mounted over those of the image. In the host's network a container goes by the
host's files; in that of another container by the very files of that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from minidocker.runtime import Box, Names

HOSTS = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
SERVER = "127.0.0.11"  # the name server of those that are on a network with names
TARGETS = {"hostname": "/etc/hostname", "hosts": "/etc/hosts", "resolv.conf": "/etc/resolv.conf"}


def contents(box: Box, host: Callable[[str], str] = lambda _: "", outside: str = "") -> dict[str, str]:
    """The text of each file; `host` reads one of the machine's, and `outside` is where it is found (`host-gateway`).

    >>> names = Names(hosts=("db:10.0.0.2",), servers=("9.9.9.9",))
    >>> made = contents(Box(None, (), process=None, hostname="web", names=names))
    >>> made["hosts"].splitlines()[-2:], made["resolv.conf"]
    (['10.0.0.2\\tdb', '127.0.1.1\\tweb'], 'nameserver 9.9.9.9\\n')
    """
    hosts = host("/etc/hosts") if box.network == "host" else HOSTS
    own = own_lines(box) if box.hostname and box.network != "host" else []
    more = (text.partition(":") for text in box.names.hosts)
    gateway = outside or next((wire.gateway for wire in box.wires if wire.gateway), "127.0.0.1")
    places = ((name, gateway if address == "host-gateway" else address) for name, _, address in more)
    return {
        "hostname": f"{box.hostname or 'localhost'}\n",
        "hosts": hosts + "".join([*(f"{address}\t{name}\n" for name, address in places), *link_lines(box), *own]),
        "resolv.conf": resolver(box.names, host("/etc/resolv.conf"), box),
    }


def own_lines(box: Box) -> list[str]:
    """The lines of /etc/hosts that say what a container itself is called: one for each network, and for its IPv6."""
    full = f"{box.hostname}.{box.names.domain} " if box.names.domain else ""
    sixth = [[one for one in wire.more if ":" in one] for wire in box.wires]  # and no link-local ones
    every = [one for wire, more in zip(box.wires, sixth, strict=True) for one in (wire.address, *more) if one]
    return [f"{one.partition('/')[0]}\t{full}{box.hostname}\n" for one in every or ["127.0.1.1"]]


def link_lines(box: Box) -> list[str]:
    """The lines of /etc/hosts that say where those are that a container is linked to."""
    return [f"{address}\t{name}\n" for name, _, address in (text.partition(":") for text in box.names.links)]


def with_networks(hosts: str, box: Box) -> str:
    """The text of /etc/hosts, with the lines of the networks that it is on now, and all that others wrote there."""
    ours = [*link_lines(box), *own_lines(box)]
    told = {_about(line) for line in ours}
    kept = [line for line in hosts.splitlines(keepends=True) if _about(line) not in told or line in ours]
    return "".join([*kept, *(line for line in ours if line not in kept)])


def _about(line: str) -> str:
    """Whom a line of ours is about: a link's alias and id stay where the linked one gets another name or address."""
    return " ".join(line.partition("\t")[2].split(" ")[:2])


def resolver(names: Names, host: str, box: Box | None = None) -> str:
    """The text of resolv.conf(5): the machine's own, but for what was asked for. The search domain `.` stands for none.

    On a network with names it is the name server of ours, which knows the others; on one without, the machine's own
    are left out that only the machine itself can reach.

    >>> resolver(Names(search=("a.b",)), "nameserver 9.9.9.9\\nsearch lan\\n")
    'search a.b\\nnameserver 9.9.9.9\\n'
    """
    wires = [wire for wire in box.wires if wire.address] if box else []
    named = any(wire.named for wire in wires)
    if not (names.servers or names.search or names.options or wires):
        return host
    search = names.search or tuple(said(host, "search"))
    servers = names.servers or tuple(one for one in said(host, "nameserver") if not wires or reachable(one))
    options = names.options or tuple(said(host, "options"))
    if named:
        servers = (SERVER,)
        options = (*options, *(["ndots:0"] if not any(one.startswith("ndots:") for one in options) else []))
    lines = [f"search {' '.join(search)}"] if search and search != (".",) else []
    lines += [f"nameserver {server}" for server in servers]
    return "".join(f"{line}\n" for line in (*lines, *([f"options {' '.join(options)}"] if options else [])))


def reachable(server: str) -> bool:
    """Whether a name server is one that a container could reach: not one of the machine's own."""
    return ":" not in server and not server.startswith("127.")


def said(text: str, keyword: str) -> Iterator[str]:
    """The words that follow a keyword in resolv.conf."""
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == keyword:
            yield from words[1:]
