"""Conversations with a registry, and what it has: drawn from what really went over the wire."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from urllib.request import Request, urlopen
from xml.etree import ElementTree

import pytest

import minidocker
from minidocker.content import INDEX
from minidocker.engine import Engine
from minidocker.errors import NotFound, Unsupported
from minidocker.notebook.hub import Hub, close_below, registry
from minidocker.notebook.pictures.conversation import conversation, lines, moved
from minidocker.notebook.pictures.labels import labels
from minidocker.notebook.pictures.platforms import platform_index
from minidocker.notebook.pictures.svg import Figure
from minidocker.registry.trace import Exchange, trace

Parse = Callable[[Figure], ElementTree.Element]
Push = Callable[..., list[Exchange]]
METHOD = attrgetter("method")
APP = "FROM scratch\nCOPY --chmod=644 photos.bin /\nCOPY --chmod=644 app.sh /\nENV VERSION={}\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    yield registry(tmp_path / "registry")
    close_below(tmp_path)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1735689600")
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "photos.bin").write_bytes(random.Random(8).randbytes(300_000))
    return minidocker.connect(tmp_path / "engine", runtime="simulated")


@pytest.fixture
def push(engine: Engine, hub: Hub, tmp_path: Path) -> Push:
    def push(name: str, version: str, platform: str = "linux/amd64") -> list[Exchange]:
        (tmp_path / "context" / "app.sh").write_text(f"echo {version}\n")
        path = str(tmp_path / "context")
        engine.images.build(path=path, text=APP.format(version), tag=f"{hub}/{name}", platform=platform)
        with trace() as talk:
            engine.images.push(f"{hub}/{name}")
        return talk

    return push


def test_a_first_push_uploads_and_a_second_one_only_asks(push: Push, hub: Hub, parse: Parse) -> None:
    first, second = push("app:1", "1"), push("app:1", "1")
    one, two = conversation(first, hub), conversation(second, hub)
    parse(one), parse(two)
    assert moved(first) > 300_000 and moved(second) == 0
    assert one.twin.startswith("push of app:1  (9 requests, 300kB sent)")
    assert two.twin.startswith("push of app:1  (5 requests, <1kB sent; there already: 3 blobs, 300kB)")
    assert [line.split()[0] for line in two.twin.splitlines()[1:]] == ["GET", "HEAD", "HEAD", "HEAD", "PUT"]


def test_who_has_a_layer_gets_only_what_is_new(push: Push, hub: Hub, tmp_path: Path) -> None:
    push("app:1", "1"), push("app:2", "2")
    server = minidocker.connect(tmp_path / "server", runtime="simulated")
    said = []
    for tag in ("1", "2", "2"):
        with trace() as talk:
            server.images.pull(f"{hub}/app:{tag}")
        said.append(conversation(talk, hub).twin)
    assert "COPY photos.bin" in said[0] and "COPY photos.bin" not in said[1] and "COPY app.sh" in said[1]
    assert said[2].splitlines()[1:] == [
        "  GET /v2/  200 OK  ↓ <1kB  are you a registry?",
        "  HEAD app/manifests/2  200 OK  which manifest is it now?",
    ]


def test_layers_that_go_side_by_side_are_drawn_in_order(push: Push, hub: Hub) -> None:
    talk, parts = push("app:1", "1"), hub.parts()
    wanted = ["", *["COPY photos.bin /"] * 2, *["COPY app.sh /"] * 2, *["configuration"] * 3, ""]
    assert [line.subject for line in lines(talk, parts)] == wanted
    start, run, rest = talk[:1], talk[1:5], talk[5:]
    for mixed in (sorted(run, key=METHOD), sorted(run, key=METHOD, reverse=True)[::-1]):
        assert [line.subject for line in lines([*start, *mixed, *rest], parts)] == wanted


def test_nothing_of_this_run_is_in_the_picture(push: Push, hub: Hub) -> None:
    shown = conversation(push("app:1", "1"), hub)
    assert not re.search(r"127\.0\.0\.1|[0-9a-f]{32}", shown.svg() + shown.twin)


def test_without_the_registry_blobs_have_short_digests(push: Push) -> None:
    push("app:1", "1")
    assert re.search(r"HEAD app/blobs/sha256:[0-9a-f]{8}…  200 OK", conversation(push("app:1", "1")).twin)


def test_an_empty_talk_can_be_drawn(parse: Parse) -> None:
    parse(conversation([]))


def test_a_tag_that_moved_is_shown_where_it_was(push: Push, hub: Hub, parse: Parse) -> None:
    push("app:1", "1"), push("app:2", "2")
    before = hub.look("app")
    first = before.tags["1"]
    push("app:1", "1.1")
    now = labels(hub.look("app"), before)
    parse(now), parse(labels(before))
    assert [line.split(" -> ")[0] for line in now.twin.splitlines()[1:]] == [
        "  (1: was here)",
        "  2",
        "  1 (moved here)",
    ]
    assert "only by its digest" in now.svg() and "1 tag moved" in now.twin
    assert hub.look("app").image(first) == before.image(first)


def test_what_two_repositories_share_is_drawn_once(push: Push, hub: Hub) -> None:
    push("app:1", "1"), push("blog:1", "2")
    graph = hub._repr_mimebundle_()
    assert graph["text/plain"].startswith("registry: 2 names, 2 images, 3 layers")
    assert graph["text/html"].split("</desc>")[1].count("COPY photos.bin") == 1


def test_an_index_leads_each_machine_to_its_image(push: Push, hub: Hub, engine: Engine, parse: Parse) -> None:
    found = []
    for cpu in ("amd64", "arm64"):
        push(f"tool:{cpu}", "1", f"linux/{cpu}")
        blob = engine.images.get_registry_data(f"{hub}/tool:{cpu}").attrs["Descriptor"]
        found.append(blob | {"platform": {"os": "linux", "architecture": cpu}})
    data = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).encode()
    urlopen(Request(f"http://{hub}/v2/tool/manifests/1", data, {"Content-Type": INDEX}, method="PUT")).close()
    tool = hub.look("tool")
    for platform, end in (("linux/arm64", "takes linux/arm64"), ("linux/s390x", "finds nothing that fits")):
        drawn = platform_index(tool, "1", platform)
        parse(drawn)
        assert end in drawn.twin and ("▸" in drawn.twin) == end.startswith("takes")
    with pytest.raises(NotFound, match="tool:arm64 is no index"):
        platform_index(tool, "arm64")


def test_a_registry_listens_until_its_lesson_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "example.org")
    first = registry(tmp_path / "a")
    assert registry(tmp_path / "a") is first
    with urlopen(f"http://{first}/v2/") as answer:
        assert answer.status == 200
    close_below(tmp_path)
    with pytest.raises(OSError):
        urlopen(f"http://{first}/v2/", timeout=120)
    monkeypatch.setattr("sys.platform", "emscripten")
    with pytest.raises(Unsupported, match="make lab"):
        registry(tmp_path / "a")
