"""COPY as a function: whatever the trees, it copies what was named to where it was said, and never out of the image."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidocker.build.copy import Copy, contents, copy, make_folder, select
from minidocker.errors import BuildError
from minidocker.layer import Changeset, merge
from minidocker.tree import Entry, Tree, directory, file, symlink

names = st.sampled_from(["a", "b", "c.txt"])
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
links = st.lists(st.sampled_from(["..", "/", "a", "b"]), min_size=1, max_size=3).map("/".join)
entries = st.one_of(st.binary(max_size=3).map(file), st.just(directory(0o700, uid=7)), links.map(symlink))


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    found: dict[str, Entry] = {}
    for path, entry in draw(st.dictionaries(paths, entries, max_size=6)).items():
        try:
            found = dict(Tree({**found, path: entry}))
        except NotADirectoryError:
            continue
    return Tree(found)


def do(source: Tree, sources: list[str], request: Copy, lower: Tree | None = None) -> Changeset:
    return copy([(source, select(source, sources))], request, lower or Tree())


@given(trees())
@settings(max_examples=60)
def test_all_of_a_tree_copied_to_an_empty_root_is_that_tree(tree: Tree) -> None:
    copied = merge(Tree(), do(tree, ["/"], Copy("/")))
    assert {path: copied[path] for path in copied if path != "/"} == {path: tree[path] for path in tree if path != "/"}


@given(trees(), trees(), st.sampled_from(["/", "/a", "/a/", "/b/../c.txt", "/a/b/"]))
@settings(max_examples=150)
def test_it_fits_on_what_is_below_or_says_why_not(source: Tree, lower: Tree, to: str) -> None:
    try:
        layer = do(source, ["/"], Copy(to), lower)
    except BuildError as error:
        assert any(word in str(error) for word in ("not a directory", "non-directory", "to directory", "symlinks"))
        return
    after = merge(lower, layer)
    assert sum(entry.kind == "file" for entry in layer.values()) == sum(
        entry.kind == "file" for entry in source.values()
    )
    assert all(after[path] == lower[path] for path in lower if path not in layer), "nothing else changed"
    assert all(layer[path].is_dir for path in layer if path in lower and lower[path].is_dir)


@given(trees())
@settings(max_examples=60)
def test_the_evidence_names_every_path_that_is_copied(tree: Tree) -> None:
    found = contents(tree, select(tree, ["/"]))
    assert set(found) == {"."} | {path[1:] for path in tree.below("/")}


def test_a_name_that_would_hide_a_file_is_refused() -> None:
    with pytest.raises(BuildError, match=r"\.wh\. means a removed file"):
        do(Tree({"/.wh.passwd": file()}), ["."], Copy("/etc/"))


def test_links_of_the_image_lead_the_way_but_not_out() -> None:
    lower = Tree({"/up": symlink("../../../../etc"), "/etc": directory(), "/loop": symlink("loop")})
    assert list(do(Tree({"/a": file()}), ["a"], Copy("/up/"), lower)) == ["/etc", "/etc/a"]
    with pytest.raises(BuildError, match="too many symlinks"):
        do(Tree({"/a": file()}), ["a"], Copy("/loop/x"), lower)


def test_hard_links_stay_together_within_one_source() -> None:
    tree = Tree({"/d/a": file(b"x", link="1"), "/d/b": file(b"x", link="1"), "/c": file(b"x", link="1")})
    layer = do(tree, ["d", "c"], Copy("/to/"))
    assert [layer[path].link for path in ("/to/a", "/to/b", "/to/c")] == ["/to/a", "/to/a", ""]


def test_owner_goes_to_all_and_mode_to_all_but_links() -> None:
    tree = Tree({"/d/a": file(b"x"), "/d/l": symlink("a"), "/d/e": directory()})
    layer = do(tree, ["d"], Copy("/new/d", owner=(7, 8), mode=0o600))
    assert {path: (entry.mode, entry.uid, entry.gid) for path, entry in layer.items()} == {
        "/new": (0o755, 7, 8),
        "/new/d": (0o755, 7, 8),
        "/new/d/a": (0o600, 7, 8),
        "/new/d/e": (0o600, 7, 8),
        "/new/d/l": (0o777, 7, 8),
    }


def test_wildcards_are_sorted_and_stop_at_slashes() -> None:
    tree = Tree({path: file() for path in ("/b.py", "/a.py", "/d/c.py", "/[x].py")})
    assert [found.path for found in select(tree, ["*.py"])] == ["/[x].py", "/a.py", "/b.py"]
    assert [found.path for found in select(tree, ["*/*.py"])] == ["/d/c.py"]
    assert [found.path for found in select(tree, ["[[]x].py"])] == ["/[x].py"]
    assert select(tree, ["*.md"]) == []
    with pytest.raises(BuildError, match='"/nope" not found'):
        select(tree, ["nope/*.md"])


def test_a_workdir_is_its_missing_parents() -> None:
    lower = Tree({"/a": directory(0o700)})
    layer = make_folder("/a/b/c", (5, 6), 9, lower)
    assert {path: (entry.mode, entry.uid, entry.mtime) for path, entry in layer.items()} == {
        "/a": (0o700, 0, 0),
        "/a/b": (0o755, 5, 9),
        "/a/b/c": (0o755, 5, 9),
    }
    assert not make_folder("/a", None, 9, lower)
