"""Waiting for descriptors: which of them have something to read, or have been closed at their other end.

>>> import os
>>> there, end = os.pipe()
>>> ready([there], 0), os.write(end, b"!"), ready([there], 1) == [there]
([], 1, True)
"""

from __future__ import annotations

import select
from collections.abc import Sequence


def ready(descriptors: Sequence[int], seconds: float) -> list[int]:
    """Those that can be read from without waiting; none, where for so long there was nothing.

    By poll(2), since select(2) knows only the first 1024 descriptors of a process, and a daemon has more.
    """
    if not hasattr(select, "poll"):
        return select.select(descriptors, [], [], seconds)[0]
    asked = select.poll()
    for descriptor in descriptors:
        asked.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in asked.poll(max(0.0, seconds) * 1000)]
