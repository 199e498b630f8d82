"""How a stage gets its layers: the cache is asked first; what it has not is made, and entered into it.

A step is known by its facts: whatever its result depends on. What was built is in the cache at once, so a build that
fails leaves its good steps there, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minidocker.build.cache import Decision, Facts, Record, Row, key_of
from minidocker.build.draft import Draft
from minidocker.dockerfile import Instruction, Stage
from minidocker.image import Layer
from minidocker.layer import Changeset

if TYPE_CHECKING:
    from minidocker.build.builder import Builder

COMMENT = "buildkit.dockerfile.v0"
Made = AbstractContextManager[Changeset]
Make = Callable[[], Made]


class Maker:
    """Makes the layers of one stage. `number` is the step that goes on: its place in the plan of the build."""

    def __init__(self, build: Builder, stage: Stage, number: int) -> None:
        self.build, self.stage, self.number = build, stage, number
        self.options, self.cache, self.trail, self.tell = build.options, build.cache, build.trail, build.tell
        if stage.name and stage.name in map(str.lower, build.options.no_cache_filter):
            self.options = replace(build.options, no_cache=True)
        self.label = stage.name or str(stage.index)  # what the stage is called in the trail
        self.draft = Draft.scratch()
        self.why = ""  # of the step that goes on: why it has to be built

    def layer(self, one: Instruction, facts: Facts, text: str, make: Make) -> Decision:
        """A step that makes a layer: taken from the cache, or made and put there."""
        with self.build.together.claim(key_of(facts)):  # another stage may want just the same: once is enough
            decision, record = self.decide(one, facts, self.draft.missed)
            record = record or self.make(one, facts, text, make)
        self.push(one, record, text)
        self.draft.missed = self.draft.missed if decision.hit else self.number
        return decision

    def make(self, one: Instruction, facts: Facts, text: str, make: Make) -> Record:
        """Make a layer, and enter it into the cache."""
        began = time.monotonic()
        with make() as changes:
            made = self.build.images.add_layer(changes, text, self.options.epoch)
        return self.remember(one, facts, made, time.monotonic() - began)

    def push(self, one: Instruction, record: Record, text: str) -> None:
        """Put a record's layer on the stack. A COPY --link does not know what it lies on; what comes next has to."""
        draft, layer = self.draft, self.stored(record, text)
        layer.below = tuple(draft.layers)
        draft.layers.append(layer)
        draft.key = key_of({"parent": draft.key, "link": record.key}) if one.flags.get("link") else record.key
        draft.history.append(self.line(text, record))

    def stored(self, record: Record, text: str) -> Layer:
        """A record's layer."""
        assert record.layer is not None
        return Layer(self.build.store, record.layer, record.layer.digest, text)

    def decide(self, one: Instruction, facts: Facts, missed: int) -> tuple[Decision, Record | None]:
        """Ask the cache, and find out why it has nothing.

        What counts is what was there before this build, whatever other stages have made meanwhile; but that is used.
        """
        key, made = key_of(facts), self.build.made
        self.note(one, facts)
        if self.options.no_cache:
            self.why = "--no-cache" if self.build.options.no_cache else "--no-cache-filter"
            return Decision(False, f"miss because of {self.why}", key), made.get(key)
        record, problem = self.cache.find(key)
        if record is not None and key not in made:
            self.cache.used(key)
            return Decision(True, f"hit {problem}".rstrip(), key), record
        self.why = problem or self.trail.why(self.label, missed)
        return Decision(False, f"miss because {self.why}", key), made.get(key)

    def note(self, one: Instruction, facts: Facts) -> None:
        """Write a step into the trail."""
        self.trail.note(self.label, Row(one.line, one.text, facts))

    def remember(self, one: Instruction, facts: Facts, layer: Layer | None = None, seconds: float = 0.0) -> Record:
        """Enter a step into the cache."""
        made, where = layer.descriptor if layer else None, f"{self.build.dockerfile.name}:{one.line}"
        record = Record(key_of(facts), made, self.build.timestamp(), seconds, facts, self.why, where)
        record = self.build.made.setdefault(record.key, record)  # before it is in the cache, where others look
        self.cache.add(record, one.text)
        return record

    def line(self, text: str, record: Record, **more: bool) -> dict[str, Any]:
        """An entry of the history."""
        return {"created": record.created, "created_by": text, "comment": COMMENT, **more}
