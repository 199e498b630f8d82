"""What a registry forgets: garbage, uploads that were given up; what it never does: what an engine or a tag needs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from minidocker import connect
from minidocker.cli import main
from minidocker.content import Store
from minidocker.errors import InvalidArgument
from minidocker.fsck import problems
from minidocker.garbage import collect
from minidocker.registry.server import Registry
from minidocker.registry.serving import serving
from minidocker.registry.sweep import garbage_collect
from minidocker.registry.uploads import expire
from tests.registry.talk import MANIFEST, Talk, descriptor, digest, index, with_options


def test_a_blob_that_no_manifest_names_goes_after_its_grace(registry: Registry, talk: Talk) -> None:
    made = talk.push_image("a", "t")
    loose = {talk.push_blob("a", os.urandom(99)), talk.push_blob("a", os.urandom(99), "sha512")}
    assert garbage_collect(registry.shelf).blobs == []  # its manifest may be on its way
    assert {name for _, name in garbage_collect(registry.shelf, dry_run=True, grace=0).blobs} == loose
    swept = garbage_collect(registry.shelf, grace=0)
    assert ({name for _, name in swept.blobs}, swept.freed) == (loose, 198)
    for name in loose:
        assert talk.ask("HEAD", f"/v2/a/blobs/{name}").status == 404
        assert not registry.shelf.path(name).exists()
    assert talk.ask("GET", f"/v2/a/manifests/{made}").status == 200
    assert list(problems(registry.shelf.store)) == []


def test_the_command_prints_what_goes(registry: Registry, talk: Talk, capsys: pytest.CaptureFixture[str]) -> None:
    name, words = talk.push_blob("a", b"x"), ["--root", str(registry.shelf.store.root), "registry", "garbage-collect"]
    assert main([*words, "--dry-run", "--grace", "0"]) == 0
    assert capsys.readouterr().out == f"a: blob eligible for deletion: {name}\n"
    assert main([*words, "--grace", "0"]) == 0
    assert capsys.readouterr().out.endswith("Total reclaimed space: 1B\n")
    assert talk.ask("HEAD", f"/v2/a/blobs/{name}").status == 404


def test_asking_for_a_blob_keeps_it(registry: Registry, talk: Talk) -> None:
    name = talk.push_blob("a", b"x")
    link = registry.shelf.folder / "a" / "_blobs" / name.replace(":", "-")
    os.utime(link, (0, 0))
    assert talk.ask("HEAD", f"/v2/a/blobs/{name}").status == 200  # a client may rely on that now
    assert garbage_collect(registry.shelf).blobs == []
    os.utime(link, (0, 0))
    assert garbage_collect(registry.shelf).blobs == [("a", name)]


def test_what_no_tag_leads_to_goes_when_it_is_asked_for(registry: Registry, talk: Talk) -> None:
    child, lost = talk.push_image("a"), talk.push_image("a")
    outer = talk.push_manifest("a", index(descriptor(child, MANIFEST)), "t").headers["Docker-Content-Digest"]
    about = talk.push_image("a", subject=descriptor(outer, MANIFEST))
    assert garbage_collect(registry.shelf, grace=0).manifests == []
    swept = garbage_collect(registry.shelf, untagged=True, grace=0)
    assert swept.manifests == [("a", lost)]
    assert len(swept.blobs) == 1  # its layer; the configuration is shared
    for name in (child, outer, about):
        assert talk.ask("GET", f"/v2/a/manifests/{name}").status == 200
    assert list(problems(registry.shelf.store)) == []


def test_an_engine_and_its_registry_share_blobs_and_leave_each_other_theirs(tmp_path: Path) -> None:
    with connect(tmp_path, "simulated") as engine, serving(Registry(engine.store), "127.0.0.1:0") as url:
        talk = Talk(url)
        image = engine.images.get("minidocker/base")
        layers = {name: engine.store.path(name).read_bytes() for name in image.diff_ids if engine.store.has(name)}
        assert layers
        before = sum(path.stat().st_size for path in (tmp_path / "blobs").glob("*/*"))
        for name, data in layers.items():
            assert talk.push_blob("a", data) == name
        assert sum(path.stat().st_size for path in (tmp_path / "blobs").glob("*/*")) == before  # no byte twice
        made = talk.push_image("a", "t")
        engine.images.remove("minidocker/base", force=True)
        engine.images.prune({"dangling": False})
        collect(engine.store)
        for name, data in layers.items():
            assert talk.ask("GET", f"/v2/a/blobs/{name}").body == data
        assert talk.ask("GET", f"/v2/a/manifests/{made}").status == 200
        engine.images.get("minidocker/base")  # made again
        garbage_collect(Registry(engine.store).shelf, untagged=True, grace=0)
        assert engine.containers.run("minidocker/base", "echo still here", remove=True) == b"still here\n"
        assert list(problems(engine.store)) == []
        talk.close()


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"rootfs": {"diff_ids": [7, null]}}',
        b'{"a":' * 50_000,
        b'  {"rootfs": 7}',
        b'{"x": "sha256:' + b"0" * 70 + b'"}',
    ],
)
def test_a_blob_that_looks_like_a_note_does_not_trip_the_collector(
    registry: Registry, talk: Talk, hostile: bytes
) -> None:
    name = talk.push_blob("a", hostile)
    collect(registry.shelf.store)
    assert talk.ask("GET", f"/v2/a/blobs/{name}").body == hostile


def test_a_digest_in_json_escapes_is_seen(registry: Registry, talk: Talk) -> None:
    config, layer = talk.push_blob("a", b"{}"), talk.push_blob("a", b"layer")
    escaped = layer.replace("a", "\\u0061")
    text = (
        f'\n{{"schemaVersion": 2, "config": {{"mediaType": "x", "digest": "{config}", "size": 2}},'
        f'"layers": [{{"mediaType": "x", "digest": "{escaped}", "size": 5}}]}}'
    )
    assert talk.ask("PUT", "/v2/a/manifests/t", text.encode(), Content_Type=MANIFEST).status == 201
    talk.ask("DELETE", f"/v2/a/blobs/{layer}")
    collect(registry.shelf.store)
    assert registry.shelf.path(layer).exists()


def test_an_upload_that_was_given_up_is_deleted_and_one_under_way_is_not(registry: Registry, talk: Talk) -> None:
    old, young = talk.start("a"), talk.start("a")
    talk.ask("PATCH", old, b"x")
    repository = registry.shelf.repository("a")
    path = repository.uploads / old.rpartition("/")[2]
    assert expire(repository) == []
    os.utime(path, (0, 0))
    assert expire(repository) == [path.name]
    assert talk.ask("GET", old).code == "BLOB_UPLOAD_UNKNOWN"
    collect(registry.shelf.store)
    assert talk.ask("PUT", with_options(young, digest=digest(b"y")), b"y").status == 201


def test_an_upload_goes_on_in_another_process(registry: Registry, talk: Talk) -> None:
    location = talk.start("a")
    assert talk.ask("PATCH", location, b"one ").status == 202
    with serving(Registry(Store(registry.shelf.store.root)), "127.0.0.1:0") as url:
        other = Talk(url)
        assert other.ask("PATCH", location, b"two ", Content_Range="4-7").status == 202
        other.close()
    assert talk.ask("PUT", with_options(location, digest=digest(b"one two three")), b"three").status == 201


def test_fsck_says_what_is_wrong(registry: Registry, talk: Talk, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(registry.shelf.store.root)
    made = talk.push_image("a", "t")
    assert main(["--root", root, "system", "fsck"]) == 0
    layer = talk.ask("GET", f"/v2/a/manifests/{made}").json["layers"][0]["digest"]
    registry.shelf.path(layer).write_bytes(b"other")
    assert main(["--root", root, "system", "fsck"]) == 1
    registry.shelf.path(layer).unlink()
    assert main(["--root", root, "system", "fsck"]) == 1
    said = capsys.readouterr().out
    assert f"blob {layer} is corrupt: its bytes have another digest" in said
    assert f"registry/a/_index.json needs {layer}, which is not there" in said


def test_a_manifest_that_was_lost_is_not_served(registry: Registry, talk: Talk) -> None:
    made = talk.push_image("a", "t")
    registry.shelf.path(made).write_bytes(b"{}")
    assert talk.ask("GET", "/v2/a/manifests/t").code == "MANIFEST_UNKNOWN"


# --- where it listens, and for whom ---------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["0.0.0.0:0", ":0", "[::]:0"])
def test_it_does_not_stand_open_to_a_network_by_mistake(registry: Registry, where: str) -> None:
    with pytest.raises(InvalidArgument, match="without TLS and without users is open to everybody"):
        serving(registry, where).__enter__()


def test_everybody_may_pull_where_that_is_wanted(tmp_path: Path) -> None:
    from minidocker.registry.users import Users, basic, line

    users = Users.parse(line("ada", "secret", cost=4))
    with serving(Registry(Store(tmp_path), users, anonymous_pull=True), "127.0.0.1:0") as url:
        ada, nobody, liar = Talk(url, {"Authorization": basic("ada", "secret")}), Talk(url), Talk(url)
        made = ada.push_image("a", "t")
        asked = nobody.ask("GET", "/v2/a/manifests/t")
        assert (asked.status, asked.code) == (401, "UNAUTHORIZED")
        scope = f'Bearer realm="{url}/token",service="minidocker",scope="repository:a:pull"'
        assert asked.headers["WWW-Authenticate"] == scope
        nobody.headers = {"Authorization": f"Bearer {nobody.ask('GET', '/token').json['token']}"}
        assert nobody.ask("GET", f"/v2/a/manifests/{made}").status == 200
        liar.headers = {"Authorization": basic("ada", "guess")}
        assert liar.ask("GET", "/token").status == 401
        for method, talk in (("POST", nobody), ("POST", liar), ("GET", liar)):
            path = "/v2/a/blobs/uploads/" if method == "POST" else "/v2/"
            answer = talk.ask(method, path)
            assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
        ada.headers = {"Authorization": f"Bearer {ada.ask('GET', '/token').json['token']}"}
        assert ada.push_image("a", "t2")
        ada.headers = {"Authorization": ada.headers["Authorization"][:-6] + "AAAAA="}
        assert ada.ask("GET", "/v2/").status == 401
        for talk in (ada, nobody, liar):
            talk.close()


def test_a_line_of_the_htpasswd_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from minidocker.registry.users import Users, basic

    monkeypatch.setattr("sys.stdin", io.StringIO("pass:wörd\n"))
    assert main(["registry", "htpasswd", "ada"]) == 0
    users = Users.parse(capsys.readouterr().out)
    begun = time.thread_time()
    assert [users.name(basic(*pair)) for pair in (("ada", "pass:wörd"), ("ada", ""), ("bob", "x"))] == ["ada", "", ""]
    slow = time.thread_time() - begun
    begun = time.thread_time()
    assert users.name(basic("ada", "pass:wörd")) == "ada"
    assert time.thread_time() - begun < slow  # remembered
    assert users.name("Bearer x") == users.name("Basic !") == users.name("Basic ") == ""
