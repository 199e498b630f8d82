"""With SOURCE_DATE_EPOCH, what comes out of a build repeats bit for bit: in another root, umask, place and time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCKERFILE = """\
FROM minidocker/base AS tools
ARG V=1
RUN mkdir -p /d/e && echo $V > /d/f && touch /d/e/now && ln -s f /d/l
FROM scratch
COPY --from=tools /d /d
COPY --chmod=644 a.txt b.txt /
WORKDIR /w
LABEL x=y
"""
OUTPUTS = [
    "type=oci,dest={}/oci.tar",
    "type=oci,dest={}/plain.tar,compression=uncompressed",
    "type=docker,dest={}/docker.tar,compression-level=9",
    "type=tar,dest={}/files.tar",
    "type=local,dest={}/files",
    "type=oci,tar=false,dest={}/layout",
]
PROGRAM = """
import os, sys, time
os.umask(int(sys.argv[3], 8))
shift = float(sys.argv[4])
real, real_ns = time.time, time.time_ns
time.time, time.time_ns = lambda: real() + shift, lambda: real_ns() + int(shift * 1e9)
import minidocker
out, outputs, more = sys.argv[2], sys.argv[6].split("|"), eval(sys.argv[7])
with minidocker.connect(sys.argv[1], "simulated") as engine:
    engine.images.build(path=sys.argv[5], tag="app:1", output=outputs, cache_to=f"type=local,dest={out}/cache,mode=max",
                        metadata_file=f"{out}/meta.json", iidfile=f"{out}/iid", **more)
"""


def prints(folder: Path) -> dict[str, str]:
    """Every file of a folder, with its digest; of the files of the target, mode and time too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name, info = path.relative_to(folder).as_posix(), path.lstat()
        what = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[name] = f"{what} {info.st_mode:o} {int(info.st_mtime)}" if name.startswith("files/") else what
    return found


def build(root: Path, umask: str, shift: float, outputs: list[str], more: dict[str, Any]) -> dict[str, str]:
    """What a process of its own builds, with another umask, and a clock that is wrong by so many seconds."""
    context, out = root / "context", root / "out"
    context.mkdir(parents=True)
    out.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    for number, file in enumerate(("a.txt", "b.txt"), 1_800_000_000 + int(shift)):
        (context / file).write_text(file)
        os.utime(context / file, (number, number))
    argv = [root / "store", out, umask, shift, context, "|".join(text.format(out) for text in outputs), more]
    env = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    subprocess.run([sys.executable, "-c", PROGRAM, *map(str, argv)], check=True, env=env)
    return prints(out)


@pytest.mark.parametrize("more", [{}, {"provenance": "mode=max"}])
def test_every_output_repeats(tmp_path: Path, more: dict[str, Any]) -> None:
    outputs = [text for text in OUTPUTS if "docker" not in text or not more]
    more = more | {"buildargs": {"SOURCE_DATE_EPOCH": "1700000000"}}
    one = build(tmp_path / "one", "022", 0.0, outputs, more)
    two = build(tmp_path / "two", "077", 86400.5, outputs, more)
    assert {"oci.tar", "files.tar", "files/d/f", "layout/index.json", "meta.json", "iid"} <= one.keys()
    cached = {name for name in one.keys() | two.keys() if name.startswith("cache/")}  # it says how long a step took
    assert {name: one[name] for name in one.keys() - cached} == {name: two[name] for name in two.keys() - cached}
    assert len(one.keys() & two.keys() & cached) > 6, "its layers do repeat"


def test_no_file_is_younger_than_the_epoch(workshop: Any, tmp_path: Path) -> None:
    import tarfile

    text = "FROM busybox AS b\nRUN echo 1 > /new\nFROM scratch\nCOPY --from=b /new /new\n"
    out = tmp_path / "o.tar"
    workshop.build(text, output=f"type=tar,dest={out},platform-split=false", buildargs={"SOURCE_DATE_EPOCH": "1000"})
    with tarfile.open(out) as tar:
        assert {one.mtime for one in tar} == {1000}
    image = workshop.image(text, buildargs={"SOURCE_DATE_EPOCH": "1000"}, output="type=image,rewrite-timestamp=true")
    assert all(entry.mtime <= 1000 for layer in image.layers for entry in layer.changes.values())
