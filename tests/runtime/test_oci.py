"""The same container as a bundle for runc and crun: what it says, and that it runs as ours does."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.errors import Conflict, InvalidArgument, StartError, Unsupported
from minidocker.layer import WHITEOUT, Changeset, directory, file
from minidocker.runtime import Bind, Box, Device, Process, Secret, Security, Tmpfs, oci
from tests.until import until

from .test_namespaces import ROOT, FolderLayer, House, alive, output, pytestmark, state, wait

__all__ = ["pytestmark"]
PLAIN = Box(Path("/srv/c1"), [], Process(("sh", "-c", "true"), ("PATH=/bin",)), "web")


# The bundle


def test_every_field_has_the_type_that_the_specification_gives_it() -> None:
    limits = {
        "Memory": 1 << 26,
        "NanoCpus": 5 * 10**8,
        "PidsLimit": 9,
        "CpusetCpus": "0",
        "DeviceCgroupRules": ["c 7:* rw"],
    }
    process = replace(PLAIN.process, tty=True, size=(24, 80))
    box = replace(PLAIN, ulimits=(("nofile", 100, -1),), oom_score_adj=7, shm_size=1 << 20)
    mounts = (Bind("/etc", "/mnt", read_only=True), Tmpfs("/t", size=99), Secret("/run/s", b"x"))
    made = oci.config(replace(box, limits=limits, process=process, mounts=mounts, sysctls={"net.core.somaxconn": "9"}))
    check(made)
    assert made["process"]["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 2**64 - 1}]
    assert made["process"]["consoleSize"] == {"height": 24, "width": 80} and made["process"]["oomScoreAdj"] == 7
    resources = made["linux"]["resources"]
    assert resources["memory"] == {"limit": 1 << 26} and resources["pids"] == {"limit": 9}
    assert resources["cpu"] == {"cpus": "0", "period": 100_000, "quota": 50_000}
    assert resources["devices"][-1] == {"allow": True, "type": "c", "major": 7, "access": "rw"}
    assert made["linux"]["sysctl"]["net.core.somaxconn"] == "9"


def test_it_is_a_pure_function() -> None:
    assert oci.config(PLAIN) == oci.config(PLAIN)


def check(made: dict[str, Any]) -> None:
    """config.md and config-linux.md of the OCI runtime specification, as far as we use them."""
    assert made["ociVersion"] == "1.0.2" and set(made) <= {
        *("ociVersion", "process", "root", "mounts", "linux", "hostname", "domainname")
    }
    process = made["process"]
    assert isinstance(process["terminal"], bool) and isinstance(process["noNewPrivileges"], bool)
    assert process["args"] and all(isinstance(word, str) for word in (*process["args"], *process["env"]))
    assert process["cwd"].startswith("/") and {"uid", "gid"} <= set(process["user"])
    for names in process["capabilities"].values():
        assert all(name.startswith("CAP_") for name in names)
    for limit in process["rlimits"]:
        assert limit["type"].startswith("RLIMIT_") and 0 <= limit["soft"] < 2**64 and 0 <= limit["hard"] < 2**64
    assert {"path", "readonly"} == set(made["root"])
    for mount in made["mounts"]:
        assert mount["destination"].startswith("/") and all(isinstance(word, str) for word in mount["options"])
        assert mount["type"] != "bind" or ("rbind" in mount["options"] and mount["source"].startswith("/"))
    kinds = [namespace["type"] for namespace in made["linux"]["namespaces"]]
    assert len(kinds) == len(set(kinds)) and set(kinds) <= {"pid", "network", "mount", "ipc", "uts", "user", "cgroup"}
    assert ("user" in kinds) == ("uidMappings" in made["linux"])
    for rule in made["linux"]["resources"]["devices"]:
        assert set(rule["access"]) <= set("rwm") and rule.get("type") in (None, "a", "b", "c")


def test_namespaces_of_the_host_are_left_out() -> None:
    made = oci.config(replace(PLAIN, network="host", share={"pid": "host", "uts": "host"}))
    assert [each["type"] for each in made["linux"]["namespaces"]] == ["mount", "ipc", "cgroup", "user"]
    assert "hostname" not in made and "net.ipv4.ping_group_range" not in made["linux"]["sysctl"]


def test_what_a_container_may_do() -> None:
    made = oci.config(replace(PLAIN, security=Security(("CAP_CHOWN",), "unconfined", True, True)))
    assert made["process"]["capabilities"]["bounding"] == ["CAP_CHOWN"] and made["process"]["noNewPrivileges"]
    assert "seccomp" not in made["linux"] and not made["linux"]["maskedPaths"] and not made["linux"]["readonlyPaths"]
    assert oci.config(PLAIN)["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"


REFUSED = [
    ({"init": True}, "an init"),
    ({"share": {"pid": "container:1"}}, "pid of another container"),
    ({"security": Security(privileged=True)}, "all privileges"),
    ({"devices": (Device("/dev/null", "/dev/other"),)}, "the device /dev/null as /dev/other"),
    ({"limits": {"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1}]}}, "the limit BlkioDeviceReadBps"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_what_cannot_be_said_is_refused_by_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        oci.config(replace(PLAIN, **options))


def test_runtimes_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(oci.installed()) <= {"namespaces", "runc", "crun"}
    with pytest.raises(InvalidArgument, match="unknown or invalid runtime name: qemu"):
        oci.find("qemu")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InvalidArgument, match="unknown or invalid runtime name: runc"):
        oci.find("runc")


# Running


@pytest.fixture(scope="module", params=["runc", "crun"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param} here")
    house = House(tmp_path_factory.mktemp("house"))
    house.ours, house.runtime = house.runtime, oci.find(request.param, house.folder)  # type: ignore[attr-defined,assignment]
    try:
        assert house.run("echo works") == "works\n"
    except StartError as error:
        assert str(error).startswith("OCI runtime"), "it says so itself"
        pytest.skip(f"{request.param} does not work here: {error}")
    yield house
    house.runtime.close()
    house.ours.close()  # type: ignore[attr-defined]


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    yield shared
    shared.clear()


def beside(house: House, script: str, **options: Any) -> tuple[str, str]:
    """What a script says in a container of ours, and in one of theirs."""
    theirs = house.run(script, **options)
    runtime, house.runtime = house.runtime, house.ours  # type: ignore[attr-defined]
    try:
        return house.run(script, **options), theirs
    finally:
        house.runtime = runtime


SAME = {
    "status": "grep -E '^(Cap|NoNewPrivs|Seccomp|Uid|Gid|Groups|SigBlk)' /proc/self/status",
    "environment": "env | sort; pwd; umask; hostname; ulimit -n",
    "ids": "cat /proc/self/uid_map /proc/self/gid_map; id",
    "masks": "ls -A /sys/firmware; head -c1 /proc/timer_list; echo x > /proc/sys/kernel/hostname; touch /sys/x; true",
    "streams": "readlink /proc/self/fd/0; ls /proc/self/fd | wc -l; echo err >&2; echo $$",
    "network": "ip addr show lo | grep -c UP; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
    "names": "cat /etc/hostname /etc/resolv.conf; grep -v '127.0.1.1' /etc/hosts",
}


@pytest.mark.parametrize("what", SAME)
def test_inside_it_is_as_in_ours(house: House, what: str) -> None:
    ours, theirs = beside(house, SAME[what])
    assert ours == theirs


def test_the_same_is_mounted_with_the_same_options(house: House) -> None:
    script = "while read a b c root at flags rest; do echo $at $flags ${rest#* - }; done < /proc/self/mountinfo | sort"
    ours, theirs = ({tuple(line.split()[:2]) for line in said.splitlines()} for said in beside(house, script))
    known = ("/sys/fs/cgroup", "/proc/", "/sys/", "/etc/")  # of masks theirs has more, where a kernel has no such file

    def plain(found: set[tuple[str, ...]]) -> dict[str, set[str]]:
        return {at: set(flags.split(",")) - {"relatime"} for at, flags in found if not at.startswith(known)}

    assert plain(ours).keys() == plain(theirs).keys()
    for at, flags in plain(ours).items():
        device = at.startswith("/dev/") and at not in ("/dev/pts", "/dev/shm", "/dev/mqueue")
        assert flags - plain(theirs)[at] <= {"nodev"}, at  # ours shows no device that nobody asked for
        assert plain(theirs)[at] - flags <= ({"nosuid", "noexec"} if device else set()), at  # crun, and useless there


def test_output_exit_code_and_changes(house: House) -> None:
    box = house.start(house.sh("echo out; echo err >&2; touch /x; rm -r /home; exit 3"))
    assert wait(box)["ExitCode"] == 3
    assert (output(box), output(box, "stderr")) == ("out\n", "err\n")
    assert set(house.runtime.changes(box)) == {"/x", "/home"}
    assert house.runtime.changes(box)["/home"] == WHITEOUT
    house.start(box)
    assert wait(box)["ExitCode"] == 3, "it is started again, on what it wrote"


@pytest.mark.parametrize(("program", "code"), [("nope", 127), ("/nope/x", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_start(house: House, program: str, code: int) -> None:
    box = house.box(program)
    with pytest.raises(StartError, match="OCI runtime create failed: ") as error:
        house.start(box)
    assert error.value.exit_code == code and wait(box)["Status"] == "created"
    assert not house.runtime.changes(box) and not list((box.path / "bundle" / "state").glob("*"))


def test_life(house: House) -> None:
    box = house.start(house.sh("trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.02; done"))
    until(lambda: output(box) == "ready\n")
    assert house.exec(box, "hostname; grep CapEff /proc/self/status; exit 7")[0] == 7
    assert house.runtime.top(box)[0]["pid"] == state(box)["Pid"]
    house.runtime.pause(box)
    assert state(box)["Status"] == "paused"
    house.runtime.unpause(box)
    house.runtime.apply(box, Changeset({"/srv": directory(), "/srv/in": file(b"in\n")}))
    assert house.exec(box, "cat /srv/in") == (0, "in\n")
    with pytest.raises(StartError, match="already running"):
        house.start(box)
    house.runtime.signal(box, signal.SIGTERM)
    assert wait(box)["ExitCode"] == 5 and output(box) == "ready\ngot\n"
    assert not list((box.path / "bundle" / "state").glob("*")) and not house.runtime.changes(box).keys() - {
        "/srv",
        "/srv/in",
    }


@pytest.mark.skipif(not ROOT, reason="other users than root inside take root outside")
def test_users_limits_and_read_only(house: House) -> None:
    assert house.run("id -u; id -g; touch /x || echo no; echo $HOME", user="app") == "1000\n1001\nno\n/home/app\n"
    assert house.run("touch /x || echo no", read_only=True) == "no\n"
    process = {"limits": {"PidsLimit": 20, "Memory": 32 << 20}, "cgroup": f"/minidocker/oci-{os.getpid()}"}
    script = "for f in pids/pids.max memory/memory.limit_in_bytes; do cat /sys/fs/cgroup/$f; done; true"
    if Path("/sys/fs/cgroup/pids").is_dir():
        assert house.run(script, **process).split() == ["20", str(32 << 20)]


def test_mounts(house: House, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("ours")
    mounts = (
        Bind(str(tmp_path), "/b", read_only=True),
        Tmpfs("/t"),
        Secret("/run/s", b"hush"),
        Bind("/etc", "/a/deep/one"),
    )
    box = house.start(house.sh("cat /b/f /run/s; touch /b/x || echo no; echo x > /t/x; ls /t", mounts=mounts))
    assert wait(box)["ExitCode"] == 0 and output(box) == "ourshushno\nx\n"
    assert not house.runtime.changes(box)
    layers = [house.base, FolderLayer(Changeset({"/f": file()}), house.folder / "f")]
    with pytest.raises(StartError, match="Are you trying to mount a directory onto a file"):
        house.start(house.sh("true", layers=layers, mounts=(Bind(str(tmp_path), "/f"),)))


def test_a_container_dies_with_its_monitor(house: House) -> None:
    box = house.start(house.sh("sleep 100 & sleep 100"))
    now = state(box)
    os.kill(now["Monitor"], signal.SIGKILL)
    until(lambda: not alive(now["Pid"]))
    wait(box)
    until(lambda: not list((box.path / "bundle" / "state").glob("*")))
    with pytest.raises(Conflict, match="is not running"):
        house.runtime.signal(box, signal.SIGTERM)
    house.start(box)
    assert state(box)["Running"], "and can be started again"
    assert str(box.path) not in Path("/proc/self/mountinfo").read_text()


def test_a_runtime_for_one_container(house: House, tmp_path: Path) -> None:
    with minidocker.connect(tmp_path, runtime="namespaces") as engine:
        name = house.runtime.name
        assert name in engine.info()["Runtimes"]
        said = engine.containers.run("minidocker/base", "echo hello", runtime=name, remove=True)
        assert said == b"hello\n"
        said = engine.containers.run(
            "minidocker/base", ["sh", "-c", "tty; echo hi"], runtime=name, tty=True, remove=True
        )
        assert said == b"/dev/pts/0\r\nhi\r\n"
        container = engine.containers.create("minidocker/base", "sleep 100", runtime=name)
        assert container.attrs["HostConfig"]["Runtime"] == name
        container.start()
        assert (container.path / "bundle" / "config.json").exists()
        assert container.exec_run("echo in").output == b"in\n"
        container.remove(force=True)
        with pytest.raises(InvalidArgument, match="unknown or invalid runtime name: kata"):
            engine.containers.create("minidocker/base", "true", runtime="kata")
        assert engine.containers.list(all=True) == []


@pytest.mark.skipif(not ROOT, reason="the other tests are without root already")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv to become another user with")
def test_without_root(house: House) -> None:
    folder = Path("/tmp") / f"minidocker-oci-{os.getpid()}"
    folder.mkdir(mode=0o777)
    try:
        folder.chmod(0o777)
        shutil.copytree(Path(__file__).parents[2] / "minidocker", folder / "minidocker")
        shutil.copytree(Path(__file__).parents[1], folder / "tests")
        (folder / "pytest.py").write_text(
            "from unittest.mock import MagicMock\nimport sys\nsys.modules['pytest'] = MagicMock()\n"
        )
        program = f"""
from pathlib import Path
from tests.runtime import test_namespaces as trial
from minidocker.runtime.oci import find
Path("house").mkdir()
house = trial.House(Path("house").absolute())
house.runtime = find({house.runtime.name!r}, house.folder)
box = house.start(house.sh("id -u; hostname; echo $$; touch /x; exit 3"))
print(trial.wait(box)["ExitCode"], *trial.output(box).split(), *house.runtime.changes(box))
house.clear()
house.runtime.close()
"""
        python = next(path for path in (sys.executable, "/usr/bin/python3") if os.access(path, os.X_OK))
        python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else python
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-c", program]
        environment = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"], "HOME": "/"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        assert done.stdout == "3 0 web 1 /x\n", done.stderr
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
