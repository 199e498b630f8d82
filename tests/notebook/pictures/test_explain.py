"""An image read backwards: bars to scale, each piece of advice beside its lines, and no name can break the drawing."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidocker.content import Store
from minidocker.images import Images
from minidocker.layer import WHITEOUT, Changeset, file
from minidocker.notebook.pictures.explain import explain_figure


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(Store(tmp_path))


def test_lines_bars_and_advice(images: Images) -> None:
    layers = [Changeset({"/big": file(b"x" * 3000)}), Changeset({"/big": WHITEOUT, "/small": file(b"y" * 1000)})]
    lines = [{"created_by": "RUN /bin/sh -c make # buildkit"}, {"created_by": "RUN /bin/sh -c rm /big # buildkit"}]
    config = {"history": [*lines, {"created_by": "ENV API_KEY=hunter2", "empty_layer": True}]}
    image = images.create(config, [images.add_layer(layer) for layer in layers])
    images.tag(image, "app")
    figure = explain_figure(image.explain())
    assert figure.twin.splitlines() == [
        "image app:latest, read backwards  (efficiency 25%: 3kB of 4kB are wasted)",
        "     RUN make       adds 1 file: 3kB, 3kB wasted",
        "     RUN rm /big    adds 1 file, hides 1 file: 1kB, 0B wasted",
        "     ENV API_KEY=…  no layer",
        "  1. layer 2 deletes /big of layer 1, where the bytes stay: make one RUN of layers 1 and 2. Saves 3kB.",
        "  2. `ENV API_KEY=…` has a variable API_KEY, which looks like a secret: who has the image can read its value; "
        "give it to the RUN that needs it with --mount=type=secret.",
    ]
    assert figure.body.count("<circle") == 2 * 5, "two lines have the first, one the second, and the advice itself"
    assert "hunter2" not in figure.html()
    assert figure.html() == explain_figure(image.explain()).html()


def test_hostile_names_do_no_harm(images: Images) -> None:
    evil = "/<script>\x1b[2J"
    layers = [Changeset({evil: file(b"x")}), Changeset({evil: WHITEOUT})]
    lines = [{"created_by": f"RUN {evil}\nsecond"}, {"created_by": "RUN </svg>"}]
    image = images.create({"history": lines}, [images.add_layer(layer) for layer in layers])
    figure = explain_figure(image.explain())
    assert "<script>" not in figure.html() and "</svg>" in figure.html()
    assert figure.html().count("</svg>") == 1 and "\x1b" not in figure.html() + figure.twin


def test_an_image_without_layers_is_drawn_too(images: Images) -> None:
    assert "efficiency 100%" in explain_figure(images.create({}, []).explain()).twin
