"""Notebooks as learners hand them in, brought into one order: `FOLDER/<learner>/<exercise>.ipynb`.

They come as a folder with one folder a learner (clones of GitHub Classroom's repositories), as the archive that a
learning platform gives (Moodle's and Canvas's names are known), or as a folder with an archive or a notebook a learner.
Of several notebooks of one exercise, the newest counts. An archive is hostile until it is read: its paths name nothing
here but learners, and a bomb is left packed.
"""

from __future__ import annotations

import csv
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from minidocker.content import write_atomic
from minidocker.drawn import printable
from minidocker.errors import InvalidArgument, NotFound
from minidocker.grading.course import untouched
from minidocker.grading.submission import LARGEST, LEFT_OUT, Submission, exercise_of, load, parse

ENTRIES = 100_000  # in one archive
MOODLE = re.compile(r"(.+?)_\d+_assignsubmission_\w*")
CANVAS = re.compile(r"([^\W_]+)(?:_LATE)?_\d+_\d+_.+")


@dataclass(frozen=True)
class Handed:
    """A notebook that somebody handed in: whose, its path there, when it was written, and what it is."""

    who: str
    path: PurePosixPath
    moment: float
    submission: Submission


@dataclass
class Collected:
    """What came: the notebook of each learner and exercise; what is none of the course.

    By the roster, where there is one: who has handed in nothing, and who is not on it.
    """

    kept: dict[tuple[str, str], Handed] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)

    def untouched(self, who: str, exercise: str) -> bool:
        """Whether it is as it was handed out."""
        return untouched(exercise, self.kept[who, exercise].submission.cells)


def collect(sources: Sequence[Path], roster: Path | None, functions: Mapping[str, Sequence[str]]) -> Collected:
    """Look through the sources. `functions`: those that each exercise asks for. Raises NotFound, InvalidArgument."""
    found, known = Collected(), _roster(roster) if roster else {}
    for source in sources:
        for handed in _handed_in(source):
            who = _known(handed.who, known)
            exercise = exercise_of(handed.submission, Path(handed.path), functions)
            if handed.submission.problem or not exercise:
                why = handed.submission.problem or "it is of no exercise of this course"
                found.strange.append(f"{who}: {printable(str(handed.path))}: {why}")
            elif (who, exercise) not in found.kept or handed.moment >= found.kept[who, exercise].moment:
                found.kept[who, exercise] = handed
    people, came = set(known.values()), {who for who, _ in found.kept}
    found.missing, found.unlisted = sorted(people - came), sorted(came - people) if roster else []
    return found


def write(target: Path, found: Collected) -> list[Path]:
    """Write the notebooks that count; their paths. What was collected before stays, or is replaced."""
    made = []
    for (who, exercise), handed in sorted(found.kept.items()):
        path = target / who / f"{exercise}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, handed.submission.data)
        made.append(path)
    return made


def learner(name: str) -> str:
    """Whose a folder or file is, by its name, as a name of a folder of ours.

    >>> learner("Ada Lovelace_4711_assignsubmission_file_"), learner("hopper_1234_56789_layers.ipynb")
    ('Ada Lovelace', 'hopper')
    >>> learner("01-layers-ada"), learner("../..")
    ('01-layers-ada', 'unknown')
    """
    word = re.sub(r"\.(ipynb|zip)$", "", name)
    match = MOODLE.fullmatch(word) or CANVAS.fullmatch(word)
    word = match[1] if match else word
    return re.sub(r'[\\/:*?"<>|]', "_", printable(word)).strip(" .")[:100].strip("_") or "unknown"


def _handed_in(source: Path) -> Iterator[Handed]:
    if not source.exists():
        raise NotFound(f"there is nothing at {source} to collect: give folders, or archives (.zip)")
    if source.is_file():
        yield from _unpacked(source)
        return
    for top in sorted(source.iterdir()):
        if top.is_symlink() or _left_out(top.name):
            continue
        if top.is_dir():
            for path in sorted(_notebooks(top)):
                yield _of_file(learner(top.name), path, path.relative_to(source))
        elif top.suffix == ".ipynb":
            yield _of_file(learner(top.name), top, top.relative_to(source))
        elif top.suffix == ".zip":
            who = learner(top.name)
            try:
                yield from _unpacked(top, who)
            except InvalidArgument as error:  # of one learner: the others are not to wait for it
                yield Handed(who, PurePosixPath(top.name), 0.0, Submission(who, problem=str(error)))


def _notebooks(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if not _left_out(name)]
        yield from (Path(folder, name) for name in names if name.endswith(".ipynb") and not _left_out(name))


def _left_out(name: str) -> bool:
    """What programs leave beside what people hand in."""
    return name in LEFT_OUT or (name.startswith(".") and name not in (".", ".."))


def _of_file(who: str, path: Path, named: Path) -> Handed:
    return Handed(who, PurePosixPath(named), path.lstat().st_mtime, load(who, path))


def _unpacked(path: Path, who: str = "") -> Iterator[Handed]:
    """The notebooks in an archive: all of one learner, or a folder a learner."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > ENTRIES:
                raise InvalidArgument(f"{path} has {len(entries)} files: no class is that large")
            for entry in entries:
                name = PurePosixPath(entry.filename)
                if name.suffix == ".ipynb" and not any(map(_left_out, name.parts)):
                    top = who or learner(next((part for part in name.parts if part not in ("/", "..")), ""))
                    yield Handed(top, name, _moment(entry), _of_entry(archive, entry, top))
    except (zipfile.BadZipFile, OSError) as error:
        raise InvalidArgument(f"{path} is no archive that can be read: {error}") from None


def _of_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, who: str) -> Submission:
    try:
        with archive.open(entry) as stream:
            data = stream.read(LARGEST + 1)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:  # damaged, or with a password
        return Submission(who, problem=f"it cannot be unpacked: {error}")
    if len(data) > LARGEST:
        return Submission(who, problem=f"it has more than {LARGEST >> 20} MiB: clear its outputs")
    return parse(who, data)


def _moment(entry: zipfile.ZipInfo) -> float:
    """When an entry was written, to compare it with others: as seconds, of no time zone."""
    import calendar

    return float(calendar.timegm((*entry.date_time, 0, 0, 0)))


def _roster(path: Path) -> dict[str, str]:
    """Each word by which somebody is known -> who that is: the first column of a CSV, as GitHub Classroom gives one."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(f"the roster {path} cannot be read: {error}") from None
    people = [row for row in rows[1:] if row and row[0]]
    return {word: learner(row[0]) for row in reversed(people) for word in row if word}


def _known(who: str, known: Mapping[str, str]) -> str:
    """Who that is by the roster: by the name, or by its end, as in `01-layers-ada`."""
    if who in known:
        return known[who]
    ends = [word for word in known if who.endswith(f"-{word}")]
    return known[max(ends, key=len)] if ends else who
