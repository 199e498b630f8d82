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

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import DockerfileError, InvalidArgument, Unsupported
from ..reference import Reference
from .instruction import Instruction, parse_instruction, parse_line
from .lines import Heredoc, Source
from .values import check_platform, meant
from .words import quoted

__all__ = [
    "PLATFORM_ARGS",
    "PREDEFINED_ARGS",
    "Dockerfile",
    "Heredoc",
    "Instruction",
    "Stage",
    "parse_instruction",
]

FRONTEND = re.compile(r"(docker\.io/)?docker/dockerfile(-upstream)?([:@ ]|$)")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")

PREDEFINED_ARGS = frozenset(PROXIES) | {name.lower() for name in PROXIES}
"""The build arguments that every RUN sees without an ARG, and that never count for the cache."""

PLATFORM_ARGS = (
    *(side + part for side in ("BUILD", "TARGET") for part in ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")),
    "TARGETSTAGE",
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

    @property
    def title(self) -> str:
        """Its name, or `stage-0` and so on, as Docker's progress calls it."""
        return self.name or f"stage-{self.index}"

    def base_image(self, args: Mapping[str, str]) -> str:
        """Return the base with global build arguments replaced; DockerfileError when that leaves nothing."""
        base = self.origin.expand(args).args[0]
        if not base:
            raise self.origin.error(f"base name ({self.base}) should not be blank")
        return base

    def base_platform(self, args: Mapping[str, str]) -> str:
        """Return `--platform` with global build arguments replaced; empty when there is none."""
        platform = self.origin.word(self.platform, args)
        names = re.findall(r"\w+", self.platform) if platform != self.platform else []
        hint = next((hint for name in names if name not in args and (hint := meant(name, args))), "")
        if self.platform and not platform:
            raise self.origin.error(f"empty platform value from expression {self.platform}{hint}")
        try:
            check_platform(platform) if self.platform else None
        except ValueError as error:
            raise self.origin.error(f"failed to parse platform {self.platform}: {error}{hint}") from None
        return platform


@dataclass(frozen=True)
class Dockerfile:
    """A whole file: its text, the global ARGs before the first FROM, and the stages."""

    name: str
    escape: str
    directives: Mapping[str, str]
    args: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    text: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str | bytes, name: str = "Dockerfile") -> Dockerfile:
        """Read a Dockerfile, in UTF-8; DockerfileError, with file, line and instruction, for what is wrong in it."""
        data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
        content = data.decode(errors="replace")
        try:
            return cls._parse(content, name)
        except DockerfileError as error:
            error.text = content
            raise

    @classmethod
    def _parse(cls, text: str, name: str) -> Dockerfile:
        source = Source.read(text, name)
        check_syntax(source.directives.get("syntax", ""))
        args, groups = _grouped([parse_line(line) for line in source.lines])
        stages = tuple(_stage(index, first, rest) for index, (first, *rest) in enumerate(groups))
        if not stages:
            raise DockerfileError("dockerfile contains no stages to build: FROM is missing", name)
        file = cls(name, source.escape, source.directives, tuple(args), stages, text)
        for stage in stages:
            for one in stage.instructions:
                if origin := one.flags.get("from"):
                    file._check_origin(stage, one, str(origin))
                for origin, target in one.mounts_from:
                    file._check_mount(stage, one, origin, target)
        return file

    @property
    def instructions(self) -> Iterator[Instruction]:
        """All instructions, in the order of the file."""
        yield from self.args
        for stage in self.stages:
            yield from (stage.origin, *stage.instructions)

    def named(self, name: str, before: int | None = None) -> Stage | None:
        """Return the last stage of that name, which is in lower case, among those before number `before`; or None.

        This is what FROM looks for before it looks for an image.
        """
        return next((stage for stage in self.stages[:before][::-1] if stage.name and stage.name == name), None)

    def stage(self, reference: str, before: int | None = None) -> Stage | None:
        """Return the last stage of that name, in any case, or number, as `COPY --from` and `--target` have it; or None.

        >>> file = Dockerfile.parse("FROM a AS one\\nFROM b")
        >>> file.stage("ONE").index, file.stage("1").base, file.stage("1", before=1)
        (0, 'b', None)
        """
        stages = self.stages[:before]
        number = int(reference) if re.fullmatch(r"[+-]?\d{1,9}", reference, re.ASCII) else -1
        return self.named(reference.lower(), before) or (stages[number] if 0 <= number < len(stages) else None)

    def _check_origin(self, stage: Stage, one: Instruction, origin: str) -> None:
        """Refuse a `--from` of the stage itself, or of a later one, or of what is neither a stage nor an image."""
        found = self.stage(origin)
        if found is stage:
            raise one.error(f"circular dependency detected on stage: {stage.title}")
        if found and found.index > stage.index:
            where = f"it needs to be defined before current stage {quoted(stage.title)}"
            raise one.error(f"cannot copy from stage {quoted(found.title)}, {where}")
        if not found and re.fullmatch(r"[+-]?\d+", origin, re.ASCII):
            raise one.error(f"invalid stage index {origin}: the file has {len(self.stages)} stages, from 0 on")
        if not found:
            _check_image(one, origin)

    def _check_mount(self, stage: Stage, one: Instruction, origin: str, target: str) -> None:
        """Refuse a mount of the stage itself, or of a later one; a number is no stage here."""
        found = self.named(origin.lower())
        if found is stage:
            raise one.error(f"circular dependency detected on stage: {stage.title}")
        if found and found.index > stage.index:
            where = f"to {quoted(target)}, stage needs to be defined before current command"
            raise one.error(f"cannot mount from stage {quoted(origin)} {where}")
        if not found:
            _check_image(one, origin)

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
            values.update((name, value) for name, value in pairs if value is not None)
        return values

    def check_bases(self, args: Mapping[str, str]) -> None:
        """Refuse a base or platform that cannot be, also of a stage that nobody needs; `args` are the global ones."""
        for stage in self.stages:
            base = stage.base_image(args)
            stage.base_platform(args)
            if not self.named(base, stage.index):
                _check_image(stage.origin, base)


def _check_image(one: Instruction, name: str) -> None:
    try:
        Reference.parse(name)
    except InvalidArgument as error:
        raise one.error(f"failed to parse stage name {quoted(name)}: {error.explanation}") from None


def check_syntax(frontend: str) -> None:
    """Refuse a `# syntax=` that names another language than Docker's. Raises Unsupported.

    >>> check_syntax("docker/dockerfile:1.7-labs")
    """
    if frontend and not FRONTEND.match(frontend):
        raise Unsupported(
            f"syntax={frontend} is not supported: minidocker reads every Dockerfile by itself, and runs no frontend "
            "images: use docker/dockerfile:1, or leave the line out"
        )


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
