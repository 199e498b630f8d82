"""What bodies of requests and answers look like, as JSON Schemas, by the names that the table has for them.

Of requests: what they are held against (`shapes.py`); further fields are let by, as with Docker. Of answers only
whether they are an object or a list, and what every client relies on: Docker's own reference says the rest.

>>> schema("VolumeRequest")["properties"]["Labels"]["additionalProperties"]
{'type': 'string', 'nullable': True}
"""

from __future__ import annotations

from typing import Any

from minidocker.daemon import create, execs, images, networks, shapes, volumes

TEXT: dict[str, Any] = {"type": "string"}
OBJECTS: dict[str, Any] = {"type": "array", "items": {"type": "object"}}
BODIES: dict[str, Any] = {
    "json": {},
    "AuthConfig": images.AUTH,
    "ContainerConfig": create.CONFIG,
    "ContainerCreate": create.BODY,
    "ContainerUpdate": create.LIMITS,
    "ExecCreate": execs.CREATE,
    "ExecStart": execs.START,
    "VolumeRequest": volumes.CREATE,
    "NetworkRequest": networks.CREATE,
    "ConnectRequest": networks.CONNECT,
    "DisconnectRequest": networks.DISCONNECT,
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
        return shapes.schema(BODIES[name])
    if name in LISTS:
        return OBJECTS
    return {"type": "object", "required": KEYS[name].split()} if name in KEYS else {}
