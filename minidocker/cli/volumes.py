"""The commands about volumes: volume create, inspect, ls, prune, rm."""

from __future__ import annotations

from typing import Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import Listing, Row, confirm, each, filters_of, human_size, natural
from minidocker.cli.inspecting import show

LISTING = Listing(
    "*formatter.volumeContext",
    "{{.Driver}}\t{{.Name}}",
    {
        "Driver": "DRIVER",
        "Name": "VOLUME NAME",
        "Labels": "LABELS",
        "Mountpoint": "MOUNTPOINT",
        "Scope": "SCOPE",
        "Links": "LINKS",
        "Size": "SIZE",
        "Availability": "AVAILABILITY",
        "Group": "GROUP",
        "Status": "STATUS",
    },
)
CLUSTER = "cluster volumes belong to swarm, which minidocker does not have"


@command(
    """
volume create [OPTIONS] [VOLUME]

Create a volume

  -d, --driver string   Specify volume driver name (default "local")
      --label list      Set metadata for a volume
  -o, --opt list        Set driver specific options
""",
    refused={
        CLUSTER: "availability= group= limit-bytes= required-bytes= scope= secret= sharing= topology-preferred= "
        "topology-required= type="
    },
)
def create(call: Call) -> int:
    """`docker volume create`."""
    options = dict(_pair(text) for text in call.opt)
    labels = dict(_pair(text) for text in call.label)
    name = call.args[0] if call.args else None
    print(call.engine.volumes.create(name, call.driver, options, labels).name)
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


@command("""
volume inspect [OPTIONS] VOLUME [VOLUME...]

Display detailed information on one or more volumes

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
""")
def inspect(call: Call) -> int:
    """`docker volume inspect`."""

    def look(name: str) -> dict[str, Any]:
        attrs: dict[str, Any] = call.engine.volumes.get(name).attrs
        return attrs

    return show(call, [look])


@command(
    """
volume ls [OPTIONS]

List volumes

  -f, --filter filter   Provide filter values (e.g. "dangling=true")
      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
  -q, --quiet           Only display volume names
""",
    refused={CLUSTER: "cluster"},
)
def ls(call: Call) -> int:
    """`docker volume ls`."""
    found = sorted(call.engine.volumes.list(filters_of(call.filter)), key=lambda volume: natural(volume.name))
    LISTING.show(map(row, found), call.format or "{{.Name}}" * call.quiet)
    for warning in call.engine.volumes.warnings:
        print(f"WARNING: {warning}")
    return 0


def row(volume: Any, usage: dict[str, int] | None = None) -> Row:
    """What a listing shows of a volume."""
    labels = volume.labels
    return {
        "Availability": "N/A",
        "Driver": volume.driver,
        "Group": "N/A",
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Links": str(usage["RefCount"]) if usage else "N/A",
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Scope": volume.record["Scope"],
        "Size": human_size(usage["Size"]) if usage else "N/A",
        "Status": "N/A",
        "Label": lambda key: labels.get(key, ""),
    }


@command("""
volume prune [OPTIONS]

Remove unused local volumes

  -a, --all             Remove all unused volumes, not just anonymous ones
      --filter filter   Provide filter values (e.g. "label=<label>")
  -f, --force           Do not prompt for confirmation
""")
def prune(call: Call) -> int:
    """`docker volume prune`."""
    which = "all" if call.all else "anonymous"
    warning = f"WARNING! This will remove {which} local volumes not used by at least one container."
    filters = filters_of(call.filter)
    if call.all:
        if "all" in filters:
            raise Exit(1, "conflicting options: cannot specify both --all and --filter all=1")
        filters["all"] = ["true"]
    if not call.force and not confirm(warning):
        return 0
    print(f"Total reclaimed space: {human_size(pruned(call, filters))}")
    return 0


def pruned(call: Call, filters: dict[str, list[str]]) -> int:
    """Remove volumes and say which; how many bytes that gave back."""
    gone = call.engine.volumes.prune(filters)
    if gone["VolumesDeleted"]:
        print("Deleted Volumes:", *gone["VolumesDeleted"], "", sep="\n")
    return int(gone["SpaceReclaimed"])


@command("""
volume rm [OPTIONS] VOLUME [VOLUME...]

Remove one or more volumes. You cannot remove a volume that is in use by a container.

  -f, --force   Force the removal of one or more volumes
""")
def rm(call: Call) -> int:
    """`docker volume rm`."""
    return each(call.args, lambda name: call.engine.volumes.remove(name, force=call.force))
