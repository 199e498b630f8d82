"""The options of `run` and `create` about what a container shares with others, and what it is told of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from minidocker.cli.flags import Call, Invalid
from minidocker.container.options import naming, sharing
from minidocker.errors import APIError

SYSCTL = re.compile(
    r"(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|net\..*|fs\.mqueue\..*)="
)
MODES = {"pid": "PID", "uts": "UTS", "userns": "USER", "cgroupns": "CGROUP"}  # what docker's own client checks


def sysctl(text: str) -> None:
    """Raise ValueError in docker's words for a setting that no container can have."""
    if not SYSCTL.match(text):
        raise ValueError(f"sysctl '{text}' is not allowed")


def in_words_of(check: Callable[[str], object]) -> Callable[[str], None]:
    """A check of an option's value that the engine makes as well, as the grammar of the command line wants it."""

    def checked(text: str) -> None:
        try:
            check(text)
        except APIError as error:
            raise ValueError(error.explanation) from None

    return checked


CHECKS: dict[str, Callable[[str], object]] = {
    "sysctl": sysctl,
    "add-host": in_words_of(naming.extra_host),
    "dns": in_words_of(naming.server),
    "dns-search": in_words_of(naming.domain),
}


def options(call: Call) -> dict[str, Any]:
    """These options, under the SDK's names."""
    for name, what in MODES.items():
        mode = call.options[name]
        joins = name == "pid" and mode.startswith(sharing.JOINS) and mode != sharing.JOINS
        if mode not in ("", "host") and not (name == "cgroupns" and mode == "private") and not joins:
            raise Invalid(f"--{name}: invalid {what} mode")
    return {
        "pid_mode": call.pid or None,
        "ipc_mode": call.ipc or None,
        "uts_mode": call.uts or None,
        "userns_mode": call.userns or None,
        "cgroupns": call.cgroupns or None,
        "init": call.init if "init" in call.given else None,
        "sysctls": dict(text.partition("=")[::2] for text in call.sysctl) or None,
        "group_add": call.group_add or None,
        "dns": call.dns,
        "dns_opt": call.dns_option,
        "dns_search": call.dns_search,
        "extra_hosts": call.add_host or None,
    }
