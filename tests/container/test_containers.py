"""The containers of a store: names, listings, filters, inspection. Expectations are recorded from Docker's engine."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.container import Container
from minidocker.container.state import FRESH, describe
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, ImageNotFound, InvalidArgument, NotFound, NullResource, Unsupported
from minidocker.layer import Changeset
from minidocker.times import now
from minidocker.tree import file


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with an image `box`. Nothing runs here, so which runtime it has makes no difference."""
    with minidocker.connect(tmp_path / "root", runtime="simulated") as opened:
        layer = opened.images.add_layer(Changeset({"/etc/motd": file(b"hello")}))
        opened.images.create({"config": {"Cmd": ["sh"]}}, [layer]).tag("box")
        yield opened


def ended(container: Container, code: int, status: str = "exited") -> Container:
    state = FRESH | {"Status": status, "ExitCode": code, "StartedAt": now(), "FinishedAt": now()}
    (container.path / "state.json").write_text(json.dumps(state))
    return container


class TestNames:
    """A name, an id, or the start of an id."""

    def test_found_by_each(self, engine: Engine) -> None:
        made = engine.containers.create("box", "true", name="/web")
        assert (made.name, made.status, repr(made)) == ("web", "created", f"<Container: {made.id[:12]}>")
        for key in ("web", "/web", made.id, made.short_id, made.id[:3]):
            found = engine.containers.get(key)
            assert (found, hash(found), found.id) == (made, hash(made), made.id)

    @pytest.mark.parametrize("name", ["missing", "0" * 64, "../names", "names", "names/x", "we?", "\0"])
    def test_not_found(self, engine: Engine, name: str) -> None:
        with pytest.raises(NotFound, match=re.escape(f"No such container: {name}")):
            engine.containers.get(name)

    @pytest.mark.parametrize("name", ["", None])
    def test_no_name(self, engine: Engine, name: Any) -> None:
        with pytest.raises(NullResource, match="Resource ID was not provided"):
            engine.containers.get(name)

    def test_an_id_that_starts_several(self, engine: Engine) -> None:
        for _ in range(17):
            engine.containers.create("box", "true")
        firsts = [container.id[0] for container in engine.containers.list(all=True)]
        double = next(first for first in firsts if firsts.count(first) > 1)
        with pytest.raises(InvalidArgument, match=f"Multiple IDs found with provided prefix: {double}"):
            engine.containers.get(double)

    def test_one_is_given_where_none_was(self, engine: Engine) -> None:
        names = [engine.containers.create("box", "true").name for _ in range(30)]
        assert len(set(names)) == 30
        assert all(re.fullmatch("[a-z]+_[a-z]+[0-9]*", name) for name in names)

    def test_one_that_is_in_use(self, engine: Engine) -> None:
        made = engine.containers.create("box", "true", name="web")
        message = (
            f'Conflict. The container name "/web" is already in use by container "{made.id}". You have to remove (or '
            "rename) that container to be able to reuse that name."
        )
        with pytest.raises(Conflict, match=re.escape(message)):
            engine.containers.create("box", "true", name="web")
        made.remove()
        engine.containers.create("box", "true", name="web")

    def test_rename(self, engine: Engine) -> None:
        web, other = (engine.containers.create("box", "true", name=name) for name in ("web", "other"))
        web.rename("site")
        assert (web.name, engine.containers.get("site")) == ("site", web)
        with pytest.raises(NotFound):
            engine.containers.get("web")
        for name, kind, message in (
            ("site", InvalidArgument, "Renaming a container with the same name as its current name"),
            ("other", Conflict, f'The container name "/other" is already in use by container "{other.id}"'),
            ("a b", InvalidArgument, "Invalid container name"),
            ("", InvalidArgument, "Neither old nor new names may be empty"),
        ):
            with pytest.raises(kind, match=message):
                web.rename(name)

    def test_a_name_whose_note_was_lost_in_a_crash_is_found_in_the_container(self, engine: Engine) -> None:
        made = engine.containers.create("box", "true", name="web")
        note = engine.root / "containers" / "names" / "web"
        note.write_text("")
        assert engine.containers.get("web") == made
        note.write_text("0" * 64)
        with pytest.raises(NotFound):
            engine.containers.get("web")

    @pytest.mark.parametrize(
        ("image", "kind", "message"),
        [
            ("nosuch", ImageNotFound, "No such image: nosuch:latest"),
            ("Bad Name", InvalidArgument, "invalid reference format"),
        ],
    )
    def test_no_image(self, engine: Engine, image: str, kind: type[APIError], message: str) -> None:
        with pytest.raises(kind, match=message):
            engine.containers.create(image, "true")
        assert engine.containers.list(all=True) == []


class TestList:
    """`docker ps`."""

    @pytest.fixture
    def listed(self, engine: Engine) -> Engine:
        create = engine.containers.create
        create("box", "true", name="made", labels={"a": "1", "b": ""})
        create("box", "true", name="new", labels={"a": "2"}, volumes=["/srv:/d"])
        ended(create("box", "true", name="out3"), 3)
        ended(create("box", "true", name="out0"), 0)
        ended(create("box", "true", name="dead"), 0, "dead")
        return engine

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            ({}, []),
            ({"all": True}, ["dead", "out0", "out3", "new", "made"]),
            ({"limit": 2}, ["dead", "out0"]),
            ({"limit": 0}, []),
            ({"all": True, "since": "out3"}, ["dead", "out0"]),
            ({"all": True, "before": "out3"}, ["new", "made"]),
            ({"filters": {"status": "exited"}}, ["out0", "out3"]),
            ({"filters": {"status": ["exited", "created"]}}, ["out0", "out3", "new", "made"]),
            ({"filters": {"exited": 3}}, []),
            ({"all": True, "filters": {"exited": 3}}, ["out3"]),
            ({"all": True, "filters": {"exited": "0"}}, ["out0"]),
            ({"all": True, "filters": {"name": "out"}}, ["out0", "out3"]),
            ({"all": True, "filters": {"name": "^new$"}}, ["new"]),
            ({"all": True, "filters": {"name": "^/new$"}}, ["new"]),
            ({"all": True, "filters": {"label": "a"}}, ["new", "made"]),
            ({"all": True, "filters": {"label": "a=1"}}, ["made"]),
            ({"all": True, "filters": {"label": ["a", "b"]}}, ["made"]),
            ({"all": True, "filters": {"label": "b="}}, ["made"]),
            ({"all": True, "filters": {"label": {"a=2": True}}}, ["new"]),
            ({"all": True, "filters": {"ancestor": "box"}}, ["dead", "out0", "out3", "new", "made"]),
            ({"all": True, "filters": {"ancestor": "nope"}}, []),
            ({"all": True, "filters": {"since": "new"}}, ["dead", "out0", "out3"]),
            ({"all": True, "filters": {"status": "exited", "name": "out0"}}, ["out0"]),
            ({"all": True, "filters": {"volume": "/d"}}, ["new"]),
            ({"all": True, "filters": {"network": "bridge"}}, ["dead", "out0", "out3", "new", "made"]),
        ],
    )
    def test_which(self, listed: Engine, options: dict[str, Any], names: list[str]) -> None:
        assert [container.name for container in listed.containers.list(**options)] == names

    @pytest.mark.parametrize(
        ("filters", "kind", "message"),
        [
            ({"status": "x"}, InvalidArgument, "Invalid filter 'status=x'"),
            ({"exited": "x"}, InvalidArgument, "Invalid filter 'exited=x'"),
            ({"name": "("}, InvalidArgument, "Invalid filter 'name=\\('"),
            ({"zzz": "1"}, InvalidArgument, "Invalid filter 'zzz'"),
            ({"before": "nope"}, NotFound, "No such container: nope"),
            ({"publish": "x"}, InvalidArgument, "invalid filter 'publish=x'"),
            ({"isolation": "default"}, Unsupported, "isolation"),
        ],
    )
    def test_nonsense(self, listed: Engine, filters: dict[str, Any], kind: type[APIError], message: str) -> None:
        with pytest.raises(kind, match=message):
            listed.containers.list(all=True, filters=filters)

    def test_prune(self, listed: Engine) -> None:
        prune = listed.containers.prune
        with pytest.raises(InvalidArgument, match="Invalid filter 'name'"):
            prune(filters={"name": "made"})
        assert prune(filters={"until": "10m"}) == {"ContainersDeleted": None, "SpaceReclaimed": 0}
        assert len(prune(filters={"label": "a=1"})["ContainersDeleted"]) == 1
        assert len(prune(filters={"label!": "a"})["ContainersDeleted"]) == 3
        assert [container.name for container in listed.containers.list(all=True)] == ["new"]
        assert len(prune()["ContainersDeleted"]) == 1
        assert prune() == {"ContainersDeleted": None, "SpaceReclaimed": 0}


class TestInspection:
    """The keys of Docker's Engine API, with values of their types."""

    KEYS = (
        "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver "
        "Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config NetworkSettings"
    )
    STATE = "Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt"
    CONFIG = (
        "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image Volumes "
        "WorkingDir Entrypoint OnBuild Labels"
    )

    def test_of_a_container(self, engine: Engine) -> None:
        made = engine.containers.create("box", ["echo", "a b"], name="web", volumes=["/srv:/d:ro"], read_only=True)
        attrs = made.attrs
        assert attrs.keys() == set(self.KEYS.split())
        assert attrs["State"].keys() == set(self.STATE.split())
        assert attrs["Config"].keys() >= set(self.CONFIG.split())
        assert (attrs["Name"], attrs["Path"], attrs["Args"]) == ("/web", "echo", ["a b"])
        assert attrs["Image"] == made.image.id == engine.images.get("box").id
        assert attrs["Config"]["Image"] == "box"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", attrs["Created"])
        mount = {"Type": "bind", "Source": "/srv", "Destination": "/d", "Mode": "ro", "RW": False}
        assert attrs["Mounts"] == [mount | {"Propagation": "rprivate"}]
        assert attrs["HostConfig"]["Binds"] == ["/srv:/d:ro"]
        assert attrs["HostConfig"]["ReadonlyRootfs"] is True
        assert attrs["HostConfig"]["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
        assert attrs["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {}}
        assert list(attrs["NetworkSettings"]["Networks"]) == ["bridge"]
        assert json.loads(json.dumps(attrs)) == attrs

    def test_every_key_that_docker_has(self, engine: Engine) -> None:
        """Recorded from Docker 20.10; what is about Windows, or was taken out since, is left out."""
        host = engine.containers.create("box").attrs["HostConfig"]
        recorded = (
            "AutoRemove Binds BlkioDeviceReadBps BlkioWeight CapAdd CapDrop Cgroup CgroupParent CgroupnsMode "
            "ConsoleSize ContainerIDFile CpuCount CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod CpuShares "
            "CpusetCpus CpusetMems DeviceCgroupRules DeviceRequests Devices Dns DnsOptions DnsSearch ExtraHosts "
            "GroupAdd IOMaximumBandwidth IpcMode Isolation Links LogConfig Memory MemoryReservation MemorySwap "
            "MemorySwappiness NanoCpus NetworkMode OomKillDisable OomScoreAdj PidMode PidsLimit PortBindings "
            "Privileged PublishAllPorts ReadonlyRootfs RestartPolicy Runtime SecurityOpt ShmSize UTSMode Ulimits "
            "UsernsMode VolumeDriver VolumesFrom"
        )
        assert host.keys() >= set(recorded.split())

    def test_what_somebody_does_to_it_nobody_else_sees(self, engine: Engine) -> None:
        config = engine.containers.create("box", labels={"a": "b"}).path / "config.json"
        os.utime(config, (1, 1))  # old enough to be remembered
        (listed,) = engine.containers.list(all=True)
        listed.attrs["Config"]["Labels"]["c"] = listed.labels["d"] = "e"
        (again,) = engine.containers.list(all=True)
        assert again.attrs["Config"]["Labels"] == again.labels == {"a": "b"}

    def test_lists_that_were_given_empty_are_shown_so(self, engine: Engine) -> None:
        keys = "Dns DnsOptions DnsSearch Ulimits BlkioDeviceReadBps PortBindings".split()
        bare = engine.containers.create("box").attrs["HostConfig"]
        asked: dict[str, Any] = {
            "dns": [],
            "dns_opt": [],
            "dns_search": [],
            "ulimits": [],
            "device_read_bps": [],
            "ports": {},
        }
        given = engine.containers.create("box", **asked).attrs["HostConfig"]
        assert [bare[key] for key in keys] == [None] * 6 and [given[key] for key in keys] == [[]] * 5 + [{}]

    def test_annotations_are_shown_where_there_are_some(self, engine: Engine) -> None:
        made = engine.containers.create("box", annotations={"a": "b"})
        assert made.attrs["HostConfig"]["Annotations"] == {"a": "b"}
        assert "Annotations" not in engine.containers.create("box").attrs["HostConfig"]
        with pytest.raises(InvalidArgument, match="the empty string is not permitted as an annotation key"):
            engine.containers.create("box", annotations={"": "b"})

    def test_of_a_listing(self, engine: Engine) -> None:
        made = engine.containers.create("box", ["echo", "a b"], name="web")
        row = made.summary()
        assert row["Names"] == ["/web"]
        assert (row["Command"], row["State"], row["Status"], row["Ports"]) == ("echo 'a b'", "created", "Created", [])
        assert type(row["Created"]) is int
        assert {"SizeRw", "SizeRootFs"} == made.summary(size=True).keys() - row.keys()

    @pytest.mark.parametrize(
        ("state", "text"),
        [
            ({"Status": "running", "StartedAt": now()}, "Up Less than a second"),
            ({"Status": "paused", "StartedAt": now()}, "Up Less than a second (Paused)"),
            ({"Status": "exited", "ExitCode": 2, "FinishedAt": now()}, "Exited (2) Less than a second ago"),
            ({"Status": "restarting", "ExitCode": 1, "FinishedAt": now()}, "Restarting (1) Less than a second ago"),
            ({"Status": "dead"}, "Dead"),
        ],
    )
    def test_the_status_column(self, monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], text: str) -> None:
        monkeypatch.setattr("time.time", lambda: __import__("datetime").datetime.fromisoformat(MOMENT).timestamp())
        moments = {key: MOMENT for key in ("StartedAt", "FinishedAt") if key in state}
        assert describe(FRESH | state | moments) == text


MOMENT = "2026-11-23T06:40:00+00:00"


def test_what_is_not_there_yet_says_so(engine: Engine) -> None:
    made = engine.containers.create("box")
    for call in (
        lambda: made.resize(10, 10),
        made.attach_socket,
        lambda: made.exec_run("true", tty=True),
    ):
        with pytest.raises(Unsupported):
            call()
    with pytest.raises(Conflict, match="cannot remove the default link name"):
        made.remove(link=True)
    assert (made.health, made.ports) == ("unknown", {})


def test_moments_to_come_tasks_and_labels_that_are_not_there(engine: Engine) -> None:
    made = engine.containers.create("minidocker/base", "true", name="app", labels={"keep": "1"})
    made.start()
    made.wait()
    assert made.logs(since="-1h") == b""
    with pytest.raises(InvalidArgument, match='failed to parse value as time or duration: "x"'):
        made.logs(since="x")
    assert engine.containers.list(all=True, filters={"is-task": "false"}) == [made]
    assert engine.containers.list(all=True, filters={"is-task": "true"}) == []
    assert engine.images.prune(filters={"label!": ["nosuch"], "dangling": True})["ImagesDeleted"] is None
