"""Volumes: folders that outlive containers, and what mounts them; `docker volume`."""

from minidocker.volume.volume import Volume
from minidocker.volume.volumes import Volumes

__all__ = ["Volume", "Volumes"]
