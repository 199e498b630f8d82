"""Real containers: what they see, what they cannot, how they end, and that nothing of them is left."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from minidocker.errors import Conflict, StartError
from minidocker.layer import WHITEOUT, Changeset, directory, file
from minidocker.runtime import NO_STDIO, Bind, Box, Process, Stdio, probe
from minidocker.runtime.capabilities import DEFAULT, mask
from minidocker.runtime.overlay import unpack
from minidocker.tree import symlink
from minidocker.union import Union
from tests.until import until

BUSYBOX = shutil.which("busybox")
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux") or not probe.report().works, reason="no namespaces here"),
    pytest.mark.skipif(BUSYBOX is None, reason="no busybox (Debian: busybox-static)"),
]
ROOT = sys.platform.startswith("linux") and os.geteuid() == 0
root_only = pytest.mark.skipif(not ROOT, reason="other users than root inside take root outside")
PATH = "PATH=/bin"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1001:\nstaff:x:50:app\naudio:x:29:app,other\n"
APPLETS = "sh true cat id ls mount sleep echo touch rm mkdir hostname env chmod ln mv head tr od ip readlink grep"


@dataclass(frozen=True)
class FolderLayer:
    """A layer that knows its value and its unpacked folder."""

    changes: Changeset
    folder: Path
    diff_id: str = "sha256:0"

    def path(self) -> Path:
        if not self.folder.exists():
            unpack(self.changes, self.folder)
        return self.folder


def base_layer(folder: Path) -> FolderLayer:
    """A small root file system around busybox, with users."""
    assert BUSYBOX
    program = Path(BUSYBOX).read_bytes()
    entries = {f"/bin/{name}": file(program, mode=0o755, link="/bin/busybox") for name in ["busybox", *APPLETS.split()]}
    folders = {path: directory() for path in ("/bin", "/etc", "/proc", "/sys", "/dev", "/root", "/home", "/home/app")}
    tables = {"/etc/passwd": file(PASSWD), "/etc/group": file(GROUP), "/tmp": directory(0o1777)}
    return FolderLayer(Changeset({**folders, **entries, **tables}), folder / "base")


class House:
    """A folder with a base layer, a runtime, and the containers that a test makes."""

    def __init__(self, folder: Path) -> None:
        from minidocker.runtime.namespaces import Namespaces

        self.folder, self.runtime, self.base = folder, Namespaces(), base_layer(folder)
        self.boxes: list[Box] = []
        self.numbers = count()

    def box(self, *args: str, user: str = "", cwd: str = "/", env: tuple[str, ...] = (PATH,), **options: Any) -> Box:
        path = self.folder / f"c{next(self.numbers)}"
        path.mkdir()
        options = {"layers": [self.base], "hostname": "web"} | options
        self.boxes.append(Box(path, process=Process(args, env, cwd, user), **options))
        return self.boxes[-1]

    def sh(self, script: str, **options: Any) -> Box:
        return self.box("sh", "-c", script, **options)

    def start(self, box: Box, stdio: Stdio = NO_STDIO) -> Box:
        self.runtime.start(box, stdio)
        return box

    def run(self, script: str, **options: Any) -> str:
        """Run a script to its end; what it printed."""
        box = self.start(self.sh(script, **options))
        wait(box)
        return output(box)

    def exec(self, box: Box, script: str, **options: Any) -> tuple[int, str]:
        """Run a script in a container that runs: exit code, output."""
        reader, writer = os.pipe()
        with os.fdopen(reader) as result:
            try:
                process = Process(("sh", "-c", script), (PATH,), **options)
                code = self.runtime.exec(box, process, Stdio(None, writer, writer))
            finally:
                os.close(writer)
            return code, result.read()

    def clear(self) -> None:
        for box in filter(lambda box: box.path.exists(), self.boxes):
            with contextlib.suppress(Conflict):
                (box.path / "stopped").touch()
                self.runtime.signal(box, signal.SIGKILL)
            wait(box)
            self.runtime.remove(box)
        self.boxes.clear()


def state(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((box.path / "state.json").read_text())
    return found


def wait(box: Box) -> dict[str, Any]:
    """Wait until the container's monitor has gone."""
    if (box.path / "monitor.lock").exists():
        with (box.path / "monitor.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
    return state(box) if (box.path / "state.json").exists() else {}


def log(box: Box) -> list[dict[str, str]]:
    return [json.loads(line) for line in (box.path / "log.jsonl").read_text().splitlines()]


def output(box: Box, stream: str = "stdout") -> str:
    return "".join(record["log"] for record in log(box) if record["stream"] == stream)


def alive(pid: int | str) -> bool:
    """Whether there is such a process, and it is more than an entry that its parent has still to collect."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.runtime.close()


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    yield shared
    shared.clear()


# Output and exit codes


def test_output_is_in_the_log_when_the_container_has_ended(house: House) -> None:
    box = house.start(house.sh("echo out; echo err >&2; printf half; exit 3"))
    assert wait(box)["ExitCode"] == 3
    assert (output(box), output(box, "stderr")) == ("out\nhalf", "err\n")
    assert [record["log"] for record in log(box) if record["stream"] == "stdout"] == ["out\n", "half"]


def test_a_long_line_is_kept_in_records_of_16_kib(house: House) -> None:
    box = house.start(house.sh("head -c 40000 /dev/zero | tr '\\0' x; echo"))
    wait(box)
    assert [len(record["log"]) for record in log(box)] == [16384, 16384, 40001 - 2 * 16384]


def test_what_is_no_utf8_does_not_break_the_log(house: House) -> None:
    box = house.start(house.sh("printf 'a\\377b\\n'; printf '\\303\\244\\n'"))
    wait(box)
    assert output(box) == "a\ufffdb\nä\n"


def test_state_tells_the_life_of_a_container(house: House) -> None:
    box = house.start(house.sh("sleep 100"))
    now = state(box)
    assert (now["Status"], now["Running"], now["RestartCount"]) == ("running", True, 0)
    assert Path(f"/proc/{now['Pid']}").exists() and Path(f"/proc/{now['Monitor']}").exists()
    house.runtime.signal(box, signal.SIGKILL)
    then = wait(box)
    assert (then["Status"], then["Running"], then["ExitCode"], then["Pid"]) == ("exited", False, 137, 0)
    assert then["StartedAt"] == now["StartedAt"] < then["FinishedAt"]


REFUSED = [
    ("nope", 127, 'exec: "nope": executable file not found in $PATH'),
    ("/nope/x", 127, 'exec: "/nope/x": stat /nope/x: no such file or directory'),
    ("/etc/passwd/x", 127, 'exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory'),
    ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
    ("/etc", 126, 'exec: "/etc": is a directory'),
    ("/broken", 126, "exec /broken: exec format error"),
    ("/orphan", 127, "exec /orphan: no such file or directory"),
]


@pytest.mark.parametrize(("program", "code", "words"), REFUSED)
def test_a_program_that_cannot_start(house: House, program: str, code: int, words: str) -> None:
    odd = {"/broken": file(b"\x7fELF", mode=0o755), "/orphan": file(b"#!/no/such\n", mode=0o755)}
    layers = [house.base, FolderLayer(Changeset(odd), house.folder / "odd")]
    box = house.box(program, layers=layers)
    with pytest.raises(StartError) as error:
        house.runtime.start(box)
    assert (error.value.exit_code, str(error.value)) == (code, words)
    assert (wait(box)["Status"], wait(box)["ExitCode"], wait(box)["Error"]) == ("created", code, words)
    assert not house.runtime.changes(box)


def test_standard_input_reaches_the_program_and_its_output_those_attached(house: House) -> None:
    (in_end, in_start), (out_end, out_start) = os.pipe(), os.pipe()
    box = house.start(house.box("cat"), Stdio(in_end, out_start, None))
    os.close(in_end)
    os.close(out_start)
    os.write(in_start, b"through\n")
    os.close(in_start)
    with os.fdopen(out_end, "rb") as result:
        assert result.read() == b"through\n"
    assert wait(box)["ExitCode"] == 0 and output(box) == "through\n"


def test_without_standard_input_there_is_none(house: House) -> None:
    assert house.run("cat; readlink /proc/self/fd/0").endswith("/null\n")


def test_a_reader_that_goes_away_does_not_stop_the_program(house: House) -> None:
    reader, writer = os.pipe()
    box = house.start(house.sh("echo one; sleep 0.05; echo two; echo three"), Stdio(None, writer, None))
    os.close(writer)
    os.close(reader)
    assert wait(box)["ExitCode"] == 0 and output(box) == "one\ntwo\nthree\n"


def test_a_process_in_the_background_does_not_keep_the_container_running(house: House) -> None:
    box = house.start(house.sh("sleep 1000 & echo done"))
    assert until(lambda: state(box)["Status"] == "exited") and output(box) == "done\n"


def test_without_a_log_nothing_is_written(house: House) -> None:
    box = house.start(house.sh("echo x", log=False))
    assert wait(box)["ExitCode"] == 0 and not (box.path / "log.jsonl").exists()


# The walls


def test_the_container_is_alone(house: House) -> None:
    seen = house.run("echo $$; hostname; ls /proc | grep -c '^[0-9]' ; ip link | grep -c '^[0-9]'; ls /").split()
    assert seen[:2] == ["1", "web"]
    assert int(seen[2]) < 6, "only its own processes"
    assert seen[4:] == ["bin", "dev", "etc", "home", "proc", "root", "sys", "tmp"], "nothing of the host"


def test_every_namespace_is_a_new_one(house: House) -> None:
    kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
    inside = house.run("cd /proc/self/ns; for n in cgroup ipc mnt net pid user uts; do readlink $n; done").split()
    assert not set(inside) & {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in kinds} and len(inside) == 7
    host = house.run("readlink /proc/self/ns/net", network="host").split()
    assert host == [str(Path("/proc/self/ns/net").readlink())]


def test_capabilities_are_dockers_default_set(house: House) -> None:
    box = house.start(house.box("cat", "/proc/self/status"))
    wait(box)
    status = dict(line.split(":", 1) for line in output(box).splitlines())
    assert {int(status[f"Cap{kind}"], 16) for kind in ("Prm", "Eff", "Bnd")} == {mask(DEFAULT)}
    assert {int(status[key], 16) for key in ("CapInh", "CapAmb", "NoNewPrivs", "SigBlk")} == {0}
    assert int(status["SigIgn"], 16) & 0x7FFFFFFF == 0  # beyond lie the C library's own two


def test_devices_and_kernel_files(house: House) -> None:
    assert house.run("ls /dev").split() == [
        *(("core",) if Path("/proc/kcore").exists() else ()),
        *("fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"),
        *("tty", "urandom", "zero"),
    ]
    assert house.run("echo x > /dev/null; head -c 2 /dev/zero | od -An -tx1; echo to > /dev/stdout") == " 00 00\nto\n"
    assert (
        house.run("echo x > /proc/sys/kernel/hostname || echo no; touch /sys/x || echo no; cat /proc/kcore")
        == "no\nno\n"
    )
    assert house.run("ls -A /proc/scsi /sys/firmware | grep -v :").strip() == ""
    assert house.run("umask; ls /proc/self/fd") == "0022\n0\n1\n2\n3\n"  # 3 is the folder that ls reads


def test_the_program_inherits_no_descriptor(house: House) -> None:
    leak = os.open("/etc", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        assert house.run("cd /proc/self/fd; echo *") == "0 1 2 3\n", "3 is the folder that the shell lists"
    finally:
        os.close(leak)


def test_names_and_addresses_of_the_container_itself(house: House) -> None:
    assert (
        house.run("cat /etc/hostname; grep web /etc/hosts; ip addr show lo | grep -c 127.0.0.1")
        == "web\n127.0.1.1\tweb\n1\n"
    )


def test_the_file_system_is_the_containers_own(house: House) -> None:
    box = house.start(house.sh("sleep 100"))
    assert str(box.path) not in Path("/proc/self/mountinfo").read_text(), "no mount shows on the host"
    house.runtime.signal(box, signal.SIGKILL)


def test_a_hundred_and_twenty_seven_layers(house: House) -> None:
    layers = [
        FolderLayer(Changeset({f"/l{n}": file(b"%d" % n), "/last": file(b"%d" % n)}), house.folder / f"many{n}")
        for n in range(126)
    ]
    assert house.run("cat /last /l0 /l77", layers=[house.base, *layers]) == "125077"


def test_a_read_only_container(house: House) -> None:
    assert house.run("touch /x || echo no; echo yes > /dev/shm/x && cat /dev/shm/x", read_only=True) == "no\nyes\n"


# The user and the folder

USERS = [
    ("", "0 0 0", "/root"),
    ("app", "1000 1001 1001 29 50", "/home/app"),
    ("1000", "1000 1001 1001 29 50", "/home/app"),
    ("app:staff", "1000 50 50", "/home/app"),
    ("app:7", "1000 7 7", "/home/app"),
    ("77", "77 0 0", "/"),
    ("0:50", "0 50 50", "/root"),
]


@root_only
@pytest.mark.parametrize(("user", "ids", "home"), USERS)
def test_users_are_those_of_the_image(house: House, user: str, ids: str, home: str) -> None:
    said = house.run("echo $(id -u) $(id -g) $(id -G); echo $HOME", user=user).split("\n")
    assert (sorted(said[0].split()), said[1]) == (sorted(ids.split()), home)


@root_only
def test_a_user_holds_no_capabilities_and_may_write_to_its_output(house: House) -> None:
    script = "grep CapEff /proc/self/status; echo ok > /dev/stdout; touch /x || echo no"
    assert house.run(script, user="app") == "CapEff:\t0000000000000000\nok\nno\n"


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("nope", "unable to find user nope: no matching entries in passwd file"),
        ("root:nope", "unable to find group nope: no matching entries in group file"),
        ("99999999999", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_users_that_there_are_not(house: House, user: str, words: str) -> None:
    with pytest.raises(StartError) as error:
        house.start(house.sh("true", user=user))
    assert (str(error.value), error.value.exit_code) == (words, 125)


def test_the_working_directory_is_made(house: House) -> None:
    box = house.start(house.sh("pwd", cwd="/srv/app"))
    wait(box)
    assert output(box) == "/srv/app\n" and set(house.runtime.changes(box)) == {"/srv", "/srv/app"}
    with pytest.raises(StartError, match="/etc/passwd is not a directory"):
        house.start(house.sh("pwd", cwd="/etc/passwd"))


def test_the_environment_is_what_was_given(house: House) -> None:
    said = house.run("/bin/env", env=(PATH, "A=1", "B=x=y", "HOME=/mine", "A=2")).splitlines()
    assert set(said) - {"PWD=/", "SHLVL=1", "OLDPWD=/"} == {PATH, "A=2", "B=x=y", "HOME=/mine"}


# The writable layer


def test_changes_are_those_of_the_same_steps_on_the_pure_view(house: House) -> None:
    script = (
        "echo hi > /etc/motd; rm /etc/group; chmod 700 /root; mkdir -p /srv/a; ln -s /bin /srv/b; ln /etc/motd /srv/c"
    )
    script += "; rm -r /home; mkdir /home; echo new > /home/f; mv /srv/a /srv/z; chmod 4755 /srv/c"
    box = house.start(house.sh(script))
    assert wait(box)["ExitCode"] == 0
    view = Union([house.base.changes])
    view.write("/etc/motd", b"hi\n")
    view.unlink("/etc/group")
    view.chmod("/root", 0o700)
    view.mkdir("/srv")
    view.mkdir("/srv/a")
    view.symlink("/bin", "/srv/b")
    view.link("/etc/motd", "/srv/c")
    view.rmdir("/home/app")
    view.rmdir("/home")
    view.mkdir("/home")
    view.write("/home/f", b"new\n")
    view.rename("/srv/a", "/srv/z")
    view.chmod("/srv/c", 0o4755)
    assert timeless(house.runtime.changes(box)) == timeless(view.changes())


def timeless(changes: Changeset) -> dict[str, object]:
    return {path: replace(entry, mtime=0) for path, entry in changes.items()}


def test_a_container_that_changes_nothing_has_no_changes_whatever_is_mounted(house: House, tmp_path: Path) -> None:
    bare = FolderLayer(
        Changeset({"/bin": directory(), **{p: e for p, e in house.base.changes.items() if p[:5] == "/bin/"}}),
        house.folder / "bare",
    )
    box = house.start(
        house.sh("true", layers=[bare], mounts=(Bind(str(tmp_path), "/data/deep"), Bind("/etc/passwd", "/etc/x/y")))
    )
    assert wait(box)["ExitCode"] == 0
    assert dict(house.runtime.changes(box)) == {}
    again = house.sh("mkdir /data/new; echo x > /etc/mine", layers=[bare], mounts=(Bind(str(tmp_path), "/data/deep"),))
    wait(house.start(again))
    assert set(house.runtime.changes(again)) == {"/data", "/data/new", "/etc", "/etc/mine"}


def test_the_writable_layer_lives_on_from_start_to_start(house: House) -> None:
    box = house.sh("echo x >> /count; cat /count")
    for _ in range(3):
        wait(house.start(box))
    assert output(box) == "x\n" + "x\n" * 2 + "x\n" * 3
    house.runtime.remove(box)
    assert not box.path.exists()


def test_binds(house: House, tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("ours")
    binds = (
        Bind(str(tmp_path), "/rw"),
        Bind(str(tmp_path), "/ro", read_only=True),
        Bind(str(tmp_path / "ours"), "/etc/passwd"),
    )
    said = house.run(
        "cat /etc/passwd; echo new > /rw/new; cat /ro/new; touch /ro/x 2>&1 || mount -o remount,rw /ro || echo no",
        mounts=binds,
    )
    assert said.splitlines()[0].startswith("oursnew") and said.splitlines()[-1] == "no"
    assert (tmp_path / "new").read_text() == "new\n"


def test_binds_that_cannot_be(house: House, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="bind source path does not exist: /no/such"):
        house.start(house.sh("true", mounts=(Bind("/no/such", "/x"),)))
    with pytest.raises(StartError, match="Are you trying to mount a directory onto a file") as error:
        house.start(house.sh("true", mounts=(Bind(str(tmp_path), "/etc/passwd"),)))
    assert error.value.exit_code == 125


def test_no_link_in_the_image_leads_a_mount_or_the_working_directory_out(house: House, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    hostile = {"/up": symlink("../../../../.."), "/magic": symlink("/proc/self/fd"), "/root1": symlink("/proc/1/root")}
    layers = [house.base, FolderLayer(Changeset(hostile), house.folder / "hostile")]
    source = Bind(str(tmp_path / "source"), f"/up{tmp_path}/made")
    assert house.run(f"ls -d {tmp_path}/made 2>&1", layers=layers, mounts=(source,)) == f"{tmp_path}/made\n"
    assert not (tmp_path / "made").exists(), "the target was made inside"
    for number in range(3, 24):
        with pytest.raises(StartError):
            house.start(house.sh("true", layers=layers, cwd=f"/magic/{number}"))


@pytest.mark.parametrize("name", ["/proc", "/sys", "/dev", "/mnt"])
def test_nothing_is_mounted_over_the_root_by_another_name(house: House, name: str) -> None:
    folder = house.folder / f"rooted{name[1:]}"
    layers = [house.base, FolderLayer(Changeset({name: symlink("/../.")}), folder)]
    with pytest.raises(StartError, match="destination can't be '/'"):
        house.start(house.sh("true", layers=layers, mounts=(Bind("/etc", "/mnt"),)))


def test_files_are_copied_in_whether_it_runs_or_not(house: House, tmp_path: Path) -> None:
    box = house.sh("cat /srv/in; cat /data/in; sleep 100", mounts=(Bind(str(tmp_path), "/data"),))
    new = Changeset(
        {
            "/srv": directory(),
            "/srv/in": file(b"stopped\n", mode=0o600),
            "/data/in": file(b"bound\n"),
            "/etc/group": WHITEOUT,
        }
    )
    house.runtime.apply(box, new)
    assert set(house.runtime.changes(box)) == {"/srv", "/srv/in", "/etc", "/etc/group"}
    assert (tmp_path / "in").read_text() == "bound\n"
    house.start(box)
    until(lambda: output(box) == "stopped\nbound\n")
    house.runtime.apply(box, Changeset({"/srv/in": file(b"running\n"), "/tmp/later": file(b"x")}))
    assert house.exec(box, "cat /srv/in /tmp/later; ls /etc/group") == (
        1,
        "running\nxls: /etc/group: No such file or directory\n",
    )


# Life


def test_signals_and_what_the_first_process_may_ignore(house: House) -> None:
    box = house.start(house.sh("trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.02; done"))
    until(lambda: output(box) == "ready\n")
    house.runtime.signal(box, signal.SIGTERM)
    assert wait(box)["ExitCode"] == 5 and output(box) == "ready\ngot\n"
    deaf = house.start(house.box("sleep", "100"))
    house.runtime.signal(deaf, signal.SIGTERM)
    time.sleep(0.05)
    assert state(deaf)["Running"], "the first process dies of no signal that it does not handle"
    house.runtime.signal(deaf, signal.SIGKILL)
    wait(deaf)
    with pytest.raises(Conflict, match="is not running"):
        house.runtime.signal(deaf, signal.SIGTERM)


def test_pause_stops_everything_inside(house: House) -> None:
    box = house.start(house.sh("(while :; do echo x; sleep 0.005; done) & wait"))
    until(lambda: output(box))
    house.runtime.pause(box)
    assert (state(box)["Status"], state(box)["Paused"], state(box)["Running"]) == ("paused", True, True)

    def silent() -> bool:
        before = (box.path / "log.jsonl").stat().st_size
        time.sleep(0.1)
        return (box.path / "log.jsonl").stat().st_size == before

    until(silent)  # the monitor may have had some more to write
    size = (box.path / "log.jsonl").stat().st_size
    with pytest.raises(Conflict, match="is already paused"):
        house.runtime.pause(box)
    house.runtime.unpause(box)
    until(lambda: (box.path / "log.jsonl").stat().st_size > size)
    assert state(box)["Status"] == "running"
    with pytest.raises(Conflict, match="is not paused"):
        house.runtime.unpause(box)
    house.runtime.pause(box)
    house.runtime.signal(box, signal.SIGKILL)
    assert wait(box)["ExitCode"] == 137, "killed although it was paused"
    assert not list(Path("/sys/fs/cgroup").glob(f"*/minidocker-{box.path.name}"))


def test_what_was_paused_when_its_monitor_was_killed_can_be_started_again(house: House) -> None:
    box = house.start(house.sh("sleep 100"))
    house.runtime.pause(box)
    os.kill(state(box)["Monitor"], signal.SIGKILL)
    wait(box)
    house.start(box)
    assert state(box)["Status"] == "running"


def test_the_root_folder_has_the_images_mode(house: House) -> None:
    private = FolderLayer(Changeset({"/": directory(0o700, mtime=5)}), house.folder / "private")
    box = house.start(house.sh("ls -ld /", layers=[house.base, private]))
    wait(box)
    assert output(box).startswith("drwx------") and not house.runtime.changes(box)


def test_exec_is_one_more_process_inside(house: House) -> None:
    box = house.start(house.sh("sleep 100"))
    code, said = house.exec(
        box, "echo $$ >/dev/null; hostname; cat /proc/1/cmdline | tr '\\0' ' '; grep CapEff /proc/self/status; exit 7"
    )
    assert (code, said) == (7, f"web\nsleep 100 CapEff:\t{mask(DEFAULT):016x}\n")
    assert house.exec(box, "pwd", cwd="/tmp") == (0, "/tmp\n")
    assert len(house.runtime.top(box)) == 1
    for program, code in (("nope", 127), ("/etc/passwd", 126)):
        with pytest.raises(StartError) as error:
            house.runtime.exec(box, Process((program,), (PATH,)))
        assert error.value.exit_code == code
    if ROOT:
        assert house.exec(box, "id -u", user="app") == (0, "1000\n")


def test_exec_ends_with_its_container(house: House) -> None:
    box = house.start(house.sh("sleep 100"))

    def kill() -> None:
        until(lambda: any("sleep 50" in each["command"] for each in house.runtime.top(box)))
        house.runtime.signal(box, signal.SIGKILL)

    threading.Thread(target=kill).start()
    assert house.exec(box, "sleep 50")[0] == 137
    wait(box)
    with pytest.raises(Conflict, match="is not running"):
        house.exec(box, "true")


def test_top(house: House) -> None:
    box = house.start(house.sh("sleep 77 & sleep 78; wait"))
    wanted = ["sh -c sleep 77 & sleep 78; wait", "sleep 77", "sleep 78"]
    until(lambda: sorted(line["command"] for line in house.runtime.top(box)) == wanted)
    found = house.runtime.top(box)
    assert {line["user"] for line in found} == {"root"} and found[0]["pid"] == state(box)["Pid"]


def test_restart_policies(house: House) -> None:
    failing = house.start(house.sh("echo x; exit 1", restart=("on-failure", 2)))
    fine = house.start(house.sh("echo x", restart=("on-failure", 2)))
    always = house.start(house.sh("echo x", restart=("always", 0)))
    assert (wait(failing)["RestartCount"], output(failing)) == (2, "x\n" * 3)
    assert (wait(fine)["RestartCount"], output(fine)) == (0, "x\n")
    until(lambda: len(log(always)) >= 2)
    (always.path / "stopped").touch()
    with contextlib.suppress(Conflict):
        house.runtime.signal(always, signal.SIGTERM)
    assert wait(always)["Status"] == "exited"


def test_a_container_that_waits_to_be_restarted_counts_as_running_and_can_be_stopped(house: House) -> None:
    box = house.start(house.sh("exit 1", restart=("always", 0)))
    until(lambda: state(box)["RestartCount"] == 3 and state(box)["Status"] == "restarting")
    assert (state(box)["Running"], state(box)["Restarting"], state(box)["ExitCode"]) == (True, True, 1)
    (box.path / "stopped").touch()
    house.runtime.signal(box, signal.SIGTERM)
    assert wait(box)["Status"] == "exited"


def test_two_starts_at_once_give_one_container(house: House) -> None:
    box = house.start(house.sh("sleep 100"))
    with pytest.raises(StartError, match="already running"):
        house.start(box)
    with pytest.raises(Conflict, match="container is running"):
        house.runtime.remove(box)


# Deaths


def test_a_container_dies_with_its_monitor(house: House) -> None:
    box = house.start(house.sh("sleep 100 & sleep 100"))
    now = state(box)
    os.kill(now["Monitor"], signal.SIGKILL)
    wait(box)
    until(lambda: not alive(now["Pid"]))
    with pytest.raises(Conflict, match="is not running"):
        house.runtime.signal(box, signal.SIGTERM)
    house.start(box)
    assert state(box)["Running"], "and can be started again"


def test_a_container_lives_on_when_its_engine_is_killed(house: House) -> None:
    box = house.sh("")
    program = f"""
import os, sys, signal
sys.path[:0] = {sys.path!r}
from pathlib import Path
from minidocker.runtime import Box, Process
from minidocker.runtime.namespaces import Namespaces
from minidocker.runtime.overlay import scan
from minidocker.tree import Tree
class Layer:
    def path(self): return Path({str(house.base.path())!r})
    @property
    def changes(self): return scan(self.path(), Tree())
runtime = Namespaces()
script = "trap 'echo end; exit 6' USR1; while :; do sleep 0.02; done"
runtime.start(Box(Path({str(box.path)!r}), [Layer()], Process(("sh", "-c", script), ("{PATH}",))))
print(runtime._launcher._pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    engine = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert engine.returncode == -signal.SIGKILL, engine.stderr
    until(lambda: not alive(engine.stdout.strip()))
    assert house.runtime.top(box)[0]["pid"] == state(box)["Pid"]
    house.runtime.signal(box, signal.SIGUSR1)
    assert wait(box)["ExitCode"] == 6 and output(box) == "end\n"


def test_a_launcher_that_is_killed_is_replaced(house: House) -> None:
    assert house.run("echo one") == "one\n"
    box = house.start(house.sh("sleep 100"))
    os.kill(house.runtime._launcher._pid, signal.SIGKILL)
    assert state(box)["Running"]
    for _ in range(3):
        with contextlib.suppress(Exception):
            assert house.run("echo two") == "two\n"
    assert house.run("echo two") == "two\n"


def test_a_runtime_that_is_dropped_takes_its_launcher_with_it(house: House) -> None:
    from minidocker.runtime.namespaces import Namespaces

    runtime = Namespaces()
    runtime.start(house.sh("true"))
    pid = runtime._launcher._pid
    del runtime
    assert not Path(f"/proc/{pid}").exists(), "not even a zombie is left"


def processes(mark: str) -> set[str]:
    """The processes of the runtimes that were started with a mark in their environment: others come and go."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            launched = b"minidocker.runtime.launcher" in (path / "cmdline").read_bytes()
            if launched and mark.encode() in (path / "environ").read_bytes():
                found.add(path.name)
    return found


def test_a_process_borne_ahead_that_is_killed_is_none(house: House) -> None:
    launcher = house.runtime._launcher

    def below(pid: int | str) -> list[str]:
        try:
            return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            return []

    def borne_ahead() -> list[str]:
        return [pid for worker in below(launcher._pid) for pid in below(worker)]

    for _ in range(2):
        assert [house.run("echo hello") for _ in range(3)] == ["hello\n"] * 3  # those alike make a fourth one likely
        until(borne_ahead)
        for pid in borne_ahead():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    assert house.run("echo hello") == "hello\n"


def test_two_hundred_starts_leave_nothing(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minidocker.runtime.namespaces import Namespaces

    monkeypatch.setenv("MARK", str(tmp_path))
    runtime = Namespaces()

    def some(start: int) -> None:
        for number in range(start, start + 50):
            box = Box(tmp_path / str(number), [house.base], Process(("true",), (PATH,)))
            runtime.start(box)
            assert wait(box)["ExitCode"] == 0
            runtime.remove(box)

    threads = [threading.Thread(target=some, args=(start,)) for start in range(0, 200, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    children = Path(f"/proc/{runtime._launcher._pid}/task/{runtime._launcher._pid}/children")
    until(lambda: len(children.read_text().split()) <= 1)  # its one worker in waiting, and no zombies
    assert processes(str(tmp_path))
    runtime.close()
    until(lambda: not processes(str(tmp_path)))
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert list(tmp_path.iterdir()) == []


# Without root


@pytest.mark.skipif(not ROOT, reason="the other tests are without root already")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv to become another user with")
@pytest.mark.parametrize("storage", ["overlay2", "fuse-overlayfs", "vfs"])
def test_all_of_it_works_without_root(storage: str) -> None:
    if storage == "fuse-overlayfs" and not (shutil.which(storage) and os.access("/dev/fuse", os.W_OK)):
        pytest.skip("no fuse-overlayfs here")
    python = next((path for path in (sys.executable, "/usr/bin/python3") if readable_by_all(path)), None)
    if python is None:
        pytest.skip("no Python that another user can start")
    folder = Path(tempfile.mkdtemp(prefix="minidocker-rootless-"))
    folder.chmod(0o777)
    package = Path(__file__).parents[2] / "minidocker"
    shutil.copytree(package, folder / "minidocker", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(__file__, folder / "trial.py")
    (folder / "tests").mkdir()
    shutil.copy(Path(__file__).parents[1] / "until.py", folder / "tests")
    (folder / "pytest.py").write_text(
        "from unittest.mock import MagicMock\nimport sys\nsys.modules['pytest'] = MagicMock()\n"
    )
    program = """
import signal
from pathlib import Path
import trial
from minidocker.runtime import Bind, Process
Path("house").mkdir()
house = trial.House(Path("house").absolute())
assert house.run("id -u; hostname; echo $$; ls / | head -1") == "0\\nweb\\n1\\nbin\\n"
box = house.start(house.sh("rm -r /home; mkdir /home; echo hi > /etc/motd; chmod 4711 /etc/motd; sleep 100"))
done = lambda changes: "/etc/motd" in changes and changes["/etc/motd"].mode == 0o4711
trial.until(lambda: done(house.runtime.changes(box)))
changes = house.runtime.changes(box)
assert set(changes) == {"/etc", "/etc/motd", "/home", "/home/app"}, set(changes)
assert {(entry.uid, entry.gid) for entry in changes.values()} == {(0, 0)}
assert house.exec(box, "cat /etc/motd; exit 4") == (4, "hi\\n")
house.runtime.pause(box)
house.runtime.unpause(box)
assert house.runtime.top(box)[0]["user"] == "root"
house.runtime.signal(box, signal.SIGKILL)
assert trial.wait(box)["ExitCode"] == 137
try:
    house.start(house.sh("true", user="app"))
except trial.StartError as error:
    assert "only the user 0" in str(error)
else:
    raise AssertionError
house.clear()
house.runtime.close()
print("all well")
"""
    try:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-c", program]
        environment = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"], "HOME": "/"}
        environment |= {"MINIDOCKER_STORAGE": storage}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        assert done.stdout == "all well\n", done.stderr
    finally:
        shutil.rmtree(folder)


def readable_by_all(path: str) -> bool:
    real = Path(path).resolve()
    return real.exists() and all(up.stat().st_mode & 0o005 == 0o005 for up in (real, *real.parents))
