"""Registries of our own for tests, each over a fresh store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minidocker.content import Store
from minidocker.registry.server import Registry
from minidocker.registry.serving import serving
from tests.registry.talk import Talk


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Over a store of its own."""
    return Registry(Store(tmp_path / "store"))


@pytest.fixture
def url(registry: Registry) -> Iterator[str]:
    """Where `registry` serves."""
    with serving(registry, "127.0.0.1:0") as url:
        yield url


@pytest.fixture
def talk(url: str) -> Iterator[Talk]:
    """A client of `registry`."""
    talk = Talk(url)
    yield talk
    talk.close()
