"""The body of `POST /containers/create` -> the options of `containers.create`: Docker's SDK in reverse.

The engine takes and checks options as the SDK has them; its client has turned those into the body. Clients send every
field there is: what is null, empty, false or 0 was not asked for, but where a 0 says something (`MEANS`).

>>> options({"Image": "a", "Cmd": ["ls"], "Tty": False, "HostConfig": {"Memory": 9 << 20, "Init": False}})
{'command': ['ls'], 'mem_limit': 9437184, 'init': False, 'attached': {}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minidocker.container.options import health, limits
from minidocker.container.options.networks import ENDPOINT
from minidocker.daemon.route import Call
from minidocker.daemon.shapes import WORDS, Map, read
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.network import ports
from minidocker.runtime.masks import MASKED, READ_ONLY
from minidocker.web.message import Response

Options = dict[str, Any]

RATES = [{"Path": str, "Rate": int}]
LIMITS: Options = {
    "Memory": int,
    "MemoryReservation": int,
    "MemorySwap": int,
    "MemorySwappiness": int,
    "KernelMemory": int,
    "OomKillDisable": bool,
    "NanoCpus": int,
    "CpuShares": int,
    "CpuPeriod": int,
    "CpuQuota": int,
    "CpuRealtimePeriod": int,
    "CpuRealtimeRuntime": int,
    "CpusetCpus": str,
    "CpusetMems": str,
    "PidsLimit": int,
    "BlkioWeight": int,
    "BlkioWeightDevice": [{"Path": str, "Weight": int}],
    "BlkioDeviceReadBps": RATES,
    "BlkioDeviceWriteBps": RATES,
    "BlkioDeviceReadIOps": RATES,
    "BlkioDeviceWriteIOps": RATES,
    "DeviceCgroupRules": [str],
    "CgroupParent": str,
    "Ulimits": [{"Name": str, "Soft": int, "Hard": int}],
    "Devices": [{"PathOnHost": str, "PathInContainer": str, "CgroupPermissions": str}],
    "DeviceRequests": [{"Driver": str, "Count": int, "DeviceIDs": [str], "Capabilities": [[str]], "Options": Map(str)}],
    "CpuCount": int,
    "CpuPercent": int,
    "IOMaximumIOps": int,
    "IOMaximumBandwidth": int,
    "RestartPolicy": {"Name": str, "MaximumRetryCount": int},
}
MOUNT = {
    "Type": str,
    "Source": str,
    "Target": str,
    "ReadOnly": bool,
    "Consistency": str,
    "BindOptions": {
        "Propagation": str,
        "NonRecursive": bool,
        "CreateMountpoint": bool,
        "ReadOnlyNonRecursive": bool,
        "ReadOnlyForceRecursive": bool,
    },
    "VolumeOptions": {
        "NoCopy": bool,
        "Labels": Map(str),
        "Subpath": str,
        "DriverConfig": {"Name": str, "Options": Map(str)},
    },
    "TmpfsOptions": {"SizeBytes": int, "Mode": int, "Options": [[str]]},
}
HOST: Options = LIMITS | {
    "Annotations": Map(str),
    "AutoRemove": bool,
    "Binds": [str],
    "CapAdd": WORDS,
    "CapDrop": WORDS,
    "CgroupnsMode": str,
    "ConsoleSize": [int],
    "ContainerIDFile": str,
    "Dns": [str],
    "DnsOptions": [str],
    "DnsSearch": [str],
    "ExtraHosts": [str],
    "GroupAdd": [str],
    "Init": bool,
    "IpcMode": str,
    "Isolation": str,
    "Links": [str],
    "LogConfig": {"Type": str, "Config": Map(str)},
    "MaskedPaths": [str],
    "Mounts": [MOUNT],
    "NetworkMode": str,
    "OomScoreAdj": int,
    "PidMode": str,
    "PortBindings": Map([{"HostIp": str, "HostPort": str}]),
    "Privileged": bool,
    "PublishAllPorts": bool,
    "ReadonlyPaths": [str],
    "ReadonlyRootfs": bool,
    "Runtime": str,
    "SecurityOpt": [str],
    "ShmSize": int,
    "StorageOpt": Map(str),
    "Sysctls": Map(str),
    "Tmpfs": Map(str),
    "UTSMode": str,
    "UsernsMode": str,
    "VolumeDriver": str,
    "VolumesFrom": [str],
}
HEALTHCHECK: Options = dict.fromkeys(health.KEYS, int) | {"Test": WORDS}
CONFIG: Options = {
    "AttachStderr": bool,
    "AttachStdin": bool,
    "AttachStdout": bool,
    "Cmd": WORDS,
    "Domainname": str,
    "Entrypoint": WORDS,
    "Env": [str],
    "ExposedPorts": Map(),
    "Healthcheck": HEALTHCHECK,
    "Hostname": str,
    "Image": str,
    "Labels": Map(str),
    "MacAddress": str,
    "NetworkDisabled": bool,
    "OnBuild": [str],
    "OpenStdin": bool,
    "Runtime": str,  # the SDK has it here, Docker in HostConfig
    "Shell": [str],
    "StdinOnce": bool,
    "StopSignal": str,
    "StopTimeout": int,
    "Tty": bool,
    "User": str,
    "Volumes": Map(),
    "WorkingDir": str,
}
ADDRESSES = {"IPv4Address": str, "IPv6Address": str, "LinkLocalIPs": [str]}
ENDPOINT_SHAPE = {
    "IPAMConfig": ADDRESSES,
    "Links": [str],
    "Aliases": [str],
    "MacAddress": str,
    "DriverOpts": Map(str),
    "GwPriority": int,
}
assert ENDPOINT_SHAPE.keys() == ENDPOINT.keys()
BODY = CONFIG | {"HostConfig": HOST, "NetworkingConfig": {"EndpointsConfig": Map(ENDPOINT_SHAPE)}}

NAMES = {key: option for option, key in limits.KEYS.items()} | {  # a key -> the option that says the same
    "Annotations": "annotations",
    "AutoRemove": "auto_remove",
    "CapAdd": "cap_add",
    "CapDrop": "cap_drop",
    "CgroupnsMode": "cgroupns",
    "Cmd": "command",
    "ConsoleSize": "console_size",
    "CpuCount": "cpu_count",
    "CpuPercent": "cpu_percent",
    "DeviceRequests": "device_requests",
    "Devices": "devices",
    "Dns": "dns",
    "DnsOptions": "dns_opt",
    "DnsSearch": "dns_search",
    "Domainname": "domainname",
    "Entrypoint": "entrypoint",
    "Env": "environment",
    "ExtraHosts": "extra_hosts",
    "GroupAdd": "group_add",
    "Healthcheck": "healthcheck",
    "Hostname": "hostname",
    "Init": "init",
    "IpcMode": "ipc_mode",
    "Isolation": "isolation",
    "Labels": "labels",
    "Links": "links",
    "LogConfig": "log_config",
    "MacAddress": "mac_address",
    "Mounts": "mounts",
    "NetworkDisabled": "network_disabled",
    "NetworkMode": "network_mode",
    "OpenStdin": "stdin_open",
    "PidMode": "pid_mode",
    "Privileged": "privileged",
    "PublishAllPorts": "publish_all_ports",
    "ReadonlyRootfs": "read_only",
    "RestartPolicy": "restart_policy",
    "Runtime": "runtime",
    "ShmSize": "shm_size",
    "StopSignal": "stop_signal",
    "StopTimeout": "stop_timeout",
    "StorageOpt": "storage_opt",
    "Sysctls": "sysctls",
    "Tmpfs": "tmpfs",
    "Tty": "tty",
    "UTSMode": "uts_mode",
    "User": "user",
    "UsernsMode": "userns_mode",
    "VolumeDriver": "volume_driver",
    "VolumesFrom": "volumes_from",
    "WorkingDir": "working_dir",
}
LISTS = {key for key in NAMES if key.startswith(("Blkio", "Dns"))} - {"BlkioWeight"} | {"Ulimits"}  # shown as given
MEANS = ("Entrypoint", "Init", "MemorySwappiness", "StopTimeout")  # where nothing, 0 or false is asked for as well
NOT_HERE = ("OnBuild", "Shell", "IOMaximumBandwidth", "IOMaximumIOps")
ATTACHED = ("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce")


def create(call: Call) -> Response:
    """Make a container."""
    given = read(call.json(), BODY)
    if not given:
        raise InvalidArgument("Config cannot be empty in order to create a container")
    if not given.get("Image"):
        raise InvalidArgument("no image is named: Image is empty")
    asked = options(given)
    asked |= {option: call.text(option) for option in ("name", "platform") if call.text(option)}
    try:
        container = call.engine.containers.create(given["Image"], **asked)
    except TypeError as error:  # an option's value is not of the kind that it must be
        raise InvalidArgument(str(error)) from None
    return Response.json({"Id": container.id, "Warnings": container.warnings}, 201)


def options(body: Mapping[str, Any]) -> Options:
    """The options that a body stands for. Raises InvalidArgument, Unsupported."""
    host = body.get("HostConfig", {})
    every = {**body, **{key: value for key, value in host.items() if value or key in MEANS or key in LISTS}}
    if more := next((key for key in NOT_HERE if every.get(key)), ""):
        raise Unsupported(f"minidocker does not have {more} of a container: leave it out")
    found = {NAMES[key]: value for key, value in every.items() if key in NAMES and (value or key in (*MEANS, *LISTS))}
    if found.get("mem_swappiness") == -1:  # the command line's word for: not asked for
        del found["mem_swappiness"]
    found["attached"] = {key: True for key in ATTACHED if body.get(key)}
    return found | {option: value for option, value in _composed(body, host) if value or value == {}}


def _composed(body: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Options that are made of several fields."""
    exposed = ports.exposed(body.get("ExposedPorts", {}).keys())  # as Compose hands them on: `80`, `70-71/udp`
    published = {key: [] for key in exposed} | host.get("PortBindings", {})
    yield "ports", published if published or "PortBindings" in host else None
    yield "volumes", [*map(_place, body.get("Volumes", ())), *host.get("Binds", ())]
    yield "networking_config", body.get("NetworkingConfig", {}).get("EndpointsConfig") or None
    yield "security_opt", [*host.get("SecurityOpt", ()), *_open_paths(host)]
    yield "noted", {"ContainerIDFile": host["ContainerIDFile"]} if host.get("ContainerIDFile") else None


def _place(path: str) -> str:
    if ":" in path:
        raise InvalidArgument(f"invalid volume specification: '{path}'")
    return path


def _open_paths(host: Mapping[str, Any]) -> list[str]:
    """The command line turns `--security-opt systempaths=unconfined` into two empty lists."""
    lists = (host.get("MaskedPaths"), host.get("ReadonlyPaths"))
    if lists == ([], []):
        return ["systempaths=unconfined"]
    if lists not in ((None, None), (list(MASKED), list(READ_ONLY))):
        raise Unsupported(
            "minidocker hides all of Docker's MaskedPaths and ReadonlyPaths, or with two empty lists none"
        )
    return []
