"""Build checks of a file as it is written, of its stages and of its global arguments, one function a rule.

Each yields the instructions that it minds, and what it says of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import DockerfileError, InvalidArgument
from ..reference import Reference
from .rules import Found, Seen, hint, rule
from .values import PLATFORM_PARTS
from .walk import Watched
from .words import expand, quoted

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


# What they share


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
