"""Two images side by side: files only in one, files that differ and in what, and where their configs part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from minidocker.explain import base_name, instruction
from minidocker.manifest import dump
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.stack import LOOK
from minidocker.notebook.pictures.svg import Figure, Markup, group, rect, text
from minidocker.tree import Entry, Tree

if TYPE_CHECKING:
    from minidocker.image import Image

WIDTH, PANE, LINE, LIMIT, KEY, VALUE = 800, 256, 21, 10, 150, 322
TOP = 62


@dataclass(frozen=True)
class Difference:
    """In what two images differ: paths, changed ones with what changed; and settings, as (key, left, right)."""

    left: tuple[str, ...]
    changed: tuple[tuple[str, str], ...]
    right: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]
    layers: int  # from the bottom, how many layers they share


def image_diff(a: Image, b: Image) -> Figure:
    """Draw in what two images differ, files and settings."""
    return diff_figure(base_name(a), base_name(b), difference(a, b))


def difference(a: Image, b: Image) -> Difference:
    """Compare two images."""
    one, two = a.tree(), b.tree()
    changed = [(path, words) for path in one if path in two and (words := _what(one[path], two[path]))]
    left, right = settings(a), settings(b)
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a.diff_ids, b.diff_ids, strict=False))))
    return Difference(
        _only(one, two),
        tuple(changed),
        _only(two, one),
        tuple((k, left.get(k, ""), right.get(k, "")) for k in keys),
        shared,
    )


def _only(one: Tree, two: Tree) -> tuple[str, ...]:
    """The paths that the second one lacks."""
    return tuple(path for path in one if path not in two)


def _what(a: Entry, b: Entry) -> str:
    """In what two entries differ: `content, mode 644 → 755`; nothing for equal ones."""
    if a == b:
        return ""
    found = [f"{a.kind} → {b.kind}"] if a.kind != b.kind else []
    found += ["content"] if a.kind == b.kind and (a.data, a.target, a.device) != (b.data, b.target, b.device) else []
    found += [f"mode {a.mode:o} → {b.mode:o}"] if a.mode != b.mode else []
    found += [f"owner {a.uid}:{a.gid} → {b.uid}:{b.gid}"] if (a.uid, a.gid) != (b.uid, b.gid) else []
    found += [f"time {_day(a.mtime)} → {_day(b.mtime)}"] if a.mtime != b.mtime and not found else []
    return ", ".join(found) or "attributes"


def _day(mtime: int) -> str:
    return f"{datetime.fromtimestamp(mtime, UTC):%Y-%m-%d}"


def settings(image: Image) -> dict[str, str]:
    """An image's config as lines: key -> value; each variable and each label has one of its own."""
    raw, flat = image.raw, {}
    for key in ("architecture", "os", "created", "author"):
        flat[key] = str(raw.get(key) or "")
    for key, value in image.config.items():
        if key == "Env":
            flat |= {f"Env {name}": given for name, _, given in (one.partition("=") for one in value)}
        elif key == "Labels":
            flat |= {f"Label {name}": given for name, given in value.items()}
        else:
            flat[key] = value if isinstance(value, str) else dump(value).decode()
    flat["history"] = "; ".join(instruction(str(line.get("created_by") or "")) for line in raw.get("history") or [])
    flat["layers"] = count(len(image.diff_ids), "layer")
    return flat


def diff_figure(left: str, right: str, found: Difference) -> Figure:
    """Draw a difference; `left` and `right` are what the two are called."""
    panes = (
        (f"only in {left}", "D", [(path, "") for path in found.left]),
        ("in both, but changed", "M", list(found.changed)),
        (f"only in {right}", "A", [(path, "") for path in found.right]),
    )
    title = f"{left} beside {right}"
    paths = len(found.left) + len(found.changed) + len(found.right)
    differ = f"{count(paths, 'path')} and {count(len(found.settings), 'setting')} differ"
    said = f"{differ}; {count(found.layers, 'layer')} shared"
    drawn = [text(0, 16, title, "md-h"), text(0, 34, said, "md-dim", "md-s")]
    deep = 0.0
    for index, (head, letter, items) in enumerate(panes):
        parts, high = _pane(head, letter, items)
        drawn.append(group(parts, index * (PANE + 16), TOP))
        deep = max(deep, high)
    y = TOP + deep + 26
    drawn += [group(_table(left, right, found.settings), 0, y)] if found.settings else []
    y += 30 + LINE * len(found.settings) if found.settings else -20
    twin = [
        f"{title}  ({said})",
        *_twin(panes),
        *(f"  {k}: {a or 'none'} | {b or 'none'}" for k, a, b in found.settings),
    ]
    told = f"{said}. " + "; ".join(map(str.strip, twin[1:]))
    return Figure(title, told, "".join(drawn), WIDTH, y, "\n".join(twin))


SIGNS = {"D": "−", "M": "≠", "A": "+"}
Items = Sequence[tuple[str, str]]


def _pane(head: str, letter: str, items: Items) -> tuple[list[Markup], float]:
    """One of the three panes, and how high it is."""
    parts = [text(0, 0, head, "md-h", width=PANE)]
    y = 10.0
    for path, words in items[:LIMIT]:
        look = LOOK[letter][0]
        high = LINE + 14 if words else LINE
        parts.append(rect(0, y, PANE, high - 3, look, fill="HATCH" if letter == "D" else None))
        parts.append(text(9, y + 14, SIGNS[letter], "md-c"))
        parts.append(text(24, y + 14, path, "md-c", width=PANE - 30))
        parts.append(text(24, y + 28, words, "md-s", width=PANE - 30))
        y += high
    if len(items) > LIMIT or not items:
        parts.append(text(9, y + 14, f"and {len(items) - LIMIT} more" if items else "nothing", "md-dim"))
        y += LINE
    return parts, y


def _table(left: str, right: str, lines: Sequence[tuple[str, str, str]]) -> Iterator[Markup]:
    yield text(0, 0, "the config", "md-h")
    yield text(KEY, 0, left, "md-dim", width=VALUE)
    yield text(KEY + VALUE + 6, 0, right, "md-dim", width=VALUE)
    for index, (key, one, two) in enumerate(lines):
        y = 8 + LINE * index
        yield rect(0, y, WIDTH, LINE - 3, "md-box")
        yield text(9, y + 13, key, "md-c", width=KEY - 14)
        for x, value in ((KEY, one), (KEY + VALUE + 6, two)):
            yield text(x, y + 13, value or "none", "md-c", "" if value else "md-dim", width=VALUE - 8)


def _twin(panes: Sequence[tuple[str, str, Items]]) -> Iterator[str]:
    for head, letter, items in panes:
        yield f"  {head}:{'' if items else ' nothing'}"
        yield from (f"    {SIGNS[letter]} {path}  {words}".rstrip() for path, words in items[:LIMIT])
        if len(items) > LIMIT:
            yield f"    and {len(items) - LIMIT} more"
