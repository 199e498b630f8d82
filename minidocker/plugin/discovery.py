"""Which plugins there are, and where they listen.

    /run/docker/plugins/NAME.sock    ROOT/plugins/NAME.sock       a UNIX socket; or NAME/NAME.sock
    /etc/docker/plugins/NAME.spec    /usr/lib/docker/plugins/…    one line: unix:///path or tcp://host:port
    /etc/docker/plugins/NAME.json                                 {"Name": …, "Addr": …, "TLSConfig": {…}}

Sockets are looked for first. `ROOT/plugins/disabled.json` names those that nobody is to ask (`plugin disable`).
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minidocker.errors import NotFound

SOCKETS = [Path("/run/docker/plugins")]
SPECS = [Path("/etc/docker/plugins"), Path("/usr/lib/docker/plugins")]
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
LARGEST = 1 << 16  # bytes of a file that says where a plugin listens


@dataclass(frozen=True)
class Plugin:
    """A plugin: its name, and where it listens: `unix:///run/x.sock`, `tcp://localhost:8080`."""

    name: str
    address: str
    tls: dict[str, Any] = field(default_factory=dict)
    wrong: str = ""  # why nobody can ask it: its file says nothing that makes sense


def every(root: Path) -> list[Plugin]:
    """All plugins by name."""
    found: dict[str, Plugin] = {}
    for plugin in (*_sockets(root), *_specs(root)):
        found.setdefault(plugin.name, plugin)
    return [found[name] for name in sorted(found)]


def find(root: Path, name: str) -> Plugin:
    """The plugin of a name, that is enabled. Raises NotFound in Docker's words."""
    plugin = next((plugin for plugin in every(root) if plugin.name == name), None)
    if plugin is None or name in disabled(root):
        raise NotFound(f'plugin "{name}" not found')
    return plugin


def disabled(root: Path) -> list[str]:
    """The names of those that nobody is to ask."""
    try:
        found: list[str] = json.loads((root / "plugins" / "disabled.json").read_bytes())
    except (OSError, ValueError):
        return []
    return found


def _files(folders: list[Path], *endings: str) -> Iterator[tuple[str, Path]]:
    """Files with such an ending, and their names without it: in a folder, or in one of theirs that has that name."""
    for folder in (folder for folder in folders if os.access(folder, os.R_OK | os.X_OK)):  # some are root's alone
        for ending in endings:
            for path in (*sorted(folder.glob(f"*{ending}")), *sorted(folder.glob(f"*/*{ending}"))):
                name = path.name.removesuffix(ending)
                if NAME.fullmatch(name) and path.parent.name in (folder.name, name):
                    yield name, path


def _sockets(root: Path) -> Iterator[Plugin]:
    for name, path in _files([*SOCKETS, root / "plugins"], ".sock"):
        if stat.S_ISSOCK(path.stat().st_mode):
            yield Plugin(name, f"unix://{path}")


def _specs(root: Path) -> Iterator[Plugin]:
    for name, path in _files([*SPECS, root / "plugins"], ".spec", ".json"):
        if path.name == "disabled.json":
            continue
        if not os.access(path, os.R_OK) or not path.is_file():  # reading a pipe might never end
            continue
        with path.open("rb") as file:
            text = file.read(LARGEST).decode(errors="replace").strip()
        if path.suffix == ".spec":
            yield Plugin(name, text)
            continue
        try:
            said = json.loads(text)
            yield Plugin(name, str(said["Addr"]), dict(said.get("TLSConfig") or {}))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            yield Plugin(name, "", wrong=f"{path} does not say where plugin {name} listens: {error!r}")
