"""The engine that a lesson stands on: clean, its own, and gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from minidocker.notebook import figure, lessons, mimebundle, registry, text
from minidocker.runtime import probe


@pytest.fixture(autouse=True)
def _simulated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("MINIDOCKER_RUNTIME", "simulated")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    for name in list(lessons._open):
        lessons.close_lesson(name)


def test_a_lesson_opens_clean_and_with_fixed_times() -> None:
    engine, folder = lessons.lesson("x")
    assert engine.images.list() == [] and engine.containers.list(all=True) == []
    assert folder.is_dir() and not list(folder.iterdir())
    assert os.environ["SOURCE_DATE_EPOCH"] == lessons.EPOCH


def test_its_registry_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    _, folder = lessons.lesson("x")
    address = f"http://{registry(folder / 'registry')}/v2/"
    urlopen(address).close()
    lessons.lesson("x")
    with pytest.raises(OSError):
        urlopen(address)


def test_opened_again_it_is_clean_again(tmp_path: Path) -> None:
    engine, folder = lessons.lesson("x")
    engine.images.build(path=str(folder), text="FROM scratch\nENV A=1", tag="app")
    engine.containers.create("app", "sh")
    again, _ = lessons.lesson("x")
    assert again.images.list() == [] and not folder.exists()
    lessons.close_lesson("x")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_notebook_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    program = "import os; from minidocker.notebook import lesson; lesson('y'); os._exit(9)"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert [path.name[:13] for path in tmp_path.iterdir()] == ["minidocker-y-"]
    lessons.lesson("x")
    assert [path.name[:13] for path in tmp_path.iterdir()] == ["minidocker-x-"]


@pytest.mark.skipif(not probe.report().works, reason="there are no real containers on this machine")
def test_real_containers_that_a_killed_notebook_left_end_though_this_one_is_simulated(tmp_path: Path) -> None:
    program = """import os; from minidocker.notebook import lesson; engine, _ = lesson('y')
print(engine.containers.run('minidocker/base', ['sleep', '1000'], detach=True).state()['Pid'], flush=True); os._exit(9)
"""
    environment = os.environ | {"TMPDIR": str(tmp_path), "MINIDOCKER_RUNTIME": "namespaces"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False, stdout=subprocess.PIPE)
    assert Path(f"/proc/{int(done.stdout)}").exists()
    lessons.sweep()
    assert list(tmp_path.iterdir()) == []
    assert not Path(f"/proc/{int(done.stdout)}").exists()


def test_the_folder_of_a_notebook_that_runs_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / f"minidocker-z-{os.getppid()}-abc"
    kept.mkdir()
    lessons.sweep()
    assert kept.exists()


def test_of_a_removed_container_it_tells_that() -> None:
    engine, folder = lessons.lesson("x")
    engine.images.build(path=str(folder), text="FROM scratch\nENV A=1", tag="app")
    container = engine.containers.create("app", "sh")
    assert figure(container).title == f"container {container.name}"
    container.remove()
    assert set(mimebundle(container)) == {"text/plain"}
    assert "No such container" in text(container)
