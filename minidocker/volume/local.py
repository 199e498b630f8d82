"""The driver `local`: a volume is a folder of ours, or with options what mount(8) would mount for it.

    type=none,o=bind,device=/srv/data    a folder of this machine
    type=tmpfs,device=tmpfs,o=size=1m    memory: all that run have the same; empty again after the last one

Other file systems (nfs, cifs, ext4…) are refused by name: to mount them is the machine's business, not a container's.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from minidocker.errors import InvalidArgument, Unsupported

DRIVER = "local"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
BINDS, WORDS = ("bind", "rbind"), ("rw", "ro", "bind", "rbind")


def check_name(name: str) -> None:
    """Raise InvalidArgument in Docker's words for what cannot be a volume's name."""
    if len(name.encode()) == 1:
        short = "volume name is too short, names should be at least two alphanumeric characters"
        raise InvalidArgument(f"create {name}: {short}")
    if not NAME.fullmatch(name):
        wrong = f'"{name}" includes invalid characters for a local volume name'
        advice = "If you intended to pass a host directory, use absolute path"
        raise InvalidArgument(f'create {name}: {wrong}, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. {advice}')
    if len(name) > 255:
        raise InvalidArgument(f"create {name}: file name too long")


def check_options(name: str, options: Mapping[str, str]) -> None:
    """Raise InvalidArgument for options that the driver has not, Unsupported for what cannot be mounted here."""
    for key in options:
        if key not in (*NEEDS, "size"):
            raise InvalidArgument(f'create {name}: invalid option: "{key}"')
    if "size" in options:
        raise InvalidArgument(f"create {name}: quota size requested but no quota support")
    for key, needed in NEEDS.items():
        if missing := [other for other in needed if key in options and not options.get(other)]:
            raise InvalidArgument(f'create {name}: missing required option: "{missing[0]}"')
    if not options or options["type"] == "tmpfs":
        return
    words = [word for word in options.get("o", "").split(",") if word]
    if not set(words) & set(BINDS):
        raise Unsupported(
            f"create {name}: minidocker does not mount {options['type']!r}: mount it yourself, and use "
            "type=none,o=bind,device=/the/folder"
        )
    if others := [word for word in words if word not in WORDS]:
        raise Unsupported(f"create {name}: minidocker does not have the mount option {others[0]!r}; leave it out")


def shown(options: Mapping[str, str] | None, folder: Path) -> dict[str, Any]:
    """What a volume is to a runtime: `folder` (and `read_only`), or the options of a tmpfs as `memory`."""
    options = options or {}
    if options.get("type") == "tmpfs":
        return {"memory": options.get("o", "")}
    if options:
        return {"folder": options["device"], "read_only": "ro" in options.get("o", "").split(",")}
    return {"folder": str(folder)}


def is_empty(folder: Path) -> bool:
    """Whether nothing is in a folder; one that only a container's user may look into was used before."""
    try:
        with os.scandir(folder) as found:
            return next(found, None) is None
    except OSError:
        return False


def size_of(folders: Iterable[Path]) -> int:
    """Bytes of all files in folders, each file counted once."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for above, _, files in os.walk(folder):
            for each in files:
                with suppress(OSError):
                    info = os.lstat(os.path.join(above, each))  # noqa: PTH118 - there may be very many
                    seen[info.st_dev, info.st_ino] = info.st_size
    return sum(seen.values())


def delete(path: Path) -> None:
    """Delete a tree, whatever the modes in it say."""
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        from minidocker.runtime.discarding import discard

        discard(path)
