"""Stages that do not need each other are built at the same time; one that fails, or Ctrl-C, ends them all."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from minidocker.build.together import Stopped, Together
from minidocker.engine import Engine
from minidocker.errors import BuildError

APART = """FROM minidocker/base AS one
RUN {one}
FROM minidocker/base AS two
RUN {two}
FROM scratch
COPY --from=two /tmp /two
COPY --from=one /tmp /one
"""
LONG = "sleep 120"


def announced(events: list[dict[str, Any]]) -> list[int]:
    """Steps as they begin and, negative, as they end."""
    return [
        -event["step"].number if "step" in event else int(event["id"])
        for event in events
        if "step" in event or event.get("stream", "").startswith("Step ")
    ]


def left_behind(engine: Engine, word: str) -> list[object]:
    """Temporary files of the engine, and processes of this machine that have a word in their command line."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False).stdout.splitlines()
    return [*(engine.root / "tmp").iterdir(), *(line for line in listed if word in line)]


def test_stages_that_need_nothing_of_each_other_run_at_the_same_time(engine: Engine) -> None:
    events: list[dict[str, Any]] = []
    text = APART.format(one="sleep 0.5; echo 1 > /tmp/1", two="sleep 0.5; echo 2 > /tmp/2")
    image, build = engine.images.build(text=text, on_event=events.append)
    order = announced(events)
    assert {2, 4} <= set(order[: min(order.index(-2), order.index(-4))]), "both begin before either ends"
    assert order.index(5) < order.index(-2), "the target has begun too, and waits for what it copies"
    assert order.index(6) > order.index(-4)
    assert order.index(7) > order.index(-2)
    assert [path for path in image.tree() if path.endswith(("1", "2"))] == ["/one/1", "/two/2"]
    assert [step.number for step in build.steps] == [1, 2, 3, 4, 5, 6, 7]


def test_the_log_has_each_steps_lines_together_whoever_was_first(engine: Engine) -> None:
    live: list[dict[str, Any]] = []
    talk = "for i in 1 2 3; do echo {0}$i; sleep 0.1; done; printf {0}4"
    text = APART.format(one=talk.format("a"), two=talk.format("b"))
    _, build = engine.images.build(text=text, on_event=live.append)
    said = [line for line in build.log.splitlines() if line[:1] in "ab"]
    assert [line[:2] for line in said] == "a1 a2 a3 a4 b1 b2 b3 b4".split()
    ids = [int(event.get("id", 99)) for event in build]
    assert ids == sorted(ids)
    spoken = [event for event in live if event.get("stream", "")[:1] in ("a", "b")]
    assert {event["id"] for event in spoken if "a" in event["stream"]} == {"2"}
    assert all(event["stream"].endswith("\n") for event in spoken if "4" not in event["stream"]), "whole lines"


def test_whoever_listens_is_called_in_the_thread_that_builds(engine: Engine) -> None:
    threads = set()
    text = APART.format(one="echo here", two="echo there")
    engine.images.build(text=text, on_event=lambda _: threads.add(threading.current_thread()))
    assert threads == {threading.current_thread()}


def test_a_stage_that_fails_stops_the_others(engine: Engine) -> None:
    slow = f"echo before; {LONG}7"
    with pytest.raises(BuildError, match=r"exit 3.*exit code: 3") as caught:
        engine.images.build(text=APART.format(one=slow, two="sleep 0.3; exit 3"))
    *_, last = caught.value.build_log
    assert last["errorDetail"]["code"] == 3
    assert not any("-->" in event.get("stream", "") for event in caught.value.build_log if event.get("id") == "2")
    assert not left_behind(engine, f"{LONG}7")


def test_what_was_finished_before_the_failure_is_in_the_cache(engine: Engine) -> None:
    text = APART.format(one="echo kept > /tmp/kept", two="sleep 0.5; exit 3")
    with pytest.raises(BuildError):
        engine.images.build(text=text)
    _, build = engine.images.build(text=text.replace("exit 3", "true"))
    assert build.steps[1].decision.hit


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_an_interruption_ends_all_stages(engine: Engine, error: type[BaseException]) -> None:
    begun = set()

    def interrupt(event: dict[str, Any]) -> None:
        begun.add(event.get("id"))
        if {"2", "4"} <= begun:
            raise error

    with pytest.raises((error, BuildError)):
        engine.images.build(text=APART.format(one=f"{LONG}8", two=f"{LONG}8"), on_event=interrupt)
    assert not left_behind(engine, f"{LONG}8")


def test_ctrl_c_on_the_command_line_leaves_nothing(engine: Engine) -> None:
    folder = engine.root.parent / "context"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(APART.format(one=f"echo go; {LONG}9", two=f"echo go; {LONG}9"))
    words = [
        "-m",
        "minidocker",
        "--root",
        str(engine.root),
        "--runtime",
        engine.runtime.name,
        "build",
        "--progress",
        "rawjson",
    ]
    with subprocess.Popen(
        [sys.executable, *words, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        assert run.stdout
        begun = 0
        while begun < 2 and (line := run.stdout.readline()):
            begun += b"RUN" in line
        for _ in range(3):  # an impatient hand
            run.send_signal(signal.SIGINT)
        run.communicate()
    assert run.returncode == 130
    assert not left_behind(engine, f"{LONG}9")


def test_equal_steps_of_two_stages_run_once(engine: Engine) -> None:
    text = APART.format(one="head -c 9 /dev/urandom > /tmp/r", two="head -c 9 /dev/urandom > /tmp/r")
    for options in ({}, {"nocache": True}):
        image, build = engine.images.build(text=text, **options)
        one, two = build.steps[1], build.steps[3]
        assert image.tree()["/one/r"].data.read() == image.tree()["/two/r"].data.read()
        assert (one.decision.hit, two.decision.hit) == (False, False), "neither was there before"
    assert all(step.decision.hit for step in engine.images.build(text=text)[1].steps)


def test_many_stages_and_one_that_needs_them_all(engine: Engine) -> None:
    stages = [
        f"FROM {'minidocker/base' if n < 3 else f's{n // 2}'} AS s{n}\nRUN echo {n} > /tmp/{n}" for n in range(12)
    ]
    copies = [f"COPY --from=s{n} /tmp/{n} /all/" for n in range(12)]
    text = "\n".join([*stages, "FROM scratch", *copies])
    image, build = engine.images.build(text=text)
    assert sorted(path for path in image.tree() if path.startswith("/all/")) == sorted(f"/all/{n}" for n in range(12))
    again = engine.images.build(text=text)[1]
    assert [step.number for step in again.steps] == list(range(1, len(build.steps) + 1))
    assert all(step.decision.hit for step in again.steps)


def test_the_error_is_that_of_the_first_to_fail() -> None:
    crew: Together[str] = Together(lambda _: None)
    first = threading.Event()

    def fails() -> None:
        first.wait()
        raise ValueError("first")

    def follows() -> None:
        with crew.stoppable(first.set), crew.claim("x"):
            first.set()
            while crew.error is None:
                pass
            crew.check()

    def waits() -> None:
        first.wait()
        with pytest.raises(Stopped), crew.claim("x"):
            pass
        raise KeyError("a consequence")

    with pytest.raises(ValueError, match="first"):
        crew.run([fails, follows, waits])
