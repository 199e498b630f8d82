"""A registry of one's own: the OCI distribution specification 1.1 over the repositories of a store.

    pull                GET    /v2/<name>/manifests/<tag or digest>   /v2/<name>/blobs/<digest>
    push                POST   /v2/<name>/blobs/uploads/              then PATCH and PUT where it says
                        PUT    /v2/<name>/manifests/<tag or digest>
    content discovery   GET    /v2/<name>/tags/list                   /v2/<name>/referrers/<digest>
    content management  DELETE /v2/<name>/manifests/<tag or digest>   /v2/<name>/blobs/<digest>

`Registry` answers one request; `minidocker.web` brings them. Every error is the specification's JSON.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator

from minidocker.content import Store
from minidocker.errors import APIError
from minidocker.registry.blobs import Blobs
from minidocker.registry.credentials import Credentials
from minidocker.registry.errorcodes import RegistryError
from minidocker.registry.manifests import Manifests
from minidocker.registry.mirror import Mirror
from minidocker.registry.shelf import Shelf
from minidocker.registry.users import Users
from minidocker.web.message import Handler, Request, Response
from minidocker.web.routes import NoMethod, NoRoute, Routes

VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}
CHALLENGE = {"WWW-Authenticate": 'Basic realm="minidocker registry"'}


class Registry:
    """The registry of a store: called with a request, it answers. With `users`, only they may push, and pull too.

    With `mirror`, the URL of another registry, nobody pushes: what is pulled and is not here comes from there.
    """

    def __init__(
        self, store: Store, users: Users | None = None, anonymous_pull: bool = False, mirror: str = ""
    ) -> None:
        self.shelf, self.users, self.anonymous_pull = Shelf(store), users, anonymous_pull
        self.blobs, self.manifests = Blobs(self.shelf), Manifests(self.shelf)
        self.mirror = Mirror(self.shelf, mirror, Credentials().get) if mirror else None
        self.routes = Routes(self._table())

    def _table(self) -> Iterator[tuple[str, str, Handler]]:
        blobs, manifests = self.blobs, self.manifests
        if self.mirror is not None:
            yield "GET", "/v2/{name...}/manifests/{reference}", self.mirror.manifest
            yield "GET", "/v2/{name...}/tags/list", self.mirror.tags
            yield "GET", "/v2/{name...}/blobs/{digest}", self.mirror.blob
        yield "GET", "/v2/?", self.base
        yield "GET", "/v2/_catalog", manifests.catalog
        for method, handler in {"GET": manifests.get, "PUT": manifests.put, "DELETE": manifests.delete}.items():
            yield method, "/v2/{name...}/manifests/{reference}", handler
        yield "GET", "/v2/{name...}/tags/list", manifests.tags
        yield "GET", "/v2/{name...}/referrers/{digest}", manifests.referrers
        yield "POST", "/v2/{name...}/blobs/uploads/?", blobs.start
        for method, handler in {
            "GET": blobs.status,
            "PATCH": blobs.append,
            "PUT": blobs.finish,
            "DELETE": blobs.cancel,
        }.items():
            yield method, "/v2/{name...}/blobs/uploads/{id}", handler
        for method, handler in {"GET": blobs.get, "DELETE": blobs.delete}.items():
            yield method, "/v2/{name...}/blobs/{digest}", handler

    def base(self, request: Request) -> Response:
        """Whether this is a registry, and whether one is let in."""
        return Response.json({})

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        try:
            self._let_in(request)
            if self.mirror is not None and request.method not in ("GET", "HEAD"):
                raise RegistryError("UNSUPPORTED", None, f"this is a mirror of {self.mirror.url}: push there")
            response = self.routes(request)
        except APIError as error:
            response = _refusal(error)
        response.headers = VERSION | response.headers
        return response

    def _let_in(self, request: Request) -> None:
        header = request.headers.get("authorization", "")
        if self.users is None or self.users.name(header):
            return
        if self.anonymous_pull and not header and request.method in ("GET", "HEAD"):
            return
        raise RegistryError("UNAUTHORIZED", headers=CHALLENGE)


def _refusal(error: APIError) -> Response:
    if isinstance(error, NoMethod):
        error = RegistryError("UNSUPPORTED", headers={"Allow": error.allowed})
    elif isinstance(error, NoRoute):
        error = RegistryError("UNSUPPORTED", None, "not a path of the distribution API", 404)
    elif not isinstance(error, RegistryError):  # a full disk, a store that is broken
        traceback.print_exception(error, file=sys.stderr)
        error = RegistryError("UNKNOWN", None, error.explanation, 500)
    return Response.json(error.body(), error.status_code, error.headers)
