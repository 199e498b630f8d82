"""A function of the notebook as a program of its own, beside it: one that can be killed, and started again.

    def shout(path): ...            # imports what it needs itself
    program = beside(shout, folder / "x")
    program.kill()

It ends with the notebook's kernel, however that ends, and with the lesson.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from minidocker.errors import Unsupported

LEASH = (
    "import os, sys, threading\nthreading.Thread(target=lambda: os._exit(not sys.stdin.read()), daemon=True).start()"
)
READY = "ready"
_open: dict[str, subprocess.Popen[str]] = {}


def beside(function: Callable[..., Any], *arguments: object) -> subprocess.Popen[str]:
    """Start a program that calls a function with arguments (as texts), and wait for the word `ready` that it prints.

    An older one of the same function is killed first. Raises Unsupported where no programs can be started, or where
    this one ends before it is ready.
    """
    name = function.__name__
    end(name)
    source = textwrap.dedent(inspect.getsource(function))
    program = f"{LEASH}\n{source}\n{name}(*sys.argv[1:])"
    try:
        started = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # to interrupt a cell does not interrupt it
        )
    except OSError as error:  # a browser has no processes
        raise Unsupported(f"no programs can be started here: {error}") from None
    _open[name] = started
    assert started.stdout
    if started.stdout.readline().strip() != READY:
        end(name)
        raise Unsupported(f"{name}() ended before it said that it is ready")
    return started


def end(name: str) -> None:
    """Kill the program of a function, if there is one."""
    if started := _open.pop(name, None):
        started.kill()
        started.wait()
        for stream in (started.stdin, started.stdout):
            if stream:
                stream.close()


def close_all() -> None:
    """Kill all of them."""
    for name in list(_open):
        end(name)
