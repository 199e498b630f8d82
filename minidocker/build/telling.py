"""What a build says while it goes on: Docker's build stream, which its clients read, and a `Step` after each step.

{"stream": "Step 1/2 : FROM busybox\\n", "id": "1", "vertex": {"name": "[1/2] FROM …", "inputs": []}}
{"stream": "hello\\n", "id": "2", "output": 1}            of the program of a RUN; 2 is its standard error
{"stream": " ---> Using cache\\n", "id": "1"}      {"step": Step(…)}       {"aux": {"ID": "sha256:…"}}
{"errorDetail": {"code": 3, "message": …}, "error": …, "failed": "2"}

Stages that are built at the same time speak in turns, by whole lines; `id` says for which step. In the log of the
`Build`, what a step said stands together.
"""

from __future__ import annotations

import time
from bisect import bisect_right, insort
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from minidocker.build.cache import Decision, Facts
from minidocker.build.draft import Draft
from minidocker.build.run import StepFailed
from minidocker.build.step import Build, Step
from minidocker.build.vertex import Vertex
from minidocker.dockerfile import Instruction, Stage
from minidocker.errors import APIError, BuildError
from minidocker.image import Layer

Event = dict[str, Any]


class Teller:
    """Tells `on_event` what happens, and keeps it in `build`, in the order of the steps, of which there are `total`."""

    def __init__(self, on_event: Callable[[Event], None] | None) -> None:
        self.on_event, self.build = on_event, Build()
        self.total, self.began = 0, time.monotonic()
        self.emit: Callable[[Event], None] = self.hear  # or a way to where it is heard, from another thread
        self.failed: dict[BaseException, int] = {}  # error -> the step that it comes from
        self.places: list[float] = []  # of each event in the log, the step

    def hear(self, event: Event) -> None:
        """Keep an event for the log, with its step, whenever it comes; and hand it on.

        What will be done (`plan`), and how a `pull` goes, is not kept.
        """
        if "pull" in event or "plan" in event:
            pass
        elif step := event.get("step"):
            insort(self.build.steps, step, key=lambda one: one.number)
        else:
            place = int(event.get("id", 0)) or (inf if self.build.steps else 0)
            at = bisect_right(self.places, place)
            self.places.insert(at, place)
            self.build.events.insert(at, event)
        if self.on_event is not None:
            self.on_event(event)

    def say(self, text: str, number: int = 0) -> None:
        """Send a piece of the build's output, or of that of a step."""
        self.emit({"stream": text} | ({"id": str(number)} if number else {}))

    def output(self, text: str, number: int, stderr: bool) -> None:
        """Send what the program of a step says."""
        self.emit({"stream": text, "id": str(number), "output": 1 + stderr})

    def announce(self, number: int, one: Instruction, vertex: Vertex | None) -> None:
        """Say which step begins."""
        event = {"stream": f"Step {number}/{self.total} : {one.text}\n", "id": str(number)}
        self.emit(event | ({"vertex": vertex} if vertex else {}))

    def conclude(
        self,
        number: int,
        stage: Stage,
        one: Instruction,
        decision: Decision,
        began: float,
        facts: Facts,
        draft: Draft,
        layer: Layer | None = None,
        history: Mapping[str, Any] | None = None,
        changes: Mapping[str, tuple[Any, Any]] | None = None,
        needs: tuple[int, ...] = (),
    ) -> None:
        """Say how a step ended, which began at a `time.monotonic()`."""
        said = (number, self.total, stage.name, one.text, one.line)
        seconds = time.monotonic() - began
        after, since = draft.copy(), began - self.began
        step = Step(*said, decision, layer, history or {}, seconds, changes or {}, facts, after, needs, since)
        if decision.hit and one.keyword != "FROM":
            self.say(" ---> Using cache\n", number)
        self.say(f" ---> {decision.key[7:19]}\n", number)
        self.emit({"step": step})

    def fail(self, error: APIError | BuildError) -> None:
        """Say how the build failed; a BuildError gets the log of it."""
        code = error.code if isinstance(error, StepFailed) else error.exit_code
        number = self.failed.get(error) or self.failed.get(error.__cause__ or error)
        event = {"errorDetail": {"code": code, "message": str(error)}, "error": str(error)}
        self.emit(event | ({"failed": str(number)} if number else {}))
        if isinstance(error, BuildError):
            error.build_log = self.build.events
