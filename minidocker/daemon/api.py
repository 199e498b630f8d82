"""A request -> its version, its end point, its answer. `Api` is one function, with or without a socket before it.

>>> from minidocker.web.message import Request
>>> import tempfile, minidocker
>>> folder = tempfile.TemporaryDirectory()
>>> api = Api(minidocker.connect(folder.name, runtime="simulated"))
>>> api(Request("GET", "/v1.41/_ping")).body
b'OK'
>>> api(Request("GET", "/v1.99/_ping")).body
b'{"message": "client version 1.99 is too new. Maximum supported API version is 1.41"}\\n'
"""

from __future__ import annotations

import re
import sys
import traceback
from typing import TYPE_CHECKING

from minidocker import __version__
from minidocker.daemon.route import Call, Route
from minidocker.daemon.table import TABLE
from minidocker.errors import APIError, DockerException, InvalidArgument, NotFound
from minidocker.web.message import Gone, Handler, Request, Response
from minidocker.web.routes import NoMethod, Routes

if TYPE_CHECKING:
    from minidocker.engine import Engine

NEWEST, OLDEST = (1, 41), (1, 24)
VERSION = re.compile(r"/v(\d+)\.(\d+)(?=/)")
HEADERS = {
    "Api-Version": f"{NEWEST[0]}.{NEWEST[1]}",
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"minidocker/{__version__} (linux)",
}


class Api:
    """The API of one engine: called with a request, it answers; errors are answers too."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._routes = Routes((route.method, route.path, self._handler(route)) for route in TABLE)

    def _handler(self, route: Route) -> Handler:
        def answer(request: Request) -> Response:
            response = route.handler(Call(self.engine, request))
            response.endless = route.endless
            return response

        return answer

    def __call__(self, request: Request) -> Response:
        """Answer a request. Never raises, but for a client that left."""
        try:
            response = self._answer(request)
        except Gone:
            raise
        except Exception as error:
            response = refusal(error)
        response.headers = HEADERS | response.headers
        return response

    def _answer(self, request: Request) -> Response:
        request.version, path = spoken(re.sub(r"//+", "/", request.path))
        if request.method == "OPTIONS":
            return Response(200)
        try:
            handler, request.variables = self._routes.find(request.method, path)
        except NoMethod:
            raise NotFound("page not found") from None
        return handler(request)


def spoken(path: str) -> tuple[tuple[int, int], str]:
    """The version of the API that a path means, and the rest of the path. Raises InvalidArgument.

    >>> spoken("/v1.30/containers/json"), spoken("/_ping")
    (((1, 30), '/containers/json'), ((1, 41), '/_ping'))
    """
    match = VERSION.match(path)
    if not match:
        return NEWEST, path
    major, minor = int(match[1]), int(match[2])
    words = f"client version {major}.{minor} is too"
    if (major, minor) > NEWEST:
        raise InvalidArgument(f"{words} new. Maximum supported API version is {NEWEST[0]}.{NEWEST[1]}")
    if (major, minor) < OLDEST:
        raise InvalidArgument(
            f"{words} old. Minimum supported API version is {OLDEST[0]}.{OLDEST[1]}, "
            "please upgrade your client to a newer version"
        )
    return (major, minor), path[match.end() :]


def refusal(error: Exception) -> Response:
    """An error in Docker's form."""
    if isinstance(error, APIError):
        return Response.json({"message": error.explanation}, error.status_code)
    if isinstance(error, DockerException):
        return Response.json({"message": str(error)}, 500)
    traceback.print_exception(error, file=sys.stderr)
    return Response.json({"message": f"{type(error).__name__}: {error}"}, 500)
