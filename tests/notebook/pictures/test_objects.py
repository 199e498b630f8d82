"""Every picture: computed from state, the same for the same state, readable by everybody, safe with any name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from minidocker.build.cache import Decision
from minidocker.errors import InvalidArgument
from minidocker.explain import base_of
from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import WHITEOUT, Changeset
from minidocker.notebook import figure, mimebundle, stack, text
from minidocker.notebook.pictures.facts import Mark, Seen, marks, rows, seen
from minidocker.notebook.pictures.files import layer_figure
from minidocker.notebook.pictures.journey import Journey, walk_figure
from minidocker.notebook.pictures.ladder import ladder, ladders
from minidocker.notebook.pictures.life import Life, container_figure
from minidocker.notebook.pictures.machine import STATES
from minidocker.notebook.pictures.objects import config_lines, draw_image
from minidocker.notebook.pictures.stack import core_sample
from minidocker.notebook.pictures.svg import Figure
from minidocker.tree import Tree, directory, file, symlink

Parse = Callable[[Figure], ElementTree.Element]
SVG = "{http://www.w3.org/2000/svg}"
NASTY = '/a<script>alert("x")</script>&\x1b[31m\u202etxt'


def words(root: ElementTree.Element) -> str:
    return " ".join("".join(node.itertext()) for node in root.iter(f"{SVG}text"))


def life(status: str = "running", **other: Any) -> Life:
    plain: dict[str, Any] = {
        "name": "web",
        "image": "app:latest",
        "command": "sh",
        "exit_code": 0,
        "layers": (),
        "changes": (),
    }
    return Life(**plain | {"status": status} | other)


def step(text: str, hit: bool, reason: str, size: int | None = None) -> Any:
    layer = None if size is None else SimpleNamespace(size=size)
    return SimpleNamespace(text=text, decision=Decision(hit, reason, ""), layer=layer)


STEPS = [
    step("FROM minidocker/base", True, "the base is here"),
    step("COPY a.py .", False, "miss because a.py changed", 12),
    step("RUN x", False, "parent changed"),
]
FIGURES = {
    "stack": lambda: core_sample("x", []),
    "layer": lambda: layer_figure("layer", Changeset({"/a": file(b"x"), "/b": WHITEOUT, "/l": symlink("a")})),
    "ladder": lambda: ladder("build", STEPS, 5),
    "container": lambda: container_figure(life()),
    "walk": lambda: walk_figure(Journey("app", ("FROM x",))),
}


# What is told


def test_a_path_that_is_new_is_added_known_is_modified_white_is_deleted() -> None:
    lower = Tree({"/etc/motd": file(b"1"), "/tmp/junk": file(), "/var/log/a": file()})
    layer = Changeset(
        {
            "/etc": directory(),
            "/etc/motd": file(b"2"),
            "/new": directory(),
            "/new/f": file(b"123"),
            "/tmp": directory(),
            "/tmp/junk": WHITEOUT,
            "/empty": directory(),
        },
        frozenset({"/var/log"}),
    )
    assert list(map(str, marks(lower, layer))) == [
        "A /empty",
        "M /etc/motd",
        "A /new/f",
        "D /tmp/junk",
        "D /var/log/*",
    ]


def test_a_directory_whose_mode_changes_is_modified() -> None:
    assert marks(Tree({"/tmp": directory()}), Changeset({"/tmp": directory(0o1777)}))[0].letter == "M"


def test_an_image_is_one_row_for_each_line_of_its_history(app: Image) -> None:
    assert [(row.text, row.number, [str(mark) for mark in row.marks]) for row in rows(app)] == [
        ("ADD rootfs /", 1, ["A /bin/sh", "A /tmp/junk"]),
        ('CMD ["sh"]', 0, []),
        ("COPY hello.sh /app/", 2, ["A /app/hello.sh"]),
        ("ENV GREETING=Hello", 0, []),
        ("RUN rm /tmp/junk", 3, ["M /app/hello.sh", "D /tmp/junk"]),
    ]


def test_the_base_folds_into_one_row_without_a_size(app: Image, images: Images, base: Image) -> None:
    found = base_of(app, images.list())
    assert found == base
    folded = rows(app, found)
    assert (folded[0].text, folded[0].folded, folded[0].size) == ("FROM minidocker/base", 1, None)
    assert [row.number for row in folded] == [1, 2, 0, 3]
    assert base_of(base, images.list()) is None


def test_above_the_stack_is_what_a_container_sees_of_it(app: Image) -> None:
    assert seen(app.blame()) == {1: Seen(1, 1000), 3: Seen(1, 10)}
    told = draw_image(app).twin.splitlines()
    assert told[1] == "  sees 10B of 17B in 1 file, and the base"
    assert draw_image(app, fold=False).twin.splitlines()[1] == "  sees 1.01kB of 1.02kB in 2 files"


def test_the_newest_can_be_at_the_bottom_as_in_a_dockerfile(app: Image) -> None:
    upright, upside_down = stack(app).twin.splitlines(), stack(app, newest="bottom").twin.splitlines()
    assert upside_down == [upright[0], *upright[:0:-1]]
    with pytest.raises(InvalidArgument, match='"top" or at the "bottom"'):
        stack(app, newest="left")


def test_layers_without_history_are_shown_too(images: Images) -> None:
    image = images.create({}, [images.add_layer(Changeset({"/a": file(b"x")}))])
    assert [(row.number, row.size) for row in rows(image)] == [(1, 1)]


def test_the_config_lists_what_a_container_starts_with(app: Image) -> None:
    assert config_lines(app.config) == ["Cmd sh /app/hello.sh", "WorkingDir /app", "Env GREETING=Hello"]


# What is drawn


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_well_formed_titled_and_described(name: str, parse: Parse) -> None:
    drawn = FIGURES[name]()
    root = parse(drawn)
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert root[0].text and root[1].text
    assert drawn.twin.strip()


@pytest.mark.parametrize("name", FIGURES)
def test_equal_state_gives_equal_bytes(name: str) -> None:
    assert FIGURES[name]().html() == FIGURES[name]().html()


@pytest.mark.parametrize("name", FIGURES)
def test_colours_come_from_the_theme_with_a_fallback(name: str) -> None:
    html = FIGURES[name]().html()
    assert not re.search(r"var\(--jp-[\w-]+\)", html), "a variable without fallback"
    assert "fill:var(--jp-ui-font-color1,CanvasText)" in html
    assert "black" not in html and "white;" not in html


def test_ids_of_different_figures_never_meet() -> None:
    one = layer_figure("a", Changeset({"/a": WHITEOUT})).svg()
    two = layer_figure("a", Changeset({"/b": WHITEOUT})).svg()
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, two)]
    assert ids[0] and ids[1] and not ids[0] & ids[1]
    assert f"url(#{ids[0].pop()})" in one


def test_each_letter_has_its_own_shape_besides_its_colour(app: Image, parse: Parse) -> None:
    root = parse(draw_image(app))
    assert {"A", "M", "D"} <= {node.text for node in root.iter(f"{SVG}tspan")}
    deleted = next(node for node in root.iter(f"{SVG}rect") if "md-d" in (node.get("class") or ""))
    assert (deleted.get("fill") or "").startswith("url(#")
    assert "md-gone" in draw_image(app).svg()


def test_the_core_is_true_to_scale(images: Images, parse: Parse) -> None:
    sizes = [900, 100, 3000]
    layers = [images.add_layer(Changeset({f"/{n}": file(b"x" * size)})) for n, size in enumerate(sizes)]
    root = parse(draw_image(images.create({}, layers)))
    heights = [float(node.get("height") or 0) for node in root.iter(f"{SVG}rect") if node.get("width") == "44"]
    assert [height / sum(heights) for height in heights] == pytest.approx([0.75, 0.025, 0.225], abs=0.003)


def test_the_newest_layer_is_on_top(app: Image) -> None:
    twin = text(app)
    assert twin.index("RUN rm") < twin.index("COPY hello.sh") < twin.index("FROM minidocker/base")


@pytest.mark.parametrize("state", STATES)
def test_the_state_a_container_is_in_is_lit_and_marked(state: str, parse: Parse) -> None:
    assert f"▸ {state}" in words(parse(container_figure(life(state))))


def test_the_walk_grows_station_by_station(app: Image, parse: Parse) -> None:
    made = tuple(rows(app))
    lines = tuple(row.text for row in made)
    stages = [
        Journey("app", lines),
        Journey("app", lines, made, ("Cmd sh",)),
        Journey("app", lines, made, ("Cmd sh",), (life(changes=(Mark("/app/out", "A"),)), life("exited"))),
    ]
    assert [words(parse(walk_figure(stage))).split().count("?") for stage in stages] == [3, 1, 0]
    assert "web running; own layer: A /app/out" in walk_figure(stages[2]).twin


def test_a_ladder_shows_hits_misses_and_what_is_to_come(parse: Parse) -> None:
    drawn = ladder("build", STEPS, 5)
    assert words(parse(drawn)).count("…") == 2
    assert "5 steps: 1 from the cache, 2 built, 2 to go" in drawn.twin
    assert "MISS COPY a.py .\n       miss because a.py changed" in drawn.twin


def test_a_forecast_has_three_kinds_of_rungs(parse: Parse) -> None:
    open_ = step("COPY --from=a / /", False, "depends on what stage a makes this time")
    open_.decision = Decision(False, open_.decision.reason, "", depends=True)
    drawn = ladder("forecast", [*STEPS, open_], forecast=True)
    assert {"hit", "miss", "depends"} <= set(words(parse(drawn)).split())
    assert "4 steps: 1 from the cache, 2 to build, 1 depending on what is built" in drawn.twin
    assert drawn.twin.endswith("DEPENDS COPY --from=a / /\n       depends on what stage a makes this time")


def test_two_ladders_tell_what_an_order_costs(parse: Parse) -> None:
    builds: list[Any] = [
        SimpleNamespace(steps=steps, image=True) for steps in (STEPS, [step("COPY a.py .", True, "hit", 12)])
    ]
    drawn = ladders(builds[0], builds[1], titles=("bad", "good"))
    assert parse(drawn) is not None
    assert [line for line in drawn.twin.splitlines() if line.startswith(("bad", "good"))] == [
        "bad  (3 steps: 1 from the cache, 2 built; 12B built, 0B from the cache)",
        "good  (1 step: 1 from the cache, 0 built; 0B built, 12B from the cache)",
    ]


# Strangers' names


def test_names_cannot_break_out_of_a_picture(images: Images, parse: Parse) -> None:
    image = images.create(
        {"history": [{"created_by": f"RUN echo {NASTY}"}]}, [images.add_layer(Changeset({NASTY: file(b"x")}))]
    )
    for drawn in (
        draw_image(image),
        layer_figure(NASTY, Changeset({NASTY: file(b"x")})),
        walk_figure(Journey(NASTY, (NASTY,))),
    ):
        parse(drawn)
        assert "<script" not in drawn.html().lower()
        for told in (drawn.html(), drawn.twin):
            assert "\x1b" not in told and "\u202e" not in told


def test_thousands_of_files_make_a_small_picture(images: Images) -> None:
    many = Changeset({f"/data/file-{n}": file(b"%d" % n) for n in range(2000)})
    assert len(layer_figure("many", many).html()) < 40_000
    image = images.create({}, [images.add_layer(many)])
    assert len(draw_image(image).html()) < 10_000
    assert "+1" in draw_image(image).svg()


# One door for everything


def test_a_bundle_holds_a_picture_and_its_twin(app: Image) -> None:
    bundle = mimebundle(app)
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == text(app) == str(app)
    assert "<svg" in bundle["text/html"]


def test_layers_trees_and_changes_draw_themselves(app: Image) -> None:
    assert "A   app/" not in text(app.layers[1])
    assert "/app/hello.sh" in figure(app.layers[1]).description
    assert figure(app.tree()).title == "a file tree"
    assert figure(app.layers[2].changes).twin.count("whiteout") == 1


def test_of_other_things_there_is_no_picture() -> None:
    @dataclass
    class Image:
        tags: list[str]

    with pytest.raises(TypeError, match="no picture of a Image"):
        figure(Image([]))


def test_no_module_takes_the_name_of_a_function_away() -> None:
    from minidocker import notebook

    assert all(getattr(notebook, name) for name in notebook.PLACES)
    assert not {path.stem for path in Path(notebook.__file__).parent.glob("*.py")} & set(notebook.PLACES)
