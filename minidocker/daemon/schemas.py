"""What bodies of requests and answers look like, as JSON Schemas, by the names that the table has for them.

Of requests: each field that we read, with its type; further ones are let by, as with Docker. Of answers only whether
they are an object or a list, and what every client relies on: Docker's own reference says the rest.

>>> schema("VolumeRequest")["properties"]["Labels"]["additionalProperties"]
{'type': 'string'}
"""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
TYPES: dict[str, dict[str, Any]] = {
    "text": TEXT,
    "int": {"type": "integer", "format": "int64"},
    "flag": {"type": "boolean"},
    "texts": {"type": "array", "items": TEXT},
    "labels": {"type": "object", "additionalProperties": TEXT},
    "set": {"type": "object", "additionalProperties": {"type": "object"}},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
}
CONFIG = """
    text: Hostname Domainname User Image WorkingDir MacAddress StopSignal   texts: Env Cmd Entrypoint Shell OnBuild
    flag: AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce NetworkDisabled   int: StopTimeout
    labels: Labels   set: Volumes ExposedPorts   object: Healthcheck
"""
LIMITS = """
    int: CpuShares Memory BlkioWeight CpuPeriod CpuQuota MemoryReservation MemorySwap MemorySwappiness NanoCpus
    int: PidsLimit   text: CgroupParent CpusetCpus CpusetMems   flag: OomKillDisable   object: RestartPolicy
    objects: BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps Ulimits
"""
BODIES = {
    "json": "",
    "AuthConfig": "text: username password email serveraddress identitytoken",
    "ContainerConfig": CONFIG,
    "ContainerCreate": CONFIG + "object: HostConfig NetworkingConfig",
    "ContainerUpdate": LIMITS,
    "ExecCreate": """
        flag: AttachStdin AttachStdout AttachStderr Tty Privileged
        texts: Env Cmd   text: User WorkingDir DetachKeys""",
    "ExecStart": "flag: Detach Tty",
    "VolumeRequest": "text: Name Driver   labels: DriverOpts Labels",
    "NetworkRequest": """
        text: Name Driver Scope   flag: CheckDuplicate Internal Attachable Ingress EnableIPv6
        labels: Options Labels   object: IPAM""",
    "ConnectRequest": "text: Container   object: EndpointConfig",
    "DisconnectRequest": "text: Container   flag: Force",
}
LISTS = {"ContainerSummaries", "Changes", "Images", "History", "Removed", "Networks"}
KEYS = {  # of answers: what is always there
    "Container": "Id Name State Config HostConfig NetworkSettings",
    "ContainerCreated": "Id Warnings",
    "Created": "Id",
    "Exec": "ID Running ExitCode",
    "Id": "Id",
    "Image": "Id RepoTags Config",
    "Info": "ID Containers Images Driver ServerVersion",
    "Network": "Id Name Driver Containers",
    "Top": "Titles Processes",
    "Version": "Version ApiVersion MinAPIVersion",
    "Volume": "Name Driver Mountpoint",
    "Volumes": "Volumes",
}
ERROR = {"type": "object", "properties": {"message": TEXT}, "required": ["message"]}


def schema(name: str) -> dict[str, Any]:
    """The schema of a name."""
    if name in BODIES:
        return {"type": "object", "properties": _fields(BODIES[name])}
    if name in LISTS:
        return TYPES["objects"]
    return {"type": "object", "required": KEYS[name].split()} if name in KEYS else {}


def _fields(text: str) -> dict[str, Any]:
    fields, kind = {}, ""
    for word in text.split():
        if word.endswith(":"):
            kind = word[:-1]
        else:
            fields[word] = TYPES[kind] | {"nullable": True}
    return fields
