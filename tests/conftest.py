"""What all the tests share: hypothesis without deadlines on a busy machine, and a validator of stores.

`valid_store(root)` holds a folder against the OCI image specification (layout, index, descriptors, manifests,
configurations, layers), with nothing of minidocker's own: what it asserts, another tool relies on.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import signal
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import minidocker
from minidocker.engine import Engine
from minidocker.errors import DockerException
from minidocker.tree import Entry, FileData, Kind, Tree

hypothesis.settings.register_profile("minidocker", deadline=None, max_examples=100)
hypothesis.settings.load_profile("minidocker")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it in the background, and all that we start
    signal.signal(signal.SIGINT, signal.default_int_handler)

OCI = "application/vnd.oci.image."
REF_NAME = "org.opencontainers.image.ref.name"
COMPONENT = r"[A-Za-z0-9]+((?:[-._:@+]|--|__)[A-Za-z0-9]+)*"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


@pytest.fixture(scope="session")
def valid_store() -> Callable[[Path], dict[str, Any]]:
    """A function that asserts that a folder is a valid OCI image layout; it gives name -> configuration."""
    return check_layout


def check_layout(root: Path) -> dict[str, Any]:
    assert json.loads((root / "oci-layout").read_bytes())["imageLayoutVersion"] == "1.0.0"
    index = json.loads((root / "index.json").read_bytes())
    assert index["schemaVersion"] == 2
    assert index.get("mediaType") in (None, OCI + "index.v1+json")
    for blob in (root / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name, f"blob {blob.name} has other bytes"
    found: dict[str, Any] = {}
    for entry in index["manifests"]:
        config = _check_manifest(root, entry)
        name = entry.get("annotations", {}).get(REF_NAME, entry["digest"])
        assert name not in found, f"two images are called {name}"
        assert re.fullmatch(f"{COMPONENT}(/{COMPONENT})*", name), f"not a name that other tools read: {name}"
        found[name] = config
    return found


def _check_manifest(root: Path, entry: dict[str, Any]) -> dict[str, Any]:
    assert entry["mediaType"] == OCI + "manifest.v1+json"
    manifest = json.loads(_blob(root, entry))
    assert manifest["schemaVersion"] == 2
    assert manifest.get("mediaType", entry["mediaType"]) == entry["mediaType"]
    assert manifest["config"]["mediaType"] == OCI + "config.v1+json"
    config: dict[str, Any] = json.loads(_blob(root, manifest["config"]))
    _check_config(config)
    assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"])
    for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        assert layer["mediaType"] in {f"{OCI}layer.v1.tar{packed}" for packed in ("", "+gzip", "+zstd")}
        _check_layer(_blob(root, layer), layer["mediaType"], diff_id)
    return config


def _blob(root: Path, descriptor: dict[str, Any]) -> bytes:
    assert re.fullmatch("sha256:[0-9a-f]{64}", descriptor["digest"])
    assert all(isinstance(note, str) for note in descriptor.get("annotations", {}).values())
    data: bytes = (root / "blobs" / "sha256" / descriptor["digest"][7:]).read_bytes()
    assert type(descriptor["size"]) is int
    assert descriptor["size"] == len(data)
    return data


def _check_config(config: dict[str, Any]) -> None:
    assert isinstance(config["architecture"], str)
    assert isinstance(config["os"], str)
    assert config["rootfs"]["type"] == "layers"
    history = config.get("history", [])
    made = [line for line in history if not line.get("empty_layer")]
    assert not history or len(made) == len(config["rootfs"]["diff_ids"]), "history and layers do not match"
    for when in [config.get("created"), *(line.get("created") for line in history)]:
        assert when is None or RFC3339.fullmatch(when), f"not RFC 3339: {when}"
    run = config.get("config") or {}
    for name in ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell"):
        assert all(isinstance(word, str) for word in run.get(name) or []), name
    assert all("=" in word for word in run.get("Env") or [])
    for name in ("ExposedPorts", "Volumes"):
        assert all(value == {} for value in (run.get(name) or {}).values()), name
    assert all(isinstance(value, str) for value in (run.get("Labels") or {}).values())


def _check_layer(data: bytes, media_type: str, diff_id: str) -> None:
    plain = gzip.decompress(data) if media_type.endswith("gzip") else data
    assert f"sha256:{hashlib.sha256(plain).hexdigest()}" == diff_id
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        names = [member.name.removeprefix("./").rstrip("/") for member in archive]
    assert len(names) == len(set(names)), "a member is there twice"
    assert not any(name.startswith("/") or ".." in name.split("/") for name in names)


@pytest.fixture(scope="session")
def walk() -> Callable[[Path], Tree]:
    """A function that reads a folder on disk as a tree: the dullest one possible, to compare with ours."""
    return read_folder


def read_folder(root: Path) -> Tree:
    entries: dict[str, Entry] = {}
    inodes: dict[tuple[int, int], str] = {}
    for folder, folders, files in os.walk(root):
        for path in [Path(folder), *(Path(folder) / name for name in [*folders, *files])]:
            info = path.lstat()
            name = "/" + str(path.relative_to(root)) if path != root else "/"
            kind = KINDS[stat.S_IFMT(info.st_mode)]
            entry = Entry(kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns // 10**9)
            if kind == "file":
                first = inodes.setdefault((info.st_dev, info.st_ino), name)
                link = first if info.st_nlink > 1 else ""
                entry = replace(entry, data=FileData(path, info.st_size), link=link)
            elif kind == "symlink":
                entry = replace(entry, target=str(path.readlink()), mode=0o777)
            elif kind in ("char", "block"):
                entry = replace(entry, device=(os.major(info.st_rdev), os.minor(info.st_rdev)))
            if kind in ("file", "dir"):
                attributes = ((key, os.getxattr(path, key)) for key in sorted(os.listxattr(path)))
                carried = [pair for pair in attributes if pair[0].startswith(("user.", "security.capability"))]
                entry = replace(entry, xattrs=tuple(pair for pair in carried if ".overlay." not in pair[0]))
            entries[name] = entry
    return Tree(entries)


KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


@pytest.fixture(scope="module", params=["namespaces", "simulated"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine on each runtime that works on this machine, with the image `minidocker/base`; shared by a module."""
    try:
        opened = minidocker.connect(tmp_path_factory.mktemp("engine"), runtime=request.param)
        opened.containers.run("minidocker/base", "true", remove=True)
    except DockerException as error:
        pytest.skip(f"the runtime {request.param} does not work here: {error}")
    yield opened
    for container in opened.containers.list(all=True):
        container.remove(force=True)
    opened.close()
