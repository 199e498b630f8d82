"""The stages of a Dockerfile as a graph: which of them a target needs, and in what order.

>>> graph = Graph(Dockerfile.parse("FROM a AS one\\nFROM b AS two\\nFROM scratch\\nCOPY --from=one /x /"), {})
>>> [stage.name for stage in graph.plan(graph.dockerfile.target())]
['one', '']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from minidocker.build.step import StageNode
from minidocker.dockerfile import Dockerfile, Instruction, Stage
from minidocker.errors import Unsupported
from minidocker.platforms import Platform

REFUSED = {  # flag -> the way out
    "security": "security.insecure is not allowed: minidocker runs every step in the same sandbox",
    "device": "minidocker gives no CDI devices, such as GPUs, to a build: leave the flag out",
}


@dataclass(frozen=True)
class Graph:
    """The stages, with the global build arguments that name their bases."""

    dockerfile: Dockerfile
    args: Mapping[str, str]
    files: frozenset[str] = frozenset()  # names that stand for files: named contexts

    def plan(self, target: Stage, known: Callable[[Stage], Stage] | None = None) -> list[Stage]:
        """The stages that the target needs, in the order of the file, so itself last. Raises for a circle.

        `known` gives a stage as it will be carried out, with the triggers of its base.
        """
        done: dict[int, Stage] = {}

        def visit(stage: Stage, above: tuple[int, ...]) -> None:
            if stage.index in above:
                raise stage.origin.error(f"circular dependency detected on stage: {stage.name or stage.index}")
            whole = known(stage) if known else stage
            for needed in self.needs(whole):
                if needed.index not in done:
                    visit(needed, (*above, stage.index))
            done[stage.index] = whole

        visit(target, ())
        return [done[index] for index in sorted(done)]

    def needs(self, stage: Stage) -> Iterator[Stage]:
        """The stages that a stage is based on or copies from, in the order of the file."""
        found = [self.base(stage), *(source for one in stage.instructions for source in self.sources(one))]
        yield from sorted({one.index: one for one in found if one}.values(), key=lambda one: one.index)

    def sources(self, one: Instruction) -> Iterator[Stage]:
        """The stages that an instruction takes files from."""
        for stage in (self.source(one), *(self.named(name) for name, _ in one.mounts_from)):
            if stage is not None:
                yield stage

    def base(self, stage: Stage) -> Stage | None:
        """The earlier stage that this one is based on; None where it is an image."""
        name = stage.base_image(self.args)
        return self.dockerfile.named(name, before=stage.index)

    def named(self, name: str) -> Stage | None:
        """The stage that a mount is from; None where it is an image, or the context."""
        return self.dockerfile.named(name.lower()) if name else None

    def source(self, one: Instruction) -> Stage | None:
        """The stage that a COPY copies from; None where it is an image, or the context."""
        name = str(one.flags.get("from", ""))
        stage = self.dockerfile.stage(name) if name else None
        if stage is None and name.isdecimal():
            raise one.error(f"invalid from flag value {name}: index out of bounds")
        return stage

    def node(self, stage: Stage, used: bool) -> StageNode:
        """The stage as a node of the picture."""
        copies = dict.fromkeys(
            name
            for one in stage.instructions
            for name in (str(one.flags.get("from", "")), *(name for name, _ in one.mounts_from))
            if name
        )
        base = stage.base_image(self.args) if used else stage.base
        return StageNode(stage.index, stage.name, base, tuple(copies), used)

    def platform(self, stage: Stage, target: str) -> Platform:
        """What a stage is built for: the target, unless it, or the stage that it is based on, says otherwise."""
        parent = self.base(stage)
        return self.platform(parent, target) if parent else Platform.parse(stage.base_platform(self.args) or target)

    def copies_only(self, stage: Stage) -> bool:
        """Whether no program of a stage is run, nor of an image that it is based on: so any machine can build it."""
        base = stage.base_image(self.args)
        grounded = self.base(stage) is not None or base == "scratch" or base in self.files
        return grounded and all(one.keyword != "RUN" for one in stage.instructions)

    def check(self, stage: Stage, platform: str) -> None:
        """Refuse what is not done, before anything is built. Raises Unsupported."""
        wanted, ours = self.platform(stage, platform), Platform.parse("")
        if wanted != ours and not (wanted == ("linux", *Platform.parse(platform)[1:]) and self.copies_only(stage)):
            raise Unsupported(
                f"--platform={wanted}: only this machine's {ours} can be built for, "
                "unless nothing is run: FROM scratch, without a RUN"
            )
        for one in stage.instructions:
            for flag in [flag for flag in REFUSED if one.flags.get(flag, "sandbox") != "sandbox"]:
                raise Unsupported(f"line {one.line}: {one.keyword} --{flag} is not supported: {REFUSED[flag]}")
