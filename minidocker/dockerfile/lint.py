"""`docker build --check`: what Docker warns about in a Dockerfile that it builds all the same.

    >>> file = Dockerfile.parse("FROM scratch as app\\nCOPY $x /\\nMAINTAINER me")
    >>> for warning in check(file):
    ...     print(warning)
    FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)
    UndefinedVar: Usage of undefined variable '$x' (line 2)
    MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 3)

The rules are in `filerules` and `steprules`. A file chooses among them with
`# check=skip=Rule,Rule;error=true;experimental=Rule`, a build with the build argument BUILDKIT_DOCKERFILE_CHECK, an
instruction with such a comment right above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ..dockerignore import Ignore
from ..errors import DockerfileError, InvalidArgument
from . import Dockerfile, Instruction, Stage, filerules, steprules
from .excerpt import excerpt
from .lines import DIRECTIVE
from .rules import RULES, Rule, Seen
from .walk import Base, Visit, Walk
from .words import quoted

__all__ = ["Choice", "LintWarning", "check", "check_text", "filerules", "report", "steprules", "summary", "violation"]

BUILD_ARG = "BUILDKIT_DOCKERFILE_CHECK"
TRUE, FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True, order=True)
class LintWarning:
    """A warning: where, by which rule, and in which words. `url` is where Docker describes the rule."""

    line: int
    message: str
    rule: str
    end: int = 0
    description: str = field(default="", repr=False)
    url: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.rule}: {self.message} (line {self.line})"

    def shown(self, text: str, name: str) -> str:
        """The warning as `docker build --check` prints it: with a link, and the lines of the file that it is about."""
        link = f" - {self.url}" if self.url else ""
        lines = excerpt(text, name, self.line, self.end)
        return f"WARNING: {self.rule}{link}\n{self.message}\n{lines}"


@dataclass(frozen=True)
class Choice:
    """Which rules count. `error` says that a warning fails the build."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read `skip=…;experimental=…;error=…`. Raises InvalidArgument.

        >>> Choice.parse("skip=JSONArgsRecommended, StageNameCasing;error=true").error
        True
        """
        found: dict[str, frozenset[str]] = {}
        error = False
        for option in text.strip().split(";", 2) if text.strip() else ():
            key, equals, value = (part.strip() for part in option.partition("="))
            if not equals or key not in ("skip", "experimental", "error"):
                raise InvalidArgument(
                    f"failed to parse check options: invalid check option {quoted(key if equals else option)}: "
                    "skip=, experimental= and error= are known"
                )
            if key == "error" and value not in TRUE + FALSE:
                raise InvalidArgument(f"failed to parse check option {quoted(option)}: true or false is expected")
            error = value in TRUE if key == "error" else error
            found[key] = frozenset(name.strip() for name in value.split(","))
        return cls(found.get("skip", frozenset()), found.get("experimental", frozenset()), error)

    @classmethod
    def of(cls, file: Dockerfile, build_args: Mapping[str, str]) -> Choice:
        """The choice of a build: its build argument's, else the file's."""
        text = build_args.get(BUILD_ARG)
        return cls.parse(file.directives.get("check", "").split(" ")[0] if text is None else text)

    def counts(self, rule: Rule) -> bool:
        """Whether a rule is to be looked at."""
        names = {"all", rule.name}
        return bool(names & self.experimental) if rule.experimental else not names & self.skip

    def at(self, one: Instruction) -> Choice:
        """The choice with that of the comment above an instruction added."""
        for comment in one.comments:
            match = DIRECTIVE.fullmatch(f"#{comment}")
            if match and match[1].lower() == "check":
                try:
                    more = Choice.parse(match[2].split(" ")[0])
                except InvalidArgument:
                    break
                return Choice(self.skip | more.skip, self.experimental | more.experimental, self.error)
        return self


def check(
    file: Dockerfile,
    build_args: Mapping[str, str] | None = None,
    platform_args: Mapping[str, str] | None = None,
    stages: Iterable[Stage] | None = None,
    ignore: Ignore | None = None,
    base: Base = lambda _name: None,
) -> list[LintWarning]:
    """The warnings of a Dockerfile, in the order of its lines; of `stages` alone (default: all) as far as it matters.

    `base` gives the raw configuration of an image, or None where it is not here. Raises DockerfileError, with the
    `warnings` so far, where a build would; InvalidArgument for a choice of rules that is none.
    """
    choice = Choice.of(file, build_args or {})
    walk = Walk(file, build_args, platform_args, base)
    followed = tuple(file.stages if stages is None else stages)
    visits: list[Visit] = []
    seen = partial(_seen, walk, followed, visits, ignore)
    try:
        file.check_bases(walk.args)
        for stage in followed:
            for visit in walk.stage(stage):
                visits.append(visit)
    except DockerfileError as error:
        error.text = error.text or file.text
        error.warnings = _warnings(choice, replace(seen(), stages=()))
        raise
    return _warnings(choice, seen())


def check_text(text: str, line: int, name: str = "Dockerfile") -> list[LintWarning]:
    """What the text shows above a line that cannot be parsed; nothing where that is no Dockerfile either."""
    try:
        file = Dockerfile.parse("".join(text.splitlines(keepends=True)[: line - 1]), name)
        return _warnings(Choice.of(file, {}), Seen(file), early=True)
    except InvalidArgument:
        return []


def violation(warnings: Iterable[LintWarning]) -> str:
    """What is said where `error=true` makes an error of warnings.

    >>> violation(check(Dockerfile.parse("FROM scratch as app")))
    'lint violation found for rules: FromAsCasing'
    """
    return f"lint violation found for rules: {', '.join(dict.fromkeys(warning.rule for warning in warnings))}"


def summary(warnings: Sequence[LintWarning]) -> str:
    """What a build says of its warnings when it is done.

    >>> print(summary(check(Dockerfile.parse("FROM scratch as app"))), end="")
    <BLANKLINE>
     1 warning found (use build --check to expand):
     - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)
    """
    count = f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}"
    return "\n".join(["", f" {count} found (use build --check to expand):", *(f" - {one}" for one in warnings), ""])


def report(text: str, name: str, warnings: Sequence[LintWarning]) -> str:
    """What `docker build --check` prints of a Dockerfile.

    >>> print(report("FROM scratch", "Dockerfile", check(Dockerfile.parse("FROM scratch"))), end="")
    Check complete, no warnings found.
    """
    if not warnings:
        return "Check complete, no warnings found.\n"
    count = "1 warning has" if len(warnings) == 1 else f"{len(warnings)} warnings have"
    return f"Check complete, {count} been found!\n" + "".join(f"\n{one.shown(text, name)}" for one in warnings)


def _seen(walk: Walk, stages: tuple[Stage, ...], visits: list[Visit], ignore: Ignore | None) -> Seen:
    platform = walk.platform_args.get("TARGETPLATFORM", "")
    around = (ignore or Ignore(), walk.base, platform)
    return Seen(walk.file, walk.args, walk.platform_args, stages, tuple(visits), *around)


def _warnings(choice: Choice, seen: Seen, early: bool = False) -> list[LintWarning]:
    return sorted(set(_found(choice, seen, early)))


def _found(choice: Choice, seen: Seen, early: bool) -> Iterator[LintWarning]:
    for rule in RULES.values():
        for one, message in rule.find(seen) if rule.early or not early else ():
            if choice.at(one).counts(rule):
                yield LintWarning(one.line, message, rule.name, one.end, rule.description, rule.url)
