"""Docker's restart policies (`docker run --restart`): is a container whose program has ended started again?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def policy_of(config: Mapping[str, Any]) -> tuple[str, int]:
    """The policy and its maximum retry count in a container's `config.json`, which may change while it runs."""
    policy = config["HostConfig"]["RestartPolicy"]
    return policy["Name"], policy["MaximumRetryCount"]


def restarts(policy: str, most: int, code: int, count: int, by_hand: bool) -> bool:
    """Whether it is, after its `count`-th restart ended with exit code `code`; `most` (0: no limit) is on-failure's.

    None applies to a container that a person stopped (`by_hand`).

    >>> restarts("on-failure", 2, 1, 1, False), restarts("on-failure", 2, 1, 2, False)
    (True, False)
    >>> restarts("always", 0, 0, 7, False), restarts("always", 0, 137, 7, True), restarts("no", 0, 1, 0, False)
    (True, False, False)
    """
    if by_hand:
        return False
    if policy == "on-failure":
        return code != 0 and (most == 0 or count < most)
    return policy in ("always", "unless-stopped")
