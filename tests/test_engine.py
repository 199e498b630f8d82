"""Several engines on one folder, engines that are killed, and people who press Ctrl-C: nothing is lost or harmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.engine import Engine
from minidocker.errors import DockerException, InvalidArgument, NotFound, Unsupported
from minidocker.layer import Changeset
from minidocker.tree import file

IMAGE = "minidocker/base"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def python(code: str, root: Path, *args: str) -> subprocess.Popen[bytes]:
    """Another process with an engine on the same folder, which says `ready` when it has one, and waits for a line."""
    head = (
        "import sys, time, minidocker, minidocker.errors as errors\n"
        "engine = minidocker.connect(sys.argv[1], runtime=sys.argv[2] if len(sys.argv) > 2 else 'simulated')\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", head + code, str(root), *args]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process


def go(*processes: subprocess.Popen[bytes]) -> list[str]:
    """Let them all go at once; what each prints."""
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [error.decode() for _, error in outputs] == [""] * len(processes)
    return [output.decode() for output, _ in outputs]


@pytest.fixture
def small(tmp_path: Path) -> Engine:
    """An engine with an image `box` of one file."""
    engine = minidocker.connect(tmp_path / "root", runtime="simulated")
    layer = engine.images.add_layer(Changeset({"/etc/motd": file(b"hello")}))
    engine.images.create({"config": {"Cmd": ["sh"]}}, [layer]).tag("box")
    return engine


class TestTwoEngines:
    """Any number of processes may work on one folder."""

    def test_one_name_goes_to_one_container(self, small: Engine) -> None:
        code = (
            "for turn in range(10):\n"
            "    try: engine.containers.create('box', 'true', name=f'web{turn}'); print(turn, 'won')\n"
            "    except errors.Conflict: print(turn, 'lost')\n"
        )
        outputs = go(*(python(code, small.root) for _ in range(3)))
        lines = [line for output in outputs for line in output.splitlines()]
        assert sorted(line for line in lines if "won" in line) == [f"{turn} won" for turn in range(10)]
        assert len(small.containers.list(all=True)) == 10

    def test_making_renaming_and_removing_at_once(self, small: Engine) -> None:
        code = (
            "import os\n"
            "for turn in range(8):\n"
            "    made = engine.containers.create('box', 'true', name=f'a{os.getpid()}')\n"
            "    made.rename(f'b{os.getpid()}')\n"
            "    assert made in engine.containers.list(all=True)\n"
            "    made.remove()\n"
            "engine.containers.create('box', 'true', name=f'last{os.getpid()}')\n"
        )
        processes = [python(code, small.root) for _ in range(3)]
        go(*processes)
        names = {container.name for container in small.containers.list(all=True)}
        assert names == {f"last{process.pid}" for process in processes}
        assert {path.name for path in (small.root / "containers" / "names").iterdir()} == names

    def test_tagging_loading_and_pruning_at_once(
        self, small: Engine, valid_store: Callable[[Path], dict[str, Any]]
    ) -> None:
        (small.root.parent / "box.tar").write_bytes(b"".join(small.images.get("box").save(named=True)))
        code = (
            "import os, pathlib\n"
            "for turn in range(6):\n"
            "    engine.images.load(pathlib.Path(sys.argv[1]).parent.joinpath('box.tar').read_bytes())\n"
            "    engine.images.get('box').tag(f'mine{os.getpid()}', str(turn))\n"
            "    if turn: engine.images.remove(f'mine{os.getpid()}:{turn - 1}')\n"
            "    engine.images.prune()\n"
        )
        processes = [python(code, small.root) for _ in range(3)]
        go(*processes)
        assert valid_store(small.root).keys() == {"box:latest", *(f"mine{process.pid}:5" for process in processes)}


COUNT = ["sh", "-c", "trap 'echo end; exit 5' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"]


class TestAKilledEngine:
    """Containers live with their monitors."""

    def test_the_next_one_finds_its_containers_as_they_are(self, engine: Engine) -> None:
        code = f"print(engine.containers.run({IMAGE!r}, {COUNT!r}, detach=True).id, flush=True); time.sleep(60)"
        process = python(code, engine.root, engine.runtime.name)
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"\n")
        process.stdin.flush()
        id = process.stdout.readline().decode().strip()
        process.kill()
        process.communicate()
        container = engine.containers.get(id)
        assert container.status == "running"
        seen = container.logs().count(b"\n")
        lines = container.logs(stream=True, tail=0)
        next(lines)
        container.stop(timeout=10)
        assert container.state()["ExitCode"] == 5
        said = container.logs().decode().split()
        assert said == [*map(str, range(1, len(said))), "end"]
        assert len(said) > seen
        container.remove()

    def test_a_killed_monitor_takes_its_container_along(self, engine: Engine) -> None:
        container = engine.containers.run(IMAGE, COUNT, detach=True, restart_policy={"Name": "always"})
        next(container.logs(stream=True))
        state = container.state()
        os.kill(int(state["Monitor"]), signal.SIGKILL)
        assert container.wait(timeout=120)["StatusCode"] == 137
        state = container.attrs["State"]
        assert (state["Status"], state["Running"], state["Pid"], state["ExitCode"]) == ("exited", False, 0, 137)
        container.start()
        assert container.status == "running"
        container.remove(force=True)


class TestInterrupted:
    """Ctrl-C ends the waiting, not the container."""

    @pytest.mark.parametrize("call", ["wait()", "logs(stream=True)"])
    def test_while_waiting(self, engine: Engine, call: str) -> None:
        container = engine.containers.run(IMAGE, COUNT, detach=True)
        code = (
            f"container = engine.containers.get({container.id!r})\n"
            "print('waiting', flush=True)\n"
            f"try: [None for _ in container.{call}]\n"
            "except KeyboardInterrupt: print('interrupted')\n"
        )
        process = python(code, engine.root, engine.runtime.name)
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"waiting\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=120)
        assert (output, error) == (b"interrupted\n", b"")
        assert container.status == "running"
        container.remove(force=True)


class TestConnect:
    """`minidocker.connect`."""

    def test_a_daemon_that_does_not_answer(self, tmp_path: Path) -> None:
        with pytest.raises(DockerException, match="Cannot connect to the Docker daemon at unix://"):
            minidocker.connect(f"unix://{tmp_path}/d.sock").ping()

    def test_an_unknown_runtime(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidArgument, match="unknown or invalid runtime name: qemu"):
            minidocker.connect(tmp_path, runtime="qemu")

    def test_the_folder_and_the_runtime_from_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MINIDOCKER_ROOT", str(tmp_path / "here"))
        monkeypatch.setenv("MINIDOCKER_RUNTIME", "simulated")
        with minidocker.from_env() as engine:
            assert (engine.root, engine.runtime.name, engine.ping()) == (tmp_path / "here", "simulated", True)

    def test_what_it_says_of_itself(self, small: Engine) -> None:
        small.containers.create("box", "true")
        info, version, usage = small.info(), small.version(), small.df()
        assert (info["Containers"], info["ContainersStopped"], info["Images"], info["Debug"]) == (1, 1, 1, False)
        assert version["ApiVersion"] == "1.41"
        assert [row["RepoTags"] for row in usage["Images"]] == [["box:latest"]]
        assert usage["Images"][0]["Containers"] == 1
        assert (usage["Volumes"], usage["BuildCache"]) == ([], [])
        assert usage["LayersSize"] > 0

    def test_docker_hub_is_not_searched(self, small: Engine) -> None:
        with pytest.raises(Unsupported, match="does not search Docker Hub"):
            small.images.search("box")

    def test_a_container_without_its_image_cannot_be(self, small: Engine) -> None:
        made = small.containers.create("box", "true")
        small.images.get("box").remove(force=True)
        small.images.collect()
        assert made.image.diff_ids
        assert made.tree()["/etc/motd"].data.read() == b"hello"
        with pytest.raises(NotFound):
            small.images.get("box")
