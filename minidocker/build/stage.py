"""A stage that is carried out: its FROM, and one step an instruction.

A step asks the cache first; only when that has nothing are trees looked at, files read, programs run.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from minidocker.build import config as conf
from minidocker.build.cache import LOST, NEVER, Decision, Facts, key_of
from minidocker.build.context import Context
from minidocker.build.copy import make_folder
from minidocker.build.copying import Source
from minidocker.build.draft import Draft
from minidocker.build.making import Made
from minidocker.build.running import Running
from minidocker.build.vertex import Vertex, names
from minidocker.dockerfile import Instruction
from minidocker.reference import Reference

if TYPE_CHECKING:
    from minidocker.build.builder import Builder
    from minidocker.dockerfile import Stage


class StageBuild(Running):
    """One stage of a build. `carry_out` gives what it becomes; `first` is the number of its FROM."""

    def __init__(self, build: Builder, stage: Stage, first: int) -> None:
        super().__init__(build, stage, first)
        self.graph, self.first = build.graph, first
        self.names = names(stage, self.first_vertex(), alone=len(build.dockerfile.stages) == 1)
        self.vertex = 0  # the last step that is a vertex of BuildKit's progress

    def carry_out(self) -> Draft:
        """The FROM, the triggers that wait in the base, and the instructions."""
        self.origin()
        triggers = len(self.draft.config.get("OnBuild") or [])
        self.draft.config = {key: value for key, value in self.draft.config.items() if key != "OnBuild"}
        if triggers:
            self.say(f"# Executing {triggers} build trigger{'s' if triggers > 1 else ''}\n")
        for one in self.stage.instructions:
            self.number += 1
            self.step(one)
        return self.draft

    def announce(self, one: Instruction) -> None:
        """Say that a step begins; if it is a vertex, also what it is called and which others it needs."""
        vertex: Vertex | None = None
        sources = self.graph.sources(one) if one is not self.stage.origin else ()
        if name := self.names[self.number - self.first]:
            needs = [self.vertex, *(self.build.workers[source.index].vertex for source in sources)]
            vertex, self.vertex = {"name": name, "inputs": [str(number) for number in needs if number]}, self.number
        self.tell.announce(self.number, one, vertex)

    def first_vertex(self) -> str:
        """What FROM is called; "" where there is nothing to be had."""
        base = self.stage.base_image(self.graph.args)
        if self.graph.base(self.stage) or self.build.meant(base) == "scratch":
            return ""
        if not self.build.contexts.value(base):
            return f"FROM {Reference.parse(base).full}"
        return f"[context {base}] {self.build.contexts.image(base) or 'load from client'}"

    def origin(self) -> None:
        """The FROM step: what it is based on, and whether that is what it was the last time."""
        stage = self.stage
        base, parent = stage.base_image(self.graph.args), self.graph.base(stage)
        below = self.build.draft(parent) if parent else None
        began = time.monotonic()
        self.vertex = self.build.workers[parent.index].vertex if parent else 0
        self.announce(stage.origin)
        self.trail.begin(self.label, [one.text for one in (stage.origin, *stage.instructions)])
        facts: Facts = {"image": base, "epoch": self.options.epoch}
        if below is None and self.build.meant(base) != "scratch" and (context := self.build.files(base)):
            decision, draft = self.grounded(context, facts), self.draft
            self.tell.conclude(self.number, stage, stage.origin, decision, began, facts, draft, draft.layers[0])
            return
        if below is not None:
            self.draft = below.branch()
            facts = {"parent": self.draft.said}
        elif self.build.meant(base) != "scratch":
            image = self.build.find(base, stage.origin)
            self.draft = Draft.on(image)
            facts |= {"id": image.id, "layers": image.diff_ids}
        draft = self.draft
        self.note(stage.origin, facts)
        decision = self.compare(draft.unsaid if parent else 0, draft.said or key_of(facts))
        if parent is None:
            draft.key = key_of({"layers": facts.get("layers", []), "epoch": self.options.epoch})
            draft.said = decision.key
        if not decision.hit:
            draft.unsaid = self.number
            draft.missed = draft.missed if parent else self.number
        needs = (self.build.workers[parent.index].number,) if parent else ()
        self.tell.conclude(self.number, stage, stage.origin, decision, began, facts, draft, needs=needs)

    def grounded(self, context: Context, facts: Facts) -> Decision:
        """FROM a named context: one layer of its files, on nothing. `facts` get the files."""
        one, draft = replace(self.stage.origin, args=(".", "/")), self.draft
        chosen, facts["files"] = self.gather(one, Source("", lambda: context.tree))
        make = partial(self.copied, one, {"to": "/", "owner": "", "mode": None}, chosen)
        decision = self.layer(one, facts, f"local source for {facts['image']}", make)
        draft.history[-1]["comment"] = "buildkit.exporter.image.v0"
        draft.said = decision.key
        draft.unsaid = draft.missed
        return decision

    def compare(self, missed: int, key: str) -> Decision:
        """Whether a FROM stands on what it stood on the last time."""
        why = self.trail.why(self.label, missed)
        return Decision(True, "hit", key) if why in (NEVER, LOST) else Decision(False, f"miss because {why}", key)

    def step(self, written: Instruction) -> Decision:
        """Carry out one instruction, once what it copies from is there."""
        sources = list(self.graph.sources(written))
        for needed in sources:
            self.build.draft(needed)
        self.build.together.check()
        began, draft = time.monotonic(), self.draft
        self.announce(written)
        before, layers, lines = draft.config, len(draft.layers), len(draft.history)
        carry_out = {"RUN": self.run, "COPY": self.copy, "ADD": self.copy, "WORKDIR": self.workdir, "ARG": self.arg}
        one = written if written.keyword == "ARG" else written.expand(draft.env)
        decision = carry_out.get(one.keyword, self.metadata)(one)
        draft.said = key_of({"parent": draft.said, "step": decision.key})
        draft.unsaid = draft.unsaid if decision.hit else self.number
        layer = draft.layers[-1] if len(draft.layers) > layers else None
        history = draft.history[-1] if len(draft.history) > lines else {}
        facts, changes = self.trail.now[self.label][-1].facts, conf.changed(before, draft.config)
        needs = tuple(self.build.workers[source.index].number for source in sources)
        about = (decision, began, facts, draft, layer, history, changes, needs)
        self.tell.conclude(self.number, self.stage, written, *about)
        return decision

    # Instructions that change the configuration alone

    def metadata(self, one: Instruction) -> Decision:
        """CMD, ENV, LABEL… Nothing is built; the cache knows when they were first said."""
        draft = self.draft
        draft.config = conf.configure(draft.config, one)
        if one.keyword == "ENV":
            draft.env |= {name: value or "" for name, value in one.pairs}
        elif one.keyword == "MAINTAINER":
            draft.raw["author"] = one.args[0]
        elif one.keyword == "ENTRYPOINT" and not draft.own_cmd:
            draft.config.pop("Cmd", None)  # it came with the base, and was meant for the old entry point
        draft.own_cmd |= one.keyword == "CMD"
        text = conf.created_by(one, draft.config)
        facts = {"parent": draft.said, "instruction": text}
        decision, record = self.decide(one, facts, draft.unsaid)
        record = record or self.remember(one, facts)
        if one.keyword != "ONBUILD":
            draft.history.append(self.line(text, record, empty_layer=True))
        return decision

    def arg(self, one: Instruction) -> Decision:
        """A build argument: seen by what follows in this stage, and no part of the image but for its history line."""
        draft = self.draft
        written = one.arguments(draft.env, {}, {})  # history has what the line says, not what was given
        pairs = one.arguments(draft.env, self.options.build_args, self.graph.args)
        draft.args += [name for name, _ in pairs]
        draft.env |= {name: value for name, value in pairs if value is not None}
        return self.metadata(replace(one, pairs=written))

    # Instructions that make a layer

    def workdir(self, one: Instruction) -> Decision:
        """WORKDIR: a folder that is made where it is missing, which takes a layer."""
        draft = self.draft
        config = conf.configure(draft.config, one)
        path, user = str(config["WorkingDir"]), str(config.get("User") or "")
        if not path.strip("/"):
            return self.metadata(one)
        draft.config = config

        def make() -> Made:
            tree = draft.tree()
            owner = conf.owner(tree, user, "USER") if user else None
            return nullcontext(make_folder(path, owner, self.build.seconds, tree))

        facts = {"parent": draft.key, "workdir": path, "user": user}
        return self.layer(one, facts, conf.created_by(one, config), make)
