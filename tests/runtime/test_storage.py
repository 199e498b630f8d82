"""How layers become one file system: by the kernel's overlay, by fuse-overlayfs, by copies. Nobody can tell which."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidocker.errors import Conflict, InvalidArgument
from minidocker.layer import WHITEOUT, Changeset, diff, directory, file, merge, view
from minidocker.runtime import Bind, Box, probe
from minidocker.runtime.mounting import kept
from minidocker.tree import Entry, Tree, symlink
from tests.until import until

from .test_namespaces import ROOT, FolderLayer, House, alive, output, pytestmark, state, wait

__all__ = ["pytestmark"]


def usable(storage: str) -> bool:
    if storage == "fuse-overlayfs":
        return shutil.which("fuse-overlayfs") is not None and os.access("/dev/fuse", os.R_OK | os.W_OK)
    return True


@pytest.fixture(scope="module", params=["overlay2", "fuse-overlayfs", "vfs"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if not usable(request.param):
        pytest.skip(f"{request.param} does not work here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIDOCKER_STORAGE", request.param)
        house = House(tmp_path_factory.mktemp("storage"))
        assert house.runtime.storage == request.param
    yield house
    house.runtime.close()


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    yield shared
    shared.clear()


LOWER = Changeset(
    {
        "/srv": directory(0o750, mtime=1000),
        "/srv/a": file(b"one\n", mtime=1000),
        "/srv/b": file(b"one\n", link="/srv/a", mtime=1000),
        "/srv/sub": directory(mtime=1000),
        "/srv/sub/deep": file(b"deep\n", mtime=1000),
        "/srv/sub/gone": file(b"gone\n"),
        "/srv/link": symlink("sub"),
        "/srv/pipe": Entry("fifo", 0o600, mtime=1000),
        "/old": directory(mtime=1000),
        "/old/x": file(b"hidden below\n"),
    }
)
UPPER = Changeset({"/srv/sub/gone": WHITEOUT, "/old": directory(), "/old/y": file(b"y\n")}, {"/old"})
CHANGES = [  # what is done, and which paths the writable layer then has
    ("true", {}),
    ("cat /srv/a /srv/sub/deep; ls /old", {}),
    ("echo two > /srv/sub/deep", {"/srv": "dir", "/srv/sub": "dir", "/srv/sub/deep": "file"}),
    ("rm /srv/sub/deep", {"/srv": "dir", "/srv/sub": "dir", "/srv/sub/deep": "whiteout"}),
    ("rm -r /srv/sub", {"/srv": "dir", "/srv/sub": "whiteout"}),
    (
        "rm -r /srv/sub; mkdir /srv/sub; echo new > /srv/sub/new",
        {"/srv": "dir", "/srv/sub": "dir", "/srv/sub/deep": "whiteout", "/srv/sub/new": "file"},
    ),
    ("mv /old /new", {"/old": "whiteout", "/new": "dir", "/new/y": "file"}),
    ("chmod 700 /old", {"/old": "dir"}),
    ("rm /srv/a; mkdir /srv/a", {"/srv": "dir", "/srv/a": "dir"}),
    ("rm -r /old; echo file > /old", {"/old": "file"}),
    ("rm /srv/link; ln -s a /srv/link", {"/srv": "dir", "/srv/link": "symlink"}),
    ("mkfifo /p; rm /srv/pipe", {"/srv": "dir", "/srv/pipe": "whiteout", "/p": "fifo"}),
    ("echo x > /tmp/f; ln /tmp/f /tmp/g; rm /tmp/f", {"/tmp": "dir", "/tmp/g": "file"}),
    ("mkdir /tmp/d; touch /tmp/d/x; rm -r /tmp/d; echo y > /tmp/d", {"/tmp": "dir", "/tmp/d": "file"}),
]


def layers(house: House) -> list[FolderLayer]:
    return [house.base, FolderLayer(LOWER, house.folder / "lower"), FolderLayer(UPPER, house.folder / "above")]


def test_changes_are_the_same_whatever_keeps_them(house: House) -> None:
    boxes = [house.start(house.sh(script, layers=layers(house))) for script, _ in CHANGES]
    for box, (script, wanted) in zip(boxes, CHANGES, strict=True):
        assert wait(box)["ExitCode"] == 0, (script, output(box, "stderr"))
        changes = house.runtime.changes(box)
        assert {path: entry.kind for path, entry in changes.items()} == wanted, script
        assert not changes.opaque


def test_the_view_is_the_layers(house: House) -> None:
    said = house.run("cat /srv/a; ls /srv/sub /old; stat -c %a:%Y /srv; ls -A / | wc -l", layers=layers(house))
    assert said == "one\n/old:\ny\n\n/srv/sub:\ndeep\n750:1000\n11\n"  # with /.dockerenv


def test_names_of_one_file(house: House) -> None:
    """What one name is written through is seen through the other where both are the container's own."""
    box = house.start(
        house.sh("ln /srv/sub/deep /srv/d2; echo more >> /srv/d2; cat /srv/sub/deep", layers=layers(house))
    )
    assert wait(box)["ExitCode"] == 0 and output(box) == "deep\nmore\n"
    changes = house.runtime.changes(box)
    assert changes["/srv/d2"].link == changes["/srv/sub/deep"].link != ""


def test_a_layer_of_the_changes_gives_what_the_container_saw(house: House) -> None:
    script = (
        "rm -r /srv/sub; mkdir -p /srv/sub/in; mv /old /srv/sub; echo x > /srv/a; chmod 4711 /srv/a; rm /home/app -r"
    )
    box = house.start(
        house.sh(f"{script}; find / -xdev ! -path '/proc*' -a ! -path '/dev*' | sort", layers=layers(house))
    )
    assert wait(box)["ExitCode"] == 0
    seen = merge(view(tuple(layer.changes for layer in layers(house))), house.runtime.changes(box))
    mounted = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/.dockerenv"}
    paths = {path for path in output(box).split() if path.partition("/")[2].split("/")[0] not in ("proc", "dev", "sys")}
    assert paths - mounted == {path for path in seen if path not in ("/proc", "/dev", "/sys")}
    assert seen["/srv/a"].mode == 0o4711 and seen["/srv/a"].data.read() == b"x\n"


@pytest.mark.skipif(not ROOT, reason="without root there is one owner")
def test_owners(house: House) -> None:
    box = house.start(house.sh("chown 1000:50 /srv /srv/sub/deep", layers=layers(house)))
    assert wait(box)["ExitCode"] == 0
    changes = house.runtime.changes(box)
    assert {path: (entry.uid, entry.gid) for path, entry in changes.items()} == {
        "/srv": (1000, 50),
        "/srv/sub": (0, 0),
        "/srv/sub/deep": (1000, 50),
    }
    assert house.run("ls -ld /tmp; echo x > /tmp/f; ls -ln /tmp; touch /x || echo no", user="app").count("1000") == 1


def test_nothing_of_the_storage_shows_inside(house: House) -> None:
    said = house.run(
        "rm -r /srv/sub; mkdir /srv/sub; rm /srv/a; ls -A /srv /srv/sub; ls -ln /srv/b", layers=layers(house)
    )
    assert ".wh." not in said and said.split("\n")[:5] == ["/srv:", "b", "link", "pipe", "sub"]


def test_a_second_start_finds_what_the_first_one_left(house: House) -> None:
    box = house.sh("cat /etc/count; echo x >> /etc/count; rm -r /old; ls /old; true", layers=layers(house))
    for _ in range(3):
        wait(house.start(box))
    assert output(box) == "x\n" + "x\n" * 2


def test_files_are_copied_in_whether_it_runs_or_not(house: House, tmp_path: Path) -> None:
    box = house.sh("cat /srv/in /data/in; sleep 100", mounts=(Bind(str(tmp_path), "/data"),))
    new = {"/srv": directory(), "/srv/in": file(b"stopped\n", mode=0o600), "/data/in": file(b"bound\n")}
    house.runtime.apply(box, Changeset(new | {"/etc/group": WHITEOUT}))
    assert set(house.runtime.changes(box)) == {"/srv", "/srv/in", "/etc", "/etc/group"}
    house.start(box)
    until(lambda: output(box) == "stopped\nbound\n")
    house.runtime.apply(box, Changeset({"/srv/in": file(b"running\n")}))
    assert house.exec(box, "cat /srv/in; ls /etc/group >/dev/null 2>&1") == (1, "running\n")
    house.runtime.pause(box)
    house.runtime.unpause(box)


def test_read_only(house: House) -> None:
    assert house.run("touch /x || echo no; ls /bin | head -1", read_only=True) == "no\nbusybox\n"


def test_a_hundred_and_twenty_seven_layers(house: House) -> None:
    many = [
        FolderLayer(Changeset({f"/l{n}": file(b"%d" % n), "/last": file(b"%d" % n)}), house.folder / f"many{n}")
        for n in range(126)
    ]
    box = house.start(house.sh("cat /last /l0 /l77; rm /l5", layers=[house.base, *many]))
    assert wait(box)["ExitCode"] == 0 and output(box) == "125077"
    assert {path: entry.kind for path, entry in house.runtime.changes(box).items()} == {"/l5": "whiteout"}


def servers(box: Box) -> list[str]:
    """The processes that are about a container's folder."""
    children = Path(f"/proc/{state(box)['Monitor']}/task/{state(box)['Monitor']}/children").read_text().split()
    return [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "fuse-overlayfs\n"]


def test_no_process_and_no_mount_is_left(house: House) -> None:
    box = house.start(house.sh("sleep 100"))
    monitor, found = state(box)["Monitor"], servers(box)
    assert len(found) == (house.runtime.storage == "fuse-overlayfs")
    assert len(house.runtime.top(box)) == 1, "nobody inside sees it"
    os.kill(monitor, signal.SIGKILL)
    wait(box)
    until(lambda: not any(map(alive, found)))
    house.start(box)
    found = servers(box)
    house.runtime.signal(box, signal.SIGKILL)
    assert wait(box)["ExitCode"] == 137
    assert not any(map(alive, found))
    assert str(box.path) not in Path("/proc/self/mountinfo").read_text()


def test_a_container_keeps_the_storage_that_it_was_made_with(house: House) -> None:
    box = house.sh("rm -r /old; mkdir /old; ls /old", layers=layers(house))
    wait(house.start(box))
    assert kept(box.path) == house.runtime.storage
    house.runtime.__dict__["storage"], before = "overlay2", house.runtime.storage
    try:
        wait(house.start(box))
        assert kept(box.path) == before and output(box) == ""
        assert {path: entry.kind for path, entry in house.runtime.changes(box).items()} == {
            "/old": "dir",
            "/old/y": "whiteout",
        }
    finally:
        house.runtime.__dict__["storage"] = before


def test_a_driver_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDOCKER_STORAGE", "btrfs")
    with pytest.raises(InvalidArgument, match="driver not supported: btrfs"):
        probe.storages()


@pytest.mark.skipif(not ROOT, reason="mounts an overlay to keep containers on")
@pytest.mark.parametrize(("path", "wanted"), [(os.environ["PATH"], "fuse-overlayfs"), ("/nowhere", "vfs")])
def test_on_an_overlay_the_next_best_is_taken(tmp_path: Path, path: str, wanted: str) -> None:
    """As in a Docker container: the kernel has no overlay on an overlay, nor whiteouts in one."""
    if not usable(wanted):
        pytest.skip(f"{wanted} does not work here")
    for name in ("low", "up", "work", "on"):
        (tmp_path / name).mkdir()
    program = f"""
import os, sys
sys.path[:0] = {[p for p in sys.path if p]!r}
os.environ.pop("MINIDOCKER_STORAGE", None)
from pathlib import Path
from minidocker.layer import *
from minidocker.runtime import linux, probe
os.unshare(0x20000) if hasattr(os, "unshare") else linux._check(linux._libc().unshare(0x20000))
linux.mount("", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
os.chdir({str(tmp_path)!r})
linux.mount("overlay", "on", "overlay", 0, "lowerdir=low,upperdir=up,workdir=work")
import tests.runtime.test_namespaces
os.environ["PATH"] = {path!r}
report = probe.report(Path("on").absolute())
print(report.works, report.storage, next(found.detail for found in report.abilities if found.name == "storage"))
from tests.runtime.test_namespaces import *
house = House(Path("on").absolute())
house.runtime.folder = house.folder
one = FolderLayer(Changeset({{"/a": file(b"a"), "/b": file(b"b")}}), house.folder / "one")
two = FolderLayer(Changeset({{"/a": WHITEOUT}}), house.folder / "two")
box = house.start(house.sh("ls /; rm /b; echo c > /c", layers=[house.base, one, two]))
wait(box)
print(house.runtime.storage, *output(box).split())
print(*(f"{{path}}:{{entry.kind}}" for path, entry in house.runtime.changes(box).items()))
house.clear()
house.runtime.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"True {wanted} {wanted}: ") and "cannot mount the overlay2" in lines[0], done.stderr
    assert lines[1:] == [f"{wanted} b bin dev etc home proc root sys tmp", "/b:whiteout /c:file"], done.stderr


def test_an_overlay_is_never_read_as_another(house: House) -> None:
    """A container's whole life under `diff`: what is added and removed again is no change."""
    box = house.start(house.sh("touch /x; rm /x; mkdir /d; rmdir /d"))
    assert wait(box)["ExitCode"] == 0
    before = Tree(dict(view((house.base.changes,)).items()))
    assert diff(before, merge(before, house.runtime.changes(box))) == Changeset()
    with pytest.raises(Conflict):
        house.runtime.signal(box, signal.SIGTERM)
