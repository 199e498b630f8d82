"""Containers: listed, looked at, started, stopped, removed; the rest is in create, streams, archive and execs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from minidocker.container import Container
from minidocker.container.detaching import DEFAULT, codes
from minidocker.container.options import limits
from minidocker.container.state import LIVE
from minidocker.daemon.create import CONFIG, LIMITS, NAMES
from minidocker.daemon.route import Call
from minidocker.daemon.shapes import read
from minidocker.errors import APIError, InvalidArgument, NotFound, StartError
from minidocker.web.message import Response


def found(call: Call) -> Container:
    """The container that a path names. Raises NotFound."""
    return call.engine.containers.get(call["id"])


def listing(call: Call) -> Response:
    """Those that run, or all: newest first."""
    containers = call.engine.containers.list(
        all=call.flag("all"),
        limit=call.number("limit") or -1,
        before=call.text("before") or None,
        since=call.text("since") or None,
        filters=call.filters(),
    )
    size = call.flag("size")
    rows = [row for one in containers if (row := _row(one, size))]
    shown = {pair: _shown(call, *pair) for pair in {(row["Image"], row["ImageID"]) for row in rows}}
    return Response.json([row | {"Image": shown[row["Image"], row["ImageID"]]} for row in rows])


def _shown(call: Call, name: str, id: str) -> str:
    """The name of a container's image, where that is still its name; else its id."""
    with suppress(NotFound, InvalidArgument):
        if call.engine.images.get(name).id == id:
            return name
    return id


def _row(container: Container, size: bool) -> dict[str, Any] | None:
    try:
        return container.summary(size)
    except NotFound:  # it was removed meanwhile
        return None


def inspect(call: Call) -> Response:
    """All that is to be known of one."""
    container = found(call)
    sizes = {"SizeRw": container.changes().size, "SizeRootFs": container.tree_size()} if call.flag("size") else {}
    attrs = container.attrs
    state = attrs["State"] | {"Error": StartError(attrs["State"]["Error"]).said("create")}
    return Response.json(attrs | {"State": state} | sizes)


def top(call: Call) -> Response:
    """Its processes."""
    return Response.json(found(call).top(call.text("ps_args") or None))


def changes(call: Call) -> Response:
    """What it changed in its file system."""
    return Response.json(found(call).diff() or None)


def export(call: Call) -> Response:
    """Its whole file system as a tar."""
    return Response(200, {"Content-Type": "application/x-tar"}, found(call).export())


# Its life


def start(call: Call) -> Response:
    """Run it. One with `--rm` that cannot run goes again."""
    if len(call.request.body.read()) > len("null\r\n"):
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    codes(call.text("detachKeys") or DEFAULT)
    container = found(call)
    if container.status == "running":
        return Response(304)
    try:
        container.start()
    except APIError as error:
        if container.config["HostConfig"]["AutoRemove"] and container.status not in LIVE:
            container.remove(v=True, force=True)
        raise (StartError(error.said("create")) if isinstance(error, StartError) else error) from None
    return Response(204)


def stop(call: Call) -> Response:
    """Ask it to end, and after `t` seconds make it."""
    container = found(call)
    if container.status not in LIVE:
        return Response(304)
    container.stop(call.number("t"), call.text("signal") or None)
    return Response(204)


def restart(call: Call) -> Response:
    """Stop it and start it again."""
    found(call).restart(call.number("t"), call.text("signal") or None)
    return Response(204)


def kill(call: Call) -> Response:
    """Send it a signal."""
    try:
        container = found(call)
    except NotFound as error:
        raise NotFound(f"Cannot kill container: {call['id']}: {error.explanation}") from None
    container.kill(call.text("signal") or None)
    return Response(204)


def pause(call: Call) -> Response:
    """Freeze it."""
    found(call).pause()
    return Response(204)


def unpause(call: Call) -> Response:
    """Let it go on."""
    found(call).unpause()
    return Response(204)


def rename(call: Call) -> Response:
    """Give it another name."""
    found(call).rename(call.text("name"))
    return Response(204)


def resize(call: Call) -> Response:
    """Tell its terminal its size."""
    height, width = size_of(call)
    found(call).resize(height, width)
    return Response(200)


def size_of(call: Call) -> tuple[int, int]:
    """The `h` and `w` of a query. Raises InvalidArgument."""
    sides = [call.number(side) for side in "hw"]
    for side in sides:
        if side is None or not 0 <= side < 1 << 16:
            raise InvalidArgument(f'strconv.Atoi: parsing "{"" if side is None else side}": invalid syntax')
    return sides[0] or 0, sides[1] or 0


def update(call: Call) -> Response:
    """Change its limits and its restart policy; what is 0 or null stays as it is."""
    given = read(call.json(), LIMITS)
    if given.get("PidsLimit") == 0:
        given["PidsLimit"] = -1  # here, 0 is no limit
    if not given.get("RestartPolicy", {}).get("Name"):
        given.pop("RestartPolicy", None)
    asked = {NAMES[key]: value for key, value in given.items() if value and key in NAMES}
    may = limits.UPDATABLE | {"restart_policy"}
    return Response.json(found(call).update(**{key: value for key, value in asked.items() if key in may}))


def remove(call: Call) -> Response:
    """Delete it; with `v` its anonymous volumes too."""
    if call.flag("link"):
        call.engine.containers.unlink(call["id"])
        return Response(204)
    found(call).remove(v=call.flag("v"), force=call.flag("force"))
    return Response(204)


def prune(call: Call) -> Response:
    """Remove all that do not run."""
    return Response.json(call.engine.containers.prune(call.filters()))


def commit(call: Call) -> Response:
    """Make an image of one."""
    container = call.engine.containers.get(call.text("container"))
    image = container.commit(
        call.text("repo") or None,
        call.text("tag") or None,
        message=call.text("comment"),
        author=call.text("author"),
        pause=call.flag("pause", True),
        changes=call.texts("changes"),
        conf=read(call.json(), CONFIG),
    )
    return Response.json({"Id": image.id}, 201)
