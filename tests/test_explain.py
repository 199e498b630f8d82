"""An image read backwards: what is wasted is what nobody sees, and advice that is followed saves what it promised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidocker import connect
from minidocker.content import Store
from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import WHITEOUT, Changeset, directory, file
from minidocker.union import blame

HEAD = "FROM minidocker/base\n"
MAKE = "RUN yes x | head -c 100000 > /big\n"


class Shop:
    """An engine and a folder to build in."""

    def __init__(self, root: Path) -> None:
        self.engine, self.folder = connect(root / "engine", runtime="simulated"), root / "context"
        self.folder.mkdir()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def build(self, text: str, name: str = "app") -> Image:
        image: Image = self.engine.images.build(path=self.folder, text=HEAD + text, tag=name)[0]
        return image


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    made.write(one="1" * 5000, two="2" * 300)
    yield made
    made.engine.close()


FOLLOWED = {
    "deleted by a later RUN": (
        "merge",
        MAKE + "RUN rm /big\n",
        "RUN yes x | head -c 100000 > /big && rm /big\n",
        100_000,
    ),
    "made, used, deleted": (
        "merge",
        MAKE + "RUN wc -c < /big > /size\nRUN rm /big\n",
        "RUN yes x | head -c 100000 > /big && wc -c < /big > /size && rm /big\n",
        100_000,
    ),
    "replaced": (
        "merge",
        MAKE + "RUN echo small > /big\n",
        "RUN yes x | head -c 100000 > /big && echo small > /big\n",
        100_000,
    ),
    "a whole directory deleted": (
        "merge",
        "RUN mkdir /d && echo one > /d/one && echo two > /d/two\nRUN rm -r /d\n",
        "RUN mkdir /d && echo one > /d/one && echo two > /d/two && rm -r /d\n",
        8,
    ),
    "copied and deleted": ("merge", "COPY . /app/\nRUN rm /app/one\n", "COPY two /app/\nRUN true\n", 5000),
    "copied over": ("merge", "COPY one /x\nCOPY two /x\n", "COPY two /x\n", 5000),
    "another owner": (
        "copy",
        "COPY . /app/\nRUN chown -R 1000:1000 /app\n",
        "COPY --chown=1000:1000 . /app/\nRUN true\n",
        5300,
    ),
    "another mode": (
        "copy",
        "COPY one two /\nRUN chmod 755 /two\n",
        "COPY one /\nCOPY --chmod=755 two /\nRUN true\n",
        300,
    ),
    "a cache left": (
        "clean",
        "RUN mkdir -p /var/lib/apt/lists && echo list > /var/lib/apt/lists/main\n",
        "RUN mkdir -p /var/lib/apt/lists && echo list > /var/lib/apt/lists/main && rm /var/lib/apt/lists/main\n",
        5,
    ),
    "temporary files": ("clean", "RUN echo junk > /tmp/junk\n", "RUN echo junk > /tmp/junk && rm /tmp/junk\n", 5),
}


@pytest.mark.parametrize(("kind", "careless", "careful", "saved"), FOLLOWED.values(), ids=FOLLOWED)
def test_advice_that_is_followed_saves_what_it_promised(
    shop: Shop, kind: str, careless: str, careful: str, saved: int
) -> None:
    before, after = shop.build(careless), shop.build(careful, "better")
    first, *others = before.explain().advice
    assert (first.kind, first.bytes, others) == (kind, saved, [])
    assert before.size - after.size == saved
    assert not after.explain().advice, "nothing is left to do"


def test_it_names_the_lines_as_the_dockerfile_has_them(shop: Shop) -> None:
    found = shop.build("# a comment\nWORKDIR /app\n" + MAKE + 'CMD ["sh"]\nRUN rm /big\n').explain()
    assert [(line.line, line.layer > 0, line.text) for line in found.own] == [
        (3, True, "WORKDIR /app"),
        (4, True, MAKE.strip()),
        (5, False, 'CMD ["sh"]'),
        (6, True, "RUN rm /big"),
    ]
    assert found.advice[0].text == "line 6 deletes /big of line 4, where the bytes stay: make one RUN of lines 4 and 6"
    assert (found.base, found.efficiency, found.wasted) == ("minidocker/base", 0.0, 100_000)
    assert found.own[1].seconds > 0


def test_a_copy_goes_below_a_run_that_did_not_care(shop: Shop) -> None:
    run = "RUN cat /app/two > /installed\n"
    shop.build("COPY . /app/\n" + run)
    assert not shop.engine.images.explain("app").advice
    shop.write(one="edited")
    found = shop.build("COPY . /app/\n" + run).explain()
    [advice] = found.advice
    assert (advice.kind, [line.line for line in advice.lines], advice.seconds) == ("move", [2, 3], found.own[1].seconds)
    assert advice.text.startswith(
        "one changed since the build before, and yet line 3 came out the same: move line 2 below"
    )
    better = "COPY two /app/\n" + run + "COPY . /app/\n"
    shop.build(better)
    shop.write(one="edited again")
    plan = shop.engine.images.forecast(path=shop.folder, text=HEAD + better, tag="app")
    assert plan.steps[2].decision.hit, "the RUN, and with it those seconds, is saved"
    [again] = shop.build(better).explain().advice
    assert again.bytes == 300 and again.text.endswith("has copied: leave it out with --exclude")


@pytest.mark.parametrize(
    "below",
    [
        "RUN cat /app/one > /installed\n",  # reads what changed
        "RUN echo more >> /app/one\n",  # writes to it
        "WORKDIR /elsewhere\nRUN echo done > /installed\n",  # another place for a relative COPY
    ],
)
def test_a_copy_stays_above_what_needs_it(shop: Shop, below: str) -> None:
    text = "COPY . /app/\n" + below
    shop.build(text)
    shop.write(one="edited")
    assert "move" not in [one.kind for one in shop.build(text).explain().advice]


def test_of_a_secret_only_the_name_is_told(shop: Shop) -> None:
    found = shop.build("ARG API_TOKEN=s3cr3t\nENV PASSWORD=hunter2 USER=me PUBLIC_KEY=open\nRUN true\n").explain()
    assert [one.lines[0].line for one in found.advice] == [2, 3]
    assert "API_TOKEN" in found.advice[0].text and "PASSWORD" in found.advice[1].text
    told = str(found) + json.dumps(found.to_json())
    assert "s3cr3t" not in told and "hunter2" not in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("CMD sleep 10", ["exec"]),
        ("ENTRYPOINT sleep 10", ["exec"]),
        ("CMD exec sleep 10", []),
        ('CMD ["sleep", "10"]', []),
    ],
)
def test_a_shell_as_process_1_is_told(shop: Shop, line: str, told: list[str]) -> None:
    assert [one.kind for one in shop.build(line + "\n").explain().advice] == told


def test_what_the_base_holds_nobody_can_take_back(shop: Shop) -> None:
    found = shop.build("RUN rm /etc/os-release\n").explain()
    assert (found.advice, found.wasted, found.own[0].hidden) == ([], 0, 1)
    shop.build(MAKE + "CMD sleep 1\n", "parent")
    child = shop.engine.images.build(path=shop.folder, text="FROM parent\nRUN rm /big\n", tag="child")[0].explain()
    assert (child.base, child.advice, child.size) == ("parent", [], 0)


def test_nothing_but_the_image_is_needed(shop: Shop) -> None:
    image = shop.build(MAKE + "RUN rm /big\n")
    shop.engine.images.prune_builds()
    found = image.explain()
    assert {(line.line, line.seconds) for line in found.lines} == {(0, 0.0)}
    assert found.advice[0].text.startswith("layer 4 deletes /big of layer 3")
    assert found.advice[0].bytes == 100_000


# Images that others made


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(Store(tmp_path))


def image_of(images: Images, *layers: Changeset, **config: Any) -> Image:
    return images.create(config, [images.add_layer(layer) for layer in layers])


def test_opaque_directories_whiteouts_and_hard_links_are_understood(images: Images) -> None:
    below = Changeset(
        {
            "/d/a": file(b"12345", link="x"),
            "/d/b": file(b"12345", link="x"),
            "/d/c": file(b"123"),
            "/e": file(b"1234567"),
            "/f": file(b"12"),
        }
    )
    found = image_of(
        images, below, Changeset({"/d": directory(), "/d/c": file(b"now")}, {"/d"}), Changeset({"/e": WHITEOUT})
    ).explain()
    assert [(line.added, line.changed, line.hidden, line.size, line.wasted) for line in found.lines] == [
        (5, 0, 0, 17, 15),
        (0, 1, 2, 3, 0),
        (0, 0, 1, 0, 0),
    ]
    assert [(one.bytes, one.lines[1].layer) for one in found.advice] == [(8, 2), (7, 3)]


def test_half_of_a_hard_link_is_no_waste(images: Images) -> None:
    both = Changeset({"/a": file(b"1234", link="x"), "/b": file(b"1234", link="x")})
    assert image_of(images, both, Changeset({"/a": WHITEOUT})).explain().wasted == 0
    assert image_of(images, both, Changeset({"/a": WHITEOUT}), Changeset({"/b": WHITEOUT})).explain().wasted == 4


def test_an_image_without_history_or_layers_can_be_read(images: Images) -> None:
    assert [line.text for line in image_of(images, Changeset({"/a": file(b"a")})).explain().lines] == ["a layer"]
    assert (image_of(images).explain().lines, image_of(images).explain().efficiency) == ((), 1.0)
    classic = [{"created_by": "/bin/sh -c #(nop)  ENV A=1", "empty_layer": True}, {"created_by": "/bin/sh -c make"}]
    lines = image_of(images, Changeset({"/a": file(b"a")}), history=classic).explain().lines
    assert [(line.text, line.layer) for line in lines] == [("ENV A=1", 0), ("RUN make", 1)]


NAMES = st.sampled_from(["/a", "/b", "/d", "/d/a", "/d/e", "/d/e/f"])
ENTRIES = st.sampled_from(
    [file(b"1"), file(b"22"), file(b"22", mode=0o755), directory(), WHITEOUT, file(b"333", link="L")]
)
LAYERS = st.lists(
    st.dictionaries(NAMES, ENTRIES, max_size=4).filter(
        lambda entries: (
            not any(path.startswith(f"{up}/") for up, entry in entries.items() if not entry.is_dir for path in entries)
        )
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(LAYERS)
def test_what_is_wasted_is_what_blame_finds(layers: list[dict[str, Any]]) -> None:
    from minidocker.explain import _walk

    changes = [Changeset(entries) for entries in layers]
    assert sum(fate.size for fate in _walk(changes)[1]) == sum(one.wasted for one in blame(changes))
