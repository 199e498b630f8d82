"""Volumes: made, listed, looked at, removed."""

from __future__ import annotations

from minidocker.daemon.route import Call
from minidocker.daemon.shapes import Map, read
from minidocker.web.message import Response

CREATE = {"Name": str, "Driver": str, "DriverOpts": Map(str), "Labels": Map(str)}


def create(call: Call) -> Response:
    """Make a volume, or find the one that has this name already."""
    given = read(call.json(), CREATE)
    options = given.get("DriverOpts", {}), given.get("Labels", {})
    made = call.engine.volumes.create(given.get("Name", ""), given.get("Driver", ""), *options)
    return Response.json(made.attrs, 201)


def listed(call: Call) -> Response:
    """All volumes, and which plugins did not answer."""
    volumes = call.engine.volumes
    found = [volume.attrs for volume in volumes.list(call.filters())]
    return Response.json({"Volumes": found, "Warnings": volumes.warnings or None})


def inspected(call: Call) -> Response:
    """All that is known of a volume."""
    return Response.json(call.engine.volumes.get(call["name"]).attrs)


def remove(call: Call) -> Response:
    """Delete a volume."""
    call.engine.volumes.remove(call["name"], call.flag("force"))
    return Response(204)


def prune(call: Call) -> Response:
    """Remove those that no container has; before 1.42, also those that have a name."""
    filters = call.filters()
    if call.version < (1, 42):
        filters.setdefault("all", ["true"])
    return Response.json(call.engine.volumes.prune(filters))
