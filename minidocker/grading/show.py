"""Pictures of results: what a learner's function returned, drawn so that two fit side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidocker.dockerignore import Pattern
from minidocker.grading.compare import describe, same
from minidocker.layer import WHITEOUT
from minidocker.notebook.pictures.facts import Letter, Mark
from minidocker.notebook.pictures.files import tree_figure
from minidocker.notebook.pictures.svg import MONO, Figure, clip, rect, text
from minidocker.tree import Entry, parents

Entries = dict[str, Entry]
NARROW = 380  # so that two pictures fit side by side
AS_IT_IS = "white-space:pre"  # blanks count


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
    return show_text(title, [describe(item) for item in (value if type(value) is list else [value])] or ["[]"])


def show_text(title: str, lines: Sequence[str]) -> Figure:
    """Lines of text, one below the other."""
    drawn = [
        text(0, 16, title, "md-h"),
        *(text(0, 38 + 18 * n, line, "md-c", width=NARROW, style=AS_IT_IS) for n, line in enumerate(lines)),
    ]
    return Figure(title, "; ".join(lines), "".join(drawn), NARROW, 30 + 18 * len(lines), "\n".join([title, *lines]))


def show_words(title: str, value: list[str], _arguments: tuple[Any, ...]) -> Figure:
    """The words of a list, each in a box of its own: where does one end?"""
    drawn, x, y = [text(0, 16, title, "md-h")], 0.0, 28.0
    for word in value:
        shown = clip(word, 50) or "''"
        width = len(shown) * 11 * MONO + 14
        if x and x + width > NARROW:
            x, y = 0.0, y + 30
        drawn += [rect(x, y, width, 22, "md-box"), text(x + 7, y + 15, shown, "md-c", style=AS_IT_IS)]
        x += width + 6
    drawn += [] if value else [text(0, y + 15, "no words", "md-dim")]
    twin = " ".join(f"[{word}]" for word in value) or "no words"
    return Figure(title, f"{len(value)} words: {twin}", "".join(drawn), NARROW, y + 30, f"{title}\n  {twin}")


def show_numbered(title: str, value: list[tuple[int, str]], _arguments: tuple[Any, ...]) -> Figure:
    """Lines with their numbers."""
    drawn = [text(0, 16, title, "md-h")]
    for y, (number, line) in enumerate(value):
        drawn.append(text(20, 42 + 22 * y, describe(number), "md-dim", "md-c", text_anchor="end"))
        drawn.append(rect(30, 28 + 22 * y, NARROW - 31, 20, "md-box"))
        drawn.append(text(37, 42 + 22 * y, line, "md-c", width=NARROW - 45, style=AS_IT_IS))
    lines = [f"{describe(number):>3}  {line}" for number, line in value] or ["no lines"]
    return Figure(title, "; ".join(lines), "".join(drawn), NARROW, 36 + 22 * len(lines), "\n".join([title, *lines]))


def show_ignored(title: str, value: bool, arguments: tuple[Any, ...]) -> Figure:
    """The lines of a `.dockerignore`, those marked that match the path or a directory above it, and what is decided."""
    patterns, path = arguments
    rows = [(line, _matches(line, path)) for line in patterns]
    drawn = [text(0, 16, title, "md-h")]
    for y, (line, matched) in enumerate(rows):
        drawn.append(rect(0, 28 + 22 * y, NARROW - 1, 20, "md-on" if matched else "md-box"))
        drawn.append(text(8, 42 + 22 * y, line, "md-c", width=NARROW - 90))
        drawn.append(text(NARROW - 10, 42 + 22 * y, "matches" if matched else "", "md-s", text_anchor="end"))
    said = f"{path} " + ("is left out" if value else "stays in")
    drawn.append(text(0, 48 + 22 * len(rows), said, "md-c", width=NARROW))
    lines = [title, *(f"{'>' if matched else ' '} {line}" for line, matched in rows), said]
    return Figure(title, ". ".join(lines[1:]), "".join(drawn), NARROW, 56 + 22 * len(rows), "\n".join(lines))


def _matches(line: str, path: str) -> bool:
    if not line.strip() or line.startswith("#"):
        return False
    regex = Pattern.parse(line.strip()).regex
    return any(regex.fullmatch(one) for one in (path, *(up[1:] for up in parents("/" + path) if up != "/")))


def show_stack(title: str, value: Any, arguments: tuple[Any, ...]) -> Figure:
    """The layers of the first argument, top first. A number lights the layer that answers, a list the names seen."""
    layers, path = arguments
    drawn, y, lines = [text(0, 16, title, "md-h")], 26.0, [title]
    for number in reversed(range(len(layers))):
        chosen = type(value) is int and value == number
        words = [_said(known, entry, path, value) for known, entry in sorted(layers[number].items())] or ["(nothing)"]
        height = 10 + 17.0 * len(words)
        drawn.append(rect(0, y, NARROW - 1, height, "md-on" if chosen else "md-slab"))
        drawn.append(text(14, y + 18, str(number), "md-h", text_anchor="middle"))
        drawn += [text(32, y + 18 + 17 * n, line, "md-c", width=NARROW - 110) for n, line in enumerate(words)]
        drawn.append(text(NARROW - 10, y + 18, "answers" if chosen else "", "md-s", text_anchor="end"))
        lines += [f"{'>' if chosen else ' '} layer {number}: {', '.join(words)}"]
        y += height + 6
    said = f"nobody answers for {path}" if value is None else f"{path}: {describe(value)}"
    drawn.append(text(0, y + 14, said, "md-c", width=NARROW))
    return Figure(title, f"{said}. {'. '.join(lines[1:])}", "".join(drawn), NARROW, y + 22, "\n".join([*lines, said]))


def _said(path: str, entry: Entry, directory: str, value: Any) -> str:
    """An entry in the fewest words (its mode only where that is not the usual one), marked when its name is seen."""
    usual = " (mode 755)" if entry.is_dir else " (mode 644)"
    up, _, name = path.rpartition("/")
    seen = type(value) is list and (up or "/") == directory and any(type(one) is str and one == name for one in value)
    return f"{'▸ ' if seen else ''}{path}: {describe(entry).removeprefix('a ').replace(usual, '')}"


def _letter(lower: Entries, path: str, entry: Entry) -> Letter:
    return "D" if entry is WHITEOUT else "M" if path in lower else "A"
