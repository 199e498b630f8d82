"""(d) Loading the image of a Debian root (else 200 MB of made-up files), beside docker load, umoci unpack and GNU tar.

Ours is shown alone (`images.load`: verified and indexed) and with the first run on it, for which the layer is unpacked.
`docker load` unpacks at once. Memory is the peak of a process that loads, for two sizes of one layer.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import minidocker
from minidocker.archive import load
from minidocker.manifest import architecture
from tests.bench.measure import Action, Report, command
from tests.bench.rivals import Rivals


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    root = debian() or made_up(work / "rootfs", 200_000_000)
    layer = work / "layer.tar"
    subprocess.run(["tar", "-C", root, "-cf", layer, "."], check=True)
    size = layer.stat().st_size
    archive = docker_archive(layer, work / "image.tar")
    report.notes.append(
        f"{'Debian, by debootstrap' if root.name == 'debian' else 'made-up files'}: {size >> 20} MB of tar"
    )

    def fresh(name: str) -> Action:
        return lambda: shutil.rmtree(work / name, ignore_errors=True)

    def ours(name: str, run: bool) -> Action:
        def call() -> None:
            with minidocker.connect(work / name) as engine:
                ((image, _),) = load(engine.images, archive)
                if run:
                    engine.containers.run(image.id, ["/bin/true"], remove=True)

        return call

    contenders: dict[str, Action] = {"minidocker load": ours("a", run=False)}
    before = {"minidocker load": fresh("a")}
    if rivals.root and (root / "bin/true").exists():
        contenders["minidocker load, first run"] = ours("b", run=True)
        before["minidocker load, first run"] = fresh("b")
    if rivals.docker:
        contenders["docker load"] = rivals.docker_command("load", "-i", archive)
        rmi = rivals.docker_command("rmi", "-f", "bench-load")
        before["docker load"] = rmi
    else:
        report.notes.append("docker load left out: no dockerd, or no root")
    if not rivals.missing("umoci", "skopeo"):
        command("skopeo", "copy", f"docker-archive:{archive}", f"oci:{work / 'layout'}:x")()
        contenders["umoci unpack"] = command("umoci", "unpack", "--image", f"{work / 'layout'}:x", work / "bundle")
        before["umoci unpack"] = fresh("bundle")
    else:
        report.notes.append(f"umoci left out: {rivals.missing('umoci', 'skopeo')}")
    if not rivals.missing("tar"):
        (work / "untar").mkdir()
        contenders["GNU tar alone"] = command("tar", "-C", work / "untar", "-xf", layer)
        before["GNU tar alone"] = emptied(work / "untar")
    report.side_by_side("load", contenders, 1 if quick else 3, before)
    for megabytes in (20, 400):
        peak = memory(docker_archive(one_file(work / "big.tar", megabytes), work / "big-image.tar"), work / "memory")
        report.notes.append(f"peak memory of a process that loads one layer of {megabytes} MB: {peak / 1024:.1f} MB")


def emptied(folder: Path) -> Action:
    """An action that empties a folder."""

    def call() -> None:
        shutil.rmtree(folder)
        folder.mkdir()

    return call


def debian() -> Path | None:
    """A minimal Debian, made once and kept in the temporary folder; None where that cannot be."""
    kept = Path(tempfile.gettempdir()) / "minidocker-bench-cache" / "debian"
    if kept.exists():
        return kept
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        return None
    making = kept.with_name(f"debian.{os.getpid()}")
    making.parent.mkdir(exist_ok=True)
    done = subprocess.run(["debootstrap", "--variant=minbase", "stable", making], capture_output=True, check=False)
    if done.returncode:
        shutil.rmtree(making, ignore_errors=True)
        return None
    making.rename(kept)
    return kept


def made_up(folder: Path, size: int) -> Path:
    """Something of the shape of a Debian root: 8,000 files, a tenth of them large."""
    for number in range(8000):
        path = folder / f"usr/d{number % 400}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size // 8000 * (7 if number % 10 == 0 else 1) // 2))
    return folder


def one_file(path: Path, megabytes: int) -> Path:
    """A layer of one file with so many bytes."""
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("big")
        member.size = megabytes << 20
        with Path("/dev/zero").open("rb") as zeros:
            tar.addfile(member, zeros)
    return path


def docker_archive(layer: Path, out: Path) -> Path:
    """What `docker save` makes of an image with one layer."""
    with layer.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    config = {
        "architecture": architecture(),
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    listed = [{"Config": "config.json", "RepoTags": ["bench-load:latest"], "Layers": ["layer/layer.tar"]}]
    with tarfile.open(out, "w") as tar:
        for name, value in (("config.json", config), ("manifest.json", listed)):
            member, data = tarfile.TarInfo(name), json.dumps(value).encode()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        tar.add(layer, "layer/layer.tar")
    return out


MEMORY = """
import resource, sys
from pathlib import Path
import minidocker
from minidocker.archive import load
with minidocker.connect(Path(sys.argv[2])) as engine:
    load(engine.images, Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(archive: Path, root: Path) -> int:
    """The most memory, in kB, that a process has needed to load an archive."""
    shutil.rmtree(root, ignore_errors=True)
    done = subprocess.run([sys.executable, "-c", MEMORY, archive, root], capture_output=True, text=True, check=True)
    return int(done.stdout)
