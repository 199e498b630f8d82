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
TARGETS = {"hostname": "/etc/hostname", "hosts": "/etc/hosts", "resolv.conf": "/etc/resolv.conf"}


def contents(box: Box, host: Callable[[str], str] = lambda _: "") -> dict[str, str]:
    """The text of each file; `host` reads one of the machine's.

    >>> names = Names(hosts=("db:10.0.0.2",), servers=("9.9.9.9",))
    >>> made = contents(Box(None, (), process=None, hostname="web", names=names))
    >>> made["hosts"].splitlines()[-2:], made["resolv.conf"]
    (['127.0.1.1\\tweb', '10.0.0.2\\tdb'], 'nameserver 9.9.9.9\\n')
    """
    hosts = host("/etc/hosts") if box.network == "host" else HOSTS
    if box.hostname and box.network != "host":
        full = f"{box.hostname}.{box.names.domain} " if box.names.domain else ""
        hosts += f"127.0.1.1\t{full}{box.hostname}\n"
    more = (text.partition(":") for text in box.names.hosts)
    return {
        "hostname": f"{box.hostname or 'localhost'}\n",
        "hosts": hosts + "".join(f"{address}\t{name}\n" for name, _, address in more),
        "resolv.conf": resolver(box.names, host("/etc/resolv.conf")),
    }


def resolver(names: Names, host: str) -> str:
    """The text of resolv.conf(5): the machine's own, but for what was asked for. The search domain `.` stands for none.

    >>> resolver(Names(search=("a.b",)), "nameserver 9.9.9.9\\nsearch lan\\n")
    'search a.b\\nnameserver 9.9.9.9\\n'
    """
    if not (names.servers or names.search or names.options):
        return host
    search = names.search or tuple(said(host, "search"))
    servers = names.servers or tuple(said(host, "nameserver"))
    options = names.options or tuple(said(host, "options"))
    lines = [f"search {' '.join(search)}"] if search and search != (".",) else []
    lines += [f"nameserver {server}" for server in servers]
    return "".join(f"{line}\n" for line in (*lines, *([f"options {' '.join(options)}"] if options else [])))


def said(text: str, keyword: str) -> Iterator[str]:
    """The words that follow a keyword in resolv.conf."""
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == keyword:
            yield from words[1:]
