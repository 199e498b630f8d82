"""A daemon that listens: where, for whom, and what lets only one of them have a folder.

    unix:///run/minidocker.sock       mode 0660: whoever may open it has the engine
    tcp://127.0.0.1:2376              with --tlsverify: whoever shows a certificate that our authority has signed

Beyond this machine nobody is served without such a certificate. On loopback somebody may want to do without one, and
must say so (`--tlsverify=false`); then web pages in a browser of this machine are kept out: see `guarded`.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minidocker.content import FileLock
from minidocker.daemon.api import Api, refusal
from minidocker.daemon.settings import Settings, certificates
from minidocker.errors import APIError, Conflict, InvalidArgument, Unsupported
from minidocker.registry.serving import address, is_loopback
from minidocker.web.message import Handler, Request, Response
from minidocker.web.server import Server, tls_context

if TYPE_CHECKING:
    from minidocker.engine import Engine

PORT, TLS_PORT = 2375, 2376
GRACE = 15  # seconds that builds and pulls have to end when the daemon stops, as dockerd's


class Forbidden(APIError):
    """A request that no client of Docker's would make."""

    status_code = 403


@dataclass(frozen=True)
class Host:
    """Where to listen: a path, or a host and a port."""

    path: str = ""
    name: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str, tls: bool = False) -> Host:
        """An address as `-H` has it. Raises InvalidArgument, Unsupported.

        >>> Host.parse("unix:///run/d.sock").path, Host.parse("tcp://"), Host.parse("[::1]:80").name
        ('/run/d.sock', Host(path='', name='localhost', port=2375), '::1')
        """
        scheme, separator, rest = text.strip().partition("://")
        scheme, rest = (scheme, rest) if separator else ("tcp", text.strip())
        if scheme in ("fd", "npipe", "ssh"):
            raise Unsupported(f"cannot listen on {text}: minidocker listens on unix:// and tcp:// only")
        if scheme == "unix":
            return cls(path=str(Path(rest or default_socket()).absolute()))
        if scheme != "tcp":
            raise InvalidArgument(f"invalid bind address format: {text}")
        name, port = address(rest) if rest.strip("/") else ("", PORT)
        usual = TLS_PORT if tls else PORT
        return cls(name=name or "localhost", port=port if rest.rpartition(":")[1] else usual)

    def __str__(self) -> str:
        """As dockerd's log has it: a path, or host and port."""
        return self.path or (f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}")


def default_socket() -> Path:
    """Where the socket is when nobody says: `/run/minidocker.sock`, or in the user's own run-time folder."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/run/minidocker.sock")
    from minidocker.engine import data_folder

    folder = os.environ.get("XDG_RUNTIME_DIR")
    return (Path(folder) if folder else data_folder()) / "minidocker.sock"


class Daemon:
    """An engine that is served; `open`, then `close`. Raises Conflict where another daemon has the folder."""

    def __init__(self, engine: Engine, options: Settings) -> None:
        from minidocker.web.connection import Limits

        self.engine, self.options = engine, options
        self.api = Api(engine)
        limits = Limits(idle=600.0, piece=600.0, clients=2048)
        self.server = Server(guarded(self._answer), limits)
        self.tls = _tls(options)
        self.hosts: list[Host] = []

    def _answer(self, request: Request) -> Response:
        response = self.api(request)
        if self.options["debug"]:
            log("debug", f"Calling {request.method} {request.path}: {response.status}")
        return response

    def open(self) -> None:
        """Listen, find the containers again, and answer. Raises APIError."""
        self._configure()
        tls = self.options["tlsverify"] or self.options["tls"]
        for text in self.options["hosts"] or ["unix://"]:
            self.hosts.append(self._listen(Host.parse(text, tls)))
        for container in self.engine.containers.revive():
            log("info", f"Started container {container.id}, as its restart policy says")
        self.server.start()
        threading.Thread(
            target=lambda: self.engine.runtime, daemon=True
        ).start()  # trying out the machine takes a moment
        for host in self.hosts:
            log("info", f"API listen on {host}")

    def close(self) -> None:
        """Take no new requests, and let those under way end for a while; containers run on."""
        self.server.stop(self.options["shutdown-timeout"] or GRACE)

    def reload(self, options: Settings) -> None:
        """What SIGHUP asks for; hosts, TLS and the pid file stay as they are until the next start, as with dockerd."""
        self.options = options
        self._configure()
        log("info", "Reloaded configuration")

    def _configure(self) -> None:
        for key in self.options.idle:
            log("warning", f'"{key}" in {self.options.file} does nothing here')
        self.engine.images.registries.given = self.options.registries

    def _listen(self, host: Host) -> Host:
        if host.path:
            self.server.listen_unix(Path(host.path))
            _give_to_group(host.path, self.options["group"])
            return host
        _check_open(host, self.options)
        name, port = self.server.listen(host.name, host.port, self.tls)
        if self.tls is None:
            log("warning", f"API is accessible on http://{Host(name=name, port=port)} without encryption. "
                           "Whoever can open a connection on this machine has the engine.")  # fmt: skip
        return Host(name=name, port=port)


def _check_open(host: Host, options: Settings) -> None:
    """Raise InvalidArgument where the engine would stand open by mistake."""
    if options["tlsverify"]:
        return
    if not is_loopback(host.name):
        raise InvalidArgument(
            f"cannot listen on tcp://{host}: whoever can connect there would have the engine, and with it this "
            "machine. Use --tlsverify (with --tlscacert, --tlscert and --tlskey), or an address like 127.0.0.1"
        )
    if not {"tls", "tlsverify"} & options.values.keys() or (options["tls"] and "tlsverify" not in options.values):
        raise InvalidArgument(
            f"cannot listen on tcp://{host} without asking for client certificates: use --tlsverify, or say "
            "--tlsverify=false if every user of this machine may have the engine"
        )


def _tls(options: Settings) -> ssl.SSLContext | None:
    if not (options["tls"] or options["tlsverify"]):
        return None
    ca, cert, key = certificates(options)
    return tls_context(cert, key, ca if options["tlsverify"] else None)


def _give_to_group(path: str, group: str) -> None:
    if group:
        import shutil

        try:
            shutil.chown(path, group=int(group) if group.isdigit() else group)
        except (LookupError, OSError) as error:
            raise InvalidArgument(f"cannot give {path} to the group {group}: {error}") from None


def guarded(app: Handler) -> Handler:
    """Keep web pages out: a browser lets any page send requests to this machine, and shows it the answers too where
    the page's own name has come to lead here (DNS rebinding). No client of Docker's has an `Origin`, or calls this
    machine by a name that is not its own. UNIX sockets, and clients with a certificate, are no browsers.
    """

    def answer(request: Request) -> Response:
        if request.peer and (words := _foreign(request)):
            return refusal(Forbidden(words))
        return app(request)

    return answer


def _foreign(request: Request) -> str:
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        return "requests of web pages are not answered"
    host = request.headers.get("host", "")
    try:
        name = address(host)[0] if host else "localhost"
    except InvalidArgument:
        name = ""
    own = is_loopback(name) or name.endswith(".localhost") or name == "docker"
    return "" if own or request.scheme == "https" else f"this is not {host}: call it 127.0.0.1 or localhost"


# --- one daemon a folder --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def alone(root: Path, pidfile: str = "") -> Iterator[Path]:
    """Be the daemon of a folder, for as long as the block runs. Raises Conflict where there is one.

    The lock says so, and is gone with its holder; the pid file tells people whom to signal.
    """
    path = Path(pidfile) if pidfile else root / "daemon.pid"
    lock = FileLock(root / "daemon.lock")
    if not lock.acquire(blocking=False):
        raise Conflict(f"failed to start daemon: another one has {root}, process {_pid(root / 'daemon.lock')}")
    try:
        if path != root / "daemon.pid" and (other := _running(path)):
            raise Conflict(
                f"failed to start daemon, ensure docker is not running or delete {path}: "
                f"process with PID {other} is still running"
            )
        for file in (root / "daemon.lock", path):
            file.write_text(f"{os.getpid()}\n")
        yield path
    finally:
        if _pid(path) == os.getpid():
            path.unlink(missing_ok=True)
        lock.release()


def _pid(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _running(path: Path) -> int:
    """The process that a pid file names, if it lives."""
    pid = _pid(path)
    if pid <= 0 or pid == os.getpid():
        return 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return 0
    except OSError:
        pass
    return pid


def log(level: str, text: str) -> None:
    """A line of the daemon's log, as dockerd's."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    print(f'time="{moment}" level={level} msg="{quoted}"', file=sys.stderr, flush=True)
