"""A registry that listens: where, for whom, and the work that is done while it does.

>>> address("127.0.0.1:5000"), address(":5000"), address("[::1]:80"), address("localhost")
(('127.0.0.1', 5000), ('', 5000), ('::1', 80), ('localhost', 5000))
"""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from minidocker.errors import APIError, InvalidArgument
from minidocker.registry.server import Registry
from minidocker.registry.uploads import expire
from minidocker.web.server import Server

if TYPE_CHECKING:
    import ssl

PORT = 5000
HOUR = 3600.0


def address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`. Raises InvalidArgument."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(?::([0-9]{1,5}))?", text)
    if match is None or int(match[2] or 0) > 65535 or not text:
        raise InvalidArgument(f"invalid address {text!r}: expected HOST:PORT, like 127.0.0.1:5000")
    return match[1].strip("[]"), PORT if match[2] is None else int(match[2])


def is_loopback(host: str) -> bool:
    """Whether only this machine can come in there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_open(host: str, registry: Registry, tls: ssl.SSLContext | None) -> None:
    """Raise InvalidArgument where a registry would stand open to a network by mistake."""
    lacks = " and ".join(
        [*(["without TLS"] if tls is None else []), *(["without users"] if registry.users is None else [])]
    )
    if lacks and not is_loopback(host):
        raise InvalidArgument(
            f"a registry on {host or 'all addresses'} {lacks} is open to everybody on the network: "
            "use --tls-cert, --tls-key and --htpasswd, or --insecure if that is what you want"
        )


@contextmanager
def serving(registry: Registry, where: str, tls: ssl.SSLContext | None = None, insecure: bool = False) -> Iterator[str]:
    """Serve in the background for as long as the block runs; its URL. Raises Conflict where the port is taken."""
    host, port = address(where)
    if not insecure:
        check_open(host, registry, tls)
    server = Server(registry)
    host, port = server.listen(host, port, tls)
    shown = f"[{host}]" if ":" in host else host
    done = threading.Event()
    keeper = threading.Thread(target=_keep_house, args=(registry, done), daemon=True)
    keeper.start()
    try:
        with server:
            yield f"{'http' if tls is None else 'https'}://{shown}:{port}"
    finally:
        done.set()


def _keep_house(registry: Registry, done: threading.Event) -> None:
    """Now and every hour: delete the uploads that were given up."""
    while True:
        for name in registry.shelf.names():
            with suppress(APIError, OSError):
                expire(registry.shelf.repository(name))
        if done.wait(HOUR):
            return
