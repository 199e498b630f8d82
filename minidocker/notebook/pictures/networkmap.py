"""The map of networks: a row for each container, a lane for each network; where they cross, it has an address.

On the left stands the machine, with the ports at which it lets somebody in. Beside it, `name_tables`: what the name
server answers on each network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from minidocker.network import names
from minidocker.network.plan import ANY, DEFAULT, Net, Peer, Place, Plan
from minidocker.notebook.pictures.facts import count
from minidocker.notebook.pictures.svg import Figure, Markup, arrow, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.engine import Engine

DOORS, BOX, LANES = 150, 150, 352  # where the machine ends; the width of a container; where the lanes begin
NARROWEST, HEAD, ROW = 142, 88, 56
MOST_ROWS, MOST_LANES = 12, 4
MODES = {"host": "in the machine's network", "none": "no network at all"}


def network_map(engine: Engine) -> Figure:
    """All networks that somebody made or is on, all containers, and where they meet."""
    from minidocker.notebook.survey import survey

    return map_figure(survey(engine))


def map_figure(plan: Plan, lit: Iterable[str] = ()) -> Figure:
    """Draw a plan; the containers that are `lit` stand out."""
    lit = set(lit)
    nets = [net for net in plan.nets if net.name != DEFAULT or any(_on(peer, net) for peer in plan.peers)]
    lanes, peers = nets[:MOST_LANES], plan.peers[:MOST_ROWS]
    left = [
        count(len(rest), what)
        for rest, what in ((nets[len(lanes) :], "network"), (plan.peers[len(peers) :], "container"))
        if rest
    ]
    lane = min(max(NARROWEST, (760 - LANES) / max(len(lanes), 1)), 215)
    width = max(LANES + lane * len(lanes), 560.0)
    height = HEAD + ROW * len(peers) + 12
    title = f"{count(len(plan.peers), 'container')} on {count(len(nets), 'network')}"
    drawn = [text(0, 16, title, "md-h"), rect(0, 28, DOORS, height - 28, "md-slab", rx=6)]
    drawn += [text(12, 48, "your machine", "md-b"), text(12, 64, "ports that lead in:", "md-s", "md-dim")]
    drawn += [group(_lane(net, lane - 12, height - 28), LANES + lane * n, 28) for n, net in enumerate(lanes)]
    for n, peer in enumerate(peers):
        drawn.append(group(_row(peer, lanes, lane, peer.name in lit), 0, float(HEAD + ROW * n)))
    if left:
        drawn.append(text(0, height + 16, f"and {' and '.join(left)} more", "md-dim"))
        height += 22
    lines = [*(_net_words(net) for net in nets), *(_words(peer) for peer in plan.peers)]
    return Figure(
        title, ". ".join(lines), "".join(drawn), width, height + 4, "\n".join([title, *(f"  {line}" for line in lines)])
    )


def _on(peer: Peer, net: Net) -> Place | None:
    return next((place for place in peer.places if place.network == net.name), None)


def _about(net: Net) -> str:
    return "internal: no way out" if net.internal else "a way out, names" if net.named else "a way out, no names"


def _net_words(net: Net) -> str:
    return f"network {net.name}  {net.subnet}  {_about(net)}"


def _lane(net: Net, width: float, height: float) -> Iterator[Markup]:
    yield rect(0, 0, width, height, "md-box", *(["md-dash"] if net.internal else []), rx=6)
    yield text(12, 20, net.name, "md-b", width=width - 20)
    yield text(12, 36, net.subnet, "md-c", width=width - 16)
    yield text(12, 51, _about(net), "md-s", "md-dim")


def _row(peer: Peer, lanes: Sequence[Net], lane: float, lit: bool) -> Iterator[Markup]:
    """One container: its doors, its box, its places."""
    for n, words in enumerate(_doors(peer)[:2]):
        closed = words.startswith("EXPOSE")
        y = 16.0 + 18 * n
        yield text(DOORS - 10, y + 4, words, "md-c", "md-dim" if closed else "", text_anchor="end")
        if not closed:
            yield arrow(DOORS - 4, y, DOORS + 30, y)
    look = ["md-on"] if lit else ["md-box"]
    yield rect(DOORS + 32, 2, BOX, 40, *look, *([] if peer.runs else ["md-dash"]))
    yield text(DOORS + 42, 18, peer.name, "md-b", width=BOX - 16)
    yield text(DOORS + 42, 34, _mode(peer) or _inside(peer), "md-s", "md-dim", width=BOX + 4)
    end = DOORS + 32 + BOX
    at = [n for n, net in enumerate(lanes) if _on(peer, net)]
    if at:
        yield el(
            "path", d=f"M{end} 22H{LANES + lane * at[-1] + 18:.0f}", class_="md-ink" if peer.runs else "md-ink md-dash"
        )
    for n in at:
        place, x = _on(peer, lanes[n]), LANES + lane * n + 18.0
        assert place
        yield el("circle", cx=x, cy=22, r=4.5, class_="md-tip" if place.address else "md-box")
        yield text(x + 10, 18, place.address or "no address now", "md-c" if place.address else "md-s", width=lane - 44)
        yield text(x + 10, 36, f"also {', '.join(place.aliases)}" if place.aliases else "", "md-s", width=lane - 44)


def _mode(peer: Peer) -> str:
    """Whose network it is in, where it has none of its own."""
    if not peer.mode.startswith("container:"):
        return MODES.get(peer.mode, "")
    return f"in {peer.mode.partition(':')[2]}'s network"


def _doors(peer: Peer) -> list[str]:
    """Ports of the machine that lead to it, and those that are only exposed."""
    found = []
    for one in peer.published if peer.runs else ():
        everywhere = one.host in ("", "0.0.0.0")
        place = one.asked or "any port" if everywhere else f"{one.host}:{one.asked or 'any'}"
        found.append(f"{place} ▸ {one.inside}")
    open_to = {one.inside for one in peer.published}
    return found + [f"EXPOSE {port}: no door" for port in peer.exposed if port not in open_to]


def _inside(peer: Peer) -> str:
    """Where its programs listen."""
    if not peer.runs:
        return "does not run"
    if peer.listens is None or peer.mode == "host":
        return ""
    spots = [str(port) if address == ANY else f"{address}:{port}" for address, port in sorted(peer.listens)]
    return f"listens: {', '.join(spots)}" if spots else "nobody listens"


def _words(peer: Peer) -> str:
    places = ", ".join(
        f"{place.network} {place.address or '(no address now)'}" + "".join(f" also {one}" for one in place.aliases)
        for place in peer.places
    )
    return "; ".join(filter(None, [f"{peer.name}: {_mode(peer) or places}", _inside(peer), *_doors(peer)]))


# Names


def name_tables(engine: Engine) -> Figure:
    """What the name server of Docker answers on each network, to whoever is on it."""
    from minidocker.notebook.survey import survey

    return tables_figure(survey(engine))


def tables_figure(plan: Plan) -> Figure:
    """Draw a table of names for each network on which somebody is."""
    nets = [net for net in plan.nets if plan.endpoints(net.name)]
    blocks = [(net, _rows(plan, net)) for net in nets]
    wide, tall = 245.0, max((len(_drawn(rows)) for _, rows in blocks), default=0)
    drawn, lines = [text(0, 16, "who is called what", "md-h")], ["who is called what"]
    for n, (net, rows) in enumerate(blocks):
        x, y = n % 3 * (wide + 12), 28.0 + n // 3 * (tall * 20 + 56)
        drawn.append(group(_block(net, rows, wide), x, y))
        lines += [f"  on {net.name}:", *(f"    {name:<12}  {said}" for name, said in rows)]
    height = 28 + -(-len(blocks) // 3) * (tall * 20 + 56)
    width = min(max(len(blocks), 2), 3) * (wide + 12) - 12
    return Figure(
        "who is called what", "; ".join(map(str.strip, lines)), "".join(drawn), width, float(height), "\n".join(lines)
    )


def _rows(plan: Plan, net: Net) -> list[tuple[str, str]]:
    """Name and addresses; on a network without names, who is there without one."""
    endpoints = plan.endpoints(net.name)
    if net.named:
        return sorted((name, ", ".join(found)) for name, found in names.table(endpoints).items())
    return [("(no name)", str(one["IPv4Address"])) for one in endpoints]


def _drawn(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """A line for each address: the name stands at the first of its own."""
    return [("" if n else name, one) for name, said in rows for n, one in enumerate(said.split(", "))]


def _block(net: Net, rows: Sequence[tuple[str, str]], width: float) -> Iterator[Markup]:
    rows = _drawn(rows)
    yield rect(0, 0, width, 34 + 20 * len(rows), "md-slab", rx=6)
    yield text(12, 20, f"on {net.name}", "md-b", width=width - 20)
    for n, (name, said) in enumerate(rows):
        yield text(12, 42 + 20 * n, name, "md-c", "md-dim" if not net.named else "", width=86)
        yield text(102, 42 + 20 * n, said, "md-c", width=width - 108)
