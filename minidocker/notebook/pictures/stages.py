"""The stages of a build as a graph: what is based on what, what is copied from where, and what was never executed.

A solid arrow is FROM: all of it. A dashed one is COPY --from: only the files that are named. The target is what becomes
the image; whatever else the other stages made stays behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.lanes import together
from minidocker.notebook.pictures.layout import Edge, Route, Spot, layout
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, bytes_text, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.build import Build

BOX, GAP, TOP, LINE, HEAD = 196, 58, 52, 16, 28  # a box's width, the room between two; its lines, its head


@dataclass(frozen=True)
class Node:
    """A stage, or the image that was made: its name, what it is, its lines; `size` in bytes of the layers made here."""

    key: str
    title: str
    word: str
    lines: tuple[str, ...]
    used: bool = True
    size: int | None = None

    @property
    def height(self) -> float:
        """How high its box is."""
        return HEAD + LINE * len(self.lines) + 4.0


def stages(build: Build) -> Figure:
    """Draw the stages of a build, from left to right, and the image at the end."""
    nodes, edges = graph(build)
    spots, routes = layout({node.key: node.height for node in nodes}, edges)
    height = max(spots[node.key][1] + node.height for node in nodes)
    width = max(column for column, _ in spots.values()) * (BOX + GAP) + BOX
    drawn = [_line(edge, route) for edge, route in zip(edges, routes, strict=True)]
    drawn += [group(_box(node), _x(spots[node.key]), spots[node.key][1]) for node in nodes]
    said = "; ".join([_said(nodes), *(f"{', '.join(names)} side by side" for names in together(build))])
    tags = ", ".join(node.title for node in nodes if node.word == "image")
    title = f"stages of {tags}" if tags else "stages"
    head = [text(0, 16, title, "md-h"), text(0, 34, said, "md-dim", "md-s")]
    parts = [*head, group(drawn, 0, TOP), group(_legend(), 0, TOP + height + 26)]
    told = list(_told(nodes, edges))
    twin = "\n".join([f"{title}  ({said})", *(f"  {line}" for line in told)])
    return Figure(title, f"{said}. {'. '.join(told)}.", "".join(parts), max(width, 560.0), TOP + height + 34, twin)


def graph(build: Build) -> tuple[list[Node], list[Edge]]:
    """The stages, those that were executed first, and the image; with the edges between them."""
    assert build.dockerfile is not None, "a build knows what it was built from"
    names = {stage.name: str(stage.index) for stage in build.stages if stage.name}
    target = max(stage.index for stage in build.stages if stage.used)
    sizes, nodes, edges = _sizes(build), [], []
    for stage, parsed in zip(build.stages, build.dockerfile.stages, strict=True):
        key, word = str(stage.index), "target" if stage.index == target else "stage"
        copies = [(str(one.flags["from"]), one.args[:-1]) for one in parsed.instructions if one.flags.get("from")]
        lines = [f"FROM {stage.base}", *(f"COPY --from={name} {' '.join(paths)}" for name, paths in copies)]
        size = sizes.get(parsed.line) if stage.used else None
        nodes.append(Node(key, stage.name or f"stage {key}", word, tuple(lines), stage.used, size))
        for name, whole in [(stage.base, True), *((name, False) for name in stage.copies)]:
            start = names.get(name.lower(), name)
            if start.isdecimal() and int(start) < stage.index:
                edges.append(Edge(start, key, whole))
    if build.image is not None:
        nodes.append(_result(build, nodes, edges, str(target)))
        edges.append(Edge(str(target), "image", whole=True))
    return sorted(nodes, key=lambda node: not node.used), edges


def _sizes(build: Build) -> dict[int, int]:
    """The line of a FROM -> the bytes of the layers that its stage made."""
    sizes: dict[int, int] = {}
    line = 0
    for step in build.steps:
        if step.text.split()[0].upper() == "FROM":
            line = step.line
            sizes[line] = 0
        sizes[line] += step.layer.size if step.layer else 0
    return sizes


def _result(build: Build, nodes: Sequence[Node], edges: Sequence[Edge], target: str) -> Node:
    """The image: what the target and the stages that it is based on made, on top of an image from elsewhere."""
    assert build.image is not None and build.dockerfile is not None
    whole, known = {edge.end: edge.start for edge in edges if edge.whole}, {node.key: node for node in nodes}
    chain = [target]
    while chain[-1] in whole:
        chain.append(whole[chain[-1]])
    size = sum(known[key].size or 0 for key in chain)
    base = build.stages[int(chain[-1])].base
    lines = [f"holds {bytes_text(size)} made here", *([f"on top of {base}"] if base != "scratch" else [])]
    tags = ", ".join(tag.removesuffix(":latest") for tag in build.image.tags)
    return Node("image", tags or "no name", "image", tuple(lines), size=size)


def _x(spot: Spot) -> float:
    return float(spot[0] * (BOX + GAP))


def _line(edge: Edge, route: Route) -> Markup:
    """An edge: through the room that is kept for it in the columns on its way, to the box where it ends."""
    look = "md-ink" if edge.whole else "md-ink md-dash"
    (_, start), *between, (last, end) = route
    x, y, parts = _x(route[0]) + BOX, start, []
    for column, down in between:
        left = float(column * (BOX + GAP))
        middle = (x + left) / 2
        parts.append(f"M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {down:g} {left:g} {down:g}H{left + BOX:g}")
        x, y = left + BOX, down
    way = [el("path", d="".join(parts), class_=look)] if parts else []
    return group([*way, arrow(x, y, float(last * (BOX + GAP)) - 2, end, *([] if edge.whole else ["md-dash"]))])


def _box(node: Node) -> list[Markup]:
    look = {"target": "md-on", "image": "md-a"}.get(node.word, "md-slab")
    high = node.height
    shape = [rect(0, 0, BOX, high, "md-box"), rect(0, 0, BOX, high, look)]
    if not node.used:
        shape = [rect(0, 0, BOX, high, "md-thin", "md-dash")]
    dim = "" if node.used else "md-dim"
    right = "never executed" if not node.used else node.word if node.size is None else _right(node)
    title = text(10, 19, node.title, "md-c", dim, width=BOX - 28 - len(right) * 6)
    parts = [*shape, title, text(BOX - 10, 19, right, "md-s", dim, text_anchor="end")]
    lines = [text(10, 19 + LINE * row, line, "md-c", dim, width=BOX - 18) for row, line in enumerate(node.lines, 1)]
    return [*parts, *lines]


def _right(node: Node) -> str:
    return node.word if node.word == "image" else f"{node.word}: {bytes_text(node.size or 0)}"


def _legend() -> list[Markup]:
    return [
        arrow(0, -4, 34, -4),
        text(42, 0, "FROM: all of it", "md-dim", "md-s"),
        arrow(150, -4, 184, -4, "md-dash"),
        text(192, 0, "COPY --from: the files that are named", "md-dim", "md-s"),
    ]


def _said(nodes: Sequence[Node]) -> str:
    made = [node for node in nodes if node.word != "image"]
    unused = sum(not node.used for node in made)
    all_bytes = sum(node.size or 0 for node in made)
    said = f"{count(len(made), 'stage')}, {unused or 'none'} never executed; {bytes_text(all_bytes)} made"
    kept = [node.size or 0 for node in nodes if node.word == "image"]
    return said + (f", {bytes_text(kept[0])} of it in the image" if kept else "")


def _told(nodes: Sequence[Node], edges: Sequence[Edge]) -> Iterator[str]:
    titles = {node.key: node.title for node in nodes}
    for node in nodes:
        state = _right(node) if node.used else "never executed"
        yield f"{node.title} ({state}): {', '.join(node.lines)}"
    for edge in edges:
        yield f"{titles[edge.start]} {'=====' if edge.whole else '- - -'}> {titles[edge.end]}"
