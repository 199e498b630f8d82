"""`docker cp`: files of a container as tars, and what there is at a path (`HEAD`)."""

from __future__ import annotations

import base64
import json

from minidocker.daemon.route import Call
from minidocker.errors import InvalidArgument
from minidocker.web.message import Response

STAT = "X-Docker-Container-Path-Stat"


def get(call: Call) -> Response:
    """The tar of a file or folder; of a `HEAD`, the headers alone."""
    pieces, stat = call.engine.containers.get(call["id"]).get_archive(_path(call))
    header = base64.b64encode(json.dumps(stat).encode()).decode()
    return Response(200, {"Content-Type": "application/x-tar", STAT: header}, pieces)


def put(call: Call) -> Response:
    """Unpack a tar into a folder."""
    container, path = call.engine.containers.get(call["id"]), _path(call)
    kinds, owned = call.flag("noOverwriteDirNonDir"), call.flag("copyUIDGID")
    container.put_archive(path, iter(call.request.body), keep_kinds=kinds, owned=owned)
    return Response(200)


def _path(call: Call) -> str:
    path = call.text("path")
    if not path:
        raise InvalidArgument("bad parameter: 'path' cannot be empty")
    return path
