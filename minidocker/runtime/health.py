"""Health checks: when a container is probed, and what the answers make of its `Health` in `docker inspect`.

    starting ──a probe succeeds──▶ healthy ◀──┐
        └── so many in a row fail ──▶ unhealthy ┘

Both runtimes' monitors go by these rules; how a program is run inside is a matter of their own. A failure does not
count within the start period, unless a probe has succeeded before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOG, MAX_OUTPUT = 5, 4096  # results, and bytes of each, that are kept
Check = Mapping[str, Any]  # the fields of `runtime.HealthCheck`


def fresh(before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The health of a container that has just started; the results of its former life are kept, as Docker does."""
    return {"Status": "starting", "FailingStreak": 0, "Log": list((before or {}).get("Log", []))}


def delay(check: Check, status: str, age: float) -> float:
    """Seconds to the next probe, of a container that has run for `age` seconds.

    >>> check = {"interval": 30.0, "start_interval": 5.0, "start_period": 60.0}
    >>> delay(check, "starting", 7), delay(check, "healthy", 7), delay(check, "starting", 60)
    (5.0, 30.0, 30.0)
    """
    return float(check["start_interval" if status == "starting" and age < check["start_period"] else "interval"])


def judged(check: Check, health: Mapping[str, Any], result: Mapping[str, Any], age: float) -> dict[str, Any]:
    """The health after one more result, of a probe that began when the container had run for `age` seconds.

    >>> check, health = {"retries": 2, "start_period": 10.0}, fresh(None)
    >>> for age in (5, 15, 25):
    ...     health = judged(check, health, {"ExitCode": 1}, age)
    ...     print(health["Status"], health["FailingStreak"])
    starting 0
    starting 1
    unhealthy 2
    """
    status, streak = health["Status"], health["FailingStreak"]
    if result["ExitCode"] == 0:
        status, streak = "healthy", 0
    elif status != "starting" or age >= check["start_period"]:
        streak += 1
        status = "unhealthy" if streak >= check["retries"] else status
    return {"Status": status, "FailingStreak": streak, "Log": [*health["Log"], dict(result)][-LOG:]}


def timed_out(check: Check, output: str) -> str:
    """Docker's words for a probe that took too long.

    >>> timed_out({"timeout": 0.3}, ""), timed_out({"timeout": 90}, "so far")
    ('Health check exceeded timeout (300ms)', 'Health check exceeded timeout (1m30s): so far')
    """
    said = f"Health check exceeded timeout ({_go(check['timeout'])})"
    return f"{said}: {output}" if output else said


def shortened(output: bytes) -> str:
    """What is kept of a probe's output."""
    more = "..." if len(output) > MAX_OUTPUT else ""
    return output[:MAX_OUTPUT].decode(errors="replace") + more


def _go(seconds: float) -> str:
    """A length of time as Go prints it: `300ms`, `1m30s`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}h" * bool(hours) + f"{minutes}m" * bool(hours or minutes) + f"{rest:g}s"
