"""Containers over the API: raw HTTP, Docker's SDK and the docker command against our daemon."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.daemon.conftest import IMAGE, Served
from tests.until import until

Docker = Callable[..., subprocess.CompletedProcess[str]]
SLEEP = {"Image": IMAGE, "Cmd": ["sleep", "60"]}


def make(daemon: Served, body: dict[str, Any], name: str = "", start: bool = True) -> str:
    status, answer = daemon.ask("POST", f"/containers/create?name={name}", body)
    assert status == 201, answer
    assert answer["Warnings"] == []
    if start:
        assert daemon.ask("POST", f"/containers/{answer['Id']}/start")[0] == 204
    return str(answer["Id"])


class TestCreate:
    """`POST /containers/create`: the body becomes a container, or a 4xx."""

    def test_what_was_sent_is_seen(self, daemon: Served) -> None:
        config = {
            "Hostname": "h",
            "User": "0",
            "AttachStdout": True,
            "Tty": True,
            "OpenStdin": True,
            "StdinOnce": True,
            "Env": ["A=1", "B"],
            "Cmd": ["-c", "true"],
            "Entrypoint": ["sh"],
            "WorkingDir": "/tmp",
            "Labels": {"k": "v"},
            "ExposedPorts": {"80/tcp": {}},
            "StopSignal": "SIGUSR1",
            "StopTimeout": 0,
            "Volumes": {"/data": {}},
        }
        host = {"Memory": 64 << 20, "CapAdd": ["NET_ADMIN"], "Dns": ["1.2.3.4"], "AutoRemove": True, "Init": False}
        more = {"Binds": ["vol:/v:ro"], "Tmpfs": {"/t": "size=1m"}, "GroupAdd": ["7"], "LogConfig": {"Type": "none"}}
        id = make(daemon, {"Image": IMAGE, **config, "HostConfig": host | more}, "seen", start=False)
        status, found = daemon.ask("GET", "/containers/seen/json")
        assert (status, found["Id"], found["Name"]) == (200, id, "/seen")
        assert {key: found["Config"][key] for key in config} == config | {"Env": found["Config"]["Env"]}
        assert found["Config"]["Env"][:2] == ["A=1", "B"]
        assert found["Config"]["Image"] == IMAGE
        assert (found["Path"], found["Args"]) == ("sh", ["-c", "true"])
        for key in ("Memory", "Dns", "AutoRemove", "Init", "Binds", "Tmpfs", "GroupAdd"):
            assert found["HostConfig"][key] == (host | more)[key]

    def test_what_clients_send_by_default_asks_for_nothing(self, daemon: Served) -> None:
        host = dict.fromkeys(
            "Binds PortBindings CapAdd Dns ExtraHosts GroupAdd Links SecurityOpt Ulimits Devices MaskedPaths Init "
            "OomKillDisable".split()
        )
        host |= {"NetworkMode": "default", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "PidsLimit": 0}
        host |= {"MemorySwappiness": -1, "ConsoleSize": [0, 0], "ShmSize": 0, "LogConfig": {"Type": "", "Config": {}}}
        body = {"Image": IMAGE, "Cmd": ["true"], "Entrypoint": None, "Volumes": None, "HostConfig": host, "New": 1}
        make(daemon, body | {"NetworkingConfig": {"EndpointsConfig": {"default": {}}}}, "plain", start=False)
        assert daemon.ask("GET", "/containers/plain/json")[1]["HostConfig"]["MemorySwappiness"] is None

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            ({}, 400, "Config cannot be empty"),
            ([], 400, "cannot unmarshal"),
            (b"{", 400, "invalid JSON"),
            ({"Image": "nosuch"}, 404, "No such image: nosuch:latest"),
            ({"Image": IMAGE, "Cmd": 7}, 400, "cannot unmarshal number into Go struct field Cmd"),
            ({"Image": IMAGE, "Cmd": ["a\0b"]}, 400, "NUL"),
            ({"Image": IMAGE, "Env": {"A": 1}}, 400, "field Env"),
            ({"Image": IMAGE, "HostConfig": {"Memory": "1g"}}, 400, "field HostConfig.Memory of type int64"),
            ({"Image": IMAGE, "HostConfig": {"Memory": 1}}, 400, "Minimum memory limit allowed is 6MB"),
            ({"Image": IMAGE, "HostConfig": {"Memory": 1 << 70}}, 400, "cannot unmarshal number"),
            ({"Image": IMAGE, "HostConfig": {"NetworkMode": "container:"}}, 400, "container"),
            ({"Image": IMAGE, "HostConfig": {"Mounts": [{"Type": "x", "Target": "/a"}]}}, 400, "mount type unknown"),
            ({"Image": IMAGE, "HostConfig": {"MaskedPaths": ["/x"]}}, 501, "MaskedPaths"),
            ({"Image": IMAGE, "HostConfig": {"BlkioDeviceReadBps": [{}]}}, 400, "needs a Path and a Rate"),
            ({"Image": IMAGE, "Volumes": {"/a:/b": {}}}, 400, "invalid volume specification"),
            ({"Image": IMAGE, "WorkingDir": "a"}, 400, "needs to be an absolute path"),
        ],
    )
    def test_what_makes_no_sense(self, daemon: Served, body: Any, status: int, words: str) -> None:
        found, answer = daemon.ask("POST", "/containers/create", body)
        assert (found, words in answer["message"]) == (status, True), answer

    def test_the_name_is_taken(self, daemon: Served) -> None:
        id = make(daemon, SLEEP, "one", start=False)
        status, answer = daemon.ask("POST", "/containers/create?name=one", SLEEP)
        words = f'Conflict. The container name "/one" is already in use by container "{id}".'
        assert (status, answer["message"][: len(words)]) == (409, words)


class TestLife:
    """Verbs, and the statuses that clients match on."""

    def test_statuses(self, daemon: Served) -> None:
        make(daemon, SLEEP, "c1", start=False)
        verbs = [
            ("POST", "/containers/c1/stop", 304),
            ("POST", "/containers/c1/kill", 409),
            ("POST", "/containers/c1/start", 204),
            ("POST", "/containers/c1/start", 304),
            ("POST", "/containers/c1/pause", 204),
            ("POST", "/containers/c1/pause", 409),
            ("POST", "/containers/c1/unpause", 204),
            ("POST", "/containers/c1/unpause", 500),
            ("POST", "/containers/c1/kill?signal=NOPE", 400),
            ("POST", "/containers/c1/rename?name=d1", 204),
            ("GET", "/containers/d1/top", 200),
            ("GET", "/containers/d1/changes", 200),
            ("POST", "/containers/d1/resize?h=x&w=1", 400),
            ("POST", "/containers/d1/update", 200),
            ("DELETE", "/containers/d1", 409),
            ("POST", "/containers/d1/restart?t=0", 204),
            ("POST", "/containers/d1/stop?t=0", 204),
            ("GET", "/containers/d1/top", 409),
            ("DELETE", "/containers/d1", 204),
            ("DELETE", "/containers/d1", 404),
            ("POST", "/containers/d1/wait", 404),
        ]
        assert [(verb, path, daemon.ask(verb, path)[0]) for verb, path, _ in verbs] == verbs

    def test_one_that_cannot_start(self, daemon: Served) -> None:
        for command, status, words in (("nope", 400, "executable file not found"), ("/etc", 400, "permission denied")):
            id = make(daemon, {"Image": IMAGE, "Cmd": [command]}, start=False)
            found, answer = daemon.ask("POST", f"/containers/{id}/start")
            assert (found, words in answer["message"]) == (status, True)
            assert daemon.ask("GET", f"/containers/{id}/json")[1]["State"]["Status"] == "created"

    def test_wait_answers_at_once_and_says_the_code_later(self, daemon: Served) -> None:
        body = {"Image": IMAGE, "Cmd": ["sh", "-c", "exit 7"], "HostConfig": {"AutoRemove": True}}
        id = make(daemon, body, start=False)
        sock, head = daemon.hijack(f"/v1.41/containers/{id}/wait?condition=removed", upgrade=False)
        assert b"200" in head.splitlines()[0]
        assert daemon.ask("POST", f"/containers/{id}/start")[0] == 204
        with sock, sock.makefile("rb") as answer:
            answer.readline()
            assert json.loads(answer.readline()) == {"StatusCode": 7, "Error": None}
        assert daemon.ask("GET", f"/containers/{id}/json")[0] == 404


class TestStreams:
    """Hijacked connections."""

    def test_attached_before_the_start_nothing_is_lost(self, daemon: Served) -> None:
        body = {"Image": IMAGE, "Cmd": ["sh", "-c", "cat; echo err >&2"], "OpenStdin": True, "StdinOnce": True}
        id = make(daemon, body, start=False)
        sock, head = daemon.hijack(f"/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1")
        assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        with sock:
            daemon.ask("POST", f"/containers/{id}/start")
            sock.sendall(b"hi\n")
            sock.shutdown(1)
            with sock.makefile("rb") as output:
                assert output.read() == b"\1\0\0\0\0\0\0\3hi\n\2\0\0\0\0\0\0\4err\n"

    def test_the_first_start_takes_no_guest_along(self, daemon: Served) -> None:
        """The launcher comes into being while the client's connection is open; it must not hold that open."""
        daemon.engine.close()
        id = make(daemon, {"Image": IMAGE, "Cmd": ["true"]}, start=False)
        sock, _ = daemon.hijack(f"/containers/{id}/attach?stream=1&stdout=1")
        with sock:
            daemon.ask("POST", f"/containers/{id}/start")
            assert sock.recv(1) == b""

    def test_one_who_leaves_frees_what_it_held(self, daemon: Served) -> None:
        id = make(daemon, SLEEP)
        paths = ["attach?stream=1&stdin=1&stdout=1", "wait", "wait?condition=removed"]
        connections = [daemon.hijack(f"/containers/{id}/{path}")[0] for path in paths]
        for path in ("logs?follow=1&stdout=1", "stats"):
            connections.append(daemon.connect())
            connections[-1].sendall(f"GET /containers/{id}/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connections[-1].recv(12)
        before = threading.active_count()
        for connection in connections:
            connection.close()
        until(lambda: threading.active_count() <= before - len(connections))
        assert daemon.ask("GET", f"/containers/{id}/json")[1]["State"]["Running"]

    def test_exec(self, daemon: Served) -> None:
        id = make(daemon, SLEEP)
        asked = {"Cmd": ["sh", "-c", "cat; exit 3"], "AttachStdin": True, "AttachStdout": True}
        exec_id = daemon.ask("POST", f"/containers/{id}/exec", asked)[1]["Id"]
        sock, head = daemon.hijack(f"/exec/{exec_id}/start", {"Tty": False}, upgrade=False)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        with sock:
            sock.sendall(b"hi")
            sock.shutdown(1)
            with sock.makefile("rb") as output:
                assert output.read() == b"\1\0\0\0\0\0\0\2hi"
            assert daemon.ask("GET", f"/exec/{exec_id}/json")[1]["ExitCode"] == 3

    def test_a_program_that_is_not_there_is_told_in_the_stream(self, daemon: Served) -> None:
        id = make(daemon, SLEEP)
        exec_id = daemon.ask("POST", f"/containers/{id}/exec", {"Cmd": ["nope"], "AttachStdout": True})[1]["Id"]
        sock, _ = daemon.hijack(f"/exec/{exec_id}/start", {})
        with sock, sock.makefile("rb") as output:
            assert b"executable file not found" in output.read()
        assert daemon.ask("GET", f"/exec/{exec_id}/json")[1]["ExitCode"] == 126


class TestDockerCommand:
    """The real docker command, 28."""

    @pytest.mark.parametrize(
        ("words", "stdin", "expected"),
        [
            (["sh", "-c", "echo out; echo err >&2; exit 3"], "", (3, "out\n", "err\n")),
            (["cat"], "hello", (0, "", "")),
            (["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], "", (137, "", "Killed\n")),
        ],
    )
    def test_run(self, docker: Docker, words: list[str], stdin: str, expected: tuple[int, str, str]) -> None:
        done = docker("run", "--rm", IMAGE, *words, stdin=stdin)
        assert (done.returncode, done.stdout, done.stderr) == expected

    def test_run_with_input(self, docker: Docker) -> None:
        text = "x" * 3_000_000
        assert docker("run", "--rm", "-i", IMAGE, "cat", stdin=text).stdout == text

    def test_run_that_cannot_start_leaves_nothing(self, docker: Docker) -> None:
        assert docker("run", "--rm", "--network", "nosuch", IMAGE, "true").returncode == 125
        assert docker("ps", "-aq").stdout == ""

    def test_exit_codes(self, docker: Docker) -> None:
        codes = [docker("run", "--rm", *words).returncode for words in ([IMAGE, "nope"], [IMAGE, "/etc"])]
        assert codes[0] == 127
        assert codes[1] == 126 or "version 20." in docker("--version").stdout  # that client says 125
        assert docker("run", "--rm", "--memory", "1m", IMAGE, "true").returncode == 125

    def test_a_day_of_a_container(self, docker: Docker) -> None:
        id = docker("run", "-d", "--name", "day", "-e", "A=1", IMAGE, "sh", "-c", "echo up; sleep 60").stdout.strip()
        assert docker("ps", "-q", "--no-trunc").stdout.strip() == id
        assert docker("exec", "day", "sh", "-c", "echo $A; exit 5").returncode == 5
        assert docker("exec", "-i", "day", "cat", stdin="in").stdout == "in"
        assert docker("logs", "day").stdout == "up\n"
        assert "sleep 60" in docker("top", "day").stdout
        docker("exec", "day", "sh", "-c", "echo x > /made")
        assert "A /made" in docker("diff", "day").stdout
        assert docker("cp", "day:/made", "-").stdout
        assert docker("stats", "--no-stream", "--format", "{{.Name}}", "day").stdout == "day\n"
        assert docker("commit", "day", "daily").stdout.startswith("sha256:")
        assert docker("rename", "day", "night").returncode == 0
        assert docker("update", "--memory", "64m", "night").stdout == "night\n"
        assert docker("stop", "-t", "0", "night").stdout == "night\n"
        assert docker("wait", "night").stdout == "137\n"
        assert docker("inspect", "-f", "{{.State.Status}} {{.Config.Image}}", "night").stdout == f"exited {IMAGE}\n"
        assert docker("rm", "night").stdout == "night\n"
