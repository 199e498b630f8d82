"""The hash lab: each control builds the image; what cannot be built is said, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("ipywidgets")

from minidocker.notebook.widgets.hashlab import HashLab, hashlab


@pytest.fixture
def lab() -> HashLab:
    return hashlab()


def changed(lab: HashLab) -> int:
    assert lab.picture.figure is not None
    return lab.picture.figure.twin.count("≠")


@pytest.mark.parametrize(
    ("control", "value", "stations"),
    [
        ("comment", "something else", 0),
        ("file", "echo ho", 8),
        ("env", 'a "$b" \\ c', 5),
        ("epoch", "1735776000", 8),
        ("arch", "arm64", 5),
        ("gzip", True, 4),
        ("tag", "team/app:2", 1),
    ],
)
def test_a_control_changes_what_lies_downstream(lab: HashLab, control: str, value: Any, stations: int) -> None:
    lab.controls[control].value = value
    assert changed(lab) == stations
    lab.again.click()
    assert changed(lab) == 0 and lab.recipe.file == "echo hi"


def test_what_is_typed_is_what_is_built(lab: HashLab) -> None:
    lab.env.value = 'a "$b" \\ c'
    assert lab.picture.figure is not None
    assert 'Env GREETING=a "$b" \\ c' in lab.picture.figure.twin


def test_what_cannot_be_built_is_said_and_the_picture_stays(lab: HashLab) -> None:
    lab.env.value = "Servus"
    for tag in ("App", "", "a@b"):
        lab.tag.value = tag
        assert "invalid reference format" in lab.message.value and changed(lab) == 5
    lab.tag.value = "app:1"
    assert lab.message.value == "" and changed(lab) == 5


def test_a_tag_that_is_put_back_is_the_only_one_again(lab: HashLab) -> None:
    for tag in ("a", "ab", "app:1"):
        lab.tag.value = tag
    assert changed(lab) == 0


def test_its_face_tells_what_each_edit_changes(lab: HashLab) -> None:
    twin = lab.face().twin
    assert "layers stored gzipped            changes layer digests, manifest, repo digest, tags" in twin
    assert "another comment in the Dockerfile changes nothing" in twin
    assert lab.face().html() == hashlab().face().html()


def test_every_control_has_a_label(lab: HashLab) -> None:
    assert all(control.description for control in [*lab.controls.values(), lab.again])
