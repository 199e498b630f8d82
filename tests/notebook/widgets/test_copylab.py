"""The copy-on-write lab: which layer grows by what, on both runtimes; the image never changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ipywidgets")

import minidocker
from minidocker.engine import Engine
from minidocker.notebook.widgets.copylab import NAMES, CopyLab, copy_lab
from minidocker.runtime import probe


@pytest.fixture(params=["simulated", "namespaces"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    if request.param == "namespaces" and probe.choose() != "namespaces":
        pytest.skip("no namespaces on this machine: minidocker doctor says why")
    monkeypatch.setenv("MINIDOCKER_RUNTIME", request.param)
    context = tmp_path / "context"
    context.mkdir()
    (context / "big").write_bytes(bytes(9000))
    (context / "small").write_bytes(b"hello\n")
    engine = minidocker.connect(tmp_path / "root")
    engine.images.build(path=str(context), text="FROM scratch\nCOPY . /data/\n", tag="app")
    yield engine
    for container in engine.containers.list(all=True):
        container.remove(force=True)
    engine.close()


def do(lab: CopyLab, name: str, act: str, path: str) -> str:
    lab.name.value, lab.act.value, lab.path.value = name, act, path
    lab.do.click()
    return lab.face().twin.splitlines()[1]


def test_a_change_is_copied_up_whole_into_one_container_alone(engine: Engine) -> None:
    lab = copy_lab(engine, "app")
    layers = lab.image.diff_ids
    assert lab.path.value == "/data/big"
    said = do(lab, NAMES[0], "append", "/data/big")
    assert said == "copy-lab-1: append a byte to /data/big: copied up 9,000 bytes, wrote 1"
    assert do(lab, NAMES[0], "chmod", "/data/big").endswith("copied up 0 bytes, wrote 0")
    assert do(lab, NAMES[1], "chmod", "/data/big").endswith("copied up 9,000 bytes, wrote 0")
    assert [own.size for own in lab.owns.values()] == [9001, 9000, 0]
    for name, container in lab.containers.items():
        assert container.changes().size == lab.owns[name].size
    assert lab.containers[NAMES[0]].tree()["/data/big"].data.read() == bytes(9000) + b"!"
    assert engine.images.get("app").diff_ids == layers


def test_what_is_removed_or_new_copies_nothing(engine: Engine) -> None:
    lab = copy_lab(engine, "app")
    assert do(lab, NAMES[2], "rm", "/data/small").endswith("copied up 0 bytes, wrote 0")
    assert do(lab, NAMES[2], "new file", "/data/big") == (
        "copy-lab-3: make a new file /data/new.txt: copied up 0 bytes, wrote 4"
    )
    assert [one["Path"] for one in lab.containers[NAMES[2]].diff()] == ["/data", "/data/new.txt", "/data/small"]
    assert "D /data/small" in lab.face().twin


def test_what_the_system_refuses_is_said_and_nothing_has_changed(engine: Engine) -> None:
    lab = copy_lab(engine, "app")
    do(lab, NAMES[0], "rm", "/data/small")
    before = lab.owns[NAMES[0]]
    assert do(lab, NAMES[0], "append", "/data/small").endswith("copied up 0 bytes, wrote 1")
    do(lab, NAMES[0], "rm", "/data/small")
    assert "cannot chmod /data/small: No such file" in do(lab, NAMES[0], "chmod", "/data/small")
    assert lab.owns[NAMES[0]].size == before.size == 0
    lab.containers[NAMES[1]].remove()
    assert "cannot rm /data/big" in do(lab, NAMES[1], "rm", "/data/big")


def test_starting_again_gives_new_containers(engine: Engine) -> None:
    lab = copy_lab(engine, "app")
    do(lab, NAMES[0], "append", "/data/big")
    lab.reset.click()
    again = copy_lab(engine, engine.images.get("app"))
    assert again.face() == lab.face()
    assert sorted(container.name for container in engine.containers.list(all=True)) == list(NAMES)
    assert "9,006 bytes on disk" in again.face().twin


def test_there_is_something_to_see_with_and_without_a_kernel(engine: Engine) -> None:
    bundle = copy_lab(engine, "app")._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} == set(bundle)
