"""`--cap-add`, `--cap-drop`, `--security-opt` and `--privileged`: what a container may do.

Of security options there are those of the kernel that we run on: `seccomp=`, `no-new-privileges` and
`systempaths=unconfined`. AppArmor and SELinux are not spoken to: `apparmor=` and `label=` are taken as Docker takes
them on a machine without those, where they change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minidocker.errors import InvalidArgument
from minidocker.runtime import Security
from minidocker.runtime.capabilities import ALL, normalized, tweaked
from minidocker.runtime.masks import MASKED, READ_ONLY

OPTIONS = frozenset({"privileged", "cap_add", "cap_drop", "security_opt"})
BOOLEANS = {word: word.lower() in ("1", "t", "true") for word in "1 t T true TRUE True 0 f F false FALSE False".split()}


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`CapAdd`, `CapDrop`, `SecurityOpt`, `Privileged`, and the paths that are hidden or read-only.

    >>> host_config({"cap_add": ["net_admin"]})["CapAdd"]
    ['CAP_NET_ADMIN']
    """
    options = _listed(given, "security_opt")
    privileged = bool(given.get("privileged"))
    kept = [option for option in options if option != "systempaths=unconfined"]
    list(_pairs(kept))
    open_paths = len(kept) < len(options)
    return {
        "CapAdd": _capabilities(given, "cap_add", "CapAdd"),
        "CapDrop": _capabilities(given, "cap_drop", "CapDrop"),
        "SecurityOpt": [*kept, *(["label=disable"] if privileged else [])] or None,
        "Privileged": privileged,
        "MaskedPaths": None if privileged else [] if open_paths else list(MASKED),
        "ReadonlyPaths": None if privileged else [] if open_paths else list(READ_ONLY),
    }


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """What they come to."""
    host = config["HostConfig"]
    options = dict(_pairs(host.get("SecurityOpt") or []))
    privileged = bool(host.get("Privileged"))
    return {
        "security": Security(
            ALL if privileged else tweaked(host.get("CapAdd") or (), host.get("CapDrop") or ()),
            "unconfined" if privileged else options.get("seccomp", "builtin"),
            BOOLEANS[options.get("no-new-privileges", "false")],
            host.get("MaskedPaths", MASKED) in (None, []),
            privileged,
        )
    }


def _listed(given: Mapping[str, Any], option: str) -> list[str]:
    value = given.get(option) or []
    if isinstance(value, str) and option.startswith("cap_"):
        value = [value]  # the API takes one for a list of one, and those are lists that the SDK does not look at
    if not isinstance(value, list | tuple):
        raise InvalidArgument(f"invalid {option}: expected a list of texts, not {value!r}")
    return [str(text) for text in value]


def _capabilities(given: Mapping[str, Any], option: str, key: str) -> list[str] | None:
    try:
        return normalized(_listed(given, option)) or None
    except ValueError as error:
        raise InvalidArgument(f"invalid {key}: {error}") from None


def _pairs(options: list[str]) -> Iterator[tuple[str, str]]:
    """Options as `name, value`; between them stands a `=`, or as in old times a `:`. Raises InvalidArgument."""
    for option in options:
        name, found, value = option.partition("=" if "=" in option else ":")
        known = name in ("seccomp", "apparmor", "label") or (name == "no-new-privileges" and value in BOOLEANS)
        if option == "no-new-privileges":
            name, value = option, "true"
        elif not found:
            raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
        elif not known:
            raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
        yield name, value
