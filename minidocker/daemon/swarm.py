"""Swarms: this engine is in none, and answers as Docker's does outside of one."""

from __future__ import annotations

from minidocker.daemon.route import Call
from minidocker.errors import APIError, Unsupported
from minidocker.web.message import Response


class NoSwarm(APIError):
    """What only a node of a swarm could answer."""

    status_code = 503


def no_manager(_call: Call) -> Response:
    """Only a manager could answer."""
    raise NoSwarm(
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
        "swarm and try again."
    )


def no_node(_call: Call) -> Response:
    """Only a node could leave."""
    raise NoSwarm("This node is not part of a swarm")


def refused(_call: Call) -> Response:
    """Refused, by name."""
    raise Unsupported("minidocker is one engine on one machine: it makes no swarm, and joins none")
