"""`docker commit`: a container's writable layer becomes one more layer, and so a new image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.logs import now

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.image import Image

KEPT = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
)


def commit(container: Container, message: str, author: str, changes: list[str], conf: Mapping[str, Any]) -> Image:
    """Make an image without a name. `changes` are Dockerfile lines (`CMD …`, `ENV …`), as `docker commit --change`."""
    from minidocker.build.config import apply_changes

    images, base = container.containers.images, container.image
    own = container.attrs["Config"]
    config = {key: own[key] for key in KEPT if own.get(key)} | {
        k: base.config[k] for k in KEPT[9:] if base.config.get(k)
    }
    config = apply_changes(config | dict(conf), changes)
    with images.store.keep():
        written = container.changes()
        line: dict[str, Any] = {"created": now(), "created_by": " ".join(own["Cmd"] or []), "comment": message}
        if author:
            line["author"] = author
        layers = list(base.layers)
        if written:
            layers.append(images.add_layer(written, line["created_by"]))
        else:
            line["empty_layer"] = True
        raw = {key: value for key, value in base.raw.items() if key not in ("rootfs", "container", "container_config")}
        history = [*(base.raw.get("history") or []), line]
        made = {"created": line["created"], "config": config, "history": history}
        return images.create(raw | made | ({"author": author} if author else {}), layers)
