"""The registry lab: each button is a real push or pull, and the picture tells what moved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("ipywidgets")

from minidocker.notebook.widgets import registrylab
from minidocker.notebook.widgets.registrylab import RegistryLab, registry_lab


@pytest.fixture
def lab() -> Iterator[RegistryLab]:
    lab = registry_lab()
    yield lab
    lab.close()


def press(lab: RegistryLab, move: str) -> str:
    lab.buttons[move].click()
    assert lab.picture.figure is not None
    return lab.picture.figure.twin


def test_it_begins_with_two_images_on_a_laptop(lab: RegistryLab) -> None:
    first, *rows = str(lab).splitlines()
    assert "nothing has been pushed yet" in first
    assert all(row.rstrip().endswith(("laptop", "laptop (1)", "laptop (2)")) for row in rows)


def test_a_second_version_moves_only_what_is_new(lab: RegistryLab) -> None:
    assert "1MB of blobs moved, 0B of layers were there already" in press(lab, "push app:1")
    assert "<1kB of blobs moved, 1MB of layers were there already" in press(lab, "push app:2")
    assert "1MB of blobs moved, 0B" in press(lab, "pull app:1")
    assert "<1kB of blobs moved, 1MB of layers" in press(lab, "pull app:2")
    assert "0B of blobs moved, 1MB of layers" in press(lab, "pull app:2")


def test_latest_is_whatever_was_pushed_as_such(lab: RegistryLab) -> None:
    press(lab, "push app:1 as latest"), press(lab, "push app:2"), press(lab, "pull app")
    assert [image.config["Env"][-1] for image in lab.server.images.list()] == ["VERSION=1"]
    assert "registry (2, latest) ▸ new" in press(lab, "push app:2 as latest")
    assert "server (latest) ▸ new" in press(lab, "pull app")


def test_what_is_not_there_is_said_and_all_can_be_put_back(lab: RegistryLab) -> None:
    press(lab, "pull app:2")
    assert "name unknown" in lab.message.value and "127.0.0.1" not in lab.message.value
    press(lab, "push app:2")
    assert not lab.message.value
    lab.again.click()
    assert "nothing has been pushed yet" in str(lab)


def test_on_a_slow_wire_each_answer_is_drawn_when_it_comes(lab: RegistryLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrylab, "SLOW", 0.01)
    seen: list[str] = []
    lab.picture.observe(lambda change: seen.append(change["new"]), "value")
    press(lab, "push app:1")
    assert len(seen) == 1
    lab.slow.value = True
    press(lab, "push app:2")
    assert len(seen) > 5
