"""The hash waterfall: from a layer's bytes to an image's name, every digest made of those before it.

Eight stations: the tars, their diff ids, the layers as they are stored, the config, the image ID, the manifest, its
digest (Docker's repo digest), the tags. Beside another image each station says whether it is the same: what changes at
one of them changes all that lies downstream, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from minidocker.explain import instruction
from minidocker.manifest import dump
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, bytes_text, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.image import Image

WIDTH, TOP, LINE, GAP, LIMIT = 836, 48, 17, 42, 5  # LIMIT: lines in one station
COLUMNS = [(0, 156), (212, 168), (436, 160), (652, 184)]  # x, width


@dataclass(frozen=True)
class Station:
    """One box: what it is, and its lines, each with the value that is compared; `note` is for people only."""

    name: str
    lines: tuple[tuple[str, str], ...]
    note: str = ""

    def changed(self, before: Station | None) -> list[bool]:
        """For each line, whether the station of another image does not have it."""
        known = {value for _, value in before.lines} if before else set()
        return [before is not None and value not in known for _, value in self.lines]

    def differs(self, before: Station | None) -> bool:
        """Whether anything in it is another."""
        return before is not None and [value for _, value in self.lines] != [value for _, value in before.lines]


def waterfall(image: Image, before: Image | None = None) -> Figure:
    """Draw an image's digests; with `before` the stations that differ from that image's are lit and marked."""
    return waterfall_figure(stations(image), stations(before) if before else ())


def stations(image: Image) -> tuple[Station, ...]:
    """The eight stations of an image as they are now: a tag may have moved on tomorrow."""
    layers = image.layers
    stored = [layer.descriptor for layer in layers]
    sizes = [
        image.store.layer_tar(blob, layer.diff_id).stat().st_size for blob, layer in zip(stored, layers, strict=True)
    ]
    plain = all(blob.digest == layer.diff_id for blob, layer in zip(stored, layers, strict=True))
    tars = [
        (f"{number} {instruction(layer.created_by) or 'a layer'}", layer.diff_id)
        for number, layer in enumerate(layers, 1)
    ]
    packed = [
        f"{short(blob.digest)}{' gz' * (blob.digest != la.diff_id)}" for blob, la in zip(stored, layers, strict=True)
    ]
    parts = [("config", image.id), *(("layer", blob.digest) for blob in stored)]
    found = {name: image.images.find(name) for name in image.tags}
    names = [name for name, entry in found.items() if entry and entry["digest"] == image.manifest_digest]
    listed = [(f"{kind} {short(digest)[7:]}", digest) for kind, digest in parts]
    return (
        Station("layer tars", _few(tars), f"{bytes_text(sum(sizes))} of tar"),
        Station("diff ids", _few([(short(layer.diff_id), layer.diff_id) for layer in layers])),
        Station(
            "layer digests",
            _few([(words, blob.digest) for words, blob in zip(packed, stored, strict=True)]),
            "the same: plain tars" if plain else f"gzip: {bytes_text(sum(blob.size for blob in stored))}",
        ),
        Station("config", _few(list(_config(image)), 9)),
        Station("image ID", ((short(image.id), image.id),)),
        Station("manifest", _few(listed)),
        Station("repo digest", ((short(image.manifest_digest), image.manifest_digest),)),
        Station(
            "tags",
            _few([(name, f"{name} {image.manifest_digest}") for name in names] or [("none", "")]),
            "names; they can move",
        ),
    )


def short(digest: str) -> str:
    """A digest's beginning. `sha256:7631846c…`"""
    return f"{digest[:15]}…"


def _few(lines: Sequence[tuple[str, str]], limit: int = LIMIT) -> tuple[tuple[str, str], ...]:
    """As many lines as fit; the rest is one line."""
    if len(lines) <= limit:
        return tuple(lines)
    rest = lines[limit - 1 :]
    return (*lines[: limit - 1], (f"and {len(rest)} more", " ".join(value for _, value in rest)))


def _config(image: Image) -> Iterator[tuple[str, str]]:
    """The config's fields as lines; each stands for its whole value."""
    raw: dict[str, Any] = image.raw
    for key in ("architecture", "created"):
        if raw.get(key):
            yield f"{key[:7] if key == 'created' else 'arch'} {str(raw[key])[:10]}", f"{key} {raw[key]}"
    dull = [("WorkingDir", "/"), ("ArgsEscaped", True)]  # what BuildKit writes into every config
    settings = [(key, [value] if key != "Env" else value) for key, value in image.config.items() if value]
    for name, one in [(name, one) for name, values in settings for one in values]:
        if (name, one) not in dull and not str(one).startswith("PATH="):
            yield f"{name} {one if isinstance(one, str) else dump(one).decode()}", f"{name} {one}"
    yield f"history: {count(len(raw.get('history') or []), 'line')}", f"history {raw.get('history')}"
    yield f"diff_ids: {len(image.diff_ids)}", f"diff_ids {image.diff_ids}"


def waterfall_figure(now: Sequence[Station], before: Sequence[Station] = ()) -> Figure:
    """Draw stations beside others; without `before` nothing is said to be changed."""
    pairs = list(zip_longest(now, before))
    tars, diffs, stored, config, image, manifest, digest, tags = range(8)
    high = [_height(station) for station in now]
    top = max(high[tars], high[diffs], high[stored])
    second = TOP + top + GAP
    third = second + high[image] + GAP
    places = {tars: (0, TOP), diffs: (1, TOP), stored: (3, TOP), config: (1, second), image: (2, second)}
    places |= {manifest: (2, third), digest: (3, third), tags: (3, third + high[digest] + GAP)}
    drawn = []
    for index, (column, y) in places.items():
        x, width = COLUMNS[column]
        drawn.append(group(_box(*pairs[index], width, top if index in (tars, diffs, stored) else high[index]), x, y))
    height = max(y + high[index] for index, (_, y) in places.items()) + 4.0
    kept = [value for _, value in now[stored].lines] == [value for _, value in now[diffs].lines]
    drawn += _arrows(TOP, top, second, third, high[image], high[digest], "kept as it is" if kept else "gzip")
    name = now[tags].lines[0][0]
    title = f"image {name}: from bytes to a name" if name != "none" else "an image: from bytes to its digest"
    differ = [station.name for station, other in pairs if station.differs(other)]
    said = f"{len(differ)} of {len(now)} stations changed" if before else "every digest is made of those before it"
    drawn = [text(0, 16, title, "md-h"), text(0, 34, said, "md-dim", "md-s"), *drawn]
    told = " ".join(f"{one.name}: {_state(one, other)}{_words(one)}." for one, other in pairs)
    lines = [f"  {one.name:<16}{_state(one, other):<11}{_words(one)}" for one, other in pairs]
    return Figure(title, f"{said}. {told}", "".join(drawn), WIDTH, height, "\n".join([f"{title}  ({said})", *lines]))


def _height(station: Station) -> float:
    return 28.0 + LINE * len(station.lines) + (16 if station.note else 0) + 2


def _state(station: Station, before: Station | None) -> str:
    if before is None:
        return ""
    moved = _words(station) == _words(before)  # a tag is the same word, and points elsewhere
    return "= same  " if not station.differs(before) else "≠ moved  " if moved else "≠ changed  "


def _words(station: Station) -> str:
    return ", ".join(words for words, _ in station.lines)


def _box(station: Station, before: Station | None, width: float, height: float) -> list[Markup]:
    lit = station.differs(before)
    state = _state(station, before).strip()
    parts = [rect(0, 0, width, height, "md-box")]
    parts += [rect(0, 0, width, height, "md-on")] if lit else []
    parts.append(text(10, 18, station.name, "md-h"))
    parts.append(text(width - 8, 18, state, "md-s", "" if lit else "md-dim", text_anchor="end"))
    for index, ((words, _), new) in enumerate(zip(station.lines, station.changed(before), strict=True)):
        y = 36.0 + LINE * index
        parts += [text(10, y, "≠", "md-c")] if new else []
        parts.append(text(22, y, words, "md-c", width=width - 28))
    return [*parts, text(22, height - 9, station.note, "" if lit else "md-dim", "md-s", width=width - 28)]


def _arrows(
    top: float, high: float, second: float, third: float, ids: float, last: float, way: str
) -> Iterator[Markup]:
    """From left to right a sha256 is taken; downwards a digest is written into the next station."""
    (a, b, c, d), middle = [(x, x + width) for x, width in COLUMNS], top + high / 2
    for x1, x2, y, word in (
        (a[1], b[0], middle, "sha256"),
        (b[1], c[0], second + ids / 2, "sha256"),
        (c[1], d[0], third + last / 2, "sha256"),
    ):
        yield arrow(x1 + 3, y, x2 - 2, y)
        yield text((x1 + x2) / 2, y - 7, word, "md-dim", "md-s", text_anchor="middle")
    yield arrow(b[1] + 3, middle, d[0] - 2, middle)
    yield text((b[1] + d[0]) / 2, middle - 7, f"{way}, then sha256", "md-dim", "md-s", text_anchor="middle")
    for x, y1, y2 in ((b[0] + 60, top + high, second), (c[0] + 60, second + ids, third)):
        yield arrow(x, y1 + 3, x, y2 - 2)
        yield text(x + 8, (y1 + y2) / 2 + 4, "listed in", "md-dim", "md-s")
    x, bend = d[0] + 60, third - 22
    yield el("path", d=f"M{x} {top + high + 3}V{bend}H{c[1] - 20}V{third - 6}", class_="md-ink")
    yield arrow(c[1] - 20, third - 8, c[1] - 20, third - 2)
    yield text(x + 8, (top + high + bend) / 2 + 4, "listed in", "md-dim", "md-s")
    yield arrow(d[0] + 60, third + last + GAP - 3, d[0] + 60, third + last + 2)
    yield text(d[0] + 68, third + last + GAP / 2 + 4, "point to", "md-dim", "md-s")


def ripples(title: str, edits: Sequence[tuple[str, Sequence[bool]]], names: Sequence[str]) -> Figure:
    """Which stations each edit changes: a line for each edit, a column for each station, `≠` where it is another."""
    left, column, high = 236, 70, 30
    drawn = [text(0, 16, title, "md-h")]
    for index, name in enumerate(names):
        for line, word in enumerate(name.split(" ")):
            x = left + column * (index + 0.5)
            drawn.append(text(x, 36.0 + 13 * line, word, "md-dim", "md-s", text_anchor="middle"))
    for line, (name, flags) in enumerate(edits):
        y = 64.0 + high * line
        drawn.append(text(0, y + 17, name, width=left - 10))
        for index, flag in enumerate(flags):
            x = left + column * index
            drawn += [rect(x + 2, y, column - 4, high - 4, "md-on", rx=3)] if flag else []
            drawn.append(
                text(x + column / 2, y + 18, "≠" if flag else "=", "" if flag else "md-dim", text_anchor="middle")
            )
    twin = [title]
    for name, flags in edits:
        changed = ", ".join(station for station, flag in zip(names, flags, strict=True) if flag)
        twin.append(f"  {name:<32} changes {changed or 'nothing'}")
    width, height = left + column * len(names), 68.0 + high * len(edits)
    return Figure(title, ". ".join(map(str.strip, twin[1:])), "".join(drawn), width, height, "\n".join(twin))
