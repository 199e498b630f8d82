"""Events: what an engine, another engine or a monitor without one does, whoever follows is told, in Docker's words."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker import journal
from minidocker.container import Container
from minidocker.engine import Engine
from minidocker.errors import InvalidArgument
from minidocker.events import Events, matches
from tests.until import until

IMAGE = "minidocker/base"
PATIENT = ["sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"]
Said = list[tuple[str, dict[str, str]]]


@pytest.fixture
def told(engine: Engine) -> Iterator[Callable[..., Said]]:
    """What has been told since the test began: the action, and the attributes less name and image."""
    engine.images.get(IMAGE)
    stream = engine.events(decode=True)

    def so_far(kind: str = "container", more: bool = False) -> Said:
        stream.until = journal_now()
        found = [event for event in stream if event["Type"] == kind]
        hidden = () if more else ("name", "image", "execID")
        own = [{k: v for k, v in event["Actor"]["Attributes"].items() if k not in hidden} for event in found]
        return [(event["Action"], attributes) for event, attributes in zip(found, own, strict=True)]

    yield so_far
    stream.close()


def journal_now() -> str:
    from minidocker.times import now

    return now()


def ready(container: Container, starts: int) -> None:
    """Wait until the shell has set its trap, as often as it was started."""
    until(lambda: container.logs().count(b"ready\n") >= starts)


def test_the_life_of_a_container_is_told_as_docker_tells_it(engine: Engine, told: Callable[..., Said]) -> None:
    """As recorded from Docker's engine 20.10, for the same commands."""
    container = engine.containers.create(IMAGE, PATIENT, name="aa", labels={"k": "v"})
    container.start()
    ready(container, 1)
    container.exec_run("echo hi")
    container.top()
    container.pause()
    container.unpause()
    container.rename("b2")
    container.put_archive("/", b"".join(container.get_archive("/etc/passwd")[0]))
    b"".join(container.export())
    container.commit("bc", "1", message="msg", pause=True)
    container.update(restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    container.stop()
    container.start()
    ready(container, 2)
    container.restart()
    ready(container, 3)
    container.kill()
    container.start()
    container.remove(force=True)
    actions = [
        *("create", "start", "exec_create: echo hi", "exec_start: echo hi", "exec_die", "top", "pause", "unpause"),
        *("rename", "archive-path", "extract-to-dir", "export", "pause", "commit", "unpause", "update"),
        *("kill", "die", "stop", "start", "kill", "die", "stop", "start", "restart", "kill", "die", "start"),
        *("kill", "die", "destroy"),
    ]
    found = told()
    assert [action for action, _ in found] == actions
    assert all(attributes["k"] == "v" for _, attributes in found)
    extra = {action: {key: attributes[key] for key in attributes if key != "k"} for action, attributes in found}
    image = extra.pop("commit")
    assert extra["rename"] == {"oldName": "/aa"}
    assert extra["exec_die"] == {"exitCode": "0"}
    assert [attributes.get("signal") for action, attributes in found if action == "kill"] == ["15", "15", "9", "9"]
    assert [attributes["exitCode"] for action, attributes in found if action == "die"] == ["7", "7", "137", "137"]
    assert image == {"comment": "msg", "imageID": engine.images.get("bc:1").id, "imageRef": "bc:1"}
    engine.images.remove("bc:1")


def test_what_happens_to_images(engine: Engine, told: Callable[..., Said]) -> None:
    image = engine.images.get(IMAGE)
    image.tag("bb", "2")
    engine.images.remove("bb:2")
    engine.images.load(b"".join(image.save(named=True)))
    made = engine.images.import_image(b"".join(engine.images.get(IMAGE).save()), "imported", "1")
    engine.images.remove("imported:1")
    assert [(action, attributes["name"]) for action, attributes in told("image", more=True)] == [
        ("tag", "bb:2"),
        ("untag", image.id),
        ("load", image.id),
        ("tag", "imported:1"),
        ("import", made.id),
        ("untag", made.id),
        ("delete", made.id),
    ]


def test_a_restart_policy_is_told(engine: Engine, told: Callable[..., Said]) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    container = engine.containers.run(IMAGE, "false", detach=True, restart_policy=policy)
    container.wait(timeout=120)
    while container.wait(timeout=120) and container.attrs["State"]["Status"] != "exited":  # it ends with each life
        time.sleep(0.05)
    container.remove()
    assert [action for action, _ in told()] == ["create", "start", "die", "start", "die", "destroy"]


def test_a_follower_sees_other_processes_at_once(engine: Engine) -> None:
    """A second engine in another process; and the container's end, of which only its monitor knows."""
    script = (
        "import sys, minidocker\n"
        "engine = minidocker.connect(sys.argv[1], runtime=sys.argv[2])\n"
        "engine.containers.run('minidocker/base', ['sh', '-c', 'sleep 0.2; exit 3'], detach=True, name='far')\n"
    )
    engine.images.get(IMAGE)
    with engine.events(decode=True, filters={"container": "far"}) as stream:
        subprocess.run([sys.executable, "-c", script, str(engine.root), engine.runtime.name], check=True)
        found = [next(stream) for _ in range(3)]
        delay = time.time_ns() - found[-1]["timeNano"]
    assert [event["Action"] for event in found] == ["create", "start", "die"]
    assert found[-1]["Actor"]["Attributes"] == {"exitCode": "3", "image": IMAGE, "name": "far"}
    assert delay < 5e9
    engine.containers.get("far").remove(force=True)


def test_it_is_docker_s_json(engine: Engine) -> None:
    with engine.events() as stream:
        container = engine.containers.create(IMAGE, "true", labels={"a": "1"})
        event = json.loads(next(stream))
    container.remove()
    moment = event.pop("timeNano")
    assert event == {
        "status": "create",
        "id": container.id,
        "from": IMAGE,
        "Type": "container",
        "Action": "create",
        "Actor": {"ID": container.id, "Attributes": {"a": "1", "image": IMAGE, "name": container.name}},
        "scope": "local",
        "time": moment // 10**9,
    }


def test_another_thread_ends_the_wait(tmp_path: Path) -> None:
    stream = Events(tmp_path)
    threading.Timer(0.1, stream.close).start()
    assert list(stream) == []


class TestSpan:
    """`--since` and `--until`."""

    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for second in range(1, 6):
            monkeypatch.setattr(time, "time_ns", lambda now=second: now * 10**9)
            journal.append(str(tmp_path), "image", "tag", f"sha256:{second}", {"name": f"a:{second}"})
        monkeypatch.undo()
        return tmp_path

    @pytest.mark.parametrize(
        ("since", "until", "seconds"),
        [(2, 4, "234"), (0, 9, "12345"), (None, 3, "123"), ("1970-01-01T00:00:05Z", 9, "5"), (6, 9, "")],
    )
    def test_both_ends_belong_to_it(self, root: Path, since: Any, until: Any, seconds: str) -> None:
        assert [event["time"] for event in Events(root, since, until)] == [int(digit) for digit in seconds]

    def test_it_goes_on_after_the_past(self, root: Path) -> None:
        stream = Events(root, since=4)
        assert [next(stream)["time"] for _ in range(2)] == [4, 5]
        journal.append(str(root), "image", "untag", "sha256:6", {})
        assert next(stream)["Action"] == "untag"

    def test_it_ends_when_its_time_has_come(self, root: Path) -> None:
        assert len(list(Events(root, 1, time.time() + 0.2))) == 5

    def test_what_is_no_moment(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidArgument, match='failed to parse value as time or duration: "x"'):
            Events(tmp_path, since="x")
        with pytest.raises(InvalidArgument, match=r"`since` time \(10\) cannot be after `until` time \(9\)"):
            Events(tmp_path, since=10, until=9)


class TestJournal:
    """The file under it."""

    def test_its_size_is_bounded_and_no_reader_misses_a_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal, "LIMIT", 1000)
        stream = Events(tmp_path)
        seen = []
        for number in range(100):
            journal.append(str(tmp_path), "image", "tag", str(number), {})
            seen.append(next(stream)["Actor"]["ID"])
        assert seen == [str(number) for number in range(100)]
        assert sum(file.stat().st_size for file in (tmp_path / "events").iterdir()) < 2500

    @pytest.mark.parametrize("begun", [0, 1, 4, 5])
    def test_a_reader_may_be_late_by_one_file(
        self, begun: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal, "LIMIT", 1000)  # five lines, or four and a longer one

        def write(first: int, last: int) -> None:
            for number in range(first, last):
                journal.append(str(tmp_path), "image", "tag", str(number), {})

        write(0, begun)
        stream = Events(tmp_path)
        write(begun, begun + 1)
        assert begun == 0 or next(stream)["Actor"]["ID"] == str(begun)
        write(begun + 1, 9)
        left = [next(stream)["Actor"]["ID"] for _ in range(begun + (begun > 0), 9)]
        assert left == [str(number) for number in range(begun + (begun > 0), 9)]

    def test_many_writers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journal, "LIMIT", 20_000)  # what a reader may be late by
        stream = Events(tmp_path)

        def write(writer: int) -> None:
            for number in range(40):
                journal.append(str(tmp_path), "image", "tag", f"{writer}.{number}", {})
                time.sleep(0.001)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        found = [next(stream) for _ in range(160)]
        for thread in threads:
            thread.join()
        assert len({event["Actor"]["ID"] for event in found}) == 160
        assert [event["timeNano"] for event in found] == sorted(event["timeNano"] for event in found)

    def test_a_torn_line_is_left_out(self, tmp_path: Path) -> None:
        journal.append(str(tmp_path), "image", "tag", "1", {})
        with (tmp_path / "events" / journal.NAME).open("ab") as file:
            file.write(b'{"Type": "ima\n')
        journal.append(str(tmp_path), "image", "tag", "2", {})
        assert [event["Actor"]["ID"] for event in Events(tmp_path, 1, time.time())] == ["1", "2"]

    def test_nothing_is_made_where_the_root_is_gone(self, tmp_path: Path) -> None:
        journal.append(str(tmp_path / "gone"), "image", "tag", "1", {})
        assert not (tmp_path / "gone").exists()


DIED = {"Type": "container", "Action": "exec_create: ls", "Actor": {"ID": "1f2e", "Attributes": {"name": "web"}}}
DIED["Actor"]["Attributes"] |= {"image": "app:1", "a": "1"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"event": ["exec_create"]}, True),
        ({"event": ["exec"]}, False),
        ({"event": ["exec_create: ls", "die"]}, True),
        ({"container": ["we"]}, True),
        ({"container": ["1f"]}, True),
        ({"container": ["f2"]}, False),
        ({"image": ["app"]}, True),
        ({"image": ["app:1"]}, True),
        ({"image": ["app:2"]}, False),
        ({"label": ["a", "a=1"]}, True),
        ({"label": ["a", "a=2"]}, False),
        ({"type": ["container"], "scope": ["local"]}, True),
        ({"type": ["image"]}, False),
    ],
)
def test_filters(filters: dict[str, list[str]], fits: bool) -> None:
    assert matches(DIED, filters) is fits


def test_a_filter_that_there_is_not_is_let_by_as_with_docker(tmp_path: Path) -> None:
    assert Events(tmp_path, filters={"colour": "red"}).filters == {}
