"""`minidocker -H`: our commands say the same through a daemon's socket as in the engine's own process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import minidocker
from tests.daemon.conftest import IMAGE, Served
from tests.typed import Done, typed
from tests.until import comes

docker_sdk = pytest.importorskip("docker")

Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable says where commands go."""
    for name in [name for name in os.environ if name.startswith(("DOCKER_", "MINIDOCKER_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def far(daemon: Served) -> Run:
    return partial(typed, "-H", daemon.host)


@pytest.fixture
def near(daemon: Served) -> Run:
    return partial(typed, "--root", str(daemon.engine.root))


def test_run_has_the_programs_streams_and_exit_code(daemon: Served, far: Run) -> None:
    command = ["run", "--rm", "-i", "-e", "A=1", IMAGE, "sh", "-c", "cat; echo $A >&2; exit 3"]
    words = [sys.executable, "-m", "minidocker", "-H", daemon.host, *command]
    done = subprocess.run(words, input="typed\n", capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "typed\n", "1\n")
    assert far("ps", "-aq").out == ""


def test_a_program_that_is_not_there_has_dockers_exit_code(far: Run) -> None:
    done = far("run", "--rm", IMAGE, "nosuch")
    assert done.code == 127
    assert "executable file not found" in done.err


def same(far: Run, near: Run, words: list[str]) -> bool:
    """Whether both say the same."""
    return far(*words) == near(*words)


def test_every_listing_and_inspect_says_what_the_engine_itself_says(far: Run, near: Run) -> None:
    assert far("run", "-d", "--name", "web", "-l", "a=b", "-p", "127.0.0.1::80", IMAGE, "sleep", "100").code == 0
    assert far("volume", "create", "--label", "x=y", "data").out == "data\n"
    try:
        for words in (
            ["ps", "--no-trunc", "--format", "{{.ID}} {{.Image}} {{.Command}} {{.Ports}} {{.Names}} {{.Labels}}"],
            ["ps", "-q", "--filter", "label=a=b"],
            ["images", "--no-trunc"],
            ["images", "-q", "--filter", "dangling=true"],
            ["history", "--no-trunc", IMAGE],
            ["inspect", "-f", "{{.State.Status}} {{.Config.Cmd}} {{.HostConfig.NetworkMode}}", "web"],
            ["image", "inspect", "-f", "{{.Id}} {{.RepoTags}}", IMAGE],
            ["volume", "ls"],
            ["volume", "inspect", "data"],
            ["network", "ls"],
            ["network", "inspect", "-f", "{{.Name}} {{.Driver}}", "bridge"],
            ["port", "web"],
            ["diff", "web"],
            ["inspect", "nope"],
            ["rm", "nope"],
            ["rm", "web"],
        ):
            assert comes(partial(same, far, near, words)), words  # "35 seconds ago" may just turn
    finally:
        far("rm", "-f", "web")
        assert far("volume", "rm", "data").out == "data\n"


def test_the_life_of_a_container(far: Run) -> None:
    far("run", "-d", "--name", "web", IMAGE, "sh", "-c", "echo out; echo err >&2; sleep 100")
    assert far("exec", "-i", "web", "sh", "-c", "cat; exit 4", stdin=b"in").out == "in"
    assert far("exec", "web", "sh", "-c", "exit 4").code == 4
    assert far("exec", "web", "nope").code in (126, 127)
    logs = far("logs", "web")
    assert (logs.out, logs.err) == ("out\n", "err\n")
    assert far("pause", "web").code == far("unpause", "web").code == 0
    assert far("rename", "web", "w2").code == 0
    assert far("stop", "-t", "0", "w2").out == "w2\n"
    assert far("wait", "w2").out == "137\n"
    assert far("rm", "w2").out == "w2\n"


def test_files_go_in_and_come_out(far: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    far("create", "--name", "box", IMAGE, "true")
    assert far("cp", str(tmp_path / "file"), "box:/tmp/").code == 0
    assert far("cp", "box:/tmp/file", str(tmp_path / "back")).code == 0
    assert (tmp_path / "back").read_text() == "hello"
    assert far("commit", "-m", "why", "box", "made:1").out.startswith("sha256:")
    assert far("rmi", "made:1").code == 0


def test_a_build_is_the_classic_builders(far: Run, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo built\n")
    done = far("build", "-t", "built", str(tmp_path))
    assert done.code == 0, done
    assert "Step 2/2 : RUN echo built" in done.out
    assert done.out.endswith("Successfully tagged built:latest\n")
    assert far("build", "--secret", "id=x", str(tmp_path)).code == 1
    assert far("save", "-o", str(tmp_path / "tar"), "built").code == 0
    assert far("rmi", "built").code == 0
    assert far("load", "-i", str(tmp_path / "tar")).out == "Loaded image: built:latest\n"
    assert far("rmi", "built").code == 0


@pytest.mark.parametrize("words", ["registry serve", "system fsck", "image explain x", "plugin ls"])
def test_what_needs_the_engines_folder_is_refused_by_name(far: Run, words: str) -> None:
    done = far(*words.split())
    assert done.code == 1
    assert "this works in the engine's own folder" in done.err


def test_connect_gives_dockers_own_client(daemon: Served) -> None:
    client = minidocker.connect(daemon.host)
    assert isinstance(client, docker_sdk.DockerClient)
    assert client.ping()
    client.close()
