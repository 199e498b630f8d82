"""The commands for who teaches: course release, collect, report."""

from __future__ import annotations

import sys
from pathlib import Path

from minidocker.cli.flags import Call, command
from minidocker.drawn import printable


@command(
    """
course release [OPTIONS] FOLDER

Write what a class is handed out: lessons, exercises, the course itself, and CI that grades

No solution and no hidden check is among it. FOLDER can be made a template repository of GitHub Classroom, or a GitLab
project; released again, only what has changed is written.

  -f, --force   Overwrite files there that are different
""",
    needs_engine=False,
)
def release(call: Call) -> int:
    """Ours alone."""
    from minidocker.grading.handout import hand_out

    changed = hand_out(Path(call.args[0]), call.force)
    print(f"{call.args[0]}: {len(changed)} files written" if changed else f"{call.args[0]}: nothing has changed")
    return 0


@command(
    """
course collect [OPTIONS] PATH [PATH...]

Bring what was handed in into one order: a folder a learner, a notebook an exercise

PATH is a folder with one folder a learner (clones of their repositories), or with one archive or notebook a learner, or
the archive of all that a learning platform gives. Of several notebooks of one exercise the newest counts. Grade them
then:  minidocker grade submissions

  -o, --output string   Folder to write to (default "submissions")
      --roster string   CSV whose first column says who is in the class, and the others what else they are known by
""",
    needs_engine=False,
)
def collect(call: Call) -> int:
    """Ours alone. The exit code is 1 where something could not be taken, or the roster has other people."""
    from minidocker.grading import collect as collecting
    from minidocker.grading.grade import functions

    roster = Path(call.roster) if call.roster else None
    found = collecting.collect([Path(path) for path in call.args], roster, functions())
    collecting.write(Path(call.output), found)
    for who, exercise in sorted(found.kept):
        untouched = "  (as it was handed out)" if found.untouched(who, exercise) else ""
        print(f"{printable(who)}\t{exercise}{untouched}")
    for strange in found.strange:
        print(f"not taken: {strange}", file=sys.stderr)
    for who in found.missing:
        print(f"nothing from: {printable(who)}", file=sys.stderr)
    for who in found.unlisted:
        print(f"not on the roster: {printable(who)}", file=sys.stderr)
    return 1 if found.strange or found.missing or found.unlisted else 0


@command(
    """
course report [OPTIONS] PATH [PATH...]

Show a class at a glance: who has come to what, and what to go over again

PATH is a folder that `minidocker grade` has written, or a grades.json. Writes gradebook.csv, .md and .html.

  -o, --output string   Folder to write to (default ".")
""",
    needs_engine=False,
)
def report(call: Call) -> int:
    """Ours alone."""
    from minidocker.grading.gradebook import Gradebook, read

    for path in Gradebook(read([Path(path) for path in call.args])).write(Path(call.output)):
        print(path)
    return 0
