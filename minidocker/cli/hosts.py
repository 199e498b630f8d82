"""Which engine a command is for: the one in this process, or a daemon.

    -H, --host          a daemon's address
    --context           a context's, one of docker's own files
    MINIDOCKER_HOST     as -H
    DOCKER_CONTEXT      as --context
    minidocker context use NAME

The first that says something counts; where none does, it is the engine in this process. `DOCKER_HOST` is the docker
command's alone, and so is a context that docker chose (Docker Desktop does so by itself): who has these set would
otherwise drive another engine than the one that minidocker is.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minidocker.cli.flags import Call, Exit

FOLDER = "~/.docker"
DEFAULT = "default"  # the context of the engine in this process
TLS_FILES = ("ca", "cert", "key")


@dataclass(frozen=True)
class Host:
    """A daemon's address, and with what certificates it is spoken to."""

    address: str
    files: dict[str, str] = field(default_factory=dict)  # ca, cert, key -> path; none: no TLS
    verify: bool = True

    def tls(self) -> Any:
        """As Docker's SDK has it."""
        if not self.files:
            return None
        from minidocker.cli.remote import client_tls

        return client_tls(self.files, self.verify)


def chosen(options: Call) -> Host | None:
    """The daemon that a command line and its environment mean; None for the engine in this process."""
    if options.host and options.context:
        raise Exit(1, "conflicting options: cannot specify both --host and --context")
    if (options.host or options.context) and (options.root or options.runtime):
        raise Exit(1, "conflicting options: --root and --runtime are of the engine in this process, not of a daemon")
    address = options.host or ("" if options.context else os.environ.get("MINIDOCKER_HOST", ""))
    if address:
        return Host(checked(address), _files(options), options.tlsverify or not options.tls)
    if (options.root and not options.context) or (name := options.context or current()) == DEFAULT:
        return None
    from minidocker.cli import contexts

    return contexts.host(name)


def current() -> str:
    """The context that counts where none is named: as `minidocker context use` has left it."""
    if name := os.environ.get("DOCKER_CONTEXT"):
        return name
    config = settings()
    name = config.get("currentContext", "")
    ours: Any = (config.get("plugins") or {}).get("minidocker") or {}
    return name if name and ours.get("context") == name else DEFAULT


def settings() -> dict[str, Any]:
    """Docker's config.json, as far as it can be read."""
    path = Path(os.environ.get("DOCKER_CONFIG") or Path(FOLDER).expanduser()) / "config.json"
    with suppress(OSError, ValueError, RuntimeError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def checked(address: str) -> str:
    """An address that Docker's SDK can use. Raises Exit.

    >>> checked("unix:///run/minidocker.sock"), checked("127.0.0.1:2375")
    ('unix:///run/minidocker.sock', 'tcp://127.0.0.1:2375')
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "tcp", address
    if scheme not in ("unix", "tcp", "http", "https", "npipe", "ssh") or not rest.strip("/"):
        raise Exit(1, f"unable to resolve docker endpoint: unable to parse docker host `{address}`")
    if scheme == "tcp" and ":" not in rest.rpartition("]")[2]:
        rest = f"{rest}:2375"
    return f"{scheme}://{rest}"


def _files(options: Call) -> dict[str, str]:
    """The certificates that are meant: those that are named, else those of Docker's folder that are there."""
    given = {name: options.options[f"tls{name}" + "cert" * (name == "ca")] for name in TLS_FILES}
    if not (options.tls or options.tlsverify or any(given.values())):
        return {}
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or FOLDER).expanduser()
    usual = {name: folder / f"{name}.pem" for name in TLS_FILES}
    found = {name: given[name] or (str(usual[name]) if usual[name].exists() else "") for name in TLS_FILES}
    return {name: str(Path(path).expanduser()) for name, path in found.items() if path} or {"": ""}
