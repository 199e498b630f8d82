"""A plugin that keeps volumes: the requests `VolumeDriver.*` of Docker's plugin protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from minidocker.errors import NotFound
from minidocker.plugin import client, discovery

SHORT, LONG = 60.0, 120.0  # seconds: Docker's patience with an answer


class VolumeDriver:
    """A plugin that keeps volumes. All methods raise PluginError."""

    def __init__(self, plugin: discovery.Plugin, patience: float | None = None) -> None:
        self.plugin, self.name, self.patience = plugin, plugin.name, patience

    @classmethod
    def find(cls, root: Path, name: str, patience: float | None = None) -> VolumeDriver:
        """The one of a name. Raises NotFound in Docker's words."""
        try:
            plugin = discovery.find(root, name)
            if "VolumeDriver" not in client.activate(plugin, patience):
                raise NotFound(f"plugin {name} does not implement VolumeDriver")
        except NotFound as error:
            raise NotFound(f"error looking up volume plugin {name}: {error.explanation}") from None
        return cls(plugin, patience)

    @classmethod
    def every(cls, root: Path) -> Iterator[VolumeDriver]:
        """All that are enabled, whether they keep volumes or not: who does not, does not know the questions."""
        off = discovery.disabled(root)
        yield from (cls(plugin, patience=0) for plugin in discovery.every(root) if plugin.name not in off)

    def ask(self, method: str, timeout: float, **question: Any) -> dict[str, Any]:
        """Ask it something."""
        return client.ask(self.plugin, f"VolumeDriver.{method}", question, timeout, self.patience)

    def create(self, name: str, options: Mapping[str, str]) -> None:
        """Make a volume."""
        self.ask("Create", LONG, Name=name, Opts=dict(options))

    def remove(self, name: str) -> None:
        """Delete one."""
        self.ask("Remove", SHORT, Name=name)

    def mount(self, name: str, id: str) -> str:
        """Make it usable, for whoever has this id; the folder where it is then."""
        return str(self.ask("Mount", LONG, Name=name, ID=id).get("Mountpoint") or "")

    def unmount(self, name: str, id: str) -> None:
        """Whoever has this id needs it no more."""
        self.ask("Unmount", SHORT, Name=name, ID=id)

    def path(self, name: str) -> str:
        """The folder where it is, or will be."""
        return str(self.ask("Path", SHORT, Name=name).get("Mountpoint") or "")

    def get(self, name: str) -> dict[str, Any] | None:
        """What it knows of a volume; None where it has none of that name."""
        try:
            found = self.ask("Get", SHORT, Name=name).get("Volume")
        except client.Unknown:  # an old one
            return next((volume for volume in self.list() if volume["Name"] == name), None)
        return found if isinstance(found, dict) and found.get("Name") else None

    def list(self) -> list[dict[str, Any]]:
        """All that it has."""
        found = self.ask("List", SHORT).get("Volumes") or []
        return [each for each in found if isinstance(each, dict) and isinstance(each.get("Name"), str)]

    def scope(self) -> str:
        """`local`, or `global` where all machines have the same volumes."""
        with suppress(client.PluginError):
            said = self.ask("Capabilities", SHORT).get("Capabilities")
            if isinstance(said, dict) and said.get("Scope") == "global":
                return "global"
        return "local"
