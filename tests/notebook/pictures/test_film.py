"""The copy-up film: three moments of a real view, and the bytes that moved between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minidocker.errors import InvalidArgument
from minidocker.image import Image
from minidocker.layer import Changeset, file
from minidocker.notebook.pictures.film import ACTS, Frame, film, play
from minidocker.notebook.pictures.sources import sources
from minidocker.tree import symlink

LAYERS = [Changeset({"/big": file(bytes(5000)), "/link": symlink("big")}), Changeset({"/x": file(b"x")})]


def counted(frames: list[Frame]) -> list[tuple[int | None, int, int]]:
    """(bytes in the writable layer, copied up, written) of each moment."""
    return [(frame.upper.size if frame.upper else None, frame.copied, frame.written) for frame in frames]


@pytest.mark.parametrize(
    ("act", "moments"),
    [
        ("append", [(None, 0, 0), (5000, 5000, 0), (5001, 5000, 1)]),
        ("overwrite", [(None, 0, 0), (0, 0, 0), (4, 0, 4)]),
        ("chmod", [(None, 0, 0), (5000, 5000, 0), (5000, 5000, 0)]),
        ("rm", [(None, 0, 0), (None, 0, 0), (0, 0, 0)]),
    ],
)
def test_what_lies_in_the_writable_layer_and_what_moved(act: str, moments: list[Any]) -> None:
    assert counted(play(sources(LAYERS), "/big", ACTS[act])[1]) == moments


def test_a_new_file_copies_nothing() -> None:
    assert counted(play(sources(LAYERS), "/new", ACTS["new file"])[1]) == [(None, 0, 0), (None, 0, 0), (4, 0, 4)]


def test_the_layers_stay_as_they_are() -> None:
    film(LAYERS, "/big", "append")
    assert LAYERS[0]["/big"].size == 5000


def test_a_link_is_followed_but_removed_itself() -> None:
    assert play(sources(LAYERS), "/link", ACTS["append"])[0] == "/big"
    assert play(sources(LAYERS), "/link", ACTS["rm"])[0] == "/link"


@pytest.mark.parametrize("act", ACTS)
def test_each_film_is_told_in_words_too(act: str, app: Image, parse: Callable[[Any], Any]) -> None:
    figure = film(app, "/app/hello.sh", act)
    parse(figure)
    assert figure == film(app, "/app/hello.sh", act)
    assert len(figure.twin.splitlines()) == 5 and "RUN rm /tmp/junk" in figure.twin


@pytest.mark.parametrize(
    ("path", "act", "error"),
    [
        ("/none", "chmod", "cannot chmod /none: No such file"),
        ("/big/x", "new file", "Not a directory"),
        ("/big", "burn", "no film of 'burn': there are append, overwrite"),
    ],
)
def test_what_cannot_be_done_is_said(path: str, act: str, error: str) -> None:
    with pytest.raises(InvalidArgument, match=error):
        film(LAYERS, path, act)
