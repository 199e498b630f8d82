"""Putting a learner's function in the place of the engine's own, and taking it out again.

A function of minidocker's is known to several modules by the same name, a method to its class. `replaced` finds each of
these places, puts another function there for as long as a `with` lasts, and restores every one whatever happens.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from minidocker import layer

Functions = Mapping[Callable[..., Any], Callable[..., Any]]  # the engine's -> what takes its place
_one_at_a_time = threading.RLock()


class Spoiled(Exception):
    """A call that does not count, whatever it would have given; the message says why."""


class Borrowed(Spoiled):
    """The learner's function called the one that it should replace."""


@contextlib.contextmanager
def replaced(functions: Functions, namespace: MutableMapping[str, Any] | None = None) -> Iterator[None]:
    """Put other functions in the place of these, in all of minidocker (and in `namespace`), while the block runs.

    >>> from minidocker import layer
    >>> with replaced({layer.chain_ids: lambda diff_ids: ["mine"]}):
    ...     layer.chain_ids(["sha256:aa"])
    ['mine']
    >>> layer.chain_ids(["sha256:aa"])
    ['sha256:aa']
    """
    with _one_at_a_time, contextlib.ExitStack() as undo:
        by_identity = {id(old): new for old, new in functions.items()}  # a stranger's `==` and `hash` are not asked
        places = [vars(module) for name, module in list(sys.modules.items()) if name.split(".")[0] == "minidocker"]
        for place in [*places, *([namespace] if namespace is not None else [])]:
            for name, value in list(place.items()):
                if id(value) in by_identity:
                    undo.callback(place.__setitem__, name, value)
                    place[name] = by_identity[id(value)]
        for old, new in functions.items():
            if found := _class_of(old):
                undo.callback(setattr, found, old.__name__, vars(found)[old.__name__])
                setattr(found, old.__name__, new)
        layer._views.clear()  # what the other functions computed must not answer for these, nor theirs for ours
        undo.callback(layer._views.clear)
        yield


def _class_of(method: Callable[..., Any]) -> type | None:
    """The class that a method stands in; None for a function of a module."""
    name = method.__qualname__.rpartition(".")[0]
    return getattr(sys.modules[method.__module__], name, None) if name else None


class Counted:
    """A function that counts how often it is called, also by processes that are forked meanwhile."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self._count = function, memoryview(mmap.mmap(-1, 8)).cast("Q")  # memory that forks share

    @property
    def calls(self) -> int:
        """How often."""
        return int(self._count[0])

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        self._count[0] += 1
        return self.function(*arguments)
