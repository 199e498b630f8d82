"""The simulated runtime keeps the contract of `minidocker.runtime`: state, log, signals, files, exit codes."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from minidocker.content import FileLock, read_json
from minidocker.errors import Conflict, StartError
from minidocker.layer import WHITEOUT, Changeset, directory, file
from minidocker.runtime import Bind, Box, Process, Stdio
from minidocker.runtime.simulated.applets import COMMANDS
from minidocker.runtime.simulated.kernel import STUB
from minidocker.runtime.simulated.runtime import Simulated
from tests.until import until


@dataclass
class FakeLayer:
    """A layer without a store."""

    changes: Changeset
    diff_id: str = "sha256:0"

    def path(self) -> Path:
        raise NotImplementedError


def base() -> FakeLayer:
    entries = {f"/bin/{name}": file(STUB, 0o755) for name in COMMANDS}
    entries["/etc/passwd"] = file(b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n")
    entries["/etc/group"] = file(b"root:x:0:\napp:x:1001:\nextra:x:2000:app\n")
    return FakeLayer(
        Changeset(
            entries | {"/root": directory(0o700), "/tmp": directory(0o1777), "/bin/elf": file(b"\x7fELF\0", 0o755)}
        )
    )


@dataclass
class Container:
    """A box and what it said."""

    path: Path
    runtime: Simulated
    layers: tuple[FakeLayer, ...] = field(default_factory=lambda: (base(),))

    def box(self, *args: str, **options: Any) -> Box:
        process = Process(args, options.pop("env", ()), options.pop("cwd", "/"), options.pop("user", ""))
        return Box(self.path, self.layers, process, "box", **options)

    def run(self, script: str, **options: Any) -> tuple[int, str]:
        """Run a script in the foreground: exit code and output, standard error after the rest."""
        box = self.box("sh", "-c", script, **options)
        self.path.mkdir(exist_ok=True)
        with (self.path / "out").open("w+b") as out, (self.path / "err").open("w+b") as err:
            self.runtime.start(box, Stdio(None, out.fileno(), err.fileno()))
            out.seek(0)
            err.seek(0)
            return self.state()["ExitCode"], (out.read() + err.read()).decode()

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = read_json(self.path / "state.json")
        return state

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.path / "log.jsonl").read_text().splitlines()]

    def ended(self) -> bool:
        lock = FileLock(self.path / "monitor.lock", shared=True)
        if not lock.acquire(blocking=False):
            return False
        lock.release()
        return True


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    found = Container(tmp_path / "box", Simulated())
    yield found
    if (found.path / "monitor.lock").exists() and not found.ended():
        (found.path / "stopped").touch()
        found.runtime.signal(found.box("sh"), 9)
        until(found.ended)


# In the foreground


def test_exit_code_output_and_log(container: Container) -> None:
    assert container.run("echo out; echo err >&2; printf end; exit 3") == (3, "out\nenderr\n")
    assert [(record["stream"], record["log"]) for record in container.log()] == [
        ("stdout", "out\n"),
        ("stderr", "err\n"),
        ("stdout", "end"),
    ]
    state = container.state()
    assert (state["Status"], state["Running"], state["Pid"]) == ("exited", False, 0)
    assert state["StartedAt"] <= state["FinishedAt"]


def test_the_writable_layer_stays_until_it_is_removed(container: Container) -> None:
    container.run("mkdir /d; echo hi > /d/f; rm /etc/group; chmod 600 /etc/passwd; ln -s f /d/l")
    changes = container.runtime.changes(container.box("sh"))
    assert {path: entry.kind for path, entry in changes.items()} == {
        "/d": "dir",
        "/d/f": "file",
        "/d/l": "symlink",
        "/etc": "dir",
        "/etc/group": "whiteout",
        "/etc/passwd": "file",
    }
    assert changes["/d/f"].data.read() == b"hi\n"
    another = Container(container.path, Simulated())
    assert another.run("cat /d/l; ls /etc") == (0, "hi\nhostname\nhosts\npasswd\nresolv.conf\n")
    container.runtime.remove(container.box("sh"))
    assert list(container.runtime.changes(container.box("sh"))) == []


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("nope",), 127, 'exec: "nope": executable file not found in $PATH'),
        (("/nope",), 127, 'exec: "/nope": stat /nope: no such file or directory'),
        (("/etc/passwd",), 126, 'exec: "/etc/passwd": permission denied'),
        (("elf",), 127, "cannot run 'elf'"),
    ],
)
def test_a_program_that_cannot_be_started(container: Container, args: tuple[str, ...], code: int, words: str) -> None:
    for stdio in (Stdio(), Stdio(stdout=1)):
        with pytest.raises(StartError, match=words.replace("$", "\\$")) as caught:
            container.runtime.start(container.box(*args), stdio)
        assert caught.value.exit_code == code


def test_an_image_without_anything_has_no_shell(container: Container) -> None:
    container.layers = ()
    with pytest.raises(StartError) as caught:
        container.runtime.start(container.box("sh"), Stdio(stdout=1))
    assert caught.value.exit_code == 127


def test_user_environment_and_working_directory(container: Container) -> None:
    show = "id -u; id -g; id -G; pwd; echo $HOME $A"
    assert (
        container.run(show, user="app", cwd="/srv/new", env=("A=1",))[1]
        == "1000\n1001\n1001 2000\n/srv/new\n/home/app 1\n"
    )
    assert container.run(show, user="app:root")[1] == "1000\n0\n0\n/\n/home/app\n"
    assert container.run(show, user="7:8", cwd="/tmp")[1] == "7\n8\n8\n/tmp\n/\n"
    with pytest.raises(StartError, match="unable to find user bob"):
        container.run("true", user="bob")


def test_standard_input(container: Container) -> None:
    there, here = os.pipe()
    os.write(here, b"hello\nworld\n")
    os.close(here)
    with (container.path.parent / "out").open("w+b") as out:
        container.runtime.start(container.box("sh", "-c", "read x; echo got $x; wc -c"), Stdio(there, out.fileno()))
        out.seek(0)
        assert out.read() == b"got hello\n6\n"
    os.close(there)


def test_read_only(container: Container) -> None:
    code, said = container.run("echo x > /f; echo y > /dev/null && echo fine", read_only=True)
    assert (code, said) == (0, "fine\nsh: /f: Read-only file system\n")


def test_docker_s_files_are_there_and_in_no_layer(container: Container) -> None:
    assert (
        container.run("cat /etc/hostname; hostname; grep -c localhost /etc/hosts; test -c /dev/null")[1]
        == "box\nbox\n2\n"
    )
    assert list(container.runtime.changes(container.box("sh"))) == []


# Binds


def test_a_bind_shows_a_folder_of_the_host(container: Container, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "there").write_text("host\n")
    bind = Bind(str(source), "/data")
    assert container.run(
        "cat /data/there; mkdir /data/d; echo new > /data/d/f; mv /data/there /data/d/; ls /data", mounts=(bind,)
    ) == (
        0,
        "host\nd\n",
    )
    assert (source / "d" / "f").read_text() == "new\n"
    assert not container.runtime.changes(container.box("sh"))  # nor does the place that was made for it show
    code, said = container.run("rm -r /data/d; echo x > /data/x", mounts=(replace(bind, read_only=True),))
    assert code == 1
    assert "Read-only file system" in said


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_nothing_leads_out_of_a_bind(container: Container, tmp_path: Path) -> None:
    source, secret = tmp_path / "source", tmp_path / "secret"
    source.mkdir()
    secret.mkdir()
    (secret / "key").write_text("secret\n")
    (source / "file").symlink_to(secret / "key")
    (source / "folder").symlink_to(secret)
    (source / "up").symlink_to("../../../../../../../../etc")
    script = (
        "cat /data/file; cat /data/folder/key; echo x > /data/file; echo x > /data/folder/new; cat /data/../secret/key;"
    )
    script += "chmod 777 /data/folder; chown -h 1 /data/file; cat /data/up/passwd; ln -s /etc /data/own;"
    script += "cat /data/own/group; rm -r /data/folder"
    before = (secret.stat().st_mode, (secret / "key").stat().st_uid)
    _, said = container.run(script, mounts=(Bind(str(source), "/data"),))
    assert "secret\n" not in said
    assert "app:x:1000" in said  # the container's own /etc/passwd
    assert "extra:x:2000" in said
    assert (secret / "key").read_text() == "secret\n"
    assert [path.name for path in secret.iterdir()] == ["key"]
    assert (secret.stat().st_mode, (secret / "key").stat().st_uid) == before


def test_files_are_copied_into_a_bind(container: Container, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    box = container.box("true", mounts=(Bind(str(source), "/data"),))
    entries = {"/data/d": directory(), "/data/d/f": file(b"in the bind"), "/own": file(b"in the layer")}
    container.runtime.apply(box, Changeset(entries))
    assert (source / "d" / "f").read_bytes() == b"in the bind"
    assert set(container.runtime.changes(box)) == {"/own"}


# Detached


def test_a_detached_container_lives_with_its_monitor(container: Container) -> None:
    box = container.box(
        "sh", "-c", "trap 'echo bye; exit 7' TERM; echo up; echo 1 > /made; while :; do sleep 0.02; done"
    )
    container.runtime.start(box)
    until(lambda: (container.path / "log.jsonl").exists() and bool(container.log()))
    state = container.state()
    assert (state["Status"], state["Running"]) == ("running", True)
    assert state["Monitor"] not in (0, os.getpid())
    other = Simulated()  # another engine
    with (container.path / "out").open("w+b") as out:
        until(lambda: "/made" in other.changes(box))
        assert (
            other.exec(
                box,
                Process(("sh", "-c", "cat /made; echo 2 > /by-exec; kill -0 1 && ps | grep -c '^ *1 root'; exit 5")),
                Stdio(None, out.fileno()),
            )
            == 5
        )
        out.seek(0)
        assert out.read() == b"1\n1\n"
    assert "/by-exec" in container.runtime.changes(box)
    assert any(row["pid"] == 1 and row["command"].startswith("sh -c trap") for row in other.top(box))
    with pytest.raises(Conflict):
        other.remove(box)
    other.signal(box, 15)
    until(container.ended)
    assert container.state()["ExitCode"] == 7
    assert [record["log"] for record in container.log()] == ["up\n", "bye\n"]
    with pytest.raises(Conflict):
        other.signal(box, 15)


def test_process_1_has_no_default_action_for_signals(container: Container) -> None:
    box = container.box("sh", "-c", "echo up; sleep 30")
    container.runtime.start(box)
    until(lambda: (container.path / "log.jsonl").exists())
    container.runtime.signal(box, 15)
    container.runtime.signal(box, 2)
    time.sleep(0.2)
    assert not container.ended()
    container.runtime.signal(box, 9)
    until(container.ended)
    assert container.state()["ExitCode"] == 137


def test_exec_may_kill_what_runs_inside(container: Container) -> None:
    box = container.box("sh", "-c", "sleep 30; echo woken $?")
    container.runtime.start(box)
    until(lambda: len(container.runtime.top(box)) == 2)
    pid = next(row["pid"] for row in container.runtime.top(box) if row["pid"] != 1)
    assert container.runtime.exec(box, Process(("kill", str(pid)))) == 0
    until(container.ended)
    assert container.log()[-1]["log"] == "woken 143\n"


def test_pause_and_unpause(container: Container) -> None:
    box = container.box("sh", "-c", "while :; do echo tick; sleep 0.01; done")
    container.runtime.start(box)
    container.runtime.pause(box)
    assert container.state()["Status"] == "paused"
    before = len(container.log())
    time.sleep(0.15)
    assert len(container.log()) == before
    with pytest.raises(Conflict):
        container.runtime.pause(box)
    container.runtime.unpause(box)
    until(lambda: len(container.log()) > before)
    container.runtime.pause(box)
    container.runtime.signal(box, 9)  # also a frozen one dies
    until(container.ended)


def test_restart_policies(container: Container) -> None:
    box = container.box("sh", "-c", "echo x >> /count; exit 3", restart=("on-failure", 2))
    container.runtime.start(box)
    until(container.ended)
    state = container.state()
    assert (state["RestartCount"], state["ExitCode"], state["Status"]) == (2, 3, "exited")
    assert container.runtime.changes(box)["/count"].data.read() == b"x\n" * 3


def test_no_policy_applies_to_what_a_person_stopped(container: Container) -> None:
    box = container.box("sleep", "30", restart=("always", 0))
    container.runtime.start(box)
    (container.path / "stopped").touch()
    container.runtime.signal(box, 9)
    until(container.ended)
    assert container.state()["RestartCount"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_with_its_monitor_a_container_dies(container: Container) -> None:
    container.runtime.start(container.box("sleep", "30"))
    os.kill(container.state()["Monitor"], 9)
    until(container.ended)
    assert container.state()["Running"]  # what the engine then sees as killed: a state that nobody keeps


def test_files_are_copied_into_a_running_container(container: Container) -> None:
    box = container.box("sh", "-c", "until test -f /in; do sleep 0.02; done; cat /in; test -f /etc/group || echo gone")
    container.runtime.start(box)
    Simulated().apply(box, Changeset({"/in": file(b"copied\n"), "/etc/group": WHITEOUT}))
    until(container.ended)
    assert [record["log"] for record in container.log()] == ["copied\n", "gone\n"]


def test_two_processes_write_at_the_same_time_and_nothing_is_lost(container: Container) -> None:
    box = container.box(
        "sh", "-c", "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo m >> /m$i; sleep 0.002; done; sleep 30"
    )
    container.runtime.start(box)
    script = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo e >> /e$i; sleep 0.002; done"
    thread = threading.Thread(target=lambda: container.runtime.exec(box, Process(("sh", "-c", script))))
    thread.start()
    thread.join()
    until(lambda: len(Simulated().changes(box)) == 80)


def test_long_lines_are_cut_into_records_of_16_kib(container: Container) -> None:
    container.run("yes aaaaaaa | head -n 3000 | tr -d '\\n'; echo")
    assert [len(record["log"]) for record in container.log()] == [16384, 21001 - 16384]
