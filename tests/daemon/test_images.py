"""Images over the API: names, files, registries; as raw requests, by Docker's SDK, and by the docker command."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from minidocker.content import Store
from minidocker.registry.server import Registry
from minidocker.registry.serving import serving
from minidocker.registry.users import Users
from minidocker.registry.users import line as user_line
from tests.daemon.served import Served, needs_docker, serve, tar


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("images"), "simulated") as one:
        yield one


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry that lets everybody in."""
    with serving(Registry(Store(tmp_path_factory.mktemp("registry"))), "127.0.0.1:0") as url:
        yield url.removeprefix("http://")


@pytest.fixture(autouse=True)
def image(daemon: Served) -> Iterator[str]:
    """The id of the only image there is, `app:1`, of which nothing is left of earlier tests."""
    for one in daemon.engine.images.list():
        daemon.engine.images.remove(one.id, force=True)
    made = daemon.engine.images.import_image(tar(f="x" * 1000), "app", "1", ['CMD ["a"]', "LABEL who=me"])
    yield made.id


def test_the_list(daemon: Served, image: str) -> None:
    daemon.engine.images.import_image(tar(g="y"))
    [one, other] = sorted(daemon.ask("GET", "/v1.41/images/json").json, key=lambda one: str(one["RepoTags"]))[::-1]
    assert one["Id"] == image
    assert one["RepoTags"] == ["app:1"]
    assert one["Labels"] == {"who": "me"}
    assert one["Size"] == one["VirtualSize"] == 1000
    assert one["Containers"] == one["SharedSize"] == -1
    assert (other["RepoTags"], other["RepoDigests"]) == (["<none>:<none>"], ["<none>@<none>"])


@pytest.mark.parametrize("shape", [lambda word: [word], lambda word: {word: True}])
def test_filters_come_in_two_shapes(daemon: Served, image: str, shape: Any) -> None:
    def ids(**filters: Any) -> list[str]:
        text = json.dumps({key: shape(value) for key, value in filters.items()})
        return [one["Id"] for one in daemon.ask("GET", "/images/json", filters=text).json]

    assert ids(label="who=me") == ids(reference="app") == ids(reference="app:*") == ids(dangling="false") == [image]
    assert ids(label="who=you") == ids(reference="ap") == ids(dangling="true") == []


def test_a_reference_filter_shows_the_names_that_it_means(daemon: Served) -> None:
    daemon.engine.images.get("app:1").tag("other", "1")
    [one] = daemon.ask("GET", "/images/json", filters='{"reference": ["other"]}').json
    assert one["RepoTags"] == ["other:1"]


@pytest.mark.parametrize("filters", ["x", "[]x", '{"nope": ["a"]}', '{"label": 1}', '{"dangling": ["maybe"]}', "[1]"])
def test_filters_that_are_none(daemon: Served, filters: str) -> None:
    assert daemon.ask("GET", "/images/json", filters=filters).status == 400
    assert daemon.ask("POST", "/images/prune", filters=filters).status == 400


def test_it_is_found_by_its_names(daemon: Served, image: str) -> None:
    daemon.engine.images.get(image).tag("127.0.0.1:5000/team/app", "2")
    for name in (
        "app:1",
        image,
        image[7:19],
        "docker.io/library/app:1",
        "127.0.0.1:5000/team/app:2",
        quote("app:1", ""),
    ):
        got = daemon.ask("GET", f"/v1.30/images/{name}/json").json
        assert got["Id"] == image
        assert got["Config"]["Cmd"] == ["a"]
    assert daemon.ask("GET", "/images/app:1/history").json[0]["Tags"] == ["127.0.0.1:5000/team/app:2", "app:1"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/images/nope/json", 404, "No such image: nope:latest"),
        ("GET", "/images/team/nope/history", 404, "No such image: team/nope:latest"),
        ("GET", "/images/UPPER/json", 400, "invalid reference format"),
        ("DELETE", "/images/nope", 404, "No such image: nope:latest"),
        ("GET", "/images/nope/get", 404, "No such image: nope"),
        ("GET", "/images/get?names=app:1&names=nope", 404, "No such image: nope"),
        ("POST", "/images/app:1/tag?repo=UPPER", 400, "invalid reference format"),
        ("POST", "/images/app:1/tag", 400, "invalid reference format"),
        ("POST", "/images/nope/tag?repo=a", 404, "No such image"),
        (
            "POST",
            f"/images/app:1/tag?repo=a@sha256:{'0' * 64}",
            400,
            "refusing to create a tag with a digest reference",
        ),
        ("POST", "/images/create", 400, "invalid reference format"),
        ("POST", "/images/create?fromImage=UPPER", 400, "invalid reference format"),
        ("POST", "/images/create?fromImage=127.0.0.1:1/x&tag=1", 500, "connection refused"),
        ("POST", "/images/create?fromSrc=/etc/passwd", 500, ""),
        ("POST", "/images/create?fromSrc=file:///etc/passwd", 501, "only http:// and https://"),
        ("GET", "/images/search?term=x", 501, "does not search Docker Hub"),
        ("GET", "/distribution/127.0.0.1:1/x/json", 500, "connection refused"),
    ],
)
def test_what_is_refused(daemon: Served, method: str, path: str, status: int, words: str) -> None:
    answer = daemon.ask(method, path)
    if words:
        assert (answer.status, words in answer.message) == (status, True), answer.body
    else:
        assert b'"error' in answer.body or answer.status >= 400


def test_tag_and_remove(daemon: Served, image: str) -> None:
    answer = daemon.ask("POST", "/v1.41/images/app:1/tag", repo="docker.io/library/new", tag="2", force="False")
    assert (answer.status, answer.body) == (201, b"")
    assert daemon.engine.images.get(image).tags == ["app:1", "new:2"]
    conflict = daemon.ask("DELETE", f"/images/{image}")
    assert conflict.status == 409
    assert "(must be forced) - image is referenced in multiple repositories" in conflict.message
    assert daemon.ask("DELETE", "/images/new:2").json == [{"Untagged": "new:2"}]
    assert daemon.ask("DELETE", "/images/app:1", force="1").json[-1] == {"Deleted": image}


def test_prune_takes_what_has_no_name_or_is_not_used(daemon: Served, image: str) -> None:
    nameless = daemon.engine.images.import_image(tar(g="y" * 5000)).id
    first = daemon.ask("POST", "/images/prune").json
    assert {"Deleted": nameless} in first["ImagesDeleted"]
    assert first["SpaceReclaimed"] > 5000
    assert daemon.ask("POST", "/images/prune", filters='{"dangling": {"true": true}}').json["ImagesDeleted"] is None
    every = daemon.ask("POST", "/images/prune", filters='{"dangling": ["false"]}').json
    assert {"Untagged": "app:1"} in every["ImagesDeleted"]
    assert {"Deleted": image} in every["ImagesDeleted"]


def test_save_and_load(daemon: Served, image: str) -> None:
    one, several = daemon.ask("GET", "/images/app:1/get"), daemon.ask("GET", "/images/get", names=["app:1", image])
    assert one.headers["Content-Type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(one.body)) as archive:
        assert {"manifest.json", "repositories"} & set(archive.getnames())
    daemon.ask("DELETE", "/images/app:1")
    loaded = daemon.ask("POST", "/images/load", iter([several.body[:3000], several.body[3000:]]), quiet="1")
    assert loaded.headers["Transfer-Encoding"] == "chunked"
    assert {"stream": "Loaded image: app:1\n"} in loaded.lines
    assert daemon.engine.images.get("app:1").id == image
    nameless = daemon.ask("POST", "/images/load", daemon.ask("GET", f"/images/{image}/get").body)
    assert nameless.lines == [{"stream": f"Loaded image ID: {image}\n"}]
    broken = daemon.ask("POST", "/images/load", b"no tar")
    assert (broken.status, "error" in broken.lines[-1]) == (200, True)


def test_import(daemon: Served) -> None:
    query: dict[str, Any] = {
        "fromSrc": "-",
        "repo": "imported",
        "tag": "1",
        "message": "by hand",
        "changes": ["USER me", "ENV A=1"],
    }
    [line] = daemon.ask("POST", "/images/create", iter([tar(f="f")]), **query).lines
    made = daemon.engine.images.get("imported:1")
    assert line == {"status": made.id}
    assert made.config["User"] == "me"
    assert made.history()[0]["Comment"] == "by hand"
    assert daemon.ask("POST", "/images/create", b"no tar at all" * 99, **query).status >= 400
    assert daemon.ask("POST", "/images/create", tar(f="f"), fromSrc="-", changes="RUN x").status == 400


def login(**fields: str) -> dict[str, str]:
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()}


def test_push_and_pull(daemon: Served, image: str, registry: str) -> None:
    name = f"{registry}/team/app"
    daemon.engine.images.get(image).tag(name, "1")
    pushed = daemon.ask("POST", f"/v1.41/images/{name}/push", headers=login(), tag="1").lines
    assert pushed[0] == {"status": f"The push refers to repository [{name}]"}
    digest = next(line["aux"]["Digest"] for line in pushed if "aux" in line)
    assert any(line.get("status", "").startswith(f"1: digest: {digest} size: ") for line in pushed)
    for one in daemon.engine.images.list():
        daemon.engine.images.remove(one.id, force=True)
    pulled = daemon.ask("POST", "/images/create", fromImage=name, tag="1", headers=login()).lines
    assert pulled[0] == {"status": "Pulling from team/app", "id": "1"}
    assert pulled[-2:] == [{"status": f"Digest: {digest}"}, {"status": f"Status: Downloaded newer image for {name}:1"}]
    again = daemon.ask("POST", "/images/create", fromImage=f"{name}:1").lines
    assert again[-1] == {"status": f"Status: Image is up to date for {name}:1"}
    by_digest = daemon.ask("POST", "/images/create", fromImage=name, tag=digest)
    assert by_digest.lines[-2] == {"status": f"Digest: {digest}"}
    every = daemon.ask("POST", "/images/create", fromImage=name)
    assert every.lines[-1]["status"].endswith(f"for {name}")
    there = daemon.ask("GET", f"/distribution/{name}:1/json").json
    assert there["Descriptor"]["digest"] == digest
    assert there["Platforms"][0]["os"] == "linux"


def test_what_a_registry_does_not_have_is_an_http_error(daemon: Served, registry: str) -> None:
    missing = daemon.ask("POST", "/images/create", fromImage=f"{registry}/nope", tag="1")
    assert missing.status == 404
    assert "not found" in missing.message
    unknown = daemon.ask("POST", f"/images/{registry}/nope/push", headers=login(), tag="1")
    assert "An image does not exist locally with the tag" in unknown.lines[-1]["error"]


def test_each_client_is_who_it_says(
    tmp_path: Path, daemon: Served, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon has a login of its own, which is none of its clients' business."""
    users = Users.parse(user_line("me", "secret", cost=4))
    with serving(Registry(Store(tmp_path / "store"), users), "127.0.0.1:0") as url:
        host = url.removeprefix("http://")
        auths = {host: {"auth": base64.b64encode(b"me:secret").decode()}}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        daemon.engine.images.get(image).tag(f"{host}/app", "1")
        nobody = daemon.ask("POST", f"/images/{host}/app/push", headers=login(), tag="1")
        assert "error" in nobody.lines[-1]
        me = daemon.ask("POST", f"/images/{host}/app/push", headers=login(username="me", password="secret"), tag="1")
        assert "aux" in me.lines[-1] or "error" not in me.lines[-1]
        assert daemon.ask("POST", "/images/create", fromImage=f"{host}/app", tag="1").status >= 400
        known = {"username": "me", "password": "secret", "serveraddress": host}
        assert daemon.ask("POST", "/auth", known).json == {"IdentityToken": "", "Status": "Login Succeeded"}
        wrong = daemon.ask("POST", "/auth", known | {"password": "guess"})
        assert wrong.status == 401
        assert daemon.ask("POST", "/auth", {"serveraddress": 1}).status == 400


def test_the_sdk(daemon: Served, image: str, registry: str) -> None:
    docker, client = pytest.importorskip("docker"), daemon.sdk()
    one = client.images.get("app:1")
    assert one.id == image
    assert one.tag(f"{registry}/sdk", tag="1")
    assert "error" not in client.images.push(f"{registry}/sdk", tag="1")
    client.images.remove(f"{registry}/sdk:1")
    assert client.images.pull(f"{registry}/sdk", tag="1").id == image
    assert [each.id for each in client.images.list(name="app")] == [image]
    saved = b"".join(one.save(named="app:1"))
    assert [each.id for each in client.images.load(saved)] == [image]
    assert client.images.get_registry_data(f"{registry}/sdk:1").has_platform("linux/amd64") in (True, False)
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nope")
    with pytest.raises(docker.errors.NotFound):
        client.images.pull(f"{registry}/nope", tag="1")
    client.images.remove(image, force=True)
    client.close()


@needs_docker
def test_the_docker_command(daemon: Served, image: str, registry: str, tmp_path: Path) -> None:
    docker = daemon.cli
    name = f"{registry}/cli:1"
    assert docker("tag", "app:1", name).returncode == 0
    assert "digest: sha256:" in docker("push", name).stdout
    docker("rmi", name)
    assert "Status: Downloaded newer image" in docker("pull", name).stdout
    assert docker("images", "--format", "{{.Repository}}:{{.Tag}}", "app").stdout == "app:1\n"
    assert docker("images", "-q", "--no-trunc", "--filter", "label=who=me").stdout.split() == [image, image]
    assert docker("history", "-q", "app:1").stdout.strip() == image[7:19]
    assert docker("inspect", "-f", "{{.Id}}", "app:1").stdout.strip() == image
    assert "No such object: nothing" in docker("inspect", "nothing").stderr
    assert docker("save", "-o", str(tmp_path / "app.tar"), "app:1").returncode == 0
    assert docker("rmi", "-f", image).returncode == 0
    assert docker("load", "-i", str(tmp_path / "app.tar")).stdout == "Loaded image: app:1\n"
    (tmp_path / "fs.tar").write_bytes(tar(f="1"))
    made = docker("import", "--change", "CMD x", str(tmp_path / "fs.tar"), "imported:cli").stdout.strip()
    assert docker("images", "-q", "--no-trunc", "imported").stdout.strip() == made
    assert "Total reclaimed space" in docker("image", "prune", "-af").stdout
    assert docker("images", "-q").stdout == ""
    assert docker("search", "x").returncode == 1


def test_many_clients_at_once(daemon: Served, image: str) -> None:
    """Tags come and go while others look: every answer is a whole one."""
    wrong: list[Any] = []

    def client(number: int) -> None:
        for turn in range(5):
            name = f"many{number}:{turn}"
            tagged = daemon.ask("POST", "/images/app:1/tag", repo=name)
            found = daemon.ask("GET", f"/images/{name}/json")
            listed = daemon.ask("GET", "/images/json")
            gone = daemon.ask("DELETE", f"/images/{name}")
            statuses = (tagged.status, found.status, listed.status, gone.status)
            if statuses != (201, 200, 200, 200):
                wrong.append((statuses, found.body, listed.body, gone.body))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert daemon.engine.images.get(image).tags == ["app:1"]
