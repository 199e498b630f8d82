"""docker's option grammar, as docker 28.2.2 has it; and compared with docker itself where it is here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable

import pytest

from minidocker.cli.flags import Call, Command, Exit, command, options_table, read_flags

RUN = """
run [OPTIONS] IMAGE [COMMAND] [ARG...]

Create and run a new container from an image

  -d, --detach           Run container in background and print container ID
  -e, --env list         Set environment variables
  -i, --interactive      Keep STDIN open even if not attached
      --name string      Assign a name to the container
      --rm               Automatically remove the container and its
                         associated anonymous volumes when it exits
      --sig-proxy        Proxy received signals to the process (default true)
      --stop-timeout int   Timeout (in seconds) to stop a container
  -f, --filter filter    Filter output
"""
REFUSED = {"there is no terminal to give": "t/tty", "there are no networks yet": "p/publish="}


def declare(text: str, refused: dict[str, str] | None = None, **checks: Callable[[str], object]) -> Command:
    from minidocker.cli.flags import COMMANDS

    before = dict(COMMANDS)
    command(text, refused=refused, checks=checks)(lambda _call: 0)
    made = next(COMMANDS[name] for name in COMMANDS if COMMANDS[name] is not before.get(name))
    COMMANDS.clear()
    COMMANDS.update(before)
    return made


@pytest.fixture(scope="module")
def run() -> Command:
    return declare(RUN, REFUSED)


def parse(run: Command, *argv: str) -> Call:
    return run.parse("minidocker run", argv)


def complaint(of: Command, *argv: str) -> tuple[int, str]:
    with pytest.raises(Exit) as caught:
        of.parse(f"minidocker {of.name}", argv)
    return caught.value.code, caught.value.text.split("\n")[0]


@pytest.mark.parametrize(
    ("argv", "options", "args"),
    [
        (["-di", "img"], {"detach": True, "interactive": True}, ["img"]),
        (["-eA=b", "-e", "C", "--env=D=e=f", "--env", "G", "i"], {"env": ["A=b", "C", "D=e=f", "G"]}, ["i"]),
        (["-e=A=b", "i"], {"env": ["A=b"]}, ["i"]),
        (["-dieA=b", "i"], {"detach": True, "interactive": True, "env": ["A=b"]}, ["i"]),
        (["--rm=false", "--detach=T", "i"], {"rm": False, "detach": True}, ["i"]),
        (["-d=false", "i"], {"detach": False}, ["i"]),
        (["--rm", "false"], {"rm": True}, ["false"]),
        (["--name", "--rm", "i"], {"name": "--rm", "rm": False}, ["i"]),
        (["i", "sh", "-c", "x", "--rm"], {"rm": False}, ["i", "sh", "-c", "x", "--rm"]),
        (["--", "-i", "--rm"], {"rm": False, "interactive": False}, ["-i", "--rm"]),
        (["-", "x"], {}, ["-", "x"]),
        (["--sig-proxy=0", "i"], {"sig-proxy": False}, ["i"]),
        (["--stop-timeout", "-3", "i"], {"stop-timeout": -3}, ["i"]),
        (["-f", "a=b", "--filter=c=d", "i"], {"filter": ["a=b", "c=d"]}, ["i"]),
        (["--tty=false", "i"], {}, ["i"]),
    ],
)
def test_options_are_read_as_docker_reads_them(
    run: Command, argv: list[str], options: dict[str, object], args: list[str]
) -> None:
    call = parse(run, *argv)
    assert call.args == args
    assert {name: call.options[name] for name in options} == options


def test_what_nobody_gave_has_its_default(run: Command) -> None:
    call = parse(run, "i")
    assert (call.detach, call.env, call.name, call.sig_proxy, call.stop_timeout) == (False, [], "", True, 0)
    assert call.given == set()
    with pytest.raises(AttributeError):
        _ = call.nothing


def test_options_may_follow_arguments_where_these_are_ours() -> None:
    rm = declare("rm [OPTIONS] CONTAINER [CONTAINER...]\n\nRemove\n\n  -f, --force   Force")
    call = rm.parse("minidocker rm", ["a", "-f", "b", "--", "-c"])
    assert (call.force, call.args) == (True, ["a", "b", "-c"])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--foo", "x"], "unknown flag: --foo"),
        (["--foo=1", "x"], "unknown flag: --foo"),
        (["-Z", "x"], "unknown shorthand flag: 'Z' in -Z"),
        (["-iZ", "x"], "unknown shorthand flag: 'Z' in -Z"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: 'e' in -e"),
        (["-ie"], "flag needs an argument: 'e' in -e"),
        (["---x", "i"], "bad flag syntax: ---x"),
        (
            ["--rm=maybe", "x"],
            'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            ["--stop-timeout", "x", "y"],
            'invalid argument "x" for "--stop-timeout" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            ["-f", "foo"],
            'invalid argument "foo" for "-f, --filter" flag: bad format of filter (expected name=value)',
        ),
        (["-it", "x"], "minidocker: --tty is not supported: there is no terminal to give"),
        (["-p80:80", "x"], "minidocker: --publish is not supported: there are no networks yet"),
    ],
)
def test_a_bad_option_is_refused_in_dockers_words_with_125(run: Command, argv: list[str], says: str) -> None:
    assert complaint(run, *argv) == (125, says)


def test_a_check_of_ones_own_complains_in_the_same_way() -> None:
    def valid(text: str) -> None:
        if text.startswith("="):
            raise ValueError(f"invalid environment variable: {text}")

    run = declare(RUN, env=valid)
    says = 'invalid argument "=" for "-e, --env" flag: invalid environment variable: ='
    assert complaint(run, "-e=", "x") == (125, says)
    assert complaint(run, "-e", "=", "x") == (125, says)


@pytest.mark.parametrize(
    ("usage", "argv", "says"),
    [
        ("run [OPTIONS] IMAGE [COMMAND] [ARG...]", [], "requires at least 1 argument"),
        ("exec [OPTIONS] CONTAINER COMMAND [ARG...]", ["c"], "requires at least 2 arguments"),
        ("build [OPTIONS] PATH | URL | -", [], "requires 1 argument"),
        ("build [OPTIONS] PATH | URL | -", ["a", "b"], "requires 1 argument"),
        ("images [OPTIONS] [REPOSITORY[:TAG]]", ["a", "b"], "requires at most 1 argument"),
        ("ps [OPTIONS]", ["x"], "accepts no arguments"),
        ("tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", ["a"], "requires 2 arguments"),
        ("commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]", [], "requires at least 1 and at most 2 arguments"),
        ("inspect [OPTIONS] NAME|ID [NAME|ID...]", [], "requires at least 1 argument"),
        ("cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-", ["a"], "requires 2 arguments"),
        ("top CONTAINER [ps OPTIONS]", [], "requires at least 1 argument"),
    ],
)
def test_arguments_are_counted_by_the_usage_line(usage: str, argv: list[str], says: str) -> None:
    of = declare(f"{usage}\n\nSummary")
    assert complaint(of, *argv) == (1, f"minidocker: 'minidocker {of.name}' {says}")


def test_help_is_laid_out_as_dockers(run: Command) -> None:
    with pytest.raises(Exit) as caught:
        parse(run, "--help")
    assert caught.value.code == 0
    assert caught.value.text == (
        "Usage:  minidocker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n"
        "\n"
        "Create and run a new container from an image\n"
        "\n"
        "Options:\n"
        "  -d, --detach             Run container in background and print container ID\n"
        "  -e, --env list           Set environment variables\n"
        "  -f, --filter filter      Filter output\n"
        "  -i, --interactive        Keep STDIN open even if not attached\n"
        "      --name string        Assign a name to the container\n"
        "      --rm                 Automatically remove the container and its associated\n"
        "                           anonymous volumes when it exits\n"
        "      --sig-proxy          Proxy received signals to the process (default true)\n"
        "      --stop-timeout int   Timeout (in seconds) to stop a container\n"
        "\n"
        "Of docker's, not here yet: --publish, --tty"
    )


def test_a_table_of_options_reads_back_what_it_prints() -> None:
    flags = read_flags(RUN.split("\n\n")[2])
    assert read_flags(options_table(flags.values())) == flags


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command to compare with")
@pytest.mark.parametrize(
    "argv",
    [["--foo", "x"], ["-Z", "x"], ["-iZ", "x"], ["--name"], ["-e"], ["-ie"], ["--rm=maybe", "x"], ["---x", "i"]],
    ids=" ".join,
)
def test_docker_itself_says_the_same(run: Command, argv: list[str]) -> None:
    env = {**os.environ, "DOCKER_HOST": "unix:///nonexistent.sock", "DOCKER_CLI_HINTS": "false"}
    done = subprocess.run(["docker", "run", *argv], env=env, capture_output=True, text=True, timeout=120)
    first = re.split(r"\n", done.stderr)[0]
    assert (done.returncode, first) == complaint(run, *argv)
