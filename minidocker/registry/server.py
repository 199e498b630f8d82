"""A registry of one's own: the OCI distribution specification 1.1 over the repositories of a store.

    pull                GET    /v2/<name>/manifests/<tag or digest>   /v2/<name>/blobs/<digest>
    push                POST   /v2/<name>/blobs/uploads/              then PATCH and PUT where it says
                        PUT    /v2/<name>/manifests/<tag or digest>
    content discovery   GET    /v2/<name>/tags/list                   /v2/<name>/referrers/<digest>
    content management  DELETE /v2/<name>/manifests/<tag or digest>   /v2/<name>/blobs/<digest>

`Registry` answers one request; `minidocker.web` brings them. Every error is the specification's JSON.
"""

from __future__ import annotations

import re
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
from minidocker.registry.users import LIFE, Users
from minidocker.web.message import Handler, Request, Response
from minidocker.web.routes import NoMethod, NoRoute, Routes

VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}
TOKEN = "/token"


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
        if self.users is not None and self.anonymous_pull:
            yield "GET", TOKEN, self.token
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
        """Raise UNAUTHORIZED for those who may not; with a challenge that says how one may."""
        header = request.headers.get("authorization", "")
        if self.users is None or self.users.name(header) or (self.anonymous_pull and request.path == TOKEN):
            return
        if not self.anonymous_pull:
            raise RegistryError("UNAUTHORIZED", headers={"WWW-Authenticate": 'Basic realm="minidocker registry"'})
        name = self.users.bearer(header)
        if name or (name == "" and request.method in ("GET", "HEAD")):
            return
        raise RegistryError("UNAUTHORIZED", headers={"WWW-Authenticate": self._challenge(request)})

    def _challenge(self, request: Request) -> str:
        """Where tokens are to be had: with them, clients can pull without a name, and push with one."""
        host = re.sub(r"[^\w.:\[\]-]", "", request.headers.get("host", ""))
        words = {"realm": f"{request.scheme}://{host}{TOKEN}", "service": "minidocker"}
        match = re.match(r"/v2/([a-z0-9._/-]+)/(?:manifests|blobs|tags|referrers)/", request.path)
        if match:
            actions = "pull" if request.method in ("GET", "HEAD") else "pull,push"
            words["scope"] = f"repository:{match[1]}:{actions}"
        return "Bearer " + ",".join(f'{name}="{value}"' for name, value in words.items())

    def token(self, request: Request) -> Response:
        """A token for whoever asks: with name and password for pushes too, without any to pull."""
        assert self.users is not None
        header = request.headers.get("authorization", "")
        name = self.users.name(header)
        if header and not name:
            raise RegistryError("UNAUTHORIZED", headers={"WWW-Authenticate": 'Basic realm="minidocker registry"'})
        token = self.users.token(name)
        return Response.json({"token": token, "access_token": token, "expires_in": LIFE})


def _refusal(error: APIError) -> Response:
    if isinstance(error, NoMethod):
        error = RegistryError("UNSUPPORTED", headers={"Allow": error.allowed})
    elif isinstance(error, NoRoute):
        error = RegistryError("UNSUPPORTED", None, "not a path of the distribution API", 404)
    elif not isinstance(error, RegistryError):  # a full disk, a store that is broken
        traceback.print_exception(error, file=sys.stderr)
        error = RegistryError("UNKNOWN", None, error.explanation, 500)
    return Response.json(error.body(), error.status_code, error.headers)
