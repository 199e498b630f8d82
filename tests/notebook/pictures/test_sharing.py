"""Shared layers: each once, and three numbers."""

from __future__ import annotations

from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import Changeset
from minidocker.notebook.pictures.sharing import shared_layers, three_numbers
from minidocker.tree import file


def test_a_base_counts_once(images: Images, base: Image, app: Image) -> None:
    added, once, disk = three_numbers([base, app]).values()
    assert added == base.size + app.size
    assert once == app.size
    assert disk == images.disk_usage() > once


def test_each_layer_has_a_row_and_says_who_has_it(base: Image, app: Image) -> None:
    drawn = shared_layers([base, app])
    assert drawn.title == "2 images, 3 layers"
    assert drawn.svg().count("●") == 1 + 1 + 3
    assert "in minidocker/base, app" in drawn.twin and "used 2 times" in drawn.svg()


def test_many_layers_are_counted(images: Images) -> None:
    layers = [images.add_layer(Changeset({f"/{n}": file(b"x")})) for n in range(30)]
    assert "and 10 layers more" in shared_layers([images.create({}, layers)]).svg()


def test_of_no_images_there_is_an_empty_picture() -> None:
    assert shared_layers([]).title == "0 images, 0 layers"
