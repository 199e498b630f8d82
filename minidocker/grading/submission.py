"""A submission: a notebook that somebody handed in, read without trusting it.

It may be no JSON, have no cells, be of an old format, be a link to somewhere else, or a gigabyte large. Which exercise
it is of, its words say: `exercise("01-layers", …)`, else its name or its folder's, else the functions that it defines.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidocker.errors import NotFound

LARGEST = 16 << 20  # bytes of a notebook; one of this course's has 30 kB
CELLS = 2000
LEFT_OUT = {".ipynb_checkpoints", "__pycache__", "__MACOSX"}
SOURCE = "source.ipynb"  # the course's own, with the solutions
OPENED = re.compile(r"""\bexercise\(\s*["']([\w.-]+)["']""")


@dataclass(frozen=True)
class Submission:
    """Whose it is (its path, as it was found), its bytes and code cells; or the `problem` for which it has none."""

    who: str
    data: bytes = b""
    cells: tuple[str, ...] = ()
    problem: str = ""

    @property
    def digest(self) -> str:
        """What it is named by."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


def find(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The notebooks at these paths, and below those that are folders; each with a name. No link is followed.

    Raises NotFound where there is nothing.
    """
    for path in paths:
        if not os.path.lexists(path):
            raise NotFound(f"there is nothing at {path} to grade: give notebooks, or folders of them")
        if path.is_dir() and not path.is_symlink():
            top = path if len(paths) == 1 else path.parent
            yield from ((found.relative_to(top).as_posix().removesuffix(".ipynb"), found) for found in _below(path))
        else:
            yield path.with_suffix("").as_posix().lstrip("./"), path


def _below(path: Path) -> Iterator[Path]:
    """The notebooks below a folder; and the folders that cannot be read, which nobody is to overlook."""
    closed: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=closed.append):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".ipynb") and name != SOURCE)
    yield from (Path(error.filename) for error in closed)


def load(who: str, path: Path) -> Submission:
    """Read one; what is wrong with it stands in its `problem`."""
    try:
        data = _content(path)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Submission(who, problem=f"it cannot be read: {said}")
    return parse(who, data)


def parse(who: str, data: bytes) -> Submission:
    """A notebook's bytes.

    >>> parse("ada", b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["a = 1\\\\n", "b = 2"]}]}').cells
    ('a = 1\\nb = 2',)
    >>> parse("bob", b"{").problem
    'it is no notebook: not JSON (line 1: Expecting property name enclosed in double quotes)'
    """
    try:
        cells = tuple(_cells(json.loads(data.decode("utf-8-sig"))))
    except json.JSONDecodeError as error:
        return Submission(who, data, problem=f"it is no notebook: not JSON (line {error.lineno}: {error.msg})")
    except (ValueError, RecursionError) as error:
        return Submission(who, data, problem=f"it is no notebook: {str(error)[:100]}")
    return Submission(who, data, cells)


def exercise_of(submission: Submission, path: Path, functions: Mapping[str, Sequence[str]]) -> str:
    """Which exercise it is of; "" where nothing says so. `functions`: those that each exercise asks for."""
    named = [name for cell in submission.cells for name in OPENED.findall(cell) if name in functions]
    if named:
        return str(named[-1])
    for word in (path.stem, path.parent.name, path.parent.parent.name):
        for name in functions:
            if word and word in (name, name.partition("-")[2]):
                return name
    text = "\n".join(submission.cells)
    defined = set(re.findall(r"^def (\w+)", text, re.M))
    best = max(functions, key=lambda name: len(defined.intersection(functions[name])), default="")
    return best if defined.intersection(functions.get(best, ())) else ""


def _content(path: Path) -> bytes:
    """The bytes of a file that is one, and no larger than a notebook is."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if path.is_symlink():
        raise ValueError("it is a symbolic link, and none is followed: hand in the notebook itself")
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if found.st_size > LARGEST:
            raise ValueError(
                f"it has {found.st_size >> 20} MiB, and a notebook may have {LARGEST >> 20}: clear its outputs"
            )
        return stream.read(LARGEST + 1)


def _cells(notebook: Any) -> Iterator[str]:
    """The code cells of a notebook of format 4 or 3, in order."""
    if type(notebook) is not dict:
        raise ValueError("its JSON is no object")
    sheets = notebook.get("worksheets")
    cells = notebook.get("cells")
    if cells is None and type(sheets) is list:  # format 3
        found = [sheet.get("cells") for sheet in sheets if type(sheet) is dict]
        cells = [cell for some in found if type(some) is list for cell in some]
    if type(cells) is not list:
        raise ValueError("it has no cells")
    if len(cells) > CELLS:
        raise ValueError(f"it has {len(cells)} cells, and may have {CELLS}")
    for cell in cells:
        if type(cell) is dict and cell.get("cell_type") == "code":
            text = cell.get("source", cell.get("input", ""))
            yield "".join(line for line in (text if type(text) is list else [text]) if type(line) is str)
