"""What `RUN --mount=type=cache` keeps from build to build.

    cache/mounts/lock           held for a moment by whoever chooses a folder here, or removes one
    cache/mounts/<key>.<n>/     one cache; where two may not share, the second gets the next number
        lock                    held by each RUN that has it, shared or alone
        info.json               what it is for, when it was made, how often it was used
        data/  upper/           the files, as the runtime keeps them

What it holds is no part of any image, nor of a step's key: a build must come out the same without it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from minidocker.content import FileLock, read_json, temp_path, write_json
from minidocker.times import now
from minidocker.volume.local import delete, size_of

TYPE = "exec.cachemount"
POLL = 0.05  # seconds between two looks whether a cache that somebody has alone is free


@contextlib.contextmanager
def taken(root: Path, key: str, sharing: str, why: str, check: Callable[[], None]) -> Iterator[Path]:
    """Have the cache of this key: `shared` with others, `locked` after them, or a `private` one beside theirs.

    `check` is called while one waits, and may raise.
    """
    root.mkdir(parents=True, exist_ok=True)
    while True:
        with FileLock(root / "lock"):
            path, lock = _choose(root, key, sharing)
            if lock is not None:
                _note(path, why)
                break
        check()
        time.sleep(POLL)
    try:
        yield path
    finally:
        lock.release()


def _choose(root: Path, key: str, sharing: str) -> tuple[Path, FileLock | None]:
    """The first folder that one may have; a new one, unless one has to wait for those that there are."""
    number = 0
    while (path := root / f"{key}.{number}").exists():
        lock = FileLock(path / "lock", shared=sharing == "shared")
        if lock.acquire(blocking=False):
            return path, lock
        number += 1
    if number and sharing == "locked":
        return path, None
    path.mkdir()
    lock = FileLock(path / "lock", shared=sharing == "shared")
    lock.acquire()
    return path, lock


def _note(path: Path, why: str) -> None:
    """Write down that a cache is used once more."""
    try:
        info = read_json(path / "info.json")
    except (OSError, ValueError):
        info = {"Description": why, "CreatedAt": now(), "UsageCount": 0}
    info |= {"LastUsedAt": now(), "UsageCount": info["UsageCount"] + 1}
    write_json(path / "info.json", info, sync=False)


def usage(root: Path) -> list[dict[str, Any]]:
    """The caches as `docker system df` and `docker builder du` have them."""
    found = []
    for path in sorted(root.glob("*.*/")) if root.is_dir() else ():
        with contextlib.suppress(OSError, ValueError, KeyError):
            info = read_json(path / "info.json")
            own = FileLock(path / "lock")
            if free := own.acquire(blocking=False):
                own.release()
            about = {"ID": path.name, "Parent": "", "Type": TYPE, "Description": info["Description"]}
            about |= {"InUse": not free, "Shared": False, "Size": size_of([path / "data", path / "upper"])}
            found.append(about | {name: info[name] for name in ("CreatedAt", "LastUsedAt", "UsageCount")})
    return found


def prune(root: Path, keep: Callable[[Mapping[str, Any]], bool] = lambda record: False) -> dict[str, int]:  # noqa: ARG005
    """Delete the caches that nobody uses just now, but for those to `keep`; id -> bytes that went."""
    gone = {}
    for record in usage(root):
        if not keep(record) and _removed(root, root / record["ID"]):
            gone[record["ID"]] = record["Size"]
    return gone


def _removed(root: Path, path: Path) -> bool:
    """Delete a cache, unless somebody has it."""
    away = temp_path(root / "gone")
    with FileLock(root / "lock"):
        lock = FileLock(path / "lock")
        try:
            if not lock.acquire(blocking=False):
                return False
            lock.release()  # nobody else can take it before we let go of the lock above
            path.rename(away)
        except FileNotFoundError:
            return False
    delete(away)
    return True
