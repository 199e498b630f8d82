"""A layer as an overlayfs directory and back: nothing lost, nothing outside, and what the kernel says to it."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from threading import Thread

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from minidocker.errors import LayerError
from minidocker.garbage import _delete as collect
from minidocker.layer import WHITEOUT, Changeset, diff, directory, file, merge
from minidocker.runtime import NO_STDIO, Box, Process, probe
from minidocker.runtime.discarding import discard
from minidocker.runtime.launching import answered
from minidocker.runtime.namespaces import Namespaces, sweep
from minidocker.runtime.overlay import OPAQUE, InTree, apply, scan, unpack
from minidocker.tree import Data, Entry, Tree, symlink

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="keeping owners takes root")
IDS = st.sampled_from([0, 1000]) if os.geteuid() == 0 else st.just(0)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A small tree in which names collide often, with links and every kind but devices."""
    meta = st.fixed_dictionaries({"uid": IDS, "gid": IDS, "mtime": st.integers(0, 3)})
    leaf = st.one_of(
        st.builds(
            lambda data, mode, m: file(data, mode=mode, **m),
            st.binary(max_size=2),
            st.sampled_from([0o644, 0o4755]),
            meta,
        ),
        st.builds(lambda target, m: symlink(target, **m), st.sampled_from(["a", "/b", "../.."]), meta),
        st.builds(lambda m: Entry("fifo", 0o600, **m), meta),
        st.builds(lambda mode, m: directory(mode, **m), st.sampled_from([0o755, 0o700, 0o1777]), meta),
    )
    paths = draw(st.lists(st.sampled_from(["/a", "/a/b", "/a/b/c", "/a/c", "/b", "/b/a", "/c"]), unique=True))
    entries: dict[str, Entry] = {}
    for path in sorted(paths):
        up = path.rpartition("/")[0]
        if not up or (up in entries and entries[up].is_dir):
            entries[path] = draw(leaf)
    files = [path for path, entry in entries.items() if entry.kind == "file"]
    if len(files) > 1 and draw(st.booleans()):
        for path in files[:2]:
            entries[path] = file(b"shared", link=files[0])
    return Tree(entries)


def timeless(tree: Tree) -> dict[str, object]:
    """A tree without the times, which writing below a directory changes."""
    return {path: (entry.kind, entry.mode, entry.uid, entry.data, entry.link) for path, entry in tree.items()}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees(), trees())
def test_what_is_unpacked_is_read_back_as_the_same_layer(tmp_path: Path, lower: Tree, upper: Tree) -> None:
    layer = diff(lower, upper)
    folder = tmp_path / "layer"
    unpack(layer, folder)
    assert scan(folder, lower) == layer
    discard(folder)
    assert not folder.exists()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees(), trees())
def test_applying_a_layer_to_the_files_is_merging_it(tmp_path: Path, lower: Tree, upper: Tree) -> None:
    folder = tmp_path / "tree"
    unpack(Changeset(dict(lower)), folder)
    apply(diff(lower, upper), str(folder))
    seen = merge(Tree(), scan(folder, Tree()))
    assert timeless(seen) == timeless(upper)
    discard(folder)


def test_two_may_delete_one_folder_at_the_same_time(tmp_path: Path) -> None:
    """As an engine, whose container was removed, and somebody's `docker image prune`."""
    for number in range(30):
        folder = tmp_path / str(number)
        for branch in range(12):
            (folder / str(branch) / "a" / "b" / "c").mkdir(parents=True)
        other = Thread(target=collect, args=(folder,))
        other.start()
        sweep(folder)
        other.join()
        assert not folder.exists()


@dataclass(frozen=True)
class Unpacked:
    """A layer that knows its value and its unpacked folder."""

    changes: Changeset
    folder: Path
    diff_id: str = "sha256:0"

    def path(self) -> Path:
        return self.folder


@pytest.mark.skipif(not probe.report().works, reason="no overlay mounts here")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(trees(), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_kernel_sees_through_a_stack_what_merge_says(
    tmp_path: Path, runtime: Namespaces, states: list[Tree], dice: Random
) -> None:
    below, layers = Tree(), []
    for wanted in states:
        changes = diff(below, Tree({"/t" + path.rstrip("/"): entry for path, entry in wanted.items()}))
        opaque = {path for path, entry in changes.items() if entry.is_dir and path != "/t" and dice.random() < 0.3}
        layers.append(Changeset(dict(changes), opaque))
        below = merge(below, layers[-1])
    stack = [Unpacked(layer, tmp_path / f"layer{number}") for number, layer in enumerate(layers)]
    try:
        for layer in stack:
            unpack(layer.changes, layer.folder)
        with held(runtime, Box(tmp_path / "box", stack, Process(("true",)))) as root:
            seen = merge(Tree(), scan(Path(root, "t"), Tree()))
            assert dict(seen) == dict(rooted(below, "/t"))
    finally:
        for folder in tmp_path.iterdir():
            discard(folder)


@pytest.fixture(scope="module")
def runtime() -> Iterator[Namespaces]:
    found = Namespaces()
    yield found
    found.close()


@contextmanager
def held(runtime: Namespaces, box: Box) -> Iterator[str]:
    """A container's file system as the kernel shows it, without a program that runs there."""
    with runtime._launcher.ask({"do": "hold", "box": runtime._prepare(box)}, NO_STDIO) as connection:
        yield f"/proc/{answered(connection)['pid']}/root"
        connection.shutdown(socket.SHUT_WR)
        answered(connection)


def rooted(tree: Tree, folder: str) -> Tree:
    """What lies below a folder, as a tree of its own; the time of its root is nobody's."""
    below = {path.removeprefix(folder) or "/": tree[path] for path in (folder, *tree.below(folder))}
    below["/"] = replace(below["/"], mtime=0)
    links = {path: entry.link.removeprefix(folder) for path, entry in below.items()}
    return Tree({path: replace(entry, link=links[path]) for path, entry in below.items()})


def test_a_whiteout_is_a_device_and_an_opaque_directory_bears_a_mark(tmp_path: Path) -> None:
    unpack(Changeset({"/gone": WHITEOUT, "/new": directory()}, {"/new"}), tmp_path / "layer")
    gone = (tmp_path / "layer/gone").stat()
    assert stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0
    assert os.getxattr(tmp_path / "layer/new", OPAQUE) == b"y"
    lower = Tree({"/gone": file(), "/new/old": file()})
    assert scan(tmp_path / "layer", lower) == Changeset({"/gone": WHITEOUT, "/new": directory(), "/new/old": WHITEOUT})


@root_only
def test_owners_modes_and_times_are_kept(tmp_path: Path) -> None:
    unpack(
        Changeset({"/su": file(b"x", mode=0o4755, uid=5, gid=6, mtime=7), "/d": directory(0o555, mtime=8)}),
        tmp_path / "l",
    )
    info = (tmp_path / "l/su").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_mtime) == (0o4755, 5, 6, 7)
    assert (tmp_path / "l/d").stat().st_mtime == 8


def test_hard_links_stay_one_file(tmp_path: Path) -> None:
    layer = Changeset({"/a": file(b"x", link="/a"), "/d": directory(), "/d/b": file(b"x", link="/a")})
    unpack(layer, tmp_path / "layer")
    assert (tmp_path / "layer/a").stat().st_ino == (tmp_path / "layer/d/b").stat().st_ino
    assert scan(tmp_path / "layer", Tree()) == layer


def test_extended_attributes_travel_but_not_those_of_the_mount(tmp_path: Path) -> None:
    try:
        os.setxattr(tmp_path, "user.probe", b"")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    kept, mark = ("user.note", b"hi"), (OPAQUE, b"y")
    unpack(Changeset({"/f": file(b"x", xattrs=(kept,)), "/d": directory(xattrs=(mark,))}), tmp_path / "layer")
    assert OPAQUE not in os.listxattr(tmp_path / "layer/d")
    assert scan(tmp_path / "layer", Tree())["/f"].xattrs == (kept,)


def test_device_nodes_are_not_made(tmp_path: Path) -> None:
    unpack(
        Changeset({"/sda": Entry("block", 0o666, device=(8, 0)), "/null": Entry("char", device=(1, 3))}),
        tmp_path / "layer",
    )
    assert list((tmp_path / "layer").iterdir()) == []


def test_no_name_leads_through_a_symbolic_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    hostile = Changeset({"/out": symlink(str(outside)), "/out/file": file(b"escaped")})
    with pytest.raises(LayerError, match="/out/file"):
        unpack(hostile, tmp_path / "layer")
    assert list(outside.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside"], "nothing is half unpacked"


def test_applying_never_writes_through_a_link_that_is_there(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    folder.mkdir()
    (outside / "kept").touch()
    (folder / "out").symlink_to(outside)
    (folder / "file").symlink_to(outside / "kept")
    with pytest.raises(LayerError):
        apply(Changeset({"/out/new": file(b"x")}), str(folder))
    apply(Changeset({"/file": file(b"mine"), "/out": WHITEOUT}), str(folder))
    assert [path.name for path in outside.iterdir()] == ["kept"] and (outside / "kept").read_bytes() == b""
    assert (folder / "file").read_bytes() == b"mine" and not (folder / "out").is_symlink()


def test_reading_a_file_later_does_not_follow_a_folder_that_became_a_link(tmp_path: Path) -> None:
    unpack(Changeset({"/d": directory(), "/d/f": file(b"inside")}), tmp_path / "layer")
    data = scan(tmp_path / "layer", Tree())["/d/f"].data
    assert isinstance(data, InTree) and data.read() == b"inside"
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/f").write_bytes(b"host's")
    (tmp_path / "layer/d/f").unlink()
    (tmp_path / "layer/d").rmdir()
    (tmp_path / "layer/d").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        InTree(str(tmp_path / "layer"), "/d/f", 6).read()


def test_sockets_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "upper/s"))
    assert not scan(tmp_path / "upper", Tree())


def test_a_tree_of_any_depth_can_be_deleted() -> None:
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    tmp_path = Path(tempfile.mkdtemp(dir=memory))
    here = os.open(tmp_path, os.O_RDONLY)
    for name in ["deep", *["d" * 100] * 1100]:
        os.mkdir(name, 0o700, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.fchmod(here, 0o500) if name != "deep" else None
        os.close(here)
        here = below
    os.close(here)
    discard(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []
    discard(tmp_path / "deep")  # and nothing happens where nothing is
    tmp_path.rmdir()


def test_the_time_of_the_root_folder_is_nobodys_change(tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir(mode=0o755)
    (tmp_path / "upper").chmod(0o755)
    assert not scan(tmp_path / "upper", Tree({"/": directory(mtime=77)}))


def test_without_root_what_was_there_keeps_its_owner(tmp_path: Path) -> None:
    unpack(Changeset({"/old": file(b"new"), "/fresh": file(b"x")}), tmp_path / "upper", rootless=True)
    lower = Tree({"/old": file(b"old", uid=1000, gid=50)})
    changes = scan(tmp_path / "upper", lower, rootless=True)
    assert [(changes[path].uid, changes[path].gid) for path in ("/old", "/fresh")] == [(1000, 50), (0, 0)]


def test_a_file_may_be_made_of_what_it_replaces_or_of_what_is_deleted(tmp_path: Path) -> None:
    for name in ("same", "moved"):
        (tmp_path / name).write_bytes(name.encode())

    def there(name: str) -> Data:
        return InTree(str(tmp_path), f"/{name}", len(name))

    apply(Changeset({"/same": file(there("same"), mode=0o600), "/new": file(there("moved"))}), str(tmp_path))
    apply(Changeset({"/moved": WHITEOUT, "/other": file(there("moved"))}), str(tmp_path))
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"same": b"same", "new": b"moved", "other": b"moved"}


def test_a_file_that_cannot_be_read_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(LayerError):
        apply(Changeset({"/a": file(InTree(str(tmp_path), "/nowhere", 3))}), str(tmp_path))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]
