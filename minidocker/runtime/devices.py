"""Devices of the host for a container: which there are behind a path, and the rules of cgroups(7) that allow them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from minidocker.errors import StartError
from minidocker.runtime import Device


def found(asked: Iterable[Device]) -> Iterator[Device]:
    """Each device that is asked for by its own name; a folder is all the devices in it. Raises StartError."""
    for device in asked:
        path = Path(device.source)
        try:
            there = path.resolve(strict=True)
            inside = (Path(folder, name) for folder, _, names in os.walk(there) for name in names)
            nodes = [there] if is_device(there) else sorted(filter(is_device, inside))
            why, code = "not a device node", 125
        except (OSError, RuntimeError) as error:
            nodes, why = [], (getattr(error, "strerror", None) or str(error)).lower()
            code = 127 if isinstance(error, FileNotFoundError) else 125
        if not nodes:
            text = f'error gathering device information while adding custom device "{device.source}": {why}'
            raise StartError(text, exit_code=code)
        for node in nodes:
            target = device.target if node == there else f"{device.target.rstrip('/')}/{node.relative_to(there)}"
            yield replace(device, source=str(node), target=target)


def is_device(path: Path) -> bool:
    """Whether a path is a device itself, and no link to one."""
    mode = path.lstat().st_mode
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def rules(devices: Iterable[Device]) -> Iterator[str]:
    """What allows them: `c 10:232 rw`."""
    for device in devices:
        info = Path(device.source).stat()
        kind = "b" if stat.S_ISBLK(info.st_mode) else "c"
        yield f"{kind} {os.major(info.st_rdev)}:{os.minor(info.st_rdev)} {device.permissions}"
