"""The context is what COPY can see: this folder, less what `.dockerignore` names, and nothing else of the disk."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from minidocker.build.context import Context, Digests
from minidocker.build.unpack import unpack
from minidocker.dockerignore import Ignore
from minidocker.errors import BuildError, LayerError
from minidocker.tree import Bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "src/deep").mkdir(parents=True)
    (root / "src/app.py").write_text("app")
    (root / "src/deep/x.log").write_text("log")
    (root / "out").symlink_to("/etc")
    return root


def test_it_is_a_tree_owned_by_root(folder: Path) -> None:
    (folder / "src/app.py").chmod(0o751)
    os.utime(folder / "src/app.py", (5, 5))
    tree = Context.folder(folder).tree
    assert list(tree) == ["/", "/out", "/src", "/src/app.py", "/src/deep", "/src/deep/x.log"]
    app = tree["/src/app.py"]
    assert (app.mode, app.uid, app.gid, app.mtime, app.data.read()) == (0o751, 0, 0, 5, b"app")


def test_a_link_is_a_link_and_nobody_follows_it_out(folder: Path) -> None:
    tree = Context.folder(folder).tree
    assert (tree["/out"].kind, tree["/out"].target) == ("symlink", "/etc")
    with pytest.raises(FileNotFoundError):
        tree.resolve("/out/hostname")


def test_ignored_directories_are_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    real = os.scandir

    def scandir(path: Any) -> Any:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert list(Context.folder(folder, Ignore.parse("src")).tree) == ["/", "/out"]
    assert len(opened) == 1


def test_an_exception_brings_its_parents_along(folder: Path) -> None:
    tree = Context.folder(folder, Ignore.parse("*\n!src/deep/x.log")).tree
    assert list(tree) == ["/", "/src", "/src/deep", "/src/deep/x.log"]


def test_sockets_stay_out_and_names_need_not_be_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / os.fsdecode(b"bad\xff")).write_text("x")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("sock")
        tree = Context.folder(folder).tree
    assert "/sock" not in tree
    assert tree["/bad\udcff"].data.read() == b"x"


def test_hard_links_are_kept(folder: Path) -> None:
    os.link(folder / "src/app.py", folder / "again")
    tree = Context.folder(folder).tree
    assert tree["/again"].link == tree["/src/app.py"].link == "/again"


def test_a_file_that_changes_or_goes_is_named(folder: Path) -> None:
    tree = Context.folder(folder).tree
    (folder / "src/app.py").write_text("other")
    with pytest.raises(BuildError, match=r"src/app\.py changed while it was being read"):
        tree["/src/app.py"].data.read()
    (folder / "src/app.py").unlink()
    with pytest.raises(BuildError, match=r"src/app\.py: No such file or directory"):
        tree["/src/app.py"].data.read()


def test_a_file_swapped_for_a_link_is_not_followed(folder: Path) -> None:
    tree = Context.folder(folder).tree
    (folder / "src/app.py").unlink()
    (folder / "src/app.py").symlink_to("/etc/passwd")
    with pytest.raises(BuildError, match=r"src/app\.py"):
        tree["/src/app.py"].data.read()


def test_digests_are_remembered_for_as_long_as_a_file_is_not_touched(folder: Path, tmp_path: Path) -> None:
    time.sleep(0.1)
    context = Context.folder(folder, cache=tmp_path / "digests.json")
    digest = context.tree["/src/app.py"].data.digest
    context.digests.save()
    again = Context.folder(folder, cache=tmp_path / "digests.json").tree["/src/app.py"].data
    (folder / "src/app.py").write_text("new")
    assert again.digest == digest, "known without a look at the file"
    assert Context.folder(folder, cache=tmp_path / "digests.json").tree["/src/app.py"].data.digest != digest


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path) -> None:
    digests = Digests(tmp_path / "digests.json")
    digests.put("a", f"1 {time.time_ns()} {time.time_ns()} 7", "sha256:aa")
    digests.put("b", "1 5 5 7", "sha256:bb")
    assert list(digests.fresh) == ["b"]
    (tmp_path / "digests.json").write_text("broken")
    assert Digests(tmp_path / "digests.json").known == {}


def tar(**members: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def test_a_tar_may_not_lead_out(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="leads out"):
        Context.tar(io.BytesIO(tar(**{"../x": "1"})), tmp_path)


def test_what_add_unpacks(tmp_path: Path) -> None:
    assert unpack(Bytes(b"no archive"), "a", tmp_path) is None
    assert unpack(Bytes(b""), "a", tmp_path) is None
    found = unpack(Bytes(tar(a="1")), "a.tar", tmp_path)
    assert found is not None
    assert found["/a"].data.read() == b"1"
    with pytest.raises(BuildError, match=r"Error processing tar file a\.tar"):
        unpack(Bytes(tar(a="1" * 2000)[:1024]), "a.tar", tmp_path)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_context_that_is_a_tar_is_taken_at_its_word(tmp_path: Path, form: int) -> None:
    """As BuildKit unpacks one: owners, modes, links and capabilities stay; of two of a name the last counts."""
    out = io.BytesIO()
    long, odd = "/".join(["p" * 60] * 4), "x\udce9y" if form == tarfile.GNU_FORMAT else "xéy"
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as tar:
        for name, kind, link in [
            ("./a", tarfile.REGTYPE, ""),
            ("b", tarfile.LNKTYPE, "a"),
            ("/rooted", tarfile.REGTYPE, ""),
            (f"{long}/f", tarfile.REGTYPE, ""),
            (odd, tarfile.SYMTYPE, "a"),
            ("dup", tarfile.REGTYPE, ""),
            ("dup", tarfile.CHRTYPE, ""),
        ]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode, info.uid, info.gid = kind, link, 0o4755, 1000, 1001
            info.devmajor, info.devminor = 1, 3
            info.pax_headers = {"SCHILY.xattr.security.capability": "cap"}
            tar.addfile(info)
    out.seek(0)
    tree = Context.tar(out, tmp_path).tree
    assert [path for path, entry in tree.items() if not entry.is_dir] == sorted(
        ["/a", "/b", "/rooted", f"/{long}/f", f"/{odd}", "/dup"]
    )
    assert (tree["/a"].mode, tree["/a"].uid, tree["/a"].gid) == (0o4755, 1000, 1001)
    assert tree["/a"].link == tree["/b"].link == "/a"
    assert (tree["/dup"].kind, tree["/dup"].device) == ("char", (1, 3))
    assert tree["/rooted"].xattrs == ((("security.capability", b"cap"),) if form == tarfile.PAX_FORMAT else ())


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes here")
def test_attributes_of_this_machine_stay_here(folder: Path) -> None:
    """BuildKit sends them, and then loses them as it gives the file to root."""
    try:
        os.setxattr(folder / "src/app.py", "user.note", b"x")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    assert Context.folder(folder).tree["/src/app.py"].xattrs == ()
