"""Exercise 11: each wrong solution gets the hint that is meant for it; the cases are what the engine does."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.errors import APIError, InvalidArgument
from minidocker.grading import networks, open_exercise
from minidocker.grading.exercise import Case
from minidocker.grading.networks import HOSTS, PLACE, PUBLISH, ROUTE, TABLE
from minidocker.network import names, pool, ports, tracer
from minidocker.network.plan import WORLD, Net
from minidocker.runtime import Box, Wire
from minidocker.runtime import names as of_files
from tests.grading.proofs import each_gets_its_hint

SOURCE = Path(__file__).parents[2] / "exercises" / "11-networks" / "source.ipynb"
Bound = list[tuple[str, str, str]]


def taken_apart(text: str) -> tuple[str, str, str, str]:
    rest, _, inside = text.rpartition(":")
    address, _, outside = rest.rpartition(":")
    inside, _, protocol = inside.partition("/")
    return address.strip("[]"), outside, inside, protocol or "tcp"


def spread(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high or low)


def published(address: str, outside: str, inside: str, protocol: str) -> Bound:
    if not inside:
        raise ValueError
    first, last = spread(inside)
    numbers = [""] * (last - first + 1)
    if first == last:
        numbers = [outside]
    elif outside:
        low, high = spread(outside)
        if high - low != last - first:
            raise ValueError
        numbers = [str(number) for number in range(low, high + 1)]
    return [(f"{first + at}/{protocol}", address, number) for at, number in enumerate(numbers)]


def first_comes_first(text: str) -> Bound:
    inside, _, outside = text.partition(":")
    return [(f"{inside}/tcp", "", outside)]


def always_tcp(text: str) -> Bound:
    address, outside, inside, _ = taken_apart(text)
    return published(address, outside, inside, "tcp")


def two_parts_only(text: str) -> Bound:
    outside, _, inside = text.rpartition(":")
    inside, _, protocol = inside.partition("/")
    return published("", outside, inside, protocol or "tcp")


def from_the_left(text: str) -> Bound:
    parts = text.split(":")
    address, outside, inside = ["", "", *parts][-3:] if len(parts) < 4 else parts[:3]
    inside, _, protocol = inside.partition("/")
    return published(address, outside, inside, protocol or "tcp")


def keeps_brackets(text: str) -> Bound:
    address, *rest = taken_apart(text)
    return published(f"[{address}]" if ":" in address else address, *rest)


def no_ranges(text: str) -> Bound:
    address, outside, inside, protocol = taken_apart(text)
    return [(f"{inside}/{protocol}", address, outside)]


def takes_the_first(text: str) -> Bound:
    address, outside, inside, protocol = taken_apart(text)
    return published(address, outside if "-" in inside else outside.partition("-")[0], inside, protocol)


def zips_the_shorter(text: str) -> Bound:
    address, outside, inside, protocol = taken_apart(text)
    if not inside:
        raise ValueError
    if outside and "-" in inside:
        (first, last), (low, high) = spread(inside), spread(outside)
        pairs = zip(range(first, last + 1), range(low, high + 1), strict=False)
        return [(f"{one}/{protocol}", address, str(other)) for one, other in pairs]
    return published(address, outside, inside, protocol)


def nothing_inside(text: str) -> Bound:
    address, outside, inside, protocol = taken_apart(text)
    return published(address, outside, inside, protocol) if inside else []


def borrows(text: str) -> Bound:
    return [(key, one["HostIp"], one["HostPort"]) for key, one in ports.parse(text)]


def lowest(subnet: str, taken: list[str]) -> str:
    return next((str(one) for one in ipaddress.ip_network(subnet).hosts() if str(one) not in taken), "")


def checked(subnet: str, asked: str, taken: list[str]) -> str:
    if ipaddress.ip_address(asked) not in ipaddress.ip_network(subnet) or asked in taken:
        raise ValueError
    return asked


def with_the_edges(subnet: str, asked: str, taken: list[str]) -> str:
    if asked:
        return checked(subnet, asked, taken)
    return next(str(one) for one in ipaddress.ip_network(subnet) if str(one) not in taken)


def after_the_last(subnet: str, asked: str, taken: list[str]) -> str:  # noqa: ARG001
    return str(ipaddress.ip_address(max(taken, default=subnet.partition("/")[0])) + 1)


def by_their_number(subnet: str, asked: str, taken: list[str]) -> str:
    start = subnet.rpartition(".")[0]
    return checked(subnet, asked, taken) if asked else f"{start}.{1 + len(taken)}"


def one_byte(subnet: str, asked: str, taken: list[str]) -> str:
    if asked:
        return checked(subnet, asked, taken)
    start = subnet.rpartition(".")[0]
    return next(f"{start}.{n}" for n in range(1, 300) if f"{start}.{n}" not in taken)


def never_full(subnet: str, asked: str, taken: list[str]) -> str:
    return checked(subnet, asked, taken) if asked else lowest(subnet, taken)


def ignores_wishes(subnet: str, asked: str, taken: list[str]) -> str:  # noqa: ARG001
    if not (found := lowest(subnet, taken)):
        raise ValueError
    return found


def grants_all_wishes(subnet: str, asked: str, taken: list[str]) -> str:
    return asked or ignores_wishes(subnet, "", taken)


def grants_strange_wishes(subnet: str, asked: str, taken: list[str]) -> str:
    if asked in taken:
        raise ValueError
    return grants_all_wishes(subnet, asked, taken)


Endpoints = list[dict[str, Any]]
Table = dict[str, list[str]]


def filled(endpoints: Endpoints, own: Callable[[dict[str, Any]], list[str]]) -> Table:
    found: Table = {}
    for one in endpoints:
        for name in own(one):
            found.setdefault(name, []).append(one["IPv4Address"].partition("/")[0])
    return found


def all_names(one: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name.lower() for name in (one["Name"], *one.get("Aliases", ()))))


def with_the_mask(endpoints: Endpoints) -> Table:
    return {one["Name"]: [one["IPv4Address"]] for one in endpoints}


def names_alone(endpoints: Endpoints) -> Table:
    return filled(endpoints, lambda one: [one["Name"].lower()])


def the_last_wins(endpoints: Endpoints) -> Table:
    return {name: [one["IPv4Address"].partition("/")[0]] for one in endpoints for name in all_names(one)}


def names_go_first(endpoints: Endpoints) -> Table:
    own = {one["Name"] for one in endpoints}
    return filled(endpoints, lambda one: [name for name in all_names(one) if name == one["Name"] or name not in own])


def doubles(endpoints: Endpoints) -> Table:
    return filled(endpoints, lambda one: [name.lower() for name in (one["Name"], *one.get("Aliases", ()))])


def capitals_count(endpoints: Endpoints) -> Table:
    return filled(endpoints, lambda one: list(dict.fromkeys((one["Name"], *one.get("Aliases", ())))))


def needs_aliases(endpoints: Endpoints) -> Table:
    assert all("Aliases" in one for one in endpoints)
    return filled(endpoints, all_names)


Networks = list[dict[str, Any]]


def has(one: dict[str, Any] | str, address: str) -> bool:
    subnet = one if isinstance(one, str) else one["Subnet"]
    return ipaddress.ip_address(address) in ipaddress.ip_network(subnet)


def the_first_one(address: str, mine: Networks, others: list[str]) -> str | None:  # noqa: ARG001
    if mine and has(mine[0], address):
        return str(mine[0]["Name"])
    return "world" if mine and not mine[0]["Internal"] else None


def always_out(address: str, mine: Networks, others: list[str]) -> str | None:  # noqa: ARG001
    return next((one["Name"] for one in mine if has(one, address)), "world")


def all_must_lead_out(address: str, mine: Networks, others: list[str]) -> str | None:
    if found := next((one["Name"] for one in mine if has(one, address)), None):
        return str(found)
    return None if any(has(one, address) for one in others) or any(one["Internal"] for one in mine) else "world"


def no_walls(address: str, mine: Networks, others: list[str]) -> str | None:  # noqa: ARG001
    if found := next((one["Name"] for one in mine if has(one, address)), None):
        return str(found)
    return "world" if any(not one["Internal"] for one in mine) else None


def internal_is_deaf(address: str, mine: Networks, others: list[str]) -> str | None:
    return solved_route(address, [one for one in mine if not one["Internal"] or len(mine) > 1], others)


def by_letters(address: str, mine: Networks, others: list[str]) -> str | None:
    start = address.rpartition(".")[0]
    if found := next((one["Name"] for one in mine if one["Subnet"].startswith(start)), None):
        return str(found)
    return solved_route(address, mine, others)


def at_home_alone(address: str, mine: Networks, others: list[str]) -> str | None:
    return solved_route(address, mine, others) or ("world" if not mine else None)


def solved_route(address: str, mine: Networks, others: list[str]) -> str | None:
    found = no_walls(address, mine, others)
    return None if found == "world" and any(has(one, address) for one in others) else found


def lines_of(name: str, addresses: list[str]) -> list[str]:
    return [f"{address}\t{name}\n" for address in addresses]


def appends(text: str, name: str, addresses: list[str]) -> str:
    return text + "".join(lines_of(name, addresses))


def only_adds(text: str, name: str, addresses: list[str]) -> str:
    return text + "".join(line for line in lines_of(name, addresses) if line not in text)


def with_blanks(text: str, name: str, addresses: list[str]) -> str:
    return text + "".join(f"{address} {name}\n" for address in addresses)


def writes_anew(text: str, name: str, addresses: list[str]) -> str:
    return text.partition("\n")[0] + "\n" + "".join(lines_of(name, addresses))


def by_beginning(text: str, name: str, addresses: list[str]) -> str:
    ours = lines_of(name, addresses)
    kept = [line for line in text.splitlines(True) if line in ours or not line.partition("\t")[2].startswith(name)]
    return "".join([*kept, *(line for line in ours if line not in kept)])


def by_address(text: str, name: str, addresses: list[str]) -> str:
    ours = lines_of(name, addresses)
    kept = [line for line in text.splitlines(True) if line in ours or line.partition("\t")[2] != f"{name}\n"]
    known = [line.partition("\t")[0] for line in kept]
    return "".join([*kept, *(line for line in ours if line.partition("\t")[0] not in known)])


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("11.1", first_comes_first, "under way", "The machine's stands before it"),
    ("11.1", always_tcp, "under way", "What follows the slash"),
    ("11.1", two_parts_only, "under way", "Three parts"),
    ("11.1", from_the_left, "under way", "Split from the right"),
    ("11.1", keeps_brackets, "under way", "The brackets are not part of the address"),
    ("11.1", no_ranges, "under way", "the second to the second"),
    ("11.1", takes_the_first, "under way", "That is a choice"),
    ("11.1", zips_the_shorter, "under way", "Which would lead where?"),
    ("11.1", nothing_inside, "under way", "There is nothing to lead to"),
    ("11.1", borrows, "cannot pass", "minidocker's own parse()"),
    ("11.2", with_the_edges, "under way", "The lowest address that is not taken"),
    ("11.2", after_the_last, "under way", "Gaps are filled"),
    ("11.2", by_their_number, "under way", "Gaps are filled"),
    ("11.2", one_byte, "under way", "let ipaddress count"),
    ("11.2", never_full, "under way", "Where none is left"),
    ("11.2", ignores_wishes, "under way", "--ip 10.0.0.77"),
    ("11.2", grants_all_wishes, "under way", "Address already in use"),
    ("11.2", grants_strange_wishes, "under way", "cannot be reached on it"),
    ("11.3", with_the_mask, "under way", "without the /24"),
    ("11.3", names_alone, "under way", "Who has a name or an alias"),
    ("11.3", the_last_wins, "under way", "In the order of the endpoints"),
    ("11.3", names_go_first, "under way", "Nobody owns a name"),
    ("11.3", doubles, "under way", "Each address once"),
    ("11.3", capitals_count, "under way", "lower()"),
    ("11.3", needs_aliases, "under way", "Aliases may be missing"),
    ("11.4", the_first_one, "under way", "Look at all of its networks"),
    ("11.4", always_out, "under way", "has no way out"),
    ("11.4", all_must_lead_out, "under way", "One way out is enough"),
    ("11.4", no_walls, "under way", "networks are kept apart"),
    ("11.4", internal_is_deaf, "under way", "within all talk"),
    ("11.4", by_letters, "under way", "Let ipaddress tell"),
    ("11.4", at_home_alone, "under way", "nobody to talk to"),
    ("11.5", with_blanks, "under way", "A line is: address, tab"),
    ("11.5", appends, "under way", "is not written twice"),
    ("11.5", only_adds, "under way", "goes when its address is not among"),
    ("11.5", writes_anew, "under way", "Lines of other names stay"),
    ("11.5", by_beginning, "under way", "Compare the whole name"),
    ("11.5", by_address, "under way", "that is another one"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("11-networks", WRONG)


# The cases are the engine's own answers


def cases(task: Any) -> list[Any]:
    return [pytest.param(case, id=case.say) for case in task.cases]


@pytest.mark.parametrize("case", cases(PUBLISH))
def test_the_engine_reads_ports_in_the_same_way(case: Case) -> None:
    if case.want is ValueError:
        with pytest.raises(InvalidArgument):
            list(ports.parse(*case.arguments))
    else:
        assert borrows(*case.arguments) == case.want


@pytest.mark.parametrize("case", cases(PLACE))
def test_the_engine_gives_the_same_address(case: Case) -> None:
    subnet, asked, taken = case.arguments

    def given() -> str:
        return pool.claim(asked, subnet, taken) if asked else pool.address(subnet, "", taken)

    if case.want is ValueError:
        with pytest.raises(APIError):
            given()
    else:
        assert given() == case.want


@pytest.mark.parametrize("case", cases(TABLE))
def test_the_engine_knows_the_same_names(case: Case) -> None:
    assert names.table(*case.arguments) == case.want


@pytest.mark.parametrize("case", cases(ROUTE))
def test_the_engine_goes_the_same_way(case: Case) -> None:
    address, mine, others = case.arguments
    nets = [Net(one["Name"], one["Subnet"], one["Internal"]) for one in mine]
    assert tracer.route(address, nets, others) == (WORLD if case.want == "world" else case.want)


@pytest.mark.parametrize("case", [one for one in cases(HOSTS) if one.values[0].arguments[2]])
def test_the_engine_writes_the_same_file(case: Case) -> None:
    text, name, addresses = case.arguments
    wires = tuple(Wire(network="x", name="x", driver="bridge", address=f"{address}/24") for address in addresses)
    box = Box(None, (), process=None, hostname=name, wires=wires)  # type: ignore[arg-type]
    assert of_files.with_networks(text, box) == case.want


# The transplant


def test_with_the_solution_everybody_finds_everybody(solved: dict[str, Any]) -> None:
    before = names.table
    verdict = open_exercise("11-networks", solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]
    assert "store is 172.18.0.2 or 172.18.0.3" in verdict.twin and names.table is before


def test_wrong_organs_are_noticed(solved: dict[str, Any]) -> None:
    wrong = {
        "publish": always_tcp,
        "place": grants_all_wishes,
        "table": the_last_wins,
        "route": no_walls,
        "hosts": appends,
    }
    verdict = networks.transplant(solved | wrong)
    assert not verdict.passed
    for fact in ("what -p means", "on back", "a third asks for the address of web", "/etc/hosts of web"):
        assert f"{fact}: yours" in verdict.twin, fact
