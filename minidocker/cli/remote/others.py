"""The volumes and networks of a daemon, as our commands know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidocker.cli.remote import Api


class Volumes:
    """All volumes."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.warnings: list[str] = []

    def create(self, name: str | None, driver: str, options: Any, labels: Any) -> Volume:
        """Make one."""
        return Volume(self.api.create_volume(name or "", driver, options, labels))

    def list(self, filters: Mapping[str, Any] | None = None) -> list[Volume]:
        """Those that are listed."""
        found = self.api.volumes(dict(filters or {}))
        self.warnings = found.get("Warnings") or []
        return sorted(map(Volume, found["Volumes"] or []), key=lambda volume: volume.name)

    def get(self, name: str) -> Volume:
        """The one of a name. Raises NotFound."""
        return Volume(self.api.inspect_volume(name))

    def remove(self, name: str, force: bool = False) -> None:
        """Remove it."""
        self.api.remove_volume(name, force=force)

    def prune(self, filters: Mapping[str, Any] | None = None) -> Any:
        """Remove those that nobody uses. `all` is of API 1.42; before that, all of them are meant anyway."""
        given = {key: value for key, value in (filters or {}).items() if key != "all" or self._since_1_42()}
        return self.api.prune_volumes(given)

    def _since_1_42(self) -> bool:
        return tuple(map(int, self.api._version.split("."))) >= (1, 42)


class Volume:
    """One volume."""

    def __init__(self, attrs: dict[str, Any]) -> None:
        self.attrs = self.record = attrs
        self.name, self.driver, self.mountpoint = attrs["Name"], attrs["Driver"], attrs["Mountpoint"]
        self.labels = attrs.get("Labels") or {}


class Networks:
    """All networks."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def create(self, name: str, **options: Any) -> Network:
        """Make one."""
        options["check_duplicate"] = True
        made = self.api.create_network(name, **{key: value for key, value in options.items() if value is not None})
        return self.get(made["Id"])

    def list(self, filters: Mapping[str, Any] | None = None) -> list[Network]:
        """Those that are listed."""
        found = [Network(self.api, one) for one in self.api.networks(filters=dict(filters or {}))]
        return sorted(found, key=lambda network: network.name)

    def get(self, name: str) -> Network:
        """The one of a name or id. Raises NotFound."""
        return Network(self.api, self.api.inspect_network(name))

    def prune(self, filters: Mapping[str, Any] | None = None) -> Any:
        """Remove those that nobody is on."""
        return {"NetworksDeleted": None} | self.api.prune_networks(dict(filters or {}))


class Network:
    """One network."""

    def __init__(self, api: Api, attrs: dict[str, Any]) -> None:
        self.api, self.attrs, self.id, self.name = api, attrs, attrs["Id"], attrs["Name"]
        self.driver, self.internal = attrs["Driver"], attrs["Internal"]
        self.record = attrs | {"Labels": attrs.get("Labels") or {}}

    @property
    def short_id(self) -> str:
        """Twelve digits."""
        return str(self.id)[:12]

    def connect(self, container: str, **options: Any) -> None:
        """Bring a container onto it."""
        given = {key: value for key, value in options.items() if value}
        self.api.connect_container_to_network(container, self.id, **given)

    def disconnect(self, container: str, force: bool = False) -> None:
        """Take a container off it."""
        self.api.disconnect_container_from_network(container, self.id, force=force)

    def remove(self) -> None:
        """Remove it."""
        self.api.remove_network(self.id)
