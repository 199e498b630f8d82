"""Following a Dockerfile without running it: each instruction at its turn, with the variables that it sees there.

    >>> file = Dockerfile.parse("FROM scratch\\nARG dir=/srv\\nWORKDIR $dir/$sub")
    >>> arg, workdir = Walk(file).stage(file.stages[0])
    >>> workdir.meant.args, workdir.undefined, arg.workdir is None
    (('/srv/',), ('sub',), True)

This is what the checks of `lint` look at. It knows what the builder knows before it starts: build arguments, and the
configurations of the base images that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import DockerfileError
from . import Dockerfile, Instruction, Stage, parse_instruction

Base = Callable[[str], Mapping[str, Any] | None]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Watched(dict[str, str]):
    """Variables that remember which of them were asked for, and which were asked for in vain."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.found: dict[str, None] = {}
        self.missing: dict[str, None] = {}

    def get(self, name: str, default: Any = None) -> Any:
        """The value, as any dict has it."""
        (self.found if name in self else self.missing)[name] = None
        return super().get(name, default)

    def __or__(self, more: Mapping[str, str]) -> Watched:  # type: ignore[override]
        grown = Watched({**self, **more})
        grown.found, grown.missing = self.found, self.missing
        return grown


@dataclass(frozen=True)
class Visit:
    """One instruction at its turn. `one` is as written, `meant` with its variables replaced.

    `undefined` are the variables in it that nothing defines, `env` those that are defined. `shell` says that a SHELL
    was set, `workdir` is the last WORKDIR, `earlier` the last instruction of the same kind in the stage.
    """

    stage: Stage
    one: Instruction
    meant: Instruction
    undefined: tuple[str, ...]
    env: Mapping[str, str]
    shell: bool
    workdir: Instruction | None
    earlier: Instruction | None


@dataclass
class State:
    """What a stage hands on to the stages that are based on it."""

    env: dict[str, str] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()  # by an ARG, if only without a value
    shell: bool = False
    workdir: Instruction | None = None
    triggers: tuple[str, ...] = ()


class Walk:
    """The way through a Dockerfile. `base` gives an image's raw configuration, or None where it is not here."""

    def __init__(
        self,
        file: Dockerfile,
        build_args: Mapping[str, str] | None = None,
        platform_args: Mapping[str, str] | None = None,
        base: Base = lambda _name: None,
    ) -> None:
        self.file, self.build_args, self.platform_args, self.base = file, build_args or {}, platform_args or {}, base
        self.args = file.global_args(self.build_args, self.platform_args)
        self.left: dict[int, State] = {}

    def stage(self, stage: Stage) -> Iterator[Visit]:
        """The instructions of a stage, those of its base's triggers first. Stages come in the order of the file.

        Raises DockerfileError where an instruction makes no sense with its variables.
        """
        state = self.beginning(stage)
        seen: dict[str, Instruction] = {}
        triggers = [self.trigger(text, stage) for text in state.triggers]
        state.triggers = ()
        for one in (*triggers, *stage.instructions):
            env = Watched(state.env)
            meant, pairs = self.meant(one, env)
            looked = one.keyword != "EXPOSE"  # where BuildKit does not look
            undefined = tuple(name for name in env.missing if looked and name not in state.declared)
            earlier = seen.get(one.keyword)
            yield Visit(stage, one, meant, undefined, state.env, state.shell, state.workdir, earlier)
            seen[one.keyword] = one
            self.after(state, one, pairs)
        self.left[stage.index] = state

    def beginning(self, stage: Stage) -> State:
        """What a stage begins with: what its base left."""
        name = stage.base_image(self.args)
        parent = self.file.named(name, before=stage.index)
        if parent is not None and parent.index in self.left:
            return replace(self.left[parent.index])
        config = ({} if name == "scratch" else self.base(name) or {}).get("config") or {}
        env = dict(pair.partition("=")[::2] for pair in config.get("Env") or [])
        env.setdefault("PATH", PATH)
        return State(env, shell=bool(config.get("Shell")), triggers=tuple(config.get("OnBuild") or ()))

    def trigger(self, text: str, stage: Stage) -> Instruction:
        """A trigger as the instruction that it becomes, at the FROM that sets it off."""
        try:
            return replace(parse_instruction(text, self.file.name), line=stage.line, end=stage.origin.end)
        except DockerfileError as error:
            raise stage.origin.error(f"ONBUILD {text}: {error.message}") from None

    def meant(self, one: Instruction, env: Watched) -> tuple[Instruction, tuple[tuple[str, str | None], ...]]:
        """The instruction with its variables replaced, and what it defines."""
        if one.keyword == "ARG":
            return one, one.arguments(env, self.build_args, self.args)
        meant = one.expand(env)
        return meant, meant.pairs if one.keyword == "ENV" else ()

    def after(self, state: State, one: Instruction, pairs: tuple[tuple[str, str | None], ...]) -> None:
        """What an instruction changes for those that follow."""
        state.env = state.env | {name: value for name, value in pairs if value is not None} if pairs else state.env
        if one.keyword == "ARG":
            state.declared |= {name for name, _ in pairs}
        state.shell |= one.keyword == "SHELL"
        state.workdir = one if one.keyword == "WORKDIR" else state.workdir
        if one.keyword == "ONBUILD":
            state.triggers = (*state.triggers, one.args[0])
