"""Docker Compose, 2 and 1.29, against our daemon: the real programs, as a learner types them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.daemon.streams import Talks
from tests.daemon.served import Served, serve

IMAGE = "minidocker/base"
PLUGINS = ("/usr/libexec/docker", "/usr/local/lib/docker", "/usr/lib/docker", Path("~/.docker").expanduser())
PROGRAMS = ("docker-compose-v2", *(f"{folder}/cli-plugins/docker-compose" for folder in PLUGINS), "docker-compose")
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("compose")
    if minidocker.connect(folder / "probe").runtime.name != "namespaces":
        pytest.skip("the containers of these tests are real ones")
    with serve(folder) as served:
        served.engine.images.get(IMAGE).tag("base")
        yield served


@cache
def program(major: str) -> str:
    """Docker Compose of a major version, wherever it is; `docker-compose` may be either."""
    for found in filter(None, map(shutil.which, PROGRAMS)):
        done = subprocess.run([found, "version", "--short"], capture_output=True, text=True, timeout=120, check=False)
        if done.stdout.strip().removeprefix("v").startswith(f"{major}."):
            return found
    pytest.skip(f"there is no Docker Compose {major} here")


class Project:
    """A folder with a compose file, and the program that brings it up."""

    def __init__(self, daemon: Served, folder: Path, program: str) -> None:
        self.daemon, self.folder, self.program = daemon, folder, program
        self.env = os.environ | {"DOCKER_HOST": f"unix://{daemon.socket}", "DOCKER_BUILDKIT": "0"}
        self.env |= {"DOCKER_CONFIG": str(folder), "COMPOSE_PROJECT_NAME": "p", "COMPOSE_MENU": "false"}

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name.replace("__", ".")).write_text(text)

    def popen(self, *args: str, **more: Any) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [self.program, *args], cwd=self.folder, env=self.env, stdout=pipe, stderr=pipe, text=True, **more
        )

    def __call__(self, *args: str, stdin: str = "", code: int | None = 0) -> Done:
        with self.popen(*args, stdin=subprocess.PIPE) as running:
            try:
                out, err = running.communicate(stdin, timeout=120)
            finally:
                running.kill()
        assert code in (None, running.returncode), f"{args} exited with {running.returncode}: {out}{err}"
        return subprocess.CompletedProcess(args, running.returncode, out.replace("\x1b[K", ""), err)

    def states(self) -> dict[str, str]:
        """How each of its containers is: `a-1: running`, `b-1: exited 3`."""
        found = {}
        for container in self.daemon.engine.containers.list(all=True):
            state = container.attrs["State"]
            code = f" {state['ExitCode']}" if state["Status"] == "exited" else ""
            found[container.name.removeprefix("p-")] = state["Status"] + code
        return found


def project_of(daemon: Served, folder: Path, major: str) -> Iterator[Project]:
    yield Project(daemon, folder, program(major))
    for container in daemon.engine.containers.list(all=True):
        container.remove(v=True, force=True)
    daemon.engine.networks.prune()
    daemon.engine.volumes.prune(filters={"all": True})


@pytest.fixture
def compose(daemon: Served, tmp_path: Path) -> Iterator[Project]:
    yield from project_of(daemon, tmp_path, "2")


@pytest.fixture
def v1(daemon: Served, tmp_path: Path) -> Iterator[Project]:
    yield from project_of(daemon, tmp_path, "1")


STACK = """
services:
  web:
    image: base
    init: true
    command: sleep 100
    hostname: front
    environment: {A: "${A:-1}"}
    volumes: ["/anon", "data:/data", "./:/src:ro"]
    tmpfs: [/scratch]
    networks: {default: {aliases: [www]}, back: {ipv4_address: 10.81.0.9}}
    configs: [{source: text, target: /etc/text}]
    secrets: [word]
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
  db:
    image: base
    init: true
    command: sh -c "touch /up; sleep 100"
    expose: ["99", "70-71/udp"]
    healthcheck: {test: "test -e /up", interval: 200ms, start_period: 60s}
  job: {image: base, command: echo done}
networks: {back: {ipam: {config: [{subnet: 10.81.0.0/24}]}}}
volumes: {data: }
configs: {text: {content: "as it is\\n"}}
secrets: {word: {environment: WORD}}
"""


def test_a_project_from_up_to_down(compose: Project) -> None:
    compose.write(compose__yaml=STACK)
    compose.env["WORD"] = "hush"
    said = compose("up", "-d", "--wait", "web").stderr
    assert "Network p_back  Created" in said and "Container p-db-1  Healthy" in said
    assert compose.states() == {"web-1": "running", "db-1": "running", "job-1": "exited 0"}
    shown = [json.loads(line) for line in compose("ps", "--format", "json").stdout.splitlines()]
    assert {(one["Service"], one["State"], one["Health"]) for one in shown} == {
        ("web", "running", ""),
        ("db", "running", "healthy"),
    }
    script = "cat /etc/text /run/secrets/word; echo; echo $$; touch /scratch/a /anon/kept; touch /src/b || hostname"
    done = compose("exec", "-T", "web", "sh", "-c", script)
    assert done.stdout.split() == ["as", "it", "is", "hush", done.stdout.split()[4], "front"]
    for name in ("www", "web", "front", "p-web-1"):
        assert compose("exec", "-T", "db", "ping", "-c", "1", name).stdout.startswith(f"PING {name} (172.")
    assert "10.81.0.9/24" in compose("exec", "-T", "web", "ip", "-o", "-4", "addr").stdout
    assert "Recreate" not in compose("up", "-d").stderr
    compose.env["A"] = "2"
    assert "Container p-web-1  Recreated" in compose("up", "-d").stderr
    done = compose("exec", "-T", "web", "sh", "-c", "echo $A; ls /anon")
    assert done.stdout.split() == ["2", "kept"], "an anonymous volume stays with the service"
    assert compose("down", "-v", "-t", "0").stderr.count("Removed") == 6
    engine = compose.daemon.engine
    assert compose.states() == {} and engine.volumes.list() == []
    assert [network.name for network in engine.networks.list(["p_default", "p_back"])] == []


def test_an_attached_up_ends_with_its_containers(compose: Project) -> None:
    compose.write(
        compose__yaml="""
services:
  a: {image: base, command: sh -c "echo one; echo two >&2; sleep 1; exit 3"}
  b: {image: base, init: true, command: sleep 100}
"""
    )
    done = compose("up", "--exit-code-from", "a", code=3)
    assert "a-1  | one" in done.stdout and "a-1  | two" in done.stderr and "a-1 exited with code 3" in done.stdout
    assert compose.states() == {"a-1": "exited 3", "b-1": "exited 143"}
    assert compose("logs", "--no-log-prefix", "--tail", "1", "a").stdout == "two\n"
    with compose.popen("up") as running:
        assert running.stdout
        lines: list[str] = []
        while not (lines and "exited with code 3" in lines[-1]):
            lines.append(running.stdout.readline())
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=120)
        assert running.returncode == 130
    assert compose.states() == {"a-1": "exited 3", "b-1": "exited 143"}


def test_of_an_end_one_hears_after_the_last_words() -> None:
    """An attached `up` leaves at the last `die` of its events: what was printed before that is with it by then."""
    talks, heard = Talks(), threading.Event()
    talks.over("a")

    def hear() -> None:
        talks.over("a")
        heard.set()

    with talks.of("a"):
        waiting = threading.Thread(target=hear)
        waiting.start()
        talks.over("b")
        assert not heard.is_set()
    waiting.join(120)
    assert heard.is_set()


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ("exits", "dependency failed to start: container p-exits-1 exited (1)"),
        ("sick", "dependency failed to start: container p-sick-1 is unhealthy"),
        ("fails", 'service "fails" didn\'t complete successfully: exit 4'),
    ],
)
def test_who_waits_for_what_does_not_come_says_so(compose: Project, service: str, why: str) -> None:
    condition = "service_completed_successfully" if service == "fails" else "service_healthy"
    check = 'healthcheck: {test: ["CMD", "false"], interval: 100ms, retries: 2}'
    compose.write(
        compose__yaml=f"""
services:
  web: {{image: base, depends_on: {{{service}: {{condition: {condition}}}}}}}
  exits: {{image: base, command: sh -c "exit 1", {check}}}
  sick: {{image: base, init: true, command: sleep 100, {check}}}
  fails: {{image: base, command: sh -c "exit 4"}}
"""
    )
    assert why in compose("up", "-d", "web", code=1).stderr
    assert compose.states()["web-1"] == "created"


def test_run_exec_cp_and_the_rest(compose: Project) -> None:
    compose.write(
        compose__yaml="""
services:
  a:
    image: base
    init: true
    command: sleep 100
    ports: ["127.0.0.1::80"]
    working_dir: /tmp
  ends: {image: base, profiles: [ends], command: sh -c "sleep 3; exit 5"}
""",
        file="text\n",
    )
    compose("up", "-d")
    done = compose("exec", "-T", "-e", "X=1", "-u", "7:8", "-w", "/etc", "a", "sh", "-c", "id; pwd; echo $X")
    assert done.stdout == "uid=7 gid=8 groups=8\n/etc\n1\n"
    assert compose("exec", "-T", "a", "sh", "-c", "cat; exit 5", stdin="in", code=5).stdout == "in"
    assert (
        compose("run", "--rm", "-T", "a", "sh", "-c", "cat; pwd; exit 7", stdin="in\n", code=7).stdout == "in\n/tmp\n"
    )
    assert "executable file not found" in compose("run", "--rm", "a", "nosuch", code=1).stderr
    compose("cp", "file", "a:/tmp/file")
    compose("cp", "a:/tmp/file", "back")
    assert (compose.folder / "back").read_text() == "text\n"
    assert compose("port", "a", "80").stdout.startswith("127.0.0.1:")
    assert "sleep 100" in compose("top", "a").stdout
    assert "p-a-1" in compose("stats", "--no-stream").stdout and "base" in compose("images").stdout
    for verb, state in [("pause", "paused"), ("unpause", "running"), ("kill", "exited 137"), ("start", "running")]:
        compose(verb)
        assert compose.states() == {"a-1": state}
    compose("up", "-d", "--scale", "a=3")
    assert sorted(compose.states()) == ["a-1", "a-2", "a-3"]
    assert compose("exec", "-T", "--index", "3", "a", "nslookup", "a").stdout.count("Name:") == 3
    compose("scale", "a=1")
    compose("up", "-d", "ends")
    assert "exited with status code 5" in compose("wait", "ends", code=5).stdout
    assert '"p"' in compose("ls", "-a", "--format", "json").stdout
    compose("rm", "-fs", "a")
    assert compose.states() == {"ends-1": "exited 5"}


def test_build(compose: Project) -> None:
    compose.write(
        compose__yaml="""
services:
  a: {build: {context: ., args: {X: "1"}, target: one}, image: built}
  b: {build: {dockerfile: other}}
""",
        other="FROM base\nCMD echo b\n",
        Dockerfile="FROM base AS one\nARG X\nRUN echo $X > /x\nCMD cat /x\nFROM one\nRUN false\n",
    )
    compose("up")
    assert sorted(compose("logs").stdout.splitlines()) == ["a-1  | 1", "b-1  | b"]
    compose("build", "--build-arg", "X=2", "a")
    assert compose("run", "--rm", "-T", "a").stdout == "2\n"
    compose("down", "--rmi", "all")
    assert not {"built:latest", "p-b:latest"} & {
        tag for image in compose.daemon.engine.images.list() for tag in image.tags
    }
    compose.write(Dockerfile="FROM base AS one\nRUN exit 9\n")
    assert "returned a non-zero code: 9" in compose("build", "a", code=9).stderr


def test_events_orphans_and_two_projects(compose: Project) -> None:
    service = "{image: base, init: true, command: sleep 100}"
    compose.write(compose__yaml=f"services: {{a: {service}, b: {service}}}", one__yaml=f"services: {{a: {service}}}")
    with compose.popen("events", "--json", "--since", f"{time.time():.9f}") as events:  # whenever it is there
        assert events.stdout
        compose("up", "-d")
        compose("exec", "-T", "a", "true")
        seen = []
        while "exec_die" not in seen:
            seen.append(json.loads(events.stdout.readline())["action"])
        events.terminate()
        events.communicate(timeout=120)
    assert sorted(seen) == sorted([*["create", "start"] * 2, "exec_create: true ", "exec_start: true ", "exec_die"])
    compose("-p", "q", "up", "-d")
    assert "Found orphan containers ([p-b-1])" in compose("-f", "one.yaml", "up", "-d").stderr
    compose("-f", "one.yaml", "up", "-d", "--remove-orphans", "-t", "0")
    assert sorted(compose.states()) == ["a-1", "q-a-1", "q-b-1"]
    compose("down", "-t", "0")
    assert sorted(compose.states()) == ["q-a-1", "q-b-1"]


def test_compose_1(v1: Project) -> None:
    v1.write(
        docker_compose__yml="""
version: "2.4"
services:
  a:
    build: .
    init: true
    depends_on: {b: {condition: service_healthy}}
    volumes: ["v:/v", "/anon"]
    networks: {n: {aliases: [al]}, m: }
  b:
    image: base
    init: true
    command: sleep 100
    healthcheck: {test: ["CMD", "true"], interval: 0.2s}
    networks: [n]
networks: {n: , m: }
volumes: {v: }
""",
        Dockerfile="FROM base\nRUN echo built > /x\nCMD echo up; sleep 100\n",
    )
    (v1.folder / "docker_compose.yml").rename(v1.folder / "docker-compose.yml")
    v1("up", "-d")
    assert v1.states() == {"p_a_1": "running", "p_b_1": "running"}
    assert v1("exec", "-T", "a", "sh", "-c", "cat /x; touch /anon/kept; exit 4", code=4).stdout == "built\n"
    v1("exec", "-T", "b", "ping", "-c", "1", "al")
    v1("up", "-d", "--force-recreate", "-t", "0")
    assert v1("exec", "-T", "a", "ls", "/anon").stdout == "kept\n"
    assert "up" in v1("logs", "a").stdout and "Up" in v1("ps").stdout
    assert v1("run", "--rm", "b", "sh", "-c", "echo hi; exit 9", code=9).stdout == "hi\n"
    v1("up", "-d", "--scale", "b=2")
    assert sorted(v1.states()) == ["p_a_1", "p_b_1", "p_b_2"]
    v1("down", "-v", "-t", "0", "--rmi", "local")
    assert v1.states() == {} and v1.daemon.engine.volumes.list() == []
