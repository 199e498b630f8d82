"""The volumes of a container whose program has ended: those who keep them are told. It imports little, for monitors."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from minidocker import journal


def volumes_of(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The mount points of a container that are volumes."""
    return [point for point in config.get("Mounts") or () if point["Type"] == "volume"]


def release(root: str, config: Mapping[str, Any]) -> None:
    """Write down that a container has its volumes mounted no more, and tell the plugins that keep some of them.

    A plugin that has gone is not waited for.
    """
    for point in volumes_of(config):
        if point["Driver"] != "local":
            from pathlib import Path

            from minidocker.errors import APIError
            from minidocker.plugin.volumedriver import VolumeDriver

            with suppress(APIError):
                VolumeDriver.find(Path(root), point["Driver"], patience=0).unmount(point["Name"], config["Id"])
        about = {"container": config["Id"], "driver": point["Driver"]}
        journal.append(root, "volume", "unmount", point["Name"], about)
