"""A layer opened: its files as a tree, each with the letter of what the layer does to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from minidocker.layer import Changeset
from minidocker.notebook.pictures.facts import Mark, count, marks
from minidocker.notebook.pictures.stack import LOOK
from minidocker.notebook.pictures.svg import Figure, Markup, bytes_text, el, group, rect, text
from minidocker.tree import Entry, Tree, parents

LINE, WIDTH, LIMIT = 21, 640, 60  # height of a line, width of the picture, lines drawn at most
KINDS = {"dir": "/", "symlink": "@", "fifo": "|", "char": " (device)", "block": " (device)"}


def layer_figure(title: str, changes: Changeset, lower: Tree | None = None) -> Figure:
    """Draw a layer. `lower` is what lies below it: without, nothing can be told to be *modified*."""
    found = marks(lower or Tree(), changes)
    return tree_figure(title, dict(changes.items()), found, f"{_tally(found)}; {bytes_text(changes.size)} of content")


def tree_figure(
    title: str, entries: Mapping[str, Entry], found: Sequence[Mark] = (), subtitle: str = "", width: int = WIDTH
) -> Figure:
    """Draw paths as a tree; those in `found` carry their letter."""
    letters = {mark.path: mark for mark in found}
    lines = list(tree_lines({*entries, *letters}))
    shown, rest = lines[:LIMIT], len(lines) - LIMIT
    drawn = [text(0, 16, title, "md-h"), text(0, 34, subtitle, "md-dim", "md-s", width=width)]
    top = 44.0 if subtitle else 26.0
    for index, (path, depth) in enumerate(shown):
        drawn.append(group(_line(path, depth, entries.get(path), letters.get(path), width), 0, top + index * LINE))
    height = top + len(shown) * LINE + 6
    if rest > 0:
        drawn.append(text(8, height + 10, f"and {count(rest, 'path')} more", "md-dim"))
        height += 18
    said = ", ".join(map(str, found[:LIMIT])) or "nothing changed"
    twin = "\n".join([f"{title}  ({subtitle})" if subtitle else title, *_twin(shown, entries, letters, rest)])
    return Figure(title, f"{subtitle}. {said}.".removeprefix(". "), "".join(drawn), width, height, twin)


def tree_lines(paths: set[str]) -> Iterator[tuple[str, int]]:
    """Paths and the directories above them, as a tree is listed, each with its depth."""
    for path in sorted(paths.union(*map(parents, paths)) - {"/"}, key=lambda path: path.split("/")):
        yield path, path.count("/") - 1


def _line(path: str, depth: int, entry: Entry | None, mark: Mark | None, width: int) -> list[Markup]:
    parts, x = [], 30 + depth * 18
    if mark:
        look, word = LOOK[mark.letter]
        parts += [
            el(
                "g",
                el("title", f"{path}: {word}"),
                rect(0, 1, 20, LINE - 4, look, fill="HATCH" if mark.letter == "D" else None),
            ),
            text(10, 14, mark.letter, "md-c", text_anchor="middle", font_weight="bold"),
        ]
    parts += [
        el("path", d=f"M{30 + up * 18 + 4} 0V{LINE}", class_="md-thin", stroke_opacity=0.35) for up in range(depth)
    ]
    gone = "md-gone" if mark and mark.letter == "D" else "" if mark else "md-dim"
    parts.append(text(x, 14, _name(path, entry), "md-c", gone, width=width - x - 150))
    for right, word in zip((width - 70, width), _meta(entry), strict=True):
        parts.append(text(right, 14, word, "md-c", "md-dim", text_anchor="end"))
    return parts


def _twin(
    lines: Sequence[tuple[str, int]], entries: Mapping[str, Entry], letters: Mapping[str, Mark], rest: int
) -> Iterator[str]:
    for path, depth in lines:
        letter = letters[path].letter if path in letters else " "
        name = "  " * depth + _name(path, entries.get(path))
        mode, size = _meta(entries.get(path))
        yield f" {letter} {name:<44} {mode:<16} {size:>8}".rstrip()
    if rest > 0:
        yield f"   and {count(rest, 'path')} more"


def _name(path: str, entry: Entry | None) -> str:
    name = path.rsplit("/", 1)[-1]
    if entry is None:
        return name if name == "*" else name + "/"
    return name + KINDS.get(entry.kind, "") + (f" -> {entry.target}" if entry.kind == "symlink" else "")


def _meta(entry: Entry | None) -> tuple[str, str]:
    """Mode (and owner, where it is not root), and size."""
    if entry is None or entry.kind == "whiteout":
        return ("whiteout" if entry else "", "")
    owner = f" {entry.uid}:{entry.gid}" if entry.uid or entry.gid else ""
    return f"{entry.mode:04o}{owner}", bytes_text(entry.size) if entry.kind == "file" else ""


def _tally(found: Sequence[Mark]) -> str:
    words = {"A": "added", "M": "modified", "D": "deleted"}
    tally = [(sum(mark.letter == letter for mark in found), word) for letter, word in words.items()]
    return ", ".join(f"{number} {word}" for number, word in tally if number) or "nothing changed"
