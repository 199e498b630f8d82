"""The lookup ray: the path through the sources, why it ends, and what is seen there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minidocker.errors import InvalidArgument
from minidocker.image import Image
from minidocker.layer import WHITEOUT, Changeset, directory, file
from minidocker.notebook.pictures.ray import ray
from minidocker.notebook.pictures.sources import said, sources
from minidocker.tree import symlink

BOTTOM = Changeset(
    {
        "/etc/motd": file(b"hello\n"),
        "/etc/key": file(b"s3cret"),
        "/bin": symlink("usr/bin"),
        "/usr/bin/sh": file(b"\x7fELF\0"),
        "/app/old": file(b"old"),
        "/opt": directory(),
        "/opt/a": file(),
    }
)
MIDDLE = Changeset({"/etc/motd": file(b"welcome\nall"), "/etc/key": WHITEOUT, "/opt": directory(), "/opt/b": file()})
TOP = Changeset({"/app": directory(), "/app/new": file(b"new"), "/tmp": file(b"no folder")}, {"/app"})
STACK = [BOTTOM, MIDDLE, TOP]


@pytest.mark.parametrize(
    ("path", "verdicts", "seen"),
    [
        ("/etc/motd", "silent answers hidden", "welcome  (file, 11B)"),
        ("/etc/key", "silent hides hidden", "No such file or directory"),
        ("/app/old", "hides silent hidden", "No such file or directory"),
        ("/app/new", "answers silent silent", "new  (file, 3B)"),
        ("/tmp/x", "hides silent silent", "Not a directory"),
        ("/nothing", "silent silent silent", "No such file or directory"),
        ("/usr/bin/sh", "silent silent answers", "bytes, not text  (file, 5B)"),
        ("/bin", "silent silent answers", "go on with /usr/bin  (symbolic link -> usr/bin)"),
        ("/opt", "silent answers hidden", "a  b  (directory)"),
        ("/opt/a", "silent silent answers", "an empty file  (file, 0B)"),
    ],
)
def test_the_ray_ends_where_the_path_is_found_or_hidden(path: str, verdicts: str, seen: str) -> None:
    assert [one.verdict for one in said(sources(STACK), path)] == verdicts.split()
    assert ray(STACK, path).twin.splitlines()[-1].strip() == f"seen  {seen}"


@pytest.mark.parametrize(
    ("path", "index", "why"),
    [
        ("/etc/key", 1, "a whiteout: it is deleted here"),
        ("/app/old", 0, "/app is opaque: it hides all below"),
        ("/tmp/x", 0, "/tmp is a file, 9B here"),
        ("/opt", 2, "what is in it shows too: directory"),
        ("/app", 1, "not asked any more"),
    ],
)
def test_each_source_says_why(path: str, index: int, why: str) -> None:
    assert said(sources(STACK), path)[index].why == why


def test_a_link_on_the_way_is_followed_first() -> None:
    twin = ray(STACK, "bin/sh").twin
    assert "a link on the way leads to /usr/bin/sh" in twin and "answers: file, 5B" in twin


@pytest.mark.parametrize("path", ["/a\u202eb\x1b[2J<b>&'", "", "/", "//etc/../etc/motd", "/" + "x" * 5000])
def test_any_name_can_be_asked_for(path: str, parse: Callable[[Any], Any]) -> None:
    figure = ray(STACK, path)
    parse(figure)
    assert figure.twin.replace("\n", "").isprintable() and len(figure.svg()) < 16_000


def test_an_image_has_its_instructions_and_its_base_is_one_source(app: Image) -> None:
    assert [source.name for source in sources(app).each] == [
        "FROM minidocker/base: 1 layer",
        "COPY hello.sh /app/",
        "RUN rm /tmp/junk",
    ]
    assert ray(app, "/app/hello.sh") == ray(app, "/app/hello.sh")
    assert "echo hello" in ray(app, "/app/hello.sh").twin


def test_what_has_no_layers_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="a str has no layers"):
        ray("/etc", "/etc")
