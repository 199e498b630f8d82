"""Hostile archives of images: `docker load` takes all of one or nothing, and says what is wrong with it.

The layers here are innocent; what lies is around them: index, manifest, configuration, descriptors, the outer tar.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker import archive
from minidocker.content import Store
from minidocker.errors import APIError, CorruptBlob
from minidocker.images import Images

OCI = "application/vnd.oci.image."
Edit = Callable[["Parts"], None]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def a_layer(name: str = "etc/motd", content: bytes = b"hello\n") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


class Parts:
    """An image in pieces, to bend before it is packed. Editing JSON keeps the digests above it true."""

    def __init__(self) -> None:
        self.layer = a_layer()
        self.config: Any = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(self.layer)]},
            "history": [{"created_by": "COPY motd /etc/"}],
        }
        self.manifest: Any = {
            "schemaVersion": 2,
            "config": {"mediaType": OCI + "config.v1+json"},
            "layers": [{"mediaType": OCI + "layer.v1.tar", "digest": digest(self.layer), "size": len(self.layer)}],
        }
        self.entry: Any = {
            "mediaType": OCI + "manifest.v1+json",
            "annotations": {"org.opencontainers.image.ref.name": "bent:latest"},
        }
        self.index: Any = {"schemaVersion": 2, "manifests": [self.entry]}
        self.raw_config: bytes | None = None
        self.raw_manifest: bytes | None = None
        self.files: dict[str, bytes | None] = {}  # what replaces, or with None removes, a file of the archive
        self.links: dict[str, str] = {}

    def oci(self) -> bytes:
        config = self.raw_config if self.raw_config is not None else json.dumps(self.config).encode()
        if isinstance(self.manifest, dict) and isinstance(self.manifest.get("config"), dict):
            for key, value in (("digest", digest(config)), ("size", len(config))):
                self.manifest["config"].setdefault(key, value)
        manifest = self.raw_manifest if self.raw_manifest is not None else json.dumps(self.manifest).encode()
        for key, value in (("digest", digest(manifest)), ("size", len(manifest))):
            self.entry.setdefault(key, value)
        blobs = {f"blobs/sha256/{digest(blob)[7:]}": blob for blob in (self.layer, config, manifest)}
        layout = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(self.index).encode()}
        return self.pack({**layout, **blobs})

    def docker(self, listed: Any = None) -> bytes:
        default = [{"Config": "config.json", "RepoTags": ["bent:latest"], "Layers": ["l/layer.tar"]}]
        config = json.dumps(self.config).encode()
        files = {
            "config.json": config,
            "l/layer.tar": self.layer,
            "manifest.json": json.dumps(default if listed is None else listed).encode(),
        }
        return self.pack(files)

    def pack(self, files: dict[str, bytes]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, data in ({**files, **self.files}).items():
                if data is not None and name not in self.links:
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
            for name, target in self.links.items():
                member = tarfile.TarInfo(name)
                member.type, member.linkname = tarfile.SYMTYPE, target
                tar.addfile(member)
        return out.getvalue()


OTHER = "sha256:" + "0" * 64
BENT: dict[str, Edit] = {}


def bent(name: str) -> Callable[[Edit], Edit]:
    def keep(edit: Edit) -> Edit:
        BENT[name] = edit
        return edit

    return keep


def setting(name: str, *path: str | int, to: Any) -> None:
    """One value of one of the JSON documents is replaced."""

    def edit(parts: Parts) -> None:
        where: Any = getattr(parts, str(path[0]))
        if len(path) == 1:
            setattr(parts, str(path[0]), to)
            return
        for step in path[1:-1]:
            where = where[step]
        where[path[-1]] = to

    BENT[name] = edit


value: Any
for wrong in (
    "sha256:../../../etc/passwd", "sha256:" + "g" * 64, "sha256:" + "A" * 64, "sha256:", "md5:" + "0" * 32, "", 7, None,
    "sha512:" + "0" * 128, f"{OTHER}/../x", f"{OTHER}\n", [OTHER],
):  # fmt: skip
    setting(f"a layer's digest {wrong!r}", "manifest", "layers", 0, "digest", to=wrong)
    setting(f"a configuration's digest {wrong!r}", "manifest", "config", "digest", to=wrong)
    setting(f"a manifest's digest {wrong!r}", "entry", "digest", to=wrong)
    setting(f"a diff id {wrong!r}", "config", "rootfs", "diff_ids", to=[wrong])
for size in (-1, 0, 1, 1 << 62, "12", None, 1.5, True, [1]):
    setting(f"a layer's size {size!r}", "manifest", "layers", 0, "size", to=size)
    setting(f"a configuration's size {size!r}", "manifest", "config", "size", to=size)
    setting(f"a manifest's size {size!r}", "entry", "size", to=size)
for kind in ("text/plain", "", 5, None, OCI + "layer.v1.tar+evil", OCI + "config.v1+json"):
    setting(f"a layer's media type {kind!r}", "manifest", "layers", 0, "mediaType", to=kind)
for value in (None, [], "x", 5, {}, [[]], [None], True):
    setting(f"a manifest that is {value!r}", "manifest", to=value)
    setting(f"a list of layers that is {value!r}", "manifest", "layers", to=value)
    setting(f"a rootfs that is {value!r}", "config", "rootfs", to=value)
    setting(f"diff ids that are {value!r}", "config", "rootfs", "diff_ids", to=value)
    setting(f"a list of manifests that is {value!r}", "index", "manifests", to=value)
    if value is not None:
        setting(f"an index that is {value!r}", "index", to=value)
for value in ([], "x", 5, True):
    setting(f"a configuration that is {value!r}", "config", to=value)
    setting(f"what to run is {value!r}", "config", "config", to=value)
for value in ("x", 5, {}, [5], ["x"], True):
    setting(f"a history that is {value!r}", "config", "history", to=value)
for name in ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell"):
    for value in ("x", 5, {"a": "b"}, [5], [None], True):
        setting(f"{name} is {value!r}", "config", "config", name, to=value)
for name in ("Labels", "ExposedPorts", "Volumes", "Healthcheck"):
    for value in ("x", 5, ["a"], True):
        setting(f"{name} is {value!r}", "config", "config", name, to=value)
setting("Labels hold a number", "config", "config", "Labels", to={"a": 5})
for name in ("User", "WorkingDir", "StopSignal"):
    for value in (5, ["x"], {}, True):
        setting(f"{name} is {value!r}", "config", "config", name, to=value)
for name in ("architecture", "os", "created", "author"):
    for value in (5, ["x"], {}):
        setting(f"{name} is {value!r}", "config", name, to=value)
for name in ("created_by", "created", "comment", "empty_layer"):
    setting(f"history's {name} is a list", "config", "history", to=[{name: ["x"]}])
for value in ([], 5, "x"):
    setting(f"annotations that are {value!r}", "entry", "annotations", to=value or ["x"])
for ref in ("UPPER CASE", "../../evil", "a" * 300, "app:tag:tag", "app@sha256:123", f"app@{OTHER}", "/", "app:\n"):
    setting(f"a name {ref[:20]!r}", "entry", "annotations", to={"io.containerd.image.name": ref})
setting("a name that is a number", "entry", "annotations", to={"io.containerd.image.name": 5})
setting("schema version 1", "manifest", "schemaVersion", to=1)
setting("no diff ids for a layer", "config", "rootfs", "diff_ids", to=[])
setting("more diff ids than layers", "config", "rootfs", "diff_ids", to=[digest(a_layer())] * 2)
setting("another diff id", "config", "rootfs", "diff_ids", to=[OTHER])


@bent("a configuration of 1,000,000 brackets")
def _(parts: Parts) -> None:
    parts.raw_config = b"[" * 1_000_000


@bent("a configuration of nested objects")
def _(parts: Parts) -> None:
    parts.raw_config = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


@bent("a configuration that is no JSON")
def _(parts: Parts) -> None:
    parts.raw_config = b"\xff\xfe{"


@bent("a configuration in UTF-16")
def _(parts: Parts) -> None:
    parts.raw_config = json.dumps(parts.config).encode("utf-16")


@bent("a number of 100,000 digits")
def _(parts: Parts) -> None:
    parts.raw_config = b'{"rootfs": ' + b"9" * 100_000 + b"}"


@bent("a configuration of 40 MB")
def _(parts: Parts) -> None:
    parts.config["author"] = "x" * (40 << 20)


@bent("an empty manifest blob")
def _(parts: Parts) -> None:
    parts.raw_manifest = b""


@bent("a manifest that is an index of itself")
def _(parts: Parts) -> None:
    parts.entry["mediaType"] = OCI + "index.v1+json"


@bent("a manifest that is a layer")
def _(parts: Parts) -> None:
    parts.entry |= {"digest": digest(parts.layer), "size": len(parts.layer)}


@bent("a layer that is the configuration")
def _(parts: Parts) -> None:
    config = json.dumps(parts.config).encode()
    parts.manifest["layers"][0] |= {"digest": digest(config), "size": len(config)}


@bent("a thousand layers")
def _(parts: Parts) -> None:
    parts.manifest["layers"] *= 1000
    parts.config["rootfs"]["diff_ids"] *= 1000
    parts.config["history"] *= 1000


@bent("a second image that is broken")
def _(parts: Parts) -> None:
    parts.index["manifests"].append(copy.deepcopy(parts.entry) | {"digest": OTHER, "size": 5})


@bent("a second image with a name that cannot be")
def _(parts: Parts) -> None:
    parts.oci()  # fills in digest and size
    second = copy.deepcopy(parts.entry)
    second["annotations"] = {"io.containerd.image.name": f"app@{OTHER}"}
    parts.index["manifests"].append(second)


for blob in ("layer", "config", "manifest"):

    def cut(parts: Parts, blob: str = blob) -> None:
        data = parts.layer if blob == "layer" else json.dumps(parts.config).encode()
        if blob == "manifest":
            parts.oci()
            data = json.dumps(parts.manifest).encode()
        parts.files[f"blobs/sha256/{digest(data)[7:]}"] = None

    def flip(parts: Parts, blob: str = blob) -> None:
        cut(parts, blob)
        ((name, _),) = parts.files.items()
        whole = {"layer": parts.layer, "config": json.dumps(parts.config).encode()}
        data = whole.get(blob) or json.dumps(parts.manifest).encode()
        parts.files[name] = data[:-1] + bytes([data[-1] ^ 1])

    def link(parts: Parts, blob: str = blob) -> None:
        cut(parts, blob)
        ((name, _),) = parts.files.items()
        parts.links[name] = "/etc/passwd"

    BENT |= {f"the {blob} is missing": cut, f"a bit of the {blob} is flipped": flip, f"the {blob} is a link out": link}


def file_is(name: str, file: str, data: bytes | None) -> None:
    def edit(parts: Parts) -> None:
        parts.files[file] = data

    BENT[name] = edit


file_is("no layout file", "oci-layout", None)
file_is("an index that is no JSON", "index.json", b"{")
file_is("an index that is empty", "index.json", b"")
file_is("an index of 40 MB", "index.json", b" " * (40 << 20) + b"{}")
BENT["an index that is a link out"] = lambda parts: parts.links.update({"index.json": "/etc/passwd"})
BENT["an index that is a link to itself"] = lambda parts: parts.links.update({"index.json": "index.json"})


def snapshot(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.parent.name != "events"
    }


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Images:
    images = Images(Store(tmp_path_factory.mktemp("root")))
    archive.load(images, good().oci())
    return images


@pytest.fixture
def images(shared: Images) -> Iterator[Images]:
    """A store that holds one good image already, which nothing may harm."""
    yield shared
    for image in shared.list():
        if "good:latest" not in image.tags:
            shared.remove(image.id, force=True)


def good() -> Parts:
    parts = Parts()
    parts.layer = a_layer("good", b"good\n")
    parts.config["rootfs"]["diff_ids"] = [digest(parts.layer)]
    parts.manifest["layers"][0] |= {"digest": digest(parts.layer), "size": len(parts.layer)}
    parts.entry["annotations"] = {"org.opencontainers.image.ref.name": "good:latest"}
    return parts


def test_the_unbent_image_loads(images: Images, valid_store: Callable[[Path], dict[str, Any]]) -> None:
    for packed in (Parts().oci(), Parts().docker()):
        before = snapshot(images.store.root)
        ((image, names),) = archive.load(images, packed)
        assert names == ["bent:latest"]
        assert image.tree()["/etc/motd"].data.read() == b"hello\n"
        assert set(valid_store(images.store.root)) == {"good:latest", "bent:latest"}
        images.remove("bent:latest")
        assert snapshot(images.store.root) == before


@pytest.mark.parametrize("name", BENT)
def test_all_or_nothing(name: str, images: Images, valid_store: Callable[[Path], dict[str, Any]]) -> None:
    parts = Parts()
    BENT[name](parts)
    packed = parts.oci()
    before = snapshot(images.store.root)
    try:
        loaded = archive.load(images, packed)
    except APIError as error:
        assert error.explanation
    else:
        for image, _ in loaded:  # then it must work everywhere
            assert image.attrs["Id"] == image.id
            assert isinstance(image.labels, dict)
            json.dumps([image.attrs, image.history()])
            image.tree()
            assert [found.id for found in images.list() if found.id == image.id]
            valid_store(images.store.root)
        for one in {image.id for image, _ in loaded}:
            images.remove(one, force=True)
    assert snapshot(images.store.root) == before
    assert images.get("good").tree()["/good"].data.read() == b"good\n"


@pytest.mark.parametrize(
    "listed",
    [
        "x", 5, {"a": 1}, [], [5], [None], [{}], [[]], {},
        [{"Config": "config.json"}],
        [{"Config": "config.json", "Layers": "l/layer.tar"}],
        [{"Config": "config.json", "Layers": [5]}],
        [{"Config": 5, "Layers": ["l/layer.tar"]}],
        [{"Config": "../../etc/passwd", "Layers": ["l/layer.tar"]}],
        [{"Config": "/etc/passwd", "Layers": ["l/layer.tar"]}],
        [{"Config": "config.json", "Layers": ["../../../etc/passwd"]}],
        [{"Config": "config.json", "Layers": ["l"]}],
        [{"Config": "config.json", "Layers": ["config.json"]}],
        [{"Config": "config.json", "Layers": []}],
        [{"Config": "config.json", "Layers": ["l/layer.tar"], "RepoTags": ["UPPER"]}],
        [{"Config": "config.json", "Layers": ["l/layer.tar"], "RepoTags": "bent"}],
        [{"Config": "config.json", "Layers": ["l/layer.tar"], "RepoTags": [f"bent@{OTHER}"]}],
        [{"Config": "config.json", "Layers": ["l/layer.tar"], "RepoTags": ["ok:1", "../../evil"]}],
    ],
    ids=str,
)  # fmt: skip
def test_docker_archives_too(listed: Any, images: Images) -> None:
    before = snapshot(images.store.root)
    with pytest.raises(APIError):
        archive.load(images, Parts().docker(listed))
    assert snapshot(images.store.root) == before


class TestCorruption:
    """A bit flips on the disk: whoever reads the blob hears of it, and nobody gets a wrong result."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        archive.load(Images(Store(tmp_path)), Parts().oci())
        return tmp_path

    def flip(self, root: Path, which: str) -> None:
        image = Images(Store(root)).get("bent")
        chosen = {"layer": image.layers[0].descriptor.digest, "config": image.id, "manifest": image.manifest_digest}
        path = root / "blobs" / "sha256" / chosen[which][7:]
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)

    @pytest.mark.parametrize("which", ["config", "manifest"])
    def test_json(self, root: Path, which: str) -> None:
        self.flip(root, which)
        with pytest.raises(CorruptBlob):
            Images(Store(root)).get("bent")

    def test_layer(self, root: Path) -> None:
        self.flip(root, "layer")
        image = Images(Store(root)).get("bent")
        for read in (lambda: image.layers[0].changes, image.tree, lambda: list(image.save())):
            with pytest.raises(CorruptBlob):
                read()

    def test_a_good_copy_heals_it(self, root: Path) -> None:
        self.flip(root, "layer")
        images = Images(Store(root))
        archive.load(images, Parts().oci())
        assert images.get("bent").tree()["/etc/motd"].data.read() == b"hello\n"
