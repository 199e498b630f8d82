"""`minidocker -H`: our commands say the same through a daemon's socket as in the engine's own process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import minidocker
from tests.daemon.conftest import IMAGE, Served

docker_sdk = pytest.importorskip("docker")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def far(daemon: Served) -> Run:
    return lambda *words, **how: command(["-H", daemon.host, *words], **how)


@pytest.fixture
def near(daemon: Served) -> Run:
    return lambda *words, **how: command(["--root", str(daemon.engine.root), *words], **how)


def command(words: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "MINIDOCKER_"))}
    return subprocess.run(
        [sys.executable, "-m", "minidocker", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def test_run_has_the_programs_streams_and_exit_code(far: Run) -> None:
    done = far("run", "--rm", "-i", "-e", "A=1", IMAGE, "sh", "-c", "cat; echo $A >&2; exit 3", stdin="typed\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "typed\n", "1\n")
    assert far("ps", "-aq").stdout == ""


def test_a_program_that_is_not_there_has_dockers_exit_code(far: Run) -> None:
    done = far("run", "--rm", IMAGE, "nosuch")
    assert done.returncode == 127
    assert "executable file not found" in done.stderr


def test_every_listing_and_inspect_says_what_the_engine_itself_says(far: Run, near: Run) -> None:
    assert far("run", "-d", "--name", "web", "-l", "a=b", "-p", "127.0.0.1::80", IMAGE, "sleep", "100").returncode == 0
    assert far("volume", "create", "--label", "x=y", "data").stdout == "data\n"
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
            found, expected = far(*words), near(*words)
            assert (found.returncode, found.stdout, found.stderr) == (
                expected.returncode,
                expected.stdout,
                expected.stderr,
            ), words
    finally:
        far("rm", "-f", "web")
        assert far("volume", "rm", "data").stdout == "data\n"


def test_the_life_of_a_container(far: Run) -> None:
    far("run", "-d", "--name", "web", IMAGE, "sh", "-c", "echo out; echo err >&2; sleep 100")
    assert far("exec", "-i", "web", "sh", "-c", "cat; exit 4", stdin="in").stdout == "in"
    assert far("exec", "web", "sh", "-c", "exit 4").returncode == 4
    assert far("exec", "web", "nope").returncode in (126, 127)
    logs = far("logs", "web")
    assert (logs.stdout, logs.stderr) == ("out\n", "err\n")
    assert far("pause", "web").returncode == far("unpause", "web").returncode == 0
    assert far("rename", "web", "w2").returncode == 0
    assert far("stop", "-t", "0", "w2").stdout == "w2\n"
    assert far("wait", "w2").stdout == "137\n"
    assert far("rm", "w2").stdout == "w2\n"


def test_files_go_in_and_come_out(far: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    far("create", "--name", "box", IMAGE, "true")
    assert far("cp", str(tmp_path / "file"), "box:/tmp/").returncode == 0
    assert far("cp", "box:/tmp/file", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_text() == "hello"
    assert far("commit", "-m", "why", "box", "made:1").stdout.startswith("sha256:")
    assert far("rmi", "made:1").returncode == 0


def test_a_build_is_the_classic_builders(far: Run, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo built\n")
    done = far("build", "-t", "built", str(tmp_path))
    assert done.returncode == 0, done
    assert "Step 2/2 : RUN echo built" in done.stdout
    assert done.stdout.endswith("Successfully tagged built:latest\n")
    assert far("build", "--secret", "id=x", str(tmp_path)).returncode == 1
    assert far("save", "-o", str(tmp_path / "tar"), "built").returncode == 0
    assert far("rmi", "built").returncode == 0
    assert far("load", "-i", str(tmp_path / "tar")).stdout == "Loaded image: built:latest\n"
    assert far("rmi", "built").returncode == 0


@pytest.mark.parametrize("words", ["registry serve", "system fsck", "image explain x", "plugin ls"])
def test_what_needs_the_engines_folder_is_refused_by_name(far: Run, words: str) -> None:
    done = far(*words.split())
    assert done.returncode == 1
    assert "this works in the engine's own folder" in done.stderr


def test_connect_gives_dockers_own_client(daemon: Served) -> None:
    client = minidocker.connect(daemon.host)
    assert isinstance(client, docker_sdk.DockerClient)
    assert client.ping()
    client.close()
