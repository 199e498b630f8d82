"""Layers as a specification: what diff, merge and stack promise for every tree, and a few cases by name.

The properties compare with `unpacked`, the dullest possible model: a mutable file system with inodes, to which a
layer is applied step by step as the OCI specification tells it.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from dataclasses import replace
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker import layertar
from minidocker.errors import LayerError
from minidocker.layer import WHITEOUT, Changeset, chain_ids, diff, merge, settle, stack
from minidocker.tree import Entry, FileData, Tree, directory, file, link_groups, parents, symlink

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

    @given(trees(), changesets(), changesets())
    def test_settling_a_layer_costs_the_layer_and_finds_all(
        self, tree: Tree, below: Changeset, layer: Changeset
    ) -> None:
        lower = merge(tree, below)
        assert settle(lower, layer) == diff(lower, merge(lower, layer))
        assert merge(lower, layer).links == link_groups(merge(lower, layer))

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


EVERYTHING = Changeset(
    {
        "/etc": directory(0o700, uid=3_000_000_000, gid=4_000_000_000, mtime=1_700_000_000),
        "/etc/motd": file(b"hello\n" * 1000, mode=0o4755, mtime=-5, xattrs=(("user.note", b"\x00=\n\xff"),)),
        "/etc/gone": WHITEOUT,
        "/caf\udce9/\udcff": file(b"not UTF-8", xattrs=(("security.capability", bytes(range(20))),)),
        "/caf\u00e9 \U0001f40b": file(b"UTF-8"),
        "/" + "long/" * 60 + "n" * 255: file(b"long"),
        "/link": symlink("/" + "t" * 4000),
        "/\udcfflink": symlink("\udcff"),
        "/a": file(b"shared", link="/a"),
        "/z/b": file(b"shared", link="/a"),
        "/" + "n" * 200: file(b"other", link="/" + "n" * 200),
        "/z/" + "n" * 200: file(b"other", link="/" + "n" * 200),
        "/pipe": Entry("fifo", 0o600),
        "/null": Entry("char", 0o666, device=(1, 3)),
        "/disk": Entry("block", 0o660, device=(4095, 1_048_575)),
        "/empty": file(),
        "/new\nline\\": directory(),
        "/opaque": directory(),
        "/opaque/new": file(b"x"),
    },
    {"/opaque"},
)


class TestTar:
    """A layer on the wire and back; what hostile tars must not do is in test_layertar_hostile."""

    def test_everything_that_a_layer_can_hold_survives(self, tmp_path: Path) -> None:
        assert by_tar(EVERYTHING, tmp_path) == EVERYTHING

    @given(layer=changesets())
    def test_any_layer_survives(self, layer: Changeset, tmp_path_factory: pytest.TempPathFactory) -> None:
        again = by_tar(layer, tmp_path_factory.getbasetemp())
        assert again == Changeset({path: entry for path, entry in layer.items() if path != "/"}, layer.opaque)

    def test_the_same_layer_is_the_same_bytes(self) -> None:
        backwards = Changeset(dict(reversed(list(EVERYTHING.items()))), EVERYTHING.opaque)
        assert tar_of(EVERYTHING) == tar_of(backwards)

    def test_the_bytes_of_a_layer_never_change(self) -> None:
        """Digests are for ever: another Python, another release, the same bytes."""
        assert (
            sha256(tar_of(EVERYTHING)).hexdigest() == "cc6c2014af5db24f1f1e45d1c1d29a10b2fbdb44e03220deddb7cfc35a87b803"
        )

    def test_no_time_is_later_than_the_clamp(self, tmp_path: Path) -> None:
        (tmp_path / "l.tar").write_bytes(tar_of(EVERYTHING, clamp=1_000))
        assert max(entry.mtime for entry in layertar.read(tmp_path / "l.tar").values()) == 1_000

    def test_a_file_that_changes_under_the_writer_is_noticed(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"longer than it said")
        with pytest.raises(LayerError, match="changed while it was read"):
            tar_of(Changeset({"/f": file(FileData(tmp_path / "f", 5))}))

    def test_a_name_that_would_read_as_a_whiteout_is_refused(self) -> None:
        with pytest.raises(LayerError, match="whiteout"):
            tar_of(Changeset({"/.wh.evil": file(b"x")}))

    @pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar, the oracle, is absent")
    def test_gnu_tar_lists_what_we_wrote(self, tmp_path: Path) -> None:
        (tmp_path / "l.tar").write_bytes(tar_of(EVERYTHING))
        quiet = "--warning=no-unknown-keyword"
        listing = ["tar", "--list", "--quoting-style=literal", quiet, "-f", str(tmp_path / "l.tar")]
        listed = subprocess.run(listing, capture_output=True, check=True)
        assert listed.stderr == b""
        assert listed.stdout.count(b"n" * 255) == 1
        assert b"caf\xe9/\xff\n" in listed.stdout

    @pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar, the oracle, is absent")
    @pytest.mark.parametrize("form", ["gnu", "posix", "ustar", "v7", "oldgnu"])
    def test_we_read_what_gnu_tar_wrote(self, form: str, tmp_path: Path) -> None:
        src = tmp_path / "src"
        (src / "d" / ("n" * 90)).mkdir(parents=True)
        (src / "d" / "f").write_bytes(b"hello")
        (src / "d" / "hard").hardlink_to(src / "d" / "f")
        (src / "d" / "soft").symlink_to("../d/f")
        with (src / "holes").open("wb") as holes:
            holes.seek(1 << 20)
            holes.write(b"end")
            holes.truncate(3 << 20)
        (src / "hole").touch()
        os.truncate(src / "hole", 1 << 20)
        sparse = ["--sparse"] if form in ("gnu", "posix", "oldgnu") else []
        subprocess.run(["tar", f"--format={form}", *sparse, "-C", src, "-cf", tmp_path / "l.tar", "."], check=True)
        tree = merge(Tree(), layertar.read(tmp_path / "l.tar"))
        assert tree.below("/") == ["/d", "/d/f", "/d/hard", "/d/" + "n" * 90, "/d/soft", "/hole", "/holes"]
        assert link_groups(tree) == {"/d/f": ["/d/f", "/d/hard"]}
        assert tree["/d/soft"].target == "../d/f"
        assert tree["/holes"].data.read() == (src / "holes").read_bytes()
        assert tree["/hole"].data.read() == bytes(1 << 20)
        assert tree["/d/f"].mtime == int((src / "d" / "f").stat().st_mtime)


def tar_of(layer: Changeset, clamp: int | None = None) -> bytes:
    out = io.BytesIO()
    layertar.write(layer, out, clamp)
    return out.getvalue()


def by_tar(layer: Changeset, folder: Path) -> Changeset:
    (folder / "layer.tar").write_bytes(tar_of(layer))
    return layertar.read(folder / "layer.tar")


def test_chain_ids_follow_the_specification() -> None:
    """ChainID(L0) = DiffID(L0); ChainID(L0|…|Ln) = sha256(ChainID(L0|…|Ln-1) + " " + DiffID(Ln))."""
    a, b = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    assert chain_ids([]) == []
    assert chain_ids([a]) == [a]
    assert chain_ids([a, b]) == [a, f"sha256:{sha256(f'{a} {b}'.encode()).hexdigest()}"]
    assert chain_ids([a, b, b])[:2] == chain_ids([a, b])
