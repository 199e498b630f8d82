"""`docker commit`: a container's writable layer becomes one more layer, and so a new image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minidocker.errors import APIError, Conflict
from minidocker.reference import Reference
from minidocker.times import now, rfc3339

if TYPE_CHECKING:
    from minidocker.container.container import Container
    from minidocker.image import Image

KEPT = "User ExposedPorts Env Entrypoint Cmd Healthcheck Volumes WorkingDir Labels StopSignal".split()
OF_IMAGE = ("Shell",)


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
    frozen = pause and _freeze(container)
    images = container.containers.images
    with images.store.keep():
        try:
            image = record(container, message or "", author or "", changes, conf)
            if name:
                images.tag(image, str(name))
            container.tell("commit", comment=message or "", imageID=image.id, imageRef=str(name or ""))
        finally:
            if frozen:
                with suppress(APIError):  # killed meanwhile
                    container.unpause()
    return image


def _freeze(container: Container) -> bool:
    """Let its processes stand still, where it runs: it may end at any moment."""
    if container.status != "running":
        return False
    try:
        container.pause()
    except Conflict:
        return False
    return container.status == "paused"


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
    made = {"created": line["created"], "config": config, "history": history}
    return images.create(raw | made | ({"author": author} if author else {}), layers)
