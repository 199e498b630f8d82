"""A workshop for builds: a store, a small base image called `busybox`, the simulated runtime, a folder as context."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from minidocker.build import Build, build_image
from minidocker.content import Store
from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import Changeset
from minidocker.runtime import Runtime
from minidocker.runtime.simulated.applets import COMMANDS
from minidocker.runtime.simulated.runtime import Simulated
from minidocker.tree import Entry, directory, file, symlink

HERE = Path(__file__).parent
RECORDER = runpy.run_path(str(HERE / "record.py"))


def busybox() -> Changeset:
    """The file system that `record.py` had: busybox and its links, three users, two links to directories."""
    entries: dict[str, Entry] = {f"/bin/{name}": symlink("busybox") for name in COMMANDS}
    entries |= {"/bin/busybox": file(b"\x7fELF\0 a stand-in", 0o755), "/bin/sh": symlink("busybox")}
    entries |= {
        "/etc/passwd": file(RECORDER["PASSWD"].encode()),
        "/etc/group": file(RECORDER["GROUP"].encode()),
        "/tmp": directory(0o1777),
    }
    entries |= {path: directory() for path in ("/bin", "/etc", "/root", "/proc", "/sys", "/dev", "/home", "/home/app")}
    entries["/tmp"] = directory(0o1777)
    return Changeset(entries | {"/applink": symlink("home/app"), "/tmplink": symlink("/etc/../../tmp")})


@dataclass
class Workshop:
    """What `build_image` needs of an engine, and a folder for contexts."""

    store: Store
    images: Images
    runtime: Runtime
    folder: Path

    def write(self, files: Mapping[str, Any]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else str(content).encode())

    def build(self, dockerfile: str, files: Mapping[str, Any] | None = None, **options: Any) -> Build:
        """Build with the context folder as it is now, after adding files to it."""
        self.write(files or {})
        return build_image(self, path=self.folder, text=dockerfile, **options)  # type: ignore[arg-type]

    def image(self, dockerfile: str, files: Mapping[str, Any] | None = None, **options: Any) -> Image:
        image = self.build(dockerfile, files, **options).image
        assert image is not None
        return image


def open_workshop(root: Path) -> Workshop:
    store = Store(root / "store")
    images = Images(store)
    layer = images.add_layer(busybox())
    images.tag(images.create({"history": [{"comment": "Imported from -"}]}, [layer]), "busybox")
    (root / "context").mkdir()
    return Workshop(store, images, Simulated(), root / "context")


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return open_workshop(tmp_path)


@pytest.fixture(scope="module")
def shared_workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """One workshop for many builds, whose cache they share as a user's do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        yield open_workshop(tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="session")
def cases() -> dict[str, Any]:
    """`contexts.py`: GOOD and BAD."""
    return runpy.run_path(str(HERE / "contexts.py"))


@pytest.fixture(scope="session")
def recorder() -> dict[str, Any]:
    """`record.py`: how contexts are written and how Docker's answers are read."""
    return RECORDER


@pytest.fixture(scope="session")
def same_as() -> Callable[[Image, dict[str, Any]], None]:
    """A function that asserts that an image has the configuration, history and files that Docker recorded."""
    return assert_same


def assert_same(image: Image, theirs: dict[str, Any]) -> None:
    assert {key: value for key, value in image.config.items() if value} == theirs["config"]
    assert [{key: value for key, value in line.items() if key != "created"} for line in image.raw["history"]] == theirs[
        "history"
    ]
    assert image.raw.get("author") == theirs.get("author")
    assert len(image.layers) == len(theirs["layers"])
    base = image.images.get("busybox").tree() if "busybox" in theirs["layers"] else {}
    expected = stacked({path: row(entry) for path, entry in base.items()}, theirs["layers"])
    assert {path: row(entry) for path, entry in image.tree().items() if path != "/"} == expected


def row(entry: Entry) -> list[Any]:
    what = entry.data.digest[7:19] if entry.kind == "file" else entry.target
    return [entry.kind, entry.mode, entry.uid, entry.gid, what]


def stacked(base: dict[str, list[Any]], layers: list[Any]) -> dict[str, list[Any]]:
    """Docker's recorded layers on top of each other, by the dullest way to do it."""
    files = dict(base)
    for layer in [layer for layer in layers if layer != "busybox"]:
        for path in layer:
            above, _, name = path.rpartition("/")
            gone = above if name == ".wh..wh..opq" else f"{above}/{name[4:]}" if name.startswith(".wh.") else None
            for other in [other for other in files if gone is not None and f"{other}/".startswith(f"{gone}/")]:
                if other != gone or name != ".wh..wh..opq":
                    del files[other]
        for path, (kind, mode, uid, gid, what, _) in layer.items():
            if "/.wh." not in path:
                for below in [other for other in files if kind != "dir" and other.startswith(f"{path}/")]:
                    del files[below]
                what, kind = (layer[f"/{what}"][4], "file") if kind == "hard" else (what, kind)
                files[path] = [kind, int(mode, 8) & 0o7777, uid, gid, "" if kind == "dir" else what]
    return {path: entry for path, entry in files.items() if path != "/"}
