"""`--restart` and `--rm`: what happens when the program has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidocker.errors import Conflict, InvalidArgument
from minidocker.runtime.policy import policy_of

OPTIONS = frozenset({"restart_policy", "auto_remove"})
POLICIES = ("no", "always", "on-failure", "unless-stopped")


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`RestartPolicy` and `AutoRemove`.

    >>> host_config({"restart_policy": "on-failure:3"})
    {'RestartPolicy': {'Name': 'on-failure', 'MaximumRetryCount': 3}, 'AutoRemove': False}
    """
    remove = bool(given.get("auto_remove"))
    policy = _policy(given.get("restart_policy"))
    if remove and policy["Name"] != "no":
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    return {"RestartPolicy": policy, "AutoRemove": remove}


def changed(id: str, host: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A `HostConfig` with another restart policy, as `docker update --restart`. Raises InvalidArgument, Conflict."""
    if not (given.get("restart_policy") or {}):
        return dict(host)
    policy = _policy(given["restart_policy"])
    if host["AutoRemove"] and policy["Name"] != "no":
        why = "Restart policy cannot be updated because AutoRemove is enabled for the container"
        raise Conflict(f"Cannot update container {id}: {why}")
    return {**host, "RestartPolicy": policy}


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The policy and its count, for the container's monitor."""
    return {"restart": policy_of(config)}


def _policy(policy: Any) -> dict[str, Any]:
    """A restart policy: `on-failure:3`, or the API's `{"Name": "on-failure", "MaximumRetryCount": 3}`."""
    if isinstance(policy, str):
        name, _, count = policy.partition(":")
        policy = {"Name": name, "MaximumRetryCount": count or 0}
    policy = {"Name": "no", "MaximumRetryCount": 0, **(policy or {})}
    name, count = policy["Name"] or "no", str(policy["MaximumRetryCount"])
    if name not in POLICIES:
        raise InvalidArgument(f"invalid restart policy '{name}'")
    if count.startswith("-"):
        raise InvalidArgument("maximum retry count cannot be negative")
    if not count.isdigit():
        raise InvalidArgument("invalid restart policy: maximum retry count must be an integer")
    if int(count) and name != "on-failure":
        raise InvalidArgument(f"maximum retry count cannot be used with restart policy '{name}'")
    return {"Name": name, "MaximumRetryCount": int(count)}
