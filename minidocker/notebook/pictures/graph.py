"""The engine's store as a graph: tags and containers point to images, images to their top layer, layers downwards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from minidocker.errors import Unsupported
from minidocker.notebook.pictures.dot import CODE_FONT, FONT, render_svg
from minidocker.notebook.pictures.svg import Figure, clip, el


@dataclass(frozen=True)
class Node:
    """A box of the graph: `kind` is tag, image, layer or container; `note` a second, smaller line."""

    key: str
    kind: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Graph:
    """A figure that Graphviz lays out."""

    title: str
    nodes: Sequence[Node]
    edges: Sequence[tuple[str, str, str]]  # from key, to key, word on the arrow

    def source(self) -> str:
        """Graphviz's own language, made by the `graphviz` package."""
        graph = _graphviz().Digraph(
            graph_attr={"rankdir": "TB", "bgcolor": "transparent", "ranksep": ".3", "nodesep": ".25", "id": "graph"}
        )
        graph.attr("node", fontname=FONT, fontsize="10", shape="box", height=".3", margin=".12,.05", color="#888888")
        graph.attr("edge", fontname=FONT, fontsize="8", color="#888888", arrowsize=".6")
        names = {node.key: f"n{index}" for index, node in enumerate(self.nodes)}
        for node in self.nodes:
            graph.node(
                names[node.key],
                self._label(node),
                id=names[node.key],
                **LOOKS[node.kind],
            )
        for index, (start, end, word) in enumerate(self.edges):
            style = "dashed" if start.startswith("container") else "solid"
            graph.edge(names[start], names[end], label=word, id=f"e{index}", style=style)
        return str(graph.source)

    @staticmethod
    def _label(node: Node) -> str:
        escape = _graphviz().escape
        lines = [clip(node.label, 38), clip(node.note, 38)] if node.note else [clip(node.label, 38)]
        return "\n".join(str(escape(line)) for line in lines).replace("\n", r"\n")

    def figure(self) -> Figure:
        """The graph as a figure; Graphviz is asked only when somebody looks at the drawing."""
        words = {node.key: node.label for node in self.nodes}
        lines = [f"  {words[start]} -> {words[end]}" for start, end, _ in self.edges] or ["  nothing here yet"]
        said = " ".join(f"{words[start]} points to {words[end]}." for start, end, _ in self.edges)
        return GraphFigure(self.title, said, "", 0, 0, "\n".join([self.title, *lines]), self)


LOOKS = {
    "tag": {"shape": "cds", "style": "filled", "fillcolor": "#4a90d930", "height": ".34"},
    "image": {"shape": "box3d", "style": "filled", "fillcolor": "#e69f0030"},
    "layer": {"style": "filled", "fillcolor": "#8888882e", "fontname": CODE_FONT},
    "container": {"style": "rounded,dashed,filled", "fillcolor": "#009e7330"},
}


def _graphviz() -> Any:
    """The `graphviz` package; imported late, since only graphs need it."""
    try:
        return import_module("graphviz")
    except ImportError:
        raise Unsupported("this picture needs a package that is not here: pip install graphviz graphviz-pure") from None


@dataclass(frozen=True)
class GraphFigure(Figure):
    """A figure that Graphviz draws. Without one, a notebook shows the text and how to get the picture."""

    graph: Graph

    def svg(self) -> str:
        """The drawing. Raises Unsupported where there is no Graphviz."""
        source = self.graph.source()
        drawn = render_svg(source, "md" + hashlib.sha256(source.encode()).hexdigest()[:8])
        return drawn.replace(">", ">" + el("title", self.title) + el("desc", self.description), 1)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return super()._repr_mimebundle_(include, exclude)
        except Unsupported as error:
            return {"text/plain": f"{self.twin}\n({error})"}
