"""Commands about containers: ps, start, stop, restart, kill, pause, unpause, wait, rename, rm, top."""

from __future__ import annotations

import shlex
from typing import Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import Listing, Row, ago, columns, each, ellipsis, filters_of, human_size, local_time
from minidocker.cli.networking import ports_text
from minidocker.container import Container
from minidocker.errors import NotFound

MANY = 50  # containers that are stopped at the same time, as docker does
LISTING = Listing(
    "*formatter.ContainerContext",
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    {
        "ID": "CONTAINER ID",
        "Image": "IMAGE",
        "Command": "COMMAND",
        "CreatedAt": "CREATED AT",
        "RunningFor": "CREATED",
        "Ports": "PORTS",
        "State": "STATE",
        "Status": "STATUS",
        "Size": "SIZE",
        "Names": "NAMES",
        "Labels": "LABELS",
        "Mounts": "MOUNTS",
        "LocalVolumes": "LOCAL VOLUMES",
        "Networks": "NETWORKS",
        "Platform": "PLATFORM",
    },
)


@command("""
ps [OPTIONS]

List containers

  -a, --all             Show all containers (default shows just running)
  -f, --filter filter   Filter output: name=TEXT, id=ID, status=STATUS, exited=CODE, label=KEY[=VALUE],
                        ancestor=IMAGE, volume=NAME or PATH, before=CONTAINER, since=CONTAINER,
                        network=NETWORK, publish=PORT[/PROTOCOL], expose=PORT[/PROTOCOL]
      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
  -n, --last int        Show n last created containers (includes all states) (default -1)
  -l, --latest          Show the latest created container (includes all states)
      --no-trunc        Don't truncate output
  -q, --quiet           Only display container IDs
  -s, --size            Display total file sizes
""")
def ps(call: Call) -> int:
    """`docker ps`."""
    limit = 1 if call.latest else call.last
    found = call.engine.containers.list(all=call.all, limit=limit, filters=filters_of(call.filter))
    names = {name: image for image, tags in call.engine.images.names().items() for name in tags}
    rows = [container_row(container, names, call.no_trunc, call.size) for container in found]
    LISTING.show(rows, call.format, call.quiet, Size=call.size)
    return 0


def container_row(container: Container, names: dict[str, str], full: bool = False, size: bool = False) -> Row:
    """What a listing shows of a container; `names` maps tags to image ids."""
    known, labels = container.summary(), container.labels
    image = known["Image"]
    if (
        names.get(image, names.get(f"{image}:latest", known["ImageID"])) != known["ImageID"]
        or image == known["ImageID"]
    ):
        image = known["ImageID"][7:19]
    mounts = [mount.get("Name") or mount["Source"] for mount in known["Mounts"]]

    def sizes() -> str:
        own, whole = container.sizes()
        return f"{human_size(own, 3)} (virtual {human_size(whole, 3)})"

    return {
        "ID": container.id if full else container.short_id,
        "Image": image,
        "Command": _quoted(known["Command"] if full else ellipsis(known["Command"], 20)),
        "CreatedAt": local_time(known["Created"]),
        "RunningFor": ago(known["Created"]),
        "Ports": ports_text(known["Ports"]),
        "State": known["State"],
        "Status": known["Status"],
        "Size": sizes() if size else sizes,
        "Names": ",".join(name[1:] for name in known["Names"]) if full else container.name,
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": lambda key: labels.get(key, ""),
        "Mounts": ",".join(mounts if full else [ellipsis(mount, 15) for mount in mounts]),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in known["Mounts"])),
        "Networks": ",".join(known["NetworkSettings"]["Networks"]),
        "Platform": "linux",
    }


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


@command(
    """
start [OPTIONS] CONTAINER [CONTAINER...]

Start one or more stopped containers

  -a, --attach               Attach STDOUT/STDERR and forward signals
      --detach-keys string   Override the key sequence for detaching a container
  -i, --interactive          Attach container's STDIN
""",
    refused={
        "it is only supported on a Docker daemon with experimental features enabled": "checkpoint= checkpoint-dir=",
    },
)
def start(call: Call) -> int:
    """`docker start`; attached, it ends with the program's exit code."""
    if call.attach or call.interactive:
        from minidocker.cli.attached import detach_keys
        from minidocker.cli.running import foreground

        if len(call.args) > 1:
            raise Exit(1, "you cannot start and attach multiple containers at once")
        container, keys = call.engine.containers.get(call.args[0]), detach_keys(call.detach_keys)
        return foreground(container, call.interactive, proxy=not container.tty, keys=keys)
    failed = "Error: failed to start containers: "
    return each(call.args, lambda name: call.engine.containers.get(name).start(), failed)


@command(
    """
stop [OPTIONS] CONTAINER [CONTAINER...]

Stop one or more running containers

  -s, --signal string   Signal to send to the container
  -t, --timeout int     Seconds to wait before killing the container
      --time int        The same
""",
)
def stop(call: Call) -> int:
    """`docker stop`: the stop signal, and SIGKILL ten seconds later; all at the same time."""
    how = {"timeout": _seconds(call), "signal": call.signal or None}
    return each(call.args, lambda name: call.engine.containers.get(name).stop(**how), at_once=MANY)


@command(
    """
restart [OPTIONS] CONTAINER [CONTAINER...]

Restart one or more containers

  -s, --signal string   Signal to send to the container
  -t, --timeout int     Seconds to wait before killing the container
      --time int        The same
""",
)
def restart(call: Call) -> int:
    """`docker restart`; all at the same time."""
    how = {"timeout": _seconds(call), "signal": call.signal or None}
    return each(call.args, lambda name: call.engine.containers.get(name).restart(**how), at_once=MANY)


def _seconds(call: Call) -> int | None:
    given = call.timeout if "timeout" in call.given else call.time if "time" in call.given else None
    return None if given is None else int(given)


@command("""
kill [OPTIONS] CONTAINER [CONTAINER...]

Kill one or more running containers

  -s, --signal string   Signal to send to the container
""")
def kill(call: Call) -> int:
    """`docker kill`."""

    def send(name: str) -> None:
        try:
            call.engine.containers.get(name).kill(call.signal or None)
        except NotFound as error:
            raise NotFound(f"Cannot kill container: {name}: {error.explanation}") from None

    return each(call.args, send, at_once=MANY)


@command("""
pause CONTAINER [CONTAINER...]

Pause all processes within one or more containers
""")
def pause(call: Call) -> int:
    """`docker pause`."""
    return each(call.args, lambda name: call.engine.containers.get(name).pause(), at_once=MANY)


@command("""
unpause CONTAINER [CONTAINER...]

Unpause all processes within one or more containers
""")
def unpause(call: Call) -> int:
    """`docker unpause`."""
    return each(call.args, lambda name: call.engine.containers.get(name).unpause(), at_once=MANY)


@command("""
wait CONTAINER [CONTAINER...]

Block until one or more containers stop, then print their exit codes
""")
def wait(call: Call) -> int:
    """`docker wait`."""

    def one(name: str) -> None:
        print(call.engine.containers.get(name).wait()["StatusCode"], flush=True)

    return each(call.args, one, silent=True)


@command("""
rename CONTAINER NEW_NAME

Rename a container
""")
def rename(call: Call) -> int:
    """`docker rename`."""
    old, new = call.args
    failed = "Error: failed to rename container named "
    if not (old and new):
        raise Exit(1, "Error: Neither old nor new names may be empty")
    return each([old], lambda name: call.engine.containers.get(name).rename(new), failed, silent=True)


@command(
    """
rm [OPTIONS] CONTAINER [CONTAINER...]

Remove one or more containers

  -f, --force     Force the removal of a running container (uses SIGKILL)
  -l, --link      Remove the specified link
  -v, --volumes   Remove anonymous volumes associated with the container
"""
)
def rm(call: Call) -> int:
    """`docker rm`."""
    containers = call.engine.containers

    def remove(name: str) -> None:
        containers.unlink(name) if call.link else containers.get(name).remove(call.volumes, force=call.force)

    return each(call.args, remove, at_once=MANY, missing_ok=call.force)


@command("""
top CONTAINER [ps OPTIONS]

Display the running processes of a container
""")
def top(call: Call) -> int:
    """`docker top`."""
    found: dict[str, Any] = call.engine.containers.get(call.args[0]).top(shlex.join(call.args[1:]) or None)
    print(columns(["\t".join(row) for row in (found["Titles"], *found["Processes"])], least=20))
    return 0
