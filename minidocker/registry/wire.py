"""HTTP to registries: connections that stay open and are used again, bodies that stream both ways, TLS, proxies.

Nothing here knows what a registry is; `authorize` and `client` do. An address that a server redirects to gets no
credentials, unless it is that same server. Nobody waits for ever: a server that says nothing for some time is given up.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from minidocker.errors import APIError
from minidocker.registry.settings import TIMEOUT, certificates
from minidocker.registry.trace import Exchange, tell
from minidocker.waiting import ready

REDIRECTS = (301, 302, 303, 307, 308)
MAX_REDIRECTS = 10
PIECE = 256 << 10  # bytes at a time
MAX_ANSWER = 4 << 20  # bytes of an answer that is read as a whole
AGENT = "minidocker"
Body = Callable[[], Iterable[bytes]]  # called again where a request has to be repeated


class Unreachable(APIError):
    """No answer came: no network, no such host, nobody there, no TLS, cut off. It may be worth to try again."""

    status_code = 500

    def __init__(self, explanation: str, again: bool = True) -> None:
        super().__init__(explanation)
        self.again = again


class NotTLS(Unreachable):
    """The server speaks no TLS, or none that is to be trusted."""


@dataclass
class Request:
    """What is asked: of which server, what for (`why` is for people), with which credentials."""

    method: str
    url: str
    why: str
    headers: dict[str, str] = field(default_factory=dict)
    authorization: str = field(default="", repr=False)
    body: Body | None = None
    size: int = 0
    verify: bool = True
    follow: bool = True


class Answer:
    """What came back: `status`, `headers`, and the body, to be read once and to be closed."""

    def __init__(self, wire: Wire, request: Request, connection: http.client.HTTPConnection, sent: int) -> None:
        self.wire, self.request, self.connection, self.sent, self.received = wire, request, connection, sent, 0
        self.raw = connection.getresponse()
        self.status, self.headers, self.open = self.raw.status, self.raw.headers, True

    @property
    def reason(self) -> str:
        """`404 Not Found`, as Go prints it."""
        return f"{self.status} {http.client.responses.get(self.status, self.raw.reason)}".strip()

    def header(self, name: str) -> str:
        """A header; "" where there is none."""
        return str(self.headers.get(name) or "")

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece. Raises Unreachable where it is cut."""
        try:
            while chunk := self.raw.read(PIECE):
                self.received += len(chunk)
                yield chunk
            if self.raw.length:
                raise http.client.IncompleteRead(b"", self.raw.length)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close(reuse=False)
            fail(self.request, error)
        self.close()

    def read(self, limit: int = MAX_ANSWER) -> bytes:
        """The whole body. Raises APIError where it is larger than `limit`."""
        found = bytearray()
        for chunk in self.chunks():
            found += chunk
            if len(found) > limit:
                self.close(reuse=False)
                raise APIError(f"{shown(self.request)}: the answer is larger than {limit} bytes")
        return bytes(found)

    def close(self, reuse: bool = True) -> None:
        """Done with it; the connection is kept for the next request, if nothing is left in it."""
        if not self.open:
            return
        self.open = False
        if reuse and self.raw.length is not None and self.raw.length <= PIECE:
            with suppress(OSError, http.client.HTTPException):
                self.received += len(self.raw.read())
        done = self.raw.isclosed()
        self.wire.put_back(self.request, self.connection, reuse and done and not self.raw.will_close)
        asked = self.request
        where = self.header("Location")
        tell(Exchange.of(asked.method, asked.url, self.status, self.sent, self.received, asked.why, where))

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(reuse=kind is None)


class Wire:
    """The connections of one client. `stop` ends whatever goes on, from any thread."""

    def __init__(self, timeout: float = TIMEOUT, insecure: Callable[[str], bool] = lambda _host: False) -> None:
        self.timeout, self.insecure = timeout, insecure
        self.idle: dict[tuple[str, str, bool], list[http.client.HTTPConnection]] = {}
        self.busy: set[http.client.HTTPConnection] = set()
        self.lock, self.stopped = threading.Lock(), threading.Event()
        self.contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def ask(self, request: Request) -> Answer:
        """Send a request, follow where it is redirected, and give the answer, its body unread. Raises Unreachable."""
        for _ in range(MAX_REDIRECTS):
            answer = self._once(request)
            where = answer.header("Location")
            if not (request.follow and answer.status in REDIRECTS and where and request.method in ("GET", "HEAD")):
                return answer
            answer.close()
            request = self._redirected(request, urljoin(request.url, where))
        raise Unreachable(f"{shown(request)}: stopped after {MAX_REDIRECTS} redirects", again=False)

    def _redirected(self, old: Request, url: str) -> Request:
        """The request to where it is redirected. Credentials are for the server that was asked, and no other."""
        before, after = urlsplit(old.url), urlsplit(url)
        if after.scheme not in ("http", "https") or not after.hostname:
            raise Unreachable(f"{shown(old)}: it redirects to what is neither http nor https", again=False)
        same = origin(before) == origin(after)
        insecure = self.insecure(after.netloc.rpartition("@")[2])
        if before.scheme == "https" and after.scheme == "http" and not insecure:
            raise Unreachable(f"{shown(old)}: it redirects from https to http: {after.hostname}", again=False)
        return Request(
            old.method,
            url,
            old.why,
            old.headers,
            old.authorization if same else "",
            verify=old.verify if same else not insecure,
        )

    def _once(self, request: Request) -> Answer:
        """One request, one answer. A connection that the server has closed meanwhile is not held against it."""
        while True:
            if self.stopped.is_set():
                raise Unreachable(f"{shown(request)}: context canceled", again=False)
            connection, used = self._connection(request)
            try:
                sent = self._send(connection, request)
                return Answer(self, request, connection, sent)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.put_back(request, connection, reuse=False)
                stale = isinstance(error, (http.client.RemoteDisconnected, ConnectionError)) and used
                if not stale or request.body is not None:  # of a body, who knows what came: the sender has to ask
                    fail(request, error)
            except BaseException:
                self.put_back(request, connection, reuse=False)
                raise

    def _send(self, connection: http.client.HTTPConnection, request: Request) -> int:
        url = urlsplit(request.url)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        absolute = getattr(connection, "absolute", False)
        connection.putrequest(request.method, f"http://{url.netloc}{target}" if absolute else target, True, True)
        host = url.netloc.rpartition("@")[2]
        headers = {"Host": host, "User-Agent": AGENT, "Accept-Encoding": "identity"} | request.headers
        if request.authorization:
            headers["Authorization"] = request.authorization
        if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(request.size)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return _send_body(connection, request)

    def _connection(self, request: Request) -> tuple[http.client.HTTPConnection, bool]:
        """A connection to the server, and whether it was used before."""
        key = _key(request)
        with self.lock:
            found = self.idle.get(key)
            while found:
                connection = found.pop()
                if not _over(connection):
                    self.busy.add(connection)
                    return connection, True
                connection.close()
        connection = self._opened(request)
        with self.lock:
            self.busy.add(connection)
        return connection, False

    def _opened(self, request: Request) -> http.client.HTTPConnection:
        url = urlsplit(request.url)
        try:
            assert url.hostname is not None
            proxy = proxy_for(url)
            if url.scheme == "https":
                context = self._context(url, request.verify)
                first = proxy or url
                connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                    first.hostname or "",
                    first.port or (443 if proxy is None else 80),
                    timeout=self.timeout,
                    context=context,
                )
                if proxy:
                    connection.set_tunnel(url.hostname, url.port or 443, _proxy_headers(proxy))
            else:
                first = proxy or url
                connection = http.client.HTTPConnection(first.hostname or "", first.port or 80, timeout=self.timeout)
                connection.absolute = proxy is not None  # type: ignore[attr-defined]
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            fail(request, error)
        return connection

    def _context(self, url: SplitResult, verify: bool) -> ssl.SSLContext:
        """How TLS is spoken to a server: whom to believe, and what to show."""
        host = url.netloc.rpartition("@")[2]
        with self.lock:
            if (host, verify) not in self.contexts:
                context = ssl.create_default_context() if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                if not verify:  # and so without the system's certificates, which take long to read
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                believed, keys = certificates(host)
                for path in believed:
                    context.load_verify_locations(path)
                for certificate, key in keys:
                    context.load_cert_chain(certificate, key)
                self.contexts[host, verify] = context
            return self.contexts[host, verify]

    def put_back(self, request: Request, connection: http.client.HTTPConnection, reuse: bool) -> None:
        """A connection that is not needed now."""
        with self.lock:
            self.busy.discard(connection)
            if reuse and not self.stopped.is_set():
                self.idle.setdefault(_key(request), []).append(connection)
                return
        connection.close()

    def stop(self) -> None:
        """End all that goes on: who waits for an answer gets an error."""
        self.stopped.set()
        with self.lock:
            for connection in self.busy:
                with suppress(OSError, AttributeError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
        self.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self.lock:
            idle = [connection for found in self.idle.values() for connection in found]
            self.idle.clear()
        for connection in idle:
            connection.close()


def _send_body(connection: http.client.HTTPConnection, request: Request) -> int:
    """The body, as far as the server wants it: one that refuses early may have said why."""
    sent = 0
    try:
        for chunk in request.body() if request.body else ():
            connection.send(chunk)
            sent += len(chunk)
    except (BrokenPipeError, ConnectionResetError):
        return sent
    if sent != request.size:
        raise OSError(f"{sent} of {request.size} bytes were there to send")
    return sent


def _key(request: Request) -> tuple[str, str, bool]:
    url = urlsplit(request.url)
    return url.scheme, url.netloc.rpartition("@")[2], request.verify


def origin(url: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port: who gets credentials."""
    return url.scheme, url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def proxy_for(url: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for a server, if any; none is used to this machine itself."""
    host = url.hostname or ""
    proxy = getproxies().get(url.scheme)
    if not proxy or host == "localhost" or host.startswith("127.") or host == "::1" or proxy_bypass(host):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")


def _proxy_headers(proxy: SplitResult) -> Mapping[str, Any]:
    if proxy.username is None:
        return {}
    from base64 import b64encode
    from urllib.parse import unquote

    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}


def shown(request: Request) -> str:
    """A request as Go's errors name it, without what may be secret in its address."""
    url = urlsplit(request.url)
    place = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
    return f'{request.method.capitalize()} "{place}"'


def _over(connection: http.client.HTTPConnection) -> bool:
    """Whether an idle connection has something to say: nobody asked, so it can only be that the server left."""
    return connection.sock is None or bool(ready([connection.sock.fileno()], 0))


def fail(request: Request, error: Exception) -> NoReturn:
    """Say why no answer came, in Docker's words and a hint. Raises Unreachable."""
    if isinstance(error, APIError):
        raise error
    url = urlsplit(request.url)
    host, port = url.hostname, url.port or (443 if url.scheme == "https" else 80)
    again, kind = True, Unreachable
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"tls: failed to verify certificate: x509: {_x509(error)}: put the registry's authority into "
        why += f"/etc/docker/certs.d/{url.netloc}/ca.crt, or list it in daemon.json's insecure-registries"
        again, kind = False, NotTLS
    elif isinstance(error, ssl.SSLError):
        plain = error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
        why = "http: server gave HTTP response to HTTPS client: list the registry in daemon.json's insecure-registries"
        why = why if plain else f"tls: {error.reason or error}"
        again, kind = False, NotTLS
    elif isinstance(error, socket.gaierror):
        why, again = f"dial tcp: lookup {host}: no such host: is the name right, and this machine online?", False
    elif isinstance(error, ConnectionRefusedError):
        why = f"dial tcp {host}:{port}: connect: connection refused: is there a registry at this address?"
        again = False
    elif isinstance(error, TimeoutError):
        why = "net/http: request canceled: the server said nothing for too long (Client.Timeout exceeded)"
    elif isinstance(error, (http.client.IncompleteRead, http.client.RemoteDisconnected, ConnectionError)):
        why = "unexpected EOF: the connection was cut"
    elif isinstance(error, http.client.BadStatusLine):
        why, again = "malformed HTTP response: is this a registry, and does it want https?", False
        kind = NotTLS
    elif isinstance(error, OSError) and error.strerror:
        why = f"dial tcp {host}:{port}: {error.strerror.lower()}: is this machine online?"
    else:
        why = str(error) or type(error).__name__
    raise kind(f"{shown(request)}: {why}", again) from error


def _x509(error: ssl.SSLCertVerificationError) -> str:
    words = error.verify_message or ""
    unknown = ("self-signed", "self signed", "unable to get local issuer", "unable to get issuer")
    if any(part in words for part in unknown):
        return f"certificate signed by unknown authority ({words})"
    return words
