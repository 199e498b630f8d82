"""The commands about plugins: plugin ls, inspect, enable, disable.

Docker's own commands are about plugins that Docker installs and runs as containers. Here they are about those that
anybody runs, which Docker has too, but does not list.
"""

from __future__ import annotations

from typing import Any

from minidocker.cli.flags import Call, command
from minidocker.cli.format import Listing, each
from minidocker.cli.inspecting import show
from minidocker.plugin import managing

LISTING = Listing(
    "*formatter.pluginContext",
    "{{.ID}}\t{{.Name}}\t{{.Description}}\t{{.Enabled}}",
    {
        "ID": "ID",
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "Enabled": "ENABLED",
        "PluginReference": "PLUGIN REFERENCE",
    },
)


@command(
    """
plugin ls [OPTIONS]

List plugins

  -f, --filter filter   Provide filter values (e.g. "enabled=true")
      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
      --no-trunc        Don't truncate output
  -q, --quiet           Only display plugin IDs
""",
)
def ls(call: Call) -> int:
    """`docker plugin ls`."""
    from minidocker.cli.format import filters_of

    rows = [
        {
            "ID": plugin["Id"] if call.no_trunc else plugin["Id"][:12],
            "Name": plugin["Name"],
            "Description": plugin["Config"]["Description"],
            "Enabled": str(plugin["Enabled"]).lower(),
            "PluginReference": "",
        }
        for plugin in managing.listed(call.engine.root, filters_of(call.filter))
    ]
    LISTING.show(rows, call.format, call.quiet)
    return 0


@command("""
plugin inspect [OPTIONS] PLUGIN [PLUGIN...]

Display detailed information on one or more plugins

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
""")
def inspect(call: Call) -> int:
    """`docker plugin inspect`."""

    def look(name: str) -> dict[str, Any]:
        return managing.get(call.engine.root, name)

    return show(call, [look])


@command("""
plugin enable [OPTIONS] PLUGIN

Enable a plugin

      --timeout int   HTTP client timeout (in seconds) (default 30)
""")
def enable(call: Call) -> int:
    """`docker plugin enable`."""
    return each(call.args, lambda name: managing.enable(call.engine.root, name, call.timeout))


@command("""
plugin disable [OPTIONS] PLUGIN

Disable a plugin

  -f, --force   Force the disable of an active plugin
""")
def disable(call: Call) -> int:
    """`docker plugin disable`."""

    def one(name: str) -> None:
        known = managing.get(call.engine.root, name)["Name"]
        used = [
            f"a container has its volume {v.name}" for v in call.engine.volumes.list() if v.driver == known and v.users
        ]
        used += [
            f"the network {network.name} is its" for network in call.engine.networks.list(filters={"driver": known})
        ]
        managing.disable(call.engine.root, name, "" if call.force or not used else used[0])

    return each(call.args, one)
