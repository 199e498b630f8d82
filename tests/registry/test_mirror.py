"""A read-through mirror: fetched once, checked, kept; and what it does when the other registry does not answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minidocker.content import Store
from minidocker.fsck import problems
from minidocker.registry.server import Registry
from minidocker.web.message import Request, Response
from minidocker.web.server import Server
from tests.registry.talk import MANIFEST, Talk, digest


class Upstream:
    """Another registry, that counts what it is asked, can be slow, broken, or down."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.asked = registry, list[str]()
        self.go_on, self.cut = threading.Event(), 0
        self.spoil = self.slow = False

    def __call__(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.path}")
        response = self.registry(request)
        if request.method == "GET" and "/blobs/" in request.path and response.status in (200, 206):
            part = response.body
            data = os.pread(part.file.fileno(), part.size, part.offset)  # type: ignore[union-attr]
            response.close()
            response.headers["Content-Length"] = str(len(data))
            response.body = self._bytes(data)
        return response

    def _bytes(self, data: bytes) -> Iterator[bytes]:
        half = len(data) // 2
        yield data[:half]
        if self.slow:
            self.go_on.wait(120)
        if self.cut:
            self.cut -= 1
            raise ConnectionResetError
        yield bytes(len(data) - half) if self.spoil else data[half:]


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(Registry(Store(tmp_path / "upstream")))


@pytest.fixture
def server(upstream: Upstream) -> Iterator[tuple[Server, str]]:
    server = Server(upstream)
    _, port = server.listen("127.0.0.1", 0)
    with server:
        yield server, f"http://127.0.0.1:{port}"


@pytest.fixture
def source(server: tuple[Server, str]) -> Talk:
    return Talk(server[1])


@pytest.fixture
def registry(tmp_path: Path, server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return Registry(Store(tmp_path / "store"), mirror=server[1])


def test_what_was_pulled_once_is_here(talk: Talk, source: Talk, upstream: Upstream, registry: Registry) -> None:
    made = source.push_image("team/app", "t")
    layer = source.ask("GET", f"/v2/team/app/manifests/{made}").json["layers"][0]["digest"]
    for _ in range(3):
        for reference in ("t", made):
            got = talk.ask("GET", f"/v2/team/app/manifests/{reference}")
            assert (got.status, digest(got.body), got.headers["Content-Type"]) == (200, made, MANIFEST)
        assert digest(talk.ask("GET", f"/v2/team/app/blobs/{layer}").body) == layer
    assert talk.ask("HEAD", f"/v2/team/app/blobs/{layer}").headers["Content-Length"] == "64"
    assert talk.ask("GET", "/v2/team/app/tags/list").json["tags"] == ["t"]
    assert upstream.asked.count(f"GET /v2/team/app/blobs/{layer}") == 1
    assert upstream.asked.count("GET /v2/team/app/manifests/t") == 1
    assert list(problems(registry.shelf.store)) == [
        problem
        for problem in problems(registry.shelf.store)
        if "needs" in problem  # its configuration was not pulled
    ]


def test_a_tag_that_moved_over_there_moves_here(talk: Talk, source: Talk) -> None:
    for _ in range(2):
        made = source.push_image("app", "t")
        assert talk.ask("GET", "/v2/app/manifests/t").headers["Docker-Content-Digest"] == made


def test_one_fetch_feeds_all_who_wait_while_it_runs(source: Talk, upstream: Upstream, url: str) -> None:
    data = os.urandom(3_000_000)
    name = source.push_blob("app", data)
    upstream.slow = True
    begun = threading.Barrier(9)

    def pull(_: int) -> bool:
        own = Talk(url)
        begun.wait(120)
        try:
            return own.ask("GET", f"/v2/app/blobs/{name}").body == data
        finally:
            own.close()

    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(pull, number) for number in range(8)]
        begun.wait(120)
        upstream.go_on.set()
        assert all(one.result(120) for one in found)
    assert upstream.asked.count(f"GET /v2/app/blobs/{name}") == 1


def test_a_fetch_that_is_cut_goes_on_where_it_was(talk: Talk, source: Talk, upstream: Upstream) -> None:
    data = os.urandom(3_000_000)
    name = source.push_blob("app", data)
    upstream.cut = 1
    assert talk.ask("GET", f"/v2/app/blobs/{name}").body == data
    assert upstream.asked.count(f"GET /v2/app/blobs/{name}") == 2


def test_spoiled_bytes_are_not_kept_and_nobody_gets_all_of_them(
    talk: Talk, source: Talk, upstream: Upstream, registry: Registry
) -> None:
    import http.client

    data = os.urandom(1_000_000)
    name = source.push_blob("app", data)
    upstream.spoil = True
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        talk.ask("GET", f"/v2/app/blobs/{name}")
    assert not registry.shelf.path(name).exists()
    upstream.spoil = False
    assert talk.ask("GET", f"/v2/app/blobs/{name}", Range="bytes=5-9").body == data[5:10]


def test_it_serves_what_it_has_when_the_other_one_is_down(talk: Talk, source: Talk, server: tuple[Server, str]) -> None:
    made = source.push_image("app", "t")
    assert talk.ask("GET", "/v2/app/manifests/t").status == 200
    source.close()
    server[0].stop(0.1)
    for reference in ("t", made):
        assert talk.ask("GET", f"/v2/app/manifests/{reference}").headers["Docker-Content-Digest"] == made
    assert talk.ask("GET", "/v2/app/tags/list").json["tags"] == ["t"]


def test_what_is_nowhere_is_a_404_and_nothing_is_pushed_here(talk: Talk, source: Talk) -> None:
    nowhere = digest(b"nowhere")
    assert talk.ask("GET", "/v2/none/manifests/t").code == "NAME_UNKNOWN"
    assert talk.ask("GET", f"/v2/none/blobs/{nowhere}").code == "BLOB_UNKNOWN"
    source.push_image("app", "t")
    assert talk.ask("GET", "/v2/app/manifests/other").status == 404
    answer = talk.ask("POST", "/v2/app/blobs/uploads/", b"")
    assert (answer.status, answer.code) == (405, "UNSUPPORTED")
