"""(c) The registry client: push and pull of the image of a Debian root; ours, Docker's and skopeo's.

All go to one docker-registry, and each push is the first one of its bytes. What is plain here is gzipped on its way, by
zlib; what was pulled is sent as it is. A pull checks what the layer unpacks to, as Docker's, which unpacks it; skopeo
only copies. Memory is the peak of a process that pushes, or pulls, a layer of 1 GB.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import minidocker
from minidocker.archive import load
from tests.bench.load_root import debian, docker_archive, made_up
from tests.bench.measure import Action, Report
from tests.bench.registry import copier, fresh, servers
from tests.bench.rivals import Rivals

PEAK = """
import resource, sys
import minidocker
with minidocker.connect(sys.argv[1], runtime="simulated") as engine:
    {0}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
PUSH = "assert 'error' not in list(engine.images.push(sys.argv[2], stream=True, decode=True))[-1]"
PULL = "engine.images.pull(sys.argv[2])"


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    if lacking := rivals.missing("skopeo", "docker-registry"):
        report.notes.append(f"left out: {lacking}")
        return
    root = debian() or made_up(work / "rootfs", 200_000_000)
    subprocess.run(["tar", "-C", root, "-cf", work / "layer.tar", "."], check=True)
    archive = docker_archive(work / "layer.tar", work / "image.tar")
    with servers(work, ["docker-registry"]) as (server,):
        anew, copy, rounds = fresh(server), copier(work), 1 if quick else 5
        with minidocker.connect(work / "from", "simulated") as engine:
            load(engine.images, archive)[0][0].tag(f"{server.host}/ours:1")
        there, back = f"docker://{server.host}/theirs:1", f"docker://{server.host}/ours:1"
        forget = emptied(work / "from" / "cache" / "registry.json", work / "data")

        def before() -> None:
            anew()
            forget()

        push: dict[str, Action] = {
            "minidocker push": lambda: our_push(work / "from", f"{server.host}/ours:1"),
            "skopeo copy": copy(f"docker-archive:{archive}", there),
        }
        if rivals.docker:
            rivals.docker_command("load", "-i", archive)()
            rivals.docker_command("tag", "bench-load", f"{server.host}/theirs:1")()
            push["docker push"] = rivals.docker_command("push", f"{server.host}/theirs:1")
        report.side_by_side("push of a plain layer", push, rounds, dict.fromkeys(push, before))
        before()
        our_push(work / "from", f"{server.host}/ours:1")
        pull: dict[str, Action] = {
            "minidocker pull": lambda: our_pull(work / "to", f"{server.host}/ours:1"),
            "skopeo copy": copy(back, f"oci:{work / 'back'}:x"),
        }
        gone = emptied(work / "to", work / "back")
        afresh: dict[str, Action] = dict.fromkeys(pull, gone)
        if rivals.docker:
            pull["docker pull"] = rivals.docker_command("pull", f"{server.host}/ours:1")
            images = rivals.docker_command("image", "rm", "-f", f"{server.host}/ours:1", "bench-load", there[9:])
            afresh["docker pull"] = rivals.docker_command("image", "prune", "-af")
            images()
        report.side_by_side("pull", pull, rounds, afresh)
        our_pull(work / "to", f"{server.host}/ours:1")
        copy(back, f"oci:{work / 'back'}:x")()
        push = {
            "minidocker push": lambda: our_push(work / "to", f"{server.host}/ours:1"),
            "skopeo copy": copy(f"oci:{work / 'back'}:x", there),
        }
        forget = emptied(work / "to" / "cache" / "registry.json", work / "data")
        report.side_by_side("push of what was pulled", push, rounds, dict.fromkeys(push, before))
        if not quick:
            gigabyte(report, server.host, work)


def our_push(root: Path, name: str) -> None:
    """A push, by an engine that is opened for it."""
    with minidocker.connect(root, "simulated") as engine:
        last = list(engine.images.push(name, stream=True, decode=True))[-1]
    if "error" in last:
        raise RuntimeError(last["error"])


def our_pull(root: Path, name: str) -> None:
    """A pull, by an engine that is opened for it."""
    with minidocker.connect(root, "simulated") as engine:
        engine.images.pull(name)


def emptied(*paths: Path) -> Action:
    """An action that deletes files and folders."""

    def call() -> None:
        for path in paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    return call


def gigabyte(report: Report, host: str, work: Path) -> None:
    """Note the memory that a layer of 1 GB takes."""
    layer = work / "big.tar"
    with tarfile.open(layer, "w") as tar, (work / "layer.tar").open("rb") as content:
        size = (work / "layer.tar").stat().st_size
        for number in range(-(-(1 << 30) // size)):
            member = tarfile.TarInfo(f"part{number}")
            member.size = size
            content.seek(0)
            tar.addfile(member, content)
    with minidocker.connect(work / "big", "simulated") as engine:
        load(engine.images, docker_archive(layer, work / "big-image.tar"))[0][0].tag(f"{host}/big:1")
    for verb, action, root in (("push", PUSH, "big"), ("pull", PULL, "big-back")):
        words = [sys.executable, "-c", PEAK.format(action), str(work / root), f"{host}/big:1"]
        peak = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        report.notes.append(f"peak memory of a {verb} of one layer of 1 GB: {peak} MB")
