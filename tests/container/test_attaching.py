"""Attaching to a container and to its executions, from any engine process; what rotates; what a slow reader does."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.container import Container
from minidocker.container.attaching import Frames
from minidocker.container.logs import Files, read
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, DockerException, InvalidArgument, NotFound, StartError, Unsupported
from tests.until import until

IMAGE = "minidocker/base"
ROOT = sys.platform.startswith("linux") and os.geteuid() == 0


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with real containers."""
    try:
        opened = minidocker.connect(tmp_path_factory.mktemp("real"), runtime="namespaces")
        opened.containers.run(IMAGE, "true", remove=True)
    except DockerException as error:
        pytest.skip(f"no real containers here: {error}")
    yield opened
    for container in opened.containers.list(all=True):
        container.remove(force=True)
    opened.close()


@pytest.fixture(scope="module")
def up(real: Engine) -> Iterator[Container]:
    """A container that runs."""
    container = real.containers.run(IMAGE, "sleep 1000", detach=True)
    yield container
    container.remove(force=True)


def everything(connection: socket.socket, tty: bool = False) -> list[tuple[int, bytes]]:
    """All that comes, stream by stream."""
    found: list[tuple[int, bytes]] = []
    frames = Frames(tty)
    while data := connection.recv(1 << 16):
        found += frames.feed(data)
    return found


def said(pieces: list[tuple[int, bytes]], stream: int) -> bytes:
    return b"".join(piece for number, piece in pieces if number == stream)


class TestAttach:
    """A connection with a program's streams."""

    def test_before_the_start_nothing_is_missed(self, real: Engine) -> None:
        container = real.containers.create(IMAGE, ["sh", "-c", "echo out; echo err >&2"])
        with container.connect() as connection:
            container.start()
            found = everything(connection)
        assert (said(found, 1), said(found, 2)) == (b"out\n", b"err\n")

    def test_before_a_start_by_another_process(self, real: Engine) -> None:
        container = real.containers.create(IMAGE, ["sh", "-c", "read x; echo got $x"], stdin_open=True)
        with container.connect(stdin=True) as connection:
            code = f"import minidocker; minidocker.connect({str(real.root)!r}).containers.get({container.id!r}).start()"
            subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
            connection.sendall(b"this\n")
            assert said(everything(connection), 1) == b"got this\n"

    def test_the_sdks_socket_has_dockers_headers(self, real: Engine) -> None:
        container = real.containers.create(IMAGE, ["sh", "-c", "echo hi >&2"])
        stream = container.attach_socket({"stderr": 1, "stream": 1})
        container.start()
        assert stream.read(8) == struct.pack(">BxxxL", 2, 3) and stream.read(3) == b"hi\n" and stream.read(1) == b""
        assert isinstance(vars(stream)["_sock"], socket.socket)

    def test_what_was_printed_comes_first(self, real: Engine) -> None:
        container = real.containers.run(IMAGE, ["sh", "-c", "echo a; read x; echo b"], stdin_open=True, detach=True)
        until(lambda: container.logs())
        stream = container.attach_socket({"stdin": 1, "stdout": 1, "stream": 1, "logs": 1})
        stream._sock.sendall(b"\n")
        assert said(everything(stream._sock), 1) == b"a\nb\n"

    def test_the_input_of_one_ends_with_it(self, real: Engine) -> None:
        container = real.containers.create(IMAGE, "cat", stdin_open=True)
        with container.connect(stdin=True) as connection:
            container.start()
            connection.sendall(b"all\n")
            connection.shutdown(socket.SHUT_WR)
            assert said(everything(connection), 1) == b"all\n"
        assert container.wait(timeout=120)["StatusCode"] == 0

    def test_the_input_of_many_does_not(self, real: Engine) -> None:
        container = real.containers.run(IMAGE, "cat", stdin_open=True, detach=True)
        with container.connect(stdin=True) as one, container.connect() as two:
            one.sendall(b"first\n")
            assert two.recv(100)[8:] == b"first\n"
            one.shutdown(socket.SHUT_WR)
            assert said(everything(one), 1) == b"first\n"  # and it is shown out, as by Docker
            with container.connect(stdin=True) as three:
                three.sendall(b"second\n")
                assert two.recv(100)[8:] == b"second\n"
        assert container.status == "running"
        container.remove(force=True)

    def test_without_stdin_open_there_is_no_input(self, real: Engine) -> None:
        assert real.containers.run(IMAGE, ["sh", "-c", "cat; readlink /proc/self/fd/0"]) == b"/dev/null\n"

    def test_a_terminal(self, real: Engine) -> None:
        script = "tty; test -t 1 && echo $TERM; stty size; read x; echo got $x; ls -l /dev/console; exit 3"
        container = real.containers.create(
            IMAGE, ["sh", "-c", script], tty=True, stdin_open=True, console_size=(30, 99)
        )
        with container.connect(stdin=True) as connection:
            container.start()
            begun = b""
            while not begun.endswith(b"99\r\n"):
                begun += connection.recv(100)
            connection.sendall(b"this\n")
            text = [(1, begun), *everything(connection, tty=True)]
        assert b"/dev/pts/0\r\nxterm\r\n30 99\r\n" in said(text, 1) and b"got this\r\n" in said(text, 1)
        assert b"136,   0" in said(text, 1)
        assert container.wait()["StatusCode"] == 3
        assert container.logs() == said(text, 1)
        assert container.logs(stdout=False, stderr=True) == b""

    def test_resize(self, real: Engine) -> None:
        script = "trap 'stty size; exit' WINCH; echo up; while true; do sleep 0.05; done"
        container = real.containers.run(IMAGE, ["sh", "-c", script], tty=True, detach=True)
        until(lambda: container.logs())
        container.resize(height=33, width=44)
        container.wait(timeout=120)
        assert container.logs() == b"up\r\n33 44\r\n"
        with pytest.raises(Conflict):
            container.resize(1, 1)

    def test_one_who_does_not_read_gets_it_all_later(self, real: Engine) -> None:
        size = 300_000  # less than waits for a client: the container ends meanwhile
        container = real.containers.create(IMAGE, ["sh", "-c", f"head -c {size} /dev/zero; exit 4"])
        with container.connect() as connection:
            container.start()
            assert container.wait(timeout=120)["StatusCode"] == 4
            assert len(said(everything(connection), 1)) == size

    def test_one_who_goes_does_not_stop_the_program(self, real: Engine) -> None:
        container = real.containers.create(IMAGE, ["sh", "-c", "head -c 9000000 /dev/zero; echo; echo end"])
        container.connect().close()
        connection = container.connect()
        container.start()
        connection.recv(10)
        connection.close()
        assert container.wait(timeout=120)["StatusCode"] == 0
        assert container.logs(tail=1) == b"end\n"

    def test_where_it_is_paused(self, real: Engine) -> None:
        container = real.containers.run(IMAGE, "sleep 100", detach=True)
        container.pause()
        with pytest.raises(Conflict, match="is paused, unpause the container before attach"):
            container.connect()
        container.remove(force=True)

    def test_the_door_is_the_owners_alone_and_goes_with_the_program(self, real: Engine) -> None:
        container = real.containers.run(IMAGE, "sleep 100", detach=True)
        assert (container.path / "attach.sock").stat().st_mode & 0o777 == 0o600
        container.kill()
        until(lambda: not (container.path / "attach.sock").exists())

    def test_as_docker_describes_it(self, real: Engine) -> None:
        def keys(**options: Any) -> list[bool]:
            config = real.containers.create(IMAGE, "true", **options).attrs["Config"]
            return [config[key] for key in "AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce".split()]

        assert keys(tty=True) == [False, True, True, True, False, False]
        assert keys(stdin_open=True) == [True, True, True, False, True, True]
        assert keys(stdin_open=True, tty=True, detach=True) == [False, False, False, True, True, False]

    def test_what_the_simulated_runtime_cannot(self, tmp_path: Path) -> None:
        engine = minidocker.connect(tmp_path, runtime="simulated")
        with pytest.raises(Unsupported, match="no terminals"):
            engine.containers.run(IMAGE, "true", tty=True)
        with pytest.raises(Unsupported, match="cannot attach"):
            engine.containers.create(IMAGE, "true").attach_socket()
        engine.close()


class TestExecutions:
    """One more program, which any engine can look at."""

    def test_its_life(self, real: Engine, up: Container) -> None:
        made = up.exec_create(["sh", "-c", "read x; exit $x"], stdin=True)
        assert (made.inspect()["Running"], made.inspect()["ExitCode"], made.inspect()["Pid"]) == (False, None, 0)
        with made.connect() as connection:
            here = minidocker.connect(real.root).containers.execution(made.id)
            assert here.inspect()["Running"] and here.inspect()["Pid"] and up.attrs["ExecIDs"] == [made.id]
            connection.sendall(b"7\n")
            assert everything(connection) == []
        assert (here.inspect()["Running"], here.inspect()["ExitCode"]) == (False, 7)
        assert up.attrs["ExecIDs"] is None
        with pytest.raises(Conflict, match="has already run"):
            made.connect()

    def test_what_docker_says_of_it(self, up: Container) -> None:
        found = up.exec_create(["ls", "-l"], tty=True, user="0", detach_keys="ctrl-a").inspect()
        assert found["ProcessConfig"] == {
            "tty": True,
            "entrypoint": "ls",
            "arguments": ["-l"],
            "privileged": False,
            "user": "0",
        }
        assert (found["OpenStdin"], found["OpenStdout"], found["DetachKeys"]) == (False, True, "AQ==")

    def test_a_terminal_of_its_own(self, up: Container) -> None:
        made = up.exec_create(["sh", "-c", "tty; echo $TERM; stty size; read x; stty size"], tty=True, stdin=True)
        with made.connect(size=(20, 50)) as connection:
            text = b""
            while b"50\r\n" not in text:
                text += connection.recv(100)
            made.resize(21, 51)
            connection.sendall(b"\n")
            text += said(everything(connection, tty=True), 1)
        assert text.startswith(b"/dev/pts/0\r\nxterm\r\n20 50\r\n") and text.endswith(b"21 51\r\n")

    def test_it_runs_on_when_nobody_is_there(self, up: Container) -> None:
        made = up.exec_create(["sh", "-c", "sleep 0.2; touch /went-on"])
        made.connect().close()
        until(lambda: made.inspect()["ExitCode"] == 0)
        assert up.exec_run("ls /went-on").output == b"/went-on\n"

    def test_one_that_cannot_start(self, up: Container) -> None:
        made = up.exec_create("nope")
        with pytest.raises(StartError, match="executable file not found"):
            made.connect()
        assert made.inspect()["ExitCode"] == 126
        with pytest.raises(StartError):
            up.exec_run("nope", detach=True)

    def test_run_with_a_socket(self, up: Container) -> None:
        result = up.exec_run("cat", stdin=True, socket=True)
        result.output._sock.sendall(b"hi")
        result.output._sock.shutdown(socket.SHUT_WR)
        assert (result.exit_code, said(everything(result.output._sock), 1)) == (None, b"hi")
        assert up.exec_run("tty", tty=True).output == b"/dev/pts/0\r\n"

    def test_there_is_none(self, real: Engine) -> None:
        with pytest.raises(NotFound, match="No such exec instance: nope"):
            real.containers.execution("nope")


class TestRotation:
    """`--log-opt max-size`: whatever is printed is read, and nothing twice."""

    @pytest.mark.parametrize("compress", ["false", "true"])
    def test_a_follower_sees_each_line_once(self, real: Engine, compress: str) -> None:
        options = {"max-size": "2k", "max-file": "100", "compress": compress}
        script = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); [ $((i % 40)) = 0 ] && sleep 0.02; done"
        container = real.containers.run(
            IMAGE, ["sh", "-c", script], detach=True, log_config={"type": "json-file", "config": options}
        )
        wanted = "".join(f"line {number}\n" for number in range(400)).encode()
        assert b"".join(container.logs(stream=True)) == wanted
        container.wait()
        until(lambda: compress == "false" or len(list(container.path.glob("log.jsonl.*.gz"))) > 3)
        assert container.logs() == wanted
        assert container.logs(tail=50) == b"".join(wanted.splitlines(keepends=True)[-50:])
        assert len(list(container.path.glob("log.jsonl.*"))) > 3

    @pytest.mark.parametrize(("files", "least"), [("1", 1), ("3", 3)])
    def test_only_so_many_files_are_kept(self, real: Engine, files: str, least: int) -> None:
        options = {"max-size": "1k", "max-file": files}
        script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done"
        container = real.containers.run(
            IMAGE, ["sh", "-c", script], detach=True, log_config={"Type": "json-file", "Config": options}
        )
        container.wait()
        found = list(container.path.glob("log.jsonl*"))
        assert len(found) == least and all(path.stat().st_size < 1200 for path in found)
        assert container.logs().endswith(b"line 299\n")

    def test_a_full_disk_is_the_logs_loss_and_not_the_programs(self, real: Engine) -> None:
        if not ROOT:
            pytest.skip("a small file system needs root")
        script = "head -c 400000 /dev/zero | tr '\\0' x; echo; exit 6"
        container = real.containers.create(IMAGE, ["sh", "-c", script])
        disk = container.path.with_name("small")
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], check=True)
        try:
            (disk / "log").touch()
            (container.path / "log.jsonl").symlink_to(disk / "log")
            container.start()
            assert container.wait(timeout=120)["StatusCode"] == 6
            assert 0 < len(container.logs()) < 400_000
            assert container.state()["LogLost"] > 0
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)
            disk.rmdir()


class TestLogOptions:
    """What each line says, and Docker's words against nonsense."""

    def test_more_in_each_line(self, engine: Engine) -> None:
        options = {"labels": "a,zz", "labels-regex": "^b", "env": "E", "tag": "{{.Name}}/x"}
        container = engine.containers.run(
            IMAGE,
            "echo hi",
            detach=True,
            labels={"a": "1", "b": "2", "c": "3"},
            environment=["E=3"],
            log_config={"type": "json-file", "config": options},
        )
        container.wait()
        assert next(container.records())["attrs"] == {"E": "3", "a": "1", "b": "2", "tag": f"{container.name}/x"}
        assert container.attrs["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": options}

    def test_none(self, engine: Engine) -> None:
        assert engine.containers.run(IMAGE, "echo hi", remove=True, log_config={"type": "none"}) is None
        container = engine.containers.run(IMAGE, "echo hi", detach=True, log_config={"type": "none"})
        container.wait()
        with pytest.raises(Unsupported, match="configured logging driver does not support reading"):
            container.logs()
        assert container.attrs["LogPath"] == ""

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"max-size": "x"}, "invalid size: 'x'"),
            ({"max-size": "0"}, "max-size must be a positive number"),
            ({"max-file": "0"}, "max-file cannot be less than 1"),
            ({"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
            (
                {"compress": "true"},
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
            ({"compress": "z"}, 'strconv.ParseBool: parsing "z": invalid syntax'),
            (
                {"tag": "{{.Foo}}"},
                'template: log-tag:1:2: executing "log-tag" at <.Foo>: can\'t evaluate field Foo in type *logger.Info',
            ),
            ({"tag": "{{"}, "template: log-tag:1: unclosed action"),
        ],
    )
    def test_values_are_looked_at_when_it_starts(self, engine: Engine, options: dict[str, str], words: str) -> None:
        container = engine.containers.create(IMAGE, "true", log_config={"type": "json-file", "config": options})
        with pytest.raises(StartError) as error:
            container.start()
        assert str(error.value) == f"failed to initialize logging driver: {words}"
        assert container.status == "created"
        container.remove()

    @pytest.mark.parametrize(
        ("config", "kind", "words"),
        [
            ({"type": "nope"}, InvalidArgument, 'error looking up logging plugin nope: plugin "nope" not found'),
            ({"type": "local"}, Unsupported, "log driver 'local'"),
            ({"config": {"foo": "1"}}, InvalidArgument, "unknown log opt 'foo' for json-file log driver"),
            ({"config": {"mode": "x"}}, InvalidArgument, "logger: logging mode not supported: x"),
            (
                {"config": {"max-buffer-size": "1k"}},
                InvalidArgument,
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
        ],
    )
    def test_names_when_it_is_made(
        self, engine: Engine, config: dict[str, Any], kind: type[APIError], words: str
    ) -> None:
        with pytest.raises(kind, match=words):
            engine.containers.create(IMAGE, "true", log_config=config)

    def test_a_line_cut_short_by_a_crash_is_left_out(self, tmp_path: Path) -> None:
        line = '{"log": "hi\\n", "stream": "stdout", "time": "2026-01-01T00:00:00.000000000Z"}\n'
        (tmp_path / "log.jsonl").write_text(line + line[:20] + "\n" + line)
        assert len(list(read(Files(tmp_path / "log.jsonl")))) == 2
