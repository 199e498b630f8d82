"""Layers as a specification: what diff, merge and stack promise for every tree, and a few cases by name.

The properties compare with `unpacked`, the dullest possible model: a mutable file system with inodes, to which a
layer is applied step by step as the OCI specification tells it.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.layer import WHITEOUT, Changeset, chain_ids, diff, merge, stack
from minidocker.tree import Entry, Tree, directory, file, link_groups, parents, symlink

NAMES = ["a", "b", "a.", "a0"]  # "." sorts before "/", "0" after it
paths = st.sampled_from(["/" + "/".join(parts) for n in (1, 2, 3) for parts in product(NAMES, repeat=n)])
entries_of_all_kinds = st.sampled_from(
    [
        *(file(content) for content in (b"", b"x", b"y")),
        file(b"x", mode=0o4755),
        file(b"x", mtime=7),
        file(b"x", uid=1000, xattrs=(("user.note", b"\x00\xff"),)),
        directory(),
        directory(0o1777, uid=1000),
        directory(xattrs=(("user.note", b""),)),
        symlink("a"),
        symlink("../../b"),
        Entry("fifo"),
        Entry("char", device=(1, 3)),
    ]
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    entries: dict[str, Entry] = {}
    for path in draw(st.lists(paths, max_size=8)):
        ups = list(parents(path))
        if any(up in entries and not entries[up].is_dir for up in ups) or path in entries:
            continue
        entries |= {up: directory() for up in ups if up not in entries}
        entries[path] = draw(entries_of_all_kinds)
    loose = sorted(path for path, entry in entries.items() if entry.kind == "file")
    for label in draw(st.lists(st.sampled_from("LM"), max_size=2, unique=True)):
        group = draw(st.lists(st.sampled_from(loose), min_size=2, max_size=3, unique=True)) if len(loose) > 1 else []
        entries |= {path: replace(entries[group[0]], link=label) for path in group}
        loose = [path for path in loose if path not in group]
    return Tree(entries)


@st.composite
def changesets(draw: st.DrawFn) -> Changeset:
    """Any layer that a tar may hold: parents unlisted, whiteouts of what was never there, opaque directories."""
    tree = draw(trees())
    some = draw(st.integers(0, 2 ** len(tree) - 1))
    entries = {path: entry for bit, (path, entry) in enumerate(tree.items()) if path != "/" and some >> bit & 1}
    for group in link_groups(tree).values():
        if any(path in entries for path in group):
            entries |= {path: tree[path] for path in group}
    for path in draw(st.lists(paths, max_size=3)):
        below_other = any(up in entries and not entries[up].is_dir for up in parents(path))
        if not below_other and path not in entries and not any(found.startswith(path + "/") for found in entries):
            entries[path] = WHITEOUT
    directories = sorted(path for path, entry in entries.items() if entry.is_dir)
    return Changeset(entries, draw(st.sets(st.sampled_from(directories), max_size=2)) if directories else set())


def unpacked(tree: Tree, layer: Changeset) -> Tree:
    """What is there after a naive unpacker, with inodes, has applied `layer`: whiteouts first, then each entry."""
    inodes: dict[str, tuple[object, Entry]] = {path: (entry.link or path, entry) for path, entry in tree.items()}

    def remove(top: str, itself: bool = True) -> None:
        for path in list(inodes):
            if (path.startswith(top.rstrip("/") + "/") and path != "/") or (itself and path == top):
                del inodes[path]

    for path in layer.opaque:
        remove(path, itself=False)
    for path, entry in layer.items():
        if entry.kind == "whiteout":
            remove(path)
    for path, entry in layer.items():
        for up in reversed([*parents(path)]):
            if up not in inodes or not inodes[up][1].is_dir:
                inodes[up] = (object(), directory())
        if not entry.is_dir:
            remove(path)
        if entry.kind != "whiteout":
            inodes[path] = (("new", entry.link or path), entry)
    labels = {inode: str(number) for number, (inode, _) in enumerate(inodes.values())}
    return Tree(
        {
            path: replace(entry, link=labels[inode] if entry.kind == "file" else "")
            for path, (inode, entry) in inodes.items()
        }
    )


class TestProperties:
    @given(trees(), trees())
    def test_merging_a_diff_gives_the_upper_tree(self, lower: Tree, upper: Tree) -> None:
        assert merge(lower, diff(lower, upper)) == upper

    @given(trees())
    def test_equal_trees_differ_in_nothing(self, tree: Tree) -> None:
        assert diff(tree, Tree(tree.entries())) == Changeset()
        assert merge(tree, Changeset()) == tree

    @given(trees(), changesets())
    def test_merge_is_what_unpacking_makes(self, tree: Tree, layer: Changeset) -> None:
        assert merge(tree, layer) == unpacked(tree, layer)

    @given(trees(), changesets())
    def test_what_merge_makes_is_a_true_tree(self, tree: Tree, layer: Changeset) -> None:
        merged = merge(tree, layer)
        assert Tree(merged.entries()) == merged
        assert not any(entry.kind == "whiteout" for entry in merged.values())

    @given(trees(), changesets(), changesets())
    def test_two_layers_stacked_are_one(self, tree: Tree, a: Changeset, b: Changeset) -> None:
        assert merge(tree, stack(a, b)) == merge(tree, a, b)

    @given(trees(), changesets(), changesets(), changesets())
    def test_stacking_is_associative(self, tree: Tree, a: Changeset, b: Changeset, c: Changeset) -> None:
        assert merge(tree, stack(stack(a, b), c)) == merge(tree, stack(a, stack(b, c)))

    @given(trees(), trees(), trees())
    def test_a_diff_over_two_steps_is_the_stack_of_both(self, a: Tree, b: Tree, c: Tree) -> None:
        assert merge(a, stack(diff(a, b), diff(b, c))) == c

    @given(trees(), changesets())
    def test_committing_a_layer_again_is_canonical(self, tree: Tree, layer: Changeset) -> None:
        merged = merge(tree, layer)
        again = diff(tree, merged)
        assert again == diff(tree, merge(tree, again))
        assert not again.opaque

    @given(trees(), trees())
    def test_a_diff_lists_parents_and_whole_hard_link_groups(self, lower: Tree, upper: Tree) -> None:
        layer = diff(lower, upper)
        assert all(up in layer for path in layer for up in parents(path) if up != "/")
        for group in link_groups(upper).values():
            assert len({path in layer for path in group}) == 1

    @given(trees(), trees())
    def test_a_diff_whites_out_nothing_that_was_not_there(self, lower: Tree, upper: Tree) -> None:
        gone = [path for path, entry in diff(lower, upper).items() if entry.kind == "whiteout"]
        assert all(path in lower and path not in upper for path in gone)
        assert not any(up in gone for path in gone for up in parents(path))


BASE = Tree({"/d/f": file(b"1"), "/d/g": file(b"2"), "/s": symlink("d"), "/x": file(b"3")})


@pytest.mark.parametrize(
    ("name", "upper", "expected"),
    [
        ("a file becomes a directory", {"/x": directory(), "/x/in": file()}, {"/x": directory(), "/x/in": file()}),
        ("a file becomes a symbolic link", {"/x": symlink("d")}, {"/x": symlink("d")}),
        (
            "a symbolic link becomes a directory",
            {"/s": directory(), "/s/in": file()},
            {"/s": directory(), "/s/in": file()},
        ),
        ("only a mode changes", {"/x": file(b"3", mode=0o600)}, {"/x": file(b"3", mode=0o600)}),
        ("only a time changes", {"/x": file(b"3", mtime=9)}, {"/x": file(b"3", mtime=9)}),
        ("a directory's own mode changes", {"/d": directory(0o700)}, {"/d": directory(0o700)}),
        ("a file is deleted", {"/d/f": None}, {"/d": directory(), "/d/f": WHITEOUT}),
        ("a directory is deleted", {"/d": None, "/d/f": None, "/d/g": None}, {"/d": WHITEOUT}),
        ("a directory becomes a file", {"/d": file(), "/d/f": None, "/d/g": None}, {"/d": file()}),
        ("the root's own mode changes", {"/": directory(0o700)}, {"/": directory(0o700)}),
        ("nothing changes", {}, {}),
    ],
)
def test_diff_by_name(name: str, upper: dict[str, Entry | None], expected: dict[str, Entry]) -> None:
    changed = BASE.entries() | upper
    now = Tree({path: entry for path, entry in changed.items() if entry is not None})
    assert diff(BASE, now) == Changeset(expected), name
    assert merge(BASE, diff(BASE, now)) == now


class TestHardLinks:
    lower = Tree(dict.fromkeys(("/a", "/b", "/c"), file(b"x", link="L")))

    def test_changing_one_name_of_a_file_lists_them_all(self) -> None:
        now = Tree(dict.fromkeys(("/a", "/b", "/c"), file(b"y", link="L")))
        assert list(diff(self.lower, now)) == ["/a", "/b", "/c"]

    def test_breaking_one_name_away_keeps_the_other_two_together(self) -> None:
        merged = merge(self.lower, Changeset({"/a": file(b"new")}))
        assert link_groups(merged) == {"/b": ["/b", "/c"]}

    def test_removing_all_names_but_one_leaves_a_plain_file(self) -> None:
        merged = merge(self.lower, Changeset({"/a": WHITEOUT, "/b": WHITEOUT}))
        assert merged["/c"] == file(b"x")

    def test_a_new_name_for_a_lower_file_brings_all_names_along(self) -> None:
        now = Tree(self.lower.entries() | {"/d": self.lower["/a"]})
        assert list(diff(self.lower, now)) == ["/a", "/b", "/c", "/d"]

    def test_equal_files_that_stop_being_one_file_are_a_change(self) -> None:
        now = Tree(dict.fromkeys(("/a", "/b", "/c"), file(b"x")))
        assert merge(self.lower, diff(self.lower, now)) == now != self.lower


class TestOpaque:
    def test_an_opaque_directory_hides_what_lies_below_and_shows_its_own(self) -> None:
        merged = merge(BASE, Changeset({"/d": directory(), "/d/new": file()}, {"/d"}))
        assert merged.below("/d") == ["/d/new"]

    def test_an_opaque_directory_over_nothing_is_a_directory(self) -> None:
        assert merge(Tree(), Changeset({"/d": directory()}, {"/d"})) == Tree({"/d": directory()})

    def test_an_opaque_root_hides_everything(self) -> None:
        assert list(merge(BASE, Changeset({"/": directory()}, {"/"}))) == ["/"]

    def test_whiteouts_reach_lower_layers_only(self) -> None:
        squashed = stack(Changeset({"/d/f": WHITEOUT}), Changeset({"/d/f": file(b"back")}))
        assert merge(BASE, squashed)["/d/f"] == file(b"back")


def test_whiteout_of_what_was_never_there_changes_nothing() -> None:
    assert merge(BASE, Changeset({"/never": WHITEOUT})) == BASE


def test_chain_ids_follow_the_specification() -> None:
    """ChainID(L0) = DiffID(L0); ChainID(L0|…|Ln) = sha256(ChainID(L0|…|Ln-1) + " " + DiffID(Ln))."""
    a, b = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    assert chain_ids([]) == []
    assert chain_ids([a]) == [a]
    assert chain_ids([a, b]) == [a, f"sha256:{sha256(f'{a} {b}'.encode()).hexdigest()}"]
    assert chain_ids([a, b, b])[:2] == chain_ids([a, b])
