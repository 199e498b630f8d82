"""Limits on the command line: docker's words for what cannot be read, warnings, update and stats."""

import json
from typing import Any

import pytest

BASE = "minidocker/base"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--memory=foo", 'invalid argument "foo" for "-m, --memory" flag: invalid size: \'foo\''),
        ("--memory=1x", 'invalid argument "1x" for "-m, --memory" flag: invalid suffix: \'x\''),
        ("--memory=-1", 'invalid argument "-1" for "-m, --memory" flag: invalid size: \'-1\''),
        ("--memory-swap=-2", 'invalid argument "-2" for "--memory-swap" flag: invalid size: \'-2\''),
        ("--cpus=abc", 'invalid argument "abc" for "--cpus" flag: failed to parse abc as a rational number'),
        ("--cpus=1.23456789012", 'invalid argument "1.23456789012" for "--cpus" flag: value is too precise'),
        ("--pids-limit=abc", '"--pids-limit" flag: strconv.ParseInt: parsing "abc": invalid syntax'),
        ("--blkio-weight=70000", 'strconv.ParseUint: parsing "70000": value out of range'),
        ("--blkio-weight-device=foo", "flag: bad format: foo"),
        ("--blkio-weight-device=/dev/vda:5", "invalid weight for device: /dev/vda:5"),
        ("--device-read-bps=vda:1mb", "bad format for device path: vda:1mb"),
        (
            "--device-read-bps=/dev/vda:abc",
            "invalid rate for device: /dev/vda:abc. The correct format is <device-path>:<number>[<unit>]. Number must "
            "be a positive integer. Unit is optional and can be kb, mb, or gb",
        ),
        (
            "--device-write-iops=/dev/vda:-1",
            "invalid rate for device: /dev/vda:-1. The correct format is <device-path>:<number>. Number must be a "
            "positive integer",
        ),
        ("--device-cgroup-rule=foo", "invalid device cgroup format 'foo'"),
        ("--ulimit=nofile=5:2", "ulimit soft limit must be less than or equal to hard limit: 5 > 2"),
        ("--ulimit=foo=5", "invalid ulimit type: foo"),
        ("--memory-swappiness=101", "invalid value: 101. Valid memory swappiness range is 0-100"),
        ("--storage-opt=foo", "invalid storage option"),
        ("--memory=5m", "Error response from daemon: Minimum memory limit allowed is 6MB"),
    ],
)
def test_what_cannot_be(bare: Any, option: str, words: str) -> None:
    done = bare("run", option, BASE, "true")
    assert done.code == 125
    assert words in done.err


def test_sizes_and_fractions_are_written_down(cli: Any) -> None:
    if not json.loads(cli.ok("info", "--format", "json"))["MemoryLimit"]:
        pytest.skip("nothing enforces them here")
    id = cli.ok("create", "-m", "1.5g", "--cpus", ".5", "--ulimit", "nofile=1:2", "--ulimit", "core=-1", BASE)
    form = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{json .HostConfig.Ulimits}}"
    limits = '[{"Name":"core","Hard":-1,"Soft":-1},{"Name":"nofile","Hard":2,"Soft":1}]'
    assert cli.ok("inspect", "-f", form, id) == f"1610612736 3221225472 500000000 {limits}"
    assert cli.ok("update", "--memory", "64m", "--memory-swap", "-1", id) == id
    assert cli.ok("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}", id) == "67108864 -1"
    refused = cli("update", "--cpu-quota", "5000", id)
    assert refused.code == 1
    assert "CPU Quota cannot be updated as NanoCPUs has already been set" in refused.err
    cli.ok("rm", id)


def test_update_wants_something_to_change(bare: Any) -> None:
    done = bare("update", "x")
    assert (done.code, "you must provide one or more flags when using this command" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--restart=on-failure:x"], "invalid restart policy format: maximum retry count must be an integer"),
        (["--restart=:3"], "invalid restart policy format: no policy provided before colon"),
        (["--restart=always", "--rm"], "conflicting options: cannot specify both --restart and --rm"),
        (["--no-healthcheck", "--health-cmd=x"], "--no-healthcheck conflicts with --health-* options"),
        (["--health-interval=-1s"], "--health-interval cannot be negative"),
    ],
)
def test_restart_policies_and_health_checks_that_cannot_be(bare: Any, words: list[str], why: str) -> None:
    for command in ("run", "create"):
        done = bare(command, *words, BASE, "true")
        assert (done.code, done.err.splitlines()[0]) == (125, f"minidocker: {why}")
    if "invalid" in why:
        done = bare("update", *words, "x")
        assert (done.code, done.err.splitlines()[0]) == (1, why)


def test_what_is_discarded_is_told(bare: Any) -> None:
    done = bare("run", "--rm", "--pids-limit", "5", BASE, "echo", "hello")
    assert (done.code, done.out) == (0, "hello\n")
    words = "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."
    assert done.err.splitlines()[0] == f"WARNING: {words}"


def test_stats_is_a_table_and_json(cli: Any) -> None:
    id = cli.ok("run", "-d", "--name", "measured", BASE, "sleep", "60")
    if cli.runtime == "simulated":
        assert "the simulated runtime cannot measure containers (stats)" in cli("stats", "--no-stream", "measured").err
    listed = cli.ok("stats", "--no-stream").splitlines()
    assert listed[0].split() == "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS".split()
    if cli.runtime == "namespaces":
        assert [id[:12], "measured"] in [line.split()[:2] for line in listed]
        found = json.loads(cli.ok("stats", "--no-stream", "--no-trunc", "--format", "json", "measured"))
        assert (found["ID"], found["Container"], found["PIDs"]) == (id, "measured", "1")
        assert found["MemUsage"].count("iB") == 2 and found["NetIO"].endswith("B / 0B"), "others may have called it"
    cli.ok("rm", "-f", "measured")


def test_stats_of_nothing(cli: Any) -> None:
    assert cli("stats", "--no-stream", "nope").err == "Error response from daemon: No such container: nope\n"
    made = cli.ok("create", BASE, "true")
    row = cli.ok("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", made)
    assert row == "0B / 0B 0"
    cli.ok("rm", made)
