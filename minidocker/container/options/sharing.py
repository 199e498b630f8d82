"""`--pid`, `--ipc`, `--uts`, `--userns`, `--cgroupns`, `--network container:…`: namespaces that are shared.

Each is the container's own unless it is `host`; those of processes, of communication and of the network may also be
those of another container that runs. In a container's configuration that one stands by its id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from minidocker.errors import Conflict, InvalidArgument, NotFound

if TYPE_CHECKING:
    from minidocker.container.container import Container
    from minidocker.container.containers import Containers

OPTIONS = frozenset({"pid_mode", "ipc_mode", "uts_mode", "userns_mode", "cgroupns"})
JOINS = "container:"
MODES = {  # key of HostConfig -> option, what it may be, Docker's words for what it may not, kind of namespace
    "PidMode": ("pid_mode", ("", "host", JOINS), "invalid PID mode: {}", "pid"),
    "IpcMode": ("ipc_mode", ("none", "private", "shareable", "host", JOINS), "Invalid IPC mode: {}", "ipc"),
    "UTSMode": ("uts_mode", ("", "host"), "invalid UTS mode: {}", "uts"),
    "UsernsMode": ("userns_mode", ("", "host"), "invalid user namespace mode: {}", "user"),
    "CgroupnsMode": ("cgroupns", ("private", "host"), "invalid cgroup namespace mode: {}", "cgroup"),
}
DEFAULTS = {"IpcMode": "private", "CgroupnsMode": "private"}
ALONE = {  # what cannot be asked for in another container's network -> Docker's words
    "hostname": "hostname and the network mode",
    "dns": "dns and the network mode",
    "extra_hosts": "custom host-to-IP mapping and the network mode",
    "mac_address": "mac-address and the network mode",
    "ports": "port publishing and the container type network mode",
    "publish_all_ports": "port publishing and the container type network mode",
}


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """The modes, as keys of the API's `HostConfig`.

    >>> host_config({"pid_mode": "host"})["PidMode"], host_config({})["IpcMode"]
    ('host', 'private')
    """
    modes = {}
    for key, (option, allowed, refusal, _) in MODES.items():
        mode = modes[key] = str(given.get(option) or DEFAULTS.get(key, ""))
        joins = JOINS in allowed and mode.startswith(JOINS)
        if mode == JOINS or not (joins or mode in allowed):
            raise InvalidArgument(refusal.format(mode))
    if modes["UTSMode"] == "host" and given.get("hostname"):
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if str(network_of(given)).startswith(JOINS):
        for option, what in ALONE.items():
            if asked := given.get(option):
                exposed = option == "ports" and isinstance(asked, Mapping) and not any(map(_bound, asked.values()))
                raise InvalidArgument(
                    f"conflicting options: {what.replace('publishing', 'exposing') if exposed else what}"
                )
    return modes


def _bound(places: Any) -> bool:
    return places is None or bool(places)


def network_of(given: Mapping[str, Any]) -> Any:
    """The network that the options ask for."""
    return given.get("network") or given.get("network_mode") or "default"


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Whose namespaces it has, by kind; those that are its own are left out."""
    host = config["HostConfig"]
    share = {kind: host[key] for key, (*_, kind) in MODES.items() if host.get(key, "") not in ("", "private")}
    network = host["NetworkMode"]
    return {"share": share | ({"net": network} if network.startswith(JOINS) else {})}


def with_ids(options: Mapping[str, Any], containers: Containers) -> dict[str, Any]:
    """The options with ids where they name containers. Raises InvalidArgument, but not for a network: a start does."""
    found = dict(options)
    for option in ("pid_mode", "ipc_mode", "network", "network_mode"):
        if str(options.get(option) or "").startswith(JOINS) and options[option] != JOINS:
            try:
                found[option] = JOINS + containers.get(options[option][len(JOINS) :]).id
            except NotFound as error:  # to Docker's clients, a create that finds nothing is one of a missing image
                if not option.startswith("network"):
                    raise InvalidArgument(error.explanation) from None
    return found


def check(container: Container) -> None:
    """Before a start: whether those run whose namespaces it is to have, and allow it. Raises APIErrors as Docker's."""
    for kind, donor in donors(container):
        state = donor.state()
        if not state["Running"]:
            raise Conflict(
                {
                    "net": f"cannot join network of a non running container: {donor.id}",
                    "ipc": f"can't join IPC of container {donor.id}: container {donor.id} is not running",
                    "pid": f"container {donor.id} is not running",
                }[kind]
            )
        if state["Restarting"]:
            raise Conflict(f"Container {donor.id} is restarting, wait until the container is running")
        if kind == "ipc" and donor.config["HostConfig"].get("IpcMode") != "shareable":
            hint = "non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
            raise InvalidArgument(f"can't join IPC of container {donor.id}: {hint}")


def donors(container: Container) -> Iterator[tuple[str, Container]]:
    """The containers whose namespaces it is to have, by kind. Raises NotFound."""
    for kind, whose in boxed(container.config)["share"].items():
        if whose.startswith(JOINS):
            yield kind, container.containers.get(whose[len(JOINS) :])
