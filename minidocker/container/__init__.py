"""A container: an image plus one writable layer, and a program that may run in it.

    create -> created -> start -> running -> (pause <-> unpause) -> exited -> start … -> remove     (life.py)

A container is a folder, `containers/<id>/`: `config.json` says what it is and never changes but for its name; the
runtime keeps `state.json`, `log.jsonl` and the writable layer there. Whoever opens the store finds it as it is: engines
come and go, a container lives with its own monitor process.
"""

from minidocker.container.container import Container
from minidocker.container.containers import Containers
from minidocker.container.execution import ExecResult
from minidocker.container.state import LIVE

__all__ = ["LIVE", "Container", "Containers", "ExecResult"]
