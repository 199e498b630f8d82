"""The copy-up film: what happens to a file of the image when a container changes it, in three frames.

Layers are read-only. So whoever opens a lower file for writing gets a copy of it first, whole, in the writable layer
(docs.kernel.org/filesystems/overlayfs: "non-directories"); a file that is removed is only hidden, by a whiteout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minidocker.errors import InvalidArgument
from minidocker.layer import Changeset
from minidocker.notebook.pictures.sources import Sources, said, sources
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, clip, el, group, printable, rect, text
from minidocker.tree import Entry
from minidocker.union import Union

FRAME, SPACE, SLAB, WIDTH = 250, 18, 62, 786  # a frame, between two, the height of a layer, all in all
TOP, BELOW, BAR = 64, 118, 214  # where the writable layer and the one below start; the longest bar
NEW = b"new\n"


@dataclass(frozen=True)
class Act:
    """Something that a program does to a file, in two steps: what opening it does, and what is done then."""

    words: str
    captions: tuple[str, str]
    open: Callable[[Union, str], None]
    then: Callable[[Union, str], None]
    written: int = 0


def _nothing(view: Union, path: str) -> None:
    pass


def _chmod(view: Union, path: str, flip: int = 0o100) -> None:
    view.chmod(path, view.stat(path).mode ^ flip)


ACTS = {
    "append": Act(
        "append a byte to",
        ("open to append: copy-up", "write one byte"),
        lambda view, path: view.write(path, b"", append=True),
        lambda view, path: view.write(path, b"!", append=True),
        1,
    ),
    "overwrite": Act(
        "overwrite",
        ("open and truncate: no copy", "write the new content"),
        lambda view, path: view.write(path, b""),
        lambda view, path: view.write(path, NEW),
        len(NEW),
    ),
    "chmod": Act(
        "chmod", ("copy-up comes first", "change one bit of the mode"), lambda view, path: _chmod(view, path, 0), _chmod
    ),
    "rm": Act("rm", ("nothing to copy", "unlink: a whiteout"), _nothing, lambda view, path: view.unlink(path)),
    "new file": Act(
        "make a new file",
        ("nothing to copy", "write the content"),
        _nothing,
        lambda view, path: view.write(path, NEW),
        len(NEW),
    ),
}


@dataclass(frozen=True)
class Frame:
    """One moment: what the writable layer has at the path, and the bytes copied up and written so far."""

    caption: str
    upper: Entry | None
    copied: int
    written: int


def film(thing: Any, path: str, write: str = "append") -> Figure:
    """Draw what a container of an image does when somebody changes a file: append, overwrite, chmod, rm, new file.

    `thing` is an image, a container or a list of Changesets. Raises InvalidArgument where it cannot be done.
    """
    act, found = act_named(write), sources(thing)
    lower, _ = _apart(found)
    there, frames = play(found, path, act)
    answers = next((one for one in said(lower, there) if one.verdict == "answers"), None)
    name, entry = (answers.source.name, answers.entry) if answers else ("no layer has it", None)
    title = f"{act.words} {printable(there)}"
    most = max([1, *(each.size for each in (entry, *(frame.upper for frame in frames)) if each)])
    drawn = [text(0, 16, title, "md-h", width=WIDTH * 0.8)]
    for number, frame in enumerate(frames, 1):
        moving = frames[1].copied - frames[0].copied if number == 2 else 0
        parts = _frame(number, frame, there, name, entry, most, moving)
        drawn.append(group(parts, (number - 1) * (FRAME + SPACE)))
    wide = max(len(frame.caption) for frame in frames)
    twin = [title, *(_told(number, frame, wide) for number, frame in enumerate(frames, 1))]
    twin.append(f"  below it stays as it is: {name}" + (f", {entry.size:,} bytes" if entry else ""))
    return Figure(title, " ".join(line.strip() + "." for line in twin), "".join(drawn), WIDTH, 254, "\n".join(twin))


def act_named(name: str) -> Act:
    """One of the things that can be done to a file. Raises InvalidArgument."""
    if name not in ACTS:
        raise InvalidArgument(f"no film of {name!r}: there are {', '.join(ACTS)}")
    return ACTS[name]


def play(found: Sources, path: str, act: Act) -> tuple[str, list[Frame]]:
    """Do it in a view of the sources: where the path really is, and the three moments.

    Raises InvalidArgument where the system would refuse.
    """
    lower, upper = _apart(found)
    view = Union(lower.layers, upper, lower.tree, clock=lambda: 0)
    try:
        there = view.resolve(path, follow=act is not ACTS["rm"])
        frames = [_moment(view, there, "before", 0)]
        act.open(view, there)
        frames.append(_moment(view, there, act.captions[0], 0))
        act.then(view, there)
        return there, [*frames, _moment(view, there, act.captions[1], act.written)]
    except OSError as error:
        raise InvalidArgument(f"cannot {act.words} {path}: {error.strerror}") from None


def _apart(found: Sources) -> tuple[Sources, Changeset | None]:
    """What is below the writable layer, and the writable layer where there is one already."""
    if found.each and found.each[-1].writable:
        return Sources(found.each[:-1], found.each[-1].under), found.each[-1].changes
    return found, None


def _moment(view: Union, path: str, caption: str, written: int) -> Frame:
    upper = view.changes().get(path) or (view.get(path) if view.copied_up else None)
    return Frame(caption, upper, view.copied_up, written)


def _frame(
    number: int, frame: Frame, path: str, name: str, entry: Entry | None, most: int, moving: int
) -> Sequence[Markup]:
    """One frame: the writable layer over the layer that has the file, the bytes that move, the two tickers."""
    parts = [
        text(0, 44, f"{number}  {frame.caption}", width=FRAME),
        rect(0, TOP, FRAME, SLAB, "md-on", "md-dash"),
        text(10, TOP + 16, "writable layer", "md-s"),
        rect(0, TOP + BELOW - 20, FRAME, SLAB, "md-slab"),
        text(10, TOP + BELOW - 4, name, "md-s", width=FRAME - 20),
        group(_bar(frame.upper, path, most, frame.upper is not entry), 10, TOP + 24),
        group(_bar(entry, path, most, False), 10, TOP + BELOW + 4),
    ]
    if moving:
        parts += [arrow(30, TOP + BELOW - 20, 30, TOP + SLAB), text(42, TOP + SLAB + 23, f"{moving:,} bytes", "md-c")]
    for left, right, words, value in ((0, 140, "copied up", frame.copied), (164, FRAME, "written", frame.written)):
        parts.append(text(left, 242, words, "md-dim", "md-s"))
        parts.append(text(right, 242, f"{value:,}", "md-c", text_anchor="end"))
    return parts


def _bar(entry: Entry | None, path: str, most: int, fresh: bool) -> list[Markup]:
    """A file, as long as it is large; a whiteout is hatched; nothing is nothing."""
    if entry is None:
        return [text(0, 18, "has nothing here", "md-s", fill_opacity=0.8)]
    name = path.rsplit("/", 1)[-1] or "/"
    if entry.kind == "whiteout":
        label = el("tspan", clip(name, 22), class_="md-gone")
        return [rect(0, 0, BAR, 28, "md-d", fill="HATCH"), el("text", "D ", label, class_="md-c", x=8, y=18)]
    size = f" {entry.mode:04o}" if entry.kind == "file" else ""
    long = max(BAR * entry.size / most, 3.0)
    box = [rect(0, 0, long, 28, look) for look in ("md-box", "md-m")[: 1 + fresh]]
    return [*box, text(8, 18, f"{clip(name, 20)}{size}", "md-c")]


def _told(number: int, frame: Frame, wide: int) -> str:
    upper = frame.upper
    holds = "nothing" if upper is None else "a whiteout" if upper.kind == "whiteout" else f"{upper.size:,} bytes"
    counted = f"copied up {frame.copied:,}, written {frame.written:,}"
    return f"  {number} {frame.caption:<{wide}}  writable layer: {holds:<16} {counted}"
