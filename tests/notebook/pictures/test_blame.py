"""The blame column: who answers for each file, who has it in vain, and what that wastes."""

from __future__ import annotations

from xml.etree import ElementTree

from minidocker.image import Image
from minidocker.layer import WHITEOUT, Changeset
from minidocker.notebook import blame
from minidocker.tree import directory, file
from tests.notebook.pictures.test_objects import NASTY


def test_it_names_the_layer_that_answers_and_those_that_have_a_file_in_vain() -> None:
    low = Changeset({"/etc": directory(), "/etc/motd": file(b"hello"), "/key": file(b"secret")})
    assert blame([low, Changeset({"/etc/motd": file(b"hi")}), Changeset({"/key": WHITEOUT})]).twin.splitlines() == [
        "who answers in 3 layers  (efficiency 15 %: 2B of 13B are seen, 11B wasted)",
        "  /etc/motd   layer 2; in vain in layer 1; wastes 5B",
        "  /key        deleted by layer 3; in vain in layer 1; wastes 6B",
    ]


def test_the_base_is_one_lane_without_sizes(app: Image) -> None:
    assert blame(app).twin.splitlines() == [
        "who answers in image app:latest  (efficiency 59 %: 10B of 17B are seen, 7B wasted, the base left out)",
        "  /app/hello.sh   layer 3; in vain in layer 2; wastes 7B",
        "  /tmp/junk       deleted by layer 3; in vain in the base",
    ]
    assert "4B" not in blame(app).body


def test_a_part_of_the_tree(app: Image) -> None:
    assert blame(app, "/app").twin.splitlines()[1:] == ["  /app/hello.sh   layer 3; in vain in layer 2; wastes 7B"]
    assert blame(app, "/nope").twin.splitlines()[1:] == ["  no layer has a file at /nope"]


def test_of_too_many_files_those_that_waste_most_are_drawn() -> None:
    low = Changeset({f"/f{number:03}": file(b"x" * number) for number in range(100)})
    shown = blame([low, Changeset(dict.fromkeys(low, WHITEOUT))]).twin.splitlines()
    assert (len(shown), shown[1][:7], shown[-1]) == (32, "  /f070", "  and 70 files more")


def test_a_strange_name_stays_text() -> None:
    drawn = blame([Changeset({NASTY: file(b"x")}), Changeset({NASTY: file(b"y")})])
    assert "<script" not in drawn.html() and "\x1b" not in drawn.twin
    assert ElementTree.fromstring(drawn.svg()) is not None


def test_many_layers_still_fit() -> None:
    drawn = blame([Changeset({"/a": file(b"x" * number)}) for number in range(60)])
    boxes = [
        float(box.get("width", 0)) for box in ElementTree.fromstring(drawn.svg()).iter() if box.tag.endswith("rect")
    ]
    assert len(boxes) == 60 and min(boxes) > 4
