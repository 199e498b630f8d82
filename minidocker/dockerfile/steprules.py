"""Build checks of instructions at their turn, with the variables that they see there, one function a rule.

Each yields the instructions that it minds, and what it says of them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ..dockerignore import Ignore
from .instruction import Instruction, quoted_words
from .lines import first_word, split_flags
from .rules import Found, Seen, hint, rule
from .values import split_port
from .words import expand_words, quoted


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


def is_secret(name: str) -> bool:
    """Whether a variable's name looks like that of a secret.

    >>> is_secret("API_TOKEN"), is_secret("MONKEY"), is_secret("PUBLIC_KEY")
    (True, False, False)
    """
    return bool(SECRETS.search(name)) and not PUBLIC.search(name)


@rule("SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands")
def secrets_used_in_arg_or_env(seen: Seen) -> Found:
    """ENV API_TOKEN=…"""
    for visit in seen.visits:
        for name, _ in visit.meant.pairs if visit.one.keyword in ("ARG", "ENV") else ():
            if is_secret(name):
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


# What they share


def exposed(seen: Seen) -> Iterator[tuple[Instruction, str]]:
    """The words of each EXPOSE, variables replaced."""
    for visit in seen.visits:
        for word in visit.one.args if visit.one.keyword == "EXPOSE" else ():
            for port in expand_words(word, visit.env, visit.one.escape):
                yield visit.one, port


def ignored(ignore: Ignore, source: str) -> bool:
    """Whether `.dockerignore` leaves out a source, where that can be said."""
    if source in (".", "/"):
        return any(pattern.text in ("*", "**", "**/*")[source == "/" :] for pattern in ignore.patterns)
    return not source.startswith("/") and ignore.excludes(source)
