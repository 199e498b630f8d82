"""The networks of one store: made, found, listed, pruned; and the addresses that they give.

networks/<id>.json    what a network is, and the endpoint of each container that runs on it
networks/<id>.visit   held by a RUN of a build for as long as it is on a network
networks/.lock        held by whoever changes one

An endpoint counts for as long as its container runs (or is being started), so one that was killed gives its address
back by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.content import FileLock, Store, glance, read_json, write_json
from minidocker.errors import APIError, Conflict, InvalidArgument, NotFound, Unsupported
from minidocker.filters import texts
from minidocker.network import bridge, pool
from minidocker.network.bridge import BRIDGE
from minidocker.network.filters import network_filter, prune_filter
from minidocker.network.network import PREDEFINED, Forbidden, Network
from minidocker.times import now

if TYPE_CHECKING:
    from minidocker.plugin.networkdriver import NetworkDriver

Found = list[Network]  # `list` itself is a method of Docker's
DEFAULTS = {  # the options of the default network, as Docker shows them
    BRIDGE + "default_bridge": "true",
    BRIDGE + "enable_icc": "true",
    BRIDGE + "enable_ip_masquerade": "true",
    BRIDGE + "host_binding_ipv4": "0.0.0.0",
    BRIDGE + "name": "docker0",
    "com.docker.network.driver.mtu": "1500",
}


class Networks:
    """The networks of one store. `find` gives the container of a name or id; `lives` says whether one of an id runs."""

    def __init__(self, store: Store, find: Callable[[Any], Any], lives: Callable[[str], bool]) -> None:
        self.store, self.container = store, find
        self.lives: Callable[[str], bool] = lambda id: lives(id) or self._visits(id)
        self.users: Callable[[str], dict[str, dict[str, Any]]] = lambda name: {}  # noqa: ARG005 - of `host` and `none`
        self.folder = store.root / "networks"
        self._founded = False

    # Making

    def create(
        self,
        name: str,
        driver: str | None = None,
        options: Mapping[str, Any] | None = None,
        ipam: Mapping[str, Any] | None = None,
        check_duplicate: bool | None = None,
        internal: bool = False,
        labels: Mapping[str, str] | None = None,
        enable_ipv6: bool = False,
        attachable: bool | None = None,
        scope: str | None = None,
        ingress: bool | None = None,
    ) -> Network:
        """Make a network. Raises Conflict (the name is in use), Forbidden, InvalidArgument, Unsupported, NotFound.

        `ipam` is the API's: `{"Driver": "default", "Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}]}`.
        """
        asked = (ipam or {}).get("Config") or ()
        own = {str(key): str(value) for key, value in (options or {}).items()}
        _check(name, enable_ipv6, scope, ingress, ipam or {})
        _check_driver(driver or "bridge")
        plugin = self._driver(driver) if driver and driver != "bridge" else None
        if plugin and enable_ipv6:
            raise Unsupported("networks of plugins have IPv4 addresses only here; leave --ipv6 out")
        with self._locked():
            known = self._all()
            if name in known:
                raise Conflict(f"network with name {name} already exists")
            id = os.urandom(32).hex()
            if not plugin:
                bridge.check(own, id, [one.record for one in known.values() if one.driver == "bridge"])
            taken = [subnet for network in known.values() for subnet in network.subnets]
            record = _record(name, driver or "bridge", pool.config(asked, taken)) | {
                "Id": id,
                "EnableIPv6": bool(enable_ipv6),
                "Internal": bool(internal),
                "Attachable": bool(attachable),
                "Options": own,
                "Labels": dict(labels or {}),
                "Asked": any(entry.get("Subnet") for entry in asked if ":" not in entry["Subnet"]),
            }
            record["IPAM"]["Options"] = (ipam or {}).get("Options")
            if plugin:
                plugin.create(record)
            self._write(record, lasting=True)
        self.tell("create", record)
        return Network(self, record)

    # Finding

    def get(self, network_id: str) -> Network:
        """The network of a name, an id or the start of an id. Raises NotFound."""
        known = self._known()
        exact = [network for network in known.values() if network_id in (network.id, network.name)]
        found = exact or [network for network in known.values() if network_id and network.id.startswith(network_id)]
        if len(found) > 1:
            words = f"network {network_id} is ambiguous ({len(found)} matches found on ID prefix)"
            raise InvalidArgument(words)
        if not found:
            raise NotFound(f"network {network_id} not found")
        return found[0]

    def list(
        self,
        names: Iterable[str] | None = None,
        ids: Iterable[str] | None = None,
        filters: Mapping[str, Any] | None = None,
        greedy: bool = False,
    ) -> Found:
        """Networks by name. Filters: driver, id, label, name, scope, type (custom, builtin), dangling."""
        wanted = {key: texts(value) for key, value in (filters or {}).items()}
        wanted |= {key: texts(value) for key, value in (("name", names), ("id", ids)) if value}
        tests = [network_filter(key, values) for key, values in wanted.items()]
        return [network for _, network in sorted(self._known().items()) if all(test(network) for test in tests)]

    def prune(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove all that somebody made and no container runs on. Filters: label, until."""
        tests = [prune_filter(key, texts(value)) for key, value in (filters or {}).items()]
        gone = []
        for network in self.list(filters={"dangling": True}):
            if all(test(network) for test in tests):
                self.remove(network)
                gone.append(network.name)
        self.store.tell("network", "prune", "", {"reclaimed": "0"})
        return {"NetworksDeleted": gone or None}

    def read(self, id: str) -> dict[str, Any]:
        """What is written of a network. Raises NotFound."""
        try:
            record: dict[str, Any] = read_json(self._path(id))
        except FileNotFoundError:
            raise NotFound(f"network {id} not found") from None
        return record

    def named(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a container with names where they name networks by ids; those that there are not, stay."""
        found = dict(options)
        for option in ("network", "network_mode"):
            text = str(found.get(option) or "")
            if text and text not in ("default", *PREDEFINED) and ":" not in text:
                try:
                    found[option] = self.get(text).name
                except NotFound:
                    continue
                config = dict(found.get("networking_config") or {})
                if text != found[option] and text in config:
                    found["networking_config"] = config | {found[option]: config.pop(text)}
        return found

    # Who is on them

    def join(self, network: Network, id: str, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Give a container its endpoint: an id, an address, names. Raises APIError where the address cannot be had."""
        with self._locked():
            network.reload()
            before = network.record["Endpoints"]
            network.record["Endpoints"] = others = {
                other: endpoint for other, endpoint in network.endpoints.items() if other != id
            }
            self._release(network.record, [gone for other, gone in before.items() if other not in others])
            endpoint = _endpoint(
                network, name, asked, {one["IPv4Address"].partition("/")[0] for one in others.values()}
            )
            others[id] = endpoint
            self._write(network.record)
        if network.foreign:
            self._join_foreign(network, id, endpoint, asked)
        self.tell("connect", network.record, id)
        return endpoint

    def _join_foreign(self, network: Network, id: str, endpoint: dict[str, Any], asked: Mapping[str, Any]) -> None:
        """Have the plugin that made a network take in a container whose endpoint is written down, and write more."""
        options = {"com.docker.network.generic": asked.get("DriverOpts") or {}}
        key = str(self.store.root / "containers" / id)
        try:
            more = self._driver(network.driver).join(network.id, endpoint, key, options)
        except BaseException:
            with self._locked():
                network.reload()
                network.record["Endpoints"].pop(id, None)
                self._write(network.record)
            raise
        used = asked.get("Interfaces") or ()
        names = (f"{more['Prefix']}{number}" for number in range(len(used) + 1))
        endpoint.update(more, Interface=next(name for name in names if name not in used))
        with self._locked():
            network.reload()
            network.record["Endpoints"][id] = endpoint
            self._write(network.record)

    def _driver(self, name: str, patience: float | None = None) -> NetworkDriver:
        """The plugin of a name. Raises NotFound, PluginError."""
        from minidocker.plugin.networkdriver import NetworkDriver

        return NetworkDriver.find(self.store.root, name, patience)

    def _release(self, record: Mapping[str, Any], endpoints: Iterable[Mapping[str, Any]]) -> None:
        """Tell the plugin that made a network who is on it no more; one that has gone is not waited for."""
        if record["Driver"] not in PREDEFINED.values():
            for endpoint in endpoints:
                with suppress(APIError):
                    self._driver(record["Driver"], patience=0).leave(record["Id"], endpoint)

    def leave(self, network_id: str, id: str) -> None:
        """Take a container off a network; nothing happens where it is not on it, or the network has gone."""
        with self._locked():
            try:
                record = self.read(network_id)
            except NotFound:
                return
            endpoint = record["Endpoints"].pop(id, None)
            if endpoint is None:
                return
            self._write(record)
        self._release(record, [endpoint])
        self.tell("disconnect", record, id)

    @contextmanager
    def visit(self, network: Network) -> Iterator[str]:
        """Be on a network for a while, without being a container: the id under which its address is kept."""
        id = os.urandom(32).hex()
        path = self.folder / f"{id}.visit"
        with FileLock(path):
            try:
                self.join(network, id, "", {})
                yield id
            finally:
                self.leave(network.id, id)
                path.unlink(missing_ok=True)

    def _visits(self, id: str) -> bool:
        """Whether somebody of this id is on a visit."""
        path = self.folder / f"{id}.visit"
        if not path.exists():
            return False
        lock = FileLock(path, shared=True)
        if not lock.acquire(blocking=False):
            return True
        lock.release()
        path.unlink(missing_ok=True)  # a visitor who was killed
        return False

    def renamed(self, id: str, name: str) -> None:
        """A container has a new name: from now on, that is what the others ask for."""
        with self._locked():
            for network in self._all().values():
                if id in network.record["Endpoints"]:
                    network.record["Endpoints"][id]["Name"] = name
                    self._write(network.record)

    def remove(self, network: Network) -> None:
        """Delete a network. Raises Forbidden, NotFound."""
        if network.predefined:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        with self._locked():
            network.reload()
            if network.endpoints:
                words = f"error while removing network: network {network.name} id {network.id} has active endpoints"
                raise Forbidden(words)
            if network.foreign:
                self._release(network.record, network.record["Endpoints"].values())  # of those that were killed
                self._driver(network.driver).remove(network.id)
            self._path(network.id).unlink()
        self.tell("destroy", network.record)

    def tell(self, action: str, record: Mapping[str, Any], container: str = "") -> None:
        """Write down what happened to a network."""
        about = {"name": record["Name"], "type": record["Driver"]}
        self.store.tell("network", action, record["Id"], about | ({"container": container} if container else {}))

    def by_name(self) -> dict[str, Network]:
        """All networks by name, to look at and not to change."""
        found = self._all(glance)
        return found if PREDEFINED.keys() <= found.keys() else self._known()

    # On disk

    def _known(self) -> dict[str, Network]:
        """All networks by name; the three that are always there are made when somebody looks for the first time."""
        found = self._all()
        if PREDEFINED.keys() <= found.keys():
            return found
        with self._locked():
            return self._all()

    def _all(self, how: Callable[[str], Any] = read_json) -> dict[str, Network]:
        found = {}
        for name in os.listdir(self.folder) if self.folder.exists() else ():  # noqa: PTH208  (each listed container asks)
            if name.endswith(".json"):
                with suppress(FileNotFoundError):  # removed meanwhile
                    network = Network(self, how(f"{self.folder}/{name}"))
                    found[network.name] = network
        return found

    def _locked(self) -> _Locked:
        return _Locked(self)

    def _path(self, id: str) -> Path:
        return self.folder / f"{id}.json"

    def _write(self, record: Mapping[str, Any], lasting: bool = False) -> None:
        write_json(self._path(record["Id"]), record, sync=lasting)  # endpoints do not outlive the machine's run

    def found(self) -> None:
        """Make the three networks that are always there, where they are not. For whoever holds the lock."""
        if self._founded:
            return
        known = self._all()
        for name, driver in PREDEFINED.items():
            if name not in known:
                taken = [subnet for network in known.values() for subnet in network.subnets]
                config = pool.config((), taken) if name == "bridge" else []
                record = _record(name, driver, config) | {"Options": DEFAULTS if name == "bridge" else {}}
                self._write(record, lasting=True)
        self._founded = True


class _Locked(FileLock):
    """The lock on all networks of a store; whoever has it finds the predefined ones there."""

    def __init__(self, networks: Networks) -> None:
        networks.folder.mkdir(mode=0o700, exist_ok=True)
        super().__init__(networks.folder / ".lock")
        self.networks = networks

    def __enter__(self) -> _Locked:
        self.acquire()
        try:
            self.networks.found()
        except BaseException:
            self.release()
            raise
        return self


def _record(name: str, driver: str, config: list[dict[str, Any]]) -> dict[str, Any]:
    """A new network under the keys of the API, and the endpoints on it."""
    return {
        "Name": name,
        "Id": os.urandom(32).hex(),
        "Created": now(),
        "Scope": "local",
        "Driver": driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None if name in PREDEFINED else {}, "Config": config},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Options": {},
        "Labels": {},
        "Asked": False,
        "Endpoints": {},
    }


def _check_driver(driver: str) -> None:
    """Raise Forbidden for those of which there is one network."""
    if driver in ("host", "null"):
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if driver == "overlay":
        raise Unsupported(f"networks of the driver {driver} belong to a swarm, which minidocker is not; use bridge")
    if driver in ("macvlan", "ipvlan"):
        raise Unsupported(
            f"minidocker does not have the network driver {driver}, which needs the machine's own; use bridge"
        )


def _check(name: str, ipv6: bool, scope: Any, ingress: Any, ipam: Mapping[str, Any]) -> None:
    """Raise what speaks against a new network."""
    if not name.strip():
        raise InvalidArgument("invalid name: name is empty")
    if name in (*PREDEFINED, "default"):
        raise Forbidden(f"operation is not permitted on predefined {name} network")
    if ipv6 and not any(":" in entry.get("Subnet", "") for entry in ipam.get("Config") or ()):
        raise APIError(
            "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network"
        )
    if scope not in (None, "", "local") or ingress:
        raise Unsupported("networks over several machines belong to a swarm, which minidocker is not; use scope local")
    if (ipam.get("Driver") or "default") != "default":
        raise NotFound(f'plugin "{ipam["Driver"]}" not found: of ipam drivers, minidocker has "default" alone')


def _endpoint(network: Network, name: str, asked: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """The endpoint of a container on a network."""
    endpoint = {
        "Name": name,
        "EndpointID": os.urandom(32).hex(),
        "MacAddress": "",
        "IPv4Address": "",
        "IPv6Address": "",
        "Aliases": [str(alias) for alias in asked.get("Aliases") or ()],
        "Interface": asked.get("Interface") or "eth0",
        "More": [f"{ip}/{64 if ':' in ip else 16}" for ip in (asked.get("IPAMConfig") or {}).get("LinkLocalIPs") or ()],
        "Links": list(asked.get("Links") or ()),
        "Priority": asked.get("GwPriority") or 0,
    }
    if network.bare:
        return endpoint
    config = network.record["IPAM"]["Config"][0]
    taken = taken | {network.gateway, *(config.get("AuxiliaryAddresses") or {}).values()}
    wanted = check_address(network, asked)
    if wanted:
        ip = pool.claim(wanted, network.subnet, taken)
    else:
        ip = pool.address(network.subnet, config.get("IPRange", ""), taken)
    size = network.subnet.partition("/")[2]
    if network.record["EnableIPv6"]:
        endpoint["IPv6Address"] = _sixth(network, (asked.get("IPAMConfig") or {}).get("IPv6Address") or "")
    mac = asked.get("MacAddress") or ("" if network.foreign else pool.hardware(ip))  # else the plugin may say which
    return endpoint | {"IPv4Address": f"{ip}/{size}", "MacAddress": mac}


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _sixth(network: Network, wanted: str) -> str:
    """The IPv6 address of one more endpoint on a network."""
    config = network.record["IPAM"]["Config"][1]
    taken = {one["IPv6Address"].partition("/")[0] for one in network.endpoints.values()}
    taken |= {pool.gateway(config), *(config.get("AuxiliaryAddresses") or {}).values()}
    whole = config["Subnet"]
    ip = pool.claim(wanted, whole, taken) if wanted else pool.address(whole, config.get("IPRange", ""), taken)
    return f"{ip}/{whole.partition('/')[2]}"


def check_address(network: Network, asked: Mapping[str, Any]) -> str:
    """The address that a container asks for, if any. Raises InvalidArgument in Docker's words."""
    ipam = asked.get("IPAMConfig") or {}
    wanted, sixth = ipam.get("IPv4Address") or "", ipam.get("IPv6Address") or ""
    for text in ipam.get("LinkLocalIPs") or ():
        if not _is_address(text):
            raise InvalidArgument(f"invalid link-local IP address: {text}")
    if (wanted or sixth) and network.predefined:
        raise InvalidArgument("user specified IP address is supported on user defined networks only")
    if (wanted and not network.record["Asked"]) or (sixth and not network.subnets[1:]):
        raise InvalidArgument(
            "user specified IP address is supported only when connecting to networks with user configured subnets"
        )
    if asked.get("Aliases") and network.predefined:
        raise InvalidArgument("network-scoped alias is supported only for containers in user defined networks")
    return str(wanted)
