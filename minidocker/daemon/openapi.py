"""The table as an OpenAPI 3 document: `GET /openapi.json`, and `minidocker daemon --openapi`.

>>> from minidocker.daemon.table import TABLE
>>> found = document(TABLE)["paths"]["/containers/{id}/kill"]["post"]
>>> [one["name"] for one in found["parameters"]], sorted(found["responses"])
(['id', 'signal'], ['204', 'default'])
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from minidocker import __version__
from minidocker.daemon.route import Route
from minidocker.daemon.schemas import ERROR, TEXT, schema

QUERY: dict[str, dict[str, Any]] = {
    "text": TEXT,
    "flag": {"type": "boolean"},
    "int": {"type": "integer", "format": "int64"},
    "json": TEXT,
    "list": {"type": "array", "items": TEXT},
}
BINARY = {"type": "string", "format": "binary"}
MEDIA = {"tar": "application/x-tar", "text": "text/plain", "raw": "application/vnd.docker.raw-stream"}


def document(table: Iterable[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        path = re.sub(r"\.\.\.\}", "}", route.path)
        paths.setdefault(path, {}).setdefault(route.method.lower(), _operation(route))
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "minidocker: Docker's Engine API",
            "version": "1.41",
            "description": f"What minidocker {__version__} serves; each path also with its version, as /v1.41/info.",
        },
        "paths": paths,
        "components": {"schemas": {name: schema(name) for name in _names(table)} | {"Error": ERROR}},
    }


def _names(table: Iterable[Route]) -> list[str]:
    named = {name for route in table for name in (route.body, route.returns)}
    return sorted(name for name in named if name and name not in MEDIA and name != "stream")


def _operation(route: Route) -> dict[str, Any]:
    variables = re.findall(r"\{(\w+)(?:\.\.\.)?\}", route.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in variables]
    parameters += [{"name": name, "in": "query", "schema": QUERY[kind]} for name, kind in route.query.items()]
    sent = {"application/octet-stream": {"schema": BINARY}} if route.body == "tar" else _content(route.body)
    body = {"requestBody": {"content": sent}} if route.body else {}
    answer: dict[str, Any] = {"description": route.returns or "done"}
    if route.returns:
        answer["content"] = _content(route.returns)
    wrong = {"description": "why not", "content": {"application/json": {"schema": _named("Error")}}}
    name = f"{route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}"
    said = (route.handler.__doc__ or "").strip().partition("\n")[0]
    return {
        "summary": said or name,
        "parameters": parameters,
        **body,
        "responses": {str(route.status): answer, "default": wrong},
    }


def _content(kind: str) -> dict[str, Any]:
    if kind in MEDIA:
        return {MEDIA[kind]: {"schema": BINARY if kind != "text" else TEXT}}
    return {"application/json": {"schema": {} if kind == "stream" else _named(kind)}}


def _named(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
