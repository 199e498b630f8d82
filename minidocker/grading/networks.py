"""Exercise 11: what `-p` means, an address from the pool, the table of names, the way of a packet, a live /etc/hosts.

What is transplanted runs simulated. Names are asked for by the engine, in this very process; `-p` is read when a
container is made, which opens no port yet; the tracer goes by the learner's `route`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import APIError
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, counted, operate
from minidocker.grading.show import show_lines, show_text
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.network import names as of_networks
from minidocker.network import pool, ports, tracer
from minidocker.network.plan import ANY, LOOPBACK, WORLD, Net
from minidocker.notebook.pictures.svg import Figure
from minidocker.runtime import names as of_files

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.runtime import Box


def show_bindings(title: str, value: list[tuple[str, str, str]], _arguments: tuple[Any, ...]) -> Figure:
    """Where the machine lets somebody in, and where that leads."""
    return show_text(title, [f"{host or '0.0.0.0'}:{number or 'any'} -> {inside}" for inside, host, number in value])


def show_table(title: str, value: dict[str, list[str]], _arguments: tuple[Any, ...]) -> Figure:
    """Names, and the addresses that they are."""
    return show_text(title, [f"{name:<8} {', '.join(found)}" for name, found in value.items()] or ["nobody"])


def show_file(title: str, value: str, _arguments: tuple[Any, ...]) -> Figure:
    """The lines of a file."""
    return show_text(title, [line.replace("\t", "    ") for line in value.splitlines()] or ["(empty)"])


# Specifications

LAST = "The container's port comes last, and may stand alone: what is not said is an empty text."
PUBLISH = Task(
    "11.1",
    "publish",
    ("text",),
    "So Docker knows which door of the machine leads to which container",
    (
        Case("a port of the container", ("80",), [("80/tcp", "", "")], f"{LAST} Where no protocol is said, it is tcp."),
        Case(
            "and one of the machine", ("8080:80",), [("80/tcp", "", "8080")], f"{LAST} The machine's stands before it."
        ),
        Case("of another protocol", ("53:53/udp",), [("53/udp", "", "53")], "What follows the slash is the protocol."),
        Case(
            "an address of the machine",
            ("127.0.0.1:8080:80",),
            [("80/tcp", "127.0.0.1", "8080")],
            "Three parts: address, port of the machine, port of the container.",
        ),
        Case(
            "an address, and any port",
            ("127.0.0.1::80",),
            [("80/tcp", "127.0.0.1", "")],
            "Between two colons may be nothing.",
        ),
        Case(
            "an address that has colons itself",
            ("[::1]:8080:80",),
            [("80/tcp", "::1", "8080")],
            "Split from the right: rpartition(':'), twice. The brackets are not part of the address.",
        ),
        Case(
            "ranges of the same length",
            ("8000-8002:80-82",),
            [("80/tcp", "", "8000"), ("81/tcp", "", "8001"), ("82/tcp", "", "8002")],
            "The first leads to the first, the second to the second, and so on.",
        ),
        Case(
            "a range in the container alone",
            ("80-81/udp",),
            [("80/udp", "", ""), ("81/udp", "", "")],
            "Each port of the range, and for each any port of the machine.",
        ),
        Case(
            "a range of the machine, and one port of the container",
            ("8000-8002:80",),
            [("80/tcp", "", "8000-8002")],
            "That is a choice: one of these ports will do. Leave it as it is.",
        ),
        Case(
            "ranges of different lengths",
            ("8000-8001:80-82",),
            ValueError,
            "Which would lead where? Docker refuses, and so do you: raise ValueError().",
        ),
        Case("no port of the container", ("8080:",), ValueError, "There is nothing to lead to: raise ValueError()."),
    ),
    (
        "From the right: rest, _, inside = text.rpartition(':'), then address, _, outside = rest.rpartition(':').",
        "A range has two ends: low, _, high = text.partition('-'), and high is low where there is none.",
        "One port inside: outside stays as it is. Else both ranges have to be of one length; zip them.",
    ),
    ports.parse,
    show_bindings,
    3,
)
FREE = "The lowest address that is not taken, as a text."
EDGES = "The first address of a range names the whole of it, the last one everybody in it: nobody may have these two."
PLACE = Task(
    "11.2",
    "place",
    ("subnet", "asked", "taken"),
    "So no two containers have one address",
    (
        Case("the first container", ("10.0.0.0/24", "", ["10.0.0.1"]), "10.0.0.2", FREE),
        Case("nobody is there yet", ("10.0.0.0/24", "", []), "10.0.0.1", EDGES),
        Case("somebody left", ("10.0.0.0/24", "", ["10.0.0.1", "10.0.0.3"]), "10.0.0.2", f"{FREE} Gaps are filled."),
        Case(
            "they came in another order",
            ("10.0.0.0/24", "", ["10.0.0.9", "10.0.0.1", "10.0.0.2"]),
            "10.0.0.3",
            f"{FREE} Not the one after the last that came, nor after the highest.",
        ),
        Case(
            "beyond 255",
            ("10.0.0.0/16", "", [f"10.0.0.{n}" for n in range(1, 256)]),
            "10.0.1.0",
            "A range may be larger than its last number: let ipaddress count.",
        ),
        Case(
            "it is full",
            ("10.0.0.0/30", "", ["10.0.0.1", "10.0.0.2"]),
            ValueError,
            f"{EDGES} Where none is left: raise ValueError().",
        ),
        Case("one is asked for", ("10.0.0.0/24", "10.0.0.77", ["10.0.0.1"]), "10.0.0.77", "docker run --ip 10.0.0.77"),
        Case(
            "one is asked for that somebody has",
            ("10.0.0.0/24", "10.0.0.1", ["10.0.0.1"]),
            ValueError,
            "Docker says: Address already in use. Raise ValueError().",
        ),
        Case(
            "one of another network",
            ("10.0.0.0/24", "10.0.1.7", ["10.0.0.1"]),
            ValueError,
            "Who has an address that is not of the network's range cannot be reached on it: raise ValueError().",
        ),
    ),
    (
        "ipaddress.ip_network(subnet).hosts() gives all addresses that may be given away, from the lowest on.",
        "for one in …hosts(): if str(one) not in taken, that is it. After the loop: raise ValueError().",
        "asked first: ipaddress.ip_address(asked) in ipaddress.ip_network(subnet), and not in taken.",
    ),
    pool.address,
    show_lines,
    2,
)


def end(name: str, address: str, *aliases: str) -> dict[str, Any]:
    """An endpoint, as `docker network inspect` has it."""
    return {"Name": name, "IPv4Address": f"{address}/24", "Aliases": list(aliases)}


WEB, DB, OTHER = end("web", "10.0.0.2"), end("db", "10.0.0.3", "store"), end("db-2", "10.0.0.4", "store")
BOTH = "Who has a name or an alias is asked by it; two with one alias are two addresses of one name."
TABLE = Task(
    "11.3",
    "table",
    ("endpoints",),
    "So containers find each other, though their addresses change",
    (
        Case("one container", ([WEB],), {"web": ["10.0.0.2"]}, "IPv4Address without the /24 behind it."),
        Case("two", ([WEB, end("db", "10.0.0.3")],), {"web": ["10.0.0.2"], "db": ["10.0.0.3"]}, BOTH),
        Case("an alias", ([DB],), {"db": ["10.0.0.3"], "store": ["10.0.0.3"]}, BOTH),
        Case(
            "two with one alias",
            ([DB, OTHER],),
            {"db": ["10.0.0.3"], "store": ["10.0.0.3", "10.0.0.4"], "db-2": ["10.0.0.4"]},
            f"{BOTH} In the order of the endpoints.",
        ),
        Case(
            "an alias that is another's name",
            ([end("web", "10.0.0.2", "db"), end("db", "10.0.0.3")],),
            {"web": ["10.0.0.2"], "db": ["10.0.0.2", "10.0.0.3"]},
            "Nobody owns a name: it is the addresses of all who go by it.",
        ),
        Case(
            "an alias that is the name",
            ([end("web", "10.0.0.2", "web", "www", "www")],),
            {"web": ["10.0.0.2"], "www": ["10.0.0.2"]},
            "Each address once, however often somebody has the same name.",
        ),
        Case(
            "capitals",
            ([end("Web", "10.0.0.2", "WWW", "www")],),
            {"web": ["10.0.0.2"], "www": ["10.0.0.2"]},
            "Names are the same in capitals and small letters: lower().",
        ),
        Case(
            "no aliases at all",
            ([{"Name": "web", "IPv4Address": "10.0.0.2/24"}],),
            {"web": ["10.0.0.2"]},
            "Aliases may be missing: endpoint.get('Aliases', ())",
        ),
        Case("nobody", ([],), {}, "An empty table."),
    ),
    (
        "found = {}, and for each endpoint, for each of its names: found.setdefault(name, []).append(address).",
        "Its names without doubles, in their order: dict.fromkeys(name.lower() for name in …).",
        "The address: endpoint['IPv4Address'].partition('/')[0].",
    ),
    of_networks.table,
    show_table,
    2,
)


def net(name: str, subnet: str, internal: bool = False) -> dict[str, Any]:
    """A network, in three of Docker's words."""
    return {"Name": name, "Subnet": subnet, "Internal": internal}


FRONT, BACK = net("front", "10.0.0.0/24"), net("back", "10.0.1.0/24", internal=True)
APART = (
    "An address of a network that it is not on is never reached, though there is a way out: networks are kept apart."
)
ROUTE = Task(
    "11.4",
    "route",
    ("address", "mine", "others"),
    "So the tracer knows who can talk to whom",
    (
        Case("on its network", ("10.0.0.9", [FRONT], []), "front", "ip_address(address) in ip_network(one['Subnet'])"),
        Case("on the second of two", ("10.0.1.9", [FRONT, BACK], []), "back", "Look at all of its networks."),
        Case("in the world", ("9.9.9.9", [FRONT], []), "world", "Through the gateway: return 'world'."),
        Case(
            "in the world, from an internal network", ("9.9.9.9", [BACK], []), None, "An internal one has no way out."
        ),
        Case("in the world, from both", ("9.9.9.9", [BACK, FRONT], []), "world", "One way out is enough."),
        Case("on another network", ("10.0.2.9", [FRONT], ["10.0.2.0/24"]), None, APART),
        Case("on another network, from both", ("10.0.2.9", [FRONT, BACK], ["10.0.3.0/24", "10.0.2.0/24"]), None, APART),
        Case(
            "next door, an internal one", ("10.0.1.9", [BACK], []), "back", "Internal: no way out, but within all talk."
        ),
        Case(
            "a range that is not at a dot",
            ("10.0.0.9", [net("tiny", "10.0.0.0/29")], []),
            "world",
            "Let ipaddress tell.",
        ),
        Case("without any network", ("10.0.0.9", [], []), None, "--network none: there is nobody to talk to."),
    ),
    (
        "Three questions in this order: is it on one of mine? On one of the others? Is there a way out?",
        "any(address in ipaddress.ip_network(other) for other in others): None.",
        "'world' if any(not one['Internal'] for one in mine) else None",
    ),
    tracer.route,
    show_lines,
    2,
)
LOCAL = "127.0.0.1\tlocalhost\n"
HOSTS = Task(
    "11.5",
    "hosts",
    ("text", "name", "addresses"),
    "So a container knows itself on every network that it is on, at every moment",
    (
        Case(
            "its first network",
            (LOCAL, "web", ["10.0.0.2"]),
            f"{LOCAL}10.0.0.2\tweb\n",
            "A line is: address, tab, name, newline. New ones come last.",
        ),
        Case(
            "one more",
            (f"{LOCAL}10.0.0.2\tweb\n", "web", ["10.0.0.2", "10.0.1.2"]),
            f"{LOCAL}10.0.0.2\tweb\n10.0.1.2\tweb\n",
            "What is there already is not written twice.",
        ),
        Case(
            "one less",
            (f"{LOCAL}10.0.0.2\tweb\n10.0.1.2\tweb\n", "web", ["10.0.1.2"]),
            f"{LOCAL}10.0.1.2\tweb\n",
            "A line of this name goes when its address is not among `addresses`.",
        ),
        Case(
            "what others wrote stays",
            (f"{LOCAL}10.0.0.2\tweb\n10.9.9.9\tdb # mine\n", "web", ["10.0.1.2"]),
            f"{LOCAL}10.9.9.9\tdb # mine\n10.0.1.2\tweb\n",
            "Lines of other names stay as they are, to the last letter.",
        ),
        Case(
            "a name that begins like it",
            ("10.0.0.2\tweb\n10.0.0.3\tweb-2\n", "web", []),
            "10.0.0.3\tweb-2\n",
            "Compare the whole name, not its beginning.",
        ),
        Case(
            "another one's line with the same address",
            ("10.0.0.2\tgateway\n", "web", ["10.0.0.2"]),
            "10.0.0.2\tgateway\n10.0.0.2\tweb\n",
            "Ours is a line with the address and the name; that is another one.",
        ),
        Case("nothing to do", (f"{LOCAL}10.0.0.2\tweb\n", "web", ["10.0.0.2"]), f"{LOCAL}10.0.0.2\tweb\n", "It stays."),
        Case("an empty file", ("", "web", ["10.0.0.2"]), "10.0.0.2\tweb\n", "Then there are only ours."),
    ),
    (
        "Ours are [f'{address}\\t{name}\\n' for address in addresses].",
        "Go through text.splitlines(keepends=True): keep a line that is ours, or that has another name.",
        "The name of a line: line.partition('\\t')[2]. At last add those of ours that are not there yet.",
    ),
    of_files.with_networks,
    show_file,
    2,
)
TASKS = (PUBLISH, PLACE, TABLE, ROUTE, HOSTS)

# The transplant

PUBLISHED = ("80", "127.0.0.1:8080:80", "[::1]::53/udp", "9000-9001:90-91", "7000-7002:70")
SLEEP = ["sleep", "100000"]
ASKS = (
    ("web", "store", 80),
    ("cli", "web", 80),
    ("cli", "db", 80),
    ("cli", "localhost", 80),
    ("db", "example.com", 80),
)
LISTENS = {  # what their programs would do, if they had any
    "web": frozenset({(ANY, 80)}),
    "db": frozenset({(LOOPBACK, 80)}),
    "db-2": frozenset({(ANY, 80)}),
    "cli": frozenset[tuple[str, int]](),
}


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """A shop on two networks, with the reference's functions and with the learner's: does everybody find everybody?"""
    return operate(counted(namespace, TASKS), grafts, _live, {}, runtime="simulated")


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    return {
        ports.parse: _parse(organs["publish"]),
        pool.address: _address(organs["place"]),
        pool.claim: _claim(organs["place"]),
        of_networks.table: organs["table"],
        tracer.route: _route(organs["route"]),
        of_files.with_networks: _with_networks(organs["hosts"]),
    }


def _live(engine: Engine, _folder: Path, title: str) -> Outcome:
    from minidocker.notebook.pictures.networkmap import map_figure
    from minidocker.notebook.survey import survey

    created = engine.containers.create("minidocker/base", SLEEP, name="unborn", ports=list(PUBLISHED))
    bound = created.attrs["HostConfig"]["PortBindings"]
    facts = {"what -p means": "; ".join(f"{key} {_at(places)}" for key, places in bound.items())}
    created.remove()
    front = engine.networks.create("front", ipam={"Config": [{"Subnet": "10.11.0.0/29"}]})
    back = engine.networks.create("back", internal=True)
    for name, network, alias in (
        ("web", front, "www"),
        ("db", back, "store"),
        ("db-2", back, "store"),
        ("cli", front, ""),
    ):
        _start(engine, name, network, alias)
    engine.networks.get("back").connect("web")
    facts["on front"] = _told(engine, "front")
    facts["on back"] = _told(engine, "back")
    facts["a third asks for the address of web"] = _asked(engine, front, engine.containers.get("web"))
    web = engine.containers.get("web")
    box = web.box()
    text = (
        f"{of_files.HOSTS}10.11.0.6\t{box.hostname}\n10.9.9.9\tdb\n"  # an address that it had once, and a neighbour's
    )
    told = of_files.with_networks(text, web.box()).replace(web.short_id, "web").splitlines()
    facts["/etc/hosts of web"] = ", ".join(line.replace("\t", " ") for line in told[of_files.HOSTS.count("\n") :])
    plan = survey(engine)
    peers = tuple(replace(peer, listens=LISTENS[peer.name]) for peer in plan.peers)
    plan = replace(plan, peers=peers)
    for one in ASKS:
        traced = tracer.trace(plan, *one)
        facts[f"{one[0]} asks for {one[1]}"] = (
            f"ends: {traced.hops[-1].found}" if traced.error else traced.hops[-1].found
        )
    drawn = map_figure(plan)
    return Outcome(facts, Figure(title, drawn.description, drawn.body, drawn.width, drawn.height, drawn.twin))


def _start(engine: Engine, name: str, network: Any, alias: str) -> None:
    config = {network.name: {"Aliases": [alias]}} if alias else {}
    options = {"network": network.name, "networking_config": config, "stop_signal": "KILL"}
    engine.containers.run("minidocker/base", SLEEP, name=name, detach=True, **options)


def _at(places: Sequence[dict[str, str]]) -> str:
    return ", ".join(f"at {one['HostIp'] or 'every address'}:{one['HostPort'] or 'any port'}" for one in places)


def _told(engine: Engine, network: str) -> str:
    """The names of a network, but for those that are beginnings of ids."""
    ids = {container.short_id for container in engine.containers.list()}
    table = engine.networks.get(network).table()
    return ", ".join(f"{name} is {' or '.join(found)}" for name, found in sorted(table.items()) if name not in ids)


def _asked(engine: Engine, network: Any, other: Any) -> str:
    """What becomes of a container that wants the address which another one has."""
    address = other.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    config = {network.name: {"IPAMConfig": {"IPv4Address": address}}}
    third = engine.containers.create(
        "minidocker/base", SLEEP, name="third", network=network.name, networking_config=config
    )
    try:
        third.start()
    except APIError as error:
        return f"refused: {type(error).__name__}"
    else:
        return "given to it, too"
    finally:
        third.remove(force=True)


# The adapters


def _parse(
    publish: Callable[[str], list[tuple[str, str, str]]],
) -> Callable[[str], Iterator[tuple[str, dict[str, str]]]]:
    """`ports.parse`, after the engine has refused what makes no sense."""
    right = ports.parse

    def parse(text: str) -> Iterator[tuple[str, dict[str, str]]]:
        list(right(text))
        for inside, host, number in publish(text):
            yield inside, {"HostIp": host, "HostPort": number}

    return parse


Place = Callable[[str, str, list[str]], str]


def _address(place: Place) -> Callable[[str, str, Collection[str]], str]:
    """`pool.address`, of whole ranges."""

    def address(whole: str, _part: str, taken: Collection[str]) -> str:
        return _placed(place, whole, "", taken)

    return address


def _claim(place: Place) -> Callable[[str, str, Collection[str]], str]:
    """`pool.claim`."""

    def claim(wanted: str, whole: str, taken: Collection[str]) -> str:
        return _placed(place, whole, wanted, taken)

    return claim


def _placed(place: Place, whole: str, asked: str, taken: Collection[str]) -> str:
    try:
        return place(whole, asked, sorted(taken))
    except ValueError as error:
        raise pool.Refused(f"no such address: {error}") from error


def _route(route: Callable[..., str | None]) -> Callable[[str, Sequence[Net], Sequence[str]], str | None]:
    """`tracer.route`, with networks in Docker's words."""

    def way(address: str, mine: Sequence[Net], others: Sequence[str]) -> str | None:
        found = route(address, [net(one.name, one.subnet, one.internal) for one in mine], list(others))
        return WORLD if found == "world" else found

    return way


def _with_networks(hosts: Callable[[str, str, list[str]], str]) -> Callable[[str, Box], str]:
    """`names.with_networks`, for a container without a domain."""

    def with_networks(text: str, box: Box) -> str:
        return hosts(text, box.hostname, [wire.address.partition("/")[0] for wire in box.wires if wire.address])

    return with_networks
