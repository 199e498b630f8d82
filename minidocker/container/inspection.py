"""What `docker inspect` and `docker ps` say of a container, under the keys of Docker's Engine API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.container import links, networking
from minidocker.container.execution import running_ids
from minidocker.container.options import limits
from minidocker.container.state import FRESH, describe
from minidocker.times import unix_time

if TYPE_CHECKING:
    from minidocker.container.container import Container

ABSENT = (  # of the API's HostConfig, by what Docker says where there is none: limits and more that are not here yet
    (None, "DeviceRequests Mounts"),
    (0, "CpuCount CpuPercent IOMaximumBandwidth IOMaximumIOps"),
    ("", "Cgroup ContainerIDFile Isolation"),
)
HOST_CONFIG = {key: value for value, keys in ABSENT for key in keys.split()}


def attrs(container: Container) -> dict[str, Any]:
    """What `docker inspect` prints."""
    config, state, path = container.config, container.state(), container.path
    host = config["HostConfig"]
    return {
        "Id": container.id,
        "Created": config["Created"],
        "Path": config["Path"],
        "Args": config["Args"],
        "State": {key: state[key] for key in (*FRESH, "Health") if key in state},
        "Image": config["Image"],
        "ResolvConfPath": str(path / "resolv.conf"),
        "HostnamePath": str(path / "hostname"),
        "HostsPath": str(path / "hosts"),
        "LogPath": str(path / "log.jsonl") if host["LogConfig"]["Type"] == "json-file" else "",
        "Name": "/" + container.name,
        "RestartCount": state.get("RestartCount", 0),
        "Driver": (storage := container.containers.runtime.storage),
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": running_ids(container) or None,
        "HostConfig": HOST_CONFIG
        | {"Runtime": container.containers.runtime.name}
        | limits.DEFAULTS
        | host
        | {"Links": links.shown(container)},
        "GraphDriver": {
            "Name": storage,
            "Data": graph(container, state) if storage not in ("vfs", "tree") else None,
        },
        "Mounts": mounts(container),
        "Config": config["Config"],
        "NetworkSettings": networking.settings(container, state),
    }


def graph(container: Container, state: Mapping[str, Any]) -> dict[str, str]:
    """The folders that are its file system. All of it is seen while it runs, and then through its first process."""
    path, pid = container.path, state["Pid"]
    layers = [str(folder) for layer in container.image.layers if (folder := layer.unpacked())]
    return {
        "LowerDir": ":".join(reversed(layers)),
        "MergedDir": f"/proc/{pid}/root" if pid else str(path),
        "UpperDir": str(path / "upper"),
        "WorkDir": str(path / "work"),
    }


def mounts(container: Container) -> list[dict[str, Any]]:
    """What is mounted into it, as `docker inspect` lists that: `--tmpfs` is no part of it."""
    keys = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")
    return [{key: point[key] for key in keys if key in point} for point in container.config["Mounts"]]


def summary(container: Container, size: bool = False) -> dict[str, Any]:
    """What `docker ps` has of it (the API's `GET /containers/json`)."""
    config, state = container.config, container.state()
    row = {
        "Id": container.id,
        "Names": links.names(container),
        "Image": config["Config"]["Image"],
        "ImageID": config["Image"],
        "Command": " ".join([config["Path"], *(f"'{arg}'" if " " in arg else arg for arg in config["Args"])]),
        "Created": unix_time(config["Created"]),
        "Ports": networking.listed(container, state),
        "Labels": container.labels,
        "State": state["Status"],
        "Status": describe(state),
        "HostConfig": {"NetworkMode": config["HostConfig"]["NetworkMode"]},
        "NetworkSettings": {"Networks": networking.places(container, state)},
        "Mounts": mounts(container),
    }
    return row | ({"SizeRw": container.changes().size, "SizeRootFs": container.tree_size()} if size else {})
