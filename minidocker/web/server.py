"""The server: it listens (TCP, UNIX sockets, TLS), gives each client a thread, and stops gracefully.

>>> from minidocker.web.message import Request, Response
>>> server = Server(lambda request: Response(200, {}, b"hello"))
>>> host, port = server.listen("127.0.0.1", 0)
>>> with server:
...     import urllib.request
...     urllib.request.urlopen(f"http://{host}:{port}/").read()
b'hello'
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import APIError, Conflict, InvalidArgument, Unsupported
from minidocker.web.message import Handler, Socket

if TYPE_CHECKING:
    import ssl

    from minidocker.web.connection import Connection, Limits


class Server:
    """Listens once `listen` or `listen_unix` was called, answers between `start` and `stop` (or in a `with`)."""

    def __init__(self, app: Handler, limits: Limits | None = None) -> None:
        connection = _wire()
        self.app, self.limits = app, limits or connection.Limits()
        self._connection: Any = connection.Connection
        self._listeners: dict[socket.socket, ssl.SSLContext | None] = {}
        self._sockets: list[tuple[Path, int]] = []  # UNIX sockets: path and inode
        self._clients: dict[threading.Thread, tuple[Socket, Connection | None]] = {}
        self._free = threading.Condition()
        self._wake, self._woken = os.pipe()
        self._loop: threading.Thread | None = None
        self._stopping = False

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        """Listen on a TCP port (0: a free one); the address that it became. Raises Conflict, InvalidArgument."""
        try:
            family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listener = socket.socket(family, kind, proto)
        except OSError as error:
            raise InvalidArgument(f"cannot listen on {host}: {error.strerror or error}") from error
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(4096)
        except OSError as error:
            listener.close()
            raise Conflict(f"listen tcp {host}:{port}: bind: {(error.strerror or str(error)).lower()}") from error
        self._listeners[listener] = tls
        found: tuple[str, int] = listener.getsockname()[:2]
        return found

    def listen_unix(self, path: Path, mode: int = 0o660) -> None:
        """Listen on a UNIX socket; one that a dead server left behind is replaced. Raises Conflict."""
        if not hasattr(socket, "AF_UNIX"):
            raise Unsupported("this system has no UNIX sockets: use a TCP address")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _clear(path)
            before = os.umask(0o777 & ~mode)
            try:
                listener.bind(str(path))
            finally:
                os.umask(before)
            listener.listen(4096)
        except OSError as error:
            listener.close()
            raise Conflict(f"listen unix {path}: bind: {(error.strerror or str(error)).lower()}") from error
        except BaseException:
            listener.close()
            raise
        self._listeners[listener] = None
        self._sockets.append((path, path.stat().st_ino))

    def start(self) -> None:
        """Answer, in threads of our own."""
        self._loop = threading.Thread(target=self._accept, name="web-accept", daemon=True)
        self._loop.start()

    def stop(self, grace: float = 10.0) -> None:
        """Take no new client, let those that are being answered finish for up to `grace` seconds, and close."""
        if self._stopping:
            return
        self._stopping = True
        os.write(self._woken, b".")
        if self._loop is not None:
            self._loop.join()
        for listener in self._listeners:
            listener.close()
        for path, inode in self._sockets:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()
        deadline = time.monotonic() + grace
        with self._free:
            for sock, connection in self._clients.values():
                if connection is None or connection.idle or connection.endless:
                    _cut(sock)
            self._free.wait_for(lambda: not self._clients, max(0.0, deadline - time.monotonic()))
            for sock, _ in self._clients.values():
                _cut(sock)
            self._free.wait_for(lambda: not self._clients, 1.0)
        os.close(self._wake)
        os.close(self._woken)

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._wake, selectors.EVENT_READ)
            for listener in self._listeners:
                ready.register(listener, selectors.EVENT_READ)
            while not self._stopping:
                for key, _ in ready.select():
                    if isinstance(key.fileobj, socket.socket) and self._room():
                        self._take(key.fileobj)

    def _room(self) -> bool:
        """Wait until there is room for one more client; whoever has been idle for longest makes room."""
        with self._free:
            if len(self._clients) >= self.limits.clients:
                idle = [sock for sock, connection in self._clients.values() if connection and connection.idle]
                for sock in idle[:1]:
                    _cut(sock)
                self._free.wait_for(lambda: len(self._clients) < self.limits.clients or self._stopping, 1.0)
            return len(self._clients) < self.limits.clients and not self._stopping

    def _take(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
        except OSError:  # it left again, or there are no descriptors left: then somebody must leave first
            time.sleep(0.01)
            return
        thread = threading.Thread(target=self._serve, args=(sock, address, self._listeners[listener]), daemon=True)
        with self._free:
            self._clients[thread] = (sock, None)
        try:
            thread.start()
        except RuntimeError:  # no more threads are to be had
            self._forget(thread, sock)

    def _serve(self, sock: Socket, address: Any, tls: ssl.SSLContext | None) -> None:
        me = threading.current_thread()
        try:
            peer = str(address[0]) if isinstance(address, tuple) else ""
            if peer:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                sock.settimeout(self.limits.headers)
                sock = tls.wrap_socket(sock, server_side=True)
            connection = self._connection(sock, peer, self.app, self.limits, lambda: self._stopping)
            with self._free:
                self._clients[me] = (sock, connection)
            connection.run()
        except OSError:  # no TLS, or not with us: ssl.SSLError is one
            pass
        finally:
            self._forget(me, sock)

    def _forget(self, thread: threading.Thread, sock: Socket) -> None:
        sock.close()
        with self._free:
            self._clients.pop(thread, None)
            self._free.notify_all()


def _wire() -> Any:
    try:
        from minidocker.web import connection
    except ImportError as error:
        raise Unsupported(
            "to serve, minidocker needs the library h11: pip install 'minidocker-course[serve]'"
        ) from error
    return connection


def _cut(sock: Socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _clear(path: Path) -> None:
    """Remove the socket of a server that is dead. Raises Conflict where one lives, or where it is no socket."""
    if not path.is_socket():
        if path.exists():
            raise Conflict(f"can't create unix socket {path}: there is a file of that name")
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise Conflict(f"can't create unix socket {path}: somebody else listens there")


def tls_context(cert: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """TLS with this certificate; with `client_ca`, only clients whose certificates it has signed. Raises APIError."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise APIError(f"could not load X509 key pair ({cert}, {key}): {error}") from error
    return context
