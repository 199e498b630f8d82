"""A daemon's life: it starts when it answers, has its folder alone, reads its file again; containers outlive it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import minidocker
from minidocker.content import Store
from minidocker.daemon.serving import Host, guarded
from minidocker.daemon.settings import settings
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.fsck import problems
from minidocker.web.message import Request, Response
from tests.daemon.process import Daemon, ask
from tests.until import HANG, until

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no UNIX sockets here")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    found = Daemon(tmp_path)
    yield found
    found.kill()


def test_it_answers_when_it_says_so_and_leaves_nothing_behind(daemon: Daemon) -> None:
    pid = daemon.start()
    assert (daemon.root / "daemon.pid").read_text() == f"{pid}\n"
    assert ask(daemon.socket, "GET", "/_ping") == (200, b"OK")
    assert daemon.socket.stat().st_mode & 0o777 == 0o660
    os.kill(pid, signal.SIGTERM)
    assert daemon.gone(pid)
    assert not daemon.socket.exists()
    assert not (daemon.root / "daemon.pid").exists()


def test_a_folder_has_one_daemon_and_the_command_line_goes_on_beside_it(daemon: Daemon, tmp_path: Path) -> None:
    pid = daemon.start()
    assert f"another one has {daemon.root}, process {pid}" in daemon.refused(host=f"unix://{tmp_path}/other.sock")
    with minidocker.connect(daemon.root, runtime="simulated") as engine:
        engine.containers.create("minidocker/base", "true", name="beside")
    assert b"/beside" in ask(daemon.socket, "GET", "/containers/json?all=1")[1]


def test_after_kill_nine_the_next_one_starts_over_the_stale_socket(daemon: Daemon) -> None:
    pid = daemon.start()
    assert ask(daemon.socket, "POST", "/containers/create?name=kept", {"Image": "minidocker/base"})[0] in (201, 404)
    os.kill(pid, signal.SIGKILL)
    assert daemon.gone(pid)
    assert daemon.socket.exists()
    assert daemon.start() != pid
    assert ask(daemon.socket, "GET", "/_ping")[0] == 200
    assert list(problems(Store(daemon.root))) == []


def test_a_stream_without_end_does_not_hold_it_up(daemon: Daemon) -> None:
    pid = daemon.start("--shutdown-timeout", str(10 * HANG))  # what others would be given
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        client.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in client.recv(1000)
        os.kill(pid, signal.SIGTERM)
        client.settimeout(HANG)
        while client.recv(1000):
            pass
        assert daemon.gone(pid)


def test_sighup_reads_its_file_again(daemon: Daemon) -> None:
    pid = daemon.start()
    (daemon.root / "daemon.json").write_text('{"debug": true, "bip": "10.0.0.1/24"}')
    os.kill(pid, signal.SIGHUP)
    until(lambda: "Reloaded" in daemon.log)
    ask(daemon.socket, "GET", "/v1.41/_ping")
    until(lambda: "Calling GET /v1.41/_ping" in daemon.log)
    assert '\\"bip\\" in ' in daemon.log
    (daemon.root / "daemon.json").write_text("{")
    os.kill(pid, signal.SIGHUP)
    until(lambda: "cannot reload" in daemon.log)
    assert ask(daemon.socket, "GET", "/_ping")[0] == 200


def test_idle_it_is_small(daemon: Daemon) -> None:
    pid = daemon.start()
    for _ in range(20):
        ask(daemon.socket, "GET", "/info")
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("no /proc here")
    assert int(status.read_text().split("VmRSS:")[1].split()[0]) < 60_000


def test_what_dockerd_refuses_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"debug": true, "nonsense": 1}')
    with pytest.raises(InvalidArgument, match="don't match any configuration option: nonsense"):
        settings(tmp_path, {})
    file.write_text('{"hosts": ["unix:///a"]}')
    with pytest.raises(InvalidArgument, match=r"hosts: \(from flag: \[unix:///b\], from file: \[unix:///a\]\)"):
        settings(tmp_path, {"host": ["unix:///b"]})
    file.write_text('{"debug": "yes"}')
    with pytest.raises(InvalidArgument, match="debug must be true or false"):
        settings(tmp_path, {})


@pytest.mark.parametrize("host", ["tcp://0.0.0.0:0", "tcp://192.0.2.1:0", "tcp://[::]:0"])
def test_beyond_this_machine_nobody_is_served_without_a_certificate(daemon: Daemon, host: str) -> None:
    for more in ([], ["--tlsverify=false"], ["--tls=false"]):
        assert "whoever can connect there would have the engine" in daemon.refused(*more, host=host)


def test_on_loopback_one_has_to_say_so(daemon: Daemon) -> None:
    assert "--tlsverify=false" in daemon.refused(host="tcp://127.0.0.1:0")
    pid = daemon.start("-H", "tcp://127.0.0.1:0", "--tlsverify=false")
    assert "without encryption" in daemon.log
    os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("text", ["fd://", "npipe:////./pipe/x", "ssh://a"])
def test_where_it_cannot_listen_it_says_so(text: str) -> None:
    with pytest.raises(Unsupported, match="unix:// and tcp:// only"):
        Host.parse(text)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:2375"}, 200),
        ({"host": "localhost:2375"}, 200),
        ({"host": "api.moby.localhost"}, 200),
        ({}, 200),
        ({"host": "evil.example:2375"}, 403),
        ({"host": "localhost", "origin": "http://evil.example"}, 403),
        ({"host": "localhost", "sec-fetch-site": "cross-site"}, 403),
        ({"host": "[::1]:80"}, 200),
        ({"host": "localhost.evil.example"}, 403),
        ({"host": "?"}, 403),
    ],
)
def test_web_pages_are_kept_out(headers: dict[str, str], status: int) -> None:
    answer = guarded(lambda _: Response(200))
    assert answer(Request("GET", "/_ping", headers=headers, peer="127.0.0.1")).status == status
    assert answer(Request("GET", "/_ping", headers=headers)).status == 200, "through a UNIX socket comes no browser"


def test_two_hundred_clients_at_once_and_a_thousand_that_only_sit_there(daemon: Daemon) -> None:
    pid, wrong = daemon.start(), list[tuple[str, object]]()
    idle = [socket.socket(socket.AF_UNIX) for _ in range(1000)]
    with contextlib.ExitStack() as open_ones:
        for sock in idle:
            open_ones.enter_context(sock)
            sock.connect(str(daemon.socket))

        def one() -> None:
            for target in ("/_ping", "/v1.41/containers/json?all=1", "/v1.41/images/json", "/v1.41/containers/no/json"):
                try:
                    status, _ = ask(daemon.socket, "GET", target)
                except OSError as error:
                    wrong.append((target, error))
                else:
                    wrong.extend([] if status in (200, 404) else [(target, status)])

        crowd = [threading.Thread(target=one) for _ in range(200)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(60)
        assert not any(thread.is_alive() for thread in crowd)
    assert wrong == []
    assert (Path("/proc") / str(pid)).exists() or sys.platform != "linux"


def test_clients_that_die_in_the_middle_take_nothing_along(daemon: Daemon) -> None:
    daemon.start()
    body = json.dumps({"Image": "minidocker/base", "Cmd": ["true"]}).encode()
    head = (
        f"POST /v1.41/containers/create?name=half HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    for cut in (10, 60, len(head), len(head) + 20, len(head + body) - 1):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))
            client.sendall((head + body)[:cut])
        assert ask(daemon.socket, "GET", "/containers/json?all=1") == (200, b"[]\n"), cut
