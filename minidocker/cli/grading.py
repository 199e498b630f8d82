"""`minidocker grade`: notebooks that were handed in, each in a sandbox of its own, and what they came to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.drawn import printable
from minidocker.errors import DockerException

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from minidocker.grading.score import Result

PASSED, NOT_PASSED, MISUSED, NOT_GRADED = range(4)
WAY_OUT = "Grade so what you would run yourself. --sandbox container refuses instead, --sandbox process says nothing."
PATIENCE = 5.0  # seconds that a scheduler may take to answer


@command(
    """
grade [OPTIONS] [PATH...]

Grade exercise notebooks, each in a container of its own

PATH is a notebook, or a folder of them. What each came to is written to the output folder, as JSON, CSV, JUnit XML,
Markdown and HTML. What was graded already and has not changed is not graded again.

Exit codes: 0 every check of every submission holds, 1 not every one, 2 there is nothing to grade, or an option makes no
sense, 3 a submission could not be graded at all (it is no notebook, or the sandbox failed).

      --check-timeout string   Seconds for each check, and for each cell (default "5")
  -e, --exercise string        Grade them as this exercise, whatever they say
  -f, --force                  Grade again what was graded already
  -j, --jobs int               How many at the same time (default: two a processor)
  -m, --memory bytes           Memory of each submission (default "512m")
  -o, --output string          Folder for the reports (default "grades")
  -q, --quiet                  Print no progress
      --sandbox string         "container", or "process": without a container, with limits alone
                               (default: a container, where there can be one)
      --scheduler string       Grade on a Dask cluster, whose scheduler is there: tcp://host:8786
      --timeout string         Seconds for each submission (default "120")
      --touched                Leave out notebooks that are as they were handed out
""",
    needs_engine=False,
)
def grade(call: Call) -> int:
    """Ours alone: docker has no such command."""
    from minidocker.grading import MODULES, report
    from minidocker.grading.grade import UNWALLED, Batch
    from minidocker.grading.submission import find

    if not call.args:
        raise Exit(MISUSED, "minidocker grade: give notebooks, or folders of them\n\nRun 'minidocker grade --help'")
    if call.exercise and call.exercise not in MODULES:
        raise Exit(MISUSED, f"minidocker grade: no exercise {call.exercise!r}; there are: {', '.join(MODULES)}")
    if call.sandbox not in ("", "container", "process"):
        raise Exit(MISUSED, f"minidocker grade: --sandbox is container or process, and not {call.sandbox!r}")
    where = {"root": str(call.top.root or ""), "runtime": call.top.runtime or "", "require": call.sandbox}
    batch = Batch(Path(call.output), limits(call), call.exercise, force=call.force, **where)
    try:
        found = list(find([Path(path) for path in call.args]))
    except DockerException as error:
        raise Exit(MISUSED, f"minidocker grade: {error}") from None
    untouched = [who for who, path in found if _untouched(who, path)] if call.touched else []
    if untouched:
        print(f"as handed out, and left out: {', '.join(map(printable, untouched))}", file=sys.stderr)
        found = [(who, path) for who, path in found if who not in untouched]
    if not found and not untouched:
        raise Exit(MISUSED, f"minidocker grade: no notebooks (*.ipynb) below {', '.join(call.args)}")
    results: list[Result] = []
    try:
        if found and not call.scheduler and not call.sandbox and batch.place().startswith(UNWALLED):
            print(f"minidocker grade: {batch.place()}. {WAY_OUT}", file=sys.stderr)
        with _executor(call) as (executor, jobs):
            for result, known in batch.run(found, executor, jobs):
                results.append(result)
                if not call.quiet:
                    print(_line(result, known, len(results), len(found)), file=sys.stderr, flush=True)
    except DockerException as error:  # of the machine: no sandbox at all
        raise Exit(NOT_GRADED, f"minidocker grade: {error}") from None
    print("\n".join(map(str, report.write(Path(call.output), results))))
    if any(result.problem for result in results):
        return NOT_GRADED
    return PASSED if all(result.passed for result in results) else NOT_PASSED


def _untouched(who: str, path: Path) -> bool:
    from minidocker.grading.course import untouched
    from minidocker.grading.grade import functions
    from minidocker.grading.submission import exercise_of, load

    submission = load(who, path)
    return untouched(exercise_of(submission, path, functions()), submission.cells)


def limits(call: Call) -> Any:
    """What each submission may use."""
    from minidocker.container.options.limits import size
    from minidocker.grading.sandbox import Limits

    try:
        memory, check, whole = size(call.memory), float(call.check_timeout), float(call.timeout)
    except (ValueError, DockerException) as error:
        raise Exit(MISUSED, f"minidocker grade: {error}") from None
    if memory < 64 << 20 or not 0 < check <= whole < 1e6:
        raise Exit(MISUSED, "minidocker grade: --memory is 64m at least, and --check-timeout at most --timeout")
    return Limits(memory=memory, check_seconds=check, all_seconds=whole)


@contextmanager
def _executor(call: Call) -> Iterator[tuple[Executor, int]]:
    """What runs the grading, and how much of it at once: threads here, or a cluster's workers."""
    from minidocker.grading.grade import JOBS

    if not call.scheduler:
        from concurrent.futures import ThreadPoolExecutor

        jobs = call.jobs if call.jobs > 0 else JOBS
        threads = ThreadPoolExecutor(jobs)
        try:
            yield threads, jobs
        finally:
            threads.shutdown(cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError:
        raise Exit(
            MISUSED, "minidocker grade: --scheduler needs Dask: pip install minidocker-course[cluster]"
        ) from None
    try:
        client: Any = Client(call.scheduler, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise Exit(MISUSED, f"minidocker grade: no Dask scheduler at {call.scheduler}: {error}") from None
    with client:
        yield (
            client.get_executor(pure=False, retries=2),
            call.jobs if call.jobs > 0 else sum(client.nthreads().values()) or 1,
        )


def _line(result: Result, known: bool, number: int, of: int) -> str:
    """One submission, done."""
    told = f"not graded: {result.problem}" if result.problem else f"{result.points:g} of {result.of}"
    return f"[{number}/{of}] {printable(result.who)}: {printable(told)}{' (as before)' if known else ''}"
