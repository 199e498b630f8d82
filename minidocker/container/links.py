"""Legacy links: `--link db:database` on the default network, where nobody has a name.

The linked container's address is written into /etc/hosts, and its ports and variables into the environment
(`DATABASE_PORT_5432_TCP_ADDR`). Whom a container is linked to stands in its configuration, by id: `Links`; and with
those, who is linked to them: `LinkedBy`. On a network that somebody made, a link is one more name for another
container, which only the one that is linked knows; that is the network's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from minidocker.container import networking
from minidocker.container.options.sharing import JOINS
from minidocker.container.state import LIVE
from minidocker.errors import APIError, Conflict, InvalidArgument, NotFound
from minidocker.network import ports
from minidocker.network.names import parse
from minidocker.runtime.wires import DEFAULT

if TYPE_CHECKING:
    from minidocker.container.container import Container
    from minidocker.container.containers import Containers

UNSEEN = ("HOME", "PATH")  # variables of the linked container that the other does not get


def choose(containers: Containers, asked: Any, mode: str) -> dict[str, str]:
    """Whom a new container is linked to: alias -> id. Raises InvalidArgument in Docker's words."""
    pairs = parse(asked)
    if pairs and (mode == "host" or mode.startswith(JOINS)):
        kind = "host type networking" if mode == "host" else "container type network"
        raise _undefined(kind)
    found: dict[str, str] = {}
    for name, alias in pairs if mode in ("default", DEFAULT, "none") else ():
        try:
            child = containers.get(name) if name else None
            while child and (whose := child.config["HostConfig"]["NetworkMode"]).startswith(JOINS):
                child = containers.get(whose.removeprefix(JOINS))
        except NotFound as error:
            raise InvalidArgument(f"could not get container for {name}: {error.explanation}") from None
        if child is None:
            raise InvalidArgument('could not get container for : invalid name or ID supplied: ""')
        if child.config["HostConfig"]["NetworkMode"] == "host":
            raise _undefined("host type networking")
        if alias.strip("/"):
            found.setdefault(alias.strip("/"), child.id)
    return found


def _undefined(what: str) -> InvalidArgument:
    words = f"conflicting options: {what} can't be used with links. This would result in undefined behavior"
    return InvalidArgument(words)


def enter(containers: Containers, parent: Container) -> None:
    """Write down with the linked containers who is linked to them."""
    for alias, id in parent.config.get("Links", {}).items():
        child = containers.get(id)
        containers.change(child, LinkedBy=[*child.config.get("LinkedBy", ()), [parent.id, alias]])


def children(parent: Container) -> dict[str, Container]:
    """Alias -> container, of those that there still are."""
    found = {}
    for alias, id in parent.config.get("Links", {}).items():
        try:
            found[alias] = parent.containers.get(id)
        except NotFound:
            continue
    return found


def parents(child: Container) -> Iterable[tuple[Container, str]]:
    """Who is linked to a container, and under which alias."""
    for id, alias in child.config.get("LinkedBy", ()):
        try:
            parent = child.containers.get(id)
        except NotFound:
            continue
        if parent.config.get("Links", {}).get(alias) == child.id:
            yield parent, alias


def shown(parent: Container) -> list[str] | None:
    """The `Links` of `docker inspect`: `/db:/app/database`."""
    return [f"/{child.name}:/{parent.name}/{alias}" for alias, child in children(parent).items()] or None


def names(child: Container) -> list[str]:
    """All names of a container, as `docker ps --no-trunc` lists them: `/app/database`, `/db`."""
    return sorted([f"/{child.name}", *(f"/{parent.name}/{alias}" for parent, alias in parents(child))])


def remove(containers: Containers, name: str) -> None:
    """`docker rm --link app/database`. Raises Conflict, NotFound, in Docker's words."""
    parent_name, slash, alias = name.strip("/").partition("/")
    if not slash:
        containers.get(name)
        raise Conflict("Conflict, cannot remove the default link name of the container")
    try:
        parent = containers.get(parent_name)
    except NotFound:
        raise NotFound(f"No such container: {name}") from None
    if alias not in parent.config.get("Links", {}):
        raise NotFound(f"No such container: {name}")
    rest = {other: id for other, id in parent.config["Links"].items() if other != alias}
    containers.change(parent, Links=rest)


# While it runs


def check(parent: Container) -> None:
    """Raise APIError, in Docker's words, where a linked container does not run, or is not on the default network."""
    for alias, child in children(parent).items() if DEFAULT in _wanted(parent) else ():
        if child.state()["Status"] not in LIVE:
            raise APIError(f"Cannot link to a non running container: /{child.name} AS /{parent.name}/{alias}")
        if DEFAULT not in _wanted(child):
            raise APIError(f"container {child.id} not attached to default bridge network")


def hosts(parent: Container) -> tuple[str, ...]:
    """What /etc/hosts tells of the linked containers that run: `database 0123456789ab db:172.17.0.2`."""
    places = {alias: (child, address(child)) for alias, child in children(parent).items()}
    return tuple(f"{alias} {child.short_id} {child.name}:{ip}" for alias, (child, ip) in places.items() if ip)


def environment(parent: Container) -> list[str]:
    """What the environment tells of them."""
    found: list[str] = []
    for alias, child in children(parent).items():
        if ip := address(child):
            config = child.config["Config"]
            found += variables(f"/{parent.name}/{alias}", ip, config.get("ExposedPorts") or (), config["Env"] or ())
    return found


def variables(name: str, ip: str, exposed: Iterable[str], env: Iterable[str]) -> list[str]:
    """The variables of one link; ports that follow each other are a range as well.

    >>> variables("/app/db", "172.17.0.2", ["5432/tcp"], ["A=1", "PATH=/bin"])[0]
    'DB_PORT=tcp://172.17.0.2:5432'
    """
    prefix = name.rpartition("/")[2].upper().replace("-", "_")
    known = sorted((ports.order(key) for key in exposed), key=lambda port: (port[0], port[1] != "tcp"))
    found = [f"{prefix}_PORT={_url(ip, known[0])}"] if known else []
    for first, last in _ranges(known):
        head = f"{prefix}_PORT_{first[0]}_{first[1].upper()}"
        found += [f"{head}_START={_url(ip, first)}", f"{head}_ADDR={ip}", f"{head}_PROTO={first[1]}"]
        end = f"{prefix}_PORT_{last[0]}_{last[1].upper()}"
        found += [f"{head}_PORT_START={first[0]}", f"{end}_END={_url(ip, last)}", f"{head}_PORT_END={last[0]}"]
    for number, protocol in known:
        head = f"{prefix}_PORT_{number}_{protocol.upper()}"
        found += [f"{head}={_url(ip, (number, protocol))}", f"{head}_ADDR={ip}"]
        found += [f"{head}_PORT={number}", f"{head}_PROTO={protocol}"]
    pairs = (text.partition("=") for text in env)
    return [
        *found,
        f"{prefix}_NAME={name}",
        *(f"{prefix}_ENV_{key}={value}" for key, _, value in pairs if key not in UNSEEN),
    ]


def _ranges(known: list[tuple[int, str]]) -> Iterable[tuple[tuple[int, str], tuple[int, str]]]:
    """The first and last of three or more ports that follow each other."""
    start = 0
    while start < len(known):
        end = start
        while end + 1 < len(known) and known[end + 1][0] <= known[start][0] + end + 1 - start:
            end += 1
        if end > start + 1:
            yield known[start], known[end]
        start = end + 1 if end > start + 1 else start + 1


def _url(ip: str, port: tuple[int, str]) -> str:
    return f"{port[1]}://{ip}:{port[0]}"


def address(child: Container) -> str:
    """The address of a container on the default network; empty where it has none."""
    network = child.containers.networks.get(DEFAULT)
    endpoint = network.record["Endpoints"].get(child.id, {})  # also of one that is just starting
    return str(endpoint.get("IPv4Address", "")).partition("/")[0]


def _wanted(container: Container) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (container.config.get("NetworkSettings") or {"Networks": {}})["Networks"]
    return found


def follow(child: Container) -> None:
    """Tell those that are linked to a container that has started where it is now."""
    for parent, _ in parents(child):
        if parent.state()["Status"] in LIVE:
            parent.runtime.rewrite(parent.box(tuple(networking.now(parent))))
