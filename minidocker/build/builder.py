"""From a Dockerfile to an image: the stages that are needed, as a plan; what they become; and the image of the target.

The steps are numbered in the plan, in the order of the file: a number says where a step stands, not when it ran.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from minidocker.build.arguments import check_arguments, target_stage
from minidocker.build.cache import Cache, Record
from minidocker.build.cachefrom import sources
from minidocker.build.cacheto import inline
from minidocker.build.context import Context
from minidocker.build.draft import Draft
from minidocker.build.remotes import Remotes
from minidocker.build.running import NETWORKS
from minidocker.build.stage import StageBuild
from minidocker.build.stages import Graph
from minidocker.build.step import Build, Options
from minidocker.build.telling import Event, Teller
from minidocker.build.together import Together
from minidocker.dockerfile import PLATFORM_ARGS, PREDEFINED_ARGS, Dockerfile, Instruction, Stage, parse_instruction
from minidocker.dockerfile.lint import Choice, check, summary, violation
from minidocker.dockerfile.values import meant
from minidocker.errors import APIError, BuildError, DockerfileError, ImageNotFound, InvalidArgument
from minidocker.image import Image
from minidocker.images import Guard, Images, unguarded
from minidocker.platforms import Platform, platform_args
from minidocker.reference import Reference
from minidocker.runtime import Runtime

SECOND = 1_000_000_000


class Builder:
    """One build. `build()` gives the `Build`, or raises BuildError, DockerfileError, ImageNotFound, Unsupported."""

    memory: type[Cache] = Cache
    teller: type[Teller] = Teller
    worker: type[StageBuild] = StageBuild
    remote: type[Remotes] = Remotes

    def __init__(
        self,
        images: Images,
        runtime: Runtime,
        context: Context,
        dockerfile: Dockerfile,
        options: Options,
        on_event: Callable[[Event], None] | None = None,
        guard: Guard = unguarded,
    ) -> None:
        self.guard = guard
        self.images, self.runtime, self.context, self.dockerfile = images, runtime, context, dockerfile
        self.options, self.store = options, images.store
        self.cache = self.memory(self.store)
        self.trail = self.cache.last(f"{context.name}\0{dockerfile.name}")
        self.tell = self.teller(on_event)
        said = Options(options.tags, options.build_args, options.target, options.labels, epoch=options.epoch)
        self.tell.build.options, self.tell.build.began = said, time.time_ns()
        self.together = Together(self.tell.hear)
        self.tell.emit = self.together.post
        self.found: dict[str, Image] = {}
        self.made: dict[str, Record] = {}
        self.workers: dict[int, StageBuild] = {}
        self.drafts: dict[int, Draft] = {}
        self.scratch = self.store.root / "tmp" / f"build-{os.getpid()}-{os.urandom(4).hex()}"
        self.remotes = self.remote(self.store.root / "cache" / "remote", self.scratch, self.together.stoppable)
        self.now = time.time_ns() if options.epoch is None else options.epoch * SECOND
        stage = {"TARGETSTAGE": target_stage(dockerfile, options.target)}
        self.platform_args = platform_args(options.platform) | stage
        self.contexts = options.contexts
        args = dockerfile.global_args(options.build_args, self.platform_args)
        known = self.contexts.stands_in(dockerfile)
        bases = (stage.base_image(args) for stage in known.stages)
        self.graph = Graph(known, args, frozenset(base for base in bases if self.contexts.is_files(base)))

    def build(self) -> Build:
        """Build the target stage and what it needs, and make the image of it."""
        try:
            with self.guard(self.together.cancel), self.telling(), self.store.keep():
                self.scratch.mkdir(parents=True)
                self.tell.build.image = self.finish(self.carry_out(self.plan()))
        finally:
            discard(self.scratch)
            self.context.digests.save()
            self.contexts.save()
            self.trail.save()
        return self.tell.build

    def plan(self) -> list[Stage]:
        """The stages that are needed, the target last. Refuses what makes no sense before anything is done."""
        self.check()
        self.cache.sources = list(sources(self.options.cache_from, self.images, self.tell.say))
        target = self.graph.dockerfile.target(self.options.target)
        self.dockerfile.check_bases(self.graph.args)
        plan: list[Stage] = []
        for known in (None, self.triggered):
            plan = self.graph.plan(target, known)
            if known is None:
                steps = sum(1 + len(stage.instructions) for stage in plan)
                texts = [one.text for one in (*self.dockerfile.args, plan[0].origin)]
                self.tell.emit({"plan": steps, "first": texts, "labels": self.options.labels})
            for stage in plan:
                self.graph.check(stage, self.options.platform)
        used = {stage.index for stage in plan}
        self.tell.build.dockerfile, self.tell.build.args = self.dockerfile, self.graph.args
        self.tell.build.stages = [self.graph.node(stage, stage.index in used) for stage in self.graph.dockerfile.stages]
        for stage in plan:
            self.workers[stage.index] = self.worker(self, stage, self.tell.total + 1)
            waiting = len(stage.instructions) - len(self.graph.dockerfile.stages[stage.index].instructions)
            self.tell.emit({"plan": steps, "triggers": [self.tell.total + 1, waiting]})
            self.tell.total += 1 + len(stage.instructions)
        self.lint([stage for stage in self.dockerfile.stages if stage.index in used])
        return plan

    def lint(self, stages: list[Stage]) -> None:
        """Note what Docker warns about. Raises DockerfileError where the Dockerfile makes an error of that."""
        given, ignore = self.options.build_args, self.context.ignore
        warnings = check(self.dockerfile, given, self.platform_args, stages, ignore, self.raw)
        self.tell.build.dockerfile, self.tell.build.warnings = self.dockerfile, warnings
        if warnings and Choice.of(self.dockerfile, given).error:
            error = DockerfileError(violation(warnings), self.dockerfile.name)
            error.text, error.warnings = self.dockerfile.text, warnings
            raise error

    def raw(self, name: str) -> Mapping[str, Any] | None:
        """The configuration of an image, or None where it is not here."""
        found = None if self.images.makes(name) else self.images.find(name)
        return self.images.get(name).raw if found else None

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Whatever goes wrong in here is told to who listens."""
        try:
            yield
        except (APIError, BuildError) as error:
            if isinstance(error, DockerfileError):
                error.text = error.text or self.dockerfile.text
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
        check_arguments(self.options.build_args)
        if any(not name for name in self.options.labels):
            raise InvalidArgument("invalid label: its name is empty")

    # Stages

    def carry_out(self, plan: list[Stage]) -> Draft:
        """What the target becomes, the last of the plan. All begin at once; one that needs another waits for it."""
        self.together.run([partial(self.draft, stage) for stage in plan])
        return self.drafts[plan[-1].index]

    def draft(self, stage: Stage) -> Draft:
        """What a stage becomes; built by who first asks for it, and waited for by the others."""
        with self.together.claim(stage.index):
            if stage.index not in self.drafts:
                worker = self.workers[stage.index]
                try:
                    self.drafts[stage.index] = worker.carry_out()
                except Exception as error:
                    self.tell.failed.setdefault(error, worker.number)
                    raise
            return self.drafts[stage.index]

    def triggered(self, stage: Stage) -> Stage:
        """The stage with the triggers that wait in its base, which come first."""
        base, parent = stage.base_image(self.graph.args), self.graph.base(stage)
        if parent is not None:
            texts = [one.args[0] for one in parent.instructions if one.keyword == "ONBUILD"]
        else:
            empty = self.meant(base) == "scratch" or self.files(base)
            texts = [] if empty else self.find(base, stage.origin).config.get("OnBuild") or []
        triggers = [replace(parse_instruction(text, self.dockerfile.name), line=stage.line) for text in texts]
        for one in triggers:
            if one.keyword in ("FROM", "MAINTAINER", "ONBUILD"):
                raise one.error(f"{one.keyword} isn't allowed as an ONBUILD trigger")
        return replace(stage, instructions=(*triggers, *stage.instructions))

    def meant(self, name: str) -> str:
        """The image that a name stands for: another one of the store where `--build-context` says so."""
        return self.contexts.image(name) or name

    def files(self, name: str) -> Context | None:
        """The named context of files that a name stands for, if it does."""
        return self.contexts.files(name, self.store, self.scratch)

    def find(self, name: str, one: Instruction) -> Image:
        """An image of the store, of a registry, or one of this course's own bases; the same one for the whole build."""
        with self.together.claim(f"image {name}"):
            try:
                if name not in self.found:
                    image = self.contexts.layout(name, self.images)
                    self.found[name] = image or self.fetched(self.meant(name))
            except ImageNotFound as error:
                hint = meant(name, [stage.name for stage in self.dockerfile.stages if stage.name])
                raise ImageNotFound(
                    f"{self.dockerfile.name}:{one.line}: {one.keyword} {name}: {error}{hint}"
                ) from error
            return self.found[name]

    def fetched(self, name: str) -> Image:
        """An image, pulled where it is missing or for another platform; and with `--pull`, the newest one."""
        images, platform = self.images, self.options.platform
        if images.makes(name) or (not self.options.pull and images.suits(name, platform)):
            return images.get(name)
        try:
            return images.fetch(
                name, platform, lambda message: self.tell.emit({"pull": message}), self.together.stoppable
            )
        except ImageNotFound:
            if not images.find(name):
                raise
            return images.get(name)

    # The end

    def finish(self, draft: Draft) -> Image:
        """Make the image and give it its names."""
        config = dict(draft.config)
        if self.options.labels:
            config["Labels"] = (config.get("Labels") or {}) | dict(self.options.labels)
        config = {key: value for key, value in config.items() if value not in (None, "", [], {})}
        created = draft.history[-1].get("created") if draft.history and self.options.epoch is None else None
        made = {"created": created or self.timestamp(), "config": config, "history": draft.history}
        platform = Platform.parse(self.options.platform).config
        if self.options.inline_cache:
            made |= inline(self.tell.build.steps, draft.history, draft.layers)
        image = self.images.create(platform | draft.raw | made, draft.layers, self.options.annotations)
        self.tell.build.bases, self.tell.build.ended = self.found, time.time_ns()
        for tag in self.options.tags:
            self.images.tag(image, tag)
        self.tell.emit({"aux": {"ID": image.id}})
        self.warn()
        self.tell.say(f"Successfully built {image.id[7:19]}\n")
        for tag in self.options.tags:
            self.tell.say(f"Successfully tagged {Reference.parse(tag)}\n")
        if self.tell.build.warnings:
            self.tell.say(summary(self.tell.build.warnings))
        return image

    def warn(self) -> None:
        """Say which build arguments nobody asked for."""
        every = (*self.dockerfile.args, *(one for stage in self.dockerfile.stages for one in stage.instructions))
        asked = {name for one in every if one.keyword == "ARG" for name, _ in one.pairs}
        known = asked | PREDEFINED_ARGS | {*PLATFORM_ARGS, "SOURCE_DATE_EPOCH"}
        given = {name for name in self.options.build_args if not name.startswith("BUILDKIT_")}
        if unused := sorted(given - known):
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


def discard(folder: Path) -> None:
    """Delete a folder in which the runtime may be deleting too, behind our back."""
    for _ in range(200):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.01)
