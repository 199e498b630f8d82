"""The daemon lab: a command that is chosen is really given, and one steps through what crossed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ipywidgets")
pytest.importorskip("docker")

import minidocker
from minidocker.notebook.desk import close_below
from minidocker.notebook.widgets import daemonlab
from minidocker.notebook.widgets.daemonlab import COMMAND, DaemonLab, daemon_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[DaemonLab]:
    lab = daemon_lab(minidocker.connect(tmp_path / "engine", runtime="simulated"))
    yield lab
    lab.close()
    for container in lab.engine.containers.list(all=True):
        container.remove(force=True)
    close_below(tmp_path)


def choose(lab: DaemonLab, command: str) -> str:
    lab.command.value = command
    assert lab.picture.figure is not None
    return lab.picture.figure.twin


def test_it_begins_with_a_list_and_says_nothing_that_differs(lab: DaemonLab) -> None:
    assert '>   ← 200 OK  [{"Id": "‹id›", "Image": "lab", "Names": ["/lab"], "State": "running"' in str(lab)
    assert not re.search(r"[0-9a-f]{12}|20\d\d-|\d{10}|Up \w", str(lab))


def test_one_steps_forth_and_back(lab: DaemonLab) -> None:
    assert "> " in choose(lab, "docker cp note lab:/") and lab.on.disabled and not lab.back.disabled
    last = lab.step.value
    lab.back.click()
    assert lab.picture.figure is not None
    assert lab.step.value == last - 1 and "a tar: note" in lab.picture.figure.twin.splitlines()[-1]
    lab.step.value = 1
    assert lab.back.disabled and len(str(lab).split("\n\n")[0].splitlines()) == 2
    lab.on.click()
    assert lab.step.value == 2


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        ("docker run --rm lab", '[02 00 00 00 00 00 00 05] "oops\\n"  (stderr)'),
        ("docker logs lab", '[01 00 00 00 00 00 00 06] "ready\\n"  (stdout)'),
        ("docker build .", "a tar: Dockerfile, note"),
        ("docker inspect nobody", "404 Not Found"),
    ],
)
def test_each_command_is_given(lab: DaemonLab, command: str, seen: str) -> None:
    assert seen in choose(lab, command)
    assert ("No such container: nobody" in lab.message.value) is command.endswith("nobody")


def test_what_this_runtime_cannot_do_is_told(lab: DaemonLab) -> None:
    assert "501 Not Implemented" in choose(lab, "docker exec lab echo hi")
    assert "cannot attach anybody" in lab.message.value


def test_its_container_comes_back_when_somebody_removed_it(lab: DaemonLab) -> None:
    lab.engine.containers.get("lab").remove(force=True)
    assert '"ready\\n"' in choose(lab, "docker logs lab")


def test_on_a_slow_wire_it_is_drawn_while_it_crosses(lab: DaemonLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemonlab, "SLOW", 0.01)
    lab.slow.value, seen = True, list[str]()
    lab.picture.observe(lambda change: seen.append(change["new"]), "value")
    choose(lab, "docker build .")
    assert len(seen) > 3 and lab.desk.pause == 0.01
    lab.slow.value = False
    assert not lab.desk.pause


def test_the_real_command_says_it_in_its_own_way(lab: DaemonLab) -> None:
    if not lab.desk.has_docker:
        pytest.skip("the docker command is not installed")
    lab.by.value = COMMAND
    assert "HEAD /_ping" in choose(lab, "docker inspect nobody") and "/plugins/nobody/json" in str(lab)
    assert "No such object: nobody" in lab.message.value
    assert "noOverwriteDirNonDir=true" in choose(lab, "docker cp note lab:/")
    assert "a tar: Dockerfile, note" in choose(lab, "docker build .")
