"""`--health-cmd` and its kin: Docker's HEALTHCHECK, of the image and over it what the user says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.errors import InvalidArgument
from minidocker.runtime import HealthCheck

if TYPE_CHECKING:
    from minidocker.image import Image

OPTIONS = frozenset({"healthcheck"})
TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval")
KEYS = ("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
SECOND = 10**9


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - every topic has this
    """Nothing: a health check is the same on each machine."""
    return {}


def config(image: Image, given: Mapping[str, Any]) -> dict[str, Any]:
    """`Healthcheck`, where the user or the image has one: of what the user does not say, the image's is taken."""
    own, base = check(given.get("healthcheck") or {}), image.config.get("Healthcheck") or {}
    merged = {key: own.get(key) or base.get(key) for key in KEYS}
    found = {key: value for key, value in merged.items() if value}
    return {"Healthcheck": found} if found else {}


def check(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A health check as users write it, with the API's keys; times are in nanoseconds. Raises InvalidArgument.

    >>> check({"test": "curl -f http://localhost", "interval": 10**9})
    {'Test': ['CMD-SHELL', 'curl -f http://localhost'], 'Interval': 1000000000}
    >>> check({"interval": 1000})
    Traceback (most recent call last):
    ...
    minidocker.errors.InvalidArgument: Interval in Healthcheck cannot be less than 1ms
    """
    api = {"test": "Test", "interval": "Interval", "timeout": "Timeout", "retries": "Retries"}
    api |= {"start_period": "StartPeriod", "start_interval": "StartInterval"}
    found = {api.get(key, key): value for key, value in wanted.items() if value is not None}
    if unknown := found.keys() - {*KEYS}:
        raise InvalidArgument(f"unknown field of a health check: {min(unknown)}; there are {', '.join(api)}")
    test = found.get("Test")
    if isinstance(test, str):
        found["Test"] = ["CMD-SHELL", test]
    elif test is not None and not (isinstance(test, list | tuple) and all(isinstance(word, str) for word in test)):
        raise InvalidArgument("the test of a health check is a command, or a list of texts that begins with CMD")
    for key in (*TIMES, "Retries"):
        if not isinstance(found.get(key, 0), int):
            raise InvalidArgument(f"{key} in Healthcheck must be an integer; times are in nanoseconds")
    for key in ("Interval", "Timeout", "Retries", "StartPeriod", "StartInterval"):
        value = found.get(key, 0)
        if key == "Retries" and value < 0:
            raise InvalidArgument("Retries in Healthcheck cannot be negative")
        if key != "Retries" and value and value < SECOND // 1000:
            raise InvalidArgument(f"{key} in Healthcheck cannot be less than 1ms")
    return found


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The check with Docker's defaults; none where the test is NONE, or not there, or of a kind that Docker ignores."""
    wanted = config["Config"].get("Healthcheck") or {}
    kind, *words = wanted.get("Test") or ["NONE"]
    if kind == "CMD-SHELL":
        words = ["/bin/sh", "-c", *words]
    if kind not in ("CMD", "CMD-SHELL") or not words:
        return {}
    names = {"Interval": "interval", "Timeout": "timeout", "StartPeriod": "start_period"}
    names |= {"StartInterval": "start_interval"}
    times = {names[key]: wanted[key] / SECOND for key in TIMES if wanted.get(key)}
    if "start_interval" not in times:  # 5 s as for Docker 28; engines before 25 went by the interval from the start
        times["start_interval"] = min(HealthCheck.start_interval, times.get("interval", HealthCheck.interval))
    retries = {"retries": wanted["Retries"]} if wanted.get("Retries") else {}
    return {"health": HealthCheck(tuple(words), **times, **retries)}
