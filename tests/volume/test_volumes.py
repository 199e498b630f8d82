"""Volumes on both runtimes: what `docker volume`, `-v`, `--mount` and `--volumes-from` do, in Docker's words."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.container import Container
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, InvalidArgument, NotFound, Unsupported
from minidocker.volume import Volume, Volumes
from tests.until import until

BASE = "minidocker/base"
Run = Callable[..., str]


@pytest.fixture
def run(engine: Engine) -> Run:
    """Run a script in a container that goes again; what it said."""

    def run(script: str, *volumes: str, image: str = BASE, **options: Any) -> str:
        said: bytes = engine.containers.run(
            image, ["sh", "-c", script], volumes=list(volumes), remove=True, stderr=True, **options
        )
        return said.decode()

    return run


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with something of everything in /vd, where it wants a volume."""
    script = (
        "mkdir -p /vd/sub && echo hi > /vd/f && ln /vd/f /vd/same && ln -s f /vd/l && chmod 640 /vd/sub && "
        "chown 7:8 /vd/f && chown -h 9:9 /vd/l && chmod 1750 /vd && chown 5:6 /vd"
    )
    folder = tmp_path_factory.mktemp("context")
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nRUN {script}\nVOLUME /vd\n")
    engine.images.build(path=str(folder), tag="volimg")
    return "volimg"


@pytest.fixture(autouse=True)
def nothing_left(engine: Engine) -> Iterator[None]:
    """Each test begins without volumes."""
    yield
    for container in engine.containers.list(all=True):
        container.remove(force=True)
    for volume in engine.volumes.list():
        volume.remove()
    assert [path.name for path in (engine.root / "volumes").glob("*")] in ([], [".lock"])


def names(engine: Engine, **filters: Any) -> list[str]:
    return [volume.name for volume in engine.volumes.list(filters)]


class TestVolumes:
    """`docker volume`."""

    def test_one_is_made_once(self, engine: Engine) -> None:
        first = engine.volumes.create("v1", labels={"b": "2", "a": "1"})
        assert engine.volumes.create("v1", driver="local", driver_opts={"type": "tmpfs", "device": "x"}) == first
        attrs = first.attrs
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", attrs.pop("CreatedAt"))
        here = str(engine.root / "volumes" / "v1" / "_data")
        more = {"Driver": "local", "Mountpoint": here, "Name": "v1", "Options": None, "Scope": "local"}
        assert attrs == more | {"Labels": {"a": "1", "b": "2"}}
        assert (first.id, first.short_id, engine.volumes.get("v1").record) == ("v1", "v1", first.record)

    def test_one_without_a_name_is_anonymous(self, engine: Engine) -> None:
        made = engine.volumes.create()
        assert re.fullmatch("[0-9a-f]{64}", made.name)
        assert made.attrs["Labels"] == {"com.docker.volume.anonymous": ""}

    @pytest.mark.parametrize(
        ("name", "options", "words"),
        [
            ("x/y", {}, r'create x/y: "x/y" includes invalid characters for a local volume name, only "\[a-zA-Z0-9\]'),
            ("..", {}, "includes invalid characters"),
            ("a", {}, "create a: volume name is too short, names should be at least two alphanumeric characters"),
            ("a" * 256, {}, "file name too long"),
            ("v4", {"foo": "bar"}, 'create v4: invalid option: "foo"'),
            ("v4", {"type": "none"}, 'missing required option: "device"'),
            ("v4", {"o": "bind"}, 'missing required option: "device"'),
            ("v4", {"size": "1g"}, "quota size requested but no quota support"),
        ],
    )
    def test_nonsense(self, engine: Engine, name: str, options: dict[str, str], words: str) -> None:
        with pytest.raises(InvalidArgument, match=words):
            engine.volumes.create(name, driver_opts=options)

    def test_what_the_machine_has_to_mount_is_refused_by_name(self, engine: Engine) -> None:
        with pytest.raises(Unsupported, match="'nfs'"):
            engine.volumes.create("v4", driver_opts={"type": "nfs", "device": ":/srv", "o": "addr=10.0.0.1"})

    def test_no_such_driver(self, engine: Engine) -> None:
        with pytest.raises(NotFound, match='create v3: error looking up volume plugin foo: plugin "foo" not found'):
            engine.volumes.create("v3", driver="foo")

    def test_one_that_is_not_there(self, engine: Engine) -> None:
        for name in ("nosuch", "../containers", ""):
            with pytest.raises(NotFound, match=f"get {name}: no such volume"):
                engine.volumes.get(name)
        with pytest.raises(NotFound, match="get nosuch: no such volume"):
            engine.volumes.remove("nosuch")
        engine.volumes.remove("nosuch", force=True)

    def test_one_in_use_stays(self, engine: Engine) -> None:
        container = engine.containers.create(BASE, "true", volumes=["used:/d"])
        with pytest.raises(Conflict, match=rf"remove used: volume is in use - \[{container.id}\]"):
            engine.volumes.get("used").remove(force=True)
        assert names(engine, dangling=True) == []
        container.remove(v=True)
        assert names(engine, dangling=True) == ["used"], "one with a name stays"

    def test_filters(self, engine: Engine) -> None:
        engine.volumes.create("v1", labels={"a": "b"})
        engine.volumes.create("w22")
        assert names(engine, name="v") == ["v1"]
        assert names(engine, name="^w2+$") == ["w22"]
        assert names(engine, label="a") == names(engine, label=["a=b"]) == ["v1"]
        assert names(engine, label="a=c") == names(engine, driver="other") == names(engine, dangling="false") == []
        for filters in ({"foo": "bar"}, {"dangling": "maybe"}):
            with pytest.raises(InvalidArgument, match="Invalid filter"):
                engine.volumes.list(filters)

    def test_prune(self, engine: Engine, run: Run) -> None:
        run("echo 12345 > /d/f", "named:/d")
        used = engine.containers.create(BASE, "true", volumes=["/anon"])
        engine.volumes.create()
        gone = engine.volumes.prune({"label!": ["keep"]})
        assert (len(gone["VolumesDeleted"]), gone["SpaceReclaimed"]) == (1, 0)
        assert engine.volumes.prune({"all": True, "label": "x"}) == {"VolumesDeleted": [], "SpaceReclaimed": 0}
        assert engine.volumes.prune({"all": ["1"]}) == {"VolumesDeleted": ["named"], "SpaceReclaimed": 6}
        assert [volume.users for volume in engine.volumes.list()] == [[used.id]]
        with pytest.raises(InvalidArgument, match="Invalid filter 'until'"):
            engine.volumes.prune({"until": "1h"})

    def test_df(self, engine: Engine, run: Run) -> None:
        run("echo 12345 > /d/f", "v1:/d")
        engine.containers.create(BASE, "true", volumes=["v1:/d"])
        (found,) = engine.df()["Volumes"]
        assert (found["Name"], found["UsageData"]) == ("v1", {"RefCount": 1, "Size": 6})

    def test_events(self, engine: Engine, run: Run) -> None:
        begin = next(iter([record["timeNano"] for record in told(engine)][-1:]), 0)
        run("true", "told:/d:ro")
        engine.volumes.get("told").remove()
        events = [event for event in told(engine) if event["timeNano"] > begin and event["Type"] == "volume"]
        assert [event["Action"] for event in events] == ["create", "mount", "unmount", "destroy"]
        assert {event["Actor"]["ID"] for event in events} == {"told"}
        about = events[1]["Actor"]["Attributes"]
        assert (about["destination"], about["read/write"], about["propagation"]) == ("/d", "false", "")
        assert about["container"] == events[2]["Actor"]["Attributes"]["container"]

    def test_every_name_of_dockers_sdk(self) -> None:
        docker = pytest.importorskip("docker", reason="Docker's SDK is not installed")
        theirs = {Volume: docker.models.volumes.Volume, Volumes: docker.models.volumes.VolumeCollection}
        for ours, model in theirs.items():
            wanted = {name for name in dir(model) if not name.startswith("_")} - {
                "model",
                "prepare_model",
                "id_attribute",
            }
            assert wanted - {*dir(ours)} == set()


def told(engine: Engine) -> list[dict[str, Any]]:
    """All that is in the journal."""
    path = engine.root / "events" / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class TestContent:
    """What a volume begins with."""

    def look(self, run: Run, *volumes: str) -> str:
        script = "cd /vd; stat -c '%A %u:%g %n' . f same sub; readlink l; cat same"
        return run(script, *volumes, image="volimg", user="0")

    def test_it_begins_with_what_the_image_has_there(self, engine: Engine, image: str, run: Run) -> None:
        want = "drwxr-x--T 5:6 .\n-rw-r--r-- 7:8 f\n-rw-r--r-- 7:8 same\ndrw-r----- 0:0 sub\nf\nhi\n"
        if os.geteuid() and engine.runtime.name == "namespaces":
            pytest.skip("without root, owners are those of /etc/subuid")
        assert self.look(run) == want, "the VOLUME of an image, an anonymous one"
        assert names(engine) == [], "which went with its container"
        assert self.look(run, "named:/vd") == want
        data = engine.root / "volumes" / "named" / "_data"
        assert (data / "f").stat().st_nlink == 2
        assert (data / "l").readlink() == Path("f")

    def test_once(self, engine: Engine, image: str, run: Run) -> None:
        run("rm -r /vd/*; echo mine > /vd/own", "v1:/vd", image=image)
        assert run("ls /vd", "v1:/vd", image=image) == "own\n"
        run("rm /vd/own", "v1:/vd", image=image)
        assert run("ls /vd", "v1:/vd", image=image) == "f\nl\nsame\nsub\n", "it holds nothing, so as in Docker"

    def test_not_where_nobody_wants_that(self, engine: Engine, image: str, run: Run, tmp_path: Path) -> None:
        assert run("ls /vd", "v1:/vd:nocopy", image=image) == ""
        mount = {"Type": "volume", "Source": "v2", "Target": "/vd", "VolumeOptions": {"NoCopy": True}}
        assert run("ls /vd", image=image, mounts=[mount]) == ""
        assert run("ls /vd", f"{tmp_path}:/vd", image=image) == "", "a folder of the host"

    def test_at_once(self, engine: Engine, image: str) -> None:
        made: list[Container] = []

        def make() -> None:
            with minidocker.connect(engine.root, runtime=engine.runtime.name) as own:
                made.append(own.containers.create(image, ["sh", "-c", "ls /vd | wc -l"], volumes=["many:/vd"]))

        threads = [threading.Thread(target=make) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 6
        assert len(engine.volumes.get("many").users) == 6
        assert sorted(path.name for path in Path(engine.volumes.get("many").mountpoint).iterdir()) == [
            *"fl",
            "same",
            "sub",
        ]
        assert not (engine.root / "volumes" / "many" / "filling").exists()

    def test_what_was_cut_short_is_done_again(self, engine: Engine, image: str, run: Run) -> None:
        half = Path(engine.volumes.create("half").mountpoint)
        (half / "f").write_text("h")
        half.with_name("filling").touch()
        assert run("cat /vd/f /vd/l; ls /vd", "half:/vd", image=image) == "hi\nhi\nf\nl\nsame\nsub\n"

    def test_links_on_the_way_stay_inside(self, engine: Engine, tmp_path: Path, run: Run) -> None:
        (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN ln -s ../../../../.. /up && ln -s /up/etc /way\n")
        engine.images.build(path=str(tmp_path), tag="linked")
        assert "nsswitch.conf" in run("ls /v", "v1:/way", "v1:/v", image="linked").split()
        mine = (Path(engine.volumes.get("v1").mountpoint) / "passwd").read_text()
        assert mine == run("cat /etc/passwd")


class TestMounting:
    """`-v`, `--mount`, `--volumes-from`."""

    def test_what_inspect_shows(self, engine: Engine, tmp_path: Path) -> None:
        mounts = [
            {
                "Type": "volume",
                "Source": "v6",
                "Target": "/m",
                "ReadOnly": True,
                "VolumeOptions": {"Labels": {"x": "y"}},
            },
            {"Type": "volume", "Target": "/an"},
        ]
        texts = ["v1:/data", "/anon", f"{tmp_path}:/host:ro", "v2:/w:ro,z", "v3:/n:nocopy"]
        made = engine.containers.create(BASE, "true", volumes=texts, mounts=mounts, tmpfs=["/t"])
        shown = {point["Destination"]: point for point in made.attrs["Mounts"]}
        here = str(engine.root / "volumes" / "v1" / "_data")
        own = {"Type": "volume", "Name": "v1", "Source": here, "Destination": "/data", "Driver": "local"}
        assert shown["/data"] == own | {"Mode": "z", "RW": True, "Propagation": ""}
        bound = {"Type": "bind", "Source": str(tmp_path), "Destination": "/host", "Mode": "ro", "RW": False}
        assert shown["/host"] == bound | {"Propagation": "rprivate"}
        kinds = {
            place: (point["Mode"], point["RW"]) for place, point in shown.items() if place not in ("/data", "/host")
        }
        assert kinds == {
            "/w": ("ro,z", False), "/n": ("nocopy", True), "/m": ("z", False), "/an": ("z", True), "/anon": ("", True),
        }  # fmt: skip
        host = made.attrs["HostConfig"]
        assert (host["Binds"], host["Mounts"]) == ([text for text in texts if text != "/anon"], mounts)
        assert made.attrs["Config"]["Volumes"] == {"/anon": {}}
        assert engine.volumes.get("v6").labels == {"x": "y"}
        assert engine.volumes.get(shown["/an"]["Name"]).anonymous
        made.remove(v=True)
        assert names(engine) == ["v1", "v2", "v3", "v6"]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"volumes": ["v1:/a:foo"]}, "^invalid mode: foo$"),
            ({"volumes": ["v1:/a:ro,rw"]}, "^invalid mode: ro,rw$"),
            ({"volumes": ["v1:ro"]}, "^invalid volume specification: 'v1:ro'$"),
            ({"volumes": ["v1:a"]}, """^invalid volume specification: 'v1:a': invalid mount config for type "volume":"""
             " invalid mount path: 'a' mount path must be absolute$"),
            ({"volumes": ["v1:/"]}, "invalid specification: destination can't be '/'"),
            ({"volumes": ["v1:/a:rslave"]}, 'for type "volume": field BindOptions must not be specified'),
            ({"volumes": ["/tmp:/a:nocopy"]}, 'for type "bind": field VolumeOptions must not be specified'),
            ({"volumes": ["x!y:/a"]}, 'create x!y: "x!y" includes invalid characters'),
            ({"volumes": ["v1:/a", "/a"], "mounts": [{"Type": "volume", "Target": "/a/"}]}, "Duplicate mount point"),
            ({"volumes": ["v1:/a"], "tmpfs": ["/a"]}, "Duplicate mount point: /a"),
            ({"mounts": [{"Type": "volume", "Source": "/abs", "Target": "/a"}]}, 'create /abs: "/abs" includes'),
            ({"mounts": [{"Type": "volume", "Target": "rel"}]}, "path: 'rel' mount path must be absolute"),
            ({"mounts": [{"Type": "volume", "Target": "/a", "ReadOnly": True}]}, "must not set ReadOnly mode"),
            ({"mounts": [{"Type": "volume", "Source": "vv", "Target": "/a", "BindOptions": {"Propagation": "shared"}}]},
             "field BindOptions must not be specified"),
            ({"mounts": [{"Type": "volume", "Source": "vv", "Target": "/a", "VolumeOptions": {"Subpath": "../x"}}]},
             "subpath must be a relative path within the volume"),
            ({"volumes_from": ["src:zz"]}, "^invalid mode: zz$"),
            ({"volumes_from": ["src:nocopy"]}, "^invalid mode: nocopy$"),
            ({"volumes_from": [":ro"]}, "volumes-from specification cannot be an empty string"),
        ],
    )  # fmt: skip
    def test_nonsense(self, engine: Engine, options: dict[str, Any], words: str) -> None:
        with pytest.raises(InvalidArgument, match=words):
            engine.containers.create(BASE, "true", **options)
        assert engine.containers.list(all=True) == []

    def test_a_container_that_is_not_made_leaves_no_anonymous_volume(self, engine: Engine) -> None:
        taken = engine.containers.create(BASE, "true", name="taken")
        with pytest.raises(Conflict, match="already in use"):
            engine.containers.create(BASE, "true", name="taken", volumes=["/anon", "named:/n"])
        assert names(engine) == ["named"], "what has a name stays, as in Docker"
        taken.remove()

    def test_read_only(self, run: Run) -> None:
        assert "ead-only" in run("touch /d/x; echo x > /e/x && echo written", "v1:/d:ro", "v1:/e")
        assert run("touch /e/y 2>/dev/null || cat /d/x", "v1:/d", "v1:/e:ro") == "x\n"

    def test_volumes_of_another_container(self, engine: Engine, run: Run, image: str) -> None:
        source = engine.containers.create(image, "true", name="src", volumes=["v1:/data", "/anon"])
        assert run("echo a > /data/f; echo b > /anon/f; ls /vd", volumes_from=["src"]) == "f\nl\nsame\nsub\n"
        assert run("cat /data/f /anon/f; (echo c > /data/f) 2>/dev/null || true", volumes_from=["src:ro"]) == "a\nb\n"
        assert run("ls /data; cat /anon/f", "v2:/data", volumes_from=["src"]) == "b\n", "-v says more"
        with pytest.raises(InvalidArgument, match="No such container: nosuch"):
            run("true", volumes_from=["nosuch"])
        source.remove(v=True)
        assert names(engine) == ["v1", "v2"]

    def test_backup_and_restore(self, engine: Engine, run: Run, tmp_path: Path) -> None:
        run("echo kept > /data/f; chmod 600 /data/f", "v1:/data")
        engine.containers.create(BASE, "true", name="src", volumes=["v1:/data"])
        run("cd /data && tar -cf /out/backup.tar .", f"{tmp_path}:/out", volumes_from=["src"])
        run("cd /data && tar -xf /in/backup.tar", "v2:/data", f"{tmp_path}:/in:ro")
        assert run("stat -c %a /data/f; cat /data/f", "v2:/data") == "600\nkept\n"

    def test_two_containers_see_what_the_other_writes_at_once(self, engine: Engine, run: Run) -> None:
        waits = engine.containers.run(
            BASE, ["sh", "-c", "while ! [ -e /d/go ]; do sleep 0.05; done; cat /d/go"], volumes=["v1:/d"], detach=True
        )
        run("echo went > /d/.go; mv /d/.go /d/go", "v1:/d")
        waits.wait(timeout=120)
        assert waits.logs() == b"went\n"

    def test_a_part_of_a_volume(self, run: Run) -> None:
        def part(path: str) -> list[dict[str, Any]]:
            return [{"Type": "volume", "Source": "v1", "Target": "/p", "VolumeOptions": {"Subpath": path}}]

        run("mkdir -p /d/a/b; echo in > /d/a/b/f; ln -s /etc /d/out; ln -s ../.. /d/a/up", "v1:/d")
        assert run("cat /p/f", mounts=part("a/b")) == "in\n"
        for path in ("out", "a/up/../etc", "nosuch"):
            with pytest.raises(APIError):
                run("ls /p", mounts=part(path))

    def test_a_folder_and_memory_behind_a_name(self, engine: Engine, run: Run, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("here")
        engine.volumes.create("bound", driver_opts={"type": "none", "o": "bind", "device": str(tmp_path)})
        engine.volumes.create("memory", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=64k"})
        assert run("cat /d/f; ls /m; echo x > /m/f; cat /m/f", "bound:/d", "memory:/m") == "herex\n"
        assert "full" in run("ls /m; head -c 90000 /dev/zero > /m/f || echo full", "memory:/m")
        first = engine.containers.run(BASE, ["sleep", "60"], volumes=["memory:/m"], detach=True)
        if engine.runtime.name == "simulated":
            with pytest.raises(Unsupported, match="one running container at a time"):
                run("true", "memory:/m")
        first.remove(force=True)

    @pytest.mark.parametrize("init", [False, True])
    def test_all_that_run_have_the_same_memory(self, engine: Engine, run: Run, init: bool) -> None:
        if engine.runtime.name == "simulated":
            pytest.skip("the simulated runtime has the memory of a container in its own process")
        options = {"type": "tmpfs", "device": "tmpfs", "o": "size=64k"}
        engine.volumes.create("memory", driver_opts=options)
        first = engine.containers.run(BASE, ["sleep", "60"], volumes=["memory:/m:ro"], detach=True, init=init)
        assert run("echo second > /other/f; cat /other/f", "memory:/other") == "second\n"
        assert first.exec_run("cat /m/f").output == b"second\n"
        assert first.exec_run("touch /m/g").exit_code != 0
        third = engine.containers.run(BASE, ["sleep", "60"], volumes=["memory:/m"], detach=True)
        first.remove(force=True)
        assert run("cat /a/b/f", "memory:/a/b") == "second\n"
        third.remove(force=True)
        assert run("ls /m", "memory:/m") == ""
        with ThreadPoolExecutor(4) as pool:  # nobody has it yet: one of them makes it, and only one
            begin = partial(engine.containers.run, BASE, ["sleep", "60"], volumes=["memory:/m"], detach=True)
            several = [each.result() for each in [pool.submit(begin) for _ in range(4)]]
        for number, each in enumerate(several):
            each.exec_run(["touch", f"/m/{number}"])
        assert {each.exec_run("ls /m").output for each in several} == {b"0\n1\n2\n3\n"}

    def test_those_that_remove_themselves_take_only_what_has_no_name(self, engine: Engine) -> None:
        engine.containers.run(BASE, "true", volumes=["/anon", "named:/n"], detach=True, auto_remove=True)
        until(lambda: not engine.containers.list(all=True) and names(engine) == ["named"])

    def test_listing_containers(self, engine: Engine) -> None:
        made = engine.containers.create(BASE, "true", volumes=["v1:/data"])
        engine.containers.create(BASE, "true")
        for value in ("v1", "/data", engine.volumes.get("v1").mountpoint):
            assert engine.containers.list(all=True, filters={"volume": value}) == [made]


class TestFiles:
    """A volume is no part of a container's layer; `docker cp` reaches into it."""

    def test_diff_commit_and_export_leave_it_out(self, engine: Engine) -> None:
        made = engine.containers.run(BASE, ["sh", "-c", "echo x > /d/f; echo y > /own"], volumes=["v1:/d"], detach=True)
        made.wait()
        assert {change["Path"] for change in made.diff()} - {"/d"} == {"/own"}
        with tarfile.open(fileobj=io.BytesIO(b"".join(made.export()))) as archive:
            assert not [name for name in archive.getnames() if name.startswith("d/")]

    @pytest.mark.parametrize("command", ["true", "sleep 60"])
    def test_cp(self, engine: Engine, run: Run, command: str) -> None:
        run("mkdir /d/sub; echo in > /d/sub/f; chown 3:4 /d/sub/f", "v1:/d")
        made = engine.containers.run(BASE, command.split(), volumes=["v1:/d", "v2:/r:ro"], detach=True)
        made.wait() if command == "true" else None
        chunks, stat = made.get_archive("/d/sub")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            assert archive.getnames() == ["sub", "sub/f"]
            assert archive.extractfile("sub/f").read() == b"in\n"  # type: ignore[union-attr]
        assert stat["name"] == "sub"
        made.put_archive("/d/sub", tarred("new", b"put"))
        assert run("cat /d/sub/new", "v1:/d") == "put"
        with pytest.raises(APIError, match="mounted volume is marked read-only"):
            made.put_archive("/r", tarred("new", b"put"))

    @pytest.mark.parametrize("command", ["true", "sleep 60"])
    def test_cp_of_the_hosts(self, engine: Engine, tmp_path: Path, command: str) -> None:
        folder, one = tmp_path / "folder", tmp_path / "one"
        folder.mkdir()
        for path in (folder / "f", one):
            path.write_text(f"{path.name}\n")
        binds = [f"{folder}:/b", f"{folder}:/ro/deep:ro", f"{one}:/etc/one:ro"]
        made = engine.containers.run(BASE, command.split(), volumes=binds, read_only=True, detach=True)
        made.wait() if command == "true" else None
        for place, name in [("/b", "f"), ("/ro/deep", "f"), ("/etc", "one")]:
            with tarfile.open(fileobj=io.BytesIO(b"".join(made.get_archive(f"{place}/{name}")[0]))) as archive:
                assert archive.extractfile(name).read() == f"{name}\n".encode()  # type: ignore[union-attr]
        made.put_archive("/b", tarred("new", b"put"))
        assert (folder / "new").read_text() == "put"
        for place, what in [("/ro/deep", "mounted volume"), ("/etc", "rootfs")]:
            with pytest.raises(APIError, match=f"{what} is marked read-only"):
                made.put_archive(place, tarred("new", b"put"))
        assert sorted(path.name for path in folder.iterdir()) == ["f", "new"] and one.read_text() == "one\n"


def tarred(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()
