"""The options of `docker run`: what they become, and what is refused, in Docker's words (recorded from 20.10)."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from minidocker.container import Container, Containers, spec
from minidocker.container.options import volumes
from minidocker.content import Store
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.image import Image
from minidocker.images import Images


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image that says something of everything."""
    config = {
        "Cmd": ["serve"],
        "Env": ["PATH=/bin", "A=image"],
        "Labels": {"who": "image", "what": "box"},
        "User": "app",
        "WorkingDir": "/srv",
        "StopSignal": "SIGQUIT",
    }
    return Images(Store(tmp_path)).create({"config": config}, [])


def made(image: Image, command: Any = None, **options: Any) -> dict[str, Any]:
    return spec.container_config(image, "box", command, options)


class TestCommand:
    """ENTRYPOINT and CMD of the image, under those of the user."""

    @pytest.mark.parametrize(
        ("of_image", "entrypoint", "command", "program"),
        [
            ((None, ["serve"]), None, None, (["serve"], None, ["serve"])),
            ((None, ["serve"]), None, "echo 'a  b'", (["echo", "a  b"], None, ["echo", "a  b"])),
            ((None, ["serve"]), None, "", (["serve"], None, ["serve"])),
            ((None, ["serve"]), None, [], (["serve"], None, ["serve"])),
            ((None, ["serve"]), "echo e", None, (["echo", "e"], ["echo", "e"], None)),
            ((None, ["serve"]), ["echo", "e"], "x", (["echo", "e", "x"], ["echo", "e"], ["x"])),
            ((None, ["serve"]), "", None, (["serve"], [], ["serve"])),
            ((["run"], ["serve"]), None, None, (["run", "serve"], ["run"], ["serve"])),
            ((["run"], ["serve"]), None, "x", (["run", "x"], ["run"], ["x"])),
            ((["run"], ["serve"]), [], "x", (["x"], [], ["x"])),
            ((["run"], ["serve"]), [""], "x", (["x"], None, ["x"])),
            ((["run"], None), None, None, (["run"], ["run"], None)),
        ],
    )
    def test_combined(self, tmp_path: Path, of_image: Any, entrypoint: Any, command: Any, program: Any) -> None:
        config = dict(zip(("Entrypoint", "Cmd"), of_image, strict=True))
        box = made(Images(Store(tmp_path)).create({"config": config}, []), command, entrypoint=entrypoint)
        assert ([box["Path"], *box["Args"]], box["Config"]["Entrypoint"], box["Config"]["Cmd"]) == program

    @pytest.mark.parametrize("config", [{}, {"Entrypoint": ["run"], "Cmd": ["serve"]}])
    def test_none_at_all(self, tmp_path: Path, config: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument, match="No command specified"):
            made(Images(Store(tmp_path)).create({"config": config}, []), entrypoint=[""] if config else None)

    def test_an_open_quote(self, image: Image) -> None:
        with pytest.raises(InvalidArgument, match=r"cannot split the command .*No closing quotation"):
            made(image, "echo 'a")


class TestConfig:
    """What the image says, and over it what the user says."""

    def test_ports_are_listed_where_the_image_exposes_some(self, image: Image, tmp_path: Path) -> None:
        ports: dict[str, Any] = {"53/udp": {}, "80/tcp": {}}
        exposing = Images(Store(tmp_path / "other")).create({"config": {"ExposedPorts": ports}}, [])
        assert made(exposing, "x")["Config"]["ExposedPorts"] == ports
        assert "ExposedPorts" not in made(image, "x")["Config"]

    def test_of_the_image_alone(self, image: Image) -> None:
        config = made(image)["Config"]
        assert config["Env"] == ["PATH=/bin", "A=image"]
        assert config["Labels"] == {"who": "image", "what": "box"}
        assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("app", "/srv", "SIGQUIT")

    def test_of_the_user(self, image: Image) -> None:
        options = {"user": 0, "working_dir": "/tmp", "stop_signal": "TERM", "hostname": "web", "stop_timeout": 0}
        config = made(image, labels={"who": "me"}, environment={"A": 1, "B": ""}, **options)["Config"]
        assert config["Env"] == ["A=1", "B=", "PATH=/bin"]
        assert config["Labels"] == {"who": "me", "what": "box"}
        assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("0", "/tmp", "TERM")
        assert (config["Hostname"], config["StopTimeout"]) == ("web", 0)

    def test_the_host_name_is_the_start_of_the_id(self, image: Image) -> None:
        box = made(image)
        assert box["Config"]["Hostname"] == box["Id"][:12]

    @pytest.mark.parametrize(
        ("given", "env"),
        [
            (["A=1", "B=x y"], ["A=1", "B=x y", "PATH=/bin"]),
            ({"A": None}, ["A", "PATH=/bin"]),
            (["A"], ["A", "PATH=/bin"]),
            (["NEW"], ["NEW", "PATH=/bin", "A=image"]),
            (["A=1", "A=2"], ["A=2", "PATH=/bin"]),
        ],
    )
    def test_environment(self, image: Image, given: Any, env: list[str]) -> None:
        assert made(image, environment=given)["Config"]["Env"] == env

    def test_labels_without_values(self, image: Image) -> None:
        assert made(image, labels=["a", "who"])["Config"]["Labels"] == {"who": "", "what": "box", "a": ""}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"environment": ["=x"]}, "invalid environment variable: =x"),
            ({"working_dir": "tmp"}, "the working directory 'tmp' is invalid, it needs to be an absolute path"),
            ({"stop_signal": "NOPE"}, "Invalid signal: NOPE"),
            ({"name": "a b"}, r"Invalid container name \(a b\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed"),
            ({"name": "a"}, r"Invalid container name \(a\)"),
            ({"name": "../x"}, r"Invalid container name"),
            ({"restart_policy": {"Name": "sometimes"}}, "invalid restart policy 'sometimes'"),
            (
                {"restart_policy": {"Name": "always", "MaximumRetryCount": 3}},
                "maximum retry count cannot be used with restart policy 'always'",
            ),
            (
                {"restart_policy": {"Name": "on-failure", "MaximumRetryCount": -3}},
                "maximum retry count cannot be negative",
            ),
            (
                {"restart_policy": {"Name": "always"}, "auto_remove": True},
                "can't create 'AutoRemove' container with restart policy",
            ),
        ],
    )
    def test_nonsense(self, image: Image, options: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            made(image, "true", **options)


class TestBinds:
    """`-v`."""

    @pytest.mark.parametrize(
        ("volumes", "binds"),
        [
            (["/srv:/d"], ["/srv:/d"]),
            (["/srv:/d:ro"], ["/srv:/d:ro"]),
            ({"/srv": {"bind": "/d", "mode": "ro"}}, ["/srv:/d:ro"]),
            ({"/srv": {"bind": "/d"}}, ["/srv:/d:rw"]),
            ({}, None),
        ],
    )
    def test_shapes(self, image: Image, volumes: Any, binds: Any) -> None:
        assert made(image, "true", volumes=volumes)["HostConfig"]["Binds"] == binds

    def test_on_windows(self) -> None:
        point = volumes.bind(r"C:\srv:/d:ro")
        assert (point["Type"], point["Source"], point["Destination"], point["RW"]) == ("bind", r"C:\srv", "/d", False)

    @pytest.mark.parametrize(
        ("volumes", "message"),
        [
            (["/a:/d:zz"], "invalid mode: zz"),
            (["/a:d"], "invalid volume specification: '/a:d': .* invalid mount path: 'd' mount path must be absolute"),
            (["/a:/"], "invalid volume specification: '/a:/': .*destination can't be '/'"),
            (["/a:/x/.."], "destination can't be '/'"),
            (["/a:/d", "/b:/d/"], "Duplicate mount point: /d"),
            ([":/d"], "invalid volume specification: ':/d'"),
            (["/a:/b:ro:x"], "invalid volume specification: '/a:/b:ro:x'"),
        ],
    )
    def test_nonsense(self, image: Image, volumes: list[str], message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            made(image, "true", volumes=volumes)

    def test_what_has_no_source_is_a_volume_of_its_own(self, image: Image) -> None:
        found = made(image, "true", volumes=["data:/d", "/anon"])
        assert found["HostConfig"]["Binds"] == ["data:/d"]
        assert found["Config"]["Volumes"] == {"/anon": {}}
        assert [point["Destination"] for point in found["Mounts"]] == ["/d", "/anon"]


@pytest.mark.parametrize(
    ("name", "number"), [("TERM", 15), ("SIGTERM", 15), ("sigint", 2), (9, 9), ("9", 9), ("RTMIN+1", 35), ("RTMAX", 64)]
)
def test_signals(name: Any, number: int) -> None:
    assert spec.signal_number(name) == number


@pytest.mark.parametrize("name", ["", "NOPE", 0, 65, -1, "SIG", "RTMIN+99"])
def test_no_signals(name: Any) -> None:
    with pytest.raises(InvalidArgument, match="Invalid signal"):
        spec.signal_number(name)


def test_an_unknown_option_is_a_type_error_as_in_docker(image: Image) -> None:
    with pytest.raises(TypeError, match=r"run\(\) got an unexpected keyword argument 'nonsense'"):
        made(image, "true", nonsense=1)


def test_what_is_off_by_default_may_be_said(image: Image) -> None:
    made(image, "true", privileged=False, tty=False, ports={}, mem_limit=None, init=False, network_disabled=True)


class TestDockersSdk:
    """Every name that Docker's SDK knows is taken, or refused by that name."""

    def test_every_option_of_run(self, image: Image) -> None:
        models = pytest.importorskip("docker.models.containers", reason="Docker's SDK is not installed")
        names = {*models.RUN_CREATE_KWARGS, *models.RUN_HOST_CONFIG_KWARGS, "ports", "volumes", "network"}
        own = {"image", "command", "detach", "stream"}  # arguments of run itself
        for name in sorted(names - own - spec.TAKEN):
            with pytest.raises(Unsupported, match=f"asked for by {name}="):
                made(image, "true", **{name: "x"})

    @pytest.mark.parametrize("ours", [Container, Containers, Image, Images], ids=lambda kind: kind.__name__)
    def test_every_method_and_its_arguments(self, ours: type) -> None:
        docker = pytest.importorskip("docker", reason="Docker's SDK is not installed")
        from minidocker.engine import ImageCollection

        theirs = {
            "Container": docker.models.containers.Container,
            "Containers": docker.models.containers.ContainerCollection,
            "Image": docker.models.images.Image,
            "Images": docker.models.images.ImageCollection,
        }[ours.__name__]
        ours = ImageCollection if ours is Images else ours  # the engine's own, which also builds and pulls
        inherited = {"model", "prepare_model", "create", "id", "id_attribute", "short_id"}
        for name in {name for name in dir(theirs) if not name.startswith("_")} - inherited:
            method = getattr(ours, name)
            if callable(method):
                missing = arguments(documented(docker, theirs, name)) - arguments(method) - {"**"}
                assert "**" in arguments(method) or not missing, f"{ours.__name__}.{name} does not know {missing}"


def documented(docker: Any, theirs: type, name: str) -> Any:
    """A method of Docker's SDK; where it takes any keyword, the one of the API below it, whose names these are."""
    method = getattr(theirs, name)
    if "**" in arguments(method) and name != "run":
        removal = "remove_container" if theirs.__name__ == "Container" else "remove_image"
        method = getattr(docker.APIClient, {"remove": removal, "update": "update_container"}.get(name, name))
    return method


def arguments(method: Any) -> set[str]:
    every = inspect.signature(method).parameters.values()
    named = {each.name for each in every if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)}
    return (named | ({"**"} if any(each.kind == each.VAR_KEYWORD for each in every) else set())) - {
        "self",
        "container",
        "image",
    }
