"""Contexts: docker's own files, compared with the docker command itself where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from minidocker.cli import hosts
from tests.cli.conftest import Cli
from tests.typed import Done

PROGRAM = shutil.which("docker")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    for name in ("DOCKER_CONTEXT", "DOCKER_HOST", "MINIDOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config"


@pytest.fixture
def ours(tmp_path: Path) -> Callable[..., Done]:

    class Bare(Cli):
        def __call__(self, *argv: str, stdin: bytes = b"") -> Done:
            return super().__call__("context", *argv, stdin=stdin)

    return Bare(tmp_path / "root", "simulated")


def theirs(*words: str) -> Done:
    if PROGRAM is None:
        pytest.skip("the docker command is not installed")
    done = subprocess.run([PROGRAM, "context", *words], capture_output=True, check=False)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode(), done.stdout)


def test_what_we_make_docker_reads(ours: Callable[..., Done]) -> None:
    assert ours("create", "lab", "--docker", "host=unix:///lab.sock", "--description", "the lab").code == 0
    found = json.loads(theirs("inspect", "lab").out)[0]
    assert found["Metadata"] == {"Description": "the lab"}
    assert found["Endpoints"]["docker"] == {"Host": "unix:///lab.sock", "SkipTLSVerify": False}
    assert ours("inspect", "lab").out == theirs("inspect", "lab").out


def test_what_docker_makes_we_read_and_show_alike(ours: Callable[..., Done]) -> None:
    assert theirs("create", "lab", "--docker", "host=tcp://h:2376,skip-tls-verify=true").code == 0
    assert theirs("create", "other", "--from", "lab").code == 0
    for words in (["inspect", "lab"], ["ls", "-q"], ["export", "lab", "-"]):
        if words[0] != "export":
            assert ours(*words).out == theirs(*words).out
    assert theirs("use", "lab").code == 0
    assert ours("show").out == "default\n", "a context that docker alone chose is docker's"
    assert ours("use", "lab").code == 0
    assert ours("show").out == theirs("show").out == "lab\n"
    assert ours("use", "default").code == 0
    assert theirs("show").out == "default\n"


@pytest.mark.parametrize(
    "words",
    [
        "create x",
        "create default",
        "create a/b",
        "create new --docker host=foo://",
        "create new --docker hostz=unix:///x",
        "create new --docker host=tcp://h:1,ca=nope",
        "create new --from lab --docker host=unix:///x",
        "create new --from nope",
        "create lab",
        "create fresh --docker host=unix:///y --description text",
        "create copy --from lab",
        "inspect nope lab",
        "inspect -f {{.Name}}:{{.Endpoints.docker.Host}} lab",
        "update lab --description changed",
        "update lab --docker host=tcp://1:2",
        "update nope",
        "rm nope",
        "rm -f nope",
        "rm default",
        "rm lab nope",
        "use nope",
        "export nope",
        "import lab junk",
        "import default junk",
        "import fresh /nope",
        "import fresh junk",
        "show",
    ],
)
def test_words_and_exit_codes_are_dockers(
    ours: Callable[..., Done], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("junk").write_text("x\n")
    found = []
    for ask in (ours, theirs):
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "one"))
        shutil.rmtree(tmp_path / "one", ignore_errors=True)
        assert ask("create", "lab", "--docker", "host=unix:///lab.sock", "--description", "d").code == 0
        done = ask(*words.split())
        found.append((done.code, done.out, done.err.strip()))
    assert found[0] == found[1]


def test_a_context_leaves_as_a_tar_and_comes_back(ours: Callable[..., Done]) -> None:
    Path("ca.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    Path("key.pem").write_text("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n")
    given = "host=tcp://h:2376,ca=ca.pem,cert=ca.pem,key=key.pem"
    assert ours("create", "lab", "--docker", given).code == 0
    assert ours("export", "lab").err == 'Written file "lab.dockercontext"\n'
    assert ours("export", "lab").err == "open lab.dockercontext: file exists\n"
    assert ours("import", "back", "lab.dockercontext").code == 0
    found = json.loads(ours("inspect", "back").out)[0]
    assert found["TLSMaterial"] == {"docker": ["ca.pem", "cert.pem", "key.pem"]}
    assert (Path(found["Storage"]["TLSPath"]) / "docker" / "key.pem").stat().st_mode & 0o077 == 0


def test_a_tar_with_other_things_in_it_writes_nothing_else(ours: Callable[..., Done], tmp_path: Path) -> None:
    import io
    import tarfile

    with tarfile.open("bad.tar", "w") as tar:
        for name, data in (("meta.json", b'{"Name":"a","Metadata":{},"Endpoints":{}}'), ("../../evil", b"x")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert ours("import", "tame", "bad.tar").code == 0
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("environment", "words", "expected"),
    [
        ({}, [], ""),
        ({"DOCKER_HOST": "unix:///d"}, [], ""),
        ({"MINIDOCKER_HOST": "unix:///m"}, [], "unix:///m"),
        ({"MINIDOCKER_HOST": "unix:///m"}, ["-H", "tcp://127.0.0.1"], "tcp://127.0.0.1:2375"),
        ({"MINIDOCKER_HOST": "unix:///m"}, ["--context", "lab"], "unix:///lab.sock"),
        ({"DOCKER_CONTEXT": "lab"}, [], "unix:///lab.sock"),
        ({"MINIDOCKER_HOST": "unix:///m", "DOCKER_CONTEXT": "lab"}, [], "unix:///m"),
        ({"DOCKER_CONTEXT": "lab"}, ["--context", "default"], ""),
    ],
)
def test_which_daemon_is_meant(
    ours: Callable[..., Done],
    environment: dict[str, str],
    words: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from minidocker.cli import _top

    ours("create", "lab", "--docker", "host=unix:///lab.sock")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    host = hosts.chosen(_top().parse("minidocker", words))
    assert (host.address if host else "") == expected


def test_nobody_there_is_said_in_dockers_words(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("docker")
    from minidocker.cli import main

    assert main(["-H", "unix:///nobody/there.sock", "ps"]) == 1
    assert capsys.readouterr().err.startswith("Cannot connect to the Docker daemon at unix:///nobody/there.sock")
