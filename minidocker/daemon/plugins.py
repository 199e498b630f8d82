"""Docker's managed plugins (images with a program in them): there are none here, and so each is not found.

What minidocker has are sockets in a folder, of which Docker's `plugin ls` knows nothing either: `minidocker plugin ls`.
"""

from __future__ import annotations

from minidocker.daemon.route import Call
from minidocker.errors import InvalidArgument, NotFound, Unsupported
from minidocker.web.message import Response


def listed(call: Call) -> Response:
    """None."""
    if wrong := [key for key in call.filters() if key not in ("enabled", "capability")]:
        raise InvalidArgument(f"Invalid filter '{wrong[0]}'")
    return Response.json([])


def privileges(_call: Call) -> Response:
    """None that anybody would have to grant: dockerd says that too of a plugin whose registry it does not reach."""
    return Response.json([])


def missing(call: Call) -> Response:
    """It is not there, whatever shall be done to it."""
    raise NotFound(f'plugin "{call["name"]}" not found')


def refused(_call: Call) -> Response:
    """Refused, by name."""
    raise Unsupported(
        "minidocker does not install plugins: start the program, and let its socket be in plugins/ of the root folder"
    )
