"""What a build says while it goes on: Docker's build stream, which its clients read, and a `Step` after each step.

{"stream": "Step 1/2 : FROM busybox\\n"}   {"stream": " ---> Using cache\\n"}   {"aux": {"ID": "sha256:…"}}
{"errorDetail": {"code": 3, "message": …}, "error": …}                            {"step": Step(…)}
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from minidocker.build.cache import Decision, Facts
from minidocker.build.draft import Draft
from minidocker.build.run import StepFailed
from minidocker.build.step import Build, Step
from minidocker.dockerfile import Instruction, Stage
from minidocker.errors import APIError, BuildError
from minidocker.image import Layer

Event = dict[str, Any]


class Teller:
    """Tells `on_event` what happens, and keeps it in `build`. `number` of `total` is the step that goes on."""

    def __init__(self, on_event: Callable[[Event], None] | None) -> None:
        self.on_event, self.build = on_event, Build()
        self.number = self.total = 0

    def emit(self, event: Event) -> None:
        """Send an event, and keep it for the log."""
        if "step" not in event:
            self.build.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def say(self, text: str) -> None:
        """Send a piece of the build's output."""
        self.emit({"stream": text})

    def announce(self, one: Instruction) -> None:
        """Say which step begins."""
        self.number += 1
        self.say(f"Step {self.number}/{self.total} : {one.text}\n")

    def conclude(
        self,
        stage: Stage,
        one: Instruction,
        decision: Decision,
        began: float,
        facts: Facts,
        draft: Draft,
        layer: Layer | None = None,
        history: Mapping[str, Any] | None = None,
        changes: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> None:
        """Say how a step ended, which began at a `time.monotonic()`."""
        said = (self.number, self.total, stage.name, one.text, one.line)
        seconds = time.monotonic() - began
        step = Step(*said, decision, layer, history or {}, seconds, changes or {}, facts, draft.copy())
        self.build.steps.append(step)
        if decision.hit and one.keyword != "FROM":
            self.say(" ---> Using cache\n")
        self.say(f" ---> {decision.key[7:19]}\n")
        self.emit({"step": step})

    def fail(self, error: APIError | BuildError) -> None:
        """Say how the build failed; a BuildError gets the log of it."""
        code = error.code if isinstance(error, StepFailed) else error.exit_code
        self.emit({"errorDetail": {"code": code, "message": str(error)}, "error": str(error)})
        if isinstance(error, BuildError):
            error.build_log = self.build.events
