"""All end points, in one table: the whole interface. The first line that fits a path answers.

>>> len({(route.method, route.path) for route in TABLE}) == len(TABLE)
True
"""

from __future__ import annotations

from minidocker.daemon import system
from minidocker.daemon.route import Route

TABLE: tuple[Route, ...] = (
    Route("GET", "/_ping", system.ping, returns="text"),
    Route("GET", "/version", system.version, returns="Version"),
    Route("GET", "/info", system.info, returns="Info"),
)
