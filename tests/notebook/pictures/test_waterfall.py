"""The hash waterfall: what changes lights up, with all that lies downstream, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from minidocker.archive import gzipped
from minidocker.content import CONFIG
from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import Changeset
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.pictures.waterfall import stations, waterfall
from minidocker.tree import file

Parse = Callable[[Figure], ElementTree.Element]
SVG = "{http://www.w3.org/2000/svg}"


def made(images: Images, content: bytes = b"hi", env: str = "A=b", tag: str = "") -> Image:
    layer = images.add_layer(Changeset({"/hello": file(content)}), "COPY hello / # buildkit")
    image = images.create({"config": {"Env": ["PATH=/bin", env]}, "history": [{"created_by": "COPY hello /"}]}, [layer])
    if tag:
        images.tag(image, tag)
    return image


def changed(now: Image, before: Image) -> str:
    """The stations that differ, by their first letters: t d l c i m r (the tags left out)."""
    pairs = zip(stations(now)[:-1], stations(before), strict=False)
    return "".join(letter for letter, (one, other) in zip("tdlcimr", pairs, strict=True) if one.differs(other))


def test_every_change_flows_downstream_only(images: Images) -> None:
    plain = made(images)
    assert changed(made(images, b"ho"), plain) == "tdlcimr"
    assert changed(made(images, env="A=c"), plain) == "cimr"
    assert changed(gzipped(plain), plain) == "lmr"
    assert changed(made(images), plain) == ""


def test_a_station_that_changed_is_lit_and_marked_in_words(images: Images, parse: Parse) -> None:
    drawn = waterfall(made(images, env="A=c"), made(images))
    lit = [node for node in parse(drawn).iter(f"{SVG}rect") if node.get("class") == "md-on"]
    assert len(lit) == 4
    assert "4 of 8 stations changed" in drawn.twin
    assert "config          ≠ changed  " in drawn.twin and "diff ids        = same" in drawn.twin
    assert "≠ changed" not in waterfall(made(images)).twin


def test_the_line_of_the_config_that_changed_is_marked(images: Images) -> None:
    config = stations(made(images, env="A=c"))[3]
    assert dict(zip([words for words, _ in config.lines], config.changed(stations(made(images))[3]), strict=True)) == {
        "arch " + made(images).raw["architecture"]: False,
        "Env A=c": True,
        "history: 1 line": False,
        "diff_ids: 1": False,
    }


def test_a_tag_changes_no_digest_and_belongs_to_the_manifest_it_points_to(images: Images) -> None:
    image = made(images, tag="app:1")
    packed = gzipped(image)
    assert [words for words, _ in stations(image)[-1].lines] == ["app:1"]
    assert [words for words, _ in stations(packed)[-1].lines] == ["none"]
    before = stations(image)
    images.tag(packed, "app:1")
    assert [words for words, _ in stations(packed)[-1].lines] == ["app:1"]
    assert stations(packed)[-1].differs(before[-1])


def test_many_layers_are_counted_and_still_compared(images: Images) -> None:
    layers = [images.add_layer(Changeset({f"/{n}": file(b"x")})) for n in range(9)]
    one, two = images.create({}, layers), images.create({}, layers[:8] + layers[:1])
    assert stations(one)[1].lines[-1][0] == "and 5 more"
    assert changed(one, two) == "tdlcimr"


@pytest.mark.parametrize("words", ["<script>", "\x1b[2J\u202e"])
def test_a_strangers_words_stay_words(images: Images, parse: Parse, words: str) -> None:
    drawn = waterfall(made(images, env=f"A={words}"))
    parse(drawn)
    assert "<script" not in drawn.html() and "\x1b" not in drawn.html() + drawn.twin


def test_gzipping_keeps_the_config_byte_for_byte(images: Images) -> None:
    image = made(images)
    packed = gzipped(image, level=1)
    assert packed.id == image.id and packed.manifest["config"]["mediaType"] == CONFIG
    assert packed.manifest["layers"][0]["mediaType"].endswith("tar+gzip")
    assert packed.tree() == image.tree()
    assert gzipped(image, level=1).manifest_digest == packed.manifest_digest
