"""What comes out of a build: to the letter of buildx, as a whole or not at all, and the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker import archive
from minidocker.build.delivery import Delivery
from minidocker.build.output import Output
from minidocker.compression import _library
from minidocker.content import Store
from minidocker.errors import APIError, BuildError, InvalidArgument, Unsupported
from minidocker.images import Images
from minidocker.tree import Tree

TEXT = """\
FROM busybox AS tools
RUN mkdir -p /out/bin /out/empty && echo hi > /out/bin/f && ln -s f /out/bin/l && echo $V > /out/v
FROM scratch
COPY --from=tools --chown=7:8 /out /
COPY --chmod=640 a.txt /data/
CMD ["/bin/f"]
"""
FILES = {"a.txt": "A"}
Walk = Callable[[Path], Tree]
ZSTD = pytest.mark.skipif(not (shutil.which("zstd") or _library()), reason="no zstd here")
needs = pytest.mark.skipif


def tool(name: str) -> pytest.MarkDecorator:
    return needs(not shutil.which(name), reason=f"{name} is not installed")


def run(*argv: Any) -> str:
    return subprocess.run([str(word) for word in argv], capture_output=True, check=True, text=True).stdout


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read() if one.isreg() else b"" for one in tar}  # type: ignore[union-attr]


def layout(path: Path) -> Callable[[dict[str, Any]], Any]:
    """A reader of the JSON blobs of a tar, which checks digests and sizes."""
    files = members(path)

    def read(blob: dict[str, Any]) -> Any:
        data = files["blobs/sha256/" + blob["digest"][7:]]
        assert hashlib.sha256(data).hexdigest() == blob["digest"][7:]
        assert len(data) == blob["size"]
        return json.loads(data)

    read.index = json.loads(files["index.json"])["manifests"]  # type: ignore[attr-defined]
    return read


# What may be asked for


@pytest.mark.parametrize(
    ("text", "kind", "dest"),
    [
        ("out", "local", "out"),
        ("-", "tar", "-"),
        ("type=tar,dest=a=b.tar", "tar", "a=b.tar"),
        ('type=oci,"dest=a,b.tar"', "oci", "a,b.tar"),
        ("type=docker", "docker", ""),
        ("TYPE=docker", "local", "TYPE=docker"),
        ("type=image,name=app", "image", ""),
        ("type=cacheonly", "cacheonly", ""),
    ],
)
def test_an_output_is_read_as_buildx_reads_it(text: str, kind: str, dest: str) -> None:
    output = Output.parse(text)
    assert (output.kind, output.dest) == (kind, dest)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("type=", InvalidArgument, "type is required for output"),
        ("dest=x,tar=false", InvalidArgument, "type is required for output"),
        ("type=oci,bad", InvalidArgument, "invalid value bad"),
        ("type=zip,dest=x", InvalidArgument, "exporter 'zip' could not be found"),
        ("type=oci,dest=x,nonsense=1", InvalidArgument, "unknown attribute for output type=oci: nonsense"),
        ("type=local,dest=x,compression=gzip", InvalidArgument, "unknown attribute"),
        ("type=oci,dest=x,compression=lz4", InvalidArgument, "unsupported compression type lz4"),
        ("type=oci,dest=x,compression-level=99", InvalidArgument, "invalid compression level '99'"),
        ("type=oci,dest=x,tar=maybe", InvalidArgument, "non-bool value specified for tar"),
        ("type=oci,dest=x,name=UP", InvalidArgument, "must be lowercase"),
        ("type=oci,dest=x,annotation-who.a=b", InvalidArgument, "unknown annotation type 'who'"),
        ("type=oci,dest=x,compression=estargz", Unsupported, "compression=estargz is not supported"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Output.parse(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "type=local"}, "dest is required for local exporter"),
        ({"output": "type=local,dest=-"}, "dest cannot be stdout for local exporter"),
        ({"output": "type=oci,tar=false"}, "dest is required for oci exporter"),
        ({"output": "type=oci,dest={}"}, "destination file should be a file"),
        ({"output": "type=tar,dest={}/no/t.tar"}, "no such directory"),
        ({"output": "{}/Dockerfile"}, "destination directory should be a directory"),
        ({"output": ["-", "type=oci"]}, "only one output can go to stdout"),
        ({"metadata_file": "{}/no/m.json"}, "failed to open .*: no such directory"),
        ({"iidfile": "{}/no/iid"}, "failed to open .*: no such directory"),
        ({"sbom": "true"}, "--sbom is not supported"),
        ({"attest": "type=sbom"}, "type=sbom is not supported"),
        ({"push": True}, "tag is needed when pushing to registry"),
        ({"provenance": True}, "--metadata-file"),
        ({"provenance": True, "output": "type=docker,dest=x"}, "does not currently support exporting manifest lists"),
        ({"platform": "linux/amd64,linux/arm64"}, "does not currently support exporting manifest lists"),
        ({"annotations": ["index:a=b"]}, "index annotations not supported for single platform export"),
        ({"annotations": ["manifest-descriptor:a=b"]}, "need an output"),
        ({"annotations": ["a"]}, "invalid annotation 'a', expected key=value"),
    ],
)
def test_what_could_not_be_delivered_is_not_built(workshop: Any, options: dict[str, Any], words: str) -> None:
    (workshop.folder / "Dockerfile").write_text("")
    said = {k: v.format(workshop.folder) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(APIError, match=words):
        workshop.build("FROM busybox\nRUN echo 1 > /x\n", **said)
    assert not list((workshop.store.root / "cache").glob("steps/*"))


def test_stdout_that_is_a_terminal_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.BytesIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)

    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    with pytest.raises(InvalidArgument, match="refusing to write to console"):
        Delivery.of([], "", {}, {"output": "-", "stdout": Terminal()})


# Files


def test_local_and_tar_have_the_files_of_the_target(
    workshop: Any, tmp_path: Path, walk: Callable[[Path], Tree]
) -> None:
    out, tar = tmp_path / "out", io.BytesIO()
    image = workshop.image(TEXT, FILES, output=[str(out), "-"], stdout=tar)
    mine = image.tree()
    on_disk = walk(out)
    assert {path for path in on_disk if path != "/"} == {path for path in mine if path != "/"}
    for path, entry in mine.items():
        if path != "/":
            got = on_disk[path]
            assert (got.kind, got.target, got.mtime) == (entry.kind, entry.target, entry.mtime), path
            assert entry.kind == "symlink" or got.mode == entry.mode
            assert entry.kind != "file" or got.data.read() == entry.data.read()
    tar.seek(0)
    with tarfile.open(fileobj=tar) as archive_:
        rows = {"/" + one.name: (one.mode, one.uid, one.gid) for one in archive_}
    assert rows == {path: (e.mode, e.uid, e.gid) for path, e in mine.items() if path != "/"}
    assert rows["/bin/f"][1:] == (7, 8)


def test_what_else_is_in_the_folder_stays(workshop: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    (out / "data").mkdir()
    (out / "data" / "old").write_text("old")
    (out / "v").symlink_to("mine")
    workshop.build(TEXT, FILES, output=str(out))
    assert (out / "mine").read_text() == "mine"
    assert (out / "data" / "old").read_text() == "old"
    assert (out / "data" / "a.txt").read_text() == "A"
    assert not (out / "v").is_symlink(), "the link is replaced, and nothing is written through it"
    assert sorted(path.name for path in out.iterdir()) == ["bin", "data", "empty", "mine", "v"]


@pytest.mark.parametrize("obstacle", ["file", "folder", "link"])
def test_where_something_stands_in_the_way_nothing_is_written(workshop: Any, tmp_path: Path, obstacle: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    if obstacle == "file":
        (out / "data").write_text("x")
    elif obstacle == "folder":
        (out / "v").mkdir()
    else:
        (out / "data").symlink_to(elsewhere)
    before = sorted(out.rglob("*"))
    with pytest.raises(InvalidArgument, match="remove it first"):
        workshop.build(TEXT, FILES, output=str(out))
    assert sorted(out.rglob("*")) == before
    assert not list(elsewhere.iterdir())


def test_a_failed_build_leaves_no_output(workshop: Any, tmp_path: Path) -> None:
    with pytest.raises(BuildError):
        workshop.build("FROM busybox\nRUN false\n", output=[str(tmp_path / "o"), f"type=oci,dest={tmp_path}/o.tar"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["context", "store"]


def test_a_tar_is_replaced_as_a_whole(workshop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minidocker import layertar

    (tmp_path / "o.tar").write_text("old")

    def broken(*_: Any) -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layertar, "chunks", broken)
    with pytest.raises(BuildError, match="No space left"):
        workshop.build("FROM scratch\nCMD x\n", output=f"type=tar,dest={tmp_path}/o.tar")
    assert (tmp_path / "o.tar").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["context", "o.tar", "store"]


# Images


@pytest.mark.parametrize("packing", ["uncompressed", "gzip", pytest.param("zstd", marks=ZSTD)])
@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_image_that_goes_out_comes_back(workshop: Any, tmp_path: Path, kind: str, packing: str) -> None:
    out = tmp_path / "o.tar"
    image = workshop.image(TEXT, FILES, tag="app:1", output=f"type={kind},dest={out},compression={packing}")
    other = Images(Store(tmp_path / "other"))
    ((back, names),) = archive.load(other, out)
    assert names == ["app:1"]
    assert (back.id, back.diff_ids) == (image.id, image.diff_ids)
    assert dict(back.tree()) == dict(image.tree()) or set(back.tree()) == set(image.tree())
    assert back.cat("/bin/f") == b"hi\n"


def test_media_types(workshop: Any, tmp_path: Path) -> None:
    def types(text: str) -> list[str]:
        out = tmp_path / "o.tar"
        workshop.build(TEXT, FILES, output=f"{text},dest={out}")
        read = layout(out)
        (top,) = read.index  # type: ignore[attr-defined]
        manifest = read(top)
        assert manifest["mediaType"] == top["mediaType"]
        return [top["mediaType"], manifest["config"]["mediaType"], manifest["layers"][0]["mediaType"]]

    oci = [f"application/vnd.oci.image.{kind}" for kind in ("manifest.v1+json", "config.v1+json", "layer.v1.tar+gzip")]
    docker = [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ]
    assert types("type=oci") == types("type=docker,oci-mediatypes=true") == oci
    assert types("type=docker") == types("type=oci,oci-mediatypes=false") == docker
    if ZSTD.args[0] is False:
        assert types("type=docker,compression=zstd")[2].endswith("layer.v1.tar+zstd"), "Docker has no name for it"


def test_layers_that_came_compressed_stay_unless_forced(workshop: Any, tmp_path: Path) -> None:
    base = archive.gzipped(workshop.image("FROM busybox\n"))
    workshop.images.tag(base, "packed")
    text, out = "FROM packed\nRUN echo 1 > /x\n", tmp_path / "o.tar"

    def kinds(extra: str) -> list[str]:
        workshop.build(text, output=f"type=oci,dest={out},{extra}")
        read = layout(out)
        return [layer["mediaType"].rpartition("tar")[2] for layer in read(read.index[0])["layers"]]  # type: ignore[attr-defined]

    assert kinds("compression=uncompressed") == ["+gzip", ""]
    assert kinds("compression=uncompressed,force-compression=true") == ["", ""]


def test_a_folder_gets_what_is_new(workshop: Any, tmp_path: Path, valid_store: Callable[[Path], Any]) -> None:
    out = tmp_path / "layout"
    for number in (1, 2, 1):
        text = f"FROM scratch\nLABEL n={number}\n"
        workshop.build(text, output=f"type=oci,tar=false,dest={out},name=app:{number}")
    found = {
        entry["annotations"]["io.containerd.image.name"]
        for entry in json.loads((out / "index.json").read_text())["manifests"]
    }
    assert found == {"docker.io/library/app:1", "docker.io/library/app:2"}
    assert set(valid_store(out)) == {"1", "2"}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("x")
    with pytest.raises(InvalidArgument, match=r"could not read .*index.json"):
        workshop.build(text, output=f"type=oci,tar=false,dest={tmp_path}/other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["x"]


def test_annotations(workshop: Any, tmp_path: Path) -> None:
    out = tmp_path / "o.tar"
    notes = ["a=1", "manifest[linux/s390x]:no=1", "index,manifest-descriptor:b=2"]
    output = f"type=oci,dest={out},annotation.c=3,annotation-index-descriptor.d=4"
    build = workshop.build(TEXT, FILES, output=output, annotations=notes, provenance="true")
    read = layout(out)
    (top,) = read.index  # type: ignore[attr-defined]
    index = read(top)
    assert top["annotations"]["d"] == "4"
    assert index["annotations"] == {"b": "2"}
    assert index["manifests"][0]["annotations"] == {"b": "2"}
    assert read(index["manifests"][0])["annotations"] == {"a": "1", "c": "3"}
    assert build.image.manifest["annotations"] == {"a": "1"}, "the engine's own has them too"


def test_metadata_and_iid(workshop: Any, tmp_path: Path) -> None:
    meta, iid, out = tmp_path / "meta.json", tmp_path / "iid", tmp_path / "o.tar"
    image = workshop.image(
        TEXT, FILES, tag=["app:1", "app:2"], metadata_file=str(meta), iidfile=str(iid), output=f"type=oci,dest={out}"
    )
    said, top = json.loads(meta.read_text()), layout(out).index[0]  # type: ignore[attr-defined]
    assert iid.read_text() == image.id == said["containerimage.config.digest"]
    assert said["containerimage.digest"] == top["digest"] == said["containerimage.descriptor"]["digest"]
    assert said["containerimage.descriptor"]["platform"]["os"] == "linux"
    assert said["image.name"] == "docker.io/library/app:1,docker.io/library/app:2"
    assert "buildx.build.provenance" not in said


# Platforms


def test_several_platforms_make_an_index(workshop: Any, tmp_path: Path) -> None:
    text = "FROM --platform=$BUILDPLATFORM busybox AS b\nARG TARGETPLATFORM\nRUN echo $TARGETPLATFORM > /p\n"
    text += "FROM scratch\nARG TARGETARCH TARGETVARIANT\nLABEL arch=$TARGETARCH$TARGETVARIANT\nCOPY --from=b /p /\n"
    out, folder = tmp_path / "o.tar", tmp_path / "f"
    output, iid = [f"type=oci,dest={out}", str(folder)], tmp_path / "iid"
    build = workshop.build(text, tag="app", platform="linux/amd64,linux/arm/v7", output=output, iidfile=str(iid))
    read = layout(out)
    (top,) = read.index  # type: ignore[attr-defined]
    index = read(top)
    assert iid.read_text() == top["digest"]
    assert top["annotations"]["io.containerd.image.name"] == "docker.io/library/app:latest"
    platforms = [entry["platform"] for entry in index["manifests"]]
    assert platforms == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm", "os": "linux", "variant": "v7"},
    ]
    configs = [read(read(entry)["config"]) for entry in index["manifests"]]
    assert [config["config"]["Labels"]["arch"] for config in configs] == ["amd64", "armv7"]
    assert [config.get("variant") for config in configs] == [None, "v7"]
    assert (folder / "linux_arm_v7" / "p").read_text() == "linux/arm/v7\n"
    assert list(build.platforms) == ["linux/amd64", "linux/arm/v7"]
    assert not workshop.images.names().get(build.image.id), "the name is the index's"


def test_one_platform_may_have_a_folder_too(workshop: Any, tmp_path: Path) -> None:
    workshop.build("FROM scratch\nCOPY a.txt /\n", FILES, output=f"type=local,dest={tmp_path}/o,platform-split=true")
    assert next((tmp_path / "o").rglob("a.txt")).parent.name.startswith("linux_")


# Other tools


@tool("skopeo")
@tool("umoci")
@pytest.mark.parametrize("packing", ["uncompressed", "gzip"])
def test_skopeo_and_umoci_read_it(workshop: Any, tmp_path: Path, packing: str, walk: Walk) -> None:
    out = tmp_path / "layout"
    output = [
        f"type=oci,tar=false,dest={out},compression={packing}",
        f"type=oci,dest={tmp_path}/o.tar,compression={packing}",
    ]
    image = workshop.image(TEXT, FILES, tag="app:1", output=output)
    for where in (f"oci:{out}:1", f"oci-archive:{tmp_path}/o.tar:1"):
        config = json.loads(run("skopeo", "inspect", "--config", where))
        assert config["rootfs"]["diff_ids"] == image.diff_ids
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    run("umoci", "unpack", *rootless, "--image", f"{out}:1", tmp_path / "bundle")
    theirs = walk(tmp_path / "bundle" / "rootfs")
    rows = {path: (e.kind, e.mode, e.uid, e.gid, e.target) for path, e in theirs.items() if path != "/"}
    if not rootless:
        assert rows == {p: (e.kind, e.mode, e.uid, e.gid, e.target) for p, e in image.tree().items() if p != "/"}


@tool("skopeo")
@ZSTD
def test_skopeo_reads_zstd(workshop: Any, tmp_path: Path) -> None:
    out = tmp_path / "o.tar"
    image = workshop.image(TEXT, FILES, tag="app:1", output=f"type=oci,dest={out},compression=zstd,compression-level=9")
    run("skopeo", "copy", "--dest-decompress", f"oci-archive:{out}:1", f"dir:{tmp_path}/dir")
    blobs = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "dir").iterdir()}
    assert {digest[7:] for digest in image.diff_ids} <= blobs
