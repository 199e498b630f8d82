"""Escapes, which must all fail: what `attacks.py` tries inside, as root and without it, ours beside runc; and images,
tables and files that are hostile to whoever reads them from outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.errors import StartError
from minidocker.layer import Changeset, directory, file
from minidocker.runtime import Bind, probe
from minidocker.runtime.capabilities import DEFAULT
from minidocker.runtime.masks import MASKED, READ_ONLY
from minidocker.runtime.seccomp import default_profile, resolved
from minidocker.tree import Entry, symlink
from tests.runtime.test_namespaces import BUSYBOX, FolderLayer, House, output, readable_by_all, state, wait
from tests.until import until

ROOT = sys.platform.startswith("linux") and os.geteuid() == 0
PYTHON = "/usr/bin/python3"
SYSTEM = ("/usr", "/lib", "/lib64")  # which have this machine's Python, for programs in a container
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux") or not probe.report().works, reason="no namespaces here"),
    pytest.mark.skipif(BUSYBOX is None, reason="no busybox (Debian: busybox-static)"),
]
python_only = pytest.mark.skipif(not Path(PYTHON).exists() or not Path("/lib64").exists(), reason=f"no {PYTHON}")
ATTACKS = Path(__file__).with_name("attacks.py")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.runtime.close()


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    yield shared
    shared.clear()


@pytest.fixture(scope="module")
def victim() -> Iterator[int]:
    """A process of the host's."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process.pid
    process.kill()
    process.wait()


def attacked(text: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(text)
    assert len(found) > 50
    assert not {name: came for name, came in found.items() if came.startswith("ESCAPED")}
    return found


# What runs inside


@python_only
def test_no_attack_from_inside_succeeds(house: House, victim: int) -> None:
    binds = (*(Bind(path, path, True) for path in SYSTEM), Bind(str(ATTACKS), "/attacks.py", True))
    box = house.start(house.box("sleep", "1000", mounts=binds))
    code, said = house.exec(box, f"{PYTHON} /attacks.py {victim}")
    assert code == 0, said
    attacked(said)
    first = house.start(house.box(PYTHON, "/attacks.py", str(victim), mounts=binds))
    wait(first)
    attacked(output(first))


@python_only
@pytest.mark.skipif(not ROOT, reason="the other tests are without root already")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv to become another user with")
def test_no_attack_succeeds_without_root_either(victim: int) -> None:
    if not readable_by_all(PYTHON):
        pytest.skip("no Python that another user can start")
    folder = Path(tempfile.mkdtemp(prefix="minidocker-rootless-"))
    try:
        folder.chmod(0o777)
        package = Path(__file__).parents[2] / "minidocker"
        shutil.copytree(package, folder / "minidocker", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ATTACKS, folder / "attacks.py")
        binds = [option for path in SYSTEM for option in ("-v", f"{path}:{path}:ro")]
        run = ["run", "--rm", *binds, "-v", f"{folder}/attacks.py:/attacks.py:ro", "minidocker/base"]
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", PYTHON, "-m", "minidocker"]
        done = subprocess.run(
            [*command, "--root", str(folder / "root"), *run, PYTHON, "/attacks.py", str(victim)],
            cwd=folder,
            env={"PYTHONPATH": str(folder), "PATH": os.environ["PATH"], "HOME": "/"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        attacked(done.stdout)
    finally:
        shutil.rmtree(folder)


@python_only
@pytest.mark.skipif(not ROOT or shutil.which("runc") is None, reason="no runc, or not root")
def test_what_runc_denies_by_dockers_defaults_we_deny(house: House, victim: int, tmp_path: Path) -> None:
    theirs = under_runc(house, victim, tmp_path)
    binds = (*(Bind(path, path, True) for path in SYSTEM), Bind(str(ATTACKS), "/attacks.py", True))
    box = house.start(house.box(PYTHON, "/attacks.py", str(victim), mounts=binds))
    wait(box)
    ours = attacked(output(box))
    policy = (
        "keyctl bpf mount user_namespace setns clone3 reboot vsock open_by_handle_at kexec_load core_pattern".split()
    )
    assert {name: ours[name] for name in policy} == {name: theirs[name] for name in policy}
    assert not {name for name, came in theirs.items() if not came.startswith("ESCAPED")} - {*ours}


def under_runc(house: House, victim: int, folder: Path) -> dict[str, str]:
    """The same attacks in a container of runc's, with Docker's defaults."""
    shutil.copytree(house.base.path(), folder / "rootfs", symlinks=True)
    for name in ("usr", "lib", "lib64", "mnt"):
        (folder / "rootfs" / name).mkdir(exist_ok=True)
    shutil.copy(ATTACKS, folder / "rootfs" / "attacks.py")
    subprocess.run(["runc", "spec"], cwd=folder, check=True)
    spec: dict[str, Any] = json.loads((folder / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": [PYTHON, "/attacks.py", str(victim)], "noNewPrivileges": False}
    spec["process"]["capabilities"] = {kind: [*DEFAULT] for kind in ("bounding", "effective", "permitted")}
    spec["process"]["rlimits"] = []
    spec["root"]["readonly"] = False
    spec["mounts"] += [
        {"destination": path, "source": os.path.realpath(path), "options": ["rbind", "ro"]} for path in SYSTEM
    ]
    spec["linux"] |= {"maskedPaths": [*MASKED], "readonlyPaths": [*READ_ONLY]}
    spec["linux"]["seccomp"] = resolved(default_profile(), DEFAULT)
    (folder / "config.json").write_text(json.dumps(spec))
    name = f"escapes-{os.getpid()}"
    done = subprocess.run(["runc", "run", "-b", str(folder), name], capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"runc does not work here: {done.stderr[-300:]}")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_what_the_host_has_set_is_what_it_was(house: House) -> None:
    before = {path: Path(path).read_text() for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname")}
    house.run("for f in core_pattern hostname; do echo pwned > /proc/sys/kernel/$f; done; hostname pwned")
    assert {path: Path(path).read_text() for path in before} == before


# A device, only where it is asked for


@pytest.mark.skipif(not ROOT, reason="only root may read devices anyway")
def test_a_folder_with_devices_gives_none_of_them(house: House, tmp_path: Path) -> None:
    os.mknod(tmp_path / "zero", 0o20666, os.makedev(1, 5))
    said = house.run("head -c 1 /shared/zero 2>&1", mounts=(Bind(str(tmp_path), "/shared"),))
    assert "ermission denied" in said
    assert house.run("head -c 1 /z | od -An -c", mounts=(Bind("/dev/zero", "/z"),)).split() == ["\\0"]


# Names that lead elsewhere


@pytest.mark.parametrize("where", ["/proc/self/fd/3", "/proc/self/fd/5/..", "/proc/1/root", "/proc/self/cwd"])
def test_no_working_directory_is_one_of_the_hosts(house: House, where: str) -> None:
    """CVE-2024-21626: a descriptor that the runtime left open, as the place to start from."""
    try:
        said = house.run("ls -d /proc/self/cwd/etc/passwd && head -1 /proc/self/cwd/etc/passwd", cwd=where)
    except StartError:
        return
    assert "root:x:0:0:root:/root:/bin/sh" in said, "that is the image's own"


def test_links_in_an_image_lead_nowhere(house: House, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    links = {
        "/etc/hosts": symlink(str(outside / "hosts")),
        "/etc/resolv.conf": symlink("/proc/1/root/etc/shadow"),
        "/etc/hostname": symlink(f"../../../../..{outside}/hostname"),
        "/out": symlink(str(outside)),
        "/tmp/up": symlink("../../../../../../../../"),
    }
    layer = FolderLayer(Changeset({"/etc": directory(), "/tmp": directory(0o1777), **links}), tmp_path / "layer")
    mounts = (Bind(str(tmp_path / "layer"), "/out/mounted"), Bind(str(tmp_path / "layer"), f"/tmp/up{outside}/again"))
    try:
        house.run("true", layers=[house.base, layer], mounts=mounts, cwd="/out/here")
    except StartError as error:
        assert "/etc/" in str(error) or "mount" in str(error)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("kind", ["proc", "dev", "sys"])
def test_an_image_without_folders_for_the_kernels_files_is_no_way_out(house: House, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    layer = FolderLayer(Changeset({f"/{kind}": symlink(str(outside))}), tmp_path / "layer")
    with contextlib.suppress(StartError):
        house.run("true", layers=[house.base, layer])
    assert list(outside.iterdir()) == []
    assert not os.path.ismount(outside)


def test_a_copy_goes_into_the_container_however_fast_its_links_change(house: House, tmp_path: Path) -> None:
    """A race: a folder becomes a link to one of the host's between the look and the write."""
    target = tmp_path / "target"
    target.mkdir()
    script = f"mkdir -p /d /e; while :; do mv /d /e/d && ln -s {target} /d; rm /d; mv /e/d /d; done"
    box = house.start(house.sh(f"{script} 2>/dev/null", mounts=()))
    until(lambda: state(box).get("Running"))
    for _ in range(40):
        with contextlib.suppress(Exception):  # that the folder was gone just then is no escape
            house.runtime.apply(box, Changeset({"/d/file": file(b"from outside")}))
    assert list(target.iterdir()) == [], "something was written on the host"


# Tables that are read from outside


HUGE = b"x:x:1:1::/:\n" * 200_000
TABLES: dict[str, Entry] = {
    "huge": file(HUGE),
    "binary": file(b"\0\xff\xfe:\0:::::\nroot\0:x:0:0\n:::::::\n"),
    "giant ids": file(b"app:x:99999999999999999999:99999999999999999999::/:\nroot:x:" + b"9" * 5000 + b":0::/:\n"),
    "negative ids": file(b"app:x:-1:-1::/:\nroot:x:-5:0::/:\n"),
    "a fifo": Entry("fifo", 0o666),
    "an endless device": symlink("/dev/zero"),
    "a loop": symlink("/etc/passwd"),
    "outside": symlink("/../../../../../etc/passwd"),
    "a folder": directory(),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/group"])
def test_a_hostile_table_of_users_does_no_harm(house: House, tmp_path: Path, name: str, path: str) -> None:
    layer = FolderLayer(Changeset({"/etc": directory(), path: TABLES[name]}), tmp_path / "layer")
    script = "while read -r name id _; do [ $name = Uid: ] && echo $id; done < /proc/self/status"  # reads no tables
    assert house.run(script, layers=[house.base, layer]) == "0\n"
    assert house.run(script, layers=[house.base, layer], user="7:8") == "7\n" if ROOT else True
    for user in ("app", "app:app", "nobody:4294967296", "99999999999999999999", "-1"):
        try:
            said = house.run(script, layers=[house.base, layer], user=user)
        except StartError as error:
            assert "Error:" not in str(error), "a reason, and no traceback"
            continue
        assert said in ("1000\n", "0\n"), f"{user} became {said}"
