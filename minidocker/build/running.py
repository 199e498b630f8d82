"""RUN as a step: the program, what is mounted for it, and what the cache knows it by."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from minidocker.build import config as conf
from minidocker.build.cache import Decision, Facts, key_of
from minidocker.build.copying import Copying, Source
from minidocker.build.mounts import Given, Placed, cleaned
from minidocker.build.run import Command, run
from minidocker.dockerfile import PREDEFINED_ARGS, Instruction
from minidocker.dockerfile.mounts import RunMount
from minidocker.layer import Changeset
from minidocker.runtime import Process

NETWORKS = ("default", "none", "host")


class Running(Copying):
    """The steps of a stage that run a program."""

    def say(self, text: str) -> None:
        """A piece of the output of the step that goes on."""
        self.tell.say(text, self.number)

    def heard(self, text: str, stderr: bool) -> None:
        """A piece of the output of its program."""
        self.tell.output(text, self.number, stderr)

    def run(self, one: Instruction) -> Decision:
        """RUN: what a program changes. It sees the image's variables and the build arguments."""
        draft = self.draft
        argv, script = conf.run_command(draft.config, one)
        args = [(name, draft.env.get(name, "")) for name in draft.args]
        network = str(one.flags.get("network") or self.options.network)
        if network not in NETWORKS:
            raise one.error(f"unsupported network mode {network!r}: default, none or host")
        process = Process(
            tuple(argv), self.variables(), draft.config.get("WorkingDir") or "/", draft.config.get("User") or ""
        )
        placed = self.placed(one)
        facts: Facts = {
            "parent": draft.key,
            "run": argv,
            "args": dict(args),
            "env": {name: value for name, value in draft.env.items() if name not in draft.args},
            "user": process.user,
            "workdir": process.cwd,
            "network": network,
            "script": script,
        } | ({"mounts": [each.text for each in placed]} if placed else {})
        make = partial(self.ran, Command(process, "none" if network == "none" else "host", script), placed)
        return self.layer(one, self.with_files(one, facts, placed), conf.run_text(argv, args), make)

    def with_files(self, one: Instruction, facts: Facts, placed: list[Placed]) -> Facts:
        """The facts, with what the mounts show. Stages and images that are known by their keys need no second look."""
        keys = [each.source.key for each in placed if each.source]
        if not keys:
            return facts
        quick = key_of(facts | {"sources": keys}) if all(keys) and not self.options.no_cache else ""
        known = self.cache.alias(quick) if quick else ""
        if known and (record := self.build.made.get(known) or self.cache.find(known)[0]):
            return record.facts
        facts["files"] = self.shown(placed)
        if quick:
            self.cache.alias(quick, key_of(facts))
        return facts

    def shown(self, placed: list[Placed]) -> str:
        """The digest that stands for all files that mounts show."""
        with self.build.context.lock:  # so that no file is read twice
            return self.cache.put_files({path: what for each in placed for path, what in each.files().items()})

    def placed(self, one: Instruction) -> list[Placed]:
        """The mounts of a RUN, sorted by their targets. Raises DockerfileError."""
        specs = one.mounts(self.draft.env)
        found = [
            Placed(number, spec, self.place(one, specs, number), self.source_of(one, spec))
            for number, spec in enumerate(specs)
        ]
        return sorted(found, key=lambda each: each.target)

    def place(self, one: Instruction, specs: tuple[RunMount, ...], number: int) -> str:
        """Where a mount is seen inside."""
        spec = specs[number]
        target = spec.target
        if spec.type == "ssh":
            target = target or f"/run/buildkit/ssh_agent.{sum(other.type == 'ssh' for other in specs[:number])}"
        elif spec.type == "secret" and not target:
            if spec.env is not None:
                return ""
            target = f"/run/secrets/{posixpath.basename(spec.id or spec.source)}"
        place = cleaned(conf.workdir(self.draft.config, target))
        if place == "/":
            raise one.error('invalid mount target "/"')
        return place

    def source_of(self, one: Instruction, spec: RunMount) -> Source | None:
        """Where the files of a mount are from: a bind's, and those with which a cache begins."""
        if spec.type not in ("bind", "cache") or (spec.type == "cache" and not spec.origin):
            return None
        return self.taken_from(one, self.graph.named(spec.origin), spec.origin)

    def variables(self) -> tuple[str, ...]:
        """What a program of the build sees. Proxies come in without an ARG, and do not count for the cache."""
        proxies = {name: value for name, value in self.options.build_args.items() if name in PREDEFINED_ARGS}
        return tuple(f"{name}={value}" for name, value in (proxies | self.draft.env).items())

    # The program

    @contextmanager
    def ran(self, todo: Command, placed: list[Placed]) -> Iterator[Changeset]:
        """Run the program with all that it wants mounted; nothing of that lasts longer, but for what caches keep."""
        folder, layers = self.build.scratch / f"run-{self.number}", tuple(self.draft.layers)
        with ExitStack() as stack:
            given = Given(self.build, self.build.scratch / f"mounts-{self.number}", stack, placed)
            mounts, process = given.mounts(" ".join(todo.process.args)), todo.process
            env = given.variables(dict(text.partition("=")[::2] for text in process.env))
            process = replace(process, env=tuple(f"{name}={value}" for name, value in env.items()))
            todo = replace(todo, process=process, mounts=mounts, around=self.options.around, apart=self.options.apart)
            yield stack.enter_context(run(self.build.runtime, folder, layers, todo, self.heard, self.build.together))
