"""A build walked through: what each step takes, makes and leaves; all steps at once; the variables beside the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import minidocker
from minidocker.build import Build, Step
from minidocker.build.records import prune
from minidocker.engine import Engine
from minidocker.notebook.pictures.ledger import ledger
from minidocker.notebook.pictures.moments import compare, moments
from minidocker.notebook.pictures.scopes import scopes
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.pictures.trace import MOST, trace

RECIPE = """# a recipe
ARG BASE=minidocker/base
FROM $BASE AS tools
RUN echo made > /tool
FROM $BASE
ARG V=1
ENV GREETING=Hello \\
    V2=$V
WORKDIR /app
COPY --chmod=644 a.txt b.txt ./
COPY --from=tools /tool .
COPY --chmod=644 <<EOF note
some notes
EOF
RUN rm a.txt && \\
    echo $V > b.txt
EXPOSE 80
CMD ["sh"]
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with minidocker.connect(tmp_path_factory.mktemp("engine"), runtime="simulated") as engine:
        yield engine


@pytest.fixture
def build(engine: Engine, tmp_path: Path) -> Callable[..., Build]:
    """Build a Dockerfile in a folder with some files."""
    for name in ("a.txt", "b.txt", "unused.txt"):
        (tmp_path / name).write_text(name)

    def run(text: str, **options: Any) -> Build:
        made: Build = engine.images.build(path=str(tmp_path), text=text, **options)[1]
        return made

    return run


def of(build: Build, start: str) -> int:
    return next(index for index, step in enumerate(build.steps) if step.text.startswith(start))


def words(figure: Figure) -> str:
    root = ElementTree.fromstring(figure.svg())
    return " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))


def test_each_step_knows_its_lines_with_continuations_and_heredocs(build: Callable[..., Build]) -> None:
    made = build(RECIPE)
    lines = {one.step.text.split()[0] + str(one.lines[0]): (one.lines[0], one.lines[-1]) for one in moments(made)}
    assert lines["ENV7"] == (7, 8) and lines["COPY12"] == (12, 14) and lines["RUN15"] == (15, 16)
    assert lines["FROM3"] == (3, 3) and lines["CMD18"] == (18, 18)


def test_what_each_step_made(build: Callable[..., Build]) -> None:
    made = build(RECIPE)
    told = {one.step.line: one for one in moments(made)}
    assert list(map(str, told[9].marks)) == ["A /app"]
    assert list(map(str, told[15].marks)) == ["D /app/a.txt", "M /app/b.txt"]
    assert [str(one) for one in told[7].config if one.letter] == ["A Env GREETING=Hello", "A Env V2=1"]
    assert [str(one) for one in told[6].args] == ["A ARG V=1"] and [str(one) for one in told[7].args] == ["ARG V=1"]
    assert told[17].made == "no layer: no file changes" and told[17].marks == ()
    assert told[5].made == "2 layers of its base"


def test_where_each_step_has_its_files_from(build: Callable[..., Build]) -> None:
    told = {one.step.line: one.source for one in moments(build(RECIPE))}
    assert told[10].lines == ((True, "a.txt"), (True, "b.txt")), "and nothing of what no line takes"
    assert told[17].lines == ((False, "a.txt"), (False, "b.txt")) and not told[17].taken
    assert (told[11].title, told[11].lines) == ("from tools", ((True, "tool"),))
    assert told[12].lines[0] == (True, "<<EOF, from the Dockerfile itself")
    assert told[15].title == "a process, for this line alone"
    assert [line for _, line in told[15].lines[1:]] == [
        "in /app as root",
        "sees V=1",
        "it ends here; only its files stay",
    ]


def test_without_its_cache_a_copy_still_knows_its_words(build: Callable[..., Build], engine: Engine) -> None:
    made = build("FROM scratch\nCOPY a.txt unused.txt /\n")
    prune(engine.store)
    assert moments(made)[1].source.lines == ((True, "a.txt"), (True, "unused.txt"))


def test_a_trigger_of_the_base_happens_on_the_line_of_its_from(build: Callable[..., Build]) -> None:
    made = build("FROM minidocker/base AS b\nONBUILD ENV X=1\nFROM b\nENV X=2\n")
    last = [(one.keyword, one.lines[0], [str(line) for line in one.config if line.letter]) for one in moments(made)[2:]]
    assert last[1:] == [("ENV", 3, ["A Env X=1", 'D OnBuild ["ENV X=1"]']), ("ENV", 4, ["M Env X=2"])]


def test_a_setting_may_vanish() -> None:
    assert [str(one) for one in compare({"Cmd": ["a"]}, {"Entrypoint": ["b"]})] == ['A Entrypoint ["b"]', 'D Cmd ["a"]']


def test_a_trace_is_a_sequence_of_pictures(build: Callable[..., Build]) -> None:
    made = build(RECIPE)
    steps = trace(made)
    assert len(steps) == len(made.steps) == len(list(steps)) == 12
    assert steps[-1].title == 'step 12 of 12: CMD ["sh"]' and [one.title for one in steps[:2]] == [
        "step 1 of 12: FROM $BASE AS tools",
        "step 2 of 12: RUN echo made > /tool",
    ]
    assert steps[3] is steps[3], "drawn once"
    assert len({(one.width, one.height) for one in steps}) == 1, "nothing jumps"
    with pytest.raises(IndexError):
        steps[12]


def test_a_picture_tells_line_files_configuration_and_why(build: Callable[..., Build]) -> None:
    made = build(RECIPE, nocache=True)
    shown = trace(made)[of(made, "RUN rm")]
    assert "▸  15 RUN rm a.txt && \\\n ▸  16     echo $V > b.txt" in shown.twin
    assert "lines 15 to 16; miss because of --no-cache" in shown.twin
    for part in ("D /app/a.txt", "M /app/b.txt", "sees V=1", "Env GREETING=Hello"):
        key, text = part.split(" ", 1)
        assert key in shown.twin and text in shown.twin and text in words(shown)
    assert "D /app/a.txt, M /app/b.txt" in shown.description
    assert shown.svg().count("<polygon") == 2, "line -> layer, process -> layer"
    again = trace(build(RECIPE))[of(made, "RUN rm")]
    assert "taken from the cache" in again.twin


def test_arrows_lead_from_the_line_to_what_it_made(build: Callable[..., Build]) -> None:
    made = build(RECIPE)
    steps = trace(made)
    arrows = {one.step.line: steps[index].svg().count("<polygon") for index, one in enumerate(steps.moments)}
    assert (arrows[9], arrows[10], arrows[17], arrows[6]) == (2, 2, 1, 1)


def test_long_files_keep_the_line_in_sight(build: Callable[..., Build]) -> None:
    lines = ["FROM scratch", *(f"ENV A{number}={number}" for number in range(60)), "COPY a.txt /"]
    steps = trace(build("\n".join(lines)))
    assert steps[0].height == steps[61].height
    assert "ENV A59=59" in words(steps[60]) and "FROM scratch" not in words(steps[60]).partition("the Dockerfile")[2]
    assert steps.rows == {"lines": MOST["lines"], "source": 1, "files": 1, "config": MOST["config"]}


def test_the_ledger_counts_layers_and_metadata(build: Callable[..., Build]) -> None:
    made = build(RECIPE, tag="ledger")
    shown = ledger(made)
    layers = sum(step.layer is not None for step in made.steps)
    assert shown.twin.startswith(
        f"build of ledger:latest  (12 instructions: {layers} made a layer, {12 - layers} did not)"
    )
    assert "EXPOSE 80" in shown.twin and "no layer: no file changes; A ExposedPorts 80/tcp" in shown.twin
    assert words(shown).endswith('CMD ["sh"] as it was'), "the base said so already"
    assert "not kept: V=1" in words(shown) and "M /app/b.txt" in shown.description
    assert ledger(made).html() == shown.html()


def test_a_strangers_names_are_only_text(build: Callable[..., Build], tmp_path: Path) -> None:
    (tmp_path / "<b>&'.txt").write_text("x")
    made = build('FROM minidocker/base\nCOPY . /\nENV X="<script>&\x1b[31m"\n', tag="nasty")
    for shown in (*trace(made), ledger(made), scopes(made, "X")):
        ElementTree.fromstring(shown.svg())
        assert "\x1b" not in shown.twin and "<script>" not in shown.svg()


VARIABLES = """ARG TAG=latest
FROM minidocker/base:$TAG
RUN true
ARG TAG
ARG V=1
ENV V=2
ENV MODE=dev
ARG MODE=test
"""


def test_variables_have_their_scopes(build: Callable[..., Build]) -> None:
    shown = scopes(build(VARIABLES, buildargs={"V": "9"}), "TAG", "V", "MODE")
    assert [line.split("  ")[-1].strip() for line in shown.twin.splitlines()[1:]] == [
        "TAG = latest (FROM), no V, no MODE",
        "TAG = latest (FROM), no V, no MODE",
        "no TAG, no V, no MODE",
        "TAG = latest (ARG), no V, no MODE",
        "TAG = latest (ARG), V = 9 (ARG), no MODE",
        "TAG = latest (ARG), V = 2 (ENV), no MODE",
        "TAG = latest (ARG), V = 2 (ENV), MODE = dev (ENV)",
        "TAG = latest (ARG), V = 2 (ENV), MODE = test (ARG)",
        "no TAG, V = 2 (ENV), MODE = dev (ENV)",
    ]
    assert words(shown).count("ENV 2") == 2, "one band while it is built, one in the container"
    assert "not there" in words(shown)


def test_an_argument_ends_with_its_stage(build: Callable[..., Build]) -> None:
    shown = scopes(build("FROM minidocker/base AS a\nARG A=1\nFROM a\nRUN true\n"), "A")
    assert [line.split("  ")[-1].strip() for line in shown.twin.splitlines()[1:]][2:] == ["no A", "no A", "no A"]


def test_steps_are_only_read(build: Callable[..., Build]) -> None:
    made = build(RECIPE)
    before: list[Step] = list(made.steps)
    kept = [(dict(step.after.config), list(step.after.layers)) for step in before]
    list(trace(made))
    assert [(step.after.config, step.after.layers) for step in before] == kept
