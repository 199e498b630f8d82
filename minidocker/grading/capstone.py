"""The capstone: an image of 200 MB is to become small, and its rebuild fast. What comes of it is measured.

The learner's Dockerfile and .dockerignore are tried beside the given Dockerfile, each in an engine of its own: bytes,
steps from the cache after an edit, seconds as a part of what the given one takes in the same run, and whether anybody
who has the image can find the token. A program that prints something else earns nothing of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from functools import lru_cache
from threading import Lock
from typing import Any

from minidocker.grading.apart import attempt
from minidocker.grading.measured import Mark, Measured, Result, Texts, criterion
from minidocker.grading.project import DOCKERFILE, KEPT, Project
from minidocker.grading.trial import Trial
from minidocker.notebook.pictures.points import Score, bytes_by_line, points_figure
from minidocker.notebook.pictures.svg import bytes_text, stacked

GOAL = 130  # times smaller than the given image, for all points: a little more than the program and its packages need
GIVEN = Lock()
PROJECT = Project()  # the one that learners know
CACHED = 0.6  # the part of the steps that is to come from the cache
NEAR, AGAIN = 0.2, 2  # so near the best class and the worst, and between them, seconds are measured again, so often
RATIOS = ((1 / 4, 1.0), (1 / 2, 0.75), (3 / 4, 0.5), (9 / 10, 0.25))  # up to this part of the seconds: so much

TASKS = (
    criterion(
        "C.1",
        "the same program",
        "A small image of something else is worth nothing",
        2,
        (
            "docker run prints what it printed before, as user 33 (www-data), also after an edit of the source.",
            "The image has LICENSE and data/orders.txt of the project, in /app, and /app/vendor/setup.",
            "The stage that is shipped needs: WORKDIR /app, these files, USER www-data, CMD.",
        ),
    ),
    criterion(
        "C.2",
        "bytes",
        "What is not in an image need not be stored, sent, or scanned",
        3,
        (
            "The picture shows which line made the bytes. What a later RUN removes is still in its layer.",
            ".dockerignore keeps out what nobody needs: .git, logs.",
            "Two stages: compiler and downloads stay in the first; COPY --from takes what was made, with --chown.",
        ),
    ),
    criterion(
        "C.3",
        "steps from the cache",
        "A step whose facts are the same need not run again",
        3,
        (
            "COPY . . changes with every file. Copy what a step needs right before it, and no more.",
            "What changes often comes last: first tools/toolchain.sh, then packages.txt, then src.",
            "Files that change by themselves (.git, logs) must not be copied anywhere.",
        ),
    ),
    criterion(
        "C.4",
        "seconds of a rebuild",
        "You wait for this many times a day",
        2,
        (
            "Seconds go where bytes are made: after an edit of src, make neither compiler nor packages again.",
            "One RUN for all is small, but it is one key: it runs as a whole.",
            "The compiler and the packages in steps of their own, above COPY src.",
        ),
    ),
    criterion(
        "C.5",
        "the token",
        "Whoever has the image has all of its blobs",
        2,
        (
            "A file that a later line removes is in the layer below still; ARG and ENV are in the history.",
            "tools/packages.sh writes the token to /root/.packagerc. Which stage is that in?",
            "RUN --mount=type=secret,id=env shows it for one step: . /run/secrets/env && export TOKEN",
        ),
    ),
)
TEXTS = ("dockerfile", "dockerignore")


def opened(name: str, namespace: MutableMapping[str, Any]) -> Measured:
    """The exercise, for a notebook's names."""
    return Measured(name, TASKS, TEXTS, measure, namespace)


def measure(texts: Texts, hidden: Sequence[Project] = ()) -> Result:
    """Try the texts in the learner's project and in hidden ones: of each criterion the worst mark counts."""
    results = [measured(texts["dockerfile"], texts["dockerignore"], one) for one in (PROJECT, *hidden)]
    refused = next((result.refused for result in results if result.refused), "")
    marks = {
        task.address: min((one.marks[task.address] for one in results), key=lambda mark: mark.share) for task in TASKS
    }
    return Result(marks, results[0].figure, refused)


@lru_cache(maxsize=32)
def measured(dockerfile: str, dockerignore: str, project: Project) -> Result:
    """Try the texts in one project, beside the given Dockerfile."""
    yours = attempt(dockerfile, dockerignore, project, "yours")
    if isinstance(yours, str):
        return _refused(yours)
    with GIVEN:
        given = _given(project)
    if isinstance(given, str):  # the machine's fault
        return _refused(f"The given Dockerfile cannot be tried here. {given}")
    for _ in range(AGAIN):
        if given.seconds < 1 or not _works(yours, project) or not _doubtful(given, yours):
            break
        given = _quicker(given, attempt(DOCKERFILE, "", project, ""))
        yours = _quicker(yours, attempt(dockerfile, dockerignore, project, ""))
    marks = {"C.1": _same(yours, project)}
    for address, mark in JUDGES.items():
        marks[address] = mark(given, yours) if _works(yours, project) else Mark(0, "counts once the program works")
    scores = [
        Score(
            f"{task.address} {task.name}",
            marks[task.address].points(task.stars),
            task.stars,
            marks[task.address].said,
        )
        for task in TASKS
    ]
    images = bytes_by_line([("the given image", given.lines), ("yours", yours.lines)])
    pictures = [points_figure("where the points went", scores), images, given.ladder, yours.ladder]
    return Result(marks, stacked("where the points went", pictures))


@lru_cache(maxsize=4)
def _given(project: Project) -> Trial | str:
    """The given Dockerfile tried, once in a run."""
    return attempt(DOCKERFILE, "", project, "the given Dockerfile")


def _doubtful(given: Trial, yours: Trial) -> bool:
    """Whether a busy moment could have moved the seconds into another class: they are in no clear case."""
    return RATIOS[0][0] * (1 - NEAR) < yours.seconds / given.seconds < RATIOS[-1][0] * (1 + NEAR)


def _quicker(trial: Trial, other: Trial | str) -> Trial:
    """The trial, with the seconds of the other one where they are fewer: what disturbs only ever adds to them."""
    return trial if isinstance(other, str) else replace(trial, seconds=min(trial.seconds, other.seconds))


def _refused(why: str) -> Result:
    return Result({task.address: Mark(0, why) for task in TASKS}, refused=why)


def _works(trial: Trial, project: Project) -> bool:
    return trial.printed == (project.prints(), project.prints(edited=True))


def _same(trial: Trial, project: Project) -> Mark:
    """The program prints what it should, before and after the edit, and the files are there."""
    wanted = (project.prints(), project.prints(edited=True))
    right = [got == want for got, want in zip(trial.printed, wanted, strict=True)]
    share = (sum(right) + (len(KEPT) - len(trial.missing)) / len(KEPT)) / 3
    if not all(right):
        at = right.index(False)
        when = ("before", "after")[at] + " the edit"
        return Mark(share, f"{when} it prints {trial.printed[at][-200:]!r}", f"It has to print {wanted[at]!r}.")
    if trial.missing:
        return Mark(share, f"it runs, but without {' and '.join(trial.missing)}", "These belong to the image too.")
    return Mark(1.0, "it prints what it should, before and after an edit, and all its files are there")


def _bytes(given: Trial, yours: Trial) -> Mark:
    """Each halving is worth the same."""
    share = math.log(given.size / max(yours.size, 1)) / math.log(GOAL)
    sizes = [bytes_text(size) for size in (yours.size, given.size, given.size // GOAL)]
    said = "{} beside the base, of {}; {} will do".format(*sizes)
    most = max(yours.lines, key=lambda line: line.size, default=None)
    return Mark(_part(share), said, f"Most of it is in `{' '.join(most.text.split())[:60]}`." if most else "")


def _steps(_given: Trial, yours: Trial) -> Mark:
    """Of the steps that made files, how many were taken from the cache; at most as many as did the work."""
    steps, works = yours.cached + yours.built, len(PROJECT.works())
    said = f"after an edit {yours.cached} of {steps} steps that make files come from the cache; {CACHED:.0%} will do"
    share, kept = _part(yours.cached / max(steps, 1) / CACHED), yours.kept / works
    if kept < share:
        said += f", if the compiler and the packages are among them: {('neither is', 'one of them is')[yours.kept]}"
    hint = "Which step was the first that missed, and did it need the file that was edited?"
    return Mark(min(share, kept), said, hint)


def _seconds(given: Trial, yours: Trial) -> Mark:
    """Their ratio, in classes that no busy machine moves."""
    ratio = yours.seconds / given.seconds
    share = next((part for limit, part in RATIOS if ratio <= limit), 0.0)
    words = ("less than a quarter", "less than half", "less than three quarters", "less than nine tenths")
    found = next((word for word, (limit, _) in zip(words, RATIOS, strict=True) if ratio <= limit), "about the whole")
    said = f"a rebuild takes {found} of the given one's time; a quarter will do"
    return Mark(share, said, "What is made again that the edit does not touch?")


def _token(_given: Trial, yours: Trial) -> Mark:
    """Nowhere, or only where one has to look for it, or in plain sight."""
    if "sight" in yours.leaks:
        return Mark(0.0, "it is in plain sight: in a file, in the configuration or in the history", "Look for `tok-`.")
    if yours.leaks:
        return Mark(0.5, "no container sees it, but it is in a layer below", "Who has the image has every layer.")
    return Mark(1.0, "it is in no blob of the image")


JUDGES: Mapping[str, Callable[[Trial, Trial], Mark]] = {"C.2": _bytes, "C.3": _steps, "C.4": _seconds, "C.5": _token}


def _part(share: float) -> float:
    return min(max(share, 0.0), 1.0)
