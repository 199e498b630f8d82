"""A Dockerfile as a value: stages of instructions, each knowing its line.

    >>> file = Dockerfile.parse('''ARG version=3.19
    ... FROM alpine:$version AS build
    ... RUN make
    ... FROM scratch
    ... COPY --from=build /app /
    ... ''')
    >>> [(stage.name, stage.base, len(stage.instructions)) for stage in file.stages]
    [('build', 'alpine:$version', 1), ('', 'scratch', 1)]
    >>> file.stages[0].base_image(file.global_args())
    'alpine:3.19'

The grammar is that of the Dockerfile reference as BuildKit reads it. `lines` joins physical lines, `instruction` gives
each its meaning, `words` replaces variables; nothing here reads a file, an image or the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import DockerfileError
from .instruction import Instruction, instruction, parse_instruction
from .lines import Heredoc, Source
from .values import meant

__all__ = [
    "PLATFORM_ARGS",
    "PREDEFINED_ARGS",
    "Dockerfile",
    "Heredoc",
    "Instruction",
    "Stage",
    "parse_instruction",
]

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")

PREDEFINED_ARGS = frozenset(PROXIES) | {name.lower() for name in PROXIES}
"""The build arguments that every RUN sees without an ARG, and that never count for the cache."""

PLATFORM_ARGS = tuple(
    side + part for side in ("BUILD", "TARGET") for part in ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")
)
"""The build arguments that the builder sets by itself; a stage sees one after an ARG with its name."""


@dataclass(frozen=True)
class Stage:
    """A build stage: from one FROM to the next. `base` is as written; `name` is lower-case, or empty."""

    index: int
    name: str
    base: str
    platform: str
    origin: Instruction
    instructions: tuple[Instruction, ...] = ()

    @property
    def line(self) -> int:
        """The line of its FROM."""
        return self.origin.line

    def base_image(self, args: Mapping[str, str]) -> str:
        """Return the base with global build arguments replaced; DockerfileError when that leaves nothing."""
        base = self.origin.expand(args).args[0]
        if not base:
            raise self.origin.error(f"base name ({self.base}) should not be blank")
        return base

    def base_platform(self, args: Mapping[str, str]) -> str:
        """Return `--platform` with global build arguments replaced, or the empty string."""
        return self.origin.word(self.platform, args)


@dataclass(frozen=True)
class Dockerfile:
    """A whole file: the global ARGs before the first FROM, and the stages."""

    name: str
    escape: str
    directives: Mapping[str, str]
    args: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | bytes, name: str = "Dockerfile") -> Dockerfile:
        """Read a Dockerfile; DockerfileError, with file, line and instruction, for whatever is wrong in it."""
        source = Source.read(text if isinstance(text, str) else text.decode(errors="surrogateescape"), name)
        args, groups = _grouped([instruction(line) for line in source.lines])
        stages = tuple(_stage(index, first, rest) for index, (first, *rest) in enumerate(groups))
        if not stages:
            raise DockerfileError("dockerfile contains no stages to build: FROM is missing", name)
        _check_names(stages)
        return cls(name, source.escape, source.directives, tuple(args), stages, source.warnings)

    def stage(self, reference: str | int, before: int | None = None) -> Stage | None:
        """Return the stage of that name (in any case) or number, among those before number `before`; or None.

        >>> file = Dockerfile.parse("FROM a AS one\\nFROM b")
        >>> file.stage("ONE").index, file.stage("1").base, file.stage("1", before=1)
        (0, 'b', None)
        """
        text = str(reference)
        candidates = self.stages[:before]
        named = [stage for stage in candidates if stage.name and stage.name == text.lower()]
        numbered = [stage for stage in candidates if text.isdecimal() and stage.index == int(text[:9])]
        return next(iter(named[::-1] + numbered), None)

    def target(self, name: str = "") -> Stage:
        """Return the stage to build: the one of `--target`, or the last; DockerfileError when there is none such."""
        stage = self.stage(name) if name else self.stages[-1]
        if stage is None:
            hint = meant(name, [stage.name for stage in self.stages if stage.name])
            raise DockerfileError(f'target stage "{name}" could not be found{hint}', self.name)
        return stage

    def global_args(
        self, build_args: Mapping[str, str] | None = None, platform_args: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return the values of the ARGs before the first FROM, for FROM and for an `ARG name` in a stage.

        A build argument wins over a default; an ARG with neither has no value. `platform_args` (TARGETARCH …) are
        there before the first ARG.
        """
        values = {**(platform_args or {})}
        build_args = build_args or {}
        values.update({name: build_args[name] for name in values.keys() & build_args.keys()})
        for arg in self.args:
            pairs = arg.arguments(values, build_args, values)
            values.update({name: value for name, value in pairs if value is not None})
        return values


def _grouped(instructions: Iterable[Instruction]) -> tuple[list[Instruction], list[list[Instruction]]]:
    """Split the instructions into the ARGs before the first FROM and what each FROM begins."""
    args: list[Instruction] = []
    groups: list[list[Instruction]] = []
    for one in instructions:
        if one.keyword == "FROM":
            groups.append([one])
        elif groups:
            groups[-1].append(one)
        elif one.keyword == "ARG":
            args.append(one)
        else:
            raise one.error(f"no build stage in current context: {one.keyword} comes before the first FROM")
    return args, groups


def _stage(index: int, origin: Instruction, instructions: list[Instruction]) -> Stage:
    name = origin.args[2].lower() if len(origin.args) == 3 else ""
    return Stage(index, name, origin.args[0], str(origin.flags.get("platform", "")), origin, tuple(instructions))


def _check_names(stages: Iterable[Stage]) -> None:
    seen: dict[str, Stage] = {}
    for stage in stages:
        if stage.name and (first := seen.setdefault(stage.name, stage)) is not stage:
            raise stage.origin.error(f"duplicate name {stage.name}: it is the stage of line {first.line} already")
