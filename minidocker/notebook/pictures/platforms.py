"""One name, many machines: an index, the image for each platform, and which of them a pull comes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidocker.errors import NotFound
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.repository import Snapshot
from minidocker.notebook.pictures.svg import Figure, Markup, Spot, arrow, group, rect, text
from minidocker.platforms import Platform
from minidocker.registry.resolve import best

WIDTH, TOP, ROW, HEAD = 800, 50, 38, 34
ASKS, INDEX, IMAGE = (0, 190), (262, 200), (534, 266)  # x and width of the columns


def platform_index(now: Snapshot, tag: str, platform: str = "") -> Figure:
    """Draw the index that a tag points to, and the way of a pull on some platform (this machine's, if none is named).

    Raises NotFound where the tag leads to no index.
    """
    index = now.indexes.get(now.tags.get(tag, ""))
    if index is None:
        raise NotFound(f"{now.name}:{tag} is no index")
    entries = index["manifests"]
    wanted, chosen = Platform.parse(platform), _chosen(index, platform)
    title = f"{now.name}:{tag} is an index of {count(len(entries), 'image')}"
    ends = f"takes {Platform.of(chosen['platform'])}" if chosen else "finds nothing that fits"
    told = f"a pull on {wanted} {ends}"
    height = HEAD + len(entries) * ROW + 8.0
    ask = (ASKS[1] + 3.0, HEAD + (entries.index(chosen) + 0.5) * ROW if chosen else height / 2)
    drawn = [text(0, 16, title, "md-h"), text(0, 34, told, "md-dim", "md-s")]
    inside = [*_asking(wanted, ask), *_index(now, tag, entries, chosen, height)]
    drawn.append(group(inside, 0, TOP))
    twin = [f"{title}  ({told})"]
    for entry in entries:
        image = now.image(entry["digest"])
        mark = "▸" if entry == chosen else " "
        twin.append(f"  {mark} {Platform.of(entry['platform'])} -> image {image.id[7:15] if image else '?'}")
    said = f"{told}. " + ". ".join(line.strip(" ▸") for line in twin[1:])
    return Figure(title, said, "".join(drawn), WIDTH, TOP + height + 4, "\n".join(twin))


def _chosen(index: dict[str, Any], platform: str) -> dict[str, Any] | None:
    try:
        return best(index, platform)
    except NotFound:
        return None


def _asking(wanted: Platform, at: Spot) -> Iterator[Markup]:
    yield rect(ASKS[0], at[1] - 15, ASKS[1], 30, "md-on", rx=15)
    yield text(ASKS[0] + 14, at[1] + 4, f"pull on {wanted}", "md-c", width=ASKS[1] - 24)
    yield arrow(*at, INDEX[0] - 2, at[1], "md-go")


def _index(
    now: Snapshot, tag: str, entries: list[dict[str, Any]], chosen: dict[str, Any] | None, height: float
) -> Iterator[Markup]:
    yield rect(INDEX[0], 0, INDEX[1], height, "md-box", rx=6)
    yield text(INDEX[0] + 14, 21, f"index {now.name}:{tag}", "md-b", width=INDEX[1] - 24)
    for number, entry in enumerate(entries):
        y, here, image = HEAD + number * float(ROW), entry == chosen, now.image(entry["digest"])
        look = "md-on" if here else "md-slab"
        yield rect(INDEX[0] + 8, y + 4, INDEX[1] - 16, ROW - 8, look)
        mark = "▸ " if here else ""
        yield text(INDEX[0] + 20, y + 23, f"{mark}{Platform.of(entry['platform'])}", "md-c", width=INDEX[1] - 44)
        yield arrow(INDEX[0] + INDEX[1] - 5, y + ROW / 2, IMAGE[0] - 2, y + ROW / 2, "md-go" if here else "md-dash")
        yield rect(IMAGE[0], y + 4, IMAGE[1], ROW - 8, "md-slab" if here else "md-box")
        words = f"image {image.id[7:15]}  {count(len(image.parts) - 1, 'layer')}" if image else "not here"
        yield text(IMAGE[0] + 12, y + 23, words, "md-c", "" if here else "md-dim", width=IMAGE[1] - 20)
