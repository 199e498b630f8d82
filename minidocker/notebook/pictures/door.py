"""The build context as the only door: which files of this machine come in, which stay outside, and why.

`door(folder)` reads the folder and its `.dockerignore` as a build does; `patterns(text, paths)` tries a `.dockerignore`
on paths that need not exist, line by line.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from minidocker.build import Context, dockerignore
from minidocker.dockerignore import Ignore
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.matrix import matrix
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, bytes_text, group, rect, text
from minidocker.tree import Entry, parents

WIDTH, WALL, ROW, TOP, MOST = 760, 330, 24, 64, 24  # where the wall stands; height of a line; lines drawn at most
OUTSIDE = "not in the context: no line can name it"


@dataclass(frozen=True)
class Item:
    """A file, or a directory that is left out as a whole; `why` is empty for what comes in."""

    path: str
    size: int
    why: str = ""
    files: int = 1


def door(folder: str | os.PathLike[str], outside: Iterable[str] = (), dockerfile: str = "Dockerfile") -> Figure:
    """What a build in this folder could take, and what not; `outside` are some paths that are elsewhere."""
    ignore = dockerignore(folder, dockerfile)
    return door_figure(Context.folder(Path(folder)).tree, ignore, outside)


def door_figure(tree: Mapping[str, Entry], ignore: Ignore, outside: Iterable[str] = ()) -> Figure:
    """Draw the files of a folder, those that the patterns leave out, and some that are somewhere else."""
    items = [*_items(tree, ignore), *(Item(path, 0, OUTSIDE, 0) for path in outside)]
    kept = [item for item in items if not item.why]
    files, size = sum(item.files for item in items), sum(item.size for item in items)
    held = f"{len(kept)} of {count(files, 'file')}, {bytes_text(sum(item.size for item in kept))} of {bytes_text(size)}"
    shown, rest = items[:MOST], len(items) - MOST
    height = TOP + len(shown) * ROW + (20 if rest > 0 else 0)
    drawn = [
        text(0, 16, "the build context is the only door", "md-h"),
        text(0, 34, f"it holds {held}", "md-dim", "md-s"),
        text(0, TOP - 8, "on this machine", "md-dim", "md-s"),
        text(WALL + 40, TOP - 8, "what COPY and ADD can see", "md-dim", "md-s"),
        *_wall(shown),
        *(group(_row(item), 0, float(TOP + index * ROW)) for index, item in enumerate(shown)),
    ]
    if rest > 0:
        drawn.append(text(0, height - 4, f"and {rest} more", "md-dim"))
    said = [f"{item.path}: {item.why or 'comes in'}" for item in shown]
    lines = [f"  {'▸' if not item.why else '✗'} {_name(item):<32} {item.why}".rstrip() for item in shown]
    twin = "\n".join([f"the build context is the only door  (it holds {held})", *lines])
    return Figure("the build context", f"It holds {held}. {'. '.join(said)}.", "".join(drawn), WIDTH, height + 4, twin)


def patterns(text: str, paths: Sequence[str]) -> Figure:
    """Try a `.dockerignore` on some paths: what each line, from the first to the last, makes of them."""
    ignore = Ignore.parse(text)
    columns = [f"{pattern.line}: {pattern}" for pattern in ignore.patterns]
    cells, lit = {}, set()
    for path in paths:
        out = False
        for number, column in enumerate(columns, 1):
            now = Ignore(ignore.patterns[:number]).excludes(path)
            cells[path, column] = "left out" if now else "in"
            if now != out:
                lit.add((path, column))
                cells[path, column] = "left out" if now else "in again"
            out = now
    return matrix("after each line of .dockerignore", paths, columns, cells, corner="path", lit=lit)


def _items(tree: Mapping[str, Entry], ignore: Ignore) -> Iterator[Item]:
    """Files, sorted; a directory in which nothing can come in is one item."""
    folded: dict[str, list[int]] = {}
    for path, entry in tree.items():
        name = path.strip("/")
        if entry.is_dir and name and ignore.skips(name) and not _above(name, folded):
            folded[name] = []
        elif not entry.is_dir and (top := _above(name, folded)):
            folded[top].append(entry.size)
    for path, entry in tree.items():
        name = path.strip("/")
        if name in folded:
            yield Item(name + "/", sum(folded[name]), _why(ignore, name), len(folded[name]))
        elif not entry.is_dir and not _above(name, folded):
            yield Item(name, entry.size, _why(ignore, name))


def _above(name: str, folded: Container[str]) -> str:
    """The folded directory that a path lies in, or nothing."""
    return next((up[1:] for up in parents("/" + name) if up[1:] in folded), "")


def _why(ignore: Ignore, name: str) -> str:
    pattern = ignore.decides(name)
    return f"left out by line {pattern.line}: {pattern}" if pattern and not pattern.exception else ""


def _name(item: Item) -> str:
    return f"{item.path} ({count(item.files, 'file')})" if item.path.endswith("/") and item.files else item.path


def _row(item: Item) -> Iterator[Markup]:
    dim = "md-dim" if item.why else ""
    yield text(0, 16, _name(item), "md-c", dim, width=WALL - 90)
    yield text(WALL - 28, 16, bytes_text(item.size) if item.files else "", "md-c", "md-dim", text_anchor="end")
    if item.why:
        yield text(WALL - 14, 16.5, "✗", "md-dim", text_anchor="middle")
        yield text(WALL + 40, 16, item.why, "md-dim", "md-s", width=WIDTH - WALL - 44)
    else:
        yield arrow(WALL - 20, 12, WALL + 34, 12)
        yield text(WALL + 40, 16, "/" + item.path, "md-c", width=WIDTH - WALL - 44)


def _wall(items: Sequence[Item]) -> Iterator[Markup]:
    """The wall has a gap where something comes in."""
    for open_, run in groupby(range(len(items)), key=lambda index: not items[index].why):
        rows = list(run)
        if not open_:
            yield rect(WALL, TOP + rows[0] * ROW - 1, 12, len(rows) * ROW + 2, "md-slab", rx=2)
