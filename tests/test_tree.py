"""A file system as a value: its paths, its symbolic links and its hard links."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.tree import Bytes, Entry, FileData, Tree, clean, directory, file, link_groups, parents, symlink
from tests.until import comes

texts = st.text(alphabet="a/.0", max_size=12)


class TestPaths:
    @given(texts)
    def test_a_clean_path_is_absolute_and_has_one_spelling(self, text: str) -> None:
        path = clean(text)
        assert path.startswith("/")
        assert clean(path) == path
        assert not {"", ".", ".."} & set(path.split("/")[1:]) or path == "/"

    @given(texts)
    def test_no_path_leads_above_the_root(self, text: str) -> None:
        assert clean("/../" + text) == clean(text)

    @given(texts)
    def test_the_parents_of_a_path_end_at_the_root(self, text: str) -> None:
        path = clean(text)
        ups = list(parents(path))
        assert len(ups) == (0 if path == "/" else path.count("/"))
        assert path == "/" or ups[-1] == "/"

    def test_two_leading_slashes_are_one(self) -> None:
        assert clean("//etc") == "/etc"


class TestTree:
    def test_the_root_and_all_parents_are_always_there(self) -> None:
        assert list(Tree()) == ["/"]
        assert list(Tree({"/a/b/c": file()})) == ["/", "/a", "/a/b", "/a/b/c"]

    def test_nothing_can_lie_below_a_file(self) -> None:
        with pytest.raises(NotADirectoryError):
            Tree({"/a": file(), "/a/b": file()})

    def test_nothing_can_lie_below_a_symbolic_link(self) -> None:
        with pytest.raises(NotADirectoryError):
            Tree({"/a": symlink("/b"), "/a/b": file(), "/b": directory()})

    def test_below_is_exact_among_names_that_sort_around_the_slash(self) -> None:
        tree = Tree({path: file() for path in ("/a/x", "/a-b", "/a.b", "/a0", "/a/x0/y", "/ab")})
        assert tree.below("/a") == ["/a/x", "/a/x0", "/a/x0/y"]
        assert tree.children("/a") == ["x", "x0"]
        assert tree.children("/") == ["a", "a-b", "a.b", "a0", "ab"]
        assert tree.below("/a/x") == []

    def test_trees_are_equal_when_all_entries_are(self) -> None:
        assert Tree({"/a": file(b"x")}) == Tree({"/": directory(), "a": file(b"x")})
        assert Tree({"/a": file(b"x")}) != Tree({"/a": file(b"x", mode=0o600)})
        assert Tree({"/a": file(b"x")}) != Tree({"/a": file(b"y")})

    def test_a_hard_link_label_is_the_first_name_of_the_file(self) -> None:
        shared = file(b"x", link="whatever")
        tree = Tree({"/b": shared, "/a": shared, "/alone": file(b"x", link="gone")})
        assert link_groups(tree) == {"/a": ["/a", "/b"]}
        assert tree["/alone"].link == ""

    def test_a_name_that_is_not_utf8_is_a_path_like_any_other(self) -> None:
        name = os.fsdecode(b"/caf\xe9") if os.name == "posix" else "/caf\udce9"
        assert Tree({name: file()}).children("/") == [name[1:]]


class TestResolve:
    tree = Tree(
        {
            "/etc/motd": file(),
            "/abs": symlink("/etc"),
            "/rel/up": symlink("../etc"),
            "/out": symlink("../../../../etc/motd"),
            "/loop": symlink("loop"),
            "/ping": symlink("pong"),
            "/pong": symlink("ping"),
            "/gone": symlink("/nowhere"),
            "/slash": symlink("/etc/"),
        }
        | {f"/chain{n}": symlink(f"chain{n + 1}") for n in range(40)}
        | {"/chain40": file()}
    )

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/abs/motd", "/etc/motd"),
            ("rel/up/motd", "/etc/motd"),
            ("/out", "/etc/motd"),
            ("/../../abs", "/etc"),
            ("/abs/../rel", "/rel"),
            ("/gone", "/nowhere"),
            ("/slash/motd", "/etc/motd"),
            ("/chain0", "/chain40"),
            ("/new", "/new"),
        ],
    )
    def test_links_are_followed_inside_the_tree_only(self, path: str, expected: str) -> None:
        assert self.tree.resolve(path) == expected

    def test_the_last_link_is_left_alone_on_request(self) -> None:
        assert self.tree.resolve("/abs", follow=False) == "/abs"
        assert self.tree.resolve("/rel/up/motd", follow=False) == "/etc/motd"

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("/loop", errno.ELOOP),
            ("/ping/x", errno.ELOOP),
            ("/etc/motd/x", errno.ENOTDIR),
            ("/none/x", errno.ENOENT),
            ("/gone/x", errno.ENOENT),
        ],
    )
    def test_what_cannot_be_resolved_says_why_as_the_kernel_does(self, path: str, code: int) -> None:
        with pytest.raises(OSError) as caught:
            self.tree.resolve(path)
        assert caught.value.errno == code

    def test_more_than_forty_links_are_too_many(self) -> None:
        longer = Tree(self.tree.entries() | {"/more": symlink("chain0")})
        with pytest.raises(OSError) as caught:
            longer.resolve("/more")
        assert caught.value.errno == errno.ELOOP

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="chroot, the oracle, needs root")
    def test_the_kernel_agrees_after_chroot(self, tmp_path: Path) -> None:
        for path, entry in self.tree.items():
            here = tmp_path / path[1:]
            if entry.kind == "symlink":
                here.symlink_to(entry.target)
            elif entry.is_dir:
                here.mkdir(exist_ok=True)
            else:
                here.touch()
        for path in [*self.tree, "/abs/motd", "/rel/up/motd", "/abs/..", "/out/x", "/none/x", "/loop/x"]:
            wanted = _by_tree(self.tree, path)  # a kernel that starts a walk again counts its links twice
            assert comes(partial(_agrees, tmp_path, path, wanted)), path


def _by_tree(tree: Tree, path: str) -> str | int:
    try:
        found = tree.resolve(path)
    except OSError as error:
        return error.errno or 0
    return found if found in tree else errno.ENOENT


def _agrees(root: Path, path: str, wanted: str | int) -> bool:
    return _by_kernel(root, path) == wanted


def _by_kernel(root: Path, path: str) -> str | int:
    """Open `path` in a chroot, in a child, and tell where that led."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:  # pragma: no cover
        try:
            proc = os.open("/proc", os.O_RDONLY)
            os.chroot(root)
            os.chdir("/")
            found = os.readlink(f"self/fd/{os.open(path, os.O_PATH)}", dir_fd=proc)
            os.write(write, found.encode())
        except OSError as error:
            os.write(write, str(error.errno).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return int(text) if text.isdigit() else text.removeprefix(str(root)) or "/"


class TestData:
    def test_bytes_are_equal_when_their_content_is(self) -> None:
        assert Bytes(b"hi") == Bytes(b"hi")
        assert Bytes(b"hi") != Bytes(b"ho")
        assert Bytes() == Bytes(b"")

    def test_a_file_on_disk_equals_the_same_bytes_in_memory(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"hello")
        assert FileData(tmp_path / "f", 5) == Bytes(b"hello")
        assert hash(FileData(tmp_path / "f", 5)) == hash(Bytes(b"hello"))

    @pytest.mark.skipif(os.name != "posix", reason="symbolic links as POSIX has them")
    def test_a_file_swapped_for_a_symbolic_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret")
        (tmp_path / "f").symlink_to("secret")
        with pytest.raises(OSError):
            FileData(tmp_path / "f", 6).read()

    def test_only_files_have_a_size(self) -> None:
        assert [Entry("dir").size, symlink("/long/target").size, file(b"abc").size] == [0, 0, 3]
