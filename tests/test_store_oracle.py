"""The store as others see it: skopeo, umoci and the kernel's overlay read what we wrote, and we what they wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from minidocker import archive
from minidocker.content import Store
from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import WHITEOUT, Changeset, diff, merge
from minidocker.tree import Entry, Tree, directory, file, link_groups, symlink

Walk = Callable[[Path], Tree]
Valid = Callable[[Path], dict[str, Any]]

needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is absent")
needs_umoci = pytest.mark.skipif(
    shutil.which("umoci") is None or os.name != "posix" or os.geteuid() != 0,
    reason="umoci is absent, or no root to chown",
)

WHEN = 1_700_000_000
FIRST = Tree(
    {
        "/": directory(mtime=WHEN),
        "/bin": directory(mtime=WHEN),
        "/bin/su": file(b"#!su", mode=0o4755, mtime=WHEN),
        "/bin/sh": file(b"shell", mode=0o755, mtime=WHEN, link="S"),
        "/bin/ash": file(b"shell", mode=0o755, mtime=WHEN, link="S"),
        "/bin/dash": file(b"shell", mode=0o755, mtime=WHEN, link="S"),
        "/etc": directory(mtime=WHEN),
        "/etc/empty": file(mtime=WHEN),
        "/etc/motd": file(b"hello\n", uid=1000, gid=3_000_000_000, mtime=WHEN),
        "/etc/name": symlink("motd", mtime=WHEN),
        "/lib": symlink("/usr/lib", mtime=WHEN),
        "/old": directory(mtime=WHEN),
        "/old/a": file(b"a", mtime=WHEN),
        "/old/b": directory(mtime=WHEN),
        "/old/b/c": file(b"c", mtime=WHEN),
        "/pipe": Entry("fifo", 0o600, mtime=WHEN),
        "/tmp": directory(0o1777, mtime=WHEN),
        "/caf\udce9": file(b"latin-1", mtime=WHEN),
        "/" + "n" * 200: directory(mtime=WHEN),
        "/" + "n" * 200 + "/" + "m" * 200: file(b"long", mtime=WHEN),
        "/noted": file(b"x", mtime=WHEN, xattrs=(("user.note", b"\x00\xff\n="),)),
    }
)
SECOND = Tree(
    {path: entry for path, entry in FIRST.items() if not path.startswith(("/old/", "/etc/name"))}
    | {
        "/bin/dash": file(b"another shell", mode=0o755, mtime=WHEN + 1),
        "/etc/name": directory(mtime=WHEN + 1),
        "/etc/name/now a folder": file(b"x", mtime=WHEN + 1),
        "/old": file(b"now a file", mtime=WHEN + 1),
        "/new": directory(0o700, mtime=WHEN + 1),
        "/new/f": file(b"1", mtime=WHEN + 1),
        "/new/g": file(b"2", mtime=WHEN + 1),
    }
)
LAYERS = [
    diff(Tree({"/": directory(mtime=WHEN)}), FIRST),
    diff(FIRST, SECOND),
    Changeset({"/new": directory(0o711, mtime=WHEN + 2), "/new/h": file(b"3", mtime=WHEN + 2)}, {"/new"}),
    Changeset(
        {"/new": directory(0o711, mtime=WHEN + 2), "/new/h": WHITEOUT, "/tmp": directory(0o1777, mtime=WHEN + 2)}
    ),
]
SEEN = merge(Tree(), *LAYERS)


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout


def same(a: Tree, b: Tree, *, root: bool = False) -> None:
    """Two trees are the same, apart from the root's own attributes, which no layer carries."""
    left, right = a.entries(), b.entries()
    if not root:
        left["/"] = right["/"]
    assert sorted(left) == sorted(right)
    assert {path: (left[path], right[path]) for path in left if left[path] != right[path]} == {}


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(Store(tmp_path / "root"))


@pytest.fixture
def app(images: Images) -> Image:
    layers = [images.add_layer(changes, f"step {number}") for number, changes in enumerate(LAYERS)]
    history = [{"created": "2023-11-14T22:13:20Z", "created_by": layer.created_by} for layer in layers]
    run_as = {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}}
    image = images.create({"created": "2023-11-14T22:13:20Z", "config": run_as, "history": history}, layers)
    images.tag(image, "app:latest")
    images.tag(image, "localhost:5000/team/app:1.2")
    return image


class TestValidity:
    """After every kind of operation the root is a valid OCI image layout."""

    def test_fresh(self, images: Images, valid_store: Valid) -> None:
        assert valid_store(images.store.root) == {}

    def test_through_an_image_s_life(self, images: Images, app: Image, valid_store: Valid, tmp_path: Path) -> None:
        root = images.store.root
        assert set(valid_store(root)) == {"app:latest", "localhost:5000/team/app:1.2"}
        (tmp_path / "saved.tar").write_bytes(b"".join(app.save(named=True)))
        assert len(valid_store(root)) == 2
        other = images.create({"config": {"Cmd": ["other"]}}, app.layers[:1])
        assert set(valid_store(root)) == {"app:latest", "localhost:5000/team/app:1.2", other.manifest_digest}
        images.tag(other, "app:latest")
        assert valid_store(root)["app:latest"]["config"]["Cmd"] == ["other"]
        images.remove("localhost:5000/team/app:1.2")
        assert set(valid_store(root)) == {"app:latest"}
        images.remove("app:latest")
        assert valid_store(root) == {}
        assert list((root / "blobs" / "sha256").iterdir()) == []
        archive.load(images, tmp_path / "saved.tar")
        assert set(valid_store(root)) == {"app:latest", "localhost:5000/team/app:1.2"}

    def test_a_saved_image_is_a_layout_too(self, app: Image, valid_store: Valid, tmp_path: Path) -> None:
        (tmp_path / "saved.tar").write_bytes(b"".join(app.save(named="app:latest")))
        run("tar", "-C", tmp_path, "-xf", tmp_path / "saved.tar")
        ((_, config),) = valid_store(tmp_path).items()
        assert config["rootfs"]["diff_ids"] == app.diff_ids

    def test_saving_twice_gives_the_same_bytes(self, app: Image) -> None:
        assert b"".join(app.save(named=True)) == b"".join(app.save(chunk_size=1000, named=True))


@needs_skopeo
class TestSkopeo:
    def test_it_reads_the_root_in_place(self, app: Image) -> None:
        root = app.store.root
        for name in ("app:latest", "localhost:5000/team/app:1.2"):
            seen = json.loads(run("skopeo", "inspect", f"oci:{root}:{name}"))
            assert seen["Layers"] == app.diff_ids
            assert seen["Labels"] == {"a": "b"}
        config = json.loads(run("skopeo", "inspect", "--config", f"oci:{root}:app:latest"))
        assert config["rootfs"]["diff_ids"] == app.diff_ids
        assert [line["created_by"] for line in config["history"]] == [layer.created_by for layer in app.layers]

    def test_an_image_goes_out_as_dockers_and_comes_back(self, app: Image, tmp_path: Path) -> None:
        out = tmp_path / "out.tar"
        run("skopeo", "copy", f"oci:{app.store.root}:app:latest", f"docker-archive:{out}:app:back")
        ((image, names),) = archive.load(app.images, out)
        assert names == ["app:back"]
        assert image.diff_ids == app.diff_ids
        assert [line["CreatedBy"] for line in image.history()] == [line["CreatedBy"] for line in app.history()]
        same(image.tree(), SEEN)

    def test_a_layout_that_skopeo_wrote_is_a_root(self, app: Image, tmp_path: Path, valid_store: Valid) -> None:
        """Its layers are gzipped, and it knows nothing of `:latest`."""
        theirs = tmp_path / "theirs"
        run("skopeo", "copy", f"oci:{app.store.root}:app:latest", f"oci:{theirs}:app:latest")
        run("skopeo", "copy", "--dest-compress", f"oci:{app.store.root}:app:latest", f"dir:{tmp_path / 'dir'}")
        run("skopeo", "copy", f"dir:{tmp_path / 'dir'}", f"oci:{theirs}:plain")
        images = Images(Store(theirs))
        assert set(valid_store(theirs)) == {"app:latest", "plain"}
        packed = images.get("plain")
        assert packed.layers[0].descriptor.media_type.endswith("gzip")
        for image in (images.get("app"), packed):
            assert image.diff_ids == app.diff_ids
            same(image.tree(), SEEN)
        assert valid_store(theirs)
        images.remove("app:latest")
        same(images.get("plain").tree(), SEEN)

    @pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
    def test_it_reads_what_we_saved(self, form: str, app: Image, tmp_path: Path) -> None:
        (tmp_path / "saved.tar").write_bytes(b"".join(app.save(named="app:latest")))
        name = "app:latest" if form == "docker-archive" else "latest"
        run("skopeo", "copy", f"{form}:{tmp_path / 'saved.tar'}:{name}", f"dir:{tmp_path / 'dir'}")
        manifest = json.loads((tmp_path / "dir" / "manifest.json").read_text())
        config = json.loads((tmp_path / "dir" / manifest["config"]["digest"][7:]).read_text())
        assert config["rootfs"]["diff_ids"] == app.diff_ids

    @pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
    def test_we_load_what_it_saved(self, form: str, app: Image, tmp_path: Path) -> None:
        run(
            "skopeo", "copy", f"oci:{app.store.root}:app:latest", f"{form}:{tmp_path / 'out.tar'}:docker.io/library/x:1"
        )
        images = Images(Store(tmp_path / "other"))
        ((image, names),) = archive.load(images, tmp_path / "out.tar")
        assert names == ["x:1"]
        same(image.tree(), SEEN)


@needs_umoci
class TestUmoci:
    def test_what_it_unpacks_is_what_we_see(self, app: Image, walk: Walk, tmp_path: Path) -> None:
        run("umoci", "unpack", "--image", f"{app.store.root}:app:latest", tmp_path / "bundle")
        same(walk(tmp_path / "bundle" / "rootfs"), app.tree())

    def test_we_see_what_it_repacked(self, app: Image, walk: Walk, tmp_path: Path, valid_store: Valid) -> None:
        bundle = tmp_path / "bundle"
        run("umoci", "unpack", "--image", f"{app.store.root}:app:latest", bundle)
        rootfs = bundle / "rootfs"
        (rootfs / "etc/motd").unlink()
        shutil.rmtree(rootfs / "etc/name")
        (rootfs / "etc/name").symlink_to("motd")
        (rootfs / "new/hard").hardlink_to(rootfs / "bin/su")
        (rootfs / "old").chmod(0o600)
        (rootfs / "tmp").rmdir()
        (rootfs / "tmp").write_text("a file")
        for path in [*rootfs.rglob("*"), rootfs]:  # umoci rounds to the nearest second, a stat truncates
            seconds = int(path.lstat().st_mtime)
            os.utime(path, (seconds, seconds), follow_symlinks=False)
        run("umoci", "repack", "--image", f"{app.store.root}:app:2", bundle)
        image = app.images.get("app:2")
        assert len(image.layers) == len(LAYERS) + 1
        same(image.tree(), walk(rootfs))
        assert link_groups(image.tree())["/bin/su"] == ["/bin/su", "/new/hard"]
        assert "app:2" in valid_store(app.store.root)

    def test_we_see_what_it_inserted(self, app: Image, tmp_path: Path) -> None:
        image = f"{app.store.root}:app:latest"
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "x").write_text("x")
        run("umoci", "insert", "--image", image, "--opaque", tmp_path / "d", "/etc")
        run("umoci", "insert", "--image", image, "--whiteout", "/bin/su")
        tree = app.images.get("app:latest").tree()
        assert tree.below("/etc") == ["/etc/x"]
        assert tree.children("/bin") == ["ash", "dash", "sh"]

    def test_a_layout_of_its_own_is_a_root(self, tmp_path: Path) -> None:
        root = tmp_path / "theirs"
        run("umoci", "init", "--layout", root)
        run("umoci", "new", "--image", f"{root}:empty")
        images = Images(Store(root))
        image = images.get("empty")
        assert (image.layers, image.tree()) == ([], Tree())
        images.tag(image, "named:1")
        assert run("umoci", "ls", "--layout", root).split() == ["empty", "named:1"]


def docker(*words: str | Path, data: bytes | None = None) -> bytes:
    done = subprocess.run(["docker", *map(str, words)], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=120).returncode == 0


class TestDocker:
    """Where a Docker daemon runs: what we save it loads, with the same id, and the other way round."""

    def test_there_and_back(self, app: Image, tmp_path: Path) -> None:
        if not docker_answers():
            pytest.skip("no Docker daemon answers")
        app.tag("minidocker-oracle", "1")
        try:
            docker("load", data=b"".join(app.save(named="minidocker-oracle:1")))
            seen = json.loads(docker("image", "inspect", "minidocker-oracle:1"))[0]
            assert seen["Id"] == app.id
            assert seen["RootFS"]["Layers"] == app.diff_ids
            made = docker("create", "minidocker-oracle:1").decode().strip()
            (tmp_path / "exported.tar").write_bytes(docker("export", made))
            docker("rm", made)
            theirs = archive.import_(app.images, tmp_path / "exported.tar", {}).tree()
            assert not [path for path in app.tree() if path not in theirs]
            assert [path for path, entry in app.tree().items() if theirs[path].data != entry.data] == []
            (tmp_path / "saved.tar").write_bytes(docker("save", "minidocker-oracle:1"))
            ((image, names),) = archive.load(Images(Store(tmp_path / "other")), tmp_path / "saved.tar")
            assert (image.id, names) == (app.id, ["minidocker-oracle:1"])
            same(image.tree(), SEEN)
        finally:
            subprocess.run(["docker", "rmi", "-f", "minidocker-oracle:1"], capture_output=True, check=False)


@contextmanager
def overlay(lowers: list[Path], work: Path) -> Iterator[Path]:
    for name in ("upper", "work", "seen"):
        (work / name).mkdir(parents=True)
    below = ":".join(str(lower) for lower in reversed(lowers))
    options = f"userxattr,lowerdir={below},upperdir={work / 'upper'},workdir={work / 'work'}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(work / "seen")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no overlay mount here: {done.stderr.strip()}")
    try:
        yield work / "seen"
    finally:
        subprocess.run(["umount", str(work / "seen")], check=True)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on a tmpfs of its own: an overlay's upper directory cannot lie on another overlay."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("an overlay mount needs root")
    folder = tmp_path_factory.mktemp("scratch")
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("no mounts here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class TestKernel:
    """The kernel's overlay over our unpacked layers shows what `merge` says; what it records we record."""

    def test_it_shows_the_same_tree(self, scratch: Path, walk: Walk) -> None:
        images = Images(Store(scratch / "root"))
        layers = [images.add_layer(changes) for changes in LAYERS]
        image = images.create({}, layers)
        with overlay([layer.path() for layer in image.layers], scratch / "show") as seen:
            same(walk(seen), SEEN)

    def test_what_is_done_in_it_is_what_we_record(self, scratch: Path, walk: Walk) -> None:
        from minidocker.runtime.overlay import scan

        images = Images(Store(scratch / "other"))
        image = images.create({}, [images.add_layer(changes) for changes in LAYERS])
        work = scratch / "do"
        with overlay([layer.path() for layer in image.layers], work) as seen:
            shutil.rmtree(seen / "etc")
            (seen / "etc").mkdir()
            (seen / "etc" / "only").write_text("x")
            (seen / "bin/su").chmod(0o755)
            (seen / "bin/ash").unlink()
            (seen / "old").unlink()
            (seen / "old").mkdir()
            (seen / "old/deep").mkdir()
            (seen / "old/deep/f").write_text("f")
            (seen / "old/deep/g").hardlink_to(seen / "old/deep/f")
            (seen / "lib").unlink()
            (seen / "lib").symlink_to("/elsewhere")
            (seen / "noted").rename(seen / "renamed")
            os.setxattr(seen / "renamed", "user.more", b"\x01")
            os.mkfifo(seen / "new/pipe")
            os.chown(seen / "caf\udce9", 5, 6)
            after = walk(seen)
            recorded = scan(work / "upper", image.tree())
            same(merge(image.tree(), recorded), after)
            layer = images.add_layer(recorded)
            again = images.create({}, [*image.layers, layer])
            same(again.tree(), after)
        with overlay([layer.path() for layer in again.layers], scratch / "again") as seen:
            same(walk(seen), after)
