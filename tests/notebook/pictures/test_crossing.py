"""What crosses between client and daemon: the rows in their turn, without what differs; drawn, with a twin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("docker")

import minidocker
from minidocker.daemon.tap import Exchange, Frame, Part, frames
from minidocker.engine import Engine
from minidocker.notebook.desk import Desk, close_below, daemon, recorded_run, tar
from minidocker.notebook.pictures.crossing import crossing, excerpt, header, masked, rows, said
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.pictures.wire import wire_figure
from minidocker.runtime.clients import frame

Parse = Callable[[Figure], ElementTree.Element]
ID = "0123456789abcdef" * 4


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = minidocker.connect(tmp_path / "engine", runtime="simulated")
    engine.images.build(text='FROM minidocker/base\nCMD ["echo", "hello"]\n', tag="shop")
    return engine


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Iterator[Desk]:
    yield daemon(engine)
    close_below(tmp_path)


def told(exchange: Exchange) -> list[str]:
    return [str(row) for row in rows([exchange])]


def test_what_a_client_asks_and_is_answered(desk: Desk, parse: Parse) -> None:
    client = desk.client()
    with desk.listening() as talk:
        ann = client.containers.create("shop", name="ann")
        ann.start(), ann.wait()
        assert ann.logs() == b"hello\n"
    figure = crossing(talk, "docker run")
    parse(figure)
    assert '→ POST /v1.41/containers/create?name=ann  {"Image": "shop", …}' in figure.twin
    assert '← 201 Created  {"Id": "‹id›"}' in figure.twin and '← 200 OK  {"StatusCode": 0}' in figure.twin
    assert '← [01 00 00 00 00 00 00 06] "hello\\n"  (stdout)' in figure.twin
    assert ann.id not in figure.html()
    client.close()


def test_the_same_without_a_socket(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minidocker.notebook.desk.LONGEST", 0)
    desk = daemon(engine)
    assert not desk.address and not desk.has_docker and not list(tmp_path.rglob("docker.sock"))
    with desk.listening() as talk:
        client = desk.client()
        client.containers.list(), client.close()
    assert [one.method for one in talk][-1] == "GET" and crossing(talk).twin.endswith("← 200 OK  []")
    with desk.connect() as sock:
        sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
        assert sock.makefile("rb").read().endswith(b"OK")
    close_below(tmp_path)


def test_an_answer_that_lasts_goes_on_below_what_was_asked_meanwhile(parse: Parse) -> None:
    figure = crossing(recorded_run())
    parse(figure)
    lines = figure.twin.splitlines()
    assert lines[0].endswith("(5 requests on 3 connections)")
    assert [line.strip()[:3] for line in lines[1:]] == "1 →,1 ←,1 →,1 ←,2 →,2 ←,1 →,1 ←,3 →,3 ←,2 ←,2 ←,1 ←".split(",")
    assert lines[6].endswith("101 UPGRADED") and lines[-1].endswith('{"StatusCode": 0}')


def test_bodies_are_shortened() -> None:
    many = json.dumps([{"Id": ID, "State": "running", "Status": "Up 1 second"}] * 5).encode()
    assert excerpt(Part(len(many), many)).startswith('[{"Id": "‹id›", "State": "running", …}, {"Id": ')
    stream = b'{"stream": "Step 1/2 : FROM a"}\r\n{"stream": "\\n"}\r\n{"stream": "done"}\r\n'
    assert excerpt(Part(len(stream), stream)) == '{"stream": "Step 1/2 : FROM a"} … {"stream": "done"}'
    archive = tar("note", b"3 apples")
    assert excerpt(Part(len(archive), archive[:1024])) == "a tar: note"
    assert excerpt(Part(9000, b'{"Id": "' + b"x" * 4000)).endswith("…")
    assert excerpt(Part()) == "" and masked(f"/containers/{ID[:12]}/json") == "/containers/‹id›/json"


def test_what_is_hostile_is_only_text(parse: Parse) -> None:
    evil = b'{"message": "</text><script>\\u001b[2J"}'
    parse(figure := crossing([Exchange("GET", "/<b>", {}, Part(), 404, {}, Part(len(evil), evil), number=1, until=1)]))
    assert "<script" not in figure.html() and "\x1b" not in figure.twin
    assert told(Exchange("GET", "/x", {}, number=1, until=1)) == ["  → GET /x"], "no answer yet"
    assert told(Exchange("GET", "/x", {}, status=299, number=1, until=1))[1] == "  ← 299"


@pytest.mark.parametrize(("number", "stream"), [*enumerate(("stdin", "stdout", "stderr", "system error"))])
def test_the_bytes_of_a_frame_are_those_on_the_wire(number: int, stream: str) -> None:
    data = frame(number, b"x" * 300)
    (found,) = frames(data)
    assert found == Frame(stream, b"x" * 300)
    assert bytes.fromhex("".join(header(found))) == data[:8] and said(found).endswith("…")


def test_a_row_from_near_by(desk: Desk, parse: Parse) -> None:
    client = desk.client()
    ann = client.containers.create("shop", ["sh", "-c", "echo hello"], name="ann")
    ann.start(), ann.wait()
    with desk.listening() as talk:
        client.containers.list(all=True, ignore_removed=True)
        ann.logs()
    shown = [wire_figure(row) for row in rows(talk)]
    for figure in shown:
        parse(figure)
    assert "GET /v1.41/containers/json?limit=-1&all=1" in shown[0].twin.replace("all=1&limit=-1", "limit=-1&all=1")
    assert '"Created": ‹date›' in shown[1].twin
    assert any("01 00 00 00 00 00 00 06 68 65 6c 6c 6f 0a" in figure.twin for figure in shown)
    client.close()
