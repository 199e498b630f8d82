"""The build checks of Docker, one function a rule: it yields the instructions that it minds, and what it says of each.

Described in Docker's reference under "Build checks"; the conditions are those of BuildKit's linter.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..dockerignore import Ignore
from ..errors import DockerfileError, InvalidArgument
from ..reference import Reference
from . import Dockerfile, Instruction, Stage
from .instruction import quoted_words
from .lines import first_word, split_flags
from .values import PLATFORM_PARTS, nearest, split_port
from .walk import Base, Visit, Watched
from .words import expand, expand_words, quoted

Found = Iterator[tuple[Instruction, str]]


@dataclass(frozen=True)
class Seen:
    """What the rules look at: the file, its instructions at their turn, and what surrounds them."""

    file: Dockerfile
    args: Mapping[str, str] = field(default_factory=dict)  # the global build arguments
    platform_args: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()  # those that were followed
    visits: tuple[Visit, ...] = ()
    ignore: Ignore = field(default_factory=Ignore)
    base: Base = lambda _name: None
    platform: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule: its name, what it is about, and the function. One that is `early` needs no more than the text."""

    name: str
    description: str
    find: Callable[[Seen], Found]
    early: bool = False
    experimental: bool = False

    @property
    def url(self) -> str:
        """Where Docker describes it."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", self.name).lower()
        return f"https://docs.docker.com/go/dockerfile/rule/{words}/"


RULES: dict[str, Rule] = {}


def rule(
    name: str, description: str, early: bool = False, experimental: bool = False
) -> Callable[[Callable[[Seen], Found]], Callable[[Seen], Found]]:
    """Enter a function into the table."""

    def enter(find: Callable[[Seen], Found]) -> Callable[[Seen], Found]:
        RULES[name] = Rule(name, description, find, early, experimental)
        return find

    return enter


# What the text alone shows


@rule("StageNameCasing", "Stage names should be lowercase", early=True)
def stage_name_casing(seen: Seen) -> Found:
    """FROM … AS Build"""
    for stage in seen.file.stages:
        if (name := "".join(stage.origin.args[2:])) != name.lower():
            yield stage.origin, f"Stage name '{name}' should be lowercase"


@rule("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword", early=True)
def from_as_casing(seen: Seen) -> Found:
    """FROM … as build"""
    for stage in seen.file.stages:
        word, as_ = stage.origin.typed, "".join(stage.origin.args[1:2])
        if as_ != (as_.lower() if word.islower() else as_.upper() if word.isupper() else as_):
            yield stage.origin, f"'{as_}' and '{word}' keywords' casing do not match"


@rule("NoEmptyContinuation", "Empty continuation lines will become errors in a future release", early=True)
def no_empty_continuation(seen: Seen) -> Found:
    """An instruction that goes on over an empty line."""
    for one in seen.file.instructions:
        if one.gap:
            yield replace(one, line=one.gap, end=one.gap), "Empty continuation line"


@rule(
    "ConsistentInstructionCasing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
)
def consistent_instruction_casing(seen: Seen) -> Found:
    """Run among RUNs."""
    every = [one for stage in seen.file.stages for one in (stage.origin, *stage.instructions)]
    lower = sum(one.typed.islower() for one in every) > sum(one.typed.isupper() for one in every)
    majority = "lowercase" if lower else "uppercase"
    for one in every:
        if one.typed != (one.typed.lower() if lower else one.typed.upper()):
            yield one, f"Command '{one.typed}' should match the case of the command majority ({majority})"


@rule("DuplicateStageName", "Stage names should be unique")
def duplicate_stage_name(seen: Seen) -> Found:
    """Two stages of one name."""
    for stage in seen.file.stages:
        if seen.file.named(stage.name, before=stage.index):
            yield stage.origin, f"Duplicate stage name {quoted(stage.name)}, stage names should be unique"


@rule("ReservedStageName", "Reserved words should not be used as stage names")
def reserved_stage_name(seen: Seen) -> Found:
    """FROM … AS scratch"""
    for stage in seen.file.stages:
        if stage.name in ("context", "scratch"):
            yield stage.origin, f"Stage name should not use the same name as reserved stage {quoted(stage.name)}"


@rule(
    "MaintainerDeprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    early=True,
)
def maintainer_deprecated(seen: Seen) -> Found:
    """MAINTAINER"""
    for one in seen.file.instructions:
        if one.keyword == "MAINTAINER":
            yield one, "Maintainer instruction is deprecated in favor of using label"


@rule(
    "InvalidDefinitionDescription",
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not "
    "intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    early=True,
    experimental=True,
)
def invalid_definition_description(seen: Seen) -> Found:
    """A comment right above a stage or an argument that is not about it."""
    names = {id(stage.origin): [stage.name] for stage in seen.file.stages if stage.name}
    for one in seen.file.instructions:
        known = names.get(id(one), [name for name, _ in one.pairs] if one.keyword == "ARG" else [])
        if known and one.comments and one.comments[-1].split(" ")[0] not in known:
            example = known[0] if len(known) == 1 else "<arg_key>"
            yield one, f"Comment for {one.keyword} should follow the format: `# {example} <description>`"


# FROM, and the global arguments


@rule("UndefinedArgInFrom", "FROM command must use declared ARGs")
def undefined_arg_in_from(seen: Seen) -> Found:
    """FROM alpine:$versoin"""
    known = {**{name: None for arg in seen.file.args for name, _ in arg.pairs}, **dict.fromkeys(seen.args)}
    for stage in seen.file.stages:
        for word in (stage.base, stage.platform):
            for name in replaced(word, seen.args, seen.file.escape)[1].missing:
                if name not in known:
                    yield stage.origin, f"FROM argument '{name}' is not declared{hint(name, known)}"


@rule(
    "RedundantTargetPlatform",
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
)
def redundant_target_platform(seen: Seen) -> Found:
    """FROM --platform=$TARGETPLATFORM"""
    for stage in seen.file.stages:
        platform, env = replaced(stage.platform, seen.args, seen.file.escape)
        if list(env.found) == ["TARGETPLATFORM"] and not env.missing and platform == seen.args["TARGETPLATFORM"]:
            what = f"predefined {stage.platform} in FROM is redundant as this is the default behavior"
            yield stage.origin, f"Setting platform to {what}"


@rule("FromPlatformFlagConstDisallowed", "FROM --platform flag should not use a constant value")
def from_platform_flag_const_disallowed(seen: Seen) -> Found:
    """FROM --platform=linux/amd64, unless the stage is named for it."""
    for stage in seen.file.stages:
        platform, env = replaced(stage.platform, seen.args, seen.file.escape)
        if platform and not env.found and not env.missing and not any(part in stage.name for part in parts(platform)):
            yield stage.origin, f"FROM --platform flag should not use constant value {quoted(platform)}"


@rule("InvalidDefaultArgInFrom", "Default value for global ARG results in an empty or invalid base image name")
def invalid_default_arg_in_from(seen: Seen) -> Found:
    """ARG version, and then FROM alpine:$version: without `--build-arg` there is no such base."""
    try:
        defaults = seen.file.global_args({}, seen.platform_args)
    except DockerfileError:
        return
    for stage in seen.file.stages:
        try:
            Reference.parse(expand(stage.base, defaults, seen.file.escape))
        except InvalidArgument:
            text = f"Default value for ARG {stage.base} results in empty or invalid base image name"
            yield stage.origin, text
        except ValueError:
            return


@rule("InvalidBaseImagePlatform", "Base image platform does not match expected target platform")
def invalid_base_image_platform(seen: Seen) -> Found:
    """A base that is here, for another machine."""
    for stage in seen.stages:
        name = stage.base_image(seen.args)
        raw = None if name == "scratch" or seen.file.named(name, stage.index) else seen.base(name)
        wanted = stage.base_platform(seen.args) or seen.platform
        if raw and wanted and (actual := f"{raw.get('os')}/{raw.get('architecture')}") != "/".join(parts(wanted)):
            text = f"Base image {name} was pulled with platform {quoted(actual)}, expected {quoted(wanted)}"
            yield stage.origin, f"{text} for current build"


# Instructions at their turn


@rule(
    "JSONArgsRecommended",
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
)
def json_args_recommended(seen: Seen) -> Found:
    """CMD in the shell form."""
    for visit in seen.visits:
        if visit.one.keyword in ("CMD", "ENTRYPOINT") and not visit.one.json and not visit.shell:
            what = "to prevent unintended behavior related to OS signals"
            yield visit.one, f"JSON arguments recommended for {visit.one.typed} {what}"


@rule(
    "WorkdirRelativePath",
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base "
    "image changes",
)
def workdir_relative_path(seen: Seen) -> Found:
    """WORKDIR app"""
    for visit in seen.visits:
        if visit.one.keyword == "WORKDIR" and not visit.workdir and not visit.meant.args[0].startswith("/"):
            path = quoted(visit.meant.args[0])
            yield visit.one, f"Relative workdir {path} can have unexpected results if the base image changes"


@rule("UndefinedVar", "Variables should be defined before their use")
def undefined_var(seen: Seen) -> Found:
    """COPY $dri /"""
    for visit in seen.visits:
        for name in visit.undefined:
            yield visit.one, f"Usage of undefined variable '${name}'{hint(name, visit.env, '$')}"


@rule(
    "MultipleInstructionsDisallowed",
    "Multiple instructions of the same type should not be used in the same stage",
)
def multiple_instructions_disallowed(seen: Seen) -> Found:
    """A CMD that a later one takes the place of."""
    for visit in seen.visits:
        if visit.one.keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK") and visit.earlier:
            what = "should not be used in the same stage because only the last one will be used"
            yield visit.earlier, f"Multiple {visit.one.typed} instructions {what}"


@rule("LegacyKeyValueFormat", "Legacy key/value format with whitespace separator should not be used")
def legacy_key_value_format(seen: Seen) -> Found:
    """ENV name value"""
    for one in [visit.one for visit in seen.visits if visit.one.keyword in ("ENV", "LABEL")]:
        if "=" not in quoted_words(split_flags(first_word(one.text)[1])[1], one.escape)[0]:
            word = one.typed
            yield one, f'"{word} key=value" should be used instead of legacy "{word} key value" format'


SECRETS = re.compile(r"(_|^)(apikey|auth|credentials?|key|password|pword|passwd|secret|token)(_|$)", re.IGNORECASE)
PUBLIC = re.compile(r"(_|^)(public|file|version)(_|$)", re.IGNORECASE)


@rule("SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands")
def secrets_used_in_arg_or_env(seen: Seen) -> Found:
    """ENV API_TOKEN=…"""
    for visit in seen.visits:
        for name, _ in visit.meant.pairs if visit.one.keyword in ("ARG", "ENV") else ():
            if SECRETS.search(name) and not PUBLIC.search(name):
                what = f"({visit.one.keyword} {quoted(name)})"
                yield visit.one, f"Do not use ARG or ENV instructions for sensitive data {what}"


@rule("CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore")
def copy_ignored_file(seen: Seen) -> Found:
    """COPY of what `.dockerignore` leaves out."""
    if any(pattern.exception for pattern in seen.ignore.patterns):
        return  # too hard to say, for BuildKit too
    for visit in seen.visits:
        if visit.one.keyword not in ("COPY", "ADD") or visit.one.flags.get("from"):
            continue
        for source in map(posixpath.normpath, visit.meant.args[:-1]):
            if "://" not in source and not source.startswith("git@") and ignored(seen.ignore, source):
                what = f"{visit.one.keyword.capitalize()} file {quoted(source)}"
                yield visit.one, f"Attempting to {what} that is excluded by .dockerignore"


@rule("ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase")
def expose_proto_casing(seen: Seen) -> Found:
    """EXPOSE 80/TCP"""
    for one, port in exposed(seen):
        if (protocol := split_port(port)[3]) != protocol.lower():
            yield one, f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"


@rule(
    "ExposeInvalidFormat",
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future "
    "release",
)
def expose_invalid_format(seen: Seen) -> Found:
    """EXPOSE 8080:80"""
    for one, port in exposed(seen):
        if any(split_port(port)[:2]):
            yield one, f"EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"


# What the rules share


def exposed(seen: Seen) -> Iterator[tuple[Instruction, str]]:
    """The words of each EXPOSE, variables replaced."""
    for visit in seen.visits:
        for word in visit.one.args if visit.one.keyword == "EXPOSE" else ():
            for port in expand_words(word, visit.env, visit.one.escape):
                yield visit.one, port


def hint(name: str, known: Mapping[str, object], sign: str = "") -> str:
    """The variable that was probably meant, as BuildKit asks for it."""
    match = nearest(name, known)
    return f" (did you mean {sign}{match}?)" if match else ""


def replaced(word: str, args: Mapping[str, str], escape: str) -> tuple[str, Watched]:
    """A word of a FROM with its variables replaced, and which those were; nothing where it is malformed."""
    env = Watched(args)
    try:
        return expand(word, env, escape), env
    except ValueError:
        return "", env


def parts(platform: str) -> list[str]:
    """The operating system and the architecture that a platform names.

    >>> parts("linux/x86_64/v2"), parts("arm64")
    (['linux', 'amd64'], ['linux', 'arm64'])
    """
    system, _, arch = platform.lower().partition("/")
    if not arch and PLATFORM_PARTS.fullmatch(system) and system not in ("linux", "windows", "darwin", "freebsd"):
        system, arch = "linux", system
    arch = arch.split("/")[0]
    arch = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm"}.get(arch, arch)
    return [system, arch] if arch else [system]


def ignored(ignore: Ignore, source: str) -> bool:
    """Whether `.dockerignore` leaves out a source, where that can be said."""
    if source in (".", "/"):
        return any(pattern.text in ("*", "**", "**/*")[source == "/" :] for pattern in ignore.patterns)
    return not source.startswith("/") and ignore.excludes(source)
