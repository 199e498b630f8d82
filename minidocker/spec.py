"""What a container is asked to be: the options of `docker run` in the SDK's words, checked and written down.

The result is `config.json`, with the keys of Docker's Engine API (`Config`, `HostConfig`). An option that minidocker
does not do yet is refused by its name: never ignored.

    >>> merge_env(["PATH=/bin", "A=1"], ["A=2", "B=3"])
    ['PATH=/bin', 'A=2', 'B=3']
"""

from __future__ import annotations

import os
import random
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from minidocker.errors import InvalidArgument, Unsupported
from minidocker.runtime import Bind

if TYPE_CHECKING:
    from minidocker.image import Image

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
POLICIES = ("no", "always", "on-failure", "unless-stopped")
LATER = {  # options of the SDK's that change what a container is, and that minidocker does not have yet
    "tty": "a terminal (-t)",
    "ports": "published ports (-p)",
    "mem_limit": "memory limits",
    "nano_cpus": "CPU limits",
    "cpu_shares": "CPU limits",
    "pids_limit": "process limits",
    "ulimits": "ulimits",
    "privileged": "privileged containers",
    "cap_add": "added capabilities",
    "cap_drop": "dropped capabilities",
    "security_opt": "security options",
    "devices": "devices",
    "tmpfs": "tmpfs mounts",
    "mounts": "--mount",
    "volumes_from": "--volumes-from",
    "pid_mode": "a shared pid namespace",
    "ipc_mode": "a shared ipc namespace",
    "uts_mode": "a shared uts namespace",
    "userns_mode": "another user namespace",
    "network": "networks",
    "dns": "name servers of its own",
    "extra_hosts": "extra hosts",
    "links": "links",
    "healthcheck": "health checks",
    "init": "an init process (--init)",
    "log_config": "log drivers",
    "platform": "other platforms",
    "runtime": "other runtimes for one container",
    "group_add": "additional groups",
    "shm_size": "the size of /dev/shm",
    "sysctls": "sysctls",
}
SIGNALS = (  # Linux's numbers on every system: the containers are Linux's
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()


def container_config(image: Image, image_name: str, command: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The `config.json` of a new container. Raises InvalidArgument, Unsupported, and TypeError for unknown options."""
    given = {key: value for key, value in options.items() if value not in (None, False, [], {}, "")}
    take = given.pop
    id = os.urandom(32).hex()
    name = take("name", "")
    base = image.config
    entrypoint = words(take("entrypoint", None))
    cmd = words(command)
    if "entrypoint" not in options or options["entrypoint"] is None:
        entrypoint, cmd = list(base.get("Entrypoint") or []), cmd or list(base.get("Cmd") or [])
    if not (entrypoint or cmd):
        raise InvalidArgument(
            "No command specified: the image has neither CMD nor ENTRYPOINT, so name a program to run"
        )
    config = {
        "Hostname": take("hostname", id[:12]),
        "Domainname": take("domainname", ""),
        "User": str(take("user", base.get("User") or "")),
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "OpenStdin": bool(take("stdin_open", False)),
        "StdinOnce": False,
        "Env": merge_env(base.get("Env") or [], env_list(take("environment", None))),
        "Cmd": cmd or None,
        "Image": image_name,
        "Volumes": base.get("Volumes"),
        "WorkingDir": _workdir(take("working_dir", base.get("WorkingDir") or "")),
        "Entrypoint": entrypoint or None,
        "OnBuild": None,
        "Labels": {**(base.get("Labels") or {}), **_labels(take("labels", {}))},
        "StopSignal": _stop_signal(take("stop_signal", base.get("StopSignal"))),
        "StopTimeout": take("stop_timeout", None),
    }
    host = {
        "Binds": binds(take("volumes", None)) or None,
        "NetworkMode": _network(take("network_mode", "default")),
        "RestartPolicy": _policy(take("restart_policy", None), options.get("auto_remove")),
        "AutoRemove": bool(take("auto_remove", False)),
        "ReadonlyRootfs": bool(take("read_only", False)),
    }
    refuse(f"{LATER[key]}, asked for by {key}=" for key in given if key in LATER)
    if given:
        raise TypeError(f"run() got an unexpected keyword argument {next(iter(given))!r}")
    full = [*entrypoint, *cmd]
    return {
        "Id": id,
        "Name": check_name(name) if name else "",
        "Created": _now(),
        "Image": image.id,
        "Manifest": image.manifest_digest,
        "Path": full[0],
        "Args": full[1:],
        "Config": config,
        "HostConfig": host,
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


def lines(value: Any) -> list[str]:
    """One text or several, as a list."""
    if isinstance(value, bool):
        return [str(value).lower()]
    return [] if value is None else [value] if isinstance(value, str) else [str(item) for item in value]


def env_list(environment: Any) -> list[str]:
    """An environment as `NAME=value` texts; a name alone takes its value from this process, as `docker run -e NAME`."""
    pairs = environment.items() if isinstance(environment, Mapping) else None
    texts = (
        [key if value is None else f"{key}={value}" for key, value in pairs]
        if pairs is not None
        else lines(environment)
    )
    full = []
    for text in texts:
        key, equals, _ = text.partition("=")
        if not key or "\0" in text:
            raise InvalidArgument(f"invalid environment variable: {text!r}; NAME=value is expected")
        if equals or key in os.environ:
            full.append(text if equals else f"{key}={os.environ[key]}")
    return full


def merge_env(lower: Iterable[str], upper: Iterable[str]) -> list[str]:
    """Variables over others: the place of the first, the value of the last."""
    merged = {text.partition("=")[0]: text for text in lower}
    merged.update((text.partition("=")[0], text) for text in upper)
    return list(merged.values())


def binds(volumes: Any) -> list[str]:
    """`-v` texts of the SDK's `volumes`: a list of them, or `{source: {"bind": target, "mode": "ro"}}`."""
    if isinstance(volumes, Mapping):
        volumes = [f"{source}:{to['bind']}:{to.get('mode', 'rw')}" for source, to in volumes.items()]
    for text in lines(volumes):
        bind(text)
    return lines(volumes)


def bind(text: str) -> Bind:
    """One `-v source:target[:ro]`. Raises InvalidArgument in Docker's words, Unsupported for volumes by name.

    >>> bind("/srv/data:/data:ro")
    Bind(source='/srv/data', target='/data', read_only=True)
    """
    drive, rest = (text[:2], text[2:]) if re.match(r"[A-Za-z]:[\\/]", text) else ("", text)
    parts = rest.split(":")
    if len(parts) == 1 and parts[0].startswith("/"):
        raise Unsupported(f"minidocker does not have anonymous volumes ({text}) yet; name a folder: /here:{text}")
    if len(parts) not in (2, 3) or not all(parts):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    source, target, modes = drive + parts[0], parts[1], set(parts[2].split(",")) if len(parts) == 3 else set()
    if not modes <= {"ro", "rw", "z", "Z", "rprivate", "private"} or {"ro", "rw"} <= modes:
        raise InvalidArgument(f"invalid mode: {parts[2]}")
    if not target.startswith("/"):
        raise InvalidArgument(
            f"invalid volume specification: '{text}': invalid mount config for type \"bind\": "
            f"invalid mount path: '{target}' mount path must be absolute"
        )
    if str(PurePosixPath(target)) == "/":
        raise InvalidArgument(f"invalid volume specification: '{text}': destination can't be '/'")
    if not drive and not source.startswith("/"):
        raise Unsupported(
            f"minidocker does not have volumes by name ({source!r}) yet; give the absolute path of a folder"
        )
    return Bind(source, target, "ro" in modes)


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
    return {text.partition("=")[0]: text.partition("=")[2] for text in lines(labels)}


def _stop_signal(name: Any) -> str | None:
    if name:
        signal_number(name)
    return str(name) if name else None


def _network(mode: str) -> str:
    if mode in ("default", "none", "host"):
        return mode
    raise Unsupported(
        f"minidocker does not have networks ({mode!r}) yet: a container has none of the host's, or with 'host' all"
    )


def _policy(policy: Any, auto_remove: Any) -> dict[str, Any]:
    if isinstance(policy, str):
        name, _, count = policy.partition(":")
        policy = {"Name": name, "MaximumRetryCount": count or 0}
    policy = {"Name": "no", "MaximumRetryCount": 0, **(policy or {})}
    name, count = policy["Name"] or "no", str(policy["MaximumRetryCount"])
    if name not in POLICIES:
        raise InvalidArgument(f"invalid restart policy '{name}'")
    if not count.isdigit():
        raise InvalidArgument("invalid restart policy: maximum retry count must be an integer")
    if int(count) and name != "on-failure":
        raise InvalidArgument(f"maximum retry count cannot be used with restart policy '{name}'")
    if auto_remove and name != "no":
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    return {"Name": name, "MaximumRetryCount": int(count)}


def _now() -> str:
    from minidocker.logs import now

    return now()
