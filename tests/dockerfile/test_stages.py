"""Stages: where they begin, what they are called, which arguments their FROM sees."""

from __future__ import annotations

import pytest

from minidocker.dockerfile import PLATFORM_ARGS, PREDEFINED_ARGS, Dockerfile
from minidocker.errors import DockerfileError, Unsupported

TWO = """\
ARG version=3.19
FROM --platform=$BUILDPLATFORM alpine:$version AS Build
RUN make
FROM scratch
COPY --from=build /app /
"""


def test_each_from_begins_a_stage() -> None:
    build, last = Dockerfile.parse(TWO).stages
    assert (build.index, build.name, build.base, build.line) == (0, "build", "alpine:$version", 2)
    assert [one.text for one in build.instructions] == ["RUN make"]
    assert (last.index, last.name, last.base, last.title) == (1, "", "scratch", "stage-1")


def test_from_sees_the_global_args_and_nothing_else() -> None:
    file = Dockerfile.parse(TWO)
    assert file.stages[0].base_image(file.global_args()) == "alpine:3.19"
    args = file.global_args({"version": "edge", "undeclared": "x"}, {"BUILDPLATFORM": "linux/amd64"})
    assert args == {"version": "edge", "BUILDPLATFORM": "linux/amd64"}
    assert file.stages[0].base_image(args) == "alpine:edge"
    assert file.stages[0].base_platform(args) == "linux/amd64"
    assert file.stages[1].base_platform(args) == ""


def test_a_global_default_sees_those_before_it_even_on_its_line() -> None:
    file = Dockerfile.parse("ARG a=1 b=$a\nARG c=$b$TARGETARCH d\nARG TARGETOS\nFROM scratch")
    args = file.global_args({"TARGETARCH": "arm"}, {"TARGETARCH": "amd64", "TARGETOS": "linux"})
    assert args == {"a": "1", "b": "1", "c": "1arm", "TARGETARCH": "arm", "TARGETOS": "linux"}


@pytest.mark.parametrize(
    ("base", "expected"),
    [("'scratch'", "scratch"), ('"scratch"', "scratch"), ("scr${x}ch", "scratch"), ("${n:-scratch}", "scratch")],
)
def test_the_base_is_a_word_like_any_other(base: str, expected: str) -> None:
    assert Dockerfile.parse(f"FROM {base}").stages[0].base_image({"x": "at"}) == expected


def test_a_stage_is_found_by_name_in_any_case_or_by_number() -> None:
    file = Dockerfile.parse("FROM a AS one\nFROM one AS two\nFROM b")
    assert [file.stages.index(stage) for ref in ("ONE", "two", "0", "2", "+1") if (stage := file.stage(ref))] == [
        0,
        1,
        0,
        2,
        1,
    ]
    assert file.stage("two", before=1) is None
    assert file.stage("1", before=1) is None
    assert file.stage("alpine") is None
    assert file.named("0") is None, "FROM 0 is an image called 0"


def test_the_target_is_a_name_a_number_or_the_last() -> None:
    file = Dockerfile.parse("FROM a AS build\nFROM b")
    assert [file.target(name).index for name in ("", "BUILD", "0", "1")] == [1, 0, 0, 1]
    with pytest.raises(DockerfileError, match=r'target stage "biuld" could not be found \(did you mean build\?\)'):
        file.target("biuld")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("FROM", 1, "FROM requires either one or three arguments"),
        ("FROM a b", 1, "FROM requires either one or three arguments"),
        ("FROM a AS", 1, "FROM requires either one or three arguments"),
        ("FROM a IS b", 1, "FROM requires either one or three arguments"),
        ("FROM a AS b c", 1, "FROM requires either one or three arguments"),
        ("FROM a AS 1b", 1, 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'),
        ("FROM a AS b!", 1, 'invalid name for build stage: "b!", name can\'t start with a number or contain symbols'),
        ("FROM --foo=x a", 1, "unknown flag: --foo"),
        ("FROM a AS x\nFROM x AS y\nCOPY --from=x / /\nFROM b AS X", 3, 'cannot copy from stage "x"'),
        ("RUN x\nFROM a", 1, "no build stage in current context"),
        ("ENV a=b\nFROM a", 1, "no build stage in current context"),
        ("ARG a\nCOPY a b", 2, "no build stage in current context"),
        ("ARG a", 0, "dockerfile contains no stages to build"),
        ("FROM $x", 1, "base name ($x) should not be blank"),
        ("FROM ${x", 1, "syntax error: missing '}'"),
        ("FROM 'a", 1, "unexpected end of statement while looking for matching single-quote"),
        ("FROM ${x:?missing}", 1, "x: missing"),
        ("FROM --platform=foo a", 1, 'failed to parse platform foo: "foo": unknown operating system or architecture'),
        ("FROM --platform=a/b/c/d a", 1, "failed to parse platform a/b/c/d"),
        ("FROM --platform=$x a", 1, "empty platform value from expression $x"),
        ("FROM --platform=linux/ a", 1, 'failed to parse platform linux/: "" is an invalid component'),
        ("FROM a\nCOPY --from=A! b c", 2, 'failed to parse stage name "A!": invalid reference format'),
        ("FROM a AS x\nCOPY --from=X b c", 2, "circular dependency detected on stage: x"),
        (
            "FROM a AS x\nCOPY --from=1 b c\nFROM a",
            2,
            'cannot copy from stage "stage-1", it needs to be defined before',
        ),
        ("FROM a\nCOPY --from=y b c\nFROM a AS y", 2, 'cannot copy from stage "y", it needs to be defined before'),
    ],
)
def test_what_is_wrong_with_stages(text: str, line: int, problem: str) -> None:
    with pytest.raises(DockerfileError) as refused:
        file = Dockerfile.parse(text)
        for stage in file.stages:
            stage.base_image(file.global_args())
            stage.base_platform(file.global_args())
    assert problem in refused.value.message
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("FROM Foo:bar", 'failed to parse stage name "Foo:bar": invalid reference format'),
        ("FROM $x", "base name ($x) should not be blank"),
        ("FROM --platform=nope scratch", "failed to parse platform nope"),
        ("FROM 'a", "unexpected end of statement"),
    ],
)
def test_bases_are_checked_also_where_nobody_needs_them(text: str, problem: str) -> None:
    file = Dockerfile.parse(f"FROM scratch AS One\n{text}\nFROM ONE\nFROM scratch")
    with pytest.raises(DockerfileError) as refused:
        file.check_bases(file.global_args())
    assert problem in refused.value.message
    assert refused.value.line == 2


@pytest.mark.parametrize("platform", ["linux/amd64", "linux", "arm64", "linux/arm64/v8", "linux/arm/v7", "foo/bar"])
def test_platforms(platform: str) -> None:
    assert Dockerfile.parse(f"FROM --platform={platform} a").stages[0].base_platform({}) == platform


def test_a_dockerfile_may_be_bytes_with_any_line_endings() -> None:
    file = Dockerfile.parse(b"\xef\xbb\xbfFROM scratch\r\nENV a=\xc3\xa9 \\\r\n  b=\xff\r\n")
    assert file.stages[0].instructions[0].pairs == (("a", "é"), ("b", "\ufffd"))


def test_a_text_that_is_no_text_does_no_harm() -> None:
    assert Dockerfile.parse("FROM scratch\nENV a=\udcff\ud800").stages[0].instructions[0].pairs[0][1]


@pytest.mark.parametrize(
    "frontend", ["docker/dockerfile:1", "docker/dockerfile:1.4-labs", "docker.io/docker/dockerfile@sha256:0"]
)
def test_dockers_frontend_is_ours(frontend: str) -> None:
    assert Dockerfile.parse(f"# syntax={frontend}\nFROM a").directives["syntax"] == frontend


@pytest.mark.parametrize("frontend", ["my/frontend", "docker/dockerfile-next:1"])
def test_another_frontend_is_refused_by_name(frontend: str) -> None:
    with pytest.raises(Unsupported, match=f"syntax={frontend} is not supported"):
        Dockerfile.parse(f"# syntax={frontend}\nFROM a")


def test_of_two_stages_with_one_name_from_sees_the_last_before_it_and_copy_the_last_of_all() -> None:
    file = Dockerfile.parse("FROM a AS x\nFROM x AS X\nFROM x")
    assert [stage.index for stage in (file.named("x", 1), file.named("x", 2), file.stage("X")) if stage] == [0, 1, 1]
    assert file.named("X") is None, "to FROM, the case matters: an image cannot be called X"


def test_the_arguments_that_docker_knows_by_itself() -> None:
    assert {"HTTP_PROXY", "http_proxy", "no_proxy", "ALL_PROXY"} <= PREDEFINED_ARGS
    assert {"TARGETARCH", "BUILDPLATFORM", "TARGETVARIANT"} <= set(PLATFORM_ARGS)
