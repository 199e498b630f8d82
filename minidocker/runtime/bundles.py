"""Containers that a runtime of others starts, from a bundle of ours: the engine's side.

All else is as in `namespaces`: the launcher, the monitor's state and log, the files, what is run inside later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minidocker.errors import Unsupported
from minidocker.runtime import Box
from minidocker.runtime.capabilities import mask
from minidocker.runtime.namespaces import Namespaces
from minidocker.runtime.oci import config


class Bundles(Namespaces):
    """runc, or crun."""

    def __init__(self, name: str, program: str, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.name, self.program = name, program

    def no_bridge(self, folder: str) -> str:
        """Why a container cannot be connected to others by the networks of a folder; empty where it can."""
        if self.rootless:
            return f"{self.name} without root makes user namespaces of its own, which no switch has power over"
        return super().no_bridge(folder)

    def _prepare(self, box: Box) -> dict[str, Any]:
        about = super()._prepare(box)
        made = config(box, about["userns"])
        if not about["userns"]:
            held = about["security"]["capabilities"]
            for names in made["process"]["capabilities"].values():
                names[:] = [name for name in names if mask([name]) & held]
        if not self.rootless:
            made["linux"] |= {"cgroupsPath": about["cgroup"]["name"]}
        elif box.limits:
            raise Unsupported(
                f"{self.name} cannot limit what is started without root: leave out {', '.join(box.limits)}"
            )
        return about | {"bundle": {"name": self.name, "program": self.program, "config": made}}
