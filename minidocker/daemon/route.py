"""One end point of the API: its method and path, what it takes and what it returns; and one request to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minidocker.errors import InvalidArgument
from minidocker.web.message import Request, Response

if TYPE_CHECKING:
    from minidocker.engine import Engine

FALSE = {"", "0", "no", "false", "none"}  # what a query means by "no", in any case: Docker's own list


@dataclass(frozen=True)
class Route:
    """A line of the table. `query` names the options in the query and their types; `body` is what comes along.

    The types are `text`, `flag`, `int`, `json` and `list` (may be repeated). `body` is empty, `json` or `tar`, or a
    name of `schemas.py`; so is `returns`, which may also be `stream` (JSON, object by object), `raw` (a connection
    of its own), `tar` or `text`.
    """

    method: str
    path: str
    handler: Callable[[Call], Response]
    query: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    returns: str = ""
    status: int = 200

    @property
    def endless(self) -> bool:
        """Whether an answer may go on for as long as the client likes: events, stats, logs, wait, attach, exec."""
        return (self.returns in ("raw", "stream") and self.method == "GET") or self.path.endswith("/wait")


@dataclass
class Call:
    """A request on its way to its handler, with the engine that is to answer it.

    >>> from minidocker.web.message import Body
    >>> request = Request("GET", "/containers/json", [("all", "True"), ("limit", "3")], body=Body([b'{"Id": 1}']))
    >>> call = Call(None, request)
    >>> call.flag("all"), call.flag("size"), call.number("limit"), call.json()
    (True, False, 3, {'Id': 1})
    """

    engine: Engine
    request: Request

    @property
    def version(self) -> tuple[int, int]:
        """The version of the API that the client speaks."""
        return self.request.version

    def __getitem__(self, name: str) -> str:
        """A variable of the path."""
        return self.request.variables[name]

    def text(self, name: str, default: str = "") -> str:
        """An option of the query."""
        return self.request.option(name, default)

    def texts(self, name: str) -> list[str]:
        """All values of an option of the query."""
        return self.request.options(name)

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no of the query."""
        text = self.request.option(name, str(int(default)))
        return text.strip().lower() not in FALSE

    def number(self, name: str, default: int | None = None) -> int | None:
        """A number of the query. Raises InvalidArgument."""
        text = self.request.option(name)
        if not text:
            return default
        try:
            return int(text)
        except ValueError:
            raise InvalidArgument(f'strconv.Atoi: parsing "{text}": invalid syntax') from None

    def filters(self) -> dict[str, list[str]]:
        """`filters`, in either of the two shapes that clients send: lists of words, or dictionaries of them."""
        found = self.parsed("filters", dict)
        for key, value in found.items():
            if not isinstance(value, (list, dict)) or not all(isinstance(word, str) for word in value):
                raise InvalidArgument(f"invalid filter '{key}'")
        return {key: list(value) for key, value in found.items()}

    def parsed(self, name: str, kind: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
        """An option of the query that holds JSON; empty where there is none. Raises InvalidArgument."""
        text = self.request.option(name)
        value = _json(text.encode()) if text else None
        if value is not None and not isinstance(value, kind):
            raise InvalidArgument(f"{name} is not of the type that is expected")
        return value or kind()

    def json(self, limit: int = 4 << 20) -> dict[str, Any]:
        """The body, a JSON object; empty where there is none. Raises InvalidArgument."""
        data = self.request.body.read(limit)
        value = _json(data) if data.strip() else {}
        if value is not None and not isinstance(value, dict):
            raise InvalidArgument(f"json: cannot unmarshal {type(value).__name__} into Go value")
        return value or {}


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
