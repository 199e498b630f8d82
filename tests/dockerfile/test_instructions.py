"""Each instruction: what it holds, what expands in it, and its errors in Docker's words with file and line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.dockerfile import Dockerfile, Instruction, parse_instruction
from minidocker.dockerfile.instruction import PARSERS
from minidocker.dockerfile.values import duration
from minidocker.errors import DockerfileError


def only(text: str, env: dict[str, str] | None = None) -> Instruction:
    return Dockerfile.parse(f"FROM scratch\n{text}\n").stages[0].instructions[-1].expand(env or {})


@pytest.mark.parametrize(
    ("text", "args", "exec_form"),
    [
        ("RUN echo  hi # x", ("echo  hi # x",), False),
        ('run ["echo", "hi"]', ("echo", "hi"), True),
        ("RUN ['echo', 'hi']", ("['echo', 'hi']",), False),
        ('RUN [ "$a" = b ] && c', ('[ "$a" = b ] && c',), False),
        ("RUN", ("",), False),
        ("CMD", ("",), False),
        ("CMD []", (), True),
        ("ENTRYPOINT $x", ("$x",), False),
        ('SHELL ["/bin/bash", "-c"]', ("/bin/bash", "-c"), True),
        ("COPY a b c/", ("a", "b", "c/"), False),
        ('ADD ["a b", "c"]', ("a b", "c"), True),
        ("VOLUME /a /b", ("/a", "/b"), False),
        ('VOLUME ["/a", " /b c "]', ("/a", "/b c"), True),
        ('VOLUME [ "/a"', ("[", "/a"), False),
        ("USER a b", ("a b",), False),
        ("WORKDIR /a b", ("/a b",), False),
        ('WORKDIR "/a b"', ("/a b",), False),
        ("MAINTAINER a b <c@d>", ("a b <c@d>",), False),
        ("STOPSIGNAL SIGRTMIN+3", ("SIGRTMIN+3",), False),
        ("ONBUILD   RUN echo  a", ("RUN echo  a",), False),
        ("ONBUILD COPY x", ("COPY x",), False),
        ("ONBUILD FOO x", ("FOO x",), False),
        ('SHELL [""]', ("",), True),
    ],
)
def test_arguments(text: str, args: tuple[str, ...], exec_form: bool) -> None:
    one = only(text)
    assert (one.args, one.json) == (args, exec_form)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV a b c", [("a", "b c")]),
        ('ENV a  "b  c" ', [("a", "b  c")]),
        ("ENV a=b c=\"d e\" f=g\\ h i='j k'", [("a", "b"), ("c", "d e"), ("f", "g h"), ("i", "j k")]),
        ("ENV a= b=c", [("a", ""), ("b", "c")]),
        ("ENV a=b=c", [("a", "b=c")]),
        ("ENV a\tb\tc", [("a", "b\tc")]),
        ("ENV $k=$v", [("key", "value")]),
        ('ENV "a b"=c', [("a b", "c")]),
        ("ENV a=1 b=$a", [("a", "1"), ("b", "before")]),
        ("ENV a=b\\", [("a", "b")]),
        ('LABEL "com.x"="a b" multi="x \\\n  y"', [("com.x", "a b"), ("multi", "x   y")]),
        ("LABEL a b c", [("a", "b c")]),
        ("LABEL a=$v b=${v:+set} c='$v'", [("a", "value"), ("b", "set"), ("c", "$v")]),
    ],
)
def test_pairs(text: str, pairs: list[tuple[str, str]]) -> None:
    assert list(only(text, {"a": "before", "k": "key", "v": "value"}).pairs) == pairs


def test_an_arg_has_the_build_argument_else_the_default_else_what_is_inherited() -> None:
    one = only("ARG a b=2 c=${x:?unseen} d e=$a")
    resolved = one.arguments({"a": "from env"}, {"c": "given"}, {"d": "global"})
    assert only("ARG 'a'=1 $x").arguments({"x": "b"}, {"b": "2"}, {}) == (("'a'", "1"), ("$x", None)), (
        "a name is as written"
    )
    assert resolved == (("a", None), ("b", "2"), ("c", "given"), ("d", "global"), ("e", "from env"))


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("EXPOSE 80 443/tcp 53/UDP", ["443/tcp", "53/udp", "80/tcp"]),
        ("EXPOSE 8000-8002/udp", ["8000/udp", "8001/udp", "8002/udp"]),
        ("EXPOSE $p", ["80/tcp", "81/tcp"]),
        ("EXPOSE 80 80/tcp", ["80/tcp"]),
        ("EXPOSE 080", ["80/tcp"]),
        ("EXPOSE 80/ 1/sctp", ["1/sctp", "80/tcp"]),
        ("EXPOSE 8080:80 127.0.0.1:9090:90 127.0.0.1::70", ["90/tcp", "70/tcp", "80/tcp"]),
        ("EXPOSE 8080-8081:80-81", ["80/tcp", "81/tcp"]),
        ("EXPOSE $unset", []),
        ("EXPOSE \"80\" '81'", ["80/tcp", "81/tcp"]),
    ],
)
def test_ports(text: str, ports: list[str]) -> None:
    assert list(only(text, {"p": "80 81"}).args) == ports


@pytest.mark.parametrize(
    ("text", "health"),
    [
        ("HEALTHCHECK CMD curl  -f x || exit 1", {"Test": ["CMD-SHELL", "curl  -f x || exit 1"]}),
        ('HEALTHCHECK cmd ["a", "b"]', {"Test": ["CMD", "a", "b"]}),
        ('HEALTHCHECK CMD ["a" "b"]', {"Test": ["CMD-SHELL", '["a" "b"]']}),
        ("HEALTHCHECK CMD $x ${y", {"Test": ["CMD-SHELL", "$x ${y"]}),
        ("HEALTHCHECK none", {"Test": ["NONE"]}),
        ("HEALTHCHECK --interval= --retries= CMD x", {"Test": ["CMD-SHELL", "x"]}),
        ("HEALTHCHECK --interval=0s CMD x", {"Test": ["CMD-SHELL", "x"]}),
        (
            "HEALTHCHECK --interval=5m --timeout=.5s --start-period=1h2m3.5s --start-interval=1ms1us --retries=4 CMD x",
            {
                "Test": ["CMD-SHELL", "x"],
                "Interval": 300_000_000_000,
                "Timeout": 500_000_000,
                "StartPeriod": 3_723_500_000_000,
                "StartInterval": 1_001_000,
                "Retries": 4,
            },
        ),
    ],
)
def test_a_health_check_is_as_in_the_image_config(text: str, health: dict[str, Any]) -> None:
    assert only(text).health == health


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("1h1h", 7_200_000_000_000), ("1.s", 10**9), ("+5s", 5 * 10**9), ("-1s", -(10**9)), ("5µs", 5000)],
)
def test_durations_are_gos(text: str, nanoseconds: int) -> None:
    assert duration(text) == nanoseconds


def test_flags_keep_their_kind() -> None:
    copy = only(
        "COPY --from=a --chown=$u --chmod=644 --link --parents=false --exclude=x --exclude=$y s d", {"u": "app"}
    )
    assert copy.flags == {
        "from": "a",
        "chown": "app",
        "chmod": "644",
        "link": True,
        "parents": False,
        "exclude": ("x", "$y"),
    }
    run = only("RUN --mount=type=cache,target=/x --mount=type=tmpfs,target=/y --network=none make")
    assert run.flags == {"mount": ("type=cache,target=/x", "type=tmpfs,target=/y"), "network": "none"}


def test_docker_does_not_look_at_the_flags_of_arg_and_stopsignal() -> None:
    assert only("ARG --x a").pairs == (("a", None),)
    assert only("STOPSIGNAL --x SIGTERM").args == ("SIGTERM",)


def test_the_heredoc_of_a_run_goes_to_its_shell() -> None:
    assert only("RUN <<EOF\necho $x\n  two\nEOF").script == "echo $x\n  two\n"
    assert only("RUN <<-EOF\n\techo\n\tEOF").script == "echo\n"
    assert only("RUN cat <<EOF > /f && echo done\nhi $x\nEOF").script == "cat <<EOF > /f && echo done\nhi $x\nEOF"
    assert only("RUN cat <<A <<'B'\na\nA\nb\nB").script == "cat <<A <<'B'\na\nA\nb\nB"
    assert only("RUN echo hi").script == "echo hi"


def test_the_heredoc_of_a_copy_is_a_file_with_its_variables_replaced() -> None:
    copy = only("COPY a <<one <<'two' /dir/\nit's $x\none\n$x\ntwo", {"x": "1"})
    assert copy.args == ("a", "/dir/")
    assert [(heredoc.name, heredoc.data) for heredoc in copy.heredocs] == [("one", "it's 1\n"), ("two", "$x\n")]
    assert [heredoc.data for heredoc in only("ADD <<-X /f\n\ta$x\n\t\tb\n\tX", {"x": "1"}).heredocs] == ["a1\nb\n"]


def test_a_trigger_keeps_its_text() -> None:
    assert only("ONBUILD\tRUN a \\\n  b ").args == ("RUN a   b ",)
    trigger = only("onbuild COPY <<EOF /x\nhi\nEOF").args[0]
    assert trigger == "COPY <<EOF /x\nhi\nEOF"
    assert parse_instruction(trigger).heredocs[0].content == "hi\n"


def test_text_is_what_docker_prints() -> None:
    assert [one.text for one in Dockerfile.parse("from scratch\nRUN  a \\\n   b  \n").stages[0].instructions] == [
        "RUN  a    b"
    ]


TWO_ARGUMENTS = "requires at least two arguments, but only one was provided. Destination could not be determined"

ERRORS = [
    ("FOO bar", "unknown instruction: FOO (did you mean FROM?)"),
    ("RUNN bar", "unknown instruction: RUNN (did you mean RUN?)"),
    ("COPPY a b", "unknown instruction: COPPY (did you mean COPY?)"),
    ("wordir /x", "unknown instruction: wordir (did you mean workdir?)"),
    ("WORDIR /x", "unknown instruction: WORDIR (did you mean WORKDIR?)"),
    ("SOMETHING", "unknown instruction: SOMETHING"),
    ("COPY", "COPY requires at least two arguments, but only one was provided. Destination could not be determined"),
    ("COPY a", "COPY requires at least two arguments, but only one was provided. Destination could not be determined"),
    ("ADD a", "ADD requires at least two arguments, but only one was provided. Destination could not be determined"),
    (
        'COPY ["a"]',
        "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
    ),
    ('COPY ["a", 1]', "when using JSON array syntax, arrays must be comprised of strings only"),
    ("COPY --from=a --from=b c d", "duplicate flag specified: from"),
    ("COPY --from c d", "missing a value on flag: from"),
    ("COPY --link= c d", "missing a value on flag: link"),
    ("COPY --link=maybe c d", "expecting boolean value for flag link, not: maybe"),
    ("COPY --chow=1 c d", "unknown flag: --chow (did you mean chown?)"),
    ("COPY --From=a c d", "unknown flag: --From"),
    ("ADD --from=x a b", "unknown flag: --from"),
    ("COPY --from=$x a b", "variable expansion is not supported for --from"),
    ('COPY "a b" /x', 'failed to process "\\"a": unexpected end of statement while looking for matching double-quote'),
    ("COPY a <<EOF\nx\nEOF", "COPY cannot accept a heredoc as a destination"),
    ("COPY --from=7 a b", "invalid stage index 7"),
    ("COPY --from=-1 a b", "invalid stage index -1"),
    ("COPY --from=0 a b", "circular dependency detected on stage: stage-0"),
    ("RUN --foo=1 x", "unknown flag: --foo"),
    ("RUN []", "No command specified"),
    ("RUN [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
    ("RUN --network=foo x", 'network mode "foo" is not valid'),
    ("CMD --foo x", "unknown flag: --foo"),
    ("ENV", "ENV requires at least one argument"),
    ("ENV a", "ENV must have two arguments"),
    ("ENV =a", "ENV names can not be blank"),
    ("ENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
    ("ENV a='b", 'failed to process "\'b": unexpected end of statement while looking for matching single-quote'),
    ("ENV a=${b", "syntax error: missing '}'"),
    ("ENV a=${b:?needed}", "b: needed"),
    ("ENV --foo a=b", "unknown flag: --foo"),
    ("LABEL", "LABEL requires at least one argument"),
    ("LABEL a", "LABEL must have two arguments"),
    ("LABEL =a", "LABEL names can not be blank"),
    ("ARG", "ARG requires at least one argument"),
    ("ARG =b", "ARG names can not be blank"),
    ("EXPOSE", "EXPOSE requires at least one argument"),
    ("EXPOSE abc", "invalid containerPort: abc"),
    ("EXPOSE 70000", "invalid containerPort: 70000"),
    ("EXPOSE 99999999999999", "invalid containerPort: 99999999999999"),
    ("EXPOSE 90-80", "invalid containerPort: 90-80"),
    ("EXPOSE 80/foo", "invalid proto: foo"),
    ("EXPOSE /tcp", 'invalid port: "/tcp": no port specified'),
    ("EXPOSE 80/tcp/udp", "invalid proto: tcp/udp"),
    ("EXPOSE localhost:80:80", "invalid IP address: localhost"),
    ("EXPOSE 80-81:90-99", "invalid ranges specified for container and host Ports: 90-99 and 80-81"),
    ("WORKDIR", "WORKDIR requires exactly one argument"),
    ("USER", "USER requires exactly one argument"),
    ("MAINTAINER", "MAINTAINER requires exactly one argument"),
    ("VOLUME", "VOLUME requires at least one argument"),
    ('VOLUME [""]', "VOLUME specified can not be an empty string"),
    ("VOLUME $no", "VOLUME specified can not be an empty string"),
    ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
    ("STOPSIGNAL FOO", "invalid signal: FOO"),
    ("STOPSIGNAL 0", "invalid signal: 0"),
    ("STOPSIGNAL SIGTERM SIGINT", "invalid signal: SIGTERM SIGINT"),
    ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
    ("HEALTHCHECK FOO x", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK --foo=1 CMD x", "unknown flag: --foo"),
    ("HEALTHCHECK --interval=5 CMD x", 'time: missing unit in duration "5"'),
    ("HEALTHCHECK --interval=5d CMD x", 'time: unknown unit "d" in duration "5d"'),
    ("HEALTHCHECK --interval=x CMD x", 'time: invalid duration "x"'),
    ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
    ("HEALTHCHECK --timeout=1us CMD x", 'Interval "timeout" cannot be less than 1ms'),
    ("HEALTHCHECK --interval=9999999h CMD x", 'time: invalid duration "9999999h"'),
    ("HEALTHCHECK --retries=0 CMD x", "--retries must be at least 1 (not 0)"),
    ("HEALTHCHECK --retries=a CMD x", '--retries must be a number (not "a")'),
    ("HEALTHCHECK --retries=1 --retries=2 CMD x", "duplicate flag specified: retries"),
    ("SHELL", "SHELL requires at least one argument"),
    ("SHELL []", "SHELL requires at least one argument"),
    ("SHELL /bin/bash -c", "SHELL requires the arguments to be in JSON form"),
    ("ONBUILD", "ONBUILD requires at least one argument"),
    ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    ("ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger"),
    ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
    ("ONBUILD --foo RUN x", "unknown flag: --foo"),
    ("ONBUILD ENV x", "ENV must have two arguments"),
    ("ONBUILD RUN [1]", "arrays must be comprised of strings only"),
]


@pytest.mark.parametrize(("text", "problem"), ERRORS)
def test_an_error_says_file_line_instruction_and_what_was_expected(text: str, problem: str) -> None:
    with pytest.raises(DockerfileError) as refused:
        for one in Dockerfile.parse(f"FROM scratch\n\n{text}\n", "sub/Dockerfile").stages[0].instructions:
            one.expand({})
    error = refused.value
    assert (error.name, error.line) == ("sub/Dockerfile", 3)
    assert str(error).startswith("sub/Dockerfile:3: ")
    assert problem in error.message
    assert text.split()[0].upper() in error.message.upper()


def test_an_unknown_flag_is_told_which_ones_there_are() -> None:
    with pytest.raises(DockerfileError, match="RUN takes --mount, --network, --security, --device"):
        only("RUN --mnt=x y")
    with pytest.raises(DockerfileError, match="CMD takes no flags"):
        only("CMD --mnt=x y")


@given(
    st.lists(st.sampled_from([*PARSERS, *" \t\\'\"$[]<-=,:/{}", "\n", "\n", "EOF", "--from=", "a", "1"]), max_size=12)
)
def test_any_text_is_a_dockerfile_or_refused(pieces: list[str]) -> None:
    try:
        file = Dockerfile.parse("FROM scratch\n" + "".join(pieces))
        for one in file.stages[0].instructions:
            one.expand({"a": "b"})
    except DockerfileError as error:
        assert error.line or not error.name


def test_what_the_shell_expands_is_left_to_it() -> None:
    for text in ('RUN "$x', "CMD '${", 'ENTRYPOINT ["$x"]', "HEALTHCHECK CMD ${", "ONBUILD ENV a=${", 'SHELL ["$x"]'):
        assert only(text) == parse_line(text)


def parse_line(text: str) -> Instruction:
    return Dockerfile.parse(f"FROM scratch\n{text}\n").stages[0].instructions[0]
