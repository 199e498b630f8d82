"""Images in a store: names, removal, listings, inspection, garbage, save and load, as recorded from Docker."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.archive import load, save
from minidocker.content import Store, write_json
from minidocker.errors import (
    APIError,
    Conflict,
    CorruptBlob,
    ImageLoadError,
    ImageNotFound,
    InvalidArgument,
    NotFound,
    NullResource,
)
from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import WHITEOUT, Changeset
from minidocker.tree import file

BASE = Changeset({"/etc/motd": file(b"hello"), "/etc/os": file(b"base")})
TOP = Changeset({"/etc/motd": file(b"changed"), "/etc/os": WHITEOUT})


@pytest.fixture
def images(tmp_path: Path) -> Images:
    """An empty store."""
    return Images(Store(tmp_path / "store"))


def make(images: Images, *names: str, created: str = "2026-01-01T00:00:00Z", **config: Any) -> Image:
    """An image of two layers."""
    history = [
        {"created": created, "created_by": "COPY . /"},
        {"created": created, "created_by": "ENV A=1", "empty_layer": True},
        {"created": created, "created_by": "RUN change", "comment": "why"},
    ]
    layers = [images.add_layer(BASE), images.add_layer(TOP)]
    image = images.create({"created": created, "config": config, "history": history}, layers)
    for name in names:
        images.tag(image, name)
    return image


class TestNames:
    """Names, ids, and the starts of ids."""

    def test_found_by_each(self, images: Images) -> None:
        image = make(images, "app", "team/app:1", "localhost:5000/x:y")
        for name in ("app", "app:latest", "docker.io/library/app", "team/app:1", "localhost:5000/x:y"):
            assert images.get(name) == image
        for start in (image.id, image.short_id, image.id[7:], image.id[7:19], image.id[7:11]):
            assert images.get(start) == image
        assert image.tags == ["app:latest", "localhost:5000/x:y", "team/app:1"]
        assert repr(image) == "<Image: 'app:latest', 'localhost:5000/x:y', 'team/app:1'>"

    @pytest.mark.parametrize(
        ("name", "kind", "message"),
        [
            ("missing", ImageNotFound, "No such image: missing:latest"),
            ("app:9", ImageNotFound, "No such image: app:9"),
            ("sha256:" + "0" * 64, ImageNotFound, "No such image: sha256:0000"),
            ("Bad", InvalidArgument, "must be lowercase"),
            ("../../etc", InvalidArgument, "invalid reference format"),
            ("", NullResource, "Resource ID was not provided"),
        ],
    )
    def test_not_found(self, images: Images, name: str, kind: type[APIError], message: str) -> None:
        make(images, "app")
        with pytest.raises(kind, match=message):
            images.get(name)

    def test_a_name_moves(self, images: Images) -> None:
        old, new = make(images, "app"), make(images, "app", Cmd=["new"])
        assert images.get("app") == new
        assert (old.tags, images.get(old.id)) == ([], old)

    def test_a_name_may_look_like_an_id(self, images: Images) -> None:
        image = make(images, "app")
        other = make(images, image.id[7:11], Cmd=["other"])
        assert images.get(image.id[7:11]) == other
        assert images.get("sha256:" + image.id[7:11]) == image

    @pytest.mark.parametrize(("repository", "tag"), [("Bad", None), ("a", "b c"), ("a@sha256:" + "0" * 64, None)])
    def test_names_that_cannot_be(self, images: Images, repository: str, tag: str | None) -> None:
        with pytest.raises(InvalidArgument):
            make(images).tag(repository, tag)


class TestInspection:
    """What `docker inspect` and `docker history` say."""

    def test_attrs(self, images: Images) -> None:
        image = make(images, "app", Cmd=["sh"], Labels={"a": "b"})
        attrs = image.attrs
        assert attrs.keys() == set(
            "Id RepoTags RepoDigests Parent Comment Created DockerVersion Author Config Architecture Os Size "
            "VirtualSize GraphDriver RootFS Metadata".split()
        )
        assert attrs["Config"].keys() >= set(
            "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image "
            "Volumes WorkingDir Entrypoint OnBuild Labels".split()
        )
        assert attrs["RootFS"] == {"Type": "layers", "Layers": image.diff_ids}
        assert (attrs["Config"]["Cmd"], image.labels, attrs["Comment"]) == (["sh"], {"a": "b"}, "why")
        assert attrs["Size"] == len("hello") + len("base") + len("changed") == image.size

    def test_history_is_newest_first(self, images: Images) -> None:
        image = make(images, "app")
        lines = [(line["Id"], line["CreatedBy"], line["Size"], line["Tags"]) for line in image.history()]
        assert lines == [
            (image.id, "RUN change", 7, ["app:latest"]),
            ("<missing>", "ENV A=1", 0, None),
            ("<missing>", "COPY . /", 9, None),
        ]

    def test_layers_know_what_made_them(self, images: Images) -> None:
        assert [layer.created_by for layer in make(images).layers] == ["COPY . /", "RUN change"]

    def test_the_tree_and_who_answers(self, images: Images) -> None:
        image = make(images)
        assert image.tree()["/etc/motd"].data.read() == b"changed"
        assert "/etc/os" not in image.tree()
        assert [answer.verdict for answer in image.lookup("/etc/os")] == ["hides", "hidden"]
        assert [(one.path, one.layer, one.wasted) for one in image.blame("/etc")] == [
            ("/etc", 0, 0),
            ("/etc/motd", 1, 5),
            ("/etc/os", 1, 4),
        ]


class TestCat:
    """The content of a file, as a container sees it or as one layer has it."""

    def test_as_a_container_sees_it_and_as_each_layer_has_it(self, images: Images) -> None:
        image = make(images)
        assert [image.cat("etc/motd", layer) for layer in (None, 1, 2)] == [b"changed", b"hello", b"changed"]
        assert image.cat("/etc/os", layer=1) == b"base"

    @pytest.mark.parametrize(
        ("path", "layer", "message"),
        [
            ("/etc/os", None, r"/etc/os in this image: layer 1 has it, layer 2 deletes it; cat\('/etc/os', layer=1\)"),
            ("/etc/os", 2, "in layer 2: layer 1 has it, layer 2 deletes it"),
            ("/nope/x", None, "Could not find the file /nope/x in this image: no layer has it$"),
        ],
    )
    def test_what_is_not_there(self, images: Images, path: str, layer: int | None, message: str) -> None:
        with pytest.raises(NotFound, match=message):
            make(images).cat(path, layer)

    @pytest.mark.parametrize(
        ("path", "layer", "message"),
        [("/etc", None, "it is a dir"), ("/etc/motd", 0, "numbered 1 to 2"), ("/etc/motd", 3, "there is no layer 3")],
    )
    def test_what_makes_no_sense(self, images: Images, path: str, layer: int | None, message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            make(images).cat(path, layer)


class TestList:
    """`docker images`."""

    @pytest.fixture
    def listed(self, images: Images) -> Images:
        make(images, created="2026-01-04T00:00:00Z")
        make(images, "my/app:1", "my/app:2", created="2026-01-03T00:00:00Z", Labels={"l": "v"})
        make(images, "web", created="2026-01-02T00:00:00Z", Labels={"l": ""})
        make(images, "base", created="2026-01-01T00:00:00Z")
        return images

    @pytest.mark.parametrize(
        ("options", "days"),
        [
            ({}, [4, 3, 2, 1]),
            ({"name": "web"}, [2]),
            ({"name": "my/app"}, [3]),
            ({"name": "my/app:1"}, [3]),
            ({"name": "my/*"}, [3]),
            ({"name": "nope"}, []),
            ({"filters": {"dangling": True}}, [4]),
            ({"filters": {"dangling": ["false"]}}, [3, 2, 1]),
            ({"filters": {"label": "l"}}, [3, 2]),
            ({"filters": {"label": {"l=v": True}}}, [3]),
            ({"filters": {"reference": ["web", "base"]}}, [2, 1]),
            ({"filters": {"before": "web"}}, [1]),
            ({"filters": {"since": "web"}}, [4, 3]),
            ({"filters": {"until": "2026-01-03"}}, [2, 1]),
        ],
    )
    def test_which(self, listed: Images, options: dict[str, Any], days: list[int]) -> None:
        assert [int(image.attrs["Created"][8:10]) for image in listed.list(**options)] == days

    @pytest.mark.parametrize(
        ("filters", "message"),
        [({"zz": "1"}, "Invalid filter 'zz'"), ({"dangling": "x"}, r"Invalid filter 'dangling=\[x\]'")],
    )
    def test_nonsense(self, listed: Images, filters: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidArgument, match=message):
            listed.list(filters=filters)


class TestRemove:
    """`docker rmi` and `docker image prune`."""

    def test_one_name_of_two(self, images: Images) -> None:
        image = make(images, "app", "other")
        assert images.remove("app") == [{"Untagged": "app:latest"}]
        assert images.get("other") == image

    def test_the_last_name_takes_the_image_along(self, images: Images) -> None:
        image = make(images, "app")
        assert images.remove("app") == [{"Untagged": "app:latest"}, {"Deleted": image.id}]
        assert list((images.store.root / "blobs" / "sha256").iterdir()) == []
        assert list((images.store.root / "layers").iterdir()) == []

    def test_layers_that_another_image_has_stay(self, images: Images) -> None:
        make(images, "app")
        keep = make(images, "keep", Cmd=["keep"])
        images.remove("app")
        assert keep.tree()["/etc/motd"].data.read() == b"changed"

    def test_an_id_of_several_names(self, images: Images) -> None:
        image = make(images, "app", "other")
        with pytest.raises(Conflict, match=f"conflict: unable to delete {image.id[7:19]} .must be forced. - image is"):
            image.remove()
        assert image.remove(force=True)[-1] == {"Deleted": image.id}

    @pytest.mark.parametrize("running", [True, False])
    def test_one_that_a_container_uses(self, images: Images, monkeypatch: pytest.MonkeyPatch, running: bool) -> None:
        image = make(images, "app")
        monkeypatch.setattr(images, "in_use", lambda: {"c" * 64: (image.id, running)})
        with pytest.raises(
            Conflict, match=r'unable to remove repository reference "app" \(must force\) - container c{12}'
        ):
            images.remove("app")
        how = (
            "cannot be forced. - image is being used by running" if running else "must be forced. - image is being used"
        )
        with pytest.raises(Conflict, match=how):
            image.remove()
        assert images.remove("app", force=True)[0] == {"Untagged": "app:latest"}
        assert (images.find(image.id) is not None) == running

    @pytest.mark.parametrize("start", [0, 7])
    def test_by_its_id(self, images: Images, start: int) -> None:
        image = make(images, "app")
        assert images.remove(image.id[start:]) == [{"Untagged": "app:latest"}, {"Deleted": image.id}]

    def test_one_that_is_not_there(self, images: Images) -> None:
        with pytest.raises(ImageNotFound, match="No such image: app:latest"):
            images.remove("app")

    def test_prune(self, images: Images) -> None:
        dangling, named = make(images), make(images, "app", Cmd=["x"])
        done = images.prune()
        assert done["ImagesDeleted"] == [{"Deleted": dangling.id}]
        assert done["SpaceReclaimed"] > 0
        assert images.prune() == {"ImagesDeleted": None, "SpaceReclaimed": 0}
        assert images.prune(filters={"dangling": False})["ImagesDeleted"][-1] == {"Deleted": named.id}
        with pytest.raises(InvalidArgument, match="Invalid filter 'name'"):
            images.prune(filters={"name": "app"})


class TestGarbage:
    """What nothing names goes; what is being written stays."""

    def test_blobs_on_their_way_are_kept(self, images: Images) -> None:
        with images.store.keep():
            layer = images.add_layer(BASE)
            assert images.collect() == 0
            assert images.store.has(layer.diff_id)
        assert images.collect() > 0
        assert not images.store.has(layer.diff_id)

    def test_what_a_container_or_a_cached_step_names_is_kept(self, images: Images) -> None:
        blobs = [images.store.put(text, "text/plain") for text in (b"of a container", b"of a step", b"of nobody")]
        for path, blob in zip(("containers/x/config.json", "cache/steps/y.json"), blobs, strict=False):
            note = images.store.root / path
            note.parent.mkdir(parents=True)
            note.write_text(json.dumps({"it": blob.digest}))
        images.collect()
        assert [images.store.has(blob.digest) for blob in blobs] == [True, True, False]

    def test_leavings_of_writers_that_were_killed_go(self, images: Images) -> None:
        leaving = images.store.root / "tmp" / ".blob.1.x"
        leaving.write_bytes(b"half")
        images.collect()
        assert not leaving.exists()

    def test_however_deep_a_layer_is_unpacked_it_goes(self, images: Images) -> None:
        overlay = pytest.importorskip("minidocker.runtime.overlay", reason="layers are unpacked on Linux only")
        deep = Changeset({"/d" * 1500: file(b"x")})
        folder = images.store.root / "layers" / ("0" * 64)
        overlay.unpack(deep, folder)
        images.collect()
        assert not folder.exists()


class TestArchive:
    """`docker save` and `docker load`."""

    def test_there_and_back(self, images: Images, tmp_path: Path, valid_store: Callable[[Path], Any]) -> None:
        image = make(images, "app", "other:1", Cmd=["sh"])
        data = b"".join(image.save(named=True))
        other = Images(Store(tmp_path / "other"))
        (loaded, _), *_ = found = load(other, data)
        assert {each.id for each, _ in found} == {image.id}
        assert sorted(name for _, names in found for name in names) == ["app:latest", "other:1"]
        assert loaded.tree() == image.tree()
        assert valid_store(tmp_path / "other").keys() == {"app:latest", "other:1"}
        assert b"".join(loaded.save(named=True)) == data

    def test_which_names_go_along(self, images: Images) -> None:
        image = make(images, "app", "other:1")

        def names(named: bool | str) -> Any:
            with tarfile.open(fileobj=io.BytesIO(b"".join(image.save(named=named)))) as archive:
                member = archive.extractfile("manifest.json")
                assert member
                return json.loads(member.read())[0]["RepoTags"]

        assert (names(False), names(True), names("other:1")) == (None, ["app:latest", "other:1"], ["other:1"])
        with pytest.raises(InvalidArgument, match="nope:1 is not a valid tag for this image"):
            image.save(named="nope:1")

    def test_all_that_is_loaded_is_entered_at_once(self, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
        data = b"".join(save([(make(images, f"app:{n}", Cmd=[f"{n}"]), [f"app:{n}", f"v:{n}"]) for n in range(4)]))
        other, written = Images(Store(images.store.root.parent / "other")), []

        def write(path: Path, value: Any) -> None:
            written.append(path)
            write_json(path, value)

        monkeypatch.setattr("minidocker.images.write_json", write)
        load(other, data)
        assert written == [other.store.root / "index.json"]
        assert sorted(name for names in other.names().values() for name in names) == [
            f"{repository}:{n}" for repository in ("app", "v") for n in range(4)
        ]

    def test_no_name_is_given_before_all_is_on_disk(self, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
        data = b"".join(save([(make(images, "app"), ["app"])]))
        other, synced, fsync = Images(Store(images.store.root.parent / "other")), set(), os.fsync

        def note(fd: int) -> None:
            synced.add(os.fstat(fd).st_ino)
            fsync(fd)

        def write(path: Path, value: Any) -> None:
            assert {blob.stat().st_ino for blob in path.parent.glob("blobs/sha256/*")} <= synced
            write_json(path, value)

        monkeypatch.setattr(os, "fsync", note)
        monkeypatch.setattr("minidocker.images.write_json", write)
        load(other, data)
        make(other, "made", Cmd=["made"])
        assert len(other.list()) == 2

    def test_of_two_with_one_name_the_later_has_it(self, images: Images) -> None:
        first, second = make(images, Cmd=["1"]), make(images, Cmd=["2"])
        other = Images(Store(images.store.root.parent / "other"))
        other.tag(make(other, Cmd=["0"]), "app")
        load(other, b"".join(save([(first, ["app", "old"]), (second, ["app"])])))
        assert (other.get("app"), other.get("old")) == (second, first)
        assert len(other.list()) == 3

    def test_several_at_once_share_their_layers(self, images: Images) -> None:
        pair = [(make(images, "a"), ["a"]), (make(images, "b", Cmd=["b"]), ["b"])]
        with tarfile.open(fileobj=io.BytesIO(b"".join(save(pair)))) as archive:
            blobs = [name for name in archive.getnames() if name.startswith("blobs/sha256/")]
        assert len(blobs) == len(set(blobs)) == 6

    @pytest.mark.parametrize("data", [b"", b"garbage", b"\x1f\x8b", bytes(1024)])
    def test_what_is_no_archive_leaves_nothing(self, images: Images, data: bytes) -> None:
        before = sorted(path for path in images.store.root.rglob("*"))
        with pytest.raises(InvalidArgument):
            load(images, data)
        assert sorted(path for path in images.store.root.rglob("*") if path.name != ".keep") == [
            path for path in before if path.name != ".keep"
        ]

    def test_an_archive_without_an_image(self, images: Images) -> None:
        with pytest.raises(ImageLoadError, match=r"neither an index\.json"):
            load(images, bytes(1024))

    def test_a_corrupt_blob_is_not_saved(self, images: Images) -> None:
        image = make(images, "app")
        blob = images.store.path(image.layers[0].diff_id)
        blob.write_bytes(blob.read_bytes().replace(b"hello", b"jello"))
        with pytest.raises(CorruptBlob, match="is corrupt: its bytes have another digest"):
            b"".join(image.save())

    def test_docker_load_takes_it(self, images: Images, tmp_path: Path) -> None:
        """As skopeo reads it, which has Docker's own code for both kinds of archive."""
        import shutil

        if not shutil.which("skopeo"):
            pytest.skip("skopeo is not installed")
        image = make(images, "app")
        archive = tmp_path / "app.tar"
        archive.write_bytes(b"".join(image.save(named=True)))
        for transport in ("docker-archive", "oci-archive"):
            done = subprocess.run(["skopeo", "inspect", "--config", f"{transport}:{archive}"], capture_output=True)
            assert json.loads(done.stdout)["rootfs"]["diff_ids"] == image.diff_ids, done.stderr


def test_importing_it_costs_little() -> None:
    heavy = "{'tarfile', 'tempfile', 'subprocess', 'asyncio'}"
    code = f"import sys; old = set(sys.modules); import minidocker.images; print(*({heavy} & set(sys.modules) - old))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
