"""Manifests, tags and referrers, by the OCI distribution specification 1.1: pull, push, discovery, management."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

import pytest

from tests.registry.talk import CONFIG, EMPTY, INDEX, LAYER, MANIFEST, Talk, descriptor, digest, image, index

NOWHERE = digest(b"nowhere")
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def parts(talk: Talk) -> tuple[str, str]:
    """A configuration and a layer in `a/b`."""
    return talk.push_blob("a/b", b"{}"), talk.push_blob("a/b", os.urandom(64))


def test_this_is_a_registry(talk: Talk) -> None:
    for path in ("/v2/", "/v2"):
        answer = talk.ask("GET", path)
        assert (answer.status, answer.json) == (200, {})
        assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"


def test_a_manifest_comes_back_as_it_went(talk: Talk, parts: tuple[str, str]) -> None:
    data = json.dumps(image(parts[0], [parts[1]]), indent=7).encode() + b"  \n"
    put = talk.ask("PUT", "/v2/a/b/manifests/1.0", data, Content_Type=MANIFEST)
    assert (put.status, put.headers["Docker-Content-Digest"]) == (201, digest(data))
    for where in (put.headers["Location"], "/v2/a/b/manifests/1.0", f"/v2/a/b/manifests/{digest(data)}"):
        got, head = talk.ask("GET", where), talk.ask("HEAD", where)
        assert (got.status, got.body, head.status, head.body) == (200, data, 200, b"")
        for answer in (got, head):
            assert answer.headers["Content-Type"] == MANIFEST
            assert answer.headers["Content-Length"] == str(len(data))
            assert answer.headers["Docker-Content-Digest"] == digest(data)


def test_a_manifest_by_sha512(talk: Talk) -> None:
    config, layer = (talk.push_blob("a", data, "sha512") for data in (b"{}", os.urandom(64)))
    data = json.dumps(image(config, [layer])).encode()
    name = digest(data, "sha512")
    put = talk.ask("PUT", f"/v2/a/manifests/{name}?tag=x", data, Content_Type=MANIFEST)
    assert (put.status, put.headers["Docker-Content-Digest"], put.headers["OCI-Tag"]) == (201, name, "x")
    got = talk.ask("GET", "/v2/a/manifests/x")
    assert (got.body, got.headers["Docker-Content-Digest"]) == (data, name)


def test_several_tags_in_one_push(talk: Talk, parts: tuple[str, str]) -> None:
    data = json.dumps(image(parts[0], [])).encode()
    put = talk.ask("PUT", f"/v2/a/b/manifests/{digest(data)}?tag=one&tag=two", data, Content_Type=MANIFEST)
    assert set(put.headers["OCI-Tag"].split(", ")) == {"one", "two"}
    assert talk.ask("GET", "/v2/a/b/tags/list").json["tags"] == ["one", "two"]
    assert (
        talk.ask("PUT", f"/v2/a/b/manifests/{digest(data)}?tag=../x", data, Content_Type=MANIFEST).code == "TAG_INVALID"
    )


def test_a_manifest_of_another_digest_is_refused(talk: Talk, parts: tuple[str, str]) -> None:
    data = json.dumps(image(*parts[:1], [])).encode()
    for name in (digest(data + b" "), "sha256:baddigeststring", "sha256:totallywrong", "sha999:" + "0" * 64):
        put = talk.ask("PUT", f"/v2/a/b/manifests/{name}", data, Content_Type=MANIFEST)
        assert (put.status, put.code) == (400, "DIGEST_INVALID")
    put = talk.ask("PUT", f"/v2/a/b/manifests/t?digest={NOWHERE}", data, Content_Type=MANIFEST)
    assert put.code == "DIGEST_INVALID"
    assert talk.ask("GET", "/v2/a/b/manifests/sha256:baddigeststring").status == 400


def test_what_is_not_there(talk: Talk) -> None:
    for path in ("manifests/t", f"manifests/{NOWHERE}", "tags/list"):
        assert talk.ask("GET", f"/v2/none/{path}").code == "NAME_UNKNOWN"
    talk.push_image("a", "t")
    for reference in ("missing", NOWHERE):
        answer = talk.ask("GET", f"/v2/a/manifests/{reference}")
        assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
        assert talk.ask("HEAD", f"/v2/a/manifests/{reference}").status == 404
        assert talk.ask("DELETE", f"/v2/a/manifests/{reference}").code == "MANIFEST_UNKNOWN"


def test_what_a_manifest_names_must_be_there(talk: Talk, parts: tuple[str, str]) -> None:
    there = talk.push_image("a/b")
    for value in (
        image(NOWHERE, []),
        image(parts[0], [parts[1], NOWHERE]),
        index(descriptor(there, MANIFEST), descriptor(NOWHERE, MANIFEST)),
        index(descriptor(parts[0], MANIFEST)),  # a blob, no manifest
    ):
        answer = talk.push_manifest("a/b", value, "t")
        assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert talk.push_manifest("c", image(*parts[:1], [])).code == "MANIFEST_BLOB_UNKNOWN"  # another repository


def test_layers_that_must_not_be_pushed_may_be_missing(talk: Talk, parts: tuple[str, str]) -> None:
    away = descriptor(NOWHERE, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    assert talk.push_manifest("a/b", image(parts[0], []) | {"layers": [away]}).status == 201


@pytest.mark.parametrize("more", [{"layers": []}, {"layers": None}, {"own": [1, {"x": None}]}, {"artifactType": "a/b"}])
def test_images_may_have_no_layers_and_more_fields(talk: Talk, parts: tuple[str, str], more: dict[str, Any]) -> None:
    assert talk.push_manifest("a/b", image(parts[0], []) | more).status == 201


def test_an_index_of_indexes(talk: Talk) -> None:
    inner = index(descriptor(talk.push_image("a"), MANIFEST))
    first = talk.push_manifest("a", inner, "inner")
    outer = index(descriptor(first.headers["Docker-Content-Digest"], INDEX))
    assert talk.push_manifest("a", outer, "outer").status == 201
    assert talk.push_manifest("a", index(), "empty").status == 201


def test_docker_schema_2(talk: Talk, parts: tuple[str, str]) -> None:
    value = image(*parts[:1], [parts[1]]) | {"mediaType": DOCKER}
    put = talk.push_manifest("a/b", value, "d")
    assert put.status == 201
    several = index(descriptor(put.headers["Docker-Content-Digest"], DOCKER)) | {"mediaType": DOCKER_LIST}
    assert talk.push_manifest("a/b", several, "list").status == 201
    assert talk.ask("GET", "/v2/a/b/manifests/list").headers["Content-Type"] == DOCKER_LIST


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", MANIFEST),
        (b"blablabla", MANIFEST),
        (b"[]", MANIFEST),
        (b"{}", MANIFEST),
        (b"\xff", MANIFEST),
        (b"[" * 100_000, MANIFEST),
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+json"),
        (b'{"schemaVersion": 2}', "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (b'{"schemaVersion": 2, "layers": []}', MANIFEST),
        (b'{"schemaVersion": 2, "config": {"digest": 7, "size": 1}}', MANIFEST),
        (b'{"schemaVersion": 2, "manifests": {}}', INDEX),
        (b'{"schemaVersion": 2, "manifests": [7]}', INDEX),
        (b'{"schemaVersion": 2, "manifests": [], "subject": "x"}', INDEX),
        (b'{"schemaVersion": 2, "manifests": []}', "text/plain"),
        (b'{"schemaVersion": 2, "manifests": []}', ""),
        (json.dumps(index()).encode(), MANIFEST),
        (json.dumps(index() | {"mediaType": 7}).encode(), ""),
    ],
)
def test_what_is_no_manifest(talk: Talk, data: bytes, kind: str) -> None:
    answer = talk.ask("PUT", "/v2/a/manifests/t", data, Content_Type=kind)
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


def test_a_manifest_of_4_mib_and_no_more(talk: Talk, parts: tuple[str, str]) -> None:
    data = json.dumps(image(parts[0], []) | {"annotations": {"x": ""}}).encode()
    full = data.replace(b'"x": ""', b'"x": "' + b"A" * ((4 << 20) - len(data)) + b'"')
    assert talk.ask("PUT", "/v2/a/b/manifests/t", full, Content_Type=MANIFEST).status == 201
    assert talk.ask("GET", "/v2/a/b/manifests/t").body == full
    answer = talk.ask("PUT", "/v2/a/b/manifests/t", full + b" ", Content_Type=MANIFEST)
    assert (answer.status, answer.code) == (413, "SIZE_INVALID")


def test_a_tag_moves_and_what_it_left_stays_by_digest(talk: Talk) -> None:
    first, second = talk.push_image("a", "t"), talk.push_image("a", "t")
    assert talk.ask("GET", "/v2/a/manifests/t").headers["Docker-Content-Digest"] == second
    assert talk.ask("GET", f"/v2/a/manifests/{first}").status == 200
    assert talk.ask("GET", "/v2/a/tags/list").json == {"name": "a", "tags": ["t"]}


def test_a_tag_is_deleted_and_its_manifest_stays(talk: Talk) -> None:
    name = talk.push_image("a", "one")
    talk.ask("PUT", "/v2/a/manifests/two", talk.ask("GET", "/v2/a/manifests/one").body, Content_Type=MANIFEST)
    for tag in ("one", "two"):
        assert talk.ask("DELETE", f"/v2/a/manifests/{tag}").status == 202
        assert talk.ask("HEAD", f"/v2/a/manifests/{tag}").status == 404
        assert talk.ask("HEAD", f"/v2/a/manifests/{name}").status == 200
    assert talk.ask("GET", "/v2/a/tags/list").json == {"name": "a", "tags": []}


def test_a_manifest_is_deleted_with_all_its_tags(talk: Talk) -> None:
    name, other = talk.push_image("a", "one"), talk.push_image("a", "other")
    talk.ask("PUT", "/v2/a/manifests/two", talk.ask("GET", "/v2/a/manifests/one").body, Content_Type=MANIFEST)
    assert talk.ask("DELETE", f"/v2/a/manifests/{name}").status == 202
    for reference in (name, "one", "two"):
        assert talk.ask("GET", f"/v2/a/manifests/{reference}").status == 404
    assert talk.ask("GET", "/v2/a/tags/list").json["tags"] == ["other"]
    assert talk.ask("GET", f"/v2/a/manifests/{other}").status == 200


# --- discovery: tags and repositories -------------------------------------------------------------------------------

TAGS = ["1", "10", "A", "Z", "_x", "a", "b.c"]  # in ASCII's order


@pytest.fixture
def tagged(talk: Talk) -> Talk:
    talk.push_image("a", TAGS[3])
    data = talk.ask("GET", f"/v2/a/manifests/{TAGS[3]}").body
    for tag in reversed(TAGS):
        talk.ask("PUT", f"/v2/a/manifests/{tag}", data, Content_Type=MANIFEST)
    return talk


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", TAGS),
        ("?n=3", TAGS[:3]),
        ("?n=3&last=A", TAGS[3:6]),
        ("?last=A", TAGS[3:]),
        ("?last=AA", TAGS[3:]),  # not a tag, but a place in their order
        ("?n=0", []),
        ("?n=7", TAGS),
        ("?n=999999999", TAGS),
        ("?last=zzz", []),
    ],
)
def test_tags_in_order_and_in_pages(tagged: Talk, options: str, found: list[str]) -> None:
    answer = tagged.ask("GET", f"/v2/a/tags/list{options}")
    assert (answer.status, answer.json) == (200, {"name": "a", "tags": found})


def test_a_link_leads_from_page_to_page(tagged: Talk) -> None:
    found, path = [], "/v2/a/tags/list?n=3"
    while path:
        answer = tagged.ask("GET", path)
        found.append(answer.json["tags"])
        link = answer.headers.get("Link", "")
        assert link.endswith('; rel="next"') or not link
        path = link.partition(">")[0].removeprefix("<")
    assert found == [TAGS[:3], TAGS[3:6], TAGS[6:]]


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "²", "9" * 30])
def test_a_number_that_is_none(tagged: Talk, number: str) -> None:
    for path in ("/v2/a/tags/list", "/v2/_catalog"):
        answer = tagged.ask("GET", f"{path}?n={quote(number)}")
        assert (answer.status, answer.code) == (400, "PAGINATION_NUMBER_INVALID")


def test_the_catalog_lists_repositories_in_pages(talk: Talk) -> None:
    names = ["a", "a/b", "a/b/c", "z"]
    for name in names:
        talk.push_blob(name, b"")
    assert talk.ask("GET", "/v2/_catalog").json == {"repositories": names}
    page = talk.ask("GET", "/v2/_catalog?n=2&last=a")
    assert page.json == {"repositories": ["a/b", "a/b/c"]}
    assert talk.ask("GET", page.headers["Link"].partition(">")[0][1:]).json == {"repositories": ["z"]}


@pytest.mark.parametrize(
    "name", ["A", "a//b", "-a", "a..b", "a/../b", "..", "a" * 256, "a_-b", "%2e%2e", "_blobs", "a%00"]
)
def test_a_name_that_is_none(talk: Talk, name: str) -> None:
    for method, path in (("GET", "tags/list"), ("POST", "blobs/uploads/"), ("GET", f"blobs/{NOWHERE}")):
        answer = talk.ask(method, f"/v2/{name}/{path}")
        assert (answer.status, answer.code) == (400, "NAME_INVALID")


@pytest.mark.parametrize(
    "name", ["a" * 255, "a/b.c/d__e/f---g", "blobs/uploads", "manifests", "tags/list", "index.json"]
)
def test_a_name_that_is_one(talk: Talk, name: str) -> None:
    made = talk.push_image(name, "t")
    assert talk.ask("GET", f"/v2/{name}/manifests/t").headers["Docker-Content-Digest"] == made
    assert talk.ask("GET", f"/v2/{name}/tags/list").json["tags"] == ["t"]


@pytest.mark.parametrize("tag", ["-a", ".a", "a" * 129, "a%2fb", "%c3%a4"])
def test_a_tag_that_is_none(talk: Talk, tag: str) -> None:
    assert talk.ask("GET", f"/v2/a/manifests/{tag}").code == "TAG_INVALID"


def test_other_paths_and_methods(talk: Talk) -> None:
    assert talk.ask("GET", "/").status == 404
    answer = talk.ask("PATCH", "/v2/a/manifests/t", b"x" * 100_000)
    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "UNSUPPORTED", "DELETE, GET, HEAD, PUT")


# --- discovery: referrers -------------------------------------------------------------------------------------------


def test_referrers_of_a_manifest_that_nobody_has_seen(talk: Talk) -> None:
    answer = talk.ask("GET", f"/v2/none/referrers/{NOWHERE}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, INDEX)
    assert answer.json == {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    assert talk.ask("GET", "/v2/a/referrers/sha256:x").code == "DIGEST_INVALID"


@pytest.fixture(params=["there", "not yet"])
def subject(request: pytest.FixtureRequest, talk: Talk) -> str:
    return talk.push_image("a", "subject") if request.param == "there" else NOWHERE


def attach(talk: Talk, subject: str, **more: Any) -> dict[str, Any]:
    """Push a manifest about `subject`; the descriptor that the list should have of it."""
    config = talk.push_blob("a", b"{}")
    value = image(config, []) | {"subject": descriptor(subject, MANIFEST)} | more
    value.setdefault("annotations", {"key": os.urandom(4).hex()})
    put = talk.push_manifest("a", value)
    assert (put.status, put.headers["OCI-Subject"]) == (201, subject)
    kind = value.get("artifactType") or value["config"]["mediaType"]
    made = descriptor(put.headers["Docker-Content-Digest"], MANIFEST, len(json.dumps(value)))
    return made | {"artifactType": kind, "annotations": value["annotations"]}


def test_referrers_are_listed_and_chosen_by_type(talk: Talk, subject: str) -> None:
    empty = descriptor(talk.push_blob("a", b"{}"), EMPTY, 2)
    signature = attach(talk, subject, artifactType="application/vnd.example+type", config=empty)
    bom = attach(talk, subject, artifactType="application/vnd.bom", config=empty)
    by_config = attach(talk, subject)
    listed = talk.ask("GET", f"/v2/a/referrers/{subject}")
    assert listed.json["manifests"] == [signature, bom, by_config]
    assert "OCI-Filters-Applied" not in listed.headers
    for kind, expected in {"application/vnd.example+type": signature, CONFIG: by_config}.items():
        chosen = talk.ask("GET", f"/v2/a/referrers/{subject}?artifactType={quote(kind, safe='')}")
        assert chosen.json["manifests"] == [expected]
        assert chosen.headers["OCI-Filters-Applied"] == "artifactType"
    assert talk.ask("GET", f"/v2/a/referrers/{subject}?artifactType=x").json["manifests"] == []
    assert talk.ask("DELETE", f"/v2/a/manifests/{bom['digest']}").status == 202
    assert talk.ask("GET", f"/v2/a/referrers/{subject}").json["manifests"] == [signature, by_config]


def test_an_index_may_be_about_something_too(talk: Talk, subject: str) -> None:
    value = index() | {"subject": descriptor(subject, MANIFEST), "artifactType": "a/b"}
    put = talk.push_manifest("a", value, "t")
    assert put.headers["OCI-Subject"] == subject
    (found,) = talk.ask("GET", f"/v2/a/referrers/{subject}").json["manifests"]
    assert (found["mediaType"], found["artifactType"]) == (INDEX, "a/b")


def test_many_referrers_come_in_pages_of_a_sensible_size(talk: Talk) -> None:
    made = [attach(talk, NOWHERE, annotations={"x": f"{n}" * 1_500_000})["digest"] for n in range(4)]
    first = talk.ask("GET", f"/v2/a/referrers/{NOWHERE}")
    assert len(first.body) <= 4 << 20
    second = talk.ask("GET", first.headers["Link"].partition(">")[0][1:])
    assert [one["digest"] for page in (first, second) for one in page.json["manifests"]] == made
    assert "Link" not in second.headers


def test_a_layer_type_of_any_kind_is_kept(talk: Talk, parts: tuple[str, str]) -> None:
    layers = [descriptor(parts[1], kind) | {"data": "e30="} for kind in (LAYER, "application/octet-stream", "text/x")]
    assert talk.push_manifest("a/b", image(parts[0], []) | {"layers": layers}).status == 201
