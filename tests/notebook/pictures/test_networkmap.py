"""The map of networks, the tables of names, and a packet's way: what is drawn is what there is, in both forms."""

from __future__ import annotations

from minidocker.network.plan import MACHINE, Net, Peer, Place, Plan
from minidocker.network.tracer import trace
from minidocker.notebook.pictures.networkmap import MOST_LANES, MOST_ROWS, map_figure, tables_figure
from minidocker.notebook.pictures.packet import trace_figure
from tests.network.test_tracer import SHOP


def test_each_container_is_where_its_networks_are() -> None:
    twin = map_figure(SHOP).twin.splitlines()
    assert twin[0] == "12 containers on 3 networks"
    assert "  network vault  10.0.1.0/24  internal: no way out" in twin
    assert "  db: vault 10.0.1.2 also store; listens: 80; EXPOSE 80: no door" in twin
    assert "  helper: in shy's network; nobody listens" in twin
    assert "  hosted: in the machine's network" in twin and "  sealed: no network at all; nobody listens" in twin
    assert "  off: front (no address now); does not run" in twin
    assert "  web: front 10.0.0.2; listens: 80; 8080 ▸ 80; 127.0.0.1:8443 ▸ 80; any port ▸ 81" in twin
    svg = map_figure(SHOP).body
    assert all(peer.name in svg for peer in SHOP.peers) and "10.0.1.2" in svg and "no address now" in svg


def test_the_default_network_is_left_out_where_nobody_is_on_it() -> None:
    assert "bridge" not in map_figure(Plan(SHOP.nets, SHOP.peers[:1])).twin
    assert map_figure(Plan((), ())).twin == "0 containers on 0 networks"


def test_those_that_are_meant_stand_out() -> None:
    assert map_figure(SHOP, ["web", "db"]).body.count("md-on") == 2


def test_of_too_many_the_rest_is_counted() -> None:
    nets = tuple(Net(f"n{n}", f"10.{n}.0.0/24") for n in range(MOST_LANES + 2))
    peers = tuple(Peer(f"c{n}", (Place("n0", f"10.0.0.{n + 2}"),)) for n in range(MOST_ROWS + 1))
    figure = map_figure(Plan(nets, peers))
    assert "and 2 networks and 1 container more" in figure.body and figure.twin.count("c12") == 1


def test_a_hostile_name_is_text() -> None:
    plan = Plan((Net("<script>", "10.0.0.0/24"),), (Peer("a\x1b[2J", (Place("<script>", "10.0.0.2", ("<b>",)),)),))
    for figure in (map_figure(plan), tables_figure(plan), trace_figure(trace(plan, "a\x1b[2J", "<b>", 80))):
        assert (
            "<script>" not in figure.html() and "<b>" not in figure.body and "\x1b" not in figure.html() + figure.twin
        )


def test_a_table_for_each_network_on_which_somebody_is() -> None:
    twin = tables_figure(SHOP).twin
    assert "  on bridge:\n    (no name)     172.17.0.2\n    (no name)     172.17.0.3\n" in twin
    assert "    api           10.0.0.4, 10.0.0.5\n" in twin and "    store         10.0.1.2" in twin
    assert all(f">{text}<" in tables_figure(SHOP).body for text in ("api", "10.0.0.4", "10.0.0.5")), "a line for each"
    assert "off" not in twin, "who does not run has no name"


def test_a_packet_stops_where_the_piece_is_missing() -> None:
    figure = trace_figure(trace(SHOP, "web", "shy", 80), "Tried for real: Connection refused.")
    assert figure.twin.splitlines()[1:4] == [
        "  ✓ Whose name is it? shy is 10.0.0.3",
        "  ✓ Is there a way? both are on front",
        "  ✗ Does a program listen? shy listens at 127.0.0.1:80 only: for itself",
    ]
    assert "to mend it: have the program listen at 0.0.0.0" in figure.twin and "Tried for real" in figure.body


def test_what_was_not_asked_stays_open() -> None:
    assert trace_figure(trace(SHOP, "web", "db", 80)).twin.count("(not asked)") == 2
    assert "Does that port lead in? (not asked)" in trace_figure(trace(SHOP, MACHINE, "web", 80)).twin
    assert trace_figure(trace(SHOP, "web", "api", 80)).twin.endswith("It arrives.")
    assert trace_figure(trace(SHOP, "web", "9.9.9.9", 80)).twin.endswith("It leaves the machine.")
    assert trace_figure(trace(SHOP, "web", "blind", 80)).twin.endswith("It gets as far as the container.")
