"""Waiting for what is to come, however busy the machine is: what a test proves never depends on how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
HANG = 120  # seconds after which nothing comes any more


def comes(true: Callable[[], Found]) -> Found:
    """What `true` gives as soon as that is true; or what it gave at last."""
    end = time.monotonic() + HANG
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def until(true: Callable[[], Found]) -> Found:
    """The same, and it comes."""
    found = comes(true)
    assert found, "it did not happen"
    return found
