"""Engines whose containers can be on networks, on either runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

import minidocker
from minidocker.engine import Engine
from minidocker.errors import DockerException


def bridged(folder: Path, runtime: str, command: str = "true") -> Engine:
    """An engine of a runtime that can do this command and has bridges; else the test skips, and says why."""
    if runtime != "namespaces":
        return minidocker.connect(folder, runtime=runtime)
    pytest.importorskip("pyroute2")
    try:
        engine = minidocker.connect(folder, runtime=runtime)
        engine.containers.run("minidocker/base", command, remove=True)
    except DockerException as error:
        pytest.skip(f"no real containers that can do {command!r} here: {error}")
    if why := engine.runtime.no_bridge(str(engine.networks.folder)):
        pytest.skip(why)
    return engine
