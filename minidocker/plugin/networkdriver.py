"""A plugin that makes networks: the requests `NetworkDriver.*` of Docker's (libnetwork's remote) plugin protocol.

The engine gives addresses and names; the plugin makes an interface on the host for each container that joins, and the
switch moves that into the container. https://github.com/moby/moby/blob/master/libnetwork/docs/remote.md
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from minidocker.errors import NotFound
from minidocker.plugin import client, discovery

PATIENCE = 60.0  # seconds that an answer may take
INTERFACE = re.compile(r"[^\s/:]{1,15}")
NEXT_HOP = 0  # the type of a route through somebody; the others lead to the network itself
Record = Mapping[str, Any]


class NetworkDriver:
    """A plugin that makes networks. All methods raise PluginError."""

    def __init__(self, plugin: discovery.Plugin, patience: float | None = None) -> None:
        self.plugin, self.patience = plugin, patience

    @classmethod
    def find(cls, root: Path, name: str, patience: float | None = None) -> NetworkDriver:
        """The one of a name. Raises NotFound in Docker's words."""
        plugin = discovery.find(root, name)
        if "NetworkDriver" not in client.activate(plugin, patience):
            raise NotFound(f'plugin "{name}" does not implement NetworkDriver')
        return cls(plugin, patience)

    def ask(self, method: str, **question: Any) -> dict[str, Any]:
        """Ask it something."""
        return client.ask(self.plugin, f"NetworkDriver.{method}", question, PATIENCE, self.patience)

    def create(self, network: Record) -> None:
        """Make a network; its range of addresses is known by now."""
        if (scope := self.ask("GetCapabilities").get("Scope")) not in ("local", "global"):
            raise client.PluginError(f"plugin {self.plugin.name} says that its networks have the scope {scope!r}")
        generic = {"com.docker.network.generic": dict(network["Options"])}
        options = generic | {
            "com.docker.network.enable_ipv6": False,
            "com.docker.network.internal": network["Internal"],
        }
        pools = [_pool(config) for config in network["IPAM"]["Config"]]
        self.ask("CreateNetwork", NetworkID=network["Id"], Options=options, IPv4Data=pools, IPv6Data=[])

    def remove(self, network: str) -> None:
        """Delete one."""
        self.ask("DeleteNetwork", NetworkID=network)

    def join(self, network: str, endpoint: Record, key: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Have a container take its place, in the sandbox of this key; what its endpoint is besides: the interface on
        the host, and how it is called inside; the way out, and others. What was begun is undone where that fails.
        """
        ids = {"NetworkID": network, "EndpointID": endpoint["EndpointID"]}
        own = {"Address": endpoint["IPv4Address"], "AddressIPv6": "", "MacAddress": endpoint["MacAddress"]}
        told = self.ask("CreateEndpoint", **ids, Interface=own, Options=dict(options)).get("Interface") or {}
        try:
            said = self.ask("Join", **ids, SandboxKey=key, Options=dict(options))
            self.ask("EndpointOperInfo", **ids)
            return self._understood(endpoint, told, said)
        except BaseException:
            self.leave(network, endpoint)
            raise

    def leave(self, network: str, endpoint: Record) -> None:
        """A container gives up its place. That of a plugin that has gone is given up, too."""
        ids = {"NetworkID": network, "EndpointID": endpoint["EndpointID"]}
        for method in ("Leave", "DeleteEndpoint"):
            with suppress(client.PluginError):
                self.ask(method, **ids)

    def _understood(self, endpoint: Record, told: Record, said: Record) -> dict[str, Any]:
        """What a plugin answers is as hostile as all that comes from outside. Raises PluginError."""
        try:
            for key, ours in (("Address", endpoint["IPv4Address"]), ("MacAddress", endpoint["MacAddress"])):
                if told.get(key) and ours:
                    raise ValueError(f"endpoint interface {key} present ({ours}). Cannot be modified with {told[key]}")
            name = said.get("InterfaceName") or {}
            source, prefix = str(name.get("SrcName") or ""), str(name.get("DstPrefix") or "eth")
            if not INTERFACE.fullmatch(source) or not INTERFACE.fullmatch(f"{prefix}00"):
                raise ValueError(f"SrcName {source!r} or DstPrefix {prefix!r} names no interface")
            gateway = str(ipaddress.IPv4Address(said["Gateway"])) if said.get("Gateway") else ""
            routes = [_route(each) for each in said.get("StaticRoutes") or ()]
            mac = str(told.get("MacAddress") or endpoint["MacAddress"])
        except (ValueError, AttributeError, TypeError) as error:
            raise client.PluginError(
                f"plugin {self.plugin.name} answered something that is no endpoint: {error}"
            ) from None
        return {"MacAddress": mac, "Source": source, "Prefix": prefix, "Gateway": gateway, "Routes": routes}


def _pool(config: Mapping[str, Any]) -> dict[str, Any]:
    size = config["Subnet"].partition("/")[2]
    gateway = f"{config['Gateway'].partition('/')[0]}/{size}" if config.get("Gateway") else ""
    others = {name: f"{ip}/{size}" for name, ip in (config.get("AuxiliaryAddresses") or {}).items()}
    return {"AddressSpace": "LocalDefault", "Pool": config["Subnet"], "Gateway": gateway, "AuxAddresses": others}


def _route(asked: Mapping[str, Any]) -> list[str]:
    """Where to, and through whom: nobody where the network itself leads there."""
    where = str(ipaddress.IPv4Network(str(asked.get("Destination")), strict=False))
    through = asked.get("RouteType", NEXT_HOP) == NEXT_HOP
    return [where, str(ipaddress.IPv4Address(str(asked.get("NextHop"))))] if through else [where, ""]
