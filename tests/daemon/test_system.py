"""The engine as a whole, volumes, networks, plugins and swarms over the API; by requests, the SDK and the command."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon.served import Line, Served, needs_docker, serve, tar
from tests.until import until


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("system"), "simulated") as one:
        one.engine.images.import_image(tar(f="x"), "app", "1")
        yield one


def test_ping(daemon: Served) -> None:
    for method, body in (("GET", b"OK"), ("HEAD", b"")):
        answer = daemon.ask(method, "/_ping")
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["Api-Version"] == "1.41"
        assert {"Ostype", "Docker-Experimental", "Server"} <= answer.headers.keys()


def test_version_and_info_have_what_clients_read(daemon: Served) -> None:
    version, info = daemon.ask("GET", "/version").json, daemon.ask("GET", "/v1.24/info").json
    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.41", "1.24")
    assert version["Components"][0]["Details"]["ApiVersion"] == "1.41"
    assert all(isinstance(text, str) for one in version["Components"] for text in one["Details"].values())
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    assert info["RegistryConfig"]["InsecureRegistryCIDRs"] == ["127.0.0.0/8"]
    assert info["Plugins"]["Volume"] == ["local"]
    assert info["Images"] == 1
    assert len(info["ID"].split(":")) == 12


def test_disk_usage(daemon: Served) -> None:
    daemon.ask("POST", "/volumes/create", {"Name": "counted"})
    found = daemon.ask("GET", "/system/df").json
    assert found.keys() == {"LayersSize", "Images", "Containers", "Volumes", "BuildCache", "BuilderSize"}
    assert all(volume["UsageData"] is not None for volume in found["Volumes"])
    assert found["Images"][0]["SharedSize"] == found["Images"][0]["Containers"] == 0
    assert daemon.ask("GET", "/system/df", type="volume").json.keys() == {"Volumes"}
    assert daemon.ask("GET", "/system/df", type="nonsense").status == 400


def test_images_share_layers(daemon: Served) -> None:
    base = daemon.engine.images.get("app:1")
    other = daemon.engine.images.create({"config": {"User": "other"}}, base.layers)
    found = {one["Id"]: one["SharedSize"] for one in daemon.ask("GET", "/system/df").json["Images"]}
    assert found == {base.id: 1, other.id: 1}
    daemon.engine.images.remove(other.id)


# Events


def test_events_of_the_past_end_by_themselves(daemon: Served) -> None:
    before = time.time() - 1
    daemon.ask("POST", "/volumes/create", {"Name": "seen"})
    asked: dict[str, Any] = {
        "since": f"{before:.9f}",
        "until": f"{time.time():.9f}",
        "filters": '{"type": {"volume": true}}',
    }
    events = [json.loads(line) for line in daemon.ask("GET", "/v1.41/events", **asked).body.splitlines()]
    assert {one["Type"] for one in events} == {"volume"}
    assert (events[-1]["Action"], events[-1]["Actor"]["ID"]) == ("create", "seen")
    cases: list[dict[str, Any]] = [
        {"since": "x"},
        {"filters": "x"},
        {"since": "2", "until": "1"},
    ]
    for wrong in cases:
        assert daemon.ask("GET", "/events", **wrong).status == 400


def test_events_are_told_as_they_happen_until_the_client_leaves(daemon: Served) -> None:
    threads = threading.active_count()
    line = Line(daemon.socket)
    line.request("GET", "/events?filters=%7B%22type%22%3A%5B%22network%22%5D%7D")
    got = line.getresponse()  # the head is there before anything has happened
    daemon.ask("POST", "/networks/create", {"Name": "told"})
    assert json.loads(got.readline())["Actor"]["Attributes"]["name"] == "told"
    line.close()
    got.close()
    until(lambda: threading.active_count() <= threads)
    daemon.ask("DELETE", "/networks/told")


# Volumes


def test_volumes(daemon: Served) -> None:
    made = daemon.ask("POST", "/v1.41/volumes/create", {"Name": "data", "Labels": {"a": "b"}, "Unknown": 1})
    assert made.status == 201
    assert made.json["Labels"] == {"a": "b"}
    assert daemon.ask("POST", "/volumes/create", {"Name": "data"}).json == made.json
    assert daemon.ask("GET", "/volumes/data").json == made.json
    listed = daemon.ask("GET", "/volumes", filters='{"label": {"a=b": true}, "name": ["dat"]}').json
    assert listed == {"Volumes": [made.json], "Warnings": None}
    assert (answer := daemon.ask("DELETE", "/volumes/data")).status == 204
    assert answer.body == b""
    assert "Content-Length" not in answer.headers
    anonymous = daemon.ask("POST", "/volumes/create", {"Name": "", "DriverOpts": None}).json
    assert len(anonymous["Name"]) == 64


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/volumes/nope", None, 404, "get nope: no such volume"),
        ("DELETE", "/volumes/nope", None, 404, "no such volume"),
        ("DELETE", "/volumes/nope?force=true", None, 204, ""),
        ("POST", "/volumes/create", {"Name": 1}, 400, "json: cannot unmarshal number"),
        ("POST", "/volumes/create", {"Labels": ["a"]}, 400, "json: cannot unmarshal array"),
        ("POST", "/volumes/create", {"DriverOpts": {"type": 3}}, 400, "json: cannot unmarshal number"),
        ("POST", "/volumes/create", {"Name": "../x"}, 400, "includes invalid characters"),
        ("POST", "/volumes/create", {"Driver": "nope"}, 404, "nope"),
        ("POST", "/volumes/create", [1], 400, "json"),
        ("GET", "/volumes?filters=%7B%22x%22%3A%5B%22y%22%5D%7D", None, 400, "Invalid filter 'x'"),
        ("POST", "/volumes/prune?filters=%7B%22x%22%3A%5B%22y%22%5D%7D", None, 400, "Invalid filter 'x'"),
        ("GET", "/networks/nope", None, 404, "network nope not found"),
        ("DELETE", "/networks/nope", None, 404, "network nope not found"),
        ("DELETE", "/networks/bridge", None, 403, "bridge is a pre-defined network and cannot be removed"),
        ("POST", "/networks/create", {}, 400, "name is empty"),
        ("POST", "/networks/create", {"Name": "host"}, 403, "operation is not permitted on predefined host network"),
        ("POST", "/networks/create", {"Name": "n", "Driver": "nope"}, 404, "nope"),
        ("POST", "/networks/create", {"Name": "n", "IPAM": {"Config": [{"Subnet": "x"}]}}, 400, ""),
        ("POST", "/networks/create", {"Name": "n", "IPAM": {"Config": {}}}, 400, "json: cannot unmarshal object"),
        ("POST", "/networks/create", {"Name": "n", "Internal": "yes"}, 400, "json: cannot unmarshal string"),
        ("POST", "/networks/create", {"Name": "n", "ConfigOnly": True}, 501, "no configuration from others"),
        ("POST", "/networks/none/connect", {"Container": "nope"}, 404, "No such container: nope"),
        ("POST", "/networks/nope/connect", {"Container": "nope"}, 404, "No such container: nope"),
        ("POST", "/networks/none/disconnect", {"Container": 5}, 400, "json: cannot unmarshal number"),
        ("GET", "/networks?filters=%7B%22type%22%3A%5B%22y%22%5D%7D", None, 400, "invalid filter"),
        ("GET", "/plugins/nope/json", None, 404, 'plugin "nope" not found'),
        ("POST", "/plugins/a/b:1/enable", None, 404, 'plugin "a/b:1" not found'),
        ("POST", "/plugins/pull?remote=x", [], 501, "minidocker does not install plugins"),
        ("GET", "/swarm", None, 503, "This node is not a swarm manager."),
        ("GET", "/services", None, 503, "This node is not a swarm manager."),
        ("POST", "/secrets/create", {"Name": "x"}, 503, "This node is not a swarm manager."),
        ("POST", "/swarm/leave?force=1", None, 503, "This node is not part of a swarm"),
        ("POST", "/swarm/init", {}, 501, "makes no swarm"),
        ("POST", "/session", None, 501, "DOCKER_BUILDKIT=0"),
        ("GET", "/nothing", None, 404, "page not found"),
        ("PUT", "/volumes", None, 404, "page not found"),
    ],
)
def test_what_is_refused(daemon: Served, method: str, path: str, body: Any, status: int, words: str) -> None:
    answer = daemon.ask(method, f"/v1.41{path}", body)
    assert answer.status == status, answer.body
    assert words in (answer.message if status != 204 else "")


def test_what_a_path_would_take_is_nobodys_business(daemon: Served) -> None:
    answer = daemon.ask("OPTIONS", "/v1.41/containers/json")
    assert (answer.status, answer.body) == (200, b"")


def test_prune_before_1_42_takes_volumes_with_names(daemon: Served) -> None:
    daemon.ask("POST", "/volumes/create", {"Name": "named", "Labels": {"keep": "no"}})
    done = daemon.ask("POST", "/v1.41/volumes/prune", filters='{"label": ["keep=no"]}').json
    assert done == {"VolumesDeleted": ["named"], "SpaceReclaimed": 0}
    daemon.ask("POST", "/volumes/create", {"Name": "named"})
    assert daemon.ask("POST", "/volumes/prune", filters='{"all": ["false"], "label!": ["x"]}').status == 200
    assert daemon.ask("GET", "/volumes/named").status == 200


# Networks


def test_networks(daemon: Served) -> None:
    config = [{"Subnet": "10.99.0.0/24", "Gateway": "10.99.0.9", "AuxiliaryAddresses": {"a": "10.99.0.5"}}]
    ipam = {"Driver": "default", "Config": config}
    body = {"Name": "net", "CheckDuplicate": True, "Driver": "", "IPAM": ipam, "Internal": True, "Labels": {"a": "b"}}
    made = daemon.ask("POST", "/v1.41/networks/create", body)
    assert (made.status, made.json["Warning"]) == (201, "")
    again = daemon.ask("POST", "/v1.41/networks/create", body)
    assert (again.status, again.message) == (409, "network with name net already exists")
    overlap = daemon.ask("POST", "/networks/create", body | {"Name": "other"})
    assert overlap.status == 403
    assert "overlaps" in overlap.message
    for name in ("net", made.json["Id"], made.json["Id"][:10]):
        one = daemon.ask("GET", f"/networks/{name}", verbose="0", scope="local").json
        assert (one["Name"], one["Internal"], one["Containers"]) == ("net", True, {})
        assert one["IPAM"]["Config"] == config
    for filters in ({"name": ["net"]}, {"label": {"a=b": True}}, {"id": [made.json["Id"][:8]]}, {"type": ["custom"]}):
        assert [one["Id"] for one in daemon.ask("GET", "/networks", filters=json.dumps(filters)).json] == [
            made.json["Id"]
        ]
    assert daemon.ask("POST", "/networks/prune").json == {"NetworksDeleted": ["net"]}
    assert daemon.ask("POST", "/networks/prune").json == {"NetworksDeleted": None}


def test_a_container_is_connected_and_taken_off(daemon: Served) -> None:
    engine = daemon.engine
    engine.images.get("minidocker/base")
    container = engine.containers.run("minidocker/base", "sleep 100", detach=True)
    network = daemon.ask("POST", "/networks/create", {"Name": "joined"}).json["Id"]
    asked = {"Container": container.name, "EndpointConfig": {"Aliases": ["db"], "IPAMConfig": None, "Links": None}}
    assert (answer := daemon.ask("POST", f"/networks/{network}/connect", asked)).status == 200
    assert answer.headers["Content-Length"] == "0"
    on = daemon.ask("GET", "/networks/joined").json["Containers"]
    assert list(on) == [container.id]
    assert on[container.id]["IPv4Address"].endswith("/16")
    assert daemon.ask("POST", f"/networks/{network}/connect", asked).status == 403
    in_use = daemon.ask("DELETE", "/networks/joined")
    assert (in_use.status, "has active endpoints" in in_use.message) == (403, True)
    wrong = {"Container": container.id, "EndpointConfig": {"Aliases": "db"}}
    assert daemon.ask("POST", f"/networks/{network}/connect", wrong).status == 400
    off = {"Container": container.id, "Force": True}
    assert daemon.ask("POST", f"/networks/{network}/disconnect", off).status == 200
    assert daemon.ask("POST", f"/networks/{network}/disconnect", off).status in (403, 500)
    container.remove(force=True)
    assert daemon.ask("DELETE", "/networks/joined").status == 204


def test_the_sdk(daemon: Served) -> None:
    docker, client = pytest.importorskip("docker"), daemon.sdk()
    assert client.ping()
    assert client.info()["Containers"] == client.df()["Containers"].__len__()
    volume = client.volumes.create(name="sdk", labels={"a": "b"})
    assert client.volumes.get("sdk").attrs == volume.attrs
    assert [one.name for one in client.volumes.list(filters={"label": "a=b"})] == ["sdk"]
    volume.remove()
    network = client.networks.create("sdk", driver="bridge", labels={"x": "y"})
    assert [one.id for one in client.networks.list(names=["sdk"])] == [network.id]
    network.remove()
    with pytest.raises(docker.errors.NotFound):
        client.networks.get("sdk")
    with pytest.raises(docker.errors.APIError, match="not part of a swarm"):
        client.api.leave_swarm()
    assert client.plugins.list() == []
    events = client.events(since=0, until=int(time.time()) + 1, decode=True, filters={"type": "volume"})
    assert "create" in {event["Action"] for event in events}
    client.close()


@needs_docker
def test_the_docker_command(daemon: Served) -> None:
    docker = daemon.cli
    assert "API version:      1.41" in docker("version").stdout
    info = docker("info")
    assert (info.returncode, "Swarm: inactive" in info.stdout) == (0, True)
    assert docker("volume", "create", "--label", "a=b", "vol").stdout == "vol\n"
    assert docker("volume", "ls", "-q", "--filter", "label=a=b").stdout == "vol\n"
    assert docker("volume", "inspect", "-f", "{{.Driver}}", "vol").stdout == "local\n"
    assert "vol" in docker("system", "df", "-v").stdout
    assert docker("volume", "rm", "vol").stdout == "vol\n"
    assert "no such volume" in docker("volume", "inspect", "vol").stderr.lower()
    id = docker("network", "create", "--subnet", "10.98.0.0/24", "n").stdout.strip()
    assert docker("network", "ls", "-q", "--no-trunc", "--filter", "name=n$").stdout.strip() in ("", id)
    assert docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "n").stdout == "10.98.0.0/24\n"
    assert docker("network", "prune", "-f").stdout == "Deleted Networks:\nn\n\n"
    assert "Build Cache" in docker("system", "df").stdout
    assert "volume create vol " in docker("events", "--since", "10m", "--until", str(int(time.time()) + 1)).stdout
    assert "no such object: nothing" in docker("inspect", "NOTHING").stderr.lower()
    assert docker("node", "ls").returncode == 1
    assert "connection refused" in docker("login", "-u", "a", "-p", "b", "127.0.0.1:1").stderr
