"""`~/.docker/config.json` as docker leaves it, and the protocol of credential helpers."""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from minidocker.errors import APIError, InvalidArgument
from minidocker.registry.credentials import Credentials, Login, key_of

HELPER = """#!/usr/bin/env python3
import json, os, sys
path = os.environ["HELPER_FILE"]
kept = json.load(open(path)) if os.path.exists(path) else {}
verb, given = sys.argv[1], sys.stdin.read()
if verb == "store":
    value = json.loads(given); kept[value["ServerURL"]] = value
elif verb == "erase":
    kept.pop(given.strip(), None)
elif verb == "list":
    print(json.dumps({name: value["Username"] for name, value in kept.items()}))
elif given.strip() in kept:
    print(json.dumps(kept[given.strip()]))
else:
    print("credentials not found in native keychain"); sys.exit(1)
json.dump(kept, open(path, "w"))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker" / "config.json"


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HELPER_FILE", str(tmp_path / "kept.json"))
    return tmp_path / "kept.json"


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write(home: Path, value: object) -> None:
    home.parent.mkdir(exist_ok=True)
    home.write_text(json.dumps(value))


def test_what_docker_wrote_is_read(home: Path) -> None:
    auths = {
        "https://index.docker.io/v1/": {"auth": auth("ada:a:b")},
        "reg.lan:5000": {"username": "bob", "password": "x"},
        "https://old.lan/v1/": {"auth": auth("eve:y")},
        "token.lan": {"auth": auth("tok:"), "identitytoken": "i"},
        "broken.lan": {"auth": "!!"},
        "none.lan": {},
    }
    write(home, {"auths": auths})
    known = Credentials()
    assert known.get("docker.io") == known.get("index.docker.io") == Login("ada", "a:b")
    assert known.get("reg.lan:5000") == Login("bob", "x")
    assert known.get("old.lan") == Login("eve", "y")
    assert known.get("token.lan") == Login("tok", "", "i")
    assert not known.get("broken.lan")
    assert not known.get("none.lan")
    assert not known.get("reg.lan")
    assert known.names()["reg.lan:5000"] == "bob"


def test_nobody_is_known_without_a_file(home: Path) -> None:
    assert not Credentials().get("docker.io")
    Credentials().erase("docker.io")
    assert not home.exists()


def test_what_is_stored_is_for_us_alone_and_keeps_the_rest(home: Path) -> None:
    write(home, {"HttpHeaders": {"a": "b"}, "auths": {"other.lan": {"auth": auth("o:o")}}})
    home.chmod(0o644)
    assert Credentials().store("reg.lan", Login("ada", "secret")) == str(home)
    value = json.loads(home.read_text())
    assert value["HttpHeaders"] == {"a": "b"}
    assert value["auths"] == {"other.lan": {"auth": auth("o:o")}, "reg.lan": {"auth": auth("ada:secret")}}
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    Credentials().store("reg.lan", Login("ada", "secret", "identity"))
    assert json.loads(home.read_text())["auths"]["reg.lan"] == {"auth": auth("ada:"), "identitytoken": "identity"}
    Credentials().erase("reg.lan")
    assert [*json.loads(home.read_text())["auths"]] == ["other.lan"]
    assert [path.name for path in home.parent.iterdir()] == ["config.json"]


def test_a_link_stays_a_link(home: Path, tmp_path: Path) -> None:
    home.parent.mkdir()
    home.symlink_to(tmp_path / "real.json")
    Credentials().store("reg.lan", Login("ada", "x"))
    assert home.is_symlink()
    assert Credentials().get("reg.lan") == Login("ada", "x")


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(Login("ada", "secret-1", "secret-2", "secret-3"))


def test_a_helper_keeps_them(home: Path, helper: Path) -> None:
    write(home, {"credsStore": "test"})
    known = Credentials()
    assert known.store("docker.io", Login("ada", "secret")) == ""
    assert json.loads(home.read_text())["auths"] == {"https://index.docker.io/v1/": {}}
    assert "secret" in helper.read_text()
    assert known.get("docker.io") == Login("ada", "secret")
    known.store("token.lan", Login("bob", "", "identity"))
    assert known.get("token.lan") == Login(identity_token="identity")
    assert known.names()["token.lan"] == "<token>"
    assert not known.get("unknown.lan")
    known.erase("docker.io")
    assert not known.get("docker.io")


@pytest.mark.usefixtures("helper")
def test_a_helper_for_one_registry(home: Path) -> None:
    write(home, {"credHelpers": {"gcr.lan": "test"}, "auths": {"reg.lan": {"auth": auth("a:b")}}})
    Credentials().store("gcr.lan", Login("g", "s"))
    assert Credentials().get("gcr.lan") == Login("g", "s")
    assert Credentials().get("reg.lan") == Login("a", "b")


@pytest.mark.usefixtures("helper")
def test_a_helper_that_is_missing_or_fails_says_no_secret(home: Path, tmp_path: Path) -> None:
    write(home, {"credsStore": "nothere"})
    with pytest.raises(APIError, match=r"docker-credential-nothere.*executable file not found"):
        Credentials().get("x.lan")
    (tmp_path / "bin" / "docker-credential-loud").write_text("#!/bin/sh\ncat\nexit 3\n")
    (tmp_path / "bin" / "docker-credential-loud").chmod(0o755)
    write(home, {"credsStore": "loud"})
    with pytest.raises(APIError, match="exit status 3") as caught:
        Credentials().store("x.lan", Login("ada", "hush-hush"))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "{", '{"credsStore": "../evil"}'])
def test_a_file_that_makes_no_sense_is_named(home: Path, text: str) -> None:
    home.parent.mkdir()
    home.write_text(text)
    with pytest.raises(InvalidArgument, match=r"config\.json"):
        Credentials().get("x.lan")


@pytest.mark.skipif(not shutil.which("docker"), reason="the docker command is not installed")
def test_docker_logs_out_of_what_we_logged_in_to(home: Path) -> None:
    Credentials().store("reg.lan:5000", Login("ada", "x"))
    Credentials().store("docker.io", Login("ada", "y"))
    for words, left in ([["reg.lan:5000"], [key_of("docker.io")]], [[], []]):
        subprocess.run(["docker", "logout", *words], env={**os.environ}, check=True, capture_output=True, timeout=120)
        assert [*(json.loads(home.read_text()).get("auths") or {})] == left
