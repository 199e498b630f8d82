"""The build checks: which rule minds what, on which line, in Docker's words; who chooses among them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.dockerfile import Dockerfile
from minidocker.dockerfile.excerpt import excerpt
from minidocker.dockerfile.lint import Choice, check, check_text, report, violation
from minidocker.dockerfile.rules import RULES
from minidocker.dockerignore import Ignore
from minidocker.errors import DockerfileError, InvalidArgument

PLATFORM = {"BUILDPLATFORM": "linux/amd64", "TARGETPLATFORM": "linux/amd64", "TARGETARCH": "amd64"}
UBUNTU = {"os": "linux", "architecture": "arm64", "config": {"Env": ["JAVA_HOME=/j"], "OnBuild": ["CMD go"]}}


def found(text: str, ignore: str = "", **options: Any) -> list[tuple[str, int]]:
    warnings = check(Dockerfile.parse(text), platform_args=PLATFORM, ignore=Ignore.parse(ignore), **options)
    return [(warning.rule, warning.line) for warning in warnings]


MINDED = [
    ("FROM scratch AS Web", "StageNameCasing", 1, "Stage name 'Web' should be lowercase"),
    ("FROM scratch as web", "FromAsCasing", 1, "'as' and 'FROM' keywords' casing do not match"),
    ("from scratch AS web", "FromAsCasing", 1, "'AS' and 'from' keywords' casing do not match"),
    ("FROM scratch\nCOPY a \\\n\n  b\\\n  c /", "NoEmptyContinuation", 5, "Empty continuation line"),
    (
        "FROM scratch\nCOPY a /\nenv a=1",
        "ConsistentInstructionCasing",
        3,
        "Command 'env' should match the case of the command majority (uppercase)",
    ),
    (
        "from scratch\nCopy a /",
        "ConsistentInstructionCasing",
        2,
        "Command 'Copy' should match the case of the command majority (lowercase)",
    ),
    (
        "FROM scratch AS a\nFROM scratch AS a",
        "DuplicateStageName",
        2,
        'Duplicate stage name "a", stage names should be unique',
    ),
    (
        "FROM scratch AS context",
        "ReservedStageName",
        1,
        'Stage name should not use the same name as reserved stage "context"',
    ),
    (
        "FROM scratch\nENTRYPOINT run it",
        "JSONArgsRecommended",
        2,
        "JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
    ),
    (
        "FROM scratch\nMAINTAINER me",
        "MaintainerDeprecated",
        2,
        "Maintainer instruction is deprecated in favor of using label",
    ),
    (
        "ARG version=1\nFROM alpine:1$versoin",
        "UndefinedArgInFrom",
        2,
        "FROM argument 'versoin' is not declared (did you mean version?)",
    ),
    (
        "FROM scratch\nWORKDIR app",
        "WorkdirRelativePath",
        2,
        'Relative workdir "app" can have unexpected results if the base image changes',
    ),
    (
        "FROM scratch\nARG dir=/x\nCOPY a $dri",
        "UndefinedVar",
        3,
        "Usage of undefined variable '$dri' (did you mean $dir?)",
    ),
    ("FROM scratch\nLABEL a=$nope", "UndefinedVar", 2, "Usage of undefined variable '$nope'"),
    ("FROM scratch\nCOPY <<E /x\n$nope\nE", "UndefinedVar", 2, "Usage of undefined variable '$nope'"),
    ("FROM scratch\nARG a=$b", "UndefinedVar", 2, "Usage of undefined variable '$b'"),
    (
        'FROM scratch\nCMD ["a"]\nENV a=1\nCMD ["b"]',
        "MultipleInstructionsDisallowed",
        2,
        "Multiple CMD instructions should not be used in the same stage because only the last one will be used",
    ),
    (
        "FROM scratch\nLABEL a b",
        "LegacyKeyValueFormat",
        2,
        '"LABEL key=value" should be used instead of legacy "LABEL key value" format',
    ),
    (
        "FROM --platform=${TARGETPLATFORM} scratch",
        "RedundantTargetPlatform",
        1,
        "Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
    ),
    (
        "FROM scratch\nARG API_TOKEN",
        "SecretsUsedInArgOrEnv",
        2,
        'Do not use ARG or ENV instructions for sensitive data (ARG "API_TOKEN")',
    ),
    (
        "ARG tag\nFROM alpine:$tag",
        "InvalidDefaultArgInFrom",
        2,
        "Default value for ARG alpine:$tag results in empty or invalid base image name",
    ),
    (
        "FROM --platform=linux/arm64 scratch AS web",
        "FromPlatformFlagConstDisallowed",
        1,
        'FROM --platform flag should not use constant value "linux/arm64"',
    ),
    (
        "FROM scratch\nEXPOSE 53/UDP",
        "ExposeProtoCasing",
        2,
        "Defined protocol '53/UDP' in EXPOSE instruction should be lowercase",
    ),
    (
        "FROM scratch\nENV p=80:80\nEXPOSE $p",
        "ExposeInvalidFormat",
        3,
        "EXPOSE instruction should not define an IP address or host-port mapping, found '80:80'",
    ),
    (
        "FROM scratch\nADD ./src/x /",
        "CopyIgnoredFile",
        2,
        'Attempting to Add file "src/x" that is excluded by .dockerignore',
    ),
    (
        "FROM ubuntu",
        "InvalidBaseImagePlatform",
        1,
        'Base image ubuntu was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
    ),
    (
        "# check=experimental=all\n# not about it\nFROM scratch AS web",
        "InvalidDefinitionDescription",
        3,
        "Comment for FROM should follow the format: `# web <description>`",
    ),
]


@pytest.mark.parametrize(("text", "rule", "line", "message"), MINDED)
def test_each_rule_minds(text: str, rule: str, line: int, message: str) -> None:
    file = Dockerfile.parse(text)
    bases = {"ubuntu": UBUNTU | {"config": {}}}.get
    args = {"tag": "1"}
    warnings = check(file, args, PLATFORM, ignore=Ignore.parse("src"), base=bases)
    assert [(one.rule, one.line, one.message) for one in warnings] == [(rule, line, message)]
    described = "" if rule == "InvalidBaseImagePlatform" else "https://docs.docker.com/go/dockerfile/rule/"
    assert warnings[0].url.startswith(described) and bool(warnings[0].url) == bool(described)
    skipped = f"# check=skip={rule}\n{text.replace('# check=experimental=all', '#')}"
    assert check(Dockerfile.parse(skipped), args, PLATFORM) == []


def test_every_rule_is_tested() -> None:
    assert {rule for _, rule, _, _ in MINDED} == set(RULES)
    links = {name: rule.url.rstrip("/").rpartition("/")[2] for name, rule in RULES.items()}
    assert links["JSONArgsRecommended"] == "json-args-recommended"
    assert links["SecretsUsedInArgOrEnv"] == "secrets-used-in-arg-or-env"


@pytest.mark.parametrize(
    "text",
    [
        'FROM scratch\nSHELL ["/bin/bash", "-c"]\nCMD run',
        'FROM scratch AS base\nSHELL ["/bin/bash", "-c"]\nFROM base\nENTRYPOINT run',
        "FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b",
        "FROM scratch AS a\nARG x\nFROM a\nCOPY $x /",
        'FROM scratch AS a\nCMD ["a"]\nFROM a\nCMD ["b"]',
        "FROM busybox\nRUN echo $undefined\nENV PATH=$PATH:/x",
        "FROM scratch\nEXPOSE $undefined 80",
        "FROM scratch\nENV PUBLIC_KEY=1 TOKEN_FILE=/x keyboard=us",
        "FROM --platform=$BUILDPLATFORM scratch",
        "FROM --platform=linux/amd64 scratch AS build-amd64",
        "ARG tag=1\nFROM alpine:$tag",
        "FROM scratch\nRUN <<E\ncopy this\nE",
        "FROM scratch\nRUN a \\\n# a comment\n  b",
        "FROM scratch AS a\nCOPY x /\nFROM a\nCOPY --from=a /src/x /",
        "From scratch as web\nFrom scratch",
    ],
)
def test_what_nobody_minds(text: str) -> None:
    assert [rule for rule, _ in found(text, "src\n") if rule != "ConsistentInstructionCasing"] == []


def test_what_a_base_brings_is_known() -> None:
    bases = {"ubuntu": UBUNTU | {"architecture": "amd64"}}.get
    assert found("FROM ubuntu\nCOPY $JAVA_HOME $JAVA_HOM /", base=bases) == [
        ("JSONArgsRecommended", 1),
        ("UndefinedVar", 2),
    ], "its variables, and its triggers"


def test_a_trigger_is_checked_where_it_is_set_off() -> None:
    assert found("FROM scratch AS a\nONBUILD COPY $x /\nFROM a\nFROM a") == [("UndefinedVar", 3), ("UndefinedVar", 4)]


def test_only_the_stages_of_a_build_are_looked_at_turn_by_turn() -> None:
    text = "FROM scratch AS One\nCOPY $a /\nFROM scratch\nCOPY $b /"
    stages = Dockerfile.parse(text).stages
    assert found(text) == [("StageNameCasing", 1), ("UndefinedVar", 2), ("UndefinedVar", 4)]
    assert found(text, stages=stages[1:]) == [("StageNameCasing", 1), ("UndefinedVar", 4)]


BAD = "FROM scratch as Base\ncopy a /\n"


@pytest.mark.parametrize(
    ("directive", "rules"),
    [
        ("", "ConsistentInstructionCasing FromAsCasing StageNameCasing"),
        ("# check=skip=all", ""),
        ("#check=skip=FromAsCasing,StageNameCasing", "ConsistentInstructionCasing"),
        ("# check=error=true", "ConsistentInstructionCasing FromAsCasing StageNameCasing"),
        ("# check=skip=FromAsCasing;error=true", "ConsistentInstructionCasing StageNameCasing"),
        ("# check=skip=StageNameCasing FromAsCasing", "ConsistentInstructionCasing FromAsCasing"),
        ("\n# check=skip=all", "ConsistentInstructionCasing"),
    ],
)
def test_a_file_or_a_comment_chooses_among_the_rules(directive: str, rules: str) -> None:
    assert sorted({rule for rule, _ in found(f"{directive}\n{BAD}")}) == rules.split()


def test_a_build_chooses_instead_of_the_file() -> None:
    file = Dockerfile.parse(f"# check=skip=all\n{BAD}")
    given = {"BUILDKIT_DOCKERFILE_CHECK": "skip=ConsistentInstructionCasing,StageNameCasing;error=true"}
    warnings = check(file, given)
    assert violation(warnings) == "lint violation found for rules: FromAsCasing"
    assert Choice.of(file, given).error and not Choice.of(file, {}).error
    assert check(file, {"BUILDKIT_DOCKERFILE_CHECK": ""}) != []


@pytest.mark.parametrize("text", ["skipp=all", "all", "error=maybe", "skip=a;b"])
def test_a_choice_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(InvalidArgument, match="failed to parse check option"):
        found(f"# check={text}\nFROM scratch")


def test_what_was_noticed_before_an_error_comes_with_it() -> None:
    text = "FROM scratch AS Bad\nMAINTAINER me\nBADCMD\nCMD x"
    assert [one.rule for one in check_text(text, 3)] == ["StageNameCasing", "MaintainerDeprecated"]
    assert check_text("BADCMD", 1) == []
    with pytest.raises(DockerfileError) as caught:
        found("FROM scratch AS Bad\nCOPY $x /\nCOPY ${x:?needed} /")
    assert [one.rule for one in caught.value.warnings] == ["StageNameCasing", "UndefinedVar"]


def test_a_report_shows_the_lines_and_where_to_read_on() -> None:
    text = "FROM scratch\n\nRUN a \\\n\n  b\nCMD c\n"
    assert report(text, "app.Dockerfile", check(Dockerfile.parse(text))[:1]) == (
        "Check complete, 1 warning has been found!\n\n"
        "WARNING: NoEmptyContinuation - https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/\n"
        "Empty continuation line\n"
        "app.Dockerfile:5\n"
        "--------------------\n"
        "   3 |     RUN a \\\n   4 |     \n   5 | >>>   b\n   6 |     CMD c\n   7 |     \n"
        "--------------------\n"
    )


@given(st.text(alphabet="\n\rab", max_size=12), st.integers(0, 8), st.integers(0, 8))
def test_an_excerpt_marks_its_lines_and_shows_their_neighbours(text: str, first: int, last: int) -> None:
    shown = excerpt(text, "f", first, last)
    count = text.count("\n") + 1
    if not 1 <= first <= count:
        assert shown == ""
        return
    rows = re.findall(r"(?m)^ +(\d+) \| (>>>|   ) ", shown)
    numbers = [int(number) for number, _ in rows]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert [n for n, mark in zip(numbers, rows, strict=True) if mark[1] == ">>>"] == list(
        range(first, min(max(first, last), count) + 1)
    )


SOME = "FROM from scratch AS a ARG x=1 x $x ${x} ENV CMD RUN # check=skip=all EXPOSE 80 80/TCP COPY WORKDIR b"
WORDS = st.sampled_from([*SOME.split(), '["a"]', "\\\n", "\n"])


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_whatever_parses_can_be_checked(text: str) -> None:
    try:
        file = Dockerfile.parse(f"FROM scratch\n{text}")
        assert all(1 <= one.line <= one.end <= file.text.count("\n") + 1 for one in check(file))
    except InvalidArgument as error:
        assert str(error)
