"""The commands about the engine: info, system df, system prune."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from minidocker import __version__
from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import Listing, Row, binary_size, confirm, filters_of, formatted, human_size

DF = Listing(
    "*formatter.diskUsageContext",
    "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"},
)


@command("""
info [OPTIONS]

Display system-wide information

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
""")
def info(call: Call) -> int:
    """`docker info`."""
    known = call.engine.info()
    if call.format:
        print(formatted(known, call.format, "system.dockerInfo"))
        return 0
    print(f"Client:\n Version:    {__version__}\n\nServer:")
    known |= {"MemTotal": binary_size(known["MemTotal"]), "Runtimes": " ".join(known["Runtimes"])}
    for label, key in INFO:
        print(f" {label}: {known[key]}")
    print("".join(f"{warning}\n" for warning in known["Warnings"] or ()), end="", file=sys.stderr)
    return 0


INFO = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Runtimes", "Runtimes"),
    ("Default Runtime", "DefaultRuntime"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("Docker Root Dir", "DockerRootDir"),
)


@command("""
system df [OPTIONS]

Show minidocker disk usage

      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
  -v, --verbose         Show detailed information on space usage
""")
def df(call: Call) -> int:
    """`docker system df`."""
    usage = call.engine.df()
    if call.verbose:
        _verbose(call, usage)
        return 0
    DF.show(df_rows(usage), call.format)
    return 0


def df_rows(usage: dict[str, Any]) -> list[Row]:
    """The four lines, from what `GET /system/df` answers."""
    images, containers, cache = usage["Images"], usage["Containers"], usage["BuildCache"] or []
    used = sum(image["Size"] for image in images if image["Containers"])
    live = [container for container in containers if container["State"] in ("running", "paused", "restarting")]
    idle = _total(containers, "SizeRw") - _total(live, "SizeRw")
    volumes = usage["Volumes"]
    linked = [volume for volume in volumes if volume["UsageData"]["RefCount"]]
    busy = [record for record in cache if record.get("InUse")]
    spare = _total(cache, "Size") - _total(busy, "Size")
    return [
        _df_row(
            "Images", images, [i for i in images if i["Containers"]], usage["LayersSize"], usage["LayersSize"] - used
        ),
        _df_row("Containers", containers, live, _total(containers, "SizeRw"), idle),
        _df_row("Local Volumes", volumes, linked, _volume_size(volumes), _volume_size(volumes) - _volume_size(linked)),
        {**_df_row("Build Cache", cache, busy, _total(cache, "Size"), 0), "Reclaimable": human_size(spare)},
    ]


def _volume_size(volumes: Iterable[dict[str, Any]]) -> int:
    return sum(volume["UsageData"]["Size"] for volume in volumes)


def _total(records: Iterable[dict[str, Any]], key: str) -> int:
    return sum(record.get(key) or 0 for record in records)


def _df_row(kind: str, every: list[Any], active: list[Any], size: int, reclaimable: int) -> Row:
    reclaimable = max(0, reclaimable)
    share = f" ({100 * reclaimable // size}%)" if size else ""
    return {
        "Type": kind,
        "TotalCount": str(len(every)),
        "Active": str(len(active)),
        "Size": human_size(size),
        "Reclaimable": human_size(reclaimable) + share,
    }


def _verbose(call: Call, usage: dict[str, Any]) -> None:
    from minidocker.cli.caching import LISTING as CACHE
    from minidocker.cli.caching import row
    from minidocker.cli.containers import LISTING as CONTAINERS
    from minidocker.cli.containers import container_row
    from minidocker.cli.images import LISTING as IMAGES
    from minidocker.cli.images import image_rows
    from minidocker.cli.volumes import LISTING as VOLUMES
    from minidocker.cli.volumes import row as volume_row

    users = {image["Id"]: str(image["Containers"]) for image in usage["Images"]}
    plain = bool(call.format) and call.format != "table"  # then ids are whole
    images = [
        {**row, "Containers": users[image.id]}
        for image in call.engine.images.list()
        for row in image_rows(image, plain)
    ]
    found = [container_row(each, {}, plain, size=True) for each in call.engine.containers.list(all=True)]
    volumes = [volume_row(volume, volume.usage()) for volume in call.engine.volumes.list()]
    cache = [row(record) for record in usage["BuildCache"] or ()]
    if plain:
        parts = {"Images": images, "Containers": found, "Volumes": volumes, "BuildCache": cache}
        whole = {
            part: [{key: value for key, value in sorted(each.items()) if not callable(value)} for each in rows]
            for part, rows in parts.items()
        }
        print(formatted(whole, call.format, "*formatter.diskUsageContext"))
        return
    print("Images space usage:\n")
    IMAGES.show(images, "table " + IMAGES.default + "\t{{.Containers}}")
    print("\nContainers space usage:\n")
    columns = "ID Image Command LocalVolumes Size RunningFor Status Names".split()
    CONTAINERS.show(found, "table " + "\t".join(f"{{{{.{column}}}}}" for column in columns))
    print("\nLocal Volumes space usage:\n")
    VOLUMES.show(volumes, "table {{.Name}}\t{{.Links}}\t{{.Size}}")
    print(f"\nBuild cache usage: {human_size(_total(usage['BuildCache'], 'Size'))}\n")
    CACHE.show(cache)


@command("""
system prune [OPTIONS]

Remove unused data

  -a, --all             Remove all unused images not just dangling ones
      --filter filter   Provide filter values (e.g. "label=<key>=<value>")
  -f, --force           Do not prompt for confirmation
      --volumes         Prune anonymous volumes
""")
def prune(call: Call) -> int:
    """`docker system prune`: stopped containers, unused networks and images, build cache."""
    images = "all images without at least one container associated to them" if call.all else "all dangling images"
    cache = "all build cache" if call.all else "unused build cache"
    networks = "  - all networks not used by at least one container\n"
    volumes = "  - all anonymous volumes not used by at least one container\n" if call.volumes else ""
    warning = f"WARNING! This will remove:\n  - all stopped containers\n{networks}{volumes}  - {images}\n  - {cache}\n"
    if not call.force and not confirm(warning):
        return 0
    from minidocker.cli.images import show_gone
    from minidocker.cli.networking import show_pruned
    from minidocker.cli.volumes import pruned

    filters = filters_of(call.filter)
    if call.volumes and "until" in filters:
        raise Exit(1, 'ERROR: The "until" filter is not supported with "--volumes"')
    containers = call.engine.containers.prune(filters=filters)
    if containers["ContainersDeleted"]:
        print("Deleted Containers:", *containers["ContainersDeleted"], "", sep="\n")
    show_pruned(call.engine.networks.prune(filters=filters))
    freed = pruned(call, filters) if call.volumes else 0
    gone = call.engine.images.prune(filters=filters | {"dangling": [str(not call.all).lower()]})
    if gone["ImagesDeleted"]:
        print("Deleted Images:")
        show_gone(gone["ImagesDeleted"])
        print()
    freed += containers["SpaceReclaimed"] + gone["SpaceReclaimed"]
    until = {name: value for name, value in filters.items() if name == "until"}  # a record has no labels
    freed += call.engine.images.prune_builds(filters=until)["SpaceReclaimed"]
    print(f"Total reclaimed space: {human_size(freed)}")
    return 0
