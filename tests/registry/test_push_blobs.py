"""Push and pull of blobs, by the OCI distribution specification 1.1: each of its ways, with each digest algorithm."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.registry.server import Registry
from tests.registry.talk import Talk, digest, with_options

BLOB = os.urandom(3 * 1024 - 5)
CHUNKS = [(0, BLOB[:1024]), (1024, BLOB[1024:2048]), (2048, BLOB[2048:])]


def span(start: int, chunk: bytes) -> str:
    return f"{start}-{start + len(chunk) - 1}"


@pytest.fixture(params=["sha256", "sha512"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def check_there(talk: Talk, name: str, data: bytes, name_of: str) -> None:
    got = talk.ask("GET", f"/v2/{name}/blobs/{name_of}")
    head = talk.ask("HEAD", f"/v2/{name}/blobs/{name_of}")
    assert (got.status, head.status) == (200, 200)
    assert (got.body, head.body) == (data, b"")
    for answer in (got, head):
        assert answer.headers["Docker-Content-Digest"] == name_of
        assert answer.headers["Content-Length"] == str(len(data))


def check_created(talk: Talk, answer: object, data: bytes, name_of: str) -> None:
    assert getattr(answer, "status") == 201, getattr(answer, "body")  # noqa: B009
    headers = getattr(answer, "headers")  # noqa: B009
    assert headers["Docker-Content-Digest"] == name_of
    assert talk.ask("GET", headers["Location"]).body == data
    check_there(talk, "a/b", data, name_of)


def test_a_blob_in_one_post(talk: Talk, algorithm: str) -> None:
    name = digest(BLOB, algorithm)
    check_created(talk, talk.ask("POST", f"/v2/a/b/blobs/uploads/?digest={name}", BLOB), BLOB, name)


def test_a_blob_in_post_and_put(talk: Talk, algorithm: str) -> None:
    name = digest(BLOB, algorithm)
    check_created(talk, talk.ask("PUT", with_options(talk.start("a/b"), digest=name), BLOB), BLOB, name)


@pytest.mark.parametrize("data", [b"", b"{}"])
def test_well_known_blobs(talk: Talk, algorithm: str, data: bytes) -> None:
    name = digest(data, algorithm)
    check_created(talk, talk.ask("PUT", with_options(talk.start("a/b"), digest=name), data), data, name)


def test_a_blob_as_a_stream(talk: Talk, algorithm: str) -> None:
    name = digest(BLOB, algorithm)
    patched = talk.ask("PATCH", talk.start("a/b"), iter([BLOB[:7], BLOB[7:]]))  # chunked, in the sense of HTTP
    assert (patched.status, patched.headers["Range"]) == (202, f"0-{len(BLOB) - 1}")
    done = talk.ask("PUT", with_options(patched.headers["Location"], digest=name), b"")
    check_created(talk, done, BLOB, name)


@pytest.mark.parametrize("last", ["PATCH", "PUT"])
def test_a_blob_in_chunks(talk: Talk, algorithm: str, last: str) -> None:
    name, location = digest(BLOB, algorithm), talk.start("a/b")
    for start, chunk in CHUNKS if last == "PATCH" else CHUNKS[:-1]:
        answer = talk.ask("PATCH", location, chunk, Content_Range=span(start, chunk))
        assert (answer.status, answer.headers["Range"]) == (202, f"0-{start + len(chunk) - 1}")
        location = answer.headers["Location"]
    url = with_options(location, digest=name)
    if last == "PATCH":
        done = talk.ask("PUT", url, b"")
    else:
        done = talk.ask("PUT", url, CHUNKS[-1][1], Content_Range=span(*CHUNKS[-1]))
    check_created(talk, done, BLOB, name)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_out_of_order_is_416_and_harms_nothing(talk: Talk, algorithm: str, method: str) -> None:
    name, location = digest(BLOB, algorithm), talk.start("a/b")
    for number, (start, chunk) in enumerate(CHUNKS):
        wrong = CHUNKS[(number + 1) % 3]
        refused = talk.ask(method, with_options(location, digest=name), wrong[1], Content_Range=span(*wrong))
        assert (refused.status, refused.code) == (416, "RANGE_INVALID")
        status = talk.ask("GET", location)
        assert (status.status, status.body) == (204, b"")
        assert status.headers["Range"] == f"0-{max(start - 1, 0)}"
        location = talk.ask("PATCH", status.headers["Location"], chunk, Content_Range=span(start, chunk)).headers[
            "Location"
        ]
    check_created(talk, talk.ask("PUT", with_options(location, digest=name), b""), BLOB, name)


def test_a_chunk_that_was_sent_already_is_416(talk: Talk) -> None:
    location = talk.start("a/b")
    for expected in (202, 416):
        assert talk.ask("PATCH", location, CHUNKS[0][1], Content_Range=span(*CHUNKS[0])).status == expected


@pytest.mark.parametrize("header", ["1-", "x-2", "-1", "5-4", "0-99999999999999999999", "bytes=0"])
def test_a_range_that_is_none_is_416(talk: Talk, header: str) -> None:
    assert talk.ask("PATCH", talk.start("a/b"), b"abc", Content_Range=header).status == 416


def test_a_range_of_another_length_is_refused(talk: Talk) -> None:
    location = talk.start("a/b")
    assert talk.ask("PATCH", location, b"abc", Content_Range="0-9").code == "SIZE_INVALID"
    assert talk.ask("PATCH", location, iter([b"abc"]), Content_Range="0-9").code == "SIZE_INVALID"
    assert talk.ask("GET", location).headers["Range"] == "0-0"
    assert talk.ask("PATCH", location, b"abc", Content_Range="0-2").status == 202


def test_bytes_that_are_not_those_of_the_digest(talk: Talk, algorithm: str) -> None:
    name, bad = digest(BLOB, algorithm), BLOB + b"oh no"
    posted = talk.ask("POST", f"/v2/a/b/blobs/uploads/?digest={name}", bad)
    assert (posted.status, posted.code) == (400, "DIGEST_INVALID")
    assert talk.ask("PUT", with_options(talk.start("a/b"), digest=name), bad).code == "DIGEST_INVALID"
    location = talk.start("a/b")
    assert talk.ask("PATCH", location, bad).status == 202
    assert talk.ask("PUT", with_options(location, digest=name), b"").status == 400
    assert talk.ask("GET", f"/v2/a/b/blobs/{name}").status == 404
    assert talk.ask("GET", location).code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize(
    "name", ["", "sha256:baddigeststring", "sha256", "md5:" + "0" * 32, "sha256:" + "A" * 64, "a:../x"]
)
def test_a_digest_that_is_none(talk: Talk, name: str) -> None:
    answer = talk.ask("PUT", with_options(talk.start("a/b"), digest=name), BLOB)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_an_upload_is_cancelled(talk: Talk) -> None:
    location = talk.start("a/b")
    assert talk.ask("DELETE", location).status == 204
    for method in ("DELETE", "GET", "PATCH", "PUT"):
        answer = talk.ask(method, with_options(location, digest=digest(b"")))
        assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert talk.ask("GET", "/v2/a/b/blobs/uploads/..%2f..%2fx").code == "BLOB_UPLOAD_UNKNOWN"


def test_an_upload_belongs_to_its_repository(talk: Talk) -> None:
    location = talk.start("a/b")
    assert talk.ask("PATCH", location.replace("/a/b/", "/a/c/"), b"x").code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize("source", ["a/b", ""])
def test_a_blob_is_mounted_from_another_repository_or_any(talk: Talk, algorithm: str, source: str) -> None:
    name = talk.push_blob("a/b", BLOB, algorithm)
    mounted = talk.ask("POST", f"/v2/c/blobs/uploads/?mount={name}" + (f"&from={source}" if source else ""), b"")
    assert (mounted.status, mounted.headers["Location"]) == (201, f"/v2/c/blobs/{name}")
    check_there(talk, "c", BLOB, name)


def test_what_is_not_there_to_be_mounted_is_uploaded(talk: Talk) -> None:
    name = digest(BLOB)
    talk.push_blob("elsewhere", BLOB)
    started = talk.ask("POST", f"/v2/c/blobs/uploads/?mount={name}&from=a/b", b"")
    assert started.status == 202
    assert talk.ask("PUT", with_options(started.headers["Location"], digest=name), BLOB).status == 201


def test_a_blob_is_in_the_repositories_that_it_was_pushed_to_alone(talk: Talk) -> None:
    name = talk.push_blob("a/b", BLOB)
    assert talk.ask("GET", f"/v2/c/blobs/{name}").code == "BLOB_UNKNOWN"
    talk.push_blob("c", BLOB)
    assert talk.ask("DELETE", f"/v2/a/b/blobs/{name}").status == 202
    assert talk.ask("HEAD", f"/v2/a/b/blobs/{name}").status == 404
    assert talk.ask("DELETE", f"/v2/a/b/blobs/{name}").code == "BLOB_UNKNOWN"
    check_there(talk, "c", BLOB, name)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("500-1499", 500, 1499), ("500-", 500, 3066), ("-500", 2567, 3066), ("2000-5000", 2000, 3066), ("0-0", 0, 0)],
)
def test_a_range_of_a_blob(talk: Talk, asked: str, first: int, last: int) -> None:
    name = talk.push_blob("a/b", BLOB)
    part = talk.ask("GET", f"/v2/a/b/blobs/{name}", Range=f"bytes={asked}")
    assert (part.status, part.body) == (206, BLOB[first : last + 1])
    assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(BLOB)}"
    assert part.headers["Content-Length"] == str(len(part.body))


@pytest.mark.parametrize("asked", ["bytes=500-0", "bytes=5000-10000", "bytes=-0", "bytes=x", "lines=1-2"])
def test_a_range_that_a_blob_does_not_have(talk: Talk, asked: str) -> None:
    name = talk.push_blob("a/b", BLOB)
    answer = talk.ask("GET", f"/v2/a/b/blobs/{name}", Range=asked)
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(BLOB)}")


def test_a_blob_that_the_client_has_is_not_sent_again(talk: Talk) -> None:
    name = talk.push_blob("a/b", BLOB)
    answer = talk.ask("GET", f"/v2/a/b/blobs/{name}", If_None_Match=f'"{name}"')
    assert (answer.status, answer.body) == (304, b"")
    whole = talk.ask("GET", f"/v2/a/b/blobs/{name}", Range="bytes=1-2", If_Range='"another"')
    assert (whole.status, whole.body) == (200, BLOB)


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6), st.data())
def test_chunks_of_any_size_make_the_blob(chunks: list[bytes], data: st.DataObject) -> None:
    talk, start = SHARED[0], 0
    location = talk.start("chunks")
    for chunk in chunks:
        counted = {"Content_Range": span(start, chunk)} if data.draw(st.booleans()) else {}
        assert talk.ask("PATCH", location, chunk, **counted).status == 202
        start += len(chunk)
    name = digest(b"".join(chunks), data.draw(st.sampled_from(["sha256", "sha512"])))
    assert talk.ask("PUT", with_options(location, digest=name), b"").status == 201
    assert talk.ask("GET", f"/v2/chunks/blobs/{name}").body == b"".join(chunks)


SHARED: list[Talk] = []


@pytest.fixture(scope="module", autouse=True)
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One registry for all examples of a property."""
    from minidocker.content import Store
    from minidocker.registry.serving import serving

    with serving(Registry(Store(tmp_path_factory.mktemp("shared"))), "127.0.0.1:0") as url:
        SHARED.append(Talk(url))
        yield
        SHARED.pop().close()
