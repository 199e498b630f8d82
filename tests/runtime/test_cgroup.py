"""Control groups: where they may be made, what is written into them. Of version 2, folders stand in for the kernel."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.errors import InvalidArgument, StartError
from minidocker.runtime import limits, usage
from minidocker.runtime.cgroup import HOME, SELF, Group, Place, Places, discover, places, sweep

V1 = "31 25 0:{0} / {1}/{2} rw,nosuid - cgroup cgroup rw,{2}\n"


def kernel(folder: Path, *groups: str, controllers: str = "cpuset cpu io memory pids") -> Path:
    """A folder that looks like a hierarchy of version 2 with these cgroups."""
    for group in ("", *groups):
        (folder / group).mkdir(parents=True, exist_ok=True)
        for name in ("cgroup.procs", "cgroup.subtree_control"):
            (folder / group / name).write_text("")
        (folder / group / "cgroup.controllers").write_text(controllers)
    return folder


def mounted(folder: Path, root: str = "/") -> str:
    return f"34 25 0:29 {root} {folder} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n25 1 8:1 / / rw - ext4 /dev/vda rw\n"


class TestWhere:
    """/proc/self/mountinfo and /proc/self/cgroup, and what we may write to, say where cgroups can be made."""

    def test_as_root_on_version_2(self, tmp_path: Path) -> None:
        kernel(tmp_path, "user.slice/shell.scope")
        found = discover(mounted(tmp_path), "0::/user.slice/shell.scope\n", lambda _: True)
        assert found.keys() == {SELF, "cpuset", "cpu", "io", "memory", "pids"}
        assert set(found.values()) == {Place(2, str(tmp_path), f"{tmp_path}/user.slice/shell.scope")}

    def test_without_root_it_is_the_topmost_that_systemd_delegated(self, tmp_path: Path) -> None:
        manager = "user.slice/user-1000.slice/user@1000.service"
        kernel(tmp_path, manager, f"{manager}/app.slice/shell.scope", controllers="memory pids")
        mine = f"{tmp_path}/{manager}"
        found = discover(mounted(tmp_path), f"0::/{manager}/app.slice/shell.scope\n", lambda at: at.startswith(mine))
        assert found.keys() == {SELF, "memory", "pids"}
        assert {place.root for place in found.values()} == {mine}

    def test_a_session_that_nobody_delegated_has_none(self, tmp_path: Path) -> None:
        kernel(tmp_path, "user.slice/user-1000.slice/session-3.scope")
        path = "0::/user.slice/user-1000.slice/session-3.scope\n"
        assert discover(mounted(tmp_path), path, lambda _: False) == {}

    def test_version_1_has_one_hierarchy_a_controller_and_hybrid_leaves_version_2_alone(self, tmp_path: Path) -> None:
        mounts = "".join(V1.format(n, tmp_path, name) for n, name in enumerate(("memory", "pids", "cpu,cpuacct")))
        mounts += mounted(tmp_path / "unified")
        own = "4:memory:/a/b\n3:cpu,cpuacct:/\n8:pids:/\n1:name=systemd:/\n0::/\n"
        found = discover(mounts, own, lambda _: True)
        assert found["memory"] == Place(1, f"{tmp_path}/memory", f"{tmp_path}/memory/a/b")
        assert found["cpu"] == found["cpuacct"] == Place(1, f"{tmp_path}/cpu,cpuacct", f"{tmp_path}/cpu,cpuacct")
        assert found.keys() == {"memory", "pids", "cpu", "cpuacct"}

    def test_in_a_container_the_mount_may_begin_below(self, tmp_path: Path) -> None:
        mounts = V1.format(1, tmp_path, "pids").replace(" / ", " /docker/abc ")
        found = discover(mounts, "8:pids:/docker/abc/sub\n", lambda _: True)
        assert found["pids"] == Place(1, f"{tmp_path}/pids", f"{tmp_path}/pids/sub")

    def test_a_path_may_have_spaces_and_letters_of_any_alphabet(self, tmp_path: Path) -> None:
        mounts = V1.format(1, f"{tmp_path}/é\\040\\134", "pids")
        assert discover(mounts, "8:pids:/\n", lambda _: True)["pids"].root == f"{tmp_path}/é \\/pids"

    def test_what_is_read_only_is_none_of_ours(self, tmp_path: Path) -> None:
        mounts = V1.format(1, tmp_path, "memory") + V1.format(2, tmp_path, "pids")
        found = discover(mounts, "4:memory:/\n8:pids:/\n", lambda folder: "pids" in folder)
        assert found.keys() == {"pids"}

    @pytest.mark.parametrize(("name", "folder"), [("/minidocker/x", "minidocker/x"), ("mine/x", "me/mine/x")])
    def test_a_parent_is_absolute_or_below_ourselves(self, name: str, folder: str) -> None:
        assert Group(name, {"pids": Place(1, "/cg/pids", "/cg/pids/me")}).folder("pids") == f"/cg/pids/{folder}"


def one(version: int, *controllers: str) -> Places:
    return {name: Place(version, f"/cg/{name}", f"/cg/{name}") for name in controllers}


ALL_1 = one(1, "memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "devices")
ALL_2 = one(2, SELF, "memory", "cpu", "cpuset", "pids", "io")


class TestWhatIsWritten:
    """The same limits in the files of both versions, with runc's conversions."""

    @pytest.mark.parametrize(
        ("asked", "version_1", "version_2"),
        [
            (
                {"Memory": 64 << 20, "MemorySwap": 128 << 20},
                ["memory.limit_in_bytes=67108864", "memory.memsw.limit_in_bytes=134217728"],
                ["memory.max=67108864", "memory.swap.max=67108864"],
            ),
            (
                {"Memory": 64 << 20, "MemorySwap": -1},
                ["memory.limit_in_bytes=67108864", "memory.memsw.limit_in_bytes=-1"],
                ["memory.max=67108864", "memory.swap.max=max"],
            ),
            (
                {"Memory": 64 << 20, "MemorySwap": 64 << 20},
                ["memory.limit_in_bytes=67108864", "memory.memsw.limit_in_bytes=67108864"],
                ["memory.max=67108864", "memory.swap.max=0"],
            ),
            ({"MemoryReservation": 8 << 20}, ["memory.soft_limit_in_bytes=8388608"], ["memory.low=8388608"]),
            (
                {"NanoCpus": 10**9 // 2},
                ["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000"],
                ["cpu.max=50000 100000"],
            ),
            ({"CpuPeriod": 50000}, ["cpu.cfs_period_us=50000"], ["cpu.max=max 50000"]),
            ({"CpuQuota": 20000}, ["cpu.cfs_quota_us=20000"], ["cpu.max=20000 100000"]),
            ({"CpuShares": 512}, ["cpu.shares=512"], ["cpu.weight=20"]),
            ({"CpuShares": 2}, ["cpu.shares=2"], ["cpu.weight=1"]),
            ({"CpuShares": 262144}, ["cpu.shares=262144"], ["cpu.weight=10000"]),
            ({"CpusetCpus": "0-1", "CpusetMems": "0"}, ["cpuset.cpus=0-1", "cpuset.mems=0"], None),
            ({"PidsLimit": 20}, ["pids.max=20"], ["pids.max=20"]),
            ({"PidsLimit": -1}, [], []),
            ({"OomKillDisable": True}, ["memory.oom_control=1"], []),
            ({"MemorySwappiness": 10}, ["memory.swappiness=10"], []),
            ({"BlkioWeight": 10}, ["blkio.weight=10"], ["io.weight=1"]),
            ({"BlkioWeight": 1000}, ["blkio.weight=1000"], ["io.weight=10000"]),
            (
                {"BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": 1024}]},
                ["blkio.throttle.read_bps_device=1:3 1024"],
                ["io.max=1:3 rbps=1024"],
            ),
        ],
    )
    def test_limits(self, asked: dict[str, object], version_1: list[str], version_2: list[str] | None) -> None:
        def written(where: Places) -> list[str]:
            return [f"{file}={value}" for _, file, value in limits.settings(asked, where)]

        assert written(ALL_1) == version_1
        assert written(ALL_2) == (version_1 if version_2 is None else version_2)

    def test_rules_for_devices_begin_with_dockers_own(self) -> None:
        found = limits.settings({"DeviceCgroupRules": ["c 10:100 rw"]}, ALL_1)
        assert found[0] == ("devices", "devices.deny", "a")
        assert ("devices", "devices.allow", "c 1:3 rwm") in found
        assert found[-1] == ("devices", "devices.allow", "c 10:100 rw")

    @pytest.mark.parametrize("shares", [1, 262145])
    def test_shares_have_bounds(self, shares: int) -> None:
        with pytest.raises(StartError, match="allowed cpu-shares is"):
            limits.settings({"CpuShares": shares}, ALL_1)

    def test_a_device_that_is_not_there(self) -> None:
        with pytest.raises(StartError, match="stat /dev/nope: no such file or directory") as failed:
            limits.settings({"BlkioDeviceReadBps": [{"Path": "/dev/nope", "Rate": 1}]}, ALL_1)
        assert failed.value.exit_code == 127


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a module of Linux's")
@pytest.mark.parametrize(
    ("where", "shown"),
    [
        (
            {
                name: Place(1, f"/cg/{folder}/me", "")
                for name, folder in (("cpu", "both"), ("cpuacct", "both"), ("pids", "p"))
            },
            {"cpu,cpuacct": ["cpu", "cpuacct"], "pids": ["pids"]},
        ),
        ({name: Place(2, "/cg", "") for name in (SELF, "memory", "pids")}, {"": [SELF, "memory", "pids"]}),
        ({}, {}),
    ],
)
def test_inside_each_hierarchy_that_it_is_in_is_shown(
    where: Places, shown: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from minidocker.runtime import Box, Process, cgroup
    from minidocker.runtime.namespaces import describe_cgroup

    monkeypatch.setattr(cgroup, "places", lambda: where)
    assert describe_cgroup(Box(Path("/x"), [], Process(("true",))))["mounts"] == shown


class TestVersion2:
    """The whole life of a group, in folders that look like version 2."""

    @pytest.fixture
    def where(self, tmp_path: Path) -> Places:
        kernel(tmp_path)
        return discover(mounted(tmp_path), "0::/\n", lambda _: True)

    def test_controllers_are_handed_down(self, where: Places, tmp_path: Path) -> None:
        group = Group(f"{HOME}/abc", where)
        group.make([SELF])
        assert (tmp_path / "minidocker" / "abc").is_dir()
        assert (tmp_path / "cgroup.subtree_control").read_text().startswith("+pids")

    def test_only_what_there_are_files_for_is_supported(self, where: Places, tmp_path: Path) -> None:
        (tmp_path / "minidocker").mkdir()
        for name in ("memory.max", "pids.max", "cpu.max"):
            (tmp_path / "minidocker" / name).write_text("max")
        assert limits.supported(where) == {"Memory", "PidsLimit", "NanoCpus", "CpuPeriod", "CpuQuota"}

    def test_what_is_used(self, where: Places, tmp_path: Path) -> None:
        folder = tmp_path / "minidocker" / "abc"
        folder.mkdir(parents=True)
        files = {
            "memory.current": "4096\n",
            "memory.max": "67108864\n",
            "memory.peak": "8192\n",
            "memory.stat": "anon 100\ninactive_file 96\n",
            "memory.events": "low 0\noom 1\noom_kill 2\n",
            "cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 3\nnr_throttled 1\nthrottled_usec 7\n",
            "pids.current": "2\n",
            "pids.max": "max\n",
            "io.stat": "254:0 rbytes=512 wbytes=1024 rios=1 wios=2 dbytes=0 dios=0\n254:16 \n",
            "cgroup.procs": "10\n11\n",
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        group = Group(f"{HOME}/abc", where)
        found = usage.of_group(group)
        assert (found.memory, found.limit, found.peak) == (4096, min(64 << 20, limits.total_memory()), 8192)
        assert (found.cpu_ns, found.cpu_user_ns, found.cpu_system_ns) == (30000, 20000, 10000)
        assert (found.pids, found.pids_limit, found.read_bytes, found.written_bytes) == (2, 0, 512, 1024)
        assert group.oom_kills() == 2
        assert group.pids() == [10, 11]

    def test_freezing(self, where: Places, tmp_path: Path) -> None:
        folder = tmp_path / "minidocker" / "abc"
        folder.mkdir(parents=True)
        for name, text in (
            ("cgroup.procs", "1\n"),
            ("cgroup.freeze", ""),
            ("cgroup.events", "populated 1\nfrozen 1\n"),
        ):
            (folder / name).write_text(text)
        group = Group(f"{HOME}/abc", where)
        assert group.freeze(list) and group.is_frozen()
        assert (folder / "cgroup.freeze").read_text() == "1"
        group.thaw()
        assert (folder / "cgroup.freeze").read_text() == "0"

    def test_limits_of_one_that_runs(self, where: Places, tmp_path: Path) -> None:
        folder = tmp_path / "minidocker" / "abc"
        folder.mkdir(parents=True)
        for name in ("cgroup.procs", "memory.max", "memory.swap.max", "pids.max"):
            (folder / name).write_text("")
        group = Group(f"{HOME}/abc", where)
        limits.change(group, {"Memory": 8 << 20, "MemorySwap": 16 << 20, "PidsLimit": 0}, list)
        assert [(folder / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max")] == [
            "8388608",
            "8388608",
            "max",
        ]
        with pytest.raises(InvalidArgument):
            limits.change(group, {"CpuShares": 4}, list)  # there is no such file


# --- this machine's -------------------------------------------------------------------------------------------------

real = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0 or "pids" not in places(),
    reason="takes root, and cgroups that may be written",
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([shutil.which("sleep") or "sleep", "60"]) as process:
        yield process
        process.kill()


@real
class TestHere:
    """The same with the kernel of this machine."""

    @pytest.fixture
    def group(self) -> Iterator[Group]:
        found = Group(f"{HOME}/test-{os.getpid()}")
        yield found
        assert found.remove()

    def test_a_process_enters_with_its_limits_and_all_is_gone_after(
        self, group: Group, sleeper: subprocess.Popen[bytes]
    ) -> None:
        group.enter(sleeper.pid, [("pids", "pids.max", "7")])
        assert group.pids() == [sleeper.pid]
        assert Path(group.folder("pids"), "pids.max").read_text().strip() == "7"
        assert usage.of_group(group).pids == 1
        group.remove()  # it kills what is left
        assert sleeper.wait(120) == -9
        assert not any(Path(folder).exists() for folder in group.folders())

    def test_a_group_made_ahead_gets_its_name_later(self, group: Group, sleeper: subprocess.Popen[bytes]) -> None:
        ahead = Group(f"{group.name}-ahead")
        if ahead.enter_ahead(sleeper.pid):
            group.enter(sleeper.pid, ahead=ahead.name)
            assert group.pids() == [sleeper.pid]
            assert not any(Path(folder).exists() for folder in ahead.folders())

    def test_one_in_use_is_not_taken(self, group: Group, sleeper: subprocess.Popen[bytes]) -> None:
        group.enter(sleeper.pid)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("minidocker.runtime.cgroup.PATIENCE", 0.01)
            with pytest.raises(Exception, match="container's cgroup is not empty"):
                Group(group.name).enter(os.getpid())
        assert sleeper.poll() is None

    def test_frozen_and_thawed(self, group: Group, sleeper: subprocess.Popen[bytes]) -> None:
        group.enter(sleeper.pid)
        if not group.freeze(group.pids):
            pytest.skip("no freezer here")
        assert group.is_frozen()
        sleeper.terminate()
        time.sleep(0.05)
        assert sleeper.poll() is None
        group.thaw()
        assert sleeper.wait(120) == -15

    def test_what_nobody_is_in_is_swept(self, group: Group, sleeper: subprocess.Popen[bytes]) -> None:
        left = Group(f"{group.name}-left")
        left.make(left.counters())
        group.enter(sleeper.pid)
        sweep()
        assert not any(Path(folder).exists() for folder in left.folders())
        assert group.pids() == [sleeper.pid]

    def test_one_that_is_about_to_be_used_is_not(
        self, group: Group, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """…though it is empty until somebody is in it: engines come and go while containers start."""
        line = [sys.executable, "-uc", "from minidocker.runtime.cgroup import sweep\nwhile True: sweep(), print()"]
        at_once = Group.join

        def hesitant(*about: Any) -> None:
            time.sleep(0.05)
            at_once(*about)

        with subprocess.Popen(line, stdout=subprocess.PIPE) as sweeps:
            assert sweeps.stdout and sweeps.stdout.readline()
            monkeypatch.setattr(Group, "join", hesitant)
            try:
                for number in range(5):
                    new = Group(f"{group.name}-{number}")
                    new.enter(sleeper.pid)
                    for folder in new.folders(new.counters()):
                        assert Path(folder, "cgroup.procs").read_text().split() == [str(sleeper.pid)]
            finally:
                sweeps.kill()
