"""Limits of containers: what is refused in Docker's words, what is written down, enforced, measured and changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.container import Container, stats, top
from minidocker.container.options import limits
from minidocker.engine import Engine
from minidocker.errors import APIError, Conflict, InvalidArgument, StartError, Unsupported
from tests.until import until

BASE = "minidocker/base"
CPUS = os.cpu_count() or 1
MB = 1 << 20


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with minidocker.connect(tmp_path_factory.mktemp("root"), runtime="simulated") as opened:
        yield opened


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that can enforce limits; what a test leaves running ends with it."""
    from minidocker.runtime import cgroup, probe

    if not sys.platform.startswith("linux") or not probe.report().works:
        pytest.skip("no namespaces here")
    if not {"memory", "pids", "cpu"} <= cgroup.places().keys():
        pytest.skip("no cgroups that may be written here")
    with minidocker.connect(tmp_path_factory.mktemp("root"), runtime="namespaces") as opened:
        yield opened
        for container in opened.containers.list(all=True):
            container.remove(force=True)


class TestRefused:
    """Options that make no sense, in the words of Docker's engine."""

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"mem_limit": "5m"}, "Minimum memory limit allowed is 6MB"),
            ({"mem_limit": "foo"}, "invalid size: 'foo'"),
            (
                {"mem_limit": "64m", "memswap_limit": "32m"},
                "Minimum memoryswap limit should be larger than memory limit",
            ),
            ({"memswap_limit": "64m"}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
            ({"mem_limit": "64m", "mem_swappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
            ({"mem_reservation": "1m"}, "Minimum memory reservation allowed is 6MB"),
            (
                {"mem_limit": "64m", "mem_reservation": "65m"},
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
            ({"kernel_memory": "1m"}, "Minimum kernel memory limit allowed is 6MB"),
            ({"oom_score_adj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
            (
                {"nano_cpus": (CPUS + 1) * 10**9},
                f"Range of CPUs is from 0.01 to {CPUS}.00, as there are only {CPUS} CPUs available",
            ),
            ({"nano_cpus": -1}, "Range of CPUs is from 0.01"),
            ({"nano_cpus": 10**9, "cpu_period": 1000}, "Nano CPUs and CPU Period cannot both be set"),
            ({"nano_cpus": 10**9, "cpu_quota": 1000}, "Nano CPUs and CPU Quota cannot both be set"),
            ({"cpu_shares": -1}, "shares: invalid argument"),
            (
                {"cpu_period": 999},
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            ),
            ({"cpu_period": 1000001}, "CPU cfs period can not be less than 1ms"),
            ({"cpu_quota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
            ({"cpuset_cpus": "abc"}, "Invalid value abc for cpuset cpus: invalid format: abc"),
            ({"cpuset_cpus": "1-0"}, "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"),
            ({"cpuset_cpus": "4096"}, "Requested CPUs are not available - requested 4096, available: 0"),
            ({"cpuset_mems": "99"}, "Requested memory nodes are not available - requested 99, available: 0"),
            (
                {"ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 2}]},
                "must be less than or equal to hard limit: 5 > 2",
            ),
            ({"ulimits": [{"name": "nofile", "soft": -1, "hard": 2}]}, "soft: -1 (unlimited), hard: 2"),
            ({"ulimits": ["foo=1"]}, "invalid ulimit type: foo"),
            ({"ulimits": ["nofile"]}, "invalid ulimit argument: nofile"),
            ({"ulimits": ["nofile=a"]}, 'strconv.ParseInt: parsing "a": invalid syntax'),
            ({"ulimits": ["nofile=1:2:3"]}, "too many limit value arguments - 1:2:3, can only have up to two"),
            ({"device_cgroup_rules": ["foo"]}, "invalid device cgroup rule format: 'foo'"),
            ({"storage_opt": {"size": "1G"}}, "--storage-opt is supported only for overlay over xfs with 'pquota'"),
            ({"storage_opt": {"foo": "1G"}}, "Unknown option foo"),
        ],
    )
    def test_values(self, given: dict[str, Any], words: str) -> None:
        with pytest.raises(InvalidArgument, match=re.escape(words)):
            limits.host_config(given)

    @pytest.mark.parametrize(
        "given",
        [
            {"nano_cpus": 0.5},
            {"pids_limit": "5"},
            {"pids_limit": True},
            {"cpuset_cpus": 1},
            {"oom_kill_disable": 1},
            {"ulimits": "nofile=1"},
            {"ulimits": [5]},
        ],
    )
    def test_types(self, given: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match=f"Invalid type for {next(iter(given))} param: expected"):
            limits.host_config(given)

    def test_a_limit_below_what_the_kernel_takes_fails_at_the_start(self, real: Engine) -> None:
        with pytest.raises(StartError, match=r'failed to write "100": write /.*/cpu.*: invalid argument'):
            real.containers.run(BASE, "true", nano_cpus=1_000_000)
        assert not left_behind(real.containers.list(all=True)[0].id)

    def test_a_disk_that_is_not_there(self, real: Engine) -> None:
        with pytest.raises(StartError, match="stat /dev/nope: no such file or directory"):
            real.containers.run(BASE, "true", device_read_bps=[{"Path": "/dev/nope", "Rate": 1}])


class TestWrittenDown:
    """What `docker inspect` shows: recorded from Docker 20.10."""

    def test_nothing_given(self, simulated: Engine) -> None:
        host = simulated.containers.create(BASE, "true").attrs["HostConfig"]
        assert {key: host[key] for key in limits.DEFAULTS} == limits.DEFAULTS
        assert (host["Memory"], host["PidsLimit"], host["OomKillDisable"], host["CpusetCpus"]) == (0, None, False, "")
        assert [limits.host_config({"pids_limit": count})["PidsLimit"] for count in (-1, 0, 1)] == [None, None, 1]

    def test_all_given(self, real: Engine) -> None:
        made = real.containers.create(
            BASE,
            "true",
            mem_limit="64m",
            mem_reservation=8 * MB,
            nano_cpus=10**9,
            pids_limit=7,
            cpuset_cpus="0",
            ulimits=[{"Name": "nofile", "Soft": 64, "Hard": 128}],
            oom_score_adj=5,
        )
        host = made.attrs["HostConfig"]
        assert (host["Memory"], host["MemorySwap"], host["MemoryReservation"]) == (64 * MB, 128 * MB, 8 * MB)
        assert (host["NanoCpus"], host["CpuQuota"], host["PidsLimit"], host["CpusetCpus"]) == (10**9, 0, 7, "0")
        assert host["Ulimits"] == [{"Name": "nofile", "Hard": 128, "Soft": 64}]
        assert made.warnings == []

    def test_docker_itself_would_send_the_same(self) -> None:
        types = pytest.importorskip("docker.types")
        ulimit = types.Ulimit(name="nofile", soft=64, hard=128)
        theirs = types.HostConfig(
            "1.41", mem_limit="64m", ulimits=[ulimit], nano_cpus=10**9, cpu_shares=5, pids_limit=3
        )
        ours = limits.host_config(
            {"mem_limit": "64m", "ulimits": [ulimit], "nano_cpus": 10**9, "cpu_shares": 5, "pids_limit": 3}
        )
        assert {key: ours[key] for key in theirs if key in ours} == {key: theirs[key] for key in theirs if key in ours}

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"mem_limit": "64m"}, "memory limit capabilities or the cgroup is not mounted. Limitation discarded."),
            ({"pids_limit": 5}, "PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."),
            ({"cpu_shares": 5}, "CPU shares or the cgroup is not mounted. Shares discarded."),
            ({"cpu_quota": 5000, "cpu_period": 5000}, "CPU CFS scheduler. CPU period/quota discarded."),
            ({"cpuset_cpus": "0", "cpuset_mems": "0"}, "cpuset or the cgroup is not mounted. Cpuset discarded."),
            ({"blkio_weight": 5}, "Block I/O weight or the cgroup is not mounted. Weight discarded."),
            ({"oom_kill_disable": True}, "OomKillDisable. OomKillDisable discarded."),
            ({"mem_reservation": "64m"}, "memory soft limit capabilities or the cgroup is not mounted. Limitation"),
        ],
    )
    def test_what_cannot_be_enforced_is_discarded_with_dockers_warning(
        self, simulated: Engine, given: dict[str, Any], words: str
    ) -> None:
        made = simulated.containers.create(BASE, "true", **given)
        assert len(made.warnings) == 1
        assert made.warnings[0].startswith(f"Your kernel does not support {words}")
        kept = made.attrs["HostConfig"]
        assert {key: kept[key] for key in limits.LIMITS if key in limits.DEFAULTS} | {"MemorySwap": 0} == {
            key: limits.DEFAULTS[key] for key in limits.LIMITS if key in limits.DEFAULTS
        }

    def test_processors_are_an_error_there_as_in_docker(self, simulated: Engine) -> None:
        with pytest.raises(InvalidArgument, match="NanoCPUs can not be set, as your kernel does not support CPU CFS"):
            simulated.containers.create(BASE, "true", nano_cpus=10**9)

    def test_no_oom_killer_and_no_limit(self, real: Engine) -> None:
        if "OomKillDisable" not in real.runtime.supports():
            pytest.skip("this kernel always kills")
        made = real.containers.create(BASE, "true", oom_kill_disable=True)
        assert made.warnings == [limits.UNLIMITED_OOM]


def left_behind(id: str) -> list[Path]:
    """Its cgroups; what an engine that ends sweeps away meanwhile is none."""
    return [Path(path) for top in ("", "*/") for path in glob(f"/sys/fs/cgroup/{top}minidocker/{id}*")]  # noqa: PTH207


FILES = """memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes memory/memory.soft_limit_in_bytes
memory/memory.swappiness cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus cpuset/cpuset.mems
pids/pids.max""".split()
SHOW = f"cd /sys/fs/cgroup; for f in {' '.join(FILES)}; do echo $f $(cat $f); done; ulimit -n; ulimit -Hn; "
SHOW += "cat /proc/self/oom_score_adj"
version_1 = pytest.mark.skipif(not Path("/sys/fs/cgroup/memory").is_dir(), reason="these are the files of version 1")


class TestEnforced:
    """The kernel keeps to it."""

    @version_1
    def test_the_files_inside_are_those_that_docker_writes(self, real: Engine) -> None:
        """Recorded from Docker 20.10 with the same options, on this kernel."""
        out = real.containers.run(
            BASE,
            ["sh", "-c", SHOW],
            remove=True,
            mem_limit="64m",
            mem_reservation="32m",
            mem_swappiness=10,
            cpu_shares=512,
            nano_cpus=500_000_000,
            cpuset_cpus="0",
            cpuset_mems="0",
            pids_limit=30,
            ulimits=["nofile=64:128"],
            oom_score_adj=500,
        )
        assert out.decode().splitlines() == [
            "memory/memory.limit_in_bytes 67108864",
            "memory/memory.memsw.limit_in_bytes 134217728",
            "memory/memory.soft_limit_in_bytes 33554432",
            "memory/memory.swappiness 10",
            "cpu/cpu.shares 512",
            "cpu/cpu.cfs_quota_us 50000",
            "cpu/cpu.cfs_period_us 100000",
            "cpuset/cpuset.cpus 0",
            "cpuset/cpuset.mems 0",
            "pids/pids.max 30",
            "64",
            "128",
            "500",
        ]

    def test_its_own_cgroup_is_all_that_it_sees(self, real: Engine) -> None:
        script = (
            "cat /proc/self/cgroup; echo 1 > /sys/fs/cgroup/pids/pids.max || echo no; mkdir /sys/fs/cgroup/x || echo no"
        )
        out = real.containers.run(BASE, ["sh", "-c", script], remove=True, pids_limit=20).decode().splitlines()
        assert out[-2:] == ["no", "no"]
        assert all(line.endswith(":/") for line in out[:-2])

    def test_a_fork_bomb_is_contained(self, real: Engine) -> None:
        bomb = real.containers.run(
            BASE, ["sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 60"], detach=True, pids_limit=20
        )
        from minidocker.runtime import cgroup

        events = f"{cgroup.Group(f'/minidocker/{bomb.id}').folder('pids')}/pids.events"
        until(lambda: "max 0" not in cgroup.read(events))  # somebody was not born; or all have given up
        bomb.remove(force=True)
        assert not left_behind(bomb.id)

    def test_out_of_memory_is_told(self, real: Engine) -> None:
        made = real.containers.create(BASE, ["sh", "-c", "exec tail /dev/zero"], mem_limit="8m", memswap_limit="8m")
        made.start()
        assert made.wait()["StatusCode"] == 137
        assert made.state()["OOMKilled"] is True
        assert not left_behind(made.id)

    def test_also_of_a_child_while_the_first_process_lives(self, real: Engine) -> None:
        script = "tail /dev/zero; echo $?; sleep 60"
        made = real.containers.run(BASE, ["sh", "-c", script], detach=True, mem_limit="8m", memswap_limit="8m")
        until(lambda: made.state()["OOMKilled"])
        assert made.status == "running"
        until(lambda: made.logs(stderr=False) == b"137\n")
        made.kill()
        assert (made.state()["OOMKilled"], made.state()["ExitCode"]) == (True, 137)
        made.remove()

    def test_the_next_start_begins_anew(self, real: Engine) -> None:
        script = "test -e /second && exit 3; touch /second; exec tail /dev/zero"
        made = real.containers.create(BASE, ["sh", "-c", script], mem_limit="8m", memswap_limit="8m")
        for code, out_of_memory in ((137, True), (3, False)):
            made.start()
            assert made.wait()["StatusCode"] == code
            assert made.state()["OOMKilled"] is out_of_memory
        made.remove()

    def test_what_exec_starts_is_in_it_too(self, real: Engine) -> None:
        made = real.containers.run(BASE, "sleep 60", detach=True, pids_limit=10, ulimits=["nofile=32"])
        code, out = made.exec_run(
            ["sh", "-c", "cat /sys/fs/cgroup/pids/pids.current; ulimit -n; cat /proc/self/cgroup"]
        )
        assert code == 0
        lines = out.decode().splitlines()
        assert int(lines[0]) >= 2 and lines[1] == "32"
        assert all(line.endswith(":/") for line in lines[2:])
        made.remove(force=True)

    def test_a_ulimit_above_ours_takes_more_than_a_container_has(self, real: Engine) -> None:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if (
            hard == resource.RLIM_INFINITY
            or int(Path("/proc/self/status").read_text().split("CapEff:\t")[1][:16], 16) >> 24 & 1
        ):
            pytest.skip("we may raise it")
        with pytest.raises(StartError, match="error setting rlimit type 7: operation not permitted"):
            real.containers.run(BASE, "true", ulimits=[{"Name": "nofile", "Soft": 5, "Hard": hard + 1}])

    @version_1
    def test_a_parent_of_ones_choice(self, real: Engine) -> None:
        made = real.containers.run(BASE, "sleep 60", detach=True, cgroup_parent="/minidocker-test/sub")
        assert f"/minidocker-test/sub/{made.id}" in Path(f"/proc/{made.state()['Pid']}/cgroup").read_text()
        made.remove(force=True)
        for folder in Path("/sys/fs/cgroup").glob("*/minidocker-test"):
            (folder / "sub").rmdir()
            folder.rmdir()

    def test_many_starts_leave_nothing(self, real: Engine) -> None:
        ids = []
        for _ in range(12):
            made = real.containers.create(BASE, "true")
            made.start()
            made.wait()
            made.remove()
            ids.append(made.id)
        assert [id for id in ids if left_behind(id)] == []
        until(lambda: all(Path("/proc", path.name[6:]).exists() for path in left_behind("ahead-")))

    def test_of_a_killed_monitor_whoever_looks_next_cleans_up(self, real: Engine) -> None:
        made = real.containers.run(BASE, "sleep 60", detach=True)
        os.kill(made.state()["Monitor"], 9)
        until(lambda: made.state()["Status"] == "exited")
        assert not left_behind(made.id)
        made.start()
        assert made.usage().pids == 1
        made.remove(force=True)
        assert not left_behind(made.id)


class TestMeasured:
    """stats and top."""

    @pytest.fixture(scope="class")
    @classmethod
    def web(cls, real: Engine) -> Container:
        made: Container = real.containers.run(
            BASE, ["sh", "-c", "sleep 100 & sleep 100"], detach=True, mem_limit="64m", pids_limit=30
        )
        until(lambda: made.usage().pids == 2)
        return made

    def test_a_value(self, web: Container) -> None:
        found = web.usage()
        assert (found.limit, found.pids, found.pids_limit) == (64 * MB, 2, 30)
        assert 0 < found.memory < 64 * MB and found.cpu_ns > 0

    def test_the_api_has_these_keys(self, web: Container) -> None:
        found = web.stats(stream=False)
        assert found.keys() >= {
            "read",
            "preread",
            "pids_stats",
            "blkio_stats",
            "num_procs",
            "storage_stats",
            "cpu_stats",
        }
        assert found.keys() >= {"precpu_stats", "memory_stats"}
        assert (found["name"], found["id"]) == (f"/{web.name}", web.id)
        assert found["pids_stats"] == {"current": 2, "limit": 30}
        assert found["memory_stats"]["limit"] == 64 * MB
        assert found["preread"] < found["read"]
        for part in ("cpu_stats", "precpu_stats"):
            assert found[part].keys() >= {"cpu_usage", "system_cpu_usage", "online_cpus", "throttling_data"}
        assert found["cpu_stats"]["system_cpu_usage"] > found["precpu_stats"]["system_cpu_usage"]
        assert stats.cpu_percent(found) < 50
        assert 0 <= stats.memory_used(found) <= found["memory_stats"]["usage"]

    def test_a_stream_is_lines_of_json(self, web: Container, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stats, "INTERVAL", 0.01)
        lines = web.stats()
        first, second = json.loads(next(lines)), json.loads(next(lines))
        assert second["preread"] == first["read"]
        assert next(web.stats(decode=True))["id"] == web.id
        with pytest.raises(InvalidArgument, match="decode is only available in conjunction with stream=True"):
            web.stats(stream=False, decode=True)

    def test_one_that_does_not_run_uses_nothing(self, real: Engine) -> None:
        found = real.containers.create(BASE, "true").stats(stream=False)
        assert found["read"] == "0001-01-01T00:00:00Z"
        assert (found["pids_stats"], found["memory_stats"]) == ({}, {})

    def test_the_simulated_runtime_says_that_it_cannot(self, simulated: Engine) -> None:
        made = simulated.containers.run(BASE, "sleep 60", detach=True)
        with pytest.raises(Unsupported, match="cannot measure containers"):
            made.stats(stream=False)
        with pytest.raises(Unsupported, match="top takes no options of ps"):
            made.top("aux")
        assert made.top()["Titles"] == ["UID", "PID", "PPID", "CMD"]
        made.remove(force=True)

    @pytest.mark.skipif(shutil.which("ps") is None, reason="no ps (Debian: procps)")
    def test_top_asks_ps(self, web: Container) -> None:
        assert web.top()["Titles"] == "UID PID PPID C STIME TTY TIME CMD".split()
        assert [row[-1] for row in web.top()["Processes"]] == ["sleep 100"] * 2
        found = web.top("-eo pid,cmd")
        assert found["Titles"] == ["PID", "CMD"]
        assert str(web.state()["Pid"]) in [row[0] for row in found["Processes"]]
        assert len(web.top("axf")["Processes"]) == 2  # ps refuses f beside -q
        with pytest.raises(APIError, match="Couldn't find PID field in ps output"):
            web.top("-o user")
        with pytest.raises(APIError, match="ps: error: unknown user-defined format specifier"):
            web.top("-o foo")
        with pytest.raises(InvalidArgument, match='specifying "x=PID" is not allowed'):
            web.top("-o pid -o x=PID")

    def test_lines_of_threads_go_with_their_process(self) -> None:
        output = "PID LWP CMD\n1 - init\n- 1 -\n2 - other\n- 2 -\n"
        assert top.table(output, [2])["Processes"] == [["2", "-", "other"], ["-", "2", "-"]]


class TestUpdate:
    """`docker update`, on one that runs and one that does not."""

    @pytest.fixture
    def web(self, real: Engine) -> Iterator[Container]:
        made = real.containers.run(BASE, "sleep 60", detach=True, mem_limit="64m")
        yield made
        made.remove(force=True)

    def show(self, web: Container, *files: str) -> list[str]:
        shown: bytes = web.exec_run(["cat", *(f"/sys/fs/cgroup/{file}" for file in files)])[1]
        return shown.decode().split()

    @version_1
    def test_memory_grows_and_shrinks(self, web: Container) -> None:
        files = ("memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes")
        for memory, swap in ((256 * MB, 512 * MB), (32 * MB, 64 * MB)):
            assert web.update(mem_limit=memory, memswap_limit=swap) == {"Warnings": None}
            assert self.show(web, *files) == [str(memory), str(swap)]
        assert web.attrs["HostConfig"]["Memory"] == 32 * MB

    def test_what_the_kernel_has_is_what_is_seen_inside(self, web: Container) -> None:
        files = web.cgroup_files()
        assert str(64 * MB) in files.values()
        found = [name for name in ("memory.limit_in_bytes", "memory.max") if name in files]
        inside = web.exec_run(["sh", "-c", f"cat /sys/fs/cgroup/{found[0]} /sys/fs/cgroup/*/{found[0]} 2>/dev/null"])[1]
        assert inside.decode().strip() == files[found[0]]

    @version_1
    def test_what_it_was_not_limited_in_before(self, web: Container) -> None:
        web.update(nano_cpus=250_000_000, pids_limit=9, cpuset_cpus="0")
        group = f"minidocker/{web.id}"
        read = [
            Path(f"/sys/fs/cgroup/{name}").read_text().strip()
            for name in (
                f"cpu/{group}/cpu.cfs_quota_us",
                f"pids/{group}/pids.max",
                f"cpuset/{group}/cpuset.cpus",
                f"cpu/{group}/cgroup.procs",
            )
        ]
        assert read == ["25000", "9", "0", str(web.state()["Pid"])]
        web.update(pids_limit=-1)
        assert Path(f"/sys/fs/cgroup/pids/{group}/pids.max").read_text().strip() == "max"

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"mem_limit": "1m"}, "Minimum memory limit allowed is 6MB"),
            (
                {"mem_limit": "512m"},
                "Memory limit should be smaller than already set memoryswap limit, update the memory",
            ),
            ({"nano_cpus": 10**12}, "Range of CPUs is from 0.01"),
            ({"cpuset_cpus": "4096"}, "Requested CPUs are not available - requested 4096"),
            ({"memswap_limit": "16m"}, "invalid argument"),
        ],
    )
    def test_refused_and_then_nothing_has_changed(self, web: Container, given: dict[str, Any], words: str) -> None:
        before = web.attrs["HostConfig"]
        with pytest.raises(APIError, match=re.escape(words)):
            web.update(**given)
        assert web.attrs["HostConfig"] == before

    def test_processors_are_counted_in_one_way(self, real: Engine) -> None:
        made = real.containers.create(BASE, "true", nano_cpus=10**9)
        with pytest.raises(APIError, match="CPU Quota cannot be updated as NanoCPUs has already been set"):
            made.update(cpu_quota=20000)
        other = real.containers.create(BASE, "true", cpu_quota=20000)
        with pytest.raises(APIError, match="Nano CPUs cannot be updated as CPU Quota has already been set"):
            other.update(nano_cpus=10**9)

    def test_one_that_does_not_run_has_it_at_its_next_start(self, real: Engine) -> None:
        made = real.containers.create(BASE, "cat /sys/fs/cgroup/pids/pids.max")
        made.update(pids_limit=11)
        made.start()
        made.wait()
        assert made.logs() == b"11\n"

    def test_unknown_options(self, simulated: Engine) -> None:
        made = simulated.containers.create(BASE, "true")
        with pytest.raises(TypeError, match="unexpected keyword argument 'ulimits'"):
            made.update(ulimits=["nofile=1"])
        assert made.update(mem_limit="64m")["Warnings"][0].startswith("Your kernel does not support memory limit")

    def test_the_restart_policy(self, real: Engine) -> None:
        made = real.containers.create(BASE, "true", auto_remove=True)
        with pytest.raises(Conflict, match="AutoRemove is enabled"):
            made.update(restart_policy={"Name": "always"})
