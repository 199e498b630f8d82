"""One table of routes: method, path pattern, handler. The first that fits answers; HEAD is GET without its body.

>>> table = Routes([("GET", "/v2/{name...}/tags/list", lambda request: Response(200)), ("GET", "/v2/", print)])
>>> handler, variables = table.find("HEAD", "/v2/team/app/tags/list")
>>> variables
{'name': 'team/app'}
>>> table.find("DELETE", "/v2/")
Traceback (most recent call last):
...
minidocker.web.routes.NoMethod: DELETE is not allowed here, only GET, HEAD
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from minidocker.errors import APIError, NotFound
from minidocker.web.message import Handler, Request, Response


class NoRoute(NotFound):
    """No pattern fits this path."""


class NoMethod(APIError):
    """The path is one of ours, but not with this method."""

    status_code = 405

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(f"{method} is not allowed here, only {self.allowed}")


class Routes:
    """The table. In a pattern, `{id}` is one part of the path, `{name...}` one or more, and `/?` a slash or none."""

    def __init__(self, table: Iterable[tuple[str, str, Handler]]) -> None:
        self._table = [(method, _compile(pattern), handler) for method, pattern, handler in table]

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        """The handler and what the pattern's variables stand for. Raises NoRoute, NoMethod."""
        fitting = [(verb, match, handler) for verb, good, handler in self._table if (match := good.fullmatch(path))]
        for verb, match, handler in fitting:
            if verb == method or (verb, method) == ("GET", "HEAD"):
                return handler, {name: unquote(text) for name, text in match.groupdict().items()}
        if not fitting:
            raise NoRoute("page not found")
        verbs = {verb for verb, _, _ in fitting}
        raise NoMethod(method, verbs | {"HEAD"} if "GET" in verbs else verbs)

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        handler, request.variables = self.find(request.method, request.path)
        return handler(request)


def _compile(pattern: str) -> re.Pattern[str]:
    def part(match: re.Match[str]) -> str:
        return f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})" if match[1] else r"\."

    return re.compile(re.sub(r"\{(\w+)(\.\.\.)?\}|\.", part, pattern), re.DOTALL)
