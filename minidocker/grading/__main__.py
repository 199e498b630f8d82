"""`python -m minidocker.grading release FOLDER…` and `… check NOTEBOOK…`."""

from __future__ import annotations

import sys
from pathlib import Path

from minidocker.grading import open_exercise
from minidocker.grading.release import namespace_of, read, release

USAGE = """usage: python -m minidocker.grading release FOLDER...   make the learners' notebooks from the sources
       python -m minidocker.grading check NOTEBOOK...   run a notebook in this process and check its tasks
A notebook is somebody's program: check only those that you would run."""


def main(arguments: list[str]) -> int:
    """Run one command; the exit code is 1 when a checked notebook has a task that does not pass."""
    if len(arguments) < 2 or arguments[0] not in ("release", "check"):
        print(USAGE, file=sys.stderr)
        return 2
    command, *paths = arguments
    if command == "release":
        for path in paths:
            print(release(Path(path)))
        return 0
    done = True
    for notebook in map(Path, paths):
        exercise = open_exercise(notebook.resolve().parent.name, namespace_of(read(notebook)))
        print(exercise.check().twin)
        done &= exercise.check().voice == "passed"
    return 0 if done else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
