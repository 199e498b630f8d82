"""Where folders are kept, and whose the files of a volume are: what is drawn is what the engine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minidocker.engine import Engine, connect
from minidocker.notebook.pictures.homes import MOST, Home, homes, homes_figure, look, without
from minidocker.notebook.pictures.owners import Owned, owners, owners_figure, users
from tests.notebook.conftest import Parse

PLACES = ("/own", "/named", "/bound")
RECIPE = "FROM minidocker/base\nRUN for p in own named bound; do mkdir /$p; echo x > /$p/menu; done\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with connect(tmp_path / "engine", runtime="simulated") as engine:
        yield engine
        for container in engine.containers.list(all=True):
            container.remove(force=True)


def test_each_folder_has_its_home_and_what_is_left_of_it(engine: Engine, tmp_path: Path) -> None:
    (desk := tmp_path / "desk").mkdir()
    image, _ = engine.images.build(text=RECIPE)
    volumes = ["shelf:/named:ro", f"{desk}:/bound"]
    shop = engine.containers.run(image, ["sh", "-c", "sleep 1000"], name="shop", detach=True, volumes=volumes)
    shop.exec_run(["sh", "-c", "echo 1 > /own/order; echo 1 > /bound/order"])
    found = look(shop, PLACES)
    assert [home.kind for home in found] == ["writable layer", "volume shelf", "bind mount"]
    assert [home.inside for home in found] == [("menu", "order"), ("menu",), ("order",)]
    assert [home.kept for home in found] == [("order",), ("menu",), ("order",)]
    assert [home.read_only for home in found] == [False, True, False]
    twin = homes(shop, *PLACES).twin
    assert "/named   menu                         -> volume shelf, read-only: menu" in twin
    shop.remove(force=True)
    left = [without(engine, home) for home in found]
    assert [(home.inside, home.kept) for home in left] == [(None, None), (None, ("menu",)), (None, ("order",))]
    assert "no container" in homes_figure("gone", left).twin
    engine.volumes.get("shelf").remove()
    assert without(engine, found[1]).kept is None


def test_a_long_list_is_cut_and_a_strangers_name_is_harmless(parse: Parse) -> None:
    names = tuple(f"<b>{number}" for number in range(9))
    figure = homes_figure("x", [Home("/a", "volume v", names, names), Home("/b", "tmpfs", (), ())], ["<i>"])
    assert f"… {9 - MOST + 1} more" in "".join(parse(figure).itertext())
    assert "and 5 files more" in figure.twin and "nothing" in figure.twin


def test_names_of_owners_come_from_the_images_and_numbers_from_the_disk(engine: Engine) -> None:
    safe = "mkdir -m 700 /safe && touch /safe/secret && chown -R 1000 /safe"
    line = "echo ann:x:1000:1000::/:/bin/sh >> /etc/passwd"
    engine.images.build(text=f"FROM minidocker/base\nRUN {line} && {safe}\n", tag="anns")
    engine.images.build(text=f"FROM minidocker/base\nRUN {line.replace('ann', 'bob')}\n", tag="office")
    engine.containers.create("anns", "true", volumes=["safe:/safe"])
    figure = owners(engine, "safe", "anns", "office")
    assert "-rw-r--r--   1000  secret     ann in anns, bob in office" in figure.twin
    assert users(engine.images.get("office"))[1000] == "bob"


def test_a_number_without_a_name_is_said_to_be_one(parse: Parse) -> None:
    figure = owners_figure("v", [Owned("f", "-rw-------", 7)], {"one": {7: "seven"}, "two": {}})
    words = "".join(parse(figure).itertext())
    assert "seven" in words and "a number without a name" in words
    assert "seven in one, nobody has it in two" in figure.twin
