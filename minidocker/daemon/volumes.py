"""Volumes: made, listed, looked at, removed."""

from __future__ import annotations

from minidocker.daemon.fields import Fields
from minidocker.daemon.route import Call
from minidocker.web.message import Response


def create(call: Call) -> Response:
    """Make a volume, or find the one that has this name already."""
    body = Fields(call.json())
    given = (body.text("Name"), body.text("Driver"), body.texts("DriverOpts"), body.texts("Labels"))
    return Response.json(call.engine.volumes.create(*given).attrs, 201)


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
