"""Plugins as things that are listed, and that nobody asks any more once they are disabled: `docker plugin`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minidocker.content import FileLock, write_json
from minidocker.errors import APIError, InvalidArgument, NotFound
from minidocker.filters import is_true
from minidocker.plugin import client, discovery


def listed(root: Path, filters: Mapping[str, Sequence[str]] | None = None) -> list[dict[str, Any]]:
    """All plugins, as the API's `GET /plugins` has them. Filters: enabled, capability. Raises InvalidArgument."""
    wanted = filters or {}
    if unknown := wanted.keys() - {"enabled", "capability"}:
        raise InvalidArgument(f"Invalid filter '{min(unknown)}'")
    off = discovery.disabled(root)
    found = [_described(plugin, plugin.name not in off) for plugin in discovery.every(root)]
    if "enabled" in wanted:
        state = is_true("enabled", wanted["enabled"][-1])
        found = [plugin for plugin in found if plugin["Enabled"] == state]
    for capability in wanted.get("capability", ()):
        found = [plugin for plugin in found if capability.lower() in _capabilities(root, plugin)]
    return found


def get(root: Path, name: str) -> dict[str, Any]:
    """The plugin of a name, an id or the start of an id. Raises NotFound."""
    for plugin in listed(root):
        if name == plugin["Name"] or (len(name) > 3 and plugin["Id"].startswith(name)):
            return plugin
    raise NotFound(f'plugin "{name}" not found')


def enable(root: Path, name: str, timeout: float = 30) -> None:
    """Let a plugin be asked again: it has to answer. Raises APIError."""
    plugin = get(root, name)
    if plugin["Enabled"]:
        raise APIError(f"plugin {plugin['Name']} is already enabled")
    there = next(each for each in discovery.every(root) if each.name == plugin["Name"])
    client.ask(there, "Plugin.Activate", {}, timeout)
    _write(root, plugin["Name"], off=False)


def disable(root: Path, name: str, used: str = "") -> None:
    """Let nobody ask a plugin any more. Raises APIError where somebody needs it: `used` says what for."""
    plugin = get(root, name)
    if not plugin["Enabled"]:
        raise APIError(f"plugin {plugin['Name']} is already disabled")
    if used:
        raise APIError(f"plugin {plugin['Name']} is in use: {used}; -f disables it anyway")
    _write(root, plugin["Name"], off=True)


def _write(root: Path, name: str, off: bool) -> None:
    (root / "plugins").mkdir(mode=0o700, exist_ok=True)
    with FileLock(root / "plugins" / ".lock"):
        others = {*discovery.disabled(root)} - {name}
        write_json(root / "plugins" / "disabled.json", sorted(others | ({name} if off else set())))


def _described(plugin: discovery.Plugin, enabled: bool) -> dict[str, Any]:
    return {
        "Id": hashlib.sha256(f"{plugin.name} {plugin.address}".encode()).hexdigest(),
        "Name": plugin.name,
        "Enabled": enabled,
        "Config": {"Description": f"listens at {plugin.address}", "Interface": {"Socket": plugin.address}},
    }


def _capabilities(root: Path, plugin: Mapping[str, Any]) -> list[str]:
    try:
        return [each.lower() for each in client.activate(discovery.find(root, plugin["Name"]), patience=0)]
    except APIError:
        return []
