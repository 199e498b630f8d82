"""The tar in somebody's hands: each control changes the bytes, and the picture follows."""

from __future__ import annotations

import pytest

pytest.importorskip("ipywidgets")

from minidocker.errors import InvalidArgument
from minidocker.image import Image
from minidocker.layer import Changeset
from minidocker.notebook.widgets.tarlab import TarLab, tar_lab
from minidocker.tree import directory, file


@pytest.fixture
def lab(app: Image) -> TarLab:
    return tar_lab(app.layers[-1], "app/hello.sh")


def test_it_opens_with_the_layers_own_bytes(lab: TarLab, app: Image) -> None:
    assert lab.tar.digest == app.layers[-1].diff_id
    assert lab.content.value == "echo hello"
    assert "≠" not in lab.face().twin


@pytest.mark.parametrize(
    ("control", "value", "told"),
    [
        ("content", "echo hello!", "content echo hello!"),
        ("mode", 0o755, "app/hello.sh  0755"),
        ("later", 1, "1970-01-01 00:00:01"),
        ("does", False, "app/.wh.hello.sh"),
    ],
)
def test_each_control_makes_another_tar(lab: TarLab, control: str, value: object, told: str) -> None:
    before = lab.tar.digest
    getattr(lab, control).value = value
    assert lab.tar.digest != before
    figure = lab.picture.figure
    assert figure is not None
    assert told in figure.twin and f"≠ before  {before}" in figure.twin
    assert lab.face() == figure


def test_the_same_bytes_again_are_the_same_digest(lab: TarLab) -> None:
    before = lab.face()
    lab.content.value = "other"
    lab.content.value = "echo hello"
    assert lab.face() == before


def test_it_can_be_as_it_was(lab: TarLab) -> None:
    before = lab.face()
    lab.content.value, lab.mode.value, lab.later.value, lab.does.value = "x", 0o600, 9, False
    assert lab.content.disabled
    lab.back.click()
    assert lab.face() == before and not lab.content.disabled


def test_the_image_stays_as_it_is(lab: TarLab, app: Image) -> None:
    lab.content.value = "other"
    assert app.cat("/app/hello.sh") == b"echo hello"


def test_a_mode_of_its_own_can_be_chosen_too() -> None:
    assert tar_lab(Changeset({"/a": file(b"x", mode=0o4711)})).mode.value == 0o4711


@pytest.mark.parametrize(
    ("layer", "path", "message"),
    [
        (Changeset({"/a": directory()}), "", "no text file to edit"),
        (Changeset({"/a": file(b"x")}), "/b", "/b is no text file of this layer; there is: /a"),
        (Changeset({"/a": file(b"\xff")}), "/a", "/a is no text"),
        (Changeset({"/a": file(b"x" * 30_000), "/b": file()}), "/a", "there is: /b"),
    ],
)
def test_what_cannot_be_edited(layer: Changeset, path: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        tar_lab(layer, path)
