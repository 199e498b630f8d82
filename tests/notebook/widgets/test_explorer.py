"""The layer-stack explorer, without a browser: what it lists, answers and shows."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("anywidget")

from minidocker.image import Image
from minidocker.layer import WHITEOUT, Changeset, directory, file
from minidocker.notebook.widgets.explorer import Explorer, explorer
from minidocker.notebook.widgets.face import Picture
from minidocker.notebook.widgets.inventory import MOST, PAGE, SEEN, Inventory

NAMES = [f"/usr/d{number % 7}/f{number:04}" for number in range(2000)]
LAYERS = [
    Changeset({**{name: file(b"old") for name in NAMES}, "/opt/old": file(b"1")}),
    Changeset({**{name: file(b"newer") for name in NAMES[::2]}, "/opt": directory()}, {"/opt"}),
    Changeset({NAMES[1]: WHITEOUT, "/a\u202e<b>": file(b"odd")}),
]


class Heard(Explorer):
    """An explorer whose messages to the browser can be read."""

    def __init__(self, thing: Any, path: str = "", search: str = "") -> None:
        super().__init__(thing, path, search)
        self.sent: list[dict[str, Any]] = []
        self.list.send = self.sent.append

    def ask(self, page: Any, version: Any = None) -> list[dict[str, Any]]:
        self.sent.clear()
        self.list.answer({"ask": page, "version": self.list.version if version is None else version})
        return list(self.sent)


def twin(picture: Picture) -> str:
    assert picture.figure
    return picture.figure.twin


def test_nothing_is_read_before_somebody_asks() -> None:
    made = Heard(LAYERS)
    assert (made.list.total, made.list.first, "tree" in made.inventory.found.__dict__) == (-1, [], False)
    made.ask(0)
    assert made.list.total == len(NAMES) - 1 + 10 and len(made.list.first) == PAGE


def test_a_page_comes_when_it_is_asked_for() -> None:
    made = Heard(LAYERS)
    made.ask(0)
    (page,) = made.ask(3)
    assert (page["page"], page["version"], page["rows"]) == (3, 1, made.inventory.rows(3 * PAGE, 4 * PAGE))
    assert made.ask(10**9)[0]["rows"] == [] and made.ask(-5)[0]["page"] == 0


@pytest.mark.parametrize("asked", [None, "0", 1.5, True, {}, [0]])
def test_what_is_no_question_is_left_alone(asked: Any) -> None:
    made = Heard(LAYERS)
    made.list.answer(asked)
    assert not made.ask(asked) and not made.ask(0, version=77) and made.list.total == -1


def test_at_most_500_rows_go_out_at_once() -> None:
    assert len(Inventory(LAYERS).rows(0, 10**9)) == MOST


def test_a_filter_keeps_the_paths_with_the_letters_in_them() -> None:
    made = Heard(LAYERS)
    made.ask(0)
    made.search.value = "F000"
    assert (made.list.total, made.list.said) == (9, "9 of 2,009 paths")
    assert made.list.first[0] == ["M", "/usr/d0/f0000", "layer 2", "5B"]
    made.search.value = "nowhere"
    assert (made.list.total, made.list.first) == (0, [])


def test_one_layer_is_listed_with_its_letters() -> None:
    made = Heard(LAYERS)
    made.place.value = "layer 3"
    assert made.list.first == [["A", "/a\\u202e<b>", "layer 3", "3B"], ["D", NAMES[1], "layer 3", ""]]
    made.place.value = "layer 2"
    assert made.list.first[0] == ["D", "/opt/*", "layer 2", ""]


def test_the_selected_row_shows_its_ray_and_its_content_at_this_layer() -> None:
    made = Heard(LAYERS)
    made.ask(0)
    made.search.value = "f0000"
    made.list.selected = 0
    assert "layer 2  answers: file, 5B" in twin(made.ray) and "newer" in twin(made.content)
    made.place.value = "layer 1"
    assert made.path == "/usr/d0/f0000" and "in layer 1: file, 3B\n  old" in twin(made.content)
    assert made.list.said == "row 1 of 1: /usr/d0/f0000"


def test_an_opaque_directory_s_row_leads_to_the_directory() -> None:
    made = Heard(LAYERS)
    made.place.value = "layer 2"
    made.list.selected = 0
    assert made.path == "/opt" and "answers: directory" in twin(made.ray)


def test_it_begins_where_it_is_told_to() -> None:
    made = Heard(LAYERS, path=NAMES[7])
    assert NAMES[7] in made.face().twin
    made.ask(0)
    assert made.path == NAMES[7] and NAMES[7] in twin(made.ray)


def test_a_row_that_is_not_there_changes_nothing() -> None:
    made = Heard(LAYERS)
    made.ask(0)
    made.list.selected = 10**6
    assert (made.path, made.ray.figure) == ("", None)


def test_a_damaged_file_is_said_and_nothing_breaks() -> None:
    class Gone(Changeset):
        def __getitem__(self, path: str) -> Any:
            raise FileNotFoundError(2, "the blob is gone", path)

    made = Heard(LAYERS)
    made.ask(0)
    made.inventory.found.layers[2] = Gone(LAYERS[2])
    made.list.selected = 0
    assert "the blob is gone" in twin(made.ray)


def test_the_layers_of_an_image_are_its_instructions(app: Image) -> None:
    made = explorer(app)
    assert list(made.inventory.places) == [
        SEEN,
        "3  RUN rm /tmp/junk",
        "2  COPY hello.sh /app/",
        "1  FROM minidocker/base: 1 layer",
    ]
    assert made.face() == explorer(app).face()


def test_there_is_something_to_see_with_and_without_a_kernel(app: Image) -> None:
    bundle = explorer(app, path="/app/hello.sh")._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} == set(bundle)
    assert "echo hello" in bundle["text/plain"] and "<svg" in bundle["text/html"]
