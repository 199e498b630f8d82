"""What a container holds: diff, commit, export, cp, exec and logs, on both runtimes, as Docker's engine has them."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.container import Container
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, InvalidArgument, LayerError, NotFound, StartError
from tests.until import until

IMAGE = "minidocker/base"
FAILED = "OCI runtime exec failed: exec failed: unable to start container process: "
SCRIPT = (
    "echo x > /tmp/new; rm /etc/group; echo y >> /etc/passwd; mkdir -p /a/b; chmod 750 /root; ln -s x /a/l; "
    "echo out; echo err >&2; printf 'no end'"
)


@pytest.fixture(scope="module")
def wrote(engine: Engine) -> Container:
    """A container that has ended, and changed things."""
    container: Container = engine.containers.run(IMAGE, ["sh", "-c", SCRIPT], detach=True)
    assert container.wait()["StatusCode"] == 0
    return container


@pytest.fixture(scope="module")
def up(engine: Engine) -> Iterator[Container]:
    """A container that runs."""
    container: Container = engine.containers.run(
        IMAGE, ["sleep", "100"], detach=True, environment=["A=1"], working_dir="/tmp", hostname="web"
    )
    yield container
    container.remove(force=True)


def tar(*names: str, data: bytes = b"hello\n") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def unpacked(chunks: Iterator[bytes]) -> dict[str, bytes | None]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        return {each.name: archive.extractfile(each).read() if each.isreg() else None for each in archive}  # type: ignore[union-attr]


class TestDiff:
    """`docker diff`: 0 modified, 1 added, 2 deleted."""

    def test_of_changes(self, wrote: Container) -> None:
        assert {change["Path"]: change["Kind"] for change in wrote.diff()} == {
            "/a": 1,
            "/a/b": 1,
            "/a/l": 1,
            "/etc": 0,
            "/etc/group": 2,
            "/etc/passwd": 0,
            "/root": 0,
            "/tmp": 0,
            "/tmp/new": 1,
        }

    def test_a_program_knows_that_it_is_in_a_container(self, engine: Engine) -> None:
        made = engine.containers.run(IMAGE, ["ls", "-l", "/.dockerenv"], detach=True)
        made.wait()
        assert made.logs().startswith(b"-rwxr-xr-x") and made.diff() == []

    def test_of_none(self, engine: Engine) -> None:
        assert engine.containers.create(IMAGE).diff() == []


class TestCommit:
    """`docker commit`."""

    def test_one_more_layer(self, engine: Engine, wrote: Container) -> None:
        image = wrote.commit("saved", "1", message="because", author="me")
        assert image.tags == ["saved:1"]
        assert image.diff_ids[:-1] == wrote.image.diff_ids
        assert image.layers[-1].changes == wrote.changes()
        line = image.history()[0]
        assert (line["CreatedBy"], line["Comment"]) == (f"sh -c {SCRIPT}", "because")
        assert (image.attrs["Author"], image.attrs["Comment"]) == ("me", "because")
        assert image.attrs["Config"]["Cmd"] == ["sh", "-c", SCRIPT]
        assert engine.containers.run("saved:1", ["cat", "/tmp/new"], remove=True) == b"x\n"

    def test_nothing_written_is_no_layer(self, engine: Engine) -> None:
        container = engine.containers.create(IMAGE)
        image = container.commit()
        assert (image.diff_ids, image.tags) == (container.image.diff_ids, [])
        assert image.raw["history"][-1]["empty_layer"] is True

    def test_with_a_fixed_time_it_repeats(self, wrote: Container, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1735689600")
        image = wrote.commit()
        assert image.id == wrote.commit().id
        assert image.raw["created"].startswith("2025-01-01T00:00:00")

    def test_with_other_settings(self, wrote: Container) -> None:
        config = wrote.commit(changes=["ENV A=1", "LABEL l=v", 'CMD ["a", "b"]']).config
        assert (config["Env"][-1], config["Labels"]["l"], config["Cmd"]) == ("A=1", "v", ["a", "b"])
        assert wrote.commit(changes="ENV A=1\nENV B=2").config["Env"][-2:] == ["A=1", "B=2"]
        assert wrote.commit(conf={"Cmd": ["z"]}).config["Cmd"] == ["z"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"changes": "RUN x"}, "run is not a valid change command"),
            ({"repository": "Bad"}, "must be lowercase"),
            ({"repository": "a", "tag": "b c"}, "invalid reference format"),
        ],
    )
    def test_nonsense(self, engine: Engine, wrote: Container, options: dict[str, Any], message: str) -> None:
        before = engine.images.list(all=True)
        with pytest.raises(InvalidArgument, match=message):
            wrote.commit(**options)
        assert engine.images.list(all=True) == before

    def test_of_one_that_runs_goes_on_afterwards(self, up: Container) -> None:
        up.commit()
        assert up.status == "running"


class TestCopyOut:
    """`get_archive`."""

    @pytest.mark.parametrize(
        ("path", "stat", "names"),
        [
            ("/tmp/new", {"name": "new", "size": 2, "mode": 0o644, "linkTarget": ""}, {"new"}),
            ("tmp/new", {"name": "new"}, {"new"}),
            ("/a", {"name": "a", "mode": 1 << 31 | 0o755}, {"a", "a/b", "a/l"}),
            ("/a/", {"name": "a"}, {"a", "a/b", "a/l"}),
            ("/a/.", {"name": "."}, {".", "./b", "./l"}),
            ("/a/l", {"name": "l", "mode": 1 << 27 | 0o777, "linkTarget": "/a/x", "size": 1}, {"l"}),
            ("/tmp", {"mode": 1 << 31 | 1 << 20 | 0o777}, {"tmp", "tmp/new"}),
        ],
    )
    def test_stat_and_names(self, wrote: Container, path: str, stat: dict[str, Any], names: set[str]) -> None:
        chunks, found = wrote.get_archive(path)
        assert {key: found[key] for key in stat} == stat
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", found["mtime"])
        assert unpacked(chunks).keys() == names

    def test_of_one_that_runs(self, up: Container) -> None:
        up.exec_run(["sh", "-c", "echo now > /tmp/now"])
        assert unpacked(up.get_archive("/tmp/now")[0]) == {"now": b"now\n"}

    def test_what_is_not_there(self, wrote: Container) -> None:
        with pytest.raises(NotFound, match="Could not find the file /nope in container"):
            wrote.get_archive("/nope")
        with pytest.raises(InvalidArgument, match="not a directory"):
            wrote.get_archive("/tmp/new/")


class TestCopyIn:
    """`put_archive`."""

    @pytest.fixture
    def target(self, engine: Engine) -> Container:
        """A container that has not run."""
        made: Container = engine.containers.create(IMAGE, ["cat", "/tmp/hello", "/tmp/deep/er/hello"])
        return made

    def test_before_it_runs(self, target: Container) -> None:
        assert target.put_archive("/tmp", tar("hello", "deep/er/hello")) is True
        target.start()
        target.wait()
        assert target.logs() == b"hello\nhello\n"

    def test_while_it_runs(self, up: Container) -> None:
        up.put_archive("/tmp", io.BytesIO(tar("given")))
        assert up.exec_run(["cat", "/tmp/given"]).output == b"hello\n"

    def test_nothing(self, target: Container) -> None:
        assert target.put_archive("/tmp", b"") is True
        assert target.diff() == []

    def test_a_file_takes_a_folders_place(self, target: Container) -> None:
        target.put_archive("/", tar("srv/a/b"))
        target.put_archive("/srv", tar("a"))
        assert unpacked(target.get_archive("/srv/a")[0]) == {"a": b"hello\n"}

    def test_links_on_the_way_stay_inside(self, target: Container, tmp_path: Path) -> None:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            archive.addfile(link)
        target.put_archive("/", out.getvalue())
        target.put_archive("/", tar(f"{str(tmp_path)[1:]}/there"))
        target.put_archive("/", tar("out/evil"))
        assert list(tmp_path.iterdir()) == []
        assert unpacked(target.get_archive(f"{tmp_path}/evil")[0]) == {"evil": b"hello\n"}

    @pytest.mark.parametrize(
        ("path", "data", "kind", "message"),
        [
            ("/nope", tar("x"), NotFound, "Could not find the file /nope"),
            ("/etc/passwd", tar("x"), InvalidArgument, "is not a directory"),
            ("/tmp", b"garbage", LayerError, "not a valid tar"),
            ("/tmp", tar("../../etc/evil"), LayerError, "leads out of the layer"),
        ],
    )
    def test_what_cannot_be(
        self, target: Container, path: str, data: bytes, kind: type[APIError], message: str
    ) -> None:
        with pytest.raises(kind, match=message):
            target.put_archive(path, data)
        assert target.diff() == []

    def test_a_read_only_root(self, engine: Engine) -> None:
        with pytest.raises(APIError, match="container rootfs is marked read-only"):
            engine.containers.create(IMAGE, read_only=True).put_archive("/tmp", tar("x"))

    def test_a_volume_of_a_read_only_root(self, engine: Engine) -> None:
        made = engine.containers.create(IMAGE, read_only=True, volumes={"written": {"bind": "/v"}})
        made.put_archive("/v", tar("x"))
        assert unpacked(made.get_archive("/v/x")[0]) == {"x": b"hello\n"}

    def test_a_folder_of_the_host(self, engine: Engine, tmp_path: Path) -> None:
        made = engine.containers.create(IMAGE, volumes=[f"{tmp_path}:/w", f"{tmp_path}:/r:ro"])
        made.put_archive("/w", tar("x"))
        assert (tmp_path / "x").read_bytes() == b"hello\n"
        assert unpacked(made.get_archive("/r/x")[0]) == {"x": b"hello\n"}
        with pytest.raises(APIError, match="marked read-only"):
            made.put_archive("/r", tar("y"))

    def test_for_the_containers_user(self, engine: Engine) -> None:
        made = engine.containers.create(IMAGE, user="12:34")
        made.put_archive("/tmp", tar("mine"), owned=True)
        made.put_archive("/tmp", tar("given"))
        seen = made.tree()
        assert [(seen[path].uid, seen[path].gid) for path in ("/tmp/mine", "/tmp/given")] == [(12, 34), (0, 0)]


def test_export_is_the_whole_file_system(wrote: Container) -> None:
    files = unpacked(wrote.export())
    assert files["tmp/new"] == b"x\n"
    assert "etc/group" not in files
    assert files.keys() == {path[1:] for path in wrote.tree() if path != "/"}


class TestExec:
    """`exec_run`."""

    @pytest.mark.parametrize(
        ("command", "options", "code", "output"),
        [
            ("echo hi", {}, 0, b"hi\n"),
            (["sh", "-c", "echo o; echo e >&2; exit 5"], {}, 5, b"o\ne\n"),
            ("true", {}, 0, b""),
            (["sh", "-c", "echo o; echo e >&2"], {"stderr": False}, 0, b"o\n"),
            (["sh", "-c", "echo o; echo e >&2"], {"stdout": False}, 0, b"e\n"),
            (["sh", "-c", "echo o; echo e >&2"], {"demux": True}, 0, (b"o\n", b"e\n")),
            ("true", {"demux": True}, 0, (None, None)),
            ("pwd", {}, 0, b"/tmp\n"),
            ("pwd", {"workdir": "/etc"}, 0, b"/etc\n"),
            (["sh", "-c", "echo $A $B"], {"environment": {"B": 2}}, 0, b"1 2\n"),
            (["sh", "-c", "kill -9 $$"], {}, 137, b""),
        ],
    )
    def test_to_the_end(self, up: Container, command: Any, options: dict[str, Any], code: int, output: Any) -> None:
        assert up.exec_run(command, **options) == (code, output)

    @pytest.mark.parametrize("command", ["nope", "/bin/nope", "/etc/passwd"])
    def test_what_does_not_start(self, up: Container, command: str) -> None:
        result = up.exec_run(command)
        assert result.exit_code == 126
        assert result.output.startswith(f'{FAILED}exec: "{command}": '.encode())
        assert result.output.endswith(b"\r\n")
        assert up.exec_run("true", user="nobody-here").exit_code == 126
        with pytest.raises(StartError, match=f'exec: "{command}"'):
            up.exec_run(command, detach=True)

    @pytest.mark.parametrize("command", ["", []])
    def test_nothing_at_all(self, up: Container, command: Any) -> None:
        with pytest.raises(InvalidArgument, match="No exec command specified"):
            up.exec_run(command)

    def test_stream(self, up: Container) -> None:
        script = "echo a; echo e >&2; until [ -e /seen ]; do sleep 0.01; done; echo b"
        code, output = up.exec_run(["sh", "-c", script], stream=True)
        first = next(output)
        assert first.startswith(b"a\n")
        up.exec_run("touch /seen")  # so what came, came at once
        assert first + b"".join(output) == b"a\ne\nb\n"
        assert code is None

    def test_stream_apart(self, up: Container) -> None:
        pieces = list(up.exec_run(["sh", "-c", "echo a; sleep 0.1; echo e >&2"], stream=True, demux=True).output)
        assert b"".join(out for out, _ in pieces if out) == b"a\n"
        assert b"".join(err for _, err in pieces if err) == b"e\n"
        assert all((out is None) != (err is None) for out, err in pieces)

    def test_detached(self, up: Container) -> None:
        assert up.exec_run(["sh", "-c", "sleep 0.1; echo x > /tmp/detached"], detach=True) == (None, "")
        until(lambda: up.exec_run("cat /tmp/detached").output == b"x\n")

    def test_not_in_one_that_has_ended(self, wrote: Container) -> None:
        with pytest.raises(Conflict, match=f"Container {wrote.id} is not running"):
            wrote.exec_run("true")

    def test_top(self, up: Container) -> None:
        found = up.top()
        assert found["Titles"][:3] == ["UID", "PID", "PPID"]
        assert [row[-1] for row in found["Processes"]] == ["sleep 100"]


@pytest.fixture(scope="module")
def said(engine: Engine) -> Container:
    """Four records, on two streams, the last without an end."""
    script = "echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three; sleep 0.05; printf four"
    container: Container = engine.containers.run(IMAGE, ["sh", "-c", script], detach=True)
    container.wait()
    return container


class TestLogs:
    """`docker logs`."""

    @pytest.mark.parametrize(
        ("options", "output"),
        [
            ({}, b"one\ntwo\nthree\nfour"),
            ({"stderr": False}, b"one\nthree\nfour"),
            ({"stdout": False}, b"two\n"),
            ({"tail": 2}, b"three\nfour"),
            ({"tail": 0}, b""),
            ({"tail": "all"}, b"one\ntwo\nthree\nfour"),
            ({"tail": -1}, b"one\ntwo\nthree\nfour"),
            ({"tail": 1, "stdout": False}, b""),
            ({"tail": 3, "stdout": False}, b"two\n"),
            ({"since": 4_000_000_000}, b""),
            ({"until": 1}, b""),
            ({"since": 1.5, "until": 4_000_000_000}, b"one\ntwo\nthree\nfour"),
            ({"since": "1h"}, b"one\ntwo\nthree\nfour"),
        ],
    )
    def test_which(self, said: Container, options: dict[str, Any], output: bytes) -> None:
        assert said.logs(**options) == output
        assert b"".join(said.logs(stream=True, **options)) == output

    def test_since_a_record(self, said: Container) -> None:
        moments = [record["time"] for record in said.records()]
        assert said.logs(since=moments[2]) == b"three\nfour"
        assert said.logs(until=moments[1]) == b"one\ntwo\n"

    def test_timestamps(self, said: Container) -> None:
        first, *_ = said.logs(timestamps=True).splitlines()
        assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one", first)

    @pytest.mark.parametrize("options", [{"stdout": False, "stderr": False}, {"since": "xx"}, {"until": "x"}])
    def test_nonsense(self, said: Container, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument):
            said.logs(**options)

    def test_attach(self, said: Container) -> None:
        assert said.attach() == b""
        assert said.attach(logs=True) == b"one\ntwo\nthree\nfour"
        assert said.attach(logs=True, demux=True) == (b"one\nthree\nfour", b"two\n")
        streamed = list(said.attach(logs=True, stream=True, demux=True))
        assert streamed == [(b"one\n", None), (None, b"two\n"), (b"three\n", None), (b"four", None)]

    def test_attach_from_now_on(self, engine: Engine) -> None:
        command = ["sh", "-c", "echo a; while ! test -e /go; do sleep 0.05; done; echo b"]
        container = engine.containers.run(IMAGE, command, detach=True)
        next(container.logs(stream=True))
        rest: Iterator[bytes] = container.attach(stream=True)
        container.put_archive("/", tar("go"))
        assert b"".join(rest) == b"b\n"

    def test_long_lines_and_odd_bytes(self, engine: Engine) -> None:
        script = "i=0; while [ $i -lt 200 ]; do printf '%0100d' 7; i=$((i+1)); done; echo; printf '\\303\\244\\n'"
        out = engine.containers.run(IMAGE, ["sh", "-c", script], remove=True)
        assert out == b"0" * 99 + b"7" + (b"0" * 99 + b"7") * 199 + b"\n\xc3\xa4\n"
