"""Docker's SDK over an `Api` in this process: the same bytes as through a socket, and no socket that anybody can see.

    api = Api(minidocker.connect())
    client = inprocess.client(api)                      # a docker.DockerClient
    client.containers.run("minidocker/base", "echo hello")

Each of the SDK's connections is one end of a pair of sockets; at the other a thread of ours serves HTTP as `web` always
does, connections that are handed over (attach, exec) as well. So lessons and tests need no path and no port.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

from minidocker.errors import Unsupported

if TYPE_CHECKING:
    from docker import DockerClient  # type: ignore[import-untyped]

    from minidocker.web.message import Handler


def connect(app: Handler) -> socket.socket:
    """A connection to an `Api`, for those who speak HTTP themselves.

    >>> from minidocker.web.message import Response
    >>> with connect(lambda request: Response(200, {}, b"hello from " + request.path.encode())) as sock:
    ...     sock.sendall(b"GET /_ping HTTP/1.1\\r\\nHost: docker\\r\\nConnection: close\\r\\n\\r\\n")
    ...     sock.makefile("rb").read().split(b"\\r\\n\\r\\n")[1]
    b'hello from /_ping'
    """
    from minidocker.web.connection import Connection, Limits

    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            Connection(theirs, "", app, Limits(idle=3600.0, piece=3600.0), lambda: False).run()

    threading.Thread(target=serve, name="in-process", daemon=True).start()
    return ours


def client(app: Handler, version: str = "auto", timeout: int = 60) -> DockerClient:
    """Docker's own client of an `Api` in this process. Raises Unsupported where the SDK is not installed."""
    try:
        import docker
        from docker.transport.basehttpadapter import BaseHTTPAdapter  # type: ignore[import-untyped]
        from urllib3.connection import HTTPConnection
        from urllib3.connectionpool import HTTPConnectionPool
    except ImportError as error:
        raise Unsupported(f"this needs Docker's SDK for Python: pip install docker ({error})") from error

    class Local(HTTPConnection):
        def connect(self) -> None:
            self.sock = connect(app)
            self.sock.settimeout(timeout)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Local

    class Adapter(BaseHTTPAdapter):  # type: ignore[misc]
        pool = Pool("localhost", maxsize=16)

        def get_connection(self, url: str, proxies: Any = None) -> Pool:
            return self.pool

        def request_url(self, request: Any, proxies: Any) -> Any:
            return request.path_url

        def close(self) -> None:
            super().close()
            self.pool.close()

    class Api(docker.APIClient):  # type: ignore[misc]
        def get_adapter(self, url: str) -> Any:
            return adapter

        def close(self) -> None:
            super().close()
            adapter.close()

    adapter = Adapter()
    found: DockerClient = docker.DockerClient.__new__(docker.DockerClient)
    found.api = Api(base_url="http://localhost:2375", version=version, timeout=timeout)
    return found
