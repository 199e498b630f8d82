"""The engine as a whole: ping, version, info, events, df, auth."""

from __future__ import annotations

from minidocker.daemon.route import Call
from minidocker.web.message import Response


def ping(call: Call) -> Response:
    """Whether the engine answers; the headers of every answer say what it speaks."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-cache, no-store, must-revalidate"}
    return Response(200, headers | {"Pragma": "no-cache", "Builder-Version": "1"}, b"OK")


def version(call: Call) -> Response:
    """Which engine this is."""
    return Response.json(call.engine.version())


def info(call: Call) -> Response:
    """How the engine is, and what it has."""
    return Response.json(call.engine.info())
