"""Health checks, as recorded from Docker's engine 20.10 (and its command line 28): what is asked, and what it does."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from minidocker.container import Container
from minidocker.container.options import health
from minidocker.engine import Engine
from minidocker.errors import InvalidArgument
from minidocker.runtime import HealthCheck
from tests.until import until

IMAGE = "minidocker/base"
MS = 10**6
QUICK = {"interval": 60 * MS, "retries": 2}


@pytest.fixture
def run(engine: Engine) -> Iterator[Callable[..., Container]]:
    """A container that sleeps, with a health check."""
    every: list[Container] = []

    def start(test: Any, command: Any = "sleep 100", **options: Any) -> Container:
        run_options = {key: options.pop(key) for key in ("user", "working_dir", "environment") if key in options}
        check = {"test": test, **QUICK, **options}
        every.append(engine.containers.run(IMAGE, command, detach=True, healthcheck=check, **run_options))
        return every[-1]

    yield start
    for container in every:
        container.remove(force=True)


def state(container: Container) -> dict[str, Any]:
    found: dict[str, Any] = container.attrs["State"]["Health"]
    return found


def becomes(container: Container, status: str) -> None:
    until(lambda: container.health == status)


def results(container: Container, count: int = 1) -> list[dict[str, Any]]:
    """Its results, when there are so many."""
    until(lambda: len(state(container)["Log"]) >= count)
    return list(state(container)["Log"])


class TestLife:
    """starting, healthy, unhealthy."""

    def test_healthy_unhealthy_and_healthy_again(self, engine: Engine, run: Callable[..., Container]) -> None:
        with engine.events(decode=True, filters={"event": "health_status"}) as stream:
            container = run("echo ok; test ! -e /bad")
            assert (container.health, container.summary()["Status"]) == (
                "starting",
                "Up Less than a second (health: starting)",
            )
            becomes(container, "healthy")
            assert state(container)["FailingStreak"] == 0
            assert container.summary()["Status"].endswith(" (healthy)")
            container.exec_run("touch /bad")
            becomes(container, "unhealthy")
            assert state(container)["FailingStreak"] >= 2
            assert container.summary()["Status"].endswith(" (unhealthy)")
            container.exec_run("rm /bad")
            becomes(container, "healthy")
            assert [next(stream)["Action"] for _ in range(3)] == [
                f"health_status: {word}" for word in ("healthy", "unhealthy", "healthy")
            ]

    def test_a_result(self, run: Callable[..., Container]) -> None:
        container = run(["CMD", "sh", "-c", "echo out; echo err >&2; exit 3"])
        first = results(container)[0]
        assert (first["ExitCode"], first["Output"]) == (3, "out\nerr\n")
        assert container.attrs["State"]["StartedAt"] < first["Start"] < first["End"]

    def test_the_last_five_are_kept_with_4096_bytes_of_each(self, run: Callable[..., Container]) -> None:
        container = run("i=0; while [ $i -lt 700 ]; do echo 1234567; i=$((i+1)); done")
        becomes(container, "healthy")
        first = results(container, 5)[0]
        assert until(lambda: first not in state(container)["Log"])
        assert len(state(container)["Log"]) == 5
        assert (len(first["Output"]), first["Output"][-3:]) == (4096 + 3, "...")

    def test_a_program_that_is_not_there(self, run: Callable[..., Container]) -> None:
        container = run(["CMD", "nope"])
        first = results(container)[0]
        assert first["ExitCode"] == -1
        assert first["Output"].startswith("OCI runtime exec failed: ")
        assert 'exec: "nope": executable file not found in $PATH' in first["Output"]

    def test_one_that_takes_too_long_is_killed(self, run: Callable[..., Container]) -> None:
        container = run("echo before; sleep 50", timeout=150 * MS, retries=1)
        becomes(container, "unhealthy")
        first = results(container)[0]
        assert first["ExitCode"] == -1
        assert first["Output"] == "Health check exceeded timeout (150ms): before\n"

    def test_it_runs_as_the_container_s_program_does(self, run: Callable[..., Container]) -> None:
        container = run("echo $A $(pwd) $(hostname)", environment={"A": "b"}, working_dir="/tmp")
        assert results(container)[0]["Output"] == f"b /tmp {container.short_id}\n"

    def test_in_the_start_period_failures_do_not_count(self, run: Callable[..., Container]) -> None:
        container = run("test -e /good", start_period=3600 * 10**9, start_interval=50 * MS, retries=1)
        results(container, 3)
        assert (container.health, state(container)["FailingStreak"]) == ("starting", 0)
        container.exec_run("touch /good")
        becomes(container, "healthy")
        container.exec_run("rm /good")
        becomes(container, "unhealthy")

    def test_none_while_it_is_paused(self, run: Callable[..., Container]) -> None:
        container = run("true")
        becomes(container, "healthy")
        container.pause()
        assert (container.health, container.summary()["Status"][-9:]) == ("unhealthy", " (Paused)")
        before = state(container)["Log"]
        time.sleep(0.3)
        assert state(container)["Log"] == before
        container.unpause()
        becomes(container, "healthy")

    def test_stopped_and_started_again(self, run: Callable[..., Container]) -> None:
        container = run("true")
        becomes(container, "healthy")
        container.kill()
        assert container.health == "unhealthy"
        log = state(container)["Log"]
        container.start()
        assert (container.health, state(container)["FailingStreak"]) == ("starting", 0)
        assert state(container)["Log"][: len(log)] == log
        becomes(container, "healthy")

    def test_nothing_is_left_when_the_program_ends(self, engine: Engine, run: Callable[..., Container]) -> None:
        container = run("sleep 60", command="sleep 0.4")
        container.wait(timeout=120)
        assert container.state()["ExitCode"] == 0
        with engine.events(decode=True) as stream:
            time.sleep(0.2)
            engine.containers.create(IMAGE, "true").remove()
            assert next(stream)["Action"] == "create"

    def test_it_goes_on_without_an_engine(self, engine: Engine, run: Callable[..., Container]) -> None:
        container = run("true")
        engine.close()
        results(container, 3)

    def test_the_filter(self, engine: Engine, run: Callable[..., Container]) -> None:
        container = run("true")
        becomes(container, "healthy")
        other = engine.containers.create(IMAGE, "true", healthcheck={"test": "true"})
        listed = engine.containers.list
        assert listed(filters={"health": "healthy"}) == [container]
        assert container not in listed(all=True, filters={"health": "none"})
        assert other in listed(all=True, filters={"health": ["none", "starting"]})
        assert "Health" not in other.attrs["State"]
        other.remove()
        with pytest.raises(InvalidArgument, match="Unrecognised filter value for health: foo"):
            listed(filters={"health": "foo"})

    @pytest.mark.parametrize("test", [["NONE"], [], ["FOO", "x"], ["CMD"]])
    def test_what_is_no_check(self, run: Callable[..., Container], test: list[str]) -> None:
        container = run(test)
        time.sleep(0.15)
        assert (container.health, container.attrs["State"].get("Health")) == ("unknown", None)


class TestWanted:
    """What is written down: `Config.Healthcheck`."""

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ({"interval": 1}, "Interval in Healthcheck cannot be less than 1ms"),
            ({"interval": -1}, "Interval in Healthcheck cannot be less than 1ms"),
            ({"timeout": 999_999}, "Timeout in Healthcheck cannot be less than 1ms"),
            ({"retries": -1}, "Retries in Healthcheck cannot be negative"),
            ({"start_period": 10}, "StartPeriod in Healthcheck cannot be less than 1ms"),
            ({"StartInterval": 10}, "StartInterval in Healthcheck cannot be less than 1ms"),
            ({"interval": "1s"}, "times are in nanoseconds"),
            ({"every": 1}, "unknown field of a health check: every"),
            ({"test": 7}, "the test of a health check is a command"),
        ],
    )
    def test_refused(self, given: dict[str, Any], why: str) -> None:
        with pytest.raises(InvalidArgument, match=why):
            health.check(given)

    @pytest.mark.parametrize(
        ("given", "found"),
        [
            (None, {"Test": ["CMD", "true"], "Interval": 7 * 10**9, "Timeout": 3 * 10**9, "Retries": 4}),
            ({"interval": 10**9}, {"Test": ["CMD", "true"], "Interval": 10**9, "Timeout": 3 * 10**9, "Retries": 4}),
            ({"test": "x"}, {"Test": ["CMD-SHELL", "x"], "Interval": 7 * 10**9, "Timeout": 3 * 10**9, "Retries": 4}),
            ({"test": ["NONE"]}, {"Test": ["NONE"], "Interval": 7 * 10**9, "Timeout": 3 * 10**9, "Retries": 4}),
        ],
    )
    def test_what_is_not_said_comes_from_the_image(self, engine: Engine, given: Any, found: Any) -> None:
        text = f'FROM {IMAGE}\nHEALTHCHECK --interval=7s --timeout=3s --retries=4 CMD ["true"]\n'
        engine.images.build(fileobj=io.BytesIO(text.encode()), tag="checked")
        container = engine.containers.create("checked", "true", healthcheck=given)
        assert container.attrs["Config"]["Healthcheck"] == found
        container.remove()

    def test_an_interval_alone_checks_nothing(self, engine: Engine) -> None:
        container = engine.containers.create(IMAGE, "true", healthcheck={"interval": 10**9})
        assert container.attrs["Config"]["Healthcheck"] == {"Interval": 10**9}
        assert container.box().health is None
        container.remove()

    def test_docker_s_defaults(self) -> None:
        config = {"Config": {"Healthcheck": {"Test": ["CMD-SHELL", "x"], "StartPeriod": 10**9}}}
        assert health.boxed(config)["health"] == HealthCheck(("/bin/sh", "-c", "x"), 30, 30, 3, 1, 5)
