"""Many layers, one view: lookups, and writes that behave as those of the system that the tests run on."""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidocker.layer import WHITEOUT, Changeset, diff, merge
from minidocker.tree import Tree, directory, file, symlink
from minidocker.union import Blame, Union, blame, lookup
from tests.test_layer import changesets

LOWER = Changeset({"/etc/motd": file(b"one"), "/etc/os": file(b"lower"), "/lib/a": file(b"a"), "/opt": directory()})
MIDDLE = Changeset(
    {"/etc/motd": file(b"two"), "/etc/os": WHITEOUT, "/lib": symlink("usr/lib"), "/opt": directory()}, {"/opt"}
)
UPPER = Changeset({"/etc/motd": file(b"three")})


def calls(work: Callable[[], object]) -> int:
    """How many functions are called while that is done."""
    events: list[str] = []
    sys.setprofile(lambda _frame, event, _about: events.append(event))
    try:
        work()
    finally:
        sys.setprofile(None)
    return sum(event in ("call", "c_call") for event in events)


class TestLookup:
    """Who answers for a path, top first."""

    @pytest.mark.parametrize(
        ("path", "verdicts"),
        [
            ("/etc/motd", ["answers", "hidden", "hidden"]),
            ("/etc/os", ["silent", "hides", "hidden"]),
            ("/lib/a", ["silent", "hides", "hidden"]),
            ("/opt/x", ["silent", "hides", "silent"]),
            ("/lib", ["silent", "answers", "hidden"]),
            ("/nothing", ["silent", "silent", "silent"]),
        ],
    )
    def test_verdicts(self, path: str, verdicts: list[str]) -> None:
        answers = lookup([LOWER, MIDDLE, UPPER], path)
        assert [answer.verdict for answer in answers] == verdicts
        assert [answer.layer for answer in answers] == [2, 1, 0]

    def test_agree_with_the_view(self) -> None:
        layers = [LOWER, MIDDLE, UPPER]
        tree = merge(Tree(), *layers)
        for path in {path for layer in layers for path in layer}:
            answered = [answer.entry for answer in lookup(layers, path) if answer.verdict == "answers"]
            assert answered == ([tree[path]] if path in tree else [])


class TestBlame:
    """Who answers for every path at once, and which bytes lie there in vain."""

    def test_it_tells_who_answers_and_who_has_it_in_vain(self) -> None:
        found = {one.path: one for one in blame([LOWER, MIDDLE, UPPER])}
        assert list(found) == ["/etc", "/etc/motd", "/etc/os", "/lib", "/lib/a", "/opt"]
        assert found["/etc/motd"] == Blame("/etc/motd", UPPER["/etc/motd"], 2, (1, 0), 6)
        assert found["/etc/os"] == Blame("/etc/os", None, 1, (0,), 5)
        assert found["/lib/a"] == Blame("/lib/a", None, 1, (0,), 1)
        assert (found["/opt"].layer, found["/opt"].wasted) == (1, 0)

    @pytest.mark.parametrize(
        ("under", "paths"),
        [
            ("/etc", ["/etc", "/etc/motd", "/etc/os"]),
            ("lib/", ["/lib", "/lib/a"]),
            ("/etc/os", ["/etc/os"]),
            ("/et", []),
        ],
    )
    def test_a_part_of_the_tree(self, under: str, paths: list[str]) -> None:
        assert [one.path for one in blame([LOWER, MIDDLE, UPPER], under)] == paths

    def test_an_opaque_directory_hides_what_is_in_it(self) -> None:
        layers = [Changeset({"/opt/x": file(b"1234")}), MIDDLE]
        assert blame(layers, "/opt/x") == [Blame("/opt/x", None, 1, (0,), 4)]

    def test_a_file_with_two_names_is_wasted_when_both_are_gone(self) -> None:
        both = Changeset({"/a": file(b"four", link="/a"), "/b": file(b"four", link="/a")})
        assert sum(one.wasted for one in blame([both, Changeset({"/a": WHITEOUT})])) == 0
        assert sum(one.wasted for one in blame([both, Changeset({"/a": WHITEOUT, "/b": WHITEOUT})])) == 4

    @given(st.lists(changesets(), max_size=4))
    def test_it_agrees_with_lookup_and_merge(self, layers: list[Changeset]) -> None:
        found, tree = blame(layers), merge(Tree(), *layers)
        for one in found:
            answers = lookup(layers, one.path)
            decides = next(answer for answer in answers if answer.verdict in ("answers", "hides"))
            assert (one.layer, one.entry) == (decides.layer, decides.entry if decides.verdict == "answers" else None)
            assert one.shadowed == tuple(answer.layer for answer in answers if answer.verdict == "hidden")
        seen = {one.path: one.entry for one in found if one.entry}
        assert seen.keys() - {"/"} == tree.keys() - {"/"}
        assert all(replace(entry, link="") == replace(tree[path], link="") for path, entry in seen.items())

    @given(st.lists(changesets(), max_size=4))
    def test_every_byte_is_seen_or_wasted(self, layers: list[Changeset]) -> None:
        found = blame(layers)
        seen = {(one.layer, one.entry.link or one.path): one.entry.size for one in found if one.entry}
        assert sum(seen.values()) + sum(one.wasted for one in found) == sum(layer.size for layer in layers)

    def test_a_hundred_thousand_files_are_gone_through_once(self) -> None:
        def wasted(count: int) -> int:
            names = [f"/usr/d{n % 300}/e{n % 7}/f{n}" for n in range(count)]
            over = Changeset({name: file(b"y") for name in names[::9]})
            return sum(one.wasted for one in blame([Changeset({name: file(b"x") for name in names}), over]))

        assert wasted(100_000) == 11_112  # one lookup for each path would take minutes
        assert calls(lambda: wasted(8000)) < 2.5 * calls(lambda: wasted(4000))


class TestWrites:
    """A write goes to the top, and a lower file is copied up whole."""

    def test_the_layers_stay_as_they_are(self) -> None:
        view = Union([LOWER])
        view.write("/etc/motd", b"mine")
        assert (view.read("/etc/motd"), view.lower["/etc/motd"].data.read()) == (b"mine", b"one")
        view.write("/etc/motd", b"!", append=True)
        assert (view.read("/etc/motd"), view.lower["/etc/motd"].data.read()) == (b"mine!", b"one")

    @pytest.mark.parametrize(
        ("act", "copied"),
        [
            (lambda view: view.write("/etc/motd", b"!", append=True), 3),
            (lambda view: view.write("/etc/motd", b"mine"), 0),  # truncated, so nothing of it is needed
            (lambda view: view.chmod("/etc/motd", 0o600), 3),
            (lambda view: view.chown("/etc/motd", 7, 7), 3),
            (lambda view: view.rename("/etc/motd", "/etc/said"), 3),
            (lambda view: view.unlink("/etc/motd"), 0),
            (lambda view: view.write("/etc/new", b"new"), 0),
        ],
    )
    def test_what_changes_is_copied_up_whole_and_once(self, act: Callable[[Union], None], copied: int) -> None:
        view = Union([LOWER])
        act(view)
        assert view.copied_up == copied

    def test_what_is_copied_up_is_not_copied_again(self) -> None:
        view = Union([LOWER])
        for _ in range(3):
            view.write("/etc/motd", b"!", append=True)
            view.chmod("/etc/motd", 0o600)
        assert (view.read("/etc/motd"), view.copied_up) == (b"one!!!", 3)

    def test_metadata_alone_makes_a_new_file_of_the_same_bytes(self) -> None:
        view = Union([LOWER])
        view.chmod("/etc/motd", 0o600)
        view.chown("/etc/motd", 7, -1)
        entry = view.changes()["/etc/motd"]
        assert (entry.mode, entry.uid, entry.gid, entry.data.read()) == (0o600, 7, 0, b"one")

    def test_a_removed_file_is_a_whiteout_and_may_come_back(self) -> None:
        view = Union([LOWER])
        view.unlink("/etc/os")
        assert view.changes()["/etc/os"] == WHITEOUT
        view.write("/etc/os", b"new")
        assert view.changes()["/etc/os"].data.read() == b"new"

    def test_a_copied_up_file_leaves_the_hard_links_of_its_layer(self) -> None:
        both = Tree({"/a": file(b"one", link="both"), "/b": file(b"one", link="both"), "/c": file(b"one", link="both")})
        view = Union(lower=both)
        view.write("/a", b"two")
        assert (view.read("/a"), view.read("/b")) == (b"two", b"one")
        assert [path for path in view.changes() if path != "/"] == ["/a"]
        assert view.tree()["/c"].link == "/b"

    def test_a_new_hard_link_survives_a_new_name(self) -> None:
        view = Union()
        view.write("/a", b"one")
        view.link("/a", "/b")
        view.rename("/a", "/x")
        view.write("/a", b"other")
        view.link("/a", "/d")
        view.write("/b", b"two")
        assert [view.read(path) for path in ("/x", "/a", "/d")] == [b"two", b"other", b"other"]
        assert view.tree()["/x"].link == "/b"

    def test_hard_links_share_what_is_written(self) -> None:
        view = Union([LOWER])
        view.link("/etc/motd", "/etc/again")
        view.write("/etc/again", b"both")
        assert view.read("/etc/motd") == b"both"
        view.unlink("/etc/motd")
        assert (view.read("/etc/again"), view.tree()["/etc/again"].link) == (b"both", "")

    def test_it_starts_from_a_writable_layer(self) -> None:
        view = Union([LOWER], upper=UPPER)
        assert view.read("/etc/motd") == b"three"
        assert merge(view.lower, view.changes()) == view.tree()

    def test_time_moves_with_the_clock(self) -> None:
        view = Union([LOWER], clock=lambda: 77)
        view.write("/etc/new", b"")
        assert (view.stat("/etc/new").mtime, view.stat("/etc").mtime) == (77, 77)


NAMES = ("a", "b", "a/c", "b/c", "a/c/d", "l", "l/c", "m", "..", "a/../b")
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["mkdir", "rmdir", "unlink", "read", "listdir", "readlink"]), st.sampled_from(NAMES)),
    st.tuples(st.sampled_from(["write", "append"]), st.sampled_from(NAMES), st.binary(max_size=3)),
    st.tuples(st.sampled_from(["rename", "link"]), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("symlink"), st.sampled_from(["a", "b", "a/c", "nothing", "l"]), st.sampled_from(NAMES)),
)


def ours(view: Union, operation: str, *args: Any) -> Any:
    if operation in ("write", "append"):
        return view.write("/" + args[0], args[1], append=operation == "append")
    paths = [args[0], "/" + args[1]] if operation == "symlink" else ["/" + path for path in args]
    return getattr(view, operation)(*paths)


def theirs(root: Path, operation: str, *args: Any) -> Any:
    paths = [f"{root}/{path}" for path in args if isinstance(path, str)]
    if operation in ("write", "append"):
        with open(paths[0], "ab" if operation == "append" else "wb") as out:  # noqa: PTH123
            out.write(args[1])
        return None
    if operation == "read":
        with open(paths[0], "rb") as source:  # noqa: PTH123
            return source.read()
    if operation == "symlink":
        return os.symlink(args[0], paths[1])  # noqa: PTH211 (a Path drops a slash at the end)
    if operation == "link":
        return os.link(*paths, follow_symlinks=False)
    found = getattr(os, operation)(*paths)
    return sorted(found) if operation == "listdir" else found


def outcome(call: Any, *args: Any) -> Any:
    try:
        return call(*args)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


@pytest.mark.skipif(os.name != "posix", reason="compares with a POSIX file system")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, max_size=12))
def test_it_behaves_as_a_real_file_system(tmp_path: Path, walk: Any, operations: list[tuple[Any, ...]]) -> None:
    root = tmp_path / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    view = Union()
    for operation in operations:
        if any(isinstance(path, str) and posixpath.normpath("/" + path) == "/" for path in operation[1:]):
            continue  # a view's root has nothing above it
        if ".." in operation[1:]:
            continue
        assert outcome(ours, view, *operation) == outcome(theirs, root, *operation), operation
    seen, real = view.tree(), walk(root)
    assert seen.keys() == real.keys()
    for path in seen.keys() - {"/"}:
        assert (seen[path].kind, seen[path].target) == (real[path].kind, real[path].target), path
        assert seen[path].data.read() == real[path].data.read(), path
    assert merge(Tree(), diff(Tree(), seen)) == seen
