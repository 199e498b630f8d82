"""A Dockerfile as a value: stages of instructions, each knowing its line. (Signatures first; the parser follows.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PREDEFINED_ARGS = frozenset(
    {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"}
)


@dataclass(frozen=True)
class Heredoc:
    """`<<EOF` and the lines up to `EOF`: `content` with its final newline, tabs already cut for `<<-`."""

    name: str
    content: str
    expand: bool  # False when the name was quoted
    chomp: bool  # <<-
    descriptor: int = 0


@dataclass(frozen=True)
class Instruction:
    """One instruction, before expansion.

    `args`: RUN CMD ENTRYPOINT SHELL: the exec form's list (`json`), or one string, the shell form;
    COPY ADD: sources and destination last (heredoc sources as `<<EOF`; see `heredocs`); HEALTHCHECK: after CMD;
    EXPOSE VOLUME: the words; USER WORKDIR STOPSIGNAL MAINTAINER: one; FROM: base [AS name]; ONBUILD: the trigger's text.
    `pairs`: ENV LABEL ARG, in order; an ARG without default has None.
    `flags`: name -> str, True/False for boolean flags, tuple of str for those that repeat (mount, exclude, device).
    """

    keyword: str  # "RUN"
    text: str  # "RUN echo hi": continuation lines joined as Docker does
    line: int
    end: int
    args: tuple[str, ...] = ()
    json: bool = False
    flags: Mapping[str, str | bool | tuple[str, ...]] = ...  # type: ignore
    pairs: tuple[tuple[str, str | None], ...] = ()
    heredocs: tuple[Heredoc, ...] = ()
    health: Mapping[str, object] | None = None  # HEALTHCHECK as in the image config: Test, Interval (ns) …
    trigger: Instruction | None = None  # ONBUILD
    name: str = "Dockerfile"
    escape: str = "\\"

    def expand(self, env: Mapping[str, str]) -> Instruction:
        """The same with variables replaced where this instruction has that; EXPOSE args become sorted "80/tcp"."""
        raise NotImplementedError

    @property
    def script(self) -> str:
        """The shell form with its here-documents put back: what goes to `/bin/sh -c`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next."""

    index: int
    name: str  # "" when it has none; lower-case
    base: str  # as written, unexpanded
    platform: str
    line: int
    origin: Instruction  # the FROM
    instructions: tuple[Instruction, ...]

    def base_image(self, env: Mapping[str, str]) -> str:
        """The base with global ARGs expanded; DockerfileError when blank."""
        raise NotImplementedError


@dataclass(frozen=True)
class Dockerfile:
    """The whole file."""

    name: str
    text: str
    escape: str
    directives: Mapping[str, str]
    args: tuple[Instruction, ...]  # ARG before the first FROM
    stages: tuple[Stage, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, name: str = "Dockerfile") -> Dockerfile:
        """Read a Dockerfile; raises DockerfileError."""
        raise NotImplementedError

    def stage(self, reference: str | int, before: int | None = None) -> Stage | None:
        """The stage of that name (any case) or index among those before `before`; None: it is an image's name."""
        raise NotImplementedError

    def target(self, name: str = "") -> Stage:
        """The stage to build: --target, or the last one; DockerfileError when there is none such."""
        raise NotImplementedError

    def global_args(self, build_args: Mapping[str, str], platform: Mapping[str, str]) -> dict[str, str]:
        """The ARGs before the first FROM with their values, for `base_image` and for bare `ARG name` in stages."""
        raise NotImplementedError


def parse_instructions(lines: Iterable[str], name: str = "ONBUILD") -> list[Instruction]:
    """Parse ONBUILD triggers stored in an image's config."""
    raise NotImplementedError
