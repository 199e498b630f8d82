"""`--rm`: a container whose program has ended is removed by its own monitor, whether there is an engine or not.

Whoever waits for it, or reads its log, holds `watch.lock`, and then it goes when they have done (`Containers.reap`).
"""

# ruff: noqa: PTH104, PTH108, PTH119, PTH120
from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from minidocker import journal
from minidocker.runtime import linux
from minidocker.runtime.discarding import discard
from minidocker.runtime.state import read_config


def auto_remove(path: str) -> None:
    """Remove a container that wants that, and that nobody watches; else do nothing. Its monitor lives still."""
    if not (read_config(path).get("HostConfig") or {}).get("AutoRemove"):
        return
    locks: list[int] = []
    root, id = os.path.split(os.path.dirname(path))[0], os.path.basename(path)
    gone = f"{root}/tmp/{id}.{os.getpid()}"
    try:
        for name in ("watch.lock", "start.lock"):
            locks.append(os.open(f"{path}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            linux.flock(locks[-1], wait=False)
        locks.append(os.open(f"{root}/.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        linux.flock(locks[-1])
        config = read_config(path)
        os.rename(path, gone)
        with suppress(FileNotFoundError):
            os.unlink(f"{root}/containers/names/{config['Name']}")
        os.close(locks.pop())
        journal.append_of(root, config, "destroy", {})
        discard(gone)
        if any(point["Type"] == "volume" for point in config.get("Mounts") or ()):
            remove_volumes(root, config)
    except (BlockingIOError, FileNotFoundError):
        return
    finally:
        for fd in locks:
            os.close(fd)


def remove_volumes(root: str, config: dict[str, Any]) -> None:
    """Remove the anonymous volumes of a container that has just gone."""
    from pathlib import Path

    from minidocker.content import Store
    from minidocker.volume import Volumes

    Volumes(Store(Path(root))).remove_anonymous(config["Mounts"])
