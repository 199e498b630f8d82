"""POST /build: the classic builder's words, to whoever listens; and nothing goes on for whoever has left."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.served import Line, Served, needs_docker, serve, tar
from tests.until import until

ID = re.compile(r"[0-9a-f]{12}")
GONE = "Removing intermediate container ID\n"
MADE = f" ---> Running in ID\n{GONE} ---> ID\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("builds")) as one:
        one.engine.images.get("minidocker/base")
        yield one


def said(daemon: Served, dockerfile: str, **query: Any) -> list[Any]:
    return daemon.ask("POST", "/v1.41/build", tar(Dockerfile=dockerfile), **query).lines


def text(lines: list[Any]) -> str:
    return ID.sub("ID", "".join(line.get("stream", "") for line in lines))


def test_it_speaks_as_the_classic_builder(daemon: Served) -> None:
    dockerfile = 'FROM minidocker/base\nRUN echo hi; echo no >&2\nCMD ["sh"]\n'
    lines = said(daemon, dockerfile, t=["words", "words:2"])
    steps = "Step 1/3 : FROM minidocker/base\n ---> ID\nStep 2/3 : RUN echo hi; echo no >&2\n"
    run = " ---> Running in ID\nhi\n\033[91mno\n\033[0mRemoving intermediate container ID\n ---> ID\n"
    end = f'Step 3/3 : CMD ["sh"]\n{MADE}Successfully built ID\nSuccessfully tagged words:latest\n'
    assert text(lines) == steps + run + end + "Successfully tagged words:2\n"
    built = daemon.engine.images.get("words:2")
    assert {"aux": {"ID": built.id}} in lines
    assert [line["stream"] for line in lines if "stream" in line][-4] == f" ---> {built.id[7:19]}\n"
    assert lines[0] == {"stream": "Step 1/3 : FROM minidocker/base"}
    assert lines[1] == {"stream": "\n"}


def test_global_arguments_and_labels_are_steps_and_triggers_are_none(daemon: Served) -> None:
    said(daemon, "FROM minidocker/base\nONBUILD RUN echo one\nONBUILD ENV A=1", t="triggers")
    dockerfile, labels = "ARG BASE=triggers\nFROM $BASE\nUSER 1", '{"b": "2", "a": "1"}'
    steps = "Step 1/5 : ARG BASE=triggers\nStep 2/5 : FROM $BASE\n"
    steps += f"# Executing 2 build triggers\n ---> Running in ID\none\n{GONE}"
    label = f"Step 4/5 : LABEL a=1\n{MADE}Step 5/5 : LABEL b=2\n{MADE}Successfully built ID\n"
    assert text(said(daemon, dockerfile, labels=labels)) == f"{steps}{MADE}Step 3/5 : USER 1\n{MADE}{label}"
    assert text(said(daemon, dockerfile, labels=labels)).count(" ---> Using cache\n") == 5


def test_what_was_built_before_is_not_built_again(daemon: Served) -> None:
    dockerfile = "FROM minidocker/base\nRUN echo once\nENV A=1"
    first, again = said(daemon, dockerfile), said(daemon, dockerfile)
    assert text(again).count(" ---> Using cache\n") == 2
    assert [line for line in first if "aux" in line] == [line for line in again if "aux" in line]
    assert "Using cache" not in text(said(daemon, dockerfile, nocache="1"))
    assert "Using cache" not in text(said(daemon, dockerfile, cachefrom='["nosuchimage"]'))


def test_stages_speak_in_turns(daemon: Served) -> None:
    slow = "FROM minidocker/base AS a\nRUN sleep 0.3; echo one > /one\n"
    fast = "FROM minidocker/base AS b\nRUN echo two > /two\n"
    lines = said(daemon, f"{slow}{fast}FROM scratch\nCOPY --from=a /one /\nCOPY --from=b /two /\n")
    steps = [line["stream"].split()[1] for line in lines if line.get("stream", "").startswith("Step")]
    assert steps == [f"{number}/7" for number in range(1, 8)]


def test_quiet_says_the_id_alone_unless_it_fails(daemon: Served) -> None:
    assert said(daemon, "FROM minidocker/base\nRUN true", q="1", t="quiet") == [
        {"stream": f"{daemon.engine.images.get('quiet').id}\n"}
    ]
    lines = said(daemon, "FROM minidocker/base\nRUN echo why; exit 4", q="True")
    assert "why\n" in text(lines)
    assert lines[-1]["errorDetail"]["code"] == 4


def test_a_program_that_fails(daemon: Served) -> None:
    lines = said(daemon, "FROM minidocker/base\nRUN exit 3", t="failed")
    words = "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
    assert lines[-1] == {"errorDetail": {"message": words, "code": 3}, "error": words}
    assert not daemon.engine.images.find("failed")


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        ('FROM minidocker/base\nRUN ["/nope"]', "no such file or directory"),
        (
            "FROM minidocker/base\nCOPY nope /",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist",
        ),
        ("FROM 127.0.0.1:1/nope", "No such image: 127.0.0.1:1/nope:latest"),
    ],
)
def test_what_goes_wrong_later_is_said_in_the_stream(daemon: Served, dockerfile: str, words: str) -> None:
    lines = said(daemon, dockerfile)
    assert lines[0]["stream"].startswith("Step 1/")
    assert words in lines[-1]["error"] == lines[-1]["errorDetail"]["message"]


@pytest.mark.parametrize(
    ("dockerfile", "query", "words"),
    [
        ("FROM scratch\nFOO", {}, "dockerfile parse error line 2: unknown instruction: FOO"),
        ("", {}, "the Dockerfile (Dockerfile) cannot be empty"),
        ("RUN x", {}, "no build stage in current context"),
        ("FROM scratch", {"target": "nope"}, "failed to reach build target nope in Dockerfile"),
        ("FROM scratch", {"dockerfile": "other"}, "Cannot locate specified Dockerfile: other"),
        ("FROM scratch", {"dockerfile": "../../etc/passwd"}, "Cannot locate specified Dockerfile"),
        ("FROM scratch", {"t": "UPPER"}, "invalid reference format"),
        ("FROM scratch", {"buildargs": "{"}, "error reading build args"),
        ("FROM scratch", {"buildargs": '{"a": 1}'}, "error reading build args"),
        ("FROM scratch", {"labels": "[]"}, "error reading labels"),
        ("FROM scratch", {"ulimits": "[1]"}, "error reading"),
        ("FROM scratch", {"memory": "lots"}, "invalid syntax"),
        ("FROM scratch", {"remote": "/etc"}, "could not be recognized as URL"),
        ("FROM scratch", {"cachefrom": '["type=local,src=/etc"]'}, ""),
        ("FROM scratch", {"isolation": "hyperv"}, "Unsupported isolation"),
        ("FROM scratch", {"squash": "1"}, "squash is only supported with experimental mode"),
        ("FROM scratch", {"version": "2"}, "DOCKER_BUILDKIT=0"),
    ],
)
def test_what_is_wrong_from_the_beginning_is_an_http_error(
    daemon: Served, dockerfile: str, query: dict[str, Any], words: str
) -> None:
    answer = daemon.ask("POST", "/v1.41/build", tar(Dockerfile=dockerfile), **query)
    assert answer.status in (400, 501) if words else answer.status in (200, 400)
    assert words in (answer.message if words else "")


def test_the_context_comes_in_chunks_and_perhaps_gzipped(daemon: Served) -> None:
    context = gzip.compress(tar(Dockerfile="FROM scratch\nCOPY . /", a="a" * 100_000, b="b", __dockerignore="b"))
    pieces = (context[start : start + 1000] for start in range(0, len(context), 1000))
    answer = daemon.ask("POST", "/build", pieces, t="chunks")
    assert answer.lines[-1] == {"stream": "Successfully tagged chunks:latest\n"}
    assert daemon.engine.images.get("chunks").cat("/a") == b"a" * 100_000
    assert "/b" not in daemon.engine.images.get("chunks").tree()


def test_no_path_of_a_context_leads_out_of_it(daemon: Served) -> None:
    hostile = tar(**{"../../evil": "x", "Dockerfile": "FROM scratch\nCOPY . /"})
    answer = daemon.ask("POST", "/build", hostile)
    assert answer.status == 400 or "error" in answer.lines[-1]
    assert daemon.ask("POST", "/build", b"this is no tar" * 100).status == 400


def test_options_reach_the_steps(daemon: Served) -> None:
    dockerfile = "FROM minidocker/base\nARG V=1\nRUN cat /etc/hosts; echo $V; df -k /dev/shm; ulimit -n"
    query = {
        "buildargs": json.dumps({"V": "two", "unset": None}),
        "labels": '{"who": "me"}',
        "extrahosts": ["db:10.1.2.3", "web:10.1.2.4"],
        "shmsize": str(8 << 20),
        "ulimits": '[{"Name": "nofile", "Soft": 77, "Hard": 77}]',
        "t": "options",
    }
    lines = said(daemon, dockerfile, **query)
    spoken = text(lines)
    assert daemon.engine.images.get("options").labels == {"who": "me"}
    assert "two\n" in spoken
    if daemon.engine.runtime.name == "namespaces":
        assert re.search(r"10.1.2.3\s+db", spoken)
        assert re.search(r"10.1.2.4\s+web", spoken)
        assert "8192" in spoken
        assert "77\n" in spoken


def test_a_step_is_on_a_network_of_ones_own(daemon: Served) -> None:
    if daemon.engine.runtime.name != "namespaces" or daemon.engine.runtime.no_bridge(
        str(daemon.engine.networks.folder)
    ):
        pytest.skip("this machine has no networks of its own for containers")
    network = daemon.engine.networks.create("building")
    other = daemon.engine.containers.run(
        "minidocker/base", "sleep 60", detach=True, network="building", name="pingtarget"
    )
    spoken = text(said(daemon, "FROM minidocker/base\nRUN cat /sys/class/net/eth0/operstate", networkmode=network.id))
    assert "up\n" in spoken or "unknown\n" in spoken, spoken
    network.reload()
    assert list(network.endpoints) == [other.id]
    assert "error" in said(daemon, "FROM minidocker/base\nRUN true", networkmode="nope", nocache="1")[-1]
    other.remove(force=True)
    network.remove()


def test_a_client_that_leaves_ends_its_build(daemon: Served) -> None:
    line = Line(daemon.socket)
    line.request("POST", "/build?t=left", tar(Dockerfile="FROM minidocker/base\nRUN echo begun; sleep 300"))
    got = line.getresponse()
    while b"begun\\n" not in got.readline():
        pass
    line.close()
    until(lambda: not list((daemon.engine.root / "tmp").iterdir()))
    assert not daemon.engine.images.find("left")


def test_the_sdk_builds(daemon: Served) -> None:
    docker, client = pytest.importorskip("docker"), daemon.sdk()
    image, log = client.images.build(fileobj=io.BytesIO(b"FROM minidocker/base\nLABEL a=b"), tag="sdk", rm=True)
    assert image.labels == {"a": "b"}
    assert any("Successfully tagged sdk:latest" in line.get("stream", "") for line in log)
    with pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 5"):
        client.images.build(fileobj=io.BytesIO(b"FROM minidocker/base\nRUN exit 5"))
    with pytest.raises(docker.errors.APIError, match="unknown instruction"):
        client.images.build(fileobj=io.BytesIO(b"FROM scratch\nNOPE"))
    client.close()


@needs_docker
def test_the_docker_command_builds(daemon: Served, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM minidocker/base\nARG A\nCOPY . /all\nRUN echo $A; ls /all\n")
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "left").write_text("left")
    (tmp_path / ".dockerignore").write_text("left\n")
    iid = tmp_path.parent / "iid"
    options = [
        "-t",
        "cli:1",
        "--build-arg",
        "A=seen",
        "--label",
        "l=1",
        "--iidfile",
        str(iid),
        "--add-host",
        "h:1.2.3.4",
    ]
    done = daemon.cli("build", *options, ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "seen\n" in done.stdout
    assert "\nleft\n" not in done.stdout
    image = daemon.engine.images.get("cli:1")
    assert iid.read_text() == image.id
    quiet = daemon.cli(
        "build", "-q", "--build-arg", "A=seen", "--label", "l=1", "--add-host", "h:1.2.3.4", ".", cwd=tmp_path
    )
    assert quiet.stdout.strip() == image.id
    failed = daemon.cli("build", "-", stdin=b"FROM minidocker/base\nRUN exit 9")
    assert failed.returncode == 9
    assert "The command '/bin/sh -c exit 9' returned a non-zero code: 9" in failed.stderr
    context = daemon.cli("build", "-f", "D", "-", stdin=tar(D="FROM scratch\nCOPY D /"))
    assert "Successfully built" in context.stdout


def test_the_login_for_a_base_is_the_clients(daemon: Served) -> None:
    config = base64.urlsafe_b64encode(json.dumps({"127.0.0.1:1": {"username": "a", "password": "b"}}).encode())
    headers = {"X-Registry-Config": config.decode()}
    answer = daemon.ask("POST", "/build", tar(Dockerfile="FROM 127.0.0.1:1/x"), headers)
    assert "No such image" in answer.lines[-1]["error"]
    broken = daemon.ask("POST", "/build", tar(Dockerfile="FROM scratch\nLABEL a=b"), {"X-Registry-Config": "%%%"})
    assert broken.status == 200


def test_the_cache_is_pruned(daemon: Served) -> None:
    said(daemon, "FROM minidocker/base\nRUN echo pruned")
    assert daemon.ask("POST", "/build/prune").json["CachesDeleted"]
    assert daemon.ask("POST", "/build/prune").json == {"CachesDeleted": None, "SpaceReclaimed": 0}
    assert daemon.ask("POST", "/build/prune", filters='{"nonsense": ["1"]}').status == 400
