"""Tags as labels that can be moved, on images that cannot be changed: where each label hangs, and where it hung.

before = hub.look("shop")
engine.images.push(f"{hub}/shop:latest")
labels(hub.look("shop"), before)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.repository import Held, Snapshot
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, el, group, rect, text

WIDTH, TOP, HIGH, GAP, BOX = 800, 50, 34, 14, 372  # a label's room; between two images; where their boxes begin
LABEL, NOTE = 150, 240  # how wide a label is, and where the note beside it ends


@dataclass(frozen=True)
class Label:
    """A tag at an image: `note` says what became of it; a ghost hung here before."""

    tag: str
    note: str = ""
    ghost: bool = False

    def __str__(self) -> str:
        return f"({self.tag}: {self.note})" if self.ghost else self.tag + (f" ({self.note})" if self.note else "")


def labels(now: Snapshot, before: Snapshot | None = None) -> Figure:
    """Draw which image each tag points to; with `before`, which of them have moved."""
    images = _images(now, before)
    hung = {image.digest: list(_labels(image.digest, now, before)) for image in images}
    title = f"{now.name}: {count(len(now.tags), 'tag')}, {count(len(images), 'image')}"
    moves = sum(label.ghost for every in hung.values() for label in every)
    told = "each image is named by its digest, for good" + (f"; {count(moves, 'tag')} moved" if moves else "")
    drawn, twin, y = [text(0, 16, title, "md-h"), text(0, 34, told, "md-dim", "md-s")], [f"{title}  ({told})"], TOP
    for image in images:
        rows = max(len(hung[image.digest]), 1)
        drawn.append(group(_row(image, hung[image.digest], rows * HIGH), 0, y))
        names = ", ".join(map(str, hung[image.digest])) or "no tag"
        twin.append(f"  {names} -> image {image.id[7:15]}  {image.words}")
        y += rows * HIGH + GAP
    return Figure(title, f"{told}. " + ". ".join(map(str.strip, twin[1:])), "".join(drawn), WIDTH, y, "\n".join(twin))


def _images(now: Snapshot, before: Snapshot | None) -> list[Held]:
    """Those that were there before stand where they stood."""
    old = [image.digest for image in before.images] if before else []
    return sorted(now.images, key=lambda image: old.index(image.digest) if image.digest in old else len(old))


def _labels(digest: str, now: Snapshot, before: Snapshot | None) -> Iterator[Label]:
    old = before.tags if before else {}
    for tag in sorted({*now.tags, *old}):
        here, was = now.tags.get(tag) == digest, old.get(tag) == digest
        if here:
            yield Label(tag, "" if was or before is None else "moved here" if tag in old else "new")
        elif was:
            yield Label(tag, "was here", ghost=True)


def _row(image: Held, hung: list[Label], height: float) -> Iterator[Markup]:
    middle = height / 2
    yield rect(BOX, 2, WIDTH - BOX, height - 4, "md-slab", rx=6)
    yield text(BOX + 14, middle + 4, f"image {image.id[7:15]}", "md-c", "md-b")
    yield text(BOX + 130, middle + 4, image.words, "md-c", width=WIDTH - BOX - 140)
    if not any(not label.ghost for label in hung):
        yield text(BOX - 12, middle + 4, "only by its digest", "md-dim", "md-s", text_anchor="end")
    for number, label in enumerate(hung):
        yield from _label(label, number * HIGH)
        if not label.ghost:
            yield arrow(NOTE if label.note else LABEL + 5, number * HIGH + HIGH / 2, BOX - 2, middle)


def _label(label: Label, y: float) -> Iterator[Markup]:
    shape = f"M0 {y + 4}H{LABEL - 12}L{LABEL} {y + HIGH / 2}L{LABEL - 12} {y + HIGH - 4}H0Z"
    look = "md-thin md-dash" if label.ghost else "md-on" if label.note else "md-m"
    yield el("path", d=shape, class_=look)
    yield text(14, y + HIGH / 2 + 4, label.tag, "md-c", "md-dim" if label.ghost else "", width=LABEL - 34)
    mark = "▸ " if label.note and not label.ghost else ""
    yield text(
        LABEL + 10, y + HIGH / 2 + 4, f"{mark}{label.note}" if label.note else "", "md-s", "md-dim" * label.ghost
    )
