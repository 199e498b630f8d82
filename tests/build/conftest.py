"""A workshop for builds: a store, a small base image called `busybox`, the simulated runtime, a folder as context."""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Mapping
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
from minidocker.runtime.applets import COMMANDS
from minidocker.runtime.simulated import Simulated
from minidocker.tree import Entry, directory, file, symlink

HERE = Path(__file__).parent
PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
)
GROUP = "root:x:0:\napp:x:1001:\nstaff:x:50:app\nnogroup:x:65534:\n"


def busybox() -> Changeset:
    """The file system that `record.py` had: busybox and its links, three users, two links to directories."""
    entries: dict[str, Entry] = {f"/bin/{name}": symlink("busybox") for name in COMMANDS}
    entries |= {"/bin/busybox": file(b"\x7fELF\0 a stand-in", 0o755), "/bin/sh": symlink("busybox")}
    entries |= {"/etc/passwd": file(PASSWD.encode()), "/etc/group": file(GROUP.encode()), "/tmp": directory(0o1777)}
    entries |= {path: directory() for path in ("/bin", "/etc", "/root", "/proc", "/sys", "/dev", "/home", "/home/app")}
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
    return runpy.run_path(str(HERE / "record.py"))
