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

from minidocker.layer import Changeset, directories, view
from minidocker.runtime import Bind, Device, LayerLike, Mount, Secret, Tmpfs, Volume, overlay
from minidocker.runtime.probe import OVERLAY, VFS
from minidocker.tree import parents


def describe(mount: Mount, folder: Path, rootless: bool, storage: str = OVERLAY) -> dict[str, Any]:
    """Make what a mount needs on the host, and say what it is. `storage` is how layers become one file system."""
    about = {"target": mount.target, "read_only": getattr(mount, "read_only", True), "inside": "", "source": ""}
    if isinstance(mount, Bind):
        below = {"recursive": mount.recursive, "deep": mount.deep}
        return about | {"kind": "bind", "source": mount.source, "inside": mount.inside, **below}
    if isinstance(mount, Tmpfs):
        options = ",".join(filter(None, [f"size={mount.size}" if mount.size else "", mount.options]))
        flags = sum(FLAGS[flag] for flag in mount.flags)
        return about | {"kind": "tmpfs", "options": options, "flags": flags, "volume": mount.volume}
    if isinstance(mount, Volume):
        return about | {"kind": "bind", "source": str(_opened(mount, rootless)), "inside": mount.source}
    folder.mkdir(parents=True, exist_ok=True)
    about["source"] = str(folder)
    if isinstance(mount, Secret):
        content = base64.b64encode(mount.content).decode()
        who = {"uid": mount.uid, "gid": mount.gid, "mode": mount.mode}
        return about | {"kind": "secret", "inside": "/secret", "content": content} | who
    lower = writable(folder, mount.layers, storage, rootless)
    return about | {"kind": "snapshot", "inside": mount.source, "layers": lower}


FLAGS = {"nosuid": 2, "nodev": 4, "noexec": 8, "sync": 16, "mand": 64, "dirsync": 128, "noatime": 1 << 10}
FLAGS |= {"nodiratime": 1 << 11, "relatime": 1 << 21, "strictatime": 1 << 24}  # as in mount(2)


def describe_device(device: Device) -> dict[str, Any]:
    """Say the same of a device of the host's."""
    return {"kind": "device", "source": device.source, "target": device.target, "read_only": False, "inside": ""}


def kept(folder: Path, otherwise: str = OVERLAY) -> str:
    """By which means the writable layer in a folder was made: it has the signs of that one, and of no other."""
    if not (folder / "upper").exists():
        return otherwise
    try:
        return (folder / "storage").read_text()
    except FileNotFoundError:
        return OVERLAY


def writable(folder: Path, wanted: Sequence[LayerLike], storage: str = OVERLAY, rootless: bool = False) -> list[str]:
    """Make a writable layer in a folder, for a union over these layers; return the lower directories.

    The kernel takes no directory twice; of equal layers, the uppermost says all that the lower ones said. Where only
    copies are possible (`vfs`), the writable layer has all of the files, and there are no lower directories.
    """
    fresh = not (folder / "upper").exists()
    if fresh and storage != OVERLAY:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "storage").write_text(storage)
    if storage == VFS:
        if fresh:
            overlay.unpack(whole(wanted), folder / "upper", rootless=rootless)
        return []
    layers = [layer.path().absolute() for layer in wanted]
    if fresh:
        (folder / "upper").mkdir(parents=True)
        _adopt_root(folder / "upper", layers)
        if any(map(overlay.implies, layers)):
            overlay.apply(_implied(wanted), str(folder / "upper"), rootless=rootless)
    for name in ("work",) if layers else ("work", "empty"):
        (folder / name).mkdir(exist_ok=True)
    return [str(layer) for layer in dict.fromkeys(reversed(layers))][::-1] or [str(folder / "empty")]


def whole(layers: Sequence[LayerLike]) -> Changeset:
    """All that is seen through layers, as one."""
    return Changeset(view(tuple(layer.changes for layer in layers)))


def _implied(layers: Sequence[LayerLike]) -> Changeset:
    """The folders that some layer implies and does not list, as the layers below have them: overlays take them from
    the uppermost layer, listed or not.
    """
    seen = whole(layers)
    paths = {path for layer in layers for path in directories(layer.changes) - layer.changes.keys() if path != "/"}
    paths |= {up for path in paths for up in parents(path)} - {"/"}
    return Changeset({path: entry for path in paths if (entry := seen.get(path)) and entry.is_dir})


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
