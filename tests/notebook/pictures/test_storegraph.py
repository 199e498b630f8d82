"""The store as a graph: each blob once, and what keeps it: a name, the build cache, the index, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

import minidocker
from minidocker.engine import Engine
from minidocker.garbage import reachable
from minidocker.notebook.pictures.storegraph import Contents, Kind, Node, contents, graph_figure, store_graph
from minidocker.notebook.pictures.svg import Figure

Parse = Callable[[Figure], ElementTree.Element]
BASE = "FROM scratch\nCOPY <<A /a\nbase\nA\n"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return minidocker.connect(tmp_path / "engine", runtime="simulated")


def build(engine: Engine, text: str, tag: str) -> None:
    engine.images.build(text=text, tag=tag)


def kept(engine: Engine) -> dict[str, int]:
    """How many blobs are kept by what."""
    found = [node.kept for node in contents(engine).nodes]
    return {keeper: found.count(keeper) for keeper in dict.fromkeys(found)}


def test_an_empty_store_can_be_drawn(engine: Engine, parse: Parse) -> None:
    parse(store_graph(engine))
    assert store_graph(engine).twin == "store: 0 names, 0 images, 0 blobs  (0B in all)"


def test_a_shared_layer_is_one_node_with_two_parents(engine: Engine) -> None:
    build(engine, BASE, "base:1")
    build(engine, "FROM base:1\nENV A=b\n", "app:1")
    nodes = contents(engine).nodes
    assert [len(node.parents) for node in nodes if node.kind == "layer"] == [2]
    assert kept(engine) == {"name": 5}
    assert sum(node.size for node in nodes) == engine.images.disk_usage()


def test_a_tag_that_moves_leaves_an_image_without_a_name(engine: Engine, parse: Parse) -> None:
    for word in "bc":
        build(engine, BASE + f"ENV A={word}\n", "app:1")
    drawn = store_graph(engine)
    parse(drawn)
    assert kept(engine) == {"name": 3, "index": 2}
    assert "no name -> manifest" in drawn.twin and "(prune takes it)" in drawn.twin and "md-dash" in drawn.svg()
    engine.images.prune()
    assert kept(engine) == {"name": 3} and "no name" not in store_graph(engine).twin


def test_what_only_the_build_cache_keeps_is_said_and_goes_with_it(engine: Engine) -> None:
    build(engine, BASE, "app:1")
    engine.images.remove("app:1")
    assert kept(engine) == {"cache": 1}
    assert "the build cache has it" in store_graph(engine).twin
    engine.images.prune_builds()
    assert kept(engine) == {}


def test_a_blob_that_nothing_leads_to_is_garbage(engine: Engine) -> None:
    blob = engine.store.put(b"nobody", "text/plain")
    assert store_graph(engine).twin.endswith(f"  blob {blob.digest[7:15]}  6B  (garbage)")
    engine.images.collect()
    assert kept(engine) == {}


def test_a_container_keeps_its_image(engine: Engine) -> None:
    build(engine, BASE + "CMD x\n", "app:1")
    engine.containers.create("app:1", name="ann")
    build(engine, BASE, "app:1")
    assert "container ann -> manifest" in store_graph(engine).twin
    assert kept(engine) == {"name": 5}


def test_what_a_build_once_stood_on_is_not_kept_for_that(engine: Engine) -> None:
    build(engine, BASE, "base:1")
    base = engine.images.get("base:1")
    build(engine, f"FROM base@{base.manifest_digest}\nENV A=b\n", "app:1")
    assert base.manifest_digest[7:] not in reachable(engine.store, "cache")
    for name in ("app:1", "base:1"):
        engine.images.remove(name)
    assert {node.kind for node in contents(engine).nodes} == {"layer"}


def test_an_image_without_a_name_stands_beside_what_it_shares_and_each_blob_has_one_tip(engine: Engine) -> None:
    build(engine, BASE + "ENV A=old\n", "app:1")
    build(engine, BASE + "ENV A=new\n", "app:1")
    build(engine, "FROM scratch\nCOPY <<Z /z\nalone\nZ\n", "zoo:1")
    drawn = store_graph(engine)
    roots = [line.split()[0] for line in drawn.twin.splitlines() if "-> manifest" in line]
    assert roots == ["app:1", "no", "zoo:1"]
    assert drawn.body.count("<polygon") == sum(bool(node.parents) for node in contents(engine).nodes)


def test_an_image_without_a_name_stands_beside_another_one_too() -> None:
    def node(name: str, kind: Kind, *parents: str) -> Node:
        return Node(f"sha256:{name}", kind, "", 1, "name", tuple(f"sha256:{parent}" for parent in parents))

    manifests = [node(name, "manifest", name) for name in ("named", "zoo", "a", "b")]
    shared = [node("layer", "layer", "named", "b"), node("config", "config", "a", "b")]
    names = (("named", "sha256:named"), ("zoo", "sha256:zoo"))
    lines = graph_figure(Contents(names, (*manifests, *shared))).twin.splitlines()
    assert [line.split()[-2] for line in lines if "-> manifest" in line] == ["named", "b", "a", "zoo"]
