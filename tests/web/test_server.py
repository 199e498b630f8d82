"""The HTTP server: streams both ways, keeps connections, and is not impressed by what is no HTTP."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidocker.errors import Conflict
from minidocker.web.connection import Limits
from minidocker.web.message import FilePart, Hijack, Request, Response
from minidocker.web.routes import Routes
from minidocker.web.server import Server, tls_context

SHORT = Limits(idle=1.0, headers=0.5, piece=1.0, linger=0.3, clients=8)


class Site:
    """Handlers for tests, and what happened to them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "file"
        self.file.write_bytes(os.urandom(1 << 20))
        self.closed = threading.Event()
        self.release = threading.Event()
        self.entered = threading.Event()
        self.app = Routes(
            [
                ("GET", "/hello", lambda _: Response(200, {}, b"hello")),
                ("GET", "/file", lambda _: Response(200, {}, FilePart(self.file.open("rb"), 10, (1 << 20) - 20))),
                ("GET", "/pieces", lambda request: Response(200, {}, self.pieces(request))),
                ("GET", "/broken", lambda _: Response(200, {}, self.broken())),
                ("GET", "/bug", lambda _: Response(200, {}, str(1 // 0).encode())),
                ("POST", "/echo", lambda request: Response(200, {}, request.body)),
                ("POST", "/count", lambda request: Response(200, {}, str(sum(map(len, request.body))).encode())),
                ("POST", "/refuse", lambda _: Response(403, {}, b"no")),
                ("POST", "/attach", lambda _: Response(101, {"Upgrade": "tcp"}, Hijack(self.shout))),
                ("GET", "/wait", self.wait),
            ]
        )

    def pieces(self, request: Request) -> Iterator[bytes]:
        try:
            for number in range(int(request.option("n", "3"))):
                yield b"%d," % number
                if request.option("n"):
                    time.sleep(0.01)
        finally:
            self.closed.set()

    def broken(self) -> Iterator[bytes]:
        yield b"begun"
        raise ValueError("in the middle")

    def shout(self, sock: socket.socket, already: bytes) -> None:
        data = already
        while not data.endswith(b"."):
            data += sock.recv(100)
        sock.sendall(data.upper())

    def wait(self, request: Request) -> Response:
        self.entered.set()
        for _ in range(500):
            if self.release.wait(0.01) or request.gone():
                self.closed.set()
                break
        return Response(200, {}, b"waited")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def answered(site: Site, request: Request) -> Response:
    from minidocker.errors import APIError

    try:
        return site.app(request)
    except APIError as error:
        return Response(error.status_code, {}, error.explanation.encode())


@pytest.fixture
def port(site: Site) -> Iterator[int]:
    server = Server(lambda request: answered(site, request), SHORT)
    _, port = server.listen("127.0.0.1", 0)
    with server:
        yield port


Ask = Callable[..., tuple[int, bytes]]


@pytest.fixture
def ask(port: int) -> Iterator[Ask]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        connection.request(method, path, body, headers or {})  # type: ignore[arg-type]
        answer = connection.getresponse()
        return answer.status, answer.read()

    yield ask
    connection.close()


def raw(port: int, *sent: bytes, half_close: bool = False) -> bytes:
    """What comes back for these bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock, contextlib.suppress(ConnectionResetError):
        for piece in sent:
            sock.sendall(piece)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        found = b""
        while data := sock.recv(1 << 16):
            found += data
        return found
    return b""


def test_one_connection_for_many_requests(ask: Ask, site: Site) -> None:
    for _ in range(3):
        assert ask("GET", "/hello") == (200, b"hello")
        assert ask("HEAD", "/hello") == (200, b"")
        assert ask("GET", "/pieces") == (200, b"0,1,2,")
        assert ask("GET", "/file") == (200, site.file.read_bytes()[10:-10])
        assert ask("HEAD", "/pieces") == (200, b"")
        assert ask("POST", "/refuse", b"x" * 1000) == (403, b"no")
        assert ask("GET", "/nowhere")[0] == 404


def test_a_body_with_its_length_and_in_chunks(ask: Ask) -> None:
    data = os.urandom(3_000_000)
    assert ask("POST", "/count", data) == (200, b"3000000")
    assert ask("POST", "/count", iter([data[:1], data[1:]])) == (200, b"3000000")
    assert ask("POST", "/echo", b"both ways") == (200, b"both ways")


def test_an_answer_comes_while_the_body_is_still_being_sent(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        while not (found := sock.recv(1000)).endswith(b"one\r\n"):
            assert found
        sock.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
        assert b"two" in sock.recv(1000)


def test_a_client_that_waits_for_100_continue(port: int) -> None:
    head = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        sock.sendall(head % b"count")
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"abcd")
        assert sock.recv(1000).endswith(b"\r\n\r\n4")
    assert b"100" not in raw(port, head % b"refuse").split(b"\r\n")[0]  # a "no" comes at once


def test_an_early_no_reaches_a_client_that_sends_much(port: int) -> None:
    body = b"x" * 5_000_000
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.suppress(ConnectionError):
        connection.request("POST", "/refuse", body)
    assert connection.getresponse().status == 403
    connection.close()


def test_requests_that_wait_in_line_are_answered_in_turn(port: int) -> None:
    found = raw(port, b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" * 3, b"GET /hello HTTP/1.0\r\n\r\n")
    assert found.count(b"hello") == 4


def test_a_hijacked_connection_has_what_was_sent_too_early(port: int) -> None:
    found = raw(
        port, b"POST /attach HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly", b" late."
    )
    assert found.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
    assert found.endswith(b"EARLY LATE.")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"SSH-2.0-x\r\n\r\n",
        b"GET /hello\r\n\r\n",
        b"GET /hello HTTP/1.1\r\n\r\n",  # no Host
        b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
        b"GET /hello HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /hel\x00lo HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /hello?" + b"a=b&" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 100 + b"\r\n",
    ],
)
def test_what_is_no_http_gets_a_4xx_and_is_cut_off(port: int, sent: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    found = raw(port, sent)
    assert not found or found.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501"))
    assert b"hello" not in found
    assert "Traceback" not in capfd.readouterr().err


def test_chunks_that_are_none(port: int) -> None:
    found = raw(port, b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b"invalid request body" in found


@pytest.mark.parametrize("target", [b"http://a/hello", b"HTTP://a:80/hello?x=/", b"/hello?x=http://b/"])
def test_a_target_with_the_name_of_the_host(port: int, target: bytes) -> None:
    found = raw(port, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 200 ")
    assert found.endswith(b"hello")


def test_a_length_beside_chunks_smuggles_nothing(port: int) -> None:
    smuggled = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = raw(port, head + b"0\r\n\r\n" + smuggled)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert found.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /hel",
        b"GET /hello HTTP/1.1\r\nHost: a",
        b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
@pytest.mark.parametrize("half_close", [True, False])
def test_half_a_request_is_given_up(port: int, sent: bytes, half_close: bool) -> None:
    assert b"200" not in raw(port, sent, half_close=half_close)  # and it comes to an end at all


def test_a_client_that_dribbles_its_headers_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock, pytest.raises(OSError):
        for _ in range(100):
            sock.sendall(b"X")
            time.sleep(0.03)


def test_a_client_that_leaves_frees_what_was_held_for_it(port: int, site: Site) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        sock.sendall(b"GET /pieces?n=1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(100)
    assert site.closed.wait(120)
    site.closed.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        assert site.entered.wait(120)
    assert site.closed.wait(120)  # the handler asked whether it is gone


def test_an_answer_that_breaks_off_is_not_mistaken_for_a_whole_one(ask: Ask) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask("GET", "/broken")


def test_a_bug_in_a_handler_is_a_500_and_the_next_request_is_answered(ask: Ask) -> None:
    assert ask("GET", "/bug")[0] == 500
    assert ask("GET", "/hello") == (200, b"hello")


def test_a_file_that_has_become_shorter_is_cut_off(ask: Ask, site: Site) -> None:
    os.truncate(site.file, 1000)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask("GET", "/file")


def test_more_clients_than_there_is_room_for_take_turns(port: int) -> None:
    held = [socket.create_connection(("127.0.0.1", port), timeout=120) for _ in range(30)]  # say nothing
    try:
        for _ in range(5):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello", timeout=120) as answer:
                assert answer.read() == b"hello"
    finally:
        for sock in held:
            sock.close()


def test_stopping_lets_the_last_request_finish_and_takes_no_new_one(site: Site) -> None:
    server = Server(site.app, SHORT)
    _, port = server.listen("127.0.0.1", 0)
    server.start()
    idle = socket.create_connection(("127.0.0.1", port))
    found: list[bytes] = []
    asking = threading.Thread(target=lambda: found.append(raw(port, b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")))
    asking.start()
    assert site.entered.wait(120)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert idle.recv(10) == b""
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).recv(1)
    site.release.set()
    asking.join(120)
    stopping.join(120)
    assert found[0].endswith(b"waited")
    assert b"Connection: close" in found[0]
    idle.close()


def test_stopping_waits_for_nobody_forever(site: Site) -> None:
    server = Server(site.app, SHORT)
    _, port = server.listen("127.0.0.1", 0)
    server.start()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        assert site.entered.wait(120)
        server.stop(grace=0.1)
        assert site.closed.wait(120)


# --- UNIX sockets, TLS ----------------------------------------------------------------------------------------------


def test_a_unix_socket_is_replaced_when_its_server_is_dead_and_only_then(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = Server(site.app, SHORT)
    server.listen_unix(path, 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    with server:
        with pytest.raises(Conflict, match="somebody else listens there"):
            Server(site.app, SHORT).listen_unix(path)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET /hello HTTP/1.1\r\nHost: docker\r\n\r\n")
            assert sock.recv(1000).endswith(b"hello")
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(Conflict, match="there is a file of that name"):
        Server(site.app, SHORT).listen_unix(path)
    assert path.read_text() == "mine"


def test_a_port_that_is_taken(port: int, site: Site) -> None:
    with pytest.raises(Conflict, match="bind: address already in use"):
        Server(site.app, SHORT).listen("127.0.0.1", port)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, that is its own authority."""
    folder = tmp_path_factory.mktemp("papers")
    try:
        subprocess.run(
            f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 "
            f"-addext subjectAltName=IP:127.0.0.1 -keyout {folder}/key.pem -out {folder}/cert.pem".split(),
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl makes no certificate here")
    return folder


@pytest.mark.parametrize("with_client", [False, True])
def test_tls_with_and_without_client_certificates(papers: Path, site: Site, with_client: bool) -> None:
    cert, key = papers / "cert.pem", papers / "key.pem"
    server = Server(site.app, SHORT)
    _, port = server.listen("127.0.0.1", 0, tls_context(cert, key, cert if with_client else None))
    with server:
        client = ssl.create_default_context(cafile=cert)
        if with_client:
            with (
                pytest.raises(OSError),
                client.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1") as sock,
            ):
                sock.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
                if not sock.recv(10):
                    raise ConnectionResetError
            client.load_cert_chain(cert, key)
        for path, size in {"hello": 5, "file": (1 << 20) - 20}.items():
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/{path}", timeout=120, context=client) as answer:
                assert len(answer.read()) == size
        raw(port, b"GET /hello HTTP/1.1\r\n\r\n")  # no TLS: it is cut off


def test_memory_stays_flat_while_much_streams_through(port: int) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/count", (b"x" * (1 << 20) for _ in range(300)))
    assert connection.getresponse().read() == str(300 << 20).encode()
    connection.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10
