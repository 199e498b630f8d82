"""A server that answers as a test says: a registry that lies, stalls, breaks off, or sends people elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handle = Callable[[Any], object]  # gets the handler: `path`, `command`, `headers`; answers with `reply`, or breaks off


class Upset(ThreadingHTTPServer):
    """`rules` are looked at first: (method, part of the path) -> how to answer; the rest is a 404."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rules: dict[tuple[str, str], Handle] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """A client that leaves is none of our business."""

    def asked(self, method: str, part: str) -> list[dict[str, str]]:
        """The headers of the requests that were like this."""
        return [headers for one, path, headers in self.seen if one == method and part in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upset

    def _any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        for (method, part), handle in self.server.rules.items():
            if method == self.command and part in self.path:
                handle(self)
                return
        self.reply(200 if self.path == "/v2/" else 404)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _any

    def reply(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if length not in (None, len(body)):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def upset() -> Iterator[Upset]:
    """One, for as long as the block goes on."""
    server = Upset()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        with suppress(OSError):
            server.server_close()
        thread.join()
