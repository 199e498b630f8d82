"""The engine as a whole: ping, version, info, events, disk usage."""

from __future__ import annotations

import time

from minidocker.daemon.images import summaries
from minidocker.daemon.progress import Tell, Work
from minidocker.daemon.route import Call
from minidocker.daemon.streams import TALKS
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.web.message import Response

KINDS = {"image": ("LayersSize", "Images"), "container": ("Containers",), "volume": ("Volumes",)}
FRESH = 5.0  # seconds after which nobody is still hearing the last words of a container
KINDS |= {"build-cache": ("BuildCache", "BuilderSize")}


def ping(_call: Call) -> Response:
    """Whether the engine answers; the headers of every answer say what it speaks."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-cache, no-store, must-revalidate"}
    return Response(200, headers | {"Pragma": "no-cache", "Builder-Version": "1"}, b"OK")


def version(call: Call) -> Response:
    """Which engine this is."""
    return Response.json(call.engine.version())


def info(call: Call) -> Response:
    """How the engine is, and what it has."""
    return Response.json(call.engine.info())


def usage(call: Call) -> Response:
    """What takes how much room; of some types alone, where the client says so."""
    wanted = call.texts("type")
    if wrong := [kind for kind in wanted if kind not in KINDS]:
        raise InvalidArgument(f"unknown object type: {wrong[0]}")
    chosen = [key for kind in wanted or KINDS for key in KINDS[kind]]
    found = call.engine.df()
    found["Images"] = summaries(call.engine, used=True)
    return Response.json({key: found[key] for key in found if key in chosen})


def events(call: Call) -> Response:
    """What happens, as it happens, until the client leaves."""
    found = call.engine.events(call.text("since"), call.text("until"), call.filters(), decode=True)

    def action(tell: Tell) -> None:
        for event in found:
            if event["Action"] == "die" and time.time() - event["time"] < FRESH:
                TALKS.over(event["Actor"]["ID"])
            tell(event)

    return Work(call.request, action, found.close, b"\n").at_once()


def openapi(call: Call) -> Response:
    """What we serve, as an OpenAPI document."""
    from minidocker.daemon.openapi import document
    from minidocker.daemon.table import TABLE

    return Response.json(document(TABLE))


def unserved(call: Call) -> Response:
    """Of Docker's API, but not of ours."""
    raise Unsupported(f"{call.request.method} {call.request.path}: minidocker does not have this part of Docker's API")
