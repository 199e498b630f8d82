"""The lookup ray: the path through the sources, why it ends, and what is seen there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.container import Container
from minidocker.engine import Engine, connect
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.image import Image
from minidocker.layer import WHITEOUT, Changeset, directory, file
from minidocker.notebook.pictures.patches import patched
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


# What is mounted


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with connect(tmp_path / "engine", runtime="simulated") as engine:
        yield engine


def made(engine: Engine, folder: Path, **options: Any) -> Container:
    folder.mkdir(exist_ok=True)
    (folder / "menu").write_text("apples\n")
    recipe = "FROM scratch\nCOPY menu /app/menu\nCOPY menu /data/menu\n"
    image, _ = engine.images.build(path=str(folder), text=recipe)
    (folder / "menu").write_text("pears\n")
    return engine.containers.create(image, "true", **options)


def told(container: Container, path: str) -> list[str]:
    return [f"{one.source.name}: {one.verdict}" for one in said(patched(container), path)]


def test_an_empty_folder_hides_and_an_empty_volume_begins_with_what_the_image_has(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    options = {"volumes": [f"{tmp_path}/empty:/app", "shelf:/data"]}
    shop = made(engine, tmp_path / "shop", **options)
    hidden = "COPY menu /app/menu: hidden"
    assert told(shop, "/app/menu")[:2] == ["volume shelf on /data: silent", "bind mount on /app: hides"]
    assert hidden in told(shop, "/app/menu")
    twin = ray(shop, "/app/menu").twin
    assert "has no such file, and hides all below" in twin and "is mounted on /data, not on the way" in twin
    assert twin.endswith("seen  No such file or directory")
    assert told(shop, "/data/menu")[0] == "volume shelf on /data: answers"
    assert ray(shop, "/data/menu").twin.endswith("seen  apples  (file, 7B)")


def test_what_lies_deeper_is_on_top_and_one_file_may_be_mounted(engine: Engine, tmp_path: Path) -> None:
    shop = made(engine, tmp_path, volumes=["/app/inner", f"{tmp_path}/menu:/app/menu", f"{tmp_path}:/app"])
    mounted = [line.partition(":")[0] for line in told(shop, "/app/inner")[:3]]
    assert mounted[2] == "bind mount on /app"
    assert {*mounted[:2]} == {"bind mount on /app/menu", "anonymous volume on /app/inner"}
    assert ray(shop, "/app/menu").twin.endswith("seen  pears  (file, 6B)")
    assert "/app/inner" in ray(shop, "/app/inner").title


def test_of_memory_nobody_outside_says_what_is_in_it(engine: Engine, tmp_path: Path) -> None:
    shop = made(engine, tmp_path, tmpfs={"/app": ""})
    assert "tmpfs on /app" in ray(shop, "/data/menu").twin
    assert ray(shop, "/app").twin.splitlines()[-1].strip() == "seen  nothing is in it  (directory)"
    with pytest.raises(Unsupported, match="only the container's own processes see it"):
        ray(shop, "/app/menu")


def test_the_ray_passes_beside_a_patch_that_is_not_on_its_way(engine: Engine, tmp_path: Path) -> None:
    shop = made(engine, tmp_path, volumes=["shelf:/data"])
    beside, through = ray(shop, "/app/menu").body, ray(shop, "/data/menu").body
    assert "x='256' width='288'" in beside and "x='256' width='288'" not in through
