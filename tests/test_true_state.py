"""What is read of a container is true, whatever was killed, cut short or deleted; nothing hangs, nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.container import Container
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, NotFound
from tests.until import until

IMAGE = "minidocker/base"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")


@pytest.fixture
def run(engine: Engine) -> Iterator[Callable[..., Container]]:
    """A container that runs."""
    every: list[Container] = []

    def start(command: Any = "sleep 100", **options: Any) -> Container:
        every.append(engine.containers.run(IMAGE, command, detach=True, **options))
        return every[-1]

    yield start
    for container in every:
        with contextlib.suppress(NotFound):
            container.remove(force=True)


def real(engine: Engine) -> None:
    if engine.runtime.name != "namespaces":
        pytest.skip("there are no processes of its own in the simulated runtime")


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def vanished(path: Path) -> bool:
    return not path.exists()


def kill_monitor(container: Container) -> int:
    """Kill its monitor; the number of its first process."""
    state = container.state()
    os.kill(state["Monitor"], signal.SIGKILL)
    until(lambda: gone(state["Monitor"]))
    return int(state["Pid"])


def test_a_killed_monitor(engine: Engine, run: Callable[..., Container]) -> None:
    container = run(healthcheck={"test": "true"}, restart_policy={"Name": "always"})
    with engine.events(decode=True) as stream:
        pid = kill_monitor(container)
        assert container.wait(timeout=120)["StatusCode"] == 137
        assert (container.status, container.health, container.attrs["State"]["Pid"]) == ("exited", "unhealthy", 0)
        event = next(stream)
    assert (event["Action"], event["Actor"]["Attributes"]["exitCode"]) == ("die", "137")
    until(lambda: gone(pid))
    container.start()
    assert container.status == "running"


def test_a_killed_monitor_of_a_paused_container(run: Callable[..., Container]) -> None:
    """Its processes are frozen: they could not even die."""
    container = run()
    container.pause()
    pid = kill_monitor(container)
    assert container.status == "exited"
    until(lambda: gone(pid))
    container.start()
    assert container.status == "running"


def test_a_killed_monitor_that_waits_to_restart(run: Callable[..., Container]) -> None:
    container = run("false", restart_policy={"Name": "always"})
    until(lambda: container.attrs["RestartCount"] >= 2 and container.status == "restarting")
    kill_monitor(container)
    assert container.wait(timeout=120)["StatusCode"] == 137
    count = container.attrs["RestartCount"]
    time.sleep(0.5)
    assert (container.status, container.attrs["RestartCount"]) == ("exited", count)


def test_a_killed_launcher(engine: Engine, run: Callable[..., Container]) -> None:
    real(engine)
    container = run()
    launcher = engine.runtime._launcher  # type: ignore[attr-defined]
    os.kill(launcher._pid, signal.SIGKILL)
    assert container.exec_run("echo hi").output == b"hi\n"
    assert run("true").wait(timeout=120)["StatusCode"] == 0
    assert container.status == "running"


def test_after_a_reboot(engine: Engine, run: Callable[..., Container]) -> None:
    """As Docker: exit code 255, since nobody knows how it ended; what has a policy is started by a daemon."""
    policies = [{"Name": name} for name in ("no", "always", "unless-stopped", "on-failure", "unless-stopped")]
    every = [run("sleep 100", restart_policy=policy) for policy in policies]
    every[-1].stop(timeout=0)
    for container in every[:-1]:
        kill_monitor(container)
        state = json.loads((container.path / "state.json").read_text())
        (container.path / "state.json").write_text(json.dumps(state | {"Boot": "another", "Pid": os.getpid()}))
    assert [container.state()["ExitCode"] for container in every] == [255, 255, 255, 255, 137]
    assert {container.status for container in every} == {"exited"}
    created = engine.containers.create(IMAGE, "sleep 100", restart_policy={"Name": "always"})
    revived = engine.containers.revive()
    assert {container.id for container in revived} == {container.id for container in every[1:4]}
    assert [container.status for container in every] == ["exited", "running", "running", "running", "exited"]
    assert created.status == "created"
    created.remove()


def test_the_number_of_its_process_is_another_s(run: Callable[..., Container]) -> None:
    container = run()
    kill_monitor(container)
    bystander = subprocess.Popen(["sleep", "100"])
    state = json.loads((container.path / "state.json").read_text())
    lies = {"Pid": bystander.pid, "Monitor": bystander.pid}
    (container.path / "state.json").write_text(json.dumps(state | lies))
    container.remove(force=True)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("content", ["", '{"Status": "run'])
def test_a_state_cut_short(engine: Engine, run: Callable[..., Container], content: str) -> None:
    container = run()
    kill_monitor(container)
    (container.path / "state.json").write_text(content)
    state = container.attrs["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 255)
    assert "lost" in state["Error"]
    assert container in engine.containers.list(all=True)
    container.start()
    assert (container.status, container.attrs["State"]["Error"]) == ("running", "")


def test_a_configuration_cut_short(engine: Engine, run: Callable[..., Container]) -> None:
    container = run("sleep 100", name="cut")
    kill_monitor(container)
    (container.path / "config.json").write_text('{"Id"')
    assert container not in engine.containers.list(all=True)
    with pytest.raises(NotFound):
        engine.containers.get("cut")
    engine.containers.create(IMAGE, "true", name="cut").remove()
    engine.containers.prune()
    assert not container.path.exists()


def test_a_clock_that_goes_back(run: Callable[..., Container]) -> None:
    container = run("true")
    container.wait(timeout=120)
    state = json.loads((container.path / "state.json").read_text())
    later = {"StartedAt": "2999-01-01T00:00:00Z", "FinishedAt": "2999-01-01T00:00:01Z"}
    (container.path / "state.json").write_text(json.dumps(state | later))
    assert container.summary()["Status"] == "Exited (0) Less than a second ago"
    container.start()
    assert container.wait(timeout=120)["StatusCode"] == 0


def test_its_folder_is_deleted_underneath(engine: Engine, run: Callable[..., Container]) -> None:
    real(engine)
    container = run()
    state = container.state()
    shutil.rmtree(container.path)
    until(lambda: gone(state["Pid"]) and gone(state["Monitor"]))
    with pytest.raises(NotFound):
        engine.containers.get(container.id)
    assert container not in engine.containers.list(all=True)


WORK = """
import sys, minidocker
engine = minidocker.connect(sys.argv[1], runtime=sys.argv[2])
print("ready", flush=True)
container = engine.containers.create("minidocker/base", "sleep 100", name="victim")
while True:
    container.start()
    container.exec_run("true")
    container.stop(timeout=0)
"""


def test_an_engine_killed_in_the_middle(engine: Engine) -> None:
    """Of start, exec or stop: the container is as it says, and can be removed."""
    engine.images.get(IMAGE)
    for pause in (0.05, 0.15, 0.3):
        words = [sys.executable, "-c", WORK, str(engine.root), engine.runtime.name]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        time.sleep(pause)
        child.kill()
        child.communicate()
        for container in engine.containers.list(all=True, filters={"name": "victim"}):
            status = container.status
            assert status in ("created", "running", "exited")
            if status == "running":  # unless the last words of that engine are just killing it
                with contextlib.suppress(Conflict):
                    said = container.exec_run("echo hi").output
                    assert (
                        said == b"hi\n" or b"cannot exec in a stopped container" in said or container.wait(timeout=120)
                    )
            container.remove(force=True)


class TestRemovedByItself:
    """`--rm`, without an engine that looks."""

    def test_it_goes_when_its_program_has_ended(self, engine: Engine) -> None:
        real(engine)
        with engine.events(decode=True, filters={"container": "short"}) as stream:
            container = engine.containers.run(IMAGE, "sleep 0.2", detach=True, remove=True, name="short")
            engine.close()
            until(lambda: not container.path.exists())
            assert [next(stream)["Action"] for _ in range(4)] == ["create", "start", "die", "destroy"]
        assert not (engine.containers.folder / "names" / "short").exists()

    def test_but_not_before_those_who_wait_know_its_exit_code(self, engine: Engine) -> None:
        for condition in ("not-running", "removed"):
            container = engine.containers.run(IMAGE, ["sh", "-c", "sleep 0.4; exit 4"], detach=True, remove=True)
            assert container.wait(condition=condition, timeout=120)["StatusCode"] == 4
            until(partial(vanished, container.path))

    def test_restarted_it_stays(self, engine: Engine) -> None:
        container = engine.containers.run(IMAGE, "sleep 100", detach=True, remove=True)
        container.restart(timeout=0)
        assert container.status == "running"
        container.stop(timeout=0)
        until(lambda: not container.path.exists())


class TestFullDisk:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Engine]:
        """An engine on a disk that is soon full."""
        mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", str(tmp_path)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("a small disk needs root")
        try:
            with minidocker.connect(tmp_path / "root", runtime="namespaces") as engine:
                engine.containers.run(IMAGE, "true", remove=True)
                yield engine
        except APIError as error:
            pytest.skip(f"no containers on a small disk: {error}")
        finally:
            subprocess.run(["umount", "-l", str(tmp_path)], check=True)

    def test_it_ends_as_it_ended(self, small: Engine) -> None:
        fill = "cat /dev/zero > /big; echo full; sleep 0.3; exit 5"
        container = small.containers.run(IMAGE, ["sh", "-c", fill], detach=True, name="fat")
        assert container.wait(timeout=120)["StatusCode"] == 5
        assert (container.status, container.attrs["State"]["Pid"]) == ("exited", 0)
        with pytest.raises(APIError, match=r"(?i)no space left on device"):
            small.containers.create(IMAGE, "true", name="thin")
        assert [each.name for each in small.containers.list(all=True)] == ["fat"]
        container.remove()
        until(lambda: os.statvfs(small.root).f_bavail > 1000)  # what was removed is deleted behind one's back
        assert small.containers.run(IMAGE, "echo room", remove=True) == b"room\n"

    def test_one_that_runs_can_be_stopped(self, small: Engine) -> None:
        container = small.containers.run(IMAGE, ["sh", "-c", "cat /dev/zero > /big; sleep 100"], detach=True)
        until(lambda: os.statvfs(small.root).f_bavail == 0)
        assert container.status == "running"
        container.stop(timeout=0)
        assert (container.status, container.state()["ExitCode"]) == ("exited", 137)
        container.remove()
