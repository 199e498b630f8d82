"""What to do about an image: which line to change, how, and what that saves. Nothing here is guessed.

merge    a later line deletes or replaces what an earlier one made: bytes that are in vain
copy     a RUN only gives copied files another owner or mode, and so brings them all again
clean    caches and temporary files that nobody needs in an image
move     a COPY of what changes often stands above a RUN that does not care: seconds of each rebuild
secret   a secret by name in ENV or ARG, readable for ever
exec     a shell is process 1, and gets the signals in the program's place
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any

from minidocker.build.cache import Row
from minidocker.dockerfile.steprules import is_secret
from minidocker.image import Layer
from minidocker.layer import Changeset
from minidocker.tree import Entry

if TYPE_CHECKING:
    from minidocker.explain import Explanation, Fate, Line

CACHES = re.compile(
    r"(/var/lib/apt/lists|/var/cache/(?:apt|apk|dnf|yum|zypp|pacman)|/etc/apk/cache|/(?:root|home/[^/]+)/\.cache"
    r"|/(?:root|home/[^/]+)/\.(?:npm|gradle/caches|m2/repository|cargo/registry)|/usr/local/cargo/registry"
    r"|/usr/local/share/\.cache|/var/tmp|/tmp)/."
)
TEMPORARY = ("/tmp", "/var/tmp")
SHELLS = ("sh", "bash", "ash", "dash")


@dataclass(frozen=True)
class Advice:
    """One thing to do: the lines that it is about, and what it saves: bytes of the image, seconds of each rebuild."""

    kind: str
    lines: tuple[Line, ...]
    text: str
    bytes: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For programs; lines by what they are called, and by their instructions."""
        lines = [{"name": line.name, "instruction": line.text} for line in self.lines]
        return {**vars(self), "lines": lines}


def advise(found: Explanation) -> list[Advice]:
    """All advice on an image, what saves most bytes first, then what saves most seconds."""
    every = [*_merges(found), *_clean(found), *_moves(found), *_secrets(found), *_shells(found)]
    return sorted(every, key=lambda one: (-one.bytes, -one.seconds))


# Bytes in vain


def _merges(found: Explanation) -> Iterator[Advice]:
    """For each pair of lines of which the later one hides what the earlier one made."""
    pairs: dict[tuple[int, int, bool], list[Fate]] = {}
    for fate in found.fates:
        pairs.setdefault((fate.layer, fate.by, _retouched(fate)), []).append(fate)
    for (layer, by, retouched), fates in pairs.items():
        first, last = found.made(layer), found.made(by)
        if last.base or (first.base and not retouched):
            continue  # nobody can take back what is in the base
        size = sum(fate.size for fate in fates)
        all_of = len(fates) == first.added + first.changed
        if size and retouched and last.keyword == "RUN" and (first.base or first.keyword != "RUN"):
            yield Advice("copy", (first, last), _retouch(first, last, fates, all_of), size)
        elif size:
            yield Advice("merge", (first, last), _merge(found, first, last, fates), size)


def _retouched(fate: Fate) -> bool:
    """Whether a file came again with the same content, for another owner or mode."""
    now = fate.now
    return now is not None and (fate.was.kind, now.kind) == ("file", "file") and fate.was.data == now.data


def _retouch(first: Line, last: Line, fates: list[Fate], all_of: bool) -> str:
    now = [fate.now for fate in fates if fate.now]
    owners = {(entry.uid, entry.gid) for entry in now} - {(fate.was.uid, fate.was.gid) for fate in fates}
    modes = {entry.mode for entry in now} - {fate.was.mode for fate in fates}
    what = " and ".join(["owner"] * bool(owners) + ["mode"] * bool(modes)) or "time"
    told = (
        f"{last.name} only changes the {what} of {_files(fates)} of {first.name}, and so brings every byte of it again"
    )
    if first.base:
        return f"{told}: the base made them, so change no more of them than is needed"
    flags = [f"--chown={uid}:{gid}" for uid, gid in sorted(owners) if len(owners) == 1]
    flags += [f"--chmod={mode:o}" for mode in sorted(modes) if len(modes) == 1]
    copy = " ".join([first.keyword, *(flags or ["--chown=… --chmod=…"])])
    return f"{told}: write {copy} in {first.name}" if all_of else f"{told}: take it in a line of its own, with {copy}"


def _merge(found: Explanation, first: Line, last: Line, fates: list[Fate]) -> str:
    gone = [fate for fate in fates if fate.now is None]
    verb = "deletes" if len(gone) == len(fates) else "deletes or replaces" if gone else "replaces"
    told = f"{last.name} {verb} {_files(fates)} of {first.name}, where the bytes stay"
    between = [line for line in found.lines if first.layer <= line.layer <= last.layer]
    if all(line.keyword == "RUN" for line in between):
        return f"{told}: make one RUN of {_span(first, last, 'to' if len(between) > 2 else 'and')}"
    if last.keyword != "RUN" and all(map(_retouched, fates)):
        return f"{last.name} copies {_files(fates)} again that {first.name} has copied: leave it out with --exclude"
    if last.keyword != "RUN" and not gone:
        return f"{told}: leave them out of {first.name}"
    if first.keyword in ("COPY", "ADD") and last.keyword == "RUN":
        instead = "RUN --mount=type=bind shows them without copying" if gone else "COPY the result from a stage"
        return f"{told}: do not copy them ({'.dockerignore; ' if gone else ''}{instead})"
    return f"{told}: do both in one line, or in a stage of which only the result is copied"


def _span(first: Line, last: Line, joint: str) -> str:
    """`lines 3 to 5`."""
    kind, _, number = first.name.partition(" ")
    other, _, end = last.name.partition(" ")
    return f"{kind}s {number} {joint} {end}" if kind == other else f"{first.name} {joint} {last.name}"


def _files(fates: list[Fate]) -> str:
    paths = sorted(fate.path for fate in fates)
    return paths[0] if len(paths) == 1 else f"{len(paths)} files ({paths[0]}…)"


# What nobody needs


def _clean(found: Explanation) -> Iterator[Advice]:
    """Caches and temporary files that are still seen, by line and place."""
    vain = {(fate.layer, fate.path) for fate in found.fates}
    for line in [line for line in found.own if line.layer]:
        sizes: dict[str, int] = {}
        for path, entry in found.image.layers[line.layer - 1].changes.items():
            place = CACHES.match(path)
            if place and (line.layer, path) not in vain and entry.link in ("", path):
                sizes[place[1]] = sizes.get(place[1], 0) + entry.size
        for name, size in sizes.items():
            if size:
                yield Advice("clean", (line,), _cleaning(line, name), size)


def _cleaning(line: Line, place: str) -> str:
    what = "temporary files" if place in TEMPORARY else "a cache"
    told = f"{line.name} leaves {what} in {place}"
    if line.keyword != "RUN":
        return f"{told}: RUN --mount=type=bind shows files to a RUN without copying them"
    mount = "tmpfs" if place in TEMPORARY else "cache"
    return f"{told}: remove it in the same RUN, or keep it out with RUN --mount=type={mount},target={place}"


# Seconds


def _moves(found: Explanation) -> Iterator[Advice]:
    """A COPY above a RUN whose result stayed the same when what was copied changed, in the last build that did so."""
    for newer, older in pairwise(found.known.runs):
        rows = list(takewhile(lambda pair: pair[0].text == pair[1].text, zip(newer, older, strict=False)))
        for at, (row, old) in enumerate(rows):
            if row.facts.get("files") != old.facts.get("files"):
                yield from _move(found, rows[at:])
                return


def _move(found: Explanation, rows: list[tuple[Row, Row]]) -> Iterator[Advice]:
    """The first of these steps copied other files than the time before: below which of the others could it stand?"""
    copied, last, seconds = _changes(found, rows[0][0]), rows[0][0], 0.0
    for row, old in rows[1:]:
        facts, made = row.facts, _changes(found, row)
        if "instruction" in facts and row.text.split()[0].upper() not in ("ENV", "ARG"):
            continue
        if made is None or copied is None or ("workdir" in facts and "run" not in facts):
            break  # below a WORKDIR or ENV, what the COPY says may mean something else
        if _content(made) != _content(_changes(found, old)) or _meet(copied, made):
            break
        if "run" in facts:
            record = found.known.record(row)
            last, seconds = row, seconds + (record.seconds if record else 0)
    if last is not rows[0][0]:
        first, below = _line(found, rows[0][0]), _line(found, last)
        text = f"{_changed(found, *rows[0])} changed since the build before, and yet {below.name} came out the same: "
        text += f"move {first.name} below {below.name}; files of it that {below.name} reads, copy alone before it"
        yield Advice("move", (first, below), text, 0, seconds)


def _line(found: Explanation, row: Row) -> Line:
    return next(found.made(layer) for layer, (known, _) in found.known.layers.items() if known is row)


def _changes(found: Explanation, row: Row) -> Changeset | None:
    """The layer of a step, if it is still here."""
    record = found.known.record(row)
    if record is None or record.layer is None:
        return None
    return Layer(found.image.store, record.layer, record.layer.digest).changes


def _content(layer: Changeset | None) -> dict[str, Entry]:
    """What a layer holds, whenever that was made."""
    return {path: replace(entry, mtime=0) for path, entry in layer.items()} if layer is not None else {}


def _meet(one: Changeset, other: Changeset) -> bool:
    """Whether two layers have something to do with the same files."""
    return any(not entry.is_dir or not one[path].is_dir for path, entry in other.items() if path in one)


def _changed(found: Explanation, row: Row, old: Row) -> str:
    """The files of a COPY that changed: the first by name, and how many more."""
    now, was = (found.known.cache.files(str(one.facts.get("files"))) for one in (row, old))
    names = sorted(name for name in now.keys() | was.keys() if now.get(name) != was.get(name))
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else (names or ["what is copied"])[0]


# What others can read, and who gets the signals


def pair_names(text: str) -> list[str]:
    """The names that an ENV or ARG sets.

    >>> pair_names("ENV A=1 B=2"), pair_names("ARG TOKEN"), pair_names("RUN A=1 make")
    (['A', 'B'], ['TOKEN'], [])
    """
    keyword, _, rest = text.partition(" ")
    if keyword.upper() not in ("ENV", "ARG"):
        return []
    return re.findall(r"(?:^|\s)([A-Za-z_]\w*)=", rest) or rest.split()[:1]


def discreet(text: str) -> str:
    """An instruction, but of what looks like a secret the name alone.

    >>> discreet("ENV API_TOKEN=s3cr3t USER=me"), discreet("ENV USER=me")
    ('ENV API_TOKEN=… USER=…', 'ENV USER=me')
    """
    names = pair_names(text)
    return f"{text.split()[0]} {' '.join(f'{name}=…' for name in names)}" if any(map(is_secret, names)) else text


def _secrets(found: Explanation) -> Iterator[Advice]:
    """Variables in the history that are called like a secret."""
    for line in found.own:
        for name in filter(is_secret, pair_names(line.text)):
            text = (
                f"{line.name} has a variable {name}, which looks like a secret: who has the image can read its value; "
            )
            yield Advice("secret", (line,), f"{text}give it to the RUN that needs it with --mount=type=secret")


def _shells(found: Explanation) -> Iterator[Advice]:
    """CMD and ENTRYPOINT in the shell form."""
    config = found.image.config
    for keyword, key in (("ENTRYPOINT", "Entrypoint"), ("CMD", "Cmd")):
        words = config.get(key) or []
        line = next((line for line in reversed(found.lines) if line.keyword == keyword), None)
        shell = len(words) == 3 and words[0].rpartition("/")[2] in SHELLS and words[1] == "-c"
        if line and not line.base and shell and not words[2].lstrip().startswith("exec "):
            text = f"{line.name} makes a shell process 1, which hands no signal on, so docker stop may not reach the "
            yield Advice("exec", (line,), f'{text}program: write the exec form, {keyword} ["program", "argument"]')
