"""Whatever its own OpenAPI document allows, and what it does not: the daemon never answers 500, hangs or leaks."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import hypothesis
import pytest
from hypothesis import strategies as st

import minidocker
from minidocker.daemon.api import Api
from minidocker.daemon.openapi import document
from minidocker.daemon.table import TABLE
from minidocker.web.message import Body, FilePart, Hijack, Request, Response

schemathesis = pytest.importorskip("schemathesis")

ENDLESS = {"/events", "/containers/{id}/stats", "/containers/{id}/wait", "/session", "/grpc"}
PATHS = {path: how for path, how in document(TABLE)["paths"].items() if path not in ENDLESS}
SCHEMA = schemathesis.openapi.from_dict(document(TABLE) | {"paths": PATHS})
# Not by `SCHEMA.parametrize`: all of its tests have one name, and pytest-xdist runs one test of a name.
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    engine = minidocker.connect(tmp_path_factory.mktemp("fuzz"), runtime="simulated")
    engine.images.get("minidocker/base").tag("base")
    engine.containers.create("base", "true", name="web")
    yield Api(engine)
    engine.close()


def asked(case: object) -> Request:
    """What a case would send, without a socket."""
    import requests

    sent = requests.Request(**case.as_transport_kwargs(base_url="http://x")).prepare()  # type: ignore[attr-defined]
    path, _, query = sent.path_url.partition("?")
    data = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
    headers = {name.lower(): str(value) for name, value in sent.headers.items()}
    options = parse_qsl(query, keep_blank_values=True)
    return Request(str(sent.method), path, options, headers, Body([data] if isinstance(data, bytes) else []))


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def read(response: Response) -> bytes:
    try:
        if isinstance(response.body, (Hijack, FilePart)):
            return b""
        return response.body if isinstance(response.body, bytes) else b"".join(response.body)
    finally:
        response.close()


EXAMPLES = int(os.environ.get("FUZZ", "2"))  # for each end point
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    derandomize=True,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@SETTINGS
@hypothesis.given(data=st.data())
def test_no_request_that_the_document_allows_is_answered_with_500(operation: Any, data: Any, api: Api) -> None:
    request = asked(data.draw(operation.as_strategy()))
    response = api(request)
    text = read(response)
    bug = response.status == 500 and re.match(rb'\{"message": "\w+(Error|Exception|Exit): ', text)
    assert not bug, (request, text)
    assert response.status in (101, 200, 201, 204, 304, 400, 401, 403, 404, 409, 500, 501, 503), (request, text)


def test_and_nothing_is_left_open_after_all_that(api: Api) -> None:
    before = open_files()
    for _ in range(100):
        for path in ("/containers/json?all=1", "/containers/nope/json", "/images/base/json", "/%00/x", "/info?x=%ff"):
            name, _, query = path.partition("?")
            read(api(Request("GET", name, [tuple(query.split("="))] if query else [])))  # type: ignore[list-item]
    assert open_files() <= before + 2
    assert threading.active_count() < 20
