"""A web site on this machine for tests: files with their headers, a folder, and what was asked of it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Site:
    """`pages` are path -> (status, headers, body); anything else is looked for in `folder`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answered: list[int] = []

    def put(self, path: str, body: bytes | str, **headers: str) -> str:
        """A page with an ETag of its content; its URL."""
        data = body.encode() if isinstance(body, str) else body
        etag = f'"{hashlib.sha256(data).hexdigest()[:8]}"'
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (200, {"ETag": etag, "Content-Length": str(len(data))} | named, data)
        return self.url + path


@contextmanager
def serve(folder: Path) -> Iterator[Site]:
    """A site for as long as the `with` lasts."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def do_GET(self) -> None:
            site.asked.append((self.path, dict(self.headers)))
            if self.path not in site.pages:
                super().do_GET()
                return
            status, headers, body = site.pages[self.path]
            if headers.get("ETag") and self.headers.get("If-None-Match") == headers["ETag"]:
                status, headers, body = 304, {"ETag": headers["ETag"]}, b""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def send_response(self, code: int, message: str | None = None) -> None:
            site.answered.append(code)
            BaseHTTPRequestHandler.send_response(self, code, message)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(folder, f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
