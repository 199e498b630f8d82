"""Where the boxes of a small graph stand: in columns from left to right, each near the middle of what leads to it.

An edge that skips a column gets a little room of its own there, so that no line runs through a box. This is Sugiyama's
layered layout, as small as it gets; for what is larger there is Graphviz.

    >>> spots, routes = layout({"a": 30, "b": 30, "c": 30}, [Edge("a", "b"), Edge("b", "c"), Edge("a", "c")])
    >>> spots["a"][0], spots["b"][0], spots["c"][0]
    (0, 1, 2)
    >>> [column for column, _ in routes[2]]
    [0, 1, 2]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BETWEEN, LANE = 18.0, 12.0  # room between two boxes of a column; for an edge that passes by
Spot = tuple[int, float]  # a column, and how far down
Route = list[Spot]


@dataclass(frozen=True)
class Edge:
    """From one node to another, by their keys; `whole` where all of the one is in the other."""

    start: str
    end: str
    whole: bool = True


def layout(heights: Mapping[str, float], edges: Sequence[Edge]) -> tuple[dict[str, Spot], list[Route]]:
    """The column and the upper edge of each node; and of each edge the points that it runs through."""
    columns = _columns(list(heights), edges)
    sizes = dict(heights)
    sources: dict[str, list[str]] = {key: [] for key in heights}
    ways: list[list[str]] = []
    for number, edge in enumerate(edges):
        way = [edge.start]
        for column in range(columns[edge.start] + 1, columns[edge.end]):
            lane = f"edge {number} in {column}"
            sizes[lane], columns[lane], sources[lane] = LANE, column, [way[-1]]
            way.append(lane)
        sources[edge.end].append(way[-1])
        ways.append([*way, edge.end])
    tops = _tops(sizes, columns, sources)
    routes = [[(columns[key], tops[key] + sizes[key] / 2) for key in way] for way in ways]
    return {key: (columns[key], tops[key]) for key in heights}, routes


def _columns(keys: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Each node right of all that lead to it; one that nothing leads to, right before the first that it leads to."""
    columns: dict[str, int] = {}

    def column(key: str) -> int:
        if key not in columns:
            columns[key] = 1 + max((column(edge.start) for edge in edges if edge.end == key), default=-1)
        return columns[key]

    for key in keys:
        column(key)
    firsts = {key for key in keys if not any(edge.end == key for edge in edges)}
    for key in firsts:
        ends = [columns[edge.end] for edge in edges if edge.start == key]
        columns[key] = min(ends) - 1 if ends else 0
    return columns


def _tops(
    sizes: Mapping[str, float], columns: Mapping[str, int], sources: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """The upper edge of each: columns from left to right, in the order of what leads to them; the highest is at 0."""
    tops: dict[str, float] = {}

    def wish(key: str) -> float:
        middles = [tops[source] + sizes[source] / 2 for source in sources[key]]
        return sum(middles) / len(middles) if middles else 0.0

    for number in range(max(columns.values(), default=0) + 1):
        here = sorted((key for key in sizes if columns[key] == number), key=wish)
        if not here:
            continue
        total = sum(sizes[key] for key in here) + BETWEEN * (len(here) - 1)
        down = sum(map(wish, here)) / len(here) - total / 2
        for key in here:
            tops[key], down = down, down + sizes[key] + BETWEEN
    highest = min(tops.values(), default=0.0)
    return {key: round(top - highest, 1) for key, top in tops.items()}
