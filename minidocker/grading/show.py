"""Pictures of results: what a learner's function returned, drawn so that two fit side by side."""

from __future__ import annotations

from typing import Any

from minidocker.grading.compare import describe, same
from minidocker.layer import WHITEOUT
from minidocker.notebook.pictures.facts import Letter, Mark
from minidocker.notebook.pictures.files import tree_figure
from minidocker.notebook.pictures.svg import Figure, text
from minidocker.tree import Entry

Entries = dict[str, Entry]
NARROW = 380  # so that two pictures fit side by side


def show_tree(title: str, value: Entries, arguments: tuple[Any, ...]) -> Figure:
    """A tree, each path lettered by what it is beside the lower tree (the first argument); what went is struck out."""
    lower: Entries = arguments[0]
    gone = {path: entry for path, entry in lower.items() if path not in value}
    found = [
        Mark(path, _letter(lower, path, entry)) for path, entry in value.items() if not same(entry, lower.get(path))
    ]
    found += [Mark(path, "D") for path in gone]
    return tree_figure(title, {path: e for path, e in (value | gone).items() if path != "/"}, found, width=NARROW)


def show_layer(title: str, value: Entries, arguments: tuple[Any, ...]) -> Figure:
    """A layer: what it lists, and nothing else."""
    found = [Mark(path, _letter(arguments[0], path, entry)) for path, entry in value.items()]
    return tree_figure(title, value, found, width=NARROW)


def show_lines(title: str, value: Any, _arguments: tuple[Any, ...]) -> Figure:
    """A plain value, or a list of them one below the other."""
    lines = [describe(item) for item in (value if type(value) is list else [value])] or ["[]"]
    drawn = [
        text(0, 16, title, "md-h"),
        *(text(0, 38 + 18 * n, line, "md-c", width=NARROW) for n, line in enumerate(lines)),
    ]
    return Figure(title, "; ".join(lines), "".join(drawn), NARROW, 46 + 18 * len(lines), "\n".join([title, *lines]))


def _letter(lower: Entries, path: str, entry: Entry) -> Letter:
    return "D" if entry is WHITEOUT else "M" if path in lower else "A"
