"""RUN --mount in a build, the same on both runtimes: what is seen, what stays, what counts, what never leaks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.build import Build, mountcache
from minidocker.build.agent import forwarded
from minidocker.build.secrets import agents, values
from minidocker.content import FileLock
from minidocker.engine import Engine
from minidocker.errors import BuildError, InvalidArgument, Unsupported
from minidocker.runtime import probe
from minidocker.runtime.discarding import discard

BASE = "FROM minidocker/base\n"
SECRET = "correct horse battery staple"
FILES = {"a.txt": "A\n", "d/x": "X\n", "d/sub/y": "Y\n", ".dockerignore": "hidden\n", "hidden": "h\n"}


class Bench:
    """An engine, a folder for contexts, and what builds in it say."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.mounts = engine.root / "cache" / "mounts"

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def build(self, text: str, **options: Any) -> Build:
        found = self.engine.images.build(path=str(self.folder), text=BASE + text, **options)[1]
        assert isinstance(found, Build)
        return found

    def said(self, text: str, **options: Any) -> str:
        """The output of the last step."""
        build = self.build(text, **options)
        number = str(build.steps[-1].number)
        lines = "".join(event["stream"] for event in build if event.get("id") == number).splitlines(keepends=True)
        return "".join(line for line in lines[1:] if not line.startswith(" --->"))

    def left(self) -> set[str]:
        """What is in the engine's `tmp`."""
        return {path.name for path in (self.engine.root / "tmp").iterdir()}


@pytest.fixture(scope="module", params=["namespaces", "simulated"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if request.param == "namespaces" and not probe.report().works:
        pytest.skip("no namespaces here")
    root = tmp_path_factory.mktemp(request.param)
    with minidocker.connect(root, request.param) as engine:
        yield engine
    discard(root)


@pytest.fixture
def bench(engine: Engine, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(engine, tmp_path)
    bench.write(FILES)
    yield bench
    assert not bench.left()
    assert engine.images.prune_builds()
    assert not mountcache.usage(bench.mounts)


def last(build: Build) -> Any:
    return build.steps[-1]


# Bind


def test_a_bind_shows_the_context_as_copy_would_see_it(bench: Bench) -> None:
    said = bench.said(
        "RUN --mount=target=/c cat /c/a.txt; ls /c /c/d; stat -c '%u %g %F' /c/d /c/a.txt; ls /c/hidden || true"
    )
    assert said.startswith("A\n/c:\na.txt\nd\n\n/c/d:\nsub\nx\n0 0 directory\n0 0 regular file\n")
    assert "No such file" in said


def test_a_bind_is_read_only_or_forgets(bench: Bench) -> None:
    with pytest.raises(BuildError, match="exit code: 1"):
        bench.build("RUN --mount=target=/c echo x > /c/new")
    build = bench.build("RUN --mount=target=/c,rw rm /c/a.txt && echo x > /c/d/x && echo y > /c/new && ls /c > /seen")
    assert list(last(build).layer.changes) == ["/seen"]
    assert (bench.folder / "a.txt").exists() and not (bench.folder / "new").exists()


def test_a_bind_of_a_stage_an_image_and_a_file(bench: Bench) -> None:
    stages = "RUN true\nFROM minidocker/base AS one\nRUN mkdir /o && echo made > /o/f\nFROM minidocker/base\n"
    mounts = "--mount=from=one,source=o,target=/s --mount=from=minidocker/base,source=etc/passwd,target=/p"
    mounts += " --mount=source=a.txt,target=/deep/er/a"
    assert (
        bench.said(f"{stages}RUN {mounts} cat /s/f /deep/er/a; head -n1 /p")
        == "made\nA\nroot:x:0:0:root:/root:/bin/sh\n"
    )


def test_a_relative_target_is_from_the_working_directory(bench: Bench) -> None:
    assert bench.said("WORKDIR /w\nRUN --mount=source=d,target=in/side pwd; ls in/side; ls /w") == "/w\nsub\nx\nin\n"


def test_only_what_is_mounted_counts(bench: Bench) -> None:
    text = "RUN --mount=source=d,target=/c cat /c/x > /got\n"
    bench.build(text)
    bench.write({"a.txt": "other", "hidden": "other", "e/x": "X\n", "e/sub/y": "Y\n"})
    assert last(bench.build(text)).decision.hit
    assert last(bench.build(text.replace("source=d", "src=./x/../e/"))).decision.hit, "wherever it lies"
    bench.write({"d/sub/y": "changed"})
    assert last(bench.build(text)).decision.reason.startswith("miss because c/sub/y changed (was sha256:")
    (bench.folder / "d" / "x").chmod(0o600)
    assert last(bench.build(text)).decision.reason == "miss because c/x: its mode changed (was 644, now 600)"


def test_the_same_files_under_another_name_are_the_same(bench: Bench) -> None:
    run = "RUN --mount=from={},source={},target=/c cat /c/x > /got"
    stages = "COPY d /one\nFROM minidocker/base AS two\nCOPY d /other/place\nFROM minidocker/base\n"
    build = bench.build("FROM minidocker/base AS one\n" + stages + run.format("one", "one"))
    again = bench.build("FROM minidocker/base AS one\n" + stages + run.format("two", "other/place"))
    assert last(build).decision.key == last(again).decision.key and last(again).decision.hit


def test_a_source_that_is_not_there_and_one_that_would_lead_out(bench: Bench) -> None:
    (bench.folder / "out").symlink_to("/etc")
    for source in ("nope", "../../etc", "out", "../etc/passwd", "a.txt/x"):
        with pytest.raises(BuildError, match=r"failed to compute cache key: .* not found"):
            bench.build(f"RUN --mount=source={source},target=/c cat /c/passwd")


# Tmpfs


def test_a_tmpfs(bench: Bench) -> None:
    build = bench.build("RUN --mount=type=tmpfs,target=/var/big,size=1m echo x > /var/big/x && stat -c %a /var/big")
    assert "1777" in build.log and not last(build).layer.changes
    with pytest.raises(BuildError):
        bench.build("RUN --mount=type=tmpfs,target=/t,size=1m head -c 2000000 /dev/zero > /t/x")


# Cache


def test_a_cache_outlives_builds_and_is_in_no_layer(bench: Bench) -> None:
    text = "RUN --mount=type=cache,target=/root/.cache echo {0} >> /root/.cache/all; cat /root/.cache/all"
    assert bench.said(text.format(1)) == "1\n"
    assert bench.said(text.format(2)) == "1\n2\n"
    assert bench.said(text.format(2), nocache=True) == "1\n2\n2\n"
    assert not last(bench.build(text.format(2))).layer.changes


def test_caches_are_told_apart_by_id_owner_and_origin(bench: Bench) -> None:
    def run(options: str, script: str) -> str:
        return f"RUN --mount=type=cache,{options} {script}\n"

    text = run("target=/a", "touch /a/f") + run("target=/b", "test ! -f /b/f") + run("id=/a,target=/b", "test -f /b/f")
    text += run("id=/a,target=/b,uid=7,gid=8,mode=0751", "test ! -f /b/f && stat -c '%u %g %a' /b")
    assert bench.said(text) == (
        "7 8 751\n" if os.geteuid() == 0 or bench.engine.runtime.name == "simulated" else "0 0 751\n"
    )
    text = "RUN mkdir /s && echo base > /s/f\nFROM minidocker/base\n"
    text += run("target=/k,from=one,source=s", "cat /k/f; echo more >> /k/f") + run(
        "target=/k,from=one,source=s", "cat /k/f"
    )
    assert bench.said("RUN true\nFROM minidocker/base AS one\n" + text) == "base\nmore\n"
    text = run("target=/z,id=sub", "mkdir /z/in && touch /z/in/seen") + run("target=/y,id=sub,source=in", "ls /y")
    assert bench.said(text) == "seen\n"


def test_neither_what_a_cache_holds_nor_its_name_counts(bench: Bench) -> None:
    text = "RUN --mount=type=cache,target=/k{} true\n"
    bench.build(text.format(",id=one"))
    for options in (",id=one", ",id=two", ",id=two,sharing=locked"):
        assert last(bench.build(text.format(options))).decision.hit
    for options in ("", ",id=one,ro", ",id=one,mode=0700", ",id=one,uid=1"):
        assert not last(bench.build(text.format(options))).decision.hit
    run = "RUN --mount=type=tmpfs,target={} true"
    bench.build(run.format("/a"))
    assert last(bench.build(run.format("/b"))).decision.reason.startswith("miss because line 2 changed")
    bench.build(f"ARG WHERE=/a\n{run.format('$WHERE')}".replace("ARG", "ENV"))


def test_a_read_only_cache(bench: Bench) -> None:
    with pytest.raises(BuildError, match="exit code: 1"):
        bench.build("RUN --mount=type=cache,target=/k,ro echo x > /k/x")


def test_hostile_ids_are_names_and_no_paths(bench: Bench) -> None:
    for name in ("../../../../etc", "/", ".", "..", "a/../../b", "x\\y", "%s", "."):
        assert bench.said(f"RUN --mount=type=cache,target=/k,id={name} echo x >> /k/x; wc -l < /k/x") == "1\n"
        bench.engine.images.prune_builds()
    assert {path.name for path in bench.mounts.iterdir()} <= {"lock"}


def test_listed_and_pruned(bench: Bench) -> None:
    bench.build("RUN --mount=type=cache,target=/k,id=mine head -c 5000 /dev/zero > /k/x")
    (record,) = mountcache.usage(bench.mounts)
    assert record["Description"] == (
        'cached mount /k from exec /bin/sh -c head -c 5000 /dev/zero > /k/x with id "mine"'
    )
    assert (record["Type"], record["InUse"], record["UsageCount"]) == ("exec.cachemount", False, 1)
    assert record["Size"] >= 5000
    assert record["ID"] in {one["ID"] for one in bench.engine.df()["BuildCache"]}
    held = FileLock(bench.mounts / record["ID"] / "lock", shared=True)
    with held:
        assert not mountcache.prune(bench.mounts)
        assert mountcache.usage(bench.mounts)[0]["InUse"]
    bench.engine.images.collect()
    assert mountcache.usage(bench.mounts), "garbage is what nobody names"
    assert mountcache.prune(bench.mounts) == {record["ID"]: record["Size"]}
    assert not mountcache.usage(bench.mounts)


def test_who_has_a_cache_at_the_same_time(tmp_path: Path) -> None:
    def take(sharing: str, key: str = "k", check: Any = lambda: None) -> Any:
        return mountcache.taken(tmp_path / "m", key, sharing, "why", check)

    with take("shared") as one, take("shared") as two, take("private") as three, take("private") as four:
        assert (one.name, two.name, three.name, four.name) == ("k.0", "k.0", "k.1", "k.2")
    with take("locked") as one, take("locked", "other") as two, take("shared") as three:
        assert (one.name, two.name, three.name) == ("k.0", "other.0", "k.1")

    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    with take("locked") as one, take("locked") as two, take("locked") as three:
        assert len({one, two, three}) == 3
        with pytest.raises(Enough), take("locked", check=check):
            pass
    with take("locked") as again:
        assert again.name == "k.0"


def test_locked_steps_of_two_stages_come_one_after_the_other(bench: Bench) -> None:
    def step(number: int, first: str, second: str) -> str:
        mounts = (f"--mount=type=cache,target={target},id={target},sharing=locked" for target in (first, second))
        return f"RUN {' '.join(mounts)} mkdir /x/busy && echo {number} >> /x/all && sleep 0.2 && rmdir /x/busy\n"

    text = f"RUN true\n{BASE.strip()} AS one\n{step(1, '/x', '/y')}{BASE.strip()} AS two\n{step(2, '/y', '/x')}{BASE}"
    bench.build(text + "COPY --from=one /etc/passwd /1\nCOPY --from=two /etc/passwd /2\n")
    assert bench.said("RUN --mount=type=cache,target=/z,id=/x sort /z/all") == "1\n2\n"


# Secrets


def test_a_secret_is_seen_and_leaves_no_trace(bench: Bench) -> None:
    script = "grep -c horse /run/secrets/key && stat -c '%a %u' /run/secrets/key && echo $KEY | wc -c"
    text = f"RUN --mount=type=secret,id=key --mount=type=secret,id=key,env=KEY {script}\nRUN ls /run/secrets"
    build = bench.build(f"{text} || echo gone", secrets={"key": SECRET})
    assert "1\n400 0\n29\n" in build.log and "gone" in build.log
    assert not any(step.layer.changes for step in build.steps[1:] if step.layer)
    assert SECRET not in repr(build.steps) + repr(list(build)) + repr(build.image.raw)  # type: ignore[union-attr]
    for path in bench.engine.root.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_neither_its_content_nor_that_it_is_there_counts(bench: Bench) -> None:
    text = "RUN --mount=type=secret,id=key cat /run/secrets/key || true"
    bench.build(text, secrets={"key": "1"})
    assert last(bench.build(text, secrets={"key": "2"})).decision.hit
    assert last(bench.build(text)).decision.hit
    assert not last(bench.build(text.replace("id=key", "id=key,mode=0444"))).decision.hit
    assert not last(bench.build(text.replace("id=key", "id=other,target=/run/secrets/key"))).decision.hit


def test_where_it_goes(bench: Bench) -> None:
    def see(options: str, script: str) -> str:
        return bench.said(f"WORKDIR /w\nENV E=old\nRUN --mount=type=secret,{options} {script}", secrets={"s": "S\n"})

    assert see("id=s,target=key", "cat /w/key") == "S\n"
    assert see("target=/etc/s", "cat /etc/s") == "S\n", "the id is the target's last name"
    assert see("source=s", "cat /run/secrets/s") == "S\n"
    assert see("id=s,env=E", "ls /run/secrets || echo $E").endswith("S\n")
    assert see("id=s,env=E,target=/t", "echo $E; cat /t") == "S\nS\n"
    assert see("id=none,env=E", "echo [$E]") == "[]\n"
    assert see("id=s,target=/etc/passwd", "cat /etc/passwd") == "S\n"


def test_one_that_is_not_there(bench: Bench) -> None:
    assert bench.said("RUN --mount=type=secret,id=none ls /run/secrets || echo none").endswith("none\n")
    for options in ("id=none,required", "id=none,required=1,env=X"):
        with pytest.raises(BuildError, match=r"^secret none: not found$"):
            bench.build(f"RUN --mount=type=secret,{options} true", secrets={"other": "x"})


def test_a_failed_step_leaves_no_trace_either(bench: Bench) -> None:
    with pytest.raises(BuildError):
        bench.build("RUN --mount=type=secret,id=key cat /run/secrets/key > /layer; false", secrets={"key": SECRET})
    for path in bench.engine.root.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_what_secret_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"\xff\n")
    texts = ["id=a,src=file", "ID=b,Source=file,type=file", "id=c,env=TOKEN", "id=d,type=env,src=TOKEN", "id=TOKEN"]
    assert values([*texts, "id=file", "id=e,env=UNSET_"]) == {
        **dict.fromkeys(("a", "b", "file"), b"\xff\n"),
        **dict.fromkeys(("c", "d", "TOKEN"), b"t"),
        "e": b"",
    }
    assert values({"a": "é", "b": b"\0", "c": tmp_path / "file"}) == {"a": "é".encode(), "b": b"\0", "c": b"\xff\n"}
    (tmp_path / "big").write_bytes(b"x" * (500 * 1024 + 1))
    for text, words in {
        "id": "invalid field 'id' must be a key=value pair",
        "id=a,x=y": "unexpected key 'x' in 'x=y'",
        "id=a,type=z": 'unsupported secret type "z"',
        "src=file": "secret missing ID",
        "id=a,src=none": "failed to stat none: stat none: no such file or directory",
        "id=a,src=big": "secret a too big. max size 500KB",
        'id="a': "failed to parse csv secret: ",
    }.items():
        with pytest.raises(InvalidArgument, match=words):
            values([text])


# ssh


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """The socket of a real agent that holds a key."""
    if not shutil.which("ssh-agent") or not shutil.which("ssh-keygen"):
        pytest.skip("ssh-agent is not installed")
    path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        while not Path(path).exists():
            time.sleep(0.01)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
        subprocess.run(["ssh-add", "-q", tmp_path / "key"], env=os.environ | {"SSH_AUTH_SOCK": path}, check=True)
        yield path
    finally:
        process.terminate()
        process.wait()


def test_an_agent_lists_and_signs_and_learns_nothing(agent: str, tmp_path: Path) -> None:
    def ask(*command: str) -> int:
        return subprocess.run(command, env=os.environ | {"SSH_AUTH_SOCK": path}, capture_output=True).returncode

    with forwarded(agent, 0o640, 0, 0) as path:
        assert Path(path).stat().st_mode & 0o777 == 0o640
        assert ask("ssh-add", "-l") == 0
        (tmp_path / "text").write_text("hello")
        assert ask("ssh-keygen", "-Y", "sign", "-f", f"{tmp_path}/key.pub", "-n", "file", f"{tmp_path}/text") == 0
        assert ask("ssh-add", "-D") != 0 and ask("ssh-add", f"{tmp_path}/key") != 0
        with socket.socket(socket.AF_UNIX) as odd:
            odd.connect(path)
            odd.sendall(b"\xff\xff\xff\xff")
            assert odd.recv(1) == b""
        assert ask("ssh-add", "-l") == 0
    assert not Path(path).exists()


def test_a_run_gets_a_socket(bench: Bench, agent: str) -> None:
    text = "RUN --mount=type=ssh,mode=0741 test -S $SSH_AUTH_SOCK && stat -c %a $SSH_AUTH_SOCK && echo $SSH_AUTH_SOCK"
    if bench.engine.runtime.name == "simulated":
        with pytest.raises(Unsupported, match="RUN --mount=type=ssh is not supported by the simulated runtime"):
            bench.build(text, ssh={"default": agent})
        return
    build = bench.build(text, ssh={"default": agent})
    assert "741\n/run/buildkit/ssh_agent.0\n" in build.log and not last(build).layer.changes
    two = "RUN --mount=type=ssh,id=other,target=/b --mount=type=ssh,target=/a echo $SSH_AUTH_SOCK; ls /a /b"
    assert bench.said(two, ssh=[f"default={agent}", f"other={agent}"]) == "/b\n/a\n/b\n"


def test_without_an_agent(bench: Bench) -> None:
    assert bench.said("RUN --mount=type=ssh echo $SSH_AUTH_SOCK; ls /run || true").startswith(
        "/run/buildkit/ssh_agent.0"
    )
    with pytest.raises(BuildError, match=r'^no SSH key "" forwarded from the client$'):
        bench.build("RUN --mount=type=ssh,required true")


def test_what_ssh_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(InvalidArgument, match="invalid empty ssh agent socket"):
        agents(["default"])
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    with pytest.raises(Unsupported, match="minidocker reads no private keys"):
        agents([f"deploy={tmp_path}/key"])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path := str(tmp_path / "s"))
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        assert agents(["default", f"two={path}"]) == {"default": path, "two": path}
        with pytest.raises(InvalidArgument, match="only single socket allowed"):
            agents([f"a={path},{path}"])
        with pytest.raises(InvalidArgument, match=r"invalid duplicate ID default"):
            agents(["default", f"={path}"])


# Places


def test_a_target_never_leads_out_and_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    marker = tmp_path / "outside"
    marker.mkdir()
    climb = "../" * 12 + str(marker)[1:]
    text = f"RUN ln -s {climb} /link && ln -s {marker}/x /file && mkdir -p {marker}\n"
    text += "RUN --mount=type=cache,target=/link/in/side --mount=type=tmpfs,target=/link/t touch /link/in/side/f\n"
    build = bench.build(text)
    assert not list(marker.iterdir()) and not last(build).layer.changes


def test_what_is_beside_a_mount_stays(bench: Bench) -> None:
    build = bench.build(
        "RUN --mount=type=cache,target=/k/c --mount=type=tmpfs,target=/e/f/g echo x > /k/own && mkdir /e/h"
    )
    assert list(last(build).layer.changes) == ["/e", "/e/h", "/k", "/k/own"]


def test_mounts_in_mounts(bench: Bench) -> None:
    text = "RUN --mount=type=tmpfs,target=/k/t --mount=type=cache,target=/k --mount=type=secret,id=s,target=/k/t/s {}"
    assert (
        bench.said(text.format("touch /k/kept /k/t/lost; ls /k /k/t"), secrets={"s": ""})
        == "/k:\nkept\nt\n\n/k/t:\nlost\ns\n"
    )
    assert bench.said("RUN --mount=type=cache,target=/k ls /k /k/t") == "/k:\nkept\nt\n\n/k/t:\n"
    with pytest.raises(BuildError, match="read-only file system"):
        bench.build("RUN --mount=type=tmpfs,target=/c/new --mount=target=/c true")


def test_an_interrupted_step_leaves_nothing(bench: Bench) -> None:
    heard: list[str] = []

    def hear(event: dict[str, Any]) -> None:
        heard.append(event.get("stream", ""))
        if "begun" in heard[-1]:
            raise KeyboardInterrupt

    mounts = "--mount=target=/c,rw --mount=type=cache,target=/k,sharing=locked --mount=type=secret,id=s"
    more = 60 if bench.engine.runtime.attachable else 0.1  # what is simulated is heard when the step has ended
    with pytest.raises(KeyboardInterrupt):
        bench.build(f"RUN {mounts} echo be-gun | tr -d -; sleep {more}", secrets={"s": SECRET}, on_event=hear)
    assert not bench.left()
    done = threading.Event()
    with mountcache.taken(bench.mounts, mountcache.usage(bench.mounts)[0]["ID"][:-2], "locked", "", done.set):
        assert not done.is_set(), "the lock is free"


def test_a_trigger_mounts_too(bench: Bench) -> None:
    bench.engine.images.build(text=BASE + "ONBUILD RUN --mount=target=/c cat /c/a.txt > /got\n", tag="parent")
    build = bench.engine.images.build(path=str(bench.folder), text="FROM parent\n")[1]
    assert build.image.tree()["/got"].data.read() == b"A\n"
