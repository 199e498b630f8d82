"""What is mounted into a real container, as the launcher is told of it.

A mount is a `kind`, a `source` on the host, the path `inside` that source, and a `target`. What has no place on the
host gets a folder of the container's own, `mounts/<number>`, on which it is mounted first:

    bind      a folder or file of the host        volume    `data` in a volume's folder
    snapshot  an overlay of layers; `upper` and `work` are in the folder
    secret    a file in a tmpfs                   tmpfs     mounted on the spot
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minidocker.runtime import Bind, Mount, Secret, Tmpfs, Volume, overlay


def describe(mount: Mount, folder: Path, rootless: bool) -> dict[str, Any]:
    """Make what a mount needs on the host, and say what it is."""
    about = {"target": mount.target, "read_only": getattr(mount, "read_only", True), "inside": "", "source": ""}
    if isinstance(mount, Bind):
        return about | {"kind": "bind", "source": mount.source}
    if isinstance(mount, Tmpfs):
        return about | {"kind": "tmpfs", "size": mount.size}
    if isinstance(mount, Volume):
        return about | {"kind": "bind", "source": str(_opened(mount, rootless)), "inside": mount.source}
    folder.mkdir(parents=True, exist_ok=True)
    about["source"] = str(folder)
    if isinstance(mount, Secret):
        content = base64.b64encode(mount.content).decode()
        who = {"uid": mount.uid, "gid": mount.gid, "mode": mount.mode}
        return about | {"kind": "secret", "inside": "/secret", "content": content} | who
    layers = [layer.path().absolute() for layer in mount.layers]
    return about | {"kind": "snapshot", "inside": mount.source, "layers": writable(folder, layers)}


def writable(folder: Path, layers: Sequence[Path]) -> list[str]:
    """Make a writable layer in a folder, for an overlay over these layers; return the lower directories.

    The kernel takes no directory twice; of equal layers, the uppermost says all that the lower ones said.
    """
    if not (folder / "upper").exists():
        (folder / "upper").mkdir(parents=True)
        _adopt_root(folder / "upper", layers)
    for name in ("work",) if layers else ("work", "empty"):
        (folder / name).mkdir(exist_ok=True)
    return [str(layer) for layer in dict.fromkeys(reversed(layers))][::-1] or [str(folder / "empty")]


def _adopt_root(upper: Path, layers: Sequence[Path]) -> None:
    """Give the writable layer's own folder, which answers for `/` inside, the mode and owner that the image says."""
    listed = (info for layer in reversed(layers) if (info := layer.stat()).st_mtime_ns != overlay.UNLISTED)
    if (root := next(listed, None)) is None:
        upper.chmod(0o755)
    else:
        os.chown(upper, root.st_uid, root.st_gid)
        upper.chmod(stat.S_IMODE(root.st_mode))


def _opened(volume: Volume, rootless: bool) -> Path:
    """The files of a volume; made the first time."""
    data = volume.path.absolute() / "data"
    if not data.exists():
        overlay.unpack(volume.first, data, rootless=rootless)
    return data
