"""What a container is asked to be: the options of `docker run` in the SDK's words, checked and written down.

The result is `config.json`, with the keys of Docker's Engine API (`Config`, `HostConfig`). An option that minidocker
does not do yet is refused by its name: never ignored.

    >>> merge_env(["A=1"], ["B=2"])
    ['A=1', 'B=2']
"""

from __future__ import annotations

import os
import random
import re
import shlex
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from minidocker.container import mountpoints
from minidocker.container.options import TOPICS, networks, sharing
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.filters import texts
from minidocker.times import now

if TYPE_CHECKING:
    from minidocker.image import Image

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
TAKEN = frozenset(
    "name entrypoint hostname domainname user environment working_dir labels stop_signal stop_timeout "
    "read_only use_config_proxy platform noted links".split()
).union(*(topic.OPTIONS for topic in TOPICS))
WANTED_LATER = {  # what it is -> the options of the SDK's that ask for it, and are refused by name
    "limits of Windows": "cpu_count cpu_percent",
    "an init process of your choice": "init_path",
    "settings of LXC": "lxc_conf",
    "versions of the API": "version",
}
LATER = {option: what for what, options in WANTED_LATER.items() for option in options.split()}
SIGNALS = (  # Linux's numbers on every system: the containers are Linux's
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()


def container_config(
    image: Image, image_name: str, command: Any, options: Mapping[str, Any], network: str = "bridge"
) -> dict[str, Any]:
    """The `config.json` of a new container; `network` is that of one that names none.

    Raises InvalidArgument, Unsupported, and TypeError for unknown options.
    """
    if unknown := options.keys() - TAKEN - LATER.keys():
        raise TypeError(f"run() got an unexpected keyword argument {min(unknown)!r}")
    refuse(f"{LATER[key]}, asked for by {key}=" for key, value in options.items() if key in LATER and value)
    given = {key: value for key, value in options.items() if value is not None}
    id = os.urandom(32).hex()
    name = given.get("name") or ""
    config = _config(image, given, id) | {"Image": image_name} | _program(image, command, given.get("entrypoint"))
    for topic in TOPICS:
        config |= topic.config(image, given) if hasattr(topic, "config") else {}
    full = [*(config["Entrypoint"] or []), *(config["Cmd"] or [])]
    return {
        "Id": id,
        "Name": check_name(name) if name else "",
        "Created": now(),
        "Image": image.id,
        "Manifest": image.manifest_digest,
        "Path": full[0],
        "Args": full[1:],
        "Config": config,
        "HostConfig": (host := _host_config(given)),
        "Mounts": mountpoints.asked(config, host),
        "NetworkSettings": {"Networks": networks.wanted(given, network)},
    }


def _program(image: Image, command: Any, entrypoint: Any) -> dict[str, Any]:
    """ENTRYPOINT and CMD, as Docker combines those of the image and the user.

    An entrypoint of the user's takes the image's CMD away, but an empty list only the image's entrypoint. An empty
    text, which is what `--entrypoint ""` sends, takes both away.
    """
    start, rest = words(entrypoint), words(command)
    if entrypoint is None:
        start = list(image.config.get("Entrypoint") or [])
    if not rest and (entrypoint is None or not start):
        rest = list(image.config.get("Cmd") or [])
    none: list[str] | None = [] if entrypoint is not None and not start else None
    if start == [""]:
        start = []
    if not (start or rest):
        raise InvalidArgument("No command specified")
    return {"Entrypoint": start or none, "Cmd": rest or None}


def _config(image: Image, given: Mapping[str, Any], id: str) -> dict[str, Any]:
    """The API's `Config`: what the image says, and over it what the user says."""
    base = image.config
    return {
        "Hostname": str(given.get("hostname") or _hostname(given, id)),
        "Domainname": str(given.get("domainname") or ""),
        "User": str(given.get("user", base.get("User") or "")),
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": _env(base.get("Env") or [], env_list(given.get("environment"))),
        "WorkingDir": _workdir(given.get("working_dir") or base.get("WorkingDir") or ""),
        "OnBuild": None,
        "Labels": {**(base.get("Labels") or {}), **_labels(given.get("labels"))},
        "StopSignal": _stop_signal(given.get("stop_signal") or base.get("StopSignal")),
        "StopTimeout": given.get("stop_timeout"),
    }


def _host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """The API's `HostConfig`: what concerns this machine."""
    return {
        "ReadonlyRootfs": bool(given.get("read_only")),
        **{key: value for topic in TOPICS for key, value in topic.host_config(given).items()},
        **given.get("noted", {}),  # what a client wants to see again
    }


def refuse(what: Iterable[str]) -> None:
    """Raise Unsupported for the first of the things asked for that are not there."""
    for thing in what:
        raise Unsupported(f"minidocker does not have {thing} yet; leave it out")


def words(command: Any) -> list[str]:
    """A command as a list: a string is split as a shell would, a list is taken as it is."""
    if command is None:
        return []
    try:
        return shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    except ValueError as error:
        raise InvalidArgument(f"cannot split the command {command!r}: {error}") from error


def env_list(environment: Any) -> list[str]:
    """An environment as `NAME=value` texts; a name alone is a variable to be left out. Raises InvalidArgument.

    >>> env_list({"A": 1, "B": None, "C": ""})
    ['A=1', 'B', 'C=']
    """
    if isinstance(environment, Mapping):
        environment = [str(key) if value is None else f"{key}={value}" for key, value in environment.items()]
    for text in texts(environment):
        if not text.partition("=")[0] or "\0" in text:
            raise InvalidArgument(f"invalid environment variable: {text}")
    return texts(environment)


def _env(image: Iterable[str], given: list[str]) -> list[str]:
    """What the user says, then what only the image says: as Docker has it, names alone stay until the program runs."""
    said = {text.partition("=")[0]: text for text in given}
    return [*said.values(), *(text for text in image if text.partition("=")[0] not in said)]


def merge_env(lower: Iterable[str], upper: Iterable[str]) -> list[str]:
    """Variables over others: the place of the first, the value of the last; a name alone takes one away.

    >>> merge_env(["PATH=/bin", "A=1", "C=3"], ["A=2", "B=3", "C"])
    ['PATH=/bin', 'A=2', 'B=3']
    """
    merged = {text.partition("=")[0]: text for text in (*lower, *upper)}
    return [text for text in merged.values() if "=" in text]


def signal_number(name: str | int) -> int:
    """A signal's number, of `TERM`, `SIGTERM`, `15` or 15. Raises InvalidArgument: `Invalid signal: X`."""
    text = str(name).upper().removeprefix("SIG")
    if text.isdigit() and 0 < int(text) < 65:
        return int(text)
    if text in SIGNALS:
        return SIGNALS.index(text) + 1
    if match := re.fullmatch(r"RTM(IN|AX)(?:([+-])(\d+))?", text):
        at = {"IN": 34, "AX": 64}[match[1]] + int((match[2] or "") + (match[3] or "0"))
        if 34 <= at <= 64:
            return at
    raise InvalidArgument(f"Invalid signal: {name}")


def is_name(name: str) -> bool:
    """Whether a text can be a container's name, and so a file name."""
    return bool(NAME.fullmatch(name))


def check_name(name: str) -> str:
    """The name, if it is one."""
    if not is_name(name.lstrip("/")):
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.lstrip("/")


def random_names() -> Iterator[str]:
    """Names for containers that were given none: an adjective and a ship, without end."""
    kinds = "brave calm clever eager gentle happy jolly keen lively merry nimble proud quiet swift tidy witty".split()
    ships = "argo beagle calypso discovery endeavour fram gaia hermione investigator kontiki mayflower nautilus".split()
    while True:
        yield f"{random.choice(kinds)}_{random.choice(ships)}"
        yield f"{random.choice(kinds)}_{random.choice(ships)}{random.randrange(10_000)}"


def _workdir(path: str) -> str:
    if path and not path.startswith("/"):
        raise InvalidArgument(f"the working directory '{path}' is invalid, it needs to be an absolute path")
    return path


def _labels(labels: Any) -> dict[str, str]:
    if isinstance(labels, Mapping):
        return {str(key): str(value) for key, value in labels.items()}
    return {text.partition("=")[0]: text.partition("=")[2] for text in texts(labels)}


def _stop_signal(name: Any) -> str | None:
    if name:
        signal_number(name)
    return str(name) if name else None


def _hostname(given: Mapping[str, Any], id: str) -> str:
    """The host name of a container that was given none: where it shares the host's, that one."""
    shared = "host" in (sharing.network_of(given), given.get("uts_mode"))
    return socket.gethostname() if shared else id[:12]
