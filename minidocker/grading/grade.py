"""Grading: one submission in its sandbox, and many of them, on this machine or on a cluster.

`grade_one` is a function of a notebook's cells: it can run in a thread here or in a Dask worker elsewhere, through the
same interface, that of `concurrent.futures`. What is graded is written down at once, under the digest of all that it
depends on: a run that was killed goes on where it was, and what has not changed is not graded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.content import write_json
from minidocker.errors import DockerException, NotFound
from minidocker.grading import MODULES, course, open_exercise, sandbox
from minidocker.grading.exercise import Case, Exercise, Task
from minidocker.grading.hidden import hidden_cases as hidden_of
from minidocker.grading.measured import Measured, Texts
from minidocker.grading.remote import Conversation
from minidocker.grading.sandbox import Limits
from minidocker.grading.score import Result, Tally, TaskResult, fraction, points
from minidocker.grading.submission import Submission, exercise_of, load
from minidocker.grading.verdict import Verdict
from minidocker.runtime.probe import FORCED
from minidocker.times import now

if TYPE_CHECKING:
    from minidocker.engine import Engine

JOBS = 2 * (os.cpu_count() or 1)  # half of the time one waits: for its container, or for its turn to be checked
HELD = 4  # submissions that are read ahead, for each one that is graded
UNWALLED = "NOT in a container"
TOGETHER = {"Memory", "PidsLimit"}  # limits of a container as a whole
WORDS = 600  # characters of one thing that is said


@dataclass(frozen=True)
class Job:
    """What has to be known to grade one submission, wherever that is."""

    exercise: str
    digest: str
    cells: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    root: str = ""  # of the engine; "": that of whoever grades
    runtime: str = ""  # the engine's
    require: str = ""  # "container" or "process"; "": a container, where there can be one

    @property
    def key(self) -> str:
        """Of all that the result depends on."""
        facts = [course.version(), self.exercise, self.digest, asdict(self.limits), _where(self)[0]]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Graded(Exercise):
    """An exercise whose functions are in a sandbox: what they may not call is guarded there."""

    def guard(self, task: Task) -> AbstractContextManager[None]:
        """Nothing to do on this side."""
        return nullcontext()


def grade_one(job: Job) -> Result:
    """Run a submission in a sandbox, and check it from outside."""
    began = time.perf_counter()
    words, start = _where(job)
    exercise = open_exercise(job.exercise, {})
    tasks = tuple(exercise.tasks)
    talk = Conversation(start, job.limits, _request(job, tuple(exercise.holes)))
    results: tuple[TaskResult, ...] = ()
    try:
        loaded = talk.open()
        if isinstance(exercise, Measured):  # the sandbox hands over texts, and that is all
            exercise.namespace = talk.namespace(exercise.holes)
            texts = exercise.read()
        graded = Graded(job.exercise, tasks, exercise.graft, talk.namespace(tasks))
        hidden = hidden_cases(job.exercise)
        if not isinstance(exercise, Measured):
            public = [_public(graded, task, loaded["known"]) for task in tasks]  # before any hidden one is asked
            tried = zip(tasks, public, strict=True)
            results = tuple(_task(graded, task, came, hidden.get(task.address, ())) for task, came in tried)
    finally:
        talk.close()
    if isinstance(exercise, Measured):
        results = tuple(_measured(exercise, texts, hidden))
    notes = [f"cell {number + 1}: {why}"[:WORDS] for number, why in loaded["cells"] if _tells(job, number)]
    if loaded["lost"]:
        notes.insert(0, str(loaded["lost"])[:WORDS])
    return Result(
        job.exercise,
        job.digest,
        f"{words}; {job.limits}",
        results,
        notes=tuple(notes),
        course=course.version(),
        seconds=round(time.perf_counter() - began, 3),
        graded_at=now(),
    )


def hidden_cases(exercise: str) -> dict[str, tuple[Case, ...]]:
    """The hidden checks by task; none where this copy of the course came without them."""
    try:
        return dict(hidden_of(exercise))
    except NotFound:
        return {}


def _public(exercise: Exercise, task: Task, known: list[str]) -> list[Verdict | None]:
    """What is wrong with each public check of a task, or None.

    All words come from these. Where a function keeps what hidden checks asked, there is nobody left to tell it to.
    """
    wrong = _shape_of(exercise, task, known)
    return [wrong] * len(task.cases) if wrong else list(exercise.tries(task))


def _task(exercise: Exercise, task: Task, public: list[Verdict | None], hidden: tuple[Case, ...]) -> TaskResult:
    """The checks of one task; its hidden ones are tried now, where there is a function."""
    there = bool(hidden) and not exercise.shape(task)
    unseen: list[Verdict | None] = list(exercise.tries(task, hidden)) if there else [public[0]] * len(hidden)
    held, kept = [one is None for one in public], [one is None for one in unseen]
    parts = fraction(held, [case.want for case in task.cases]), fraction(kept, [case.want for case in hidden])
    earned = points(task.stars, parts[0], parts[1] if hidden else None)
    first = next(filter(None, public), None) or _of_hidden(task, kept, hidden) or _passed(task)
    return TaskResult(
        task.address,
        task.name,
        task.title,
        task.stars,
        earned,
        Tally(sum(held), len(held)),
        Tally(sum(kept), len(kept)),
        first.voice,
        tuple(line[:WORDS] for line in (first.title, *first.lines)),
        "\n".join(figure.twin for figure in first.figures),
        tuple(figure.svg() for figure in first.figures),
    )


def _measured(exercise: Measured, texts: Texts | str, hidden: Mapping[str, Sequence[Any]]) -> Iterator[TaskResult]:
    """What texts come to: in the project that the learner knows, and in the hidden ones, of which the worst counts."""
    settings = next(iter(hidden.values()), ())
    public, unseen = exercise.score(texts), exercise.score(texts, settings)
    for task in exercise.tasks:
        marks = public.marks[task.address], unseen.marks[task.address]
        right = [mark.share == 1 for mark in marks]
        said = (marks[0].said, marks[0].hint)
        if right[0]:
            said = (marks[0].said, "" if right[1] else "In a project with other words in its files it is not so.")
        yield TaskResult(
            task.address,
            task.name,
            task.title,
            task.stars,
            exercise.points(task.address, unseen),
            Tally(int(right[0]), 1),
            Tally(int(right[1]), 1) if settings else Tally(),
            "passed" if all(right) else "under way",
            tuple(line[:WORDS] for line in said if line),
            public.figure.twin if public.figure and task is exercise.tasks[0] else "",
            (public.figure.svg(),) if public.figure and task is exercise.tasks[0] else (),
        )


def _passed(task: Task) -> Verdict:
    """The verdict on a task of which every check holds, with a picture of its last case."""
    last = [case for case in task.cases if not isinstance(case.want, type)][-1]
    drawn = task.show("your result", last.want, last.arguments)
    title = f"Task {task.address}: {task.name}({', '.join(task.parameters)})"
    return Verdict(title, (f"All cases hold. {task.title}.",), "passed", drawn)


def _shape_of(exercise: Exercise, task: Task, known: list[str]) -> Verdict | None:
    """Why there is no function to call; with a name that is almost the right one, where there is one."""
    from difflib import get_close_matches

    wrong = exercise.shape(task)
    if wrong and task.name not in exercise.namespace and (near := get_close_matches(task.name, known, 1)):
        found = f"There is `{near[0]}`: functions are found by their names, so call it `{task.name}`."
        return replace(wrong, lines=(*wrong.lines, found))
    return wrong


def _of_hidden(task: Task, kept: list[bool], hidden: tuple[Case, ...]) -> Verdict | None:
    """What is said of hidden checks: the rules that they are about, and no values."""
    rules = [case.say for case, holds in zip(hidden, kept, strict=True) if not holds]
    if not rules:
        return None
    lines = ("Every example of the notebook holds, but not each other one. These do not:", *(f"- {r}" for r in rules))
    return Verdict(f"Task {task.address}: {task.name}: {sum(kept)} of {len(kept)} hidden checks", lines, "under way")


def _request(job: Job, tasks: tuple[Task, ...]) -> dict[str, Any]:
    """What the sandbox is told: the cells, and what was given with them; those that are the same run first."""
    given = [_defines_no_task(text, {task.name for task in tasks}) for text in course.given(job.exercise)]
    same = {text.strip() for text in course.given(job.exercise)}
    kept = [text for text in job.cells if text.strip() in same]
    text = "\n".join(_own(job))
    engines = {(task.engine.__module__, task.engine.__qualname__) for task in tasks} if "minidocker" in text else ()
    return {
        "given": [*filter(None, given), *kept],
        "cells": ["" if text.strip() in same else text for text in job.cells],
        "names": [task.name for task in tasks],
        "engines": sorted(engines),
    }


def _own(job: Job) -> list[str]:
    same = {text.strip() for text in course.given(job.exercise)}
    return [text for text in job.cells if text.strip() not in same]


def _tells(job: Job, number: int) -> bool:
    """Whether what became of a cell is worth telling: not of one that every learner was given."""
    return 0 <= number < len(job.cells)


def _defines_no_task(text: str, names: set[str]) -> str:
    """A given cell; nothing, where it is the hole of a task, or a check."""
    defines = any(text.lstrip().startswith(f"def {name}(") for name in names)
    return "" if defines or text.startswith(("check(", "transplant(", "hint(")) else text


@cache
def _engine(root: str, runtime: str) -> Engine:
    """The engine of this process, made once for all that it grades; sandboxes that were never started go."""
    import minidocker

    engine = minidocker.connect(root or None, runtime or None)
    engine.containers.prune(filters={"label": [sandbox.LABEL], "until": ["10m"]})
    return engine


def _where(job: Job) -> tuple[str, Callable[[], sandbox.Sandbox]]:
    """Where it runs here, in words, and how that is started. Raises DockerException where it may not run."""
    return _place(job.root, _runtime(job), job.require, job.limits)


def _runtime(given: Job | Batch) -> str:
    """The runtime that is asked for, here and now: what is kept for it holds for no other."""
    return given.runtime or os.environ.get(FORCED, "")


@cache
def _place(root: str, runtime: str, require: str, limits: Limits) -> tuple[str, Callable[[], sandbox.Sandbox]]:
    why = "asked for" if require == "process" else sandbox.works(_engine(root, runtime))
    if not why:
        words = "in a container of its own: no network, a read-only course"
        if TOGETHER - _engine(root, runtime).runtime.supports():
            words += "; without a cgroup for it, memory and processes are limited each by itself, not all together"
        return words, lambda: sandbox.in_container(_engine(root, runtime), limits)
    if require == "container":
        raise DockerException(f"submissions cannot be graded in containers here: {why}")
    words = f"{UNWALLED} ({why}): a process with limits, which nothing keeps from files, network and other processes"
    return words, sandbox.in_process


# Many


@dataclass
class Batch:
    """Submissions to grade, and the folder that keeps what came of each."""

    folder: Path
    limits: Limits = field(default_factory=Limits)
    exercise: str = ""  # "": as each one says
    root: str = ""
    runtime: str = ""
    require: str = ""
    force: bool = False

    def place(self) -> str:
        """Where they run, if that is here. Raises DockerException where they may not."""
        return _place(self.root, _runtime(self), self.require, self.limits)[0]

    def job(self, submission: Submission, path: Path) -> Job | Result:
        """What is to be done for one; or what it comes to, where nothing can be."""
        if submission.problem:
            return Result("", submission.digest, "", problem=submission.problem, who=submission.who)
        name = self.exercise or exercise_of(submission, path, functions())
        if not name:
            said = "it is of no exercise that this course has: it neither says so nor defines what one asks for"
            return Result("", submission.digest, "", problem=said, who=submission.who)
        place = (self.root, self.runtime, self.require)
        return Job(name, submission.digest, submission.cells, self.limits, *place)

    def recall(self, job: Job) -> Result | None:
        """What was graded before; None for what is damaged, or not there."""
        try:
            return None if self.force else Result.read(json.loads(self._path(job).read_bytes()))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self, job: Job, result: Result) -> None:
        """Write it down, whole or not at all."""
        self._path(job).parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path(job), result.json())

    def _path(self, job: Job) -> Path:
        return self.folder / "results" / f"{job.key}.json"

    def run(self, found: Iterable[tuple[str, Path]], executor: Executor, jobs: int) -> Iterator[tuple[Result, bool]]:
        """Grade all of them; each result as it comes, and whether it was known before."""
        under_way: dict[Future[Result], tuple[Job, list[str]]] = {}
        by_key: dict[str, Future[Result]] = {}
        for who, path in found:
            job = self.job(load(who, path), path)
            if isinstance(job, Result):
                yield job, False
                continue
            if known := self.recall(job):
                yield replace(known, who=who), True
                continue
            if (same := by_key.get(job.key)) in under_way:  # two handed in the same notebook
                assert same is not None
                under_way[same][1].append(who)
                continue
            while len(under_way) >= HELD * jobs:
                yield from self._finished(under_way)
            future = executor.submit(grade_one, job)
            under_way[future], by_key[job.key] = (job, [who]), future
        while under_way:
            yield from self._finished(under_way)

    def _finished(self, under_way: dict[Future[Result], tuple[Job, list[str]]]) -> Iterator[tuple[Result, bool]]:
        """Those that are done by now; one at least."""
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            job, whose = under_way.pop(future)
            try:
                result = future.result()
                self.keep(job, result)
            except Exception as error:  # of the machine's, or of the cluster's: nothing is written down, to try again
                said = f"it could not be graded: {type(error).__name__}: {error}"[:WORDS]
                result = Result(job.exercise, job.digest, "", problem=said, failed=True)
            yield from ((replace(result, who=who), False) for who in whose)


@cache
def functions() -> dict[str, tuple[str, ...]]:
    """The functions that each exercise asks for."""
    return {name: tuple(task.name for task in open_exercise(name, {}).holes) for name in MODULES}
