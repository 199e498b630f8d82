"""The learner's notebook, made from the one source: solutions and hidden checks out, everything else as it is.

    python -m minidocker.grading release exercises/01-layers
    python -m minidocker.grading check exercises/01-layers/layers.ipynb

A solution stands between `### BEGIN SOLUTION` and `### END SOLUTION`, what only instructors check between
`### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`. These are nbgrader's own marks: its tools read the source as it is,
and make the same of it. Only the standard library is used: a notebook is a JSON file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from minidocker.errors import InvalidArgument

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION[^\n]*\n.*?^[ \t]*### END SOLUTION[^\n]*$", re.S | re.M)
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS[^\n]*\n.*?^[ \t]*### END HIDDEN TESTS[^\n]*(\n|\Z)", re.S | re.M)
MARK = re.compile(r"### (?:BEGIN|END) (?:SOLUTION|HIDDEN TESTS)")
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"  # nbgrader's own
SOURCE = "source.ipynb"


def release(folder: Path) -> Path:
    """Write the learner's notebook beside `source.ipynb` of an exercise's folder; its path is returned."""
    target = folder / learners(folder.name)
    target.write_text(dump(released(read(folder / SOURCE))), encoding="utf-8")
    return target


def learners(exercise: str) -> str:
    """The name of the learner's notebook of an exercise.

    >>> learners("01-layers"), learners("capstone")
    ('layers.ipynb', 'capstone.ipynb')
    """
    return f"{exercise.partition('-')[2] or exercise}.ipynb"


def released(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook without solutions, hidden checks and outputs. Raises InvalidArgument where a mark is left alone."""
    cells = [_emptied(cell) for cell in notebook["cells"]]
    for cell in cells:
        if alone := MARK.search(source(cell)):
            raise InvalidArgument(f"{alone[0]} stands alone in cell {cell.get('id')}: BEGIN and END come in pairs")
    return {**notebook, "cells": cells}


def read(path: Path) -> dict[str, Any]:
    """A notebook file as a value."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def dump(notebook: dict[str, Any]) -> str:
    """A notebook as Jupyter writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def source(cell: dict[str, Any]) -> str:
    """A cell's text, which the format allows to be one string or a list of lines."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def namespace_of(notebook: dict[str, Any]) -> dict[str, Any]:
    """Run a notebook's code cells in order, in one namespace, without Jupyter. The notebook must use no magics."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            exec(compile(source(cell), f"cell-{number}", "exec"), namespace)
    return namespace


def _emptied(cell: dict[str, Any]) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    text = SOLUTION.sub(lambda found: "\n".join(found[1] + line for line in STUB.splitlines()), source(cell))
    text = HIDDEN.sub("", text).rstrip("\n")
    return {**cell, "source": text.splitlines(keepends=True), "outputs": [], "execution_count": None}
