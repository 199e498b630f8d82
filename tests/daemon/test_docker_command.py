"""The real docker command, 28, on our daemon: exit code, output and words as on Docker's own engine (20.10)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.conftest import IMAGE

Docker = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("run --rm --pull never nosuch:1 true", 125, "No such image: nosuch:1"),
        ("run --rm IMAGE nosuch", 127, 'OCI runtime create failed: unable to start container process: exec: "nosuch"'),
        ("run --rm -w /etc/passwd IMAGE true", 125, "Cannot mkdir: /etc/passwd is not a directory"),
        ("run --rm --volumes-from nosuch IMAGE true", 125, "Error response from daemon: No such container: nosuch"),
        ("run --rm --pid container:nosuch IMAGE true", 125, "Error response from daemon: No such container: nosuch"),
        ("run --rm IMAGE /etc", 126, 'exec: "/etc": permission denied'),
        ("run --rm --network nosuch IMAGE true", 125, "network nosuch not found"),
        ("run --rm --cap-add NOSUCH IMAGE true", 125, 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'),
        ("run --rm -w rel IMAGE true", 125, "the working directory 'rel' is invalid"),
        ("run --rm -u nosuch IMAGE true", 125, "unable to find user nosuch"),
        ("run --rm -v bad/name:/x IMAGE true", 125, "includes invalid characters for a local volume name"),
        ("run --rm --restart always IMAGE true", 125, "conflicting options"),
        ("start nosuch", 1, "No such container: nosuch"),
        ("rm nosuch", 1, "No such container: nosuch"),
        ("exec nosuch true", 1, "No such container: nosuch"),
        ("kill -s BOGUS nosuch", 1, "Cannot kill container: nosuch: No such container: nosuch"),
        ("network connect nosuch gone", 1, "No such container: gone"),
        ("plugin ls -f bogus=1", 1, "nvalid filter 'bogus'"),
        ("volume inspect nosuch", 1, "no such volume"),
        ("network rm bridge", 1, "pre-defined network and cannot be removed"),
        ("rmi nosuch", 1, "No such image: nosuch:latest"),
        ("ps -f bogus=1", 1, "nvalid filter 'bogus'"),
        ("inspect nosuch", 1, "o such object: nosuch"),
    ],
)
def test_words_of_failure(docker: Docker, words: str, code: int, said: str) -> None:
    done = docker(*words.replace("IMAGE", IMAGE).split())
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_program_that_an_exec_does_not_find(docker: Docker) -> None:
    docker("run", "-d", "--name", "one", IMAGE, "sleep", "60")
    done = docker("exec", "one", "nosuch")
    assert (done.returncode, "executable file not found in $PATH" in done.stdout) == (126, True)


def test_input_that_nobody_reads(docker: Docker) -> None:
    done = docker("run", "--rm", "-i", IMAGE, "sh", "-c", "head -c 10 | wc -c; exit 3", stdin="x" * 3_000_000)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (3, "10", "")


def test_logs_right_after_the_start(docker: Docker) -> None:
    docker("create", "--name", "words", IMAGE, "echo", "hi")
    docker("start", "words")
    assert docker("logs", "words").stdout == "hi\n"


def test_a_commit_right_after_the_start(docker: Docker) -> None:
    for number in range(3):
        docker("run", "-d", "--name", f"c{number}", IMAGE, "true")
        assert docker("commit", f"c{number}").stdout.startswith("sha256:")


def test_what_a_committed_image_is_made_of(docker: Docker) -> None:
    docker("run", "--name", "made", IMAGE, "touch", "/new")
    made = docker("commit", "made").stdout.strip()
    ids = [docker("inspect", "-f", form, which).stdout for form, which in [("{{.Parent}}", made), ("{{.Id}}", IMAGE)]]
    assert ids[0] == ids[1] != "\n"


def test_a_name_that_has_gone_is_an_id_in_the_listing(docker: Docker) -> None:
    docker("tag", IMAGE, "short-lived")
    docker("create", "--name", "one", "short-lived")
    listing = ("ps", "-a", "--no-trunc", "--format", "{{.Image}}")
    assert docker(*listing).stdout == "short-lived\n"
    docker("rmi", "short-lived")
    assert docker(*listing).stdout == docker("inspect", "-f", "{{.Image}}", "one").stdout


def test_what_is_in_a_folder_and_the_whole_root(docker: Docker, tmp_path: Path) -> None:
    docker("create", "--name", "one", IMAGE)
    for inside, here, seen in (("/etc/.", "etc", "passwd"), ("/", "root", "etc/passwd"), ("/etc", "new", "passwd")):
        assert docker("cp", f"one:{inside}", f"{tmp_path}/{here}").returncode == 0
        assert (tmp_path / here / seen).is_file()
