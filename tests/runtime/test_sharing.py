"""Namespaces that containers share with the host and with each other, and an init as process 1."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.errors import StartError, Unsupported
from minidocker.runtime import Box, Names, Process
from tests.runtime.test_namespaces import PATH, House, alive, output, pytestmark, root_only, state, wait
from tests.until import until

__all__ = ["pytestmark"]
KINDS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "net": "net", "cgroup": "cgroup"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.runtime.close()


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    yield shared
    shared.clear()


def id_of(box: Box) -> str:
    return f"container:{box.path.name}"


def namespace(pid: int, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


@pytest.mark.parametrize("kind", ["user", "mnt", "pid", "uts", "ipc", "net", "cgroup", "time"])
def test_each_namespace_is_the_containers_own(house: House, kind: str) -> None:
    if not Path(f"/proc/self/ns/{kind}").exists():
        pytest.skip("this kernel has no such namespace")
    first, second = (house.start(house.box("sleep", "100")) for _ in range(2))
    seen = {namespace(pid, kind) for pid in (os.getpid(), state(first)["Pid"], state(second)["Pid"])}
    assert len(seen) == 3


def test_clocks_are_those_of_the_host(house: House) -> None:
    if not Path("/proc/self/ns/time").exists():
        pytest.skip("this kernel has no time namespaces")
    assert house.run("cat /proc/self/timens_offsets").split() == ["monotonic", "0", "0", "boottime", "0", "0"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_the_hosts_is_the_hosts(house: House, kind: str) -> None:
    network = "host" if kind == "net" else "none"
    seen = house.run(f"readlink /proc/self/ns/{kind}", share={kind: "host"}, network=network)
    assert seen.strip() == namespace(os.getpid(), kind)


@root_only
def test_without_a_user_namespace_no_device_can_be_made_to_work(house: House) -> None:
    script = (
        "cat /proc/self/uid_map; mknod /dev/disk b 7 0 && head -c 1 /dev/disk; mknod /tmp/d b 7 0; head -c 1 /tmp/d"
    )
    box = house.start(house.sh(script, share={"user": "host"}))
    wait(box)
    assert output(box).split() == Path("/proc/self/uid_map").read_text().split()
    assert state(box)["ExitCode"] != 0


def test_with_the_hosts_processes_the_walls_of_proc_stay(house: House) -> None:
    script = f"cat /proc/{os.getpid()}/comm; echo x > /proc/sys/kernel/hostname; echo $?; ls /proc/acpi | wc -l"
    name, refused = house.run(script, share={"pid": "host"}).split()[:2]
    assert (name, refused) == (Path("/proc/self/comm").read_text().strip(), "1")


def test_one_more_process_in_a_container_with_the_hosts_users_and_processes(house: House) -> None:
    box = house.start(house.box("sleep", "100", share={"pid": "host", "user": "host"}))
    assert house.exec(box, "readlink /proc/self/ns/pid")[1].strip() == namespace(os.getpid(), "pid")


def test_a_container_beside_another(house: House) -> None:
    first = house.start(house.sh("echo hi > /dev/shm/note; sleep 100", share={"ipc": "shareable"}))
    share = {kind: id_of(first) for kind in ("pid", "ipc", "net")}
    until(lambda: (Path(f"/proc/{state(first)['Pid']}/root/dev/shm/note")).exists())
    script = "cat /dev/shm/note /etc/hostname; for k in pid ipc net; do readlink /proc/self/ns/$k; done"
    said = house.run(script, share=share, network="container", hostname="")
    pid = state(first)["Pid"]
    assert said.split() == ["hi", "web", *(namespace(pid, kind) for kind in ("pid", "ipc", "net"))]


def test_each_keeps_to_its_own_processes(house: House) -> None:
    first = house.start(house.sh("sleep 100 & sleep 101"))
    second = house.start(house.sh("sleep 200 & sleep 201", share={"pid": id_of(first)}))
    until(lambda: all(len(house.runtime.top(box)) == 2 for box in (first, second)))
    assert {row["command"] for row in house.runtime.top(first)} == {"sleep 100", "sleep 101"}
    others = house.runtime.top(second)
    house.runtime.pause(second)
    assert (state(first)["Status"], state(second)["Status"]) == ("running", "paused")
    house.runtime.unpause(second)
    assert house.exec(second, "readlink /proc/self/ns/pid") == house.exec(first, "readlink /proc/self/ns/pid")
    house.runtime.signal(second, signal.SIGKILL)
    assert wait(second)["ExitCode"] == 137
    assert not any(alive(row["pid"]) for row in others)  # also those that are not its first one
    assert state(first)["Status"] == "running"
    assert {row["command"] for row in house.runtime.top(first) if "[" not in row["command"]} == {
        "sleep 100",
        "sleep 101",
    }


def test_what_a_killed_monitor_leaves_beside_another_container_is_ended(house: House) -> None:
    first = house.start(house.box("sleep", "100"))
    second = house.start(house.sh("sleep 200 & sleep 201", share={"pid": id_of(first)}))
    until(lambda: len(house.runtime.top(second)) == 2)
    pids = [row["pid"] for row in house.runtime.top(second)]
    os.kill(state(second)["Monitor"], signal.SIGKILL)
    wait(second)
    house.runtime.bury(second)
    until(lambda: not any(map(alive, pids)))
    assert state(first)["Status"] == "running"


def test_processes_go_with_those_whose_namespace_it_is(house: House) -> None:
    first = house.start(house.box("sleep", "100"))
    second = house.start(house.sh("trap '' TERM; sleep 200; sleep 200", share={"pid": id_of(first)}))
    house.runtime.signal(first, signal.SIGKILL)
    assert (wait(first)["ExitCode"], wait(second)["ExitCode"]) == (137, 137)


def test_nobody_joins_what_does_not_run(house: House) -> None:
    ended = house.start(house.box("true"))
    wait(ended)
    with pytest.raises(StartError, match=f"cannot join network of a non running container: {ended.path.name}"):
        house.start(house.box("true", share={"net": id_of(ended)}, network="container"))
    with pytest.raises(StartError, match=f"container {ended.path.name} is not running"):
        house.start(house.box("true", share={"pid": id_of(ended)}))


def test_without_root_there_is_always_a_user_namespace(house: House) -> None:
    if not house.runtime.rootless:
        pytest.skip("we are root")
    with pytest.raises(Unsupported, match="userns"):
        house.start(house.box("true", share={"user": "host"}))


# An init


def test_an_init_reaps_what_others_leave(house: House) -> None:
    box = house.start(house.sh("for i in 1 2 3; do (sleep 0.01 &); done; sleep 100; true", init=True))
    until(lambda: len(house.runtime.top(box)) == 3)  # the init, the shell, and its sleep: no zombie
    init, shell = house.runtime.top(box)[:2]
    assert init["command"].startswith("/sbin/docker-init -- sh -c")
    assert shell["ppid"] == init["pid"] == state(box)["Pid"]


def test_an_init_shows_nothing_of_the_host(house: House) -> None:
    box = house.start(house.sh("tr '\\0' ' ' < /proc/1/cmdline", init=True))
    wait(box)
    assert output(box).startswith("/sbin/docker-init -- sh -c tr")


def test_an_init_passes_signals_on_and_ends_as_the_program_does(house: House) -> None:
    box = house.start(house.sh("trap 'echo heard; exit 5' USR1; echo ready; while :; do sleep 0.01; done", init=True))
    until(lambda: "ready" in output(box))
    house.runtime.signal(box, signal.SIGUSR1)
    assert (wait(box)["ExitCode"], output(box)) == (5, "ready\nheard\n")


def test_with_an_init_a_program_that_does_nothing_about_sigterm_dies_of_it(house: House) -> None:
    for init, code in ((True, 143), (False, 137)):
        box = house.start(house.box("sleep", "100", init=init))
        house.runtime.signal(box, signal.SIGTERM)
        if not init:
            time.sleep(0.05)
            house.runtime.signal(box, signal.SIGKILL)
        assert wait(box)["ExitCode"] == code


def test_nobody_looks_into_an_init(house: House) -> None:
    box = house.start(house.box("sleep", "100", init=True))
    code, said = house.exec(
        box, "cat /proc/1/environ || readlink /proc/1/exe || ls /proc/1/fd/0/. || head -c 1 /proc/1/mem"
    )
    assert code != 0
    assert os.environ.get("HOME", "/root") + "\0" not in said
    fields = dict(line.split(":\t") for line in house.exec(box, "cat /proc/1/status")[1].splitlines() if ":\t" in line)
    program = dict(line.split(":\t") for line in house.exec(box, "cat /proc/2/status")[1].splitlines() if ":\t" in line)
    assert {key: fields[key] for key in ("CapEff", "CapBnd", "Seccomp", "NoNewPrivs")} == {
        key: program[key] for key in ("CapEff", "CapBnd", "Seccomp", "NoNewPrivs")
    }


def test_a_program_that_is_not_there_is_told_with_an_init_too(house: House) -> None:
    with pytest.raises(StartError, match="executable file not found") as caught:
        house.start(house.box("nosuch", init=True))
    assert caught.value.exit_code == 127


# Settings, groups, names


def test_settings_of_its_own_namespaces(house: House) -> None:
    wanted = {
        "kernel.shmmax": "1000",
        "net.ipv4.ip_forward": "1",
        "fs.mqueue.queues_max": "7",
        "net/core/somaxconn": "5",
    }
    before = Path("/proc/sys/kernel/shmmax").read_text()
    said = house.run(
        "cd /proc/sys; cat kernel/shmmax net/ipv4/ip_forward fs/mqueue/queues_max net/core/somaxconn", sysctls=wanted
    )
    assert said.split() == ["1000", "1", "7", "5"]
    assert Path("/proc/sys/kernel/shmmax").read_text() == before


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("kernel.panic", {}, 'sysctl "kernel.panic" is not in a separate kernel namespace'),
        ("net.core.nosuch", {}, "open /proc/sys/net/core/nosuch: no such file or directory"),
        (
            "net.core.somaxconn",
            {"network": "host"},
            'sysctl "net.core.somaxconn" not allowed in host network namespace',
        ),
        ("kernel.sem", {"share": {"ipc": "host"}}, 'sysctl "kernel.sem" is not allowed in the hosts ipc namespace'),
        ("net.../../kernel/panic", {}, "open /proc/sys/net.*: no such file or directory"),
    ],
)
def test_settings_of_the_host_are_refused(house: House, name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(StartError, match=words):
        house.start(house.box("true", sysctls={name: "1"}, **options))


@root_only
@pytest.mark.parametrize(
    ("user", "groups", "said"),
    [
        ("", ("audio", "77"), "uid=0(root) gid=0(root) groups=0(root),29(audio),77"),
        ("", (), "uid=0(root) gid=0(root) groups=0(root)"),  # its own is always among them
        ("5:6", (), "uid=5 gid=6 groups=6"),
        ("root:audio:what", (), "uid=0(root) gid=29(audio) groups=29(audio)"),
        ("5:6", ("audio",), "uid=5 gid=6 groups=6,29(audio)"),
        ("app", (), "uid=1000(app) gid=1001(app) groups=1001(app),29(audio),50(staff)"),
    ],
)
def test_groups(house: House, user: str, groups: tuple[str, ...], said: str) -> None:
    box = house.box()
    house.boxes[-1] = box = Box(box.path, box.layers, Process(("id",), (PATH,), user=user, groups=groups))
    house.start(box)
    wait(box)
    parts = output(box).split()
    assert (parts[:2], set(parts[2][7:].split(","))) == (said.split()[:2], set(said.split()[2][7:].split(",")))


def test_names(house: House) -> None:
    names = Names("do.main", ("db:10.0.0.2", "v6:::1"), ("9.9.9.9",), ("a.b",), ("ndots:3",))
    said = house.run("cat /proc/sys/kernel/domainname; tail -n 3 /etc/hosts; cat /etc/resolv.conf", names=names)
    assert said.splitlines() == [
        "do.main",
        "10.0.0.2\tdb",
        "::1\tv6",
        "127.0.1.1\tweb.do.main web",
        "search a.b",
        "nameserver 9.9.9.9",
        "options ndots:3",
    ]


def test_in_the_hosts_network_its_hosts_are_known(house: House) -> None:
    said = house.run("cat /etc/hosts", network="host", names=Names(hosts=("db:10.0.0.2",)))
    assert said == Path("/etc/hosts").read_text() + "10.0.0.2\tdb\n"
