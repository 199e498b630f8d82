"""The capstone: what is given earns nothing for its looks, the solution everything, and each mistake its own points."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minidocker.explain import Line
from minidocker.grading import apart, capstone, grade, open_exercise, report
from minidocker.grading.capstone import PROJECT, TASKS, measure
from minidocker.grading.hidden.capstone import HIDDEN, OTHER
from minidocker.grading.measured import Mark, Measured, Result
from minidocker.grading.operation import environment
from minidocker.grading.project import DOCKERFILE, Project
from minidocker.grading.release import dump, namespace_of, read, released, source
from minidocker.grading.sandbox import Limits
from minidocker.grading.submission import find
from minidocker.grading.trial import Trial, tried
from minidocker.notebook.lessons import EPOCH
from minidocker.notebook.pictures.svg import Figure
from tests.grading.handed_in import write

SOURCE = Path(__file__).parents[2] / "exercises" / "capstone" / "source.ipynb"
LEARNER = SOURCE.with_name("capstone.ipynb")
SMALL = replace(PROJECT, smaller=200)  # the same, of a megabyte: its seconds say nothing, all else does
IGNORE = ".git\nlogs\n.env\n"


def opened(path: Path) -> Measured:
    """The exercise with the functions of a notebook; nothing is checked while it is read."""
    notebook = read(path)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and not calls(source(cell))]
    found = open_exercise("capstone", namespace_of({**notebook, "cells": cells}))
    assert isinstance(found, Measured)
    return found


def calls(text: str) -> bool:
    return text.startswith(("check(", "measure("))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDOCKER_RUNTIME", "simulated")
    monkeypatch.setattr(capstone, "PROJECT", SMALL)
    monkeypatch.setattr(capstone, "AGAIN", 0)


@pytest.fixture
def here(small: None, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: ARG001
    """Trials in this process, which takes less time; those in a process of their own have their tests."""

    def attempt(dockerfile: str, dockerignore: str, project: Project, name: str) -> Trial | str:
        with environment(SOURCE_DATE_EPOCH=EPOCH):
            return tried(tmp_path_factory.mktemp("trial"), dockerfile, dockerignore, project, name)

    monkeypatch.setattr(capstone, "attempt", attempt)


@pytest.fixture
def texts() -> dict[str, str]:
    found = opened(SOURCE).read()
    assert not isinstance(found, str)
    return dict(found)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = set(Path(tempfile.gettempdir()).glob(f"minidocker-capstone-{os.getpid()}-*"))
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    yield
    assert set(Path(tempfile.gettempdir()).glob(f"minidocker-capstone-{os.getpid()}-*")) == before
    assert os.environ.get("SOURCE_DATE_EPOCH") == epoch


# The notebook


def test_the_learners_notebook_is_what_the_source_releases() -> None:
    made = dump(released(read(SOURCE)))
    assert LEARNER.read_text(encoding="utf-8") == made, "run: python -m minidocker.grading release exercises/*/"
    assert "SOLUTION" not in made and "HIDDEN" not in made and made.count("NotImplementedError") == 2


def test_it_shows_the_given_dockerfile_and_has_a_checked_cell_for_each_task() -> None:
    cells = {cell["id"]: cell for cell in read(SOURCE)["cells"]}
    assert f"```dockerfile\n{DOCKERFILE}```" in source(cells["given"])
    for task in TASKS:
        name = task.address.replace(".", "-").lower()
        assert source(cells[f"text-{name}"]).startswith(f"## Task {task.address} {'★' * task.stars}: {task.name}\n")
        assert source(cells[f"check-{name}"]).startswith(f'check("{task.address}")\n### BEGIN HIDDEN TESTS\n')
        assert cells[f"check-{name}"]["metadata"]["nbgrader"]["points"] == task.stars


def test_untouched_it_earns_nothing_and_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capstone, "attempt", None)
    exercise = opened(LEARNER)
    for task in TASKS:
        assert exercise.judge(task.address).voice == "under way"
        assert "Nothing is written yet: dockerfile() returns the text." in exercise.judge(task.address).twin
    assert exercise.check().title == "0 of 12 points" and exercise.transplant().voice == "under way"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (None, "There is no function `dockerfile` here"),
        (lambda: 3, "must return a text, and returns a int"),
        (lambda: 1 / 0, "dockerfile() raised ZeroDivisionError"),
    ],
)
def test_who_returns_no_text_is_told_so(function: Any, said: str) -> None:
    exercise = opened(SOURCE)
    exercise.namespace["dockerfile"] = function
    assert said in exercise.check("C.2").twin and exercise.check("C.2").voice == "under way"


# Measured


def test_the_solution_has_all_points_in_full_size_and_its_picture_says_where_they_went() -> None:
    exercise = opened(SOURCE)
    verdict = exercise.transplant()
    assert (verdict.title, verdict.voice) == ("Measured: 12 of 12 points", "passed")
    assert "of 197MB; 1.52MB will do" in verdict.twin
    assert "RUN sh tools/toolchain.sh                             80MB, 80MB in vain" in verdict.twin
    assert "the given Dockerfile: the build after an edit of src/report.sh  (10 steps: 1 from the cache" in verdict.twin
    assert verdict.html().count("<svg") == 1
    assert exercise.check().voice == exercise.check("C.1").voice == "passed"


@pytest.mark.usefixtures("here")
def test_in_the_hidden_project_too(texts: dict[str, str]) -> None:
    hidden = [replace(OTHER, smaller=200)]
    shares = {address: mark.share for address, mark in measure(texts, hidden).marks.items()}
    assert HIDDEN["C.2"] == (OTHER,)
    assert shares | {"C.4": 1.0} == {task.address: 1.0 for task in TASKS}


def swap(*pairs: tuple[str, str], ignore: str = IGNORE) -> Callable[[str], tuple[str, str]]:
    def change(text: str) -> tuple[str, str]:
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        return text, ignore

    return change


def given(_: str) -> tuple[str, str]:
    return DOCKERFILE, ""


def one_run(_: str) -> tuple[str, str]:
    steps = "toolchain", "packages", "compile"
    made = " && ".join(f"sh tools/{name}.sh" for name in steps)
    run = f"RUN --mount=type=secret,id=env . /run/secrets/env && export TOKEN && {made}"
    gone = "rm -rf /opt/toolchain /var/cache/packages /root/.packagerc && chown -R 33:33 /app"
    return f"FROM minidocker/base\nWORKDIR /app\nCOPY . .\n{run} && {gone}\nUSER 33\nCMD sh report\n", IGNORE


def one_run_among_idle_ones(text: str) -> tuple[str, str]:
    idle = "".join(f"RUN echo {number} > /idle{number}\n" for number in range(9))
    return one_run(text)[0].replace("COPY . .", f"{idle}COPY . ."), IGNORE


def idle_ones(text: str) -> str:
    return text.replace("COPY --chown", "RUN echo > /idle\nRUN echo > /idler\nCOPY --chown", 1)


SECRET = "--mount=type=secret,id=env . /run/secrets/env && export TOKEN && sh"
OWN = "COPY --from=build --chown=www-data:www-data /app/report ."
LATE = swap(
    ("COPY packages.txt .\n", "COPY packages.txt .\nCOPY src src\n"),
    ("tools/compile.sh tools/\nCOPY src src", "tools/compile.sh tools/"),
)
SHIP = ("FROM minidocker/base\nWORKDIR", "FROM build\nWORKDIR")
SAID = PROJECT.prints().replace("\n", "\\n")
FIXED = f"FROM minidocker/base\nCMD printf '{SAID}'"
WRONG: list[tuple[str, str, Callable[[str], tuple[str, str]], float, str]] = [
    ("C.1", "as root", swap(("USER www-data\n", "")), 1 / 3, "made by user 33"),
    ("C.1", "learnt by heart", lambda _: (f"{FIXED}\nUSER 33\n", ""), 1 / 3, "second edition"),
    ("C.1", "without its licence", swap(("COPY --chown=www-data:www-data LICENSE .\n", "")), 5 / 6, "/app/LICENSE"),
    ("C.2", "as it is given", given, 0, "RUN sh tools/toolchain.sh"),
    ("C.2", "one stage for all", swap(SHIP), 0.12, "RUN sh tools/toolchain.sh"),
    (
        "C.2",
        "owned in a line of its own",
        swap((" --chown=www-data:www-data", ""), ("USER", "RUN chown -R 33:33 /app\nUSER")),
        0.93,
        "RUN chown",
    ),
    ("C.3", "as it is given", given, 0, "Which step was the first that missed"),
    ("C.3", "one RUN for all", one_run, 0, "Which step was the first that missed"),
    ("C.3", "one RUN for all, and idle ones", one_run_among_idle_ones, 0, "among them: neither is"),
    (
        "C.3",
        "packages after the source, and idle ones",
        lambda text: (idle_ones(LATE(text)[0]), IGNORE),
        0.5,
        "one of them is",
    ),
    ("C.3", "all is copied first", swap(("COPY tools/toolchain.sh tools/", "COPY . .")), 0, "3 of 12 steps"),
    ("C.5", "as it is given", given, 0, "Look for `tok-`"),
    ("C.5", "by ENV", swap((SECRET, "TOKEN=tok-5f0c1d7e2b9a4863 sh"), SHIP), 0, "Look for `tok-`"),
    ("C.5", "removed too late", swap(SHIP, (OWN, "RUN rm /root/.packagerc")), 0.5, "has every layer"),
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("address", "change", "share", "hint"),
    [(a, c, s, h) for a, _, c, s, h in WRONG],
    ids=[f"{a} {name}" for a, name, *_ in WRONG],
)
def test_each_mistake_costs_its_points_and_gets_its_hint(
    texts: dict[str, str], address: str, change: Callable[[str], tuple[str, str]], share: float, hint: str
) -> None:
    dockerfile, dockerignore = change(texts["dockerfile"])
    exercise = opened(SOURCE)
    exercise.namespace.update(dockerfile=lambda: dockerfile, dockerignore=lambda: dockerignore)
    verdict = exercise.judge(address)
    result = measure({"dockerfile": dockerfile, "dockerignore": dockerignore})
    assert not result.refused and not verdict.passed
    assert hint in verdict.twin
    assert result.marks[address].share == pytest.approx(share, abs=0.05)


def trial(seconds: float) -> Trial:
    return Trial(("", ""), (), [Line("RUN x", size=10)], 0, 1, 0, seconds, (), Figure("", "", "", 1, 1, ""))


@pytest.mark.parametrize(("seconds", "share"), [(0.1, 1), (2.5, 1), (3, 0.75), (6, 0.5), (8, 0.25), (9.5, 0), (30, 0)])
def test_seconds_count_as_a_part_of_the_given_ones(seconds: float, share: float) -> None:
    mark = capstone.JUDGES["C.4"](trial(10), trial(seconds))
    assert mark.share == share and (share == 1 or "made again" in mark.hint)


@pytest.mark.usefixtures("here")
def test_a_program_that_prints_something_else_earns_nothing_by_being_small() -> None:
    result = measure({"dockerfile": f"{FIXED}\nUSER 33\n", "dockerignore": ""})
    assert [mark.share for mark in result.marks.values()][1:] == [0, 0, 0, 0]
    assert result.marks["C.2"].said == "counts once the program works"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM minidocker/base\nRUN exit 3\n", "The build failed"),
        ("FRUM x", "The build failed|unknown instruction"),
        ("FROM nobody/knows:this", "The (build failed|engine refused)"),
        ("FROM minidocker/base\nRUN sh tools/packages.sh", "The build failed"),
    ],
)
def test_what_cannot_be_built_is_told_and_earns_nothing(text: str, said: str) -> None:
    result = measure({"dockerfile": text, "dockerignore": ""})
    assert {mark.share for mark in result.marks.values()} == {0}
    assert re.search(said, result.refused)


@pytest.mark.usefixtures("here")
def test_under_nbgrader_a_check_is_a_number_of_points(texts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    exercise = opened(SOURCE)
    exercise.namespace["dockerfile"] = lambda: swap(SHIP, (OWN, "RUN rm /root/.packagerc"))(texts["dockerfile"])[0]
    assert exercise.check("C.1") == 2.0 and exercise.check("C.5") == 1.0 and 0 < exercise.check("C.2") < 1
    assert opened(LEARNER).check("C.1") == 0


@pytest.mark.usefixtures("small")
def test_graded_the_sandbox_only_hands_over_texts(
    texts: dict[str, str], monkeypatch: pytest.MonkeyPatch, shared_root: Path, tmp_path: Path
) -> None:
    """…and what one Dockerfile does while it is built costs nobody else of the batch anything."""
    monkeypatch.setattr(grade, "hidden_cases", lambda _: {"C.1": (replace(OTHER, smaller=200),)})
    monkeypatch.setattr(apart, "BOUNDS", apart.Bounds(seconds=60, disk=150 << 20))
    hands = {name: f"def {name}():\n    return {text!r}\n" for name, text in texts.items()}

    def handed(text: str) -> list[str]:
        return [f"def dockerfile():\n    return {text!r}\n", hands["dockerignore"]]

    filling = "FROM minidocker/base\nRUN i=; while :; do head -c 9000000 /dev/zero > /f$i; i=1$i; done\n"
    loop = ["def dockerfile():\n    while True: pass\n", hands["dockerignore"]]
    made = {"loop": loop, "fill": handed(filling), "heart": handed(f"{FIXED}\nUSER 33\n"), "solved": [*hands.values()]}
    write(tmp_path / "in", {**made, "untouched": ["from minidocker.grading import exercise"]})
    batch = grade.Batch(tmp_path / "out", Limits(check_seconds=1), "capstone", root=str(shared_root))
    with ThreadPoolExecutor(2) as threads:
        found = {result.who: result for result, _ in batch.run(find([tmp_path / "in"]), threads, 2)}
    assert not any(result.problem for result in found.values())
    solved = found["solved"]
    assert [task.points for task in solved.tasks if task.address != "C.4"] == [2, 3, 3, 2], solved
    assert solved.tasks[1].scope == "public checks: 1 of 1, hidden checks: 1 of 1" and solved.tasks[0].pictures
    assert [task.points for task in found["heart"].tasks][1:] == [0, 0, 0, 0] and found["heart"].tasks[0].points < 1
    says = {"untouched": "no function `dockerfile`", "loop": "did not return within 1 s", "fill": "150 MiB of disk"}
    for name, words in says.items():
        assert found[name].points == 0 and words in found[name].tasks[0].said[0], found[name]
    assert report.markdown([solved]).count("hidden checks: 1 of 1") >= 4


@pytest.mark.parametrize(
    ("ratios", "share", "trials"),
    [
        ([0.05], 1, 0),
        ([0.35, 0.15], 1, 2),  # it was busy the first time
        ([0.26, 0.26, 0.19], 1, 4),
        ([0.24, 0.24, 0.24], 1, 4),
        ([0.6, 0.7, 0.6], 0.5, 4),
        ([1.3], 0, 0),
    ],
)
def test_seconds_in_doubt_are_measured_again_and_the_least_count(
    ratios: list[float], share: float, trials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def attempt(text: str, _ignore: str, _project: Any, _name: str) -> Trial:
        tried.append(text)
        prints = (PROJECT.prints(), PROJECT.prints(edited=True))
        own = 10.0 if text == DOCKERFILE else 10 * ratios[tried.count(text) - 1]
        return replace(trial(own), printed=prints)

    monkeypatch.setattr(capstone, "attempt", attempt)
    monkeypatch.setattr(capstone, "_given", lambda _: attempt(DOCKERFILE, "", None, ""))
    result = capstone.measured.__wrapped__("mine", "", PROJECT)
    assert (result.marks["C.4"].share, len(tried)) == (share, 2 + trials)


def test_points_are_never_rounded_up() -> None:
    exercise = opened(SOURCE)
    marks = {task.address: Mark(0.9999, "nearly") for task in TASKS}
    assert exercise.points("C.2", Result(marks)) == 2.99
