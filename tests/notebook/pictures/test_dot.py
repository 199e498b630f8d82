"""Graphs: drawn with whatever Graphviz there is, clean enough to lie beside others in one page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minidocker.errors import Unsupported
from minidocker.notebook.pictures import dot
from minidocker.notebook.pictures.graph import Graph, Node

pytest.importorskip("graphviz")
PURE = Path(sys.executable).parent / "graphviz-pure"
NODES = [
    Node("tag a", "tag", "app:latest"),
    Node("image 1", "image", "image", "sha256:0123"),
    Node("layer 1", "layer", 'COPY "a <b> & c" . \\N', "12B"),
    Node("container w", "container", "web", "running"),
]
EDGES = [("tag a", "image 1", ""), ("image 1", "layer 1", "1"), ("container w", "image 1", "")]
GRAPH = Graph("engine", NODES, EDGES)


@pytest.fixture(params=["dot", "graphviz-pure"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    found = str(PURE) if request.param == "graphviz-pure" else shutil.which("dot")
    if not found or not Path(found).exists():
        pytest.skip(f"{request.param} is not here")
    monkeypatch.setenv("MINIDOCKER_DOT", found)
    return found


@pytest.mark.usefixtures("program")
def test_a_graph_is_clean_svg() -> None:
    svg = GRAPH.figure().svg()
    ElementTree.fromstring(re.sub(r"xlink:", "", svg))
    assert "<!--" not in svg and "graphviz version" not in svg.lower()
    assert 'fill="white"' not in svg and '"black"' not in svg
    assert "currentColor" in svg and "max-width" in svg
    assert "COPY" in svg and "&lt;b&gt;" in svg and "<b>" not in svg


@pytest.mark.usefixtures("program")
def test_all_ids_carry_the_figures_own_prefix() -> None:
    svg = GRAPH.figure().svg()
    ids = re.findall(r'\bid="([^"]+)"', svg)
    prefix = ids[0].partition("-")[0]
    assert len(ids) == len(set(ids)) > 6
    assert all(re.fullmatch(rf"{prefix}-[A-Za-z0-9_-]+", name) for name in ids)
    other = Graph("engine", NODES[:2], EDGES[:1]).figure().svg()
    assert not set(ids) & set(re.findall(r'\bid="([^"]+)"', other))


@pytest.mark.usefixtures("program")
def test_the_same_graph_is_the_same_bytes() -> None:
    first = GRAPH.figure().svg()
    dot._run.cache_clear()
    assert GRAPH.figure().svg() == first


@pytest.mark.usefixtures("program")
def test_a_second_look_asks_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    first = dot.render_svg("digraph { a -> b }")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("ran again"))
    assert dot.render_svg("digraph { a -> b }") == first


@pytest.mark.usefixtures("program")
def test_bad_source_is_a_clear_error() -> None:
    with pytest.raises(Unsupported, match="could not draw this graph"):
        dot.render_svg("digraph {")


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDOCKER_DOT", "/nowhere/dot")
    with pytest.raises(Unsupported, match="MINIDOCKER_DOT"):
        dot.find_dot()


def test_without_any_graphviz_the_text_remains_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MINIDOCKER_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    bundle = GRAPH.figure()._repr_mimebundle_()
    assert set(bundle) == {"text/plain"}
    assert "app:latest -> image" in bundle["text/plain"]
    assert "pip install graphviz-pure" in bundle["text/plain"]
