"""Two images beside each other: only here, changed and in what, only there; and the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import Changeset
from minidocker.notebook.pictures.imagediff import difference, image_diff
from minidocker.notebook.pictures.svg import Figure
from minidocker.tree import Entry, directory, file, symlink

Parse = Callable[[Figure], ElementTree.Element]


def image(images: Images, entries: dict[str, Entry], **config: Any) -> Image:
    return images.create({"config": config}, [images.add_layer(Changeset(entries))])


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (file(b"1"), file(b"2"), "content"),
        (file(mode=0o644), file(mode=0o4755), "mode 644 → 4755"),
        (file(), file(uid=7), "owner 0:0 → 7:0"),
        (file(b"1"), file(b"2", mode=0o600), "content, mode 644 → 600"),
        (file(), directory(), "file → dir, mode 644 → 755"),
        (symlink("a"), symlink("b"), "content"),
        (file(mtime=0), file(mtime=86400), "time 1970-01-01 → 1970-01-02"),
    ],
)
def test_what_changed_is_said(images: Images, one: Entry, two: Entry, words: str) -> None:
    found = difference(image(images, {"/a": one}), image(images, {"/a": two}))
    assert found.changed == (("/a", words),) and not found.left and not found.right


def test_paths_of_one_only_and_settings(images: Images, parse: Parse) -> None:
    one = image(images, {"/a": file(), "/b": file()}, Env=["A=1", "B=2"], Cmd=["sh"])
    two = image(images, {"/b": file(), "/c": file()}, Env=["A=1", "B=3"], Labels={"who": "me"})
    found = difference(one, two)
    assert (found.left, found.changed, found.right, found.layers) == (("/a",), (), ("/c",), 0)
    assert found.settings == (("Env B", "2", "3"), ("Cmd", '["sh"]', ""), ("Label who", "", "me"))
    parse(drawn := image_diff(one, two))
    assert "− /a" in drawn.twin and "+ /c" in drawn.twin and 'Cmd: ["sh"] | none' in drawn.twin


def test_an_image_does_not_differ_from_itself(app: Image) -> None:
    found = difference(app, app)
    assert not (found.left or found.right or found.changed or found.settings) and found.layers == 3
    assert "0 paths and 0 settings differ; 3 layers shared" in image_diff(app, app).twin


def test_many_paths_make_a_small_picture(images: Images) -> None:
    many = image(images, {f"/f{n}": file() for n in range(500)})
    drawn = image_diff(many, image(images, {}))
    assert "and 490 more" in drawn.twin and len(drawn.html()) < 6_000
