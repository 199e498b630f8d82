"""One network: what `docker network inspect` says of it, and who is on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.drawn import Drawn
from minidocker.errors import APIError
from minidocker.network import names

if TYPE_CHECKING:
    from minidocker.network.networks import Networks

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}  # name -> driver


class Forbidden(APIError):
    """What Docker does not allow with this network: status 403."""

    status_code = 403


class Network(Drawn):
    """A network. Attributes and methods are those of Docker's SDK for Python."""

    def __init__(self, networks: Networks, record: dict[str, Any]) -> None:
        self.networks, self.record = networks, record
        self.id: str = record["Id"]

    @property
    def short_id(self) -> str:
        """The first twelve digits of the id."""
        return self.id[:12]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.record["Name"])

    @property
    def driver(self) -> str:
        """`bridge`, `host`, `null`, or the plugin that made it."""
        return str(self.record["Driver"])

    @property
    def bare(self) -> bool:
        """Whether it is `host` or `none`, on which nobody has an address."""
        return self.driver in ("host", "null")

    @property
    def foreign(self) -> bool:
        """Whether a plugin made it."""
        return self.driver not in PREDEFINED.values()

    @property
    def predefined(self) -> bool:
        """Whether it is one of the three that are always there."""
        return self.name in PREDEFINED

    @property
    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Container id -> its name, aliases and addresses here; of those that run."""
        if self.bare:
            return self.networks.users(self.name)
        found = self.record["Endpoints"]
        return {id: endpoint for id, endpoint in found.items() if self.networks.lives(id)}

    @property
    def row(self) -> dict[str, Any]:
        """What the API's listing has of it: all but who is on it."""
        return {key: value for key, value in self.record.items() if key not in ("Endpoints", "Asked")} | {
            "Containers": {}
        }

    @property
    def attrs(self) -> dict[str, Any]:
        """What `docker network inspect` prints."""
        shown = ("Name", "EndpointID", "MacAddress", "IPv4Address", "IPv6Address")
        containers = {id: {key: one[key] for key in shown} for id, one in self.endpoints.items()}
        told = dict(self.row)
        last = {key: told.pop(key) for key in ("Options", "Labels")}
        return told | {"Containers": containers} | last

    @property
    def containers(self) -> list[Any]:
        """The containers that run on it."""
        return [self.networks.container(id) for id in self.endpoints]

    @property
    def subnet(self) -> str:
        """Its range of addresses: `172.18.0.0/16`; empty for `host` and `none`."""
        return str(self._config.get("Subnet", ""))

    @property
    def subnets(self) -> list[str]:
        """That range, and of a network with an IPv6 one, that too."""
        return [entry["Subnet"] for entry in self.record["IPAM"]["Config"] or ()]

    @property
    def gateway(self) -> str:
        """The address of the switch itself."""
        return str(self._config.get("Gateway", "")).partition("/")[0]

    @property
    def internal(self) -> bool:
        """Whether there is no way out of it."""
        return bool(self.record["Internal"])

    @property
    def _config(self) -> Mapping[str, Any]:
        return next(iter(self.record["IPAM"]["Config"] or ()), {})

    def table(self) -> dict[str, list[str]]:
        """Name -> addresses: what the name server answers on it. The default network has no names."""
        return {} if self.predefined else names.table(self.endpoints.values())

    def connect(
        self,
        container: Any,
        aliases: list[str] | None = None,
        links: Any = None,
        ipv4_address: str | None = None,
        ipv6_address: str | None = None,
        link_local_ips: list[str] | None = None,
        driver_opt: Mapping[str, str] | None = None,
        mac_address: str | None = None,
        gw_priority: int = 0,
    ) -> None:
        """Connect a container, by name, id or itself, whether it runs or not. Raises NotFound, Forbidden."""
        asked = {
            "IPAMConfig": {
                key: value
                for key, value in (
                    ("IPv4Address", ipv4_address),
                    ("IPv6Address", ipv6_address),
                    ("LinkLocalIPs", link_local_ips),
                )
                if value
            },
            "Links": links,
            "Aliases": aliases,
            "MacAddress": mac_address or "",
            "DriverOpts": driver_opt,
            "GwPriority": gw_priority,
        }
        self.networks.container(container).connect_to(self, asked)

    def disconnect(self, container: Any, force: bool = False) -> None:
        """Take a container off it."""
        self.networks.container(container).disconnect_from(self, force)

    def remove(self) -> None:
        """Delete it. Raises Forbidden while containers run on it."""
        self.networks.remove(self)

    def reload(self) -> None:
        """Read it again."""
        self.record = self.networks.read(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Network: {self.short_id}>"
