"""A pull from a registry that lies, breaks off, redirects or refuses: all of the image comes, or nothing does."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from minidocker import connect
from minidocker.engine import Engine
from minidocker.errors import APIError, CorruptBlob, ImageNotFound, InvalidArgument, LayerError, NotFound, Unsupported
from minidocker.manifest import architecture
from minidocker.registry import service
from minidocker.registry.progress import Listener
from minidocker.registry.refusals import Refused
from minidocker.registry.settings import Settings
from minidocker.registry.trace import trace
from minidocker.registry.wire import Unreachable
from tests.registry.upset import Upset, upset

OCI = "application/vnd.oci.image."
INDEX = OCI + "index.v1+json"
PIECE = 256 << 10


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Shown:
    """An image that a server shows; what it answers for a part of it can be changed."""

    server: Upset
    manifest: bytes
    config: bytes
    layer: bytes

    @property
    def name(self) -> str:
        return f"{self.server.host}/app:1"

    def on_layer(self, handle: Any, method: str = "GET") -> None:
        self.server.rules = {**{(method, digest(self.layer)): handle}, **self.server.rules} | {
            (method, digest(self.layer)): handle
        }


def show(server: Upset, plain: bytes, manifest: Any = None, diff_id: str = "", layer: bytes = b"") -> Shown:
    layer = layer or gzip.compress(plain, 1, mtime=0)
    rootfs = {"type": "layers", "diff_ids": [diff_id or digest(plain)]}
    config = json.dumps({"architecture": architecture(), "os": "linux", "rootfs": rootfs}).encode()
    value = {
        "schemaVersion": 2,
        "mediaType": OCI + "manifest.v1+json",
        "config": {"mediaType": OCI + "config.v1+json", "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": OCI + "layer.v1.tar+gzip", "digest": digest(layer), "size": len(layer)}],
    }
    data = json.dumps(manifest(value) if manifest else value).encode()
    kind = json.loads(data).get("mediaType") or OCI + "manifest.v1+json"
    for part, body, what in (
        (f"/manifests/{digest(data)}", data, kind),
        ("/manifests/1", data, kind),
        (f"/blobs/{digest(config)}", config, "application/octet-stream"),
        (f"/blobs/{digest(layer)}", layer, "application/octet-stream"),
    ):
        for method in ("GET", "HEAD"):
            server.rules[method, part] = partial(_show, body, what)
    return Shown(server, data, config, layer)


def _show(body: bytes, what: str, here: Any) -> None:
    here.reply(
        200, body, Content_Type=what, **({"Docker_Content_Digest": digest(body)} if "manif" in here.path else {})
    )


@pytest.fixture
def server() -> Iterator[Upset]:
    with upset() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Upset]:
    with upset() as server:
        yield server


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    quick = Settings.read
    monkeypatch.setattr(Settings, "read", lambda root: replace(quick(root), pause=0.01, timeout=1.0))
    with connect(tmp_path / "engine", "simulated") as engine:
        yield engine


@pytest.fixture
def shown(server: Upset) -> Shown:
    return show(server, tar_of("big", bytes(range(256)) * 4096))


def nothing(engine: Engine) -> bool:
    return not engine.images.list() and not any((engine.root / "tmp").glob(".blob*"))


def test_an_image_comes_whole(engine: Engine, shown: Shown) -> None:
    image = engine.images.pull(shown.name)
    assert image.tags == [shown.name]
    assert image.digests == [f"{shown.server.host}/app@{digest(shown.manifest)}"]
    assert engine.store.read(image.manifest_digest) == shown.manifest
    assert len(image.cat("/big")) == 1 << 20
    assert not list((engine.root / "downloads").iterdir())
    assert engine.images.pull(f"{shown.server.host}/app", tag=digest(shown.manifest)) == image


def test_what_is_up_to_date_is_asked_and_not_fetched(engine: Engine, shown: Shown) -> None:
    engine.images.pull(shown.name)
    said: list[dict[str, Any]] = []
    with trace() as conversation:
        engine.images.pull(shown.name, on_event=said.append)
    assert [one.method for one in conversation] == ["GET", "HEAD"]
    assert [one["status"] for one in said[-2:]] == [
        f"Digest: {digest(shown.manifest)}", f"Status: Image is up to date for {shown.name}"
    ]  # fmt: skip


def test_a_layer_with_other_bytes_is_refused(engine: Engine, shown: Shown) -> None:
    shown.on_layer(lambda here: here.reply(200, shown.layer[:-1] + b"!"))
    with pytest.raises((CorruptBlob, InvalidArgument)):
        engine.images.pull(shown.name)
    assert nothing(engine)
    shown.server.rules.pop(("GET", digest(shown.layer)))
    engine.images.pull(shown.name)


@pytest.mark.parametrize("extra", [1, 10 * PIECE])
def test_more_than_the_manifest_promises_is_not_read(engine: Engine, shown: Shown, extra: int) -> None:
    shown.on_layer(lambda here: here.reply(200, shown.layer + bytes(extra)))
    with pytest.raises((CorruptBlob, InvalidArgument)):
        engine.images.pull(shown.name)
    assert nothing(engine)


def test_a_cut_is_mended_with_range(engine: Engine, shown: Shown) -> None:
    half = len(shown.layer) // 2

    def answer(here: Any) -> None:
        start = int((here.headers.get("Range") or "bytes=0-")[6:-1])
        if start:
            there = f"bytes {start}-{len(shown.layer) - 1}/{len(shown.layer)}"
            here.reply(206, shown.layer[start:], Content_Range=there)
        else:
            here.reply(200, shown.layer[:half], length=len(shown.layer))

    shown.on_layer(answer)
    engine.images.pull(shown.name)
    assert [one.get("range") for one in shown.server.asked("GET", digest(shown.layer))] == [None, f"bytes={half}-"]


def test_a_later_pull_goes_on_where_one_was_cut(engine: Engine, shown: Shown) -> None:
    half = len(shown.layer) // 2
    shown.on_layer(lambda here: here.reply(200, shown.layer[:half], length=len(shown.layer)))
    with pytest.raises(Unreachable, match="unexpected EOF"):
        engine.images.pull(shown.name)
    assert nothing(engine)
    (kept,) = (engine.root / "downloads").iterdir()
    assert kept.read_bytes() == shown.layer[:half]
    shown.server.seen.clear()
    shown.on_layer(lambda here: here.reply(206, shown.layer[half:], Content_Range=f"bytes {half}-9/10"))
    with connect(engine.root, "simulated") as other:
        other.images.pull(shown.name)
    assert [one.get("range") for one in shown.server.asked("GET", digest(shown.layer))] == [f"bytes={half}-"]


def test_a_server_without_ranges_begins_anew(engine: Engine, shown: Shown) -> None:
    (engine.root / "downloads").mkdir()
    (engine.root / "downloads" / digest(shown.layer)[7:]).write_bytes(shown.layer[:100])
    assert engine.images.pull(shown.name).tags


def test_what_was_kept_is_verified_from_its_start(engine: Engine, shown: Shown) -> None:
    kept = engine.root / "downloads" / digest(shown.layer)[7:]
    kept.parent.mkdir()
    kept.write_bytes(b"x" * 100)
    with pytest.raises((CorruptBlob, InvalidArgument)):
        engine.images.pull(shown.name)
    assert not kept.exists()
    engine.images.pull(shown.name)


def test_too_many_requests_and_broken_servers_are_asked_again(engine: Engine, shown: Shown) -> None:
    answers = iter([429, 503, 500])

    def answer(here: Any) -> None:
        status = next(answers, 200)
        here.reply(status, shown.manifest if status == 200 else b"", Retry_After="0")

    shown.server.rules["GET", "/manifests/1"] = answer
    engine.images.pull(shown.name)
    assert len(shown.server.asked("GET", "/manifests/1")) == 4


def test_a_rate_limit_is_not_waited_for(engine: Engine, shown: Shown) -> None:
    error = {"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}
    body = json.dumps(error).encode()
    shown.server.rules["GET", "/manifests/1"] = lambda here: here.reply(429, body, Retry_After="21600")
    with pytest.raises(Refused, match="toomanyrequests: You have reached your pull rate limit"):
        engine.images.pull(shown.name)
    assert len(shown.server.asked("GET", "/manifests/1")) == 1


def test_a_server_that_says_nothing_is_given_up(engine: Engine, shown: Shown) -> None:
    import threading

    over = threading.Event()
    shown.on_layer(lambda here: (here.reply(200, b"", length=9), here.wfile.flush(), over.wait(20)))
    try:
        with pytest.raises(Unreachable, match="for too long"):
            engine.images.pull(shown.name)
    finally:
        over.set()


def test_a_bomb_is_small_when_it_goes_off(engine: Engine, server: Upset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDOCKER_MAX_LAYER", str(1 << 20))
    shown = show(server, tar_of("zeros", bytes(20 << 20)))
    with pytest.raises(InvalidArgument, match="unpacks to more than 1048576 bytes"):
        engine.images.pull(shown.name)
    assert nothing(engine)
    assert sum(path.stat().st_size for path in engine.root.rglob("*") if path.is_file()) < 1 << 20


def test_a_layer_that_is_not_what_the_image_says(engine: Engine, server: Upset) -> None:
    shown = show(server, tar_of("a", b"a"), diff_id=digest(b"other"))
    with pytest.raises(CorruptBlob):
        engine.images.pull(shown.name)
    assert nothing(engine)


def test_a_hostile_layer_is_refused(engine: Engine, server: Upset) -> None:
    shown = show(server, tar_of("../evil", b"a"))
    with pytest.raises(LayerError, match="leads out of the layer"):
        engine.images.pull(shown.name)
    assert nothing(engine)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda _: {"schemaVersion": 1, "name": "a", "fsLayers": []}, Unsupported, "schema 1 support has been"),
        (lambda value: value | {"artifactType": "application/x.sbom"}, Unsupported, "it is an artifact"),
        (lambda value: value | {"config": value["config"] | {"mediaType": OCI + "empty.v1+json"}}, Unsupported, "art"),
        (lambda value: value | {"manifests": []}, InvalidArgument, "both an index and an image"),
        (lambda value: value | {"layers": value["layers"] * 128}, InvalidArgument, "max depth exceeded"),
        (lambda value: value | {"layers": []}, InvalidArgument, "one diff id for each"),
        (lambda value: value | {"layers": [value["layers"][0] | {"digest": "sha256:../../x"}]}, InvalidArgument, "dig"),
        (lambda value: value | {"layers": [value["layers"][0] | {"size": 7}]}, CorruptBlob, "larger than the 7 bytes"),
        (lambda _: {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, NotFound, "no matching"),
        (lambda _: {"hello": 1}, Unsupported, "an artifact, not an image"),
    ],
)  # fmt: skip
def test_manifests_that_are_none(
    engine: Engine, server: Upset, change: Any, error: type[Exception], words: str
) -> None:
    shown = show(server, tar_of("a", b"a"), change)
    with pytest.raises(error, match=words):
        engine.images.pull(shown.name)
    assert nothing(engine)


def test_a_pinned_name_gets_just_that(engine: Engine, shown: Shown) -> None:
    shown.server.rules = {("GET", "/manifests/sha256:"): lambda here: here.reply(200, b"{}"), **shown.server.rules}
    with pytest.raises(CorruptBlob, match="manifest verification failed for digest sha256:"):
        engine.images.pull(f"{shown.server.host}/app@{digest(shown.manifest)}")
    lying = {"Docker_Content_Digest": digest(b"other")}
    shown.server.rules["GET", "/manifests/1"] = lambda here: here.reply(200, shown.manifest, **lying)
    with pytest.raises(CorruptBlob, match="manifest verification failed"):
        engine.images.pull(shown.name)


def test_the_platform_is_chosen(engine: Engine, server: Upset) -> None:
    one = show(server, tar_of("a", b"a"))
    ours = {"digest": digest(one.manifest), "size": len(one.manifest), "mediaType": OCI + "manifest.v1+json"}
    entries = [
        ours | {"digest": digest(b"x"), "platform": {"os": "linux", "architecture": "s390x"}},
        ours | {"platform": {"os": "linux", "architecture": architecture()}},
        ours | {"digest": digest(b"y"), "annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
    ]
    whole = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": entries}
    data = json.dumps(whole).encode()
    server.rules = {("GET", "/manifests/many"): lambda here: here.reply(200, data), **server.rules}
    image = engine.images.pull(f"{server.host}/app:many")
    assert image.digests == [f"{server.host}/app@{digest(data)}"]
    assert engine.store.read(digest(data)) == data
    with pytest.raises(NotFound, match=r"no matching manifest for linux/ppc64le .*: there is linux/\w+, linux/s390x"):
        engine.images.pull(f"{server.host}/app:many", platform="linux/ppc64le")
    known = engine.images.get_registry_data(f"{server.host}/app:many")
    assert (known.id, known.has_platform("linux/s390x"), known.has_platform("linux/arm")) == (digest(data), True, False)


# --- who we are -----------------------------------------------------------------------------------------------------


def guarded(here: Any, wanted: str, challenge: str, body: bytes) -> None:
    if here.headers.get("Authorization") == wanted:
        here.reply(200, body)
    else:
        here.reply(401, b"{}", WWW_Authenticate=challenge)


def login(engine: Engine, host: str, user: str = "ada", password: str = "pass:word") -> str:
    shown = base64.b64encode(f"{user}:{password}".encode()).decode()
    path = engine.root.parent / "docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"auths": {host: {"auth": shown}}}))
    return f"Basic {shown}"


def guard(shown: Shown, wanted: str, challenge: str) -> None:
    rules = dict(shown.server.rules)
    rules = {("GET", "/v2/"): lambda _here: None} | rules

    def handle(here: Any) -> None:
        for (method, part), inner in list(rules.items())[1:]:
            if method == here.command and part in here.path:
                if here.headers.get("Authorization") == wanted:
                    inner(here)
                    return
                break
        guarded(here, wanted, challenge, b"")

    shown.server.rules = {("GET", "/v2/"): handle, ("HEAD", "/v2/"): handle}


def test_a_password_is_shown_where_it_is_asked_for(engine: Engine, shown: Shown) -> None:
    guard(shown, login(engine, shown.server.host), 'Basic realm="x"')
    engine.images.pull(shown.name)
    assert "authorization" not in shown.server.seen[0][2]


def test_without_one_people_learn_where_to_log_in(engine: Engine, shown: Shown) -> None:
    guard(shown, "Basic eA==", 'Basic realm="x"')
    with pytest.raises(
        APIError, match=f"no basic auth credentials: log in with `minidocker login {shown.server.host}`"
    ):
        engine.images.pull(shown.name)


def test_a_wrong_one_is_shown_once_and_never_told(engine: Engine, shown: Shown) -> None:
    guard(shown, "Basic eA==", 'Basic realm="x"')
    login(engine, shown.server.host, password="hush-hush")
    with trace() as conversation, pytest.raises(Refused, match="unauthorized") as caught:
        engine.images.pull(shown.name)
    secrets = ("hush", base64.b64encode(b"ada:hush-hush").decode())
    assert not any(secret in text for secret in secrets for text in (str(caught.value), repr(conversation)))
    assert len(conversation) <= 3


def test_a_token_is_fetched_once_for_its_scope(engine: Engine, shown: Shown, elsewhere: Upset) -> None:
    realm = f"http://{elsewhere.host}/token"
    elsewhere.rules["GET", "/token"] = lambda here: here.reply(200, b'{"token": "t0ken", "expires_in": 300}')
    guard(shown, "Bearer t0ken", f'Bearer realm="{realm}",service="reg",scope="repository:victim/x:push"')
    shown_to = login(engine, shown.server.host)
    engine.images.pull(shown.name)
    (asked,) = [path for method, path, _ in elsewhere.seen if "/token" in path]
    assert asked == "/token?scope=repository%3Aapp%3Apull&service=reg&account=ada"
    assert elsewhere.seen[-1][2]["authorization"] == shown_to


def test_a_token_that_is_no_longer_good_is_fetched_anew(engine: Engine, shown: Shown, elsewhere: Upset) -> None:
    tokens = iter(["old", "new"])
    elsewhere.rules["GET", "/token"] = lambda here: here.reply(200, json.dumps({"access_token": next(tokens)}).encode())
    guard(shown, "Bearer new", f'Bearer realm="http://{elsewhere.host}/token",service="reg"')
    engine.images.pull(shown.name)
    assert len([path for _, path, _ in elsewhere.seen if "/token" in path]) == 2


def test_an_identity_token_is_posted(engine: Engine, shown: Shown, elsewhere: Upset) -> None:
    asked: list[bytes] = []

    def token(here: Any) -> None:
        asked.append(here.body)
        here.reply(200, b'{"access_token":"a"}')

    elsewhere.rules["POST", "/token"] = token
    guard(shown, "Bearer a", f'Bearer realm="http://{elsewhere.host}/token",service="reg"')
    engine.images.pull(shown.name, auth_config={"identitytoken": "i-d"})
    assert b"grant_type=refresh_token&refresh_token=i-d" in asked[0]
    assert b"scope=repository%3Aapp%3Apull" in asked[0]


@pytest.mark.parametrize("realm", ["http://token.example/t", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_password_goes_nowhere_without_tls(engine: Engine, shown: Shown, realm: str) -> None:
    login(engine, shown.server.host)
    guard(shown, "Bearer x", f'Bearer realm="{realm}",service="reg"')
    with pytest.raises(APIError, match="nothing was sent there"):
        engine.images.pull(shown.name)


def test_another_host_gets_no_credentials(engine: Engine, shown: Shown, elsewhere: Upset) -> None:
    elsewhere.rules["GET", "/cdn"] = lambda here: here.reply(200, shown.layer)
    shown.on_layer(lambda here: here.reply(307, Location=f"http://{elsewhere.host}/cdn/layer?sig=s3cret"))
    guard(shown, login(engine, shown.server.host), 'Basic realm="x"')
    with trace() as conversation:
        engine.images.pull(shown.name)
    (headers,) = elsewhere.asked("GET", "/cdn")
    assert "authorization" not in headers
    assert "s3cret" not in repr(conversation)


def test_no_way_round_for_ever(engine: Engine, shown: Shown) -> None:
    shown.on_layer(lambda here: here.reply(302, Location=here.path))
    with pytest.raises(Unreachable, match="stopped after 10 redirects"):
        engine.images.pull(shown.name)


@pytest.mark.parametrize("where", ["file:///etc/passwd", "gopher://127.0.0.1/"])
def test_redirects_lead_to_http_alone(engine: Engine, shown: Shown, where: str) -> None:
    shown.on_layer(lambda here: here.reply(302, Location=where))
    with pytest.raises(Unreachable, match="neither http nor https"):
        engine.images.pull(shown.name)


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "MANIFEST_UNKNOWN", "manifest for .*/app:1 not found: manifest unknown: gone"),
        (404, "NAME_UNKNOWN", "repository .*/app not found: name unknown: gone"),
        (
            403,
            "DENIED",
            r"pull access denied for .*/app, repository does not exist or may require 'docker login': denied",
        ),
    ],
)
def test_what_is_not_there(engine: Engine, shown: Shown, status: int, code: str, words: str) -> None:
    body = json.dumps({"errors": [{"code": code, "message": "gone"}]}).encode()
    shown.server.rules["GET", "/manifests/1"] = lambda here: here.reply(status, body)
    with pytest.raises(ImageNotFound, match=words):
        engine.images.pull(shown.name)


def test_what_docker_hub_says_of_a_repository_that_is_not_there(engine: Engine, shown: Shown) -> None:
    says = 'Bearer realm="https://a/t",service="s",scope="repository:x:pull",error="insufficient_scope"'
    shown.server.rules["GET", "/manifests/1"] = lambda here: here.reply(401, b"{}", WWW_Authenticate=says)
    with pytest.raises(APIError, match=r"lookup a: no such host|pull access denied"):
        engine.images.pull(shown.name)


def test_nobody_there(engine: Engine) -> None:
    with pytest.raises(
        Unreachable, match=r'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection ref'
    ):
        engine.images.pull("127.0.0.1:1/app")
    with pytest.raises(ImageNotFound, match=r"lookup nowhere\.invalid: no such host"):
        engine.containers.run("nowhere.invalid/app")


def test_mirrors_come_first_and_may_fail(engine: Engine, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minidocker.registry.settings.HUB_HOST", shown.server.host)
    hub = [(key, rule) for key, rule in shown.server.rules.items()]
    with upset() as mirror:
        (engine.root / "daemon.json").write_text(json.dumps({"registry-mirrors": [f"http://{mirror.host}"]}))
        assert engine.images.pull("library/app:1").tags == ["app:1"]
        assert mirror.asked("GET", "/v2/library/app/manifests/1")
        mirror.rules, shown.server.seen[:] = dict(hub), []
        assert engine.images.pull("app:1").digests == [f"app@{digest(shown.manifest)}"]
        assert not shown.server.seen


def test_a_mistake_of_ours_in_the_background_is_raised_in_front() -> None:
    def slip(tell: Listener) -> None:
        tell({"status": "begun"})
        raise KeyError("a mistake")

    messages = service.streamed(slip)
    assert next(messages) == {"status": "begun"}
    with pytest.raises(KeyError, match="a mistake"):
        next(messages)
