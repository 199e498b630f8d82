"""`docker commit`: a container's writable layer becomes one more layer, and so a new image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from minidocker.content import FileLock
from minidocker.errors import APIError, Conflict
from minidocker.reference import Reference
from minidocker.times import now, rfc3339

if TYPE_CHECKING:
    from minidocker.container.container import Container
    from minidocker.image import Image

KEPT = "User ExposedPorts Env Entrypoint Cmd Healthcheck Volumes WorkingDir Labels StopSignal".split()
OF_IMAGE = ("Shell",)
NOTE = "still"  # a file beside a container that a commit has paused


def commit(
    container: Container,
    repository: str | None,
    tag: str | None,
    message: str | None,
    author: str | None,
    pause: bool,
    changes: list[str],
    conf: Mapping[str, Any],
) -> Image:
    """Make an image; its processes stand still meanwhile. `changes` are Dockerfile lines (`CMD …`, `ENV …`)."""
    name = Reference.parse(f"{repository}:{tag}" if tag else repository) if repository else None
    images = container.containers.images
    with images.store.keep(), _still(container) if pause else nullcontext():
        image = record(container, message or "", author or "", changes, conf)
        if name:
            images.tag(image, str(name))
        container.tell("commit", comment=message or "", imageID=image.id, imageRef=str(name or ""))
    return image


@contextmanager
def _still(container: Container) -> Iterator[None]:
    """Pause it, where it runs, for as long as the block runs. A note tells whose doing that is."""
    with container.locked("still.lock"):
        _let_go_on(container)
        frozen = _freeze(container)
        try:
            yield
        finally:
            if frozen:
                with suppress(APIError):  # killed meanwhile
                    container.unpause()
                (container.path / NOTE).unlink(missing_ok=True)


def thaw(container: Container) -> None:
    """Let it go on where a commit paused it, and was killed."""
    if (container.path / NOTE).exists():
        lock = FileLock(container.path / "still.lock")
        if lock.acquire(blocking=False):
            try:
                _let_go_on(container)
            finally:
                lock.release()


def _let_go_on(container: Container) -> None:
    note = container.path / NOTE
    if note.exists():
        if container.status == "paused":
            container.unpause()
        note.unlink(missing_ok=True)


def _freeze(container: Container) -> bool:
    """Let its processes stand still, where it runs: it may end at any moment."""
    if container.status != "running":
        return False
    note = container.path / NOTE
    with suppress(Conflict, FileNotFoundError):  # somebody else pauses it, or it has gone
        note.touch()
        container.pause()
        if container.status == "paused":
            return True
    note.unlink(missing_ok=True)
    return False


def record(container: Container, message: str, author: str, changes: list[str], conf: Mapping[str, Any]) -> Image:
    """Make an image without a name; its history line tells the command and the message.

    With `SOURCE_DATE_EPOCH` its times are that one, as in a build, so that what is committed twice is one image.
    """
    from minidocker.build.config import apply_changes

    images, base = container.containers.images, container.image
    own = container.config["Config"]
    config = {key: own[key] for key in KEPT if own.get(key)}
    config |= {key: base.config[key] for key in OF_IMAGE if base.config.get(key)}
    config = apply_changes(config | dict(conf), changes)
    written = container.changes()
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    clamp = int(epoch) if epoch.isdigit() else None
    moment = now() if clamp is None else rfc3339(clamp * 10**9)
    line: dict[str, Any] = {"created": moment, "created_by": " ".join(own["Cmd"] or []), "comment": message}
    layers = list(base.layers)
    if author:
        line["author"] = author
    if written:
        layers.append(images.add_layer(written, line["created_by"], clamp))
    else:
        line["empty_layer"] = True
    raw = {key: value for key, value in base.raw.items() if key not in ("rootfs", "container", "container_config")}
    history = [*(base.raw.get("history") or []), line]
    made: dict[str, Any] = {"created": line["created"], "config": config, "history": history}
    if clamp is None:  # as Docker; what shall repeat does not say of which container it is
        made |= {"container": container.id, "container_config": {key: own.get(key) for key in (*KEPT, "Image")}}
    return images.create(raw | made | ({"author": author} if author else {}), layers)
