"""The commands about the build cache: builder du, builder prune; and what `system df -v` says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import Listing, Row, ago, confirm, filters_of, human_size, local_time
from minidocker.dockerfile.mounts import in_bytes

LISTING = Listing(
    "*formatter.buildCacheContext",
    "{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}",
    {
        "ID": "CACHE ID",
        "Parent": "PARENT",
        "CacheType": "CACHE TYPE",
        "Size": "SIZE",
        "CreatedSince": "CREATED",
        "LastUsedSince": "LAST USED",
        "UsageCount": "USAGE",
        "InUse": "IN USE",
        "Shared": "SHARED",
        "Description": "DESCRIPTION",
        "Reason": "REASON",
        "Where": "WHERE",
    },
)
LIMITS = ("keep-storage", "reserved-space", "max-used-space", "min-free-space")


def _bytes(text: str) -> None:
    in_bytes("size", text)


@command(
    """
builder prune [OPTIONS]

Remove build cache

  -a, --all                    Remove all unused build cache, not just dangling ones (here they are the same)
      --filter filter          Provide filter values (e.g. "until=24h", "type=exec.cachemount", "id=3f2a")
  -f, --force                  Do not prompt for confirmation
      --keep-storage string    Amount of disk space to keep for cache
      --max-used-space string  Maximum amount of disk space allowed to keep for cache
      --min-free-space string  Target amount of free disk space after pruning
      --reserved-space string  Amount of disk space always allowed to keep for cache
""",
    checks=dict.fromkeys(LIMITS, _bytes),
)
def prune(call: Call) -> int:
    """`docker builder prune`."""
    if not call.force and not confirm(f"WARNING! This will remove all {'' if call.all else 'dangling '}build cache."):
        return 0
    keep, reserved, most, free = (in_bytes(name, call.options[name] or "0") for name in LIMITS)
    space = {"reserved_space": keep or reserved, "max_used_space": most, "min_free_space": free}
    gone = call.engine.images.prune_builds(filters=filters_of(call.filter), all=call.all, **space)
    if gone["CachesDeleted"]:
        print("Deleted build cache objects:", *gone["CachesDeleted"], "", sep="\n")
    print(f"Total reclaimed space: {human_size(gone['SpaceReclaimed'])}")
    return 0


@command(
    """
builder du [OPTIONS]

Disk usage

      --filter filter   Provide filter values (e.g. "until=24h", "type=exec.cachemount", "id=3f2a")
      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
      --verbose         Provide a more verbose output: with the reason why each step had to be built
"""
)
def du(call: Call) -> int:
    """`docker buildx du`."""
    from minidocker.build.records import usage

    if call.engine.remote:
        if call.filter:
            raise Exit(1, "a daemon does not filter its build cache: leave --filter out")
        records = call.engine.df()["BuildCache"]
    else:
        records = usage(call.engine.store, filters_of(call.filter))
    if call.format:
        if call.verbose:
            raise Exit(1, "--format and --verbose cannot be used together")
        LISTING.show(map(row, records), call.format)
        return 0
    if call.verbose:
        print("".join(f"{tabbed(lines(record))}\n\n" for record in records), end="")
    else:
        print(tabbed([("ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"), *map(short, records)]))
    if not call.filter:
        print(tabbed(summary(records)))
    return 0


def row(record: dict[str, Any]) -> Row:
    """A record as the listings of docker have it."""
    return {
        "ID": record["ID"][:12] + "*" * record["InUse"],
        "Parent": record["Parent"][:12],
        "CacheType": record["Type"],
        "Size": human_size(record["Size"], 3),
        "CreatedSince": ago(record["CreatedAt"]),
        "LastUsedSince": ago(record["LastUsedAt"]),
        "UsageCount": str(record["UsageCount"]),
        "InUse": str(record["InUse"]).lower(),
        "Shared": str(record["Shared"]).lower(),
        "Description": record["Description"],
        "Reason": record["Reason"],
        "Where": record["Where"],
    }


def short(record: dict[str, Any]) -> tuple[str, ...]:
    """A record on one line."""
    name, size = record["ID"] + "*" * record["Mutable"], human_size(record["Size"]) + "*" * record["Shared"]
    return f"{name:<40}", f"{str(not record['InUse']).lower():<5}", f"{size:<10}", ago(record["LastUsedAt"])


def lines(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Everything about a record, in buildx's words; the reason and the place are ours."""
    about = {
        "ID": record["ID"],
        "Parent": record["Parent"],
        "Created at": local_time(record["CreatedAt"]),
        "Mutable": str(record["Mutable"]).lower(),
        "Reclaimable": str(not record["InUse"]).lower(),
        "Shared": str(record["Shared"]).lower(),
        "Size": human_size(record["Size"]),
        "Description": " ".join(record["Description"].split()),
        "Built because": record["Reason"],
        "Where": record["Where"],
        "Usage count": str(record["UsageCount"]),
        "Last used": ago(record["LastUsedAt"]),
        "Type": record["Type"],
    }
    return [(f"{name}:", value) for name, value in about.items() if value]


def summary(records: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """What it comes to."""
    total, free, shared = (
        sum(record["Size"] for record in records if test(record))
        for test in (lambda _: True, lambda record: not record["InUse"], lambda record: record["Shared"])
    )
    split = [("Shared:", human_size(shared)), ("Private:", human_size(total - shared))] if shared else []
    return [*split, ("Reclaimable:", human_size(free)), ("Total:", human_size(total))]


def tabbed(rows: Iterable[Sequence[str]]) -> str:
    """Columns that begin at tab stops, as buildx prints them."""
    rows = list(rows)
    widths = [(max(map(len, column)) // 8 + 1) * 8 for column in zip(*rows, strict=True)]
    text = [
        [cell + "\t" * -(-(width - len(cell)) // 8) for cell, width in zip(row, widths, strict=True)] for row in rows
    ]
    return "\n".join("".join(row).rstrip("\t") for row in text)
