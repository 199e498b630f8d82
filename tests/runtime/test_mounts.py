"""What can be mounted into a container, the same on both runtimes: memory, secrets, other layers, volumes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import minidocker
from minidocker.content import read_json
from minidocker.engine import Engine
from minidocker.errors import StartError
from minidocker.layer import WHITEOUT, Changeset
from minidocker.runtime import Bind, Box, Mount, Process, Secret, Snapshot, Stdio, Tmpfs, Volume, probe
from minidocker.runtime.monitor import await_end
from minidocker.tree import directory, file, symlink

BASE = "minidocker/base"
Run = Callable[..., str]


@pytest.fixture(params=["namespaces", "simulated"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if request.param == "namespaces" and not probe.report().works:
        pytest.skip("no namespaces here")
    with minidocker.connect(tmp_path_factory.mktemp("engine"), request.param) as engine:
        yield engine


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Run:
    """Run a script with mounts; what it says. `changed` is what it changed, `code` how it ended."""

    def run(script: str, *mounts: Mount, user: str = "", code: int = 0, changed: set[str] | None = None) -> str:
        number = len(list(tmp_path.glob("box*")))
        path = tmp_path / f"box{number}"
        process = Process(("/bin/sh", "-c", script), ("PATH=/bin:/usr/bin",), "/", user)
        box = Box(path, engine.images.get(BASE).layers, process, "box", mounts, log=False)
        out = tmp_path / f"out{number}"
        path.mkdir()
        with out.open("wb") as said:
            engine.runtime.start(box, Stdio(None, said.fileno(), said.fileno()))
            assert await_end(path, 30)
        assert read_json(path / "state.json")["ExitCode"] == code, out.read_text()
        assert set(engine.runtime.changes(box)) == (changed or set())
        return out.read_text()

    return run


class Layer:
    """What a runtime needs of a layer."""

    def __init__(self, changes: Changeset, folder: Path) -> None:
        self.changes, self.folder, self.diff_id = changes, folder, "sha256:0"

    def path(self) -> Path:
        from minidocker.runtime import overlay  # which only Linux has

        if not self.folder.exists():
            overlay.unpack(self.changes, self.folder)
        return self.folder


@pytest.fixture
def layers(tmp_path: Path) -> list[Layer]:
    lower = {"/srv": directory(0o750), "/srv/a": file(b"one\n"), "/srv/gone": file(), "/srv/way": symlink("/srv")}
    upper = {"/srv/a": file(b"two\n"), "/srv/in": directory(), "/srv/in/b": file(b"b\n"), "/srv/gone": WHITEOUT}
    return [Layer(Changeset(lower), tmp_path / "lower"), Layer(Changeset(upper), tmp_path / "upper")]


def test_a_tmpfs_is_empty_and_leaves_nothing(run: Run) -> None:
    assert run("ls /t/u; echo x > /t/u/x; cat /t/u/x; ls -ld /t/u | cut -c1-10", Tmpfs("/t/u")) == "x\ndrwxrwxrwt\n"


def test_a_tmpfs_on_a_folder_hides_it(run: Run) -> None:
    assert run("ls /etc; cat /etc/passwd", Tmpfs("/etc"), code=1).endswith("No such file or directory\n")


def test_a_tmpfs_has_a_size(run: Run) -> None:
    script = "head -c 3000000 /dev/zero > /t/x 2>/dev/null || echo full; head -c 1000 /dev/zero > /t/y && echo small"
    assert run("head -c 90000 /dev/zero > /t/x && echo fits", Tmpfs("/t", size=1 << 20)) == "fits\n"
    assert run(script.split(";", maxsplit=1)[0], Tmpfs("/t", size=1 << 20)) == "full\n"


def test_read_only(run: Run, layers: list[Layer]) -> None:
    said = run(
        "echo x > /t/x || echo x > /s/x || rm /s/a", Tmpfs("/t", True), Snapshot(layers, "/s", "/srv", True), code=1
    )
    assert said.count("Read-only file system") == 3


def test_a_secret_is_a_file_that_only_its_owner_reads(run: Run) -> None:
    secret = Secret("/run/secrets/key", b"hunter2\n")
    assert run("cat /run/secrets/key; stat -c '%a %u' /run/secrets/key", secret) == "hunter2\n400 0\n"
    assert "ermission denied" in run("cat /run/secrets/key", secret, user="1000", code=1)
    assert "Read-only" in run("echo x > /run/secrets/key", secret, code=1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="without root all is the user's")
def test_a_secret_of_another(run: Run) -> None:
    secret = Secret("/key", b"hunter2\n", 0o440, 1000, 50)
    assert run("cat /key; stat -c '%a %u %g' /key", secret, user="1000") == "hunter2\n440 1000 50\n"


def test_a_secret_is_on_no_disk(run: Run, engine: Engine, tmp_path: Path) -> None:
    run("cat /key > /dev/null", Secret("/key", b"correct horse battery"))
    for root in (engine.root, tmp_path):
        assert not [path for path in root.rglob("*") if path.is_file() and b"correct horse" in path.read_bytes()]


def test_a_snapshot_shows_layers_from_a_path_on(run: Run, layers: list[Layer]) -> None:
    assert run("cat /s/a /s/in/b; ls /s", Snapshot(layers, "/s", "/srv")) == "two\nb\na\nin\nway\n"
    assert run("cat /s", Snapshot(layers, "/s", "/srv/in/b")) == "b\n"
    assert run("ls /s", Snapshot(layers, "/s", "/srv/way/in")) == "b\n"
    assert run("ls /s", Snapshot([], "/s")) == ""


def test_equal_layers(run: Run, layers: list[Layer]) -> None:
    lower, upper = layers
    assert run("cat /s/a; ls /s", Snapshot([lower, upper, lower], "/s", "/srv")) == "one\na\ngone\nin\nway\n"
    assert run("ls /s", Snapshot([lower, upper, upper], "/s", "/srv")) == "a\nin\nway\n"


def test_what_is_written_to_a_snapshot_goes(run: Run, layers: list[Layer]) -> None:
    script = "rm /s/a; mv /s/in/b /s/b; echo x > /s/x; ls /s"
    for _ in range(2):
        assert run(script, Snapshot(layers, "/s", "/srv")) == "b\nin\nway\nx\n"
    assert layers[0].changes["/srv/a"].data.read() == b"one\n"


def test_a_volume_outlives_containers(run: Run, tmp_path: Path) -> None:
    volume = Volume(tmp_path / "kept", "/v", first=Changeset({"/": directory(0o751), "/a": file(b"first\n")}))
    assert run("ls -ld /v | cut -c1-10; cat /v/a; echo more >> /v/a; mkdir /v/sub", volume) == "drwxr-x--x\nfirst\n"
    assert run("cat /v/a", volume) == "first\nmore\n"
    assert run("touch /s/x; ls /s", Volume(tmp_path / "kept", "/s", "/sub")) == "x\n"
    assert run("ls /v /v/sub", volume) == "/v:\na\nsub\n\n/v/sub:\nx\n"
    assert "Read-only" in run("touch /v/y", Volume(tmp_path / "kept", "/v", read_only=True), code=1)


def test_the_same_volume_twice(run: Run, tmp_path: Path) -> None:
    here, there = Volume(tmp_path / "kept", "/a"), Volume(tmp_path / "kept", "/b")
    assert run("echo x > /a/x; cat /b/x", here, there) == "x\n"


def test_mounts_lie_in_mounts(run: Run, tmp_path: Path) -> None:
    volume = Volume(tmp_path / "kept", "/x")
    assert run("touch /x/y/lost /x/kept; ls /x/y", Tmpfs("/x/y"), volume) == "lost\n"
    assert run("ls /x /x/y", volume) == "/x:\nkept\ny\n\n/x/y:\n"


def test_places_that_were_made_do_not_show(run: Run) -> None:
    run("true", Tmpfs("/a/b/c"), Secret("/etc/new/s", b"x"), Tmpfs("/var/tmp/x"))
    run("echo x > /a/own", Tmpfs("/a/b/c"), changed={"/a", "/a/own"})


def test_a_target_leads_through_links_of_the_image_and_never_out(run: Run, tmp_path: Path) -> None:
    volume = Volume(tmp_path / "kept", "/v", first=Changeset({"/out": symlink("../../../../../etc")}))
    assert run("ls /etc/inside; ls -d /v/out/passwd", volume, Tmpfs("/v/out/inside")) == "/v/out/passwd\n"
    assert not Path("/etc/inside").exists()


def test_a_source_leads_through_links_and_never_out(run: Run, tmp_path: Path) -> None:
    first = Changeset({"/out": symlink("../../../../../etc"), "/etc": directory(), "/etc/mine": file(b"mine\n")})
    assert run("cat /s/mine", Volume(tmp_path / "kept", "/s", "/out", first=first)) == "mine\n"
    assert run("cat /s/mine", Volume(tmp_path / "kept", "/s", "/../../etc", first=first)) == "mine\n"


def test_what_cannot_be_mounted(run: Run, layers: list[Layer], tmp_path: Path) -> None:
    for mount in (
        Tmpfs("/etc/passwd"),
        Bind(str(tmp_path), "/etc/passwd"),
        Secret("/etc", b""),
        Snapshot(layers, "/s", "/no/such"),
        Bind(str(tmp_path / "missing"), "/s"),
        Tmpfs("/"),
        Tmpfs("/etc/passwd/x"),
    ):
        with pytest.raises(StartError):
            run("true", mount)
    with pytest.raises(StartError):
        run("true", Snapshot(layers, "/s", "/srv", True), Tmpfs("/s/new"))
