"""From a Dockerfile to an image: one step an instruction.

A step asks the cache first; only when that has nothing are trees looked at, files read, programs run. What was built is
in the cache at once, so a build that fails leaves its good steps there, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from minidocker.build import config as conf
from minidocker.build.cache import LOST, NEVER, Cache, Decision, Facts, Record, Row, key_of
from minidocker.build.context import Context
from minidocker.build.copy import CONTEXT, Copy, Found, contents, copy, make_folder, select
from minidocker.build.draft import Draft
from minidocker.build.run import Command, run
from minidocker.build.stages import Graph, architecture_of, platform_args
from minidocker.build.step import Build, Options
from minidocker.build.telling import Event, Teller
from minidocker.build.unpack import unpack
from minidocker.dockerfile import PLATFORM_ARGS, PREDEFINED_ARGS, Dockerfile, Instruction, Stage, parse_instruction
from minidocker.errors import APIError, BuildError, ImageNotFound, InvalidArgument
from minidocker.image import Image, Layer
from minidocker.images import Images
from minidocker.layer import Changeset
from minidocker.reference import Reference
from minidocker.runtime import Process, Runtime
from minidocker.tree import Tree, file

COMMENT = "buildkit.dockerfile.v0"
NETWORKS = ("default", "none", "host")
SECOND = 1_000_000_000
Made = AbstractContextManager[Changeset]
Make = Callable[[], Made]
Chosen = list[tuple[Tree, list[Found]]]  # of each tree that a COPY takes from, what


@dataclass(frozen=True)
class Source:
    """Where a COPY takes its files from: a tree, the key that names it ("" for the context), and what it is called."""

    key: str
    tree: Callable[[], Tree]
    where: str = CONTEXT


class Builder:
    """One build. `build()` gives the `Build`, or raises BuildError, DockerfileError, ImageNotFound, Unsupported."""

    memory: type[Cache] = Cache
    teller: type[Teller] = Teller

    def __init__(
        self,
        images: Images,
        runtime: Runtime,
        context: Context,
        dockerfile: Dockerfile,
        options: Options,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.images, self.runtime, self.context, self.dockerfile = images, runtime, context, dockerfile
        self.options, self.store = options, images.store
        self.cache = self.memory(self.store)
        self.trail = self.cache.last(f"{context.name}\0{dockerfile.name}")
        self.tell = self.teller(on_event)
        self.drafts: dict[int, Draft] = {}
        self.scratch = self.store.root / "tmp" / f"build-{os.getpid()}-{os.urandom(4).hex()}"
        self.now = time.time_ns() if options.epoch is None else options.epoch * SECOND
        self.graph = Graph(dockerfile, dockerfile.global_args(options.build_args, platform_args(options.platform)))

    def build(self) -> Build:
        """Build the target stage and what it needs, and make the image of it."""
        plan = self.plan()
        try:
            with self.telling(), self.store.keep():
                self.scratch.mkdir(parents=True)
                drafts = [self.draft(stage) for stage in plan]
                self.tell.build.image = self.finish(drafts[-1])
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.context.digests.save()
            self.trail.save()
        return self.tell.build

    def plan(self) -> list[Stage]:
        """The stages that are needed, the target last. Refuses what makes no sense before anything is done."""
        self.check()
        target = self.dockerfile.target(self.options.target)
        self.dockerfile.check_bases(self.graph.args)
        plan = self.graph.plan(target)
        for stage in plan:
            self.graph.check(stage, self.options.platform)
        self.tell.build.dockerfile, self.tell.build.args = self.dockerfile, self.graph.args
        self.tell.build.stages = [self.graph.node(stage, stage in plan) for stage in self.dockerfile.stages]
        self.tell.total = sum(1 + len(stage.instructions) for stage in plan)
        for warning in self.dockerfile.warnings:
            self.tell.say(f"[Warning] {warning}\n")
        return plan

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Whatever goes wrong in here is told to who listens."""
        try:
            yield
        except (APIError, BuildError) as error:
            self.tell.fail(error)
            raise
        except OSError as error:
            failure = BuildError(f"{error.strerror or error}: {error.filename or self.store.root}")
            self.tell.fail(failure)
            raise failure from error

    def check(self) -> None:
        """Refuse options that make no sense."""
        for tag in self.options.tags:
            if Reference.parse(tag).digest:
                raise InvalidArgument(f"invalid tag {tag!r}: a digest names one image for ever")
        if self.options.network not in NETWORKS:
            raise InvalidArgument(f"unsupported network mode {self.options.network!r}: default, none or host")
        if any(not name for name in self.options.labels):
            raise InvalidArgument("invalid label: its name is empty")

    # Stages

    def draft(self, stage: Stage) -> Draft:
        """What a stage becomes; built when it is first asked for."""
        if stage.index not in self.drafts:
            self.drafts[stage.index] = self.stage(stage)
        return self.drafts[stage.index]

    def stage(self, stage: Stage) -> Draft:
        """Carry out a stage: its FROM, the triggers that wait in its base, and its instructions."""
        draft = self.origin(stage)
        triggers = draft.config.get("OnBuild") or []
        draft.config = {key: value for key, value in draft.config.items() if key != "OnBuild"}
        if triggers:
            self.tell.total += len(triggers)
            self.tell.say(f"# Executing {len(triggers)} build trigger{'s' if len(triggers) > 1 else ''}\n")
        for text in triggers:
            one = replace(parse_instruction(text, self.dockerfile.name), line=stage.line)
            if one.keyword in ("FROM", "MAINTAINER", "ONBUILD"):
                raise one.error(f"{one.keyword} isn't allowed as an ONBUILD trigger")
            self.step(stage, draft, one)
        for one in stage.instructions:
            self.step(stage, draft, one)
        return draft

    def origin(self, stage: Stage) -> Draft:
        """The FROM step: what it is based on, and whether that is what it was the last time."""
        began = time.monotonic()
        self.tell.announce(stage.origin)
        self.trail.begin(label(stage), [one.text for one in (stage.origin, *stage.instructions)])
        base, parent = stage.base_image(self.graph.args), self.graph.base(stage)
        facts: Facts = {"image": base, "epoch": self.options.epoch}
        if parent is not None:
            draft = self.draft(parent).branch()
            facts = {"parent": draft.said}
        elif base == "scratch":
            draft = Draft.scratch()
        else:
            image = self.find(base, stage.origin)
            draft = Draft.on(image)
            facts |= {"id": image.id, "layers": image.diff_ids}
        self.note(stage, stage.origin, facts)
        decision = self.compare(stage, draft.unsaid if parent else 0, draft.said or key_of(facts))
        if parent is None:
            draft.key = key_of({"layers": facts.get("layers", []), "epoch": self.options.epoch})
            draft.said = decision.key
        if not decision.hit:
            draft.unsaid = self.tell.number
            draft.missed = draft.missed if parent else self.tell.number
        self.tell.conclude(stage, stage.origin, decision, began, facts, draft)
        return draft

    def compare(self, stage: Stage, missed: int, key: str) -> Decision:
        """Whether a FROM stands on what it stood on the last time."""
        why = self.trail.why(label(stage), missed)
        return Decision(True, "hit", key) if why in (NEVER, LOST) else Decision(False, f"miss because {why}", key)

    def find(self, name: str, one: Instruction) -> Image:
        """An image of the store, or one of this course's own bases."""
        try:
            return self.images.get(name)
        except ImageNotFound as error:
            raise ImageNotFound(
                f"{self.dockerfile.name}:{one.line}: {one.keyword} {name}: {error}. minidocker does not pull yet: load "
                "an image, or build on this course's own bases, minidocker/base and minidocker/python"
            ) from error

    def step(self, stage: Stage, draft: Draft, written: Instruction) -> None:
        """Carry out one instruction."""
        began = time.monotonic()
        self.tell.announce(written)
        before, layers, lines = draft.config, len(draft.layers), len(draft.history)
        carry_out = {"RUN": self.run, "COPY": self.copy, "ADD": self.copy, "WORKDIR": self.workdir, "ARG": self.arg}
        one = written if written.keyword == "ARG" else written.expand(draft.env)
        decision = carry_out.get(one.keyword, self.metadata)(stage, draft, one)
        draft.said = key_of({"parent": draft.said, "step": decision.key})
        draft.unsaid = draft.unsaid if decision.hit else self.tell.number
        layer = draft.layers[-1] if len(draft.layers) > layers else None
        history = draft.history[-1] if len(draft.history) > lines else {}
        facts, changes = self.trail.now[label(stage)][-1].facts, conf.changed(before, draft.config)
        self.tell.conclude(stage, written, decision, began, facts, draft, layer, history, changes)

    # Instructions that change the configuration alone

    def metadata(self, stage: Stage, draft: Draft, one: Instruction) -> Decision:
        """CMD, ENV, LABEL… Nothing is built; the cache knows when they were first said."""
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
        decision, record = self.decide(stage, one, facts, draft.unsaid)
        record = record or self.remember(one, facts)
        if one.keyword != "ONBUILD":
            draft.history.append(self.line(text, record, empty_layer=True))
        return decision

    def arg(self, stage: Stage, draft: Draft, one: Instruction) -> Decision:
        """A build argument: seen by what follows in this stage, and no part of the image but for its history line."""
        written = tuple((name, None if text is None else one.word(text, draft.env)) for name, text in one.pairs)
        for name, value in one.arguments(draft.env, self.options.build_args, self.graph.args):
            draft.args.append(name)
            if value is not None:
                draft.env[name] = value
        return self.metadata(stage, draft, replace(one, pairs=written))

    # Instructions that make a layer

    def workdir(self, stage: Stage, draft: Draft, one: Instruction) -> Decision:
        """WORKDIR: a folder that is made where it is missing, which takes a layer."""
        config = conf.configure(draft.config, one)
        path, user = str(config["WorkingDir"]), str(config.get("User") or "")
        if not path.strip("/"):
            return self.metadata(stage, draft, one)
        draft.config = config

        def make() -> Made:
            tree = draft.tree()
            owner = conf.owner(tree, user, "USER") if user else None
            return nullcontext(make_folder(path, owner, self.seconds, tree))

        facts = {"parent": draft.key, "workdir": path, "user": user}
        return self.layer(stage, draft, one, facts, conf.created_by(one, config), make)

    def run(self, stage: Stage, draft: Draft, one: Instruction) -> Decision:
        """RUN: what a program changes. It sees the image's variables and the build arguments."""
        argv, script = conf.run_command(draft.config, one)
        args = [(name, draft.env.get(name, "")) for name in draft.args]
        network = str(one.flags.get("network") or self.options.network)
        if network not in NETWORKS:
            raise one.error(f"unsupported network mode {network!r}: default, none or host")
        process = Process(
            tuple(argv), self.variables(draft), draft.config.get("WorkingDir") or "/", draft.config.get("User") or ""
        )
        facts = {
            "parent": draft.key,
            "run": argv,
            "args": dict(args),
            "env": {name: value for name, value in draft.env.items() if name not in draft.args},
            "user": process.user,
            "workdir": process.cwd,
            "network": network,
            "script": script,
        }
        todo = Command(process, "none" if network == "none" else "host", script)
        make = partial(
            run, self.runtime, self.scratch / f"run-{self.tell.number}", tuple(draft.layers), todo, self.tell.say
        )
        return self.layer(stage, draft, one, facts, conf.run_text(argv, args), make)

    def variables(self, draft: Draft) -> tuple[str, ...]:
        """What a program of the build sees. Proxies come in without an ARG, and do not count for the cache."""
        proxies = {name: value for name, value in self.options.build_args.items() if name in PREDEFINED_ARGS}
        return tuple(f"{name}={value}" for name, value in (proxies | draft.env).items())

    def copy(self, stage: Stage, draft: Draft, one: Instruction) -> Decision:
        """COPY and ADD: files of the context, of another stage, or of an image."""
        source, text = self.source(one), conf.copy_text(one)
        facts: Facts = {
            "parent": key_of({"epoch": self.options.epoch}) if one.flags.get("link") else draft.key,
            "copy": [*one.args[:-1], *(f"<<{heredoc.name}" for heredoc in one.heredocs)],
            "to": conf.destination(draft.config, one.args[-1]),
            "owner": str(one.flags.get("chown", "")),
            "mode": conf.chmod(one),
            "add": one.keyword == "ADD",
        }
        quick = key_of(facts | {"source": source.key}) if source.key and not self.options.no_cache else ""
        if quick and (record := self.cache.find(self.cache.alias(quick))[0]):
            return self.take(stage, draft, one, record, text)
        chosen, facts["files"] = self.gather(one, source)
        if quick:
            self.cache.alias(quick, key_of(facts))
        make = partial(self.copied, one, facts, draft, chosen)
        return self.layer(stage, draft, one, facts, text, make)

    def gather(self, one: Instruction, source: Source) -> tuple[Chosen, str]:
        """What a COPY takes, out of its source and its here-documents, and the digest that stands for all of it."""
        tree, docs = source.tree(), Tree({f"/{doc.name}": file(doc.data.encode()) for doc in one.heredocs})
        chosen = [
            (tree, select(tree, one.args[:-1], source.where)),
            (docs, select(docs, [f"/{doc.name}" for doc in one.heredocs])),
        ]
        return chosen, self.cache.put_files({k: v for part in chosen for k, v in contents(*part).items()})

    def copied(self, one: Instruction, facts: Facts, draft: Draft, chosen: Chosen) -> Made:
        """The layer of a COPY. With `--link` it does not look at what is below."""
        lower = Tree() if one.flags.get("link") else draft.tree()
        owner = conf.owner(lower, facts["owner"]) if facts["owner"] else None
        archives = partial(unpack, scratch=self.scratch) if one.keyword == "ADD" else None
        return nullcontext(copy(chosen, Copy(facts["to"], owner, facts["mode"], archives, self.seconds), lower))

    def source(self, one: Instruction) -> Source:
        """Where a COPY takes its files from."""
        stage, name = self.graph.source(one), str(one.flags.get("from", ""))
        if stage is not None:
            draft = self.draft(stage)
            return Source(draft.key, draft.tree, f"file not found in stage {name}")
        if name:
            image = self.find(name, one)
            return Source(key_of({"layers": image.diff_ids}), image.tree, f"file not found in image {name}")
        return Source("", lambda: self.context.tree)

    # What the steps have in common

    def layer(self, stage: Stage, draft: Draft, one: Instruction, facts: Facts, text: str, make: Make) -> Decision:
        """A step that makes a layer: taken from the cache, or made and put there."""
        decision, record = self.decide(stage, one, facts, draft.missed)
        self.push(draft, one, record or self.make(one, facts, text, make), text)
        draft.missed = draft.missed if decision.hit else self.tell.number
        return decision

    def make(self, one: Instruction, facts: Facts, text: str, make: Make) -> Record:
        """Make a layer, and enter it into the cache."""
        began = time.monotonic()
        with make() as changes:
            made = self.images.add_layer(changes, text, self.options.epoch)
        return self.remember(one, facts, made, time.monotonic() - began)

    def take(self, stage: Stage, draft: Draft, one: Instruction, record: Record, text: str) -> Decision:
        """A layer that is known to be in the cache."""
        self.note(stage, one, record.facts)
        self.push(draft, one, record, text)
        return Decision(True, "hit", record.key)

    def push(self, draft: Draft, one: Instruction, record: Record, text: str) -> None:
        """Put a record's layer on the stack. A COPY --link does not know what it lies on; what comes next has to."""
        layer = self.stored(record, text)
        layer.below = tuple(draft.layers)
        draft.layers.append(layer)
        draft.key = key_of({"parent": draft.key, "link": record.key}) if one.flags.get("link") else record.key
        draft.history.append(self.line(text, record))

    def stored(self, record: Record, text: str) -> Layer:
        """A record's layer."""
        assert record.layer is not None
        return Layer(self.store, record.layer, record.layer.digest, text)

    def decide(self, stage: Stage, one: Instruction, facts: Facts, missed: int) -> tuple[Decision, Record | None]:
        """Ask the cache, and find out why it has nothing."""
        key = key_of(facts)
        self.note(stage, one, facts)
        if self.options.no_cache:
            return Decision(False, "miss because of --no-cache", key), None
        record, problem = self.cache.find(key)
        if record is not None:
            return Decision(True, "hit", key), record
        return Decision(False, f"miss because {problem or self.trail.why(label(stage), missed)}", key), None

    def note(self, stage: Stage, one: Instruction, facts: Facts) -> None:
        """Write a step into the trail."""
        self.trail.note(label(stage), Row(one.line, one.text, facts))

    def remember(self, one: Instruction, facts: Facts, layer: Layer | None = None, seconds: float = 0.0) -> Record:
        """Enter a step into the cache."""
        record = Record(key_of(facts), layer.descriptor if layer else None, self.timestamp(), seconds, facts)
        self.cache.add(record, one.text)
        return record

    def line(self, text: str, record: Record, **more: bool) -> dict[str, Any]:
        """An entry of the history."""
        return {"created": record.created, "created_by": text, "comment": COMMENT, **more}

    # The end

    def finish(self, draft: Draft) -> Image:
        """Make the image and give it its names."""
        config = dict(draft.config)
        if self.options.labels:
            config["Labels"] = (config.get("Labels") or {}) | dict(self.options.labels)
        config = {key: value for key, value in config.items() if value not in (None, "", [], {})}
        created = draft.history[-1].get("created") if draft.history and self.options.epoch is None else None
        made = {"created": created or self.timestamp(), "config": config, "history": draft.history}
        platform = {"architecture": architecture_of(self.options.platform)}
        image = self.images.create(platform | draft.raw | made, draft.layers)
        for tag in self.options.tags:
            self.images.tag(image, tag)
        self.tell.emit({"aux": {"ID": image.id}})
        self.warn()
        self.tell.say(f"Successfully built {image.id[7:19]}\n")
        for tag in self.options.tags:
            self.tell.say(f"Successfully tagged {Reference.parse(tag)}\n")
        return image

    def warn(self) -> None:
        """Say which build arguments nobody asked for."""
        every = (*self.dockerfile.args, *(one for stage in self.dockerfile.stages for one in stage.instructions))
        asked = {name for one in every if one.keyword == "ARG" for name, _ in one.pairs}
        known = asked | PREDEFINED_ARGS | {*PLATFORM_ARGS, "SOURCE_DATE_EPOCH"}
        if unused := sorted(self.options.build_args.keys() - known):
            self.tell.say(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed\n")

    # Time

    @property
    def seconds(self) -> int:
        """The time of what this build makes, in seconds."""
        return self.now // SECOND

    def timestamp(self) -> str:
        """The time of a step as history has it: now, or SOURCE_DATE_EPOCH."""
        whole, rest = divmod(time.time_ns() if self.options.epoch is None else self.now, SECOND)
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def label(stage: Stage) -> str:
    """What a stage is called in the trail."""
    return stage.name or str(stage.index)
