"""The life of a container: what each method does in each state, as recorded from Docker's engine 20.10 (API 1.41)."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minidocker.container import Container, life
from minidocker.container import state as states
from minidocker.container.waiting import Waiting
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, ContainerError, InvalidArgument, NotFound, StartError
from minidocker.runtime import monitor
from tests.until import HANG, until

IMAGE = "minidocker/base"
PATIENT = ["sh", "-c", "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.05; done"]
DEAF = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]


@pytest.fixture
def made(engine: Engine) -> Iterator[Callable[..., Container]]:
    """Make a container in a state; it is gone after the test."""
    every: list[Container] = []

    def make(state: str = "created", command: Any = PATIENT, **options: Any) -> Container:
        container = engine.containers.create(IMAGE, command, **options)
        every.append(container)
        if state != "created":
            container.start()
            ready(container)
        if state == "paused":
            container.pause()
        if state == "exited":
            container.kill()
        if state == "removed":
            container.remove(force=True)
        return container

    yield make
    for container in every:
        with contextlib.suppress(NotFound):
            container.remove(force=True)


def ready(container: Container, starts: int = 1) -> None:
    """Wait until the shell has set its traps, as often as it was started."""
    if container.config["Config"]["Cmd"] in (PATIENT, DEAF):
        until(lambda: container.logs().count(b"ready\n") >= starts)


def status(container: Container) -> str:
    try:
        return container.status
    except NotFound:
        return "removed"


NOT_RUNNING = (Conflict, "is not running")
CALLS: dict[str, Callable[[Container], Any]] = {
    "start": lambda c: c.start(),
    "stop": lambda c: c.stop(timeout=1),
    "kill": lambda c: c.kill(),
    "wink": lambda c: c.kill("WINCH"),
    "restart": lambda c: c.restart(timeout=1),
    "pause": lambda c: c.pause(),
    "unpause": lambda c: c.unpause(),
    "remove": lambda c: c.remove(),
    "force": lambda c: c.remove(force=True),
    "logs": lambda c: c.logs(),
    "diff": lambda c: c.diff(),
    "exec": lambda c: c.exec_run("true"),
    "top": lambda c: c.top(),
    "wait": lambda c: c.wait(timeout=0.1),
}
STAYS: dict[str, dict[str, tuple[type[APIError], str] | None]] = {  # state -> what does not change it: as recorded
    "created": {
        "stop": None,
        "kill": NOT_RUNNING,
        "wink": NOT_RUNNING,
        "pause": NOT_RUNNING,
        "unpause": (APIError, "is not paused"),
        "logs": None,
        "diff": None,
        "exec": NOT_RUNNING,
        "top": NOT_RUNNING,
        "wait": None,
    },
    "running": {
        "start": None,
        "wink": None,
        "unpause": (APIError, "is not paused"),
        "remove": (Conflict, "You cannot remove a running container .*Stop the container before attempting removal"),
        "logs": None,
        "diff": None,
        "exec": None,
        "top": None,
        "wait": (APIError, "is over: it is running"),
    },
    "paused": {
        "start": (Conflict, "cannot start a paused container, try unpause instead"),
        "pause": (Conflict, "is already paused"),
        "remove": (Conflict, "You cannot remove a paused container .*Unpause and then stop the container before"),
        "logs": None,
        "diff": None,
        "exec": (Conflict, "is paused, unpause the container before exec"),
        "top": None,
        "wait": (APIError, "is over: it is paused"),
    },
    "exited": {
        "stop": None,
        "kill": NOT_RUNNING,
        "wink": NOT_RUNNING,
        "pause": NOT_RUNNING,
        "unpause": (APIError, "is not paused"),
        "logs": None,
        "diff": None,
        "exec": NOT_RUNNING,
        "top": NOT_RUNNING,
        "wait": None,
    },
    "removed": dict.fromkeys(CALLS, (NotFound, "No such container")),
}
GOES = [  # state, what changes it, the state afterwards: as recorded
    ("created", "start", "running"),
    ("created", "restart", "running"),
    ("created", "remove", "removed"),
    ("created", "force", "removed"),
    ("running", "stop", "exited"),
    ("running", "kill", "exited"),
    ("running", "restart", "running"),
    ("running", "pause", "paused"),
    ("running", "force", "removed"),
    ("paused", "stop", "exited"),
    ("paused", "kill", "exited"),
    ("paused", "wink", "running"),
    ("paused", "restart", "running"),
    ("paused", "unpause", "running"),
    ("paused", "force", "removed"),
    ("exited", "start", "running"),
    ("exited", "restart", "running"),
    ("exited", "remove", "removed"),
    ("exited", "force", "removed"),
]


@pytest.mark.parametrize("state", STAYS)
def test_what_does_not_change_a_state(made: Callable[..., Container], state: str) -> None:
    container = made(state)
    for call, raised in STAYS[state].items():
        if raised is None:
            CALLS[call](container)
        else:
            with pytest.raises(raised[0], match=raised[1]) as caught:
                CALLS[call](container)
            assert type(caught.value) is raised[0], call
        assert status(container) == state, call


@pytest.mark.parametrize(("state", "call", "after"), GOES, ids=[f"{state}-{call}" for state, call, _ in GOES])
def test_what_changes_it(made: Callable[..., Container], state: str, call: str, after: str) -> None:
    container = made(state)
    CALLS[call](container)
    assert status(container) == after


def test_the_tables_leave_nothing_out() -> None:
    told = {(state, call) for state, calls in STAYS.items() for call in calls} | {row[:2] for row in GOES}
    assert told == {(state, call) for state in STAYS for call in CALLS}


@pytest.mark.parametrize("verb", life.VERBS)
@pytest.mark.parametrize("state", ["created", "running", "paused", "exited"])
def test_the_engines_own_table_is_the_recorded_one(state: str, verb: str) -> None:
    recorded = {row[:2]: row[2] for row in GOES}
    stays = state if STAYS[state].get(verb, ()) is None else None
    assert life.after(state, verb) == recorded.get((state, verb), stays)


class TestExitCodes:
    """What `docker run` and `docker wait` say."""

    @pytest.mark.parametrize(("command", "code"), [("true", 0), ("false", 1), (["sh", "-c", "exit 42"], 42)])
    def test_that_of_the_program(self, made: Callable[..., Container], command: Any, code: int) -> None:
        container = made("running", command)
        assert container.wait() == {"StatusCode": code, "Error": None}
        assert container.state()["ExitCode"] == code

    def test_137_when_killed(self, made: Callable[..., Container]) -> None:
        container = made("running")
        container.kill()
        assert container.wait()["StatusCode"] == 137

    def test_its_own_after_a_signal_that_it_handles(self, made: Callable[..., Container]) -> None:
        container = made("running")
        container.kill("TERM")
        assert container.wait(timeout=HANG)["StatusCode"] == 7
        assert container.logs() == b"ready\ngot\n"

    def test_an_unknown_signal_is_refused(self, made: Callable[..., Container]) -> None:
        with pytest.raises(InvalidArgument, match="Invalid signal: NOPE"):
            made("running").kill("NOPE")

    @pytest.mark.parametrize(
        ("command", "code", "why"),
        [
            ("nope", 127, r'exec: "nope": executable file not found in \$PATH'),
            ("/bin/nope", 127, 'exec: "/bin/nope": stat /bin/nope: no such file or directory'),
            ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
            ("/etc", 126, 'exec: "/etc": '),
        ],
    )
    def test_126_and_127_of_programs_that_do_not_start(
        self, engine: Engine, made: Callable[..., Container], command: str, code: int, why: str
    ) -> None:
        container = made("created", command)
        with pytest.raises(StartError, match=why) as caught:
            container.start()
        assert (caught.value.exit_code, caught.value.status_code) == (code, 400)
        state = container.attrs["State"]
        assert (state["Status"], state["ExitCode"], state["Running"], state["Pid"]) == ("created", code, False, 0)
        assert state["Error"] == caught.value.explanation
        assert state["StartedAt"] == "0001-01-01T00:00:00Z"


class TestStop:
    """`docker stop`: the stop signal, and after a while SIGKILL."""

    def test_asks_first(self, made: Callable[..., Container]) -> None:
        container = made("running")
        container.stop()
        assert (container.state()["ExitCode"], container.logs()) == (7, b"ready\ngot\n")

    def test_kills_what_does_not_hear(self, made: Callable[..., Container]) -> None:
        container = made("running", DEAF)
        began = time.monotonic()
        container.stop(timeout=0.4)
        assert time.monotonic() - began >= 0.4
        assert container.state()["ExitCode"] == 137

    def test_sends_the_signal_that_the_container_wants(self, made: Callable[..., Container]) -> None:
        command = ["sh", "-c", "trap 'exit 9' USR1; echo; while :; do sleep 0.05; done"]
        container = made("running", command, stop_signal="SIGUSR1")
        next(container.logs(stream=True))
        container.stop(timeout=HANG)
        assert container.state()["ExitCode"] == 9

    def test_waits_as_long_as_the_container_says(self, made: Callable[..., Container]) -> None:
        container = made("running", DEAF, stop_timeout=0)
        container.stop()
        assert container.state()["ExitCode"] == 137


class TestRestartPolicies:
    """`--restart`."""

    def test_on_failure_counts(self, made: Callable[..., Container]) -> None:
        policy = {"Name": "on-failure", "MaximumRetryCount": 2}
        container = made("running", ["sh", "-c", "echo x; exit 1"], restart_policy=policy)
        assert container.wait(timeout=HANG)["StatusCode"] == 1  # of the first run, as with Docker
        assert b"".join(container.logs(stream=True)) == b"x\n" * 3
        assert container.wait(timeout=HANG)["StatusCode"] == 1
        assert container.attrs["RestartCount"] == 2
        assert container.status == "exited"

    def test_on_failure_leaves_success_alone(self, made: Callable[..., Container]) -> None:
        container = made("running", ["sh", "-c", "echo x"], restart_policy={"Name": "on-failure"})
        container.wait(timeout=HANG)
        assert (container.logs(), container.attrs["RestartCount"]) == (b"x\n", 0)

    def test_always_goes_on_until_a_person_stops_it(self, made: Callable[..., Container]) -> None:
        container = made("running", ["sh", "-c", "echo x"], restart_policy={"Name": "always"})
        lines = container.logs(stream=True)
        assert [next(lines), next(lines)] == [b"x\n"] * 2
        assert container.status in ("running", "restarting")
        container.stop()
        assert container.status == "exited"

    def test_killed_by_a_person_stays_down(self, made: Callable[..., Container]) -> None:
        container = made("running", PATIENT, restart_policy={"Name": "always"})
        container.kill()
        assert (container.status, container.attrs["RestartCount"]) == ("exited", 0)

    def test_restart_by_hand_does_not_count(self, made: Callable[..., Container]) -> None:
        container = made("running")
        container.restart()
        ready(container, 2)
        assert (container.status, container.attrs["RestartCount"]) == ("running", 0)
        assert container.logs() == b"ready\ngot\nready\n"


class TestRun:
    """`containers.run`, as `docker run`."""

    def test_gives_what_was_said(self, engine: Engine) -> None:
        assert engine.containers.run(IMAGE, "echo hi", remove=True) == b"hi\n"
        assert engine.containers.run(IMAGE, ["echo", "a  b"], remove=True) == b"a  b\n"

    def test_stdout_and_stderr_apart(self, engine: Engine) -> None:
        command = ["sh", "-c", "echo out; sleep 0.1; echo err >&2"]
        run = engine.containers.run
        assert run(IMAGE, command, remove=True) == b"out\n"
        assert run(IMAGE, command, remove=True, stdout=False, stderr=True) == b"err\n"
        assert run(IMAGE, command, remove=True, stderr=True) == b"out\nerr\n"
        with pytest.raises(InvalidArgument, match="you must choose at least one stream"):
            run(IMAGE, command, remove=True, stdout=False)

    def test_a_failure_is_an_exception_that_knows_all(self, engine: Engine) -> None:
        command = ["sh", "-c", "echo err >&2; exit 3"]
        with pytest.raises(ContainerError) as caught:
            engine.containers.run(IMAGE, command, remove=True)
        error = caught.value
        assert (error.exit_status, error.command, error.image, error.stderr) == (3, command, IMAGE, b"err\n")

    def test_streams(self, engine: Engine) -> None:
        lines = engine.containers.run(IMAGE, ["sh", "-c", "echo a; sleep 0.1; echo b"], stream=True, remove=True)
        assert list(lines) == [b"a\n", b"b\n"]

    def test_detached_it_is_a_container(self, engine: Engine) -> None:
        container = engine.containers.run(IMAGE, "true", detach=True)
        assert container.wait()["StatusCode"] == 0
        container.remove()

    def test_what_was_to_be_removed_is_gone_however_it_ends(self, engine: Engine) -> None:
        before = engine.containers.list(all=True)
        for command in ("true", "false", "nope"):
            with contextlib.suppress(ContainerError, StartError):
                engine.containers.run(IMAGE, command, remove=True)
        assert engine.containers.list(all=True) == before


class TestAutoRemove:
    """`--rm`: gone when it has ended, and its exit code is known all the same."""

    def test_after_wait(self, engine: Engine) -> None:
        container = engine.containers.run(IMAGE, ["sh", "-c", "sleep 0.1; exit 4"], detach=True, remove=True)
        assert container.wait() == {"StatusCode": 4, "Error": None}
        assert container not in engine.containers.list(all=True)

    def test_wait_for_its_removal(self, engine: Engine) -> None:
        container = engine.containers.run(IMAGE, ["sh", "-c", "sleep 0.1; exit 4"], detach=True, auto_remove=True)
        assert container.wait(condition="removed", timeout=HANG)["StatusCode"] == 4
        assert not container.path.exists()

    def test_for_whoever_looks_next(self, engine: Engine) -> None:
        container = engine.containers.run(IMAGE, "true", name="short", detach=True, auto_remove=True)
        until(lambda: container not in engine.containers.list(all=True))
        with pytest.raises(NotFound):
            engine.containers.get("short")
        engine.containers.create(IMAGE, "true", name="short").remove()

    def test_for_whoever_looks_in_the_very_moment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "short"
        folder.mkdir()
        (folder / "state.json").write_text('{"Status": "running"}')
        monkeypatch.setattr(monitor, "lives", shutil.rmtree)  # says nothing: it is not there
        with pytest.raises(NotFound, match="No such container: short"):
            states.read(folder)

    def test_a_log_that_was_asked_for_is_whole_though_the_container_is_removed(self, engine: Engine) -> None:
        """As docker-py's `run(remove=True)`: it asks, waits, removes, and only then reads."""
        container = engine.containers.run(IMAGE, ["sh", "-c", "echo begun; sleep 0.05; echo ended"], detach=True)
        lines = container.logs(stream=True)
        container.wait()
        container.remove()
        assert b"".join(lines) == b"begun\nended\n"

    def test_its_log_is_read_to_the_end(self, engine: Engine) -> None:
        container = engine.containers.run(IMAGE, ["sh", "-c", "echo a; sleep 0.2; echo b"], detach=True, remove=True)
        lines = container.logs(stream=True)
        assert next(lines) == b"a\n"
        time.sleep(0.4)
        engine.containers.list(all=True)
        assert list(lines) == [b"b\n"]

    def test_removed_by_force_while_somebody_waits(self, engine: Engine) -> None:
        container = engine.containers.run(IMAGE, PATIENT, detach=True)
        with contextlib.closing(Waiting(container)) as waiting, ThreadPoolExecutor(1) as beside:
            ended = beside.submit(waiting.result)
            engine.containers.get(container.id).remove(force=True)
            assert ended.result(HANG) == {"StatusCode": 137, "Error": None}


def test_what_it_wrote_survives_stop_and_start_and_dies_with_it(made: Callable[..., Container]) -> None:
    container = made("running", ["sh", "-c", "echo x >> /log; cat /log"])
    container.wait()
    container.start()
    container.wait()
    assert container.logs() == b"x\nx\nx\n"
    path = container.path
    container.remove()
    assert not path.exists()


def test_the_exit_code_of_before_is_forgotten_on_a_new_start(made: Callable[..., Container]) -> None:
    container = made("exited")
    assert container.state()["ExitCode"] == 137
    container.start()
    assert container.state()["ExitCode"] == 0


def test_an_open_stdin_does_not_end(engine: Engine, made: Callable[..., Container]) -> None:
    if engine.runtime.name == "simulated":
        pytest.skip("a detached container of the simulated runtime has no standard input")
    container = made("running", "cat", stdin_open=True)
    with container.connect(stdin=True) as connection:
        connection.sendall(b"hello\n")
        assert next(container.logs(stream=True)) == b"hello\n"
        assert container.status == "running"
    assert made("running", "cat").wait(timeout=HANG)["StatusCode"] == 0


def test_next_exit_is_not_the_last_one(made: Callable[..., Container]) -> None:
    container = made("exited")
    with contextlib.closing(Waiting(container, "next-exit")) as waiting, ThreadPoolExecutor(1) as beside:
        ended = beside.submit(waiting.result)
        container.start()
        ready(container, 2)
        container.stop()
        assert ended.result(HANG) == {"StatusCode": 7, "Error": None}
    with pytest.raises(InvalidArgument, match="invalid condition: 'dawn'"):
        container.wait(condition="dawn")
