"""The journal of a root folder: what happened to its containers and images, as Docker's events.

    events/journal.jsonl        one event a line, in the JSON of the Engine API's `GET /events`
    events/journal.old.jsonl    those before them, once a file has become too large

Whoever does a thing writes it down: an engine, or a container's monitor where there is none. The order of the lines is
the order in which things were written down, whatever the clocks say. It imports little, for the monitors' sake.
"""

# ruff: noqa: PTH102, PTH105, PTH116
from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

LIMIT = 1 << 20  # bytes of one file; there are two
NAME, OLD = "journal.jsonl", "journal.old.jsonl"


def append(root: str, kind: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
    """Write down an event. A journal that cannot be written (a full disk) keeps nobody from their work.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     append(root, "image", "tag", "sha256:1f2e", {"name": "app:1"})
    ...     [json.loads(line)["Actor"] for line in open(f"{root}/events/{NAME}")]
    [{'ID': 'sha256:1f2e', 'Attributes': {'name': 'app:1'}}]
    """
    with suppress(OSError):
        fd = _open(f"{root}/events")
        try:
            _write(fd, f"{root}/events", event(kind, action, id, attributes))
        finally:
            os.close(fd)


def event(kind: str, action: str, id: str, attributes: Mapping[str, str]) -> dict[str, Any]:
    """An event of this moment. `status`, `id` and `from` say the same again, for clients of long ago."""
    moment = time.time_ns()
    old = {"status": action, "id": id} if kind in ("container", "image") else {}
    return {
        **old,
        **({"from": attributes["image"]} if kind == "container" and attributes.get("image") else {}),
        "Type": kind,
        "Action": action,
        "Actor": {"ID": id, "Attributes": dict(attributes)},
        "scope": "local",
        "time": moment // 10**9,
        "timeNano": moment,
    }


def append_of(root: str, config: Mapping[str, Any], action: str, attributes: Mapping[str, str]) -> None:
    """Write down an event of the container that has this `config.json`: its labels, image and name go with it."""
    own = config["Config"]
    about = {**attributes, **(own.get("Labels") or {}), "image": own["Image"], "name": config["Name"]}
    append(root, "container", action, config["Id"], about)


def _open(folder: str) -> int:
    """The journal, locked; one that somebody moves away while we wait for the lock is not it any more."""
    while True:
        try:
            fd = os.open(
                f"{folder}/{NAME}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600
            )
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)  # fails where there is no root folder any more
            continue
        with suppress(ImportError):
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(f"{folder}/{NAME}")):
                return fd
        os.close(fd)


def _write(fd: int, folder: str, what: Mapping[str, Any]) -> None:
    line, size = json.dumps(what).encode() + b"\n", os.fstat(fd).st_size
    if os.write(fd, line) < len(line):
        os.ftruncate(fd, size)  # the disk is full: no half lines
    elif size + len(line) > LIMIT:
        os.replace(f"{folder}/{NAME}", f"{folder}/{OLD}")
